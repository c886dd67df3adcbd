#include <ostream>
#include <stdexcept>

#include "config/schema_writer.hpp"
#include "proxy/cluster/collections.hpp"
#include "proxy/commands/commands.hpp"
#include "proxy/commands/schema_keys.hpp"
#include "proxy/commands/text.hpp"
#include "proxy/session/describe.hpp"

namespace fieldgate::commands {
namespace {

using Unlisted = config::Config::Unlisted;

std::string_view nulls_text(config::ProtectedNamespace::Nulls nulls) {
    using enum config::ProtectedNamespace::Nulls;
    return nulls == store ? "store" : nulls == omit ? "omit" : "refuse";
}

// "": the field says it itself.
std::string inherited(const std::optional<std::string>& from) {
    if (!from) return "";
    return from->empty() ? " (encryptMetadata of the root)" : " (encryptMetadata of " + *from + ")";
}

void print_schema(const config::ProtectedNamespace& entry, const analysis::NamespaceName& name,
                  std::ostream& out) {
    const config::Schema& schema = *entry.schema;
    std::vector<std::vector<std::string>> rows{{"FIELD", "TYPES", "ALGORITHM", "KEY"}};
    const auto add = [&](const std::string& path, const config::EncryptedField& field) {
        const std::string key = session::key_name(field.key, name.database);
        rows.push_back({path, types_text(field),
                        std::string(algorithm_text(field)) + inherited(field.algorithm_from),
                        key.substr(sizeof "key " - 1) + inherited(field.key_from)});
    };
    for (std::size_t i = 0; i < schema.fields().size(); ++i) {
        add(schema.fields()[i].path, schema.fields()[i]);
        for (const auto& [path, field] : schema.other_paths())
            if (field == i) add(path, schema.fields()[i]);
    }
    out << table(rows);
}

// Other entries of the configuration that match the namespace, and lose.
void print_losers(const config::Config& config, const config::ProtectedNamespace& winner,
                  const analysis::NamespaceName& name, std::ostream& out) {
    for (const config::ProtectedNamespace& entry : config.schemas)
        if (&entry != &winner && entry.pattern.matches(name.database, name.collection))
            out << "not used:  " << source_of(entry, config)
                << ", which matches too, with fewer literal letters\n";
}

// The schema of the collection's own validator, for a namespace that the configuration does not list.
struct ServerSchema {
    config::NamespaceRef applied;  // null: see below
    std::string none;              // why there is nothing to show
    std::string problem;           // why the validator, which encrypts, cannot be applied
    std::string error;             // the server could not be asked
};

ServerSchema ask_server(const config::Config& config, const analysis::NamespaceName& name) {
    cluster::CollectionClient::Description described;
    try {
        cluster::CollectionClient client({config.upstream.uri, config.upstream.election_wait});
        described = client.describe(name.database, name.collection);
    } catch (const std::runtime_error& error) {
        described.error = error.what();
    }
    ServerSchema result;
    if (!described.error.empty()) {
        result.error = described.error;
        return result;
    }
    if (!described.entry) {
        result.none = "there is no such collection";
        return result;
    }
    const auto facts = analysis::facts_of(name.database, bson::DocumentView::unchecked(*described.entry));
    if (!facts) {
        result.error = facts.error().message();
        return result;
    }
    if (facts->is_view) {
        result.none = "it is a view";
        return result;
    }
    if (!facts->validator_encrypts) {
        result.none = "the collection's validator encrypts nothing";
        return result;
    }
    result.problem = facts->schema_problem;
    result.applied = facts->server_schema;
    return result;
}

std::string_view unlisted_text(Unlisted unlisted) {
    switch (unlisted) {
        case Unlisted::server:
            return "the collection's own validator decides (`unlisted_namespaces: server`); --connect shows "
                   "it";
        case Unlisted::pass:
            return "its documents pass as they are (`unlisted_namespaces: pass`)";
        case Unlisted::refuse:
            return "it is refused (`unlisted_namespaces: refuse`)";
    }
    return "";
}

int print_json(const config::ProtectedNamespace& entry, const analysis::NamespaceName& name,
               const config::Config& config, bool connect, Console console) {
    std::shared_ptr<const config::Schema> schema = entry.schema;
    if (connect) {
        const SchemaWithUuids resolved = with_key_uuids(*schema, name.database, config);
        if (!resolved.error.empty()) {
            console.err << resolved.error << '\n';
            return exit_unavailable;
        }
        for (const std::string& problem : resolved.problems) console.err << problem << '\n';
        if (!resolved.problems.empty()) return exit_configuration;
        schema = resolved.schema;
    }
    for (const config::EncryptedField& field : schema->fields()) {
        if (!std::holds_alternative<config::KeyAltName>(field.key)) continue;
        console.err
            << "warning: `keyAltName` is known to fieldgate only: --connect puts the UUIDs of the keys "
               "there\n";
        break;
    }
    console.out << printable_json(config::to_extended_json(config::write_schema(*schema))) << '\n';
    return exit_ok;
}

// A namespace that is not listed and has no schema, or one that cannot be shown.
int print_absence(const ServerSchema& server, const std::string& name, bool json, Console console) {
    if (!server.error.empty()) {
        console.err << "cluster: " << server.error << '\n';
        return exit_unavailable;
    }
    if (!server.problem.empty()) {
        console.err << name
                    << ": the collection's validator cannot be applied, so that the namespace is refused: "
                    << printable(server.problem) << '\n';
        return exit_configuration;
    }
    const std::string text = name + ": not in the configuration; " + server.none + '\n';
    (json ? console.err : console.out) << text;
    return json ? exit_configuration : exit_ok;
}

}  // namespace

int show_schema(const std::filesystem::path& file, const ShowSchema& options, Console console) {
    const auto name = parse_name(options.name);
    if (!name) {
        console.err << "NAMESPACE must be DATABASE.COLLECTION, one of them and no pattern\n";
        return exit_usage;
    }
    const auto config = load_configuration(file, console.err);
    if (!config) return exit_configuration;
    const std::string full_name = printable(options.name);
    const config::ProtectedNamespace* listed = config->find(name->database, name->collection);
    ServerSchema server;
    if (listed == nullptr) {
        if (config->is_key_vault(name->database, name->collection))
            server.none = "it is the key vault, which has no schema";
        else if (options.connect && config->unlisted_namespaces == Unlisted::server)
            server = ask_server(*config, *name);
        else
            server.none = unlisted_text(config->unlisted_namespaces);
        if (!server.applied) return print_absence(server, full_name, options.json, console);
    }
    const config::ProtectedNamespace& entry = listed != nullptr ? *listed : *server.applied;
    if (options.json) return print_json(entry, *name, *config, options.connect, console);
    std::ostream& out = console.out;
    out << full_name << "\nschema:    " << source_of(entry, *config) << '\n';
    print_losers(*config, entry, *name, out);
    out << "nulls: " << nulls_text(entry.nulls)
        << "   coerce_numbers: " << (entry.coerce_numbers ? "true" : "false")
        << "   explicit_encryption: " << (entry.explicit_encryption_allow ? "allow" : "refuse") << "\n\n";
    print_schema(entry, *name, out);
    return exit_ok;
}

}  // namespace fieldgate::commands
