#include <algorithm>
#include <array>

#include "proxy/analysis/commands.hpp"
#include "proxy/analysis/handlers.hpp"
#include "proxy/analysis/namespaces.hpp"
#include "proxy/analysis/pipeline.hpp"
#include "proxy/analysis/projection.hpp"

namespace fieldgate::analysis {
namespace {

bool check_bounds(Request& request, const bson::Element& element) {
    if (element.type() == bson::Type::null) return true;
    if (!element.is_document()) return request.refuse(code::type_mismatch, "Index bounds must be an object");
    return walk_bounds(request, element.document(), element.key());
}

bool check_pipeline(Request& request, const bson::Element& element) {
    if (!element.is_array())
        return request.refuse(code::type_mismatch, "BSON field 'pipeline' must be an array");
    return walk_pipeline(request, element);
}

bool has_random_field(const Request& request, const config::SchemaNode& node) {
    if (node.is_protected()) return request.field(node.field).algorithm == config::Algorithm::random;
    bool has = false;
    node.for_each_child(
        [&](const config::SchemaNode& child) { has = has || has_random_field(request, child); });
    return has;
}

bool has_static_keys(const Request& request, const config::SchemaNode& node) {
    if (node.is_protected()) return request.field(node.field).has_static_key();
    bool all = true;
    node.for_each_child(
        [&](const config::SchemaNode& child) { all = all && has_static_keys(request, child); });
    return all;
}

void mark_named(Request& request, const config::SchemaNode& node) {
    if (node.is_protected()) {
        request.use(node.field).named = true;
        // Equal values must be told apart as the server tells them apart: no collation.
        request.statement.matched.push_back(node.field);
    }
    node.for_each_child([&](const config::SchemaNode& child) { mark_named(request, child); });
}

bool check_distinct_key(Request& request, const bson::Element& element) {
    if (!element.is_string()) return request.refuse(code::type_mismatch, "BSON field 'key' must be a string");
    const std::string_view path = element.string();
    const Resolution at = resolve(*request.tree, path);
    request.set_shape(ReplyShape::Kind::values, nullptr);
    if (at.is_plain()) return true;
    if (at.kind == Resolution::Kind::below || at.kind == Resolution::Kind::unknown)
        return request.refuse(code::operation_not_on_encrypted, why_unusable(at, "list values", path));
    if (!has_static_keys(request, *at.node))
        return request.refuse(code::operation_not_on_encrypted,
                              "The distinct key is not allowed to be marked for encryption with a non-UUID "
                              "keyId: " +
                                  quote(path));
    if (has_random_field(request, *at.node))
        return request.refuse(
            code::operation_not_on_encrypted,
            "distinct is not allowed on fields encrypted with the randomized encryption algorithm: " +
                quote(path));
    mark_named(request, *at.node);
    request.set_shape(ReplyShape::Kind::values, request.own_tree(at.node));
    return true;
}

constexpr std::array find_rows{
    FieldRow{"filter", check_filter},
    FieldRow{"projection", check_projection},
    FieldRow{"sort", check_sort},
    FieldRow{"hint", check_hint},
    FieldRow{"min", check_bounds},
    FieldRow{"max", check_bounds},
    FieldRow{"collation", check_collation},
    FieldRow{"skip", check_scalar},
    FieldRow{"limit", check_scalar},
    FieldRow{"batchSize", check_scalar},
    FieldRow{"ntoreturn", check_scalar},
    FieldRow{"singleBatch", check_scalar},
    FieldRow{"returnKey", check_falsy},  // keys come back under the names of paths, dots included
    FieldRow{"showRecordId", check_scalar},
    FieldRow{"tailable", check_scalar},
    FieldRow{"awaitData", check_scalar},
    FieldRow{"oplogReplay", check_scalar},
    FieldRow{"noCursorTimeout", check_scalar},
    FieldRow{"allowPartialResults", check_scalar},
    FieldRow{"allowDiskUse", check_scalar},
    FieldRow{"let", check_let, true},
};

constexpr std::array count_rows{
    FieldRow{"query", check_filter}, FieldRow{"limit", check_scalar},
    FieldRow{"skip", check_scalar},  FieldRow{"fields", check_projection},
    FieldRow{"hint", check_hint},    FieldRow{"collation", check_collation},
};

constexpr std::array distinct_rows{
    FieldRow{"key", check_distinct_key},
    FieldRow{"query", check_filter},
    FieldRow{"hint", check_hint},
    FieldRow{"collation", check_collation},
};

constexpr std::array aggregate_rows{
    FieldRow{"pipeline", check_pipeline},
    FieldRow{"explain", check_scalar},
    FieldRow{"allowDiskUse", check_scalar},
    FieldRow{"cursor", check_cursor},
    FieldRow{"bypassDocumentValidation", check_scalar},
    FieldRow{"hint", check_hint},
    FieldRow{"collation", check_collation},
    FieldRow{"let", check_let, true},
};

constexpr std::array get_more_rows{
    FieldRow{"collection"},
    FieldRow{"batchSize", check_scalar},
    FieldRow{"term", check_scalar},
};

// The range of an index that is measured.
constexpr std::array data_size_rows{
    FieldRow{"keyPattern", check_hint},
    FieldRow{"min", check_bounds},
    FieldRow{"max", check_bounds},
    FieldRow{"estimate", check_scalar},
};

bool check_verbosity(Request& request, const bson::Element& element) {
    if (element.is_string() && (element.string() == "queryPlanner" || element.string() == "executionStats" ||
                                element.string() == "allPlansExecution"))
        return true;
    return request.refuse(code::bad_value,
                          "BSON field 'explain.verbosity' must be queryPlanner, executionStats or "
                          "allPlansExecution");
}

constexpr std::array explain_rows{FieldRow{"verbosity", check_verbosity}};

// Plans show ciphertext, index bounds and how many documents were looked at: more than rules for fields could
// tell apart.
bool set_explained(Request& request) {
    request.plan.requires_reveal_everything = true;
    request.set_shape(ReplyShape::Kind::scalar, nullptr);
    return true;
}

}  // namespace

const std::span<const FieldRow> find_fields = find_rows;
const std::span<const FieldRow> count_fields = count_rows;
const std::span<const FieldRow> distinct_fields = distinct_rows;
const std::span<const FieldRow> aggregate_fields = aggregate_rows;
const std::span<const FieldRow> get_more_fields = get_more_rows;
const std::span<const FieldRow> data_size_fields = data_size_rows;
const std::span<const FieldRow> explain_fields = explain_rows;

bool finish_find(Request& request) {
    request.set_shape(ReplyShape::Kind::cursor, request.returned_tree());
    return finish_statement(request);
}

bool finish_count(Request& request) {
    request.set_shape(ReplyShape::Kind::scalar, nullptr);
    return finish_statement(request);
}

bool finish_distinct(Request& request) {
    if (request.plan.shape.kind != ReplyShape::Kind::values)
        return request.refuse(code::failed_to_parse,
                              "BSON field 'distinct.key' is missing but a required field");
    return finish_statement(request);
}

bool finish_aggregate(Request& request) {
    if (request.plan.shape.kind != ReplyShape::Kind::cursor)
        return request.refuse(code::failed_to_parse,
                              "BSON field 'aggregate.pipeline' is missing but a required field");
    const auto explained = request.document.find("explain");
    if (explained && explained->type() != bson::Type::null && explained->truthy()) set_explained(request);
    return finish_statement(request);
}

bool look_at_get_more(Request& request) {
    const bson::Element id = *request.document.begin();
    if (id.type() != bson::Type::int64)
        return request.refuse(code::type_mismatch, "BSON field 'getMore.getMore' must be a long");
    request.plan.is_get_more = true;
    request.plan.cursor_id = id.int64();
    return true;
}

bool finish_get_more(Request& request) {
    request.set_shape(ReplyShape::Kind::cursor, request.own_tree());
    return look_at_get_more(request);
}

bool look_at_aggregate(Request& request) {
    bson::DocumentView checked;
    std::size_t pipelines = 0;
    for (const bson::Element& element : request.document) {
        if (element.key() != "pipeline") continue;
        if (++pipelines > 1 || !element.is_array())
            return request.refuse(code::failed_to_parse, "BSON field 'pipeline' must be an array, once");
        if (!request.check(element.value(), checked)) return false;
        if (!admit_named(request, element, request.plan.database, true, Other::may_join)) return false;
        // Without a collection the first stage is the source: anything but literal documents looks at the
        // server.
        if (request.plan.collection.empty()) {
            const bool literal = !checked.empty() && (*checked.begin()).is_document() &&
                                 !(*checked.begin()).document().empty() &&
                                 (*(*checked.begin()).document().begin()).key() == "$documents";
            if (!literal) request.plan.requires_reveal_everything = true;
            if (begins_with_events(element) && may_hold_protected(request, request.plan.database) &&
                !walk_database_events(request, element))
                return false;
        }
    }
    if (pipelines == 0)
        return request.refuse(code::failed_to_parse,
                              "BSON field 'aggregate.pipeline' is missing but a required field");
    return true;
}

bool look_at_explain(Request& request) {
    const bson::Element explained = *request.document.begin();
    bson::DocumentView inner;
    if (!explained.is_document())
        return request.refuse(code::type_mismatch, "BSON field 'explain' must be an object");
    if (!request.check_top_level(explained.value(), inner)) return false;
    if (inner.empty()) return request.refuse(code::failed_to_parse, "BSON field 'explain' is empty");

    const bson::Element name = *inner.begin();
    const Command* command = find_command(name.key());
    if (command == nullptr || !command->explainable)
        return request.refuse(code::command_not_supported,
                              "explain of " + quote(name.key()) + " is not supported");
    if (inner.count(name.key()) > 1)
        return request.refuse(code::failed_to_parse, quote(name.key()) + " is a duplicate field");
    for (const bson::Element& element : inner)
        if (element.key() == "$db" && (!element.is_string() || element.string() != request.plan.database))
            return request.refuse(code::bad_value, "The explained command names another database");
    if (!name.is_string())
        return request.refuse(code::invalid_namespace,
                              "explain needs the name of a collection: collections by UUID and "
                              "whole databases are refused");
    if (!admit_namespace(request, request.plan.database, name.string())) return false;
    if (request.plan.touches_protected()) {
        if (command->on_protected == OnProtected::analyse) {
            request.document = inner;  // finish_explain looks at the rest
            return !command->joins || command->look(request);
        }
        return request.refuse(code::command_not_supported,
                              "command not supported for auto encryption: explain of " +
                                  quote(command->name) + (command->why.empty() ? "" : ": ") +
                                  std::string(command->why));
    }
    request.document = inner;
    return command->look == nullptr || command->look(request);
}

// `look_at_explain` found the command that is explained to be one of the table.
bool finish_explain(Request& request) {
    const Command* own = request.command;
    const bson::DocumentView inner = (*request.document.begin()).document();
    request.command = find_command((*inner.begin()).key());
    request.document = inner;
    const bool admitted = walk_fields(request, inner, request.command->fields, request.command->name, true) &&
                          request.command->finish(request);
    request.command = own;
    request.plan.deletes = false;
    return admitted && set_explained(request);
}

}  // namespace fieldgate::analysis
