#include "proxy/cluster/namespace_queue.hpp"

#include <gtest/gtest.h>

#include <optional>

namespace fieldgate::cluster {
namespace {

using analysis::NamespaceFacts;
using analysis::NamespaceName;

const NamespaceName x{"db", "x"};
const NamespaceName y{"db", "y"};

struct NamespaceQueueTest : ::testing::Test {
    NamespaceQueue queue;

    std::shared_ptr<std::optional<NamespaceAnswers>> ask(const std::vector<NamespaceName>& names) {
        auto place = std::make_shared<std::optional<NamespaceAnswers>>();
        queue.add(names, [place](NamespaceAnswers answers) {
            ASSERT_FALSE(place->has_value()) << "answered twice";
            *place = std::move(answers);
        });
        return place;
    }
    static NamespaceFacts view() {
        NamespaceFacts facts;
        facts.is_view = true;
        return facts;
    }
};

TEST_F(NamespaceQueueTest, answers_everyone_who_asks_for_one_name) {
    const auto first = ask({x});
    const auto second = ask({x, x});
    EXPECT_EQ(queue.take(), std::set{x});
    const auto third = ask({x});
    EXPECT_TRUE(queue.take().empty()) << "it is under way";
    queue.settle({{x, view()}});
    for (const auto& place : {first, second, third}) {
        ASSERT_TRUE(place->has_value());
        ASSERT_EQ((*place)->size(), 1u);
        EXPECT_EQ((*place)->front().first, x);
        EXPECT_TRUE((*place)->front().second->is_view);
    }
}

TEST_F(NamespaceQueueTest, answers_a_request_when_all_its_names_are_settled) {
    const auto both = ask({x, y});
    EXPECT_EQ(queue.take(), (std::set{x, y}));
    queue.settle({{x, NamespaceFacts{}}});
    EXPECT_FALSE(both->has_value());
    queue.settle({{y, std::nullopt}});
    ASSERT_TRUE(both->has_value());
    EXPECT_TRUE((*both)->at(0).second.has_value());
    EXPECT_FALSE((*both)->at(1).second.has_value());
}

TEST_F(NamespaceQueueTest, asks_again_for_a_name_that_was_settled) {
    ask({x});
    queue.take();
    queue.settle({{x, NamespaceFacts{}}});
    const auto again = ask({x});
    EXPECT_EQ(queue.take(), std::set{x});
    EXPECT_FALSE(again->has_value());
}

TEST_F(NamespaceQueueTest, says_when_there_is_something_to_take) {
    const auto nobody = [](const NamespaceAnswers&) {};
    EXPECT_TRUE(queue.add({x}, nobody));
    queue.take();
    EXPECT_FALSE(queue.add({x}, nobody)) << "it is under way";
    EXPECT_TRUE(queue.add({x, y}, nobody));
    EXPECT_EQ(queue.take(), std::set{y});
}

TEST_F(NamespaceQueueTest, may_be_asked_from_its_answer) {
    bool answered = false;
    queue.add({x}, [&](const NamespaceAnswers&) {
        queue.add({x}, [&](const NamespaceAnswers&) { answered = true; });
    });
    queue.take();
    queue.settle({{x, NamespaceFacts{}}});
    EXPECT_FALSE(answered);
    EXPECT_EQ(queue.take(), std::set{x});
    queue.settle({{x, NamespaceFacts{}}});
    EXPECT_TRUE(answered);
}

TEST_F(NamespaceQueueTest, ignores_answers_that_nobody_waits_for) {
    queue.settle({{x, NamespaceFacts{}}});
    EXPECT_TRUE(queue.take().empty());
}

}  // namespace
}  // namespace fieldgate::cluster
