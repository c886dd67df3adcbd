#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/problem.hpp"

// One neutral tree for everything the configuration is read from: YAML and JSON files feed it here, BSON (a
// collection's own validator) feeds it from proxy/bson. A value: copied, moved, no virtuals.
namespace fieldgate::config {

// Trees are walked recursively, so every reader bounds their depth.
inline constexpr std::size_t node_levels_max = 100;

struct Node {
    enum class Kind : std::uint8_t {
        null,
        boolean,
        int32,
        int64,
        double_,
        string,
        binary,
        array,
        object,
        other,  // a BSON value of another type; `text` is the type's alias
    };

    Kind kind = Kind::null;
    Where where;

    std::string text;  // a scalar as it was written; a null's is "null", or empty where nothing was written
    bool boolean = false;      // kind boolean
    std::int64_t integer = 0;  // kinds int32 and int64
    std::uint8_t subtype = 0;  // kind binary
    std::vector<std::uint8_t> bytes;

    std::string key;  // in an object: this child's name
    Where key_where;
    std::vector<Node> children;  // kinds array and object, in the order written

    bool is_object() const { return kind == Kind::object; }
    bool is_array() const { return kind == Kind::array; }
    bool is_string() const { return kind == Kind::string; }
    bool is_null() const { return kind == Kind::null; }
    bool is_scalar() const { return kind != Kind::array && kind != Kind::object; }

    const Node* find(std::string_view name) const;  // the first child of that name
    Node* find(std::string_view name);
};

// "a string", "an object", ... for error texts.
std::string_view kind_name(Node::Kind kind);

// A plain (unquoted) scalar as YAML 1.2's core schema reads it, without the forms that surprise people:
// leading zeros, 0x and 0o stay strings.
Node plain_scalar(std::string text, Where where);

}  // namespace fieldgate::config
