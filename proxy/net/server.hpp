#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/config.hpp"
#include "proxy/analysis/analysis.hpp"
#include "proxy/keys/key_ring.hpp"

// Sockets: listeners, relays, TLS. Moves bytes; what to do with them is decided by session/.
namespace fieldgate::net {

// A member of the upstream deployment. A host that starts with '/' is the path of a Unix socket, its port is
// ignored.
struct HostPort {
    std::string host;
    std::uint16_t port = 27017;
    std::string text() const { return host.starts_with('/') ? host : host + ":" + std::to_string(port); }
    friend bool operator==(const HostPort&, const HostPort&) = default;
};

using NamespaceAnswers =
    std::vector<std::pair<analysis::NamespaceName, std::optional<analysis::NamespaceFacts>>>;

// What net/ needs of others. main.cpp wires it. All are called on worker threads and must not block;
// callbacks may come on any thread (the calling one included), once, and may still come after the server is
// gone.
struct Services {
    // Puts an entry for everything that was asked into the result.
    std::function<void(keys::KeyRequest, std::function<void(keys::KeyResult)>)> fetch_keys;
    // nullopt: could not be had; the request that asked is not forwarded.
    std::function<void(std::vector<analysis::NamespaceName>, std::function<void(NamespaceAnswers)>)>
        resolve_namespaces;
    // The primary of the moment (or the mongos in use), waited for up to `wait`; else nothing and why not.
    std::function<void(std::chrono::milliseconds wait,
                       std::function<void(std::optional<HostPort>, std::string why)>)>
        find_primary;
    // A session could not reach this member, lost it, or was told that it is not the primary: look again. May
    // call Server::member_lost().
    std::function<void(const HostPort&, std::string_view why)> report_member;
};

// TLS of the upstream, from the connection string's options.
struct UpstreamTls {
    std::string ca_file;               // empty: the system's certificates
    std::string certificate_key_file;  // PEM of both; empty: none
    std::string certificate_key_password;
    bool allow_invalid_certificates = false;
    bool allow_invalid_hostnames = false;
};

struct UpstreamOptions {
    std::optional<UpstreamTls> tls;                    // absent: plain
    std::chrono::milliseconds connect_timeout{10000};  // connecting, TLS and the first hello, each
};

struct ServerOptions {
    unsigned worker_count = 0;                            // 0: one per core that the process may run on
    std::chrono::milliseconds handshake_timeout{10000};   // of clients' TLS
    std::chrono::milliseconds namespace_lifetime{10000};  // then facts about a namespace are asked anew
    // A client whose large message holds part of limits.memory_bytes must send or read at least 256 KiB of it
    // in this time, or is closed: memory is shared by all.
    std::chrono::milliseconds stall_timeout{10000};
};

// Where a listener really listens.
struct BoundAddress {
    std::string listener;
    std::string address;     // "127.0.0.1:27117", "[::1]:27117" or "unix:/run/..."
    std::uint16_t port = 0;  // the one the kernel chose if the configuration said 0; 0 for a Unix socket
};

// Sums over all workers since the start; taken while they run, so related numbers may differ by what is under
// way.
struct Statistics {
    std::uint64_t connections_active = 0;
    std::uint64_t connections_accepted = 0;
    std::uint64_t connections_refused = 0;  // over limits.connections
    std::uint64_t accept_failures = 0;      // out of descriptors, mostly
    std::uint64_t upstream_active = 0;
    std::uint64_t upstream_failures = 0;  // could not be connected, or lost
    std::uint64_t protocol_errors = 0;    // closed because bytes or order made no sense
    std::uint64_t requests = 0;
    std::uint64_t requests_refused = 0;
    std::uint64_t unacknowledged_refused = 0;
    std::uint64_t fields_encrypted = 0;
    std::uint64_t replies_rewritten = 0;
    std::uint64_t memory_waits = 0;  // messages that waited for limits.memory_bytes
};

// The proxy's listeners and worker threads.
//
//     Server server(config, services, upstream, options);   // reads certificates; throws std::runtime_error
//     server.listen();                                      // binds everything or throws
//     server.run();                                         // until drained or stopped
//
// drain(), stop(), member_lost() and statistics() may be called from any thread at any time between
// construction and destruction. Each worker runs one io_context on one thread with its own accept sockets,
// key ring and catalog; a connection stays on the worker that accepted it.
class Server {
 public:
    Server(std::shared_ptr<const config::Config> config, Services services, UpstreamOptions upstream = {},
           ServerOptions options = {});
    ~Server();  // stops and joins what still runs
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    // Binds every listener on every worker. std::runtime_error names the listener, its address and the cause.
    // Lowers the connection limit, with a warning, if the process may not open that many descriptors.
    void listen();
    std::vector<BoundAddress> addresses() const;

    // Serves on threads of its own; returns when all have ended. std::runtime_error if one of them failed.
    void run();

    // Stops accepting and closes idle sessions; the others end after the reply they wait for, what is left
    // after `timeout` is cut. run() returns then.
    void drain(std::chrono::milliseconds timeout);
    // Cuts everything now.
    void stop();

    // The member is no longer primary, or gone: every session tied to it closes, idle ones at once, the
    // others after their current reply.
    void member_lost(const HostPort& member);

    Statistics statistics() const;

 private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace fieldgate::net
