#include "tests/unit/keys/broker_fixture.hpp"

namespace fieldgate::keys {
namespace {

using testing::BrokerTest;
using testing::id_of;
using testing::key_of;
using testing::secret_of;
using namespace std::chrono_literals;

TEST_F(BrokerTest, fetches_and_unwraps_a_key) {
    const auto result = ask({.ids = {id_of(1)}});
    EXPECT_FALSE(result->has_value());
    vault.answer({key_of(1, {}, 9)});
    const ReadyKey* key = ready(*result, id_of(1));
    ASSERT_NE(key, nullptr);
    EXPECT_TRUE(*key->material == secret_of(9));
    EXPECT_EQ(key->expires, now + 60s);
}

TEST_F(BrokerTest, asks_for_everything_missing_in_one_query) {
    const auto result = ask({.ids = {id_of(1), id_of(2), id_of(1)}, .alt_names = {"a", "b"}});
    ASSERT_EQ(vault.requests.size(), 1u);
    EXPECT_EQ(vault.requests[0].ids, (std::vector<crypto::KeyId>{id_of(1), id_of(2)}));
    EXPECT_EQ(vault.requests[0].alt_names, (std::vector<std::string>{"a", "b"}));
    vault.answer({key_of(1), key_of(2), key_of(3, {"a"}), key_of(4, {"b"})});
    EXPECT_NE(ready(*result, id_of(1)), nullptr);
    EXPECT_NE(ready(*result, id_of(2)), nullptr);
    EXPECT_EQ(named(*result, "a"), id_of(3));
    EXPECT_EQ(named(*result, "b"), id_of(4));
    EXPECT_NE(ready(*result, id_of(3)), nullptr) << "who asks for a name needs its key next";
    EXPECT_EQ(vault.requests.size(), 1u);
}

TEST_F(BrokerTest, makes_one_flight_of_many_requests_for_one_key) {
    std::vector<std::shared_ptr<std::optional<KeyResult>>> results;
    for (int i = 0; i < 100; ++i) results.push_back(ask({.ids = {id_of(1)}}));
    vault.answer({key_of(1)});
    for (const auto& result : results) EXPECT_NE(ready(*result, id_of(1)), nullptr);
    EXPECT_EQ(vault.requests.size(), 1u);
}

TEST_F(BrokerTest, gathers_what_is_missed_during_a_query_into_the_next) {
    const auto first = ask({.ids = {id_of(1)}});
    const auto second = ask({.ids = {id_of(1), id_of(2)}});
    const auto third = ask({.ids = {id_of(3)}, .alt_names = {"n"}});
    ASSERT_EQ(vault.requests.size(), 1u);
    vault.answer({key_of(1)});
    EXPECT_TRUE(first->has_value());
    EXPECT_FALSE(second->has_value()) << "half an answer is none";
    ASSERT_EQ(vault.requests.size(), 2u);
    EXPECT_EQ(vault.requests[1].ids, (std::vector<crypto::KeyId>{id_of(2), id_of(3)}));
    EXPECT_EQ(vault.requests[1].alt_names, std::vector<std::string>{"n"});
    vault.answer({key_of(2), key_of(3, {"n"})});
    EXPECT_NE(ready(*second, id_of(1)), nullptr);
    EXPECT_NE(ready(*second, id_of(2)), nullptr);
    EXPECT_EQ(named(*third, "n"), id_of(3));
}

TEST_F(BrokerTest, answers_from_the_cache_until_the_key_expires) {
    ask({.ids = {id_of(1)}});
    vault.answer({key_of(1)});
    now += 60s - 1ms;
    const auto cached = ask({.ids = {id_of(1)}});
    ASSERT_NE(ready(*cached, id_of(1)), nullptr);
    EXPECT_EQ(ready(*cached, id_of(1))->expires, now + 1ms) << "use must not prolong it";
    EXPECT_EQ(vault.requests.size(), 1u);
    now += 1ms;
    const auto again = ask({.ids = {id_of(1)}});
    EXPECT_FALSE(again->has_value());
    EXPECT_EQ(vault.requests.size(), 2u);
}

TEST_F(BrokerTest, measures_the_lifetime_from_the_query) {
    const auto result = ask({.ids = {id_of(1)}});
    now += 10s;
    vault.answer({key_of(1)});
    EXPECT_EQ(ready(*result, id_of(1))->expires, now + 50s);
}

TEST_F(BrokerTest, gives_a_slow_key_a_second_to_be_used) {
    const auto result = ask({.ids = {id_of(1)}});
    now += 100s;
    vault.answer({key_of(1)});
    EXPECT_EQ(ready(*result, id_of(1))->expires, now + 1s);
}

TEST_F(BrokerTest, erases_expired_keys) {
    ask({.ids = {id_of(1)}});
    vault.answer({key_of(1)});
    std::weak_ptr<const crypto::DataKey> material;
    {
        const auto cached = ask({.ids = {id_of(1)}});
        material = ready(*cached, id_of(1))->material;
    }
    now += 60s - 1ms;
    broker.tick();
    EXPECT_EQ(broker.cached_count(), 1u);
    EXPECT_FALSE(material.expired());
    now += 1ms;
    broker.tick();
    EXPECT_EQ(broker.cached_count(), 0u);
    EXPECT_TRUE(material.expired());
}

TEST_F(BrokerTest, says_which_key_the_vault_does_not_have) {
    const auto result = ask({.ids = {id_of(0xAB)}, .alt_names = {"patients"}});
    vault.answer(std::vector<KeyDocument>{});
    EXPECT_EQ(error(*result, id_of(0xAB)),
              "not all keys requested were satisfied. Verify that key vault DB/collection name was correctly "
              "specified. encryption.__keyVault has no key abababab-abab-abab-abab-abababababab");
    EXPECT_EQ(name_error(*result, "patients"),
              "not all keys requested were satisfied. Verify that key vault DB/collection name was correctly "
              "specified. encryption.__keyVault has no key named `patients`");
    EXPECT_EQ(failures.size(), 2u);
}

TEST_F(BrokerTest, a_missing_key_does_not_take_the_others_along) {
    const auto result = ask({.ids = {id_of(1), id_of(2)}});
    vault.answer({key_of(2)});
    EXPECT_NE(error(*result, id_of(1)), "");
    EXPECT_NE(ready(*result, id_of(2)), nullptr);
}

TEST_F(BrokerTest, remembers_failures_for_a_second) {
    ask({.ids = {id_of(1)}, .alt_names = {"n"}});
    vault.answer(std::vector<KeyDocument>{});
    now += 999ms;
    const auto remembered = ask({.ids = {id_of(1)}, .alt_names = {"n"}});
    EXPECT_NE(error(*remembered, id_of(1)), "(no answer yet)");
    EXPECT_EQ(vault.requests.size(), 1u);
    now += 1ms;
    const auto asked = ask({.ids = {id_of(1)}, .alt_names = {"n"}});
    EXPECT_EQ(vault.requests.size(), 2u);
    vault.answer({key_of(1, {"n"})});
    EXPECT_NE(ready(*asked, id_of(1)), nullptr);
    EXPECT_EQ(named(*asked, "n"), id_of(1));
}

TEST_F(BrokerTest, reports_a_key_vault_that_cannot_be_read) {
    const auto result = ask({.ids = {id_of(1)}, .alt_names = {"n"}});
    vault.answer(KeyVault::Found{{}, "No suitable servers found"});
    EXPECT_NE(
        error(*result, id_of(1)).find("the key vault encryption.__keyVault cannot be read: No suitable"),
        std::string::npos);
    EXPECT_NE(name_error(*result, "n").find("cannot be read"), std::string::npos);
}

TEST_F(BrokerTest, a_deleted_key_is_not_used_beyond_its_lifetime) {
    ask({.ids = {id_of(1)}});
    vault.answer({key_of(1)});
    now += 60s;
    const auto result = ask({.ids = {id_of(1)}});
    vault.answer(std::vector<KeyDocument>{});
    EXPECT_EQ(ready(*result, id_of(1)), nullptr);
    EXPECT_EQ(broker.cached_count(), 0u);
}

TEST_F(BrokerTest, refuses_keys_it_cannot_unwrap_and_says_why) {
    struct Case {
        const char* name;
        KeyDocument key;
        const char* expected;
    };
    KeyDocument remote = key_of(1);
    remote.provider = "aws:eu";
    remote.master_key = testing::aws_key;
    remote.master_key = crypto::kms::AwsMasterKey{"eu-west-1", "alias/k", ""};
    KeyDocument named_local = key_of(1);
    named_local.provider = "local:other";
    KeyDocument flipped = key_of(1);
    flipped.wrapped[40] ^= 1;
    KeyDocument cut = key_of(1);
    cut.wrapped.pop_back();
    const Case cases[] = {
        {"another provider", remote, "`aws:eu` is not configured"},
        {"another local provider", named_local, "`local:other` is not configured"},
        {"another master key", key_of(1, {}, 7, 2), "`local`: HMAC validation failure"},
        {"a changed byte", flipped, "`local`: HMAC validation failure"},
        {"a byte less", cut, "`local` gave an answer that cannot be used (wrapped_key_length)"},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.name);
        now += 10s;
        const auto result = ask({.ids = {id_of(1)}});
        vault.answer({c.key});
        EXPECT_EQ(ready(*result, id_of(1)), nullptr);
        EXPECT_NE(
            error(*result, id_of(1))
                .find(std::string("key 01010101-0101-0101-0101-010101010101: KMS provider ") + c.expected),
            std::string::npos)
            << error(*result, id_of(1));
    }
}

TEST_F(BrokerTest, says_what_is_wrong_with_a_document) {
    bson::Buffer broken;
    bson::Builder builder(broken);
    builder.append_binary("_id", 4, id_of(1).bytes).open_array("keyAltNames").append_string("0", "n").close();
    builder.finish();
    const auto result = ask({.ids = {id_of(1), id_of(2)}, .alt_names = {"n"}});
    vault.answer(KeyVault::Found{{broken, build_key_document(key_of(2))}, ""});
    EXPECT_NE(error(*result, id_of(1)).find("keyMaterial is missing"), std::string::npos);
    EXPECT_NE(name_error(*result, "n").find("keyMaterial is missing"), std::string::npos);
    EXPECT_NE(ready(*result, id_of(2)), nullptr);
}

TEST_F(BrokerTest, refuses_a_name_that_two_keys_have) {
    const auto result = ask({.alt_names = {"n"}});
    vault.answer({key_of(1, {"n"}), key_of(2, {"n"})});
    EXPECT_NE(name_error(*result, "n").find("several keys of that name"), std::string::npos);
}

TEST_F(BrokerTest, refuses_an_id_that_two_documents_have) {
    const auto result = ask({.ids = {id_of(1)}});
    vault.answer({key_of(1), key_of(1, {}, 8)});
    EXPECT_NE(error(*result, id_of(1)).find("two documents"), std::string::npos);
}

TEST_F(BrokerTest, ignores_documents_it_did_not_ask_for) {
    const auto result = ask({.ids = {id_of(1)}});
    vault.answer({key_of(1), key_of(2, {"n"})});
    EXPECT_EQ((*result)->ids.size(), 1u);
    EXPECT_EQ(broker.cached_count(), 1u);
}

TEST_F(BrokerTest, keeps_a_name_with_the_key_it_was_resolved_to_first) {
    ask({.alt_names = {"n"}});
    vault.answer({key_of(1, {"n"})});
    now += 1h;
    const auto result = ask({.alt_names = {"n"}});
    EXPECT_EQ(vault.requests.back().ids, std::vector<crypto::KeyId>{id_of(1)});
    vault.answer({key_of(1)});  // the name is gone from the vault
    EXPECT_EQ(named(*result, "n"), id_of(1));
    EXPECT_NE(ready(*result, id_of(1)), nullptr);
    EXPECT_TRUE(moved.empty());
}

TEST_F(BrokerTest, refuses_a_name_that_was_moved_to_another_key) {
    ask({.alt_names = {"n"}});
    vault.answer({key_of(1, {"n"})});
    now += 1h;
    const auto result = ask({.alt_names = {"n"}});
    vault.answer({key_of(1), key_of(2, {"n"})});
    EXPECT_EQ(named(*result, "n"), std::nullopt);
    EXPECT_NE(
        name_error(*result, "n").find("has been given to key 02020202-0202-0202-0202-020202020202 since"),
        std::string::npos)
        << name_error(*result, "n");
    EXPECT_EQ(moved, std::vector<std::string>{"n"});
    EXPECT_EQ(ready(*result, id_of(2)), nullptr) << "the other key is none of ours";
    EXPECT_NE(ready(*result, id_of(1)), nullptr) << "what it encrypted can still be read";
}

TEST_F(BrokerTest, a_worker_that_asks_for_the_key_alone_learns_that_its_name_was_moved) {
    ask({.alt_names = {"n"}});
    vault.answer({key_of(1, {"n"})});
    now += 1h;
    const auto result = ask({.ids = {id_of(1)}});
    EXPECT_EQ(vault.requests.back().alt_names, std::vector<std::string>{"n"});
    vault.answer({key_of(1, {"n"}), key_of(2, {"n"})});
    EXPECT_NE(name_error(*result, "n").find("has been given to"), std::string::npos);
    EXPECT_NE(ready(*result, id_of(1)), nullptr);
}

TEST_F(BrokerTest, accepts_a_moved_name_again_once_it_moved_back) {
    ask({.alt_names = {"n"}});
    vault.answer({key_of(1, {"n"})});
    now += 1h;
    ask({.alt_names = {"n"}});
    vault.answer({key_of(2, {"n"})});
    now += 1s;
    const auto still = ask({.alt_names = {"n"}});
    EXPECT_FALSE(still->has_value()) << "a moved name is looked at again";
    vault.answer({key_of(1), key_of(2, {"n"})});
    EXPECT_NE(name_error(*still, "n").find("has been given to"), std::string::npos);
    now += 1s;
    const auto back = ask({.alt_names = {"n"}});
    vault.answer({key_of(1, {"n"})});
    EXPECT_EQ(named(*back, "n"), id_of(1));
    EXPECT_EQ(moved.size(), 1u);
}

TEST_F(BrokerTest, an_unreadable_vault_does_not_take_away_a_key_that_is_still_good) {
    ask({.alt_names = {"n"}});
    vault.answer({key_of(1, {"n"})});
    const auto result = ask({.alt_names = {"n", "other"}});
    vault.answer(KeyVault::Found{{}, "down"});
    EXPECT_EQ(named(*result, "n"), id_of(1));
    EXPECT_NE(ready(*result, id_of(1)), nullptr);
    EXPECT_NE(name_error(*result, "other").find("down"), std::string::npos);
}

TEST_F(BrokerTest, splits_a_request_above_the_limit_of_a_query) {
    KeyRequest request;
    for (std::size_t i = 0; i <= Broker::query_keys_max; ++i)
        request.alt_names.push_back("n" + std::to_string(i));
    const auto result = ask(request);
    EXPECT_EQ(vault.requests[0].alt_names.size(), Broker::query_keys_max);
    vault.answer(std::vector<KeyDocument>{});
    EXPECT_FALSE(result->has_value());
    ASSERT_EQ(vault.requests.size(), 2u);
    EXPECT_EQ(vault.requests[1].alt_names.size(), 1u);
    vault.answer(std::vector<KeyDocument>{});
    ASSERT_TRUE(result->has_value());
    EXPECT_EQ((*result)->alt_names.size(), Broker::query_keys_max + 1);
}

TEST_F(BrokerTest, may_be_asked_again_from_its_answer) {
    std::optional<KeyResult> second;
    broker.request({.ids = {id_of(1)}}, [&](KeyResult) {
        broker.request({.ids = {id_of(2)}}, [&](KeyResult result) { second = std::move(result); });
    });
    vault.answer({key_of(1)});
    vault.answer({key_of(2)});
    EXPECT_NE(ready(second, id_of(2)), nullptr);
}

}  // namespace
}  // namespace fieldgate::keys
