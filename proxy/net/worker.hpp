#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <list>
#include <memory>
#include <mutex>
#include <vector>

#include "crypto/random.hpp"
#include "proxy/net/buffer_pool.hpp"
#include "proxy/net/catalog.hpp"
#include "proxy/net/process.hpp"

namespace fieldgate::net {

class Connection;

// The way into a worker for other threads. Outlives the worker: what is posted then is dropped.
class Mailbox {
 public:
    explicit Mailbox(asio::io_context& context) : context_(&context) {}
    void post(std::function<void()> task);
    void close();

 private:
    std::mutex mutex_;
    asio::io_context* context_;
};

// Counters of one worker, written by its thread only and read by any.
struct WorkerCounters {
    using Counter = std::atomic<std::uint64_t>;
    Counter accepted{0}, refused{0}, accept_failures{0}, active{0}, upstream_active{0}, upstream_failures{0},
        protocol_errors{0}, memory_waits{0};
    Counter requests{0}, requests_refused{0}, unacknowledged_refused{0}, fields_encrypted{0},
        replies_rewritten{0};

    // Cheaper than fetch_add, and enough for a single writer.
    static void add(Counter& counter, std::uint64_t n) {
        counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
};

// One io_context, one thread, and everything that its connections share without locks.
class Worker {
 public:
    using Clock = std::chrono::steady_clock;

    explicit Worker(Process& process);
    ~Worker();
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    // Before run(). Accept sockets that listen already.
    void add_acceptor(asio::ip::tcp::acceptor acceptor, std::size_t listener);
    // A Unix socket has one accept queue; its connections go round the workers.
    void add_acceptor(asio::local::stream_protocol::acceptor acceptor, std::size_t listener,
                      std::vector<std::shared_ptr<Mailbox>> mailboxes, std::vector<Worker*> workers);

    void run();

    asio::io_context& context() { return context_; }
    const std::shared_ptr<Mailbox>& mailbox() { return mailbox_; }
    const WorkerCounters& counters() const { return counters_; }

    // The rest on the worker's thread only.
    void drain();
    void stop();
    // Says a thing that helps, at most once a minute: many clients make the same mistake.
    void hint(std::string_view text, std::string_view listener);
    // Whether one more line about what a client did may be logged: clients must not be able to fill a disk.
    bool may_log_client();
    void member_lost(const HostPort& member);

    Process& process() { return process_; }
    keys::KeyRing& ring() { return ring_; }
    NamespaceCatalog& catalog() { return catalog_; }
    BufferPool& buffers() { return buffers_; }
    WorkerCounters& own_counters() { return counters_; }
    bool draining() const { return draining_; }
    void adopt(Stream::Socket socket, std::size_t listener);
    void remove(Connection& connection);

 private:
    template <typename Acceptor>
    asio::awaitable<void> accept(Acceptor& acceptor, std::size_t listener,
                                 std::vector<std::shared_ptr<Mailbox>> mailboxes,
                                 std::vector<Worker*> workers);
    void refuse(Stream::Socket& socket);
    asio::awaitable<void> tick();
    void add_counts_of(Connection& connection);
    void close_acceptors();
    void end_if_drained();

    Process& process_;
    asio::io_context context_;
    std::shared_ptr<Mailbox> mailbox_;
    crypto::SystemRandom random_;
    keys::KeyRing ring_;
    NamespaceCatalog catalog_;
    BufferPool buffers_;
    WorkerCounters counters_;
    std::list<asio::ip::tcp::acceptor> tcp_acceptors_;
    std::list<asio::local::stream_protocol::acceptor> unix_acceptors_;
    asio::steady_timer tick_timer_;
    std::list<std::unique_ptr<Connection>> connections_;
    bool draining_ = false;
    bool stopping_ = false;
    Clock::time_point next_warning_{};
    std::uint64_t refused_since_warning_ = 0;
    Clock::time_point next_hint_{};
    Clock::time_point client_logs_since_{};
    std::uint64_t client_logs_ = 0;
};

}  // namespace fieldgate::net
