#include <map>
#include <string>
#include <utility>
#include <vector>

#include "proxy/analysis/expression_parts.hpp"
#include "proxy/analysis/projection.hpp"
#include "proxy/analysis/trees.hpp"

namespace fieldgate::analysis {
namespace {

// An object laid over another. `complete`: nothing but what the tree and `names` say can be in `below`.
struct Layers {
    SchemaNode below;
    bool complete = true;
    std::size_t objects = 0;              // laid so far whose names are not known
    std::vector<bson::Element> computed;  // those of them that have constants in them
    // A name of literal objects: what may still stand there and has constants in it, and whether anything
    // else may.
    struct Name {
        std::vector<bson::Element> literals;
        bool others = false;
        std::size_t objects = 0;
    };
    std::map<std::string_view, Name> names;
};

// Whether an object that an expression makes has this part whatever the document is.
bool is_always_there(const bson::Element& part) {
    if (part.is_array()) return true;
    if (part.is_document())
        return !begins_with_operator(part) || inside_literal(part).raw().data() != part.raw().data();
    return !(part.is_string() && part.string().starts_with('$'));
}

// What stands at a name where `over` may be missing: what it lies over comes out instead. Constants there
// stand in for its values.
bool merge_name(Request& request, const Layers& layers, const SchemaNode* was, std::string_view name,
                SchemaNode& over) {
    SchemaNode below = was == nullptr ? SchemaNode() : was->clone();
    const auto known = layers.names.find(name);
    if (known != layers.names.end()) {
        const Layers::Name& laid = known->second;
        bool wholly = !laid.literals.empty() && !laid.others && laid.objects == layers.objects;
        for (const bson::Element& literal : laid.literals) {
            const StandIn stood = stand_in(request, literal, over, below);
            if (stood == StandIn::refused) return false;
            wholly = wholly && stood == StandIn::wholly;
        }
        if (wholly && over.is_protected() && is_plain(below)) below = field_node(over.field);
    }
    if (!is_plain(over) && !layers.computed.empty()) {
        SchemaNode object;
        if (!request.charge(count_nodes(over))) return false;
        object.put_child(std::string(name), over.clone());
        for (const bson::Element& layer : layers.computed) {
            SchemaNode own;
            if (stand_in(request, layer, object, own) == StandIn::refused) return false;
        }
    }
    over = analysis::merge(std::move(over), below);
    return true;
}

// Whatever either says is encrypted, for constants that may come out beside both.
SchemaNode cover(SchemaNode a, const SchemaNode& b) {
    if (is_plain(b)) return a;
    if (is_plain(a)) return b.clone();
    const auto is_object = [](const SchemaNode& node) {
        return !node.is_protected() && !node.unknown && !node.array && !node.dotted_keys;
    };
    if (!is_object(a) || !is_object(b) || !b.patterns().empty()) return unknown_node();
    for (const auto& [name, child] : b.children()) {
        const SchemaNode* const had = a.child(name);
        a.put_child(name, cover(had == nullptr ? SchemaNode() : had->clone(), *child));
    }
    return a;
}

// One name of an object over what was there.
bool lay_name(Request& request, Layers& layers, const std::string& name, SchemaNode over, bool always_there) {
    if (!request.charge_child(layers.below)) return false;
    const SchemaNode* const was = layers.below.child(name);
    const bool absent = was == nullptr && layers.complete && !layers.names.contains(name);
    if (!always_there && !absent && !merge_name(request, layers, was, name, over)) return false;
    if (was != nullptr || !is_plain(over)) layers.below.put_child(name, std::move(over));
    return true;
}

bool lay_over(Request& request, const bson::Element& layer, Target target, Layers& layers, Value& value) {
    const bool literal = layer.is_document() && !begins_with_operator(layer);
    // A constant in it may come out where the object goes to, or beside what it is laid over.
    SchemaNode both;
    Target goes_to = &layers.below;
    if (target != nullptr && !is_plain(*target)) {
        goes_to = target;
        if (!is_plain(layers.below)) {
            if (!request.charge(count_nodes(*target))) return false;
            both = cover(target->clone(), layers.below);
            goes_to = &both;
        }
    }
    Value top;
    if (!evaluate(request, layer, goes_to, top)) return false;
    if (top.none) return true;
    if (value.path.empty()) value.path = top.path;
    value.replaced = value.replaced || top.replaced;
    if (top.node.is_protected() || top.node.unknown || top.node.array || top.node.dotted_keys ||
        !top.node.patterns().empty())
        return refuse_value(request, "$mergeObjects", top);
    if (literal) {
        for (const bson::Element& part : layer.document()) {
            const SchemaNode* child = top.node.child(part.key());
            if (!lay_name(request, layers, std::string(part.key()),
                          child == nullptr ? SchemaNode() : child->clone(), is_always_there(part)))
                return false;
            Layers::Name& laid = layers.names[part.key()];
            if (is_always_there(part)) laid = {{}, false, layers.objects};
            if (top.literals) laid.literals.push_back(part);
            laid.others = laid.others || !top.literals || !is_always_there(part);
        }
        return true;
    }
    const SchemaNode under = layers.below.clone();
    const bool complete = std::exchange(layers.complete, false);
    layers.below = overlay_unknown_object(std::move(layers.below));
    for (const auto& [name, child] : top.node.children()) {
        SchemaNode over = child->clone();
        const SchemaNode* const was = under.child(name);
        if ((was != nullptr || !complete || layers.names.contains(name)) &&
            !merge_name(request, layers, was, name, over))
            return false;
        if (!request.charge_child(layers.below)) return false;
        layers.below.put_child(name, std::move(over));
    }
    ++layers.objects;
    if (top.literals) layers.computed.push_back(layer);
    return true;
}

// What the value of one name goes to, in an object that goes to `target`: an encrypted field is one with all
// that is in it.
Target target_below(Target target, std::string_view name) {
    const bool whole = target != nullptr && (target->is_protected() || target->unknown);
    return target == nullptr || whole ? target : target->child(name);
}

}  // namespace

bool evaluate_merge(Request& request, const bson::Element& operands, Target target, Value& value) {
    Layers layers;
    if (!operands.is_array()) {
        if (!lay_over(request, operands, target, layers, value)) return false;
    } else {
        for (const bson::Element& operand : operands.document())
            if (!request.charge(count_nodes(layers.below)) ||
                !lay_over(request, operand, target, layers, value))
                return false;
    }
    value.node = std::move(layers.below);
    return true;
}

bool evaluate_by_name(Request& request, const ExpressionOperator& op, const bson::Element& operands,
                      Target target, Value& value) {
    std::optional<bson::Element> field;
    std::optional<bson::Element> set_to;
    Value input;
    const bool shorthand =
        op.name == "$getField" && !(operands.is_document() && operands.document().find("field"));
    if (shorthand) field = operands;
    if (!shorthand && !operands.is_document()) return refuse_shape(request, op.name, "field and input");
    bool has_input = false;
    if (!shorthand) {
        for (const bson::Element& operand : operands.document()) {
            if (operand.key() == "field") {
                field = operand;
            } else if (operand.key() == "input") {
                has_input = true;
                const Target from = op.name == "$getField" ? strict(target) : target;
                if (!evaluate(request, operand, from, input)) return false;
            } else if (operand.key() == "value" && op.name == "$setField") {
                set_to = operand;
            } else {
                return refuse_shape(request, op.name, "field, input and value, and nothing else");
            }
        }
    }
    if (!field) return refuse_shape(request, op.name, "field");
    if (!has_input) {
        input.path = "$$CURRENT";
        if (!request.charge(count_nodes(*request.tree))) return false;
        input.node = request.tree->clone();
        if (request.stored != nullptr && request.stored != request.tree) input.was = request.stored;
    }
    const bson::Element name = inside_literal(*field);
    const bool constant_name =
        name.is_string() && (name.raw().data() != field->raw().data() || !name.string().starts_with('$'));
    const std::string_view text = constant_name ? name.string() : std::string_view();
    value.path = input.path;
    if (op.name == "$getField") {
        // What a stage put where something was protected.
        const SchemaNode* const was =
            input.was == nullptr || !constant_name ? input.was : input.was->child(text);
        value.replaced =
            input.replaced ||
            (was != nullptr && !is_plain(*was) &&
             (!constant_name || input.node.child(text) == nullptr || is_plain(*input.node.child(text))));
    }
    if (is_plain(input.node)) {
        if (!constant_name && !require_plain(request, *field, op.name, nullptr)) return false;
        if (!set_to) return true;
        // Which name gets the value may only be known at runtime.
        const Target put = constant_name ? target_below(target, text) : strict(target);
        Value set;
        if (!evaluate(request, *set_to, put, set)) return false;
        if (is_plain(set.node)) return true;
        if (!constant_name || text.find('.') != std::string_view::npos || text.starts_with('$'))
            return refuse_value(request, op.name, set);
        value.node.put_child(std::string(text), std::move(set.node));
        return true;
    }
    if (!constant_name || input.node.is_protected() || input.node.unknown || input.node.array ||
        input.node.dotted_keys || text.find('.') != std::string_view::npos || text.starts_with('$') ||
        config::is_array_position(text))
        return refuse_value(request, op.name, input);
    const SchemaNode* child = input.node.child(text);
    if (op.name == "$getField") {
        if (child != nullptr) value.node = child->clone();
        return true;
    }
    // Names that one pattern stands for are one field, so the tree would not show the difference.
    if (request.updates_by_pipeline && child != nullptr && !is_plain(*child))
        return refuse_update_of_field(request, text);
    SchemaNode put;
    if (set_to) {
        const Target there = target_below(target, text);
        if (!walk_value(request, *set_to, there != nullptr ? there : child, put)) return false;
    }
    value.node = std::move(input.node);
    if (!request.charge_child(value.node)) return false;
    if (op.name == "$unsetField")
        remove_at(value.node, text);
    else
        put_at(value.node, text, std::move(put));
    return true;
}

}  // namespace fieldgate::analysis
