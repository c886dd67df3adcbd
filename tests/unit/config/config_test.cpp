#include "config/config.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace fieldgate::config {
namespace {

bool matches(const char* database, const char* collection, const char* name_database,
             const char* name_collection) {
    return NamespacePattern{database, collection}.matches(name_database, name_collection);
}

TEST(NamespacePattern, without_stars_matches_exactly_itself) {
    EXPECT_TRUE(matches("db", "c", "db", "c"));
    EXPECT_FALSE(matches("db", "c", "db", "cc"));
    EXPECT_FALSE(matches("db", "c", "d", "c"));
    EXPECT_FALSE(matches("db", "c", "DB", "c"));
    EXPECT_FALSE(matches("db", "c", "", ""));
}

TEST(NamespacePattern, a_star_takes_any_run_within_one_name) {
    EXPECT_TRUE(matches("tenant_*", "patients", "tenant_", "patients"));
    EXPECT_TRUE(matches("tenant_*", "patients", "tenant_7", "patients"));
    EXPECT_FALSE(matches("tenant_*", "patients", "tenant7", "patients"));
    EXPECT_TRUE(matches("*", "a*b*c", "x", "a1b2c"));
    EXPECT_TRUE(matches("*", "a*b*c", "x", "abbcbc"));
    EXPECT_FALSE(matches("*", "a*b*c", "x", "a1b2"));
    EXPECT_TRUE(matches("db", "*", "db", "with.dots.in.it"));
}

TEST(NamespacePattern, a_star_never_takes_the_dot_between_the_names) {
    EXPECT_FALSE(matches("a*", "c", "a", "b.c"));
    EXPECT_TRUE(matches("a", "*c", "a", "b.c"));
}

TEST(NamespacePattern, counts_literal_characters_of_both_names) {
    EXPECT_EQ((NamespacePattern{"tenant_*", "patients"}.literal_characters()), 15u);
    EXPECT_EQ((NamespacePattern{"*", "*"}.literal_characters()), 0u);
}

TEST(NamespacePattern, knows_whether_another_can_match_the_same_namespace) {
    struct Row {
        NamespacePattern a;
        NamespacePattern b;
        bool meet;
    };
    const Row rows[] = {
        {{"db", "c"}, {"db", "c"}, true},   {{"db", "c"}, {"db", "d"}, false},
        {{"d*", "c"}, {"*b", "c"}, true},   {{"d*", "c"}, {"e*", "c"}, false},
        {{"*", "*"}, {"x", "y"}, true},     {{"a*", "c"}, {"*a", "c"}, true},
        {{"ab*", "c"}, {"a", "c"}, false},  {{"a*c", "x"}, {"ab*", "x"}, true},
        {{"a*c", "x"}, {"ab", "x"}, false}, {{"*a*", "x"}, {"*b*", "x"}, true},
        {{"a", "*x"}, {"b", "*x"}, false},  {{"", "c"}, {"*", "c"}, true},
        {{"a*b", "c"}, {"a", "c"}, false},  {{"*ab", "c"}, {"a*b", "c"}, true},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(row.a.text() + " and " + row.b.text());
        EXPECT_EQ(row.a.meets(row.b), row.meet);
        EXPECT_EQ(row.b.meets(row.a), row.meet);
    }
}

std::vector<std::string> words(const std::string& alphabet, std::size_t length_max) {
    std::vector<std::string> all{""};
    for (std::size_t first = 0, length = 1; length <= length_max; ++length) {
        const std::size_t last = all.size();
        for (; first < last; ++first)
            for (const char c : alphabet) all.push_back(all[first] + c);
    }
    return all;
}

// Method: every pair of short patterns, against every text long enough to be their shortest common match.
TEST(NamespacePattern, meets_and_covers_agree_with_trying_every_text) {
    const std::vector<std::string> patterns = words("ab*", 3);
    const std::vector<std::string> texts = words("ab", 6);
    for (const std::string& a : patterns)
        for (const std::string& b : patterns) {
            const NamespacePattern left{a, "c"};
            const NamespacePattern right{b, "c"};
            bool both = false;
            bool all_of_right = true;
            for (const std::string& text : texts) {
                const bool in_left = left.matches(text, "c");
                const bool in_right = right.matches(text, "c");
                both = both || (in_left && in_right);
                all_of_right = all_of_right && (in_left || !in_right);
            }
            EXPECT_EQ(left.meets(right), both) << a << " and " << b;
            // Covering may be missed, which only makes a role stricter, but is never claimed wrongly.
            EXPECT_TRUE(all_of_right || !left.covers(right)) << a << " over " << b;
        }
}

TEST(NamespacePattern, covers_what_it_matches_whole) {
    EXPECT_TRUE((NamespacePattern{"db", "*"}.covers({"db", "c"})));
    EXPECT_TRUE((NamespacePattern{"*", "*"}.covers({"t*", "c"})));
    EXPECT_TRUE((NamespacePattern{"t*", "c"}.covers({"tenant_*", "c"})));
    EXPECT_FALSE((NamespacePattern{"tenant_*", "c"}.covers({"t*", "c"})));
    EXPECT_FALSE((NamespacePattern{"db", "c"}.covers({"db", "*"})));
}

TEST(Config, the_longest_literal_wins) {
    Config config;
    for (const NamespacePattern& pattern :
         {NamespacePattern{"*", "*"}, NamespacePattern{"tenant_*", "patients"},
          NamespacePattern{"tenant_1", "*"}}) {
        ProtectedNamespace entry;
        entry.pattern = pattern;
        entry.index = config.schemas.size();
        config.schemas.push_back(entry);
    }
    ASSERT_NE(config.find("tenant_1", "patients"), nullptr);
    EXPECT_EQ(config.find("tenant_1", "patients")->index, 1u);
    EXPECT_EQ(config.find("tenant_1", "visits")->index, 2u);
    EXPECT_EQ(config.find("other", "visits")->index, 0u);
}

TEST(Config, an_unlisted_namespace_has_no_schema) {
    Config config;
    EXPECT_EQ(config.find("db", "c"), nullptr);
    ProtectedNamespace entry;
    entry.pattern = {"db", "c"};
    config.schemas.push_back(entry);
    EXPECT_EQ(config.find("db", "d"), nullptr);
}

TEST(Config, knows_the_key_vault) {
    const Config config;
    EXPECT_TRUE(config.is_key_vault("encryption", "__keyVault"));
    EXPECT_FALSE(config.is_key_vault("encryption", "__keyvault"));
    EXPECT_FALSE(config.is_key_vault("other", "__keyVault"));
}

TEST(Role, that_names_nothing_gets_ciphertext_deny_deny) {
    const FieldRule rule;
    EXPECT_EQ(rule.read.kind, ReadRule::Kind::ciphertext);
    EXPECT_FALSE(rule.match);
    EXPECT_FALSE(rule.write);
    EXPECT_FALSE(Role{}.reveals_everything());
}

TEST(Role, reveals_everything_only_if_no_rule_withholds) {
    const FieldRule reveal{{ReadRule::Kind::reveal, 0}, true, true};
    Role role;
    role.encrypted_fields = reveal;
    EXPECT_TRUE(role.reveals_everything());
    role.rules = {{reveal, reveal}, {reveal}};
    EXPECT_TRUE(role.reveals_everything());
    for (const ReadRule::Kind kind :
         {ReadRule::Kind::ciphertext, ReadRule::Kind::null, ReadRule::Kind::omit, ReadRule::Kind::mask}) {
        role.rules[1][0].read.kind = kind;
        EXPECT_FALSE(role.reveals_everything());
    }
}

TEST(Role, that_does_not_reveal_by_default_does_not_reveal_everything) {
    Role role;
    role.rules = {{FieldRule{{ReadRule::Kind::reveal, 0}, true, true}}};
    EXPECT_FALSE(role.reveals_everything());
}

TEST(Role, kept_from_a_protected_namespace_does_not_reveal_everything) {
    Role role;
    role.encrypted_fields.read.kind = ReadRule::Kind::reveal;
    role.reaches_every_schema = false;
    EXPECT_FALSE(role.reveals_everything());
}

TEST(Role, may_use_all_namespaces_unless_some_are_named) {
    Role role;
    EXPECT_TRUE(role.may_use("any", "thing"));
    role.namespaces = {{"medicalRecords", "*"}};
    EXPECT_TRUE(role.may_use("medicalRecords", "patients"));
    EXPECT_FALSE(role.may_use("medicalrecords", "patients"));
    EXPECT_FALSE(role.may_use("any", "thing"));
}

}  // namespace
}  // namespace fieldgate::config
