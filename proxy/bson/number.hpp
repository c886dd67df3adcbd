#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "proxy/bson/view.hpp"

namespace fieldgate::bson {

// A BSON number: its type and what stands behind the key.
struct Number {
    Type type = Type::int32;
    std::array<std::uint8_t, 16> bytes{};
    std::uint8_t size_bytes = 0;
    Bytes value() const { return {bytes.data(), size_bytes}; }
};

// An int, long or double as a number of another of these types, or a whole one as a decimal, if that one has
// exactly its value: 5.0 as an int, but neither 5.5 nor 2^31 nor -0.0. Nothing: it has not, or the element is
// no such number.
std::optional<Number> convert_exactly(const Element& element, Type type);

}  // namespace fieldgate::bson
