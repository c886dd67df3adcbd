#include "proxy/bson/builder.hpp"

#include <limits>

namespace fieldgate::bson {
namespace {

template <typename Integer>
void append_little(Buffer& out, Integer value) {
    std::uint8_t bytes[sizeof(Integer)];
    boost::endian::endian_store<Integer, sizeof(Integer), boost::endian::order::little>(bytes, value);
    out.insert(out.end(), bytes, bytes + sizeof bytes);
}

void append_length(Buffer& out, std::size_t length) {
    BOOST_ASSERT(length <= static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()));
    append_little(out, static_cast<std::uint32_t>(length));
}

}  // namespace

Builder::Builder(Buffer& out) : out_(out) {
    open_.push_back(out_.size());
    append_length(out_, 0);
}

void Builder::begin_element(Type type, std::string_view key) {
    BOOST_ASSERT_MSG(!open_.empty(), "append to a finished document");
    BOOST_ASSERT_MSG(key.find('\0') == std::string_view::npos, "a 0 byte in a key");
    out_.push_back(static_cast<std::uint8_t>(type));
    out_.insert(out_.end(), key.begin(), key.end());
    out_.push_back(0);
}

Builder& Builder::append_double(std::string_view key, double value) {
    begin_element(Type::double_, key);
    append_little(out_, value);
    return *this;
}

Builder& Builder::append_string(std::string_view key, std::string_view value) {
    begin_element(Type::string, key);
    append_length(out_, value.size() + 1);
    out_.insert(out_.end(), value.begin(), value.end());
    out_.push_back(0);
    return *this;
}

Builder& Builder::append_int32(std::string_view key, std::int32_t value) {
    begin_element(Type::int32, key);
    append_little(out_, value);
    return *this;
}

Builder& Builder::append_int64(std::string_view key, std::int64_t value) {
    begin_element(Type::int64, key);
    append_little(out_, value);
    return *this;
}

Builder& Builder::append_bool(std::string_view key, bool value) {
    begin_element(Type::boolean, key);
    out_.push_back(value ? 1 : 0);
    return *this;
}

Builder& Builder::append_date(std::string_view key, std::int64_t unix_ms) {
    begin_element(Type::date, key);
    append_little(out_, unix_ms);
    return *this;
}

Builder& Builder::append_null(std::string_view key) {
    begin_element(Type::null, key);
    return *this;
}

Builder& Builder::append_object_id(std::string_view key, std::span<const std::uint8_t, 12> id) {
    return append_value(key, Type::object_id, id);
}

Builder& Builder::append_binary(std::string_view key, std::uint8_t subtype, Bytes data) {
    BOOST_ASSERT_MSG(subtype != 2, "subtype 2 has an inner length; nothing writes it any more");
    begin_element(Type::binary, key);
    append_length(out_, data.size());
    out_.push_back(subtype);
    out_.insert(out_.end(), data.begin(), data.end());
    return *this;
}

Builder& Builder::append_document(std::string_view key, Bytes document) {
    return append_value(key, Type::document, document);
}

Builder& Builder::append_array(std::string_view key, Bytes document) {
    return append_value(key, Type::array, document);
}

Builder& Builder::append_value(std::string_view key, Type type, Bytes value) {
    begin_element(type, key);
    out_.insert(out_.end(), value.begin(), value.end());
    return *this;
}

Builder& Builder::append_element(const Element& element) {
    BOOST_ASSERT_MSG(!open_.empty(), "append to a finished document");
    const Bytes raw = element.raw();
    out_.insert(out_.end(), raw.begin(), raw.end());
    return *this;
}

Builder& Builder::open_document(std::string_view key) {
    begin_element(Type::document, key);
    open_.push_back(out_.size());
    append_length(out_, 0);
    return *this;
}

Builder& Builder::open_array(std::string_view key) {
    begin_element(Type::array, key);
    open_.push_back(out_.size());
    append_length(out_, 0);
    return *this;
}

Builder& Builder::close() {
    BOOST_ASSERT_MSG(open_.size() > 1, "close() without open_document() or open_array()");
    end_innermost();
    return *this;
}

void Builder::finish() {
    BOOST_ASSERT_MSG(open_.size() == 1, "finish() with documents still open, or twice");
    end_innermost();
}

void Builder::end_innermost() {
    out_.push_back(0);
    const std::size_t start = open_.back();
    open_.pop_back();
    const std::size_t length = out_.size() - start;
    BOOST_ASSERT(length <= static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()));
    boost::endian::store_little_u32(out_.data() + start, static_cast<std::uint32_t>(length));
}

std::string index_key(std::size_t index) {
    return std::to_string(index);
}

}  // namespace fieldgate::bson
