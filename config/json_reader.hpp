#pragma once

#include <optional>
#include <string>

#include "config/node.hpp"

namespace fieldgate::config {

// The one JSON value in `text` (RFC 8259, no comments), or nothing when it could not be read to its end.
// Duplicate keys are problems that name both lines. Extended JSON is plain JSON here: decode_extended_json
// comes after.
std::optional<Node> read_json(const std::string& text, ProblemList& problems);

}  // namespace fieldgate::config
