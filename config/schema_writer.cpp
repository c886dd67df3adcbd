#include "config/schema_writer.hpp"

#include <algorithm>
#include <boost/assert.hpp>
#include <string_view>
#include <utility>

#include "config/bson_types.hpp"
#include "config/encrypt_options.hpp"
#include "config/name_pattern.hpp"

namespace fieldgate::config {
namespace {

constexpr std::uint8_t uuid_subtype = 4;

Node make(std::string_view key, Node::Kind kind) {
    Node node;
    node.key = key;
    node.kind = kind;
    return node;
}

Node string_node(std::string_view key, std::string_view text) {
    Node node = make(key, Node::Kind::string);
    node.text = text;
    return node;
}

Node uuid_array(std::string_view key, const KeyUuid& uuid) {
    Node id = make("", Node::Kind::binary);
    id.subtype = uuid_subtype;
    id.bytes.assign(uuid.begin(), uuid.end());
    Node array = make(key, Node::Kind::array);
    array.children.push_back(std::move(id));
    return array;
}

std::string pointer_text(const KeyPointer& pointer) {
    std::string text;
    for (const std::string& name : pointer.path) {
        text += '/';
        for (const char c : name) {
            if (c == '~')
                text += "~0";
            else if (c == '/')
                text += "~1";
            else
                text += c;
        }
    }
    return text;
}

Node key_node(const KeyReference& key, const UuidOfKey& uuid_of) {
    if (const auto* uuid = std::get_if<KeyUuid>(&key)) return uuid_array("keyId", *uuid);
    if (const auto* pointer = std::get_if<KeyPointer>(&key))
        return string_node("keyId", pointer_text(*pointer));
    const auto& alt_name = std::get<KeyAltName>(key);
    if (uuid_of)
        if (const auto uuid = uuid_of(alt_name)) return uuid_array("keyId", *uuid);
    return string_node("keyAltName", alt_name.name);
}

Node encrypt_node(const EncryptedField& field, const UuidOfKey& uuid_of) {
    Node encrypt = make("encrypt", Node::Kind::object);
    if (field.bson_types.size() == 1) {
        encrypt.children.push_back(string_node("bsonType", bson_type_alias(field.bson_types.front())));
    } else if (!field.bson_types.empty()) {
        Node types = make("bsonType", Node::Kind::array);
        for (const std::uint8_t type : field.bson_types)
            types.children.push_back(string_node("", bson_type_alias(type)));
        encrypt.children.push_back(std::move(types));
    }
    encrypt.children.push_back(string_node("algorithm", algorithm_name(field.algorithm)));
    encrypt.children.push_back(key_node(field.key, uuid_of));
    return encrypt;
}

// Recurses as deep as the schema's tree, which its builder bounds.
Node schema_node(std::string_view key, const Schema& schema, const SchemaNode& from,
                 const UuidOfKey& uuid_of) {
    BOOST_ASSERT_MSG(!from.unknown && !from.array, "a node of a pipeline in a schema");
    Node node = make(key, Node::Kind::object);
    if (from.is_protected()) {
        node.children.push_back(encrypt_node(schema.fields()[from.field], uuid_of));
        return node;
    }
    node.children.push_back(string_node("bsonType", "object"));
    if (!from.children().empty()) {
        Node properties = make("properties", Node::Kind::object);
        for (const auto& [name, child] : from.children())
            properties.children.push_back(schema_node(name, schema, *child, uuid_of));
        node.children.push_back(std::move(properties));
    }
    if (!from.patterns().empty()) {
        Node patterns = make("patternProperties", Node::Kind::object);
        for (const SchemaNode::Pattern& pattern : from.patterns())
            patterns.children.push_back(schema_node(pattern.pattern->text(), schema, *pattern.node, uuid_of));
        for (const auto& plain : from.plain_patterns())
            patterns.children.push_back(make(plain->text(), Node::Kind::object));
        node.children.push_back(std::move(patterns));
    }
    return node;
}

std::string json_string(std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string json = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            json += '\\';
            json += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            json += "\\u00";
            json += digits[static_cast<unsigned char>(c) >> 4];
            json += digits[static_cast<unsigned char>(c) & 0xFu];
        } else {
            json += c;
        }
    }
    return json + '"';
}

std::string base64(const std::vector<std::uint8_t>& bytes) {
    constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const std::size_t have = std::min<std::size_t>(3, bytes.size() - i);
        std::uint32_t group = 0;
        for (std::size_t j = 0; j < 3; ++j) group = group << 8 | (j < have ? bytes[i + j] : 0u);
        for (std::size_t j = 0; j < 4; ++j) text += j <= have ? alphabet[group >> (18 - 6 * j) & 0x3Fu] : '=';
    }
    return text;
}

std::string binary_text(const Node& node) {
    constexpr std::string_view digits = "0123456789abcdef";
    const std::string subtype{digits[node.subtype >> 4], digits[node.subtype & 0xFu]};
    return R"({ "$binary": { "base64": ")" + base64(node.bytes) + R"(", "subType": ")" + subtype + "\" } }";
}

void write(const Node& node, std::size_t indent, std::string& out) {
    switch (node.kind) {
        case Node::Kind::null:
            out += "null";
            return;
        case Node::Kind::boolean:
            out += node.boolean ? "true" : "false";
            return;
        case Node::Kind::int32:
            out += std::to_string(node.integer);
            return;
        case Node::Kind::int64:
            out += R"({ "$numberLong": ")" + std::to_string(node.integer) + "\" }";
            return;
        case Node::Kind::double_:
            out += R"({ "$numberDouble": )" + json_string(node.text) + " }";
            return;
        case Node::Kind::string:
            out += json_string(node.text);
            return;
        case Node::Kind::binary:
            out += binary_text(node);
            return;
        case Node::Kind::other:
            BOOST_ASSERT_MSG(false, "a type whose value the tree does not hold");
            return;
        case Node::Kind::array:
        case Node::Kind::object:
            break;
    }
    const bool is_object = node.is_object();
    out += is_object ? '{' : '[';
    for (const Node& child : node.children) {
        out += &child == &node.children.front() ? "\n" : ",\n";
        out.append(indent + 2, ' ');
        if (is_object) out += json_string(child.key) + ": ";
        write(child, indent + 2, out);
    }
    if (!node.children.empty()) {
        out += '\n';
        out.append(indent, ' ');
    }
    out += is_object ? '}' : ']';
}

}  // namespace

Node write_schema(const Schema& schema, const UuidOfKey& uuid_of) {
    return schema_node("", schema, schema.root(), uuid_of);
}

std::string to_extended_json(const Node& node) {
    std::string text;
    write(node, 0, text);
    return text;
}

}  // namespace fieldgate::config
