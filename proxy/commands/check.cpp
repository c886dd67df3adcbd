#include <algorithm>
#include <chrono>
#include <future>
#include <ostream>
#include <stdexcept>

#include "crypto/key_material.hpp"
#include "crypto/key_wrap.hpp"
#include "crypto/random.hpp"
#include "proxy/cluster/key_vault.hpp"
#include "proxy/cluster/watcher.hpp"
#include "proxy/commands/commands.hpp"
#include "proxy/commands/key_use.hpp"
#include "proxy/commands/upstream_options.hpp"
#include "proxy/keys/broker.hpp"
#include "proxy/keys/kms_local.hpp"
#include "proxy/net/preflight.hpp"

namespace fieldgate::commands {
namespace {

// The broker as the server runs it, over a key vault that is asked at once.
class DirectKeyVault final : public keys::KeyVault {
 public:
    explicit DirectKeyVault(cluster::KeyVaultClient& client) : client_(client) {}
    void find(const keys::KeyRequest& request, Done done) override { done(client_.find(request)); }

 private:
    cluster::KeyVaultClient& client_;
};

// The local provider sends nothing.
class NoTransport final : public keys::KmsTransport {
 public:
    void send(const std::string&, crypto::kms::Request, std::chrono::milliseconds, Done done) override {
        done(crypto::kms::Failure{.kind = crypto::kms::Failure::Kind::unavailable,
                                  .code = "not_asked",
                                  .text = "only the local provider is asked"});
    }
    void after(std::chrono::milliseconds, std::function<void()>) override {}
};

// One line for each thing that was tried; the exit code of the whole.
class Report {
 public:
    explicit Report(Console console) : console_(console) {}
    void passed(const std::string& what) { console_.out << "ok      " << what << '\n'; }
    void failed(int code, const std::string& what) {
        console_.err << "FAILED  " << what << '\n';
        // What must be written differently outweighs what may answer in a minute.
        if (code_ != exit_configuration) code_ = code;
    }
    int code() const { return code_; }

 private:
    Console console_;
    int code_ = exit_ok;
};

// How long somebody at a terminal waits for a server that may not be there. `run` is more patient.
constexpr std::chrono::milliseconds patience{5000};

// False if nothing that takes writes was found.
bool check_cluster(const config::Config& config, Report& report) {
    try {
        cluster::Watcher watcher({.uri = config.upstream.uri,
                                  .connect_timeout_max = patience / 2,
                                  .on_member_lost = {},
                                  .log = {}});
        std::promise<std::pair<std::optional<cluster::HostPort>, std::string>> promise;
        watcher.find_primary(std::min(config.upstream.election_wait, patience),
                             [&](std::optional<cluster::HostPort> member, std::string why) {
                                 promise.set_value({std::move(member), std::move(why)});
                             });
        const auto [member, why] = promise.get_future().get();
        if (member) {
            report.passed("cluster: " + member->text() + " takes writes");
            return true;
        }
        report.failed(exit_unavailable, "cluster: " + why);
    } catch (const std::runtime_error& error) {
        report.failed(exit_unavailable, std::string("cluster: ") + error.what());
    }
    return false;
}

bool check_local_kms(const crypto::MasterKey& master_key, Report& report) {
    crypto::SystemRandom random;
    const auto key = crypto::generate_key(random);
    if (key) {
        const auto wrapped = crypto::wrap_key(*key, master_key, random);
        if (wrapped) {
            const auto unwrapped = crypto::unwrap_key(*wrapped, master_key);
            if (unwrapped && *unwrapped == *key) {
                report.passed("KMS provider `local`: unwraps what it wraps");
                return true;
            }
        }
    }
    report.failed(exit_internal, "KMS provider `local`: does not unwrap what it wraps");
    return false;
}

std::string key_vault_name(const config::Config& config) {
    return config.key_vault.database + "." + config.key_vault.collection;
}

void check_keys(const config::Config& config, crypto::MasterKey master_key, Report& report) {
    const std::string name = key_vault_name(config);
    std::optional<cluster::KeyVaultClient> client;
    try {
        client.emplace(cluster::KeyVaultOptions{config.key_vault.uri, config.key_vault.database,
                                                config.key_vault.collection, config.upstream.election_wait,
                                                patience});
    } catch (const std::runtime_error& error) {
        report.failed(exit_unavailable, "key vault " + name + ": " + error.what());
        return;
    }
    if (const auto found = client->find({}); !found.error.empty()) {
        report.failed(exit_unavailable, "key vault " + name + ": " + found.error);
        return;
    }
    report.passed("key vault " + name + ": can be read");

    std::vector<std::string> open_names;
    const keys::KeyRequest request = keys_of_schemas(config, open_names);
    for (const std::string& open : open_names) {
        report.passed("key named `" + open + "`: depends on the database, not looked for");
    }
    DirectKeyVault vault(*client);
    keys::BrokerOptions options;
    options.key_vault_namespace = name;
    NoTransport transport;
    keys::Kms::Providers providers;
    providers.emplace("local", keys::make_local_kms(std::move(master_key)));
    keys::Kms kms(transport, std::move(providers));
    keys::Broker broker(vault, kms, std::move(options));
    broker.request(request, [&](const keys::KeyResult& result) {
        for (const auto& [alt_name, answer] : result.alt_names) {
            if (const auto* id = std::get_if<crypto::KeyId>(&answer)) {
                report.passed("key named `" + alt_name + "`: is " + keys::uuid_text(*id));
            } else {
                report.failed(exit_configuration, std::get<keys::FailedKey>(answer).error.errmsg +
                                                      " (create it: fieldgate keys create -c " +
                                                      config.file.string() + " --alt-name " + alt_name + ")");
            }
        }
        for (const auto& [id, answer] : result.ids) {
            if (std::holds_alternative<keys::ReadyKey>(answer)) {
                report.passed("key " + keys::uuid_text(id) + ": can be unwrapped");
            } else {
                report.failed(exit_configuration, std::get<keys::FailedKey>(answer).error.errmsg);
            }
        }
    });
}

}  // namespace

int check(const std::filesystem::path& file, bool connect, Console console) {
    const auto config = load_configuration(file, console.err);
    if (!config) return exit_configuration;
    auto master_key = load_master_key(*config);
    std::vector<std::string> problems = net::start_problems(*config, upstream_options(*config));
    if (const auto* error = std::get_if<MasterKeyError>(&master_key); error != nullptr && config->local_kms)
        problems.push_back(error->text);
    for (const std::string& problem : problems) console.err << problem << '\n';
    if (!problems.empty()) return exit_configuration;
    console.out << "ok      " << file.string() << " (protected namespaces: " << config->schemas.size()
                << ", roles: " << config->roles.size() << ", listeners: " << config->listeners.size()
                << ")\n";
    if (!connect) return exit_ok;

    Report report(console);
    const bool has_cluster = check_cluster(*config, report);
    if (auto* key = std::get_if<crypto::MasterKey>(&master_key)) {
        const bool has_kms = check_local_kms(*key, report);
        if (!has_cluster && config->key_vault.uri == config->upstream.uri) {
            report.failed(exit_unavailable, "key vault " + key_vault_name(*config) +
                                                ": not asked, it is in the cluster that did not answer");
        } else if (has_kms) {
            check_keys(*config, std::move(*key), report);
        }
    } else if (!config->schemas.empty()) {
        report.failed(exit_configuration, std::get<MasterKeyError>(master_key).text);
    }
    return report.code();
}

}  // namespace fieldgate::commands
