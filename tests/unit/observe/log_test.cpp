#include "proxy/observe/log.hpp"

#include <gtest/gtest.h>

#include <array>
#include <span>
#include <string>
#include <vector>

namespace fieldgate::observe {
namespace {

std::string json(std::string_view message, Fields fields) {
    return format_line(LineFormat::json, Level::info, "T", message, fields);
}

std::string text(std::string_view message, Fields fields) {
    return format_line(LineFormat::text, Level::warn, "T", message, fields);
}

TEST(LogLine, is_one_json_object_with_time_level_message_and_fields) {
    EXPECT_EQ(json("listening", {{"listener", "doctors"}, {"port", 27117}, {"tls", false}}),
              R"({"ts":"T","level":"info","msg":"listening","listener":"doctors","port":27117,"tls":false})");
}

TEST(LogLine, keeps_the_whole_range_of_integers) {
    EXPECT_EQ(
        json("m", {{"low", std::int64_t{INT64_MIN}}, {"high", std::uint64_t{UINT64_MAX}}}),
        R"({"ts":"T","level":"info","msg":"m","low":-9223372036854775808,"high":18446744073709551615})");
}

TEST(LogLine, escapes_json_so_that_a_name_cannot_forge_a_field) {
    struct Case {
        const char* name;
        std::string value;
        const char* expected;
    };
    const Case cases[] = {
        {"quote", R"(a","x":"b)", R"("a\",\"x\":\"b")"},
        {"backslash", R"(a\)", R"("a\\")"},
        {"line ends", "a\nb\rc\td", R"("a\nb\rc\td")"},
        {"control", std::string("a\x01\x1f\x7f\0b", 6), R"("a\u0001\u001f\u007f\u0000b")"},
        {"C1 control, which xterm obeys",
         "\xC2\x9B"
         "31m\xC2\x80\xC2\xA0",
         "\"\\u009b31m\\u0080\xC2\xA0\""},
        {"direction and no width", "\xE2\x80\xAEtxt.\xE2\x81\xA6\xEF\xBB\xBF\xE2\x80\x8B\xE2\x80\x90",
         "\"\\u202etxt.\\u2066\\ufeff\\u200b\xE2\x80\x90\""},
        {"utf-8 stays", "\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80",
         "\"\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80\""},
        {"stray continuation", "a\x80z", R"("a\ufffdz")"},
        {"overlong", "\xC0\xAF", R"("\ufffd\ufffd")"},
        {"surrogate", "\xED\xA0\x80", R"("\ufffd\ufffd\ufffd")"},
        {"above U+10FFFF", "\xF4\x90\x80\x80", R"("\ufffd\ufffd\ufffd\ufffd")"},
        {"cut at the end", "a\xE2\x82", R"("a\ufffd\ufffd")"},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.name);
        EXPECT_EQ(json("m", {{"v", c.value}}),
                  std::string(R"({"ts":"T","level":"info","msg":"m","v":)") + c.expected + "}");
    }
}

TEST(LogLine, quotes_text_values_that_could_be_taken_for_something_else) {
    EXPECT_EQ(text("refused", {{"name", "plain-1.2:3"}}), "T warn  refused name=plain-1.2:3");
    EXPECT_EQ(text("refused", {{"name", "a b=c"}}), R"(T warn  refused name="a b=c")");
    EXPECT_EQ(text("refused", {{"name", "a\nT error forged"}}),
              R"(T warn  refused name="a\nT error forged")");
    EXPECT_EQ(text("refused", {{"name", "\x1b[31m"}}), R"(T warn  refused name="\u001b[31m")");
    EXPECT_EQ(text("refused", {{"name", ""}}), R"(T warn  refused name="")");
    EXPECT_EQ(text("two\nlines", {}), R"(T warn  "two\nlines")");
    EXPECT_EQ(text("a\xC2\x9B", {}), R"(T warn  "a\u009b")");
}

TEST(LogLine, colors_only_where_asked) {
    EXPECT_EQ(format_line(LineFormat::colored_text, Level::error, "T", "m", {}), "T \x1b[31merror\x1b[0m m");
    EXPECT_EQ(text("m", {}).find('\x1b'), std::string::npos);
}

TEST(LogField, cannot_be_made_of_bytes) {
    static_assert(!std::is_constructible_v<Field, std::string_view, std::span<const std::uint8_t>>);
    static_assert(!std::is_constructible_v<Field, std::string_view, std::vector<std::uint8_t>>);
    static_assert(!std::is_constructible_v<Field, std::string_view, std::array<std::uint8_t, 16>>);
    static_assert(!std::is_constructible_v<Field, std::string_view, const std::uint8_t*>);
    static_assert(!std::is_constructible_v<Field, std::string_view, const void*>);
    static_assert(std::is_constructible_v<Field, std::string_view, int>);
}

TEST(Log, writes_only_what_its_level_lets_through) {
    log::set_up(Level::warn, config::Log::Format::json);
    testing::internal::CaptureStderr();
    log::info("quiet");
    log::warn("loud", {{"count", 3u}});
    const std::string written = testing::internal::GetCapturedStderr();
    log::set_up(Level::info, config::Log::Format::automatic);
    EXPECT_EQ(written.find("quiet"), std::string::npos);
    EXPECT_NE(written.find(R"("level":"warn","msg":"loud","count":3})"), std::string::npos);
    EXPECT_EQ(written.back(), '\n');
}

}  // namespace
}  // namespace fieldgate::observe
