#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "config/schema.hpp"

// What servers keep of the documents and commands of others: the oplog, the profiler's collections, images of
// documents, running operations. A filter on it would carry values of encrypted fields in clear
// ({ "o.ssn": ... }, { "command.filter.ssn": ... }), so that only paths that never hold any can be compared.
namespace fieldgate::analysis {

// A namespace, or a stage that makes such documents.
struct ServerDocuments {
    // "database.collection", where the database may be * and the collection may end in *; or "$stage". The
    // first row that matches counts.
    std::string_view name;
    // Dotted paths whose values, and those below them, are never those of documents. Anything else may be
    // one.
    std::span<const std::string_view> plain;
    // Nothing of other namespaces' documents: like any collection without a schema.
    bool nothing_else = false;
};

std::span<const ServerDocuments> server_documents();

// What documents of that namespace look like: plain at the paths of its row, unknown elsewhere. Null: it is
// none of the server's, or holds nothing of others.
std::shared_ptr<const config::SchemaNode> server_tree(std::string_view database, std::string_view collection);
// The same for what a stage makes; null: the stage has no row.
std::shared_ptr<const config::SchemaNode> server_stage_tree(std::string_view stage);

// Whether it is one of those trees, not a copy.
bool is_server_tree(const config::SchemaNode& tree);

// The row, for error texts: null as above.
const ServerDocuments* find_server_documents(std::string_view database, std::string_view collection);
const ServerDocuments* find_server_stage(std::string_view stage);

}  // namespace fieldgate::analysis
