#include "tests/unit/keys/broker_fixture.hpp"

// Whoever writes the key vault, or is the key manager, plays tricks.
namespace fieldgate::keys {
namespace {

using namespace std::chrono_literals;
using testing::BrokerTest;
using testing::id_of;
using testing::key_of;
using testing::secret_of;

// A data key stays with its UUID.

struct ChangedKeyTest : BrokerTest {
    static constexpr const char* refusal =
        "key 01010101-0101-0101-0101-010101010101: KMS provider `local` unwraps another data key from its "
        "document than it did first; if that is meant, restart fieldgate to accept it";
    void use(const KeyDocument& key) {
        const auto result = ask({.ids = {id_of(1)}});
        vault.answer({key});
        ASSERT_NE(ready(*result, id_of(1)), nullptr);
    }
};

TEST_F(ChangedKeyTest, another_data_key_under_an_old_uuid_is_refused_when_it_is_refetched) {
    use(key_of(1));
    pass(8s);
    vault.answer({key_of(1, {}, 8)});
    EXPECT_EQ(error(*ask({.ids = {id_of(1)}}), id_of(1)), refusal);
    EXPECT_EQ(broker.cached_count(), 0u);
    EXPECT_EQ(broker.counts().keys_changed, 1u);
    EXPECT_EQ(failures, std::vector<std::string>{refusal});
}

TEST_F(ChangedKeyTest, also_long_after_it_left_the_cache) {
    use(key_of(1));
    pass(8s);
    vault.answer({key_of(1)});
    pass(300s);
    ASSERT_EQ(broker.cached_count(), 0u);
    const auto result = ask({.ids = {id_of(1)}});
    vault.answer({key_of(1, {}, 8)});
    EXPECT_EQ(error(*result, id_of(1)), refusal);
}

TEST_F(ChangedKeyTest, the_key_material_of_another_document_is_refused) {
    const auto both = ask({.ids = {id_of(1), id_of(2)}});
    KeyDocument first = key_of(1, {}, 7);
    KeyDocument second = key_of(2, {}, 8);
    vault.answer({first, second});
    ASSERT_NE(ready(*both, id_of(2)), nullptr);
    now += 60s;
    broker.tick();
    std::swap(first.wrapped, second.wrapped);
    const auto result = ask({.ids = {id_of(1), id_of(2)}});
    vault.answer({first, second});
    EXPECT_EQ(error(*result, id_of(1)), refusal);
    EXPECT_EQ(ready(*result, id_of(2)), nullptr);
}

TEST_F(ChangedKeyTest, a_rewrapped_key_is_the_same_key) {
    use(key_of(1));
    pass(8s);
    KeyDocument elsewhere = aws_key_of(1, {}, 7);  // by another provider: 96 times 7 as before
    vault.answer({elsewhere});
    transport.answer(200);
    EXPECT_NE(ready(*ask({.ids = {id_of(1)}}), id_of(1)), nullptr);
    EXPECT_EQ(broker.counts().keys_changed, 0u);
}

TEST_F(ChangedKeyTest, the_first_one_is_taken_again) {
    use(key_of(1));
    pass(8s);
    vault.answer({key_of(1, {}, 8)});
    now += 1s;
    use(key_of(1));
}

TEST_F(ChangedKeyTest, a_key_that_could_not_be_unwrapped_pins_nothing) {
    ask({.ids = {id_of(1)}});
    vault.answer({key_of(1, {}, 8, 2)});
    now += 1s;
    use(key_of(1));
}

// A key manager that never answers.

TEST_F(BrokerTest, one_that_hangs_does_not_keep_the_keys_of_others_from_being_refetched) {
    KeyRequest request;
    std::vector<KeyDocument> keys;
    for (std::uint8_t i = 1; i <= 2 * Broker::refreshes_max; ++i) {
        request.ids.push_back(id_of(i));
        keys.push_back(aws_key_of(i));
        keys.back().provider = "aws:other";
    }
    request.ids.push_back(id_of(250));
    keys.push_back(aws_key_of(250));
    ask(request);
    vault.answer(keys);
    while (!transport.pending.empty()) transport.answer(200);
    transport.log.clear();
    pass(8s);
    vault.answer(keys);  // those of the one are more than may be refetched at a time, and come first
    EXPECT_EQ(vault.requests.back().ids.size(), Broker::refreshes_max + 1);
    EXPECT_NE(std::ranges::find(transport.log, "aws unwrap 7"), transport.log.end());
    pass(5s);
    EXPECT_FALSE(vault.busy()) << "the one has its share";
}

// Clients who name keys that do not exist.

TEST_F(BrokerTest, names_are_looked_for_in_the_order_in_which_they_came) {
    ask({.alt_names = {"first"}});
    KeyRequest flood;
    for (std::size_t i = 0; i < Broker::query_keys_max; ++i)
        flood.alt_names.push_back("b" + std::to_string(i));
    ask(flood);
    const auto bystander = ask({.alt_names = {"z"}});
    for (char letter = 'a'; letter < 'c'; ++letter) {
        // The next flood comes before the last one is answered, and its names stand first in the alphabet.
        for (std::string& name : flood.alt_names) name[0] = letter;
        ask(flood);
        vault.answer(std::vector<KeyDocument>{});
    }
    vault.answer(std::vector<KeyDocument>{});
    EXPECT_TRUE(bystander->has_value());
}

TEST_F(BrokerTest, ids_and_names_do_not_wait_for_each_others_end) {
    ask({.alt_names = {"first"}});
    KeyRequest flood;
    for (int i = 0; i < 2000; ++i) {
        crypto::KeyId id = id_of(1);
        id.bytes[0] = static_cast<std::uint8_t>(i / 256);
        id.bytes[1] = static_cast<std::uint8_t>(i % 256);
        flood.ids.push_back(id);
        flood.alt_names.push_back("n" + std::to_string(i));
    }
    ask(flood);
    vault.answer(std::vector<KeyDocument>{});
    EXPECT_EQ(vault.requests.back().ids.size(), Broker::query_keys_max / 2);
    EXPECT_EQ(vault.requests.back().alt_names.size(), Broker::query_keys_max / 2);
}

TEST_F(BrokerTest, tells_a_bounded_number_of_failures_and_how_many_there_were_besides) {
    KeyRequest flood;
    for (std::size_t i = 0; i < Broker::failures_told_max; ++i) flood.alt_names.push_back(std::to_string(i));
    ask(flood);
    vault.answer(std::vector<KeyDocument>{});
    EXPECT_EQ(failures.size(), Broker::failures_told_max);
    now += 1s;
    broker.tick();
    EXPECT_TRUE(untold.empty());
    flood.alt_names.push_back("one more");
    ask(flood);
    vault.answer(std::vector<KeyDocument>{});
    EXPECT_EQ(failures.size(), 2 * Broker::failures_told_max);
    EXPECT_TRUE(untold.empty());
    now += 1s;
    broker.tick();
    EXPECT_EQ(untold, std::vector<std::uint64_t>{1});
    EXPECT_EQ(broker.counts().failures, 2 * Broker::failures_told_max + 1) << "all are counted";
}

TEST_F(BrokerTest, remembers_a_bounded_number_of_failures) {
    KeyRequest flood;
    for (std::size_t i = 0; i < Broker::failures_kept_max; ++i) flood.alt_names.push_back(std::to_string(i));
    const auto answer = [&] {
        while (vault.busy()) vault.answer(std::vector<KeyDocument>{});
    };
    ask(flood);
    answer();
    EXPECT_TRUE(ask({.alt_names = {"1"}})->has_value()) << "remembered";
    const auto result = ask({.alt_names = {"one more"}});
    answer();
    EXPECT_TRUE(result->has_value());
    EXPECT_FALSE(ask({.alt_names = {"1"}})->has_value()) << "forgotten";
}

TEST_F(BrokerTest, a_request_for_more_than_is_remembered_is_answered_whole) {
    KeyRequest flood;
    for (std::size_t i = 0; i < 2 * Broker::failures_kept_max; ++i)
        flood.alt_names.push_back(std::to_string(i));
    const auto result = ask(flood);
    while (vault.busy()) vault.answer(std::vector<KeyDocument>{});
    ASSERT_TRUE(result->has_value());
    EXPECT_EQ((*result)->alt_names.size(), flood.alt_names.size());
}

}  // namespace
}  // namespace fieldgate::keys
