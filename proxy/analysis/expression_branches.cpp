#include <algorithm>
#include <array>
#include <iterator>
#include <utility>
#include <vector>

#include "proxy/analysis/expression_parts.hpp"
#include "proxy/analysis/trees.hpp"

// Expressions of which one operand is the value, and arrays, which hold them all.
namespace fieldgate::analysis {
namespace {

// Operands of which one is the value. Many that are alike in what matters are kept as one, so that memory is
// bounded by what trees are charged for.
class Operands {
 public:
    void add(Value value, const bson::Element& expression) {
        const bool constants = value.literals && !value.replaced && is_plain(value.node);
        if (constants && constants_.size() < constants_max)
            constants_.push_back(expression);
        else if (constants)
            too_many_ = true;
        else if (keep(value))
            values_.push_back({std::move(value), expression});
    }

    // Constants among the operands stand in for whatever encrypted value the others may have: a reader of the
    // result could not tell the one from the other, and neither may the server. After all were added.
    [[nodiscard]] bool encrypt_constants(Request& request) {
        std::vector<const SchemaNode*> others;
        for (const Operand& operand : values_) {
            const SchemaNode& node = operand.value.node;
            const bool known = std::any_of(others.begin(), others.end(), [&](const SchemaNode* other) {
                return node.is_protected() && other->field == node.field;
            });
            if (!known && !is_plain(node)) others.push_back(&node);
        }
        if (others.empty()) {
            if (!constants_.empty() && !has_plain_) values_.push_back({});
            return true;
        }
        if (too_many_)
            return request.refuse(code::command_not_supported,
                                  "An expression has more constants beside encrypted fields than fieldgate "
                                  "encrypts in one go");
        std::vector<Operand> made;
        for (const bson::Element& constant : constants_) {
            Value value;
            if (!stand_in_for(request, constant, others, nullptr, value.node)) return false;
            const bool again = value.node.is_protected() &&
                               std::any_of(made.begin(), made.end(), [&](const Operand& operand) {
                                   return operand.value.node.field == value.node.field;
                               });
            if (!again && keep(value)) made.push_back({std::move(value)});
        }
        std::vector<SchemaNode> alike(values_.size());  // what they become, applied when all are known
        for (std::size_t i = 0; i < values_.size(); ++i) {
            const Value& value = values_[i].value;
            if (!value.literals) continue;
            if (!request.charge(count_nodes(value.node))) return false;
            alike[i] = value.node.clone();
            if (!stand_in_for(request, *values_[i].expression, others, &value.node, alike[i])) return false;
        }
        for (std::size_t i = 0; i < alike.size(); ++i)
            if (values_[i].value.literals) values_[i].value.node = std::move(alike[i]);
        std::move(made.begin(), made.end(), std::back_inserter(values_));
        return true;
    }

    [[nodiscard]] bool combine(Request& request, Value& value) {
        bool first = true;
        bool has_plain = false;
        for (Operand& each : values_) {
            Value& operand = each.value;
            // No value fits every field, but an update would erase what was there.
            if (operand.none && !request.updates_by_pipeline) continue;
            value.replaced = value.replaced || operand.replaced;
            // What may be plain is as unknown as it was the first time.
            const bool plain = is_plain(operand.node);
            if (plain && has_plain) continue;
            has_plain = has_plain || plain;
            if (!request.charge(count_nodes(value.node) + count_nodes(operand.node))) return false;
            value.node =
                first ? std::move(operand.node) : analysis::merge(std::move(value.node), operand.node);
            if (first || value.path.empty()) value.path = operand.path;
            first = false;
        }
        value.none = first;
        return true;
    }

 private:
    struct Operand {
        Value value;
        std::optional<bson::Element> expression = std::nullopt;
    };
    // Nobody writes as many by hand.
    static constexpr std::size_t constants_max = 100'000;

    bool keep(const Value& value) {
        bool* const like = value.none             ? &has_none_
                           : value.replaced       ? &has_replaced_
                           : is_plain(value.node) ? &has_plain_
                                                  : nullptr;
        return like == nullptr || !std::exchange(*like, true);
    }

    static bool stand_in_for(Request& request, const bson::Element& expression,
                             const std::vector<const SchemaNode*>& others, const SchemaNode* itself,
                             SchemaNode& own) {
        for (const SchemaNode* const other : others) {
            if (other == itself) continue;
            const StandIn stood = stand_in(request, expression, *other, own);
            if (stood == StandIn::refused) return false;
            if (stood == StandIn::wholly && other->is_protected() && is_plain(own))
                own = field_node(other->field);
        }
        return true;
    }

