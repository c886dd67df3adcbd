#include <gtest/gtest.h>

#include "proxy/bson/builder.hpp"
#include "proxy/net/buffer_pool.hpp"
#include "proxy/net/catalog.hpp"
#include "proxy/net/error.hpp"
#include "proxy/net/memory_budget.hpp"
#include "proxy/net/standing.hpp"

namespace fieldgate::net {
namespace {

constexpr MemoryBudget::Claimant known{};
constexpr MemoryBudget::Claimant stranger{.is_stranger = true};

TEST(MemoryBudget, grants_in_the_order_asked_and_takes_back_what_is_not_used) {
    MemoryBudget budget(100);
    MemoryBudget::Grant first = budget.try_draw(60, known);
    ASSERT_TRUE(first);
    EXPECT_FALSE(budget.try_draw(41, known));
    int woken = 0;
    auto large = budget.queue(80, known, [&] { ++woken; });
    auto small = budget.queue(10, known, [&] { ++woken; });
    EXPECT_FALSE(large->granted());
    EXPECT_FALSE(small->granted()) << "it must not overtake the large one, which would starve";
    EXPECT_FALSE(budget.try_draw(1, known));
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
    const MemoryBudget::Grant first = budget.try_draw(60, known);
    auto large = budget.queue(80, known, [] {});
    auto small = budget.queue(10, known, [] {});
    large.reset();
    EXPECT_TRUE(small->granted());
}

TEST(MemoryBudget, gives_a_message_larger_than_it_all_but_the_strangers_part) {
    MemoryBudget budget(80);
    MemoryBudget::Grant all = budget.try_draw(81, known);
    EXPECT_TRUE(all);
    EXPECT_EQ(budget.available_bytes(), 10u);
    EXPECT_FALSE(budget.try_draw(11, known));
    EXPECT_TRUE(budget.try_draw(10, stranger));
    MemoryBudget::Grant moved = std::move(all);
    moved.give_back();
    EXPECT_EQ(budget.available_bytes(), 80u);
}

TEST(MemoryBudget, gives_strangers_an_eighth_together) {
    MemoryBudget budget(80);
    const MemoryBudget::Grant first = budget.try_draw(6, stranger);
    ASSERT_TRUE(first);
    EXPECT_TRUE(budget.try_draw(4, stranger));
    EXPECT_FALSE(budget.try_draw(5, stranger));
    EXPECT_TRUE(budget.try_draw(5, known));
}

TEST(MemoryBudget, gives_a_large_message_of_a_stranger_all_of_the_strangers_part) {
    MemoryBudget budget(80);
    MemoryBudget::Grant large = budget.try_draw(1000, stranger);
    ASSERT_TRUE(large);
    EXPECT_EQ(budget.available_bytes(), 70u);
    EXPECT_FALSE(budget.try_draw(1, stranger));
    large.give_back();
    EXPECT_TRUE(budget.try_draw(1, stranger));
}

TEST(MemoryBudget, lets_nobody_wait_behind_strangers_who_wait_for_their_part) {
    MemoryBudget budget(80);
    MemoryBudget::Grant held = budget.try_draw(8, stranger);
    const auto waiting = budget.queue(5, stranger, [] {});
    const auto behind = budget.queue(1, stranger, [] {});
    EXPECT_FALSE(behind->granted()) << "it must not overtake another stranger";
    EXPECT_TRUE(budget.try_draw(1000, known)) << "whatever strangers hold";
    const auto queued = budget.queue(70, known, [] {});
    EXPECT_TRUE(queued->granted());
    const auto late = budget.queue(10, known, [] {});
    EXPECT_FALSE(late->granted());
    held.give_back();
    EXPECT_TRUE(waiting->granted()) << "their part is theirs";
    EXPECT_TRUE(behind->granted());
    EXPECT_FALSE(late->granted());
}

TEST(MemoryBudget, gives_each_of_several_listeners_three_quarters_at_most) {
    MemoryBudget budget(80, 2);
    const MemoryBudget::Grant first = budget.try_draw(60, {.listener = 0});
    ASSERT_TRUE(first);
    EXPECT_FALSE(budget.try_draw(1, {.listener = 0}));
    const auto waiting = budget.queue(1, {.listener = 0}, [] {});
    EXPECT_FALSE(waiting->granted());
    EXPECT_TRUE(budget.try_draw(20, {.listener = 1})) << "it waits for nobody of the other listener";
    const MemoryBudget::Grant strange = budget.try_draw(5, {.listener = 1, .is_stranger = true});
    EXPECT_TRUE(strange);
    EXPECT_FALSE(budget.try_draw(1, {.listener = 1, .is_stranger = true})) << "half of an eighth";
    MemoryBudget alone(80, 1);
    EXPECT_TRUE(alone.try_draw(70, {.listener = 0}))
        << "one alone may hold everything but the strangers' part";
}

wire::Buffer reply_of(const bson::Buffer& document, std::int32_t response_to) {
    return wire::make_op_msg(1, response_to, document);
}

bson::Buffer ok_document(double ok, std::optional<bool> done = {}) {
    bson::Buffer buffer;
    bson::Builder builder(buffer);
    if (done) builder.append_bool("done", *done);
    builder.append_double("ok", ok).finish();
    return buffer;
}

bool proven_by(std::string_view command, const wire::Buffer& reply, bool alone = true) {
    Standing standing;
    EXPECT_TRUE(standing.is_stranger());
    standing.request_sent(command, 7, alone);
    standing.reply_seen(reply);
    return !standing.is_stranger();
}

TEST(Standing, is_proven_by_what_needs_a_login) {
    for (const char* command : {"find", "insert", "aggregate", "authenticate"})
        EXPECT_TRUE(proven_by(command, reply_of(ok_document(1), 7))) << command;
    EXPECT_TRUE(proven_by("saslContinue", reply_of(ok_document(1, true), 7)));
}

TEST(Standing, is_not_proven_by_what_anybody_may_do) {
    for (const char* command : {"hello", "ping", "buildInfo", "getnonce", "connectionStatus", "unknown"})
        EXPECT_FALSE(proven_by(command, reply_of(ok_document(1), 7))) << command;
    EXPECT_FALSE(proven_by("saslStart", reply_of(ok_document(1, false), 7)));
    EXPECT_FALSE(proven_by("saslStart", reply_of(ok_document(1), 7)));
}

TEST(Standing, is_not_proven_by_refusals_or_the_replies_of_others) {
    EXPECT_FALSE(proven_by("find", reply_of(ok_document(0), 7)));
    EXPECT_FALSE(proven_by("saslContinue", reply_of(ok_document(0, true), 7)));
    EXPECT_FALSE(proven_by("find", reply_of(ok_document(1), 8)));
    EXPECT_FALSE(proven_by("find", reply_of(ok_document(1), 7), false)) << "which reply is its is not known";
    EXPECT_FALSE(proven_by("find", wire::make_op_reply(1, 7, ok_document(1))));
    EXPECT_FALSE(proven_by("find", {1, 2, 3}));
    Standing standing;
    standing.request_sent("find", 7, true);
    standing.reply_seen(reply_of(ok_document(0), 7));
    standing.reply_seen(reply_of(ok_document(1), 7));
    EXPECT_TRUE(standing.is_stranger()) << "only the reply that comes next is its";
}

TEST(Standing, is_proven_by_the_beginning_of_a_large_reply) {
    bson::Buffer document;
    bson::Builder(document)
        .open_document("cursor")
        .append_string("x", std::string(1000, 'x'))
        .close()
        .append_double("ok", 1)
        .finish();
    wire::Buffer reply = reply_of(document, 7);
    reply.resize(500);
    EXPECT_TRUE(proven_by("find", reply));
    EXPECT_FALSE(proven_by("saslContinue", reply));
    reply.resize(30);
    EXPECT_FALSE(proven_by("find", reply));
    wire::Buffer error = reply_of(ok_document(0), 7);
    error.resize(error.size() - 1);
    EXPECT_FALSE(proven_by("find", error));
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
