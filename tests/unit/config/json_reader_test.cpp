#include "config/json_reader.hpp"

#include <gtest/gtest.h>

namespace fieldgate::config {
namespace {

struct Read {
    std::optional<Node> root;
    std::vector<Problem> problems;
};

Read read(const std::string& text) {
    Read result;
    ProblemList problems(result.problems, "f.json");
    result.root = read_json(text, problems);
    return result;
}

std::string nested(std::size_t levels) {
    return "{\"a\":" + std::string(levels - 1, '[') + "1" + std::string(levels - 1, ']') + "}";
}

TEST(JsonReader, builds_the_tree_with_lines) {
    const Read result =
        read("{\n  \"a\": 1,\n  \"b\":\n    [true, null,\n     \"x\"],\n  \"c\": {\n  \"d\": 5}\n}\n");
    ASSERT_TRUE(result.root && result.problems.empty());
    EXPECT_EQ(result.root->where.line, 1);
    EXPECT_EQ(result.root->find("a")->where.line, 2);
    const Node* b = result.root->find("b");
    EXPECT_EQ(b->key_where.line, 3);
    EXPECT_EQ(b->where.line, 4);
    EXPECT_EQ(b->children[2].where.line, 5);
    EXPECT_EQ(result.root->find("c")->find("d")->where.line, 7);
}

TEST(JsonReader, types_numbers_as_the_shell_does) {
    const Read result =
        read("[5, -2147483648, 2147483648, 9223372036854775807, 9223372036854775808, 1.0, 1e2, 1e400]");
    // The last is beyond a double, which JSON allows to be refused or rounded.
    if (!result.root) {
        ASSERT_EQ(result.problems.size(), 1u);
        return;
    }
    const auto kind = [&](std::size_t i) { return result.root->children[i].kind; };
    EXPECT_EQ(kind(0), Node::Kind::int32);
    EXPECT_EQ(kind(1), Node::Kind::int32);
    EXPECT_EQ(kind(2), Node::Kind::int64);
    EXPECT_EQ(kind(3), Node::Kind::int64);
    EXPECT_EQ(kind(4), Node::Kind::double_);
    EXPECT_EQ(kind(5), Node::Kind::double_);
    EXPECT_EQ(kind(6), Node::Kind::double_);
    EXPECT_EQ(result.root->children[3].integer, 9223372036854775807);
}

TEST(JsonReader, reads_surrogate_pairs_that_yaml_readers_refuse) {
    const Read result = read("{\"\\ud83d\\ude00\": \"\\u00e9\"}");
    ASSERT_TRUE(result.root);
    EXPECT_EQ(result.root->children[0].key, "\xF0\x9F\x98\x80");
    EXPECT_EQ(result.root->children[0].text, "\xC3\xA9");
}

TEST(JsonReader, ends_well_whatever_blanks_follow) {
    for (const char* text : {"{}", "{}\n", "{}\n\n  \t\r\n", "\n\n{}", "{\n}\n \n \n"}) {
        SCOPED_TRACE(text);
        const Read result = read(text);
        EXPECT_TRUE(result.root && result.problems.empty());
    }
}

TEST(JsonReader, refuses_with_the_line) {
    struct Row {
        const char* text;
        const char* problem;
    };
    const Row rows[] = {
        {"", "f.json:1: not valid JSON"},
        {"   \n", "f.json"},
        {"{", "f.json"},
        {"{\n\"a\": 1,\n}", "f.json:3: not valid JSON"},
        {"{\n\"a\": 1\n\"b\": 2}", "f.json:3: not valid JSON"},
        {"{\n'a': 1}", "f.json:2: not valid JSON"},
        {"{\n// comment\n}", "f.json:2: not valid JSON"},
        {"{}\n\n{}", "f.json:1: not valid JSON"},
        {"{}\nx", "f.json:1: not valid JSON"},
        {"{\"a\":\n nul }", "f.json:2: not valid JSON"},
        {"{\"a\": \"\n\"}", "f.json:1: not valid JSON"},
        {"{\"a\": \"\xff\"}", "f.json:1: not valid JSON"},
        {"{\"a\": \"\\ud83d\"}", "f.json:1: not valid JSON"},
        {"{\"a\": 01}", "f.json:1: not valid JSON"},
        {"{\"a\": NaN}", "f.json:1: not valid JSON"},
        {"\xEF\xBB\xBF{}", "f.json:1: not valid JSON"},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(row.text);
        const Read result = read(row.text);
        ASSERT_EQ(result.problems.size(), 1u);
        EXPECT_EQ(result.problems[0].text().substr(0, std::string(row.problem).size()), row.problem);
        EXPECT_FALSE(result.root);
    }
}

TEST(JsonReader, refuses_duplicate_keys_naming_both_lines_and_keeps_the_first) {
    const Read result = read("{\"a\": 1,\n\"b\": {\"c\": 1,\n\"c\": {\"x\": [1]}},\n\"a\": [2]}");
    ASSERT_EQ(result.problems.size(), 2u);
    EXPECT_EQ(result.problems[0].text(), "f.json:3: duplicate key 'c', first on line 2");
    EXPECT_EQ(result.problems[1].text(), "f.json:4: duplicate key 'a', first on line 1");
    ASSERT_TRUE(result.root);
    EXPECT_EQ(result.root->find("a")->integer, 1);
    EXPECT_EQ(result.root->find("b")->find("c")->integer, 1);
    EXPECT_EQ(result.root->children.size(), 2u);
}

TEST(JsonReader, bounds_nesting) {
    EXPECT_TRUE(read(nested(node_levels_max)).problems.empty());
    const Read result = read(nested(node_levels_max + 1));
    ASSERT_EQ(result.problems.size(), 1u);
    EXPECT_EQ(result.problems[0].text(), "f.json:1: nested deeper than 100 levels");
    EXPECT_FALSE(read(std::string(100'000, '[')).root);
}

TEST(JsonReader, reads_a_long_string_and_number_that_arrive_in_parts) {
    const std::string longest(200'000, 'x');
    const Read result = read("{\"" + longest + "\": \"" + longest + "\"}");
    ASSERT_TRUE(result.root);
    EXPECT_EQ(result.root->children[0].key, longest);
    EXPECT_EQ(result.root->children[0].text, longest);
}

}  // namespace
}  // namespace fieldgate::config
