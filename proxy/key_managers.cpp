#include "proxy/key_managers.hpp"

#include "proxy/keys/kms_providers.hpp"
#include "proxy/keys/kms_thread.hpp"
#include "proxy/net/kms_transport.hpp"

namespace fieldgate {
namespace {

class NetworkKeyManagers final : public commands::KeyManagers {
 public:
    explicit NetworkKeyManagers(const config::Config& config)
        : transport_(config.kms_providers),
          kms_(transport_, keys::make_kms_providers(config, keys::system_environment())) {}

    crypto::kms::Result<keys::WrappedDataKey> wrap(const std::string& provider,
                                                   const crypto::kms::MasterKeyDescription& master_key,
                                                   const crypto::DataKey& key) override {
        return kms_.wrap(provider, master_key, key);
    }
    crypto::kms::Result<crypto::DataKey> unwrap(const std::string& provider,
                                                const crypto::kms::MasterKeyDescription& master_key,
                                                std::span<const std::uint8_t> wrapped) override {
        return kms_.unwrap(provider, master_key, wrapped);
    }
    std::optional<crypto::kms::Failure> login(const std::string& provider) override {
        return kms_.login(provider);
    }

 private:
    net::KmsTransport transport_;
    keys::KmsThread kms_;  // ends before what it uses
};

}  // namespace

std::unique_ptr<commands::KeyManagers> open_key_managers(const config::Config& config) {
    return std::make_unique<NetworkKeyManagers>(config);
}

}  // namespace fieldgate
