#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/node.hpp"
#include "config/schema.hpp"

// CSFLE schema -> Schema, with the rules and the phrases of error texts of MongoDB's own analysis (CSFLE
// specification, "JSONSchema in the schema map"; manual, "CSFLE Encryption Schemas"). What this version
// cannot do (patternProperties, JSON pointers as keyId) is refused by name: a field that a reader of the
// schema believes to be protected must never pass in clear.
namespace fieldgate::config {

// Bounds the index type and the time of the builder; far above any schema seen.
inline constexpr std::size_t schema_fields_max = 4096;

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
