#pragma once

#include <span>
#include <string_view>

#include "proxy/analysis/request.hpp"

// The one table of commands. A command without a row is refused by name, unless `commands.pass` vouches for
// it.
namespace fieldgate::analysis {

// Where a command says which namespace it is about.
enum class Where : std::uint8_t {
    nowhere,            // it is about no documents: ping, logins, users, sessions
    database,           // all of $db: dropDatabase
    first,              // its own value: { find: "coll" }
    first_or_database,  // the same, or a number for the whole database: { aggregate: 1 }
    collection_field,   // { getMore: id, collection: "coll" }
    full_name,          // its own value, with the database: { shardCollection: "db.coll" }
    handler,            // `look` finds them: explain, bulkWrite, renameCollection
};

enum class OnProtected : std::uint8_t {
    refuse,   // by name
    analyse,  // its fields are walked by the row's tables
};

enum class Standing : std::uint8_t {
    open,
    reveals,  // shows or changes what no role may see through its own fields: only roles that reveal
              // everything
    closed,   // refused for everybody, `why` says so
};

// The kind 1 sequence of a command, which may as well stand in the body as an array.
struct SequenceRow {
    std::string_view name;                  // empty: none
    std::span<const FieldRow> fields = {};  // of one statement; none: `item` looks at it itself
    // After the fields of one statement were walked (or instead of that).
    bool (*item)(Request&, bson::DocumentView) = nullptr;
    // The same on an unprotected namespace; null: not looked at.
    bool (*plain_item)(Request&, bson::DocumentView) = nullptr;
};

struct Command {
    std::string_view name;
    Where where = Where::nowhere;
    OnProtected on_protected = OnProtected::refuse;
    Access access = Access::none;
    bool deletes = false;
    Standing standing = Standing::open;
    std::string_view why = {};  // closed: the reason; refused on protected namespaces: a hint, may be empty
    // Only names, options and counts: neither a view below nor a validator matters.
    bool structure_only = false;
    bool explainable = false;
    bool joins =
        false;  // `look` finds namespaces that join the plan, also where the command's own is protected
    SequenceRow sequence = {};
    std::string_view second_sequence = {};  // bulkWrite has two
    // Top-level fields of a command that is analysed, besides those that every command may have.
    std::span<const FieldRow> fields = {};
    bool (*finish)(Request&) = nullptr;  // after the fields: combinations, reply shape
    // Unprotected namespaces, or no namespace: what else must be looked at. Null: nothing. See `joins`.
    bool (*look)(Request&) = nullptr;
};

std::span<const Command> command_table();
const Command* find_command(std::string_view name);

}  // namespace fieldgate::analysis
