#include "proxy/analysis/pipeline.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "proxy/analysis/server_documents.hpp"
#include "proxy/analysis/stages.hpp"
#include "proxy/analysis/trees.hpp"

namespace fieldgate::analysis {
namespace {

constexpr Stage shows_server(std::string_view name) {
    return {.name = name, .shows_server = true};
}

constexpr Stage makes_server_documents(std::string_view name) {
    return {
        .name = name, .walk = walk_server_stage, .place = StagePlace::first_of_command, .shows_server = true};
}

// What servers allow by default (internalPipelineLengthLimit).
constexpr std::size_t stages_max = 1000;
// More than servers allow in a document, whatever their build; walkers of trees recurse.
constexpr std::size_t document_levels_max = 250;

// "Aggregation Stages" of the MongoDB manual, 8.0.
constexpr std::array stages{
    Stage{"$match", StageNames::nothing, walk_match_stage},
    Stage{"$sort", StageNames::nothing, walk_sort_stage},
    Stage{"$skip", StageNames::nothing, walk_number_stage},
    Stage{"$limit", StageNames::nothing, walk_number_stage},
    Stage{"$sample", StageNames::nothing, walk_sample},
    Stage{"$project", StageNames::nothing, walk_project, StagePlace::update},
    Stage{"$addFields", StageNames::nothing, walk_add_fields, StagePlace::update},
    Stage{"$set", StageNames::nothing, walk_add_fields, StagePlace::update},
    Stage{"$unset", StageNames::nothing, walk_unset, StagePlace::update},
    Stage{"$replaceRoot", StageNames::nothing, walk_replace_root, StagePlace::update},
    Stage{"$replaceWith", StageNames::nothing, walk_replace_with, StagePlace::update},
    Stage{"$unwind", StageNames::nothing, walk_unwind},
    Stage{"$redact", StageNames::nothing, walk_redact},
    Stage{"$count", StageNames::nothing, walk_count_stage},
    Stage{"$group", StageNames::nothing, walk_group},
    Stage{"$bucket", StageNames::nothing, walk_bucket},
    Stage{"$bucketAuto", StageNames::nothing, walk_bucket_auto},
    Stage{"$sortByCount", StageNames::nothing, walk_sort_by_count},
    Stage{"$lookup", StageNames::from, walk_lookup},
    Stage{"$graphLookup", StageNames::from, walk_graph_lookup},
    Stage{"$unionWith", StageNames::coll, walk_union_with},
    Stage{"$facet", StageNames::nothing, walk_facet},
    Stage{"$out", StageNames::target, walk_out, StagePlace::last},
    Stage{"$merge", StageNames::into, walk_merge, StagePlace::last},
    Stage{"$changeStream", StageNames::nothing, walk_change_stream, StagePlace::first_of_command},
    Stage{"$changeStreamSplitLargeEvent", StageNames::nothing, walk_split_event},
    Stage{"$geoNear", StageNames::nothing, walk_geo_near, StagePlace::first},
    Stage{"$documents", StageNames::nothing, walk_documents, StagePlace::first},
    Stage{"$collStats", StageNames::nothing, walk_statistics, StagePlace::first},
    Stage{"$indexStats", StageNames::nothing, walk_statistics, StagePlace::first},
    Stage{"$planCacheStats", StageNames::nothing, walk_plan_cache, StagePlace::first, true},
    makes_server_documents("$currentOp"),
    makes_server_documents("$listClusterCatalog"),
    shows_server("$listLocalSessions"),
    makes_server_documents("$listSampledQueries"),
    shows_server("$listSessions"),
    makes_server_documents("$queryStats"),
    shows_server("$shardedDataDistribution"),
    Stage{"$densify"},
    Stage{"$fill"},
    Stage{"$listSearchIndexes"},
    Stage{"$rankFusion"},
    Stage{"$score"},
    Stage{"$scoreFusion"},
    Stage{"$search"},
    Stage{"$searchMeta"},
    Stage{"$setWindowFields"},
    Stage{"$vectorSearch"},
};

// A namespace written as "collection" or as { coll: "collection", db: "database" }, where the database may be
// left out.
bool add_namespace(const bson::Element& value, std::string_view database, bool may_leave_database,
                   NamedNamespaces& found) {
    NamespaceName name{std::string(database), {}};
    if (value.is_string()) {
        name.collection = value.string();
    } else if (value.is_document()) {
        const bson::DocumentView document = value.document();
        const auto coll = document.find("coll");
        const auto db = document.find("db");
        if (!coll || !coll->is_string() || document.count("coll") > 1 || document.count("db") > 1)
            return false;
        if (db && !db->is_string()) return false;
        name.collection = coll->string();
        if (db) name.database = db->string();
        // What a pipeline inside of it would then read is not certain; no public server reads another
        // database.
        if (!may_leave_database && name.database != database) return false;
    } else {
        return false;
    }
    found.names.push_back(std::move(name));
    return true;
}

bool add_field(const bson::Element& stage, std::string_view field, std::string_view database,
               bool may_leave_database, NamedNamespaces& found) {
    if (!stage.is_document() || stage.document().count(field) > 1) return false;
    const auto value = stage.document().find(field);
    // $lookup without `from` reads what its own pipeline begins with.
    return !value ? stage.document().find("pipeline").has_value()
                  : add_namespace(*value, database, may_leave_database, found);
}

bool add_stage(const Stage& row, const bson::Element& stage, std::string_view database,
               NamedNamespaces& found) {
    switch (row.names) {
        case StageNames::nothing:
            return true;
        case StageNames::from:
            return add_field(stage, "from", database, false, found);
        case StageNames::coll:
            // $unionWith without `coll` reads what its own pipeline begins with.
            if (stage.is_document() && !stage.document().find("coll"))
                return stage.document().find("pipeline").has_value();
            return add_namespace(stage, database, false, found);
        case StageNames::target:
            found.writes = true;
            return add_namespace(stage, database, true, found);
        case StageNames::into:
            found.writes = true;
            if (stage.is_string()) return add_namespace(stage, database, true, found);
            if (!stage.is_document() || !stage.document().find("into")) return false;
            return add_field(stage, "into", database, true, found);
    }
    return false;
}

}  // namespace

std::span<const Stage> stage_table() {
    return stages;
}

const Stage* find_stage(std::string_view name) {
    const auto* row =
        std::find_if(stages.begin(), stages.end(), [&](const Stage& s) { return s.name == name; });
    return row == stages.end() ? nullptr : row;
}

void collect_namespaces(const bson::Element& value, std::string_view database, NamedNamespaces& found) {
    if (!value.is_document() && !value.is_array()) return;
    for (const bson::Element& element : value.document()) {
        const std::string_view key = element.key();
        if (key.starts_with('$')) {
            const Stage* row = find_stage(key);
            if (row != nullptr && row->shows_server) found.shows_server = true;
            if (row != nullptr && row->walk == walk_union_with) found.unites = true;
            if (row != nullptr && row->walk == walk_server_stage) found.makes_server_documents = row->name;
            // Stages that servers keep to themselves could name anything.
            const bool internal = key.starts_with("$_internal") || key == "$mergeCursors";
            if (internal || (row != nullptr && !add_stage(*row, element, database, found)))
                found.unreadable = key;
        }
        collect_namespaces(element, database, found);
    }
}

void Pipeline::set_tree(std::shared_ptr<const config::SchemaNode> next) {
    tree = std::move(next);
    request.tree = tree.get();
}

void Pipeline::set_tree(config::SchemaNode next) {
    set_tree(std::make_shared<const config::SchemaNode>(std::move(next)));
}

bool Pipeline::copy_tree(config::SchemaNode& copy) {
    if (!request.charge(count_nodes(*tree))) return false;
    copy = tree->clone();
    return true;
}

namespace {

bool refuse_stage(Request& request, std::string_view name, std::string_view more) {
    std::string quoted = quote(name);
    quoted = quoted.substr(1, quoted.size() - 2);
    return request.refuse(code::operation_not_on_encrypted,
                          "Aggregation stage " + quoted +
                              " is not allowed or supported with automatic encryption" + std::string(more) +
                              ".");
}

bool admit_place(Pipeline& pipeline, const Stage& row, bool last) {
    Request& request = pipeline.request;
    if (pipeline.kind == Pipeline::Kind::update && row.place != StagePlace::update)
        return refuse_stage(request, row.name, " in an update");
    switch (row.place) {
        case StagePlace::anywhere:
        case StagePlace::update:
            return true;
        case StagePlace::first:
            return (pipeline.position == 0 && pipeline.kind != Pipeline::Kind::facet) ||
                   refuse_stage(request, row.name, ", but as the first");
        case StagePlace::first_of_command:
            return (pipeline.position == 0 && pipeline.kind == Pipeline::Kind::command) ||
                   refuse_stage(request, row.name, ", but as the first of a command");
        case StagePlace::last:
            return (pipeline.kind == Pipeline::Kind::command && last) ||
                   refuse_stage(request, row.name, ", but as the last of a command");
    }
    return false;
}

}  // namespace

bool walk_stages(Pipeline& pipeline, const bson::Element& pipeline_array) {
    Request& request = pipeline.request;
    const bson::DocumentView array = pipeline_array.document();
    for (auto at = array.begin(); at != array.end(); ++pipeline.position) {
        const bson::Element element = *at;
        ++at;
        if (pipeline.position == stages_max)
            return request.refuse(code::command_not_supported, "Pipeline length must be no longer than " +
                                                                   std::to_string(stages_max) + " stages");
        if (!element.is_document())
            return request.refuse(code::type_mismatch, "Each element of the pipeline must be an object");
        const bson::DocumentView document = element.document();
        if (document.empty() || ++document.begin() != document.end())
            return request.refuse(code::failed_to_parse, "A pipeline stage must be an object with one field");
        const bson::Element stage = *document.begin();
        const Stage* row = find_stage(stage.key());
        if (row == nullptr || row->walk == nullptr) return refuse_stage(request, stage.key(), "");
        const auto before = pipeline.tree;
        if (!admit_place(pipeline, *row, at == array.end()) || !row->walk(pipeline, stage)) return false;
        if (pipeline.tree != before &&
            count_levels(*pipeline.tree, document_levels_max + 1) > document_levels_max)
            return request.refuse(code::command_not_supported,
                                  "The pipeline nests documents with encrypted fields into each other "
                                  "deeper than a document can be");
    }
    return true;
}

const config::SchemaNode* stored_of(const config::SchemaNode& tree) {
    return is_server_tree(tree) ? nullptr : &tree;
}

bool begins_with_events(const bson::Element& stage_array) {
    const bson::DocumentView array = stage_array.document();
    if (array.empty() || !(*array.begin()).is_document()) return false;
    const bson::DocumentView first = (*array.begin()).document();
    return !first.empty() && (*first.begin()).key() == "$changeStream";
}

bool walk_pipeline(Request& request, const bson::Element& stage_array) {
    Pipeline pipeline{request, Pipeline::Kind::command, request.plan.database};
    // Events of a whole database have documents of any namespace.
    const auto documents = request.plan.collection.empty() && begins_with_events(stage_array)
                               ? std::make_shared<const config::SchemaNode>(unknown_node())
                               : request.own_tree();
    pipeline.set_tree(documents);
    request.stored = stored_of(*documents);
    if (!walk_stages(pipeline, stage_array)) return false;
    // A whole document of which nothing is known could only be withheld whole. And where the cursor bears the
    // name of an unprotected namespace, another fieldgate, or this one after it forgot the cursor, would pass
    // what follows the first batch as it is stored.
    const bool unprotected_cursor = request.part == Request::no_part && !is_plain(*pipeline.tree);
    if (pipeline.tree->unknown || unprotected_cursor) request.plan.requires_reveal_everything = true;
    request.set_shape(ReplyShape::Kind::cursor, std::move(pipeline.tree));
    request.tree = request.plan.shape.tree.get();
    return true;
}

bool walk_database_events(Request& request, const bson::Element& stage_array) {
    const auto fields = request.plan.fields;
    if (!fields) request.plan.fields = std::make_shared<FieldSpace>();
    Pipeline pipeline{request, Pipeline::Kind::command, request.plan.database};
    pipeline.set_tree(unknown_node());
    const auto unknown_documents = pipeline.tree;
    request.stored = request.tree;
    const bool admitted = walk_stages(pipeline, stage_array);
    request.tree = request.stored = request.own_tree().get();
    request.plan.fields = fields;
    return admitted;
}

bool walk_update_pipeline(Request& request, const bson::Element& stage_array) {
    const config::SchemaNode* const own = request.tree;
    // Documents are those of the part that the walker is in, if it is in one.
    Pipeline pipeline{request, Pipeline::Kind::update, request.plan.database};
    pipeline.set_tree(
        std::shared_ptr<const config::SchemaNode>(std::shared_ptr<const config::SchemaNode>(), own));
    request.stored = own;
    request.updates_by_pipeline = true;
    const bool admitted = walk_stages(pipeline, stage_array);
    request.updates_by_pipeline = false;
    const bool kept = admitted && same_tree(*pipeline.tree, *own);
    request.tree = request.stored = own;
    if (!admitted) return false;
    return kept ||
           request.refuse(code::operation_not_on_encrypted,
                          "A pipeline-style update uses aggregation expression syntax, which is not allowed "
                          "to touch encrypted fields: it must leave each of them as it is");
}

}  // namespace fieldgate::analysis
