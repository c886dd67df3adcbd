#pragma once

#include <boost/system/result.hpp>
#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "crypto/secret.hpp"

// What is said to a key manager and what it answers, as bytes: kms/ builds the one and reads the other,
// somebody else (net/) carries them. The clock is the caller's.
namespace fieldgate::crypto::kms {

// Time of day, for signatures and for the ends of tokens. Never the steady clock: tokens carry dates.
using UnixTime = std::chrono::sys_seconds;

// Where a request goes. With TLS the certificate must be of `host`, which may be an IP address.
struct Endpoint {
    std::string host;
    std::uint16_t port = 443;
    bool tls = true;  // false for the metadata services of clouds only, which speak plain HTTP on the machine

    friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

enum class Protocol : std::uint8_t {
    http,  // one HTTP/1.1 request, kept alive; the reply is an HTTP reply
    kmip,  // one TTLV message; the reply is one TTLV message, and Reply::status is 200
};

// One request, ready to be written as it is.
struct Request {
    Protocol protocol = Protocol::http;
    Endpoint endpoint;
    SecretBuffer bytes;  // head and body: they hold tokens, and data keys on their way to be wrapped
};

// Replies are bounded before they are read: no key manager's is larger.
inline constexpr std::size_t reply_bytes_max = 65'536;

struct Reply {
    int status = 0;
    std::optional<std::chrono::seconds> retry_after = {};  // the header Retry-After, when it is a number
    SecretBuffer body;
};

// Why an operation did not succeed.
struct Failure {
    enum class Kind : std::uint8_t {
        refused,      // the key manager said no: wrong key, no permission. Asking again changes nothing
        credentials,  // it does not take our credentials, or they ran out: log in again, once
        throttled,    // asked too often: later
        unavailable,  // it does not answer, or answers that it cannot: later
        malformed,    // its answer is none, or not one that this request can have
    } kind = Kind::unavailable;
    int status = 0;  // of HTTP, or 0
    // A name for it: what the provider calls it ("AccessDeniedException"), reduced to letters, digits and
    // ._-, at most 64 of them, or our own ("timeout"). For clients; never a secret.
    std::string code;
    // A sentence for the operator: log and command line. Printable, at most 300 characters, no secret of
    // ours.
    std::string text;
};

// As boost::system::result, with a Failure instead of an error_code.
template <class T>
using Result = boost::system::result<T, Failure>;

// result::value() of a failed one is our own mistake.
[[noreturn]] void throw_exception_from_error(const Failure& failure, const boost::source_location& where);

// Text as bytes, and bytes as text. Views of the argument.
[[nodiscard]] inline std::span<const std::uint8_t> bytes_of(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
[[nodiscard]] inline std::string_view text_of(std::span<const std::uint8_t> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace fieldgate::crypto::kms
