#pragma once

#include "tests/unit/crypto/test_bytes.hpp"

#include <cstdint>
#include <span>

namespace fieldgate::crypto {

// The ciphertext of a value written down a second time, in the plainest way OpenSSL allows, and with the
// padding left to the caller: so that tests can authenticate what an honest writer would never pad like that.
//
// `padded` is whole blocks; `key` the 96 bytes of the data key; `head` the first 18 bytes of the ciphertext.
Bytes reference_blob(std::span<const std::uint8_t> key, std::span<const std::uint8_t> head,
                     std::span<const std::uint8_t> iv, std::span<const std::uint8_t> padded);

// The 16 bytes that CSFLE derives from a value to encrypt it deterministically.
Bytes reference_iv(std::span<const std::uint8_t> key, std::span<const std::uint8_t> head,
                   std::span<const std::uint8_t> plaintext);

Bytes pad(std::span<const std::uint8_t> plaintext);

}  // namespace fieldgate::crypto
