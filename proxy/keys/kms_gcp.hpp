#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "crypto/kms/gcp.hpp"
#include "proxy/keys/kms_provider.hpp"

namespace fieldgate::keys {

// Google's Cloud KMS (crypto/kms/gcp.hpp): a service account's key, a credentials file (service account, or
// workload identity federation), or the metadata server.
class GcpProvider final : public KmsProvider {
 public:
    // `configured` holds GcpKms. Files are read at each login: agents and operators renew them.
    GcpProvider(const config::KmsProvider& configured, KmsEnvironment environment);

    std::unique_ptr<KmsOperation> login(UnixTime now) override;
    bool is_logged_in(UnixTime now) const override;
    bool forget_login() override;
    crypto::kms::Result<std::unique_ptr<UnwrapOperation>> unwrap(
        const crypto::kms::MasterKeyDescription& master_key, std::span<const std::uint8_t> wrapped) override;
    crypto::kms::Result<std::unique_ptr<WrapOperation>> wrap(
        const crypto::kms::MasterKeyDescription& master_key, const crypto::DataKey& key) override;
    bool may_retry(const crypto::kms::Failure& failure) const override;
    void hide_secrets(crypto::kms::Failure& failure) const override;

 private:
    class Login;

    void take(crypto::kms::Token token);
    crypto::kms::Result<const crypto::kms::Token*> token(UnixTime now) const;
    // Where operations with this masterKey go, or why they must not.
    crypto::kms::Result<crypto::kms::Endpoint> endpoint_of(
        const crypto::kms::MasterKeyDescription& master_key) const;

    std::string name_;
    std::vector<std::string> hosts_;
    config::GcpKms settings_;
    KmsEnvironment environment_;
    std::optional<crypto::kms::Token> token_;
    crypto::SecretBuffer replaced_token_;  // good until it ends, and a late reply may quote it
    UnixTime due_{};                       // of the next login
};

}  // namespace fieldgate::keys
