#include "proxy/analysis/namespaces.hpp"

#include <algorithm>

#include "proxy/analysis/commands.hpp"
#include "proxy/analysis/pipeline.hpp"
#include "proxy/analysis/server_documents.hpp"
#include "proxy/analysis/trees.hpp"

namespace fieldgate::analysis {
namespace {

// Namespaces that one command may name, and that one view may read: far more than anybody joins, few enough
// to look each up by walking a list.
constexpr std::size_t names_max = 64;
// "Naming Restrictions" of the MongoDB manual.
constexpr std::size_t database_bytes_max = 63;
constexpr std::size_t namespace_bytes_max = 255;

constexpr std::string_view buckets_prefix = "system.buckets.";

std::string full_name(std::string_view database, std::string_view collection) {
    std::string name(database);
    name += '.';
    name += collection;
    return quote(name);
}

// `local` and `config` hold the oplog, sessions and sharding metadata; system.* holds profiles, views and
// buckets.
bool shows_other_namespaces(std::string_view database, std::string_view collection) {
    return database == "local" || database == "config" || collection.starts_with("system.");
}

bool asks_server_for_schemas(const Request& request) {
    return request.context.config.unlisted_namespaces == config::Config::Unlisted::server;
}

bool refuse_too_many(Request& request) {
    return request.refuse(code::command_not_supported,
                          "The command " + quote(request.plan.command) +
                              " names more namespaces, itself or through views, than "
                              "fieldgate looks up for one command");
}

// At most the names of a command, each with those of a view.
bool need(Request& request, std::string_view database, std::string_view collection) {
    NamespaceName name{std::string(database), std::string(collection)};
    if (std::find(request.needed.begin(), request.needed.end(), name) != request.needed.end()) return true;
    if (request.needed.size() >= names_max * 2) return refuse_too_many(request);
    request.needed.push_back(std::move(name));
    return true;
}

bool refuse_view(Request& request, std::string_view database, std::string_view collection,
                 const NamespaceName& reads) {
    return request.refuse(code::command_not_supported,
                          "cannot auto encrypt a view: " + full_name(database, collection) + " reads " +
                              full_name(reads.database, reads.collection) +
                              ", which is protected; use the collection itself");
}

void note_server_documents(Request& request, std::string_view database, std::string_view collection) {
    if (request.server_documents.empty() && documents_of_server(request, database, collection) != nullptr)
        request.server_documents = full_name(database, collection);
}

// Everything that a view reads, and the views below it, must be known and unprotected.
bool admit_view(Request& request, std::string_view database, std::string_view collection,
                const NamespaceFacts& facts) {
    if (facts.reads.size() > names_max) return refuse_too_many(request);
    std::vector<NamespaceName> to_visit = facts.reads;
    for (std::size_t i = 0; i < to_visit.size(); ++i) {
        const NamespaceName name = to_visit[i];
        const config::Config& config = request.context.config;
        if (config.find(name.database, name.collection) != nullptr ||
            config.is_key_vault(name.database, name.collection))
            return refuse_view(request, database, collection, name);
        if (shows_other_namespaces(name.database, name.collection))
            request.plan.requires_reveal_everything = true;
        if (documents_of_server(request, name.database, name.collection) != nullptr) {
            request.server_views.push_back({std::string(database), std::string(collection)});
            note_server_documents(request, database, collection);
        }
        const NamespaceFacts* below = request.context.catalog.find(name.database, name.collection);
        if (below == nullptr) {
            if (!need(request, name.database, name.collection)) return false;
            continue;
        }
        if (below->validator_encrypts && asks_server_for_schemas(request))
            return refuse_view(request, database, collection, name);
        for (const NamespaceName& next : below->reads) {
            if (std::find(to_visit.begin(), to_visit.end(), next) != to_visit.end()) continue;
            if (to_visit.size() >= names_max) return refuse_too_many(request);
            to_visit.push_back(next);
        }
    }
    return true;
}

bool refuse_join(Request& request, std::string_view database, std::string_view collection) {
    return request.refuse(code::command_not_supported,
                          "The command " + quote(request.plan.command) + " names the protected namespace " +
                              full_name(database, collection) + " besides its own, which is not allowed");
}

// A validator that encrypts in a way that cannot be applied, or no longer does what it did.
bool refuse_server_schema(Request& request, std::string_view database, std::string_view collection,
                          const NamespaceFacts& facts) {
    const std::string& problem = facts.schema_problem;
    return request.refuse(code::command_not_supported,
                          "The schema in the validator of " + full_name(database, collection) +
                              " cannot be applied: " + (problem.empty() ? "it is not understood" : problem) +
                              ". Documents of it are refused; a schema of fieldgate's own (`schemas`) takes "
                              "its place.");
}

bool admit_unlisted(Request& request, std::string_view database, std::string_view collection) {
    if (request.context.config.unlisted_namespaces != config::Config::Unlisted::refuse) return true;
    return request.refuse(code::unauthorized, "The namespace " + full_name(database, collection) +
                                                  " has no schema, and `unlisted_namespaces` is refuse");
}

// The buckets of a protected time-series collection are its documents in another shape.
bool admit_buckets(Request& request, std::string_view database, std::string_view collection) {
    if (!collection.starts_with(buckets_prefix)) return true;
    const std::string_view name = collection.substr(buckets_prefix.size());
    if (request.context.config.find(database, name) == nullptr) return true;
    return request.refuse(code::command_not_supported, full_name(database, collection) +
                                                           " holds documents of the protected namespace " +
                                                           full_name(database, name));
}

// It may give fields other names than those the schema protects.
bool refuse_protected_view(Request& request, std::string_view database, std::string_view collection) {
    return request.refuse(code::command_not_supported,
                          "cannot auto encrypt a view: " + full_name(database, collection));
}

bool admit_listed(Request& request, const config::ProtectedNamespace& listed, std::string_view database,
                  std::string_view collection) {
    request.plan.own_is_protected = true;
    if (!request.protect(config::reference_to(listed), database, collection)) return false;
    request.enter_part(0);
    if (request.command->structure_only) return true;
    const NamespaceFacts* facts = request.context.catalog.find(database, collection);
    if (facts == nullptr) return need(request, database, collection);
    return !facts->is_view || refuse_protected_view(request, database, collection);
}

}  // namespace

std::optional<SplitName> split_full_name(std::string_view name) {
    const std::size_t dot = name.find('.');
    if (dot == std::string_view::npos || dot == 0 || dot + 1 == name.size()) return std::nullopt;
    return SplitName{name.substr(0, dot), name.substr(dot + 1)};
}

bool admit_database_name(Request& request, std::string_view database) {
    constexpr std::string_view never("/\\. \"$*<>:|?\0", 13);
    if (!database.empty() && database.size() <= database_bytes_max &&
        database.find_first_of(never) == std::string_view::npos && is_utf8(database))
        return true;
    return request.refuse(code::invalid_namespace, "Invalid database name: " + quote(database));
}

bool admit_collection_name(Request& request, std::string_view database, std::string_view collection) {
    if (!collection.empty() && database.size() + 1 + collection.size() <= namespace_bytes_max &&
        !collection.starts_with('.') &&
        collection.find_first_of(std::string_view("$\0", 2)) == std::string_view::npos && is_utf8(collection))
        return true;
    return request.refuse(code::invalid_namespace, "Invalid collection name: " + quote(collection));
}

bool admit_namespace(Request& request, std::string_view database, std::string_view collection) {
    Plan& plan = request.plan;
    plan.database = database;
    plan.collection = collection;
    if (!admit_database_name(request, database) || !admit_collection_name(request, database, collection))
        return false;

    const config::Config& config = request.context.config;
    plan.touches_key_vault = config.is_key_vault(database, collection);
    const config::ProtectedNamespace* listed =
        plan.touches_key_vault ? nullptr : config.find(database, collection);
    if (listed != nullptr) return admit_listed(request, *listed, database, collection);
    if (!plan.touches_key_vault) {
        if (!admit_unlisted(request, database, collection) || !admit_buckets(request, database, collection))
            return false;
        if (shows_other_namespaces(database, collection)) plan.requires_reveal_everything = true;
        note_server_documents(request, database, collection);
        request.server_tree = documents_of_server(request, database, collection);
    }
    const bool structure_only = request.command->structure_only;
    const bool may_have_schema = !plan.touches_key_vault && asks_server_for_schemas(request);
    if (structure_only && !may_have_schema) return true;
    const NamespaceFacts* facts = request.context.catalog.find(database, collection);
    if (facts == nullptr) return need(request, database, collection);
    if (facts->is_view) {
        if (!structure_only && !admit_view(request, database, collection, *facts)) return false;
        request.server_tree = documents_of_server(request, database, collection);
        return true;
    }
    if (!may_have_schema || !facts->validator_encrypts) return true;
    if (facts->server_schema != nullptr) {
        plan.own_is_protected = true;
        if (!request.protect(facts->server_schema, database, collection)) return false;
        request.enter_part(0);
        return true;
    }
    if (!structure_only) return refuse_server_schema(request, database, collection, *facts);
    // Which fields it protects from whom cannot be said.
    plan.requires_reveal_everything = true;
    return true;
}

bool admit_other(Request& request, std::string_view database, std::string_view collection, Other other) {
    if (!admit_database_name(request, database) || !admit_collection_name(request, database, collection))
        return false;
    const config::Config& config = request.context.config;
    const config::ProtectedNamespace* listed = config.find(database, collection);
    if (listed != nullptr && other == Other::unprotected_only)
        return refuse_join(request, database, collection);
    if (config.is_key_vault(database, collection))
        return request.refuse(
            code::command_not_supported,
            "The command " + quote(request.plan.command) + " names the key vault besides its own namespace");
    if (listed == nullptr &&
        (!admit_unlisted(request, database, collection) || !admit_buckets(request, database, collection)))
        return false;
    if (shows_other_namespaces(database, collection)) request.plan.requires_reveal_everything = true;
    if (listed == nullptr) note_server_documents(request, database, collection);
    std::vector<NamespaceName>& others = request.plan.others;
    NamespaceName name{std::string(database), std::string(collection)};
    if (std::find(others.begin(), others.end(), name) != others.end()) return true;
    if (others.size() >= names_max) return refuse_too_many(request);
    others.push_back(std::move(name));

    const NamespaceFacts* facts = request.context.catalog.find(database, collection);
    if (facts == nullptr) return need(request, database, collection);
    if (listed != nullptr) {
        if (facts->is_view) return refuse_protected_view(request, database, collection);
        return request.protect(config::reference_to(*listed), database, collection);
    }
    if (facts->is_view) return admit_view(request, database, collection, *facts);
    if (!facts->validator_encrypts || !asks_server_for_schemas(request)) return true;
    if (facts->server_schema == nullptr) return refuse_server_schema(request, database, collection, *facts);
    if (other == Other::unprotected_only) return refuse_join(request, database, collection);
    return request.protect(facts->server_schema, database, collection);
}

bool may_hold_protected(const Request& request, std::string_view database) {
    const config::Config& config = request.context.config;
    if (config.unlisted_namespaces == config::Config::Unlisted::server) return true;
    const bool all = database == "admin" || database == "local" || database == "config";
    return std::any_of(
        config.schemas.begin(), config.schemas.end(), [&](const config::ProtectedNamespace& entry) {
            return all || config::NamespacePattern{entry.pattern.database, "*"}.matches(database, "any");
        });
}

std::shared_ptr<const config::SchemaNode> documents_of_server(const Request& request,
                                                              std::string_view database,
                                                              std::string_view collection) {
    const auto& views = request.server_views;
    const bool view = std::any_of(views.begin(), views.end(), [&](const NamespaceName& name) {
        return name.database == database && name.collection == collection;
    });
    // It may give paths other names.
    if (view) return std::make_shared<const config::SchemaNode>(unknown_node());
    auto tree = server_tree(database, collection);
    return tree != nullptr && may_hold_protected(request, database) ? tree : nullptr;
}

bool admit_named(Request& request, const bson::Element& value, std::string_view database, bool may_write,
                 Other other) {
    NamedNamespaces named;
    collect_namespaces(value, database, named);
    if (!named.unreadable.empty())
        return request.refuse(code::command_not_supported, "The namespace of pipeline stage " +
                                                               quote(named.unreadable) + " cannot be told");
    if (named.unites) request.unites = true;
    if (named.shows_server) request.plan.requires_reveal_everything = true;
    if (!named.makes_server_documents.empty() && request.server_documents.empty() &&
        may_hold_protected(request, "admin"))
        request.server_documents = quote(named.makes_server_documents);
    if (named.writes) {
        if (!may_write)
            return request.refuse(code::command_not_supported, "$out and $merge cannot stand here");
        request.plan.access = Access::write;
    }
    for (const NamespaceName& name : named.names)
        if (!admit_other(request, name.database, name.collection, other)) return false;
    return true;
}

}  // namespace fieldgate::analysis
