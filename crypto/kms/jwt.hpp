#pragma once

#include <string_view>

#include "crypto/kms/exchange.hpp"

namespace fieldgate::crypto::kms {

// A JSON Web Token (RFC 7515, compact) with these claims, a JSON object, signed RS256: RSASSA-PKCS1-v1_5 with
// SHA-256. `private_key` is base64 of a PKCS#8 DER, as MongoDB's drivers want it, or PEM, as Google gives it
// out; RSA, 2048 bits or more. `credentials`, code "private_key_not_valid", otherwise.
[[nodiscard]] Result<SecretBuffer> sign_jwt(std::string_view claims, const SecretBuffer& private_key);

}  // namespace fieldgate::crypto::kms
