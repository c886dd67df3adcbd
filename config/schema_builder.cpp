#include "config/schema_builder.hpp"

#include <algorithm>
#include <optional>

#include "config/bson_types.hpp"
#include "config/encrypt_options.hpp"
#include "config/scalars.hpp"

namespace fieldgate::config {
namespace {

enum class Keyword : std::uint8_t {
    encrypt,
    encrypt_metadata,
    properties,
    type,         // bsonType and type
    annotation,   // title and description
    pattern,      // patternProperties: MongoDB allows `encrypt` below, this version does not
    subschema,    // holds schemas, but never protected fields
    validation,   // says something about values only
    unsupported,  // draft 4 has it, MongoDB does not
};

struct KeywordRow {
    std::string_view name;
    Keyword keyword;
};

constexpr KeywordRow keyword_table[] = {
    {"encrypt", Keyword::encrypt},
    {"encryptMetadata", Keyword::encrypt_metadata},
    {"properties", Keyword::properties},
    {"bsonType", Keyword::type},
    {"type", Keyword::type},
    {"title", Keyword::annotation},
    {"description", Keyword::annotation},
    {"patternProperties", Keyword::pattern},
    {"items", Keyword::subschema},
    {"additionalItems", Keyword::subschema},
    {"additionalProperties", Keyword::subschema},
    {"anyOf", Keyword::subschema},
    {"allOf", Keyword::subschema},
    {"oneOf", Keyword::subschema},
    {"not", Keyword::subschema},
    {"dependencies", Keyword::subschema},
    {"enum", Keyword::validation},
    {"required", Keyword::validation},
    {"minimum", Keyword::validation},
    {"maximum", Keyword::validation},
    {"exclusiveMinimum", Keyword::validation},
    {"exclusiveMaximum", Keyword::validation},
    {"multipleOf", Keyword::validation},
    {"minLength", Keyword::validation},
    {"maxLength", Keyword::validation},
    {"pattern", Keyword::validation},
    {"minItems", Keyword::validation},
    {"maxItems", Keyword::validation},
    {"uniqueItems", Keyword::validation},
    {"minProperties", Keyword::validation},
    {"maxProperties", Keyword::validation},
    {"$ref", Keyword::unsupported},
    {"$schema", Keyword::unsupported},
    {"default", Keyword::unsupported},
    {"definitions", Keyword::unsupported},
    {"format", Keyword::unsupported},
    {"id", Keyword::unsupported},
};

std::optional<Keyword> keyword_of(std::string_view name) {
    for (const KeywordRow& row : keyword_table)
        if (row.name == name) return row.keyword;
    return std::nullopt;
}

std::vector<std::string> keyword_names() {
    std::vector<std::string> names;
    names.reserve(std::size(keyword_table));
    for (const KeywordRow& row : keyword_table) names.emplace_back(row.name);
    return names;
}

constexpr std::string_view json_types[] = {"array", "boolean", "null", "number", "object", "string"};

// Where in the document and in the schema the walk is, and what encryptMetadata says there.
struct Place {
    std::string schema_path;
    std::vector<std::string> document_path;
    std::optional<Algorithm> algorithm;
    std::optional<KeyReference> key;
    // An encryptMetadata above names it wrongly: said there, not again at each field below.
    bool algorithm_is_refused = false;
    bool key_is_refused = false;
    std::size_t level = 1;

    Place below(const std::string& name) const {
        Place place = *this;
        place.schema_path += (schema_path.empty() ? "" : ".") + name;
        place.level = level + 1;
        return place;
    }
};

class Builder {
 public:
    explicit Builder(SchemaOrigin origin) : origin_(origin), schema_(std::make_shared<Schema>()) {}

    BuiltSchema build(const Node& root) {
        walk(root, Place{});
        BuiltSchema built;
        if (problems_.empty() && schema_->empty() && origin_ == SchemaOrigin::local)
            notes_.push_back({root.where, "", "this schema protects no field: it has no 'encrypt'"});
        built.problems = std::move(problems_);
        built.notes = std::move(notes_);
        if (built.problems.empty()) built.schema = std::move(schema_);
        return built;
    }

 private:
    void report(const Node& at, const std::string& path, const std::string& what) {
        problems_.push_back({at.where, path, what});
    }

    // Whether the keyword stands anywhere in a tree, which is how a hidden `encrypt` below a keyword that
    // cannot carry one is found. A property may be called "encrypt", so this errs towards refusing.
    static bool mentions_encrypt(const Node& node, std::size_t level = 1) {
        if (level > node_levels_max) return true;
        return std::any_of(node.children.begin(), node.children.end(), [&](const Node& child) {
            return child.key == "encrypt" || child.key == "encryptMetadata" ||
                   mentions_encrypt(child, level + 1);
        });
    }

