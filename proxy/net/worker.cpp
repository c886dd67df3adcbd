#include "proxy/net/worker.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>

#include "proxy/net/connection.hpp"
#include "proxy/observe/log.hpp"

namespace fieldgate::net {
namespace {

namespace log = observe::log;

constexpr std::chrono::milliseconds tick_interval{250};
constexpr int ticks_per_sweep = 4;
constexpr std::chrono::milliseconds accept_pause{100};
constexpr std::chrono::seconds warning_interval{1};
constexpr std::chrono::minutes hint_interval{1};
constexpr std::uint64_t client_logs_per_second_max = 100;

}  // namespace

void Mailbox::post(std::function<void()> task) {
    const std::lock_guard lock(mutex_);
    if (context_ != nullptr) asio::post(*context_, std::move(task));
}

void Mailbox::close() {
    const std::lock_guard lock(mutex_);
    context_ = nullptr;
}

// The reactor's locks are left out: sockets and timers are touched by the worker's thread only. post() stays
// safe.
Worker::Worker(Process& process)
    : process_(process),
      context_(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO),
      mailbox_(std::make_shared<Mailbox>(context_)),
      ring_(random_),
      catalog_(process.options.namespace_lifetime),
      tick_timer_(context_) {}

Worker::~Worker() {
    mailbox_->close();
}

void Worker::add_acceptor(asio::ip::tcp::acceptor acceptor, std::size_t listener) {
    auto& own = tcp_acceptors_.emplace_back(std::move(acceptor));
    asio::co_spawn(context_, accept(own, listener, {}, {}), asio::detached);
}

void Worker::add_acceptor(asio::local::stream_protocol::acceptor acceptor, std::size_t listener,
                          std::vector<std::shared_ptr<Mailbox>> mailboxes, std::vector<Worker*> workers) {
    auto& own = unix_acceptors_.emplace_back(std::move(acceptor));
    asio::co_spawn(context_, accept(own, listener, std::move(mailboxes), std::move(workers)), asio::detached);
}

void Worker::run() {
    asio::co_spawn(context_, tick(), asio::detached);
    context_.run();
}

template <typename Acceptor>
asio::awaitable<void> Worker::accept(Acceptor& acceptor, std::size_t listener,
                                     std::vector<std::shared_ptr<Mailbox>> mailboxes,
                                     std::vector<Worker*> workers) {
    std::size_t turn = 0;
    for (;;) {
        error_code ec;
        typename Acceptor::protocol_type::socket accepted(context_);
        std::tie(ec) = co_await acceptor.async_accept(accepted, use_tuple);
        if (!acceptor.is_open()) co_return;
        if (ec) {
            if (ec == asio::error::connection_aborted) continue;
            // Out of descriptors or memory: the sessions that are there go on, newcomers wait in the kernel's
            // queue.
            WorkerCounters::add(counters_.accept_failures, 1);
            log::error("connection not accepted",
                       {{"listener", process_.config->listeners[listener].name}, {"error", ec.message()}});
            asio::steady_timer pause(context_, accept_pause);
            co_await pause.async_wait(use_tuple);
            continue;
        }
        if (workers.empty()) {
            adopt(Stream::Socket(std::move(accepted)), listener);
            continue;
        }
        Worker* const worker = workers[turn % workers.size()];
        if (worker == this) {
            adopt(Stream::Socket(std::move(accepted)), listener);
        } else {
            // Shared, because a task must be copyable and the descriptor must be closed if it is never run.
            auto descriptor = std::make_shared<Stream::Socket>(std::move(accepted));
            const int native = descriptor->release(ec);
            if (!ec) {
                mailboxes[turn % workers.size()]->post([worker, native, listener] {
                    Stream::Socket socket(worker->context());
                    error_code assign_ec;
                    socket.assign(asio::local::stream_protocol(), native, assign_ec);
                    if (assign_ec) {
                        ::close(native);
                    } else {
                        worker->adopt(std::move(socket), listener);
                    }
                });
            }
        }
        ++turn;
    }
}

void Worker::adopt(Stream::Socket socket, std::size_t listener) {
    if (draining_ || stopping_) return;
    if (process_.connections.fetch_add(1, std::memory_order_relaxed) >= process_.connections_max) {
        process_.connections.fetch_sub(1, std::memory_order_relaxed);
        refuse(socket);
        return;
    }
    WorkerCounters::add(counters_.accepted, 1);
    WorkerCounters::add(counters_.active, 1);
    const std::uint64_t id = process_.next_connection_id.fetch_add(1, std::memory_order_relaxed);
    connections_.push_front(std::make_unique<Connection>(*this, std::move(socket), listener, id));
    connections_.front()->position = connections_.begin();
    log::debug("connection accepted",
               {{"connection", id}, {"listener", process_.config->listeners[listener].name}});
    connections_.front()->start();
}

// Closing is the answer: before a handshake there is no request to answer, and reading one from each of a
// flood of connections is what the limit is there to prevent.
void Worker::refuse(Stream::Socket& socket) {
    WorkerCounters::add(counters_.refused, 1);
    error_code ignored;
    socket.close(ignored);
    ++refused_since_warning_;
    const auto now = Clock::now();
    if (now < next_warning_) return;
    next_warning_ = now + warning_interval;
    log::warn("connections closed at the limit", {{"connections", process_.connections_max},
                                                  {"closed", std::exchange(refused_since_warning_, 0)}});
}

void Worker::hint(std::string_view text, std::string_view listener) {
    const auto now = Clock::now();
    if (now < next_hint_) return;
    next_hint_ = now + hint_interval;
    log::info(text, {{"listener", listener}});
}

bool Worker::may_log_client() {
    const auto now = Clock::now();
    if (now - client_logs_since_ >= std::chrono::seconds(1)) {
        if (client_logs_ > client_logs_per_second_max)
            log::warn("what clients did wrong is not logged",
                      {{"count", client_logs_ - client_logs_per_second_max}});
        client_logs_since_ = now;
        client_logs_ = 0;
    }
    return ++client_logs_ <= client_logs_per_second_max;
}

void Worker::remove(Connection& connection) {
    add_counts_of(connection);
    connections_.erase(connection.position);
    WorkerCounters::add(counters_.active, std::uint64_t(-1));
    process_.connections.fetch_sub(1, std::memory_order_relaxed);
    end_if_drained();
}

asio::awaitable<void> Worker::tick() {
    for (int count = 0; !stopping_ && !(draining_ && connections_.empty()); ++count) {
        tick_timer_.expires_after(tick_interval);
        co_await tick_timer_.async_wait(use_tuple);
        const auto now = Clock::now();
        for (const auto& connection : connections_) connection->check_deadline(now);
        if (count % ticks_per_sweep != 0) continue;
        ring_.expire(now);
        catalog_.expire(now);
        for (const auto& connection : connections_) add_counts_of(*connection);
    }
}

void Worker::add_counts_of(Connection& connection) {
    const session::Counters fresh = connection.take_counters();
    WorkerCounters::add(counters_.requests, fresh.requests);
    WorkerCounters::add(counters_.requests_refused, fresh.requests_refused);
    WorkerCounters::add(counters_.unacknowledged_refused, fresh.unacknowledged_refused);
    WorkerCounters::add(counters_.fields_encrypted, fresh.fields_encrypted);
    WorkerCounters::add(counters_.replies_rewritten, fresh.replies_rewritten);
}

void Worker::close_acceptors() {
    error_code ignored;
    for (auto& acceptor : tcp_acceptors_) acceptor.close(ignored);
    for (auto& acceptor : unix_acceptors_) acceptor.close(ignored);
}

void Worker::end_if_drained() {
    if ((draining_ || stopping_) && connections_.empty()) tick_timer_.cancel();
}

void Worker::drain() {
    if (draining_ || stopping_) return;
    draining_ = true;
    close_acceptors();
    for (const auto& connection : connections_) connection->leave("the proxy is shutting down", false);
    end_if_drained();
}

void Worker::stop() {
    if (stopping_) return;
    stopping_ = true;
    close_acceptors();
    for (const auto& connection : connections_) connection->end("the proxy stops");
    tick_timer_.cancel();
}

void Worker::member_lost(const HostPort& member) {
    for (const auto& connection : connections_) {
        if (connection->is_tied_to(member))
            connection->leave("its upstream is not the primary any more", true);
    }
}

}  // namespace fieldgate::net
