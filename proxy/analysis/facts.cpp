#include <utility>

#include "config/schema_builder.hpp"
#include "proxy/analysis/analysis.hpp"
#include "proxy/analysis/pipeline.hpp"
#include "proxy/analysis/request.hpp"
#include "proxy/bson/node.hpp"

namespace fieldgate::analysis {
namespace {

// Whether a JSON schema has the keyword `encrypt` or `encryptMetadata`. `keys_are_names`: the document maps
// names of fields to schemas, so its keys are no keywords.
bool encrypts(bson::DocumentView schema, bool keys_are_names) {
    for (const bson::Element& element : schema) {
        const std::string_view key = element.key();
        if (!keys_are_names && (key == "encrypt" || key == "encryptMetadata")) return true;
        if (!element.is_document() && !element.is_array()) continue;
        const bool names = !keys_are_names && element.is_document() &&
                           (key == "properties" || key == "patternProperties" || key == "dependencies" ||
                            key == "definitions");
        if (encrypts(element.document(), names)) return true;
    }
    return false;
}

bool read_view(std::string_view database, bson::DocumentView options, NamespaceFacts& facts) {
    const auto view_on = options.find("viewOn");
    if (!view_on || !view_on->is_string() || view_on->string().empty()) return false;
    facts.is_view = true;
    facts.reads.push_back({std::string(database), std::string(view_on->string())});
    const auto pipeline = options.find("pipeline");
    if (!pipeline) return true;
    NamedNamespaces named;
    collect_namespaces(*pipeline, database, named);
    for (NamespaceName& name : named.names) facts.reads.push_back(std::move(name));
    return named.unreadable.empty();
}

// Rules beside `$jsonSchema` are the server's business; `encrypt` anywhere but there is not understood by
// drivers either, which look nowhere else.
std::optional<bson::DocumentView> schema_of(const bson::Element& validator, std::string& problem) {
    const bson::DocumentView rules = validator.document();
    const auto schema = rules.find("$jsonSchema");
    if (!validator.is_document() || !schema || !schema->is_document() || rules.count("$jsonSchema") > 1) {
        problem = "`encrypt` stands elsewhere than in the validator's own $jsonSchema";
        return std::nullopt;
    }
    for (const bson::Element& rule : rules) {
        if (rule.key() == "$jsonSchema" || !(rule.is_document() || rule.is_array())) continue;
        if (!encrypts(rule.document(), false)) continue;
        problem = "`encrypt` stands in the rule " + quote(rule.key()) + " beside $jsonSchema";
        return std::nullopt;
    }
    return schema->document();
}

// Names in a schema are the server's to choose; what is shown of it keeps to one line of valid UTF-8.
std::string describe(const config::BuiltSchema& built) {
    const config::SchemaProblem& first = built.problems.front();
    std::string text = quote(first.path) + ": " + first.what;
    if (built.problems.size() > 1)
        text += " (and " + std::to_string(built.problems.size() - 1) + " more problems)";
    return text;
}

void read_schema(std::string_view database, std::string_view collection, const bson::Element& validator,
                 NamespaceFacts& facts) {
    const auto schema = schema_of(validator, facts.schema_problem);
    if (!schema) return;
    const auto node = bson::to_node(*schema, "validator.$jsonSchema");
    if (!node) {
        facts.schema_problem = node.error().message();
        return;
    }
    const config::BuiltSchema built = config::build_schema(*node, config::SchemaOrigin::remote);
    if (built.schema == nullptr) {
        facts.schema_problem = built.problems.empty() ? "it is not understood" : describe(built);
    } else if (built.schema->empty()) {
        facts.schema_problem = "it encrypts no field";
    } else {
        config::ProtectedNamespace made;
        made.pattern = {std::string(database), std::string(collection)};
        made.schema = built.schema;
        made.index = config::ProtectedNamespace::not_listed;
        facts.server_schema = std::make_shared<const config::ProtectedNamespace>(std::move(made));
    }
}

}  // namespace

boost::system::result<NamespaceFacts> facts_of(std::string_view database,
                                               bson::DocumentView collection_info) {
    const auto type = collection_info.find("type");
    const auto options = collection_info.find("options");
    // Servers before 3.4 give no type, and have no views.
    if ((type && !type->is_string()) || (options && !options->is_document()))
        return Errc::collection_info_unreadable;
    const bson::DocumentView settings = options ? options->document() : bson::DocumentView();
    NamespaceFacts facts;
    if ((type && type->string() == "view") || settings.find("viewOn")) {
        if (!read_view(database, settings, facts)) return Errc::collection_info_unreadable;
    } else if (type && type->string() != "collection" && type->string() != "timeseries") {
        return Errc::collection_info_unreadable;
    }
    const auto name = collection_info.find("name");
    const auto validator = settings.find("validator");
    if (validator && (validator->is_document() || validator->is_array()) &&
        encrypts(validator->document(), false)) {
        if (!name || !name->is_string()) return Errc::collection_info_unreadable;
        facts.validator_encrypts = true;
        read_schema(database, name->string(), *validator, facts);
    }
    return facts;
}

}  // namespace fieldgate::analysis
