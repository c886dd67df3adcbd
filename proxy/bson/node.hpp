#pragma once

#include <boost/system/result.hpp>
#include <cstddef>
#include <string_view>

#include "config/node.hpp"
#include "proxy/bson/view.hpp"

// BSON as config/ reads it: for schemas that a server or a driver sends, which are not trusted.
namespace fieldgate::bson {

// A node takes much more memory than the few bytes of its element.
inline constexpr std::size_t node_count_max = 100'000;
// Of the path that a node carries as its place; a longer one loses its beginning.
inline constexpr std::size_t node_path_bytes_max = 256;

// The tree of a document that passed check(). Each node's `where` has no line but a label: its path, below
// `label` if there is one ("validator.$jsonSchema"). Order and duplicate keys are kept; types that a schema
// has no use for become Kind::other with the type's alias as text. Errors: nested_too_deep beyond
// config::node_levels_max levels (the document is the first), too_many_values beyond node_count_max.
boost::system::result<config::Node> to_node(DocumentView document, std::string_view label = {});

}  // namespace fieldgate::bson
