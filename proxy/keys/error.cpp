#include "proxy/keys/error.hpp"

#include <string>

namespace fieldgate::keys {
namespace {

class Category final : public boost::system::error_category {
 public:
    const char* name() const noexcept override { return "fieldgate.keys"; }

    std::string message(int value) const override {
        switch (static_cast<Errc>(value)) {
            case Errc::ok:
                return "success";
            case Errc::not_bson:
                return "it is not a well-formed document";
            case Errc::nested_too_deep:
                return "it is nested deeper than key documents are";
            case Errc::too_large:
                return "it has more than 1 MiB";
            case Errc::unknown_field:
                return "it has a field that key documents do not have";
            case Errc::duplicate_field:
                return "one of its fields stands there twice";
            case Errc::id_missing:
                return "_id is missing";
            case Errc::id_not_uuid:
                return "_id must be a UUID (binary of subtype 4, 16 bytes)";
            case Errc::key_material_missing:
                return "keyMaterial is missing";
            case Errc::key_material_not_binary:
                return "keyMaterial must be a binary of subtype 0";
            case Errc::key_material_length:
                return "keyMaterial must have 1 to 8192 bytes";
            case Errc::creation_date_missing:
                return "creationDate is missing";
            case Errc::creation_date_not_date:
                return "creationDate must be a date";
            case Errc::update_date_missing:
                return "updateDate is missing";
            case Errc::update_date_not_date:
                return "updateDate must be a date";
            case Errc::status_missing:
                return "status is missing";
            case Errc::status_not_number:
                return "status must be a whole number";
            case Errc::version_not_supported:
                return "version must be 0";
            case Errc::alt_names_not_array:
                return "keyAltNames must be an array";
            case Errc::alt_name_not_string:
                return "keyAltNames may only hold strings of valid UTF-8";
            case Errc::alt_name_twice:
                return "keyAltNames holds one name twice";
            case Errc::master_key_missing:
                return "masterKey is missing";
            case Errc::master_key_not_document:
                return "masterKey must be a document";
            case Errc::master_key_unknown_field:
                return "masterKey has a field that its provider does not have";
            case Errc::master_key_duplicate_field:
                return "one of masterKey's fields stands there twice";
            case Errc::master_key_provider_missing:
                return "masterKey.provider is missing";
            case Errc::master_key_provider_not_name:
                return "masterKey.provider must be `type` or `type:name`, of letters, digits and underscores";
            case Errc::master_key_provider_unknown:
                return "masterKey.provider must be local, aws, azure, gcp, kmip or vault, or a named one of "
                       "these";
            case Errc::master_key_field_missing:
                return "masterKey lacks a field that its provider needs";
            case Errc::master_key_field_type:
                return "a field of masterKey is not of its type";
            case Errc::master_key_field_length:
                return "a text of masterKey is empty or has more than 2048 bytes";
            case Errc::master_key_field_characters:
                return "a text of masterKey has characters that it cannot have";
            case Errc::master_key_endpoint_malformed:
                return "an endpoint of masterKey must be host or host:port, and the host must have a dot "
                       "(except KMIP's)";
        }
        return "unknown error";
    }
};

}  // namespace

const boost::system::error_category& error_category() {
    static const Category category;
    return category;
}

}  // namespace fieldgate::keys
