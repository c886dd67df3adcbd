#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "config/schema.hpp"

// The type matrix of CSFLE: which BSON types a schema may name, and which of them each algorithm may encrypt.
// Types are their BSON type bytes, because that is what ciphertexts and documents carry.
namespace fieldgate::config {

// "string" -> 0x02. Nothing for an alias MongoDB does not have ("number" is one only outside of `encrypt`).
std::optional<std::uint8_t> bson_type(std::string_view alias);
// 0x02 -> "string"; "unknown" for a byte that is no type.
std::string_view bson_type_alias(std::uint8_t type);

// undefined, null, minKey and maxKey are never encrypted; bool, double, decimal, object, array and
// javascriptWithScope never deterministically (CSFLE specification, "Encryption and BSON types"). A binary of
// subtype 6 is never encrypted either: callers must look, the type byte does not say.
bool may_encrypt(Algorithm algorithm, std::uint8_t type);

}  // namespace fieldgate::config
