#include <algorithm>
#include <ostream>
#include <stdexcept>

#include "proxy/bson/builder.hpp"
#include "proxy/bson/json_layout.hpp"
#include "proxy/cluster/collections.hpp"
#include "proxy/commands/commands.hpp"
#include "proxy/commands/schema_keys.hpp"
#include "proxy/commands/text.hpp"
#include "proxy/commands/validator.hpp"

namespace fieldgate::commands {
namespace {

using bson::DocumentView;

// What a collection has now, with the server's defaults where it says nothing.
struct Present {
    bool exists = false;
    std::optional<bson::Buffer> validator;
    std::string level = "strict";
    std::string action = "error";
    std::string unfit;  // why there can be no validator
};

std::string text_or(DocumentView options, std::string_view key, std::string_view otherwise) {
    const auto value = options.find(key);
    return std::string(value && value->is_string() ? value->string() : otherwise);
}

Present present_of(const std::optional<bson::Buffer>& entry) {
    Present present;
    if (!entry) return present;
    present.exists = true;
    const auto description = DocumentView::unchecked(*entry);
    const std::string type = text_or(description, "type", "collection");
    if (type != "collection") {
        present.unfit = "it is a " + printable(type) + ", which has no validator";
        return present;
    }
    const auto settings = description.find("options");
    if (!settings || !settings->is_document()) return present;
    const DocumentView options = settings->document();
    present.level = text_or(options, "validationLevel", present.level);
    present.action = text_or(options, "validationAction", present.action);
    const auto validator = options.find("validator");
    if (validator && validator->is_document()) {
        const bson::Bytes bytes = validator->value();
        present.validator.emplace(bytes.begin(), bytes.end());
    }
    return present;
}

bool is_installed(const Present& present, const bson::Buffer& validator, const InstallSchema& options) {
    return present.validator == validator && present.level == options.level &&
           present.action == options.action;
}

bson::Buffer command_of(bool exists, const std::string& collection, const bson::Buffer& validator,
                        const InstallSchema& options) {
    bson::Buffer command;
    bson::Builder(command)
        .append_string(exists ? "collMod" : "create", collection)
        .append_document("validator", validator)
        .append_string("validationLevel", options.level)
        .append_string("validationAction", options.action)
        .finish();
    return command;
}

void print_notes(const MergedValidator& merged, const Present& present, const InstallSchema& options,
                 std::ostream& err) {
    for (const std::string& note : merged.notes) err << "note: " << printable(note) << '\n';
    if (present.level != options.level)
        err << "note: validationLevel was " << printable(present.level) << ", becomes " << options.level
            << '\n';
    if (present.action != options.action)
        err << "note: validationAction was " << printable(present.action) << ", becomes " << options.action
            << '\n';
    if (options.action == "warn")
        err << "note: under `warn` the server stores plaintext all the same and only logs it\n";
    else if (present.exists && options.level == "strict")
        err << "note: documents that are stored in plaintext stay, but cannot be updated before they are "
               "encrypted\n";
}

// From here on the cluster is there.
int install(const config::Config& config, const config::Schema& schema, const analysis::NamespaceName& name,
            const InstallSchema& options, Console console) {
    const auto unavailable = [&](const std::string& what) {
        console.err << "cluster: " << printable(what) << '\n';
        return exit_unavailable;
    };
    cluster::CollectionClient client({config.upstream.uri, config.upstream.election_wait});
    const auto described = client.describe(name.database, name.collection);
    if (!described.error.empty()) return unavailable(described.error);
    const Present present = present_of(described.entry);
    if (!present.unfit.empty()) {
        console.err << printable(options.name) << ": " << present.unfit << '\n';
        return exit_configuration;
    }
    std::optional<DocumentView> existing;
    if (present.validator) existing = DocumentView::unchecked(*present.validator);
    const MergedValidator merged = merge_validator(existing, schema);
    if (!merged.problems.empty()) {
        console.err << printable(options.name)
                    << ": the schema and the collection's validator cannot be one:\n";
        for (const std::string& problem : merged.problems) console.err << "  " << printable(problem) << '\n';
        return exit_configuration;
    }
    if (is_installed(present, merged.validator, options)) {
        console.err << printable(options.name) << ": the schema is installed already\n";
        return exit_ok;
    }
    print_notes(merged, present, options, console.err);
    const bson::Buffer command = command_of(present.exists, name.collection, merged.validator, options);
    if (options.dry_run) {
        console.out << printable_json(bson::lay_out_json(bson::to_json(command))) << '\n';
        return exit_ok;
    }
    if (const std::string error = client.run(name.database, command); !error.empty())
        return unavailable(std::string(present.exists ? "collMod" : "create") + ": " + error);
    const auto again = client.describe(name.database, name.collection);
    if (!again.error.empty())
        return unavailable("the command was carried out, but not checked: " + again.error);
    if (!is_installed(present_of(again.entry), merged.validator, options))
        return unavailable("the command was carried out, but the collection has another validator now");
    console.out << printable(options.name) << ": installed (" << (present.exists ? "collMod" : "create")
                << ", validationLevel " << options.level << ", validationAction " << options.action << ")\n";
    return exit_ok;
}

}  // namespace

int install_schema(const std::filesystem::path& file, const InstallSchema& options, Console console) {
    const auto name = parse_name(options.name);
    if (!name) {
        console.err << "NAMESPACE must be DATABASE.COLLECTION, one of them and no pattern\n";
        return exit_usage;
    }
    const auto config = load_configuration(file, console.err);
    if (!config) return exit_configuration;
    const config::ProtectedNamespace* entry = config->find(name->database, name->collection);
    if (entry == nullptr || entry->schema->empty()) {
        console.err << printable(options.name)
                    << (entry == nullptr ? ": not in the configuration's `schemas`\n"
                                         : ": its schema encrypts nothing\n");
        return exit_configuration;
    }
    const SchemaWithUuids resolved = with_key_uuids(*entry->schema, name->database, *config);
    if (!resolved.error.empty()) {
        console.err << resolved.error << '\n';
        return exit_unavailable;
    }
    for (const std::string& problem : resolved.problems) console.err << problem << '\n';
    if (!resolved.problems.empty()) return exit_configuration;
    try {
        return install(*config, *resolved.schema, *name, options, console);
    } catch (const std::runtime_error& error) {
        console.err << "cluster: " << error.what() << '\n';
        return exit_unavailable;
    }
}

}  // namespace fieldgate::commands
