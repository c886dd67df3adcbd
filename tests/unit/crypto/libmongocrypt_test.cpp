#include "tests/unit/crypto/libmongocrypt.hpp"

#include "crypto/field_cipher.hpp"
#include "crypto/key_wrap.hpp"
#include "tests/unit/crypto/samples.hpp"
#include "tests/unit/crypto/test_bytes.hpp"

#include <gtest/gtest.h>

#include <set>

// Ours and MongoDB's own library, in both directions: what one seals the other opens, and the deterministic
// form is the same byte for byte. The data key reaches libmongocrypt wrapped by our key_wrap, in a key vault
// document.
namespace fieldgate::crypto {
namespace {

class BothLibraries : public testing::Test {
 protected:
    Bytes master_key = key_pattern(50);
    SystemRandom random;
    WrappedKey wrapped = wrap_key(test_key(), key_from(master_key), random).value();
    Libmongocrypt theirs{master_key, key_document(test_key_id(), wrapped)};
    std::unique_ptr<FieldCipher> ours = FieldCipher::make(test_key(), random).value();

    Bytes our_blob(Algorithm algorithm, const Sample& sample) {
        const Bytes value = sample.value();
        Bytes blob(blob_bytes(value.size()));
        const error_code ec = ours->seal(algorithm, test_key_id(), sample.bson_type, value, blob);
        EXPECT_FALSE(ec) << ec.message();
        return blob;
    }

    void expect_agreement(Algorithm algorithm, const Sample& sample) {
        SCOPED_TRACE(sample.name);
        const Bytes mine = our_blob(algorithm, sample);
        const Bytes other = ciphertext_of(theirs.encrypt(algorithm, test_key_id(), sample.document));
        if (algorithm == Algorithm::deterministic) {
            EXPECT_EQ(mine, other);
        }
        EXPECT_EQ(mine.size(), other.size());

        EXPECT_EQ(theirs.decrypt(ciphertext_document(mine)), sample.document);

        const auto view = CiphertextView::parse(other);
        ASSERT_TRUE(view);
        EXPECT_EQ(view->algorithm, algorithm);
        EXPECT_EQ(view->key_id, test_key_id());
        Bytes opened(opened_bytes_max(other.size()));
        const auto opened_bytes = ours->open(other, opened);
        ASSERT_TRUE(opened_bytes) << opened_bytes.error().message();
        opened.resize(*opened_bytes);
        EXPECT_EQ(document_of(view->bson_type, opened), sample.document);
    }
};

TEST_F(BothLibraries, agree_on_every_type_encrypted_randomly) {
    for (const Sample& sample : samples()) expect_agreement(Algorithm::random, sample);
}

TEST_F(BothLibraries, agree_on_every_type_encrypted_deterministically) {
    for (const Sample& sample : samples()) {
        if (sample.deterministic) expect_agreement(Algorithm::deterministic, sample);
    }
}

// That the samples cover the matrix is part of the claim: every type byte of it occurs.
TEST_F(BothLibraries, are_compared_on_all_types_of_the_matrix) {
    std::set<int> random_types;
    std::set<int> deterministic_types;
    for (const Sample& sample : samples()) {
        random_types.insert(sample.bson_type);
        if (sample.deterministic) deterministic_types.insert(sample.bson_type);
    }
    EXPECT_EQ(random_types, (std::set<int>{0x01, 0x02, 0x03, 0x04, 0x05, 0x07, 0x08, 0x09, 0x0B, 0x0C, 0x0D,
                                           0x0E, 0x0F, 0x10, 0x11, 0x12, 0x13}));
    EXPECT_EQ(deterministic_types,
              (std::set<int>{0x02, 0x05, 0x07, 0x09, 0x0B, 0x0C, 0x0D, 0x0E, 0x10, 0x11, 0x12}));
}

TEST_F(BothLibraries, agree_that_the_other_types_are_random_only) {
    for (const Sample& sample : samples()) {
        if (sample.deterministic) continue;
        SCOPED_TRACE(sample.name);
        EXPECT_THROW(theirs.encrypt(Algorithm::deterministic, test_key_id(), sample.document),
                     LibmongocryptError);
    }
}

TEST_F(BothLibraries, agree_on_every_length_up_to_1024) {
    for (std::size_t size_bytes = 1; size_bytes <= 1024; ++size_bytes) {
        const Sample sample = sample_of_size(size_bytes);
        ASSERT_EQ(sample.value().size(), size_bytes);
        expect_agreement(Algorithm::random, sample);
        if (sample.deterministic) expect_agreement(Algorithm::deterministic, sample);
    }
}

TEST_F(BothLibraries, agree_on_a_megabyte) {
    const Sample sample = sample_of_size(1 << 20);
    expect_agreement(Algorithm::random, sample);
    expect_agreement(Algorithm::deterministic, sample);
}

TEST_F(BothLibraries, agree_on_refusing_a_changed_ciphertext_and_a_swapped_type) {
    const Bytes blob = our_blob(Algorithm::deterministic, sample_of_size(20));
    for (const std::size_t changed : {17u, 18u, 34u, 97u}) {
        Bytes broken = blob;
        broken[changed] ^= 0x40;
        EXPECT_THROW(theirs.decrypt(ciphertext_document(broken)), LibmongocryptError) << changed;
        EXPECT_EQ(ours->verify(broken), Errc::authentication_failed) << changed;
    }
}

TEST_F(BothLibraries, theirs_refuses_a_key_wrapped_for_another_master_key) {
    Libmongocrypt stranger(key_pattern(51), key_document(test_key_id(), wrapped));
    EXPECT_THROW(stranger.encrypt(Algorithm::random, test_key_id(), sample_of_size(9).document),
                 LibmongocryptError);
}

}  // namespace
}  // namespace fieldgate::crypto
