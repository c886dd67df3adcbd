#include "proxy/analysis/updates.hpp"

#include <algorithm>
#include <array>

#include "proxy/analysis/match.hpp"
#include "proxy/analysis/pipeline.hpp"
#include "proxy/analysis/values.hpp"

namespace fieldgate::analysis {
namespace {

constexpr std::array operators{
    UpdateOperator{"$set", UpdateRule::set, "$set cannot reach below an encrypted field"},
    UpdateOperator{"$setOnInsert", UpdateRule::set_on_insert,
                   "$setOnInsert cannot reach below an encrypted field"},
    UpdateOperator{"$unset", UpdateRule::unset, "$unset cannot reach below an encrypted field"},
    UpdateOperator{"$rename", UpdateRule::rename,
                   "$rename between two encrypted fields must have the same metadata or both be unencrypted"},
    UpdateOperator{"$inc", UpdateRule::plain_only, "$inc and $mul not allowed on encrypted values"},
    UpdateOperator{"$mul", UpdateRule::plain_only, "$inc and $mul not allowed on encrypted values"},
    UpdateOperator{"$min", UpdateRule::plain_only, "$max and $min not allowed on encrypted values"},
    UpdateOperator{"$max", UpdateRule::plain_only, "$max and $min not allowed on encrypted values"},
    UpdateOperator{"$currentDate", UpdateRule::plain_only, "$currentDate not allowed on encrypted values"},
    UpdateOperator{"$addToSet", UpdateRule::plain_only, "$addToSet not allowed on encrypted values"},
    UpdateOperator{"$pop", UpdateRule::plain_only, "$pop not allowed on encrypted values"},
    UpdateOperator{"$pull", UpdateRule::plain_only, "$pull not allowed on encrypted values"},
    UpdateOperator{"$pullAll", UpdateRule::plain_only, "$pullAll not allowed on encrypted values"},
    UpdateOperator{"$push", UpdateRule::plain_only, "$push not allowed on encrypted values"},
    UpdateOperator{"$bit", UpdateRule::plain_only, "$bit not allowed on encrypted values"},
};

bool refuse_path(Request& request, std::string_view phrase, std::string_view path) {
    return request.refuse(code::operation_not_on_encrypted, std::string(phrase) + ": " + quote(path));
}

// A path through array elements chosen at run time may touch plain paths only.
bool admit_positional(Request& request, std::string_view path) {
    if (resolve(*request.tree, without_positions(path)).is_plain()) return true;
    return refuse_path(request,
                       path.find("$[") != std::string_view::npos
                           ? "Array update operations not allowed on encrypted values"
                           : "Cannot encrypt fields below '$' positional update operator",
                       path);
}

bool set_path(Request& request, const UpdateOperator& op, const bson::Element& element) {
    const Resolution at = resolve(*request.tree, element.key());
    const Stored stored = op.rule == UpdateRule::set ? Stored::overwrite : Stored::insert;
    switch (at.kind) {
        case Resolution::Kind::plain:
            return true;
        case Resolution::Kind::field:
            // Taken out of the operator, the null would leave the old value where it is.
            if (op.rule == UpdateRule::set && omits_null(request, element, at.node->field))
                return request.refuse(
                    code::field_cannot_be_encrypted,
                    "Cannot encrypt element of type: null, and `nulls: omit` cannot leave out "
                    "what $set gives: use $unset for field " +
                        quote(element.key()));
            return store_value(request, element, at.node->field);
        case Resolution::Kind::parent:
            return store_parent(request, element, *at.node, element.key(), stored);
        case Resolution::Kind::below:
        case Resolution::Kind::unknown:
            break;
    }
    return refuse_path(request, op.phrase, element.key());
}

// Whether values may move from one to the other: the same names below, encrypted alike.
bool same_shape(const Request& request, const config::SchemaNode& a, const config::SchemaNode& b) {
    if (a.unknown || b.unknown || a.array || b.array || !a.patterns().empty() || !b.patterns().empty())
        return false;
    if (a.is_protected() || b.is_protected())
        return a.is_protected() && b.is_protected() && request.plan.fields->same_encryption(a.field, b.field);
    return a.children().size() == b.children().size() &&
           std::all_of(a.children().begin(), a.children().end(), [&](const auto& named) {
               const config::SchemaNode* other = b.child(named.first);
               return other != nullptr && same_shape(request, *named.second, *other);
           });
}

void mark_moved(Request& request, const config::SchemaNode& node) {
    if (node.is_protected()) request.use(node.field).written = request.use(node.field).erased = true;
    node.for_each_child([&](const config::SchemaNode& child) { mark_moved(request, child); });
}

bool rename_path(Request& request, const UpdateOperator& op, const bson::Element& element) {
    if (!element.is_string())
        return request.refuse(code::bad_value, "The 'to' field for $rename must be a string");
    const std::string_view target = element.string();
    if (is_positional(target) || target.find('\0') != std::string_view::npos)
        return request.refuse(code::bad_value, "The 'to' field for $rename must be a plain path");
    const Resolution from = resolve(*request.tree, element.key());
    const Resolution to = resolve(*request.tree, target);
    if (from.is_plain() && to.is_plain()) return true;
    const auto is_whole = [](const Resolution& at) {
        return at.kind == Resolution::Kind::field || at.kind == Resolution::Kind::parent;
    };
    if (!is_whole(from) || !is_whole(to) || !same_shape(request, *from.node, *to.node))
        return refuse_path(request, op.phrase, element.key());
    // Whoever reads the one field sees what was in the other from then on, which no rule of the role's own
    // could foresee.
    request.plan.requires_reveal_everything = true;
    mark_moved(request, *from.node);
    mark_moved(request, *to.node);
    return true;
}

bool walk_operator_path(Request& request, const UpdateOperator& op, const bson::Element& element) {
    const std::string_view path = element.key();
    if (is_positional(path)) {
        if (!admit_positional(request, path)) return false;
        return op.rule != UpdateRule::rename
                   ? true
                   : request.refuse(code::bad_value, "$rename cannot name array elements");
    }
    switch (op.rule) {
        case UpdateRule::set:
        case UpdateRule::set_on_insert:
            return set_path(request, op, element);
        case UpdateRule::rename:
            return rename_path(request, op, element);
        case UpdateRule::unset: {
            const Resolution at = resolve(*request.tree, path);
            if (at.kind == Resolution::Kind::below || at.kind == Resolution::Kind::unknown)
                return refuse_path(request, op.phrase, path);
            if (at.is_plain()) return true;
            // The server ignores the value, so one that the field could hold would be shown to it for
            // nothing.
            const auto number = element.whole_number();
            const bool empty = (element.is_string() && element.string().empty()) || number == 0 ||
                               number == 1 || element.type() == bson::Type::boolean ||
                               element.type() == bson::Type::null;
            if (!empty)
                return refuse_path(request, "$unset of an encrypted field takes \"\" and no value of it",
                                   path);
            request.mark_erased(*at.node);
            return true;
        }
        case UpdateRule::plain_only:
            break;
    }
    if (!resolve(*request.tree, path).is_plain()) return refuse_path(request, op.phrase, path);
    return op.name != "$pull" || walk_plain_condition(request, element);
}

bool walk_update_operators(Request& request, bson::DocumentView update) {
    for (const bson::Element& element : update) {
        const UpdateOperator* op = find_update_operator(element.key());
        if (op == nullptr)
            return request.refuse(
                code::operation_not_on_encrypted,
                "Unknown modifier, or one that fieldgate does not know: " + quote(element.key()));
        if (!element.is_document())
            return request.refuse(code::failed_to_parse, "Modifiers operate on fields: " +
                                                             quote(element.key()) + " needs an object");
        for (const bson::Element& path : element.document())
            if (!walk_operator_path(request, *op, path)) return false;
    }
    return true;
}

}  // namespace

std::span<const UpdateOperator> update_operators() {
    return operators;
}

const UpdateOperator* find_update_operator(std::string_view name) {
    const auto* row = std::find_if(operators.begin(), operators.end(),
                                   [&](const UpdateOperator& r) { return r.name == name; });
    return row == operators.end() ? nullptr : row;
}

bool walk_update(Request& request, const bson::Element& update) {
    if (update.is_array()) return walk_update_pipeline(request, update);
    if (!update.is_document()) return request.refuse(code::type_mismatch, "An update must be an object");
    const bson::DocumentView document = update.document();
    if (!document.empty() && (*document.begin()).key().starts_with('$'))
        return walk_update_operators(request, document);
    for (const bson::Element& element : document)
        if (element.key().starts_with('$'))
            return request.refuse(
                code::failed_to_parse,
                "A replacement document cannot contain the operator " + quote(element.key()));
    request.plan.part_uses[request.part].replaces_whole_documents = true;
    return store_document(request, document, *request.tree, "", Stored::insert);
}

bool walk_array_filters(Request& request, const bson::Element& array_filters) {
    if (!array_filters.is_array())
        return request.refuse(code::type_mismatch, "arrayFilters must be an array");
    for (const bson::Element& filter : array_filters.document()) {
        if (!filter.is_document())
            return request.refuse(code::type_mismatch, "arrayFilters must be an array of objects");
        if (!walk_plain_condition(request, filter)) return false;
    }
    return true;
}

}  // namespace fieldgate::analysis
