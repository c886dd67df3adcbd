#include <array>

#include "proxy/analysis/commands.hpp"
#include "proxy/analysis/handlers.hpp"
#include "proxy/analysis/namespaces.hpp"
#include "proxy/analysis/pipeline.hpp"
#include "proxy/analysis/updates.hpp"
#include "proxy/analysis/values.hpp"

namespace fieldgate::analysis {
namespace {

bool check_remove(Request& request, const bson::Element& element) {
    if (!check_scalar(request, element)) return false;
    request.statement.removes = element.type() != bson::Type::null && element.truthy();
    return true;
}

constexpr std::array insert_rows{
    FieldRow{"documents", check_body_sequence},
    FieldRow{"ordered", check_scalar},
    FieldRow{"bypassDocumentValidation", check_scalar},
    FieldRow{"bypassEmptyTsReplacement", check_scalar},
};

constexpr std::array update_rows{
    FieldRow{"updates", check_body_sequence},
    FieldRow{"ordered", check_scalar},
    FieldRow{"bypassDocumentValidation", check_scalar},
    FieldRow{"bypassEmptyTsReplacement", check_scalar},
    FieldRow{"let", check_let, true},
};

constexpr std::array update_statement_rows{
    FieldRow{"q", check_filter},
    FieldRow{"u", walk_update},
    FieldRow{"upsert", check_upsert},
    FieldRow{"multi", check_scalar},
    FieldRow{"sort", check_sort},
    FieldRow{"hint", check_hint},
    FieldRow{"collation", check_collation},
    FieldRow{"arrayFilters", walk_array_filters},
    FieldRow{"c", check_absent},
};

constexpr std::array delete_rows{
    FieldRow{"deletes", check_body_sequence},
    FieldRow{"ordered", check_scalar},
    FieldRow{"let", check_let, true},
};

constexpr std::array delete_statement_rows{
    FieldRow{"q", check_filter},
    FieldRow{"limit", check_scalar},
    FieldRow{"hint", check_hint},
    FieldRow{"collation", check_collation},
};

constexpr std::array find_and_modify_rows{
    FieldRow{"query", check_filter},
    FieldRow{"sort", check_sort},
    FieldRow{"remove", check_remove},
    FieldRow{"update", walk_update},
    FieldRow{"new", check_scalar},
    FieldRow{"fields", check_projection},
    FieldRow{"upsert", check_upsert},
    FieldRow{"hint", check_hint},
    FieldRow{"collation", check_collation},
    FieldRow{"arrayFilters", walk_array_filters},
    FieldRow{"bypassDocumentValidation", check_scalar},
    FieldRow{"bypassEmptyTsReplacement", check_scalar},
    FieldRow{"let", check_let, true},
};

// Servers allow no stage in an update that names a namespace; neither does fieldgate.
bool look_at_update_value(Request& request, const bson::Element& update) {
    if (!update.is_array()) return true;
    bson::DocumentView checked;
    if (!request.check(update.value(), checked)) return false;
    NamedNamespaces named;
    collect_namespaces(update, request.plan.database, named);
    if (named.names.empty() && named.unreadable.empty()) return true;
    return request.refuse(code::command_not_supported,
                          "A stage that names a namespace cannot stand in an update");
}

}  // namespace

const std::span<const FieldRow> insert_fields = insert_rows;
const std::span<const FieldRow> update_fields = update_rows;
const std::span<const FieldRow> update_statement_fields = update_statement_rows;
const std::span<const FieldRow> delete_fields = delete_rows;
const std::span<const FieldRow> delete_statement_fields = delete_statement_rows;
const std::span<const FieldRow> find_and_modify_fields = find_and_modify_rows;

bool check_upsert(Request& request, const bson::Element& element) {
    if (!check_scalar(request, element)) return false;
    request.statement.upsert = element.type() != bson::Type::null && element.truthy();
    return true;
}

bool look_at_body_items(Request& request, std::string_view name, bool (*item)(Request&, bson::DocumentView)) {
    for (const bson::Element& element : request.document) {
        if (element.key() != name || !element.is_array()) continue;
        bson::DocumentView items;
        if (!request.check_top_level(element.value(), items)) return false;
        for (const bson::Element& each : items) {
            bson::DocumentView statement;
            if (!each.is_document())
                return request.refuse(code::type_mismatch,
                                      "BSON field " + quote(name) + " must be an array of objects");
            if (!request.check_top_level(each.value(), statement) || !item(request, statement)) return false;
        }
    }
    return true;
}

bool insert_item(Request& request, bson::DocumentView document) {
    const config::SchemaNode& root = *request.tree;
    const config::SchemaNode* id = root.child("_id");
    const auto given = document.find("_id");
    if (id != nullptr && id->is_protected() && (!given || omits_null(request, *given, id->field)))
        return request.refuse(code::bad_value,
                              "A document without '_id' cannot be inserted where '_id' is encrypted");
    request.statement.inserted = document;
    request.statement.key_name = {};
    const bool admitted = store_document(request, document, root, "", Stored::insert);
    request.statement.inserted.reset();
    return admitted;
}

bool statement_item(Request& request, bson::DocumentView) {
    return finish_statement(request);
}

bool finish_write(Request& request) {
    request.set_shape(ReplyShape::Kind::write_result, request.own_tree());
    return true;
}

bool finish_find_and_modify(Request& request) {
    request.set_shape(ReplyShape::Kind::value, request.returned_tree());
    request.plan.deletes = request.statement.removes;
    return finish_statement(request);
}

bool plain_update_item(Request& request, bson::DocumentView statement) {
    for (const bson::Element& element : statement)
        if (element.key() == "u" || element.key() == "updateMods")
            if (!look_at_update_value(request, element)) return false;
    return true;
}

bool look_at_update(Request& request) {
    return look_at_body_items(request, "updates", plain_update_item);
}

bool look_at_find_and_modify(Request& request) {
    for (const bson::Element& element : request.document)
        if (element.key() == "update" && !look_at_update_value(request, element)) return false;
    return true;
}

}  // namespace fieldgate::analysis
