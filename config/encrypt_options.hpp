#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/node.hpp"
#include "config/schema.hpp"

// The contents of one `encrypt` or `encryptMetadata` object. Used by schema_builder and schema_writer only.
namespace fieldgate::config {

// As schemas write it.
std::string_view algorithm_name(Algorithm algorithm);

// What an object says itself; what is missing is inherited from the nearest encryptMetadata above that has
// it.
struct EncryptOptions {
    std::optional<Algorithm> algorithm;
    std::optional<KeyReference> key;
    bool key_is_refused = false;  // named, but wrongly: it is not "missing" as well
    bool algorithm_is_refused = false;
    std::optional<std::vector<std::uint8_t>> bson_types;  // `encrypt` only
    bool bson_types_are_refused = false;
};

// Of a keyAltName or a JSON pointer: each field may have its own copy.
inline constexpr std::size_t key_name_bytes_max = 4096;

using Report = std::function<void(const Node& at, const std::string& what)>;

// `keyword` is "encrypt" or "encryptMetadata". Problems go to `report`.
EncryptOptions read_encrypt_options(const Node& node, const std::string& keyword, const Report& report);

}  // namespace fieldgate::config
