#pragma once

#include "proxy/analysis/request.hpp"

// Validators that clients give to collections. Internal to analysis/.
namespace fieldgate::analysis {

// The `validator` of create or collMod on a protected namespace. Its predicates follow the rules of filters,
// but may not compare encrypted fields with values. Its $jsonSchema may either say nothing about encryption,
// or encrypt exactly what the namespace's own schema does; at encrypted fields it may not say anything else.
[[nodiscard]] bool check_validator(Request& request, const bson::Element& element);

}  // namespace fieldgate::analysis
