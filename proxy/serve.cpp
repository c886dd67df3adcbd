#include "proxy/serve.hpp"

#include <pthread.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>

#include "crypto/locked_memory.hpp"
#include "proxy/cluster/key_vault.hpp"
#include "proxy/cluster/library.hpp"
#include "proxy/cluster/namespaces.hpp"
#include "proxy/cluster/watcher.hpp"
#include "proxy/commands/commands.hpp"
#include "proxy/commands/upstream_options.hpp"
#include "proxy/keys/broker_thread.hpp"
#include "proxy/keys/kms_providers.hpp"
#include "proxy/keys/kms_words.hpp"
#include "proxy/net/kms_transport.hpp"
#include "proxy/net/server.hpp"
#include "proxy/observe/log.hpp"

namespace fieldgate {
namespace {

namespace log = observe::log;

std::atomic<bool> ending{false};

observe::Level level_of(cluster::Severity severity) {
    switch (severity) {
        case cluster::Severity::debug:
            return observe::Level::debug;
        case cluster::Severity::info:
            return observe::Level::info;
        case cluster::Severity::warning:
            return observe::Level::warn;
    }
    return observe::Level::warn;
}

// Two descriptors a session: take what the system would give us anyway.
void raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) log::warn("the limit of open files cannot be raised");
}

keys::BrokerOptions broker_options(const config::Config& config) {
    keys::BrokerOptions options;
    options.key_vault_namespace = config.key_vault.database + "." + config.key_vault.collection;
    options.cache_lifetime = config.key_vault.cache_lifetime;
    options.on_name_moved = [](const std::string& name, const crypto::KeyId& pinned,
                               const crypto::KeyId& claimed) {
        log::error(
            "a key's name was moved to another key in the key vault; it is refused until a restart",
            {{"name", name}, {"key", keys::uuid_text(pinned)}, {"claimed_by", keys::uuid_text(claimed)}});
    };
    // What the key manager said is for the operator: clients get the first text only.
    options.on_failure = [](const keys::KeyError& error, const std::string& detail) {
        log::error("a data key cannot be had", {{"error", error.errmsg}, {"detail", detail}});
    };
    options.on_failures_untold = [](std::uint64_t count) {
        log::error("more data keys could not be had than the log takes", {{"count", count}});
    };
    options.on_refresh_failure = [](const keys::KeyError& error, const std::string& detail) {
        log::warn("a data key could not be fetched ahead of time and is used until it expires",
                  {{"error", error.errmsg}, {"detail", detail}});
    };
    return options;
}

std::string_view name_of(keys::KmsCall call) {
    switch (call) {
        case keys::KmsCall::login:
            return "login";
        case keys::KmsCall::wrap:
            return "wrap";
        case keys::KmsCall::unwrap:
            return "unwrap";
    }
    return "?";
}

// A key manager that hangs must be given up early enough for another attempt within the lifetime of a key.
keys::KmsOptions kms_options(const config::Config& config) {
    keys::KmsOptions options;
    options.request_timeout = std::clamp(config.key_vault.cache_lifetime / 6, std::chrono::milliseconds(5000),
                                         std::chrono::milliseconds(10000));
    options.operation_timeout = 2 * options.request_timeout;
    options.on_done = [](const std::string& provider, keys::KmsCall call,
                         const crypto::kms::Failure* failure) {
        log::debug("KMS", {{"provider", provider},
                           {"call", name_of(call)},
                           {"outcome", failure == nullptr ? "ok" : keys::kind_name(failure->kind)},
                           {"detail", failure == nullptr ? std::string() : failure->text}});
        // While what it renews is still good, no operation fails that would tell of it.
        if (failure != nullptr && call == keys::KmsCall::login)
            log::warn("fieldgate cannot log in to a key manager",
                      {{"provider", provider}, {"detail", failure->text}});
    };
    return options;
}

// Waits for SIGTERM and SIGINT, which every other thread has blocked. SIGHUP is taken and ignored: it must
// not end the process of someone who expects a reload.
class Signals {
 public:
    static sigset_t set() {
        sigset_t signals;
        sigemptyset(&signals);
        for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
        return signals;
    }

    // Before any other thread is started: threads inherit what is blocked.
    static void block() {
        const sigset_t signals = set();
        pthread_sigmask(SIG_BLOCK, &signals, nullptr);
        std::signal(SIGPIPE, SIG_IGN);
    }

    Signals(net::Server& server, std::chrono::milliseconds drain_timeout)
        : thread_([this, &server, drain_timeout] { wait(server, drain_timeout); }) {}
    ~Signals() {
        done_ = true;
        pthread_kill(thread_.native_handle(), SIGHUP);
        thread_.join();
    }

 private:
    void wait(net::Server& server, std::chrono::milliseconds drain_timeout) {
        const sigset_t signals = set();
        bool draining = false;
        for (;;) {
            int signal = 0;
            if (sigwait(&signals, &signal) != 0) continue;
            if (done_) return;
            if (signal == SIGHUP) {
                log::warn("SIGHUP ignored: this version does not reload its configuration");
            } else if (!draining) {
                draining = true;
                log::info("draining: sessions end after the reply they wait for",
                          {{"seconds_max",
                            std::chrono::duration_cast<std::chrono::seconds>(drain_timeout).count()}});
                server.drain(drain_timeout);
            } else {
                log::warn("second signal: ending at once");
                server.stop();
            }
        }
    }

    std::atomic<bool> done_{false};
    std::thread thread_;
};

// What serves beside the sockets. Destroyed after the server stopped.
struct Backend {
    std::unique_ptr<cluster::KeyVaultThread> key_vault;
    std::unique_ptr<net::KmsTransport> kms_transport;
    std::unique_ptr<keys::BrokerThread> broker;
    std::unique_ptr<cluster::NamespaceResolver> namespaces;
    std::unique_ptr<cluster::Watcher> watcher;

