#include "crypto/key_wrap.hpp"

#include "crypto/aead.hpp"
#include "tests/unit/crypto/fixed_random.hpp"
#include "tests/unit/crypto/test_bytes.hpp"

#include <gtest/gtest.h>

namespace fieldgate::crypto {
namespace {

const MasterKey& master_key() {
    static const MasterKey key = key_from(key_pattern(100));
    return key;
}

// A wrapped "key" of any size, made with the right master key.
Bytes wrap_bytes(const Bytes& bytes) {
    auto aead = Aead::make(master_key()).value();
    const Bytes iv(iv_bytes, 5);
    Bytes wrapped(sealed_bytes(bytes.size()));
    EXPECT_FALSE(aead.seal(Aead::Iv(iv.data(), iv_bytes), bytes, wrapped, 0));
    return wrapped;
}

TEST(KeyWrap, unwraps_what_it_wrapped) {
    FixedRandom random;
    const WrappedKey wrapped = wrap_key(test_key(), master_key(), random).value();
    EXPECT_EQ(wrapped.size(), 160u);
    EXPECT_TRUE(unwrap_key(wrapped, master_key()).value() == test_key());
}

TEST(KeyWrap, does_not_show_the_key_and_uses_a_fresh_iv) {
    FixedRandom random(200);  // apart from the bytes of the key, which count up from 7
    const Bytes key = key_pattern(7);
    const WrappedKey first = wrap_key(test_key(), master_key(), random).value();
    const WrappedKey second = wrap_key(test_key(), master_key(), random).value();
    EXPECT_NE(first, second);
    for (std::size_t at = 0; at + 8 <= key.size(); at += 8) {
        const auto begin = key.begin() + static_cast<std::ptrdiff_t>(at);
        EXPECT_EQ(std::search(first.begin(), first.end(), begin, begin + 8), first.end());
    }
}

TEST(KeyWrap, refuses_another_master_key) {
    FixedRandom random;
    const WrappedKey wrapped = wrap_key(test_key(), master_key(), random).value();
    EXPECT_EQ(unwrap_key(wrapped, other_key()).error(), Errc::authentication_failed);
}

TEST(KeyWrap, refuses_every_flipped_bit) {
    FixedRandom random;
    WrappedKey wrapped = wrap_key(test_key(), master_key(), random).value();
    for (std::size_t bit = 0; bit < wrapped.size() * 8; ++bit) {
        wrapped[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
        const auto key = unwrap_key(wrapped, master_key());
        ASSERT_FALSE(key) << bit;
        EXPECT_EQ(key.error(), Errc::authentication_failed) << bit;
        wrapped[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
    }
    EXPECT_TRUE(unwrap_key(wrapped, master_key()));
}

TEST(KeyWrap, refuses_every_other_length_before_looking_at_the_bytes) {
    const Bytes wrapped(400);
    for (std::size_t size_bytes = 0; size_bytes <= wrapped.size(); ++size_bytes) {
        if (size_bytes == wrapped_key_bytes) continue;
        EXPECT_EQ(unwrap_key(std::span(wrapped).first(size_bytes), master_key()).error(),
                  Errc::wrapped_key_length)
            << size_bytes;
    }
}

// 96 to 111 bytes wrap into 160: authentic, of the right length, and still not a data key.
TEST(KeyWrap, refuses_authentic_contents_of_another_length) {
    for (std::size_t size_bytes = 96; size_bytes < 112; ++size_bytes) {
        const Bytes wrapped = wrap_bytes(Bytes(size_bytes, 1));
        ASSERT_EQ(wrapped.size(), wrapped_key_bytes);
        const auto key = unwrap_key(wrapped, master_key());
        ASSERT_EQ(key.has_value(), size_bytes == key_bytes) << size_bytes;
        if (!key) {
            EXPECT_EQ(key.error(), Errc::data_key_length);
        }
    }
}

TEST(KeyWrap, fails_without_random_bytes) {
    FixedRandom random;
    random.fail_from_now_on();
    EXPECT_EQ(wrap_key(test_key(), master_key(), random).error(), Errc::random_failed);
}

TEST(KeyWrap, errors_are_named_as_operators_know_them) {
    EXPECT_EQ(make_error_code(Errc::wrapped_key_length).message().find("wrapped key of the wrong length"),
              0u);
    EXPECT_EQ(make_error_code(Errc::data_key_length).message().find("decrypted key is incorrect length"), 0u);
    EXPECT_EQ(make_error_code(Errc::authentication_failed).message().find("HMAC validation failure"), 0u);
}

}  // namespace
}  // namespace fieldgate::crypto
