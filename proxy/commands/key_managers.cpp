#include "proxy/commands/key_managers.hpp"

#include "crypto/key_material.hpp"
#include "crypto/random.hpp"

namespace fieldgate::commands {

using crypto::kms::Failure;

crypto::kms::Result<keys::WrappedDataKey> wrap_and_prove(KeyManagers& kms, const std::string& provider,
                                                         const crypto::kms::MasterKeyDescription& master_key,
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

crypto::kms::Result<crypto::kms::MasterKeyDescription> prove(
    KeyManagers& kms, const std::string& provider, const crypto::kms::MasterKeyDescription& master_key) {
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