    std::vector<Operand> values_;
    std::vector<bson::Element> constants_;  // expressions that are plain and made of constants
    bool too_many_ = false;
    bool has_none_ = false;
    bool has_replaced_ = false;
    bool has_plain_ = false;
};

}  // namespace

bool evaluate_condition(Request& request, const bson::Element& operands, Target target, Value& value) {
    constexpr std::string_view name = "$cond";
    constexpr std::array<std::string_view, 3> names = {"if", "then", "else"};
    Operands branches;
    std::size_t count = 0;
    if (!operands.is_array() && !operands.is_document())
        return refuse_shape(request, name, "if, then and else");
    for (const bson::Element& operand : operands.document()) {
        const auto at = operands.is_array()
                            ? names.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(count, 3))
                            : std::find(names.begin(), names.end(), operand.key());
        if (at == names.end()) return refuse_shape(request, name, "if, then and else, and nothing else");
        ++count;
        if (at == names.begin()) {
            if (!walk_condition(request, operand)) return false;
        } else {
            Value branch;
            if (!evaluate(request, operand, target, branch)) return false;
            branches.add(std::move(branch), operand);
        }
    }
    if (count != 3) return refuse_shape(request, name, "if, then and else, once each");
    return branches.encrypt_constants(request) && branches.combine(request, value);
}

bool evaluate_if_null(Request& request, const bson::Element& operands, Target target, Value& value) {
    if (!operands.is_array()) return refuse_shape(request, "$ifNull", "an array of operands");
    Operands values;
    std::size_t count = 0;
    for (auto at = operands.document().begin(); at != operands.document().end(); ++count) {
        Value operand;
        const bson::Element expression = *at;
        if (!evaluate(request, expression, target, operand)) return false;
        // It tells documents with the field from those without.
        if (++at != operands.document().end()) request.mark_used(operand.node, false);
        values.add(std::move(operand), expression);
    }
    if (count < 2) return refuse_shape(request, "$ifNull", "two operands or more");
    return values.encrypt_constants(request) && values.combine(request, value);
}

bool evaluate_branches(Request& request, const bson::Element& operands, Target target, Value& value) {
    constexpr std::string_view needs = "branches with case and then, and perhaps a default";
    if (!operands.is_document()) return refuse_shape(request, "$switch", needs);
    Operands values;
    for (const bson::Element& part : operands.document()) {
        if (part.key() == "default") {
            Value operand;
            if (!evaluate(request, part, target, operand)) return false;
            values.add(std::move(operand), part);
            continue;
        }
        if (part.key() != "branches" || !part.is_array()) return refuse_shape(request, "$switch", needs);
        for (const bson::Element& branch : part.document()) {
            if (!branch.is_document()) return refuse_shape(request, "$switch", needs);
            if (!refuse_duplicates(request, branch.document(), "a branch of $switch")) return false;
            for (const bson::Element& operand : branch.document()) {
                if (operand.key() == "case") {
                    if (!walk_condition(request, operand)) return false;
                } else if (operand.key() != "then") {
                    return refuse_shape(request, "$switch", needs);
                } else {
                    Value then;
                    if (!evaluate(request, operand, target, then)) return false;
                    values.add(std::move(then), operand);
                }
            }
        }
    }
    return values.encrypt_constants(request) && values.combine(request, value);
}

// Each position is a place of its own: a constant beside an encrypted value in an array stands in for none.
bool evaluate_array(Request& request, bson::DocumentView array, Target target, Value& value) {
    Operands elements;
    for (const bson::Element& element : array) {
        Value inner;
        if (!evaluate(request, element, target, inner)) return false;
        inner.literals = false;
        elements.add(std::move(inner), element);
    }
    if (!elements.combine(request, value)) return false;
    value.none = false;
    value.node = array_of(std::move(value.node));
    return true;
}

bool evaluate_of_array(Request& request, const ExpressionOperator& op, const bson::Element& operands,
                       Target target, Value& value) {
    const bool several = operands.is_array();
    if (several && operands.document().empty()) return true;
    const bson::Element first = several ? *operands.document().begin() : operands;
    // Of a literal every part is an operand.
    if (!first.is_string() && !begins_with_operator(first))
        return require_plain(request, operands, op.name, target);
    Value array;
    if (!evaluate(request, first, strict(target), array)) return false;
    const bool made = array.node.array && !array.node.unknown;
    if (!made && !is_usable_as_plain(array)) return refuse_value(request, op.name, array);
    if (several)
        for (auto at = ++operands.document().begin(); at != operands.document().end(); ++at) {
            const bson::Element position = *at;
            if (made ? !decide(request, [&] { return require_plain(request, position, op.name, nullptr); })
                     : !require_plain(request, position, op.name, target))
                return false;
        }
    if (!made) return true;
    if (op.name == "$size" || op.name == "$isArray") {
        // It tells how many have the field.
        if (array.node.is_protected()) request.mark_used(array.node, false);
        return true;
    }
    value.path = array.path;
    value.node = std::move(array.node);
    if (array.was != nullptr) distrust_replaced(value.node, *array.was);
    if (op.name != "$slice" && op.name != "$reverseArray") value.node.array = false;
    return true;
}

}  // namespace fieldgate::analysis
