#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "crypto/kms/exchange.hpp"

// JSON and base64 of key managers' replies, without a copy on the ordinary heap. Internal to kms/ and to the
// providers of proxy/keys.
namespace fieldgate::crypto::kms {

// A parsed reply: an object whose strings are secrets. Boost.JSON on erasing memory. Of a member that stands
// twice, the last one counts.
class JsonReply {
 public:
    // `malformed`: no JSON, no object, nested deeper than 16, or larger than reply_bytes_max.
    [[nodiscard]] static Result<JsonReply> parse(const Reply& reply);
    JsonReply(JsonReply&&) noexcept;
    JsonReply& operator=(JsonReply&&) noexcept;
    ~JsonReply();

    // A member by its path, "error.code" or "data.plaintext". Nothing: absent or of another type. Views live
    // as long as this object.
    [[nodiscard]] std::optional<std::string_view> string(std::string_view path) const;
    [[nodiscard]] std::optional<std::int64_t> number(std::string_view path) const;  // also a string of digits
    [[nodiscard]] std::optional<std::string_view> first_of_array(
        std::string_view path) const;  // its first string

 private:
    struct State;
    explicit JsonReply(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

// A JSON string literal with its quotes. `text` is UTF-8, which a server may check.
[[nodiscard]] std::string json_quoted(std::string_view text);
void append_json_quoted(SecretBuffer& out, std::string_view text);

enum class Base64 : std::uint8_t {
    standard,
    url
};  // url: without padding when written, either way when read
[[nodiscard]] SecretBuffer base64_encode(std::span<const std::uint8_t> bytes,
                                         Base64 alphabet = Base64::standard);
// Of a data key, standard: for the requests that wrap it.
void append_base64(SecretBuffer& out, const DataKey& key);
// Strict: nothing but the alphabet, right padding, and zeros in the bits that no byte needs. Nothing
// otherwise.
[[nodiscard]] std::optional<SecretBuffer> base64_decode(std::string_view text,
                                                        Base64 alphabet = Base64::standard);

// The last step of every unwrapping: 96 bytes, or `malformed` with code "data_key_length" and the drivers'
// words
// ("decrypted key is incorrect length").
[[nodiscard]] Result<DataKey> data_key_of(std::span<const std::uint8_t> bytes);
[[nodiscard]] Result<DataKey> data_key_of(const SecretBuffer& bytes);

// A Failure's `code` and `text`, made safe: see Failure. A text loses runs of more than 48 letters, digits
// and the like: servers quote what they were sent, and longer than an identifier can only be a token or a
// key.
[[nodiscard]] std::string safe_code(std::string_view code);
[[nodiscard]] std::string safe_text(std::string_view text);
// Servers, and whatever stands before them, quote what they were sent; shorter secrets than that would stay.
// Eight or more bytes in a row that are also in `secret`, in either case and also percent-encoded, become
// "..." in code and text. Not other encodings of it: a key manager that wants to tell the secret can.
void hide_secret(Failure& failure, std::string_view secret);
void hide_secret(Failure& failure, const SecretBuffer& secret);

}  // namespace fieldgate::crypto::kms
