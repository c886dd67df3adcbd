#pragma once

#include "crypto/cbc.hpp"
#include "crypto/ciphertext.hpp"
#include "crypto/error.hpp"
#include "crypto/hmac.hpp"
#include "crypto/secret.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace fieldgate::crypto {

// AEAD_AES_256_CBC_HMAC_SHA_512 of draft-mcgrew-aead-aes-cbc-hmac-sha2-05, section 2, as CSFLE uses it:
// encrypt with AES-256-CBC, then authenticate associated data, IV, blocks and the bit length of the
// associated data; the tag is the first 32 bytes of the HMAC.
//
// Every message is one buffer, associated data in front, because that is how a CSFLE ciphertext is laid out:
//
//     message:  | associated data | IV | cipher blocks | tag |
//
// Used by one thread at a time. Callers use FieldCipher or key_wrap.hpp; this is their common part.
class Aead {
 public:
    using Iv = std::span<const std::uint8_t, iv_bytes>;

    [[nodiscard]] static result<Aead> make(const Secret<key_bytes>& key);

    // Expects the associated data in the first `associated_bytes` of `message` and writes the rest, which has
    // exactly sealed_bytes(plaintext.size()) bytes. On error all of `message` is zero. Neither `iv` nor
    // `plaintext` may overlap `message`.
    [[nodiscard]] error_code seal(Iv iv, std::span<const std::uint8_t> plaintext,
                                  std::span<std::uint8_t> message, std::size_t associated_bytes);

    // The deterministic IV: the first 16 bytes of the HMAC, under the third part of the key, of the
    // associated data, its bit length and the plaintext.
    [[nodiscard]] error_code derive_iv(std::span<const std::uint8_t> associated_data,
                                       std::span<const std::uint8_t> plaintext,
                                       std::span<std::uint8_t, iv_bytes> iv);

    // Returns the number of plaintext bytes written to `out`, which has room for all cipher blocks and does
    // not overlap `message`. Errors a peer can cause: malformed (the size) and authentication_failed
    // (everything else).
    [[nodiscard]] result<std::size_t> open(std::span<const std::uint8_t> message,
                                           std::size_t associated_bytes, std::span<std::uint8_t> out);

    // The first half of open(): the same errors, nothing decrypted.
    [[nodiscard]] error_code verify(std::span<const std::uint8_t> message, std::size_t associated_bytes);

 private:
    Aead(Hmac512 mac, Hmac512 iv_mac, CbcCipher encrypt, CbcCipher decrypt)
        : mac_(std::move(mac)),
          iv_mac_(std::move(iv_mac)),
          encrypt_(std::move(encrypt)),
          decrypt_(std::move(decrypt)) {}

    Hmac512 mac_;
    Hmac512 iv_mac_;
    CbcCipher encrypt_;
    CbcCipher decrypt_;
};

}  // namespace fieldgate::crypto
