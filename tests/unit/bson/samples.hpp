#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/bson/builder.hpp"
#include "proxy/bson/view.hpp"

// Documents and small helpers that the tests of this folder share.
namespace fieldgate::bson::samples {

struct NamedValue {
    const char* name;
    Type type;
    Buffer value;
};

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

inline Buffer bson_string(std::string_view characters) {
    return le32(static_cast<std::uint32_t>(characters.size() + 1)) + text(characters) + Buffer{0};
}

inline Buffer empty_document() {
    return {5, 0, 0, 0, 0};
}

inline Buffer code_with_scope(std::string_view code, const Buffer& scope) {
    const Buffer inside = bson_string(code) + scope;
    return le32(static_cast<std::uint32_t>(inside.size() + 4)) + inside;
}

// One well-formed value of each type that BSON has, the deprecated ones included.
inline std::vector<NamedValue> one_value_of_each_type() {
    Buffer scope;
    Builder(scope).append_int32("x", 1).finish();
    Buffer inner;
    Builder(inner).append_string("city", "Basel").append_null("zip").finish();
    Buffer items;
    Builder(items).append_int32("0", 7).append_bool("1", true).finish();
    return {
        {"double", Type::double_, Buffer(8, 0x40)},
        {"string", Type::string, bson_string(std::string_view("ab\0c", 4))},
        {"document", Type::document, inner},
        {"array", Type::array, items},
        {"binary", Type::binary, le32(3) + Buffer{0, 1, 2, 3}},
        {"old_binary", Type::binary, le32(7) + Buffer{2} + le32(3) + Buffer{1, 2, 3}},
        {"undefined", Type::undefined, {}},
        {"object_id", Type::object_id, Buffer(12, 0xAB)},
        {"false", Type::boolean, {0}},
        {"true", Type::boolean, {1}},
        {"date", Type::date, Buffer(8, 0x11)},
        {"null", Type::null, {}},
        {"regex", Type::regex, text("^a") + Buffer{0} + text("ix") + Buffer{0}},
        {"db_pointer", Type::db_pointer, bson_string("db.c") + Buffer(12, 0xCD)},
        {"javascript", Type::javascript, bson_string("f()")},
        {"symbol", Type::symbol, bson_string("sym")},
        {"code_with_scope", Type::javascript_with_scope, code_with_scope("g()", scope)},
        {"int32", Type::int32, le32(145014000)},
        {"timestamp", Type::timestamp, Buffer(8, 0x22)},
        {"int64", Type::int64, Buffer(8, 0x33)},
        {"decimal128", Type::decimal128, Buffer(16, 0x30)},
        {"max_key", Type::max_key, {}},
        {"min_key", Type::min_key, {}},
        {"", Type::int32, le32(1)},  // empty keys are legal
    };
}

// All of them in one document.
inline Buffer every_type() {
    Buffer document;
    Builder builder(document);
    for (const NamedValue& sample : one_value_of_each_type()) {
        builder.append_value(sample.name, sample.type, sample.value);
    }
    builder.finish();
    return document;
}

// The clinic's patient, whose nested parts are what splicing is about.
inline Buffer patient() {
    Buffer document;
    Builder builder(document);
    builder.append_string("name", "Jon Doe").append_int32("ssn", 145014000).append_string("bloodType", "AB+");
    builder.open_array("medicalRecords");
    builder.open_document("0").append_int32("weight", 180).append_string("bloodPressure", "120/80").close();
    builder.open_document("1").append_int32("weight", 175).append_string("bloodPressure", "118/79").close();
    builder.close();
    builder.open_document("insurance")
        .append_string("provider", "MaestCare")
        .append_int32("policyNumber", 123142);
    builder.close().append_bool("active", true).finish();
    return document;
}

// A document with `levels` documents (or arrays) inside each other, written inside out.
inline Buffer nested(std::uint32_t levels, Type type = Type::document) {
    Buffer head;
    Buffer tail;
    const std::size_t size = 5 + std::size_t{8} * levels;
    for (std::uint32_t level = 0; level < levels; ++level) {
        head = std::move(head) + le32(static_cast<std::uint32_t>(size - std::size_t{8} * level));
        head.insert(head.end(), {static_cast<std::uint8_t>(type), '0', 0});
        tail.push_back(0);
    }
    head = std::move(head) + empty_document();
    head.insert(head.end(), tail.begin(), tail.end());
    return head;
}

}  // namespace fieldgate::bson::samples
