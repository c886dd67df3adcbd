#pragma once

#include <string_view>
#include <vector>

#include "proxy/analysis/expressions.hpp"

// What the files that evaluate expressions share: expressions.cpp (operators, comparisons),
// expression_branches.cpp (one operand of several, arrays), expression_paths.cpp (paths and variables),
// expression_objects.cpp (objects as values), and the accumulators of stages_group.cpp. Internal to them.
namespace fieldgate::analysis {

using config::SchemaNode;

[[nodiscard]] bool refuse_shape(Request& request, std::string_view name, std::string_view needs);
[[nodiscard]] bool refuse_value(Request& request, std::string_view where, const Value& value);

bool is_usable_as_plain(const Value& value);
// A node that no constant may stand in for, whatever it is wrapped in; null if the target takes any.
Target strict(Target target);
// Every operand of an operator that computes: objects here are named operands as well as values.
[[nodiscard]] bool require_plain(Request& request, const bson::Element& operand, std::string_view name,
                                 Target target);
// The element itself, or what stands in { $literal: ... }.
bson::Element inside_literal(const bson::Element& element);

// A condition or a comparison: what stands in it becomes part of no value.
template <class Walk>
bool decide(Request& request, const Walk& walk) {
    const std::size_t literals = request.literals;
    const bool admitted = walk();
    request.literals = literals;
    return admitted;
}

// What became of the constants in an expression whose value may stand where `other` may stand too.
enum class StandIn : std::uint8_t {
    refused,
    partly,  // those that stand for encrypted values are encrypted, but other values may come out
    wholly,  // nothing comes out but encrypted values of that field, or none
};
// Encrypts the constants that stand in for the values of `other`, so that whatever comes out is encrypted
// alike; `own`: what comes out of the expression, with the fields that it now has. Refuses constants that
// cannot be encrypted: of another type, inside what is computed, or where it is not known what is encrypted.
[[nodiscard]] StandIn stand_in(Request& request, const bson::Element& expression, const SchemaNode& other,
                               SchemaNode& own);

// "$path" and "$$variable.path".
[[nodiscard]] bool evaluate_path(Request& request, std::string_view text, Value& value);
// $cond, $ifNull and $switch.
[[nodiscard]] bool evaluate_condition(Request& request, const bson::Element& operands, Target target,
                                      Value& value);
[[nodiscard]] bool evaluate_if_null(Request& request, const bson::Element& operands, Target target,
                                    Value& value);
[[nodiscard]] bool evaluate_branches(Request& request, const bson::Element& operands, Target target,
                                     Value& value);
[[nodiscard]] bool evaluate_array(Request& request, bson::DocumentView array, Target target, Value& value);
// $size, $arrayElemAt and the like: of arrays that stages made, whatever is in them.
[[nodiscard]] bool evaluate_of_array(Request& request, const ExpressionOperator& op,
                                     const bson::Element& operands, Target target, Value& value);
[[nodiscard]] bool evaluate_let(Request& request, const bson::Element& operands, Target target, Value& value);
[[nodiscard]] bool evaluate_element_wise(Request& request, const ExpressionOperator& op,
                                         const bson::Element& operands, Target target);
[[nodiscard]] bool evaluate_merge(Request& request, const bson::Element& operands, Target target,
                                  Value& value);
// $getField, $setField and $unsetField: of the current document, or of `input`.
[[nodiscard]] bool evaluate_by_name(Request& request, const ExpressionOperator& op,
                                    const bson::Element& operands, Target target, Value& value);

}  // namespace fieldgate::analysis
