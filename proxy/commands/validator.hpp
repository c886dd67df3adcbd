#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/schema.hpp"
#include "proxy/bson/builder.hpp"
#include "proxy/bson/view.hpp"

namespace fieldgate::commands {

// A collection's validator that also enforces a schema. Empty `problems`: `validator` is sound, and
// build_schema() reads from it exactly what the schema protects.
struct MergedValidator {
    bson::Buffer validator;
    std::vector<std::string> notes;     // what gives way to `encrypt`, for the operator
    std::vector<std::string> problems;  // why the two cannot be one
};

// `existing` is what the collection has, checked; nothing: none. Its other rules stay: query operators beside
// $jsonSchema, keywords beside ours, other fields. What stood at an encrypted path gives way, because
// `encrypt` may have no siblings (CSFLE, "encrypt Schema Keyword"), and objects on the way there declare
// bsonType "object". `schema` names its keys by UUID or JSON pointer: the server knows no alternative names.
// Merged once more, the result stays as it is. Pure.
MergedValidator merge_validator(std::optional<bson::DocumentView> existing, const config::Schema& schema);

}  // namespace fieldgate::commands
