#include <gtest/gtest.h>

#include "proxy/net/buffer_pool.hpp"
#include "proxy/net/catalog.hpp"
#include "proxy/net/error.hpp"
#include "proxy/net/memory_budget.hpp"

namespace fieldgate::net {
namespace {

TEST(MemoryBudget, grants_in_the_order_asked_and_takes_back_what_is_not_used) {
    MemoryBudget budget(100);
    MemoryBudget::Grant first = budget.try_draw(60);
    ASSERT_TRUE(first);
    EXPECT_FALSE(budget.try_draw(41));
    int woken = 0;
    auto large = budget.queue(80, [&] { ++woken; });
    auto small = budget.queue(10, [&] { ++woken; });
    EXPECT_FALSE(large->granted());
    EXPECT_FALSE(small->granted()) << "it must not overtake the large one, which would starve";
    EXPECT_FALSE(budget.try_draw(1));
    first.give_back();
    EXPECT_EQ(woken, 2);
    EXPECT_EQ(budget.available_bytes(), 10u);
    MemoryBudget::Grant taken = large->take();
    large.reset();
    EXPECT_EQ(budget.available_bytes(), 10u);
    small.reset();
    EXPECT_EQ(budget.available_bytes(), 20u);
    taken = {};
    EXPECT_EQ(budget.available_bytes(), 100u);
}

TEST(MemoryBudget, lets_others_through_when_the_first_in_line_leaves) {
    MemoryBudget budget(100);
    const MemoryBudget::Grant first = budget.try_draw(60);
    auto large = budget.queue(80, [] {});
    auto small = budget.queue(10, [] {});
    large.reset();
    EXPECT_TRUE(small->granted());
}

TEST(MemoryBudget, gives_all_of_it_to_a_message_larger_than_it) {
    MemoryBudget budget(100);
    MemoryBudget::Grant all = budget.try_draw(101);
    EXPECT_TRUE(all);
    EXPECT_EQ(budget.available_bytes(), 0u);
    MemoryBudget::Grant moved = std::move(all);
    moved.give_back();
    EXPECT_EQ(budget.available_bytes(), 100u);
}

TEST(BufferPool, lends_the_same_buffers_again) {
    BufferPool pool;
    const std::uint8_t* first = nullptr;
    {
        auto loan = pool.lend(1);
        EXPECT_EQ(loan.bytes().size(), BufferPool::small_bytes);
        first = loan.bytes().data();
        EXPECT_EQ(pool.lend(BufferPool::small_bytes + 1).bytes().size(), BufferPool::large_bytes);
        EXPECT_NE(pool.lend(1).bytes().data(), first);
    }
    auto again = pool.lend(BufferPool::small_bytes);
    auto another = pool.lend(BufferPool::small_bytes);
    EXPECT_TRUE(again.bytes().data() == first || another.bytes().data() == first);
}

TEST(NamespaceCatalog, forgets_facts_when_they_expire) {
    using std::chrono::milliseconds;
    NamespaceCatalog catalog(milliseconds(10));
    const NamespaceCatalog::Clock::time_point start{};
    EXPECT_EQ(catalog.find("db", "view"), nullptr);
    analysis::NamespaceFacts facts;
    facts.is_view = true;
    EXPECT_TRUE(catalog.put({{{"db", "view"}, facts}}, start));
    const analysis::NamespaceFacts* const found = catalog.find("db", "view");
    ASSERT_NE(found, nullptr);
    EXPECT_TRUE(found->is_view);
    EXPECT_EQ(catalog.find("db", "other"), nullptr);
    catalog.expire(start + milliseconds(9));
    EXPECT_EQ(catalog.find("db", "view"), found);
    catalog.expire(start + milliseconds(10));
    EXPECT_EQ(catalog.find("db", "view"), nullptr);
    EXPECT_TRUE(found->is_view) << "an analysis that pauses may still look at it";
    catalog.expire(start + milliseconds(20));
    EXPECT_EQ(catalog.size(), 0u);
}

TEST(NamespaceCatalog, says_when_something_could_not_be_had) {
    NamespaceCatalog catalog(std::chrono::milliseconds(10), 2);
    EXPECT_FALSE(catalog.put({{{"db", "a"}, analysis::NamespaceFacts{}}, {{"db", "b"}, std::nullopt}}, {}));
    EXPECT_NE(catalog.find("db", "a"), nullptr);
    EXPECT_EQ(catalog.find("db", "b"), nullptr);
    EXPECT_TRUE(catalog.put({{{"db", "b"}, analysis::NamespaceFacts{}}}, {}));
}

TEST(NamespaceCatalog, gives_up_an_older_name_for_a_new_one_when_it_is_full) {
    using std::chrono::milliseconds;
    NamespaceCatalog catalog(milliseconds(10), 2);
    const NamespaceCatalog::Clock::time_point start{};
    const analysis::NamespaceFacts facts;
    EXPECT_TRUE(catalog.put({{{"db", "a"}, facts}}, start));
    EXPECT_TRUE(catalog.put({{{"db", "z"}, facts}}, start + milliseconds(1)));
    EXPECT_TRUE(catalog.put({{{"db", "y"}, facts}}, start + milliseconds(1)));
    EXPECT_EQ(catalog.size(), 2u);
    EXPECT_NE(catalog.find("db", "y"), nullptr);
    EXPECT_NE(catalog.find("db", "z"), nullptr) << "it came in the same moment";
    EXPECT_EQ(catalog.find("db", "a"), nullptr);
}

TEST(NetErrors, have_a_text_of_their_own) {
    for (int value = 0; value <= static_cast<int>(Errc::no_address); ++value) {
        EXPECT_NE(error_category().message(value), "unknown error") << value;
    }
    EXPECT_EQ(error_category().message(static_cast<int>(Errc::no_address) + 1), "unknown error");
}

}  // namespace
}  // namespace fieldgate::net
