// A session that does what the first letter of a request's payload says, in place of the real one: the
// relay's tests are about bytes, order and failures, whatever was decided.
//
//   S forward, stream the reply        C forward, collect the reply and pass it on
//   W forward, replace the reply       A answer here                    Q forward, swallow the reply
//   K needs a key first, then as S     N needs a namespace first, then as S     G again 3 times, then as S
//   R needs a key for the reply        L as C, and the reply says that the member is lost
//   X close                            Z close the connection at the reply
//   O as C, and sends a request of its own before the reply is passed on
//   U forward, unacknowledged
#include <deque>
#include <string>

#include "proxy/session/session.hpp"
#include "tests/unit/net/support.hpp"

namespace fieldgate::session {

struct Owed {
    char letter = 0;
    bool local = false;
    bool own = false;
    wire::Buffer answer;
};

struct Session::State {
    Shared shared;
    std::deque<Owed> owed;
    bool upstream_ready = false;
    std::optional<std::string> unavailable;
    int slices = 0;
    int reply_slices = 0;
    bool more_to_come = false;
    wire::Buffer replaced;
    wire::Buffer own_request;
    Counters counters;

    Owed* owed_reply() {
        for (Owed& entry : owed) {
            if (!entry.local) return &entry;
        }
        return nullptr;
    }
};

namespace {

const crypto::KeyId test_key{{1}};

RequestOutcome only(RequestAction action) {
    RequestOutcome outcome;
    outcome.action = action;
    return outcome;
}

}  // namespace

Session::Session(Shared shared) : state_(std::make_unique<State>()) {
    state_->shared = std::move(shared);
}
Session::~Session() = default;

RequestOutcome Session::on_request(wire::Bytes frame, keys::Clock::time_point now) {
    State& s = *state_;
    const std::string payload = net::test::payload_of(frame);
    const char letter = payload.empty() ? 'S' : payload[0];
    const auto answer = [&](const std::string& text) {
        ++s.counters.requests;
        s.owed.push_back(
            {letter, true, false, net::test::message(0, wire::Header::parse(frame).request_id, text)});
        return only(RequestAction::answered);
    };
    if (s.unavailable) return answer("unavailable: " + *std::exchange(s.unavailable, std::nullopt));
    if (letter == 'A') return answer("answer to " + payload);
    if (letter == 'X') {
        RequestOutcome outcome = only(RequestAction::close);
        outcome.reason = "asked to";
        return outcome;
    }
    if (letter == 'N' && s.shared.catalog->find("db", payload) == nullptr) {
        RequestOutcome outcome = only(RequestAction::need_namespaces);
        outcome.namespaces.push_back({"db", payload});
        return outcome;
    }
    if (letter == 'K') {
        const auto found = s.shared.ring->find(test_key, now);
        if (found.cipher == nullptr && found.error == nullptr) {
            RequestOutcome outcome = only(RequestAction::need_keys);
            outcome.keys.ids.push_back(test_key);
            return outcome;
        }
    }
    if (letter == 'G' && s.slices++ % 4 != 3) return only(RequestAction::again);
    if (!s.upstream_ready) return only(RequestAction::need_upstream);
    ++s.counters.requests;
    if (letter != 'U') s.owed.push_back({letter, false, false, {}});
    RequestOutcome outcome = only(RequestAction::forward);
    outcome.bytes = frame;
    return outcome;
}

void Session::request_written() {}

wire::Buffer Session::upstream_hello() {
    return net::test::message(1, 0, "hello");
}

UpstreamState Session::on_upstream_hello(wire::Bytes frame, std::string_view) {
    const std::string payload = net::test::payload_of(frame);
    if (payload == "not primary") return UpstreamState::not_primary;
    if (payload != "primary") return UpstreamState::refused;
    state_->upstream_ready = true;
    return UpstreamState::ready;
}

void Session::upstream_unavailable(std::string reason) {
    state_->unavailable = std::move(reason);
}

ReplyRoute Session::route_reply(wire::Bytes) const {
    const Owed* const entry = state_->owed_reply();
    if (entry == nullptr || entry->letter == 'Z') return ReplyRoute::close;
    const bool collect =
        entry->own || std::string_view("CWQRLO").find(entry->letter) != std::string_view::npos;
    return collect ? ReplyRoute::collect : ReplyRoute::stream;
}

void Session::reply_started(wire::Bytes prefix) {
    state_->more_to_come = (prefix[16] & 2) != 0;
}

ReplyOutcome Session::on_reply(wire::Bytes frame, keys::Clock::time_point now) {
    State& s = *state_;
    const Owed entry = *s.owed_reply();
    reply_started(frame);
    ReplyOutcome outcome;
    outcome.action = ReplyAction::forward;
    outcome.bytes = frame;
    if (entry.own || entry.letter == 'Q') outcome.action = ReplyAction::swallow;
    if (entry.letter == 'W') {
        if (s.reply_slices++ % 3 != 2) {
            outcome.action = ReplyAction::again;
            return outcome;
        }
        s.replaced = net::test::message(0, 0, "replaced");
        outcome.bytes = s.replaced;
    }
    if (entry.letter == 'R') {
        const auto found = s.shared.ring->find(test_key, now);
        if (found.cipher == nullptr && found.error == nullptr) {
            outcome.action = ReplyAction::need_keys;
            outcome.keys.ids.push_back(test_key);
        }
    }
    outcome.member_lost = entry.letter == 'L';
    if (entry.letter == 'O' && !entry.own) {
        s.own_request = net::test::message(77, 0, "Q own");
        s.owed.push_back({'O', false, true, {}});
        outcome.to_server = s.own_request;
    }
    return outcome;
}

void Session::reply_finished() {
    State& s = *state_;
    if (s.more_to_come) return;
    for (auto entry = s.owed.begin(); entry != s.owed.end(); ++entry) {
        if (entry->local) continue;
        s.owed.erase(entry);
        return;
    }
}

std::optional<wire::Buffer> Session::pop_answer() {
    std::deque<Owed>& owed = state_->owed;
    if (owed.empty() || !owed.front().local) return std::nullopt;
    wire::Buffer answer = std::move(owed.front().answer);
    owed.pop_front();
    return answer;
}

bool Session::idle() const {
    return state_->owed.empty();
}
std::size_t Session::outstanding() const {
    return state_->owed.size();
}
const Counters& Session::counters() const {
    return state_->counters;
}
std::string_view Session::last_command() const {
    return "find";
}

}  // namespace fieldgate::session
