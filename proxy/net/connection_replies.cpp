#include "proxy/net/connection.hpp"
#include "proxy/net/error.hpp"
#include "proxy/net/worker.hpp"
#include "proxy/observe/log.hpp"

// The way back: replies from the upstream to the client.
namespace fieldgate::net {
namespace {

namespace log = observe::log;

// What route_reply() needs to see: header and flags.
constexpr std::size_t prefix_bytes = wire::header_bytes + 4;
constexpr int key_rounds_max = 100;

bool says_more_to_come(wire::Bytes prefix) {
    return prefix.size() >= prefix_bytes && wire::Header::parse(prefix).opcode == wire::Opcode::msg &&
           (prefix[wire::header_bytes] & wire::flag_more_to_come) != 0;
}

}  // namespace

asio::awaitable<void> Connection::relay_replies() {
    error_code ec;
    bool ok = true;
    while (ok && !ended_) {
        const auto header = replies_.peek(ec);
        if (ec) {
            upstream_lost(ec);
            co_return;
        }
        const std::size_t message_bytes = header ? static_cast<std::size_t>(header->message_bytes) : 0;
        const std::size_t here_bytes = std::min(replies_.pending_bytes(), message_bytes);
        const bool routable = header && here_bytes >= std::min(prefix_bytes, message_bytes);
        auto route = session::ReplyRoute::collect;
        if (routable) route = session_.route_reply(replies_.pending().first(here_bytes));
        if (route == session::ReplyRoute::close) {
            WorkerCounters::add(worker_.own_counters().protocol_errors, 1);
            log::warn("the server sent a reply that nobody waits for",
                      {{"connection", id_}, {"upstream", member_->text()}});
            end("a reply that nobody waits for");
            co_return;
        }
        if (route == session::ReplyRoute::stream) {
            ok = co_await stream_reply(message_bytes);
            continue;
        }
        if (!header || here_bytes < message_bytes) {
            if (message_bytes > MemoryBudget::free_bytes && !reply_grant_) {
                // Twice: the reply as it came and as it goes on are held together.
                ok = co_await draw_memory(reply_grant_, 2 * message_bytes, reply_event_);
                if (!ok) co_return;
            }
            if (here_bytes == 0 && replies_.buffer_bytes() > idle_buffer_bytes) replies_.release();
            std::size_t byte_count = 0;
            std::tie(ec, byte_count) = co_await upstream_->read_some(replies_.prepare());
            if (ec || ended_) {
                upstream_lost(ec);
                co_return;
            }
            replies_.commit(byte_count);
            continue;
        }

        // One whole reply through the session and on to the client.
        const wire::Bytes reply = *replies_.next(ec);
        standing_.reply_seen(reply);
        const bool more_to_come = says_more_to_come(reply);
        session::ReplyOutcome outcome = session_.on_reply(reply, Clock::now());
        if (outcome.action == session::ReplyAction::again ||
            outcome.action == session::ReplyAction::need_keys) {
            ok = co_await decide(reply, outcome);
            if (!ok) co_return;
        }
        if (outcome.member_lost) {
            // The reply is not passed on. On these codes a driver keeps its pool, so that the one retry it
            // has would go out on another connection that is about to be closed; when a connection ends it
            // clears the pool, and retries on a new one.
            const HostPort member = *member_;
            end("its upstream is not the primary any more");
            worker_.process().services.report_member(member, "it said that it is not the primary");
            worker_.process().member_lost(member);  // posted, to this worker too
            co_return;
        }
        if (outcome.action == session::ReplyAction::close) {
            WorkerCounters::add(worker_.own_counters().protocol_errors, 1);
            log::warn("a reply cannot be passed on", {{"connection", id_}, {"reason", outcome.reason}});
            end(outcome.reason);
            co_return;
        }
        if (!outcome.reason.empty() && worker_.may_log_client()) {
            log::warn("a reply was replaced by an error", {{"connection", id_}, {"reason", outcome.reason}});
        }
        if (!outcome.to_server.empty()) {
            ok = co_await write_upstream(outcome.to_server);
            if (!ok) co_return;
        }
        if (!client_lock_.try_acquire()) co_await client_lock_.acquire();
        {
            const WriteLock::Hold hold(client_lock_);
            if (outcome.action == session::ReplyAction::forward) {
                const wire::Bytes rest = client_.try_write(outcome.bytes, ec);
                if (ec || !rest.empty()) ok = co_await write_client(rest);
            }
            if (ok) ok = co_await finish_reply(more_to_come);
        }
        reply_grant_.give_back();
        if (replies_.buffer_bytes() > idle_buffer_bytes) replies_.release();
    }
}

// Fetches keys and gives way between slices until `outcome` is final; false when the connection is over.
asio::awaitable<bool> Connection::decide(wire::Bytes reply, session::ReplyOutcome& outcome) {
    for (int rounds = 0; !ended_; outcome = session_.on_reply(reply, Clock::now())) {
        if (outcome.action == session::ReplyAction::again) {
            co_await yield();
        } else if (outcome.action == session::ReplyAction::need_keys) {
            if (++rounds > key_rounds_max) {
                end("keys expire before they can be used");
                co_return false;
            }
            const bool ok = co_await fetch_keys(std::move(outcome.keys), reply_event_);
            if (!ok) co_return false;
        } else {
            co_return true;
        }
    }
    co_return false;
}

// Passes one reply on as it comes. Once its first byte is out there is no way back: any failure ends the
// connection.
asio::awaitable<bool> Connection::stream_reply(std::size_t message_bytes) {
    const wire::Bytes first = replies_.take_pending(message_bytes);
    const bool more_to_come = says_more_to_come(first);
    if (!client_lock_.try_acquire()) co_await client_lock_.acquire();
    const WriteLock::Hold hold(client_lock_);
    session_.reply_started(first);
    standing_.reply_seen(first);
    bool ok = co_await write_client(first);
    std::size_t left_bytes = message_bytes - first.size();
    if (ok && left_bytes != 0) {
        if (left_bytes > MemoryBudget::free_bytes) {
            ok = co_await draw_memory(reply_grant_, BufferPool::large_bytes, reply_event_);
        }
        auto loan = worker_.buffers().lend(left_bytes);
        while (ok && left_bytes != 0) {
            error_code ec;
            std::size_t byte_count = 0;
            const std::span<std::uint8_t> room = loan.bytes();
            std::tie(ec, byte_count) =
                co_await upstream_->read_some(room.first(std::min(left_bytes, room.size())));
            if (ec || ended_) {
                upstream_lost(ec);
                ok = false;
                break;
            }
            left_bytes -= byte_count;
            ok = co_await write_client(room.first(byte_count));
        }
        reply_grant_.give_back();
    }
    if (ok) ok = co_await finish_reply(more_to_come);
    co_return ok;
}

// With the client's lock held: the answers that waited for this reply go out, and whoever waited for it goes
// on.
asio::awaitable<bool> Connection::finish_reply(bool more_to_come) {
    session_.reply_finished();
    if (auto answer = session_.pop_answer()) {
        const bool ok = co_await write_answers(std::move(*answer));
        if (!ok) co_return false;
    }
    request_event_.notify();
    if (leaving_ && !handling_ && (more_to_come || session_.outstanding() == 0)) {
        end(leave_reason_);
        co_return false;
    }
    co_return true;
}

// The upstream went or broke the protocol. Whether the whole member is gone is for others to find out: one
// client that makes the server drop its connection must not end everybody's sessions.
void Connection::upstream_lost(error_code ec) {
    if (ended_) return;
    WorkerCounters::add(worker_.own_counters().upstream_failures, 1);
    const HostPort member = *member_;
    const std::string reason = ec == asio::error::eof ? "it closed the connection" : ec.message();
    log::info("upstream lost", {{"connection", id_}, {"upstream", member.text()}, {"reason", reason}});
    end("the upstream was lost: " + reason);
    worker_.process().services.report_member(member, reason);
}

}  // namespace fieldgate::net
