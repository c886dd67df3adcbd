#include <gtest/gtest.h>

#include "proxy/bson/builder.hpp"
#include "proxy/policy/policy.hpp"

namespace fieldgate::policy {
namespace {

// The value of the only element of a document.
template <class Append>
std::optional<std::string> masked(std::uint32_t keep_last, Append append) {
    bson::Buffer document;
    bson::Builder builder(document);
    append(builder);
    builder.finish();
    const bson::Element element = *bson::DocumentView::unchecked(document).begin();
    return mask(element.type(), element.value(), keep_last);
}

std::optional<std::string> masked_string(std::string_view text, std::uint32_t keep_last) {
    return masked(keep_last, [&](bson::Builder& b) { b.append_string("", text); });
}

TEST(Mask, strings_keep_their_last_characters) {
    EXPECT_EQ(masked_string("123142", 4), "**3142");
    EXPECT_EQ(masked_string("123142", 0), "******");
    EXPECT_EQ(masked_string("", 4), "");
}

TEST(Mask, a_value_that_would_not_be_hidden_at_all_is_hidden_whole) {
    EXPECT_EQ(masked_string("1234", 4), "****");
    EXPECT_EQ(masked_string("12", 4), "**");
    EXPECT_EQ(masked_string("12345", 4), "*2345");
}

TEST(Mask, characters_are_code_points) {
    EXPECT_EQ(masked_string("\xc3\xa9\xc3\xa8\xe2\x82\xac"
                            "a",
                            2),
              "**\xe2\x82\xac"
              "a");
}

TEST(Mask, whole_numbers_keep_their_last_digits) {
    EXPECT_EQ(masked(4, [](bson::Builder& b) { b.append_int32("", 145014000); }), "*****4000");
    EXPECT_EQ(masked(4, [](bson::Builder& b) { b.append_int64("", 9007199254740993); }), "************0993");
    EXPECT_EQ(masked(1, [](bson::Builder& b) { b.append_int32("", -145); }), "**5");
    EXPECT_EQ(masked(2, [](bson::Builder& b) { b.append_int64("", INT64_MIN); }), "*****************08");
    EXPECT_EQ(masked(1, [](bson::Builder& b) { b.append_int32("", 7); }), "*");
}

TEST(Mask, other_types_cannot_be_masked) {
    EXPECT_EQ(masked(4, [](bson::Builder& b) { b.append_double("", 12345.5); }), std::nullopt);
    EXPECT_EQ(masked(4, [](bson::Builder& b) { b.append_bool("", true); }), std::nullopt);
    EXPECT_EQ(masked(4, [](bson::Builder& b) { b.append_date("", 12345); }), std::nullopt);
    EXPECT_EQ(masked(4, [](bson::Builder& b) { b.open_array("").append_string("0", "x").close(); }),
              std::nullopt);
    EXPECT_EQ(mask(bson::Type::string, {}, 4), std::nullopt);
    EXPECT_EQ(mask(bson::Type::int32, {}, 4), std::nullopt);
}

}  // namespace
}  // namespace fieldgate::policy
