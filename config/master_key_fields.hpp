#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

// The fields of masterKey for each kind of provider, and what each may hold (CSFLE specification,
// "masterKey"; vault is ours): one table for `master_keys` of the configuration and for key documents
// (proxy/keys/master_key.hpp). Texts become parts of host names, paths and JSON: nobody who writes a key
// document may put more into a request than its own field.
namespace fieldgate::config {

inline constexpr std::size_t master_key_text_bytes_max = 2048;  // the longest ARN

struct MasterKeyField {
    enum class Type : std::uint8_t { text, endpoint, boolean, number };  // a number: from 1, of 32 bits
    // `stored`: in key documents, but not before the first wrapping, which makes the key.
    enum class Presence : std::uint8_t { optional, stored, always };

    std::string_view name;
    Presence presence = Presence::optional;
    Type type = Type::text;
    bool (*is_sound)(std::string_view) = nullptr;  // of text and endpoint: its characters
    bool empty_means_none = false;
};

// Without `provider`, which all have. Empty for "local"; nothing: no such type.
std::optional<std::span<const MasterKeyField>> master_key_fields(std::string_view provider_type);

// What is wrong with a text or an endpoint.
enum class MasterKeyFault : std::uint8_t { none, length, characters, endpoint };
MasterKeyFault fault_of(const MasterKeyField& field, std::string_view text);

}  // namespace fieldgate::config
