#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "proxy/analysis/request.hpp"

// Aggregation pipelines: the namespaces that they name, and the stages that a protected namespace allows.
namespace fieldgate::analysis {

// Where a stage names a namespace other than the one it runs on.
enum class StageNames : std::uint8_t {
    nothing,
    from,    // { from: <namespace> }
    coll,    // "collection", or { coll: ..., db: ... }
    target,  // $out: "collection" or { db: ..., coll: ... }
    into,    // $merge: "collection" or { into: <namespace> }
};

struct Stage {
    std::string_view name;
    StageNames names = StageNames::nothing;
    // What the stage may do on a protected namespace; null: refused by name.
    bool (*walk)(Request&, const bson::Element&) = nullptr;
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
    bool shows_server = false;
    std::string_view unreadable;  // a stage whose namespace cannot be told; empty: none
};
void collect_namespaces(const bson::Element& value, std::string_view database, NamedNamespaces& found);

// The pipeline of an aggregate command on a protected namespace. Sets the reply shape.
[[nodiscard]] bool walk_pipeline(Request& request, bson::DocumentView pipeline);

// The pipeline of an update: passes if it provably leaves every protected field of the documents as it was.
[[nodiscard]] bool walk_update_pipeline(Request& request, const bson::Element& pipeline);

}  // namespace fieldgate::analysis
