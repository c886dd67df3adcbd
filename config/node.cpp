#include "config/node.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

namespace fieldgate::config {
namespace {

bool all_digits(std::string_view text) {
    return !text.empty() &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool is_integer(std::string_view text) {
    if (!text.empty() && text.front() == '-') text.remove_prefix(1);
    return all_digits(text) && (text.size() == 1 || text.front() != '0');
}

bool is_float(std::string_view text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size() &&
           text.find_first_of("0123456789") != text.npos && text.find_first_of(".eE") != text.npos;
}

}  // namespace

const Node* Node::find(std::string_view name) const {
    if (kind != Kind::object) return nullptr;
    const auto found =
        std::find_if(children.begin(), children.end(), [&](const Node& n) { return n.key == name; });
    return found == children.end() ? nullptr : &*found;
}

Node* Node::find(std::string_view name) {
    return const_cast<Node*>(static_cast<const Node*>(this)->find(name));
}

std::string_view kind_name(Node::Kind kind) {
    switch (kind) {
        case Node::Kind::null:
            return "null";
        case Node::Kind::boolean:
            return "true or false";
        case Node::Kind::int32:
        case Node::Kind::int64:
        case Node::Kind::double_:
            return "a number";
        case Node::Kind::string:
            return "a string";
        case Node::Kind::binary:
            return "binary data";
        case Node::Kind::array:
            return "a list";
        case Node::Kind::object:
            return "a mapping";
        case Node::Kind::other:
            return "another type";
    }
    return "unknown";
}

Node plain_scalar(std::string text, Where where) {
    Node node;
    node.where = std::move(where);
    node.text = std::move(text);
    node.kind = Node::Kind::string;
    if (node.text == "true" || node.text == "false") {
        node.kind = Node::Kind::boolean;
        node.boolean = node.text == "true";
    } else if (is_integer(node.text)) {
        const auto [end, error] =
            std::from_chars(node.text.data(), node.text.data() + node.text.size(), node.integer);
        const bool fits_int32 = node.integer >= std::numeric_limits<std::int32_t>::min() &&
                                node.integer <= std::numeric_limits<std::int32_t>::max();
        if (error != std::errc())
            node.kind = Node::Kind::double_;  // beyond int64
        else
            node.kind = fits_int32 ? Node::Kind::int32 : Node::Kind::int64;
    } else if (is_float(node.text)) {
        node.kind = Node::Kind::double_;
    }
    return node;
}

}  // namespace fieldgate::config
