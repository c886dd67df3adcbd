#include "proxy/bson/view.hpp"

#include <boost/container/small_vector.hpp>
#include <cmath>

#include "proxy/bson/error.hpp"

namespace fieldgate::bson {
namespace {

using boost::system::error_code;
using boost::system::result;

constexpr std::size_t document_bytes_min = 5;

// The size of a value, or why it has none. Not a result<>: this one travels in registers, once per element.
class Measured {
 public:
    Measured(std::size_t byte_count) : byte_count_(byte_count) {}
    Measured(Errc error) : error_(error) {}
    explicit operator bool() const { return error_ == Errc::ok; }
    std::size_t operator*() const { return byte_count_; }
    Errc error() const { return error_; }

 private:
    std::size_t byte_count_ = 0;
    Errc error_ = Errc::ok;
};

Measured fixed_size(std::size_t value_bytes, Bytes rest) {
    if (value_bytes > rest.size()) return Errc::value_truncated;
    return value_bytes;
}

// int32 length, which counts the terminator, then the bytes.
Measured string_size(Bytes rest) {
    if (rest.size() < 4) return Errc::value_truncated;
    const std::uint32_t length = detail::load_u32(rest.data());
    if (length < 1) return Errc::string_malformed;
    if (length > rest.size() - 4) return Errc::value_truncated;
    if (rest[3 + std::size_t{length}] != 0) return Errc::string_malformed;
    return std::size_t{4} + length;
}

// The frame of a document alone: its length, and the 0 at its end.
Measured document_size(Bytes rest) {
    if (rest.size() < 4) return Errc::value_truncated;
    const std::uint32_t length = detail::load_u32(rest.data());
    if (length < document_bytes_min) return Errc::document_too_short;
    if (length > rest.size()) return Errc::value_truncated;
    if (rest[length - 1] != 0) return Errc::document_unterminated;
    return std::size_t{length};
}

Measured binary_size(Bytes rest) {
    if (rest.size() < 5) return Errc::value_truncated;
    const std::uint32_t length = detail::load_u32(rest.data());
    if (length > rest.size() - 5) return Errc::value_truncated;
    if (rest[4] == 2 && (length < 4 || detail::load_u32(rest.data() + 5) != length - 4)) {
        return Errc::binary_malformed;
    }
    return std::size_t{5} + length;
}

Measured regex_size(Bytes rest) {
    std::size_t value_bytes = 0;
    for (int part = 0; part < 2; ++part) {
        if (value_bytes == rest.size()) return Errc::value_truncated;
        const std::uint8_t* const start = rest.data() + value_bytes;
        const void* const zero = std::memchr(start, 0, rest.size() - value_bytes);
        if (zero == nullptr) return Errc::value_truncated;
        value_bytes += static_cast<std::size_t>(static_cast<const std::uint8_t*>(zero) - start) + 1;
    }
    return value_bytes;
}

// int32 total, string, document: the parts fill the total exactly.
Measured code_size(Bytes rest) {
    if (rest.size() < 4) return Errc::value_truncated;
    const std::uint32_t length = detail::load_u32(rest.data());
    if (length > rest.size()) return Errc::value_truncated;
    if (length < 4) return Errc::code_malformed;
    const Bytes inside = rest.first(length).subspan(4);
    const Measured code = string_size(inside);
    if (!code) return Errc::code_malformed;
    const Measured scope = document_size(inside.subspan(*code));
    if (!scope || *code + *scope != inside.size()) return Errc::code_malformed;
    return std::size_t{length};
}

Measured measure(Type type, Bytes rest) {
    switch (type) {
        case Type::undefined:
        case Type::null:
        case Type::max_key:
        case Type::min_key:
            return std::size_t{0};
        case Type::int32:
            return fixed_size(4, rest);
        case Type::double_:
        case Type::date:
        case Type::timestamp:
        case Type::int64:
            return fixed_size(8, rest);
        case Type::object_id:
            return fixed_size(12, rest);
        case Type::decimal128:
            return fixed_size(16, rest);
        case Type::boolean:
            if (rest.empty()) return Errc::value_truncated;
            if (rest[0] > 1) return Errc::boolean_malformed;
            return std::size_t{1};
        case Type::string:
        case Type::javascript:
        case Type::symbol:
            return string_size(rest);
        case Type::document:
        case Type::array:
            return document_size(rest);
        case Type::binary:
            return binary_size(rest);
        case Type::regex:
            return regex_size(rest);
        case Type::javascript_with_scope:
            return code_size(rest);
        case Type::db_pointer: {
            const Measured name_bytes = string_size(rest);
            if (!name_bytes) return name_bytes;
            return fixed_size(*name_bytes + 12, rest);
        }
    }
    return Errc::unknown_type;
}

// Walks elements from `at` until the document that ends at `end` is over, entering what is inside if asked
// to. `open` holds the ends of the enclosing documents instead of the call stack, so that depth is a number
// we check.
class Walk {
 public:
    Walk(std::uint32_t levels_max, Facts* facts) : levels_max_(levels_max), facts_(facts) {}

