#include <string>

#include "proxy/policy/policy.hpp"

namespace fieldgate::policy {
namespace {

bool continues_character(char byte) {
    return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}

// A value with no more characters than may be shown would not be masked at all: it is hidden whole.
std::string keep_last_of(std::string_view text, std::size_t keep_last) {
    std::size_t characters = 0;
    for (const char byte : text)
        if (!continues_character(byte)) ++characters;
    const std::size_t hidden = characters > keep_last ? characters - keep_last : characters;
    std::string masked(hidden, '*');
    std::size_t seen = 0;
    for (const char byte : text) {
        if (!continues_character(byte)) ++seen;
        if (seen > hidden) masked += byte;
    }
    return masked;
}

std::string digits_of(std::int64_t number) {
    std::string text = std::to_string(number);
    if (text.front() == '-') text.erase(0, 1);
    return text;
}

std::int64_t load(bson::Bytes value) {
    std::uint64_t bits = 0;
    for (std::size_t i = value.size(); i-- > 0;) bits = bits << 8 | value[i];
    return value.size() == 4 ? static_cast<std::int32_t>(static_cast<std::uint32_t>(bits))
                             : static_cast<std::int64_t>(bits);
}

}  // namespace

std::optional<std::string> mask(bson::Type type, bson::Bytes value, std::uint32_t keep_last) {
    switch (type) {
        case bson::Type::string:
            if (value.size() < 5) return std::nullopt;
            return keep_last_of({reinterpret_cast<const char*>(value.data() + 4), value.size() - 5},
                                keep_last);
        case bson::Type::int32:
            if (value.size() != 4) return std::nullopt;
            return keep_last_of(digits_of(load(value)), keep_last);
        case bson::Type::int64:
            if (value.size() != 8) return std::nullopt;
            return keep_last_of(digits_of(load(value)), keep_last);
        default:
            return std::nullopt;
    }
}

}  // namespace fieldgate::policy
