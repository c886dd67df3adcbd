#pragma once

#include <cstdint>
#include <string_view>

namespace fieldgate::bson {

// Whether the text is exactly one JSON object by RFC 8259, whose keys (once unescaped) have no 0 byte, and
// whose objects and arrays nest at most `levels_max` deep, the outermost counted. libbson reads the first of
// several documents, ends a key at its first 0 byte and drops what is too deep: this stands before it. UTF-8
// is left to libbson.
bool is_strict_json_object(std::string_view text, std::uint32_t levels_max);

}  // namespace fieldgate::bson