    // `document` passed document_size(); `level` is how deep it stands.
    error_code run(Bytes document, std::uint32_t level, bool enter) {
        if (level > levels_max_) return Errc::nested_too_deep;
        const std::uint8_t* at = document.data() + 4;
        const std::uint8_t* end = document.data() + document.size() - 1;  // the terminator
        for (;;) {
            const std::uint8_t type = *at;
            if (type == 0) {
                if (at != end) return Errc::document_length_mismatch;
                if (open_.empty()) return {};
                ++at;
                end = open_.back();
                open_.pop_back();
                continue;
            }
            const std::uint8_t* const key = at + 1;
            const void* const zero =
                key < end ? std::memchr(key, 0, static_cast<std::size_t>(end - key)) : nullptr;
            if (zero == nullptr) return Errc::key_unterminated;
            const std::uint8_t* const value = static_cast<const std::uint8_t*>(zero) + 1;
            const Measured value_bytes = measure(static_cast<Type>(type), {value, end});
            if (!value_bytes) return value_bytes.error();
            at = value + *value_bytes;
            if (!enter) continue;

            const std::uint8_t* inner = nullptr;
            switch (static_cast<Type>(type)) {
                case Type::document:
                case Type::array:
                    inner = value;
                    break;
                case Type::javascript_with_scope:
                    inner = value + 8 + detail::load_u32(value + 4);
                    break;
                case Type::binary:
                    if (facts_ != nullptr && value[4] == encrypted_subtype)
                        facts_->has_encrypted_binary = true;
                    break;
                default:
                    break;
            }
            if (inner == nullptr) continue;
            if (level + open_.size() >= levels_max_) return Errc::nested_too_deep;
            open_.push_back(end);
            end = at - 1;
            at = inner + 4;
        }
    }

