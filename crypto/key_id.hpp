#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>

namespace fieldgate::crypto {

// The UUID of a data key: `_id` of its key vault document (binary subtype 4), and bytes 1 to 16 of every
// ciphertext made with it (CSFLE specification, "Ciphertext"). Not a secret.
struct KeyId {
    std::array<std::uint8_t, 16> bytes{};

    friend auto operator<=>(const KeyId&, const KeyId&) = default;
};

}  // namespace fieldgate::crypto

template <>
struct std::hash<fieldgate::crypto::KeyId> {
    std::size_t operator()(const fieldgate::crypto::KeyId& id) const noexcept {
        std::uint64_t halves[2];
        std::memcpy(halves, id.bytes.data(), sizeof halves);
        return static_cast<std::size_t>(halves[0] ^ (halves[1] * 0x9E3779B97F4A7C15u));
    }
};
