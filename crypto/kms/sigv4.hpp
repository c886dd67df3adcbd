#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "crypto/kms/exchange.hpp"

// AWS Signature Version 4, in the Authorization header (IAM User Guide, "Create a signed AWS API request").
// Internal to kms/.
namespace fieldgate::crypto::kms::sigv4 {

struct ToSign {
    std::string_view method;
    std::string_view path;   // absolute, percent-encoded and normalised
    std::string_view query;  // percent-encoded, in any order
    // Exactly the headers that are signed, Host and X-Amz-Date among them, in any order and any case.
    std::vector<std::pair<std::string_view, std::string_view>> headers;
    std::span<const std::uint8_t> body;
};

struct Scope {
    UnixTime time;
    std::string_view region;
    std::string_view service;
};

// The value of X-Amz-Date, "20150830T123600Z".
[[nodiscard]] std::string amz_date(UnixTime time);

// The steps, in their order. A canonical request holds the session token.
[[nodiscard]] SecretBuffer canonical_request(const ToSign& request);
[[nodiscard]] std::string string_to_sign(const SecretBuffer& canonical_request, const Scope& scope);
// The value of the Authorization header.
[[nodiscard]] std::string authorization(const ToSign& request, const Scope& scope,
                                        std::string_view access_key_id,
                                        const SecretBuffer& secret_access_key);

}  // namespace fieldgate::crypto::kms::sigv4
