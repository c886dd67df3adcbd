#pragma once

#include "proxy/analysis/request.hpp"

// Which fields come back, and in which order.
namespace fieldgate::analysis {

enum class ProjectionOf : std::uint8_t { find, stage };

// Inclusion and exclusion only: whatever computes could give an encrypted field another name. `find` also
// knows $slice, $elemMatch, $meta and `field.$`, which are allowed on plain paths.
[[nodiscard]] bool walk_projection(Request& request, bson::DocumentView projection, ProjectionOf of);
// Sort keys: ciphertext has an order of its own.
[[nodiscard]] bool walk_sort(Request& request, bson::DocumentView sort);
// Index bounds of find (`min`, `max`): plain keys only.
[[nodiscard]] bool walk_bounds(Request& request, bson::DocumentView bounds, std::string_view option);

}  // namespace fieldgate::analysis
