#include "proxy/key_managers.hpp"

#include <map>
#include <stdexcept>

#include "crypto/key_material.hpp"
#include "crypto/key_wrap.hpp"
#include "crypto/random.hpp"
#include "crypto/secret_file.hpp"

namespace fieldgate {
namespace {

using crypto::kms::Failure;
using crypto::kms::MasterKeyDescription;
using crypto::kms::Result;

// The local providers only, until the engine of the others is here.
class LocalKeyManagers final : public commands::KeyManagers {
 public:
    explicit LocalKeyManagers(const config::Config& config) {
        for (const config::KmsProvider& provider : config.kms_providers) {
            const auto* local = std::get_if<config::LocalKms>(&provider.settings);
            if (local == nullptr) continue;
            const auto contents = crypto::read_secret_file(local->key_file.string());
            if (!contents)
                throw std::runtime_error(local->key_file.string() + ": " + contents.error().message());
            auto key = crypto::parse_master_key(*contents);
            if (!key) throw std::runtime_error(local->key_file.string() + ": " + key.error().message());
            keys_.emplace(provider.name, std::move(*key));
        }
    }

    Result<keys::WrappedDataKey> wrap(const std::string& provider, const MasterKeyDescription& master_key,
                                      const crypto::DataKey& key) override {
        const auto found = keys_.find(provider);
        if (found == keys_.end()) return not_configured(provider);
        crypto::SystemRandom random;
        const auto wrapped = crypto::wrap_key(key, found->second, random);
        if (!wrapped)
            return Failure{.kind = Failure::Kind::unavailable,
                           .code = "local_failure",
                           .text = wrapped.error().message()};
        return keys::WrappedDataKey{{wrapped->begin(), wrapped->end()}, master_key};
    }
    Result<crypto::DataKey> unwrap(const std::string& provider, const MasterKeyDescription&,
                                   std::span<const std::uint8_t> wrapped) override {
        const auto found = keys_.find(provider);
        if (found == keys_.end()) return not_configured(provider);
        auto key = crypto::unwrap_key(wrapped, found->second);
        if (!key) {
            return Failure{.kind = Failure::Kind::refused,
                           .code = "hmac_validation_failure",
                           .text = "KMS provider `" + provider + "`: " + key.error().message()};
        }
        return std::move(*key);
    }
    std::optional<Failure> login(const std::string&) override { return std::nullopt; }

 private:
    static Failure not_configured(const std::string& provider) {
        return {.kind = Failure::Kind::refused,
                .code = "not_configured",
                .text = "KMS provider `" + provider + "` is not configured"};
    }
    std::map<std::string, crypto::MasterKey> keys_;
};

}  // namespace

std::unique_ptr<commands::KeyManagers> open_key_managers(const config::Config& config) {
    return std::make_unique<LocalKeyManagers>(config);
}

}  // namespace fieldgate
