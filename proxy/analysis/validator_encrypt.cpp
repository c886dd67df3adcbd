#include "proxy/analysis/validator_encrypt.hpp"

#include <algorithm>
#include <set>
#include <string>

#include "config/bson_types.hpp"

namespace fieldgate::analysis {
namespace {

constexpr std::string_view deterministic = "AEAD_AES_256_CBC_HMAC_SHA_512-Deterministic";
constexpr std::string_view randomized = "AEAD_AES_256_CBC_HMAC_SHA_512-Random";
constexpr std::uint8_t uuid_subtype = 4;

bool same_types(const std::optional<bson::Element>& types, const config::EncryptedField& field) {
    std::set<std::uint8_t> given;
    const auto add = [&](const bson::Element& alias) {
        const auto type = alias.is_string() ? config::bson_type(alias.string()) : std::nullopt;
        if (type) given.insert(*type);
        return type.has_value();
    };
    if (types && types->is_array()) {
        for (const bson::Element& alias : types->document())
            if (!add(alias)) return false;
    } else if (types && !add(*types)) {
        return false;
    }
    return given == std::set<std::uint8_t>(field.bson_types.begin(), field.bson_types.end());
}

bool same_key(const bson::Element& key_id, const config::EncryptedField& field) {
    if (const auto* pointer = std::get_if<config::KeyPointer>(&field.key)) {
        std::string text;
        for (const std::string& name : pointer->path) {
            text += '/';
            for (const char c : name) c == '~' ? text += "~0" : c == '/' ? text += "~1" : text += c;
        }
        return key_id.is_string() && key_id.string() == text;
    }
    if (!key_id.is_array() || key_id.document().empty()) return false;
    const bson::DocumentView keys = key_id.document();
    const bson::Element only = *keys.begin();
    if (++keys.begin() != keys.end() || only.type() != bson::Type::binary) return false;
    const bson::BinaryView uuid = only.binary();
    if (uuid.subtype != uuid_subtype || uuid.data.size() != sizeof(config::KeyUuid)) return false;
    // Servers do not look at it either.
    const auto* named = std::get_if<config::KeyUuid>(&field.key);
    return named == nullptr || std::equal(uuid.data.begin(), uuid.data.end(), named->begin());
}

}  // namespace

std::optional<std::string_view> encryption_differs(bson::DocumentView encrypt,
                                                   const config::EncryptedField& field,
                                                   EncryptMetadata options) {
    std::optional<bson::Element> types;
    for (const bson::Element& option : encrypt) {
        if (encrypt.count(option.key()) > 1) return "an option of 'encrypt' stands twice";
        if (option.key() == "algorithm")
            options.algorithm = option;
        else if (option.key() == "keyId")
            options.key_id = option;
        else if (option.key() == "bsonType")
            types = option;
        else if (option.key() == "keyAltName")
            return "servers do not know 'keyAltName': give the key's UUID as 'keyId', which `fieldgate "
                   "schema "
                   "show --json --connect` prints";
        else
            return "'encrypt' has an option that it does not know";
    }
    const std::string_view algorithm =
        field.algorithm == config::Algorithm::deterministic ? deterministic : randomized;
    if (!options.algorithm || !options.algorithm->is_string() || options.algorithm->string() != algorithm)
        return "another algorithm";
    if (!same_types(types, field)) return "other types";
    if (!options.key_id || !same_key(*options.key_id, field)) return "another key";
    return std::nullopt;
}

}  // namespace fieldgate::analysis
