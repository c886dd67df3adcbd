#include "proxy/analysis/validator.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "config/name_pattern.hpp"
#include "config/schema_builder.hpp"
#include "proxy/analysis/match.hpp"
#include "proxy/analysis/validator_encrypt.hpp"
#include "proxy/bson/node.hpp"

namespace fieldgate::analysis {
namespace {

// What a keyword of JSON Schema does, for a parent of encrypted fields.
enum class Keyword : std::uint8_t {
    counts_or_describes,  // no values of documents
    names,                // an array of names of fields
    type,                 // names of types
    properties,           // names of fields, each with a schema
    patterns,             // patterns of names of fields, each with a schema
    same,                 // a schema, or an array of schemas, for the same value
    metadata,             // encryptMetadata
};

struct KeywordRow {
    std::string_view name;
    Keyword keyword;
};

// "$jsonSchema, Available Keywords" of the manual, without those that hold values or stand for fields that
// they do not name: enum, additionalProperties as a schema, dependencies, items.
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
    KeywordRow{"patternProperties", Keyword::patterns},
    KeywordRow{"allOf", Keyword::same},
    KeywordRow{"anyOf", Keyword::same},
    KeywordRow{"oneOf", Keyword::same},
    KeywordRow{"not", Keyword::same},
    KeywordRow{"encryptMetadata", Keyword::metadata},
};

std::string joined(const std::string& path, std::string_view key) {
    return path.empty() ? std::string(key) : path + "." + std::string(key);
}

// The way that config::EncryptedField writes a pattern in a path.
std::string as_step(std::string_view pattern) {
    return "/" + std::string(pattern) + "/";
}

// What a schema in a validator inherits from those around it, and whether it may encrypt.
struct Place {
    enum class Encrypt : std::uint8_t {
        may,
        below_keyword,     // allOf, anyOf, oneOf, not
        named_by_pattern,  // a name of `properties` that the namespace's schema has as a pattern
    } encrypt = Encrypt::may;
    EncryptMetadata metadata = {};
};

// Looks at one $jsonSchema next to the tree of the namespace.
class SchemaWalk {
 public:
    explicit SchemaWalk(Request& request) : request_(request) {}

