#include "crypto/kms/gcp.hpp"

#include <algorithm>
#include <chrono>

#include "crypto/kms/http.hpp"
#include "crypto/kms/jwt.hpp"

namespace fieldgate::crypto::kms {
namespace {

constexpr Answerer cloud_kms{"Cloud KMS"};
constexpr std::size_t part_bytes_max = 128;
// What a token is for. Drivers make it from the domain of masterKey.endpoint, which is right for
// googleapis.com and for nothing else.
constexpr std::string_view kms_scope = "https://www.googleapis.com/auth/cloudkms";
// Of the token that only asks for another account's.
constexpr std::string_view platform_scope = "https://www.googleapis.com/auth/cloud-platform";
constexpr std::chrono::seconds assertion_life{300};
constexpr std::chrono::seconds token_life_max = std::chrono::days(1);

bool is_part(std::string_view text) {
    return is_unreserved(text) && text.size() <= part_bytes_max &&
           text.find_first_not_of('.') != std::string_view::npos;
}

std::string path_of(const GcpMasterKey& master_key) {
    return "/v1/projects/" + master_key.project_id + "/locations/" + master_key.location + "/keyRings/" +
           master_key.key_ring + "/cryptoKeys/" + master_key.key_name;
}

// `count` digits at `at`.
std::optional<int> digits(std::string_view text, std::size_t at, std::size_t count) {
    int value = 0;
    for (const char c : text.substr(at, count)) {
        if (c < '0' || c > '9') return std::nullopt;
        value = value * 10 + (c - '0');
    }
    return value;
}

}  // namespace

std::optional<Failure> gcp_problem_of(const GcpMasterKey& master_key) {
    const std::pair<std::string_view, std::string_view> parts[] = {{"projectId", master_key.project_id},
                                                                   {"location", master_key.location},
                                                                   {"keyRing", master_key.key_ring},
                                                                   {"keyName", master_key.key_name}};
    const auto problem = [](std::string_view name) {
        return Failure{Failure::Kind::refused, 0, "key_name_not_valid",
                       "the master key's " + std::string(name) +
                           " is not 1 to 128 letters, digits and characters of -._~"};
    };
    for (const auto& [name, value] : parts) {
        if (!is_part(value)) return problem(name);
    }
    if (!master_key.key_version.empty() && !is_part(master_key.key_version)) return problem("keyVersion");
    return std::nullopt;
}

Result<Request> gcp_encrypt_request(const Endpoint& endpoint, const GcpMasterKey& master_key,
                                    const DataKey& key, const Token& token) {
    std::string target = path_of(master_key);
    if (!master_key.key_version.empty()) target += "/cryptoKeyVersions/" + master_key.key_version;
    return bearer_post(endpoint, target + ":encrypt", token, R"({"plaintext":")", key.expose_secret(),
                       Base64::standard, R"("})");
}

Result<Request> gcp_decrypt_request(const Endpoint& endpoint, const GcpMasterKey& master_key,
                                    std::span<const std::uint8_t> wrapped, const Token& token) {
    return bearer_post(endpoint, path_of(master_key) + ":decrypt", token, R"({"ciphertext":")", wrapped,
                       Base64::standard, R"("})");
}

Result<std::vector<std::uint8_t>> gcp_read_encrypted(const Reply& reply) {
    const auto json = read_success(reply, cloud_kms);
    if (!json) return json.error();
    return read_wrapped_key(*json, cloud_kms, "ciphertext", Base64::standard);
}

Result<DataKey> gcp_read_decrypted(const Reply& reply) {
    return read_data_key(reply, cloud_kms, "plaintext", Base64::standard);
}

HttpsUrl gcp_token_url(const Endpoint& endpoint) {
    return {endpoint, "/token"};
}

std::string gcp_audience(const HttpsUrl& token_url) {
    return "https://" + host_header(token_url.endpoint) + token_url.target;
}

