#pragma once

#include <boost/endian/conversion.hpp>
#include <cstdint>
#include <string_view>
#include <vector>

#include "proxy/bson/builder.hpp"
#include "proxy/wire/message.hpp"

// Messages put together byte by byte, so that the tests do not depend on the writers they test.
namespace fieldgate::wire::samples {

inline Buffer le32(std::uint32_t value) {
    return {static_cast<std::uint8_t>(value), static_cast<std::uint8_t>(value >> 8),
            static_cast<std::uint8_t>(value >> 16), static_cast<std::uint8_t>(value >> 24)};
}

inline Buffer operator+(Buffer left, const Buffer& right) {
    left.insert(left.end(), right.begin(), right.end());
    return left;
}

inline Buffer text(std::string_view characters) {
    return {characters.begin(), characters.end()};
}

inline void put_u32(Buffer& bytes, std::size_t at, std::uint32_t value) {
    boost::endian::store_little_u32(bytes.data() + at, value);
}

inline std::uint32_t get_u32(const Buffer& bytes, std::size_t at) {
    return boost::endian::load_little_u32(bytes.data() + at);
}

inline Buffer message(Opcode opcode, const Buffer& contents, std::int32_t request_id = 7,
                      std::int32_t response_to = 0) {
    return le32(static_cast<std::uint32_t>(header_bytes + contents.size())) +
           le32(static_cast<std::uint32_t>(request_id)) + le32(static_cast<std::uint32_t>(response_to)) +
           le32(static_cast<std::uint32_t>(opcode)) + contents;
}

inline Buffer body_section(const Buffer& document) {
    return Buffer{0} + document;
}

inline Buffer sequence_section(std::string_view id, const Buffer& documents) {
    return Buffer{1} + le32(static_cast<std::uint32_t>(4 + id.size() + 1 + documents.size())) + text(id) +
           Buffer{0} + documents;
}

// With the checksum flag the right checksum is added, computed from the finished length.
inline Buffer op_msg(std::uint32_t flags, const Buffer& sections) {
    Buffer bytes = message(Opcode::msg, le32(flags) + sections);
    if ((flags & flag_checksum_present) != 0) {
        put_u32(bytes, 0, static_cast<std::uint32_t>(bytes.size() + 4));
        bytes = bytes + le32(crc32c(bytes));
    }
    return bytes;
}

inline Buffer insert_command() {
    Buffer document;
    bson::Builder(document)
        .append_string("insert", "patients")
        .append_string("$db", "medicalRecords")
        .finish();
    return document;
}

inline Buffer patient(std::int32_t ssn) {
    Buffer document;
    bson::Builder builder(document);
    builder.append_string("name", "Jon Doe").append_int32("ssn", ssn);
    builder.open_document("insurance").append_int32("policyNumber", 123142).close().finish();
    return document;
}

inline Buffer empty_document() {
    return {5, 0, 0, 0, 0};
}

}  // namespace fieldgate::wire::samples
