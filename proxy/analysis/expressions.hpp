#pragma once

#include <span>
#include <string_view>

#include "proxy/analysis/request.hpp"

// Aggregation expressions: in $expr, in stages, in projections (CSFLE specification's rules, "Supported
// expressions" of the manual). Constants that a deterministic field is compared with are encrypted; what
// ciphertext cannot answer is refused.
namespace fieldgate::analysis {

// An expression that decides about documents ($expr, $cond's condition): anything but a bare protected value.
[[nodiscard]] bool walk_condition(Request& request, const bson::Element& expression);

// An expression whose value becomes part of a document: `result` says what stands there afterwards.
[[nodiscard]] bool walk_value(Request& request, const bson::Element& expression, config::SchemaNode& result);

// `let` of a command: variables for expressions. Their values are constants or computed from constants; none
// can be compared with a protected field.
[[nodiscard]] bool walk_let(Request& request, const bson::Element& let);

}  // namespace fieldgate::analysis
