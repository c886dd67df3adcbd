#include "proxy/observe/utf8.hpp"

#include <cstdint>

namespace fieldgate::observe {

std::size_t utf8_sequence_bytes(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
    const auto follows = [&](std::size_t i, std::uint8_t low = 0x80, std::uint8_t high = 0xBF) {
        return i < text.size() && byte(i) >= low && byte(i) <= high;
    };
    const std::uint8_t first = byte(0);
    if (first < 0x80) return 1;
    if (first >= 0xC2 && first <= 0xDF) return follows(1) ? 2 : 0;
    if (first >= 0xE0 && first <= 0xEF) {
        const std::uint8_t low = first == 0xE0 ? 0xA0 : 0x80;
        const std::uint8_t high = first == 0xED ? 0x9F : 0xBF;
        return follows(1, low, high) && follows(2) ? 3 : 0;
    }
    if (first >= 0xF0 && first <= 0xF4) {
        const std::uint8_t low = first == 0xF0 ? 0x90 : 0x80;
        const std::uint8_t high = first == 0xF4 ? 0x8F : 0xBF;
        return follows(1, low, high) && follows(2) && follows(3) ? 4 : 0;
    }
    return 0;
}

bool is_shown(std::string_view sequence) {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(sequence[i]); };
    const auto last_is = [&](std::uint8_t low, std::uint8_t high) {
        return byte(sequence.size() - 1) >= low && byte(sequence.size() - 1) <= high;
    };
    if (sequence.size() == 1) return byte(0) >= 0x20 && byte(0) != 0x7F;
    if (sequence.size() == 2) return byte(0) != 0xC2 || !last_is(0x80, 0x9F);
    if (sequence.starts_with("\xE2\x80")) {
        // U+200B to U+200F: no width, marks of direction. U+2028 to U+202E: separators, directions.
        return !last_is(0x8B, 0x8F) && !last_is(0xA8, 0xAE);
    }
    // U+2060 to U+206F: joiners, invisible operators, directions. U+FEFF: no width.
    if (sequence.starts_with("\xE2\x81")) return !last_is(0xA0, 0xAF);
    return sequence != "\xEF\xBB\xBF";
}

std::string json_escape(std::string_view sequence) {
    const auto first = static_cast<std::uint8_t>(sequence.front());
    std::uint32_t code_point = sequence.size() == 1 ? first : first & (sequence.size() == 2 ? 0x1Fu : 0x0Fu);
    for (const char c : sequence.substr(1))
        code_point = code_point << 6 | (static_cast<std::uint8_t>(c) & 0x3Fu);
    constexpr char hex[] = "0123456789abcdef";
    std::string escape = "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) escape += hex[(code_point >> shift) & 0xF];
    return escape;
}

bool is_text_shown(std::string_view text) {
    while (!text.empty()) {
        const std::size_t sequence_bytes = utf8_sequence_bytes(text);
        if (sequence_bytes == 0 || !is_shown(text.substr(0, sequence_bytes))) return false;
        text.remove_prefix(sequence_bytes);
    }
    return true;
}

}  // namespace fieldgate::observe
