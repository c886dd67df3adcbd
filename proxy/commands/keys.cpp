#include <algorithm>
#include <chrono>
#include <ctime>
#include <ostream>
#include <set>
#include <stdexcept>

#include "crypto/key_material.hpp"
#include "crypto/key_wrap.hpp"
#include "crypto/random.hpp"
#include "proxy/bson/builder.hpp"
#include "proxy/cluster/key_vault.hpp"
#include "proxy/commands/commands.hpp"
#include "proxy/commands/key_use.hpp"
#include "proxy/commands/text.hpp"
#include "proxy/keys/key_document.hpp"

namespace fieldgate::commands {
namespace {

using Failure = cluster::KeyVaultClient::Failure;

std::string vault_name(const config::Config& config) {
    return config.key_vault.database + "." + config.key_vault.collection;
}

std::optional<cluster::KeyVaultClient> open_key_vault(const config::Config& config, Console console) {
    try {
        return std::optional<cluster::KeyVaultClient>(
            std::in_place,
            cluster::KeyVaultOptions{config.key_vault.uri, config.key_vault.database,
                                     config.key_vault.collection, config.upstream.election_wait});
    } catch (const std::runtime_error& error) {
        console.err << "key vault " << vault_name(config) << ": " << error.what() << '\n';
        return std::nullopt;
    }
}

std::string time_text(std::int64_t unix_ms) {
    const auto seconds = static_cast<std::time_t>(unix_ms / 1000);
    std::tm utc{};
    if (gmtime_r(&seconds, &utc) == nullptr) return "?";
    char text[40];
    return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc)};
}

// A row of the list. `problem`: the document is none that drivers or fieldgate would use.
struct Row {
    keys::KeyDocument key;
    std::string problem;
    std::vector<std::string> used_by;
};

void print_table(const std::vector<Row>& rows, std::ostream& out) {
    std::vector<std::vector<std::string>> cells{{"ID", "NAMES", "PROVIDER", "CREATED", "USED BY"}};
    for (const Row& row : rows) {
        const std::string id = keys::uuid_text(row.key.id);
        const std::string names = joined(row.key.alt_names);
        if (!row.problem.empty()) {
            cells.push_back({id, names, "?", "?", "unusable: " + row.problem});
        } else {
            cells.push_back(
                {id, names, row.key.provider, time_text(row.key.creation_unix_ms), joined(row.used_by)});
        }
    }
    out << table(cells);
}

void print_json(const std::vector<Row>& rows, std::ostream& out) {
    bson::Buffer buffer;
    bson::Builder builder(buffer);
    const auto add_array = [&](const char* name, const std::vector<std::string>& texts) {
        builder.open_array(name);
        for (std::size_t i = 0; i < texts.size(); ++i) builder.append_string(std::to_string(i), texts[i]);
        builder.close();
    };
    builder.open_array("keys");
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const Row& row = rows[i];
        builder.open_document(std::to_string(i)).append_string("id", keys::uuid_text(row.key.id));
        if (!row.problem.empty()) {
            builder.append_string("problem", row.problem).close();
            continue;
        }
        add_array("altNames", row.key.alt_names);
        builder.append_string("provider", row.key.provider)
            .append_string("created", time_text(row.key.creation_unix_ms));
        add_array("usedBy", row.used_by);
        builder.close();
    }
    builder.close().finish();
    out << bson::to_json(buffer) << '\n';
}

// Nothing: sound. Otherwise what is wrong with the names on the command line.
std::optional<std::string> check_names(const std::vector<std::string>& names) {
    std::set<std::string> seen;
    for (const std::string& name : names) {
        if (name.empty()) return "--alt-name: a name cannot be empty";
        if (!keys::is_utf8(name)) return "--alt-name: a name must be UTF-8";
        if (!seen.insert(name).second) return "--alt-name: `" + name + "` is given twice";
    }
    return std::nullopt;
}

}  // namespace

