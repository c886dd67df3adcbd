#pragma once

#include <span>
#include <string_view>

#include "proxy/analysis/request.hpp"

// Update documents of update and findAndModify: replacements and update operators.
namespace fieldgate::analysis {

enum class UpdateRule : std::uint8_t {
    set,            // values are encrypted; parts of an overwritten object that the new one lacks are erased
    set_on_insert,  // values are encrypted
    unset,          // passes: what it removes is erased
    rename,         // between plain paths, or between fields that are encrypted alike
    plain_only,     // needs the stored value, which is ciphertext
};

struct UpdateOperator {
    std::string_view name;
    UpdateRule rule;
    std::string_view phrase;  // of the refusal
};

std::span<const UpdateOperator> update_operators();
const UpdateOperator* find_update_operator(std::string_view name);

// The value of an update statement's `u` or of findAndModify's `update`.
[[nodiscard]] bool walk_update(Request& request, const bson::Element& update);
// Conditions on elements of plain arrays: identifiers below encrypted fields are refused where they are used.
[[nodiscard]] bool walk_array_filters(Request& request, const bson::Element& array_filters);

}  // namespace fieldgate::analysis
