#include "proxy/session/session.hpp"

#include <algorithm>
#include <boost/assert.hpp>
#include <chrono>
#include <utility>

#include "proxy/policy/policy.hpp"
#include "proxy/session/answer.hpp"
#include "proxy/session/session_state.hpp"

namespace fieldgate::session {

namespace {

// Sequence documents that one slice of analysis looks at: well under a millisecond of small documents.
constexpr std::size_t analysis_slice_bytes = std::size_t{256} * 1024;

// What servers take beside the 16 MiB of a document. A body is looked at in one slice, so this bounds how
// long.
constexpr std::size_t body_bytes_max = std::size_t{16} * 1024 * 1024 + std::size_t{16} * 1024;

constexpr std::int32_t failed_to_satisfy_read_preference = 133;

// What stands for the collection of a bulkWrite's results, in the database admin.
constexpr std::string_view bulk_write_cursor = "$cmd.bulkWrite";

// As a mongos, fieldgate is told the client's read preference with each command.
bool wants_secondary(bson::DocumentView body) {
    const auto preference = body.find("$readPreference");
    if (!preference || !preference->is_document()) return false;
    const auto inner = bson::DocumentView::check_top_level(preference->value());
    const auto mode = inner ? inner->find("mode") : std::nullopt;
    return mode && mode->is_string() && mode->string() != "primary" && mode->string() != "primaryPreferred";
}

RequestOutcome close_with(std::string reason) {
    RequestOutcome outcome;
    outcome.action = RequestAction::close;
    outcome.reason = std::move(reason);
    return outcome;
}

RequestOutcome simple(RequestAction action) {
    RequestOutcome outcome;
    outcome.action = action;
    return outcome;
}

std::int64_t now_unix_ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

// A malformed OP_MSG may have asked for no answer; its flags are where they always are.
bool wants_reply(const wire::Header& header, wire::Bytes frame) {
    constexpr std::size_t flags_end = wire::header_bytes + 4;
    if (header.opcode != wire::Opcode::msg || frame.size() < flags_end) return true;
    return (frame[wire::header_bytes] & wire::flag_more_to_come) == 0;
}

}  // namespace

Session::Session(Shared shared) : state_(std::make_unique<State>(std::move(shared))) {}
Session::~Session() = default;

RequestOutcome Session::on_request(wire::Bytes frame, keys::Clock::time_point now) {
    State& state = *state_;
    if (state.analyser) return state.analyse_for_driver(frame);
    if (!state.request || state.request->stage == RequestJob::Stage::done) {
        ++state.counters.requests;
        RequestOutcome outcome = state.begin(frame);
        if (state.request->stage == RequestJob::Stage::done) return outcome;
    }
    return state.advance(frame, now);
}

Session::State::State(Shared s) : shared(std::move(s)), role(shared.config->listeners[shared.listener].role) {
    using Serves = config::Listener::Serves;
    if (config().listeners[shared.listener].serves == Serves::query_analysis)
        analyser = std::make_unique<QueryAnalyser>(shared.config, shared.connection_id);
}

RequestOutcome Session::State::analyse_for_driver(wire::Bytes frame) {
    using Kind = QueryAnalyser::Outcome::Kind;
    if (!std::exchange(analysing, false)) ++counters.requests;
    QueryAnalyser::Outcome result = analyser->on_request(frame, now_unix_ms());
    last_command = analyser->last_command();
    if (result.kind == Kind::again) {
        analysing = true;
        return simple(RequestAction::again);
    }
    if (!result.refusal.empty()) ++counters.requests_refused;
    if (!result.answer.empty()) {
        Pending& entry = pending.emplace_back();
        entry.kind = Pending::Kind::local_answer;
        entry.answer = std::move(result.answer);
    }
    RequestOutcome outcome =
        simple(result.kind == Kind::close ? RequestAction::close : RequestAction::answered);
    outcome.reason = std::move(result.refusal);
    return outcome;
}

// Sets the job's stage; the outcome counts only where the stage is `done` already.
RequestOutcome Session::State::begin(wire::Bytes frame) {
    request = std::make_unique<RequestJob>();
    RequestJob& job = *request;
    job.header = wire::Header::parse(frame);
    unavailable.reset();

    if (job.header.opcode == wire::Opcode::msg) {
        auto message = wire::OpMsg::parse(frame);
        if (!message)
            return refuse_and_close(frame, job.header, "malformed message: " + message.error().message());
        job.message = *message;
        job.is_op_msg = true;
        if (job.message.body.bytes().size() > body_bytes_max)
            return refuse(
                {analysis::code::bson_object_too_large, "BSONObjectTooLarge",
                 "the command is larger than 16 MiB + 16 KiB, which no server takes: send documents as a "
                 "document sequence, or in batches"});
        job.hello = parse_hello(job.message.body);
        job.stage = job.hello ? RequestJob::Stage::hello : RequestJob::Stage::analysing;
        if (job.hello) last_command = "hello";
        return {};
    }
    if (job.header.opcode == wire::Opcode::query) {
        const auto query = wire::OpQuery::parse(frame);
        if (!query)
            return refuse_and_close(frame, job.header, "malformed OP_QUERY: " + query.error().message());
        if (query->is_command()) job.hello = parse_hello(query->query);
        if (job.hello) {
            job.stage = RequestJob::Stage::hello;
            last_command = "hello";
            return {};
        }
        return refuse(
            {analysis::code::unsupported_op_query_command, "UnsupportedOpQueryCommand",
             "Unsupported OP_QUERY: fieldgate takes only hello and isMaster as OP_QUERY. The client driver "
             "may require an upgrade to one that speaks OP_MSG (MongoDB 3.6 and later)."});
    }
    const analysis::Refusal refusal{analysis::code::command_not_supported, "CommandNotSupported",
                                    "opcode " + std::to_string(static_cast<std::int32_t>(job.header.opcode)) +
                                        " is not supported by fieldgate: only OP_MSG, and OP_QUERY for hello "
                                        "and isMaster. No compression was "
                                        "negotiated."};
    wire::Buffer answer = error_reply(job.header, own_id(), error_document(refusal), frame);
    ++counters.requests_refused;
    if (answer.empty()) return close_with(refusal.errmsg);
    return queue_answer(std::move(answer));
}

RequestOutcome Session::State::advance(wire::Bytes frame, keys::Clock::time_point now) {
    if (unavailable) return answer_unavailable();
    RequestJob& job = *request;
    if (job.stage == RequestJob::Stage::hello) return advance_hello();
    if (job.stage == RequestJob::Stage::analysing) {
        RequestOutcome outcome = advance_analysis(now);
        if (job.stage == RequestJob::Stage::analysing || job.stage == RequestJob::Stage::done) return outcome;
        if (job.stage == RequestJob::Stage::sealing)
            job.sealer.emplace(job.message, frame, job.analysis->plan(), config(),
                               config().limits.message_bytes);
    }
    if (job.stage == RequestJob::Stage::sealing) {
        RequestOutcome outcome = advance_sealing(frame, now);
        if (job.stage != RequestJob::Stage::ready) return outcome;
    }
    BOOST_ASSERT(job.stage == RequestJob::Stage::ready);
    return forward(frame);
}

RequestOutcome Session::State::advance_hello() {
    RequestJob& job = *request;
    const HelloRequest& hello = *job.hello;
    if (job.is_op_msg && job.message.more_to_come()) {
        finish_request();
        return simple(RequestAction::answered);  // nobody waits for the answer
    }
    if (hello.load_balanced)
        return refuse(
            {analysis::code::bad_value, "BadValue",
             "loadBalanced=true is not supported by fieldgate: leave it out of the connection string"});
    if (client_metadata.empty() && hello.client)
        client_metadata.assign(hello.client->value().begin(), hello.client->value().end());

    const bool server_known = shared.upstream->wire_version_max.load(std::memory_order_relaxed) != 0;
    if (!upstream_ready && (hello.needs_server() || !server_known))
        return simple(RequestAction::need_upstream);

    LocalHello options;
    options.legacy_names = hello.command != "hello";
    options.hello_ok = hello.hello_ok;
    options.connection_id = shared.connection_id;
    options.now_unix_ms = now_unix_ms();
    options.message_bytes_max = std::min<std::uint32_t>(config().limits.message_bytes, 48000000);
    const wire::Buffer body = local_hello(options, *shared.upstream, std::exchange(handshake, {}));
    if (job.is_op_msg) return queue_answer(wire::make_op_msg(own_id(), job.header.request_id, body));
    return queue_answer(wire::make_op_reply(own_id(), job.header.request_id, body));
}

RequestOutcome Session::State::advance_analysis(keys::Clock::time_point now) {
    RequestJob& job = *request;
    if (!job.analysis) job.analysis.emplace(job.message, analysis::Context{config(), *shared.catalog});
    using Step = analysis::RequestAnalysis::Step;
    switch (job.analysis->step(analysis_slice_bytes)) {
        case Step::more:
            return simple(RequestAction::again);
        case Step::need_namespaces: {
            RequestOutcome outcome = simple(RequestAction::need_namespaces);
            outcome.namespaces = job.analysis->needed();
            job.analysis.reset();
            return outcome;
        }
        case Step::refused:
            last_command = job.analysis->plan().command.empty() ? "unknown" : job.analysis->plan().command;
            return refuse(job.analysis->refusal());
        case Step::done:
            break;
    }
    analysis::Plan& plan = job.analysis->plan();
    last_command = plan.command;
    if (lends_certificate(job.message.body))
        return refuse({analysis::code::unauthorized, "Unauthorized",
                       "MONGODB-X509 is not supported by fieldgate: the server would see the certificate of "
                       "fieldgate. Log in with a user name and a password"});
    if (const auto refusal = policy::judge(plan, own_role(), config())) return refuse(*refusal);
    if (config().upstream.read_preference == config::Upstream::ReadPreference::refuse &&
        plan.access == analysis::Access::read && wants_secondary(job.message.body))
        return refuse({failed_to_satisfy_read_preference, "FailedToSatisfyReadPreference",
                       "fieldgate reads from the primary only, and `upstream.read_preference: refuse` "
                       "refuses what asks "
                       "for secondaries"});
    const bool kills_cursors = plan.command == "killCursors";
    if ((plan.is_get_more || kills_cursors) && !upstream_ready) {
        // Cursors are known by their member, so there must be one before the table can be asked.
        job.analysis.reset();
        return simple(RequestAction::need_upstream);
    }
    if (kills_cursors && names_foreign_cursor(job.message.body, now))
        return refuse(
            {analysis::code::cursor_not_found, "CursorNotFound", "a cursor of another role is not found"});
    if (plan.is_get_more && !find_cursor(plan, now))
        return refuse({analysis::code::cursor_not_found, "CursorNotFound",
                       "cursor id " + std::to_string(plan.cursor_id) + " not found"});
    job.shape = plan.shape;
    job.stage = plan.edits.empty() ? RequestJob::Stage::ready : RequestJob::Stage::sealing;
    return {};
}

bool Session::State::names_foreign_cursor(bson::DocumentView kill_cursors,
                                          keys::Clock::time_point now) const {
    const auto cursors = kill_cursors.find("cursors");
    if (!cursors || !cursors->is_array()) return false;
    const auto ids = bson::DocumentView::check_top_level(cursors->value());
    if (!ids) return false;
    return std::any_of(ids->begin(), ids->end(), [&](const bson::Element& id) {
        if (id.type() != bson::Type::int64) return false;
        const auto record = shared.cursors->find(upstream_name, id.int64(), now);
        return record && record->role != role;
    });
}

// A cursor keeps the shape it was opened with, and belongs to the role that opened it. One that is unknown
// (opened through another fieldgate, or long ago) is read by the schema by a role that sees everything
// anyway.
bool Session::State::find_cursor(analysis::Plan& plan, keys::Clock::time_point now) {
    const auto record = shared.cursors->find(upstream_name, plan.cursor_id, now);
    if (record) {
        if (record->role != role) return false;
        const bool is_same = record->shape.kind == analysis::ReplyShape::Kind::bulk_result
                                 ? plan.continues_bulk_write
                                 : record->database == plan.database && record->collection == plan.collection;
        if (is_same) plan.shape = record->shape;
        return is_same;
    }
    // The plan's shape is that of a find; results of a bulkWrite quote values of any namespace.
    const bool may_show_values = plan.own_is_protected || plan.continues_bulk_write;
    return !may_show_values || own_role().reveals_everything();
}

RequestOutcome Session::State::advance_sealing(wire::Bytes, keys::Clock::time_point now) {
    RequestJob& job = *request;
    switch (job.sealer->step(*shared.ring, now, SliceBudget{})) {
        case Work::more:
            return simple(RequestAction::again);
        case Work::need_keys: {
            RequestOutcome outcome = simple(RequestAction::need_keys);
            outcome.keys = job.sealer->needed();
            return outcome;
        }
        case Work::refused:
            return refuse(job.sealer->refusal());
        case Work::done:
            break;
    }
    job.sealed = job.sealer->take();
    job.sealer.reset();
    counters.fields_encrypted += job.analysis->plan().edits.size();
    job.stage = RequestJob::Stage::ready;
    return {};
}

RequestOutcome Session::State::forward(wire::Bytes frame) {
    RequestJob& job = *request;
    if (!upstream_ready) return simple(RequestAction::need_upstream);
    const analysis::Plan& plan = job.analysis->plan();
    if (!job.message.more_to_come()) {
        Pending& entry = pending.emplace_back();
        entry.request_id = job.header.request_id;
        entry.response_to = job.header.request_id;
        entry.command = plan.command;
        entry.shape = std::move(job.shape);
        entry.is_get_more = plan.is_get_more;
        entry.cursor_id = plan.cursor_id;
        if (entry.shape.kind == analysis::ReplyShape::Kind::bulk_result) {
            entry.database = "admin";
            entry.collection = bulk_write_cursor;
        } else if (entry.shape.kind != analysis::ReplyShape::Kind::pass) {
            entry.database = plan.database;
            entry.collection = plan.collection;
        }
    }
    job.analysis.reset();
    job.stage = RequestJob::Stage::done;
    RequestOutcome outcome = simple(RequestAction::forward);
    outcome.bytes = job.sealed.empty() ? frame : wire::Bytes(job.sealed);
    return outcome;
}

RequestOutcome Session::State::queue_answer(wire::Buffer answer) {
    Pending& entry = pending.emplace_back();
    entry.kind = Pending::Kind::local_answer;
    entry.answer = std::move(answer);
    finish_request();
    return simple(RequestAction::answered);
}

RequestOutcome Session::State::refuse(analysis::Refusal refusal) {
    ++counters.requests_refused;
    RequestJob& job = *request;
    if (job.is_op_msg && job.message.more_to_come()) {
        // Nobody waits for an answer, so the only way to tell the client is to end the connection.
        ++counters.unacknowledged_refused;
        finish_request();
        return close_with("unacknowledged write refused: " + refusal.errmsg);
    }
    RequestOutcome outcome = queue_answer(error_reply(job.header, own_id(), error_document(refusal)));
    outcome.reason = std::move(refusal.errmsg);
    return outcome;
}

RequestOutcome Session::State::refuse_and_close(wire::Bytes frame, const wire::Header& header,
                                                std::string reason) {
    ++counters.requests_refused;
    if (wants_reply(header, frame)) {
        wire::Buffer answer = error_reply(
            header, own_id(), error_document({analysis::code::failed_to_parse, "FailedToParse", reason}));
        if (!answer.empty()) queue_answer(std::move(answer));
    }
    finish_request();
    return close_with(std::move(reason));
}

RequestOutcome Session::State::answer_unavailable() {
    RequestJob& job = *request;
    const std::string reason = *std::exchange(unavailable, std::nullopt);
    if (job.is_op_msg && job.message.more_to_come()) {
        finish_request();
        return close_with("unacknowledged request dropped: " + reason);
    }
    const bool retryable_write = job.is_op_msg && job.message.body.find("txnNumber").has_value();
    return queue_answer(error_reply(job.header, own_id(), unavailable_document(reason, retryable_write)));
}

// The frame dies with the caller's next read, so nothing that points into it may stay.
void Session::State::finish_request() {
    request->sealer.reset();
    request->analysis.reset();
    request->hello.reset();
    request->stage = RequestJob::Stage::done;
}

void Session::request_written() {
    state_->request.reset();
}

wire::Buffer Session::upstream_hello() {
    State& state = *state_;
    BOOST_ASSERT(state.request && state.request->stage != RequestJob::Stage::done);
    const wire::Buffer body = upstream_hello_body(state.client_metadata, state.request->hello);
    return wire::make_op_msg(state.own_id(), 0, body);
}

UpstreamState Session::on_upstream_hello(wire::Bytes frame, std::string_view upstream) {
    State& state = *state_;
    const auto message = wire::OpMsg::parse(frame);
    if (!message) return UpstreamState::refused;
    UpstreamHello hello = parse_upstream_hello(message->body);
    if (!hello.ok) return UpstreamState::refused;
    if (!hello.primary) return UpstreamState::not_primary;
    state.shared.upstream->wire_version_max.store(hello.wire_version_max, std::memory_order_relaxed);
    state.shared.upstream->session_timeout_minutes.store(hello.session_timeout_minutes,
                                                         std::memory_order_relaxed);
    state.handshake = std::move(hello.answer);
    state.upstream_name = upstream;
    state.upstream_ready = true;
    return UpstreamState::ready;
}

void Session::upstream_unavailable(std::string reason) {
    state_->unavailable = std::move(reason);
}

std::optional<wire::Buffer> Session::pop_answer() {
    std::vector<Pending>& pending = state_->pending;
    if (pending.empty() || pending.front().kind != Pending::Kind::local_answer) return std::nullopt;
    wire::Buffer answer = std::move(pending.front().answer);
    pending.erase(pending.begin());
    return answer;
}

bool Session::idle() const {
    const auto& request = state_->request;
    return state_->pending.empty() && (!request || request->stage == RequestJob::Stage::done);
}

std::size_t Session::outstanding() const {
    return state_->pending.size();
}
const Counters& Session::counters() const {
    return state_->counters;
}
std::string_view Session::last_command() const {
    return state_->last_command;
}

}  // namespace fieldgate::session
