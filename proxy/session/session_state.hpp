#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/session/open.hpp"
#include "proxy/session/query_analyser.hpp"
#include "proxy/session/seal.hpp"
#include "proxy/session/session.hpp"

// Private to the session: what it remembers between calls.
namespace fieldgate::session {

// What is owed to the client, in the order of its requests.
struct Pending {
    enum class Kind : std::uint8_t {
        reply_owed,    // the request is upstream
        local_answer,  // `answer` is ready and waits for its turn
        own_request,   // fieldgate asked something of its own: the reply is swallowed
    } kind = Kind::reply_owed;
    std::int32_t request_id = 0;
    // What the next reply's responseTo says. Along an exhaust stream it is the id of the reply before; some
    // servers repeat the request's instead.
    std::int32_t response_to = 0;
    std::string_view command;
    wire::Buffer answer;
    analysis::ReplyShape shape;
    std::string database;
    std::string collection;
    bool is_get_more = false;
    std::int64_t cursor_id = 0;
    bool swallow_rest = false;  // the client has been told of an error; the rest of the stream is not for it
    // Of the reply under way:
    bool more_to_come = false;
    std::int32_t reply_id = 0;
};

// One request on its way through the session; lives until its bytes are written or it was answered.
struct RequestJob {
    enum class Stage : std::uint8_t { hello, analysing, sealing, ready, done } stage = Stage::done;
    wire::Header header;
    wire::OpMsg message;  // for OP_MSG
    bool is_op_msg = false;
    std::optional<HelloRequest> hello;
    std::optional<analysis::RequestAnalysis> analysis;
    std::optional<Sealer> sealer;
    analysis::ReplyShape shape;
    wire::Buffer sealed;
};

struct ReplyJob {
    wire::OpMsg message;
    std::optional<Opener> opener;
    wire::Buffer out;
    wire::Buffer own_request;
};

struct Session::State {
    explicit State(Shared s);

    Shared shared;
    std::size_t role;  // index into the roles
    // For listeners that serve query analysis, in the place of everything below but the queue of answers.
    std::unique_ptr<QueryAnalyser> analyser;
    bool analysing = false;  // it has said `again`
    std::vector<Pending> pending;
    std::unique_ptr<RequestJob> request;
    std::unique_ptr<ReplyJob> reply;

    bool upstream_ready = false;
    std::string upstream_name;
    std::optional<std::string> unavailable;
    wire::Buffer client_metadata;
    HandshakeAnswer handshake;

    Counters counters;
    std::string_view last_command;
    std::int32_t next_own_id = 1;

    const config::Config& config() const { return *shared.config; }
    const config::Role& own_role() const { return config().roles[role]; }
    std::int32_t own_id() { return next_own_id = next_own_id == 0x7FFFFFFF ? 1 : next_own_id + 1; }

    // The entry that the next reply from the server belongs to; null: the server owes nothing.
    Pending* owed();
    const Pending* owed() const { return const_cast<State*>(this)->owed(); }

    RequestOutcome analyse_for_driver(wire::Bytes frame);
    RequestOutcome begin(wire::Bytes frame);
    RequestOutcome advance(wire::Bytes frame, keys::Clock::time_point now);
    RequestOutcome advance_hello();
    RequestOutcome advance_analysis(keys::Clock::time_point now);
    RequestOutcome advance_sealing(wire::Bytes frame, keys::Clock::time_point now);
    RequestOutcome forward(wire::Bytes frame);
    // Decides what a getMore's reply looks like; false: the cursor is not this role's (43).
    bool find_cursor(analysis::Plan& plan, keys::Clock::time_point now);

    // Whether killCursors would end a cursor that another role opened on a protected namespace.
    bool names_foreign_cursor(bson::DocumentView kill_cursors, keys::Clock::time_point now) const;

    RequestOutcome queue_answer(wire::Buffer answer);
    // A copy: the refusal often belongs to the request that ends here.
    RequestOutcome refuse(analysis::Refusal refusal);
    RequestOutcome refuse_and_close(wire::Bytes frame, const wire::Header& header, std::string reason);
    RequestOutcome answer_unavailable();
    void finish_request();

    ReplyOutcome pass_reply(wire::Bytes frame);
    ReplyOutcome open_reply(Pending& entry, wire::Bytes frame, keys::Clock::time_point now);
    ReplyOutcome fail_reply(Pending& entry, wire::Bytes frame, analysis::Refusal refusal);
    void remember_cursor(const Pending& entry, std::int64_t cursor_id, keys::Clock::time_point now);
};

}  // namespace fieldgate::session
