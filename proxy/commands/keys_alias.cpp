#include <algorithm>
#include <ostream>

#include "proxy/commands/key_use.hpp"
#include "proxy/commands/key_vault_access.hpp"
#include "proxy/commands/keys.hpp"
#include "proxy/commands/text.hpp"

namespace fieldgate::commands {
namespace {

int add(const config::Config& config, KeyVaultAccess& vault, const FoundKey& key, const std::string& name,
        Console console) {
    if (!vault.ensure_name_index()) return vault.code();
    const auto holders = vault.named({name});
    if (!holders) return vault.code();
    for (const FoundKey& holder : *holders) {
        if (holder.id == key.id) continue;
        return vault.fail(exit_configuration, "key " + holder.id_text() + " in " + vault_name(config) +
                                                  " has the name `" + name + "` already");
    }
    const auto written = vault.client().add_alt_name(*key.id, name);
    if (written.error) {
        if (written.error->kind != cluster::KeyVaultClient::Failure::duplicate)
            return vault.fail(*written.error);
        return vault.fail(exit_configuration,
                          "another key in " + vault_name(config) + " has the name `" + name + "` already");
    }
    if (!written.matched) return vault.fail(exit_configuration, "the key " + key.text() + " is gone");
    console.out << (written.changed ? "added" : "had it already") << ": `" << printable(name) << "` of "
                << key.id_text() << '\n';
    return exit_ok;
}

int remove(const config::Config& config, KeyVaultAccess& vault, const FoundKey& key, const std::string& name,
           Console console) {
    const auto written = vault.client().remove_alt_name(*key.id, name);
    if (written.error) return vault.fail(*written.error);
    if (!written.matched) {
        return vault.fail(exit_configuration, "the key " + key.text() + " has no name `" + name + "`");
    }
    console.out << "removed: `" << printable(name) << "` of " << key.id_text() << '\n';
    // Only those that nothing but this name connects with the key.
    keys::KeyDocument only_name;
    only_name.alt_names = {name};
    const std::vector<std::string> used_by = schemas_that_use(config, only_name);
    if (!used_by.empty()) {
        console.err << "warning: schemas name a key so, and find none when fieldgate starts again: "
                    << printable(joined(used_by)) << '\n';
    }
    return exit_ok;
}

}  // namespace

int change_alias(const std::filesystem::path& file, const ChangeAlias& options, Console console) {
    // One that a driver gave may be any: it can be taken away.
    const auto problem = alt_name_problem(options.name);
    if (problem && (options.action == ChangeAlias::Action::add || !parse_key_id(options.name))) {
        console.err << "NAME: " << *problem << '\n';
        return exit_usage;
    }
    const auto config = load_configuration(file, console.err);
    if (!config) return exit_configuration;
    KeyVaultAccess vault(*config, console);
    if (!vault.open()) return vault.code();
    const auto key = vault.find(options.key);
    if (!key) return vault.code();
    return options.action == ChangeAlias::Action::add ? add(*config, vault, *key, options.name, console)
                                                      : remove(*config, vault, *key, options.name, console);
}

}  // namespace fieldgate::commands
