#pragma once

#include <boost/system/error_code.hpp>
#include <boost/system/is_error_code_enum.hpp>

namespace fieldgate::keys {

// Why a document of the key vault cannot be used (CSFLE specification, "Key vault collection: data keys").
// The key vault may be written by others: reading is strict, and the texts name the rule and never a value.
enum class Errc {
    ok = 0,
    not_bson,                       // not a whole, well-formed document
    nested_too_deep,                // more levels of documents than a key document has
    too_large,                      // more than 1 MiB
    unknown_field,                  // a field that key documents do not have
    duplicate_field,                // a field that stands there twice
    id_missing,                     // no _id
    id_not_uuid,                    // _id is not a binary of subtype 4 with 16 bytes
    key_material_missing,           // no keyMaterial
    key_material_not_binary,        // keyMaterial is not a binary of subtype 0
    key_material_length,            // keyMaterial is empty or longer than 8 KiB
    creation_date_missing,          // no creationDate
    creation_date_not_date,         // creationDate is not a date
    update_date_missing,            // no updateDate
    update_date_not_date,           // updateDate is not a date
    status_missing,                 // no status
    status_not_number,              // status is not a whole number
    version_not_supported,          // version is not 0
    alt_names_not_array,            // keyAltNames is not an array
    alt_name_not_string,            // an element of keyAltNames is not a string of valid UTF-8
    alt_name_twice,                 // keyAltNames holds one name twice
    master_key_missing,             // no masterKey
    master_key_not_document,        // masterKey is not a document
    master_key_unknown_field,       // masterKey holds a field that its provider does not have
    master_key_duplicate_field,     // a field of masterKey stands there twice
    master_key_provider_missing,    // masterKey has no provider
    master_key_provider_not_name,   // masterKey.provider is not `type` or `type:name`
    master_key_provider_unknown,    // masterKey.provider is of no known type
    master_key_field_missing,       // a field of masterKey that its provider needs is missing
    master_key_field_type,          // a field of masterKey has another type than its provider's field
    master_key_field_length,        // a text of masterKey is empty or longer than 2 KiB
    master_key_field_characters,    // a text of masterKey has characters that its field cannot have
    master_key_endpoint_malformed,  // an endpoint of masterKey is not host[:port]
};

const boost::system::error_category& error_category();

inline boost::system::error_code make_error_code(Errc error) {
    return {static_cast<int>(error), error_category()};
}

}  // namespace fieldgate::keys

template <>
struct boost::system::is_error_code_enum<fieldgate::keys::Errc> : std::true_type {};
