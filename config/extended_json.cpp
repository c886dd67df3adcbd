#include "config/extended_json.hpp"

#include <limits>
#include <optional>

#include "config/scalars.hpp"

namespace fieldgate::config {
namespace {

struct OtherWrapper {
    std::string_view name;
    std::string_view alias;
};

constexpr OtherWrapper other_wrappers[] = {
    {"$oid", "objectId"},
    {"$date", "date"},
    {"$numberDecimal", "decimal"},
    {"$timestamp", "timestamp"},
    {"$regularExpression", "regex"},
    {"$symbol", "symbol"},
    {"$code", "javascript"},
    {"$minKey", "minKey"},
    {"$maxKey", "maxKey"},
    {"$undefined", "undefined"},
    {"$dbPointer", "dbPointer"},
};

std::optional<std::uint8_t> parse_subtype(const std::string& text) {
    if (text.empty() || text.size() > 2) return std::nullopt;
    unsigned value = 0;
    for (const char c : text) {
        const std::size_t digit = std::string_view("0123456789abcdefABCDEF").find(c);
        if (digit == std::string_view::npos) return std::nullopt;
        value = value * 16 + static_cast<unsigned>(digit < 16 ? digit : digit - 6);
    }
    return static_cast<std::uint8_t>(value);
}

// What replaces a wrapper keeps the wrapper's place in the tree.
Node in_place_of(const Node& wrapper, Node::Kind kind) {
    Node node;
    node.kind = kind;
    node.where = wrapper.where;
    node.key = wrapper.key;
    node.key_where = wrapper.key_where;
    return node;
}

std::optional<Node> decode_binary(const Node& wrapper) {
    const Node& payload = *wrapper.find("$binary");
    const Node* base64 = &payload;
    const Node* subtype = wrapper.find("$type");
    if (payload.is_object()) {
        if (wrapper.children.size() != 1 || payload.children.size() != 2) return std::nullopt;
        base64 = payload.find("base64");
        subtype = payload.find("subType");
    } else if (wrapper.children.size() != 2) {
        return std::nullopt;
    }
    if (base64 == nullptr || subtype == nullptr || !base64->is_string() || !subtype->is_scalar())
        return std::nullopt;
    const auto bytes = parse_base64(base64->text);
    const auto number = parse_subtype(subtype->text);
    if (!bytes || !number) return std::nullopt;
    Node node = in_place_of(wrapper, Node::Kind::binary);
    node.bytes = *bytes;
    node.subtype = *number;
    return node;
}

std::optional<Node> decode_uuid(const Node& wrapper) {
    const Node& text = *wrapper.find("$uuid");
    if (wrapper.children.size() != 1 || !text.is_string()) return std::nullopt;
    const auto uuid = parse_uuid(text.text);
    if (!uuid) return std::nullopt;
    Node node = in_place_of(wrapper, Node::Kind::binary);
    node.bytes.assign(uuid->begin(), uuid->end());
    node.subtype = 4;
    return node;
}

std::optional<Node> decode_number(const Node& wrapper, std::string_view name) {
    const Node& text = *wrapper.find(name);
    if (wrapper.children.size() != 1 || !text.is_scalar()) return std::nullopt;
    const Node number = plain_scalar(text.text, {});
    Node node = in_place_of(wrapper, Node::Kind::double_);
    node.text = text.text;
    if (name == "$numberDouble") return node;
    if (number.kind != Node::Kind::int32 && number.kind != Node::Kind::int64) return std::nullopt;
    if (name == "$numberInt" && number.kind != Node::Kind::int32) return std::nullopt;
    node.kind = name == "$numberInt" ? Node::Kind::int32 : Node::Kind::int64;
    node.integer = number.integer;
    return node;
}

// Nothing: no wrapper. A wrapper's `replacement` without value: malformed.
struct Decoded {
    std::string_view wrapper;
    std::optional<Node> replacement;
};

std::optional<Decoded> decode(const Node& node) {
    if (node.find("$binary") != nullptr) return Decoded{"$binary", decode_binary(node)};
    if (node.find("$uuid") != nullptr) return Decoded{"$uuid", decode_uuid(node)};
    for (const std::string_view name : {"$numberInt", "$numberLong", "$numberDouble"})
        if (node.find(name) != nullptr) return Decoded{name, decode_number(node, name)};
    for (const OtherWrapper& wrapper : other_wrappers) {
        if (node.find(wrapper.name) == nullptr) continue;
        Node replacement = in_place_of(node, Node::Kind::other);
        replacement.text = wrapper.alias;
        return Decoded{wrapper.name, replacement};
    }
    return std::nullopt;
}

}  // namespace

void decode_extended_json(Node& root, ProblemList& problems) {
    if (root.is_object()) {
        if (auto decoded = decode(root)) {
            if (!decoded->replacement) {
                problems.add(root.where, "malformed extended JSON " + std::string(decoded->wrapper));
                decoded->replacement = in_place_of(root, Node::Kind::other);
            }
            root = std::move(*decoded->replacement);
            return;
        }
    }
    for (Node& child : root.children) decode_extended_json(child, problems);
}

}  // namespace fieldgate::config
