#include "proxy/net/server.hpp"

#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <condition_variable>
#include <csignal>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "proxy/net/connection.hpp"
#include "proxy/net/listener_address.hpp"
#include "proxy/net/tls.hpp"
#include "proxy/net/worker.hpp"
#include "proxy/observe/log.hpp"

namespace fieldgate::net {
namespace {

namespace log = observe::log;
using asio::ip::tcp;
using unix_socket = asio::local::stream_protocol;

// What the process needs beside its sessions: listeners, logs, the key vault's and the watcher's connections.
constexpr rlim_t descriptors_reserved = 128;

std::string address_text(const tcp::endpoint& endpoint) {
    const std::string host = endpoint.address().to_string();
    return (endpoint.address().is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(endpoint.port());
}

[[noreturn]] void fail(const config::Listener& listener, const std::string& address,
                       const std::string& cause) {
    throw std::runtime_error(cannot_listen(listener, address, cause));
}

// The processors this process may run on, which taskset and containers make fewer than the machine has.
unsigned processor_count() {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (::sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) {
        return static_cast<unsigned>(CPU_COUNT(&set));
    }
    return std::max(1u, std::thread::hardware_concurrency());
}

tcp::acceptor open_acceptor(asio::io_context& context, const tcp::endpoint& endpoint, bool shared,
                            error_code& ec) {
    tcp::acceptor acceptor(context);
    acceptor.open(endpoint.protocol(), ec);
    if (!ec) acceptor.set_option(tcp::acceptor::reuse_address(true), ec);
    if (!ec && shared) {
        const int on = 1;
        if (::setsockopt(acceptor.native_handle(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) {
            ec.assign(errno, boost::system::system_category());
        }
    }
    if (!ec) acceptor.bind(endpoint, ec);
    return acceptor;
}

}  // namespace

struct Server::State {
    explicit State(std::shared_ptr<const config::Config> config) : process(std::move(config)) {}

    std::vector<BoundAddress> listen_tcp(std::size_t index);
    BoundAddress listen_unix(std::size_t index);
    void limit_connections();
    template <typename Task>
    void post_to_all(const Task& task) {
        for (const auto& worker : workers) {
            worker->mailbox()->post([target = worker.get(), task] { task(*target); });
        }
    }

    Process process;
    std::vector<std::unique_ptr<Worker>> workers;
    std::vector<BoundAddress> addresses;
    std::vector<std::filesystem::path> unix_paths;
    std::vector<std::thread> threads;

    // Ends what a drain left over.
    std::mutex drain_mutex;
    std::condition_variable drain_changed;
    std::thread drain_watchdog;
    bool ended = false;
};

Server::Server(std::shared_ptr<const config::Config> config, Services services, UpstreamOptions upstream,
               ServerOptions options)
    : state_(std::make_unique<State>(std::move(config))) {
    // OpenSSL writes with write(), which has no flag against the signal.
    std::signal(SIGPIPE, SIG_IGN);
    Process& process = state_->process;
    process.services = std::move(services);
    process.upstream = std::move(upstream);
    process.options = options;
    if (process.upstream.tls) process.upstream_tls = make_upstream_context(*process.upstream.tls);
    for (const config::Listener& listener : process.config->listeners) {
        process.listener_tls.push_back(listener.tls ? make_listener_context(*listener.tls) : nullptr);
    }
    process.connections_max = process.config->limits.connections;
    process.member_lost = [this](const HostPort& member) { member_lost(member); };
    const unsigned count = options.worker_count != 0 ? options.worker_count : processor_count();
    for (unsigned i = 0; i < count; ++i) state_->workers.push_back(std::make_unique<Worker>(process));
}

Server::~Server() {
    stop();
    for (std::thread& thread : state_->threads) {
        if (thread.joinable()) thread.join();
    }
    {
        const std::lock_guard lock(state_->drain_mutex);
        state_->ended = true;
    }
    state_->drain_changed.notify_all();
    if (state_->drain_watchdog.joinable()) state_->drain_watchdog.join();
    for (const auto& path : state_->unix_paths) {
        std::error_code ignored;
        std::filesystem::remove(path, ignored);
    }
}

void Server::listen() {
    state_->limit_connections();
    const auto& listeners = state_->process.config->listeners;
    for (std::size_t index = 0; index < listeners.size(); ++index) {
        if (!listeners[index].unix_path.empty()) {
            state_->addresses.push_back(state_->listen_unix(index));
            continue;
        }
        for (BoundAddress& address : state_->listen_tcp(index))
            state_->addresses.push_back(std::move(address));
    }
    for (const BoundAddress& address : state_->addresses) {
        log::info("listening", {{"listener", address.listener}, {"address", address.address}});
    }
}

// Each worker gets a socket of its own on the same port; the kernel spreads the connections over them.
std::vector<BoundAddress> Server::State::listen_tcp(std::size_t index) {
    const config::Listener& listener = process.config->listeners[index];
    error_code ec;
    const auto results = resolve_listener(workers.front()->context(), listener, ec);
    if (ec) fail(listener, listener_address(listener), ec.message());
    std::vector<BoundAddress> bound;
    std::uint16_t port = listener.port;
    for (const auto& result : results) {
        tcp::endpoint endpoint(result.endpoint().address(), port);
        if (port != 0) {
            // Sharing a port must be refused when the other one is another process: two fieldgates of
            // different configuration would take turns. This socket does not share, so it tells.
            open_acceptor(workers.front()->context(), endpoint, false, ec);
            if (ec) fail(listener, address_text(endpoint), ec.message());
        }
        for (const auto& worker : workers) {
            tcp::acceptor acceptor = open_acceptor(worker->context(), endpoint, true, ec);
            if (!ec) acceptor.listen(asio::socket_base::max_listen_connections, ec);
            if (ec) fail(listener, address_text(endpoint), ec.message());
            endpoint.port(acceptor.local_endpoint().port());
            worker->add_acceptor(std::move(acceptor), index);
        }
        port = endpoint.port();
        bound.push_back({listener.name, address_text(endpoint), port});
    }
    return bound;
}

BoundAddress Server::State::listen_unix(std::size_t index) {
    const config::Listener& listener = process.config->listeners[index];
    const std::string text = listener_address(listener);
    Worker& worker = *workers.front();
    error_code ec;
    const unix_socket::endpoint endpoint(listener.unix_path.string());
    // A socket file whose owner died stays behind; one that answers belongs to somebody.
    struct stat status{};
    if (::lstat(listener.unix_path.c_str(), &status) == 0) {
        if (!S_ISSOCK(status.st_mode)) fail(listener, text, "a file that is not a socket is in the way");
        unix_socket::socket probe(worker.context());
        probe.connect(endpoint, ec);
        if (!ec) fail(listener, text, "somebody listens there already");
        std::filesystem::remove(listener.unix_path);
    }
    unix_socket::acceptor acceptor(worker.context());
    acceptor.open(endpoint.protocol(), ec);
    if (!ec) acceptor.bind(endpoint, ec);
    if (!ec) acceptor.listen(asio::socket_base::max_listen_connections, ec);
    if (ec) fail(listener, text, ec.message());
    unix_paths.push_back(listener.unix_path);
    std::vector<std::shared_ptr<Mailbox>> mailboxes;
    std::vector<Worker*> targets;
    for (const auto& target : workers) {
        mailboxes.push_back(target->mailbox());
        targets.push_back(target.get());
    }
    worker.add_acceptor(std::move(acceptor), index, std::move(mailboxes), std::move(targets));
    return {listener.name, text, 0};
}

// A session has two descriptors. Running out of them in the middle of the day is worse than a lower limit
// from the start.
void Server::State::limit_connections() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    const rlim_t wanted = 2 * rlim_t{process.connections_max} + descriptors_reserved;
    if (limit.rlim_cur < wanted) {
        rlimit raised = limit;
        raised.rlim_cur = std::min(wanted, limit.rlim_max);
        if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
    }
    if (limit.rlim_cur >= wanted) return;
    const rlim_t left = limit.rlim_cur > descriptors_reserved ? limit.rlim_cur - descriptors_reserved : 2;
    process.connections_max = static_cast<std::uint32_t>(std::max<rlim_t>(1, left / 2));
    // Who asked for so many is warned; the default is as many as there can be.
    const std::uint32_t configured = process.config->limits.connections;
    using config::Log;
    const bool is_default = configured == config::Limits{}.connections;
    log::write(is_default ? Log::Level::info : Log::Level::warn,
               "limits.connections is lowered to what the limit of open files allows",
               {{"connections", process.connections_max},
                {"configured", configured},
                {"open_files", static_cast<std::uint64_t>(limit.rlim_cur)}});
}

std::vector<BoundAddress> Server::addresses() const {
    return state_->addresses;
}

void Server::run() {
    State& state = *state_;
    std::mutex failure_mutex;
    std::exception_ptr failure;
    for (const auto& worker : state.workers) {
        state.threads.emplace_back([&, target = worker.get()] {
            try {
                target->run();
            } catch (...) {
                {
                    const std::lock_guard lock(failure_mutex);
                    if (!failure) failure = std::current_exception();
                }
                stop();
            }
        });
    }
    for (std::thread& thread : state.threads) thread.join();
    if (failure) {
        try {
            std::rethrow_exception(failure);
        } catch (const std::exception& error) {
            throw std::runtime_error(std::string("a worker failed: ") + error.what());
        }
    }
}

void Server::drain(std::chrono::milliseconds timeout) {
    state_->post_to_all([](Worker& worker) { worker.drain(); });
    const std::lock_guard lock(state_->drain_mutex);
    if (state_->ended || state_->drain_watchdog.joinable()) return;
    state_->drain_watchdog = std::thread([this, timeout] {
        std::unique_lock wait_lock(state_->drain_mutex);
        if (state_->drain_changed.wait_for(wait_lock, timeout, [this] { return state_->ended; })) return;
        wait_lock.unlock();
        stop();
    });
}

void Server::stop() {
    state_->post_to_all([](Worker& worker) { worker.stop(); });
}

void Server::member_lost(const HostPort& member) {
    state_->post_to_all([member](Worker& worker) { worker.member_lost(member); });
}

Statistics Server::statistics() const {
    Statistics sum;
    const auto get = [](const WorkerCounters::Counter& counter) {
        return counter.load(std::memory_order_relaxed);
    };
    for (const auto& worker : state_->workers) {
        const WorkerCounters& one = worker->counters();
        sum.connections_active += get(one.active);
        sum.connections_accepted += get(one.accepted);
        sum.connections_refused += get(one.refused);
        sum.accept_failures += get(one.accept_failures);
        sum.upstream_active += get(one.upstream_active);
        sum.upstream_failures += get(one.upstream_failures);
        sum.protocol_errors += get(one.protocol_errors);
        sum.requests += get(one.requests);
        sum.requests_refused += get(one.requests_refused);
        sum.unacknowledged_refused += get(one.unacknowledged_refused);
        sum.fields_encrypted += get(one.fields_encrypted);
        sum.replies_rewritten += get(one.replies_rewritten);
        sum.memory_waits += get(one.memory_waits);
    }
    return sum;
}

}  // namespace fieldgate::net
