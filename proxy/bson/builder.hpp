#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/bson/view.hpp"

namespace fieldgate::bson {

using Buffer = std::vector<std::uint8_t>;

// Writes one document (and the documents inside it) at the end of a buffer:
//
//     Builder doc(buffer);
//     doc.append_double("ok", 1.0).open_document("cursor").append_int64("id", 0).close().finish();
//
// Lengths are patched by close() and finish(), so the buffer must not be read before. Functions are named by
// type because a literal would be ambiguous. Asserts: keys without 0 bytes, finish() with everything else
// closed. Keys of arrays are the caller's (index_key); duplicate keys are written as asked.
class Builder {
 public:
    explicit Builder(Buffer& out);
    Builder(const Builder&) = delete;
    Builder& operator=(const Builder&) = delete;

    Builder& append_double(std::string_view key, double value);
    Builder& append_string(std::string_view key, std::string_view value);
    Builder& append_int32(std::string_view key, std::int32_t value);
    Builder& append_int64(std::string_view key, std::int64_t value);
    Builder& append_bool(std::string_view key, bool value);
    Builder& append_date(std::string_view key, std::int64_t unix_ms);
    Builder& append_null(std::string_view key);
    Builder& append_object_id(std::string_view key, std::span<const std::uint8_t, 12> id);
    Builder& append_binary(std::string_view key, std::uint8_t subtype, Bytes data);
    Builder& append_document(std::string_view key, Bytes document);
    Builder& append_array(std::string_view key, Bytes document);
    Builder& append_value(std::string_view key, Type type, Bytes value);
    Builder& append_element(const Element& element);  // as it is, key included
    Builder& open_document(std::string_view key);
    Builder& open_array(std::string_view key);
    Builder& close();
    void finish();

 private:
    void begin_element(Type type, std::string_view key);
    void end_innermost();
    Buffer& out_;
    std::vector<std::size_t> open_;  // offsets of the length fields still to be patched
};

// The key of an array's element: "0", "1", ...
std::string index_key(std::size_t index);

// Extended JSON, relaxed, for people: `explain`, tests, error texts never. Through libbson. What is not a
// document, or not UTF-8, becomes a remark in parentheses, which is no JSON.
std::string to_json(Bytes document);
// Extended JSON, relaxed or canonical. Strict where libbson is not: one object and nothing after it, JSON's
// grammar, no 0 byte in a key, nesting within what libbson's parser can hold. Duplicate keys are kept. Error:
// json_malformed.
boost::system::result<Buffer> from_json(std::string_view json);

}  // namespace fieldgate::bson
