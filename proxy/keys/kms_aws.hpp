#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "crypto/kms/aws_login.hpp"
#include "proxy/keys/kms_provider.hpp"

namespace fieldgate::keys {

// AWS (crypto/kms/aws.hpp). Where its credentials come from, config::AwsKms says:
//
//     fixed, environment   nothing is asked; they have no end
//     web identity         a token from a file, taken to the token service (EKS, OIDC)
//     container            the metadata service of ECS or EKS
//     instance             the metadata service of EC2, version 2; a service that only has version 1, which
//     any
//                          page that makes the machine send a GET could read, is not asked
//
// Files and environment are read at each login.
class AwsProvider final : public KmsProvider {
 public:
    // `configured` holds AwsKms.
    AwsProvider(const config::KmsProvider& configured, KmsEnvironment environment);

    std::unique_ptr<KmsOperation> login(UnixTime now) override;
    bool is_logged_in(UnixTime now) const override;
    bool forget_login() override;
    crypto::kms::Result<std::unique_ptr<UnwrapOperation>> unwrap(
        const crypto::kms::MasterKeyDescription& master_key, std::span<const std::uint8_t> wrapped) override;
    crypto::kms::Result<std::unique_ptr<WrapOperation>> wrap(
        const crypto::kms::MasterKeyDescription& master_key, const crypto::DataKey& key) override;
    void hide_secrets(crypto::kms::Failure& failure) const override;
    bool may_retry(const crypto::kms::Failure& failure) const override;

 private:
    class InstanceLogin;
    class SessionLogin;
    using Source = config::AwsKms::Source;

    Source find_source() const;
    std::optional<crypto::kms::Failure> read_environment();
    std::string variable(const char* name) const;  // empty: not set
    std::string setting(const std::string& configured, const char* name) const;
    crypto::kms::Result<crypto::kms::Request> web_identity_request() const;
    crypto::kms::Result<crypto::kms::Request> container_request() const;
    crypto::kms::Result<crypto::kms::Endpoint> metadata_endpoint() const;
    std::optional<crypto::kms::Failure> take(crypto::kms::Result<crypto::kms::AwsSession> session,
                                             UnixTime now);
    crypto::kms::Result<const crypto::kms::AwsCredentials*> credentials() const;

    std::string name_;
    config::AwsKms settings_;
    std::vector<std::string> hosts_;
    KmsEnvironment environment_;
    // With a list of master keys, a document may not name one of them and bring a blob of another.
    crypto::kms::AwsDecrypt decrypt_;
    std::optional<crypto::kms::AwsCredentials> credentials_;
    std::optional<UnixTime> due_;  // of the next login; nothing: they do not end
    UnixTime ends_{};              // where there is a due_
};

}  // namespace fieldgate::keys