int create_key(const std::filesystem::path& file, const CreateKey& options, Console console) {
    if (const auto problem = check_names(options.alt_names)) {
        console.err << *problem << '\n';
        return exit_usage;
    }
    const auto config = load_configuration(file, console.err);
    if (!config) return exit_configuration;
    if (options.provider != "local") {
        console.err << "KMS provider `" << options.provider << "` is not configured\n";
        return exit_configuration;
    }
    const auto master_key = load_master_key(*config);
    if (const auto* error = std::get_if<MasterKeyError>(&master_key)) {
        console.err << error->text << '\n';
        return exit_configuration;
    }

    crypto::SystemRandom random;
    const auto id = crypto::generate_key_id(random);
    const auto data_key = crypto::generate_key(random);
    if (!id || !data_key) {
        console.err << crypto::make_error_code(crypto::Errc::random_failed).message() << '\n';
        return exit_internal;
    }
    const auto wrapped = crypto::wrap_key(*data_key, std::get<crypto::MasterKey>(master_key), random);
    if (!wrapped) {
        console.err << wrapped.error().message() << '\n';
        return exit_internal;
    }
    keys::KeyDocument key;
    key.id = *id;
    key.alt_names = options.alt_names;
    key.wrapped.assign(wrapped->begin(), wrapped->end());
    key.creation_unix_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                               std::chrono::system_clock::now().time_since_epoch())
                               .count();
    key.update_unix_ms = key.creation_unix_ms;
    key.provider = options.provider;

    auto vault = open_key_vault(*config, console);
    if (!vault) return exit_unavailable;
    const auto unavailable = [&](const std::string& why) {
        console.err << "key vault " << vault_name(*config) << ": " << why << '\n';
        return exit_unavailable;
    };
    // The index is what really keeps names unique, also against somebody else's tool at the same moment.
    // Without the right to create it there is still the look beforehand.
    if (const auto error = vault->ensure_name_index()) {
        if (error->kind == Failure::unavailable) return unavailable(error->text);
        console.err << "warning: no unique index over keyAltNames in " << vault_name(*config) << ": "
                    << error->text << '\n';
    }
    keys::KeyRequest same_names;
    same_names.alt_names = options.alt_names;
    const auto existing = vault->find(same_names);
    if (!existing.error.empty()) return unavailable(existing.error);
    for (const bson::Buffer& document : existing.documents) {
        const keys::KeyClaims claims = keys::claims_of(document);
        for (const std::string& name : claims.alt_names) {
            if (std::ranges::find(options.alt_names, name) == options.alt_names.end()) continue;
            console.err << "a key named `" << printable(name) << "` exists already in " << vault_name(*config)
                        << (claims.ids.empty() ? "" : ": " + keys::uuid_text(claims.ids.front())) << '\n';
            return exit_configuration;
        }
    }
    if (const auto error = vault->insert(keys::build_key_document(key))) {
        if (error->kind != Failure::duplicate) return unavailable(error->text);
        console.err << "a key of one of these names exists already in " << vault_name(*config) << '\n';
        return exit_configuration;
    }
    console.out << keys::uuid_text(key.id) << '\n';
    return exit_ok;
}

int list_keys(const std::filesystem::path& file, bool json, Console console) {
    const auto config = load_configuration(file, console.err);
    if (!config) return exit_configuration;
    auto vault = open_key_vault(*config, console);
    if (!vault) return exit_unavailable;
    const auto found = vault->find_all();
    if (!found.error.empty()) {
        console.err << "key vault " << vault_name(*config) << ": " << found.error << '\n';
        return exit_unavailable;
    }

    std::vector<Row> rows;
    for (const bson::Buffer& document : found.documents) {
        Row row;
        if (auto key = keys::parse_key_document(document)) {
            row.used_by = schemas_that_use(*config, *key);
            row.key = std::move(*key);
        } else {
            const keys::KeyClaims claims = keys::claims_of(document);
            if (!claims.ids.empty()) row.key.id = claims.ids.front();
            row.key.alt_names = claims.alt_names;
            row.problem = key.error().message();
        }
        rows.push_back(std::move(row));
    }
    std::ranges::stable_sort(rows, {}, [](const Row& row) { return row.key.creation_unix_ms; });
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
