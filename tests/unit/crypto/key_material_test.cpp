#include "crypto/key_material.hpp"

#include "tests/unit/crypto/fixed_random.hpp"
#include "tests/unit/crypto/test_bytes.hpp"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <set>
#include <string>

namespace fieldgate::crypto {
namespace {

std::string base64(const Bytes& bytes) {
    std::string text(bytes.size() / 3 * 4 + 8, '\0');
    const int size_bytes = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes.data(),
                                           static_cast<int>(bytes.size()));
    text.resize(static_cast<std::size_t>(size_bytes));
    return text;
}

TEST(KeyMaterial, a_data_key_has_96_bytes_and_no_other_number) {
    const Bytes bytes(300, 9);
    for (std::size_t size_bytes = 0; size_bytes <= bytes.size(); ++size_bytes) {
        const auto key = make_data_key(std::span(bytes).first(size_bytes));
        ASSERT_EQ(key.has_value(), size_bytes == 96) << size_bytes;
        if (!key) {
            EXPECT_EQ(key.error(), Errc::data_key_length);
        }
    }
    EXPECT_TRUE(make_data_key(SecretBuffer(key_pattern(7))).value() == test_key());
}

TEST(KeyMaterial, a_master_key_file_is_raw) {
    EXPECT_TRUE(parse_master_key(key_pattern(7)).value() == test_key());
    // Raw bytes that happen to be base64 digits stay raw.
    const Bytes digits(96, 'A');
    EXPECT_TRUE(parse_master_key(digits).value() == key_from(digits));
}

TEST(KeyMaterial, a_master_key_file_is_base64_with_white_space_around_it) {
    // All 64 digits and all positions of them occur in these.
    for (unsigned first = 0; first < 256; ++first) {
        const Bytes key = key_pattern(static_cast<std::uint8_t>(first));
        for (const std::string& text : {base64(key), base64(key) + "\n", "\t " + base64(key) + " \r\n"}) {
            EXPECT_TRUE(parse_master_key(from_text(text)).value() == key_from(key));
        }
    }
}

TEST(KeyMaterial, a_master_key_file_of_any_other_form_is_refused) {
    const std::string text = base64(key_pattern(7));
    ASSERT_EQ(text.size(), 128u);
    for (std::size_t size_bytes = 0; size_bytes < 128; ++size_bytes) {
        if (size_bytes == 96) continue;
        const auto key = parse_master_key(from_text(text.substr(0, size_bytes)));
        ASSERT_FALSE(key) << size_bytes;
        EXPECT_EQ(key.error(), Errc::master_key_length);
    }
    for (const Bytes& bytes : {from_text(text + "AAAA"), from_text(text + "="), Bytes(97, 7), Bytes(95, 7),
                               Bytes(128, ' '), Bytes(1000, 7)}) {
        EXPECT_EQ(parse_master_key(bytes).error(), Errc::master_key_length);
    }
}

TEST(KeyMaterial, a_master_key_file_with_any_wrong_digit_is_refused) {
    const std::string text = base64(key_pattern(7));
    const std::string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (unsigned c = 0; c < 256; ++c) {
        Bytes changed = from_text(text);
        changed[64] = static_cast<std::uint8_t>(c);
        EXPECT_EQ(parse_master_key(changed).has_value(),
                  alphabet.find(static_cast<char>(c)) != std::string::npos)
            << c;
    }
    for (std::size_t at = 1; at < 127; ++at) {
        Bytes changed = from_text(text);
        changed[at] = '-';
        EXPECT_EQ(parse_master_key(changed).error(), Errc::master_key_length) << at;
    }
}

TEST(KeyMaterial, a_written_master_key_is_base64_that_reads_back) {
    for (unsigned first = 0; first < 256; ++first) {
        const Bytes key = key_pattern(static_cast<std::uint8_t>(first));
        const SecretBuffer text = format_master_key(key_from(key));
        EXPECT_TRUE(std::ranges::equal(text.expose_secret(), from_text(base64(key) + "\n")));
        EXPECT_TRUE(parse_master_key(text).value() == key_from(key));
    }
}

TEST(KeyMaterial, a_fingerprint_is_the_sha_256_of_the_key) {
    const Bytes sevens(key_bytes, 7);
    const Bytes expected = from_hex("d37df6f5b7150e69fc713077a1c0e220862c5271667d6661e2b5c0f5b0752ffc");
    const KeyFingerprint fingerprint = fingerprint_of(make_data_key(sevens).value());
    EXPECT_TRUE(std::ranges::equal(fingerprint, expected));
}

TEST(KeyMaterial, a_new_key_is_what_the_generator_gives) {
    FixedRandom random(7);
    EXPECT_TRUE(generate_key(random).value() == test_key());
    random.fail_from_now_on();
    EXPECT_EQ(generate_key(random).error(), Errc::random_failed);
}

TEST(KeyMaterial, a_new_key_id_is_a_version_4_uuid) {
    FixedRandom random(0xF0);
    const KeyId id = generate_key_id(random).value();
    EXPECT_EQ(id.bytes[0], 0xF0);
    EXPECT_EQ(id.bytes[6], 0x46);
    EXPECT_EQ(id.bytes[8], 0xB8);
    EXPECT_EQ(id.bytes[15], 0xFF);

    SystemRandom system;
    std::set<KeyId> seen;
    for (int i = 0; i < 1000; ++i) {
        const KeyId fresh = generate_key_id(system).value();
        EXPECT_EQ(fresh.bytes[6] >> 4, 4);
        EXPECT_EQ(fresh.bytes[8] >> 6, 2);
        EXPECT_TRUE(seen.insert(fresh).second);
    }
    random.fail_from_now_on();
    EXPECT_EQ(generate_key_id(random).error(), Errc::random_failed);
}

}  // namespace
}  // namespace fieldgate::crypto
