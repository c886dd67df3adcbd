#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/encrypt_options.hpp"
#include "config/node.hpp"

// The keywords of MongoDB's $jsonSchema, by what they mean to a schema of encrypted fields. Used by
// schema_builder only.
namespace fieldgate::config {

enum class Keyword : std::uint8_t {
    encrypt,
    encrypt_metadata,
    properties,
    type,         // bsonType and type
    annotation,   // title and description
    pattern,      // patternProperties
    subschema,    // holds schemas, but never protected fields
    validation,   // says something about values only
    unsupported,  // draft 4 has it, MongoDB does not
};

std::optional<Keyword> keyword_of(std::string_view name);
const std::vector<std::string>& keyword_names();  // for suggestions

// Whether `encrypt` or `encryptMetadata` stands anywhere in the value of a keyword, which is how one is found
// below a keyword that cannot carry it. Names of fields are no keywords, though some look like them.
bool keyword_mentions_encrypt(const Node& keyword);
bool schema_mentions_encrypt(const Node& schema);

// Whether a schema allows objects only, as every parent of an encrypted field must.
bool is_object_type(const Node& schema);
// The values of `bsonType` and `type`.
void check_types(const Node& schema, const Report& report);

}  // namespace fieldgate::config
