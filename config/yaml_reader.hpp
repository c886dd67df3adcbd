#pragma once

#include <optional>
#include <string>

#include "config/node.hpp"

namespace fieldgate::config {

// The one YAML document in `text`, or nothing when it could not be read to its end. Refused, with their
// lines: duplicate keys (naming both), anchors, aliases, merge keys, tags, a second document, keys that are
// no scalars, control characters, bytes that are no UTF-8, nesting beyond node_levels_max. yaml-cpp lets most
// of these pass, so its node tree is not used: we listen to its parser's events.
std::optional<Node> read_yaml(const std::string& text, ProblemList& problems);

// Line and reason of the first byte that is no UTF-8 or a control character other than tab and line ends.
struct TextFault {
    int line = 0;
    std::string what;
};
std::optional<TextFault> find_text_fault(std::string_view text);

}  // namespace fieldgate::config
