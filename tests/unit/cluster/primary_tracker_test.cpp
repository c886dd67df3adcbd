#include "proxy/cluster/primary_tracker.hpp"

#include <gtest/gtest.h>

namespace fieldgate::cluster {
namespace {

using namespace std::chrono_literals;

const HostPort a{"a", 1};
const HostPort b{"b", 2};
const Clock::time_point start = Clock::time_point(1000s);
const std::vector<HostPort> nobody;

TEST(PrimaryTracker, knows_no_primary_at_first) {
    PrimaryTracker tracker;
    EXPECT_EQ(tracker.primary(), std::nullopt);
    EXPECT_EQ(tracker.take_lost(), nobody);
}

TEST(PrimaryTracker, uses_whatever_takes_writes) {
    for (const MemberKind kind : {MemberKind::primary, MemberKind::standalone, MemberKind::mongos}) {
        PrimaryTracker tracker;
        tracker.described(a, kind);
        EXPECT_EQ(tracker.primary(), a);
        EXPECT_EQ(tracker.kind(a), kind);
    }
    for (const MemberKind kind : {MemberKind::unknown, MemberKind::other}) {
        PrimaryTracker tracker;
        tracker.described(a, kind);
        EXPECT_EQ(tracker.primary(), std::nullopt);
        EXPECT_EQ(tracker.take_lost(), nobody) << "what never took writes cannot be lost";
    }
}

TEST(PrimaryTracker, follows_an_election) {
    PrimaryTracker tracker;
    tracker.described(a, MemberKind::primary);
    tracker.described(b, MemberKind::other);
    tracker.described(a, MemberKind::other);
    EXPECT_EQ(tracker.primary(), std::nullopt);
    EXPECT_EQ(tracker.take_lost(), std::vector{a});
    EXPECT_EQ(tracker.take_lost(), nobody) << "each loss is told once";
    tracker.described(b, MemberKind::primary);
    EXPECT_EQ(tracker.primary(), b);
    EXPECT_EQ(tracker.take_lost(), nobody);
}

TEST(PrimaryTracker, loses_a_member_that_answers_no_more_or_is_removed) {
    PrimaryTracker tracker;
    tracker.described(a, MemberKind::primary);
    tracker.described(a, MemberKind::unknown);
    EXPECT_EQ(tracker.take_lost(), std::vector{a});
    tracker.described(a, MemberKind::primary);
    tracker.removed(a);
    EXPECT_EQ(tracker.take_lost(), std::vector{a});
    EXPECT_EQ(tracker.primary(), std::nullopt);
    tracker.removed(a);
    EXPECT_EQ(tracker.take_lost(), nobody);
}

TEST(PrimaryTracker, stays_with_one_mongos_until_it_is_lost) {
    PrimaryTracker tracker;
    tracker.described(b, MemberKind::mongos);
    tracker.described(a, MemberKind::mongos);
    EXPECT_EQ(tracker.primary(), b) << "who answered first";
    tracker.described(b, MemberKind::unknown);
    EXPECT_EQ(tracker.primary(), a);
    EXPECT_EQ(tracker.take_lost(), std::vector{b});
    tracker.described(b, MemberKind::mongos);
    EXPECT_EQ(tracker.primary(), a) << "drivers pin transactions and cursors to it";
}

TEST(PrimaryTracker, does_not_hand_out_a_suspected_member_until_a_later_hello_clears_it) {
    PrimaryTracker tracker;
    tracker.described(a, MemberKind::primary);
    tracker.suspect(a, start);
    EXPECT_EQ(tracker.primary(), std::nullopt);
    tracker.answered(a, true, start - 1ms);
    EXPECT_EQ(tracker.primary(), std::nullopt) << "sent before the complaint, it proves nothing";
    tracker.answered(a, true, start);
    EXPECT_EQ(tracker.primary(), a);
    EXPECT_EQ(tracker.take_lost(), nobody) << "the other sessions noticed nothing";
}

TEST(PrimaryTracker, loses_a_suspected_member_that_says_it_takes_no_writes) {
    PrimaryTracker tracker;
    tracker.described(a, MemberKind::primary);
    tracker.suspect(a, start);
    tracker.answered(a, false, start + 1ms);
    EXPECT_EQ(tracker.take_lost(), std::vector{a});
    tracker.described(a, MemberKind::primary);
    EXPECT_EQ(tracker.primary(), std::nullopt) << "discovery still calls it primary, from its last heartbeat";
    tracker.answered(a, true, start + 2ms);
    EXPECT_EQ(tracker.primary(), a);
}

TEST(PrimaryTracker, a_second_complaint_needs_a_second_answer) {
    PrimaryTracker tracker;
    tracker.described(a, MemberKind::primary);
    tracker.suspect(a, start);
    tracker.suspect(a, start + 5ms);
    tracker.answered(a, true, start + 1ms);
    EXPECT_EQ(tracker.primary(), std::nullopt);
    tracker.answered(a, true, start + 5ms);
    EXPECT_EQ(tracker.primary(), a);
}

TEST(PrimaryTracker, hello_without_a_complaint_changes_nothing) {
    PrimaryTracker tracker;
    tracker.described(a, MemberKind::primary);
    tracker.answered(a, false, start);
    EXPECT_EQ(tracker.primary(), a) << "that is for discovery to judge";
    tracker.answered(b, true, start);
    tracker.suspect(b, start);
    EXPECT_EQ(tracker.primary(), a);
}

TEST(PrimaryTracker, a_suspected_mongos_is_passed_over) {
    PrimaryTracker tracker;
    tracker.described(a, MemberKind::mongos);
    tracker.described(b, MemberKind::mongos);
    tracker.suspect(a, start);
    EXPECT_EQ(tracker.primary(), b);
    tracker.answered(a, true, start + 1ms);
    EXPECT_EQ(tracker.primary(), b);
}

}  // namespace
}  // namespace fieldgate::cluster