Result<Request> gcp_account_login(const GcpServiceAccount& account, UnixTime now) {
    const auto issued = now.time_since_epoch();
    const std::string claims = R"({"iss":)" + json_quoted(account.email) + R"(,"aud":)" +
                               json_quoted(account.audience) + R"(,"scope":)" + json_quoted(kms_scope) +
                               R"(,"iat":)" + std::to_string(issued.count()) + R"(,"exp":)" +
                               std::to_string((issued + assertion_life).count()) + "}";
    const auto assertion = sign_jwt(claims, account.private_key);
    if (!assertion) return assertion.error();
    FormBody form;
    return form.add("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
        .add_token("assertion", *assertion)
        .post(account.token_url.endpoint, account.token_url.target);
}

Result<Request> gcp_exchange(const GcpFederation& federation, const SecretBuffer& subject_file) {
    FormBody form;
    form.add("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
        .add("audience", federation.audience)
        .add("scope", federation.impersonation_url ? platform_scope : kms_scope)
        .add("requested_token_type", "urn:ietf:params:oauth:token-type:access_token")
        .add("subject_token_type", federation.subject_token_type);
    const auto problem = [&](std::string_view what) {
        return Failure{Failure::Kind::credentials, 0, "token_file_not_valid",
                       federation.subject_file + " does not hold " + std::string(what)};
    };
    if (federation.subject_field.empty()) {
        if (!is_token_file(subject_file)) return problem("a token");
        form.add_token("subject_token", subject_file);
    } else {
        const auto json = read_json_file(subject_file);
        if (!json) return problem("a JSON object");
        const auto subject = token_of(json->string(federation.subject_field).value_or(""), UnixTime{});
        if (!subject) return problem("a token in the field that the credentials file names");
        form.add_token("subject_token", subject->value);
    }
    return form.post(federation.token_url.endpoint, federation.token_url.target);
}

Result<Request> gcp_impersonate(const GcpFederation& federation, const Token& federated) {
    const std::string body = R"({"scope":[)" + json_quoted(kms_scope) + R"(],"lifetime":")" +
                             std::to_string(federation.impersonation_lifetime_s) + R"(s"})";
    return bearer_post(federation.impersonation_url->endpoint, federation.impersonation_url->target,
                       federated, body, {}, Base64::standard, "");
}

Result<Token> gcp_read_impersonated(const Reply& reply, UnixTime now) {
    const auto json = read_success(reply, gcp_oauth);
    if (!json) return json.error();
    const auto end = parse_google_time(json->string("expireTime").value_or(""));
    if (!end || *end <= now) return not_valid(gcp_oauth, "it has no expireTime to come");
    auto token = token_of(json->string("accessToken").value_or(""), std::min(*end, now + token_life_max));
    if (!token) return not_valid(gcp_oauth, "it has no accessToken of visible characters");
    return std::move(*token);
}

Result<Request> gcp_metadata_login(const Endpoint& metadata) {
    return HttpRequest("GET", metadata, "/computeMetadata/v1/instance/service-accounts/default/token")
        .header("Metadata-Flavor", "Google")
        .header("Accept", "application/json")
        .finish();
}

std::optional<UnixTime> parse_google_time(std::string_view text) {
    constexpr std::string_view form = "0000-00-00T00:00:00";
    if (text.size() <= form.size() || !text.ends_with('Z')) return std::nullopt;
    for (const std::size_t at : {4u, 7u, 10u, 13u, 16u}) {
        if (text[at] != form[at]) return std::nullopt;
    }
    std::string_view fraction = text.substr(form.size(), text.size() - form.size() - 1);
    if (!fraction.empty()) {
        if (fraction.size() < 2 || fraction.size() > 10 || !fraction.starts_with('.')) return std::nullopt;
        if (!digits(fraction, 1, fraction.size() - 1)) return std::nullopt;
    }
    const auto year = digits(text, 0, 4);
    const auto month = digits(text, 5, 2);
    const auto day = digits(text, 8, 2);
    const auto hour = digits(text, 11, 2);
    const auto minute = digits(text, 14, 2);
    const auto second = digits(text, 17, 2);
    if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
    const std::chrono::year_month_day date(std::chrono::year(*year),
                                           std::chrono::month(static_cast<unsigned>(*month)),
                                           std::chrono::day(static_cast<unsigned>(*day)));
    if (!date.ok() || *hour > 23 || *minute > 59 || *second > 59) return std::nullopt;
    return UnixTime(std::chrono::sys_days(date)) + std::chrono::hours(*hour) + std::chrono::minutes(*minute) +
           std::chrono::seconds(*second);
}

}  // namespace fieldgate::crypto::kms
