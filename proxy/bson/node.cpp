#include "proxy/bson/node.hpp"

#include <boost/endian/conversion.hpp>
#include <charconv>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "proxy/bson/error.hpp"

namespace fieldgate::bson {
namespace {

using config::Node;

std::string path_below(std::string_view parent, std::string_view key) {
    std::string path(parent);
    if (!path.empty()) path += '.';
    path += key;
    if (path.size() <= node_path_bytes_max) return path;
    constexpr std::string_view cut = "...";
    std::size_t start = path.size() - node_path_bytes_max + cut.size();
    // Not in the middle of a character.
    while (start < path.size() && (static_cast<unsigned char>(path[start]) & 0xC0u) == 0x80u) ++start;
    return std::string(cut) + path.substr(start);
}

// As extended JSON writes it.
std::string double_text(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
    char buffer[32];
    const auto [end, error] = std::to_chars(std::begin(buffer), std::end(buffer), value);
    return {buffer, end};
}

Node scalar(const Element& element) {
    Node node;
    switch (element.type()) {
        case Type::null:
            node.text = "null";
            break;
        case Type::boolean:
            node.kind = Node::Kind::boolean;
            node.boolean = element.boolean();
            node.text = node.boolean ? "true" : "false";
            break;
        case Type::int32:
            node.kind = Node::Kind::int32;
            node.integer = element.int32();
            node.text = std::to_string(node.integer);
            break;
        case Type::int64:
            node.kind = Node::Kind::int64;
            node.integer = element.int64();
            node.text = std::to_string(node.integer);
            break;
        case Type::double_:
            node.kind = Node::Kind::double_;
            node.text = double_text(
                boost::endian::endian_load<double, 8, boost::endian::order::little>(element.value().data()));
            break;
        case Type::string:
            node.kind = Node::Kind::string;
            node.text = element.string();
            break;
        case Type::binary: {
            const BinaryView binary = element.binary();
            node.kind = Node::Kind::binary;
            node.subtype = binary.subtype;
            node.bytes.assign(binary.data.begin(), binary.data.end());
            break;
        }
        default:
            node.kind = Node::Kind::other;
            node.text = alias(element.type());
            break;
    }
    return node;
}

struct Open {
    Node node;
    DocumentView::Iterator at;
    DocumentView::Iterator end;
};

Open open(DocumentView document, Node::Kind kind) {
    Open opened{{}, document.begin(), document.end()};
    opened.node.kind = kind;
    return opened;
}

}  // namespace

boost::system::result<Node> to_node(DocumentView document, std::string_view label) {
    std::vector<Open> open_nodes;
    open_nodes.push_back(open(document, Node::Kind::object));
    open_nodes.back().node.where.label = label;
    std::size_t count = 1;
    while (true) {
        Open& parent = open_nodes.back();
        if (parent.at == parent.end) {
            Node finished = std::move(parent.node);
            open_nodes.pop_back();
            if (open_nodes.empty()) return finished;
            open_nodes.back().node.children.push_back(std::move(finished));
            continue;
        }
        if (++count > node_count_max) return Errc::too_many_values;
        const Element element = *parent.at;
        ++parent.at;
        std::string path = path_below(parent.node.where.label, element.key());
        const bool in_object = parent.node.is_object();
        if (!element.is_document() && !element.is_array()) {
            Node node = scalar(element);
            node.where.label = std::move(path);
            if (in_object) node.key = element.key();
            parent.node.children.push_back(std::move(node));
            continue;
        }
        if (open_nodes.size() == config::node_levels_max) return Errc::nested_too_deep;
        Open child = open(element.document(), element.is_array() ? Node::Kind::array : Node::Kind::object);
        child.node.where.label = std::move(path);
        if (in_object) child.node.key = element.key();
        open_nodes.push_back(std::move(child));
    }
}

}  // namespace fieldgate::bson
