#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/cluster/uri.hpp"

namespace fieldgate::cluster {

using Clock = std::chrono::steady_clock;

enum class MemberKind : std::uint8_t { unknown, standalone, primary, mongos, other };

// Which member sessions are sent to. Pure: what discovery sees goes in, what must be done comes out.
//
// libmongoc sees a change of primary at its next heartbeat; a session sees it at its next command. So a
// member that a session complained about is suspected: not handed out until a hello that was sent after the
// complaint says that it takes writes, and lost if such a hello says that it does not. A session that merely
// lost its connection, for a reason of its own, thereby costs the others nothing.
class PrimaryTracker {
 public:
    // Discovery's opinion of a member, whenever it changes.
    void described(const HostPort& member, MemberKind kind);
    // The member left the deployment.
    void removed(const HostPort& member);
    // Something that a session saw makes it doubtful that `member` takes writes.
    void suspect(const HostPort& member, Clock::time_point now);
    // A hello sent at `sent` was answered (`takes_writes`), or not (false).
    void answered(const HostPort& member, bool takes_writes, Clock::time_point sent);

    // The member to use now: the primary or standalone, or one mongos until it is lost.
    std::optional<HostPort> primary() const { return current_; }
    MemberKind kind(const HostPort& member) const;
    std::vector<HostPort> members() const;
    // Members that took writes and do so no longer, each once.
    std::vector<HostPort> take_lost();

 private:
    struct Member {
        MemberKind kind = MemberKind::unknown;
        std::optional<Clock::time_point> suspected_since;
        bool in_use = false;  // took writes when last known: sessions may be tied to it
        bool takes_writes() const { return kind != MemberKind::unknown && kind != MemberKind::other; }
    };
    void lose(const HostPort& member, Member& state);
    void choose();

    std::map<HostPort, Member> members_;
    std::vector<HostPort> found_order_;  // of members that take writes: who answered first is near
    std::optional<HostPort> current_;
    std::vector<HostPort> lost_;
};

}  // namespace fieldgate::cluster
