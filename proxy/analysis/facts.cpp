#include "proxy/analysis/analysis.hpp"
#include "proxy/analysis/pipeline.hpp"

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
    const auto validator = settings.find("validator");
    if (validator && (validator->is_document() || validator->is_array()))
        facts.validator_encrypts = encrypts(validator->document(), false);
    return facts;
}

}  // namespace fieldgate::analysis