    // Returns whether a protected field was found at or below `node`, correct or not.
    bool walk(const Node& node, const Place& place) {
        if (place.level > node_levels_max) {
            report(node, place.schema_path,
                   "nested deeper than " + std::to_string(node_levels_max) + " levels");
            return false;
        }
        if (!node.is_object()) {
            report(node, place.schema_path,
                   "a schema must be an object, not " + std::string(kind_name(node.kind)));
            return false;
        }
        check_duplicates(node, place);
        if (const Node* encrypt = node.find("encrypt")) {
            check_encrypt_siblings(node, place);
            encrypted_field(*encrypt, place);
            return true;
        }
        Place inner = place;
        if (const Node* metadata = node.find("encryptMetadata")) inherit(*metadata, inner);
        for (const Node& child : node.children) check_keyword(child, place);
        check_types(node, place);

        const Node* properties = node.find("properties");
        if (properties == nullptr) return false;
        if (!properties->is_object()) {
            report(*properties, place.schema_path, "'properties' must be an object");
            return false;
        }
        return walk_properties(node, *properties, inner);
    }

    bool walk_properties(const Node& node, const Node& properties, const Place& place) {
        bool protects = false;
        const Place below = place.below("properties");
        check_duplicates(properties, below);
        for (const Node& property : properties.children) {
            Place inner = below.below(property.key);
            inner.document_path.push_back(property.key);
            const bool protects_here = walk(property, inner);
            protects = protects || protects_here;
            if (protects_here || origin_ == SchemaOrigin::local) check_name(property, inner);
        }
        if (protects && !is_object_type(node))
            report(node, place.schema_path,
                   "Invalid schema containing the 'encrypt' keyword: every parent of an encrypted field, the "
                   "root "
                   "included, must declare bsonType: \"object\"");
        return protects;
    }

    void check_duplicates(const Node& node, const Place& place) {
        std::vector<std::string_view> names;
        names.reserve(node.children.size());
        for (const Node& child : node.children) names.push_back(child.key);
        std::sort(names.begin(), names.end());
        for (auto at = std::adjacent_find(names.begin(), names.end()); at != names.end();
             at = std::adjacent_find(at, names.end())) {
            report(node, place.schema_path, "'" + std::string(*at) + "' stands twice");
            at = std::upper_bound(at, names.end(), *at);
        }
    }

    void check_name(const Node& property, const Place& place) {
        const std::string& name = property.key;
        if (name.empty())
            report(property, place.schema_path, "a field name must not be empty");
        else if (name.find('.') != std::string::npos)
            report(property, place.schema_path,
                   "field name '" + name + "' contains a dot: nest 'properties' for a path");
        else if (name.front() == '$')
            report(property, place.schema_path, "field name '" + name + "' begins with $");
        else if (name.find('\0') != std::string::npos)
            report(property, place.schema_path, "a field name must not contain a null character");
    }

    void check_keyword(const Node& child, const Place& place) {
        const auto keyword = keyword_of(child.key);
        const std::string quoted = "'" + child.key + "'";
        if (!keyword) {
            static const std::vector<std::string> names = keyword_names();
            report(child, place.schema_path,
                   "Unknown $jsonSchema keyword: " + quoted + did_you_mean(child.key, names));
            return;
        }
        const bool is_local = origin_ == SchemaOrigin::local;
        switch (*keyword) {
            case Keyword::encrypt:
            case Keyword::encrypt_metadata:
            case Keyword::properties:
            case Keyword::type:
                return;
            case Keyword::annotation:
                if (!child.is_string()) report(child, place.schema_path, quoted + " must be a string");
                return;
            case Keyword::pattern:
                if (is_local || mentions_encrypt(child))
                    report(child, place.schema_path, "'patternProperties' is not supported by this version");
                return;
            case Keyword::subschema:
                if (mentions_encrypt(child)) {
                    report(child, place.schema_path,
                           "Invalid schema containing the 'encrypt' keyword: 'encrypt' and 'encryptMetadata' "
                           "are not "
                           "allowed below " +
                               quoted);
                    return;
                }
                [[fallthrough]];
            case Keyword::validation:
                if (is_local)
                    report(child, place.schema_path,
                           "JSON schema keyword " + quoted + " is only allowed with a remote schema");
                return;
            case Keyword::unsupported:
                report(child, place.schema_path,
                       "$jsonSchema keyword " + quoted + " is not currently supported");
                return;
        }
    }

    static bool is_object_type(const Node& node) {
        for (const char* name : {"bsonType", "type"}) {
            const Node* type = node.find(name);
            if (type == nullptr) continue;
            if (type->is_array()) type = type->children.size() == 1 ? &type->children.front() : nullptr;
            return type != nullptr && type->is_string() && type->text == "object";
        }
        return false;
    }

    void check_types(const Node& node, const Place& place) {
        const Node* bson = node.find("bsonType");
        const Node* json = node.find("type");
        if (bson != nullptr && json != nullptr)
            report(*json, place.schema_path,
                   "Cannot specify both $jsonSchema keywords 'type' and 'bsonType'");
        if (bson != nullptr)
            check_type_names(*bson, place,
                             [](const std::string& name) { return name == "number" || bson_type(name); });
        if (json != nullptr)
            check_type_names(*json, place, [](const std::string& name) {
                return std::find(std::begin(json_types), std::end(json_types), name) != std::end(json_types);
            });
    }

