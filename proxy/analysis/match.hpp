#pragma once

#include <span>
#include <string_view>

#include "proxy/analysis/request.hpp"

// The match language: filters of find, update, delete, count, distinct, findAndModify and $match.
namespace fieldgate::analysis {

enum class MatchRule : std::uint8_t {
    logical,         // at the top of a filter: an array of filters
    pass_at_top,     // at the top of a filter: no field is named
    never,           // never on a protected namespace, wherever it stands
    expression,      // at the top of a filter: an aggregation expression
    equality,        // encrypted on a deterministic field; null only on a parent
    set,             // its elements like equality
    negation,        // its operators by their own rules
    existence,       // answers the same on ciphertext
    type_of_parent,  // answers the same on a parent, not on an encrypted field
    plain_only,      // cannot be answered on ciphertext
};

struct MatchOperator {
    std::string_view name;
    MatchRule rule;
};

std::span<const MatchOperator> match_operators();
const MatchOperator* find_match_operator(std::string_view name);

// A filter on documents of the request's schema: encrypts what is compared with deterministic fields, refuses
// what ciphertext cannot answer.
[[nodiscard]] bool walk_filter(Request& request, bson::DocumentView filter);
// One predicate of such a filter.
[[nodiscard]] bool walk_filter_element(Request& request, const bson::Element& element);
// A filter that the server keeps (a validator, a partial index): on protected fields only what needs no value
// of theirs. `what` names it in error texts.
[[nodiscard]] bool walk_kept_predicate(Request& request, const bson::Element& element, std::string_view what);
// A condition on values that are known to hold nothing protected: only what is never allowed is looked for.
[[nodiscard]] bool walk_plain_condition(Request& request, const bson::Element& condition);

}  // namespace fieldgate::analysis
