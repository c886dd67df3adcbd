#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "proxy/analysis/analysis.hpp"
#include "proxy/keys/key_ring.hpp"
#include "proxy/session/cursors.hpp"
#include "proxy/session/gateway_hello.hpp"
#include "proxy/wire/message.hpp"

namespace fieldgate::session {

// What a session shares with others of its worker (catalog, ring: this thread only) and of the process
// (cursors).
struct Shared {
    std::shared_ptr<const config::Config> config;
    analysis::Catalog* catalog = nullptr;
    keys::KeyRing* ring = nullptr;
    CursorTable* cursors = nullptr;
    UpstreamFacts* upstream = nullptr;
    std::uint64_t connection_id = 0;  // what a local hello says
    std::size_t listener = 0;         // index into config->listeners
};

// Counts that net/ adds up and observe/ prints. Plain numbers: a session lives on one thread.
struct Counters {
    std::uint64_t requests = 0;
    std::uint64_t requests_refused = 0;
    std::uint64_t unacknowledged_refused = 0;
    std::uint64_t fields_encrypted = 0;
    std::uint64_t replies_rewritten = 0;
};

enum class RequestAction : std::uint8_t {
    forward,        // write `bytes` upstream, then request_written()
    answered,       // nothing to forward; an answer may be ready: see pop_answer(). `reason`: it is a refusal
    need_upstream,  // connect first (upstream_hello()), then ask again with the same frame
    need_keys,      // fetch `keys` into the ring, then ask again
    need_namespaces,  // resolve `namespaces` into the catalog, then ask again
    again,            // a slice is done: let others run, then ask again
    close,            // end the connection; `reason` for the log. Answers ahead of it are still written.
};

struct RequestOutcome {
    RequestAction action = RequestAction::close;
    wire::Bytes bytes;  // forward: valid until request_written()
    keys::KeyRequest keys;
    std::vector<analysis::NamespaceName> namespaces;
    std::string reason;
};

enum class ReplyRoute : std::uint8_t {
    stream,   // pass the message's bytes on as they come; then reply_finished()
    collect,  // read it whole and call on_reply()
    close,    // not a reply to anything: the server has lost the thread
};

enum class ReplyAction : std::uint8_t {
    forward,  // write `bytes` to the client; then reply_finished()
    swallow,  // nothing to write; then reply_finished()
    need_keys,
    again,
    close,
};

struct ReplyOutcome {
    ReplyAction action = ReplyAction::close;
    wire::Bytes bytes;  // valid until reply_finished()
    keys::KeyRequest keys;
    std::string reason;
    // The server said that it is not, or no longer, the primary: every session tied to it must go, after this
    // reply.
    bool member_lost = false;
    // A request of fieldgate's own to write upstream (killCursors after a reply that could not be opened);
    // its reply is swallowed by the session.
    wire::Bytes to_server;
};

// What the upstream's handshake said.
enum class UpstreamState : std::uint8_t {
    ready,
    not_primary,  // try the primary of the moment again
    refused,      // ok: 0 or unreadable: answer the client's request with an error and close
};

// The state of one client connection. Sans-I/O; decides and never waits; one thread.
//
// Requests: net/ cuts a whole message, calls on_request() until the action is neither need_* nor again.
// Replies: net/ asks route_reply() with what has arrived of the next message (at least 20 bytes or the whole
// of it), then streams or collects it. Answers made here wait in one queue with the requests that are
// upstream, so that none overtakes a reply: after every on_request() and every reply_finished(), net/ holds
// the client's write lock and writes what pop_answer() gives until it gives nothing.
//
// On a listener that serves query analysis every request is answered here and none asks for anything: see
// QueryAnalyser.
class Session {
 public:
    explicit Session(Shared shared);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    RequestOutcome on_request(wire::Bytes frame, keys::Clock::time_point now);
    // The forwarded bytes are out: gives their memory back.
    void request_written();

    // The handshake to send on a new upstream connection, made for the request that asked for it (its
    // speculative authentication and client metadata go along), and what came back. `upstream` names the
    // member ("host:port").
    wire::Buffer upstream_hello();
    UpstreamState on_upstream_hello(wire::Bytes frame, std::string_view upstream);
    // No upstream can be had, or a namespace could not be looked up: the request that asked for it is
    // answered with 6 HostUnreachable (for a retryable write with the label RetryableWriteError, since
    // nothing of it was sent) by the next on_request() of the same frame.
    void upstream_unavailable(std::string reason);

    ReplyRoute route_reply(wire::Bytes prefix) const;
    ReplyOutcome on_reply(wire::Bytes frame, keys::Clock::time_point now);
    // The reply, streamed or forwarded, is written whole (`prefix`: its first 20 bytes, for moreToCome).
    void reply_finished();
    // For streamed replies, before the first byte is passed on: remembers flags. `prefix` as in
    // route_reply().
    void reply_started(wire::Bytes prefix);

    // The next answer that may go to the client now; nothing while a reply is still owed ahead of it.
    std::optional<wire::Buffer> pop_answer();

    // Nothing is under way: no reply owed, no answer waiting.
    bool idle() const;
    std::size_t outstanding() const;
    // At this many outstanding requests net/ stops reading from the client.
    static constexpr std::size_t outstanding_max = 1000;

    const Counters& counters() const;
    std::string_view last_command() const;  // for logs

 private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace fieldgate::session
