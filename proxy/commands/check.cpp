#include <algorithm>
#include <chrono>
#include <future>
#include <ostream>
#include <stdexcept>

#include "proxy/cluster/key_vault.hpp"
#include "proxy/cluster/watcher.hpp"
#include "proxy/commands/check_keys.hpp"
#include "proxy/commands/commands.hpp"
#include "proxy/commands/key_vault_access.hpp"
#include "proxy/commands/text.hpp"
#include "proxy/commands/upstream_options.hpp"
#include "proxy/net/preflight.hpp"

namespace fieldgate::commands {
namespace {

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

// Null: it cannot be read, which was reported.
std::unique_ptr<cluster::KeyVaultClient> check_key_vault(const config::Config& config, Report& report) {
    const std::string name = "key vault " + vault_name(config);
    try {
        auto client = std::make_unique<cluster::KeyVaultClient>(
            cluster::KeyVaultOptions{config.key_vault.uri, config.key_vault.database,
                                     config.key_vault.collection, config.upstream.election_wait, patience});
        const auto found = client->find({});
        if (found.error.empty()) {
            report.passed(name + ": can be read");
            return client;
        }
        report.failed(exit_unavailable, name + ": " + found.error);
    } catch (const std::runtime_error& error) {
        report.failed(exit_unavailable, name + ": " + error.what());
    }
    return nullptr;
}

}  // namespace

int check(const std::filesystem::path& file, bool connect, const OpenKeyManagers& open_kms, Console console) {
    const auto config = load_configuration(file, console.err);
    if (!config) return exit_configuration;
    std::vector<std::string> problems = net::start_problems(*config, upstream_options(*config));
    std::unique_ptr<KeyManagers> kms;
    try {
        kms = open_kms(*config);
    } catch (const std::runtime_error& error) {
        problems.emplace_back(error.what());
    }
    for (const std::string& problem : problems) console.err << printable(problem) << '\n';
    if (!problems.empty()) return exit_configuration;
    console.out << "ok      " << file.string() << " (protected namespaces: " << config->schemas.size()
                << ", roles: " << config->roles.size() << ", listeners: " << config->listeners.size()
                << ")\n";
    if (!connect) return exit_ok;

    Report report(console);
    const bool has_cluster = check_cluster(*config, report);
    std::unique_ptr<cluster::KeyVaultClient> vault;
    if (!has_cluster && config->key_vault.uri == config->upstream.uri) {
        report.failed(exit_unavailable, "key vault " + vault_name(*config) +
                                            ": not asked, it is in the cluster that did not answer");
    } else {
        vault = check_key_vault(*config, report);
    }
    Impatient asked(*kms);
    check_providers(*config, asked, vault.get(), report);
    if (vault) check_documents(*config, *vault, report);
    if (vault) check_schema_keys(*config, asked, *vault, report);
    return report.code();
}

}  // namespace fieldgate::commands
