#include "proxy/commands/key_managers.hpp"

#include "crypto/key_material.hpp"
#include "crypto/random.hpp"

namespace fieldgate::commands {

using crypto::kms::Failure;
using crypto::kms::MasterKeyDescription;

Impatient::Place Impatient::place_of(const std::string& provider, const MasterKeyDescription& master_key) {
    struct Where {
        std::string operator()(const crypto::kms::LocalMasterKey&) const { return {}; }
        std::string operator()(const crypto::kms::AwsMasterKey& key) const {
            return key.region + " " + key.endpoint;
        }
        std::string operator()(const crypto::kms::AzureMasterKey& key) const {
            return key.key_vault_endpoint;
        }
        std::string operator()(const crypto::kms::GcpMasterKey& key) const { return key.endpoint; }
        std::string operator()(const crypto::kms::KmipMasterKey& key) const { return key.endpoint; }
        std::string operator()(const crypto::kms::VaultMasterKey&) const { return {}; }
    };
    return {provider, std::visit(Where(), master_key)};
}

std::optional<Failure> Impatient::is_away(const Place& place) const {
    const std::lock_guard lock(mutex_);
    const auto found = away_.find(place);
    if (found == away_.end()) return std::nullopt;
    Failure failure = found->second;
    failure.text += " (not asked again)";
    return failure;
}

void Impatient::remember(const Place& place, const Failure& failure) {
    if (failure.code != "timeout") return;  // an error costs no time, and the next question may fare better
    const std::lock_guard lock(mutex_);
    away_.emplace(place, failure);
}

crypto::kms::Result<keys::WrappedDataKey> Impatient::wrap(const std::string& provider,
                                                          const MasterKeyDescription& master_key,
                                                          const crypto::DataKey& key) {
    const Place place = place_of(provider, master_key);
    if (auto away = is_away(place)) return *away;
    auto wrapped = kms_.wrap(provider, master_key, key);
    if (!wrapped) remember(place, wrapped.error());
    return wrapped;
}

crypto::kms::Result<crypto::DataKey> Impatient::unwrap(const std::string& provider,
                                                       const MasterKeyDescription& master_key,
                                                       std::span<const std::uint8_t> wrapped) {
    const Place place = place_of(provider, master_key);
    if (auto away = is_away(place)) return *away;
    auto unwrapped = kms_.unwrap(provider, master_key, wrapped);
    if (!unwrapped) remember(place, unwrapped.error());
    return unwrapped;
}

std::optional<Failure> Impatient::login(const std::string& provider) {
    return kms_.login(provider);
}

crypto::kms::Result<keys::WrappedDataKey> wrap_and_prove(KeyManagers& kms, const std::string& provider,
                                                         const MasterKeyDescription& master_key,
                                                         const crypto::DataKey& key) {
    auto wrapped = kms.wrap(provider, master_key, key);
    if (!wrapped) return wrapped.error();
    const auto unwrapped = kms.unwrap(provider, wrapped->master_key, wrapped->material);
    if (!unwrapped) return unwrapped.error();
    if (*unwrapped != key) {
        return Failure{.kind = Failure::Kind::unavailable,
                       .code = "another_key",
                       .text = "KMS provider `" + provider + "`: unwraps to another key than it wrapped"};
    }
    return std::move(*wrapped);
}

crypto::kms::Result<MasterKeyDescription> prove(KeyManagers& kms, const std::string& provider,
                                                const MasterKeyDescription& master_key) {
    crypto::SystemRandom random;
    const auto key = crypto::generate_key(random);
    if (!key) {
        return Failure{
            .kind = Failure::Kind::unavailable, .code = "random_failed", .text = key.error().message()};
    }
    auto wrapped = wrap_and_prove(kms, provider, master_key, *key);
    if (!wrapped) return wrapped.error();
    return std::move(wrapped->master_key);
}

}  // namespace fieldgate::commands
