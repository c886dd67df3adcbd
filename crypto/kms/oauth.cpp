#include "crypto/kms/oauth.hpp"

#include <algorithm>

#include "crypto/kms/http.hpp"

namespace fieldgate::crypto::kms {
namespace {

constexpr std::chrono::seconds token_life_max = std::chrono::days(7);

bool is_visible(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

// What a file holds, without the blanks around it.
std::string_view trimmed(const SecretBuffer& file_contents) {
    constexpr std::string_view blanks = " \t\r\n";
    const std::string_view text = text_of(file_contents.expose_secret());
    const std::size_t begin = text.find_first_not_of(blanks);
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(blanks) + 1 - begin);
}

bool is_bearer(std::string_view token_type) {
    constexpr std::string_view wanted = "bearer";
    return std::ranges::equal(token_type, wanted, [](char c, char lower) {
        return (c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) == lower;
    });
}

Failure::Kind kind_of(int status, Answerer::Role role) {
    using enum Failure::Kind;
    if (status == 429) return throttled;
    if (status == 408 || status >= 500) return unavailable;
    if (status < 400) return malformed;  // neither an answer nor a refusal
    if (role == Answerer::Role::metadata && (status == 404 || status == 410)) return unavailable;
    if (role != Answerer::Role::key_manager || status == 401) return credentials;
    return refused;
}

Failure failure_of(const Reply& reply, const Answerer& answerer) {
    Failure failure{kind_of(reply.status, answerer.role), reply.status, {}, {}};
    failure.text = std::string(answerer.name) + " answered with status " + std::to_string(reply.status);
    // What proxies and gateways say is no JSON.
    if (const auto json = JsonReply::parse(reply)) {
        for (const char* const path : {"error.status", "error.code", "error"}) {
            if (!failure.code.empty()) break;
            failure.code = safe_code(json->string(path).value_or(""));
        }
        auto message = json->string("error.message");
        if (!message) message = json->string("error_description");
        if (message) failure.text = safe_text(failure.text + ": " + safe_text(*message));
    }
    if (failure.code.empty()) failure.code = "http_" + std::to_string(reply.status);
    return failure;
}

Result<SecretBuffer> read_base64(const JsonReply& json, const Answerer& answerer, std::string_view path,
                                 Base64 alphabet) {
    const auto text = json.string(path);
    if (!text) return not_valid(answerer, "it has no " + std::string(path));
    auto bytes = base64_decode(*text, alphabet);
    if (!bytes) return not_valid(answerer, "its " + std::string(path) + " is no base64");
    return std::move(*bytes);
}

}  // namespace

FormBody& FormBody::add(std::string_view name, std::string_view value) {
    if (!body_.empty()) append_text(body_, "&");
    append_text(body_, name);
    append_text(body_, "=");
    append_percent_encoded(body_, value);
    return *this;
}

FormBody& FormBody::add_token(std::string_view name, const SecretBuffer& file_contents) {
    return add(name, trimmed(file_contents));
}

Result<Request> FormBody::post(const Endpoint& endpoint, std::string_view target) const {
    return HttpRequest("POST", endpoint, target)
        .header("Accept", "application/json")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .finish(body_);
}

bool is_token_file(const SecretBuffer& file_contents) {
    return is_visible(trimmed(file_contents));
}

Result<Request> bearer_post(const Endpoint& endpoint, std::string_view target, const Token& token,
                            std::string_view before, std::span<const std::uint8_t> value, Base64 alphabet,
                            std::string_view after) {
    SecretBuffer body;
    append_text(body, before);
    append_text(body, base64_encode(value, alphabet));
    append_text(body, after);
    return HttpRequest("POST", endpoint, target)
        .header("Accept", "application/json")
        .secret_header("Authorization", "Bearer ", token.value)
        .header("Content-Type", "application/json")
        .finish(body);
}

Result<JsonReply> read_success(const Reply& reply, const Answerer& answerer) {
    if (reply.status != 200) return failure_of(reply, answerer);
    return JsonReply::parse(reply);
}

Result<JsonReply> read_json_file(const SecretBuffer& contents) {
    return JsonReply::parse(
        {.status = 200, .retry_after = {}, .body = SecretBuffer(contents.expose_secret())});
}

Result<Token> read_token(const Reply& reply, const Answerer& answerer, UnixTime now) {
    const auto json = read_success(reply, answerer);
    if (!json) return json.error();
    if (!is_bearer(json->string("token_type").value_or("Bearer"))) {
        return not_valid(answerer, "its token_type is not Bearer");
    }
    const auto life_s = json->number("expires_in");
    if (!life_s || *life_s <= 0) return not_valid(answerer, "it has no expires_in above 0");
    const auto life = std::min(std::chrono::seconds(*life_s), token_life_max);
    auto token = token_of(json->string("access_token").value_or(""), now + life);
    if (!token) return not_valid(answerer, "it has no access_token of visible characters");
    return std::move(*token);
}

std::optional<Token> token_of(std::string_view text, UnixTime end) {
    if (!is_visible(text)) return std::nullopt;
    return Token{SecretBuffer(bytes_of(text)), end};
}

Result<DataKey> read_data_key(const Reply& reply, const Answerer& answerer, std::string_view path,
                              Base64 alphabet) {
    const auto json = read_success(reply, answerer);
    if (!json) return json.error();
    const auto bytes = read_base64(*json, answerer, path, alphabet);
    if (!bytes) return bytes.error();
    return data_key_of(*bytes);
}

Result<std::vector<std::uint8_t>> read_wrapped_key(const JsonReply& json, const Answerer& answerer,
                                                   std::string_view path, Base64 alphabet) {
    const auto wrapped = read_base64(json, answerer, path, alphabet);
    if (!wrapped) return wrapped.error();
    if (wrapped->empty() || wrapped->size() > wrapped_key_bytes_max) {
        return not_valid(answerer, "its " + std::string(path) + " has a length of no wrapped key");
    }
    const auto bytes = wrapped->expose_secret();
    return std::vector<std::uint8_t>(bytes.begin(), bytes.end());
}

std::optional<Failure> problem_of_wrapped_key(std::span<const std::uint8_t> wrapped) {
    if (!wrapped.empty() && wrapped.size() <= wrapped_key_bytes_max) return std::nullopt;
    return Failure{Failure::Kind::malformed, 0, "wrapped_key_length",
                   "wrapped key of the wrong length: 1 to 4096 bytes expected"};
}

Failure not_valid(const Answerer& answerer, std::string_view why) {
    return {Failure::Kind::malformed, 200, "reply_not_valid",
            "the reply of " + std::string(answerer.name) + " cannot be used: " + std::string(why)};
}

bool may_help_to_retry(const Failure& failure) {
    return failure.kind == Failure::Kind::throttled || failure.kind == Failure::Kind::unavailable;
}

std::optional<Endpoint> parse_metadata_address(std::string_view text) {
    constexpr std::string_view scheme = "http://";
    if (!text.starts_with(scheme)) return std::nullopt;
    text.remove_prefix(scheme.size());
    if (text.ends_with('/')) text.remove_suffix(1);
    auto endpoint = parse_endpoint(text, 80);
    if (endpoint) endpoint->tls = false;
    return endpoint;
}

std::optional<HttpsUrl> parse_https_url(std::string_view text) {
    constexpr std::string_view scheme = "https://";
    if (!text.starts_with(scheme)) return std::nullopt;
    text.remove_prefix(scheme.size());
    const std::size_t slash = text.find('/');
    auto endpoint = parse_endpoint(text.substr(0, slash), 443);
    if (!endpoint) return std::nullopt;
    HttpsUrl url{std::move(*endpoint),
                 slash == std::string_view::npos ? "/" : std::string(text.substr(slash))};
    if (!is_visible(url.target) || url.target.find('#') != std::string::npos) return std::nullopt;
    return url;
}

}  // namespace fieldgate::crypto::kms
