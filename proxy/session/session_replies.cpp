#include <algorithm>
#include <array>
#include <boost/assert.hpp>
#include <utility>

#include "proxy/bson/builder.hpp"
#include "proxy/session/answer.hpp"
#include "proxy/session/session.hpp"
#include "proxy/session/session_state.hpp"

namespace fieldgate::session {

namespace {

// Replies above this size that need no change are passed on as they arrive. Smaller ones are read whole,
// because an error that ends a primary's reign is small.
constexpr std::int32_t stream_bytes_min = 32 * 1024;

// Server Discovery and Monitoring specification, "not writable primary" and "node is recovering" errors, as
// far as they say that this member no longer takes writes.
constexpr std::array<std::int64_t, 7> member_lost_codes = {10107, 13435, 10058, 11602, 11600, 189, 91};

bool is_member_lost(const bson::Element& code) {
    const auto number = code.whole_number();
    return number && std::ranges::find(member_lost_codes, *number) != member_lost_codes.end();
}

// Whether a command's reply says so: ok: 0 with such a code, or a writeConcernError with one. The common
// reply is left after a look at its top-level keys.
bool says_member_lost(bson::DocumentView reply) {
    bool failed = false;
    bool lost = false;
    for (const bson::Element& element : reply) {
        const std::string_view key = element.key();
        if (key == "ok") failed = !element.truthy();
        if (key == "code") lost = is_member_lost(element);
        if (key == "writeConcernError" && element.is_document()) {
            const auto inner = bson::DocumentView::check_top_level(element.value());
            const auto code = inner ? inner->find("code") : std::nullopt;
            if (code && is_member_lost(*code)) return true;
        }
    }
    return failed && lost;
}

ReplyOutcome reply_with(ReplyAction action, wire::Bytes bytes = {}) {
    ReplyOutcome outcome;
    outcome.action = action;
    outcome.bytes = bytes;
    return outcome;
}

std::uint32_t flags_of(wire::Bytes prefix) {
    std::uint32_t flags = 0;
    for (std::size_t i = 0; i < 4; ++i) flags |= std::uint32_t{prefix[wire::header_bytes + i]} << (8 * i);
    return flags;
}

constexpr std::size_t prefix_bytes = wire::header_bytes + 4;

}  // namespace

Pending* Session::State::owed() {
    const auto found = std::ranges::find_if(
        pending, [](const Pending& entry) { return entry.kind != Pending::Kind::local_answer; });
    return found == pending.end() ? nullptr : &*found;
}

ReplyRoute Session::route_reply(wire::Bytes prefix) const {
    const Pending* entry = state_->owed();
    if (entry == nullptr || prefix.size() < prefix_bytes) return ReplyRoute::close;
    const wire::Header header = wire::Header::parse(prefix);
    if (header.opcode != wire::Opcode::msg) return ReplyRoute::close;
    if (header.response_to != entry->response_to && header.response_to != entry->request_id)
        return ReplyRoute::close;
    const bool untouched = entry->kind == Pending::Kind::reply_owed && !entry->swallow_rest &&
                           entry->shape.kind == analysis::ReplyShape::Kind::pass;
    return untouched && header.message_bytes > stream_bytes_min ? ReplyRoute::stream : ReplyRoute::collect;
}

void Session::reply_started(wire::Bytes prefix) {
    Pending* entry = state_->owed();
    BOOST_ASSERT(entry != nullptr && prefix.size() >= prefix_bytes);
    entry->more_to_come = (flags_of(prefix) & wire::flag_more_to_come) != 0;
    entry->reply_id = wire::Header::parse(prefix).request_id;
}

ReplyOutcome Session::on_reply(wire::Bytes frame, keys::Clock::time_point now) {
    Pending* entry = state_->owed();
    BOOST_ASSERT(entry != nullptr && frame.size() >= prefix_bytes);
    if (!state_->reply) reply_started(frame);
    if (entry->kind == Pending::Kind::own_request || entry->swallow_rest)
        return reply_with(ReplyAction::swallow);
    if (entry->shape.kind == analysis::ReplyShape::Kind::pass) return state_->pass_reply(frame);
    return state_->open_reply(*entry, frame, now);
}

// Nothing protected behind it: the bytes go on as they came, whatever they are.
ReplyOutcome Session::State::pass_reply(wire::Bytes frame) {
    ReplyOutcome outcome = reply_with(ReplyAction::forward, frame);
    const auto message = wire::OpMsg::parse(frame);
    outcome.member_lost = message && says_member_lost(message->body);
    return outcome;
}

ReplyOutcome Session::State::open_reply(Pending& entry, wire::Bytes frame, keys::Clock::time_point now) {
    if (!reply) {
        auto message = wire::OpMsg::parse(frame);
        if (!message)
            return fail_reply(entry, frame,
                              {analysis::code::failed_to_parse, "FailedToParse",
                               "the server's reply cannot be read: " + message.error().message()});
        reply = std::make_unique<ReplyJob>();
        reply->message = *message;
        reply->opener.emplace(reply->message, frame, entry.shape, own_role(), config(),
                              config().limits.message_bytes);
    }
    switch (reply->opener->step(*shared.ring, now, SliceBudget{})) {
        case Work::more:
            return reply_with(ReplyAction::again);
        case Work::need_keys: {
            ReplyOutcome outcome = reply_with(ReplyAction::need_keys);
            outcome.keys = reply->opener->needed();
            return outcome;
        }
        case Work::refused:
            return fail_reply(entry, frame, reply->opener->refusal());
        case Work::done:
            break;
    }
    ++counters.replies_rewritten;
    remember_cursor(entry, reply->opener->cursor_id(), now);
    reply->out = reply->opener->take();
    reply->opener.reset();
    ReplyOutcome outcome = reply_with(ReplyAction::forward, reply->out);
    outcome.member_lost = says_member_lost(reply->message.body);
    return outcome;
}

void Session::State::remember_cursor(const Pending& entry, std::int64_t cursor_id,
                                     keys::Clock::time_point now) {
    using Kind = analysis::ReplyShape::Kind;
    if (entry.shape.kind != Kind::cursor && entry.shape.kind != Kind::bulk_result) return;
    if (cursor_id != 0)
        shared.cursors->put(upstream_name, cursor_id, {entry.shape, entry.database, entry.collection, role},
                            now);
    else if (entry.is_get_more)
        shared.cursors->erase(upstream_name, entry.cursor_id);
}

// The client gets ok: 0 without moreToCome; what else the server still streams for this request is swallowed,
// and the cursor that nobody will read is killed.
ReplyOutcome Session::State::fail_reply(Pending& entry, wire::Bytes frame, analysis::Refusal refusal) {
    using Kind = analysis::ReplyShape::Kind;
    if (entry.shape.kind == Kind::value || entry.shape.kind == Kind::write_result ||
        entry.shape.kind == Kind::bulk_result)
        refusal.errmsg += " (the write may have happened)";
    const std::int64_t cursor_id = reply && reply->opener ? reply->opener->cursor_id() : 0;
    auto job = std::make_unique<ReplyJob>();
    // The reply answers what the server's reply would have answered: along an exhaust stream that is not the
    // request.
    job->out = wire::make_op_msg(own_id(), wire::Header::parse(frame).response_to, error_document(refusal));
    if (cursor_id != 0) {
        wire::Buffer body;
        bson::Builder doc(body);
        doc.append_string("killCursors", entry.collection)
            .open_array("cursors")
            .append_int64("0", cursor_id)
            .close();
        doc.append_string("$db", entry.database).finish();
        const std::int32_t id = own_id();
        job->own_request = wire::make_op_msg(id, 0, body);
        shared.cursors->erase(upstream_name, cursor_id);
        entry.swallow_rest = entry.more_to_come;
        Pending& own = pending.emplace_back();  // `entry` is dead from here
        own.kind = Pending::Kind::own_request;
        own.request_id = id;
        own.response_to = id;
    } else {
        entry.swallow_rest = entry.more_to_come;
    }
    reply = std::move(job);
    ReplyOutcome outcome = reply_with(ReplyAction::forward, reply->out);
    outcome.to_server = reply->own_request;
    outcome.reason = std::move(refusal.errmsg);
    return outcome;
}

void Session::reply_finished() {
    State& state = *state_;
    Pending* entry = state.owed();
    BOOST_ASSERT(entry != nullptr);
    state.reply.reset();
    if (entry->more_to_come) {
        entry->response_to = entry->reply_id;
        return;
    }
    state.pending.erase(state.pending.begin() + (entry - state.pending.data()));
}

}  // namespace fieldgate::session
