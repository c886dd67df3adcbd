#include "config/schema_keywords.hpp"

#include <algorithm>

#include "config/bson_types.hpp"

namespace fieldgate::config {
namespace {

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

constexpr std::string_view json_types[] = {"array", "boolean", "null", "number", "object", "string"};

template <class IsKnown>
void check_type_names(const Node& node, const Report& report, IsKnown is_known) {
    const auto check = [&](const Node& name) {
        if (!name.is_string())
            report(name, "TypeMismatch: '" + node.key + "' must be a type's name or an array of them, not " +
                             std::string(kind_name(name.kind)));
        else if (!is_known(name.text))
            report(name, "BadValue: Unknown type name alias: '" + name.text + "'");
    };
    if (!node.is_array()) {
        check(node);
        return;
    }
    if (node.children.empty()) report(node, "'" + node.key + "' must not be an empty array");
    for (const Node& name : node.children) check(name);
}

bool has_names(const Node& node) {
    return node.is_object() &&
           (node.key == "properties" || node.key == "patternProperties" || node.key == "dependencies");
}

// What is too deep to be searched counts as found.
bool mentions(const Node& node, bool keys_are_names, std::size_t level) {
    if (level > node_levels_max) return true;
    return std::any_of(node.children.begin(), node.children.end(), [&](const Node& child) {
        if (!keys_are_names && (child.key == "encrypt" || child.key == "encryptMetadata")) return true;
        return mentions(child, !keys_are_names && has_names(child), level + 1);
    });
}

}  // namespace

std::optional<Keyword> keyword_of(std::string_view name) {
    for (const KeywordRow& row : keyword_table)
        if (row.name == name) return row.keyword;
    return std::nullopt;
}

const std::vector<std::string>& keyword_names() {
    static const std::vector<std::string> names = [] {
        std::vector<std::string> all;
        all.reserve(std::size(keyword_table));
        for (const KeywordRow& row : keyword_table) all.emplace_back(row.name);
        return all;
    }();
    return names;
}

bool keyword_mentions_encrypt(const Node& keyword) {
    return mentions(keyword, has_names(keyword), 1);
}

bool schema_mentions_encrypt(const Node& schema) {
    return mentions(schema, false, 1);
}

bool is_object_type(const Node& schema) {
    for (const char* name : {"bsonType", "type"}) {
        const Node* type = schema.find(name);
        if (type == nullptr) continue;
        if (type->is_array()) type = type->children.size() == 1 ? &type->children.front() : nullptr;
        return type != nullptr && type->is_string() && type->text == "object";
    }
    return false;
}

void check_types(const Node& schema, const Report& report) {
    const Node* bson = schema.find("bsonType");
    const Node* json = schema.find("type");
    if (bson != nullptr && json != nullptr)
        report(*json, "Cannot specify both $jsonSchema keywords 'type' and 'bsonType'");
    if (bson != nullptr)
        check_type_names(*bson, report,
                         [](const std::string& name) { return name == "number" || bson_type(name); });
    if (json != nullptr)
        check_type_names(*json, report, [](const std::string& name) {
            return std::find(std::begin(json_types), std::end(json_types), name) != std::end(json_types);
        });
}

}  // namespace fieldgate::config
