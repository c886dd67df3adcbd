#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "crypto/kms/azure.hpp"
#include "proxy/keys/kms_provider.hpp"

namespace fieldgate::keys {

// The tokens of one Azure provider. A token is for one kind of vault ("https://vault.azure.net", a managed
// HSM, a national cloud), which the masterKey tells. Since key documents are written by others, no login for
// a kind of vault that they name may keep the others from working: login() renews those that a token was
// given for, and operations with another kind fetch its first token themselves. Only the first of all is
// left to login(), so that operations that start together share it.
class AzureTokens {
 public:
    AzureTokens(const config::AzureKms& settings, KmsEnvironment environment);

    // The identity platform's host name, as configured.
    std::string identity_platform_host() const;

    // Good at `now`, or null.
    const crypto::kms::Token* find(const std::string& resource, UnixTime now) const;
    // How to get one. `credentials`: a setting or file is missing; the text says which.
    crypto::kms::Result<crypto::kms::Request> request(const std::string& resource) const;
    // The reply.
    std::optional<crypto::kms::Failure> take(const std::string& resource, const crypto::kms::Reply& reply,
                                             UnixTime now);

    // An operation needs this one.
    void want(const std::string& resource);
    // What login() has to fetch, if anything.
    std::optional<std::string> due(UnixTime now) const;
    // All that were given are good at `now`; false without any.
    bool are_good(UnixTime now) const;
    void forget();
    void hide_secrets(crypto::kms::Failure& failure) const;

 private:
    crypto::kms::Result<crypto::kms::AzureApplication> application() const;
    std::string setting(const std::string& configured, const char* variable) const;

    config::AzureKms settings_;
    KmsEnvironment environment_;
    struct Kept {
        crypto::kms::Token token;
        UnixTime due{};                 // of the login that renews it
        crypto::SecretBuffer replaced;  // the token before it, which a late reply may quote
    };

    std::map<std::string, Kept> tokens_;  // by resource; also those that have ended
    std::string first_;                   // wanted while there was none yet
};

// Azure Key Vault (crypto/kms/azure.hpp): client secret, workload identity or managed identity.
//
// A masterKey without keyVersion is wrapped with the current version of the key, and comes back with that
// version: the key manager cannot tell from a wrapped key which version it needs, and would try the current
// one after the key was rotated.
class AzureProvider final : public KmsProvider {
 public:
    // `configured` holds AzureKms.
    AzureProvider(const config::KmsProvider& configured, KmsEnvironment environment);

    std::unique_ptr<KmsOperation> login(UnixTime now) override;
    bool is_logged_in(UnixTime now) const override;
    bool forget_login() override;
    crypto::kms::Result<std::unique_ptr<UnwrapOperation>> unwrap(
        const crypto::kms::MasterKeyDescription& master_key, std::span<const std::uint8_t> wrapped) override;
    crypto::kms::Result<std::unique_ptr<WrapOperation>> wrap(
        const crypto::kms::MasterKeyDescription& master_key, const crypto::DataKey& key) override;
    bool may_retry(const crypto::kms::Failure& failure) const override;
    void hide_secrets(crypto::kms::Failure& failure) const override { tokens_.hide_secrets(failure); }

 private:
    // Where operations with this masterKey go, or why they must not.
    crypto::kms::Result<crypto::kms::Endpoint> vault_of(
        const crypto::kms::MasterKeyDescription& master_key) const;

    std::string name_;
    std::vector<std::string> hosts_;
    AzureTokens tokens_;
};

}  // namespace fieldgate::keys
