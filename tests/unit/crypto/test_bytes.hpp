#pragma once

#include "crypto/key_id.hpp"
#include "crypto/secret.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string_view>
#include <vector>

// Small builders shared by the crypto tests.
namespace fieldgate::crypto {

using Bytes = std::vector<std::uint8_t>;

inline Bytes from_hex(std::string_view hex) {
    const auto digit = [](char c) -> unsigned {
        if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
        if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a') + 10;
        throw std::invalid_argument("not hex");
    };
    Bytes bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
        bytes.push_back(static_cast<std::uint8_t>(digit(hex[i]) << 4 | digit(hex[i + 1])));
    }
    return bytes;
}

inline Bytes from_text(std::string_view text) {
    return {text.begin(), text.end()};
}

inline Bytes concat(std::initializer_list<std::span<const std::uint8_t>> parts) {
    Bytes all;
    for (const auto part : parts) all.insert(all.end(), part.begin(), part.end());
    return all;
}

inline bool all_zero(std::span<const std::uint8_t> bytes) {
    return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0; });
}

// Recognisable and different in every byte position: 96 bytes counting up from `first`.
inline Bytes key_pattern(std::uint8_t first) {
    Bytes bytes(key_bytes);
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(first + i);
    return bytes;
}

inline DataKey key_from(std::span<const std::uint8_t> bytes) {
    return DataKey(bytes.first<key_bytes>());
}

inline DataKey test_key() {
    return key_from(key_pattern(7));
}
inline DataKey other_key() {
    return key_from(key_pattern(8));
}

inline KeyId test_key_id() {
    KeyId id;
    for (std::size_t i = 0; i < id.bytes.size(); ++i) id.bytes[i] = static_cast<std::uint8_t>(0xA0 + i);
    return id;
}

// Not constant, not periodic in 16: so that a misplaced block shows.
inline Bytes plaintext_of(std::size_t size_bytes) {
    Bytes bytes(size_bytes);
    std::uint32_t state = 0x1234567;
    for (auto& byte : bytes) {
        state = state * 1664525u + 1013904223u;
        byte = static_cast<std::uint8_t>(state >> 24);
    }
    return bytes;
}

}  // namespace fieldgate::crypto