 private:
    std::uint32_t levels_max_;
    Facts* facts_;
    boost::container::small_vector<const std::uint8_t*, 128> open_;
};

// A document that stands alone: its length is all of `bytes`.
error_code check_frame(Bytes bytes) {
    if (bytes.size() < document_bytes_min) return Errc::document_too_short;
    const Measured length = document_size(bytes);
    if (!length) {
        return length.error() == Errc::value_truncated ? Errc::document_length_mismatch : length.error();
    }
    if (*length != bytes.size()) return Errc::document_length_mismatch;
    return {};
}

}  // namespace

std::string_view alias(Type type) {
    switch (type) {
        case Type::double_:
            return "double";
        case Type::string:
            return "string";
        case Type::document:
            return "object";
        case Type::array:
            return "array";
        case Type::binary:
            return "binData";
        case Type::undefined:
            return "undefined";
        case Type::object_id:
            return "objectId";
        case Type::boolean:
            return "bool";
        case Type::date:
            return "date";
        case Type::null:
            return "null";
        case Type::regex:
            return "regex";
        case Type::db_pointer:
            return "dbPointer";
        case Type::javascript:
            return "javascript";
        case Type::symbol:
            return "symbol";
        case Type::javascript_with_scope:
            return "javascriptWithScope";
        case Type::int32:
            return "int";
        case Type::timestamp:
            return "timestamp";
        case Type::int64:
            return "long";
        case Type::decimal128:
            return "decimal";
        case Type::max_key:
            return "maxKey";
        case Type::min_key:
            return "minKey";
    }
    return "unknown";
}

std::optional<std::int64_t> Element::whole_number() const {
    if (type() == Type::int32) return int32();
    if (type() == Type::int64) return int64();
    if (type() != Type::double_) return std::nullopt;
    const double number = boost::endian::endian_load<double, 8, boost::endian::order::little>(value().data());
    // 2^63 is exact as a double and one above the largest int64; NaN fails every comparison.
    constexpr double bound = 9223372036854775808.0;
    if (!(number >= -bound && number < bound) || std::trunc(number) != number) return std::nullopt;
    return static_cast<std::int64_t>(number);
}

bool Element::truthy() const {
    switch (type()) {
        case Type::boolean:
            return boolean();
        case Type::int32:
            return int32() != 0;
        case Type::int64:
            return int64() != 0;
        case Type::double_:
            return boost::endian::endian_load<double, 8, boost::endian::order::little>(value().data()) != 0.0;
        case Type::decimal128: {
            // Zero in any exponent and sign: the coefficient's bits are all 0 (IEEE 754-2008, binary integer
            // decimal; the low 113 bits unless the combination field says special, which is not zero or is
            // zero by convention of a coefficient out of range, a form that no encoder writes).
            const Bytes bytes = value();
            if ((bytes[15] & 0x60) == 0x60) return (bytes[15] & 0x78) == 0x78;
            std::uint8_t bits = static_cast<std::uint8_t>(bytes[14] & 0x01);
            for (std::size_t i = 0; i < 14; ++i) bits = static_cast<std::uint8_t>(bits | bytes[i]);
            return bits != 0;
        }
        default:
            return false;
    }
}

result<DocumentView> DocumentView::check(Bytes bytes, const Limits& limits, Facts* facts) {
    if (const error_code ec = check_frame(bytes)) return ec;
    if (const error_code ec = Walk(limits.nesting_levels_max, facts).run(bytes, 0, true)) return ec;
    return DocumentView(bytes);
}

result<DocumentView> DocumentView::check_top_level(Bytes bytes) {
    if (const error_code ec = check_frame(bytes)) return ec;
    if (const error_code ec = Walk(0, nullptr).run(bytes, 0, false)) return ec;
    return DocumentView(bytes);
}

std::optional<Element> DocumentView::find(std::string_view key) const {
    for (const Element element : *this) {
        if (element.key() == key) return element;
    }
    return std::nullopt;
}

std::size_t DocumentView::count(std::string_view key) const {
    std::size_t found = 0;
    for (const Element element : *this) {
        if (element.key() == key) ++found;
    }
    return found;
}

result<std::size_t> value_size(Type type, Bytes rest) {
    const Measured measured = measure(type, rest);
    if (!measured) return measured.error();
    return *measured;
}

error_code check_value(Type type, Bytes value, const Limits& limits) {
    const Measured value_bytes = measure(type, value);
    if (!value_bytes) return value_bytes.error();
    if (*value_bytes != value.size()) return Errc::trailing_bytes;
    Walk walk(limits.nesting_levels_max, nullptr);
    if (type == Type::document || type == Type::array) return walk.run(value, 1, true);
    if (type == Type::javascript_with_scope) {
        return walk.run(value.subspan(8 + std::size_t{detail::load_u32(value.data() + 4)}), 1, true);
    }
    return {};
}

}  // namespace fieldgate::bson
