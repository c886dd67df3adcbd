#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "crypto/kms/exchange.hpp"
#include "crypto/kms/master_key.hpp"
#include "crypto/kms/oauth.hpp"

// Google's Cloud KMS: encrypt and decrypt of its REST API, and the ways to a token for it.
namespace fieldgate::crypto::kms {

// Where a masterKey may send a token besides the configuration's hosts: Google's own names, those of Private
// Service Connect and of regions included.
inline constexpr std::string_view gcp_domains[] = {"*.googleapis.com", "*.p.googleapis.com",
                                                   "*.*.rep.googleapis.com"};
inline constexpr std::string_view gcp_kms_host = "cloudkms.googleapis.com";

// Parts of the path are unreserved characters of RFC 3986 (CSFLE specification), and not only dots. Nothing
// when they are right.
[[nodiscard]] std::optional<Failure> gcp_problem_of(const GcpMasterKey& master_key);

[[nodiscard]] Result<Request> gcp_encrypt_request(const Endpoint& endpoint, const GcpMasterKey& master_key,
                                                  const DataKey& key, const Token& token);
// The key's version is not named: Google finds it in what it once gave.
[[nodiscard]] Result<Request> gcp_decrypt_request(const Endpoint& endpoint, const GcpMasterKey& master_key,
                                                  std::span<const std::uint8_t> wrapped, const Token& token);
[[nodiscard]] Result<std::vector<std::uint8_t>> gcp_read_encrypted(const Reply& reply);
[[nodiscard]] Result<DataKey> gcp_read_decrypted(const Reply& reply);

// A service account, by its key.
struct GcpServiceAccount {
    std::string email;
    SecretBuffer private_key;  // see sign_jwt()
    HttpsUrl token_url;
    std::string audience;  // the token's: the address of token_url
};
// Workload identity federation: somebody else's token, from a file, for Google's.
struct GcpFederation {
    HttpsUrl token_url;
    std::string audience;
    std::string subject_token_type;
    std::string subject_file;
    std::string subject_field;  // where the token stands when the file is JSON; empty: the file is the token
    std::optional<HttpsUrl> impersonation_url;  // of the service account to go on as
    int impersonation_lifetime_s = 3600;
};
using GcpCredentials = std::variant<GcpServiceAccount, GcpFederation>;

// The contents of a file as Google's tools write it: "service_account", or "external_account" with a token
// from a file. `credentials`, code "credentials_file_not_valid", otherwise; the text says what is wrong with
// `name`.
[[nodiscard]] Result<GcpCredentials> gcp_read_credentials(const SecretBuffer& contents,
                                                          std::string_view name);
// "https://<endpoint>/token", where service accounts log in.
[[nodiscard]] HttpsUrl gcp_token_url(const Endpoint& endpoint);
[[nodiscard]] std::string gcp_audience(const HttpsUrl& token_url);

// Logins. The replies are read with read_token(), that of impersonation with gcp_read_impersonated().
inline constexpr Answerer gcp_oauth{"Google's token service", Answerer::Role::login};
inline constexpr Answerer gcp_metadata{"Google's metadata service", Answerer::Role::metadata};
[[nodiscard]] Result<Request> gcp_account_login(const GcpServiceAccount& account, UnixTime now);
[[nodiscard]] Result<Request> gcp_exchange(const GcpFederation& federation, const SecretBuffer& subject_file);
[[nodiscard]] Result<Request> gcp_impersonate(const GcpFederation& federation, const Token& federated);
[[nodiscard]] Result<Token> gcp_read_impersonated(const Reply& reply, UnixTime now);
[[nodiscard]] Result<Request> gcp_metadata_login(const Endpoint& metadata);

// "2014-10-02T15:01:23Z", a fraction of the second allowed: as Google writes times. Nothing otherwise.
[[nodiscard]] std::optional<UnixTime> parse_google_time(std::string_view text);

}  // namespace fieldgate::crypto::kms
