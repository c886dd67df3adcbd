#include "tests/unit/keys/kms_fixture.hpp"

// When operations of the engine log in, and which of them wait for it.
namespace fieldgate::keys {
namespace {

using namespace testing;
using namespace std::chrono_literals;

using KmsLoginTest = KmsTest;

TEST_F(KmsLoginTest, logs_in_first_and_all_wait_for_one_login) {
    aws->login_requests = {"login", "role"};
    const Outcome first = unwrap(1);
    const Outcome second = unwrap(2);
    EXPECT_EQ(transport.log, std::vector<std::string>{"aws:eu login"});
    transport.answer(200);
    EXPECT_EQ(transport.log.back(), "aws:eu role");
    transport.answer(200);
    EXPECT_EQ(transport.log.size(), 4u);
    transport.answer(200);
    transport.answer(200);
    EXPECT_EQ(*first, "key 1");
    EXPECT_EQ(*second, "key 2");
    EXPECT_EQ(count(KmsCall::login, "ok"), 1u);
}

TEST_F(KmsLoginTest, logs_in_again_before_the_token_ends) {
    aws->login_requests = {"login"};
    unwrap();
    transport.answer(200);
    transport.answer(200);
    now += 839s;
    unwrap();
    EXPECT_EQ(transport.log.back(), "aws:eu unwrap 7");
    transport.answer(200);
    now += 1s;
    unwrap();
    EXPECT_EQ(transport.log, (std::vector<std::string>{"aws:eu login", "aws:eu unwrap 7", "aws:eu unwrap 7",
                                                       "aws:eu login", "aws:eu unwrap 7"}));
}

TEST_F(KmsLoginTest, operations_go_on_while_a_good_token_is_renewed_and_when_that_fails) {
    aws->login_requests = {"login"};
    unwrap();
    transport.answer(200);
    transport.answer(200);
    now += 840s;
    const Outcome during = unwrap(1);
    ASSERT_EQ(transport.log.back(), "aws:eu unwrap 1");
    const auto renewal = transport.take_oldest();
    transport.answer(200);
    EXPECT_EQ(*during, "key 1");
    renewal.done(Reply{400, {}, {}});
    EXPECT_EQ(count(KmsCall::login, "refused"), 1u);

    transport.pass(2s);
    const Outcome after = unwrap(2);  // the next one tries again, and nobody waits
    const auto again = transport.take_oldest();
    transport.answer(200);
    EXPECT_EQ(*after, "key 2");
    again.done(Reply{200, {}, {}});
    EXPECT_EQ(count(KmsCall::login, "ok"), 2u);

    now += 840s;
    unwrap(3);
    now += 60s;  // the end, with the renewal under way
    const Outcome late = unwrap(4);
    EXPECT_EQ(transport.log.back(), "aws:eu unwrap 3");
    transport.answer(200);
    transport.answer(200);
    EXPECT_EQ(transport.log.back(), "aws:eu unwrap 4");
    transport.answer(200);
    EXPECT_EQ(*late, "key 4");
}

TEST_F(KmsLoginTest, who_was_refused_during_a_renewal_waits_for_it) {
    aws->login_requests = {"login"};
    unwrap();
    transport.answer(200);
    transport.answer(200);
    now += 840s;
    const Outcome outcome = unwrap(1);
    const auto renewal = transport.take_oldest();
    transport.answer(401);  // revoked ahead of its time
    EXPECT_EQ(transport.log.back(), "aws:eu unwrap 1");
    EXPECT_EQ(aws->forgotten, 0) << "the other token is on its way";
    renewal.done(Reply{200, {}, {}});
    transport.answer(200);
    EXPECT_EQ(*outcome, "key 1");
}

TEST_F(KmsLoginTest, a_proof_of_the_credentials_waits_for_a_renewal) {
    aws->login_requests = {"login"};
    unwrap();
    transport.answer(200);
    transport.answer(200);
    now += 840s;
    std::optional<std::string> told;
    kms->login("aws:eu", [&](const auto& failure) { told = failure ? failure->text : "ok"; });
    EXPECT_FALSE(told);
    transport.answer(400);
    EXPECT_EQ(told, "KMS provider `aws:eu`: login: it said 400");
}

TEST_F(KmsLoginTest, a_token_that_ends_at_once_is_used_and_not_fetched_for_ever) {
    aws->login_requests = {"login"};
    aws->token_life = 1s;
    const Outcome outcome = unwrap();
    transport.answer(200);
    transport.answer(200);
    EXPECT_EQ(*outcome, "key 7");
    EXPECT_EQ(transport.log.size(), 2u);
}

TEST_F(KmsLoginTest, a_failed_login_fails_everyone_who_waits_and_the_next_tries_again) {
    aws->login_requests = {"login"};
    const Outcome first = unwrap(1);
    const Outcome second = unwrap(2);
    transport.answer(400);
    EXPECT_EQ(*first, "KMS provider `aws:eu`: login: it said 400");
    EXPECT_EQ(*second, *first);
    EXPECT_EQ(count(KmsCall::login, "refused"), 1u);
    EXPECT_EQ(count(KmsCall::unwrap, "refused"), 2u);
    transport.pass(2s);
    const Outcome third = unwrap(3);
    transport.answer(200);
    transport.answer(200);
    EXPECT_EQ(*third, "key 3");
}

// Vault locks an AppRole, and everybody who logs in by it, after five within a quarter of an hour.
TEST_F(KmsLoginTest, after_a_refused_login_none_is_sent_for_a_while_longer_each_time) {
    aws->login_requests = {"login"};
    std::vector<std::chrono::seconds> sent_after;
    for (auto second = 0s; second < 300s; second += 1s) {
        const Outcome outcome = unwrap();
        if (!transport.pending.empty()) {
            sent_after.push_back(second);
            transport.answer(403);
        }
        EXPECT_EQ(*outcome, "KMS provider `aws:eu`: login: it said 403") << second.count();
        transport.pass(1s);
    }
    EXPECT_EQ(sent_after, (std::vector<std::chrono::seconds>{0s, 2s, 6s, 14s, 30s, 62s, 122s, 182s, 242s}));
    transport.pass(2s);
    const Outcome taken = unwrap();
    transport.answer(200);
    transport.answer(200);
    EXPECT_EQ(*taken, "key 7");

    now += 900s;  // It was taken once: from the beginning.
    unwrap();
    transport.answer(403);
    transport.pass(2s);
    unwrap();
    EXPECT_EQ(transport.log.back(), "aws:eu login");
}

TEST_F(KmsLoginTest, a_renewal_that_was_refused_is_not_repeated_at_once_and_stops_nobody) {
    aws->login_requests = {"login"};
    unwrap();
    transport.answer(200);
    transport.answer(200);
    now += 840s;
    const Outcome during = unwrap(1);
    const auto renewal = transport.take_oldest();
    transport.answer(200);
    renewal.done(Reply{400, {}, {}});
    const Outcome after = unwrap(2);
    EXPECT_EQ(transport.log.back(), "aws:eu unwrap 2");
    transport.answer(200);
    EXPECT_EQ(*after, "key 2");
}

// Nobody said no.
TEST_F(KmsLoginTest, a_login_that_nobody_answered_is_sent_again_at_once) {
    aws->login_requests = {"login"};
    unwrap();
    while (!transport.pending.empty()) {
        transport.answer(503);
        transport.pass(20s);
    }
    const std::size_t before = transport.log.size();
    unwrap();
    EXPECT_EQ(transport.log.size(), before + 1);
}

TEST_F(KmsLoginTest, a_login_is_tried_again_too) {
    aws->login_requests = {"login"};
    const Outcome outcome = unwrap();
    transport.answer(503);
    transport.pass(1s);
    transport.answer(200);
    transport.answer(200);
    EXPECT_EQ(*outcome, "key 7");
}

TEST_F(KmsLoginTest, who_waits_for_a_login_waits_no_longer_than_its_time) {
    aws->login_requests = {"login"};
    const Outcome early = unwrap(1);
    transport.pass(19s);
    const Outcome late = unwrap(2);
    transport.pass(1s);
    EXPECT_EQ(*early, "KMS provider `aws:eu`: login: no answer within 20000 ms");
    EXPECT_EQ(*late, "");
    transport.answer(200);
    EXPECT_EQ(transport.log.back(), "aws:eu unwrap 2");
    transport.answer(200);
    EXPECT_EQ(*late, "key 2");
}

TEST_F(KmsLoginTest, logs_in_afresh_once_when_its_credentials_are_not_taken) {
    aws->login_requests = {"login"};
    unwrap();
    transport.answer(200);
    transport.answer(200);
    transport.pass(10s);
    const Outcome outcome = unwrap();
    transport.answer(401);
    EXPECT_EQ(aws->forgotten, 1);
    EXPECT_EQ(transport.log.back(), "aws:eu login");
    transport.answer(200);
    transport.answer(401);
    EXPECT_EQ(*outcome, "KMS provider `aws:eu`: it said 401");
    EXPECT_EQ(aws->forgotten, 1);
    EXPECT_EQ(count(KmsCall::unwrap, "credentials"), 1u);
    EXPECT_EQ(transport.log.size(), 5u);
}

// Vault says of a key that is forbidden what it says of a token that has ended.
TEST_F(KmsLoginTest, one_forbidden_key_does_not_make_it_log_in_for_each_question) {
    aws->login_requests = {"login"};
    for (int i = 0; i < 100; ++i) {
        const Outcome outcome = unwrap();
        while (!transport.pending.empty())
            transport.answer(transport.pending.front().text == "login" ? 200 : 401);
        EXPECT_EQ(*outcome, "KMS provider `aws:eu`: it said 401");
        transport.pass(100ms);
    }
    EXPECT_LE(count(KmsCall::login, "ok"), 2u) << "in ten seconds";
}

TEST_F(KmsLoginTest, what_a_login_brought_may_be_revoked_at_once) {
    aws->login_requests = {"login"};
    const Outcome outcome = unwrap();
    transport.answer(200);
    transport.answer(401);
    ASSERT_EQ(transport.pending.back().text, "login");
    transport.answer(200);
    transport.answer(200);
    EXPECT_TRUE(outcome->starts_with("key ")) << *outcome;
}

TEST_F(KmsLoginTest, one_login_for_all_whose_credentials_ran_out_together) {
    aws->login_requests = {"login"};
    std::vector<Outcome> outcomes{unwrap(1), unwrap(2), unwrap(3)};
    transport.answer(200);
    transport.pass(10s);  // slow, and the token is none any more
    transport.answer(401);
    transport.answer(401);  // the new login is under way
    ASSERT_EQ(transport.pending.back().text, "login");
    const auto third = transport.take_oldest();
    transport.answer(200);           // the login: the first two ask again
    third.done(Reply{401, {}, {}});  // the third had the old one
    EXPECT_EQ(aws->forgotten, 1);
    for (int i = 0; i < 3; ++i) transport.answer(200);
    for (const Outcome& outcome : outcomes) EXPECT_TRUE(outcome->starts_with("key ")) << *outcome;
    EXPECT_EQ(count(KmsCall::login, "ok"), 2u);
}

TEST_F(KmsLoginTest, fixed_credentials_that_are_not_taken_end_it) {
    const Outcome outcome = unwrap();
    transport.answer(401);
    EXPECT_EQ(*outcome, "KMS provider `aws:eu`: it said 401");
    EXPECT_EQ(transport.log.size(), 1u);
}

TEST_F(KmsLoginTest, login_alone_proves_the_credentials) {
    std::vector<std::string> told;
    const auto tell = [&](const std::optional<Failure>& failure) {
        told.push_back(failure ? failure->text : "ok");
    };
    kms->login("aws:eu", tell);
    aws->login_requests = {"login"};
    kms->login("aws:eu", tell);
    transport.answer(401);
    transport.pass(2s);
    kms->login("aws:eu", tell);
    transport.answer(200);
    EXPECT_EQ(told, (std::vector<std::string>{"ok", "KMS provider `aws:eu`: login: it said 401", "ok"}));
    EXPECT_EQ(count(KmsCall::login, "ok"), 1u) << "what was not needed does not count";
    EXPECT_EQ(count(KmsCall::login, "credentials"), 1u);
}

}  // namespace
}  // namespace fieldgate::keys
