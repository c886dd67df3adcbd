#pragma once

#include <atomic>
#include <filesystem>
#include <string>
#include <vector>

#include "proxy/commands/commands.hpp"

// `fieldgate keys`: the data keys of the key vault, with the key managers of the configuration. A KEY of the
// command line is a UUID or an alternative name.
namespace fieldgate::commands {

// `fieldgate keys create`: prints the new key's UUID.
struct CreateKey {
    std::string provider = {};  // empty: `local`, or the only one
    std::vector<std::string> alt_names = {};
    std::string master_key = {};              // the drivers' masterKey, extended JSON
    std::filesystem::path key_material = {};  // 96 bytes, raw or base64, of a key that is restored
    std::string id = {};                      // its UUID; only with key_material
};
int create_key(const std::filesystem::path& file, const CreateKey& options, const OpenKeyManagers& open_kms,
               Console console);

// `fieldgate keys list`: a table, or JSON:
// {"keys": [{"id", "altNames", "provider", "masterKey", "created", "updated", "usedBy"}]}, with
// "masterKeyListed" where the provider has a list of `master_keys` (the table says "not listed"); documents
// that are none that drivers or fieldgate would use have {"id", "problem"}.
int list_keys(const std::filesystem::path& file, bool json, Console console);

// `fieldgate keys alias add|remove KEY NAME`.
struct ChangeAlias {
    enum class Action : std::uint8_t { add, remove } action = Action::add;
    std::string key;
    std::string name;
};
int change_alias(const std::filesystem::path& file, const ChangeAlias& options, Console console);

// `fieldgate keys rewrap`: the same data keys under another master key, or afresh under their own. Key by
// key: each is read, unwrapped, wrapped, proved to unwrap, and replaced only if nobody else has changed it
// meanwhile. Safe to interrupt and to repeat: keys that are under the wanted master key are left alone.
// exit_incomplete when a key that was chosen was not rewrapped.
struct RewrapKeys {
    // Any of: "all", "provider=aws:eu", "name=clinic", "id=UUID".
    std::vector<std::string> filters;
    std::string provider = {};                       // empty: each key's own, and its own master key
    std::string master_key = {};                     // only with a provider
    bool dry_run = false;                            // unwraps every key, and changes nothing
    std::size_t keys_at_once = 8;                    // that the key managers are asked about
    const std::atomic<bool>* interrupted = nullptr;  // set: no further key is written
};
int rewrap_keys(const std::filesystem::path& file, const RewrapKeys& options, const OpenKeyManagers& open_kms,
                Console console);

// `fieldgate keys delete KEY`: says what becomes unreadable and asks for the key's name or UUID.
struct DeleteKey {
    std::string key;
    bool yes = false;  // do not ask
};
int delete_key(const std::filesystem::path& file, const DeleteKey& options, Console console);

}  // namespace fieldgate::commands
