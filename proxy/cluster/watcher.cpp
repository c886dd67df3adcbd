#include "proxy/cluster/watcher.hpp"

#include <algorithm>
#include <list>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <utility>
#include <vector>

#include "proxy/bson/view.hpp"
#include "proxy/cluster/checked_stream.hpp"
#include "proxy/cluster/mongoc.hpp"
#include "proxy/cluster/primary_tracker.hpp"
#include "proxy/keys/worker.hpp"

namespace fieldgate::cluster {
namespace {

using namespace std::chrono_literals;

constexpr std::int32_t heartbeat_ms = 1000;
constexpr std::int32_t probe_timeout_ms = 2000;
constexpr auto tick = 250ms;
constexpr auto first_warning_after = 3s;
constexpr auto next_warning_after = 30s;
constexpr auto restart_after = 1s;

HostPort host_of(const mongoc_host_list_t* host) {
    return {host->host, host->port};
}

MemberKind kind_of(const mongoc_server_description_t* server) {
    const std::string_view type = mongoc_server_description_type(server);
    if (type == "RSPrimary") return MemberKind::primary;
    if (type == "Mongos") return MemberKind::mongos;
    if (type == "Standalone") return MemberKind::standalone;
    if (type == "Unknown" || type == "PossiblePrimary") return MemberKind::unknown;
    return MemberKind::other;
}

std::string_view kind_text(MemberKind kind) {
    switch (kind) {
        case MemberKind::unknown:
            return "does not answer";
        case MemberKind::standalone:
            return "standalone server";
        case MemberKind::primary:
            return "primary";
        case MemberKind::mongos:
            return "mongos";
        case MemberKind::other:
            return "not a primary";
    }
    return "";
}

// Whether the answer to a hello says that the member takes writes.
bool takes_writes(const bson_t* reply) {
    const auto document = bson::DocumentView::check({bson_get_data(reply), reply->len}, bson::Limits{});
    if (!document) return false;
    for (const char* name : {"isWritablePrimary", "ismaster"}) {
        const auto field = document->find(name);
        if (field && field->type() == bson::Type::boolean && field->boolean()) return true;
    }
    return false;
}

}  // namespace

struct Watcher::State {
    struct Waiter {
        Clock::time_point deadline;
        std::chrono::milliseconds wait;
        Found found;
    };

    WatcherOptions options;
    SocketOptions sockets;

    std::mutex mutex;
    PrimaryTracker tracker;
    std::list<Waiter> waiters;
    std::map<HostPort, Clock::time_point> heartbeat_started;
    std::map<HostPort, std::string> last_error;
    std::set<HostPort> probes_queued;
    std::optional<HostPort> announced;
    Clock::time_point without_primary_since = Clock::now();
    Clock::time_point next_warning = Clock::now() + first_warning_after;
    std::set<HostPort> standalone_warned;
    bool every_member_removed = false;
    bool begun = false;  // the constructor has let go of the pool
    Clock::time_point next_restart = Clock::now();

    keys::Worker probe_worker{"cluster-probe"};
    keys::Worker worker{"cluster-watch", std::chrono::duration_cast<std::chrono::milliseconds>(tick),
                        [this] { on_tick(); }};
    std::unique_ptr<CheckedPool> pool;  // last: its threads call into everything above

