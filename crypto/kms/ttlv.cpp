#include "crypto/kms/ttlv.hpp"

#include <algorithm>
#include <array>
#include <boost/assert.hpp>

namespace fieldgate::crypto::kms {
namespace {

constexpr std::size_t head_bytes = 8;
constexpr std::size_t unit_bytes = 8;  // everything is padded to multiples of it
constexpr int levels_max = 16;         // our replies have 7

std::uint32_t read_u32(std::span<const std::uint8_t> bytes) {
    return static_cast<std::uint32_t>(bytes[0]) << 24 | static_cast<std::uint32_t>(bytes[1]) << 16 |
           static_cast<std::uint32_t>(bytes[2]) << 8 | bytes[3];
}

bool is_length_of(TtlvType type, std::size_t length_bytes) {
    switch (type) {
        case TtlvType::integer:
        case TtlvType::enumeration:
        case TtlvType::interval:
            return length_bytes == 4;
        case TtlvType::long_integer:
        case TtlvType::boolean:
        case TtlvType::date_time:
            return length_bytes == 8;
        case TtlvType::big_integer:
            return length_bytes > 0 && length_bytes % unit_bytes == 0;
        case TtlvType::structure:
            return length_bytes % unit_bytes == 0;
        case TtlvType::text_string:
        case TtlvType::byte_string:
            return true;
    }
    return false;  // no such type
}

}  // namespace

void TtlvWriter::open(Tag structure) {
    open_.push_back(out_.size());
    head(structure, TtlvType::structure, 0);
}

void TtlvWriter::close() {
    BOOST_ASSERT(!open_.empty());
    const std::size_t start = open_.back();
    open_.pop_back();
    const std::size_t length_bytes = out_.size() - start - head_bytes;
    for (std::size_t i = 0; i < 4; ++i) {
        out_.writable()[start + 4 + i] = static_cast<std::uint8_t>(length_bytes >> (24 - 8 * i));
    }
}

void TtlvWriter::integer(Tag tag, std::int32_t value) {
    head(tag, TtlvType::integer, 4);
    number(static_cast<std::uint32_t>(value), 4);
    pad();
}

void TtlvWriter::enumeration(Tag tag, std::uint32_t value) {
    head(tag, TtlvType::enumeration, 4);
    number(value, 4);
    pad();
}

void TtlvWriter::boolean(Tag tag, bool value) {
    head(tag, TtlvType::boolean, 8);
    number(value ? 1 : 0, 8);
}

void TtlvWriter::text(Tag tag, std::string_view value) {
    head(tag, TtlvType::text_string, value.size());
    out_.append({reinterpret_cast<const std::uint8_t*>(value.data()), value.size()});
    pad();
}

void TtlvWriter::bytes(Tag tag, std::span<const std::uint8_t> value) {
    head(tag, TtlvType::byte_string, value.size());
    out_.append(value);
    pad();
}

SecretBuffer TtlvWriter::take() {
    BOOST_ASSERT(open_.empty());
    return std::move(out_);
}

void TtlvWriter::head(Tag tag, TtlvType type, std::size_t length_bytes) {
    number(static_cast<std::uint32_t>(tag), 3);
    number(static_cast<std::uint8_t>(type), 1);
    number(length_bytes, 4);
}

void TtlvWriter::number(std::uint64_t value, int size_bytes) {
    std::array<std::uint8_t, 8> bytes;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<std::uint8_t>(value >> (56 - 8 * i));
    }
    out_.append(std::span(bytes).last(static_cast<std::size_t>(size_bytes)));
}

void TtlvWriter::pad() {
    // Heads and values before this one are whole units, so that the size tells what is missing.
    out_.resize((out_.size() + unit_bytes - 1) / unit_bytes * unit_bytes);
}

std::optional<TtlvItem> TtlvItem::parse(std::span<const std::uint8_t> message) {
    const auto item = take(message);
    if (!item || !message.empty() || !is_sound(*item, levels_max)) return std::nullopt;
    return item;
}

std::optional<TtlvItem> TtlvItem::take(std::span<const std::uint8_t>& rest) {
    if (rest.size() < head_bytes) return std::nullopt;
    const std::uint32_t tag = read_u32(rest) >> 8;
    // Section 9.1.1.1: 42 for tags of the standard, 54 for extensions.
    if (tag >> 16 != 0x42 && tag >> 16 != 0x54) return std::nullopt;
    const auto type = static_cast<TtlvType>(rest[3]);
    const std::size_t length_bytes = read_u32(rest.subspan(4));
    rest = rest.subspan(head_bytes);
    if (!is_length_of(type, length_bytes) || length_bytes > rest.size()) return std::nullopt;

    const std::size_t padded_bytes = (length_bytes + unit_bytes - 1) / unit_bytes * unit_bytes;
    if (padded_bytes > rest.size()) return std::nullopt;
    const auto value = rest.first(length_bytes);
    const auto padding = rest.subspan(length_bytes, padded_bytes - length_bytes);
    if (!std::ranges::all_of(padding, [](std::uint8_t byte) { return byte == 0; })) return std::nullopt;
    if (type == TtlvType::boolean && (read_u32(value) != 0 || read_u32(value.subspan(4)) > 1)) {
        return std::nullopt;
    }
    rest = rest.subspan(padded_bytes);
    return TtlvItem(tag, type, value);
}

bool TtlvItem::is_sound(const TtlvItem& item, int levels_left) {
    if (item.type_ != TtlvType::structure) return true;
    if (levels_left == 0) return false;
    auto rest = item.value_;
    while (!rest.empty()) {
        const auto inner = take(rest);
        if (!inner || !is_sound(*inner, levels_left - 1)) return false;
    }
    return true;
}

std::optional<TtlvItem> TtlvItem::only(Tag tag) const {
    if (type_ != TtlvType::structure) return std::nullopt;
    std::optional<TtlvItem> found;
    auto rest = value_;
    while (!rest.empty()) {
        const auto inner = take(rest);
        if (!inner) return std::nullopt;
        if (!inner->is(tag)) continue;
        if (found) return std::nullopt;
        found = inner;
    }
    return found;
}

std::optional<TtlvItem> TtlvItem::only(Tag tag, TtlvType type) const {
    const auto item = only(tag);
    return item && item->type_ == type ? item : std::nullopt;
}

std::optional<TtlvItem> TtlvItem::structure(Tag tag) const {
    return only(tag, TtlvType::structure);
}

std::optional<std::int32_t> TtlvItem::integer(Tag tag) const {
    const auto item = only(tag, TtlvType::integer);
    if (!item) return std::nullopt;
    return static_cast<std::int32_t>(read_u32(item->value_));
}

std::optional<std::uint32_t> TtlvItem::enumeration(Tag tag) const {
    const auto item = only(tag, TtlvType::enumeration);
    if (!item) return std::nullopt;
    return read_u32(item->value_);
}

std::optional<std::string_view> TtlvItem::text(Tag tag) const {
    const auto item = only(tag, TtlvType::text_string);
    if (!item) return std::nullopt;
    return std::string_view(reinterpret_cast<const char*>(item->value_.data()), item->value_.size());
}

std::optional<std::span<const std::uint8_t>> TtlvItem::bytes(Tag tag) const {
    const auto item = only(tag, TtlvType::byte_string);
    if (!item) return std::nullopt;
    return item->value_;
}

}  // namespace fieldgate::crypto::kms
