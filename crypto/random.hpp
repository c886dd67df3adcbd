#pragma once

#include "crypto/error.hpp"

#include <cstdint>
#include <span>

namespace fieldgate::crypto {

// Where random bytes come from: injected, so that tests can know the IV. The only other implementation is in
// tests/unit/crypto and cannot be linked into an executable of ours.
class Random {
 public:
    virtual ~Random() = default;

    // Fills all of `out` or fails with Errc::random_failed; after a failure `out` must not be used.
    [[nodiscard]] virtual error_code fill(std::span<std::uint8_t> out) = 0;
};

// OpenSSL's generator, seeded by the operating system. One instance may be shared by all threads.
class SystemRandom final : public Random {
 public:
    [[nodiscard]] error_code fill(std::span<std::uint8_t> out) override;
};

}  // namespace fieldgate::crypto
