#include <array>

#include "proxy/analysis/commands.hpp"
#include "proxy/analysis/handlers.hpp"
#include "proxy/analysis/match.hpp"
#include "proxy/analysis/namespaces.hpp"
#include "proxy/analysis/updates.hpp"

// bulkWrite (MongoDB 8.0): inserts, updates and deletes of several namespaces in one command. Each operation
// names its namespace by the position in nsInfo, and is looked at by the schema of that one.
namespace fieldgate::analysis {
namespace {

bool check_body_names(Request& request, const bson::Element& element) {
    return element.is_array() ||
           request.refuse(code::type_mismatch, "BSON field 'nsInfo' must be an array of objects");
}

// Variables are the same for every operation.
bool check_bulk_let(Request& request, const bson::Element& element) {
    request.enter_part(Request::no_part);
    if (!check_let(request, element)) return false;
    return !request.has_ciphertext || !element.is_document() ||
           request.admit_foreign_ciphertext(element.document(), request.plan.edits.size());
}

bool check_inserted(Request& request, const bson::Element& element) {
    if (!element.is_document())
        return request.refuse(code::type_mismatch, "BSON field 'document' must be an object");
    return insert_item(request, element.document());
}

constexpr std::array bulk_write_rows{
    FieldRow{"ops", check_body_sequence},
    FieldRow{"nsInfo", check_body_names},
    FieldRow{"ordered", check_scalar},
    FieldRow{"errorsOnly", check_scalar},
    FieldRow{"bypassDocumentValidation", check_scalar},
    FieldRow{"cursor", check_cursor},
    FieldRow{"let", check_bulk_let},
};

constexpr std::array insert_rows{
    FieldRow{"insert"},
    FieldRow{"document", check_inserted},
};

constexpr std::array update_rows{
    FieldRow{"update"},
    FieldRow{"filter", check_filter},
    FieldRow{"updateMods", walk_update},
    FieldRow{"multi", check_scalar},
    FieldRow{"upsert", check_upsert},
    FieldRow{"arrayFilters", walk_array_filters},
    FieldRow{"hint", check_hint},
    FieldRow{"collation", check_collation},
    FieldRow{"sort", check_sort},
    FieldRow{"constants", check_absent},
};

constexpr std::array delete_rows{
    FieldRow{"delete"},           FieldRow{"filter", check_filter},       FieldRow{"multi", check_scalar},
    FieldRow{"hint", check_hint}, FieldRow{"collation", check_collation},
};

struct OpKind {
    std::string_view name;
    std::span<const FieldRow> rows;
    std::string_view required;  // besides the namespace
    bool deletes = false;
};
constexpr std::array kinds{
    OpKind{"insert", insert_rows, "document"},
    OpKind{"update", update_rows, "updateMods"},
    OpKind{"delete", delete_rows, "filter", true},
};

// Of an operation on an unprotected namespace only that there is nothing in it that fieldgate does not know.
bool look_at_plain_op(Request& request, const OpKind& kind, bson::DocumentView op) {
    for (const bson::Element& element : op) {
        const std::string_view key = element.key();
        const auto has_name = [&](const FieldRow& row) { return row.name == key; };
        if (std::none_of(kind.rows.begin(), kind.rows.end(), has_name))
            return request.refuse(code::unknown_field, "BSON field " + quote("ops." + std::string(key)) +
                                                           " is an unknown field of a bulkWrite that has to "
                                                           "do with an encrypted namespace");
    }
    return plain_update_item(request, op);
}

bool admit_entry(Request& request, bson::DocumentView entry) {
    const auto name = entry.find("ns");
    if (!name || !name->is_string() || entry.count("ns") > 1)
        return request.refuse(code::invalid_namespace,
                              "An entry of nsInfo needs the full name of a collection, once");
    for (const bson::Element& element : entry) {
        const std::string_view key = element.key();
        if (key == "ns" || key == "collectionUUID") continue;
        return request.refuse(
            key == "encryptionInformation" ? code::command_not_supported : code::unknown_field,
            "BSON field " + quote("nsInfo." + std::string(key)) +
                (key == "encryptionInformation" ? " is of Queryable Encryption, which fieldgate does not do"
                                                : " is an unknown field"));
    }
    const auto split = split_full_name(name->string());
    if (!split) return request.refuse(code::invalid_namespace, "Invalid namespace " + quote(name->string()));
    // The first stands for the command, which names no namespace of its own.
    if (request.plan.collection.empty()) {
        request.plan.database = split->database;
        request.plan.collection = split->collection;
    }
    if (!admit_other(request, split->database, split->collection, Other::may_join)) return false;
    const auto* fields = request.plan.fields.get();
    const FieldSpace::Part* part =
        fields == nullptr ? nullptr : fields->find(split->database, split->collection);
    request.bulk_parts.push_back(part == nullptr ? Request::no_part
                                                 : static_cast<std::size_t>(part - fields->parts().data()));
    return true;
}

bool admit_names_of_sequence(Request& request, const wire::Sequence& sequence) {
    for (std::size_t offset = 0; offset < sequence.documents.size();) {
        const auto bytes = first_document(sequence.documents.subspan(offset));
        bson::DocumentView entry;
        if (!request.check_top_level(bytes, entry) || !admit_entry(request, entry)) return false;
        offset += bytes.size();
    }
    return true;
}

// Results name new documents by `_id`, of whichever namespace: what one of them encrypts there may stand
// behind any of them.
std::shared_ptr<const config::SchemaNode> tree_of_results(const Request& request) {
    auto tree = std::make_shared<config::SchemaNode>();
    for (const FieldSpace::Part& part : request.plan.fields->parts()) {
        const config::SchemaNode* const id = part.tree->child("_id");
        if (id == nullptr) continue;
        if (tree->child("_id") == nullptr) {
            tree->put_child("_id", id->clone());
        } else {
            config::SchemaNode undecided;
            undecided.unknown = true;
            tree->put_child("_id", std::move(undecided));
        }
    }
    return tree;
}

}  // namespace

const std::span<const FieldRow> bulk_write_fields = bulk_write_rows;

bool bulk_item(Request& request, bson::DocumentView op) {
    const auto first = op.begin();
    if (op.empty()) return request.refuse(code::failed_to_parse, "An operation of bulkWrite is empty");
    const bson::Element name = *first;
    const auto kind =
        std::find_if(kinds.begin(), kinds.end(), [&](const OpKind& each) { return each.name == name.key(); });
    if (kind == kinds.end())
        return request.refuse(code::failed_to_parse,
                              "An operation of bulkWrite must begin with insert, "
                              "update or delete, not with " +
                                  quote(name.key()));
    const auto index = name.whole_number();
    if (!index || *index < 0 || static_cast<std::uint64_t>(*index) >= request.bulk_parts.size())
        return request.refuse(code::bad_value,
                              "BulkWrite ops entry has an invalid nsInfo index: " + quote(name.key()));
    request.enter_part(request.bulk_parts[static_cast<std::size_t>(*index)]);
    if (request.part == Request::no_part) return look_at_plain_op(request, *kind, op);

    if (!op.find(kind->required))
        return request.refuse(
            code::failed_to_parse,
            "BSON field " + quote("ops." + std::string(kind->required)) + " is missing but a required field");
    if (kind->deletes) request.plan.part_uses[request.part].deletes = true;
    const std::size_t edits_before = request.plan.edits.size();
    if (!walk_fields(request, op, kind->rows, "ops", false) || !finish_statement(request)) return false;
    return !request.has_ciphertext || request.admit_foreign_ciphertext(op, edits_before);
}

bool finish_bulk_write(Request& request) {
    request.set_shape(ReplyShape::Kind::bulk_result, tree_of_results(request));
    return true;
}

// All namespaces before any operation, in whatever order they stand in the message.
bool look_at_bulk_write(Request& request) {
    std::size_t times = request.document.count("nsInfo");
    for (const wire::Sequence& sequence : request.message.sequences())
        if (sequence.id == "nsInfo") ++times;
    if (times != 1)
        return request.refuse(code::failed_to_parse,
                              times == 0 ? "bulkWrite needs nsInfo" : "'nsInfo' is a duplicate field");
    if (!look_at_body_items(request, "nsInfo", admit_entry)) return false;
    for (const wire::Sequence& sequence : request.message.sequences())
        if (sequence.id == "nsInfo" && !admit_names_of_sequence(request, sequence)) return false;
    if (request.bulk_parts.empty()) return request.refuse(code::failed_to_parse, "bulkWrite needs nsInfo");
    return request.plan.touches_protected() || look_at_body_items(request, "ops", plain_update_item);
}

}  // namespace fieldgate::analysis
