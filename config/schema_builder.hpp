#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/node.hpp"
#include "config/schema.hpp"

// CSFLE schema -> Schema, with the rules and the phrases of error texts of MongoDB's own analysis (CSFLE
// specification, "JSONSchema in the schema map"; manual, "CSFLE Encryption Schemas"). What cannot be done is
// refused by name: a field that a reader of the schema believes to be protected must never pass in clear.
//
// patternProperties: fields that patterns of one object define alike (the same algorithm, key and types) are
// one field with one index, whichever of them matches, and so is a name that a pattern beside it matches. A
// name that such a pattern matches and that says otherwise is refused; patterns are compared at each name, by
// SchemaNode::child.
namespace fieldgate::config {

// Bounds the index type and the time of the builder; far above any schema seen.
inline constexpr std::size_t schema_fields_max = 4096;
inline constexpr std::size_t schema_field_path_bytes_max = 4096;
// Patterns that had to be compiled: those of objects that hold encrypted fields, and all of a local schema.
// Each is tried on each name beside it, in every document.
inline constexpr std::size_t schema_patterns_max = 32;
// Pairs of a name and a pattern beside it that had to be compared.
inline constexpr std::size_t schema_overlaps_max = 20'000;
// More problems than these are not listed: a server's schema may have any number.
inline constexpr std::size_t schema_problems_max = 200;

enum class SchemaOrigin {
    local,   // the configuration: only keywords about encryption are allowed
    remote,  // a collection's $jsonSchema validator: validation keywords may stand beside them
};

struct SchemaProblem {
    Where where;
    std::string path;  // in the schema: "properties.insurance.properties.policyNumber.encrypt"
    std::string what;
};

struct BuiltSchema {
    std::shared_ptr<const Schema> schema;  // null if there are problems
    std::vector<SchemaProblem> problems;   // all of them, in the order of the schema
    std::vector<SchemaProblem> notes;      // allowed, but worth a warning
};

// Recurses no deeper than node_levels_max, whatever the depth of `root`.
BuiltSchema build_schema(const Node& root, SchemaOrigin origin);

}  // namespace fieldgate::config
