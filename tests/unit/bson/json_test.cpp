#include <gtest/gtest.h>

#include "proxy/bson/builder.hpp"
#include "proxy/bson/error.hpp"
#include "tests/unit/bson/samples.hpp"

namespace fieldgate::bson {
namespace {

using namespace samples;

TEST(Json, reads_what_it_prints) {
    const char* const cases[] = {
        R"({ })",
        R"({ "name" : "Jon Doe", "ssn" : 145014000, "ok" : true, "none" : null })",
        R"({ "a" : [ { "b" : [  ] }, 1.5, 3000000000 ] })",
        R"({ "id" : { "$oid" : "0123456789abcdef01234567" } })",
        R"({ "b" : { "$binary" : { "base64" : "AQID", "subType" : "06" } } })",
        R"({ "d" : { "$date" : "2020-01-02T03:04:05Z" } })",
        R"({ "d" : { "$numberDecimal" : "1.10" } })",
        R"({ "\"\\\n" : "\u0001" })",
    };
    for (const char* const json : cases) {
        SCOPED_TRACE(json);
        const auto document = from_json(json);
        ASSERT_TRUE(document);
        const auto again = from_json(to_json(*document));
        ASSERT_TRUE(again) << to_json(*document);
        EXPECT_EQ(*again, *document);
    }
}

TEST(Json, gives_the_types_of_extended_json) {
    const auto document = from_json(
        R"({"i": 5, "l": 3000000000, "n": {"$numberLong": "7"}, "f": 1.0, "u": {"$uuid": "00112233-4455-6677-8899-aabbccddeeff"}})");
    ASSERT_TRUE(document);
    const DocumentView view = DocumentView::unchecked(*document);
    EXPECT_EQ(view.find("i")->type(), Type::int32);
    EXPECT_EQ(view.find("l")->type(), Type::int64);
    EXPECT_EQ(view.find("n")->type(), Type::int64);
    EXPECT_EQ(view.find("f")->type(), Type::double_);
    EXPECT_EQ(view.find("u")->binary().subtype, 4);
}

TEST(Json, keeps_duplicate_keys) {
    const auto document = from_json(R"({"a": 1, "a": 2})");
    ASSERT_TRUE(document);
    EXPECT_EQ(DocumentView::unchecked(*document).count("a"), 2u);
}

TEST(Json, keeps_zero_bytes_in_values) {
    const auto document = from_json(R"({"a": "x\u0000y"})");
    ASSERT_TRUE(document);
    EXPECT_EQ(DocumentView::unchecked(*document).find("a")->string(), std::string_view("x\0y", 3));
}

TEST(Json, refuses_what_is_not_one_object) {
    const std::string cases[] = {
        "",
        " ",
        "{",
        "}",
        "[]",
        "[{}]",
        "1",
        "null",
        "\"a\"",
        "{}{}",
        "{} x",
        "{},",
        R"({"a": 1} {"b": 2})",
        R"({"a": 1,})",
        R"({,"a": 1})",
        R"({"a": 1 "b": 2})",
        R"({"a": 1,, "b": 2})",
        R"({"a" 1})",
        R"({"a":})",
        R"({"a"})",
        R"({a: 1})",
        R"({'a': 1})",
        R"({"a": [1,]})",
        R"({"a": [,1]})",
        R"({"a": [1 2]})",
        R"({"a": [1}})",
        R"({"a": {"b": 1])",
        R"({"a": 01})",
        R"({"a": 1.})",
        R"({"a": .5})",
        R"({"a": +1})",
        R"({"a": -})",
        R"({"a": 1e})",
        R"({"a": NaN})",
        R"({"a": Infinity})",
        R"({"a": nul})",
        R"({"a": truex})",
        R"({"a": "x)",
        R"({"a": "\x"})",
        R"({"a": "\u12G4"})",
        R"({"a": "\u12"})",
        R"({"a": "\)",
        "{\"a\": \"\n\"}",
        R"({"\u0000": 1})",
        R"({"a\u0000b": 1})",
        R"({"$date": 1} // comment)",
        R"({"a": {"$oid": "zz"}})",
        R"({"a": {"$oid": 5}})",
        R"({"a": {"$binary": {"base64": "AQID"}}})",
        R"({"a": {"$numberLong": "x"}})",
        std::string("{\"a\": 1}\0", 9),
        std::string("{\"a\0\": 1}", 9),
        "{\"a\": \"\xff\"}",
    };
    for (const std::string& json : cases) {
        SCOPED_TRACE(json);
        const auto document = from_json(json);
        EXPECT_EQ(document.error(), Errc::json_malformed);
    }
}

std::string nested_json(std::size_t levels, bool arrays) {
    std::string text = "{";
    for (std::size_t i = 1; i < levels; ++i)
        text += arrays && i > 1 ? "[" : R"("a":)" + std::string(arrays ? "[" : "{");
    if (!arrays) text += R"("end":1)";
    for (std::size_t i = 1; i < levels; ++i) text += arrays ? "]" : "}";
    return text + "}";
}

// Goal: libbson's parser never gets a depth that it would drop without a word. Method: the deepest accepted
// text keeps its innermost field; one level more is refused, and so are 100,000.
TEST(Json, refuses_deep_nesting_and_loses_nothing_below) {
    const auto document = from_json(nested_json(90, false));
    ASSERT_TRUE(document);
    DocumentView view = DocumentView::unchecked(*document);
    std::size_t levels = 1;
    while (const auto inner = view.find("a")) {
        view = inner->document();
        ++levels;
    }
    EXPECT_EQ(levels, 90u);
    EXPECT_TRUE(view.find("end"));
    EXPECT_FALSE(from_json(nested_json(91, false)));
    EXPECT_TRUE(from_json(nested_json(90, true)));
    EXPECT_FALSE(from_json(nested_json(91, true)));
    EXPECT_FALSE(from_json(nested_json(100000, false)));
}

TEST(Json, printing_never_fails) {
    EXPECT_EQ(to_json({}), "(not a BSON document)");
    EXPECT_EQ(to_json(nested(100000)), "(not a BSON document)");
    Buffer document;
    Builder(document).append_string("a", "\xff\xfe").finish();
    EXPECT_EQ(to_json(document), "(a document that is not UTF-8)");
    EXPECT_NE(to_json(every_type()), "(not a BSON document)");
}

}  // namespace
}  // namespace fieldgate::bson
