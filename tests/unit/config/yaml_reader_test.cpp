#include "config/yaml_reader.hpp"

#include <gtest/gtest.h>

namespace fieldgate::config {
namespace {

struct Read {
    std::optional<Node> root;
    std::vector<Problem> problems;
};

Read read(const std::string& text) {
    Read result;
    ProblemList problems(result.problems, "f.yaml");
    result.root = read_yaml(text, problems);
    return result;
}

std::string texts(const std::vector<Problem>& problems) {
    std::string all;
    for (const Problem& problem : problems) all += problem.text() + "\n";
    return all;
}

std::string nested(std::size_t levels) {
    return "a: " + std::string(levels - 1, '[') + "1" + std::string(levels - 1, ']') + "\n";
}

TEST(YamlReader, builds_the_tree_with_lines) {
    const Read result = read("a: 1\nb:\n  c: [x, 'y']\n  d: \"z\"\n");
    ASSERT_TRUE(result.root && result.problems.empty()) << texts(result.problems);
    const Node* b = result.root->find("b");
    ASSERT_NE(b, nullptr);
    EXPECT_EQ(b->key_where.line, 2);
    EXPECT_EQ(b->where.line, 3);
    const Node* c = b->find("c");
    ASSERT_NE(c, nullptr);
    ASSERT_EQ(c->children.size(), 2u);
    EXPECT_EQ(c->children[1].text, "y");
    EXPECT_EQ(b->find("d")->where.line, 4);
    EXPECT_EQ(result.root->find("a")->integer, 1);
    EXPECT_EQ(result.root->find("nothing"), nullptr);
}

TEST(YamlReader, types_plain_scalars_and_leaves_quoted_ones_strings) {
    using Kind = Node::Kind;
    struct Row {
        const char* text;
        Kind kind;
    };
    const Row rows[] = {
        {"5", Kind::int32},
        {"-5", Kind::int32},
        {"0", Kind::int32},
        {"2147483647", Kind::int32},
        {"2147483648", Kind::int64},
        {"3000000000", Kind::int64},
        {"99999999999999999999", Kind::double_},
        {"1.5", Kind::double_},
        {"1e3", Kind::double_},
        {"true", Kind::boolean},
        {"false", Kind::boolean},
        {"null", Kind::null},
        {"~", Kind::null},
        {"yes", Kind::string},
        {"on", Kind::string},
        {"012", Kind::string},
        {"04", Kind::string},
        {"1e400", Kind::string},
        {"0x10", Kind::string},
        {"0o7", Kind::string},
        {"1_000", Kind::string},
        {"inf", Kind::string},
        {"nan", Kind::string},
        {"\"5\"", Kind::string},
        {"'true'", Kind::string},
        {"\"null\"", Kind::string},
        {"2020-01-01", Kind::string},
        {"1.2.3", Kind::string},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(row.text);
        const Read result = read("a: " + std::string(row.text) + "\n");
        ASSERT_TRUE(result.root);
        EXPECT_EQ(result.root->find("a")->kind, row.kind);
    }
}

TEST(YamlReader, tells_a_written_null_from_a_missing_value) {
    const Read result =
        read("# \u00e9\u00e9\u00e9\u00e9 \U0001F600\na: null\nb:\n\n\nc: {d: , e: ~}\nf:\n- \n- 1\n");
    ASSERT_TRUE(result.root && result.problems.empty()) << texts(result.problems);
    EXPECT_EQ(result.root->find("a")->text, "null");
    EXPECT_EQ(result.root->find("b")->text, "");
    EXPECT_EQ(result.root->find("b")->where.line, 3);
    EXPECT_EQ(result.root->find("c")->find("d")->text, "");
    EXPECT_EQ(result.root->find("c")->find("e")->text, "null");
    EXPECT_EQ(result.root->find("f")->children[0].where.line, 8);
}

TEST(YamlReader, a_byte_order_mark_moves_nothing) {
    const Read result = read(
        "\xEF\xBB\xBF"
        "a: null\nb:\n");
    ASSERT_TRUE(result.root) << texts(result.problems);
    ASSERT_NE(result.root->find("a"), nullptr);
    EXPECT_EQ(result.root->find("a")->text, "null");
    EXPECT_EQ(result.root->find("b")->where.line, 2);
}

TEST(YamlReader, refuses_with_the_line) {
    struct Row {
        const char* text;
        const char* problem;  // all of the problems, by their beginnings, one per line
        bool readable;        // the rest is still read, so that its problems are reported too
    };
    const Row rows[] = {
        {"a: 1\nb: 2\na: 3\n", "f.yaml:3: duplicate key 'a', first on line 1", true},
        {"x:\n  k: 1\n  \"k\": 2\n", "f.yaml:3: duplicate key 'k', first on line 2", true},
        {"{a: 1,\n a: 2}\n", "f.yaml:2: duplicate key 'a', first on line 1", true},
        {"a: &x 1\n", "f.yaml:1: anchors are not supported (&x)", true},
        {"a: 1\nb: &x {c: 1}\n", "f.yaml:2: anchors are not supported (&x)", true},
        {"a: b\n<<: {c: 1}\n", "f.yaml:2: merge keys (<<) are not supported", true},
        {"a: !!str 1\n", "f.yaml:1: tags are not supported", true},
        {"a: !custom {b: 1}\n", "f.yaml:1: tags are not supported (!custom)", true},
        {"a: !!binary [x]\n", "f.yaml:1: tags are not supported", true},
        {"? [a, b]\n: 1\n", "f.yaml:1: a key must be a word or a quoted string, not a list", true},
        {"? {a: b}\n: 1\n", "f.yaml:1: a key must be a word or a quoted string, not a mapping", true},
        {"a: 1\n~: 1\n", "f.yaml:2: a key must be a word or a quoted string, not null", true},
        {"a: 1\n---\nb: 1\n", "f.yaml:2: a second document is not supported", false},
        {"a: 1\n...\n---\nb: [\n", "f.yaml:3: a second document is not supported", false},
        {"", "f.yaml: the file is empty", false},
        {"# only this\n", "f.yaml: the file is empty", false},
        {"a: [1, 2\n", "f.yaml:2: not valid YAML", false},
        {"a: 1\nb: c: d\n", "f.yaml:2: not valid YAML", false},
        {"a:\n\tb: 1\n", "f.yaml:2: not valid YAML", false},
        {"a: \"\\ud83d\\ude00\"\n", "f.yaml:1: not valid YAML", false},
        {"a: *nowhere\n", "f.yaml:1: not valid YAML", false},
        {"a: 1\nb: \"\xff\"\n", "f.yaml:2: this text cannot be read: not UTF-8", false},
        {"a: \xc0\x80\n", "f.yaml:1: this text cannot be read: not UTF-8", false},
        {"a: \xed\xa0\x80\n", "f.yaml:1: this text cannot be read: not UTF-8", false},
        {"a: \xf4\x90\x80\x80\n", "f.yaml:1: this text cannot be read: not UTF-8", false},
        {"a: \xe2\x82", "f.yaml:1: this text cannot be read: not UTF-8", false},
        // yaml-cpp takes this byte for the end of the file.
        {"a: 1\n\x04\nb: 2\n", "f.yaml:2: this text cannot be read: a control character", false},
        {"a: 1\nb: \x1b[0m\n", "f.yaml:2: this text cannot be read: a control character", false},
        {"a: \x7f\n", "f.yaml:1: this text cannot be read: a control character", false},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(row.text);
        const Read result = read(row.text);
        ASSERT_EQ(result.problems.size(), 1u) << texts(result.problems);
        EXPECT_EQ(result.problems[0].text().substr(0, std::string(row.problem).size()), row.problem);
        EXPECT_EQ(result.root.has_value(), row.readable);
    }
}

TEST(YamlReader, refuses_a_null_character) {
    const Read result = read(std::string("a: b\0c\n", 7));
    ASSERT_EQ(result.problems.size(), 1u);
    EXPECT_FALSE(result.root);
}

TEST(YamlReader, refuses_aliases_without_expanding_them) {
    std::string bomb = "a: &a [x]\n";
    for (char c = 'b'; c <= 'z'; ++c)
        bomb += std::string(1, c) + ": &" + c + " [*" + static_cast<char>(c - 1) + ", *" +
                static_cast<char>(c - 1) + "]\n";
    const Read result = read(bomb);
    EXPECT_EQ(result.problems.size(), 26u + 50u);
    EXPECT_EQ(result.problems[1].text(), "f.yaml:2: anchors are not supported (&b): repeat the value");
    EXPECT_EQ(result.problems[2].text(), "f.yaml:2: aliases are not supported (*): repeat the value");
}

TEST(YamlReader, keeps_the_first_of_duplicate_keys) {
    const Read result = read("a: 1\na: {b: 2, c: [3]}\nd: 4\n");
    ASSERT_TRUE(result.root);
    ASSERT_EQ(result.root->children.size(), 2u);
    EXPECT_EQ(result.root->find("a")->integer, 1);
    EXPECT_EQ(result.root->find("d")->integer, 4);
}

TEST(YamlReader, bounds_nesting) {
    EXPECT_TRUE(read(nested(node_levels_max)).problems.empty());
    const Read result = read(nested(node_levels_max + 1));
    ASSERT_EQ(result.problems.size(), 1u) << texts(result.problems);
    EXPECT_EQ(result.problems[0].text(), "f.yaml:1: nested deeper than 100 levels");
    EXPECT_FALSE(result.root);
}

TEST(YamlReader, survives_a_hundred_thousand_brackets) {
    const Read result = read("a: " + std::string(100'000, '['));
    EXPECT_FALSE(result.problems.empty());
    EXPECT_FALSE(result.root);
}

}  // namespace
}  // namespace fieldgate::config
