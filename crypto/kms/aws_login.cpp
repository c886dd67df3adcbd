#include "crypto/kms/aws_login.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "crypto/kms/http.hpp"
#include "crypto/kms/json.hpp"
#include "crypto/kms/xml.hpp"

namespace fieldgate::crypto::kms {
namespace {

constexpr std::size_t role_bytes_max = 128;  // IAM: names of roles have at most 64
constexpr std::size_t metadata_token_bytes_max = 1024;
constexpr std::string_view metadata_token_header = "X-aws-ec2-metadata-token";
constexpr std::string_view metadata_role_path = "/latest/meta-data/iam/security-credentials/";

Failure not_valid(int status, std::string what) {
    return {Failure::Kind::malformed, status, "reply_not_valid", std::move(what)};
}

// Credentials, unless one is missing or could not stand in a head.
Result<AwsSession> make_session(int status, std::string_view access_key_id,
                                std::string_view secret_access_key, std::string_view session_token,
                                std::string_view ends) {
    const auto is_printable = [](std::string_view text) {
        return !text.empty() && std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
    };
    const auto date = parse_utc_time(ends);
    if (!is_printable(access_key_id) || !is_printable(secret_access_key) || !is_printable(session_token) ||
        !date)
        return not_valid(status, "the reply lacks credentials, or the date when they end");
    return AwsSession{{std::string(access_key_id), SecretBuffer(bytes_of(secret_access_key)),
                       SecretBuffer(bytes_of(session_token))},
                      *date};
}

// What a metadata service says when it has no credentials for us: asking again later may help, another login
// does not.
Failure metadata_failure(const Reply& reply, std::string_view service, std::string_view message) {
    Failure failure = aws_failure(reply.status, "", message);
    failure.text = safe_text(std::string(service) + ": " + failure.text);
    return failure;
}

bool is_address_in(const std::string& host, std::initializer_list<std::string_view> addresses) {
    return std::ranges::find(addresses, std::string_view(host)) != addresses.end();
}

bool is_loopback(const std::string& host) {
    in_addr address{};
    if (inet_pton(AF_INET, host.c_str(), &address) == 1) return ntohl(address.s_addr) >> 24 == 127;
    return host == "::1" || host == "localhost";
}

}  // namespace

std::optional<UnixTime> parse_utc_time(std::string_view text) {
    constexpr std::string_view shape = "0000-00-00T00:00:00";
    if (text.size() < shape.size() + 1 || !text.ends_with('Z')) return std::nullopt;
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    for (std::size_t i = 0; i < shape.size(); ++i)
        if (shape[i] == '0' ? !is_digit(text[i]) : text[i] != shape[i]) return std::nullopt;
    const std::string_view fraction = text.substr(shape.size(), text.size() - shape.size() - 1);
    if (!fraction.empty() && (fraction.size() < 2 || fraction.size() > 10 || fraction.front() != '.' ||
                              !std::ranges::all_of(fraction.substr(1), is_digit)))
        return std::nullopt;

    const auto number = [&](std::size_t at, std::size_t digits) {
        unsigned value = 0;
        std::from_chars(text.data() + at, text.data() + at + digits, value);
        return value;
    };
    const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(number(0, 4))),
                                           std::chrono::month(number(5, 2)), std::chrono::day(number(8, 2))};
    const unsigned hours = number(11, 2), minutes = number(14, 2), seconds = number(17, 2);
    if (!date.ok() || hours > 23 || minutes > 59 || seconds > 60) return std::nullopt;
    return std::chrono::sys_days(date) + std::chrono::hours(hours) + std::chrono::minutes(minutes) +
           std::chrono::seconds(seconds);
}

