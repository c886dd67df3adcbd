#include <algorithm>
#include <chrono>
#include <deque>
#include <future>
#include <optional>
#include <ostream>
#include <set>
#include <span>
#include <vector>

#include "proxy/commands/key_vault_access.hpp"
#include "proxy/commands/keys.hpp"
#include "proxy/commands/master_key_option.hpp"
#include "proxy/commands/text.hpp"
#include "proxy/keys/master_key.hpp"

namespace fieldgate::commands {
namespace {

using crypto::kms::Failure;
using crypto::kms::KmipMasterKey;

// A key manager that fails so often in a row does not answer the next thousand keys either.
constexpr int failures_in_a_row_max = 3;

// One command's worth: a majority's answer costs the same for one key and for all of them.
constexpr std::size_t keys_in_a_write_max = 100;

struct Filter {
    bool all = false;
    std::vector<std::string> providers;
    std::vector<std::string> names;
    std::vector<crypto::KeyId> ids;
    std::string problem;

    bool matches(const FoundKey& key) const {
        const auto has = [](const auto& list, const auto& value) {
            return std::ranges::find(list, value) != list.end();
        };
        return all || (key.id && has(ids, *key.id)) || (key.key && has(providers, key.key->provider)) ||
               std::ranges::any_of(key.alt_names, [&](const std::string& name) { return has(names, name); });
    }
};

Filter read_filter(const std::vector<std::string>& texts) {
    Filter filter;
    for (const std::string& text : texts) {
        const std::size_t equal = text.find('=');
        const std::string what = text.substr(0, equal);
        const std::string value = equal == std::string::npos ? "" : text.substr(equal + 1);
        if (text == "all") {
            filter.all = true;
        } else if (what == "provider" && keys::is_provider_name(value)) {
            filter.providers.push_back(value);
        } else if (what == "name" && !value.empty()) {
            filter.names.push_back(value);
        } else if (const auto id = parse_key_id(value); what == "id" && id) {
            filter.ids.push_back(*id);
        } else {
            filter.problem =
                "--filter: must be all, provider=NAME, name=ALT_NAME or id=UUID, not `" + text + "`";
        }
    }
    if (texts.empty())
        filter.problem = "--filter: say which keys: all, provider=NAME, name=ALT_NAME or id=UUID";
    return filter;
}

// What the key managers made of one key.
struct Prepared {
    bool is_there = false;
    std::optional<Failure> failure;
    keys::KeyDocument document;  // as it is to be written; of a dry run, without new material
};

bool is_ready(const std::future<Prepared>& prepared) {
    return prepared.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
}

// The keys, and the account of them. Key managers are asked about several at a time, as each question takes
// them a while; what they said is written and told in the order of the keys, as many at a time as are there.
class Rewrap {
 public:
    Rewrap(const RewrapKeys& options, KeyManagers& kms, KeyVaultAccess& vault, Console console)
        : options_(options), kms_(kms), vault_(vault), console_(console) {}

    void set_target(const std::string& provider, const keys::MasterKeyDescription& master_key) {
        provider_ = provider;
        master_key_ = master_key;
    }

    int run(const std::vector<FoundKey>& keys) {
        keys_ = keys;
        // Those that are left when it stops were asked about in vain: nothing of them is written.
        std::deque<std::future<Prepared>> under_way;
        std::size_t begun = 0;
        while (told_ < keys_.size()) {
            if (in_a_row_ >= failures_in_a_row_max) {
                say("stopped: the key manager or the key vault failed " +
                    std::to_string(failures_in_a_row_max) + " times in a row");
                break;
            }
            for (; !is_interrupted() && begun < keys_.size() && under_way.size() < options_.keys_at_once;
                 ++begun) {
                under_way.push_back(
                    std::async(std::launch::async, [this, &key = keys_[begun]] { return prepare(key); }));
            }
            if (is_interrupted() || !wait_for(under_way.front())) {
                say("interrupted");
                if (!std::ranges::all_of(under_way, is_ready))
                    say("waiting for what key managers were asked; once more ends it at once");
                break;
            }
            Prepared prepared = under_way.front().get();
            under_way.pop_front();
            if (!is_to_be_written(prepared)) {
                write_batch();
                tell(prepared);
                continue;
            }
            batch_.push_back({*keys_[told_ + batch_.size()].key, std::move(prepared.document)});
            // Nobody waits for more keys: what is there is written while key managers think about the next.
            if (batch_.size() == keys_in_a_write_max || under_way.empty() || !is_ready(under_way.front()))
                write_batch();
        }
        return finish();
    }

 private:
    bool is_interrupted() const { return options_.interrupted != nullptr && *options_.interrupted; }

    // False: interrupted meanwhile.
    bool wait_for(const std::future<Prepared>& prepared) const {
        while (!is_interrupted()) {
            if (prepared.wait_for(std::chrono::milliseconds(100)) == std::future_status::ready) return true;
        }
        return false;
    }

