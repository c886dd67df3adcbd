#include "proxy/bson/json_syntax.hpp"

#include <gtest/gtest.h>

#include <string>

namespace fieldgate::bson {
namespace {

// Apart from the tests of from_json(), where libbson would refuse some of these by itself.
TEST(JsonSyntax, accepts_one_object_in_the_grammar_of_json) {
    const char* const cases[] = {
        "{}",
        " \t\r\n{ \n} ",
        R"({"a":[]})",
        R"({"a":[[],{}],"b":{"c":[1,"2",true,false,null]}})",
        R"({"a":0,"b":-0,"c":10,"d":1.25,"e":1e5,"f":-1.5E-10,"g":0e+1})",
        R"({"":"","a":"\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00","a":1})",
        R"({"a":"\u0000"})",
        "{\"\xc3\xa9\":1}",
    };
    for (const char* const text : cases) EXPECT_TRUE(is_strict_json_object(text, 10)) << text;
}

TEST(JsonSyntax, refuses_everything_else) {
    const std::string cases[] = {
        "",
        "  ",
        "[]",
        "1",
        "null",
        R"("a")",
        "{",
        "}",
        "{}}",
        "{}{}",
        "{} 1",
        "{},",
        "{,}",
        R"({"a"})",
        R"({"a":})",
        R"({"a" 1})",
        R"({"a":1,})",
        R"({"a":1,,"b":2})",
        R"({,"a":1})",
        R"({"a":1 "b":2})",
        R"({"a":1:2})",
        R"({"a":"b":2})",
        R"({1:2})",
        R"({a:1})",
        R"({'a':1})",
        R"({"a":[1,]})",
        R"({"a":[,1]})",
        R"({"a":[1 2]})",
        R"({"a":[1}})",
        R"({"a":[1})",
        R"({"a":{"b":1])",
        R"({"a":[1]]})",
        R"({"a":["b":1]})",
        R"({"a":01})",
        R"({"a":-01})",
        R"({"a":1.})",
        R"({"a":.5})",
        R"({"a":+1})",
        R"({"a":-})",
        R"({"a":1e})",
        R"({"a":1e+})",
        R"({"a":0x10})",
        R"({"a":NaN})",
        R"({"a":-Infinity})",
        R"({"a":tru})",
        R"({"a":nulll})",
        R"({"a":True})",
        R"({"a":"b)",
        R"({"a":"\x"})",
        R"({"a":"\u12G4"})",
        R"({"a":"\u12"})",
        R"({"a":"\)",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\x1f\"}",
        R"({"\u0000":1})",
        R"({"a\u0000b":1})",
        R"({"a":1} // comment)",
        R"({"a":1 /* comment */})",
        "\xef\xbb\xbf{}",
        std::string("{}\0", 3),
        std::string("{\"a\0\":1}", 8),
        std::string("\0{}", 3),
    };
    for (const std::string& text : cases) EXPECT_FALSE(is_strict_json_object(text, 10)) << text;
}

TEST(JsonSyntax, counts_objects_and_arrays_as_levels) {
    EXPECT_TRUE(is_strict_json_object("{}", 1));
    EXPECT_FALSE(is_strict_json_object("{}", 0));
    EXPECT_TRUE(is_strict_json_object(R"({"a":[{}]})", 3));
    EXPECT_FALSE(is_strict_json_object(R"({"a":[{}]})", 2));
    EXPECT_TRUE(is_strict_json_object(R"({"a":[],"b":[],"c":{}})", 2));
    const std::string deep = R"({"a":)" + std::string(100000, '[') + std::string(100000, ']') + "}";
    EXPECT_FALSE(is_strict_json_object(deep, 100000));
    EXPECT_TRUE(is_strict_json_object(deep, 100001));
}

}  // namespace
}  // namespace fieldgate::bson
