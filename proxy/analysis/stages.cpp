#include "proxy/analysis/stages.hpp"

#include <algorithm>

#include "proxy/analysis/expressions.hpp"
#include "proxy/analysis/match.hpp"
#include "proxy/analysis/projection.hpp"
#include "proxy/analysis/trees.hpp"

namespace fieldgate::analysis {

bool refuse_stage_shape(Pipeline& pipeline, const bson::Element& stage, std::string_view needs) {
    return pipeline.request.refuse(code::failed_to_parse,
                                   std::string(stage.key()) + " needs " + std::string(needs));
}

bool walk_match_stage(Pipeline& pipeline, const bson::Element& stage) {
    if (!stage.is_document()) return refuse_stage_shape(pipeline, stage, "an object");
    return walk_filter(pipeline.request, stage.document());
}

bool walk_sort_stage(Pipeline& pipeline, const bson::Element& stage) {
    if (!stage.is_document()) return refuse_stage_shape(pipeline, stage, "an object");
    return walk_sort(pipeline.request, stage.document());
}

bool walk_number_stage(Pipeline& pipeline, const bson::Element& stage) {
    return stage.whole_number() || refuse_stage_shape(pipeline, stage, "a number");
}

bool walk_sample(Pipeline& pipeline, const bson::Element& stage) {
    const bool has_size =
        stage.is_document() && stage.document().find("size") && stage.document().find("size")->whole_number();
    if (!has_size || ++stage.document().begin() != stage.document().end())
        return refuse_stage_shape(pipeline, stage, "{ size: <number> }");
    return true;
}

namespace {

bool apply_projection(Pipeline& pipeline, const bson::Element& stage, ProjectionOf of) {
    if (!stage.is_document()) return refuse_stage_shape(pipeline, stage, "an object");
    Projection projection(of);
    if (!projection.walk(pipeline.request, stage.document())) return false;
    if (!pipeline.request.charge(count_nodes(*pipeline.tree))) return false;
    pipeline.set_tree(std::move(projection).apply(*pipeline.tree));
    return true;
}

bool replace_root(Pipeline& pipeline, const bson::Element& expression) {
    Request& request = pipeline.request;
    const config::SchemaNode* const target =
        request.stored != nullptr && !is_plain(*request.stored) ? request.stored : pipeline.tree.get();
    config::SchemaNode root;
    const std::size_t literals = request.literals;
    if (!walk_value(request, expression, target, root) || !note_constants(request, expression, "", literals))
        return false;
    if (root.is_protected() || root.array || root.dotted_keys)
        return request.refuse(code::operation_not_on_encrypted,
                              "A document cannot be replaced by an encrypted value, an array, or the changed "
                              "paths of an event");
    pipeline.set_tree(std::move(root));
    return true;
}

}  // namespace

bool walk_project(Pipeline& pipeline, const bson::Element& stage) {
    return apply_projection(pipeline, stage, ProjectionOf::stage);
}

bool walk_add_fields(Pipeline& pipeline, const bson::Element& stage) {
    return apply_projection(pipeline, stage, ProjectionOf::additions);
}

bool walk_unset(Pipeline& pipeline, const bson::Element& stage) {
    Request& request = pipeline.request;
    config::SchemaNode tree;
    if (!pipeline.copy_tree(tree)) return false;
    const auto take = [&](const bson::Element& path) {
        if (!path.is_string()) return refuse_stage_shape(pipeline, stage, "a path or an array of paths");
        const Resolution at = resolve(*request.tree, path.string());
        if (at.kind == Resolution::Kind::below)
            return request.refuse(code::operation_not_on_encrypted, why_unusable(at, "unset", path.string()));
        if (at.is_plain()) return true;
        if (request.updates_by_pipeline && goes_through_pattern(tree, path.string()))
            return refuse_update_of_field(request, path.string());
        if (!request.charge_child(tree)) return false;
        remove_at(tree, path.string());
        return true;
    };
    if (!stage.is_array()) {
        if (!take(stage)) return false;
    } else {
        for (const bson::Element& path : stage.document())
            if (!take(path)) return false;
    }
    pipeline.set_tree(std::move(tree));
    return true;
}

bool walk_replace_root(Pipeline& pipeline, const bson::Element& stage) {
    if (!stage.is_document() || stage.document().empty() || (*stage.document().begin()).key() != "newRoot" ||
        ++stage.document().begin() != stage.document().end())
        return refuse_stage_shape(pipeline, stage, "{ newRoot: <expression> }");
    return replace_root(pipeline, *stage.document().begin());
}

bool walk_replace_with(Pipeline& pipeline, const bson::Element& stage) {
    return replace_root(pipeline, stage);
}

bool walk_unwind(Pipeline& pipeline, const bson::Element& stage) {
    Request& request = pipeline.request;
    std::string_view path;
    std::string_view index;
    if (stage.is_string()) {
        path = stage.string();
    } else if (stage.is_document()) {
        for (const bson::Element& option : stage.document()) {
            if (option.key() == "path" && option.is_string())
                path = option.string();
            else if (option.key() == "includeArrayIndex" && option.is_string())
                index = option.string();
            else if (option.key() != "preserveNullAndEmptyArrays" || option.type() != bson::Type::boolean)
                return refuse_stage_shape(pipeline, stage, "a path and its options");
        }
    }
    if (!path.starts_with('$') || path.starts_with("$$"))
        return refuse_stage_shape(pipeline, stage, "a path that begins with $");
    path.remove_prefix(1);

    config::SchemaNode tree;
    if (!pipeline.copy_tree(tree)) return false;
    const Resolution at = resolve(*request.tree, path);
    const bool made_array = at.kind == Resolution::Kind::unknown && at.node->array;
    if (made_array) {
        // The array itself, not something inside it.
        if (!admit_new_path(request, path)) return false;
        config::SchemaNode element = at.node->clone();
        element.array = false;
        put_at(tree, path, std::move(element));
    } else if (at.kind == Resolution::Kind::unknown || at.kind == Resolution::Kind::below) {
        return request.refuse(code::operation_not_on_encrypted, why_unusable(at, "unwind", path));
    } else if (at.kind == Resolution::Kind::field) {
        return request.refuse(code::operation_not_on_encrypted,
                              "$unwind cannot look into encrypted field " + quote(path));
    }
    if (!index.empty()) {
        if (!admit_new_path(request, index)) return false;
        // Some servers take it for a name, dots included, and leave what stands at the path.
        const bool may_stay = index.find('.') != std::string_view::npos && !resolve(tree, index).is_plain();
        put_at(tree, index, may_stay ? unknown_node() : config::SchemaNode());
    }
    pipeline.set_tree(std::move(tree));
    return true;
}

namespace {

// Whether the expression gives $$KEEP or $$PRUNE whatever the document is. Servers take the strings that
// these and $$DESCEND stand for as well, wherever they come from.
bool never_descends(const bson::Element& expression) {
    if (expression.is_string()) return expression.string() == "$$KEEP" || expression.string() == "$$PRUNE";
    if (!expression.is_document() || expression.document().empty()) return false;
    const bson::Element op = *expression.document().begin();
    if (op.key() != "$cond" || !(op.is_array() || op.is_document())) return false;
    std::size_t position = 0;
    for (const bson::Element& operand : op.document()) {
        const bool is_condition = op.is_array() ? position == 0 : operand.key() == "if";
        if (!is_condition && !never_descends(operand)) return false;
        ++position;
    }
    return position == 3;
}

// What stands below: the expression is asked there as well, where the same path is another one.
bool redact_below(Request& request, const bson::Element& expression, const config::SchemaNode& node,
                  const config::SchemaNode& stored);

bool redact_level(Request& request, const bson::Element& expression, const config::SchemaNode& node,
                  const config::SchemaNode& stored) {
    constexpr std::size_t bytes_per_node = 16;
    if (node.is_protected()) {
        const config::EncryptedField& field = request.field(node.field);
        const bool has_levels = field.allows(static_cast<std::uint8_t>(bson::Type::document)) ||
                                field.allows(static_cast<std::uint8_t>(bson::Type::array));
        return !has_levels ||
               request.refuse(
                   code::operation_not_on_encrypted,
                   "Aggregation stage $redact cannot descend into encrypted field " + quote(field.path));
    }
    if (!request.charge(1 + expression.raw().size() / bytes_per_node)) return false;
    request.tree = &node;
    request.stored = &stored;
    const std::size_t edits = request.plan.edits.size();
    if (!walk_condition(request, expression)) return false;
    if (request.plan.edits.size() != edits)
        return request.refuse(code::operation_not_on_encrypted,
                              "Aggregation stage $redact cannot compare encrypted fields where it descends: "
                              "its expression is evaluated at every level of a document");
    return redact_below(request, expression, node, stored);
}

bool redact_below(Request& request, const bson::Element& expression, const config::SchemaNode& node,
                  const config::SchemaNode& stored) {
    static const config::SchemaNode plain;
    bool admitted = true;
    for (const auto& [name, child] : node.children()) {
        const config::SchemaNode* const was = stored.child(name);
        admitted = admitted && redact_level(request, expression, *child, was == nullptr ? plain : *was);
    }
    for (const auto& [name, was] : stored.children())
        if (node.child(name) == nullptr)
            admitted = admitted && redact_level(request, expression, plain, *was);
    for (const config::SchemaNode::Pattern& pattern : node.patterns())
        admitted = admitted && redact_level(request, expression, *pattern.node, *pattern.node);
    return admitted;
}

}  // namespace

// With $$DESCEND the expression is asked again in every object inside; $$ROOT is the whole document all the
// while.
bool walk_redact(Pipeline& pipeline, const bson::Element& stage) {
    Request& request = pipeline.request;
    if (never_descends(stage)) return walk_condition(request, stage);
    const config::SchemaNode* const outer = request.tree;
    const config::SchemaNode* const stored = request.stored;
    Variable root{"ROOT", {}};
    if (!pipeline.copy_tree(root.node)) return false;
    if (stored != nullptr) distrust_replaced(root.node, *stored);
    const std::size_t variables = request.variables.size();
    request.variables.push_back(std::move(root));
    const bool admitted = redact_level(request, stage, *outer, stored == nullptr ? *outer : *stored);
    request.variables.resize(variables);
    request.tree = outer;
    request.stored = stored;
    return admitted;
}

}  // namespace fieldgate::analysis
