#include "proxy/keys/key_ring.hpp"

#include <gtest/gtest.h>

#include <array>

#include "tests/unit/keys/support.hpp"

namespace fieldgate::keys {
namespace {

using testing::id_of;
using testing::secret_of;
using namespace std::chrono_literals;

const Clock::time_point start = Clock::time_point(1000s);

KeyResult ready(std::uint8_t fill, Clock::time_point expires) {
    KeyResult result;
    result.ids.emplace_back(id_of(fill),
                            ReadyKey{std::make_shared<const crypto::DataKey>(secret_of(fill)), expires});
    return result;
}

TEST(KeyRing, knows_nothing_at_first) {
    crypto::SystemRandom random;
    KeyRing ring(random);
    const auto found = ring.find(id_of(1), start);
    EXPECT_EQ(found.cipher, nullptr);
    EXPECT_EQ(found.error, nullptr);
    const auto named = ring.find_name("n", start);
    EXPECT_EQ(named.id, nullptr);
    EXPECT_EQ(named.error, nullptr);
}

TEST(KeyRing, prepares_the_key_it_was_given) {
    crypto::SystemRandom random;
    KeyRing ring(random);
    ring.put(ready(1, start + 60s));
    ring.put(ready(2, start + 60s));
    crypto::FieldCipher* cipher = ring.find(id_of(1), start).cipher;
    ASSERT_NE(cipher, nullptr);

    const std::array<std::uint8_t, 4> plaintext{1, 2, 3, 4};
    std::array<std::uint8_t, crypto::blob_bytes(4)> blob{};
    ASSERT_FALSE(cipher->seal(crypto::Algorithm::random, id_of(1), 0x10, plaintext, blob));
    EXPECT_FALSE(ring.find(id_of(1), start).cipher->verify(blob));
    EXPECT_TRUE(ring.find(id_of(2), start).cipher->verify(blob)) << "another key must not authenticate it";
}

TEST(KeyRing, forgets_errors_when_there_are_too_many_and_never_those_it_was_just_given) {
    crypto::SystemRandom random;
    KeyRing ring(random);
    ring.put(ready(1, start + 60s));
    KeyResult flood;
    for (std::size_t i = 0; i < KeyRing::failures_max; ++i)
        flood.alt_names.emplace_back(std::to_string(i), FailedKey{{key_error_code, "none"}, start + 1s});
    ring.put(flood);
    EXPECT_NE(ring.find_name("0", start).error, nullptr);
    KeyResult more;
    more.alt_names.emplace_back("more", FailedKey{{key_error_code, "none"}, start + 1s});
    more.alt_names.emplace_back("resolved", id_of(1));
    ring.put(more);
    EXPECT_NE(ring.find_name("0", start).error, nullptr);
    ring.put(more);
    EXPECT_EQ(ring.find_name("0", start).error, nullptr);
    EXPECT_NE(ring.find_name("more", start).error, nullptr);
    EXPECT_NE(ring.find_name("resolved", start).id, nullptr);
    EXPECT_NE(ring.find(id_of(1), start).cipher, nullptr);
}

TEST(KeyRing, forgets_a_key_when_it_expires_although_it_was_used) {
    crypto::SystemRandom random;
    KeyRing ring(random);
    ring.put(ready(1, start + 60s));
    EXPECT_NE(ring.find(id_of(1), start + 60s - 1ns).cipher, nullptr);
    EXPECT_EQ(ring.find(id_of(1), start + 60s).cipher, nullptr);
    ring.expire(start + 60s);
    EXPECT_EQ(ring.find(id_of(1), start).cipher, nullptr) << "expire() must have erased it";
}

TEST(KeyRing, prepares_a_key_once_however_many_sessions_bring_it) {
    crypto::SystemRandom random;
    KeyRing ring(random);
    ring.put(ready(1, start + 60s));
    const crypto::FieldCipher* cipher = ring.find(id_of(1), start).cipher;
    ring.put(ready(1, start + 60s));
    EXPECT_EQ(ring.find(id_of(1), start).cipher, cipher);
    ring.put(ready(1, start + 59s));
    EXPECT_EQ(ring.find(id_of(1), start).cipher, cipher) << "an answer from before";
    ring.put(ready(1, start + 61s));
    EXPECT_NE(ring.find(id_of(1), start + 60s).cipher, nullptr);
}

TEST(KeyRing, keeps_what_has_not_expired_when_it_erases) {
    crypto::SystemRandom random;
    KeyRing ring(random);
    ring.put(ready(1, start + 60s));
    ring.expire(start + 59s);
    EXPECT_NE(ring.find(id_of(1), start + 59s).cipher, nullptr);
}

TEST(KeyRing, tells_why_a_key_failed_until_the_failure_expires) {
    crypto::SystemRandom random;
    KeyRing ring(random);
    KeyResult result;
    result.ids.emplace_back(id_of(1), FailedKey{{96, "gone"}, start + 1s});
    result.alt_names.emplace_back("n", FailedKey{{96, "no name"}, start + 1s});
    ring.put(result);
    ASSERT_NE(ring.find(id_of(1), start).error, nullptr);
    EXPECT_EQ(ring.find(id_of(1), start).error->errmsg, "gone");
    ASSERT_NE(ring.find_name("n", start).error, nullptr);
    EXPECT_EQ(ring.find_name("n", start).error->errmsg, "no name");
    EXPECT_EQ(ring.find(id_of(1), start + 1s).error, nullptr);
    EXPECT_EQ(ring.find_name("n", start + 1s).error, nullptr);
    EXPECT_EQ(ring.find_name("n", start + 1s).id, nullptr);
}

TEST(KeyRing, keeps_resolved_names_until_it_is_told_that_they_moved) {
    crypto::SystemRandom random;
    KeyRing ring(random);
    KeyResult result;
    result.alt_names.emplace_back("n", id_of(3));
    ring.put(result);
    ring.expire(start + 1h);
    ASSERT_NE(ring.find_name("n", start + 1h).id, nullptr);
    EXPECT_EQ(*ring.find_name("n", start + 1h).id, id_of(3));

    KeyResult moved;
    moved.alt_names.emplace_back("n", FailedKey{{96, "moved"}, start + 2h});
    ring.put(moved);
    EXPECT_EQ(ring.find_name("n", start + 1h).id, nullptr);
    EXPECT_NE(ring.find_name("n", start + 1h).error, nullptr);
}

TEST(KeyRing, replaces_a_failure_by_the_key) {
    crypto::SystemRandom random;
    KeyRing ring(random);
    KeyResult result;
    result.ids.emplace_back(id_of(1), FailedKey{{96, "gone"}, start + 60s});
    ring.put(result);
    ring.put(ready(1, start + 60s));
    EXPECT_EQ(ring.find(id_of(1), start).error, nullptr);
    EXPECT_NE(ring.find(id_of(1), start).cipher, nullptr);
}

}  // namespace
}  // namespace fieldgate::keys
