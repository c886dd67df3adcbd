#include "proxy/net/connection.hpp"

#include <array>
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
constexpr std::chrono::milliseconds lingering_time_max{1000};

bool is_final(session::RequestAction action) {
    return action == session::RequestAction::forward || action == session::RequestAction::answered ||
           action == session::RequestAction::close;
}

// In `stall_timeout`, of a message that holds memory which others may wait for.
constexpr std::uint64_t progress_bytes_min = std::uint64_t{256} * 1024;

// Sealing makes a small value 7 to 8 times as large, up to the size of a message; both are held until it is
// sent.
std::size_t request_memory(std::size_t message_bytes, std::size_t message_bytes_max) {
    constexpr std::size_t growth_max = 8;
    return message_bytes + std::min(growth_max * message_bytes, message_bytes_max);
}

// What must be drawn before the reader may grow for its next message.
std::size_t memory_wanted(const wire::FrameReader& reader, const MemoryBudget::Grant& grant,
                          std::size_t message_bytes_max) {
    error_code ignored;  // next() has said it
    if (grant) return 0;
    const auto header = reader.peek(ignored);
    const auto message_bytes = header ? static_cast<std::size_t>(header->message_bytes) : 0;
    return message_bytes > MemoryBudget::free_bytes ? request_memory(message_bytes, message_bytes_max) : 0;
}

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
                   [this](const std::exception_ptr& failure) { loop_ended(failure); });
}

