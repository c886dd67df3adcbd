#pragma once

#include <memory>
#include <optional>
#include <string>

#include "config/config.hpp"
#include "crypto/kms/vault.hpp"
#include "proxy/keys/kms_provider.hpp"

namespace fieldgate::keys {

// HashiCorp Vault and OpenBao (crypto/kms/vault.hpp). Always the configured server, whatever a key document
// says.
//
//     token        as configured; it does not end for us, and nothing replaces it
//     token file   read when it is first needed, and again when the server does not take the token any
//     longer:
//                  an agent renews the file
//     AppRole, Kubernetes   a token with a lease; another login before the lease ends (renewing the old one
//     would
//                  only reach to its maximum). The file of the Kubernetes token is read at each login
class VaultProvider final : public KmsProvider {
 public:
    // `configured` holds VaultKms.
    VaultProvider(const config::KmsProvider& configured, KmsEnvironment environment);

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

    bool is_token_fixed() const;
    void take(crypto::SecretBuffer token);
    std::optional<crypto::kms::Failure> read_token_file();
    crypto::kms::Result<crypto::kms::VaultServer> server() const;
    crypto::kms::Result<crypto::kms::Request> login_request() const;
    crypto::kms::Result<const crypto::SecretBuffer*> token() const;

    config::VaultKms settings_;
    std::optional<crypto::kms::VaultServer> server_;  // nothing: the address is none
    KmsEnvironment environment_;
    std::optional<crypto::SecretBuffer> token_;
    crypto::SecretBuffer replaced_token_;  // good until its lease ends, and a late reply may quote it
    std::optional<UnixTime> due_;          // of the next login; nothing: it does not end
    UnixTime ends_{};                      // where there is a due_
    bool must_renew_ = false;
};

}  // namespace fieldgate::keys
