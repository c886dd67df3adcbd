#pragma once

#include "config/node.hpp"

namespace fieldgate::config {

// Replaces MongoDB Extended JSON wrappers in the tree by the scalars they stand for: $binary (both forms),
// $uuid, $numberInt, $numberLong, $numberDouble; the wrappers of other types ($oid, $date, $numberDecimal,
// ...) become Kind::other. A malformed wrapper is a problem at its line. Used for schemas written as JSON or
// inline as YAML.
void decode_extended_json(Node& root, ProblemList& problems);

}  // namespace fieldgate::config
