#include "proxy/analysis/validator.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "config/bson_types.hpp"
#include "proxy/analysis/match.hpp"

namespace fieldgate::analysis {
namespace {

constexpr std::string_view deterministic = "AEAD_AES_256_CBC_HMAC_SHA_512-Deterministic";
constexpr std::string_view randomized = "AEAD_AES_256_CBC_HMAC_SHA_512-Random";
constexpr std::uint8_t uuid_subtype = 4;

// What a keyword of JSON Schema does, for a parent of encrypted fields.
enum class Keyword : std::uint8_t {
    counts_or_describes,  // no values of documents
    names,                // an array of names of fields
    type,                 // names of types
    properties,           // names of fields, each with a schema
    same,                 // a schema, or an array of schemas, for the same value
    metadata,             // encryptMetadata
};

struct KeywordRow {
    std::string_view name;
    Keyword keyword;
};

// "$jsonSchema, Available Keywords" of the manual, without those that hold values or stand for fields that
// they do not name: enum, additionalProperties as a schema, patternProperties, dependencies, items.
constexpr std::array parent_keywords{
    KeywordRow{"title", Keyword::counts_or_describes},
    KeywordRow{"description", Keyword::counts_or_describes},
    KeywordRow{"minProperties", Keyword::counts_or_describes},
    KeywordRow{"maxProperties", Keyword::counts_or_describes},
    KeywordRow{"additionalProperties", Keyword::counts_or_describes},
    KeywordRow{"required", Keyword::names},
    KeywordRow{"bsonType", Keyword::type},
    KeywordRow{"type", Keyword::type},
    KeywordRow{"properties", Keyword::properties},
    KeywordRow{"allOf", Keyword::same},
    KeywordRow{"anyOf", Keyword::same},
    KeywordRow{"oneOf", Keyword::same},
    KeywordRow{"not", Keyword::same},
    KeywordRow{"encryptMetadata", Keyword::metadata},
};

std::string joined(const std::string& path, std::string_view key) {
    return path.empty() ? std::string(key) : path + "." + std::string(key);
}

struct Inherited {
    std::optional<bson::Element> algorithm;
    std::optional<bson::Element> key_id;
};

// Looks at one $jsonSchema next to the tree of the namespace.
class SchemaWalk {
 public:
    explicit SchemaWalk(Request& request) : request_(request) {}

    bool walk(bson::DocumentView schema) {
        if (!at_parent(schema, *request_.tree, "", {}, true)) return false;
        if (!encrypts_) return true;
        const FieldSpace::Part& part = request_.plan.fields->parts()[request_.part];
        for (const config::EncryptedField& field : part.protected_namespace->schema->fields())
            if (given_.count(field.path) == 0)
                return differs(field.path, "it does not encrypt that field, which the schema encrypts");
        return true;
    }

 private:
    bool differs(std::string_view path, std::string_view why) {
        return request_.refuse(
            code::operation_not_on_encrypted,
            "The $jsonSchema of a validator must equal the schema of the namespace or say nothing "
            "about encryption, at " +
                quote(path) + ": " + std::string(why));
    }

    bool refuse_keyword(std::string_view keyword, std::string_view path) {
        return request_.refuse(code::operation_not_on_encrypted,
                               "Comparison to encrypted fields not supported in a validator: the keyword " +
                                   quote(keyword) + " at " + quote(path));
    }

    // What stands at or below a plain path may be anything but encryption. `keys_are_names`: the document
    // maps names of fields to schemas.
    bool at_plain(bson::DocumentView schema, const std::string& path, bool keys_are_names) {
        for (const bson::Element& element : schema) {
            const std::string_view key = element.key();
            if (!keys_are_names && (key == "encrypt" || key == "encryptMetadata"))
                return differs(path, "it encrypts a field that the schema does not encrypt");
            if (!element.is_document() && !element.is_array()) continue;
            // Literal values hold no keywords.
            if (!keys_are_names && key == "enum") continue;
            const bool names = !keys_are_names && element.is_document() &&
                               (key == "properties" || key == "patternProperties" || key == "dependencies");
            if (!at_plain(element.document(), path, names)) return false;
        }
        return true;
    }

    bool at_field(bson::DocumentView schema, std::uint16_t field_index, const std::string& path,
                  const Inherited& inherited, bool may_encrypt) {
        for (const bson::Element& element : schema) {
            const std::string_view key = element.key();
            if (key == "title" || key == "description") continue;
            // A weaker rule than `encrypt`, which a writer that knows no keys may still want.
            if (key == "bsonType" && element.is_string() && element.string() == "binData") continue;
            if (key != "encrypt") return refuse_keyword(key, path);
            if (!may_encrypt)
                return request_.refuse(code::bad_value,
                                       "Invalid schema containing the 'encrypt' keyword at " + quote(path) +
                                           ": it cannot stand below allOf, anyOf, "
                                           "oneOf and not");
            if (schema.count("encrypt") > 1 || ++schema.begin() != schema.end())
                return request_.refuse(
                    code::bad_value,
                    "'encrypt' cannot be used in conjunction with other keywords: " + quote(path));
            if (!element.is_document()) return differs(path, "'encrypt' must be an object");
            if (request_.field(field_index).path != path)
                return differs(path, "the schema encrypts it by a pattern");
            if (!same_encryption(element.document(), request_.field(field_index), path, inherited))
                return false;
            encrypts_ = true;
            given_.insert(request_.field(field_index).path);
        }
        return true;
    }

