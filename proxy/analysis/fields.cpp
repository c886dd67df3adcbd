#include <algorithm>

#include "proxy/analysis/commands.hpp"
#include "proxy/analysis/expressions.hpp"
#include "proxy/analysis/handlers.hpp"
#include "proxy/analysis/match.hpp"
#include "proxy/analysis/projection.hpp"

namespace fieldgate::analysis {
namespace {

// Old clients send null for an option that they leave out.
bool is_null(const bson::Element& element) {
    return element.type() == bson::Type::null;
}

bool refuse_type(Request& request, const bson::Element& element, std::string_view wanted) {
    return request.refuse(code::type_mismatch,
                          "BSON field " + quote(element.key()) + " must be " + std::string(wanted));
}

}  // namespace

bool check_filter(Request& request, const bson::Element& element) {
    if (is_null(element)) return true;
    if (!element.is_document()) return refuse_type(request, element, "an object");
    return walk_filter(request, element.document());
}

bool check_sort(Request& request, const bson::Element& element) {
    if (is_null(element)) return true;
    if (!element.is_document()) return refuse_type(request, element, "an object");
    return walk_sort(request, element.document());
}

bool check_projection(Request& request, const bson::Element& element) {
    if (is_null(element)) return true;
    if (!element.is_document()) return refuse_type(request, element, "an object");
    return walk_find_projection(request, element.document());
}

bool check_collation(Request& request, const bson::Element& element) {
    if (is_null(element)) return true;
    if (!element.is_document()) return refuse_type(request, element, "an object");
    const bson::DocumentView collation = element.document();
    if (collation.empty()) return true;
    const auto locale = collation.find("locale");
    const bool simple =
        locale && locale->is_string() && locale->string() == "simple" && collation.count("locale") == 1;
    request.statement.collation = request.statement.collation || !simple;
    return true;
}

bool check_hint(Request& request, const bson::Element& element) {
    if (is_null(element)) return true;
    if (element.is_string()) {
        request.plan.names_index = request.plan.names_index || element.string() != "_id_";
        return true;
    }
    if (!element.is_document()) return refuse_type(request, element, "a name or an index's key");
    // Of the namespace: the tree in force may be that of what a pipeline ends with.
    const auto tree = request.own_tree();
    for (const bson::Element& key : element.document()) {
        const Resolution at = resolve(*tree, key.key());
        if (!at.is_plain()) request.mark_used(*at.node, false);
        const auto direction = key.whole_number();
        if (direction == 1 || direction == -1) continue;
        if (!at.is_plain() || !key.is_string()) return refuse_type(request, element, "an index's key");
    }
    return true;
}

bool check_let(Request& request, const bson::Element& element) {
    if (is_null(element)) return true;
    if (!element.is_document()) return refuse_type(request, element, "an object");
    return walk_let(request, element);
}

bool check_scalar(Request& request, const bson::Element& element) {
    return is_null(element) || is_number_or_boolean(element) ||
           refuse_type(request, element, "a number or a boolean");
}

bool check_cursor(Request& request, const bson::Element& element) {
    if (!element.is_document()) return check_scalar(request, element);
    for (const bson::Element& option : element.document())
        if (!check_scalar(request, option)) return false;
    return true;
}

bool check_absent(Request& request, const bson::Element& element) {
    return request.refuse(code::command_not_supported,
                          "BSON field " +
                              quote(std::string(request.command->name) + "." + std::string(element.key())) +
                              " is not supported on a namespace with encrypted fields");
}

bool check_falsy(Request& request, const bson::Element& element) {
    if (!check_scalar(request, element)) return false;
    if (is_null(element) || !element.truthy()) return true;
    return check_absent(request, element);
}

bool check_body_sequence(Request& request, const bson::Element& element) {
    if (!element.is_array()) return refuse_type(request, element, "an array");
    for (const bson::Element& item : element.document()) {
        if (!item.is_document()) return refuse_type(request, element, "an array of objects");
        if (!walk_item(request, item.document())) return false;
    }
    return true;
}

bool walk_item(Request& request, bson::DocumentView statement) {
    const SequenceRow& row = request.command->sequence;
    request.statement.clear();
    if (!row.fields.empty() && !walk_fields(request, statement, row.fields, row.name, false)) return false;
    return row.item == nullptr || row.item(request, statement);
}

bool finish_statement(Request& request) {
    Statement& statement = request.statement;
    if (statement.collation && !statement.matched.empty())
        return request.refuse(code::operation_not_on_encrypted,
                              "A collation cannot be honoured on encrypted field " +
                                  quote(request.field(statement.matched[0]).path) + ": use the simple one");
    if (statement.upsert && statement.null_where_omitted)
        return request.refuse(
            code::operation_not_on_encrypted,
            "An upsert would store the null that its query compares an encrypted field with, "
            "which `nulls: omit` keeps out of the namespace");
    if (statement.upsert) {
        // What a filter compares by equality is stored in the document that an upsert makes.
        for (const std::uint16_t index : statement.matched) request.use(index).written = true;
        const config::SchemaNode* id = request.tree->child("_id");
        if (id != nullptr && id->is_protected())
            return request.refuse(
                code::operation_not_on_encrypted,
                "An upsert where '_id' is encrypted is refused: the server could make one up");
    }
    return true;
}

}  // namespace fieldgate::analysis
