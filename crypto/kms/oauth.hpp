#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/kms/exchange.hpp"
#include "crypto/kms/json.hpp"

// What the key managers with bearer tokens have in common (RFC 6749, RFC 6750): Azure and GCP. Internal to
// kms/ and to the providers of proxy/keys.
namespace fieldgate::crypto::kms {

struct Token {
    SecretBuffer value;
    UnixTime end{};  // not to be used from then on
};

// Names and values as application/x-www-form-urlencoded.
class FormBody {
 public:
    FormBody& add(std::string_view name, std::string_view value);
    // The contents of a file with a token: blanks around it are left out.
    FormBody& add_token(std::string_view name, const SecretBuffer& file_contents);

    // POST, with this as the body.
    [[nodiscard]] Result<Request> post(const Endpoint& endpoint, std::string_view target) const;

 private:
    SecretBuffer body_;
};

// Whether a file holds a token: visible ASCII, and blanks around it.
[[nodiscard]] bool is_token_file(const SecretBuffer& file_contents);

// POST with a bearer token and JSON: `before`, `value` in base64, `after`.
[[nodiscard]] Result<Request> bearer_post(const Endpoint& endpoint, std::string_view target,
                                          const Token& token, std::string_view before,
                                          std::span<const std::uint8_t> value, Base64 alphabet,
                                          std::string_view after);

// Who answered: for texts, and for what a status means.
struct Answerer {
    std::string_view name;  // "Azure Key Vault"
    // `login`: what is refused there are the credentials. `metadata`: and it has not started yet when it does
    // not know its own address (404, 410).
    enum class Role : std::uint8_t { key_manager, login, metadata } role = Role::key_manager;
};

// The reply as JSON. Anything but status 200 is a Failure: its code is the provider's ("error.status",
// "error.code" or "error" of the reply), or "http_<status>" if there is none.
[[nodiscard]] Result<JsonReply> read_success(const Reply& reply, const Answerer& answerer);

// A file of JSON: an object, bounded as replies are.
[[nodiscard]] Result<JsonReply> read_json_file(const SecretBuffer& contents);

// access_token, expires_in (a number, or digits), token_type Bearer or none. `malformed`, code
// "reply_not_valid", otherwise. Ends are at most a week ahead, whatever the reply says.
[[nodiscard]] Result<Token> read_token(const Reply& reply, const Answerer& answerer, UnixTime now);

// A token as `text`, or nothing if it cannot stand in a header.
[[nodiscard]] std::optional<Token> token_of(std::string_view text, UnixTime end);

// The base64 in the member `path`: a data key (see data_key_of), or what wrapping gave (1 to 4096 bytes).
[[nodiscard]] Result<DataKey> read_data_key(const Reply& reply, const Answerer& answerer,
                                            std::string_view path, Base64 alphabet);
[[nodiscard]] Result<std::vector<std::uint8_t>> read_wrapped_key(const JsonReply& json,
                                                                 const Answerer& answerer,
                                                                 std::string_view path, Base64 alphabet);
inline constexpr std::size_t wrapped_key_bytes_max = 4096;
// `malformed`, code "wrapped_key_length": no such length. Nothing when it is right.
[[nodiscard]] std::optional<Failure> problem_of_wrapped_key(std::span<const std::uint8_t> wrapped);

// "It is not what it must be": `malformed`, code "reply_not_valid".
[[nodiscard]] Failure not_valid(const Answerer& answerer, std::string_view why);

// Whether another attempt may help (CSFLE specification, "KMS requests: retry"): 408, 429 and 5xx, and what
// the transport calls `unavailable`.
[[nodiscard]] bool may_help_to_retry(const Failure& failure);

// "http://host[:port]", as metadata services are configured: plain HTTP on the machine.
[[nodiscard]] std::optional<Endpoint> parse_metadata_address(std::string_view text);

// "https://host[:port]/path", as credential files name their endpoints; "/" if there is no path.
struct HttpsUrl {
    Endpoint endpoint;
    std::string target;
};
[[nodiscard]] std::optional<HttpsUrl> parse_https_url(std::string_view text);

}  // namespace fieldgate::crypto::kms
