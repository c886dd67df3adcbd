#include "proxy/analysis/pipeline.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "proxy/analysis/match.hpp"
#include "proxy/analysis/projection.hpp"

namespace fieldgate::analysis {
namespace {

const config::SchemaNode nothing_protected;

bool walk_match(Request& request, const bson::Element& stage) {
    if (!stage.is_document()) return request.refuse(code::failed_to_parse, "$match needs an object");
    // Its documents have no encrypted fields any more, but a filter may still name one, with a value.
    if (request.tree == &nothing_protected)
        return request.refuse(
            code::operation_not_on_encrypted,
            "Aggregation stage $match is not allowed or supported with automatic encryption after a "
            "stage that counts: put it first");
    return walk_filter(request, stage.document());
}

// For stages that only name paths: also behind one that counts they are those of the namespace, since what
// stands beside a protected one would be sent as it is.
template <class Walk>
bool walk_as_stored(Request& request, Walk walk) {
    const auto own = request.own_tree();
    const config::SchemaNode* in_force = std::exchange(request.tree, own.get());
    const bool admitted = walk();
    request.tree = in_force;
    return admitted;
}

bool walk_project(Request& request, const bson::Element& stage) {
    if (!stage.is_document()) return request.refuse(code::failed_to_parse, "$project needs an object");
    return walk_as_stored(request,
                          [&] { return walk_projection(request, stage.document(), ProjectionOf::stage); });
}

bool walk_sort_stage(Request& request, const bson::Element& stage) {
    if (!stage.is_document()) return request.refuse(code::failed_to_parse, "$sort needs an object");
    return walk_as_stored(request, [&] { return walk_sort(request, stage.document()); });
}

// $skip and $limit: the same documents, fewer of them.
bool walk_number(Request& request, const bson::Element& stage) {
    if (stage.whole_number()) return true;
    return request.refuse(code::failed_to_parse, std::string(stage.key()) + " needs a number");
}

// From here on there is one document, with one field that holds a number.
bool walk_count(Request& request, const bson::Element& stage) {
    if (!stage.is_string()) return request.refuse(code::failed_to_parse, "$count needs the name of a field");
    request.tree = &nothing_protected;
    return true;
}

bool is_field_or_variable(const bson::Element& value) {
    return value.is_string() && value.string().starts_with('$');
}

// Drivers count documents with { _id: 1, n: { $sum: 1 } }: constants only, so nothing of a document is left.
bool walk_group(Request& request, const bson::Element& stage) {
    const auto refuse = [&] {
        return request.refuse(
            code::operation_not_on_encrypted,
            "Aggregation stage $group is not allowed or supported with automatic encryption, except "
            "to count: { _id: <constant>, n: { $sum: <number> } }");
    };
    if (!stage.is_document()) return refuse();
    for (const bson::Element& part : stage.document()) {
        if (part.key() == "_id") {
            if (part.is_document() || part.is_array() || is_field_or_variable(part)) return refuse();
            continue;
        }
        if (!part.is_document() || part.document().empty()) return refuse();
        for (const bson::Element& accumulator : part.document()) {
            const bool sum = accumulator.key() == "$sum" && accumulator.whole_number();
            const bool count =
                accumulator.key() == "$count" && accumulator.is_document() && accumulator.document().empty();
            if (!sum && !count) return refuse();
        }
    }
    request.tree = &nothing_protected;
    return true;
}

constexpr Stage shows_server(std::string_view name) {
    return {.name = name, .shows_server = true};
}

// "Aggregation Stages" of the MongoDB manual, 8.0.
constexpr std::array stages{
    Stage{"$match", StageNames::nothing, walk_match},
    Stage{"$sort", StageNames::nothing, walk_sort_stage},
    Stage{"$skip", StageNames::nothing, walk_number},
    Stage{"$limit", StageNames::nothing, walk_number},
    Stage{"$count", StageNames::nothing, walk_count},
    Stage{"$project", StageNames::nothing, walk_project},
    Stage{"$addFields"},
    Stage{"$set"},
    Stage{"$unset"},
    Stage{"$bucket"},
    Stage{"$bucketAuto"},
    Stage{"$changeStream"},
    Stage{"$changeStreamSplitLargeEvent"},
    Stage{"$collStats"},
    shows_server("$currentOp"),
    Stage{"$densify"},
    Stage{"$documents"},
    Stage{"$facet"},
    Stage{"$fill"},
    Stage{"$geoNear"},
    Stage{"$graphLookup", StageNames::from},
    Stage{"$group", StageNames::nothing, walk_group},
    Stage{"$indexStats"},
    shows_server("$listClusterCatalog"),
    shows_server("$listLocalSessions"),
    shows_server("$listSampledQueries"),
    Stage{"$listSearchIndexes"},
    shows_server("$listSessions"),
    Stage{"$lookup", StageNames::from},
    Stage{"$merge", StageNames::into},
    Stage{"$out", StageNames::target},
    Stage{"$planCacheStats"},
    shows_server("$queryStats"),
    Stage{"$rankFusion"},
    Stage{"$redact"},
    Stage{"$replaceRoot"},
    Stage{"$replaceWith"},
    Stage{"$sample"},
    Stage{"$score"},
    Stage{"$scoreFusion"},
    Stage{"$search"},
    Stage{"$searchMeta"},
    Stage{"$setWindowFields"},
    shows_server("$shardedDataDistribution"),
    Stage{"$sortByCount"},
    Stage{"$unionWith", StageNames::coll},
    Stage{"$unwind"},
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
            // Stages that servers keep to themselves could name anything.
            const bool internal = key.starts_with("$_internal") || key == "$mergeCursors";
            if (internal || (row != nullptr && !add_stage(*row, element, database, found)))
                found.unreadable = key;
        }
        collect_namespaces(element, database, found);
    }
}

bool walk_pipeline(Request& request, bson::DocumentView pipeline) {
    for (const bson::Element& element : pipeline) {
        if (!element.is_document())
            return request.refuse(code::type_mismatch, "Each element of the pipeline must be an object");
        const bson::DocumentView document = element.document();
        if (document.empty() || ++document.begin() != document.end())
            return request.refuse(code::failed_to_parse, "A pipeline stage must be an object with one field");
        const bson::Element stage = *document.begin();
        const Stage* row = find_stage(stage.key());
        if (row == nullptr || row->walk == nullptr) {
            std::string name = quote(stage.key());
            name = name.substr(1, name.size() - 2);
            return request.refuse(
                code::operation_not_on_encrypted,
                "Aggregation stage " + name + " is not allowed or supported with automatic encryption.");
        }
        if (!row->walk(request, stage)) return false;
    }
    if (request.tree == &nothing_protected) {
        request.set_shape(ReplyShape::Kind::cursor,
                          {std::shared_ptr<const config::SchemaNode>(), &nothing_protected});
    } else {
        request.set_shape(ReplyShape::Kind::cursor, request.own_tree());
    }
    return true;
}

}  // namespace fieldgate::analysis
