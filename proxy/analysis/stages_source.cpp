#include <algorithm>
#include <array>

#include "proxy/analysis/expressions.hpp"
#include "proxy/analysis/match.hpp"
#include "proxy/analysis/projection.hpp"
#include "proxy/analysis/server_documents.hpp"
#include "proxy/analysis/stages.hpp"
#include "proxy/analysis/trees.hpp"

namespace fieldgate::analysis {

// What events look like ("Change Events" of the manual): whole documents, their key, and changes by their
// paths.
bool walk_change_stream(Pipeline& pipeline, const bson::Element& stage) {
    Request& request = pipeline.request;
    constexpr std::array<std::string_view, 8> options = {
        "allChangesForCluster", "fullDocument",         "fullDocumentBeforeChange", "resumeAfter",
        "startAfter",           "startAtOperationTime", "showExpandedEvents",       "showSystemEvents"};
    if (!stage.is_document()) return refuse_stage_shape(pipeline, stage, "an object");
    for (const bson::Element& option : stage.document())
        if (std::find(options.begin(), options.end(), option.key()) == options.end())
            return refuse_stage_shape(pipeline, stage, "no option " + quote(option.key()));
    if (!request.charge(4 * count_nodes(*pipeline.tree))) return false;
    config::SchemaNode event;
    for (const std::string_view name : {"fullDocument", "fullDocumentBeforeChange", "documentKey"})
        put_at(event, name, pipeline.tree->clone());
    config::SchemaNode changes = pipeline.tree->clone();
    changes.dotted_keys = true;
    put_at(event, "updateDescription.updatedFields", std::move(changes));
    pipeline.set_tree(std::move(event));
    request.stored = pipeline.tree.get();
    request.stored_events = pipeline.tree;
    pipeline.events = true;
    return true;
}

// Parts of one event, in the order of its fields.
bool walk_split_event(Pipeline& pipeline, const bson::Element& stage) {
    if (!pipeline.events || !stage.is_document() || !stage.document().empty())
        return refuse_stage_shape(pipeline, stage, "a change stream before it, and no options");
    return true;
}

bool walk_geo_near(Pipeline& pipeline, const bson::Element& stage) {
    Request& request = pipeline.request;
    constexpr std::array<std::string_view, 7> numbers = {
        "maxDistance", "minDistance", "distanceMultiplier", "limit", "num", "spherical", "uniqueDocs"};
    if (!stage.is_document()) return refuse_stage_shape(pipeline, stage, "an object");
    config::SchemaNode tree;
    if (!pipeline.copy_tree(tree)) return false;
    for (const bson::Element& option : stage.document()) {
        const std::string_view key = option.key();
        if (key == "query") {
            if (!option.is_document()) return refuse_stage_shape(pipeline, stage, "an object as 'query'");
            if (!walk_filter(request, option.document())) return false;
        } else if (key == "distanceField" || key == "includeLocs") {
            if (!option.is_string()) return refuse_stage_shape(pipeline, stage, "a path as " + quote(key));
            if (!admit_new_path(request, option.string())) return false;
            put_at(tree, option.string(), {});
        } else if (key == "key") {
            if (!option.is_string()) return refuse_stage_shape(pipeline, stage, "a path as 'key'");
            const Resolution at = resolve(*request.tree, option.string());
            if (!at.is_plain())
                return request.refuse(
                    code::operation_not_on_encrypted,
                    "Aggregation stage $geoNear cannot search encrypted field " + quote(option.string()));
        } else if (key == "near" || std::find(numbers.begin(), numbers.end(), key) != numbers.end()) {
            if (!walk_condition(request, option)) return false;
        } else {
            return refuse_stage_shape(pipeline, stage, "no option " + quote(key));
        }
    }
    pipeline.set_tree(std::move(tree));
    return true;
}

// The client's own documents, whatever the names in them are: they meet those of a namespace in $unionWith
// and $lookup only, which compare and tell them apart.
bool walk_documents(Pipeline& pipeline, const bson::Element& stage) {
    Request& request = pipeline.request;
    Value value;
    const std::size_t literals = request.literals;
    if (!evaluate(request, stage, nullptr, value)) return false;
    if (!is_plain(value.node) || value.replaced)
        return refuse_expression(request, "as a condition", value.path);
    if (!note_constants(request, stage, "", literals)) return false;
    pipeline.set_tree(config::SchemaNode());
    return true;
}

namespace {

// Documents of which the table says what can be compared.
bool make_server_documents(Pipeline& pipeline, const bson::Element& stage) {
    if (!stage.is_document()) return refuse_stage_shape(pipeline, stage, "an object");
    if (!walk_plain_condition(pipeline.request, stage)) return false;
    pipeline.set_tree(server_stage_tree(stage.key()));
    pipeline.request.stored = nullptr;
    return true;
}

}  // namespace

// Its entries show the queries that made them.
bool walk_plan_cache(Pipeline& pipeline, const bson::Element& stage) {
    return make_server_documents(pipeline, stage);
}

// Of no collection.
bool walk_server_stage(Pipeline& pipeline, const bson::Element& stage) {
    if (!pipeline.request.plan.collection.empty())
        return pipeline.request.refuse(code::operation_not_on_encrypted,
                                       "Aggregation stage " + std::string(stage.key()) +
                                           " is not allowed or supported with automatic encryption, but in "
                                           "an aggregate of no collection.");
    return make_server_documents(pipeline, stage);
}

// About the collection, not its documents; options are names and numbers.
bool walk_statistics(Pipeline& pipeline, const bson::Element& stage) {
    if (!stage.is_document()) return refuse_stage_shape(pipeline, stage, "an object");
    if (!walk_plain_condition(pipeline.request, stage)) return false;
    pipeline.set_tree(config::SchemaNode());
    pipeline.request.stored = nullptr;  // the names in them are the server's own
    return true;
}

}  // namespace fieldgate::analysis
