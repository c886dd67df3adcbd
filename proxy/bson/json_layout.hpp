#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace fieldgate::bson {

// Objects and arrays up to this column stay on one line.
inline constexpr std::size_t json_line_columns_max = 100;

// The same JSON, laid out for people: two blanks a level, what is short on one line. Tokens are kept as they
// are, so that no number loses a digit. `json` is what to_json() wrote; anything else comes back as it is.
std::string lay_out_json(std::string_view json);

}  // namespace fieldgate::bson
