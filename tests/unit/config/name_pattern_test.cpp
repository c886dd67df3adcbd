#include "config/name_pattern.hpp"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

namespace fieldgate::config {
namespace {

using Answer = NamePattern::Answer;

Answer match(const std::string& pattern, const std::string& name) {
    const NamePattern::Compiled compiled = NamePattern::compile(pattern);
    EXPECT_TRUE(compiled.pattern) << pattern << ": " << compiled.fault;
    return compiled.pattern ? compiled.pattern->matches(name) : Answer::undecided;
}

TEST(NamePattern, matches_anywhere_unless_anchored) {
    EXPECT_EQ(match("ssn", "my_ssn_2"), Answer::yes);
    EXPECT_EQ(match("^ssn", "my_ssn"), Answer::no);
    EXPECT_EQ(match("ssn$", "my_ssn"), Answer::yes);
    EXPECT_EQ(match("^ssn$", "ssn2"), Answer::no);
    EXPECT_EQ(match("", "anything"), Answer::yes);
    EXPECT_EQ(match("x", ""), Answer::no);
    EXPECT_EQ(match("^$", ""), Answer::yes);
}

TEST(NamePattern, speaks_the_dialect_of_the_server) {
    EXPECT_EQ(match("(?i)^SSN$", "ssn"), Answer::yes);
    EXPECT_EQ(match("^SSN$", "ssn"), Answer::no);
    EXPECT_EQ(match("^(?!name)", "names"), Answer::no);
    EXPECT_EQ(match("^(?<=a)b|c\\d{2}$", "c42"), Answer::yes);
    EXPECT_EQ(match(R"(^(a)\1$)", "aa"), Answer::yes);
    EXPECT_EQ(match("a#b c", "a#b c"), Answer::yes);     // no x option
    EXPECT_EQ(match("^a.b$", "a\nb"), Answer::no);       // no s option
    EXPECT_EQ(match("^b", "a\nb"), Answer::no);          // no m option
    EXPECT_EQ(match("^b$", "b\n"), Answer::yes);         // PCRE's $ also stands before a last newline
    EXPECT_EQ(match("^.$", "\xC3\xA9"), Answer::yes);    // a character, not a byte
    EXPECT_EQ(match("^\\w+$", "\xC3\xA9"), Answer::no);  // \w is ASCII
    EXPECT_EQ(match("^\\p{L}$", "\xC3\xA9"), Answer::yes);
}

TEST(NamePattern, a_refused_pattern_says_why_and_where) {
    const NamePattern::Compiled compiled = NamePattern::compile("ab(c");
    EXPECT_FALSE(compiled.pattern);
    EXPECT_NE(compiled.fault.find("parenthesis"), std::string::npos) << compiled.fault;
    EXPECT_EQ(compiled.offset, 4u);
    for (const std::string& bad :
         {std::string("["), std::string("*"), std::string("\\C"), std::string("\xFF"), std::string("a\0b", 3),
          std::string("(?<n>a)\\k<m>")}) {
        const NamePattern::Compiled refused = NamePattern::compile(bad);
        EXPECT_FALSE(refused.pattern) << bad;
        EXPECT_FALSE(refused.fault.empty()) << bad;
    }
}

TEST(NamePattern, bounds_patterns) {
    EXPECT_TRUE(NamePattern::compile(std::string(pattern_bytes_max, 'x')).pattern);
    EXPECT_FALSE(NamePattern::compile(std::string(pattern_bytes_max + 1, 'x')).pattern);
    EXPECT_TRUE(NamePattern::compile(std::string(50, '(') + "x" + std::string(50, ')')).pattern);
    EXPECT_FALSE(NamePattern::compile(std::string(51, '(') + "x" + std::string(51, ')')).pattern);
    EXPECT_FALSE(NamePattern::compile("(((x{999}){999}){999})").pattern);
}

TEST(NamePattern, is_undecided_about_what_it_may_not_try) {
    EXPECT_EQ(match("x", std::string(pattern_name_bytes_max, 'x')), Answer::yes);
    EXPECT_EQ(match("x", std::string(pattern_name_bytes_max + 1, 'x')), Answer::undecided);
    EXPECT_EQ(match("x", "x\xFF"), Answer::undecided);
    EXPECT_EQ(match("x", "x\xED\xA0\x80"), Answer::undecided);  // a surrogate
}

// Goal: neither a schema nor a name buys more than a bounded amount of work.
TEST(NamePattern, is_undecided_when_a_match_would_explode) {
    EXPECT_EQ(match("^(a+)+$", std::string(10, 'a')), Answer::yes);
    EXPECT_EQ(match("^(a+)+$", std::string(40, 'a') + "!"), Answer::undecided);
    EXPECT_EQ(match("(a|aa)+$", std::string(100, 'a') + "!"), Answer::undecided);
    EXPECT_EQ(match("(*LIMIT_MATCH=4000000000)^(a+)+$", std::string(40, 'a') + "!"), Answer::undecided);
    EXPECT_EQ(match("^(?:(x)|y)*+z", std::string(pattern_name_bytes_max, 'y')), Answer::no);
}

TEST(NamePattern, ordinary_patterns_are_decided_for_the_longest_names) {
    const std::string longest(pattern_name_bytes_max, 'a');
    for (const char* pattern : {"^.*b$", "b", "^[a-z_]+$", "(foo|bar|baz)$", "^tenant_[0-9]+_ssn$", "\\d{3}"})
        EXPECT_NE(match(pattern, longest), Answer::undecided) << pattern;
}

TEST(NamePattern, threads_share_one) {
    const auto pattern = NamePattern::compile("^a+$").pattern;
    std::vector<std::thread> threads;
    std::vector<int> wrong(4);
    for (std::size_t t = 0; t < wrong.size(); ++t)
        threads.emplace_back([&, t] {
            for (int i = 0; i < 1000; ++i) {
                if (pattern->matches("aaaa") != Answer::yes) ++wrong[t];
                if (pattern->matches("aaab") != Answer::no) ++wrong[t];
            }
        });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(wrong, std::vector<int>(4));
}

}  // namespace
}  // namespace fieldgate::config
