#include "crypto/field_cipher.hpp"

#include "tests/unit/crypto/fixed_random.hpp"
#include "tests/unit/crypto/reference.hpp"
#include "tests/unit/crypto/samples.hpp"
#include "tests/unit/crypto/test_bytes.hpp"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <atomic>
#include <thread>

namespace fieldgate::crypto {
namespace {

constexpr Algorithm both_algorithms[] = {Algorithm::deterministic, Algorithm::random};
constexpr std::uint8_t string_type = 0x02;

Bytes from_base64(const std::string& text) {
    Bytes bytes(text.size());
    const int size_bytes = EVP_DecodeBlock(bytes.data(), reinterpret_cast<const unsigned char*>(text.data()),
                                           static_cast<int>(text.size()));
    bytes.resize(static_cast<std::size_t>(size_bytes) -
                 static_cast<std::size_t>(std::ranges::count(text, '=')));
    return bytes;
}

class FieldCipherTest : public testing::Test {
 protected:
    FixedRandom random;
    std::unique_ptr<FieldCipher> cipher = FieldCipher::make(test_key(), random).value();

    Bytes seal(Algorithm algorithm, const Bytes& plaintext, std::uint8_t bson_type = string_type) {
        Bytes blob(blob_bytes(plaintext.size()));
        const error_code ec = cipher->seal(algorithm, test_key_id(), bson_type, plaintext, blob);
        EXPECT_FALSE(ec) << ec.message();
        return blob;
    }

    // The plaintext, or the error in the form of an empty one.
    Bytes open(const Bytes& blob) {
        Bytes out(opened_bytes_max(blob.size()));
        const auto opened_bytes = cipher->open(blob, out);
        out.resize(opened_bytes ? *opened_bytes : 0);
        return out;
    }

