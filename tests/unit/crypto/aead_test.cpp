#include "crypto/aead.hpp"

#include "tests/unit/crypto/samples.hpp"
#include "tests/unit/crypto/test_bytes.hpp"

#include <gtest/gtest.h>

namespace fieldgate::crypto {
namespace {

struct PublishedVector {
    DataKey key;
    Bytes plaintext;
    Bytes iv;
    Bytes associated_data;
    Bytes sealed;  // IV, blocks, tag

    Aead::Iv iv_view() const { return Aead::Iv(iv.data(), iv_bytes); }
};

PublishedVector published_vector() {
    const auto fields = read_vector(FIELDGATE_SOURCE_DIR "/tests/vectors/aead-aes-256-cbc-hmac-sha-512.json");
    const Bytes mac_key = from_hex(fields.at("mac_key_hex"));
    const Bytes encryption_key = from_hex(fields.at("encryption_key_hex"));
    const Bytes no_iv_key(32);
    const Bytes iv = from_hex(fields.at("iv_hex"));
    return {key_from(concat({mac_key, encryption_key, no_iv_key})), from_text(fields.at("plaintext")), iv,
            from_text(fields.at("associated_data")),
            concat({iv, from_hex(fields.at("cipher_blocks_hex")), from_hex(fields.at("tag_hex"))})};
}

TEST(Aead, seals_the_published_vector) {
    const PublishedVector vector = published_vector();
    auto aead = Aead::make(vector.key).value();
    Bytes message = vector.associated_data;
    message.resize(message.size() + sealed_bytes(vector.plaintext.size()));
    ASSERT_FALSE(aead.seal(vector.iv_view(), vector.plaintext, message, vector.associated_data.size()));
    EXPECT_EQ(message, concat({vector.associated_data, vector.sealed}));
}

TEST(Aead, opens_the_published_vector) {
    const PublishedVector vector = published_vector();
    auto aead = Aead::make(vector.key).value();
    const Bytes message = concat({vector.associated_data, vector.sealed});
    Bytes out(message.size());
    const auto opened_bytes = aead.open(message, vector.associated_data.size(), out);
    ASSERT_TRUE(opened_bytes);
    out.resize(*opened_bytes);
    EXPECT_EQ(out, vector.plaintext);
}

TEST(Aead, refuses_the_published_vector_with_any_bit_of_it_flipped) {
    const PublishedVector vector = published_vector();
    auto aead = Aead::make(vector.key).value();
    Bytes message = concat({vector.associated_data, vector.sealed});
    Bytes out(message.size());
    for (std::size_t bit = 0; bit < message.size() * 8; ++bit) {
        message[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
        const auto opened_bytes = aead.open(message, vector.associated_data.size(), out);
        ASSERT_FALSE(opened_bytes) << "bit " << bit;
        EXPECT_EQ(opened_bytes.error(), Errc::authentication_failed);
        message[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
    }
    EXPECT_TRUE(all_zero(out));
    EXPECT_TRUE(aead.open(message, vector.associated_data.size(), out));
}

// The length of the associated data is authenticated: the same bytes cut elsewhere are another message.
TEST(Aead, does_not_confuse_associated_data_with_what_follows) {
    const PublishedVector vector = published_vector();
    auto aead = Aead::make(vector.key).value();
    const Bytes message = concat({vector.associated_data, vector.sealed});
    Bytes out(message.size());
    const std::size_t moved_bytes = vector.associated_data.size() + block_bytes;
    EXPECT_EQ(aead.open(message, moved_bytes, out).error(), Errc::authentication_failed);
}

TEST(Aead, refuses_sizes_that_cannot_be_sealed) {
    auto aead = Aead::make(test_key()).value();
    const Bytes message(200);
    Bytes out(200);
    for (std::size_t size_bytes = 0; size_bytes < message.size(); ++size_bytes) {
        if (size_bytes >= 64 && size_bytes % 16 == 0) continue;
        EXPECT_EQ(aead.open(std::span(message).first(size_bytes), 0, out).error(), Errc::malformed)
            << size_bytes;
    }
    EXPECT_EQ(aead.verify(std::span(message).first(64), 65), Errc::malformed);
    EXPECT_EQ(aead.verify(std::span(message).first(64), 0), Errc::authentication_failed);
}

TEST(Aead, does_not_derive_an_iv_for_what_it_would_not_seal) {
    auto aead = Aead::make(test_key()).value();
    Bytes iv(iv_bytes);
    const std::span<std::uint8_t, iv_bytes> room(iv.data(), iv_bytes);
    EXPECT_EQ(aead.derive_iv(from_text("head"), {}, room), Errc::empty_plaintext);
    EXPECT_TRUE(all_zero(iv));
}

}  // namespace
}  // namespace fieldgate::crypto