    // The target's provider and master key, or the key's own.
    bool is_there(const keys::KeyDocument& key) const {
        return !provider_.empty() && key.provider == provider_ && key.master_key == master_key_;
    }

    // On a thread of its own: asks the key managers and touches nothing.
    Prepared prepare(const FoundKey& found) const {
        Prepared prepared;
        if (!found.key) {
            prepared.failure =
                Failure{Failure::Kind::refused, 0, "unusable", "left as it is: " + found.problem};
            return prepared;
        }
        const keys::KeyDocument& key = *found.key;
        prepared.document = key;
        if (is_there(key)) {
            prepared.is_there = true;
            return prepared;
        }
        const auto unwrapped = kms_.unwrap(key.provider, key.master_key, key.wrapped);
        if (!unwrapped) {
            prepared.failure = unwrapped.error();
            return prepared;
        }
        keys::KeyDocument& rewrapped = prepared.document;
        if (!provider_.empty()) {
            rewrapped.provider = provider_;
            rewrapped.master_key = master_key_;
        }
        if (options_.dry_run) return prepared;
        auto wrapped = wrap_and_prove(kms_, rewrapped.provider, rewrapped.master_key, *unwrapped);
        if (!wrapped) {
            prepared.failure = wrapped.error();
            return prepared;
        }
        rewrapped.wrapped = std::move(wrapped->material);
        rewrapped.master_key = std::move(wrapped->master_key);
        return prepared;
    }

    bool is_to_be_written(const Prepared& prepared) const {
        return !prepared.failure && !prepared.is_there && !options_.dry_run;
    }

    // What needs no write.
    void tell(const Prepared& prepared) {
        const FoundKey& found = keys_[told_];
        if (prepared.failure) {
            failed(found, *prepared.failure);
        } else if (prepared.is_there) {
            ++there_;
            line(found, "is there already");
        } else {
            in_a_row_ = 0;
            ++done_;
            line(found,
                 "would be rewrapped: " + found.key->provider + " -> " + where_text(prepared.document));
        }
        told();
    }

    void write_batch() {
        if (batch_.empty()) return;
        const auto written = vault_.client().rewrap(batch_);
        for (std::size_t i = 0; i < batch_.size(); ++i) {
            const FoundKey& found = keys_[told_];
            if (written[i].error) {
                failed(found, "key vault: " + written[i].error->text, true);
            } else if (!written[i].matched) {
                in_a_row_ = 0;
                ++conflicts_;
                complain(found,
                         "CONFLICT: somebody else changed or deleted it meanwhile; nothing was overwritten");
            } else {
                in_a_row_ = 0;
                ++done_;
                line(found, "rewrapped: " + where_text(batch_[i].written));
            }
            told();
        }
        batch_.clear();
    }

    static std::string where_text(const keys::KeyDocument& key) {
        const std::string master_key = keys::master_key_text(key.master_key);
        return master_key.empty() ? key.provider : key.provider + " " + master_key;
    }

    void failed(const FoundKey& key, const Failure& failure) {
        failed(key, failure.text,
               failure.kind == Failure::Kind::unavailable || failure.kind == Failure::Kind::throttled ||
                   failure.kind == Failure::Kind::credentials);
    }
    void failed(const FoundKey& key, const std::string& why, bool may_concern_all) {
        ++failed_;
        in_a_row_ = may_concern_all ? in_a_row_ + 1 : 0;
        complain(key, "FAILED: " + why);
    }

    void line(const FoundKey& key, const std::string& what) {
        if (!console_.is_terminal || options_.dry_run)
            console_.out << key.text() << ": " << printable(what) << '\n';
    }
    void complain(const FoundKey& key, const std::string& what) {
        clear_progress();
        console_.err << key.text() << ": " << printable(what) << '\n';
    }
    void say(const std::string& why) {
        clear_progress();
        console_.err << why << '\n' << std::flush;
    }

    void told() {
        ++told_;
        if (!console_.is_terminal || options_.dry_run) return;
        console_.err << '\r' << told_ << " of " << keys_.size() << " keys" << std::flush;
        has_progress_ = true;
    }
    void clear_progress() {
        if (has_progress_) console_.err << "\r\x1b[K";
        has_progress_ = false;
    }

    int finish() {
        clear_progress();
        const std::size_t left = keys_.size() - told_;
        console_.out << (options_.dry_run ? "would rewrap " : "rewrapped ") << done_ << " of " << keys_.size()
                     << " keys";
        const auto count = [&](std::size_t number, const char* what) {
            if (number > 0) console_.out << ", " << number << ' ' << what;
        };
        count(there_, "there already");
        count(conflicts_, "changed by somebody else");
        count(failed_, "failed");
        count(left, "not reached");
        console_.out << '\n';
        if (conflicts_ + failed_ + left == 0) return exit_ok;
        console_.err << "incomplete: the same command does the rest, when what failed is mended\n";
        return exit_incomplete;
    }

