#pragma once

#include "config/schema.hpp"

// What patterns bring into a schema: one field of a document that several parts of the schema define. Used by
// schema_builder only.
namespace fieldgate::config {

// Whether both define the same: fields of one algorithm, key and set of types, or the same children all the
// way down.
bool define_alike(const Schema& schema, const SchemaNode& a, const SchemaNode& b);

// Makes one field of those that patterns of one object, or a name and a pattern that matches it, define
// alike: whichever matches, the answer is then one index. The first keeps its path, the others' become
// Schema::other_paths. A schema without patterns stays as it is.
void merge_alike_fields(Schema& schema);

}  // namespace fieldgate::config
