#include "crypto/random.hpp"

#include <openssl/rand.h>

#include <climits>

namespace fieldgate::crypto {

error_code SystemRandom::fill(std::span<std::uint8_t> out) {
    if (out.size() > INT_MAX) return Errc::random_failed;
    if (RAND_bytes(out.data(), static_cast<int>(out.size())) != 1) return Errc::random_failed;
    return {};
}

}  // namespace fieldgate::crypto