    template <class IsKnown>
    void check_type_names(const Node& node, const Place& place, IsKnown is_known) {
        const auto check = [&](const Node& name) {
            if (!name.is_string())
                report(name, place.schema_path,
                       "TypeMismatch: '" + node.key + "' must be a type's name or an array of them, not " +
                           std::string(kind_name(name.kind)));
            else if (!is_known(name.text))
                report(name, place.schema_path, "Unknown type name alias: '" + name.text + "'");
        };
        if (!node.is_array()) {
            check(node);
            return;
        }
        if (node.children.empty())
            report(node, place.schema_path, "'" + node.key + "' must not be an empty array");
        for (const Node& name : node.children) check(name);
    }

    void check_encrypt_siblings(const Node& node, const Place& place) {
        for (const Node& sibling : node.children)
            if (sibling.key != "encrypt")
                report(sibling, place.schema_path,
                       "'encrypt' cannot be used in conjunction with '" + sibling.key + "'");
    }

    void inherit(const Node& metadata, Place& place) {
        const std::string path = place.below("encryptMetadata").schema_path;
        const EncryptOptions options =
            read_encrypt_options(metadata, "encryptMetadata",
                                 [&](const Node& at, const std::string& what) { report(at, path, what); });
        if (options.algorithm || options.algorithm_is_refused) {
            place.algorithm = options.algorithm;
            place.algorithm_is_refused = options.algorithm_is_refused;
        }
        if (options.key || options.key_is_refused) {
            place.key = options.key;
            place.key_is_refused = options.key_is_refused;
        }
    }

    void encrypted_field(const Node& encrypt, const Place& place) {
        const std::string path = place.below("encrypt").schema_path;
        const EncryptOptions options = read_encrypt_options(
            encrypt, "encrypt", [&](const Node& at, const std::string& what) { report(at, path, what); });
        if (place.document_path.empty()) {
            report(encrypt, path,
                   "Invalid schema containing the 'encrypt' keyword: a whole document cannot be encrypted, "
                   "only its "
                   "fields");
            return;
        }
        EncryptedField field;
        const bool algorithm_is_known =
            options.algorithm || (place.algorithm && !options.algorithm_is_refused);
        if (options.algorithm)
            field.algorithm = *options.algorithm;
        else if (algorithm_is_known)
            field.algorithm = *place.algorithm;
        else if (!options.algorithm_is_refused && !place.algorithm_is_refused)
            report(encrypt, path, "'algorithm' is missing, and no 'encryptMetadata' above gives one");

        if (options.key)
            field.key = *options.key;
        else if (place.key && !options.key_is_refused)
            field.key = *place.key;
        else if (!options.key_is_refused && !place.key_is_refused)
            report(encrypt, path,
                   "'keyId' (or 'keyAltName') is missing, and no 'encryptMetadata' above gives one");

        if (options.bson_types) field.bson_types = *options.bson_types;
        if (algorithm_is_known && field.algorithm == Algorithm::deterministic &&
            !options.bson_types_are_refused)
            check_deterministic_types(encrypt, path, field.bson_types);
        add_field(encrypt, place, std::move(field));
    }

    void check_deterministic_types(const Node& encrypt, const std::string& path,
                                   const std::vector<std::uint8_t>& types) {
        const Node* at = encrypt.find("bsonType");
        if (at == nullptr) at = &encrypt;
        if (types.size() != 1) {
            report(*at, path,
                   "the deterministic algorithm needs exactly one 'bsonType': values of different types are "
                   "never "
                   "equal");
        } else if (!may_encrypt(Algorithm::deterministic, types.front())) {
            report(*at, path,
                   "Cannot use deterministic encryption for element of type: " +
                       std::string(bson_type_alias(types.front())));
        }
    }

    void add_field(const Node& encrypt, const Place& place, EncryptedField field) {
        if (schema_->fields_.size() == schema_fields_max) {
            if (!too_many_reported_)
                report(encrypt, place.schema_path,
                       "more than " + std::to_string(schema_fields_max) + " encrypted fields");
            too_many_reported_ = true;
            return;
        }
        SchemaNode* node = &schema_->root_;
        for (const std::string& name : place.document_path) {
            field.path += (field.path.empty() ? "" : ".") + name;
            auto* existing = const_cast<SchemaNode*>(node->child(name));
            node = existing != nullptr ? existing : &node->add_child(name);
        }
        if (field.path == "_id")
            notes_.push_back(
                {encrypt.where, place.schema_path,
                 "'_id' is encrypted: clients must send it with every insert, as one generated by the "
                 "server would be stored in clear"});
        node->field = static_cast<std::uint16_t>(schema_->fields_.size());
        schema_->fields_.push_back(std::move(field));
    }

    SchemaOrigin origin_;
    std::shared_ptr<Schema> schema_;
    std::vector<SchemaProblem> problems_;
    std::vector<SchemaProblem> notes_;
    bool too_many_reported_ = false;
};

}  // namespace

BuiltSchema build_schema(const Node& root, SchemaOrigin origin) {
    return Builder(origin).build(root);
}

}  // namespace fieldgate::config
