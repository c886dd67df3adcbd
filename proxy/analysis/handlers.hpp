#pragma once

#include <span>

#include "proxy/analysis/request.hpp"

// What the rows of the command table point to. Internal to analysis/: one file per family.
namespace fieldgate::analysis {

// reads.cpp: fields of commands on protected namespaces, and what follows them.
extern const std::span<const FieldRow> find_fields;
extern const std::span<const FieldRow> count_fields;
extern const std::span<const FieldRow> distinct_fields;
extern const std::span<const FieldRow> aggregate_fields;
extern const std::span<const FieldRow> get_more_fields;
extern const std::span<const FieldRow> data_size_fields;
extern const std::span<const FieldRow> explain_fields;
bool finish_find(Request& request);
bool finish_count(Request& request);
bool finish_distinct(Request& request);
bool finish_aggregate(Request& request);
bool finish_get_more(Request& request);
bool finish_explain(Request& request);
bool look_at_aggregate(Request& request);
bool look_at_get_more(Request& request);
bool look_at_explain(Request& request);

// writes.cpp
extern const std::span<const FieldRow> insert_fields;
extern const std::span<const FieldRow> update_fields;
extern const std::span<const FieldRow> update_statement_fields;
extern const std::span<const FieldRow> delete_fields;
extern const std::span<const FieldRow> delete_statement_fields;
extern const std::span<const FieldRow> find_and_modify_fields;
bool insert_item(Request& request, bson::DocumentView document);
bool statement_item(Request& request, bson::DocumentView statement);
bool finish_write(Request& request);
bool finish_find_and_modify(Request& request);
bool plain_update_item(Request& request, bson::DocumentView statement);
bool look_at_update(Request& request);
bool look_at_find_and_modify(Request& request);

// bulk_write.cpp
extern const std::span<const FieldRow> bulk_write_fields;
bool bulk_item(Request& request, bson::DocumentView op);
bool finish_bulk_write(Request& request);
bool look_at_bulk_write(Request& request);

// structure.cpp: collections, indexes, names
extern const std::span<const FieldRow> create_fields;
extern const std::span<const FieldRow> coll_mod_fields;
extern const std::span<const FieldRow> create_indexes_fields;
extern const std::span<const FieldRow> kill_cursors_fields;
extern const std::span<const FieldRow> drop_indexes_fields;
extern const std::span<const FieldRow> list_indexes_fields;
extern const std::span<const FieldRow> compact_fields;
extern const std::span<const FieldRow> validate_fields;
extern const std::span<const FieldRow> coll_stats_fields;
extern const std::span<const FieldRow> search_index_fields;
extern const std::span<const FieldRow> rename_fields;
bool finish_structure(Request& request);
bool finish_reindex(Request& request);
bool look_at_view_definition(Request& request);
bool look_at_rename(Request& request);
bool look_at_clone(Request& request);
bool look_at_map_reduce(Request& request);
bool look_at_drop_database(Request& request);

// fields.cpp: checks of fields that several commands have.
bool check_filter(Request& request, const bson::Element& element);
bool check_sort(Request& request, const bson::Element& element);
bool check_projection(Request& request, const bson::Element& element);
bool check_collation(Request& request, const bson::Element& element);
bool check_hint(Request& request, const bson::Element& element);
bool check_upsert(Request& request, const bson::Element& element);
bool check_let(Request& request, const bson::Element& element);
bool check_scalar(Request& request, const bson::Element& element);  // a number, a boolean or null
bool check_cursor(Request& request, const bson::Element& element);  // { batchSize: n }
bool check_absent(Request& request, const bson::Element& element);  // refused by name
bool check_falsy(Request& request, const bson::Element& element);   // refused by name unless false
bool check_body_sequence(Request& request, const bson::Element& element);

// Statements in the body: top levels only, as in a section.
[[nodiscard]] bool look_at_body_items(Request& request, std::string_view name,
                                      bool (*item)(Request&, bson::DocumentView));
// One statement of the command's sequence, from the body or from a section.
[[nodiscard]] bool walk_item(Request& request, bson::DocumentView statement);
// Collations and upserts together with what the filter named.
[[nodiscard]] bool finish_statement(Request& request);

}  // namespace fieldgate::analysis
