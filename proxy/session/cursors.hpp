#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "proxy/analysis/analysis.hpp"

namespace fieldgate::session {

// What must be known of a cursor on a protected namespace when somebody goes on with it, on whichever
// connection.
struct CursorRecord {
    analysis::ReplyShape shape;
    std::string database;
    std::string collection;
    std::size_t role = 0;  // index into Config::roles: whoever opened it
};

// Cursors outlive connections, so this is the one table that the workers share: sharded, each shard under a
// lock that is held for a lookup only. Bounded and expiring: the oldest entry goes first (a restricted role
// then gets 43 CursorNotFound, never a differently shaped batch).
class CursorTable {
 public:
    using Clock = std::chrono::steady_clock;
    explicit CursorTable(std::size_t cursors_max = 100000,
                         std::chrono::milliseconds lifetime = std::chrono::minutes(30));

    void put(std::string_view upstream, std::int64_t cursor_id, CursorRecord record, Clock::time_point now);
    // A copy, because another thread may erase it; its use is renewed.
    std::optional<CursorRecord> find(std::string_view upstream, std::int64_t cursor_id,
                                     Clock::time_point now);
    void erase(std::string_view upstream, std::int64_t cursor_id);
    std::size_t size() const;

 private:
    struct Key {
        std::string upstream;
        std::int64_t id;
        friend bool operator==(const Key&, const Key&) = default;
    };
    struct KeyHash {
        std::size_t operator()(const Key& key) const noexcept;
    };
    struct Entry {
        CursorRecord record;
        Clock::time_point expires;
        std::list<Key>::iterator age;
    };
    struct Shard {
        mutable std::mutex mutex;
        std::unordered_map<Key, Entry, KeyHash> entries;
        std::list<Key> by_age;  // oldest first
    };
    static constexpr std::size_t shard_count = 16;
    Shard& shard_of(const Key& key) { return shards_[KeyHash{}(key) % shard_count]; }

    std::size_t shard_entries_max_;
    std::chrono::milliseconds lifetime_;
    std::array<Shard, shard_count> shards_;
};

}  // namespace fieldgate::session
