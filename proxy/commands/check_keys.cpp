#include "proxy/commands/check_keys.hpp"

#include <algorithm>
#include <functional>
#include <map>

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
constexpr std::size_t samples_told = 5;  // of those that cannot be unwrapped

// Whether a provider has anything to log in with besides what each request carries.
bool has_login(const config::KmsProvider& provider) {
    if (const auto* aws = std::get_if<config::AwsKms>(&provider.settings)) return aws->access_key_id.empty();
    return !std::holds_alternative<config::LocalKms>(provider.settings) &&
           !std::holds_alternative<config::KmipKms>(provider.settings);
}

std::string quoted(const std::string& provider) {
    return "KMS provider `" + provider + "`";
}

bool check_provider(const config::KmsProvider& provider, const std::vector<MasterKeyDescription>& master_keys,
                    KeyManagers& kms, Report& report) {
    bool works = true;
    for (const MasterKeyDescription& master_key : master_keys) {
        const std::string text = keys::master_key_text(master_key);
        if (const auto proved = prove(kms, provider.name, master_key); !proved) {
            report.failed(exit_unavailable,
                          proved.error().text + (text.empty() ? "" : " (under " + text + ")"));
            works = false;
        } else {
            report.passed(quoted(provider.name) + ": unwraps what it wraps" +
                          (text.empty() ? "" : " under " + text));
        }
    }
    if (!master_keys.empty()) return works;
    const std::string unused = ": no key in the key vault uses it yet; ";
    if (!has_login(provider)) {
        report.passed(quoted(provider.name) + unused + "there was nothing to try it with");
    } else if (const auto failure = kms.login(provider.name)) {
        report.failed(exit_unavailable, failure->text);
        works = false;
    } else {
        report.passed(quoted(provider.name) + unused + "its credentials were proved by login only");
    }
    return works;
}

std::vector<FoundKey> found_keys(const std::vector<bson::Buffer>& documents) {
    std::vector<FoundKey> keys;
    keys.reserve(documents.size());
    for (const bson::Buffer& document : documents) keys.push_back(found_key(document));
    return keys;
}

std::vector<FoundKey> keys_of(const config::Config& config, const config::KmsProvider& provider,
                              cluster::KeyVaultClient* vault, Report& report) {
    if (vault == nullptr) return {};
    const auto answer = vault->find_of_provider(provider.name, documents_looked_at);
    if (!answer.error.empty())
        report.failed(exit_unavailable, "key vault " + vault_name(config) + ": " + answer.error);
    std::vector<FoundKey> keys = found_keys(answer.documents);
    std::erase_if(keys,
                  [&](const FoundKey& found) { return !found.key || found.key->provider != provider.name; });
    return keys;
}

