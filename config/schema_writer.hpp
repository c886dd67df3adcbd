#pragma once

#include <functional>
#include <optional>
#include <string>

#include "config/node.hpp"
#include "config/schema.hpp"

// The way back: what a Schema protects, as a JSON schema that can be shown, compared and installed as a
// collection's validator. Pure.
namespace fieldgate::config {

// The UUID of a key that is named by an alternative name; nothing keeps `keyAltName`, which only fieldgate
// reads.
using UuidOfKey = std::function<std::optional<KeyUuid>(const KeyAltName&)>;

// With everything inherited written out at each field, and nothing else of the schema it was built from:
// build_schema() of the result gives the same tree and fields.
Node write_schema(const Schema& schema, const UuidOfKey& uuid_of = {});

// Extended JSON, canonical where types matter, indented by two blanks. `node` has no Kind::other.
std::string to_extended_json(const Node& node);

}  // namespace fieldgate::config