Result<Request> aws_web_identity_request(const Endpoint& endpoint, std::string_view role_arn,
                                         std::string_view session_name, const SecretBuffer& token) {
    SecretBuffer body;
    append_text(body, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=");
    append_text(body, percent_encode(role_arn));
    append_text(body, "&RoleSessionName=");
    append_text(body, percent_encode(session_name));
    append_text(body, "&WebIdentityToken=");
    append_percent_encoded(body, text_of(token.expose_secret()));
    return HttpRequest("POST", endpoint, "/")
        .header("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
        .finish(body);
}

Result<AwsSession> aws_read_web_identity(const Reply& reply) {
    static constexpr std::array<std::string_view, 6> paths{
        "AssumeRoleWithWebIdentityResponse/AssumeRoleWithWebIdentityResult/Credentials/AccessKeyId",
        "AssumeRoleWithWebIdentityResponse/AssumeRoleWithWebIdentityResult/Credentials/SecretAccessKey",
        "AssumeRoleWithWebIdentityResponse/AssumeRoleWithWebIdentityResult/Credentials/SessionToken",
        "AssumeRoleWithWebIdentityResponse/AssumeRoleWithWebIdentityResult/Credentials/Expiration",
        "ErrorResponse/Error/Code",
        "ErrorResponse/Error/Message",
    };
    const auto read = read_xml(reply, paths);
    const auto text = [&](std::size_t at) {
        return read && (*read)[at] ? text_of((*read)[at]->expose_secret()) : std::string_view();
    };
    if (reply.status != 200) return aws_failure(reply.status, text(4), text(5));
    if (!read) return read.error();
    return make_session(reply.status, text(0), text(1), text(2), text(3));
}

Result<AwsSession> aws_read_metadata_credentials(const Reply& reply) {
    constexpr std::string_view service = "the metadata service";
    auto json = JsonReply::parse(reply);
    if (reply.status != 200) {
        return metadata_failure(reply, service,
                                json ? json->string("message").value_or("") : std::string_view());
    }
    if (!json) return json.error();
    const auto text = [&](std::string_view name) { return json->string(name).value_or(std::string_view()); };
    // The instance's service says in the body how it went.
    if (const auto code = json->string("Code"); code && *code != "Success") {
        Failure failure{Failure::Kind::credentials, reply.status, safe_code(*code), ""};
        if (failure.code.empty()) failure.code = "credentials_missing";
        failure.text =
            safe_text(std::string(service) + ": " + failure.code + ": " + std::string(text("Message")));
        return failure;
    }
    return make_session(reply.status, text("AccessKeyId"), text("SecretAccessKey"), text("Token"),
                        text("Expiration"));
}

Result<Request> aws_metadata_token_request(const Endpoint& endpoint) {
    return HttpRequest("PUT", endpoint, "/latest/api/token")
        .header("X-aws-ec2-metadata-token-ttl-seconds", "300")
        .finish();
}

Result<SecretBuffer> aws_read_metadata_token(const Reply& reply) {
    if (reply.status != 200)
        return metadata_failure(reply, "the instance metadata service gives no token", "");
    const std::string_view token = text_of(reply.body.expose_secret());
    if (token.empty() || token.size() > metadata_token_bytes_max ||
        !std::ranges::all_of(token, [](char c) { return c > 0x20 && c < 0x7f; }))
        return not_valid(reply.status, "the instance metadata service's reply is no token");
    return SecretBuffer(bytes_of(token));
}

Result<Request> aws_metadata_role_request(const Endpoint& endpoint, const SecretBuffer& token) {
    return HttpRequest("GET", endpoint, metadata_role_path)
        .secret_header(metadata_token_header, "", token)
        .finish();
}

Result<std::string> aws_read_metadata_role(const Reply& reply) {
    if (reply.status == 404) {
        return Failure{Failure::Kind::credentials, reply.status, "credentials_missing",
                       "no role is attached to this instance (instance metadata service)"};
    }
    if (reply.status != 200)
        return metadata_failure(reply, "the instance metadata service names no role", "");
    // One role; the line may end.
    std::string_view role = text_of(reply.body.expose_secret());
    if (role.ends_with('\n')) role.remove_suffix(1);
    const bool is_name =
        !role.empty() && role.size() <= role_bytes_max && std::ranges::all_of(role, [](char c) {
            return is_unreserved(std::string_view(&c, 1))
                       ? c != '~'
                       : std::string_view("+=,@").find(c) != std::string_view::npos;
        });
    if (!is_name || role == "." || role == "..")
        return not_valid(reply.status, "the instance metadata service's reply is no name of a role");
    return std::string(role);
}

Result<Request> aws_metadata_credentials_request(const Endpoint& endpoint, const SecretBuffer& token,
                                                 std::string_view role) {
    return HttpRequest("GET", endpoint, std::string(metadata_role_path) + percent_encode(role))
        .secret_header(metadata_token_header, "", token)
        .finish();
}

Result<AwsMetadataUrl> parse_aws_container_url(std::string_view url) {
    Failure not_allowed{Failure::Kind::credentials, 0, "metadata_url_not_allowed",
                        "AWS_CONTAINER_CREDENTIALS_FULL_URI must be an https URL, or an http URL of "
                        "this machine or of the ECS or EKS "
                        "metadata addresses"};
    const bool is_plain = url.starts_with("http://");
    if (!is_plain && !url.starts_with("https://")) return not_allowed;
    url.remove_prefix(is_plain ? 7 : 8);
    const std::size_t path_at = std::min(url.find_first_of("/?#"), url.size());
    auto endpoint = parse_endpoint(url.substr(0, path_at), is_plain ? 80 : 443);
    std::string target(url.substr(path_at));
    if (!endpoint || target.find('#') != std::string::npos) return not_allowed;
    if (!target.starts_with('/')) target.insert(0, "/");
    endpoint->tls = !is_plain;
    if (is_plain && !is_loopback(endpoint->host) &&
        !is_address_in(endpoint->host, {"169.254.170.2", "169.254.170.23", "fd00:ec2::23"}))
        return not_allowed;
    return AwsMetadataUrl{std::move(*endpoint), std::move(target)};
}

Result<Request> aws_container_request(const AwsMetadataUrl& url, const SecretBuffer& authorization) {
    HttpRequest request("GET", url.endpoint, url.target);
    request.header("Accept", "application/json");
    if (!authorization.empty()) request.secret_header("Authorization", "", authorization);
    return request.finish();
}

std::optional<Endpoint> parse_metadata_endpoint(std::string_view url) {
    constexpr std::string_view scheme = "http://";
    if (!url.starts_with(scheme)) return std::nullopt;
    url.remove_prefix(scheme.size());
    if (url.ends_with('/')) url.remove_suffix(1);
    auto endpoint = parse_endpoint(url, 80);
    if (endpoint) endpoint->tls = false;
    return endpoint;
}

}  // namespace fieldgate::crypto::kms