// One for each master key that `is_wanted`; no more than some.
template <class Predicate>
std::vector<FoundKey> by_master_key(const std::vector<FoundKey>& all, const Predicate& is_wanted) {
    std::vector<FoundKey> keys;
    for (const FoundKey& key : all) {
        const bool is_there = std::ranges::any_of(
            keys, [&](const FoundKey& other) { return other.key->master_key == key.key->master_key; });
        if (!is_there && keys.size() < master_keys_tried && is_wanted(key.key->master_key))
            keys.push_back(key);
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
std::string hint(const crypto::kms::Failure& failure, const std::string& provider,
                 const config::Config& config) {
    if (failure.code != "hmac_validation_failure") return {};
    return " (it was made with another master key: that one's file belongs at kms_providers." + provider +
           ".key_file; or, if it is another installation's key, give this one a key vault of its own: "
           "key_vault.namespace in " +
           config.file.string() + ")";
}

// Of a provider that is configured.
bool unwraps(const config::Config& config, const std::string& what, const FoundKey& key, KeyManagers& kms,
             Report& report) {
    const auto unwrapped = kms.unwrap(key.key->provider, key.key->master_key, key.key->wrapped);
    if (unwrapped) return true;
    using Kind = crypto::kms::Failure::Kind;
    const Kind kind = unwrapped.error().kind;
    const bool is_of_the_key = kind == Kind::refused || kind == Kind::malformed;
    report.failed(is_of_the_key ? exit_configuration : exit_unavailable,
                  what + ": " + unwrapped.error().text + hint(unwrapped.error(), key.key->provider, config));
    return false;
}

// Schemas do not name every key: those of patients, say. What a provider wraps now, it unwraps; that says
// nothing of what was wrapped before its master key's file was replaced.
void check_samples(const config::Config& config, const config::KmsProvider& provider,
                   const std::vector<FoundKey>& samples, std::size_t found, KeyManagers& kms,
                   Report& report) {
    std::size_t failed = 0;
    for (const FoundKey& key : samples) {
        if (!unwraps(config, "key " + key.text(), key, kms, report) && ++failed == samples_told) return;
    }
    if (failed == 0 && !samples.empty())
        report.passed(quoted(provider.name) +
                      ": unwraps keys of the key vault (tried: " + std::to_string(samples.size()) + " of " +
                      (found < documents_looked_at ? "" : "the first ") + std::to_string(found) + ")");
}

void check_key(const config::Config& config, const std::string& what, const std::vector<FoundKey>& found,
               const std::string& way_out, KeyManagers& kms, Report& report) {
    if (found.empty()) {
        return report.failed(exit_configuration, what + ": is not in " + vault_name(config) + way_out);
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
    if (unwraps(config, what, key, kms, report))
        report.passed(what + ": is " + key.id_text() + " and can be unwrapped");
}

}  // namespace

void Report::passed(const std::string& what) {
    console_.out << "ok      " << printable(what) << '\n';
}

void Report::warned(const std::string& what) {
    console_.err << "warning " << printable(what) << '\n';
}

void Report::failed(int code, const std::string& what) {
    console_.err << "FAILED  " << printable(what) << '\n';
    // What must be written differently outweighs what may answer in a minute.
    if (code_ != exit_configuration) code_ = code;
}

void check_providers(const config::Config& config, KeyManagers& kms, cluster::KeyVaultClient* vault,
                     Report& report) {
    for (const config::KmsProvider& provider : config.kms_providers) {
        const std::vector<FoundKey> found = keys_of(config, provider, vault, report);
        if (std::holds_alternative<config::LocalKms>(provider.settings)) {
            if (check_provider(provider, {crypto::kms::LocalMasterKey{}}, kms, report))
                check_samples(config, provider, found, found.size(), kms, report);
            continue;
        }
        const keys::MasterKeyList list(provider);
        const auto is_listed = [&](const MasterKeyDescription& master_key) {
            return !list.is_limited() || !list.refusal_of(master_key);
        };
        const std::vector<FoundKey> samples = by_master_key(found, is_listed);
        if (check_provider(provider, list.is_limited() ? list.listed() : master_keys_of(samples), kms,
                           report))
            check_samples(config, provider, samples, found.size(), kms, report);
        for (const FoundKey& key : by_master_key(found, std::not_fn(is_listed))) {
            report.failed(exit_configuration, "key " + key.text() + ": " + quoted(provider.name) + ": " +
                                                  list.refusal_of(key.key->master_key)->text);
        }
    }
}

void check_documents(const config::Config& config, cluster::KeyVaultClient& vault, Report& report) {
    const auto all = vault.find_all();
    if (!all.error.empty())
        return report.failed(exit_unavailable, "key vault " + vault_name(config) + ": " + all.error);
    std::size_t unusable = 0;
    std::string first;
    std::map<std::string, std::size_t> of_others;
    for (const bson::Buffer& document : all.documents) {
        const FoundKey found = found_key(document);
        if (!found.key) {
            if (unusable++ == 0) first = found.text() + ": " + found.problem;
        } else if (find_provider(config, found.key->provider) == nullptr) {
            ++of_others[found.key->provider];
        }
    }
    const auto keys = [](std::size_t count) {
        return std::to_string(count) + (count == 1 ? " key is" : " keys are");
    };
    for (const auto& [provider, count] : of_others) {
        report.warned(quoted(provider) + " is not configured: " + keys(count) +
                      " under it, and what was encrypted with that cannot be read");
    }
    if (unusable > 0)
        report.warned("key vault " + vault_name(config) + ": documents that are no keys: " +
                      std::to_string(unusable) + ", the first is " + first + " (fieldgate keys list)");
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
        check_key(config, "key named `" + name + "`", those([&](const FoundKey& key) {
                      return std::ranges::find(key.alt_names, name) != key.alt_names.end();
                  }),
                  way_to_missing_key(config, name), kms, report);
    }
    for (const crypto::KeyId& id : request.ids) {
        check_key(config, "key " + keys::uuid_text(id),
                  those([&](const FoundKey& key) { return key.id == id; }), "", kms, report);
    }
}

}  // namespace fieldgate::commands
