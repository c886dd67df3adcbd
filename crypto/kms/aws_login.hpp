#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "crypto/kms/aws.hpp"
#include "crypto/kms/exchange.hpp"

// The three services that hand out credentials for AWS: the token service, the container's metadata service
// (ECS, EKS) and the instance's (EC2). Requests and replies as AWS documents them; failures are `credentials`
// where another login could end otherwise.
namespace fieldgate::crypto::kms {

// Credentials that were fetched, and when they end.
struct AwsSession {
    AwsCredentials credentials;
    UnixTime ends{};
};

// "2015-08-30T12:36:00Z", with or without a fraction of seconds. Nothing for anything else.
[[nodiscard]] std::optional<UnixTime> parse_utc_time(std::string_view text);

// The Security Token Service's AssumeRoleWithWebIdentity: unsigned, the web identity's token is the proof.
[[nodiscard]] Result<Request> aws_web_identity_request(const Endpoint& endpoint, std::string_view role_arn,
                                                       std::string_view session_name,
                                                       const SecretBuffer& token);
[[nodiscard]] Result<AwsSession> aws_read_web_identity(const Reply& reply);

// What the container's and the instance's metadata services answer with.
[[nodiscard]] Result<AwsSession> aws_read_metadata_credentials(const Reply& reply);

// The instance metadata service, version 2: a token, the name of the instance's role, its credentials.
[[nodiscard]] Result<Request> aws_metadata_token_request(const Endpoint& endpoint);
[[nodiscard]] Result<SecretBuffer> aws_read_metadata_token(const Reply& reply);
[[nodiscard]] Result<Request> aws_metadata_role_request(const Endpoint& endpoint, const SecretBuffer& token);
[[nodiscard]] Result<std::string> aws_read_metadata_role(const Reply& reply);
[[nodiscard]] Result<Request> aws_metadata_credentials_request(const Endpoint& endpoint,
                                                               const SecretBuffer& token,
                                                               std::string_view role);

// The container's metadata service: http or https URL. `authorization` may be empty. `credentials` with code
// "metadata_url_not_allowed": plain HTTP goes to this machine and to the addresses of ECS and EKS only.
struct AwsMetadataUrl {
    Endpoint endpoint;
    std::string target;
};
[[nodiscard]] Result<AwsMetadataUrl> parse_aws_container_url(std::string_view url);
[[nodiscard]] Result<Request> aws_container_request(const AwsMetadataUrl& url,
                                                    const SecretBuffer& authorization);
// "http://host[:port]", for another instance metadata service. Nothing: it is not of this form.
[[nodiscard]] std::optional<Endpoint> parse_metadata_endpoint(std::string_view url);

}  // namespace fieldgate::crypto::kms
