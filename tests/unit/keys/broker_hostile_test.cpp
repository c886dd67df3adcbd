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

}  // namespace
}  // namespace fieldgate::keys
