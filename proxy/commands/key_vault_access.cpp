#include "proxy/commands/key_vault_access.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <ostream>
#include <stdexcept>

#include "config/scalars.hpp"
#include "proxy/commands/text.hpp"

namespace fieldgate::commands {

std::string vault_name(const config::Config& config) {
    return config.key_vault.database + "." + config.key_vault.collection;
}

const config::KmsProvider* find_provider(const config::Config& config, std::string_view name) {
    const auto found = std::ranges::find(config.kms_providers, name, &config::KmsProvider::name);
    return found == config.kms_providers.end() ? nullptr : &*found;
}

std::string way_to_missing_key(const config::Config& config, const std::string& alt_name) {
    // Without `local` the command asks for more.
    const bool has_local = find_provider(config, "local") != nullptr;
    return " (before the first document: fieldgate keys create -c " + config.file.string() +
           (has_local ? "" : " --provider PROVIDER --master-key JSON") + " --alt-name " + alt_name +
           "; later: restore it from a backup of the key vault, as no other key finds or reads what is "
           "stored)";
}

std::string FoundKey::id_text() const {
    return id ? keys::uuid_text(*id) : "no UUID";
}

std::string FoundKey::text() const {
    const std::string uuid = id_text();
    return alt_names.empty()
               ? uuid
               : "`" + printable(shortened(alt_names.front(), name_bytes_shown_max)) + "` (" + uuid + ")";
}

FoundKey found_key(const bson::Buffer& document) {
    FoundKey found;
    if (auto key = keys::parse_key_document(document)) {
        found.id = key->id;
        found.alt_names = key->alt_names;
        found.key = std::move(*key);
        return found;
    } else {  // NOLINT(readability-else-after-return): the error is in its scope
        found.problem = key.error().message();
    }
    keys::KeyClaims claims = keys::claims_of(document);
    if (!claims.ids.empty()) found.id = claims.ids.front();
    found.alt_names = std::move(claims.alt_names);
    return found;
}

KeyVaultAccess::KeyVaultAccess(const config::Config& config, Console console)
    : config_(config), console_(console) {}

bool KeyVaultAccess::open() {
    try {
        client_.emplace(cluster::KeyVaultOptions{config_.key_vault.uri, config_.key_vault.database,
                                                 config_.key_vault.collection,
                                                 config_.upstream.election_wait});
        return true;
    } catch (const std::runtime_error& error) {
        fail(exit_unavailable, "key vault " + vault_name(config_) + ": " + error.what());
        return false;
    }
}

int KeyVaultAccess::fail(int code, const std::string& what) {
    console_.err << printable(what) << '\n';
    code_ = code;
    return code;
}

int KeyVaultAccess::fail(const cluster::KeyVaultClient::Error& error) {
    return fail(exit_unavailable, "key vault " + vault_name(config_) + ": " + error.text);
}

std::optional<std::vector<FoundKey>> KeyVaultAccess::read(const keys::KeyVault::Found& found) {
    if (!found.error.empty()) {
        fail(exit_unavailable, "key vault " + vault_name(config_) + ": " + found.error);
        return std::nullopt;
    }
    std::vector<FoundKey> keys;
    keys.reserve(found.documents.size());
    for (const bson::Buffer& document : found.documents) keys.push_back(found_key(document));
    return keys;
}

std::optional<std::vector<FoundKey>> KeyVaultAccess::all() {
    return read(client_->find_all());
}

std::optional<std::vector<FoundKey>> KeyVaultAccess::named(const std::vector<std::string>& alt_names) {
    keys::KeyRequest request;
    request.alt_names = alt_names;
    auto keys = read(client_->find(request));
    // Whatever it returned, only what was asked for counts.
    if (keys) {
        std::erase_if(*keys, [&](const FoundKey& key) {
            return std::ranges::none_of(key.alt_names, [&](const std::string& name) {
                return std::ranges::find(alt_names, name) != alt_names.end();
            });
        });
    }
    return keys;
}

std::optional<FoundKey> KeyVaultAccess::find(const std::string& id_or_name) {
    keys::KeyRequest request;
    request.alt_names = {id_or_name};
    const auto id = parse_key_id(id_or_name);
    if (id) request.ids = {*id};
    const auto keys = read(client_->find(request));
    if (!keys) return std::nullopt;

    std::vector<FoundKey> matching;
    if (id)
        std::ranges::copy_if(*keys, std::back_inserter(matching),
                             [&](const auto& key) { return key.id == id; });
    if (matching.empty()) {
        std::ranges::copy_if(*keys, std::back_inserter(matching), [&](const FoundKey& key) {
            return std::ranges::find(key.alt_names, id_or_name) != key.alt_names.end();
        });
    }
    if (matching.size() == 1) {
        const FoundKey& key = matching.front();
        if (key.id) return key;
        fail(exit_configuration, "the document " + key.text() + " in " + vault_name(config_) +
                                     " is no key: " + key.problem + ". Change it with a MongoDB shell");
        return std::nullopt;
    }
    if (matching.empty()) {
        fail(exit_configuration, "no key `" + id_or_name + "` in " + vault_name(config_) +
                                     " (fieldgate keys list -c " + config_.file.string() + ")");
        return std::nullopt;
    }
    std::string ids;
    for (const FoundKey& key : matching) ids += (ids.empty() ? "" : ", ") + key.id_text();
    fail(exit_configuration, "several keys in " + vault_name(config_) + " have the name `" + id_or_name +
                                 "`: say which by its UUID: " + ids);
    return std::nullopt;
}

bool KeyVaultAccess::ensure_name_index() {
    const auto error = client_->ensure_name_index();
    if (!error) return true;
    if (error->kind == cluster::KeyVaultClient::Failure::unavailable) {
        fail(*error);
        return false;
    }
    console_.err << "warning: no unique index over keyAltNames in " << vault_name(config_) << ": "
                 << printable(error->text) << '\n';
    return true;
}

std::optional<crypto::KeyId> parse_key_id(std::string_view text) {
    const auto uuid = config::parse_uuid(text);
    if (!uuid) return std::nullopt;
    return crypto::KeyId{*uuid};
}

std::optional<std::string> alt_name_problem(const std::string& name) {
    if (name.empty()) return "a name cannot be empty";
    if (!keys::is_utf8(name)) return "a name must be UTF-8";
    if (parse_key_id(name))
        return "a name that is a UUID could be another key's: commands that take either would not know which";
    if (name.size() > keys::alt_name_bytes_max)
        return "a name has " + std::to_string(keys::alt_name_bytes_max) + " bytes at most";
    return std::nullopt;
}

std::string time_text(std::int64_t unix_ms) {
    const auto seconds = static_cast<std::time_t>(unix_ms / 1000);
    std::tm utc{};
    if (gmtime_r(&seconds, &utc) == nullptr) return "?";
    char text[40];
    return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc)};
}

std::string age_text(std::int64_t unix_ms, std::int64_t now_ms) {
    constexpr std::int64_t minute_ms = 60'000;
    constexpr std::int64_t hour_ms = minute_ms * 60;
    constexpr std::int64_t day_ms = hour_ms * 24;
    if (unix_ms < 0) return "?";  // dates are whatever somebody wrote
    const std::int64_t age_ms = std::max<std::int64_t>(now_ms - unix_ms, 0);
    if (age_ms < hour_ms * 2) return std::to_string(age_ms / minute_ms) + " min";
    if (age_ms < day_ms * 2) return std::to_string(age_ms / hour_ms) + " h";
    return std::to_string(age_ms / day_ms) + " d";
}

std::int64_t now_unix_ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

}  // namespace fieldgate::commands
