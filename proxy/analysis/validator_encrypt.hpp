#pragma once

#include <optional>
#include <string_view>

#include "config/schema.hpp"
#include "proxy/bson/view.hpp"

// An `encrypt` in a validator, beside the field that the namespace's schema has there. Internal to analysis/.
namespace fieldgate::analysis {

// Options of the nearest `encryptMetadata` above; those of `encrypt` itself come first.
struct EncryptMetadata {
    std::optional<bson::Element> algorithm = std::nullopt;
    std::optional<bson::Element> key_id = std::nullopt;
};

// In what it differs from the field, for an error text; nothing: the same algorithm, types and key. Which key
// an alternative name stands for is not known here: any UUID is taken for it.
std::optional<std::string_view> encryption_differs(bson::DocumentView encrypt,
                                                   const config::EncryptedField& field,
                                                   EncryptMetadata options);

}  // namespace fieldgate::analysis