    net::Services services() {
        net::Services services;
        services.fetch_keys = [this](keys::KeyRequest request, std::function<void(keys::KeyResult)> done) {
            broker->fetch(std::move(request), std::move(done));
        };
        services.resolve_namespaces = [this](const std::vector<analysis::NamespaceName>& names,
                                             std::function<void(net::NamespaceAnswers)> done) {
            namespaces->resolve(names, std::move(done));
        };
        services.find_primary = [this](std::chrono::milliseconds wait,
                                       std::function<void(std::optional<net::HostPort>, std::string)> done) {
            watcher->find_primary(
                wait, [done = std::move(done)](std::optional<cluster::HostPort> member, std::string why) {
                    if (!member) return done(std::nullopt, std::move(why));
                    done(net::HostPort{member->host, member->port}, {});
                });
        };
        // Whether the member is really lost is asked of the member, not believed: else one client that makes
        // the server drop its connection would end everybody's sessions.
        services.report_member = [this](const net::HostPort& member, std::string_view) {
            watcher->suspect(cluster::HostPort{member.host, member.port});
        };
        return services;
    }

    // A thread that waits for a server that is gone would hold up the end for its time-out: after `patience`
    // the process ends without it. The keys are erased by then.
    bool stop(std::chrono::milliseconds patience) {
        broker.reset();
        kms_transport.reset();
        std::mutex mutex;
        std::condition_variable changed;
        bool stopped = false;
        std::thread stopper([&] {
            watcher.reset();
            namespaces.reset();
            key_vault.reset();
            const std::lock_guard lock(mutex);
            stopped = true;
            changed.notify_one();
        });
        std::unique_lock lock(mutex);
        if (!changed.wait_for(lock, patience, [&] { return stopped; })) {
            stopper.detach();
            return false;
        }
        lock.unlock();
        stopper.join();
        return true;
    }
};

int run_server(const std::shared_ptr<const config::Config>& config) {
    Backend backend;
    keys::Kms::Providers kms_providers;
    std::unique_ptr<net::Server> server;
    try {
        kms_providers = keys::make_kms_providers(*config, keys::system_environment());
        if (!crypto::every_page_is_locked()) {
            log::warn("key memory cannot be locked (RLIMIT_MEMLOCK): keys could reach the swap device");
        }
        backend.kms_transport = std::make_unique<net::KmsTransport>(config->kms_providers);
        server =
            std::make_unique<net::Server>(config, backend.services(), commands::upstream_options(*config));
        server->listen();
    } catch (const std::runtime_error& error) {
        log::error("cannot start", {{"error", error.what()}});
        return commands::exit_configuration;
    }
    try {
        backend.key_vault = std::make_unique<cluster::KeyVaultThread>(
            cluster::KeyVaultOptions{config->key_vault.uri, config->key_vault.database,
                                     config->key_vault.collection, config->upstream.election_wait});
        backend.broker = std::make_unique<keys::BrokerThread>(*backend.key_vault, *backend.kms_transport,
                                                              std::move(kms_providers),
                                                              broker_options(*config), kms_options(*config));
        backend.namespaces = std::make_unique<cluster::NamespaceResolver>(cluster::NamespaceOptions{
            .uri = config->upstream.uri,
            .facts_of = &analysis::facts_of,
            .selection_timeout = config->upstream.election_wait,
            .log = [](cluster::Severity severity, std::string_view message, std::string_view database) {
                log::write(level_of(severity), message, {{"database", database}});
            }});
        backend.watcher = std::make_unique<cluster::Watcher>(cluster::WatcherOptions{
            .uri = config->upstream.uri,
            .on_member_lost =
                [&server](const cluster::HostPort& member) {
                    server->member_lost({member.host, member.port});
                },
            .log =
                [](cluster::Severity severity, std::string_view message, std::string_view member) {
                    log::write(level_of(severity), message, {{"upstream", member}});
                }});
    } catch (const std::runtime_error& error) {
        log::error("the upstream cannot be used", {{"error", error.what()}});
        return commands::exit_unavailable;
    }

    int code = commands::exit_ok;
    {
        const Signals signals(*server, config->limits.drain);
        try {
            server->run();
        } catch (const std::runtime_error& error) {
            log::error("stopped serving", {{"error", error.what()}});
            code = commands::exit_internal;
        }
    }
    log::info("ended", {{"code", code}});
    ending = true;
    const bool stopped = backend.stop(std::chrono::seconds(2));
    // Not with exit(): what is still blocked in a time-out uses what static destructors would take away.
    if (!stopped) std::_Exit(code);
    return code;
}

}  // namespace

int serve(const ServeOptions& options) {
    Signals::block();
    std::vector<std::string> warnings;
    const auto config = commands::load_configuration(options.file, std::cerr, &warnings);
    if (!config) return commands::exit_configuration;

    log::set_up(options.log_level.value_or(config->log.level),
                options.log_format.value_or(config->log.format));
    log::info("starting", {{"version", FIELDGATE_VERSION}, {"configuration", options.file.string()}});
    for (const std::string& warning : warnings) log::warn("configuration", {{"warning", warning}});
    cluster::set_library_log([](cluster::Severity severity, std::string_view message) {
        // While it ends, libmongoc complains about servers that went first.
        const bool loud = severity == cluster::Severity::warning && !ending;
        log::write(loud ? observe::Level::warn : observe::Level::debug, "libmongoc", {{"message", message}});
    });
    raise_descriptor_limit();

    return run_server(config);
}

}  // namespace fieldgate
