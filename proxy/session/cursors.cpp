#include "proxy/session/cursors.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace fieldgate::session {

CursorTable::CursorTable(std::size_t cursors_max, std::chrono::milliseconds lifetime)
    : shard_entries_max_(std::max<std::size_t>(1, cursors_max / shard_count)), lifetime_(lifetime) {}

std::size_t CursorTable::KeyHash::operator()(const Key& key) const noexcept {
    const std::size_t name = std::hash<std::string>{}(key.upstream);
    return name ^ (std::hash<std::int64_t>{}(key.id) * 0x9E3779B97F4A7C15u >> 7);
}

void CursorTable::put(std::string_view upstream, std::int64_t cursor_id, CursorRecord record,
                      Clock::time_point now) {
    Key key{std::string(upstream), cursor_id};
    Shard& shard = shard_of(key);
    const std::lock_guard lock(shard.mutex);
    if (const auto known = shard.entries.find(key); known != shard.entries.end()) {
        shard.by_age.erase(known->second.age);
        shard.entries.erase(known);
    }
    while (!shard.by_age.empty()) {
        const auto oldest = shard.entries.find(shard.by_age.front());
        const bool full = shard.entries.size() >= shard_entries_max_;
        if (!full && oldest->second.expires > now) break;
        shard.entries.erase(oldest);
        shard.by_age.pop_front();
    }
    const auto age = shard.by_age.insert(shard.by_age.end(), key);
    shard.entries.emplace(std::move(key), Entry{std::move(record), now + lifetime_, age});
}

std::optional<CursorRecord> CursorTable::find(std::string_view upstream, std::int64_t cursor_id,
                                              Clock::time_point now) {
    const Key key{std::string(upstream), cursor_id};
    Shard& shard = shard_of(key);
    const std::lock_guard lock(shard.mutex);
    const auto found = shard.entries.find(key);
    if (found == shard.entries.end()) return std::nullopt;
    Entry& entry = found->second;
    if (entry.expires <= now) {
        shard.by_age.erase(entry.age);
        shard.entries.erase(found);
        return std::nullopt;
    }
    entry.expires = now + lifetime_;
    shard.by_age.splice(shard.by_age.end(), shard.by_age, entry.age);
    return entry.record;
}

void CursorTable::erase(std::string_view upstream, std::int64_t cursor_id) {
    const Key key{std::string(upstream), cursor_id};
    Shard& shard = shard_of(key);
    const std::lock_guard lock(shard.mutex);
    const auto found = shard.entries.find(key);
    if (found == shard.entries.end()) return;
    shard.by_age.erase(found->second.age);
    shard.entries.erase(found);
}

std::size_t CursorTable::size() const {
    std::size_t count = 0;
    for (const Shard& shard : shards_) {
        const std::lock_guard lock(shard.mutex);
        count += shard.entries.size();
    }
    return count;
}

}  // namespace fieldgate::session
