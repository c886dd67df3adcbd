#include "proxy/analysis/expressions.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "proxy/analysis/expression_parts.hpp"
#include "proxy/analysis/trees.hpp"
#include "proxy/analysis/values.hpp"

namespace fieldgate::analysis {

bool refuse_shape(Request& request, std::string_view name, std::string_view needs) {
    return request.refuse(code::failed_to_parse,
                          "Aggregation expression " + std::string(name) + " needs " + std::string(needs));
}

bool refuse_value(Request& request, std::string_view where, const Value& value) {
    if (value.replaced)
        return request.refuse(code::operation_not_on_encrypted,
                              std::string(where) + " cannot use " + quote(value.path) +
                                  ", which is encrypted in the store and was replaced by a stage before: "
                                  "give what stages compute "
                                  "names that no encrypted field has");
    if (any_of_tree(value.node, [](const SchemaNode& node) { return node.unknown; }))
        return request.refuse(
            code::operation_not_on_encrypted,
            "Cannot get metadata for path whose encryption properties are not known until runtime: " +
                std::string(where) + " of " + quote(value.path));
    return refuse_expression(request, where, value.path);
}

bool is_usable_as_plain(const Value& value) {
    return !value.replaced && is_plain(value.node);
}

Target strict(Target target) {
    static const SchemaNode anything = unknown_node();
    return target == nullptr || is_plain(*target) ? nullptr : &anything;
}

bool require_plain(Request& request, const bson::Element& operand, std::string_view name, Target target) {
    if ((operand.is_document() && !begins_with_operator(operand)) || operand.is_array()) {
        for (const bson::Element& part : operand.document())
            if (!require_plain(request, part, name, target)) return false;
        return true;
    }
    Value value;
    if (!evaluate(request, operand, strict(target), value)) return false;
    return is_usable_as_plain(value) || refuse_value(request, name, value);
}

bson::Element inside_literal(const bson::Element& element) {
    if (!element.is_document() || element.document().empty()) return element;
    const bson::Element first = *element.document().begin();
    return first.key() == "$literal" || first.key() == "$const" ? first : element;
}

namespace {

bool evaluate_scalar(Request& request, const bson::Element& expression, Target target, Value& value) {
    if (expression.is_string() && expression.string().starts_with('$'))
        return evaluate_path(request, expression.string(), value);
    value.constant = expression;
    value.none = expression.type() == bson::Type::null || expression.type() == bson::Type::undefined;
    if (!value.none) ++request.literals;
    // A truth value says nothing that a field of many values could hold, and existence is not hidden.
    if (target == nullptr || is_plain(*target) || value.none || expression.type() == bson::Type::boolean)
        return true;
    return request.refuse(code::operation_not_on_encrypted,
                          "A constant cannot stand in for an encrypted field: " + quote(expression.key()) +
                              " is computed at its path");
}

bool evaluate_equality(Request& request, const ExpressionOperator& op, const bson::Element& operands) {
    std::array<Value, 2> values;
    std::size_t count = 0;
    if (!operands.is_array()) return refuse_shape(request, op.name, "an array of two operands");
    for (const bson::Element& operand : operands.document()) {
        if (count == 2) return refuse_shape(request, op.name, "two operands");
        if (!evaluate(request, operand, nullptr, values[count++])) return false;
    }
    if (count != 2) return refuse_shape(request, op.name, "two operands");
    return compare_values(request, op.name, values[0], values[1]);
}

bool evaluate_membership(Request& request, const bson::Element& operands) {
    constexpr std::string_view name = "$in";
    if (!operands.is_array()) return refuse_shape(request, name, "an array of two operands");
    std::vector<bson::Element> two(operands.document().begin(), operands.document().end());
    if (two.size() != 2) return refuse_shape(request, name, "two operands");
    Value needle;
    if (!evaluate(request, two[0], nullptr, needle)) return false;
    const bson::Element list = inside_literal(two[1]);
    if (!list.is_array()) {
        Value haystack;
        if (!evaluate(request, two[1], nullptr, haystack)) return false;
        if (!is_usable_as_plain(haystack)) return refuse_value(request, name, haystack);
        return is_usable_as_plain(needle) || refuse_value(request, name, needle);
    }
    const bool literal = &list != &two[1] && list.raw().data() != two[1].raw().data();
    for (const bson::Element& element : list.document()) {
        Value candidate;
        if (literal)
            candidate.constant = element, candidate.none = element.type() == bson::Type::null;
        else if (!evaluate(request, element, nullptr, candidate))
            return false;
        // One constant opposite several fields would need several ciphertexts.
        if (!needle.node.is_protected() && !is_usable_as_plain(candidate))
            return refuse_value(request, name, candidate);
        if (!compare_values(request, name, needle, candidate)) return false;
    }
    return true;
}

bool evaluate_operator(Request& request, const bson::Element& op, Target target, Value& value) {
    const ExpressionOperator* row = find_expression_operator(op.key());
    if (row == nullptr)
        return request.refuse(
            code::operation_not_on_encrypted,
            "Unknown aggregation expression, or one that fieldgate does not know: " + quote(op.key()) +
                " is not allowed where encrypted fields could be reached");
    const bool has_names = op.is_document() && row->rule != ExpressionRule::constant;
    if (has_names && !refuse_duplicates(request, op.document(), row->name)) return false;
    switch (row->rule) {
        case ExpressionRule::plain_only:
            return require_plain(request, op, row->name, target);
        case ExpressionRule::equality:
            return decide(request, [&] { return evaluate_equality(request, *row, op); });
        case ExpressionRule::membership:
            return decide(request, [&] { return evaluate_membership(request, op); });
        case ExpressionRule::condition:
            return evaluate_condition(request, op, target, value);
        case ExpressionRule::if_null:
            return evaluate_if_null(request, op, target, value);
        case ExpressionRule::branches:
            return evaluate_branches(request, op, target, value);
        case ExpressionRule::variables:
            return evaluate_let(request, op, target, value);
        case ExpressionRule::of_array:
            return evaluate_of_array(request, *row, op, target, value);
        case ExpressionRule::element_wise:
            return evaluate_element_wise(request, *row, op, target);
        case ExpressionRule::constant: {
            value.constant = op;
            value.none = op.type() == bson::Type::null;
            if (!value.none) ++request.literals;
            if (target == nullptr || is_plain(*target) || value.none || op.type() == bson::Type::boolean)
                return true;
            return request.refuse(code::operation_not_on_encrypted,
                                  "A constant cannot stand in for an encrypted field: $literal");
        }
        case ExpressionRule::by_name:
            return evaluate_by_name(request, *row, op, target, value);
        case ExpressionRule::merge:
            return evaluate_merge(request, op, target, value);
        case ExpressionRule::metadata:
            if (strict(target) == nullptr) return true;
            return request.refuse(
                code::operation_not_on_encrypted,
                "A constant cannot stand in for an encrypted field: " + std::string(row->name));
        case ExpressionRule::never:
            break;
    }
    return request.refuse(
        code::operation_not_on_encrypted,
        "Aggregation expression " + std::string(row->name) +
            " runs JavaScript on the server, which is not allowed where encrypted fields could "
            "be reached");
}

bool evaluate_object(Request& request, bson::DocumentView object, Target target, Value& value) {
    if (!refuse_duplicates(request, object, "an object")) return false;
    const bool whole = target != nullptr && (target->is_protected() || target->unknown);
    for (const bson::Element& part : object) {
        const std::string_view key = part.key();
        if (key.starts_with('$') || key.find('.') != std::string_view::npos)
            return request.refuse(
                code::failed_to_parse,
                "An object in an aggregation expression cannot have a field named " + quote(key));
        Value inner;
        const Target there = target == nullptr || whole ? target : target->child(key);
        if (!evaluate(request, part, there, inner)) return false;
        if (inner.replaced || !is_plain(inner.node)) value.path = inner.path;
        if (inner.replaced) value.replaced = true;
        if (is_plain(inner.node)) continue;
        if (!request.charge_child(value.node)) return false;
        value.node.add_child(std::string(key)) = std::move(inner.node);
    }
    return true;
}

bool evaluate_any(Request& request, const bson::Element& expression, Target target, Value& value) {
    if (expression.is_array()) return evaluate_array(request, expression.document(), target, value);
    if (!expression.is_document()) return evaluate_scalar(request, expression, target, value);
    const bson::DocumentView document = expression.document();
    if (!begins_with_operator(expression)) return evaluate_object(request, document, target, value);
    if (++document.begin() != document.end())
        return request.refuse(code::failed_to_parse,
                              "An object representing an expression must have exactly one field");
    return evaluate_operator(request, *document.begin(), target, value);
}

}  // namespace

bool refuse_duplicates(Request& request, bson::DocumentView document, std::string_view owner) {
    const auto twice = name_that_repeats(document);
    return !twice || request.refuse(code::failed_to_parse,
                                    "The field " + quote(*twice) + " stands twice in " + std::string(owner));
}

bool refuse_expression(Request& request, std::string_view where, std::string_view path) {
    return request.refuse(
        code::operation_not_on_encrypted,
        "Aggregation expression " + std::string(where) + " is not allowed on encrypted field " + quote(path));
}

bool evaluate(Request& request, const bson::Element& expression, Target target, Value& value) {
    const std::size_t literals = request.literals;
    if (!evaluate_any(request, expression, target, value)) return false;
    value.literals = request.literals != literals;
    return true;
}

bool walk_condition(Request& request, const bson::Element& expression) {
    return decide(request, [&] {
        Value value;
        if (!evaluate(request, expression, nullptr, value)) return false;
        return is_usable_as_plain(value) || refuse_value(request, "as a condition", value);
    });
}

bool walk_value(Request& request, const bson::Element& expression, Target target,
                config::SchemaNode& result) {
    Value value;
    if (!evaluate(request, expression, target, value)) return false;
    result = std::move(value.node);
    return true;
}

bool compare_values(Request& request, std::string_view where, const Value& a, const Value& b) {
    if (is_usable_as_plain(a) && is_usable_as_plain(b)) return true;
    const Value& field = a.node.is_protected() ? a : b;
    const Value& other = a.node.is_protected() ? b : a;
    if (!field.node.is_protected() || field.node.array)
        return refuse_value(request, where, is_usable_as_plain(a) ? b : a);
    const config::EncryptedField& definition = request.field(field.node.field);
    if (definition.algorithm == config::Algorithm::random)
        return request.refuse(code::operation_not_on_encrypted,
                              "Cannot query on fields encrypted with the randomized encryption algorithm: " +
                                  quote(field.path));
    if (other.none)
        return request.refuse(
            code::operation_not_on_encrypted,
            (where == "$in" ? "Illegal equality to null inside $in against an encrypted field: "
                            : "Illegal equality to null predicate for encrypted field: ") +
                quote(field.path));
    request.mark_matched(field.node.field);
    if (other.constant) return compare_value(request, *other.constant, field.node.field);
    if (other.node.is_protected() && !other.node.array) {
        if (!request.plan.fields->same_encryption(field.node.field, other.node.field))
            return request.refuse(code::operation_not_on_encrypted,
                                  std::string(where) +
                                      " of two encrypted fields needs the same algorithm, key and "
                                      "type in both: " +
                                      quote(field.path) + " and " + quote(other.path));
        request.mark_matched(other.node.field);
        return true;
    }
    if (!is_plain(other.node) || other.replaced) return refuse_value(request, where, other);
    return request.refuse(code::operation_not_on_encrypted,
                          std::string(where) + " cannot compare encrypted field " + quote(field.path) +
                              " with the result of another expression: only with a constant");
}

bool tell_apart(Request& request, std::string_view where, const Value& value) {
    if (is_plain(value.node)) return true;
    const auto is_odd = [](const auto& self, const SchemaNode& node) -> bool {
        bool odd = node.unknown || node.array || node.dotted_keys || !node.patterns().empty();
        for (const auto& [name, child] : node.children()) odd = odd || self(self, *child);
        return odd;
    };
    if (is_odd(is_odd, value.node)) return refuse_value(request, where, value);
    const bool random = any_of_tree(value.node, [&](const SchemaNode& node) {
        return request.field(node.field).algorithm == config::Algorithm::random;
    });
    if (random)
        return request.refuse(
            code::operation_not_on_encrypted,
            std::string(where) +
                " cannot tell values apart that are encrypted with the randomized encryption "
                "algorithm: " +
                quote(value.path));
    const auto note = [&](const auto& self, const SchemaNode& node) -> void {
        if (node.is_protected()) {
            request.use(node.field).named = true;
            request.statement.matched.push_back(node.field);  // no collation
        }
        node.for_each_child([&](const SchemaNode& child) { self(self, child); });
    };
    note(note, value.node);
    return true;
}

}  // namespace fieldgate::analysis