#include "proxy/bson/json_layout.hpp"

#include <gtest/gtest.h>

#include "proxy/bson/builder.hpp"

namespace fieldgate::bson {
namespace {

TEST(JsonLayout, keeps_what_is_short_on_one_line) {
    EXPECT_EQ(lay_out_json(R"({ "a" : 1, "b" : [ 1, { "c" : [ ] } ], "d" : { } })"),
              R"({ "a": 1, "b": [ 1, { "c": [] } ], "d": {} })");
}

TEST(JsonLayout, breaks_what_is_longer_than_a_line) {
    const std::string text(60, 'x');
    EXPECT_EQ(lay_out_json(R"({ "find" : "c", "filter" : { "a" : ")" + text + R"(", "b" : [ ")" + text +
                           R"(" ] }, "limit" : 1 })"),
              "{\n  \"find\": \"c\",\n  \"filter\": {\n    \"a\": \"" + text + "\",\n    \"b\": [ \"" + text +
                  "\" ]\n  },\n  \"limit\": 1\n}");
}

TEST(JsonLayout, the_line_ends_at_the_last_column_that_it_may_have) {
    // {"a":"xx..."} and room for a comma.
    const auto with = [](std::size_t characters) {
        return lay_out_json(R"({"a":")" + std::string(characters, 'x') + "\"}");
    };
    const std::size_t around = std::string_view(R"({ "a": "" })").size() + 1;
    EXPECT_EQ(with(json_line_columns_max - around).find('\n'), std::string::npos);
    EXPECT_NE(with(json_line_columns_max - around + 1).find('\n'), std::string::npos);
}

TEST(JsonLayout, changes_no_token) {
    const std::string_view text =
        R"({ "a \" } , : [" : "\\", "n" : 1.50, "e" : 1e300, "t" : true, "z" : null })";
    EXPECT_EQ(lay_out_json(text), R"({ "a \" } , : [": "\\", "n": 1.50, "e": 1e300, "t": true, "z": null })");
}

TEST(JsonLayout, leaves_a_remark_as_it_is) {
    EXPECT_EQ(lay_out_json("(not a BSON document)"), "(not a BSON document)");
    EXPECT_EQ(lay_out_json(""), "");
}

TEST(JsonLayout, what_it_writes_is_the_same_document) {
    const std::string text = R"({ "a" : { "$numberLong" : "9007199254740993" }, "b" : [ )" +
                             std::string(R"({ "c" : "\u0001 { [ \" : ,", "d" : 0.1 }, )") +
                             R"({ "e" : [ [ [ ")" + std::string(90, 'y') + R"(" ] ] ] } ] })";
    const auto before = from_json(text);
    ASSERT_TRUE(before);
    const std::string laid_out = lay_out_json(to_json(*before));
    EXPECT_NE(laid_out.find('\n'), std::string::npos);
    const auto after = from_json(laid_out);
    ASSERT_TRUE(after) << laid_out;
    EXPECT_EQ(*before, *after);
}

}  // namespace
}  // namespace fieldgate::bson
