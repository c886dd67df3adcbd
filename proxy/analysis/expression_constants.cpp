#include <algorithm>
#include <string>

#include "proxy/analysis/expression_parts.hpp"
#include "proxy/analysis/trees.hpp"
#include "proxy/analysis/values.hpp"

// Constants that stand in for encrypted values: { $ifNull: ["$ssn", 777] }. Where the field's value and the
// constant may come out at one place, the constant is a value of the field to whoever reads or compares what
// comes out, and is encrypted as one. A constant that meets no field is the client's own literal and leaves
// as it is. Followed within one expression; what a stage before put under a name is data.
namespace fieldgate::analysis {
namespace {

bool refuse_constant(Request& request, std::string_view why) {
    return request.refuse(code::operation_not_on_encrypted,
                          "A constant cannot stand in for an encrypted field: " + std::string(why));
}

bool is_path(const bson::Element& expression) {
    return expression.is_string() && expression.string().starts_with('$');
}

bool holds_literal(Request& request, const bson::Element& expression);

// $getField and its like: the name of the field is no value.
bool names_with_literals(Request& request, const bson::Element& op) {
    if (!op.is_document()) return false;
    const bson::DocumentView operands = op.document();
    return std::any_of(operands.begin(), operands.end(), [&](const bson::Element& operand) {
        return (operand.key() == "input" || operand.key() == "value") && holds_literal(request, operand);
    });
}

// Whether a constant that may become part of the value stands somewhere in it.
bool holds_literal(Request& request, const bson::Element& expression) {
    if (is_path(expression)) {
        if (!expression.string().starts_with("$$")) return false;
        const std::string_view text = expression.string().substr(2);
        const std::string_view name = text.substr(0, text.find('.'));
        const auto variable = std::find_if(request.variables.rbegin(), request.variables.rend(),
                                           [&](const Variable& each) { return each.name == name; });
        return variable != request.variables.rend() && variable->literals;
    }
    if (!expression.is_document() && !expression.is_array())
        return expression.type() != bson::Type::null && expression.type() != bson::Type::undefined;
    if (begins_with_operator(expression)) {
        const ExpressionOperator* const row =
            find_expression_operator((*expression.document().begin()).key());
        if (row != nullptr &&
            (row->rule == ExpressionRule::equality || row->rule == ExpressionRule::membership))
            return false;
        if (row != nullptr && row->rule == ExpressionRule::constant) {
            const bson::Element constant = *expression.document().begin();  // `$` begins no path in it
            return constant.is_document() || constant.is_array() ? !constant.document().empty()
                                                                 : constant.type() != bson::Type::null;
        }
        if (row != nullptr && row->rule == ExpressionRule::by_name)
            return names_with_literals(request, *expression.document().begin());
    }
    const bson::DocumentView parts = expression.document();
    return std::any_of(parts.begin(), parts.end(),
                       [&](const bson::Element& part) { return holds_literal(request, part); });
}

// What is computed cannot be encrypted.
StandIn stand_in_computed(Request& request, const bson::Element& expression, const SchemaNode& other) {
    if (!holds_literal(request, expression)) return StandIn::partly;
    static_cast<void>(refuse_constant(
        request, other.unknown ? "where it stands, whether something is encrypted is not known until runtime"
                               : "only one that stands there as it is can be encrypted, not inside " +
                                     quote(expression.key())));
    return StandIn::refused;
}

StandIn stand_in_constant(Request& request, const bson::Element& constant, const SchemaNode& other) {
    if (constant.type() == bson::Type::null || constant.type() == bson::Type::undefined)
        return StandIn::wholly;
    if (other.unknown || other.array || other.dotted_keys) {
        static_cast<void>(refuse_constant(
            request, "where it stands, whether something is encrypted is not known until runtime"));
        return StandIn::refused;
    }
    // An object's place: no field's value is a constant there.
    if (!other.is_protected()) return StandIn::partly;
    const config::EncryptedField& field = request.field(other.field);
    // A truth value says nothing that a field of other values could hold.
    if (constant.type() == bson::Type::boolean &&
        !field.allows(static_cast<std::uint8_t>(bson::Type::boolean)))
        return StandIn::partly;
    if (!request.stood_in.insert(constant.raw().data()).second) return StandIn::wholly;
    // Whoever may not compare with the field gets no ciphertext of a value of its choice either.
    if (field.algorithm == config::Algorithm::deterministic)
        request.mark_matched(other.field);
    else
        request.use(other.field).matched = true;
    return compare_value(request, constant, other.field) ? StandIn::wholly : StandIn::refused;
}

StandIn stand_in_object(Request& request, const bson::Element& object, const SchemaNode& other,
                        SchemaNode& own) {
    if (other.is_protected() || other.unknown || other.array || other.dotted_keys)
        return stand_in_computed(request, object, other);
    for (const bson::Element& part : object.document()) {
        const SchemaNode* const there = other.child(part.key());
        if (there == nullptr || is_plain(*there)) continue;
        const SchemaNode* const had = own.child(part.key());
        SchemaNode made = had == nullptr ? SchemaNode() : had->clone();
        const StandIn stood = stand_in(request, part, *there, made);
        if (stood == StandIn::refused) return stood;
        if (stood == StandIn::wholly && there->is_protected() && is_plain(made))
            made = field_node(there->field);
        if (is_plain(made)) continue;
        if (!request.charge_child(own)) return StandIn::refused;
        own.put_child(std::string(part.key()), std::move(made));
    }
    return StandIn::partly;
}

// { $literal: <object> }: what has names of its own stands in for nothing.
StandIn stand_in_literal(Request& request, const bson::Element& expression, bson::DocumentView object,
                         const SchemaNode& other) {
    const bool whole = other.is_protected() || other.unknown || other.array || other.dotted_keys;
    for (const bson::Element& part : object) {
        const SchemaNode* const there = whole ? &other : other.child(part.key());
        if (there != nullptr && !is_plain(*there)) return stand_in_computed(request, expression, *there);
    }
    return StandIn::partly;
}

// Objects that others are laid over: what comes out of a name is not told, so that its constants may stand
// only where nothing is encrypted.
StandIn stand_in_layers(Request& request, const bson::Element& layer, const SchemaNode& other) {
    if (other.is_protected() || other.unknown || other.array || other.dotted_keys)
        return stand_in_computed(request, layer, other);
    const auto each = [&](const bson::Element& part, const SchemaNode& there) {
        return is_plain(there) || stand_in_computed(request, part, there) != StandIn::refused;
    };
    if (layer.is_array()) {
        for (const bson::Element& inner : layer.document())
            if (stand_in_layers(request, inner, other) == StandIn::refused) return StandIn::refused;
        return StandIn::partly;
    }
    if (!layer.is_document()) return stand_in_computed(request, layer, other);
    if (!begins_with_operator(layer)) {
        for (const bson::Element& part : layer.document()) {
            const SchemaNode* const there = other.child(part.key());
            if (there != nullptr && !each(part, *there)) return StandIn::refused;
        }
        return StandIn::partly;
    }
    const bson::Element op = *layer.document().begin();
    if (op.key() == "$mergeObjects") return stand_in_layers(request, op, other);
    if (op.key() != "$setField" || !op.is_document()) return stand_in_computed(request, layer, other);
    const auto field = op.document().find("field");
    const auto value = op.document().find("value");
    const auto input = op.document().find("input");
    const bson::Element name = field ? inside_literal(*field) : op;
    if (!value || !input || !name.is_string()) return stand_in_computed(request, layer, other);
    const SchemaNode* const there = other.child(name.string());
    if (there != nullptr && !each(*value, *there)) return StandIn::refused;
    return stand_in_layers(request, *input, other);
}

// { $cond | $ifNull | $switch: ... }: each operand that may be the value.
StandIn stand_in_operands(Request& request, const bson::Element& op, ExpressionRule rule,
                          const SchemaNode& other, SchemaNode& own) {
    StandIn all = StandIn::wholly;
    const auto visit = [&](const bson::Element& operand) {
        const StandIn stood = stand_in(request, operand, other, own);
        if (stood != StandIn::wholly) all = stood;
        return stood != StandIn::refused;
    };
    std::size_t position = 0;
    for (const bson::Element& part : op.document()) {
        const bool first = position++ == 0;
        if (rule == ExpressionRule::branches && part.key() == "branches") {
            for (const bson::Element& branch : part.document())
                if (const auto then = branch.document().find("then"); then && !visit(*then)) return all;
            continue;
        }
        const bool condition =
            rule == ExpressionRule::condition && (op.is_array() ? first : part.key() == "if");
        if (!condition && !visit(part)) return all;
    }
    return all;
}

}  // namespace

StandIn stand_in(Request& request, const bson::Element& expression, const SchemaNode& other,
                 SchemaNode& own) {
    constexpr std::size_t bytes_per_node = 64;
    if (is_plain(other) || own.is_protected()) return StandIn::partly;
    if (!request.charge(1 + expression.raw().size() / bytes_per_node)) return StandIn::refused;
    if (is_path(expression) || expression.is_array()) return stand_in_computed(request, expression, other);
    if (!expression.is_document()) return stand_in_constant(request, expression, other);
    if (!begins_with_operator(expression)) return stand_in_object(request, expression, other, own);
    const bson::Element op = *expression.document().begin();
    const ExpressionOperator* const row = find_expression_operator(op.key());
    const ExpressionRule rule = row == nullptr ? ExpressionRule::plain_only : row->rule;
    switch (rule) {
        case ExpressionRule::constant:
            if (op.is_document()) return stand_in_literal(request, expression, op.document(), other);
            return op.is_array() ? stand_in_computed(request, expression, other)
                                 : stand_in_constant(request, op, other);
        case ExpressionRule::condition:
        case ExpressionRule::if_null:
        case ExpressionRule::branches:
            return stand_in_operands(request, op, rule, other, own);
        case ExpressionRule::merge:
        case ExpressionRule::by_name:
            return stand_in_layers(request, expression, other);
        default:
            return stand_in_computed(request, expression, other);
    }
}

namespace {

bool note_path(Request& request, const std::string& path) {
    constexpr std::size_t bytes_per_node = 16;
    if (path.empty() || request.literal_paths.contains(path)) return true;
    if (!request.charge(1 + path.size() / bytes_per_node)) return false;
    request.literal_paths.insert(path);
    return true;
}

// Any path of the document.
constexpr std::string_view anywhere = ".";

// A whole document that is computed: any name in the expression may be one of its own, and if values become
// names, any name at all.
bool note_names(Request& request, const bson::Element& expression) {
    if (!expression.is_document() && !expression.is_array()) return true;
    for (const bson::Element& part : expression.document()) {
        if (part.key() == "$arrayToObject" || part.key() == "$setField")
            return note_path(request, std::string(anywhere));
        const bool name = expression.is_document() && !part.key().starts_with('$');
        if ((name && !note_path(request, std::string(part.key()))) || !note_names(request, part))
            return false;
    }
    return true;
}

bool note_paths(Request& request, const bson::Element& expression, const std::string& path);

// { $setField: ... } as a whole document.
bool note_set_field(Request& request, const bson::Element& op) {
    const auto field = op.document().find("field");
    const auto value = op.document().find("value");
    const auto input = op.document().find("input");
    const bson::Element name = field ? inside_literal(*field) : op;
    const bool constant = name.is_string() && !name.string().starts_with('$') &&
                          name.string().find('.') == std::string_view::npos;
    if (!constant || !value) return note_path(request, std::string(anywhere));
    return note_paths(request, *value, std::string(name.string())) &&
           (!input || note_paths(request, *input, ""));
}

// What may come out of an operator comes out where it stands.
bool note_operands(Request& request, const bson::Element& op, const std::string& path) {
    const ExpressionOperator* const row = find_expression_operator(op.key());
    const auto each = [&](const bson::Element& operand) { return note_paths(request, operand, path); };
    const bson::DocumentView parts = op.is_document() || op.is_array() ? op.document() : bson::DocumentView();
    switch (row == nullptr ? ExpressionRule::plain_only : row->rule) {
        case ExpressionRule::equality:
        case ExpressionRule::membership:
            return true;
        case ExpressionRule::condition:
            return std::all_of(parts.begin(), parts.end(), [&](const bson::Element& part) {
                return part.key() == "if" || (op.is_array() && part.key() == "0") || each(part);
            });
        case ExpressionRule::if_null:
            return std::all_of(parts.begin(), parts.end(), each);
        case ExpressionRule::merge:
            return op.is_array() ? std::all_of(parts.begin(), parts.end(), each) : each(op);
        case ExpressionRule::branches:
            for (const bson::Element& part : parts) {
                if (part.key() == "default" && !each(part)) return false;
                if (part.key() != "branches") continue;
                for (const bson::Element& branch : part.document())
                    if (const auto then = branch.document().find("then"); then && !each(*then)) return false;
            }
            return true;
        case ExpressionRule::by_name:
            if (path.empty() && op.key() == "$setField") return note_set_field(request, op);
            [[fallthrough]];
        default:
            if (path.empty())
                return op.key() == "$arrayToObject" ? note_path(request, std::string(anywhere))
                                                    : note_names(request, op);
            // What is computed may be an object with any names.
            return !holds_literal(request, op) || note_path(request, path + ".");
    }
}

bool note_paths(Request& request, const bson::Element& expression, const std::string& path) {
    if (begins_with_operator(expression)) return note_operands(request, *expression.document().begin(), path);
    if (!expression.is_document() && !expression.is_array())
        return !holds_literal(request, expression) || note_path(request, path);
    for (const bson::Element& part : expression.document()) {
        const bool name = expression.is_document();
        if (!note_paths(request, part,
                        !name ? path : (path.empty() ? "" : path + ".") + std::string(part.key())))
            return false;
    }
    return true;
}

}  // namespace

bool note_inner_constants(Request& request, std::string_view name, const std::set<std::string>& inner) {
    return std::all_of(inner.begin(), inner.end(), [&](const std::string& path) {
        return note_path(request, std::string(name) + "." + path);
    });
}

bool note_constants(Request& request, const bson::Element& expression, std::string_view path,
                    std::size_t before) {
    // Only a union asks for them.
    if (!request.unites || request.literals == before) return true;
    return note_path(request, std::string(path)) && note_paths(request, expression, std::string(path));
}

}  // namespace fieldgate::analysis
