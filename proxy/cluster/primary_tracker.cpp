#include "proxy/cluster/primary_tracker.hpp"

#include <algorithm>
#include <utility>

namespace fieldgate::cluster {

void PrimaryTracker::described(const HostPort& member, MemberKind kind) {
    Member& state = members_[member];
    state.kind = kind;
    if (state.takes_writes()) {
        state.in_use = true;
        if (std::ranges::find(found_order_, member) == found_order_.end()) found_order_.push_back(member);
    } else {
        lose(member, state);
    }
    choose();
}

void PrimaryTracker::removed(const HostPort& member) {
    const auto at = members_.find(member);
    if (at == members_.end()) return;
    lose(member, at->second);
    members_.erase(at);
    choose();
}

void PrimaryTracker::suspect(const HostPort& member, Clock::time_point now) {
    const auto at = members_.find(member);
    if (at == members_.end()) return;
    at->second.suspected_since = now;
    choose();
}

void PrimaryTracker::answered(const HostPort& member, bool takes_writes, Clock::time_point sent) {
    const auto at = members_.find(member);
    if (at == members_.end()) return;
    Member& state = at->second;
    if (!state.suspected_since || sent < *state.suspected_since) return;
    if (takes_writes) {
        state.suspected_since.reset();
        if (state.takes_writes()) state.in_use = true;
    } else {
        // Suspicion stays: discovery may go on calling it primary until its next heartbeat.
        lose(member, state);
    }
    choose();
}

MemberKind PrimaryTracker::kind(const HostPort& member) const {
    const auto at = members_.find(member);
    return at == members_.end() ? MemberKind::unknown : at->second.kind;
}

std::vector<HostPort> PrimaryTracker::members() const {
    std::vector<HostPort> members;
    members.reserve(members_.size());
    for (const auto& [member, state] : members_) members.push_back(member);
    return members;
}

std::vector<HostPort> PrimaryTracker::take_lost() {
    return std::exchange(lost_, {});
}

void PrimaryTracker::lose(const HostPort& member, Member& state) {
    std::erase(found_order_, member);
    if (std::exchange(state.in_use, false)) lost_.push_back(member);
}

void PrimaryTracker::choose() {
    const auto usable = [this](const HostPort& member) {
        const auto at = members_.find(member);
        return at != members_.end() && at->second.takes_writes() && !at->second.suspected_since;
    };
    if (current_ && usable(*current_)) return;
    current_.reset();
    for (const auto& [member, state] : members_) {
        if (state.takes_writes() && std::ranges::find(found_order_, member) == found_order_.end()) {
            found_order_.push_back(member);
        }
    }
    const auto found = std::ranges::find_if(found_order_, usable);
    if (found != found_order_.end()) current_ = *found;
}

}  // namespace fieldgate::cluster