    bool same_encryption(bson::DocumentView encrypt, const config::EncryptedField& field,
                         const std::string& path, Inherited options) {
        std::optional<bson::Element> types;
        for (const bson::Element& option : encrypt) {
            if (encrypt.count(option.key()) > 1) return differs(path, "an option of 'encrypt' stands twice");
            if (option.key() == "algorithm")
                options.algorithm = option;
            else if (option.key() == "keyId")
                options.key_id = option;
            else if (option.key() == "bsonType")
                types = option;
            else
                return differs(path, "'encrypt' has an option that it does not know");
        }
        const std::string_view algorithm =
            field.algorithm == config::Algorithm::deterministic ? deterministic : randomized;
        if (!options.algorithm || !options.algorithm->is_string() || options.algorithm->string() != algorithm)
            return differs(path, "another algorithm");
        if (!same_types(types, field)) return differs(path, "other types");
        if (!options.key_id || !same_key(*options.key_id, field)) return differs(path, "another key");
        return true;
    }

    static bool same_types(const std::optional<bson::Element>& types, const config::EncryptedField& field) {
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

    static bool same_key(const bson::Element& key_id, const config::EncryptedField& field) {
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
        // Which key a name stands for is not known here, and servers do not look at it either.
        const auto* named = std::get_if<config::KeyUuid>(&field.key);
        return named == nullptr || std::equal(uuid.data.begin(), uuid.data.end(), named->begin());
    }

    bool at_properties(bson::DocumentView properties, const config::SchemaNode& node, const std::string& path,
                       const Inherited& inherited, bool may_encrypt) {
        if (const auto twice = name_that_repeats(properties))
            return request_.refuse(code::bad_value,
                                   "A property of $jsonSchema stands twice: " + quote(joined(path, *twice)));
        for (const bson::Element& property : properties) {
            const std::string own = joined(path, property.key());
            if (!property.is_document())
                return request_.refuse(code::type_mismatch,
                                       "A property of $jsonSchema must be an object: " + quote(own));
            if (!at_node(property.document(), node.child(property.key()), own, inherited, may_encrypt))
                return false;
        }
        return true;
    }

    bool at_node(bson::DocumentView schema, const config::SchemaNode* node, const std::string& path,
                 const Inherited& inherited, bool may_encrypt) {
        if (node == nullptr) return at_plain(schema, path, false);
        if (node->is_protected()) return at_field(schema, node->field, path, inherited, may_encrypt);
        if (node->unknown) return refuse_keyword("properties", path);
        return at_parent(schema, *node, path, inherited, may_encrypt);
    }

    bool at_same(const bson::Element& element, const config::SchemaNode& node, const std::string& path) {
        if (element.is_document()) return at_parent(element.document(), node, path, {}, false);
        for (const bson::Element& each : element.document())
            if (!each.is_document() || !at_parent(each.document(), node, path, {}, false))
                return each.is_document() ? false : refuse_keyword(element.key(), path);
        return true;
    }

    bool at_parent(bson::DocumentView schema, const config::SchemaNode& node, const std::string& path,
                   Inherited inherited, bool may_encrypt) {
        // What is below inherits from it wherever it stands in the object.
        if (const auto metadata = schema.find("encryptMetadata")) {
            if (!may_encrypt || !metadata->is_document() || schema.count("encryptMetadata") > 1)
                return differs(path, "an 'encryptMetadata' that cannot stand there");
            encrypts_ = true;
            if (const auto algorithm = metadata->document().find("algorithm"))
                inherited.algorithm = algorithm;
            if (const auto key_id = metadata->document().find("keyId")) inherited.key_id = key_id;
        }
        for (const bson::Element& element : schema) {
            const std::string_view key = element.key();
            const auto* const row = std::find_if(parent_keywords.begin(), parent_keywords.end(),
                                                 [&](const KeywordRow& each) { return each.name == key; });
            if (row == parent_keywords.end() || schema.count(key) > 1) return refuse_keyword(key, path);
            if (!at_keyword(element, row->keyword, node, path, inherited, may_encrypt)) return false;
        }
        return true;
    }

    bool at_keyword(const bson::Element& element, Keyword keyword, const config::SchemaNode& node,
                    const std::string& path, const Inherited& inherited, bool may_encrypt) {
        switch (keyword) {
            case Keyword::metadata:
                return true;
            case Keyword::counts_or_describes:
                return element.is_string() || is_number_or_boolean(element) ||
                       refuse_keyword(element.key(), path);
            case Keyword::names:
            case Keyword::type:
                if (element.is_string()) return true;
                if (!element.is_array()) return refuse_keyword(element.key(), path);
                for (const bson::Element& name : element.document())
                    if (!name.is_string()) return refuse_keyword(element.key(), path);
                return true;
            case Keyword::properties:
                return element.is_document()
                           ? at_properties(element.document(), node, path, inherited, may_encrypt)
                           : refuse_keyword(element.key(), path);
            case Keyword::same:
                return element.is_document() || element.is_array() ? at_same(element, node, path)
                                                                   : refuse_keyword(element.key(), path);
        }
        return refuse_keyword(element.key(), path);
    }

    Request& request_;
    bool encrypts_ = false;
    std::set<std::string, std::less<>> given_;  // paths of the fields that it encrypts
};

}  // namespace

bool check_validator(Request& request, const bson::Element& element) {
    if (!element.is_document()) return request.refuse(code::type_mismatch, "A validator must be an object");
    // It decides what other roles may store.
    request.plan.requires_reveal_everything = true;
    const bson::DocumentView validator = element.document();
    for (const bson::Element& predicate : validator) {
        if (predicate.key() != "$jsonSchema") {
            if (!walk_kept_predicate(request, predicate, "a validator")) return false;
            continue;
        }
        if (!predicate.is_document() || validator.count("$jsonSchema") > 1)
            return request.refuse(code::failed_to_parse, "$jsonSchema must be an object, once");
        if (!SchemaWalk(request).walk(predicate.document())) return false;
    }
    return true;
}

}  // namespace fieldgate::analysis
