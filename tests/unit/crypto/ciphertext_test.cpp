#include "crypto/ciphertext.hpp"

#include "tests/unit/crypto/test_bytes.hpp"

#include <gtest/gtest.h>

namespace fieldgate::crypto {
namespace {

// A ciphertext by its form only: nothing in it is authentic.
Bytes blob_of(std::uint8_t kind, std::size_t size_bytes) {
    Bytes blob = plaintext_of(size_bytes);
    if (!blob.empty()) blob[0] = kind;
    return blob;
}

TEST(Ciphertext, sizes_are_those_of_the_specification) {
    struct Case {
        std::size_t plaintext_bytes;
        std::size_t blob_bytes;
    };
    // Observed from drivers: 4 and 12 bytes give 82, 16 and 26 give 98.
    for (const Case& c : {Case{1, 82}, Case{4, 82}, Case{12, 82}, Case{15, 82}, Case{16, 98}, Case{26, 98},
                          Case{31, 98}, Case{32, 114}}) {
        EXPECT_EQ(blob_bytes(c.plaintext_bytes), c.blob_bytes) << c.plaintext_bytes;
    }
}

TEST(Ciphertext, is_taken_apart_where_the_specification_says) {
    for (const Algorithm algorithm : {Algorithm::deterministic, Algorithm::random}) {
        const Bytes blob = blob_of(static_cast<std::uint8_t>(algorithm), 98);
        const auto view = CiphertextView::parse(blob);
        ASSERT_TRUE(view);
        EXPECT_EQ(view->algorithm, algorithm);
        EXPECT_TRUE(std::equal(view->key_id.bytes.begin(), view->key_id.bytes.end(), blob.begin() + 1));
        EXPECT_EQ(view->bson_type, blob[17]);
        EXPECT_EQ(view->associated_data.data(), blob.data());
        EXPECT_EQ(view->associated_data.size(), 18u);
        EXPECT_EQ(view->sealed.data(), blob.data() + 18);
        EXPECT_EQ(view->sealed.size(), 80u);
    }
}

TEST(Ciphertext, of_any_other_kind_is_not_ours) {
    for (unsigned kind = 0; kind < 256; ++kind) {
        if (kind == 1 || kind == 2) continue;
        const auto view = CiphertextView::parse(blob_of(static_cast<std::uint8_t>(kind), 82));
        ASSERT_FALSE(view) << kind;
        EXPECT_EQ(view.error(), Errc::unsupported_kind) << kind;
    }
}

TEST(Ciphertext, of_a_size_that_no_value_gives_is_malformed) {
    EXPECT_EQ(CiphertextView::parse({}).error(), Errc::malformed);
    for (std::size_t size_bytes = 1; size_bytes < 200; ++size_bytes) {
        const auto view = CiphertextView::parse(blob_of(2, size_bytes));
        const bool possible = size_bytes >= 82 && (size_bytes - 82) % 16 == 0;
        ASSERT_EQ(view.has_value(), possible) << size_bytes;
        if (!possible) {
            EXPECT_EQ(view.error(), Errc::malformed) << size_bytes;
        }
    }
}

TEST(Ciphertext, larger_than_a_message_is_malformed) {
    // Never read beyond the first bytes, so the zero pages behind this vector are not even mapped.
    Bytes blob(blob_bytes(plaintext_bytes_max) + block_bytes);
    blob[0] = 2;
    EXPECT_EQ(CiphertextView::parse(blob).error(), Errc::malformed);
    EXPECT_TRUE(CiphertextView::parse(std::span(blob).first(blob_bytes(plaintext_bytes_max))));
}

TEST(Errc, has_a_text_of_its_own_for_every_value) {
    std::vector<std::string> texts;
    for (int value = 1; value <= static_cast<int>(Errc::library_failed); ++value) {
        const std::string text = make_error_code(static_cast<Errc>(value)).message();
        EXPECT_NE(text, "unknown crypto error") << value;
        EXPECT_EQ(std::find(texts.begin(), texts.end(), text), texts.end()) << text;
        texts.push_back(text);
    }
    EXPECT_EQ(make_error_code(static_cast<Errc>(999)).message(), "unknown crypto error");
    EXPECT_STREQ(error_category().name(), "fieldgate.crypto");
}

}  // namespace
}  // namespace fieldgate::crypto
