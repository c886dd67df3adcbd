#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "proxy/analysis/request.hpp"

// Which namespaces a command reaches, and whether it may.
namespace fieldgate::analysis {

// "db.coll" at its first dot; nothing if either name would be empty.
struct SplitName {
    std::string_view database;
    std::string_view collection;
};
std::optional<SplitName> split_full_name(std::string_view full_name);

// Names that no server takes, or would read otherwise than fieldgate, are refused before a server is asked
// about them: by their bytes, their length (both names together have one bound) and what is no UTF-8.
[[nodiscard]] bool admit_database_name(Request& request, std::string_view database);
[[nodiscard]] bool admit_collection_name(Request& request, std::string_view database,
                                         std::string_view collection);

// The namespace that a command is about. Sets the plan's database and collection, its first part if the
// namespace is protected (by the configuration or, `unlisted_namespaces: server`, by its own validator), and
// the rights it needs. Missing facts are noted in `needed`.
[[nodiscard]] bool admit_namespace(Request& request, std::string_view database, std::string_view collection);

// Whether another namespace that a command names may be a protected one, which then becomes a part of the
// plan as soon as it is known to be no view.
enum class Other : std::uint8_t { unprotected_only, may_join };

// Any other namespace that a command names. The command's own may be among them.
[[nodiscard]] bool admit_other(Request& request, std::string_view database, std::string_view collection,
                               Other other = Other::unprotected_only);

// What `value` names at any depth (pipelines), all of it as others. `may_write`: $out and $merge are allowed,
// and make the command a write.
[[nodiscard]] bool admit_named(Request& request, const bson::Element& value, std::string_view database,
                               bool may_write, Other other = Other::unprotected_only);

// Whether some namespace of the database may be protected. `admin`, `local` and `config` stand for the whole
// deployment.
bool may_hold_protected(const Request& request, std::string_view database);

// The tree of documents that the server keeps of other namespaces, if the name is one of those or a view over
// one, and any of the others may be protected; null otherwise.
std::shared_ptr<const config::SchemaNode> documents_of_server(const Request& request,
                                                              std::string_view database,
                                                              std::string_view collection);

}  // namespace fieldgate::analysis
