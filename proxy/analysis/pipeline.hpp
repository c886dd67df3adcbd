#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "proxy/analysis/request.hpp"

// Aggregation pipelines: the namespaces that they name, and what each stage makes of documents with encrypted
// fields.
namespace fieldgate::analysis {

// Where a stage names a namespace other than the one it runs on.
enum class StageNames : std::uint8_t {
    nothing,
    from,    // { from: <namespace> }
    coll,    // "collection", or { coll: ..., db: ... }
    target,  // $out: "collection" or { db: ..., coll: ... }
    into,    // $merge: "collection" or { into: <namespace> }
};

// One pipeline while it is walked: the command's own, or one inside a stage.
struct Pipeline {
    enum class Kind : std::uint8_t {
        command,  // of an aggregate
        joined,   // of $lookup and $unionWith: documents of another namespace
        facet,    // of $facet: the same documents
        update,   // of an update
    };
    Request& request;
    Kind kind = Kind::command;
    std::string_view database;
    // What documents look like where the walk stands; request.tree is this one.
    std::shared_ptr<const config::SchemaNode> tree = nullptr;
    std::size_t position = 0;  // of the stage
    bool events = false;       // $changeStream came first

    void set_tree(std::shared_ptr<const config::SchemaNode> next);
    void set_tree(config::SchemaNode next);
    // A copy to work on, paid for. False: refused.
    [[nodiscard]] bool copy_tree(config::SchemaNode& copy);
};

// Which kinds of pipeline a stage may stand in, and where.
enum class StagePlace : std::uint8_t {
    anywhere,
    first,  // it makes the documents
    first_of_command,
    update,  // anywhere, and in updates too
    last,    // of a command: it writes
};

struct Stage {
    std::string_view name;
    StageNames names = StageNames::nothing;
    // What the stage may do where encrypted fields can be reached; null: refused by name.
    bool (*walk)(Pipeline&, const bson::Element&) = nullptr;
    StagePlace place = StagePlace::anywhere;
    // It shows what the server does for others, wherever it stands: only roles that reveal everything.
    bool shows_server = false;
};

std::span<const Stage> stage_table();
const Stage* find_stage(std::string_view name);

// Every namespace that a pipeline names at any depth, in $facet, $lookup.pipeline, $unionWith.pipeline and
// whatever else holds stages.
struct NamedNamespaces {
    std::vector<NamespaceName> names;
    bool writes = false;  // $out or $merge
    bool unites = false;  // $unionWith
    bool shows_server = false;
    std::string_view makes_server_documents;  // a stage of server_documents.hpp; empty: none
    std::string_view unreadable;              // a stage whose namespace cannot be told; empty: none
};
void collect_namespaces(const bson::Element& value, std::string_view database, NamedNamespaces& found);

// The pipeline of an aggregate command that has to do with a protected namespace. Sets the reply shape.
[[nodiscard]] bool walk_pipeline(Request& request, const bson::Element& stages);

// The pipeline of an aggregate without a collection that begins with $changeStream: which schema an event's
// documents have is known event by event, so that stages may touch nothing of them. What comes out passes as
// it is stored.
[[nodiscard]] bool walk_database_events(Request& request, const bson::Element& stages);

// The pipeline of an update: passes if it provably leaves every protected field of the documents as it was.
[[nodiscard]] bool walk_update_pipeline(Request& request, const bson::Element& stages);

// What documents of that tree were in the store, for constants beside what stages compute: what the server
// keeps of others has no names of its own to keep constants from.
const config::SchemaNode* stored_of(const config::SchemaNode& tree);

bool begins_with_events(const bson::Element& stages);

// Stages of a pipeline, one after the other.
[[nodiscard]] bool walk_stages(Pipeline& pipeline, const bson::Element& stages);

}  // namespace fieldgate::analysis
