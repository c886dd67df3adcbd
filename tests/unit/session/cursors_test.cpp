#include "proxy/session/cursors.hpp"

#include <gtest/gtest.h>

namespace fieldgate::session {
namespace {

using namespace std::chrono_literals;

CursorRecord record_of(std::size_t role) {
    CursorRecord record;
    record.database = "medicalRecords";
    record.collection = "patients";
    record.role = role;
    return record;
}

TEST(CursorTable, gives_back_what_was_put_for_the_same_upstream_only) {
    CursorTable table;
    const auto now = CursorTable::Clock::now();
    table.put("a:1", 7, record_of(3), now);
    const auto found = table.find("a:1", 7, now);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->role, 3u);
    EXPECT_EQ(found->collection, "patients");
    EXPECT_FALSE(table.find("b:1", 7, now));
    EXPECT_FALSE(table.find("a:1", 8, now));
}

TEST(CursorTable, replaces_a_record_of_the_same_id) {
    CursorTable table;
    const auto now = CursorTable::Clock::now();
    table.put("a:1", 7, record_of(1), now);
    table.put("a:1", 7, record_of(2), now);
    EXPECT_EQ(table.size(), 1u);
    EXPECT_EQ(table.find("a:1", 7, now)->role, 2u);
}

TEST(CursorTable, forgets_an_erased_cursor) {
    CursorTable table;
    const auto now = CursorTable::Clock::now();
    table.put("a:1", 7, record_of(1), now);
    table.erase("a:1", 7);
    table.erase("a:1", 7);
    EXPECT_FALSE(table.find("a:1", 7, now));
    EXPECT_EQ(table.size(), 0u);
}

TEST(CursorTable, expires_a_cursor_that_nobody_used_and_renews_one_that_is) {
    CursorTable table(100, 1000ms);
    const auto start = CursorTable::Clock::now();
    table.put("a:1", 1, record_of(1), start);
    table.put("a:1", 2, record_of(1), start);
    EXPECT_TRUE(table.find("a:1", 1, start + 999ms));
    EXPECT_TRUE(table.find("a:1", 1, start + 1500ms));
    EXPECT_FALSE(table.find("a:1", 2, start + 1000ms));
}

TEST(CursorTable, drops_the_oldest_when_a_shard_is_full) {
    CursorTable table(32);  // two entries in each of the 16 shards
    const auto now = CursorTable::Clock::now();
    for (std::int64_t id = 1; id <= 1000; ++id) table.put("a:1", id, record_of(1), now);
    EXPECT_LE(table.size(), 32u);
    EXPECT_TRUE(table.find("a:1", 1000, now));
    EXPECT_FALSE(table.find("a:1", 1, now));
}

}  // namespace
}  // namespace fieldgate::session