    const RewrapKeys& options_;
    KeyManagers& kms_;
    KeyVaultAccess& vault_;
    Console console_;
    std::string provider_;
    keys::MasterKeyDescription master_key_;
    std::span<const FoundKey> keys_;
    std::size_t told_ = 0;                                   // so many of them
    std::vector<cluster::KeyVaultClient::Rewrapped> batch_;  // those after them that are to be written
    std::size_t done_ = 0;
    std::size_t there_ = 0;
    std::size_t conflicts_ = 0;
    std::size_t failed_ = 0;
    int in_a_row_ = 0;
    bool has_progress_ = false;
};

// What a filter names and nobody has is a typing error: it must not pass for a rotation that is done. A
// provider without keys may well be one that was rotated away from.
std::optional<std::string> unknown_in(const Filter& filter, const std::vector<FoundKey>& keys,
                                      const config::Config& config) {
    const auto unknown = [](const auto& wanted, const auto& is_known) {
        return std::ranges::find_if_not(wanted, is_known);
    };
    const auto name = unknown(filter.names, [&](const std::string& wanted) {
        return std::ranges::any_of(keys, [&](const FoundKey& key) {
            return std::ranges::find(key.alt_names, wanted) != key.alt_names.end();
        });
    });
    if (name != filter.names.end()) return vault_name(config) + " has no key with the name `" + *name + "`";
    const auto id = unknown(filter.ids, [&](const crypto::KeyId& wanted) {
        return std::ranges::find(keys, std::optional(wanted), &FoundKey::id) != keys.end();
    });
    if (id != filter.ids.end()) return vault_name(config) + " has no key " + keys::uuid_text(*id);
    const auto provider = unknown(filter.providers, [&](const std::string& wanted) {
        return find_provider(config, wanted) != nullptr ||
               std::ranges::any_of(
                   keys, [&](const FoundKey& key) { return key.key && key.key->provider == wanted; });
    });
    if (provider != filter.providers.end())
        return "KMS provider `" + *provider + "` is not configured, and " + vault_name(config) +
               " has no key of it";
    return std::nullopt;
}

std::string providers_of(const std::vector<FoundKey>& keys) {
    std::set<std::string> providers;
    for (const FoundKey& key : keys) {
        if (key.key) providers.insert(key.key->provider);
    }
    return joined({providers.begin(), providers.end()});
}

}  // namespace

int rewrap_keys(const std::filesystem::path& file, const RewrapKeys& options, const OpenKeyManagers& open_kms,
                Console console) {
    Filter filter = read_filter(options.filters);
    if (filter.problem.empty() && options.provider.empty() && !options.master_key.empty())
        filter.problem = "--master-key: say of which --provider";
    if (!filter.problem.empty()) {
        console.err << printable(filter.problem) << '\n';
        return exit_usage;
    }
    const auto config = load_configuration(file, console.err);
    if (!config) return exit_configuration;
    MasterKeyOption target;
    if (!options.provider.empty()) {
        target = read_master_key_option(*config, options.provider, options.master_key);
        if (!target.problem.empty()) {
            console.err << printable(target.problem) << '\n';
            return target.code;
        }
    }
    const auto kms = open_key_managers(*config, open_kms, console);
    if (!kms) return exit_configuration;
    KeyVaultAccess vault(*config, console);
    if (!vault.open()) return vault.code();
    auto keys = vault.all();
    if (!keys) return vault.code();
    const std::string providers = providers_of(*keys);
    const std::string there_are = providers.empty() ? "it has no keys" : "its keys' providers: " + providers;
    if (const auto unknown = unknown_in(filter, *keys, *config)) {
        return vault.fail(exit_configuration, "--filter: " + *unknown + " (" + there_are + ")");
    }
    std::erase_if(*keys, [&](const FoundKey& key) { return !filter.matches(key); });
    if (keys->empty()) {
        console.err << "no key in " << vault_name(*config) << " fits the filter (" << printable(there_are)
                    << ")\n";
        return exit_ok;
    }

    Impatient asked(*kms);
    Rewrap rewrap(options, asked, vault, console);
    if (!target.provider.empty()) {
        // Proved once before any key is touched. Without keyId KMIP makes a key, once for all of them.
        const auto* kmip = std::get_if<KmipMasterKey>(&target.master_key);
        const bool makes_key = kmip != nullptr && kmip->key_id.empty();
        if (!makes_key || !options.dry_run) {
            auto proved = prove(*kms, target.provider, target.master_key);
            if (!proved) {
                const std::string under = keys::master_key_text(target.master_key);
                return vault.fail(exit_unavailable, proved.error().text + " (" +
                                                        (under.empty() ? "" : "under " + under + "; ") +
                                                        "no key was touched)");
            }
            target.master_key = std::move(*proved);
        }
        rewrap.set_target(target.provider, target.master_key);
    }
    return rewrap.run(*keys);
}

}  // namespace fieldgate::commands
