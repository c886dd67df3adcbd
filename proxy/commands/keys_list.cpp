#include <algorithm>
#include <map>
#include <ostream>

#include "crypto/kms/vault.hpp"
#include "proxy/bson/builder.hpp"
#include "proxy/commands/key_use.hpp"
#include "proxy/commands/key_vault_access.hpp"
#include "proxy/commands/keys.hpp"
#include "proxy/commands/text.hpp"
#include "proxy/keys/master_key.hpp"
#include "proxy/keys/master_key_list.hpp"

namespace fieldgate::commands {
namespace {

// A row of the table must be readable whatever one document holds: a column is as wide as its widest cell.
// --json has everything.
constexpr std::size_t names_shown_max = 5;
constexpr std::size_t master_key_bytes_max = 200;

struct Row {
    FoundKey found;
    std::vector<std::string> used_by;
    std::optional<bool> is_listed;  // nothing: its provider has no list of master keys
};

using Lists = std::map<std::string, keys::MasterKeyList, std::less<>>;  // by provider

Lists lists_of(const config::Config& config) {
    Lists lists;
    for (const config::KmsProvider& provider : config.kms_providers) {
        if (provider.master_keys) lists.emplace(provider.name, keys::MasterKeyList(provider));
    }
    return lists;
}

std::optional<bool> find_listed(const Lists& lists, const FoundKey& found) {
    if (!found.key) return std::nullopt;
    const auto list = lists.find(found.key->provider);
    if (list == lists.end()) return std::nullopt;
    return !list->second.refusal_of(found.key->master_key).has_value();
}

std::string names_text(const std::vector<std::string>& names) {
    std::string text;
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (i == names_shown_max) return text + " and " + std::to_string(names.size() - i) + " more";
        text += (i == 0 ? "" : ", ") + shortened(names[i], name_bytes_shown_max);
    }
    return text;
}

// Vault's and OpenBao's version of the key that wrapped it, as only the wrapped key says it. Of the others
// either masterKey does or nobody.
std::string wrapping_version(const keys::KeyDocument& key) {
    if (!std::holds_alternative<crypto::kms::VaultMasterKey>(key.master_key)) return {};
    return std::string(crypto::kms::vault_wrapping_version(key.wrapped));
}

std::string master_key_text(const keys::KeyDocument& key) {
    const std::string version = wrapping_version(key);
    return shortened(keys::master_key_text(key.master_key), master_key_bytes_max) +
           (version.empty() ? "" : " (v" + version + ")");
}

void print_table(const std::vector<Row>& rows, std::ostream& out) {
    const std::int64_t now_ms = now_unix_ms();
    std::vector<std::vector<std::string>> cells{{"ID", "NAMES", "PROVIDER", "MASTER KEY", "AGE", "USED BY"}};
    for (const Row& row : rows) {
        const std::string id = row.found.id_text();
        const std::string names = names_text(row.found.alt_names);
        if (const auto& key = row.found.key) {
            const char* const mark = row.is_listed.value_or(true) ? "" : " (not listed)";
            cells.push_back({id, names, key->provider, master_key_text(*key) + mark,
                             age_text(key->creation_unix_ms, now_ms), joined(row.used_by)});
        } else {
            cells.push_back({id, names, "?", "", "?", "unusable: " + row.found.problem});
        }
    }
    out << table(cells);
}

void print_json(const std::vector<Row>& rows, std::ostream& out) {
    bson::Buffer buffer;
    bson::Builder builder(buffer);
    const auto add_array = [&](const char* name, const std::vector<std::string>& texts) {
        builder.open_array(name);
        // Names of unusable documents are whatever bytes somebody wrote.
        for (std::size_t i = 0; i < texts.size(); ++i) {
            builder.append_string(bson::index_key(i),
                                  keys::is_utf8(texts[i]) ? texts[i] : printable(texts[i]));
        }
        builder.close();
    };
    builder.open_array("keys");
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const FoundKey& found = rows[i].found;
        builder.open_document(bson::index_key(i));
        if (found.id) builder.append_string("id", found.id_text());
        add_array("altNames", found.alt_names);
        if (!found.key) {
            builder.append_string("problem", found.problem).close();
            continue;
        }
        builder.append_string("provider", found.key->provider);
        keys::append_master_key(builder, found.key->provider, found.key->master_key);
        if (const std::string version = wrapping_version(*found.key); !version.empty())
            builder.append_string("wrappedByVersion", version);
        if (rows[i].is_listed) builder.append_bool("masterKeyListed", *rows[i].is_listed);
        builder.append_string("created", time_text(found.key->creation_unix_ms))
            .append_string("updated", time_text(found.key->update_unix_ms));
        add_array("usedBy", rows[i].used_by);
        builder.close();
    }
    builder.close().finish();
    out << printable_json(bson::to_json(buffer)) << '\n';
}

}  // namespace

int list_keys(const std::filesystem::path& file, bool json, Console console) {
    const auto config = load_configuration(file, console.err);
    if (!config) return exit_configuration;
    KeyVaultAccess vault(*config, console);
    if (!vault.open()) return vault.code();
    auto found = vault.all();
    if (!found) return vault.code();

    const Lists lists = lists_of(*config);
    std::vector<Row> rows;
    rows.reserve(found->size());
    for (FoundKey& key : *found) {
        std::vector<std::string> used_by;
        if (key.key) used_by = schemas_that_use(*config, *key.key);
        const auto is_listed = find_listed(lists, key);
        rows.push_back({std::move(key), std::move(used_by), is_listed});
    }
    std::ranges::stable_sort(
        rows, {}, [](const Row& row) { return row.found.key ? row.found.key->creation_unix_ms : 0; });
    if (json) {
        print_json(rows, console.out);
    } else if (rows.empty()) {
        console.err << "no keys in " << vault_name(*config) << '\n';
    } else {
        print_table(rows, console.out);
    }
    return exit_ok;
}

}  // namespace fieldgate::commands
