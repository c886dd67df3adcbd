#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "proxy/analysis/expressions.hpp"
#include "proxy/analysis/match.hpp"
#include "proxy/analysis/namespaces.hpp"
#include "proxy/analysis/projection.hpp"
#include "proxy/analysis/server_documents.hpp"
#include "proxy/analysis/stages.hpp"
#include "proxy/analysis/trees.hpp"

namespace fieldgate::analysis {
namespace {

std::shared_ptr<const config::SchemaNode> tree_of(const Pipeline& pipeline, std::string_view database,
                                                  std::string_view collection) {
    static const auto nothing = std::make_shared<const config::SchemaNode>();
    const FieldSpace::Part* part = pipeline.request.plan.fields->find(database, collection);
    if (part != nullptr) return part->tree;
    const auto of_server = documents_of_server(pipeline.request, database, collection);
    return of_server != nullptr ? of_server : nothing;
}

// A pipeline inside a stage, on documents of its own. `result`: what comes out of it; `inner_literals`: where
// its constants stand.
bool walk_inner(Pipeline& outer, const bson::Element& stages, Pipeline::Kind kind,
                std::shared_ptr<const config::SchemaNode> documents,
                std::shared_ptr<const config::SchemaNode>& result,
                std::set<std::string>* inner_literals = nullptr) {
    Request& request = outer.request;
    const config::SchemaNode* const stored = request.stored;
    std::set<std::string> literal_paths = std::exchange(request.literal_paths, {});
    Pipeline inner{request, kind, outer.database};
    inner.tree = std::move(documents);
    request.tree = inner.tree.get();
    if (kind != Pipeline::Kind::facet) request.stored = stored_of(*request.tree);
    const bool admitted = walk_stages(inner, stages);
    request.tree = outer.tree.get();
    request.stored = stored;
    result = std::move(inner.tree);
    std::swap(request.literal_paths, literal_paths);
    if (inner_literals != nullptr) *inner_literals = std::move(literal_paths);
    return admitted;
}

// Constants of one side of a $unionWith must not come to stand where the other has encrypted values: whoever
// reads the results could not tell the one from the other.
bool admit_constants(Request& request, const std::set<std::string>& literal_paths, const SchemaNode& own,
                     const SchemaNode& other) {
    if (is_server_tree(other)) return true;  // unknown for another reason
    for (std::string_view path : literal_paths) {
        const bool or_below = path.ends_with('.');
        if (or_below) path.remove_suffix(1);
        const bool anywhere = path.empty();
        const Resolution::Kind there = resolve(other, path).kind;
        const bool beside = anywhere ? !is_plain(other)
                                     : there != Resolution::Kind::plain &&
                                           (there != Resolution::Kind::parent || or_below) &&
                                           resolve(own, path).is_plain();
        if (beside)
            return request.refuse(
                code::operation_not_on_encrypted,
                "A constant cannot stand in for an encrypted field: aggregation stage $unionWith would put "
                "that at " +
                    (anywhere ? "a name that is computed" : quote(path)) +
                    " beside encrypted values. Give it another name.");
    }
    return true;
}

bool put_array(Pipeline& pipeline, std::string_view path, const config::SchemaNode& element) {
    Request& request = pipeline.request;
    if (!admit_new_path(request, path)) return false;
    config::SchemaNode tree;
    if (!request.charge(count_nodes(element)) || !pipeline.copy_tree(tree)) return false;
    put_at(tree, path, array_of(element.clone()));
    pipeline.set_tree(std::move(tree));
    return true;
}

// A path whose values the server compares with others by equality.
bool read_joined_path(Request& request, const config::SchemaNode& tree, std::string_view path, Value& value) {
    const Resolution at = resolve(tree, path);
    value.path = path;
    if (at.is_plain()) return true;
    if (at.kind == Resolution::Kind::field) {
        value.node = field_node(at.node->field);
        return true;
    }
    if (at.kind == Resolution::Kind::parent)
        return request.refuse(code::operation_not_on_encrypted,
                              "A join cannot compare a parent of encrypted fields: " + quote(path));
    return request.refuse(code::operation_not_on_encrypted, why_unusable(at, "join", path));
}

// The options of a stage, each at most once, each of the type that it must have.
struct JoinOptions {
    std::optional<bson::Element> from, local_field, foreign_field, let, pipeline, as;
    std::optional<bson::Element> start_with, connect_from, connect_to, depth_field, restrict_search;
};

bool read_option(const bson::Element& option, std::string_view name, bool is_right_type,
                 std::optional<bson::Element>& slot, bool& good) {
    if (option.key() != name) return false;
    good = is_right_type && !slot;
    slot = option;
    return true;
}

bool read_join_options(Pipeline& pipeline, const bson::Element& stage, JoinOptions& options) {
    if (!stage.is_document()) return refuse_stage_shape(pipeline, stage, "an object");
    for (const bson::Element& option : stage.document()) {
        bool good = true;
        const bool string = option.is_string();
        const bool known = read_option(option, "from", string || option.is_document(), options.from, good) ||
                           read_option(option, "localField", string, options.local_field, good) ||
                           read_option(option, "foreignField", string, options.foreign_field, good) ||
                           read_option(option, "let", option.is_document(), options.let, good) ||
                           read_option(option, "pipeline", option.is_array(), options.pipeline, good) ||
                           read_option(option, "as", string, options.as, good) ||
                           read_option(option, "startWith", true, options.start_with, good) ||
                           read_option(option, "connectFromField", string, options.connect_from, good) ||
                           read_option(option, "connectToField", string, options.connect_to, good) ||
                           read_option(option, "depthField", string, options.depth_field, good) ||
                           read_option(option, "restrictSearchWithMatch", option.is_document(),
                                       options.restrict_search, good) ||
                           (option.key() == "maxDepth" && option.whole_number());
        if (!known || !good)
            return refuse_stage_shape(pipeline, stage,
                                      "other options than " + quote(option.key()) + " as it stands");
    }
    return true;
}

// { coll, db } or a name.
std::shared_ptr<const config::SchemaNode> source_tree(const Pipeline& pipeline, const bson::Element& from) {
    if (from.is_string()) return tree_of(pipeline, pipeline.database, from.string());
    const auto coll = from.document().find("coll");
    return tree_of(pipeline, pipeline.database, coll ? coll->string() : std::string_view());
}

// The tree that documents must have to be stored in a namespace: ciphertext where its schema says so, nowhere
// else.
bool admit_target_tree(Pipeline& pipeline, const bson::Element& stage, std::string_view database,
                       std::string_view collection, bool replaces) {
    Request& request = pipeline.request;
    const FieldSpace& fields = *request.plan.fields;
    const FieldSpace::Part* part = fields.find(database, collection);
    const auto refuse = [&](std::string_view why) {
        return request.refuse(
            code::operation_not_on_encrypted,
            "Aggregation stage " + std::string(stage.key()) +
                " writes only into a namespace whose schema protects the same fields with the same "
                "keys: " +
                std::string(why));
    };
    if (part == nullptr && documents_of_server(request, database, collection) != nullptr)
        return refuse("the server alone writes the target");
    if (part == nullptr)
        return is_plain(*pipeline.tree) ||
               refuse("the target has no schema, and documents have encrypted fields");

    bool moves = false;  // ciphertext of one field becomes that of another
    const auto compare = [&](const auto& self, const config::SchemaNode& have,
                             const config::SchemaNode& want) -> bool {
        if (have.unknown || want.unknown || have.array != want.array || have.dotted_keys ||
            have.is_protected() != want.is_protected())
            return false;
        if (!have.patterns().empty() || !want.patterns().empty()) return same_tree(have, want);
        if (want.is_protected()) {
            moves = moves || have.field != want.field;
            return fields.same_encryption(have.field, want.field);
        }
        for (const auto& [name, child] : want.children()) {
            const config::SchemaNode* match = have.child(name);
            if (match == nullptr ? !is_plain(*child) : !self(self, *match, *child)) return false;
        }
        return std::all_of(have.children().begin(), have.children().end(), [&](const auto& child) {
            return want.child(child.first) != nullptr || is_plain(*child.second);
        });
    };
    if (!compare(compare, *pipeline.tree, *part->tree))
        return refuse("the documents differ from " + quote(collection));

    // A role that may not see the one could read it as the other.
    if (moves) request.plan.requires_reveal_everything = true;
    const auto part_index = static_cast<std::size_t>(part - fields.parts().data());
    request.plan.part_uses[part_index].replaces_whole_documents = true;
    if (replaces) request.plan.part_uses[part_index].deletes = true;
    const auto end = part->first_field + part->protected_namespace->schema->fields().size();
    for (std::size_t field = part->first_field; field < end; ++field)
        request.use(static_cast<std::uint16_t>(field)).written = true;
    return true;
}

// "collection" or { db, coll }; collect_namespaces has seen that it can be read.
NamespaceName target_of(const Pipeline& pipeline, const bson::Element& target) {
    NamespaceName name{std::string(pipeline.request.plan.database), {}};
    if (target.is_string()) {
        name.collection = target.string();
        return name;
    }
    if (const auto coll = target.document().find("coll"); coll && coll->is_string())
        name.collection = coll->string();
    if (const auto db = target.document().find("db"); db && db->is_string()) name.database = db->string();
    return name;
}

// Whether the target has a document with this value decides what becomes of it.
bool merge_on(Request& request, std::string_view path) {
    Value value;
    if (!read_joined_path(request, *request.tree, path, value) ||
        !tell_apart(request, "Aggregation stage $merge", value))
        return false;
    request.mark_used(value.node, false);
    return true;
}

}  // namespace

bool walk_lookup(Pipeline& pipeline, const bson::Element& stage) {
    Request& request = pipeline.request;
    JoinOptions options;
    if (!read_join_options(pipeline, stage, options)) return false;
    if (!options.as || options.start_with || options.connect_from || options.connect_to ||
        options.depth_field || options.restrict_search)
        return refuse_stage_shape(pipeline, stage, "'as', and no option of $graphLookup");
    if (options.local_field.has_value() != options.foreign_field.has_value())
        return refuse_stage_shape(pipeline, stage, "both localField and foreignField, or neither");
    std::shared_ptr<const config::SchemaNode> foreign =
        options.from ? source_tree(pipeline, *options.from) : std::make_shared<const config::SchemaNode>();
    if (options.local_field) {
        Value local;
        Value other;
        if (!read_joined_path(request, *request.tree, options.local_field->string(), local) ||
            !read_joined_path(request, *foreign, options.foreign_field->string(), other) ||
            !compare_values(request, "$lookup", local, other))
            return false;
    }
    if (options.pipeline) {
        const std::size_t outer = request.variables.size();
        if (options.let && !bind_variables(request, *options.let, nullptr)) return false;
        std::set<std::string> literal_paths;
        if (!walk_inner(pipeline, *options.pipeline, Pipeline::Kind::joined, foreign, foreign,
                        &literal_paths) ||
            !note_inner_constants(request, options.as->string(), literal_paths))
            return false;
        request.variables.resize(outer);
    } else if (options.let) {
        return refuse_stage_shape(pipeline, stage, "a pipeline for its variables");
    }
    return put_array(pipeline, options.as->string(), *foreign);
}

bool walk_graph_lookup(Pipeline& pipeline, const bson::Element& stage) {
    Request& request = pipeline.request;
    JoinOptions options;
    if (!read_join_options(pipeline, stage, options)) return false;
    if (!options.from || !options.as || !options.start_with || !options.connect_from || !options.connect_to ||
        options.local_field || options.foreign_field || options.let || options.pipeline)
        return refuse_stage_shape(pipeline, stage,
                                  "from, startWith, connectFromField, connectToField and as");
    const auto foreign = source_tree(pipeline, *options.from);
    Value start;
    Value from;
    Value to;
    if (!evaluate(request, *options.start_with, nullptr, start) ||
        !read_joined_path(request, *foreign, options.connect_from->string(), from) ||
        !read_joined_path(request, *foreign, options.connect_to->string(), to) ||
        !compare_values(request, "$graphLookup", to, start) ||
        !compare_values(request, "$graphLookup", to, from))
        return false;
    if (options.restrict_search) {
        const config::SchemaNode* const tree = request.tree;
        const config::SchemaNode* const stored = request.stored;
        request.tree = foreign.get();
        request.stored = stored_of(*foreign);
        const bool admitted = walk_filter(request, options.restrict_search->document());
        request.tree = tree;
        request.stored = stored;
        if (!admitted) return false;
    }
    config::SchemaNode element;
    if (!request.charge(count_nodes(*foreign))) return false;
    element = foreign->clone();
    if (options.depth_field) {
        const config::SchemaNode* const tree = std::exchange(request.tree, foreign.get());
        const bool admitted = admit_new_path(request, options.depth_field->string());
        request.tree = tree;
        if (!admitted) return false;
        put_at(element, options.depth_field->string(), {});
    }
    return put_array(pipeline, options.as->string(), element);
}

bool walk_union_with(Pipeline& pipeline, const bson::Element& stage) {
    Request& request = pipeline.request;
    if (stage.is_document() && !refuse_duplicates(request, stage.document(), stage.key())) return false;
    std::optional<bson::Element> stages;
    std::shared_ptr<const config::SchemaNode> others = std::make_shared<const config::SchemaNode>();
    if (stage.is_document()) {
        for (const bson::Element& option : stage.document()) {
            if (option.key() == "pipeline" && option.is_array())
                stages = option;
            else if (option.key() != "coll" && option.key() != "db")
                return refuse_stage_shape(pipeline, stage, "coll and pipeline, and nothing else");
        }
        if (stage.document().count("pipeline") > 1)
            return refuse_stage_shape(pipeline, stage, "one pipeline");
        if (stage.document().find("coll")) others = source_tree(pipeline, stage);
    } else {
        others = source_tree(pipeline, stage);
    }
    std::set<std::string> literal_paths;
    if (stages && !walk_inner(pipeline, *stages, Pipeline::Kind::joined, others, others, &literal_paths))
        return false;
    if (!admit_constants(request, literal_paths, *others, *pipeline.tree) ||
        !admit_constants(request, request.literal_paths, *pipeline.tree, *others))
        return false;
    request.literal_paths.merge(std::move(literal_paths));
    config::SchemaNode tree;
    if (!request.charge(count_nodes(*others)) || !pipeline.copy_tree(tree)) return false;
    pipeline.set_tree(merge(std::move(tree), *others));
    return true;
}

bool walk_facet(Pipeline& pipeline, const bson::Element& stage) {
    if (!stage.is_document()) return refuse_stage_shape(pipeline, stage, "an object");
    if (!refuse_duplicates(pipeline.request, stage.document(), stage.key())) return false;
    config::SchemaNode tree;
    for (const bson::Element& facet : stage.document()) {
        if (!facet.is_array() || facet.key().find('.') != std::string_view::npos ||
            facet.key().starts_with('$'))
            return refuse_stage_shape(pipeline, stage, "a name and a pipeline for each facet");
        std::shared_ptr<const config::SchemaNode> result;
        std::set<std::string> literal_paths;
        if (!walk_inner(pipeline, facet, Pipeline::Kind::facet, pipeline.tree, result, &literal_paths) ||
            !note_inner_constants(pipeline.request, facet.key(), literal_paths) ||
            !pipeline.request.charge(count_nodes(*result)) || !pipeline.request.charge_child(tree))
            return false;
        put_at(tree, facet.key(), array_of(result->clone()));
    }
    pipeline.set_tree(std::move(tree));
    return true;
}

bool walk_out(Pipeline& pipeline, const bson::Element& stage) {
    if (!stage.is_string() && !stage.is_document()) return refuse_stage_shape(pipeline, stage, "a namespace");
    const NamespaceName target = target_of(pipeline, stage);
    if (stage.is_document())
        for (const bson::Element& option : stage.document())
            if (option.key() != "db" && option.key() != "coll")
                return refuse_stage_shape(pipeline, stage, "db and coll, and nothing else");
    return admit_target_tree(pipeline, stage, target.database, target.collection, true);
}

bool walk_merge(Pipeline& pipeline, const bson::Element& stage) {
    Request& request = pipeline.request;
    if (!stage.is_string() && !stage.is_document()) return refuse_stage_shape(pipeline, stage, "a namespace");
    if (stage.is_document() && !refuse_duplicates(request, stage.document(), stage.key())) return false;
    NamespaceName target;
    bool computes = false;
    if (stage.is_string()) {
        target = target_of(pipeline, stage);
    } else {
        for (const bson::Element& option : stage.document()) {
            const std::string_view key = option.key();
            if (key == "into") {
                if (!option.is_string() && !option.is_document())
                    return refuse_stage_shape(pipeline, stage, "a namespace as 'into'");
                target = target_of(pipeline, option);
            } else if (key == "let" || (key == "whenMatched" && option.is_array())) {
                computes = true;
            } else if (key != "on" && key != "whenMatched" && key != "whenNotMatched") {
                return refuse_stage_shape(pipeline, stage, "into, on, let, whenMatched and whenNotMatched");
            } else if (!option.is_string() && !(key == "on" && option.is_array())) {
                return refuse_stage_shape(pipeline, stage, "a string as " + quote(key));
            }
        }
    }
    if (computes &&
        (!is_plain(*pipeline.tree) || request.plan.fields->find(target.database, target.collection)))
        return request.refuse(
            code::operation_not_on_encrypted,
            "Aggregation stage $merge cannot compute what it stores where encrypted fields could be "
            "reached: 'let' and a pipeline as 'whenMatched' are refused");
    if (stage.is_document()) {
        const auto on = stage.document().find("on");
        std::vector<bson::Element> paths;
        if (on && on->is_array())
            paths.assign(on->document().begin(), on->document().end());
        else if (on)
            paths.push_back(*on);
        for (const bson::Element& path : paths) {
            if (!path.is_string()) return refuse_stage_shape(pipeline, stage, "paths as 'on'");
            if (!merge_on(request, path.string())) return false;
        }
        if (!on && !merge_on(request, "_id")) return false;
    } else if (!merge_on(request, "_id")) {
        return false;
    }
    return admit_target_tree(pipeline, stage, target.database, target.collection, false);
}

}  // namespace fieldgate::analysis
