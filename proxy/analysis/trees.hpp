#pragma once

#include <cstddef>
#include <string_view>

#include "config/schema.hpp"

// What stages do to the trees that say where encrypted fields stand in documents. Pure; a tree is a value.
namespace fieldgate::analysis {

using config::SchemaNode;

// Neither protected, nor unknown, nor above anything that is.
bool is_plain(const SchemaNode& node);
// Whether any protected field or unknown place at or below the node answers to `predicate(const
// SchemaNode&)`.
template <class Predicate>
bool any_of_tree(const SchemaNode& node, const Predicate& predicate) {
    if ((node.is_protected() || node.unknown) && predicate(node)) return true;
    bool found = false;
    node.for_each_child([&](const SchemaNode& child) { found = found || any_of_tree(child, predicate); });
    return found;
}

std::size_t count_nodes(const SchemaNode& node);
// Levels below the node, up to `most`.
std::size_t count_levels(const SchemaNode& node, std::size_t most);

SchemaNode unknown_node();
SchemaNode field_node(std::uint16_t field);
// An array of such values; an array of arrays is unknown.
SchemaNode array_of(SchemaNode element);

// The same fields at the same paths.
bool same_tree(const SchemaNode& a, const SchemaNode& b);

// What stands where either of two documents may stand: what both agree on, unknown elsewhere.
SchemaNode merge(SchemaNode a, const SchemaNode& b);

// An object ($mergeObjects) over which another one with any plain fields was laid.
SchemaNode overlay_unknown_object(SchemaNode below);

// Makes unknown in `now` whatever is protected in `was`, which stood at the same place, and plain in `now`.
void distrust_replaced(SchemaNode& now, const SchemaNode& was);

// Puts a value at a dotted path, making objects on the way. Names only: the caller has refused paths that go
// through protected fields, unknown places, arrays or positions.
void put_at(SchemaNode& root, std::string_view path, SchemaNode value);
// Whether a name of the path is one that a pattern stands for. The tree stays the same when what one of those
// names has is taken away, or given to another.
bool goes_through_pattern(const SchemaNode& root, std::string_view path);
// Takes away what stands at a path.
void remove_at(SchemaNode& root, std::string_view path);
// Adds to `to` what stands in `from` at a path and on the way to it.
void keep_at(const SchemaNode& from, SchemaNode& to, std::string_view path);

}  // namespace fieldgate::analysis
