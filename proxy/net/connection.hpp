#pragma once

#include <chrono>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "proxy/net/event.hpp"
#include "proxy/net/process.hpp"
#include "proxy/net/standing.hpp"
#include "proxy/net/stream.hpp"
#include "proxy/session/session.hpp"
#include "proxy/wire/frame_reader.hpp"

namespace fieldgate::net {

class Worker;

// One client with its upstream connection: two loops on the worker's thread.
//
//     serve()           client -> session -> upstream, and answers made here -> client
//     relay_replies()   upstream -> session -> client; starts when the upstream is connected
//
// MongoDB has no half-close: an end, error or doubt on either side ends both. The object dies when both loops
// have returned, so nothing here outlives it but what goes through the worker's mailbox.
class Connection {
 public:
    using Clock = std::chrono::steady_clock;

    Connection(Worker& worker, Stream::Socket client, std::size_t listener, std::uint64_t id);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    void start();
    // Closes both sides; the loops return soon. Idempotent: the first reason is the one that is logged.
    void end(std::string_view reason);
    // Ends at once if nothing is under way, else after the reply that is. With `member_is_lost`, requests
    // that were not sent yet are not waited for.
    void leave(std::string_view reason, bool member_is_lost);
    // Ends the step whose time is over. Called from the worker's tick.
    void check_deadline(Clock::time_point now);

    // Whether it is tied to this member. One that is still shaking hands is not: the hello will tell.
    bool is_tied_to(const HostPort& member) const { return relaying_ && member_ == member; }
    // What the session counted since the last call.
    session::Counters take_counters();

    std::list<std::unique_ptr<Connection>>::iterator position;  // the worker's

 private:
    enum class Attempt { ready, try_again, refused };
    // What a session may keep between messages, for each direction.
    static constexpr std::size_t idle_buffer_bytes = std::size_t{16} * 1024;

    asio::awaitable<void> serve();
    asio::awaitable<bool> accept_client();
    asio::awaitable<bool> decide(wire::Bytes request, session::RequestOutcome& outcome);
    asio::awaitable<void> wait_for_replies();
    asio::awaitable<void> close_after_answers();

    asio::awaitable<bool> connect_upstream();
    asio::awaitable<Attempt> try_member(const HostPort& member, std::string& why);
    asio::awaitable<error_code> open_stream(const HostPort& member);

    asio::awaitable<void> relay_replies();
    asio::awaitable<bool> stream_reply(std::size_t message_bytes);
    asio::awaitable<bool> decide(wire::Bytes reply, session::ReplyOutcome& outcome);
    asio::awaitable<bool> finish_reply(bool more_to_come);
    void upstream_lost(error_code ec);

    asio::awaitable<bool> write_client(wire::Bytes bytes);
    asio::awaitable<bool> write_upstream(wire::Bytes bytes);
    // With the client's write lock held: writes this answer and those that may go after it.
    asio::awaitable<bool> write_answers(wire::Buffer first);

    asio::awaitable<bool> fetch_keys(keys::KeyRequest request, Event& event);
    asio::awaitable<bool> resolve_namespaces(std::vector<analysis::NamespaceName> names);
    asio::awaitable<std::optional<HostPort>> find_primary(std::chrono::milliseconds wait, std::string& why);
    asio::awaitable<bool> draw_memory(MemoryBudget::Grant& grant, std::size_t bytes, Event& event);
    asio::awaitable<void> yield();
    asio::awaitable<void> sleep(std::chrono::milliseconds duration);

    MemoryBudget::Claimant claimant() const { return {listener_, standing_.is_stranger()}; }
    bool settled() const;  // nothing is owed to the client and nothing is being written
    void check_progress(Clock::time_point now);
    void log_refusal(const session::RequestOutcome& outcome) const;
    void log_client_end() const;
    void set_deadline(std::chrono::milliseconds duration) { deadline_ = Clock::now() + duration; }
    void clear_deadline() { deadline_ = Clock::time_point::max(); }
    void spawn(asio::awaitable<void> loop);
    void loop_ended(const std::exception_ptr& failure);

    Worker& worker_;
    const std::size_t listener_;
    const std::uint64_t id_;
    Stream client_;
    std::unique_ptr<Stream> upstream_;
    wire::FrameReader requests_;
    wire::FrameReader replies_;
    session::Session session_;
    session::Counters counted_;
    std::optional<HostPort> member_;

    WriteLock client_lock_;
    WriteLock upstream_lock_;
    Event request_event_;  // what serve() waits for
    Event reply_event_;    // what relay_replies() waits for
    MemoryBudget::Grant request_grant_;
    MemoryBudget::Grant reply_grant_;
    Standing standing_;

    Clock::time_point deadline_ = Clock::time_point::max();
    // While a large message holds memory: what the client had sent and taken when it last moved on enough.
    std::uint64_t bytes_received_ = 0;
    std::uint64_t progress_mark_ = 0;
    Clock::time_point progress_since_ = Clock::now();
    const Clock::time_point accepted_at_ = Clock::now();
    int loops_ = 0;
    bool ended_ = false;
    bool leaving_ = false;
    bool handling_ = false;  // a request is between its last byte read and its first byte written
    bool relaying_ = false;
    bool timed_out_ = false;
    bool close_after_answer_ = false;
    bool client_is_awaited_ = false;  // a write to it is under way
    bool reply_is_awaited_ = false;   // a reply waits for memory
    std::string_view leave_reason_;
};

}  // namespace fieldgate::net
