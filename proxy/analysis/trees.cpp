#include "proxy/analysis/trees.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace fieldgate::analysis {
namespace {

// The first name of a path, which is taken off it; `path` is empty after the last.
std::string_view take_name(std::string_view& path) {
    const std::size_t dot = path.find('.');
    const std::string_view name = path.substr(0, dot);
    path = dot == std::string_view::npos ? std::string_view() : path.substr(dot + 1);
    return name;
}

SchemaNode* named_child(SchemaNode& node, std::string_view name) {
    for (const auto& [child_name, child] : node.children())
        if (child_name == name) return child.get();
    return nullptr;
}

}  // namespace

bool is_plain(const SchemaNode& node) {
    return !any_of_tree(node, [](const SchemaNode&) { return true; });
}

std::size_t count_nodes(const SchemaNode& node) {
    std::size_t count = 1;
    node.for_each_child([&](const SchemaNode& child) { count += count_nodes(child); });
    return count;
}

std::size_t count_levels(const SchemaNode& node, std::size_t most) {
    std::size_t below = 0;
    if (most == 0) return 0;
    node.for_each_child(
        [&](const SchemaNode& child) { below = std::max(below, 1 + count_levels(child, most - 1)); });
    return below;
}

SchemaNode unknown_node() {
    SchemaNode node;
    node.unknown = true;
    return node;
}

SchemaNode field_node(std::uint16_t field) {
    SchemaNode node;
    node.field = field;
    return node;
}

SchemaNode array_of(SchemaNode element) {
    if (is_plain(element)) return {};
    if (element.unknown || element.array) return unknown_node();
    element.array = true;
    return element;
}

bool same_tree(const SchemaNode& a, const SchemaNode& b) {
    if (a.field != b.field || a.unknown != b.unknown || a.array != b.array || a.dotted_keys != b.dotted_keys)
        return false;
    if (a.patterns().size() != b.patterns().size()) return false;
    for (std::size_t i = 0; i < a.patterns().size(); ++i)
        if (a.patterns()[i].pattern != b.patterns()[i].pattern ||
            !same_tree(*a.patterns()[i].node, *b.patterns()[i].node))
            return false;
    const auto covered = [](const SchemaNode& one, const SchemaNode& other) {
        return std::all_of(one.children().begin(), one.children().end(), [&](const auto& child) {
            const SchemaNode* match = other.child(child.first);
            return match == nullptr ? is_plain(*child.second) : same_tree(*child.second, *match);
        });
    };
    return covered(a, b) && covered(b, a);
}

SchemaNode merge(SchemaNode a, const SchemaNode& b) {
    if (same_tree(a, b)) return a;
    const bool both_objects = !a.is_protected() && !b.is_protected() && !a.unknown && !b.unknown &&
                              a.array == b.array && !a.dotted_keys && !b.dotted_keys &&
                              a.patterns().empty() && b.patterns().empty();
    if (!both_objects) return unknown_node();
    SchemaNode merged;
    merged.array = a.array;
    static const SchemaNode plain;
    const auto add = [&](const SchemaNode& one, const SchemaNode& other) {
        for (const auto& [name, child] : one.children()) {
            if (merged.child(name) != nullptr) continue;
            const SchemaNode* match = other.child(name);
            merged.put_child(name, merge(child->clone(), match == nullptr ? plain : *match));
        }
    };
    add(a, b);
    add(b, a);
    return merged;
}

SchemaNode overlay_unknown_object(SchemaNode below) {
    if (is_plain(below)) return below;
    if (below.is_protected() || below.unknown || below.array || below.dotted_keys ||
        !below.patterns().empty())
        return unknown_node();
    SchemaNode result;
    for (const auto& [name, child] : below.children())
        result.put_child(name, is_plain(*child) ? SchemaNode() : unknown_node());
    return result;
}

void distrust_replaced(SchemaNode& now, const SchemaNode& was) {
    if (now.is_protected() || now.unknown) return;
    if (is_plain(now)) {
        if (!is_plain(was)) now = unknown_node();
        return;
    }
    for (const auto& [name, child] : was.children()) {
        if (is_plain(*child)) continue;
        SchemaNode* const match = named_child(now, name);
        if (match != nullptr)
            distrust_replaced(*match, *child);
        else if (now.child(name) == nullptr)
            now.put_child(name, unknown_node());
    }
}

void put_at(SchemaNode& root, std::string_view path, SchemaNode value) {
    SchemaNode* node = &root;
    for (;;) {
        const std::string_view name = take_name(path);
        if (path.empty()) {
            // A plain name may have to hide a pattern that it matches.
            if (is_plain(value) && node->patterns().empty())
                node->remove_child(name);
            else
                node->put_child(std::string(name), std::move(value));
            return;
        }
        SchemaNode* child = named_child(*node, name);
        if (child == nullptr) {
            const SchemaNode* pattern = node->child(name);
            if (pattern == nullptr && is_plain(value)) return;
            SchemaNode made = pattern != nullptr ? pattern->clone() : SchemaNode();
            node->put_child(std::string(name), std::move(made));
            child = named_child(*node, name);
        }
        node = child;
    }
}

bool goes_through_pattern(const SchemaNode& root, std::string_view path) {
    const SchemaNode* node = &root;
    while (node != nullptr && !path.empty()) {
        const std::string_view name = take_name(path);
        const SchemaNode* const child = node->child(name);
        if (child != nullptr && node->named_child(name) == nullptr) return true;
        node = child;
    }
    return false;
}

void remove_at(SchemaNode& root, std::string_view path) {
    SchemaNode* node = &root;
    for (;;) {
        const std::string_view name = take_name(path);
        if (path.empty()) {
            node->remove_child(name);
            return;
        }
        node = named_child(*node, name);
        // Below an array every element loses it, which is as good as keeping the node. Whole paths as names
        // are other names.
        if (node == nullptr || node->array || node->dotted_keys) return;
    }
}

void keep_at(const SchemaNode& from, SchemaNode& to, std::string_view path) {
    if (from.unknown) to = unknown_node();
    const SchemaNode* source = &from;
    SchemaNode* target = &to;
    for (;;) {
        const std::string_view name = take_name(path);
        source = source->child(name);
        if (source == nullptr) return;
        const bool whole = source->array || source->is_protected() || source->unknown || source->dotted_keys;
        if (path.empty() || whole) {
            target->put_child(std::string(name), source->clone());
            return;
        }
        SchemaNode* child = named_child(*target, name);
        if (child == nullptr) {
            target->put_child(std::string(name), SchemaNode());
            child = named_child(*target, name);
        }
        target = child;
    }
}

}  // namespace fieldgate::analysis