    // Changes the tracker and does what follows from it. `change` must not call libmongoc: the lock may be
    // held by the thread that libmongoc is waiting for.
    template <typename Change>
    void update(Change change) {
        const std::lock_guard lock(mutex);
        change();
        for (HostPort& member : tracker.take_lost()) {
            worker.post([this, member = std::move(member)] {
                log(Severity::warning, "member lost: it takes no writes any more, its sessions are closed",
                    member);
                if (options.on_member_lost) options.on_member_lost(member);
            });
        }
        const std::optional<HostPort> primary = tracker.primary();
        if (primary) {
            for (Waiter& waiter : waiters) {
                worker.post([found = std::move(waiter.found), primary] { found(primary, {}); });
            }
            waiters.clear();
        }
        if (primary == announced) return;
        announced = primary;
        if (!primary) {
            without_primary_since = Clock::now();
            next_warning = without_primary_since + first_warning_after;
            return;
        }
        const MemberKind kind = tracker.kind(*primary);
        worker.post([this, member = *primary, kind] {
            log(Severity::info, std::string("upstream found: ") + std::string(kind_text(kind)), member);
            if (kind == MemberKind::standalone && standalone_warned.insert(member).second) {
                log(Severity::warning,
                    "the upstream is a standalone server: no transactions, no retryable writes", member);
            }
        });
    }

    void log(Severity severity, std::string_view message, const HostPort& member) const {
        if (options.log) options.log(severity, message, member.text());
    }

    // Under the lock.
    std::string why_no_primary() const {
        std::string why;
        for (const auto& [member, error] : last_error) {
            if (!why.empty()) why += "; ";
            why += member.text() + ": " + error;
        }
        if (!why.empty()) return why;
        return every_member_removed ? "no server belongs to the replica set that the connection string names"
                                    : "no member has answered yet";
    }

    // Discovery drops a member that reports another set (a restore, maintenance), and one that lost its last
    // member never asks anybody again: it is begun anew from the connection string. On the worker's thread,
    // without the lock.
    void restart_discovery() {
        {
            const std::lock_guard lock(mutex);
            if (!begun || !every_member_removed || Clock::now() < next_restart) return;
            every_member_removed = false;
            next_restart = Clock::now() + restart_after;
        }
        pool.reset();
        try {
            start_discovery();
        } catch (const std::runtime_error& error) {
            if (options.log) options.log(Severity::warning, error.what(), "");
            const std::lock_guard lock(mutex);
            every_member_removed = true;
        }
    }

    void start_discovery() {
        const UriPtr uri = parse_uri(options.uri);
        set_default_ms(*uri, MONGOC_URI_HEARTBEATFREQUENCYMS, heartbeat_ms);
        if (options.connect_timeout_max)
            cap_ms(*uri, MONGOC_URI_CONNECTTIMEOUTMS, *options.connect_timeout_max);
        // As current drivers do: one seed without replicaSet= is asked for its set, not taken for all there
        // is.
        if (!mongoc_uri_has_option(uri.get(), MONGOC_URI_DIRECTCONNECTION)) {
            mongoc_uri_set_option_as_bool(uri.get(), MONGOC_URI_DIRECTCONNECTION, false);
        }
        bson_error_t error{};
        auto checked = std::make_unique<CheckedPool>(*uri, error);
        mongoc_client_pool_t* const clients = checked->get();
        if (clients == nullptr) throw std::runtime_error(without_secrets(error.message, options.uri));
        pool = std::move(checked);
        if (mongoc_uri_get_appname(uri.get()) == nullptr)
            mongoc_client_pool_set_appname(clients, "fieldgate");

        mongoc_apm_callbacks_t* callbacks = mongoc_apm_callbacks_new();
        mongoc_apm_set_topology_changed_cb(callbacks, &State::on_topology_changed);
        mongoc_apm_set_server_heartbeat_started_cb(callbacks, &State::on_heartbeat_started);
        mongoc_apm_set_server_heartbeat_succeeded_cb(callbacks, &State::on_heartbeat_succeeded);
        mongoc_apm_set_server_heartbeat_failed_cb(callbacks, &State::on_heartbeat_failed);
        mongoc_client_pool_set_apm_callbacks(clients, callbacks, this);
        mongoc_apm_callbacks_destroy(callbacks);

        // Monitoring starts with the first client that is taken.
        mongoc_client_pool_push(clients, mongoc_client_pool_pop(clients));
    }

