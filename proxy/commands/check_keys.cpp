#include "proxy/commands/check_keys.hpp"

#include <algorithm>

#include "proxy/commands/key_use.hpp"
#include "proxy/commands/key_vault_access.hpp"
#include "proxy/commands/text.hpp"
#include "proxy/keys/master_key.hpp"
#include "proxy/keys/master_key_list.hpp"

namespace fieldgate::commands {
namespace {

using keys::MasterKeyDescription;

// How many documents of a provider are looked at, and how many different master keys of theirs are tried.
constexpr std::size_t documents_looked_at = 100;
constexpr std::size_t master_keys_tried = 5;

// Whether a provider has anything to log in with besides what each request carries.
bool has_login(const config::KmsProvider& provider) {
    if (const auto* aws = std::get_if<config::AwsKms>(&provider.settings)) return aws->access_key_id.empty();
    return !std::holds_alternative<config::LocalKms>(provider.settings) &&
           !std::holds_alternative<config::KmipKms>(provider.settings);
}

std::string quoted(const std::string& provider) {
    return "KMS provider `" + provider + "`";
}

void check_provider(const config::KmsProvider& provider, const std::vector<MasterKeyDescription>& master_keys,
                    KeyManagers& kms, Report& report) {
    for (const MasterKeyDescription& master_key : master_keys) {
        const std::string text = keys::master_key_text(master_key);
        const std::string under = text.empty() ? "" : " under " + text;
        if (const auto proved = prove(kms, provider.name, master_key); !proved) {
            report.failed(exit_unavailable, proved.error().text + under);
        } else {
            report.passed(quoted(provider.name) + ": unwraps what it wraps" + under);
        }
    }
    if (!master_keys.empty()) return;
    const std::string unused = ": no key in the key vault uses it yet; ";
    if (!has_login(provider)) {
        report.passed(quoted(provider.name) + unused + "there was nothing to try it with");
    } else if (const auto failure = kms.login(provider.name)) {
        report.failed(exit_unavailable, failure->text);
    } else {
        report.passed(quoted(provider.name) + unused + "its credentials were proved by login only");
    }
}

std::vector<FoundKey> found_keys(const std::vector<bson::Buffer>& documents) {
    std::vector<FoundKey> keys;
    keys.reserve(documents.size());
    for (const bson::Buffer& document : documents) keys.push_back(found_key(document));
    return keys;
}

// A key for each master key that documents of the provider name and that `is_wanted`; no more than some.
template <class Predicate>
std::vector<FoundKey> keys_by_master_key(const config::KmsProvider& provider, cluster::KeyVaultClient* vault,
                                         const Predicate& is_wanted) {
    std::vector<FoundKey> keys;
    if (vault == nullptr) return keys;
    const auto found = vault->find_of_provider(provider.name, documents_looked_at);
    for (FoundKey& key : found_keys(found.documents)) {
        if (!key.key || key.key->provider != provider.name || !is_wanted(key.key->master_key)) continue;
        const bool is_there = std::ranges::any_of(
            keys, [&](const FoundKey& other) { return other.key->master_key == key.key->master_key; });
        if (!is_there && keys.size() < master_keys_tried) keys.push_back(std::move(key));
    }
    return keys;
}

std::vector<MasterKeyDescription> master_keys_of(const std::vector<FoundKey>& keys) {
    std::vector<MasterKeyDescription> master_keys;
    master_keys.reserve(keys.size());
    for (const FoundKey& key : keys) master_keys.push_back(key.key->master_key);
    return master_keys;
}

// The way out, where the cause is one that newcomers meet.
std::string hint(const crypto::kms::Failure& failure, const config::Config& config) {
    if (failure.code != "hmac_validation_failure") return {};
    return " (it was made with another master key: name that one's file in kms_providers, or, if it is "
           "another "
           "installation's key, give this one a key vault of its own: key_vault.namespace in " +
           config.file.string() + ")";
}

void check_key(const config::Config& config, const std::string& what, const std::vector<FoundKey>& found,
               const std::string& way_out, KeyManagers& kms, Report& report) {
    if (found.empty()) {
        return report.failed(
            exit_configuration,
            what + ": not all keys requested were satisfied: it is not in " + vault_name(config) + way_out);
    }
    if (found.size() > 1)
        return report.failed(exit_configuration,
                             what + ": several keys in " + vault_name(config) + " are it");
    const FoundKey& key = found.front();
    if (!key.key) {
        return report.failed(exit_configuration, what + ": its document cannot be used: " + key.problem);
    }
    if (find_provider(config, key.key->provider) == nullptr) {
        return report.failed(exit_configuration,
                             what + ": " + quoted(key.key->provider) + " is not configured");
    }
    const auto unwrapped = kms.unwrap(key.key->provider, key.key->master_key, key.key->wrapped);
    if (!unwrapped) {
        using Kind = crypto::kms::Failure::Kind;
        const Kind kind = unwrapped.error().kind;
        const bool is_of_the_key = kind == Kind::refused || kind == Kind::malformed;
        return report.failed(is_of_the_key ? exit_configuration : exit_unavailable,
                             what + ": " + unwrapped.error().text + hint(unwrapped.error(), config));
    }
    report.passed(what + ": is " + keys::uuid_text(key.id) + " and can be unwrapped");
}

}  // namespace

void Report::passed(const std::string& what) {
    console_.out << "ok      " << printable(what) << '\n';
}

void Report::failed(int code, const std::string& what) {
    console_.err << "FAILED  " << printable(what) << '\n';
    // What must be written differently outweighs what may answer in a minute.
    if (code_ != exit_configuration) code_ = code;
}

void check_providers(const config::Config& config, KeyManagers& kms, cluster::KeyVaultClient* vault,
                     Report& report) {
    for (const config::KmsProvider& provider : config.kms_providers) {
        if (std::holds_alternative<config::LocalKms>(provider.settings)) {
            check_provider(provider, {crypto::kms::LocalMasterKey{}}, kms, report);
            continue;
        }
        const keys::MasterKeyList list(provider);
        const std::vector<FoundKey> found = keys_by_master_key(provider, vault, [&](const auto& master_key) {
            return !list.is_limited() || list.refusal_of(master_key).has_value();
        });
        if (!list.is_limited()) {
            check_provider(provider, master_keys_of(found), kms, report);
            continue;
        }
        check_provider(provider, list.listed(), kms, report);
        for (const FoundKey& key : found) {
            report.failed(exit_configuration, "key " + key.text() + ": " + quoted(provider.name) + ": " +
                                                  list.refusal_of(key.key->master_key)->text);
        }
    }
}

void check_schema_keys(const config::Config& config, KeyManagers& kms, cluster::KeyVaultClient& vault,
                       Report& report) {
    std::vector<std::string> open_names;
    const keys::KeyRequest request = keys_of_schemas(config, open_names);
    for (const std::string& open : open_names) {
        report.passed("key named `" + open + "`: depends on the database, not looked for");
    }
    if (request.ids.empty() && request.alt_names.empty()) return;
    const auto found = vault.find(request);
    if (!found.error.empty())
        return report.failed(exit_unavailable, "key vault " + vault_name(config) + ": " + found.error);
    const std::vector<FoundKey> keys = found_keys(found.documents);
    const auto those = [&](const auto& predicate) {
        std::vector<FoundKey> matching;
        std::ranges::copy_if(keys, std::back_inserter(matching), predicate);
        return matching;
    };
    for (const std::string& name : request.alt_names) {
        check_key(
            config, "key named `" + name + "`", those([&](const FoundKey& key) {
                return std::ranges::find(key.alt_names, name) != key.alt_names.end();
            }),
            " (create it: fieldgate keys create -c " + config.file.string() + " --alt-name " + name + ")",
            kms, report);
    }
    for (const crypto::KeyId& id : request.ids) {
        check_key(config, "key " + keys::uuid_text(id),
                  those([&](const FoundKey& key) { return key.id == id; }), "", kms, report);
    }
}

}  // namespace fieldgate::commands
