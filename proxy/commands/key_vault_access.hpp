#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/cluster/key_vault.hpp"
#include "proxy/commands/commands.hpp"
#include "proxy/keys/key_document.hpp"

// What the commands about keys share.
namespace fieldgate::commands {

std::string vault_name(const config::Config& config);

const config::KmsProvider* find_provider(const config::Config& config, std::string_view name);

// For a key that a schema names and the key vault does not have, in brackets. A fresh key under the name of a
// lost one goes unnoticed: queries then find nothing of what is stored.
std::string way_to_missing_key(const config::Config& config, const std::string& alt_name);

// Of an alternative name, in what people read: documents may have names of megabytes.
inline constexpr std::size_t name_bytes_shown_max = 80;

// A document of the key vault; without `key` it is none that drivers or fieldgate would use.
struct FoundKey {
    std::optional<crypto::KeyId> id;  // nothing: its _id is no UUID; never of what find() returns
    std::vector<std::string> alt_names;
    std::optional<keys::KeyDocument> key;
    std::string problem;

    std::string id_text() const;
    std::string text() const;  // "`clinic` (07070707-...)", for people
};
FoundKey found_key(const bson::Buffer& document);

// The key vault of one command. What goes wrong is printed here, and the exit code remembered.
class KeyVaultAccess {
 public:
    KeyVaultAccess(const config::Config& config, Console console);

    // False: `code()` says how the command ends.
    bool open();
    int code() const { return code_; }
    cluster::KeyVaultClient& client() { return *client_; }

    int fail(int code, const std::string& what);
    int fail(
        const cluster::KeyVaultClient::Error& error);  // unavailable; with the key vault's name before it

    // What the key vault returned; nothing: it did not answer.
    std::optional<std::vector<FoundKey>> all();
    std::optional<std::vector<FoundKey>> named(const std::vector<std::string>& alt_names);
    // The one key of that UUID, or else of that alternative name.
    std::optional<FoundKey> find(const std::string& id_or_name);
    // The index is what really keeps names unique, also against somebody else's tool at the same moment.
    // Without the right to create it, a warning: there is still the look beforehand.
    bool ensure_name_index();

 private:
    std::optional<std::vector<FoundKey>> read(const keys::KeyVault::Found& found);

    const config::Config& config_;
    Console console_;
    std::optional<cluster::KeyVaultClient> client_;
    int code_ = exit_ok;
};

// "07070707-0707-...": what uuid_text() writes, in either case.
std::optional<crypto::KeyId> parse_key_id(std::string_view text);
// Nothing: sound. Otherwise what is wrong with an alternative name of the command line.
std::optional<std::string> alt_name_problem(const std::string& name);

std::string time_text(std::int64_t unix_ms);                      // "2023-11-14T22:13:20Z"
std::string age_text(std::int64_t unix_ms, std::int64_t now_ms);  // "5 min", "3 h", "12 d"
std::int64_t now_unix_ms();

}  // namespace fieldgate::commands
