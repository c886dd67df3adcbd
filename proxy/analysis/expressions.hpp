#pragma once

#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "proxy/analysis/request.hpp"

// Aggregation expressions: in $expr, in stages, in projections ("Supported Operations for Automatic
// Encryption" of the manual). Constants that a deterministic field is compared with are encrypted; what
// ciphertext cannot answer is refused.
namespace fieldgate::analysis {

enum class ExpressionRule : std::uint8_t {
    plain_only,    // computes from values, which ciphertext is not
    equality,      // $eq, $ne: constants are encrypted, fields of one encryption may be compared
    membership,    // $in
    condition,     // $cond
    if_null,       // its value is one of its operands
    branches,      // $switch
    variables,     // $let
    of_array,      // $size, $arrayElemAt: of arrays that stages made they tell no value; others are plain
    element_wise,  // $map, $filter, $reduce: variables over the elements of a plain array
    constant,      // $literal
    by_name,       // $getField, $setField, $unsetField: the field's name is a constant
    merge,         // $mergeObjects
    metadata,      // says nothing of the document's values: $meta, $rand
    never,         // JavaScript
};

struct ExpressionOperator {
    std::string_view name;
    ExpressionRule rule;
};

std::span<const ExpressionOperator> expression_operators();
const ExpressionOperator* find_expression_operator(std::string_view name);

// What an expression's value is.
struct Value {
    config::SchemaNode node;
    std::optional<bson::Element> constant = std::nullopt;  // a literal: its element in the message
    bool none = false;                                     // null, a missing field, $$REMOVE: no value at all
    // Constants of the client may stand in it: it is one, or made of some.
    bool literals = false;
    bool replaced = false;       // a path that was protected in the store, and that a stage made plain
    std::string_view path = {};  // of a field, as the client wrote it, for error texts
    // Of a path in documents that stages changed: what was protected there in the store; null: nothing.
    const config::SchemaNode* was = nullptr;
};

// What documents have where the value goes; null: nothing protected. A constant for a protected path would be
// sent in clear.
using Target = const config::SchemaNode*;

[[nodiscard]] bool evaluate(Request& request, const bson::Element& expression, Target target, Value& value);

// An expression that decides about documents ($expr, $cond's condition): its value must be plain.
[[nodiscard]] bool walk_condition(Request& request, const bson::Element& expression);

// Notes where constants of the client come to stand if the value of an expression is put at `path` (empty: it
// is the whole document). `before`: Request::literals before it was walked.
[[nodiscard]] bool note_constants(Request& request, const bson::Element& expression, std::string_view path,
                                  std::size_t before);
// The same for documents that a pipeline of its own makes, and that are put into an array of that name;
// `inner`: what was noted of them.
[[nodiscard]] bool note_inner_constants(Request& request, std::string_view name,
                                        const std::set<std::string>& inner);

// An expression whose value becomes part of a document: `result` says what stands there afterwards.
[[nodiscard]] bool walk_value(Request& request, const bson::Element& expression, Target target,
                              config::SchemaNode& result);

// `let` of a command: variables for expressions. Their values are constants or computed from constants; none
// can be compared with a protected field.
[[nodiscard]] bool walk_let(Request& request, const bson::Element& let);
// { name: expression } of $let and of $lookup, evaluated where the walker stands; puts them in scope.
// `target` is that of what is computed with them.
[[nodiscard]] bool bind_variables(Request& request, const bson::Element& variables, Target target);

// Two values that the server compares by equality: encrypts a constant opposite a field, notes the fields.
[[nodiscard]] bool compare_values(Request& request, std::string_view where, const Value& a, const Value& b);
// A value by whose equality documents are told apart ($group, $addToSet): fields are noted as named. `where`
// for error texts.
[[nodiscard]] bool tell_apart(Request& request, std::string_view where, const Value& value);

// Servers disagree about which of two operands of one name counts.
[[nodiscard]] bool refuse_duplicates(Request& request, bson::DocumentView document, std::string_view owner);

[[nodiscard]] bool refuse_expression(Request& request, std::string_view where, std::string_view path);

}  // namespace fieldgate::analysis
