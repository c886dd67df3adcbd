#pragma once

#include "crypto/ciphertext.hpp"
#include "crypto/error.hpp"
#include "crypto/openssl.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace fieldgate::crypto {

// AES-256-CBC over whole blocks, one key, one direction. Padding is the caller's: one call per value instead
// of two, and the check after opening is complete.
//
// OpenSSL takes 85 ns to accept a new IV and 17 ns for the two blocks of a small value. So the IV is given to
// it once; afterwards its chaining value is known (the last cipher block that went through) and the
// difference to the IV that is wanted is xored into the first block instead.
class CbcCipher {
 public:
    enum class Direction { encrypt, decrypt };

    [[nodiscard]] static result<CbcCipher> make(std::span<const std::uint8_t, 32> key, Direction direction);

    // `blocks` is a whole number of blocks, at least one. False only if OpenSSL itself fails, and
    // from then on.
    [[nodiscard]] bool encrypt_in_place(std::span<const std::uint8_t, iv_bytes> iv,
                                        std::span<std::uint8_t> blocks);

    // Writes blocks.size() bytes to `out`, which does not overlap `blocks`.
    [[nodiscard]] bool decrypt(std::span<const std::uint8_t, iv_bytes> iv,
                               std::span<const std::uint8_t> blocks, std::uint8_t* out);

 private:
    using Block = std::array<std::uint8_t, block_bytes>;

    explicit CbcCipher(CipherCtx ctx) : ctx_(std::move(ctx)) {}
    bool run(std::span<const std::uint8_t> in, std::uint8_t* out);

    CipherCtx ctx_;
    Block chain_{};  // OpenSSL's chaining value; a block of a ciphertext, so no secret
};

}  // namespace fieldgate::crypto
