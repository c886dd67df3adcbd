#include <algorithm>
#include <array>

#include "proxy/analysis/expression_parts.hpp"
#include "proxy/analysis/projection.hpp"
#include "proxy/analysis/stages.hpp"
#include "proxy/analysis/trees.hpp"

namespace fieldgate::analysis {
namespace {

using enum AccumulatorRule;

// "$group: Accumulator Operators" of the MongoDB manual, 8.0.
constexpr std::array accumulators{
    AccumulatorOperator{"$sum", plain_only},
    AccumulatorOperator{"$avg", plain_only},
    AccumulatorOperator{"$min", plain_only},
    AccumulatorOperator{"$max", plain_only},
    AccumulatorOperator{"$minN", plain_only},
    AccumulatorOperator{"$maxN", plain_only},
    AccumulatorOperator{"$stdDevPop", plain_only},
    AccumulatorOperator{"$stdDevSamp", plain_only},
    AccumulatorOperator{"$median", plain_only},
    AccumulatorOperator{"$percentile", plain_only},
    AccumulatorOperator{"$concatArrays", plain_only},
    AccumulatorOperator{"$setUnion", plain_only},
    AccumulatorOperator{"$count", counts},
    AccumulatorOperator{"$first", one_of},
    AccumulatorOperator{"$last", one_of},
    AccumulatorOperator{"$firstN", some_of},
    AccumulatorOperator{"$lastN", some_of},
    AccumulatorOperator{"$push", all_of},
    AccumulatorOperator{"$addToSet", different},
    AccumulatorOperator{"$top", top},
    AccumulatorOperator{"$bottom", top},
    AccumulatorOperator{"$topN", top_of},
    AccumulatorOperator{"$bottomN", top_of},
    AccumulatorOperator{"$mergeObjects", merges},
    AccumulatorOperator{"$accumulator", never},
};

// `target`: what documents have where the result goes.
bool require_plain_input(Request& request, const bson::Element& input, std::string_view name,
                         Target target = nullptr) {
    Value value;
    if (!evaluate(request, input, strict(target), value)) return false;
    return (is_plain(value.node) && !value.replaced) || refuse_expression(request, name, value.path);
}

bool refuse_operands(Request& request, std::string_view name) {
    return request.refuse(code::failed_to_parse,
                          "Accumulator " + std::string(name) + " has operands that it does not know");
}

// { input, n }, or { output, sortBy, n }.
bool accumulate_named(Request& request, const AccumulatorOperator& row, const bson::Element& operands,
                      Target target, config::SchemaNode& result) {
    if (!operands.is_document()) return refuse_operands(request, row.name);
    for (const bson::Element& operand : operands.document()) {
        const std::string_view key = operand.key();
        if (key == "input" || key == "output") {
            if (!walk_value(request, operand, target, result)) return false;
        } else if (key == "n") {
            if (!require_plain_input(request, operand, row.name)) return false;
        } else if (key == "sortBy" && operand.is_document()) {
            if (!walk_sort(request, operand.document())) return false;
        } else {
            return refuse_operands(request, row.name);
        }
    }
    if (row.rule != top) result = array_of(std::move(result));
    return true;
}

bool accumulate(Request& request, const bson::Element& accumulator, Target target,
                config::SchemaNode& result) {
    const auto* row = std::find_if(accumulators.begin(), accumulators.end(),
                                   [&](const AccumulatorOperator& r) { return r.name == accumulator.key(); });
    if (row == accumulators.end())
        return request.refuse(
            code::operation_not_on_encrypted,
            "Unknown accumulator, or one that fieldgate does not know: " + quote(accumulator.key()));
    if (accumulator.is_document() && !refuse_duplicates(request, accumulator.document(), row->name))
        return false;
    switch (row->rule) {
        case plain_only: {
            // { $sum: 1 } counts, whatever name it counts into.
            const bool tells_nothing = accumulator.whole_number() == 1;
            return require_plain_input(request, accumulator, row->name, tells_nothing ? nullptr : target);
        }
        case counts:
            return (accumulator.is_document() && accumulator.document().empty()) ||
                   refuse_operands(request, row->name);
        case one_of:
            return walk_value(request, accumulator, target, result);
        case all_of:
            if (!walk_value(request, accumulator, target, result)) return false;
            result = array_of(std::move(result));
            return true;
        case different: {
            Value value;
            if (!evaluate(request, accumulator, target, value) || !tell_apart(request, row->name, value))
                return false;
            result = array_of(std::move(value.node));
            return true;
        }
        case some_of:
        case top:
        case top_of:
            return accumulate_named(request, *row, accumulator, target, result);
        case merges: {
            Value value;
            if (!evaluate(request, accumulator, target, value)) return false;
            // It looks into objects, which ciphertext is not.
            if (value.node.is_protected() || value.node.unknown || value.node.array)
                return refuse_value(request, row->name, value);
            // Of many documents: each may or may not have what the tree says.
            if (!is_plain(value.node)) result = unknown_node();
            return true;
        }
        case never:
            break;
    }
    return request.refuse(code::operation_not_on_encrypted,
                          "Accumulator " + std::string(row->name) +
                              " runs JavaScript on the server, which is not "
                              "allowed where encrypted fields could be reached");
}

// { name: { $accumulator: expression } }
bool walk_output(Pipeline& pipeline, const bson::Element& output, config::SchemaNode& tree) {
    Request& request = pipeline.request;
    const bool named = output.is_document() && !output.document().empty() &&
                       ++output.document().begin() == output.document().end();
    if (!named || output.key().find('.') != std::string_view::npos || output.key().starts_with('$'))
        return request.refuse(code::failed_to_parse,
                              "The field " + quote(output.key()) + " must be an object with one accumulator");
    config::SchemaNode value;
    // A name of the store's keeps constants out, although what stands there now is new.
    const Target target = request.stored == nullptr ? nullptr : request.stored->child(output.key());
    const std::size_t literals = request.literals;
    if (!accumulate(request, *output.document().begin(), target, value) ||
        !note_constants(request, *output.document().begin(), output.key(), literals) ||
        !request.charge_child(tree))
        return false;
    put_at(tree, output.key(), std::move(value));
    return true;
}

bool walk_outputs(Pipeline& pipeline, const bson::Element& outputs, config::SchemaNode& tree) {
    if (!outputs.is_document()) return refuse_stage_shape(pipeline, outputs, "an object");
    if (!refuse_duplicates(pipeline.request, outputs.document(), outputs.key())) return false;
    for (const bson::Element& output : outputs.document())
        if (!walk_output(pipeline, output, tree)) return false;
    return true;
}

// Ranges over values that ciphertext does not order. `id`: where what they are made of comes to stand.
bool walk_buckets(Pipeline& pipeline, const bson::Element& stage, std::span<const std::string_view> options,
                  std::string_view id) {
    Request& request = pipeline.request;
    if (!stage.is_document()) return refuse_stage_shape(pipeline, stage, "an object");
    if (!refuse_duplicates(request, stage.document(), stage.key())) return false;
    config::SchemaNode tree;
    for (const bson::Element& option : stage.document()) {
        const std::string_view key = option.key();
        const std::size_t literals = request.literals;
        if (key == "groupBy") {
            if (!require_plain_input(request, option, stage.key()) ||
                !note_constants(request, option, id, literals))
                return false;
        } else if (key == "output") {
            if (!walk_outputs(pipeline, option, tree)) return false;
        } else if (std::find(options.begin(), options.end(), key) == options.end()) {
            return refuse_stage_shape(pipeline, stage, "no option " + quote(key));
        } else {
            const bool becomes_value = key != "buckets" && key != "granularity";
            if (!require_plain_input(request, option, stage.key()) ||
                (becomes_value && !note_constants(request, option, id, literals)))
                return false;
        }
    }
    pipeline.set_tree(std::move(tree));
    return true;
}

}  // namespace

std::span<const AccumulatorOperator> accumulator_operators() {
    return accumulators;
}

bool walk_count_stage(Pipeline& pipeline, const bson::Element& stage) {
    if (!stage.is_string()) return refuse_stage_shape(pipeline, stage, "the name of a field");
    pipeline.set_tree(config::SchemaNode());
    return true;
}

bool walk_group(Pipeline& pipeline, const bson::Element& stage) {
    Request& request = pipeline.request;
    if (!stage.is_document()) return refuse_stage_shape(pipeline, stage, "an object");
    if (!refuse_duplicates(request, stage.document(), stage.key())) return false;
    config::SchemaNode tree;
    for (const bson::Element& part : stage.document()) {
        if (part.key() != "_id") {
            if (!walk_output(pipeline, part, tree)) return false;
            continue;
        }
        // Names below `_id` are new ones, whatever they are: a constant there, as in { ssn: 777 }, is no
        // value of a field, and no later stage compares it with one or stores it as one.
        Value id;
        const std::size_t literals = request.literals;
        if (!evaluate(request, part, nullptr, id) || !note_constants(request, part, "_id", literals) ||
            !tell_apart(request, "Aggregation stage $group", id))
            return false;
        put_at(tree, "_id", std::move(id.node));
    }
    pipeline.set_tree(std::move(tree));
    return true;
}

bool walk_bucket(Pipeline& pipeline, const bson::Element& stage) {
    constexpr std::array<std::string_view, 2> options = {"boundaries", "default"};
    return walk_buckets(pipeline, stage, options, "_id");
}

bool walk_bucket_auto(Pipeline& pipeline, const bson::Element& stage) {
    constexpr std::array<std::string_view, 2> options = {"buckets", "granularity"};
    return walk_buckets(pipeline, stage, options, "_id.");  // _id: { min, max }
}

bool walk_sort_by_count(Pipeline& pipeline, const bson::Element& stage) {
    Request& request = pipeline.request;
    Value value;
    const std::size_t literals = request.literals;
    if (!evaluate(request, stage, nullptr, value) || !note_constants(request, stage, "_id", literals) ||
        !tell_apart(request, "Aggregation stage $sortByCount", value))
        return false;
    config::SchemaNode tree;
    put_at(tree, "_id", std::move(value.node));
    pipeline.set_tree(std::move(tree));
    return true;
}

}  // namespace fieldgate::analysis