void Connection::loop_ended(const std::exception_ptr& failure) {
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

void Connection::check_progress(Clock::time_point now) {
    const bool receives = request_grant_ && !handling_;
    // A request holds its memory until it is upstream or its answer is written. That can wait for the client
    // too; and for ever, if the server reads it only after a reply that waits for memory itself.
    const bool takes = (reply_grant_ || request_grant_) && client_is_awaited_;
    const bool waits_for_itself = request_grant_ && reply_is_awaited_;
    const std::uint64_t progress = bytes_received_ + client_.bytes_written();
    if ((!receives && !takes && !waits_for_itself) || progress - progress_mark_ >= progress_bytes_min) {
        progress_mark_ = progress;
        progress_since_ = now;
    } else if (now - progress_since_ >= worker_.process().options.stall_timeout) {
        log::warn("a client stands still with a large message",
                  {{"connection", id_}, {"message", receives ? "its request" : "its reply"}});
        end("a large message stood still");
    }
}

void Connection::check_deadline(Clock::time_point now) {
    if (ended_) return;
    check_progress(now);
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

// The common request takes one read, one decision and one write, without a coroutine of its own for any of
// them.
//
// GCC 12 miscompiles some conditions that contain co_await: results go into a variable first, in all of net/.
asio::awaitable<void> Connection::serve() {
    bool ok = co_await accept_client();
    if (!ok) co_return;
    error_code ec;
    while (!ended_) {
        const auto request = requests_.next(ec);
        if (ec) {
            WorkerCounters::add(worker_.own_counters().protocol_errors, 1);
            if (worker_.may_log_client())
                log::info("a client sent what is no MongoDB message (TLS, perhaps, where none is configured)",
                          {{"connection", id_},
                           {"listener", worker_.process().config->listeners[listener_].name},
                           {"error", ec.message()}});
            end(ec.message());
            co_return;
        }
        if (!request) {
            const std::size_t memory_bytes =
                memory_wanted(requests_, request_grant_, worker_.process().config->limits.message_bytes);
            if (memory_bytes != 0) {
                ok = co_await draw_memory(request_grant_, memory_bytes, request_event_);
                if (!ok) co_return;
            }
            std::size_t byte_count = 0;
            std::tie(ec, byte_count) = co_await client_.read_some(requests_.prepare());
            if (ec || ended_) {
                if (ec == asio::error::eof) log_client_end();
                end(ec == asio::error::eof ? "the client closed it"
                                           : "reading from the client failed: " + ec.message());
                co_return;
            }
            requests_.commit(byte_count);
            bytes_received_ += byte_count;
            continue;
        }
        handling_ = true;
        if (session_.outstanding() >= session::Session::outstanding_max) co_await wait_for_replies();
        const bool alone = session_.outstanding() == 0;
        session::RequestOutcome outcome = session_.on_request(*request, Clock::now());
        if (!is_final(outcome.action)) {
            ok = co_await decide(*request, outcome);
            if (!ok) co_return;
        }
        if (outcome.action == session::RequestAction::forward) {
            BOOST_ASSERT(relaying_);
            standing_.request_sent(session_.last_command(), wire::Header::parse(*request).request_id, alone);
            if (!upstream_lock_.try_acquire()) co_await upstream_lock_.acquire();
            {
                const WriteLock::Hold hold(upstream_lock_);
                const wire::Bytes rest = upstream_->try_write(outcome.bytes, ec);
                if (!ec && !rest.empty()) ec = co_await upstream_->write(rest);
            }
            if (ec || ended_) {
                upstream_lost(ec);
                co_return;
            }
            session_.request_written();
            // Giving tens of megabytes back takes milliseconds, and twice that if the request was rewritten.
            if (request_grant_) co_await yield();
        } else if (outcome.action == session::RequestAction::answered) {
            if (!outcome.reason.empty() && worker_.may_log_client()) log_refusal(outcome);
        } else if (outcome.action == session::RequestAction::close) {
            if (worker_.may_log_client())
                log::info("session closes the connection", {{"connection", id_}, {"reason", outcome.reason}});
            WorkerCounters::add(worker_.own_counters().protocol_errors, 1);
            close_after_answer_ = true;
        }
        // Whoever holds the lock writes the answers that became due before letting go: no need to wait for
        // it.
        if (client_lock_.try_acquire()) {
            const WriteLock::Hold hold(client_lock_);
            ok = true;
            if (auto answer = session_.pop_answer()) ok = co_await write_answers(std::move(*answer));
            if (!ok) co_return;
        }
        handling_ = false;
        request_grant_.give_back();
        if (requests_.buffer_bytes() > idle_buffer_bytes) requests_.release();
        if (close_after_answer_) {
            co_await close_after_answers();
            co_return;
        }
        if (leaving_ && settled() && requests_.pending_bytes() == 0) end(leave_reason_);
    }
}

void Connection::log_refusal(const session::RequestOutcome& outcome) const {
    log::info("request refused", {{"connection", id_},
                                  {"listener", worker_.process().config->listeners[listener_].name},
                                  {"command", session_.last_command()},
                                  {"reason", outcome.reason}});
}

// A driver that was told to find a replica set drops a mongos after its hello, and says only that it found no
// server. What to change is best said where the operator looks.
void Connection::log_client_end() const {
    constexpr std::chrono::seconds soon{1};
    if (session_.counters().requests != 1 || session_.last_command() != "hello" ||
        Clock::now() - accepted_at_ > soon)
        return;
    worker_.hint(
        "a client left right after the handshake: if it finds no server, take replicaSet= out of its "
        "connection string (fieldgate appears as one mongos)",
        worker_.process().config->listeners[listener_].name);
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
        if (worker_.may_log_client())
            log::info("TLS handshake with a client failed",
                      {{"connection", id_},
                       {"listener", worker_.process().config->listeners[listener_].name},
                       {"error", client_.tls_error()}});
    }
    end("TLS handshake failed");
    co_return false;
}

asio::awaitable<void> Connection::wait_for_replies() {
    while (!ended_ && session_.outstanding() >= session::Session::outstanding_max)
        co_await request_event_.wait();
}

// Fetches what the session lacks and gives way between slices until `outcome` is final; false when the
// connection is over.
asio::awaitable<bool> Connection::decide(wire::Bytes request, session::RequestOutcome& outcome) {
    for (int rounds = 0; !ended_;) {
        bool ok = true;
        switch (outcome.action) {
            case session::RequestAction::again:
                co_await yield();
                break;
            case session::RequestAction::need_upstream:
                ok = co_await connect_upstream();
                break;
            case session::RequestAction::need_keys:
                ok = co_await fetch_keys(std::move(outcome.keys), request_event_);
                ++rounds;
                break;
            case session::RequestAction::need_namespaces:
                ok = co_await resolve_namespaces(std::move(outcome.namespaces));
                ++rounds;
                break;
            case session::RequestAction::forward:
            case session::RequestAction::answered:
            case session::RequestAction::close:
                co_return true;
        }
        if (rounds > service_rounds_max) {
            end("keys or facts about namespaces expire before they can be used");
            ok = false;
        }
        if (!ok || ended_) co_return false;
        outcome = session_.on_request(request, Clock::now());
    }
    co_return false;
}

// What is owed to the client is still written, by whichever loop it falls to. Then the client is told that
// nothing more comes and gets a moment to read it: closing a socket with unread bytes would reset it, and
// some systems drop what was on its way.
asio::awaitable<void> Connection::close_after_answers() {
    set_deadline(closing_time_max);
    while (!ended_ && (client_lock_.held() || (relaying_ && session_.outstanding() != 0))) {
        co_await request_event_.wait();
    }
    client_.end_writing();
    set_deadline(lingering_time_max);
    std::array<std::uint8_t, 1024> unread;
    error_code ec;
    while (!ended_ && !ec) std::tie(ec, std::ignore) = co_await client_.read_some(unread);
    end("closed after the last answer");
}

asio::awaitable<bool> Connection::write_upstream(wire::Bytes bytes) {
    if (!upstream_lock_.try_acquire()) co_await upstream_lock_.acquire();
    const WriteLock::Hold hold(upstream_lock_);
    error_code ec;
    bytes = upstream_->try_write(bytes, ec);
    if (!ec && !bytes.empty()) ec = co_await upstream_->write(bytes);
    if (!ec && !ended_) co_return true;
    upstream_lost(ec);
    co_return false;
}

asio::awaitable<bool> Connection::write_client(wire::Bytes bytes) {
    error_code ec;
    bytes = client_.try_write(bytes, ec);
    if (!ec && !bytes.empty()) {
        client_is_awaited_ = true;
        ec = co_await client_.write(bytes);
        client_is_awaited_ = false;
    }
    if (!ec && !ended_) co_return true;
    end("writing to the client failed: " + ec.message());
    co_return false;
}

asio::awaitable<bool> Connection::write_answers(wire::Buffer first) {
    std::optional<wire::Buffer> answer = std::move(first);
    while (answer) {
        const bool ok = co_await write_client(*answer);
        if (!ok) co_return false;
        answer = session_.pop_answer();
    }
    co_return true;
}

asio::awaitable<bool> Connection::draw_memory(MemoryBudget::Grant& grant, std::size_t bytes, Event& event) {
    MemoryBudget& memory = worker_.process().memory;
    MemoryBudget::Claimant waiting_as = claimant();
    grant = memory.try_draw(bytes, waiting_as);
    if (grant) co_return true;
    WorkerCounters::add(worker_.own_counters().memory_waits, 1);
    // The wake-up may come after this connection is gone, or in the middle of another wait of the same event:
    // it says nothing but "look again".
    const auto alive = std::make_shared<Event*>(&event);
    const std::function<void()> wake = [alive, mailbox = worker_.mailbox()] {
        mailbox->post([alive] {
            if (*alive != nullptr) (*alive)->notify();
        });
    };
    auto place = memory.queue(bytes, waiting_as, wake);
    if (&grant == &reply_grant_) reply_is_awaited_ = true;
    while (!ended_ && !place->granted()) {
        co_await event.wait();
        if (waiting_as.is_stranger && !standing_.is_stranger() && !place->granted()) {
            // The reply that proved it came meanwhile: it need not wait with the strangers.
            waiting_as = claimant();
            place = memory.queue(bytes, waiting_as, wake);
        }
    }
    *alive = nullptr;
    if (&grant == &reply_grant_) reply_is_awaited_ = false;
    if (ended_) co_return false;
    grant = place->take();
    co_return true;
}

// Twice: the first turn comes before the sockets were looked at, the second after those that were ready had
// theirs.
asio::awaitable<void> Connection::yield() {
    co_await asio::post(worker_.context(), asio::use_awaitable);
    co_await asio::post(worker_.context(), asio::use_awaitable);
}

asio::awaitable<void> Connection::sleep(std::chrono::milliseconds duration) {
    asio::steady_timer timer(worker_.context(), duration);
    co_await timer.async_wait(use_tuple);
}

}  // namespace fieldgate::net
