#include <algorithm>
#include <ostream>

#include "proxy/bson/builder.hpp"
#include "proxy/commands/key_use.hpp"
#include "proxy/commands/key_vault_access.hpp"
#include "proxy/commands/keys.hpp"
#include "proxy/commands/text.hpp"
#include "proxy/keys/master_key.hpp"

namespace fieldgate::commands {
namespace {

struct Row {
    FoundKey found;
    std::vector<std::string> used_by;
};

void print_table(const std::vector<Row>& rows, std::ostream& out) {
    const std::int64_t now_ms = now_unix_ms();
    std::vector<std::vector<std::string>> cells{{"ID", "NAMES", "PROVIDER", "MASTER KEY", "AGE", "USED BY"}};
    for (const Row& row : rows) {
        const std::string id = keys::uuid_text(row.found.id);
        const std::string names = joined(row.found.alt_names);
        if (const auto& key = row.found.key) {
            cells.push_back({id, names, key->provider, keys::master_key_text(key->master_key),
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
        for (std::size_t i = 0; i < texts.size(); ++i) builder.append_string(bson::index_key(i), texts[i]);
        builder.close();
    };
    builder.open_array("keys");
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const FoundKey& found = rows[i].found;
        builder.open_document(bson::index_key(i)).append_string("id", keys::uuid_text(found.id));
        if (!found.key) {
            builder.append_string("problem", found.problem).close();
            continue;
        }
        add_array("altNames", found.alt_names);
        builder.append_string("provider", found.key->provider);
        keys::append_master_key(builder, found.key->provider, found.key->master_key);
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

    std::vector<Row> rows;
    rows.reserve(found->size());
    for (FoundKey& key : *found) {
        std::vector<std::string> used_by;
        if (key.key) used_by = schemas_that_use(*config, *key.key);
        rows.push_back({std::move(key), std::move(used_by)});
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