    bool walk(bson::DocumentView schema) {
        if (!at_parent(schema, *request_.tree, "", {})) return false;
        return !encrypts_ || (gives_all(*request_.tree, "") && can_be_read(schema));
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

    // Whether it encrypts wherever the namespace's schema does, and names the patterns that this one has
    // beside those that encrypt: a name that both match is neither the one nor the other.
    bool gives_all(const config::SchemaNode& node, const std::string& path) {
        if (node.is_protected())
            return given_.contains(&node) ||
                   differs(path, "it does not encrypt that field, which the schema encrypts");
        for (const auto& [name, child] : node.children())
            if (!gives_all(*child, joined(path, name))) return false;
        for (const config::SchemaNode::Pattern& pattern : node.patterns())
            if (!gives_all(*pattern.node, joined(path, as_step(pattern.pattern->text())))) return false;
        for (const auto& plain : node.plain_patterns())
            if (!given_plain_.contains(plain.get()))
                return differs(
                    joined(path, as_step(plain->text())),
                    "it does not name that pattern, which the schema has beside those that encrypt");
        return true;
    }

    // What encrypts is read by drivers and by other fieldgates, which would refuse the collection.
    bool can_be_read(bson::DocumentView schema) {
        const auto node = bson::to_node(schema);
        if (!node) return differs("", node.error().message());
        const config::BuiltSchema built = config::build_schema(*node, config::SchemaOrigin::remote);
        return built.problems.empty() || differs(built.problems.front().path, built.problems.front().what);
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

    bool at_field(bson::DocumentView schema, const config::SchemaNode& node, const std::string& path,
                  const Place& place) {
        for (const bson::Element& element : schema) {
            const std::string_view key = element.key();
            if (key == "title" || key == "description") continue;
            // A weaker rule than `encrypt`, which a writer that knows no keys may still want.
            if (key == "bsonType" && element.is_string() && element.string() == "binData") continue;
            if (key != "encrypt") return refuse_keyword(key, path);
            if (place.encrypt == Place::Encrypt::below_keyword)
                return request_.refuse(code::bad_value,
                                       "Invalid schema containing the 'encrypt' keyword at " + quote(path) +
                                           ": it cannot stand below allOf, anyOf, "
                                           "oneOf and not");
            if (place.encrypt == Place::Encrypt::named_by_pattern)
                return differs(path, "the schema encrypts it by a pattern");
            if (schema.count("encrypt") > 1 || ++schema.begin() != schema.end())
                return request_.refuse(
                    code::bad_value,
                    "'encrypt' cannot be used in conjunction with other keywords: " + quote(path));
            if (!element.is_document()) return differs(path, "'encrypt' must be an object");
            const auto difference =
                encryption_differs(element.document(), request_.field(node.field), place.metadata);
            if (difference) return differs(path, *difference);
            encrypts_ = true;
            given_.insert(&node);
        }
        return true;
    }

    bool at_properties(bson::DocumentView properties, const config::SchemaNode& node, const std::string& path,
                       const Place& place) {
        if (!admit_names(properties, path)) return false;
        if (!node.patterns().empty() && !charge_matches(properties, node)) return false;
        for (const bson::Element& property : properties) {
            const config::SchemaNode* const named = node.named_child(property.key());
            Place below = place;
            if (named == nullptr && below.encrypt == Place::Encrypt::may)
                below.encrypt = Place::Encrypt::named_by_pattern;
            if (!at_node(property.document(), named != nullptr ? named : node.child(property.key()),
                         joined(path, property.key()), below))
                return false;
        }
        return true;
    }

    // Each by its text: whether two patterns match the same names is not decided.
    bool at_patterns(bson::DocumentView patterns, const config::SchemaNode& node, const std::string& path,
                     const Place& place) {
        if (!admit_names(patterns, path)) return false;
        for (const bson::Element& entry : patterns) {
            const std::string own = joined(path, as_step(entry.key()));
            const auto known =
                std::find_if(node.patterns().begin(), node.patterns().end(),
                             [&](const auto& each) { return each.pattern->text() == entry.key(); });
            const bool admitted = known != node.patterns().end()
                                      ? at_node(entry.document(), known->node.get(), own, place)
                                      : at_other_pattern(entry, node, own, place);
            if (!admitted) return false;
        }
        return true;
    }

    // A pattern by which the namespace's schema encrypts nothing: it must not match a name that it encrypts.
    bool at_other_pattern(const bson::Element& entry, const config::SchemaNode& node, const std::string& path,
                          const Place& place) {
        const auto plain = std::find_if(node.plain_patterns().begin(), node.plain_patterns().end(),
                                        [&](const auto& each) { return each->text() == entry.key(); });
        std::shared_ptr<const config::NamePattern> pattern;
        if (plain != node.plain_patterns().end()) {
            pattern = *plain;
            if (place.encrypt == Place::Encrypt::may) given_plain_.insert(pattern.get());
        } else if (!node.patterns().empty()) {
            return differs(path,
                           "the schema has no such pattern, and it may match names that the schema encrypts "
                           "by another");
        } else {
            if (++compiled_ > config::schema_patterns_max)
                return differs(path, "more than " + std::to_string(config::schema_patterns_max) +
                                         " patterns beside encrypted fields");
            const config::NamePattern::Compiled compiled = config::NamePattern::compile(entry.key());
            if (compiled.pattern == nullptr)
                return request_.refuse(code::bad_value, "Invalid regular expression in patternProperties: " +
                                                            quote(path) + ": " + compiled.fault);
            pattern = compiled.pattern;
        }
        if (!request_.charge_patterns(node.children().size())) return false;
        for (const auto& [name, child] : node.children())
            if (pattern->matches(name) != config::NamePattern::Answer::no)
                return differs(path, "the pattern may match " + quote(name) +
                                         ", which is encrypted or holds encrypted fields");
        return at_plain(entry.document(), path, false);
    }

    // Of `properties` and `patternProperties`: each once, each with a schema.
    bool admit_names(bson::DocumentView names, const std::string& path) {
        if (const auto twice = name_that_repeats(names))
            return request_.refuse(code::bad_value,
                                   "A property of $jsonSchema stands twice: " + quote(joined(path, *twice)));
        for (const bson::Element& property : names)
            if (!property.is_document())
                return request_.refuse(code::type_mismatch, "A property of $jsonSchema must be an object: " +
                                                                quote(joined(path, property.key())));
        return true;
    }

    bool charge_matches(bson::DocumentView properties, const config::SchemaNode& node) {
        std::size_t names = 0;
        for (auto at = properties.begin(); at != properties.end(); ++at) ++names;
        return request_.charge_patterns(names * (node.patterns().size() + node.plain_patterns().size()));
    }

    bool at_node(bson::DocumentView schema, const config::SchemaNode* node, const std::string& path,
                 const Place& place) {
        if (node == nullptr) return at_plain(schema, path, false);
        if (node->is_protected()) return at_field(schema, *node, path, place);
        if (node->unknown) return refuse_keyword("properties", path);
        return at_parent(schema, *node, path, place);
    }

    bool at_same(const bson::Element& element, const config::SchemaNode& node, const std::string& path) {
        const Place below{.encrypt = Place::Encrypt::below_keyword};
        if (element.is_document()) return at_parent(element.document(), node, path, below);
        for (const bson::Element& each : element.document())
            if (!each.is_document() || !at_parent(each.document(), node, path, below))
                return each.is_document() ? false : refuse_keyword(element.key(), path);
        return true;
    }

    bool at_parent(bson::DocumentView schema, const config::SchemaNode& node, const std::string& path,
                   Place place) {
        // What is below inherits from it wherever it stands in the object.
        if (const auto metadata = schema.find("encryptMetadata")) {
            if (place.encrypt != Place::Encrypt::may || !metadata->is_document() ||
                schema.count("encryptMetadata") > 1)
                return differs(path, "an 'encryptMetadata' that cannot stand there");
            encrypts_ = true;
            if (const auto algorithm = metadata->document().find("algorithm"))
                place.metadata.algorithm = algorithm;
            if (const auto key_id = metadata->document().find("keyId")) place.metadata.key_id = key_id;
        }
        for (const bson::Element& element : schema) {
            const std::string_view key = element.key();
            const auto* const row = std::find_if(parent_keywords.begin(), parent_keywords.end(),
                                                 [&](const KeywordRow& each) { return each.name == key; });
            if (row == parent_keywords.end() || schema.count(key) > 1) return refuse_keyword(key, path);
            if (!at_keyword(element, row->keyword, node, path, place)) return false;
        }
        return true;
    }

    bool at_keyword(const bson::Element& element, Keyword keyword, const config::SchemaNode& node,
                    const std::string& path, const Place& place) {
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
                return element.is_document() ? at_properties(element.document(), node, path, place)
                                             : refuse_keyword(element.key(), path);
            case Keyword::patterns:
                return element.is_document() ? at_patterns(element.document(), node, path, place)
                                             : refuse_keyword(element.key(), path);
            case Keyword::same:
                return element.is_document() || element.is_array() ? at_same(element, node, path)
                                                                   : refuse_keyword(element.key(), path);
        }
        return refuse_keyword(element.key(), path);
    }

    Request& request_;
    bool encrypts_ = false;
    std::set<const config::SchemaNode*> given_;         // protected nodes that it encrypts
    std::set<const config::NamePattern*> given_plain_;  // of the schema's plain patterns
    std::size_t compiled_ = 0;
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
