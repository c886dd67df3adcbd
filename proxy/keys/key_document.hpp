#pragma once

#include <boost/system/result.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/key_id.hpp"
#include "crypto/kms/master_key.hpp"
#include "proxy/bson/builder.hpp"
#include "proxy/bson/view.hpp"

namespace fieldgate::keys {

// A data key as the key vault stores it (CSFLE specification, "Key vault collection: data keys").
struct KeyDocument {
    crypto::KeyId id;
    std::vector<std::string> alt_names;
    bson::Buffer wrapped;  // keyMaterial: the data key under the master key, not a secret by itself
    std::int64_t creation_unix_ms = 0;
    std::int64_t update_unix_ms = 0;
    std::int64_t status = 0;  // 0 enabled, 1 disabled; drivers read it and enforce nothing, and so do we
    std::string provider;     // masterKey.provider, "local" or "aws:eu"
    crypto::kms::MasterKeyDescription master_key;  // the rest of masterKey, of the provider's kind

    friend bool operator==(const KeyDocument&, const KeyDocument&) = default;
};

// Bounds that drivers do not have: whoever writes the key vault must not be able to make reading it
// expensive. The longest wrapped key is RSA's, 1 KB with 8192 bits.
inline constexpr std::size_t key_material_bytes_max = 8192;
inline constexpr std::size_t key_document_bytes_max = 1u << 20;

// Strict: what a driver would refuse is refused, with one error for each rule. `document` is checked here.
boost::system::result<KeyDocument> parse_key_document(bson::Bytes document);

// What can be said of a document that parse_key_document() refused: whom its refusal concerns. Lenient, may
// be empty.
struct KeyClaims {
    std::vector<crypto::KeyId> ids;
    std::vector<std::string> alt_names;
};
KeyClaims claims_of(bson::Bytes document);

// The document of a key, in the field order of the drivers.
bson::Buffer build_key_document(const KeyDocument& key);

// "8f2c61a4-...": as people write UUIDs.
std::string uuid_text(const crypto::KeyId& id);

// RFC 3629. MongoDB's strings are UTF-8, a server does not check all of them.
bool is_utf8(std::string_view text);

}  // namespace fieldgate::keys