    void on_tick() {
        restart_discovery();
        std::vector<std::pair<Found, std::string>> expired;
        std::string warning;
        {
            const std::lock_guard lock(mutex);
            const Clock::time_point now = Clock::now();
            for (auto waiter = waiters.begin(); waiter != waiters.end();) {
                const auto current = waiter++;
                if (current->deadline > now) continue;
                expired.emplace_back(std::move(current->found), "no primary within " +
                                                                    std::to_string(current->wait.count()) +
                                                                    " ms: " + why_no_primary());
                waiters.erase(current);
            }
            if (!announced && now >= next_warning) {
                next_warning = now + next_warning_after;
                warning = "no primary: " + why_no_primary();
            }
        }
        if (!warning.empty() && options.log) options.log(Severity::warning, warning, "");
        for (auto& [found, why] : expired) found(std::nullopt, std::move(why));
    }

    void queue_probe(const HostPort& member) {
        {
            const std::lock_guard lock(mutex);
            if (!probes_queued.insert(member).second) return;
        }
        probe_worker.post([this, member] { probe(member); });
    }

    // A new connection and a hello on it: whatever the monitors believe, this is fresh.
    void probe(const HostPort& member) {
        {
            const std::lock_guard lock(mutex);
            probes_queued.erase(member);
        }
        const Clock::time_point sent = Clock::now();
        bool writes = false;
        std::string why;
        try {
            const ClientPtr client = make_client(*probe_uri(member));
            bson_error_t error{};
            const ServerPtr server(mongoc_client_select_server(client.get(), false, nullptr, &error));
            if (server) {
                const MemberKind kind = kind_of(server.get());
                writes = kind != MemberKind::unknown && kind != MemberKind::other;
                why = kind_text(kind);
            } else {
                why = error.message;
            }
        } catch (const std::runtime_error& error) {
            why = error.what();
        }
        update([&] {
            tracker.answered(member, writes, sent);
            if (!writes) last_error[member] = why;
        });
    }

    UriPtr probe_uri(const HostPort& member) const {
        std::string host = member.text();
        if (host.starts_with('/')) {
            for (std::size_t at = 0; (at = host.find('/', at)) != std::string::npos;)
                host.replace(at, 1, "%2F");
        }
        UriPtr uri = parse_uri("mongodb://" + host + "/?directConnection=true");
        const auto set_text = [&](const char* option, const std::string& value) {
            if (!value.empty()) mongoc_uri_set_option_as_utf8(uri.get(), option, value.c_str());
        };
        mongoc_uri_set_option_as_bool(uri.get(), MONGOC_URI_TLS, sockets.tls);
        if (sockets.tls) {
            set_text(MONGOC_URI_TLSCAFILE, sockets.ca_file);
            set_text(MONGOC_URI_TLSCERTIFICATEKEYFILE, sockets.certificate_key_file);
            set_text(MONGOC_URI_TLSCERTIFICATEKEYFILEPASSWORD, sockets.certificate_key_file_password);
            mongoc_uri_set_option_as_bool(uri.get(), MONGOC_URI_TLSALLOWINVALIDCERTIFICATES,
                                          sockets.allow_invalid_certificates);
            mongoc_uri_set_option_as_bool(uri.get(), MONGOC_URI_TLSALLOWINVALIDHOSTNAMES,
                                          sockets.allow_invalid_hostnames);
        }
        mongoc_uri_set_option_as_int32(uri.get(), MONGOC_URI_CONNECTTIMEOUTMS,
                                       static_cast<std::int32_t>(std::min<std::int64_t>(
                                           sockets.connect_timeout.count(), probe_timeout_ms)));
        mongoc_uri_set_option_as_int32(uri.get(), MONGOC_URI_SERVERSELECTIONTIMEOUTMS, probe_timeout_ms);
        return uri;
    }

    // libmongoc's events. They come on its threads, possibly with its locks held: copy, note, post; call
    // nothing of it but the accessors of the event.

