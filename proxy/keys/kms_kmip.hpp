#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"
#include "crypto/random.hpp"
#include "proxy/keys/kms_provider.hpp"

namespace fieldgate::keys {

// KMIP, not delegated and delegated (crypto/kms/kmip.hpp). The client's certificate is the login, so that
// there is nothing to fetch and nothing to forget. A masterKey may name the configured endpoint or one of the
// configuration's hosts, no other.
//
// Wrapping without an identifier makes a key on the server and gives its identifier back. An attempt that
// fails after that leaves a key that nothing uses; the next attempt makes another.
//
// Delegated wrapping is CBC without authentication, as the specification has it: changed key material is not
// noticed here, but by every value that does not open with the key it gives.
class KmipProvider final : public KmsProvider {
 public:
    // `configured` holds KmipKms with an endpoint. `random` must live as long as the provider.
    KmipProvider(const config::KmsProvider& configured, crypto::Random& random);

    std::unique_ptr<KmsOperation> login(UnixTime) override { return nullptr; }
    bool is_logged_in(UnixTime) const override { return true; }
    bool forget_login() override { return false; }
    crypto::kms::Result<std::unique_ptr<UnwrapOperation>> unwrap(
        const crypto::kms::MasterKeyDescription& master_key, std::span<const std::uint8_t> wrapped) override;
    crypto::kms::Result<std::unique_ptr<WrapOperation>> wrap(
        const crypto::kms::MasterKeyDescription& master_key, const crypto::DataKey& key) override;
    bool may_retry(const crypto::kms::Failure& failure) const override;

 private:
    // Where operations with this masterKey go, or why they must not.
    crypto::kms::Result<crypto::kms::Endpoint> endpoint_of(
        const crypto::kms::KmipMasterKey& master_key) const;

    std::string name_;
    std::string endpoint_;
    std::vector<std::string> hosts_;  // with the configured endpoint
    crypto::Random& random_;
};

}  // namespace fieldgate::keys
