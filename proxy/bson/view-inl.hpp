#pragma once

// The hot half of view.hpp: iteration over checked documents, inlined into every walker. No bounds are looked
// at here; DocumentView::check() did that once.

#include <boost/assert.hpp>
#include <boost/endian/conversion.hpp>
#include <cstring>

#include "proxy/bson/view.hpp"

namespace fieldgate::bson {
namespace detail {

inline std::uint32_t load_u32(const std::uint8_t* at) {
    return boost::endian::load_little_u32(at);
}

// The size of a value that is known to be well formed.
inline std::uint32_t checked_value_bytes(std::uint8_t type, const std::uint8_t* value) {
    switch (static_cast<Type>(type)) {
        case Type::undefined:
        case Type::null:
        case Type::max_key:
        case Type::min_key:
            return 0;
        case Type::boolean:
            return 1;
        case Type::int32:
            return 4;
        case Type::double_:
        case Type::date:
        case Type::timestamp:
        case Type::int64:
            return 8;
        case Type::object_id:
            return 12;
        case Type::decimal128:
            return 16;
        case Type::string:
        case Type::javascript:
        case Type::symbol:
            return 4 + load_u32(value);
        case Type::document:
        case Type::array:
        case Type::javascript_with_scope:
            return load_u32(value);
        case Type::binary:
            return 5 + load_u32(value);
        case Type::db_pointer:
            return 4 + load_u32(value) + 12;
        case Type::regex: {
            const std::size_t pattern_bytes = std::strlen(reinterpret_cast<const char*>(value)) + 1;
            const std::size_t options_bytes =
                std::strlen(reinterpret_cast<const char*>(value + pattern_bytes)) + 1;
            return static_cast<std::uint32_t>(pattern_bytes + options_bytes);
        }
    }
    BOOST_ASSERT_MSG(false, "iteration over a document that was not checked");
    return 0;
}

}  // namespace detail

inline void DocumentView::Iterator::measure() {
    if (at_ == nullptr || *at_ == 0) return;
    key_bytes_ = static_cast<std::uint32_t>(std::strlen(reinterpret_cast<const char*>(at_ + 1)));
    value_bytes_ = detail::checked_value_bytes(*at_, at_ + 2 + key_bytes_);
}

inline DocumentView::Iterator::Iterator(const std::uint8_t* at) : at_(at) {
    measure();
}

inline Element DocumentView::Iterator::operator*() const {
    return {at_, key_bytes_, value_bytes_};
}

inline DocumentView::Iterator& DocumentView::Iterator::operator++() {
    at_ += std::size_t{2} + key_bytes_ + value_bytes_;
    measure();
    return *this;
}

inline DocumentView::Iterator DocumentView::begin() const {
    return bytes_.empty() ? Iterator() : Iterator(bytes_.data() + 4);
}

inline DocumentView::Iterator DocumentView::end() const {
    return bytes_.empty() ? Iterator() : Iterator(bytes_.data() + bytes_.size() - 1);
}

inline DocumentView Element::document() const {
    BOOST_ASSERT(is_document() || is_array());
    return DocumentView::unchecked(value());
}

inline std::string_view Element::string() const {
    BOOST_ASSERT(is_string() || type() == Type::symbol || type() == Type::javascript);
    return {reinterpret_cast<const char*>(value().data() + 4), value_bytes_ - std::size_t{5}};
}

inline bool Element::is_encrypted_binary() const {
    return type() == Type::binary && binary().subtype == encrypted_subtype;
}

inline BinaryView Element::binary() const {
    BOOST_ASSERT(type() == Type::binary);
    return {value()[4], value().subspan(5)};
}

inline std::int32_t Element::int32() const {
    BOOST_ASSERT(type() == Type::int32);
    return boost::endian::load_little_s32(value().data());
}

inline std::int64_t Element::int64() const {
    BOOST_ASSERT(type() == Type::int64 || type() == Type::date);
    return boost::endian::load_little_s64(value().data());
}

inline bool Element::boolean() const {
    BOOST_ASSERT(type() == Type::boolean);
    return value()[0] != 0;
}

}  // namespace fieldgate::bson