    // The deployment as a whole: of a single server's event it is not known yet whether the server will be
    // kept.
    static void on_topology_changed(const mongoc_apm_topology_changed_t* event) {
        auto* state = static_cast<State*>(mongoc_apm_topology_changed_get_context(event));
        std::size_t count = 0;
        mongoc_server_description_t** servers = mongoc_topology_description_get_servers(
            mongoc_apm_topology_changed_get_new_description(event), &count);
        std::map<HostPort, MemberKind> members;
        for (std::size_t i = 0; i < count; ++i) {
            members[host_of(mongoc_server_description_host(servers[i]))] = kind_of(servers[i]);
        }
        mongoc_server_descriptions_destroy_all(servers, count);
        state->update([&] {
            state->every_member_removed = members.empty();
            for (const HostPort& member : state->tracker.members()) {
                if (members.contains(member)) continue;
                state->tracker.removed(member);
                state->last_error.erase(member);
                state->heartbeat_started.erase(member);
            }
            for (const auto& [member, kind] : members) {
                if (state->tracker.kind(member) != kind) state->tracker.described(member, kind);
                if (kind == MemberKind::other) state->last_error[member] = kind_text(kind);
            }
        });
    }

    static void on_heartbeat_started(const mongoc_apm_server_heartbeat_started_t* event) {
        auto* state = static_cast<State*>(mongoc_apm_server_heartbeat_started_get_context(event));
        const HostPort member = host_of(mongoc_apm_server_heartbeat_started_get_host(event));
        const std::lock_guard lock(state->mutex);
        state->heartbeat_started[member] = Clock::now();
    }

    static void on_heartbeat_succeeded(const mongoc_apm_server_heartbeat_succeeded_t* event) {
        auto* state = static_cast<State*>(mongoc_apm_server_heartbeat_succeeded_get_context(event));
        const HostPort member = host_of(mongoc_apm_server_heartbeat_succeeded_get_host(event));
        const bool writes = takes_writes(mongoc_apm_server_heartbeat_succeeded_get_reply(event));
        // A server that pushes answers when something changes or time is up: what it says is as fresh as its
        // arrival.
        const bool pushed = mongoc_apm_server_heartbeat_succeeded_get_awaited(event);
        state->update([&] {
            const auto started = state->heartbeat_started.find(member);
            const bool known = started != state->heartbeat_started.end();
            if (pushed || known) {
                state->tracker.answered(member, writes, pushed ? Clock::now() : started->second);
            }
        });
    }

    static void on_heartbeat_failed(const mongoc_apm_server_heartbeat_failed_t* event) {
        auto* state = static_cast<State*>(mongoc_apm_server_heartbeat_failed_get_context(event));
        const HostPort member = host_of(mongoc_apm_server_heartbeat_failed_get_host(event));
        bson_error_t error{};
        mongoc_apm_server_heartbeat_failed_get_error(event, &error);
        const std::lock_guard lock(state->mutex);
        state->last_error[member] = error.message;
    }
};

Watcher::Watcher(WatcherOptions options) : state_(std::make_unique<State>()) {
    start_library();
    state_->options = std::move(options);
    state_->sockets = socket_options(state_->options.uri);
    state_->start_discovery();
    const std::lock_guard lock(state_->mutex);
    state_->begun = true;
}

Watcher::~Watcher() {
    // Waiters are dropped, not answered: whoever asked is going away as well.
    state_->probe_worker.stop();
    state_->worker.stop();
    state_->pool.reset();
}

void Watcher::find_primary(std::chrono::milliseconds wait, Found found) {
    std::optional<HostPort> primary;
    {
        const std::lock_guard lock(state_->mutex);
        primary = state_->tracker.primary();
        if (!primary) {
            state_->waiters.push_back({Clock::now() + wait, wait, std::move(found)});
            return;
        }
    }
    found(std::move(primary), {});
}

void Watcher::suspect(const HostPort& member) {
    state_->update([&] { state_->tracker.suspect(member, Clock::now()); });
    state_->queue_probe(member);
}

}  // namespace fieldgate::cluster
