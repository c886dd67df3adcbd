#include "crypto/kms/azure.hpp"

#include <algorithm>

#include "crypto/kms/http.hpp"

namespace fieldgate::crypto::kms {
namespace {

constexpr Answerer key_vault{"Azure Key Vault"};
constexpr std::size_t key_name_bytes_max = 127;
constexpr std::size_t key_version_bytes = 32;
constexpr std::string_view public_cloud = "https://vault.azure.net";

bool is_letter_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_key_name(std::string_view name) {
    return !name.empty() && name.size() <= key_name_bytes_max &&
           std::ranges::all_of(name, [](char c) { return is_letter_or_digit(c) || c == '-'; });
}

bool is_key_version(std::string_view version) {
    return version.size() == key_version_bytes && std::ranges::all_of(version, is_letter_or_digit);
}

// An empty version leaves an empty segment, as drivers have it: the current one.
std::string target_of(const AzureMasterKey& master_key, std::string_view operation) {
    return "/keys/" + master_key.key_name + "/" + master_key.key_version + "/" + std::string(operation) +
           "?api-version=7.1";
}

Result<Request> key_request(const Endpoint& vault, std::string_view target, const Token& token,
                            std::span<const std::uint8_t> value) {
    return bearer_post(vault, target, token, R"({"alg":"RSA-OAEP-256","value":")", value, Base64::url,
                       R"("})");
}

FormBody login_form(const AzureApplication& application, std::string_view resource) {
    FormBody form;
    form.add("client_id", application.client_id).add("scope", std::string(resource) + "/.default");
    return form;
}

Result<Request> login_request(const AzureApplication& application, FormBody& form) {
    return form.add("grant_type", "client_credentials")
        .post(application.identity_platform,
              "/" + percent_encode(application.tenant_id) + "/oauth2/v2.0/token");
}

}  // namespace

std::string azure_resource(const Endpoint& vault, std::string_view identity_platform_host) {
    for (std::string_view domain : azure_domains) {
        domain.remove_prefix(1);
        if (vault.host.ends_with(domain)) return "https://" + std::string(domain.substr(1));
    }
    // Identity platforms of the national clouds.
    if (identity_platform_host.ends_with(".microsoftonline.us")) return "https://vault.usgovcloudapi.net";
    if (identity_platform_host.ends_with(".chinacloudapi.cn") ||
        identity_platform_host.ends_with(".microsoftonline.cn")) {
        return "https://vault.azure.cn";
    }
    if (identity_platform_host.ends_with(".microsoftonline.de")) return "https://vault.microsoftazure.de";
    return std::string(public_cloud);
}

std::optional<Failure> azure_problem_of(const AzureMasterKey& master_key) {
    if (!is_key_name(master_key.key_name)) {
        return Failure{Failure::Kind::refused, 0, "key_name_not_valid",
                       "the master key's keyName is not 1 to 127 letters, digits and hyphens"};
    }
    if (!master_key.key_version.empty() && !is_key_version(master_key.key_version)) {
        return Failure{Failure::Kind::refused, 0, "key_version_not_valid",
                       "the master key's keyVersion is not 32 letters and digits"};
    }
    return std::nullopt;
}

Result<Request> azure_secret_login(const AzureApplication& application, std::string_view client_secret,
                                   std::string_view resource) {
    FormBody form = login_form(application, resource);
    form.add("client_secret", client_secret);
    return login_request(application, form);
}

Result<Request> azure_federated_login(const AzureApplication& application, const SecretBuffer& token_file,
                                      std::string_view resource) {
    FormBody form = login_form(application, resource);
    form.add("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
        .add_token("client_assertion", token_file);
    return login_request(application, form);
}

Result<Request> azure_managed_login(const Endpoint& metadata, std::string_view client_id,
                                    std::string_view resource) {
    std::string target = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=" +
                         percent_encode(std::string(resource) + "/");
    if (!client_id.empty()) target += "&client_id=" + percent_encode(client_id);
    return HttpRequest("GET", metadata, target)
        .header("Metadata", "true")
        .header("Accept", "application/json")
        .finish();
}

Result<Request> azure_wrap_request(const Endpoint& vault, const AzureMasterKey& master_key,
                                   const DataKey& key, const Token& token) {
    return key_request(vault, target_of(master_key, "wrapkey"), token, key.expose_secret());
}

Result<Request> azure_unwrap_request(const Endpoint& vault, const AzureMasterKey& master_key,
                                     std::span<const std::uint8_t> wrapped, const Token& token) {
    return key_request(vault, target_of(master_key, "unwrapkey"), token, wrapped);
}

Result<AzureWrapped> azure_read_wrapped(const Reply& reply) {
    const auto json = read_success(reply, key_vault);
    if (!json) return json.error();
    auto material = read_wrapped_key(*json, key_vault, "value", Base64::url);
    if (!material) return material.error();
    AzureWrapped wrapped{std::move(*material), {}};
    // https://<vault>/keys/<name>/<version>
    const std::string_view kid = json->string("kid").value_or("");
    const std::string_view version = kid.substr(kid.rfind('/') + 1);
    if (is_key_version(version)) wrapped.key_version = version;
    return wrapped;
}

Result<DataKey> azure_read_unwrapped(const Reply& reply) {
    return read_data_key(reply, key_vault, "value", Base64::url);
}

}  // namespace fieldgate::crypto::kms
