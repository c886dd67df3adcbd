#pragma once

#include <cstdint>

// Base64's digits (RFC 4648, section 4). Arithmetic instead of a table, so that no cache line depends on a
// key. Private to crypto/.
namespace fieldgate::crypto {

// The value of a digit, or 64 and above.
constexpr unsigned base64_value(std::uint8_t byte) {
    const unsigned c = byte;
    unsigned value = 64;
    value = c - 'A' < 26 ? c - 'A' : value;
    value = c - 'a' < 26 ? c - 'a' + 26 : value;
    value = c - '0' < 10 ? c - '0' + 52 : value;
    value = c == '+' ? 62 : value;
    value = c == '/' ? 63 : value;
    return value;
}

// The inverse of base64_value().
constexpr std::uint8_t base64_digit(unsigned value) {
    unsigned c = value + 'A';
    c = value >= 26 ? value - 26 + 'a' : c;
    c = value >= 52 ? value - 52 + '0' : c;
    c = value == 62 ? '+' : c;
    c = value == 63 ? '/' : c;
    return static_cast<std::uint8_t>(c);
}

}  // namespace fieldgate::crypto
