#pragma once

#include "crypto/error.hpp"
#include "crypto/key_id.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace fieldgate::crypto {

// The first byte of a ciphertext.
enum class Algorithm : std::uint8_t {
    deterministic = 1,  // AEAD_AES_256_CBC_HMAC_SHA_512-Deterministic: equal values give equal ciphertexts
    random = 2,         // AEAD_AES_256_CBC_HMAC_SHA_512-Random
};

inline constexpr std::size_t iv_bytes = 16;
inline constexpr std::size_t block_bytes = 16;
inline constexpr std::size_t tag_bytes = 32;
inline constexpr std::size_t associated_data_bytes = 18;  // kind, key id, BSON type

// Size of IV, padded cipher blocks and tag for `plaintext_bytes` bytes. PKCS#7 always adds 1 to 16 bytes.
constexpr std::size_t sealed_bytes(std::size_t plaintext_bytes) {
    return iv_bytes + block_bytes * (plaintext_bytes / block_bytes + 1) + tag_bytes;
}

// Size of the whole ciphertext as it stands in a BSON binary of subtype 6.
constexpr std::size_t blob_bytes(std::size_t plaintext_bytes) {
    return associated_data_bytes + sealed_bytes(plaintext_bytes);
}

inline constexpr std::size_t sealed_bytes_min =
    sealed_bytes(0);  // one block of padding is the least there is
inline constexpr std::size_t blob_bytes_min = blob_bytes(0);

// The largest message of the wire protocol has 48,000,000 bytes, so no value is longer. Keeps sizes within
// OpenSSL's int.
inline constexpr std::size_t plaintext_bytes_max = 48'000'000;

// The parts of a ciphertext (CSFLE specification, "Ciphertext"):
//
//     | kind | key id | BSON type | IV | cipher blocks | tag |
//     0      1        17          18   34              -32
//     '----- associated data ----'|'------- sealed ---------'
//
// All views point into the bytes that were parsed. Parsing proves nothing about who wrote them: that is
// FieldCipher::open() or verify().
struct CiphertextView {
    Algorithm algorithm;
    KeyId key_id;
    std::uint8_t bson_type;
    std::span<const std::uint8_t> sealed;
    std::span<const std::uint8_t> associated_data;

    // Errc::unsupported_kind for a first byte other than 1 and 2; Errc::malformed for a size no ciphertext
    // has.
    [[nodiscard]] static result<CiphertextView> parse(std::span<const std::uint8_t> blob);
};

}  // namespace fieldgate::crypto
