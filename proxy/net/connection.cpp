#include "proxy/net/connection.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

#include "proxy/net/error.hpp"
#include "proxy/net/worker.hpp"
#include "proxy/observe/log.hpp"

namespace fieldgate::net {
namespace {

namespace log = observe::log;

// Answers of others for one request: more rounds than any message needs, so that entries which expire at once
// cannot keep a thread busy for ever.
constexpr int service_rounds_max = 100;
constexpr std::chrono::milliseconds closing_time_max{10000};

session::Shared shared_of(Worker& worker, std::size_t listener, std::uint64_t id) {
    Process& process = worker.process();
    session::Shared shared;
    shared.config = process.config;
    shared.catalog = &worker.catalog();
    shared.ring = &worker.ring();
    shared.cursors = &process.cursors;
    shared.upstream = &process.upstream_facts;
    shared.connection_id = id;
    shared.listener = listener;
    return shared;
}

}  // namespace

Connection::Connection(Worker& worker, Stream::Socket client, std::size_t listener, std::uint64_t id)
    : worker_(worker),
      listener_(listener),
      id_(id),
      client_(std::move(client)),
      requests_(worker.process().config->limits.message_bytes),
      replies_(worker.process().config->limits.message_bytes),
      session_(shared_of(worker, listener, id)),
      client_lock_(worker.context()),
      upstream_lock_(worker.context()),
      request_event_(worker.context()),
      reply_event_(worker.context()) {}

Connection::~Connection() {
    if (relaying_) WorkerCounters::add(worker_.own_counters().upstream_active, std::uint64_t(-1));
}

void Connection::start() {
    client_.tune();
    spawn(serve());
}

void Connection::spawn(asio::awaitable<void> loop) {
    ++loops_;
    // The connection lives until its last loop has called back.
    asio::co_spawn(worker_.context(), std::move(loop),
                   [this](std::exception_ptr failure) { loop_ended(failure); });
}

void Connection::loop_ended(std::exception_ptr failure) {
    if (failure) {
        // Nothing on the data path throws but the allocator; this session goes, the others stay.
        try {
            std::rethrow_exception(failure);
        } catch (const std::exception& error) {
            log::error("session failed", {{"connection", id_}, {"error", error.what()}});
        }
    }
    end("its loop ended");
    if (--loops_ == 0) worker_.remove(*this);
}

void Connection::end(std::string_view reason) {
    if (ended_) return;
    ended_ = true;
    log::debug("connection closed",
               {{"connection", id_}, {"reason", reason}, {"last_command", session_.last_command()}});
    client_.close();
    if (upstream_) upstream_->close();
    request_event_.notify();
    reply_event_.notify();
}

bool Connection::settled() const {
    return !handling_ && !client_lock_.held() && session_.outstanding() == 0;
}

void Connection::leave(std::string_view reason, bool member_is_lost) {
    if (ended_) return;
    leaving_ = true;
    leave_reason_ = reason;
    const bool unsent = member_is_lost && !client_lock_.held() && session_.outstanding() == 0;
    if (unsent || (settled() && requests_.pending_bytes() == 0)) end(reason);
}

void Connection::check_deadline(Clock::time_point now) {
    if (now < deadline_ || ended_) return;
    clear_deadline();
    timed_out_ = true;
    if (upstream_ && !relaying_) {
        upstream_->close();  // connecting: another member may do
    } else {
        end("a step took longer than allowed");
    }
}

session::Counters Connection::take_counters() {
    const session::Counters& now = session_.counters();
    session::Counters fresh;
    fresh.requests = now.requests - counted_.requests;
    fresh.requests_refused = now.requests_refused - counted_.requests_refused;
    fresh.unacknowledged_refused = now.unacknowledged_refused - counted_.unacknowledged_refused;
    fresh.fields_encrypted = now.fields_encrypted - counted_.fields_encrypted;
    fresh.replies_rewritten = now.replies_rewritten - counted_.replies_rewritten;
    counted_ = now;
    return fresh;
}

asio::awaitable<void> Connection::serve() {
    if (!co_await accept_client()) co_return;
    error_code ec;
    while (!ended_) {
        const auto request = requests_.next(ec);
        if (ec) {
            WorkerCounters::add(worker_.own_counters().protocol_errors, 1);
            end(ec.message());
            co_return;
        }
        if (!request) {
            if (!co_await read_request()) co_return;
            continue;
        }
        handling_ = true;
        const bool go_on = co_await handle(*request);
        handling_ = false;
        if (!go_on) co_return;
        request_grant_.give_back();
        if (requests_.buffer_bytes() > MemoryBudget::free_bytes) requests_.release();
        if (close_after_answer_) {
            co_await close_after_answers();
            co_return;
        }
        if (leaving_ && settled() && requests_.pending_bytes() == 0) end(leave_reason_);
    }
}

asio::awaitable<bool> Connection::accept_client() {
    SSL_CTX* const context = worker_.process().listener_tls[listener_].get();
    if (context == nullptr) co_return true;
    set_deadline(worker_.process().options.handshake_timeout);
    const error_code ec = co_await client_.accept_tls(context);
    clear_deadline();
    if (!ec) co_return !ended_;
    if (!ended_) {
        WorkerCounters::add(worker_.own_counters().protocol_errors, 1);
        log::info("TLS handshake with a client failed",
                  {{"connection", id_},
                   {"listener", worker_.process().config->listeners[listener_].name},
                   {"error", client_.tls_error()}});
    }
    end("TLS handshake failed");
    co_return false;
}

// Reads some of the next request; false when the connection is over.
asio::awaitable<bool> Connection::read_request() {
    error_code ec;
    if (!request_grant_) {
        const auto header = requests_.peek(ec);
        const auto message_bytes = header ? static_cast<std::size_t>(header->message_bytes) : 0;
        if (message_bytes > MemoryBudget::free_bytes &&
            !co_await draw_memory(request_grant_, message_bytes, request_event_)) {
            co_return false;
        }
    }
    std::size_t byte_count = 0;
    std::tie(ec, byte_count) = co_await client_.read_some(requests_.prepare());
    if (ec || ended_) {
        end(ec == asio::error::eof ? "the client closed it"
                                   : "reading from the client failed: " + ec.message());
        co_return false;
    }
    requests_.commit(byte_count);
    co_return true;
}

// Sees one request through to its last byte upstream or its answer in the queue; false when the connection is
// over.
asio::awaitable<bool> Connection::handle(wire::Bytes request) {
    while (session_.outstanding() >= session::Session::outstanding_max) {
        if (ended_) co_return false;
        co_await request_event_.wait();
    }
    for (int rounds = 0; !ended_;) {
        session::RequestOutcome outcome = session_.on_request(request, Clock::now());
        switch (outcome.action) {
            case session::RequestAction::forward: {
                BOOST_ASSERT(relaying_);
                if (!co_await write_upstream(outcome.bytes)) co_return false;
                session_.request_written();
                co_return co_await flush_answers();
            }
            case session::RequestAction::answered:
                co_return co_await flush_answers();
            case session::RequestAction::again:
                co_await yield();
                break;
            case session::RequestAction::need_upstream:
                if (!co_await connect_upstream()) co_return false;
                break;
            case session::RequestAction::need_keys:
                if (++rounds > service_rounds_max) {
                    end("keys expire before they can be used");
                    co_return false;
                }
                if (!co_await fetch_keys(std::move(outcome.keys), request_event_)) co_return false;
                break;
            case session::RequestAction::need_namespaces:
                if (++rounds > service_rounds_max) {
                    end("facts about namespaces expire before they can be used");
                    co_return false;
                }
                if (!co_await resolve_namespaces(std::move(outcome.namespaces))) co_return false;
                break;
            case session::RequestAction::close:
                log::info("connection refused to go on", {{"connection", id_}, {"reason", outcome.reason}});
                WorkerCounters::add(worker_.own_counters().protocol_errors, 1);
                close_after_answer_ = true;
                co_return co_await flush_answers();
        }
    }
    co_return false;
}

// What is owed to the client is still written, by whichever loop it falls to.
asio::awaitable<void> Connection::close_after_answers() {
    set_deadline(closing_time_max);
    while (!ended_ && (client_lock_.held() || (relaying_ && session_.outstanding() != 0))) {
        co_await request_event_.wait();
    }
    end("closed after the last answer");
}

asio::awaitable<bool> Connection::write_upstream(wire::Bytes bytes) {
    if (!upstream_lock_.try_acquire()) co_await upstream_lock_.acquire();
    error_code ec;
    bytes = upstream_->try_write(bytes, ec);
    if (!ec && !bytes.empty()) ec = co_await upstream_->write(bytes);
    upstream_lock_.release();
    if (!ec && !ended_) co_return true;
    upstream_lost(ec);
    co_return false;
}

asio::awaitable<bool> Connection::write_client(wire::Bytes bytes) {
    error_code ec;
    bytes = client_.try_write(bytes, ec);
    if (!ec && !bytes.empty()) ec = co_await client_.write(bytes);
    if (!ec && !ended_) co_return true;
    end("writing to the client failed: " + ec.message());
    co_return false;
}

asio::awaitable<bool> Connection::write_answers() {
    while (auto answer = session_.pop_answer()) {
        if (!co_await write_client(*answer)) co_return false;
    }
    co_return true;
}

// Whoever holds the lock writes the answers that became due before letting go, so there is no need to wait
// for it.
asio::awaitable<bool> Connection::flush_answers() {
    if (!client_lock_.try_acquire()) co_return true;
    const bool ok = co_await write_answers();
    client_lock_.release();
    co_return ok;
}

asio::awaitable<bool> Connection::draw_memory(MemoryBudget::Grant& grant, std::size_t bytes, Event& event) {
    MemoryBudget& memory = worker_.process().memory;
    grant = memory.try_draw(bytes);
    if (grant) co_return true;
    WorkerCounters::add(worker_.own_counters().memory_waits, 1);
    // The wake-up may come after this connection is gone, or in the middle of another wait of the same event:
    // it says nothing but "look again".
    const auto alive = std::make_shared<Event*>(&event);
    const auto place = memory.queue(bytes, [alive, mailbox = worker_.mailbox()] {
        mailbox->post([alive] {
            if (*alive != nullptr) (*alive)->notify();
        });
    });
    while (!ended_ && !place->granted()) co_await event.wait();
    *alive = nullptr;
    if (ended_) co_return false;
    grant = place->take();
    co_return true;
}

asio::awaitable<void> Connection::yield() {
    co_await asio::post(worker_.context(), asio::use_awaitable);
}

asio::awaitable<void> Connection::sleep(std::chrono::milliseconds duration) {
    asio::steady_timer timer(worker_.context(), duration);
    co_await timer.async_wait(use_tuple);
}

}  // namespace fieldgate::net
