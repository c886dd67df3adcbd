#pragma once

#include "crypto/random.hpp"

#include <cstddef>
#include <cstdint>

namespace fieldgate::crypto {

// Counts up from `next`: the tests know every IV. Only for tests; executables do not link this folder.
class FixedRandom final : public Random {
 public:
    explicit FixedRandom(std::uint8_t next = 0) : next_(next) {}

    error_code fill(std::span<std::uint8_t> out) override {
        if (fails_) return Errc::random_failed;
        for (auto& byte : out) byte = next_++;
        return {};
    }

    void fail_from_now_on() { fails_ = true; }

 private:
    std::uint8_t next_;
    bool fails_ = false;
};

}  // namespace fieldgate::crypto