    // What open() says to a blob it must refuse; also that verify() agrees and that nothing was let out.
    error_code refusal(const Bytes& blob) {
        Bytes out(blob.size() + 1);
        const auto opened_bytes = cipher->open(blob, out);
        EXPECT_FALSE(opened_bytes);
        EXPECT_TRUE(all_zero(out));
        const error_code ec = opened_bytes ? error_code() : opened_bytes.error();
        EXPECT_EQ(cipher->verify(blob), ec);
        return ec;
    }
};

TEST_F(FieldCipherTest, gives_the_expected_value_of_the_specification) {
    const auto fields = read_vector(FIELDGATE_SOURCE_DIR "/tests/vectors/worked-example.json");
    cipher = FieldCipher::make(key_from(from_base64(fields.at("customKeyMaterial_b64"))), random).value();
    KeyId key_id;
    std::ranges::copy(from_base64(fields.at("keyId_b64")), key_id.bytes.begin());
    const auto bson_type = static_cast<std::uint8_t>(std::stoi(fields.at("bsonType")));
    const Bytes plaintext = from_hex(fields.at("plaintext_hex"));
    const Bytes expected = from_base64(fields.at("blob_b64"));

    Bytes blob(blob_bytes(plaintext.size()));
    ASSERT_FALSE(cipher->seal(Algorithm::deterministic, key_id, bson_type, plaintext, blob));
    EXPECT_EQ(blob, expected);
    EXPECT_EQ(Bytes(blob.begin(), blob.begin() + 18), from_hex(fields.at("aad_hex")));
    EXPECT_EQ(Bytes(blob.begin() + 18, blob.begin() + 34), from_hex(fields.at("iv_hex")));
    EXPECT_EQ(open(expected), plaintext);
}

// Goal: no length is special, neither here nor in how padding and blocks meet. Method: every length up to
// 1,024 against the second implementation in reference.cpp, and back.
TEST_F(FieldCipherTest, agrees_with_the_reference_for_every_length) {
    const Bytes key = key_pattern(7);
    for (const Algorithm algorithm : both_algorithms) {
        for (std::size_t size_bytes = 1; size_bytes <= 1024; ++size_bytes) {
            SCOPED_TRACE(size_bytes);
            const Bytes plaintext = plaintext_of(size_bytes);
            const Bytes blob = seal(algorithm, plaintext);
            const auto head = std::span(blob).first(18);
            const auto iv = std::span(blob).subspan(18, 16);
            if (algorithm == Algorithm::deterministic) {
                ASSERT_TRUE(std::ranges::equal(iv, reference_iv(key, head, plaintext)));
            }
            ASSERT_EQ(blob, reference_blob(key, head, iv, pad(plaintext)));
            ASSERT_EQ(open(blob), plaintext);
            ASSERT_FALSE(cipher->verify(blob));
        }
    }
}

TEST_F(FieldCipherTest, seals_and_opens_a_megabyte) {
    const Bytes plaintext = plaintext_of(1 << 20);
    for (const Algorithm algorithm : both_algorithms)
        EXPECT_TRUE(open(seal(algorithm, plaintext)) == plaintext);
}

TEST_F(FieldCipherTest, refuses_a_plaintext_of_no_bytes) {
    for (const Algorithm algorithm : both_algorithms) {
        Bytes blob(blob_bytes(0), 0xEE);
        EXPECT_EQ(cipher->seal(algorithm, test_key_id(), string_type, {}, blob), Errc::empty_plaintext);
        EXPECT_TRUE(all_zero(blob));
    }
}

TEST_F(FieldCipherTest, refuses_a_plaintext_larger_than_any_message) {
    const Bytes plaintext(plaintext_bytes_max + 1);
    Bytes blob(blob_bytes(plaintext.size()));
    for (const Algorithm algorithm : both_algorithms) {
        EXPECT_EQ(cipher->seal(algorithm, test_key_id(), string_type, plaintext, blob),
                  Errc::plaintext_too_large);
        EXPECT_EQ(blob[0], 0);
    }
}

TEST_F(FieldCipherTest, random_takes_its_iv_from_the_generator_and_never_twice) {
    const Bytes first = seal(Algorithm::random, from_text("value"));
    const Bytes second = seal(Algorithm::random, from_text("value"));
    for (std::size_t i = 0; i < iv_bytes; ++i) {
        EXPECT_EQ(first[18 + i], i);
        EXPECT_EQ(second[18 + i], 16 + i);
    }
    EXPECT_NE(Bytes(first.begin() + 34, first.end()), Bytes(second.begin() + 34, second.end()));
}

TEST_F(FieldCipherTest, random_without_random_bytes_leaves_nothing_behind) {
    random.fail_from_now_on();
    Bytes blob(blob_bytes(5), 0xEE);
    EXPECT_EQ(cipher->seal(Algorithm::random, test_key_id(), string_type, from_text("value"), blob),
              Errc::random_failed);
    EXPECT_TRUE(all_zero(blob));
}

TEST_F(FieldCipherTest, deterministic_repeats_itself_and_needs_no_generator) {
    random.fail_from_now_on();
    EXPECT_EQ(seal(Algorithm::deterministic, from_text("value")),
              seal(Algorithm::deterministic, from_text("value")));
}

// An IV that ignored type, key id or value would make the server see equalities that are none.
TEST_F(FieldCipherTest, deterministic_iv_depends_on_value_type_and_key_id) {
    const auto iv_of = [](const Bytes& blob) { return Bytes(blob.begin() + 18, blob.begin() + 34); };
    const Bytes base = iv_of(seal(Algorithm::deterministic, from_text("value")));
    EXPECT_NE(base, iv_of(seal(Algorithm::deterministic, from_text("valuE"))));
    EXPECT_NE(base, iv_of(seal(Algorithm::deterministic, from_text("value"), 0x0E)));
    Bytes blob(blob_bytes(5));
    ASSERT_FALSE(cipher->seal(Algorithm::deterministic, KeyId{}, string_type, from_text("value"), blob));
    EXPECT_NE(base, iv_of(blob));
}

TEST_F(FieldCipherTest, refuses_every_single_flipped_bit) {
    for (const Algorithm algorithm : both_algorithms) {
        for (const std::size_t size_bytes : {std::size_t{4}, std::size_t{16}, std::size_t{100}}) {
            Bytes blob = seal(algorithm, plaintext_of(size_bytes));
            for (std::size_t bit = 0; bit < blob.size() * 8; ++bit) {
                SCOPED_TRACE(bit);
                blob[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
                // No kind is one bit away from the other, so a flip in the first byte always shows as another
                // kind.
                EXPECT_EQ(refusal(blob), bit < 8 ? Errc::unsupported_kind : Errc::authentication_failed);
                blob[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
            }
            EXPECT_EQ(open(blob), plaintext_of(size_bytes));
        }
    }
}

TEST_F(FieldCipherTest, refuses_a_swapped_algorithm_type_or_key_id) {
    const Bytes blob = seal(Algorithm::deterministic, from_text("value"));
    Bytes other_algorithm = blob;
    other_algorithm[0] = 2;
    EXPECT_EQ(refusal(other_algorithm), Errc::authentication_failed);
    Bytes other_type = blob;
    other_type[17] = 0x0D;  // a string opened as JavaScript
    EXPECT_EQ(refusal(other_type), Errc::authentication_failed);
    Bytes other_id = blob;
    std::fill_n(other_id.begin() + 1, 16, std::uint8_t{0});
    EXPECT_EQ(refusal(other_id), Errc::authentication_failed);
}

TEST_F(FieldCipherTest, refuses_every_truncation_and_extension) {
    const Bytes blob = seal(Algorithm::random, plaintext_of(40));
    for (std::size_t size_bytes = 0; size_bytes < blob.size(); ++size_bytes) {
        SCOPED_TRACE(size_bytes);
        const bool whole_blocks = size_bytes >= 82 && (size_bytes - 82) % 16 == 0;
        EXPECT_EQ(refusal(Bytes(blob.begin(), blob.begin() + static_cast<std::ptrdiff_t>(size_bytes))),
                  whole_blocks ? Errc::authentication_failed : Errc::malformed);
    }
    Bytes longer = blob;
    for (std::size_t extra = 1; extra <= 32; ++extra) {
        longer.push_back(0);
        EXPECT_EQ(refusal(longer), extra % 16 == 0 ? Errc::authentication_failed : Errc::malformed);
    }
}

TEST_F(FieldCipherTest, refuses_blocks_in_another_order) {
    Bytes blob = seal(Algorithm::random, plaintext_of(60));
    std::swap_ranges(blob.begin() + 34, blob.begin() + 50, blob.begin() + 50);
    EXPECT_EQ(refusal(blob), Errc::authentication_failed);
}

TEST_F(FieldCipherTest, refuses_another_key) {
    const Bytes blob = seal(Algorithm::deterministic, from_text("value"));
    cipher = FieldCipher::make(other_key(), random).value();
    EXPECT_EQ(refusal(blob), Errc::authentication_failed);
}

// One bit in each third of the key: MAC key and encryption key matter when opening, the IV key only when
// sealing.
TEST_F(FieldCipherTest, uses_every_third_of_the_key_for_its_purpose) {
    const Bytes blob = seal(Algorithm::deterministic, from_text("value"));
    const auto with_flipped = [&](std::size_t position) {
        Bytes key = key_pattern(7);
        key[position] ^= 1;
        cipher = FieldCipher::make(key_from(key), random).value();
    };
    with_flipped(0);
    EXPECT_EQ(refusal(blob), Errc::authentication_failed);
    with_flipped(31);
    EXPECT_EQ(refusal(blob), Errc::authentication_failed);
    with_flipped(32);
    EXPECT_NE(open(blob), from_text("value"));
    with_flipped(63);
    EXPECT_NE(open(blob), from_text("value"));
    with_flipped(64);
    EXPECT_EQ(open(blob), from_text("value"));
    EXPECT_NE(seal(Algorithm::deterministic, from_text("value")), blob);
    with_flipped(95);
    EXPECT_EQ(open(blob), from_text("value"));
    EXPECT_NE(seal(Algorithm::deterministic, from_text("value")), blob);
}

// Goal: the padding is checked whole, and its failure cannot be told from that of the tag. Method: blobs that
// authenticate, padded as no honest writer would.
TEST_F(FieldCipherTest, refuses_authentic_blobs_with_wrong_padding) {
    const Bytes head = seal(Algorithm::random, from_text("value"));
    const auto open_padded = [&](const Bytes& padded) {
        Bytes out(padded.size());
        const Bytes blob = reference_blob(key_pattern(7), std::span(head).first(18),
                                          std::span(head).subspan(18, 16), padded);
        EXPECT_FALSE(cipher->verify(blob));  // the tag is right: it is the padding that refuses
        const auto opened_bytes = cipher->open(blob, out);
        if (!opened_bytes) {
            EXPECT_TRUE(all_zero(out));
        }
        return opened_bytes;
    };
    EXPECT_EQ(open_padded(pad(plaintext_of(20))).value(), 20u);

    for (unsigned pad_byte = 0; pad_byte < 256; ++pad_byte) {
        SCOPED_TRACE(pad_byte);
        Bytes padded(32, static_cast<std::uint8_t>(pad_byte));
        const auto opened_bytes = open_padded(padded);
        if (pad_byte >= 1 && pad_byte <= 16) {
            EXPECT_EQ(opened_bytes.value(), 32 - pad_byte);
        } else {
            EXPECT_EQ(opened_bytes.error(), Errc::authentication_failed);
        }
    }
    for (std::size_t wrong = 16; wrong < 31; ++wrong) {
        SCOPED_TRACE(wrong);
        Bytes padded(32, 16);
        padded[wrong] = 15;
        EXPECT_EQ(open_padded(padded).error(), Errc::authentication_failed);
    }
    EXPECT_EQ(open_padded(Bytes(16, 16)).error(), Errc::authentication_failed) << "a value of zero bytes";
}

TEST_F(FieldCipherTest, survives_failures_and_is_not_changed_by_them) {
    const Bytes before = seal(Algorithm::deterministic, from_text("value"));
    Bytes broken = before;
    broken.back() ^= 1;
    EXPECT_EQ(refusal(broken), Errc::authentication_failed);
    EXPECT_EQ(open(before), from_text("value"));
    EXPECT_EQ(seal(Algorithm::deterministic, from_text("value")), before);
}

// Each thread has its own cipher; what they share, the algorithms and the generator, takes no harm (run under
// TSan).
TEST_F(FieldCipherTest, of_one_key_on_many_threads_gives_the_same) {
    const Bytes expected = seal(Algorithm::deterministic, from_text("value"));
    SystemRandom shared;
    std::atomic<int> agreeing = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            const auto mine = FieldCipher::make(test_key(), shared).value();
            Bytes blob(expected.size());
            Bytes opened(expected.size());
            for (int i = 0; i < 200; ++i) {
                const bool sealed = !mine->seal(Algorithm::deterministic, test_key_id(), string_type,
                                                from_text("value"), blob) &&
                                    blob == expected;
                const bool random_opens =
                    !mine->seal(Algorithm::random, test_key_id(), string_type, from_text("value"), blob) &&
                    mine->open(blob, opened).has_value();
                if (sealed && random_opens) ++agreeing;
            }
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(agreeing, 4 * 200);
}

TEST_F(FieldCipherTest, needs_the_key_only_while_it_is_made) {
    {
        const DataKey key = other_key();
        cipher = FieldCipher::make(key, random).value();
    }
    EXPECT_EQ(open(seal(Algorithm::random, from_text("value"))), from_text("value"));
}

TEST_F(FieldCipherTest, opens_into_a_buffer_of_exactly_the_promised_size) {
    for (std::size_t size_bytes = 1; size_bytes <= 33; ++size_bytes) {
        const Bytes blob = seal(Algorithm::random, plaintext_of(size_bytes));
        EXPECT_EQ(opened_bytes_max(blob.size()), size_bytes / 16 * 16 + 16);
        EXPECT_EQ(open(blob), plaintext_of(size_bytes));
    }
    EXPECT_EQ(opened_bytes_max(0), 0u);
    EXPECT_EQ(opened_bytes_max(66), 0u);
}

}  // namespace
}  // namespace fieldgate::crypto
