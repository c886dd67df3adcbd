#include "tests/unit/keys/broker_fixture.hpp"

// The broker and its key managers: unwrapping elsewhere, refetching ahead of time, outages, revocation.
namespace fieldgate::keys {
namespace {

using namespace std::chrono_literals;
using testing::BrokerTest;
using testing::Failure;
using testing::id_of;
using testing::key_of;
using testing::secret_of;

TEST_F(BrokerTest, unwraps_several_keys_at_once) {
    const auto result = ask({.ids = {id_of(1), id_of(2)}});
    vault.answer({aws_key_of(1, {}, 11), aws_key_of(2, {}, 12)});
    EXPECT_EQ(transport.log, (std::vector<std::string>{"aws unwrap 11", "aws unwrap 12"}));
    transport.answer(200);
    EXPECT_FALSE(result->has_value()) << "half an answer is none";
    transport.answer(200);
    ASSERT_NE(ready(*result, id_of(1)), nullptr);
    EXPECT_TRUE(*ready(*result, id_of(1))->material == secret_of(11));
    EXPECT_TRUE(*ready(*result, id_of(2))->material == secret_of(12));
}

TEST_F(BrokerTest, one_question_to_the_key_manager_for_all_who_need_a_key) {
    std::vector<std::shared_ptr<std::optional<KeyResult>>> results;
    for (int i = 0; i < 50; ++i) results.push_back(ask({.ids = {id_of(1)}}));
    vault.answer({aws_key_of(1)});
    for (int i = 0; i < 50; ++i) results.push_back(ask({.ids = {id_of(1)}}));
    EXPECT_FALSE(vault.busy()) << "the key is under way already";
    EXPECT_EQ(transport.log.size(), 1u);
    transport.answer(200);
    for (const auto& result : results) EXPECT_NE(ready(*result, id_of(1)), nullptr);
    EXPECT_EQ(vault.requests.size(), 1u);
}

TEST_F(BrokerTest, a_slow_key_manager_does_not_hold_up_other_keys) {
    const auto slow = ask({.ids = {id_of(1)}});
    vault.answer({aws_key_of(1)});
    const auto fast = ask({.ids = {id_of(2)}});
    vault.answer({key_of(2)});
    EXPECT_NE(ready(*fast, id_of(2)), nullptr);
    EXPECT_FALSE(slow->has_value());
}

TEST_F(BrokerTest, a_name_is_answered_together_with_its_key) {
    const auto result = ask({.alt_names = {"n"}});
    vault.answer({aws_key_of(1, {"n"})});
    EXPECT_FALSE(result->has_value());
    transport.answer(200);
    EXPECT_EQ(named(*result, "n"), id_of(1));
    EXPECT_NE(ready(*result, id_of(1)), nullptr);
}

TEST_F(BrokerTest, a_name_whose_key_cannot_be_unwrapped_is_answered_with_the_reason) {
    const auto result = ask({.alt_names = {"n"}});
    vault.answer({aws_key_of(1, {"n"})});
    transport.answer(400);
    EXPECT_EQ(named(*result, "n"), id_of(1));
    EXPECT_NE(error(*result, id_of(1)), "(not answered)");
}

TEST_F(BrokerTest, measures_the_lifetime_from_the_query_through_the_key_manager) {
    const auto result = ask({.ids = {id_of(1)}});
    now += 3s;
    vault.answer({aws_key_of(1)});
    now += 7s;
    transport.answer(200);
    EXPECT_EQ(ready(*result, id_of(1))->expires, now + 50s);
}

TEST_F(BrokerTest, names_key_provider_and_cause_and_tells_clients_no_more) {
    const auto result = ask({.ids = {id_of(1)}});
    vault.answer({aws_key_of(1)});
    transport.answer(403);
    EXPECT_EQ(error(*result, id_of(1)),
              "key 01010101-0101-0101-0101-010101010101: KMS provider `aws` refuses (Status403, HTTP 403)");
    EXPECT_EQ(failures, std::vector<std::string>{error(*result, id_of(1))});
    EXPECT_EQ(details, std::vector<std::string>{"KMS provider `aws`: it said 403"});
    now += 999ms;
    EXPECT_TRUE(ask({.ids = {id_of(1)}})->has_value()) << "remembered for a second";
    now += 1ms;
    EXPECT_FALSE(ask({.ids = {id_of(1)}})->has_value());
}

TEST_F(BrokerTest, a_failed_key_does_not_take_the_others_along) {
    const auto result = ask({.ids = {id_of(1), id_of(2)}});
    vault.answer({aws_key_of(1), aws_key_of(2)});
    transport.answer(400);
    transport.answer(200);
    EXPECT_NE(error(*result, id_of(1)), "");
    EXPECT_NE(ready(*result, id_of(2)), nullptr);
}

// Refetching ahead of time.

TEST_F(BrokerTest, refetches_a_key_in_use_after_an_eighth_of_its_lifetime) {
    ask({.ids = {id_of(1)}});
    vault.answer({aws_key_of(1)});
    transport.answer(200);
    pass(7s);
    EXPECT_FALSE(vault.busy());
    pass(1s);
    ASSERT_TRUE(vault.busy());
    vault.answer({aws_key_of(1)});
    EXPECT_EQ(transport.log.size(), 2u) << "the key manager is asked as well: only it knows of a revocation";
    transport.answer(200);
    const auto result = ask({.ids = {id_of(1)}});
    ASSERT_NE(ready(*result, id_of(1)), nullptr);
    EXPECT_EQ(ready(*result, id_of(1))->expires, now + 60s);
    EXPECT_EQ(vault.requests.size(), 2u);
}

TEST_F(BrokerTest, a_key_that_nobody_asks_for_any_more_is_refetched_for_a_lifetime_and_expires) {
    ask({.ids = {id_of(1)}});
    vault.answer({aws_key_of(1)});
    transport.answer(200);
    std::chrono::seconds last = 0s;
    for (auto i = 1s; i <= 61s; ++i) {
        pass(1s);
        if (!vault.busy()) continue;
        vault.answer({aws_key_of(1)});
        transport.answer(200);
        last = i;
    }
    EXPECT_EQ(last, 56s);
    EXPECT_EQ(vault.requests.size(), 8u);
    pass(54s);
    EXPECT_EQ(broker.cached_count(), 1u);
    pass(1s);
    EXPECT_EQ(broker.cached_count(), 0u);
    EXPECT_EQ(vault.requests.size(), 8u);
}

TEST_F(BrokerTest, refetches_keys_that_are_due_together_in_one_query) {
    const auto result = ask({.ids = {id_of(1), id_of(2), id_of(3)}});
    vault.answer({key_of(1), key_of(2), key_of(3)});
    pass(8s);
    EXPECT_EQ(vault.requests.back().ids, (std::vector<crypto::KeyId>{id_of(1), id_of(2), id_of(3)}));
    EXPECT_EQ(vault.requests.size(), 2u);
}

TEST_F(BrokerTest, refetches_many_keys_only_after_a_quarter_of_their_lifetime) {
    KeyRequest request;
    std::vector<KeyDocument> keys;
    for (std::uint8_t i = 1; i <= 60; ++i) {
        request.ids.push_back(id_of(i));
        keys.push_back(key_of(i));
    }
    ask(request);
    vault.answer(keys);
    pass(8s);  // the first fifty-one were few when they came
    EXPECT_EQ(vault.requests.back().ids.size(), Broker::refreshes_max);
    vault.answer(keys);
    EXPECT_EQ(vault.requests.back().ids.size(), 51 - Broker::refreshes_max);
    vault.answer(keys);
    ask(request);
    pass(7s);
    EXPECT_EQ(vault.requests.back().ids.size(), 9u);
    vault.answer(keys);
    pass(7s);
    EXPECT_FALSE(vault.busy());
    pass(1s);
    EXPECT_TRUE(vault.busy()) << "fifteen seconds after the second time";
}

TEST_F(BrokerTest, refetches_a_bounded_number_at_a_time_and_the_others_next) {
    KeyRequest request;
    std::vector<KeyDocument> keys;
    for (std::uint8_t i = 1; i <= Broker::refreshes_max + 8; ++i) {
        request.ids.push_back(id_of(i));
        keys.push_back(key_of(i));
    }
    ask(request);
    vault.answer(keys);
    pass(8s);
    EXPECT_EQ(vault.requests.back().ids.size(), Broker::refreshes_max);
    pass(1s);
    EXPECT_EQ(vault.requests.size(), 2u);
    vault.answer(keys);
    EXPECT_EQ(vault.requests.size(), 3u) << "at once, when the first are done";
    EXPECT_EQ(vault.requests.back().ids.size(), 8u);
    vault.answer(keys);
    pass(5s);
    EXPECT_FALSE(vault.busy()) << "every key is fresh again";
}

TEST_F(BrokerTest, who_needs_a_key_that_expired_while_it_is_refetched_waits_for_that) {
    ask({.ids = {id_of(1)}});
    vault.answer({aws_key_of(1)});
    transport.answer(200);
    pass(8s);
    vault.answer({aws_key_of(1)});
    pass(52s);
    const auto result = ask({.ids = {id_of(1)}});
    EXPECT_FALSE(result->has_value());
    EXPECT_FALSE(vault.busy());
    transport.answer(200);
    EXPECT_NE(ready(*result, id_of(1)), nullptr);
}

// Outages.

// Uses the key every second for `time` and has everything it asks of the key manager answered with `status`.
struct OutageTest : BrokerTest {
    int refused = 0;
    void use(std::chrono::seconds time, int status, const char* vault_error = "") {
        for (auto i = 0s; i < time; ++i) {
            const auto result = ask({.ids = {id_of(1)}});
            for (int round = 0; round < 4; ++round) {
                if (vault.busy()) {
                    vault.answer(*vault_error != 0
                                     ? KeyVault::Found{{}, vault_error}
                                     : KeyVault::Found{{build_key_document(aws_key_of(1))}, ""});
                }
                while (!transport.pending.empty()) transport.answer(status);
                transport.pass(0ms);
            }
            if (ready(*result, id_of(1)) == nullptr) ++refused;
            pass(1s);
        }
    }
};

TEST_F(OutageTest, an_outage_of_the_key_manager_within_the_lifetime_is_not_noticed) {
    use(7s, 200);  // the next refetching would come now
    use(51s, 503);
    EXPECT_EQ(refused, 0);
    EXPECT_EQ(refresh_failures,
              std::vector<std::string>{"key 01010101-0101-0101-0101-010101010101: KMS provider `aws` is not "
                                       "available (Status503, HTTP 503)"})
        << "told once";
    EXPECT_GE(broker.counts().refreshes_failed, 10u);
    use(200s, 200);
    EXPECT_EQ(refused, 0);
    use(50s, 503);  // wherever between two attempts it begins
    EXPECT_EQ(refused, 0);
    EXPECT_EQ(refresh_failures.size(), 2u) << "a new outage is told anew";
}

// A key ring asks when what it has expires, not whenever it uses it.
TEST_F(OutageTest, an_outage_within_the_lifetime_is_not_noticed_by_a_key_ring_whenever_it_begins) {
    for (auto begin = 60s; begin < 120s; begin += 1s) {
        SCOPED_TRACE(begin.count());
        Clock::time_point expires{};
        const auto use_ring = [&](std::chrono::seconds time, int status) {
            for (auto i = 0s; i < time; ++i) {
                if (expires <= now) {
                    const auto result = ask({.ids = {id_of(1)}});
                    while (vault.busy()) vault.answer({aws_key_of(1)});
                    while (!transport.pending.empty()) transport.answer(status);
                    const ReadyKey* const key = ready(*result, id_of(1));
                    if (key == nullptr) {
                        ++refused;
                    } else {
                        expires = key->expires;
                    }
                }
                pass(1s);
                while (vault.busy()) vault.answer({aws_key_of(1)});
                while (!transport.pending.empty()) transport.answer(status);
            }
        };
        use_ring(begin, 200);
        ASSERT_EQ(refused, 0);
        use_ring(51s, 503);
        EXPECT_EQ(refused, 0);
        use_ring(120s, 200);  // until nothing of it is left
        refused = 0;
    }
}

TEST_F(OutageTest, an_outage_of_the_key_vault_within_the_lifetime_is_not_noticed) {
    use(7s, 200);
    use(51s, 200, "No suitable servers found");
    EXPECT_EQ(refused, 0);
    EXPECT_EQ(refresh_failures.size(), 1u);
    use(60s, 200);
    EXPECT_EQ(refused, 0);
}

TEST_F(OutageTest, a_longer_outage_refuses_and_recovers_by_itself) {
    use(7s, 200);
    use(120s, 503);
    EXPECT_GE(refused, 60);
    EXPECT_LE(refused, 70);
    EXPECT_EQ(broker.cached_count(), 0u);
    refused = 0;
    use(60s, 200);
    EXPECT_LE(refused, 1) << "what had failed within the second before";
}

TEST_F(OutageTest, a_key_that_its_key_manager_refuses_ends_at_once) {
    use(7s, 200);
    use(1s, 403);
    EXPECT_EQ(refused, 0) << "asked for too early";
    use(2s, 403);
    EXPECT_EQ(broker.cached_count(), 0u);
    EXPECT_GE(refused, 1);
    EXPECT_TRUE(refresh_failures.empty()) << "no outage";
}

TEST_F(OutageTest, credentials_that_are_not_taken_do_not_end_a_key_before_its_time) {
    use(7s, 200);
    use(51s, 401);
    EXPECT_EQ(refused, 0);
    use(5s, 401);
    EXPECT_GE(refused, 2);
}

TEST_F(BrokerTest, a_key_that_was_deleted_ends_with_the_next_refetching) {
    ask({.ids = {id_of(1)}});
    vault.answer({key_of(1)});
    pass(8s);
    vault.answer(std::vector<KeyDocument>{});
    EXPECT_EQ(broker.cached_count(), 0u);
    EXPECT_NE(error(*ask({.ids = {id_of(1)}}), id_of(1)).find("has no key"), std::string::npos);
}

TEST_F(BrokerTest, revocation_takes_effect_within_the_lifetime_whatever_was_under_way) {
    ask({.ids = {id_of(1)}});
    vault.answer({aws_key_of(1)});
    transport.answer(200);
    const auto revoked = now + 8s;
    pass(8s);
    vault.answer({aws_key_of(1)});
    pass(10s);  // the key manager unwrapped it before the revocation, its answer is slow
    transport.answer(200);
    const auto result = ask({.ids = {id_of(1)}});
    ASSERT_NE(ready(*result, id_of(1)), nullptr);
    EXPECT_LE(ready(*result, id_of(1))->expires, revoked + 60s);
}

// A lifetime that is shorter than the key manager is slow.

TEST_F(BrokerTest, a_key_that_expired_while_another_was_waited_for_is_asked_for_again_once) {
    BrokerOptions hasty = options();
    hasty.cache_lifetime = 1s;
    Broker other(vault, kms, hasty);
    std::optional<KeyResult> result;
    const auto answer = [&] {
        other.request({.ids = {id_of(1), id_of(2)}},
                      [&](KeyResult answered) { result = std::move(answered); });
    };
    answer();
    vault.answer({aws_key_of(1, {}, 11), aws_key_of(2, {}, 12)});
    transport.answer(200);
    now += 5s;
    transport.answer(200);
    EXPECT_FALSE(result) << "the first key is over";
    vault.answer({aws_key_of(1, {}, 11)});
    now += 5s;
    transport.answer(200);  // and now the second one is
    ASSERT_TRUE(result);
    ASSERT_NE(ready(result, id_of(1)), nullptr);
    ASSERT_NE(ready(result, id_of(2)), nullptr);
    EXPECT_EQ(ready(result, id_of(1))->expires, now + 1s);
    EXPECT_EQ(ready(result, id_of(2))->expires, now + 1s);
    EXPECT_EQ(vault.requests.size(), 2u);
}

// Names.

TEST_F(BrokerTest, sees_a_moved_name_when_it_refetches_and_tells_it_with_the_next_answer) {
    ask({.alt_names = {"n"}});
    vault.answer({key_of(1, {"n"})});
    pass(8s);
    EXPECT_EQ(vault.requests.back().alt_names, std::vector<std::string>{"n"});
    vault.answer({key_of(1), key_of(2, {"n"})});
    EXPECT_EQ(moved, std::vector<std::string>{"n"});
    EXPECT_EQ(broker.counts().names_moved, 1u);
    pass(7s);
    const auto worker = ask({.ids = {id_of(1)}});  // a worker that still has the name resolved
    ASSERT_NE(ready(*worker, id_of(1)), nullptr);
    EXPECT_NE(name_error(*worker, "n").find("has been given to"), std::string::npos);
    EXPECT_EQ(vault.requests.size(), 2u);
}

TEST_F(BrokerTest, counts_what_happened) {
    ask({.ids = {id_of(1), id_of(2)}});
    vault.answer({key_of(1), aws_key_of(2)});
    transport.answer(403);
    ask({.ids = {id_of(3)}});
    vault.answer(KeyVault::Found{{}, "down"});
    const BrokerCounts counts = broker.counts();
    EXPECT_EQ(counts.queries, 2u);
    EXPECT_EQ(counts.queries_failed, 1u);
    EXPECT_EQ(counts.failures, 2u);
    EXPECT_EQ(counts.keys_cached, 1u);
    ASSERT_EQ(counts.kms.size(), 2u);
    EXPECT_EQ(counts.kms[0].provider, "aws");
    EXPECT_EQ(counts.kms[0].outcome, "refused");
    EXPECT_EQ(counts.kms[1].provider, "local");
    EXPECT_EQ(counts.kms[1].outcome, "ok");
}

}  // namespace
}  // namespace fieldgate::keys
