#include <algorithm>
#include <istream>
#include <ostream>

#include "proxy/commands/key_use.hpp"
#include "proxy/commands/key_vault_access.hpp"
#include "proxy/commands/keys.hpp"
#include "proxy/commands/text.hpp"

namespace fieldgate::commands {
namespace {

// Namespaces whose documents name their keys themselves: any of them may use any key.
std::vector<std::string> schemas_with_keys_of_documents(const config::Config& config) {
    std::vector<std::string> names;
    for (const config::ProtectedNamespace& entry : config.schemas) {
        if (std::ranges::any_of(entry.schema->fields(), [](const config::EncryptedField& field) {
                return !std::holds_alternative<config::KeyUuid>(field.key) &&
                       !std::holds_alternative<config::KeyAltName>(field.key);
            }))
            names.push_back(entry.pattern.text());
    }
    return names;
}

void print_consequences(const config::Config& config, const FoundKey& key, std::ostream& out) {
    keys::KeyDocument document;
    document.id = *key.id;
    document.alt_names = key.alt_names;
    const std::vector<std::string> used_by = schemas_that_use(config, document);
    const std::vector<std::string> maybe = schemas_with_keys_of_documents(config);
    out << "Everything that is encrypted with " << key.text() << " becomes unreadable, for ever.\n";
    if (!used_by.empty()) {
        out << "  fields of these namespaces become unreadable and cannot be written: "
            << printable(joined(used_by)) << '\n';
    } else {
        out << "  no schema of " << config.file.string() << " names it\n";
    }
    if (!maybe.empty())
        out << "  documents of these namespaces may name it: " << printable(joined(maybe)) << '\n';
}

bool is_confirmed(const FoundKey& key, Console console) {
    console.err << "Type its " << (key.alt_names.empty() ? "UUID" : "name or UUID")
                << " to delete it: " << std::flush;
    std::string line;
    if (console.in == nullptr || !std::getline(*console.in, line)) return false;
    return parse_key_id(line) == key.id || std::ranges::find(key.alt_names, line) != key.alt_names.end();
}

}  // namespace

int delete_key(const std::filesystem::path& file, const DeleteKey& options, Console console) {
    const auto config = load_configuration(file, console.err);
    if (!config) return exit_configuration;
    KeyVaultAccess vault(*config, console);
    if (!vault.open()) return vault.code();
    const auto key = vault.find(options.key);
    if (!key) return vault.code();
    if (!options.yes && !console.is_terminal)
        return vault.fail(exit_usage, "--yes: needed where nobody can be asked: this is no terminal");

    print_consequences(*config, *key, console.err);
    if (!options.yes && !is_confirmed(*key, console)) {
        console.err << "that is not it: nothing was deleted\n";
        return exit_usage;
    }
    const auto written = vault.client().remove(*key->id);
    if (written.error) return vault.fail(*written.error);
    if (!written.matched)
        return vault.fail(exit_configuration, "the key " + key->text() + " is gone already");
    console.out << "deleted: " << key->id_text() << '\n';
    console.err << "Clients may use it for key_vault.cache_lifetime ("
                << config->key_vault.cache_lifetime.count() / 1000 << " s) more, and whoever has a backup of "
                << vault_name(*config) << " and the master key can bring it back.\n";
    return exit_ok;
}

}  // namespace fieldgate::commands
