#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "crypto/kms/exchange.hpp"
#include "crypto/kms/master_key.hpp"
#include "crypto/kms/oauth.hpp"

// Azure Key Vault: wrapkey and unwrapkey with RSA-OAEP-256 (api-version 7.1, as drivers ask), and the three
// ways to a token for it.
namespace fieldgate::crypto::kms {

// Where a masterKey may send a token besides the configuration's hosts. One label before the domain: that is
// the vault's name.
inline constexpr std::string_view azure_domains[] = {
    "*.vault.azure.net",         "*.vault.azure.cn",       "*.vault.usgovcloudapi.net",
    "*.vault.microsoftazure.de", "*.managedhsm.azure.net",
};

// What a token is for: "https://vault.azure.net", by the domain of the vault. Vaults under other names (a
// proxy that the configuration lists) belong to the cloud of the identity platform.
[[nodiscard]] std::string azure_resource(const Endpoint& vault, std::string_view identity_platform_host);

// What Azure allows in a path, and nothing else goes into one: names of 1 to 127 letters, digits and hyphens,
// versions of 32 letters and digits (or none). Nothing when it is right.
[[nodiscard]] std::optional<Failure> azure_problem_of(const AzureMasterKey& master_key);

// Logins. The reply to each is read with read_token().
inline constexpr Answerer azure_platform{"Microsoft's identity platform", Answerer::Role::login};
inline constexpr Answerer azure_metadata{"Azure's metadata service", Answerer::Role::metadata};
struct AzureApplication {
    Endpoint identity_platform;
    std::string tenant_id;
    std::string client_id;
};
[[nodiscard]] Result<Request> azure_secret_login(const AzureApplication& application,
                                                 std::string_view client_secret, std::string_view resource);
// `token_file`: the contents of the file that Kubernetes renews.
[[nodiscard]] Result<Request> azure_federated_login(const AzureApplication& application,
                                                    const SecretBuffer& token_file,
                                                    std::string_view resource);
// `client_id`: empty, unless the machine has several identities.
[[nodiscard]] Result<Request> azure_managed_login(const Endpoint& metadata, std::string_view client_id,
                                                  std::string_view resource);

[[nodiscard]] Result<Request> azure_wrap_request(const Endpoint& vault, const AzureMasterKey& master_key,
                                                 const DataKey& key, const Token& token);
[[nodiscard]] Result<Request> azure_unwrap_request(const Endpoint& vault, const AzureMasterKey& master_key,
                                                   std::span<const std::uint8_t> wrapped, const Token& token);
struct AzureWrapped {
    std::vector<std::uint8_t> material;
    std::string key_version;  // that wrapped it, by the reply's `kid`; empty if it does not say
};
[[nodiscard]] Result<AzureWrapped> azure_read_wrapped(const Reply& reply);
[[nodiscard]] Result<DataKey> azure_read_unwrapped(const Reply& reply);

}  // namespace fieldgate::crypto::kms
