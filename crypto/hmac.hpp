#pragma once

#include "crypto/error.hpp"
#include "crypto/openssl.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace fieldgate::crypto {

// HMAC-SHA-512 of one key: the inner and the outer pad are absorbed once, every message starts from copies of
// the two states. Of the ways OpenSSL 3 offers this is the fastest (tests/bench/crypto_bench.cpp).
class Hmac512 {
 public:
    static constexpr std::size_t digest_bytes = 64;

    [[nodiscard]] static result<Hmac512> make(std::span<const std::uint8_t, 32> key);

    // begin(), update() any number of times, finish(). False only if OpenSSL itself fails.
    [[nodiscard]] bool begin() noexcept;
    [[nodiscard]] bool update(std::span<const std::uint8_t> bytes) noexcept;
    [[nodiscard]] bool finish(std::span<std::uint8_t, digest_bytes> digest) noexcept;

 private:
    Hmac512(DigestCtx inner, DigestCtx outer, DigestCtx running)
        : inner_(std::move(inner)), outer_(std::move(outer)), running_(std::move(running)) {}

    DigestCtx inner_;
    DigestCtx outer_;
    DigestCtx running_;
};

}  // namespace fieldgate::crypto
