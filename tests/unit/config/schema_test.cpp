#include "config/schema.hpp"

#include <gtest/gtest.h>

#include <string>

#include "config/name_pattern.hpp"

namespace fieldgate::config {
namespace {

void protect(Schema& schema, const std::string& path) {
    SchemaNode* node = &schema.root_;
    std::size_t start = 0;
    while (true) {
        const std::size_t dot = path.find('.', start);
        const std::string name = path.substr(start, dot == std::string::npos ? dot : dot - start);
        const SchemaNode* existing = node->child(name);
        node = existing != nullptr ? const_cast<SchemaNode*>(existing) : &node->add_child(name);
        if (dot == std::string::npos) break;
        start = dot + 1;
    }
    node->field = static_cast<std::uint16_t>(schema.fields_.size());
    EncryptedField field;
    field.path = path;
    field.algorithm = Algorithm::random;
    schema.fields_.push_back(field);
}

class SchemaMatch : public testing::Test {
 protected:
    SchemaMatch() {
        protect(schema, "ssn");
        protect(schema, "insurance.policyNumber");
        protect(schema, "a.b.c");
    }

    // "plain", "parent", "below:PATH" or the path of the protected field.
    std::string what_is(std::string_view path) const {
        const PathMatch match = schema.match(path);
        if (match.node == nullptr) return match.below_protected ? "impossible" : "plain";
        const std::string field =
            match.node->is_protected() ? schema.fields()[match.node->field].path : std::string("parent");
        return match.below_protected ? "below:" + field : field;
    }

    Schema schema;
};

TEST_F(SchemaMatch, finds_protected_fields_and_their_parents) {
    EXPECT_EQ(what_is("ssn"), "ssn");
    EXPECT_EQ(what_is("insurance"), "parent");
    EXPECT_EQ(what_is("insurance.policyNumber"), "insurance.policyNumber");
    EXPECT_EQ(what_is("a.b"), "parent");
    EXPECT_EQ(what_is("a.b.c"), "a.b.c");
}

TEST_F(SchemaMatch, everything_else_is_plain) {
    for (const char* path : {"name", "insurance.provider", "a.c", "b", "ssnx", "ss", "Ssn", "", ".", "a..b.c",
                             "a.b.", ".ssn", "insurance.policyNumbe", "x.ssn"})
        EXPECT_EQ(what_is(path), "plain") << path;
}

TEST_F(SchemaMatch, says_when_a_path_goes_through_a_protected_field) {
    EXPECT_EQ(what_is("ssn.x"), "below:ssn");
    EXPECT_EQ(what_is("ssn.0"), "below:ssn");
    EXPECT_EQ(what_is("ssn."), "below:ssn");
    EXPECT_EQ(what_is("a.b.c.d.e.f"), "below:a.b.c");
}

TEST_F(SchemaMatch, skips_array_positions) {
    EXPECT_EQ(what_is("insurance.0.policyNumber"), "insurance.policyNumber");
    EXPECT_EQ(what_is("insurance.0"), "parent");
    EXPECT_EQ(what_is("a.0.1.b.22.c"), "a.b.c");
    EXPECT_EQ(what_is("0.ssn"), "ssn");
    EXPECT_EQ(what_is("insurance.0x.policyNumber"), "plain");
    EXPECT_EQ(what_is("insurance.-1.policyNumber"), "plain");
}

TEST_F(SchemaMatch, tries_numbers_as_names_first) {
    protect(schema, "m.0");
    EXPECT_EQ(what_is("m.0"), "m.0");
    EXPECT_EQ(what_is("m.1"), "parent");
    EXPECT_EQ(what_is("m.1.0"), "m.0");
    EXPECT_EQ(what_is("m.0.0"), "below:m.0");
}

TEST_F(SchemaMatch, reports_two_readings_that_protect_different_fields_as_below_protected) {
    protect(schema, "n.0.x");
    protect(schema, "n.1.x");
    EXPECT_EQ(what_is("n.0.x"), "n.0.x");
    EXPECT_EQ(what_is("n.0.1.x").substr(0, 6), "below:");
}

TEST_F(SchemaMatch, prefers_below_protected_over_a_protected_reading) {
    protect(schema, "p.0");
    protect(schema, "p.x");
    EXPECT_EQ(what_is("p.0.x"), "below:p.0");
}

// Goal: a hostile path over a hostile schema must not take exponential time.
TEST_F(SchemaMatch, a_long_path_of_zeros_over_a_chain_of_zeros_is_quick) {
    std::string chain = "z";
    for (int i = 0; i < 40; ++i) chain += ".0";
    protect(schema, chain + ".end");
    std::string path = "z";
    for (int i = 0; i < 2000; ++i) path += ".0";
    EXPECT_EQ(what_is(path), "parent");
    EXPECT_EQ(what_is(path + ".end"), chain + ".end");
}

TEST(Schema, an_empty_schema_protects_nothing) {
    const Schema schema;
    EXPECT_TRUE(schema.empty());
    EXPECT_EQ(schema.match("ssn").node, nullptr);
    EXPECT_FALSE(schema.match("ssn").below_protected);
    EXPECT_FALSE(schema.root().is_parent());
    EXPECT_FALSE(schema.root().is_protected());
}

TEST(EncryptedField, without_types_allows_what_its_algorithm_can_encrypt) {
    EncryptedField field;
    field.algorithm = Algorithm::random;
    EXPECT_TRUE(field.allows(0x02));
    EXPECT_TRUE(field.allows(0x03));
    EXPECT_FALSE(field.allows(0x0A));
    EXPECT_FALSE(field.allows(0xFF));
}

TEST(EncryptedField, with_types_allows_only_those) {
    EncryptedField field;
    field.algorithm = Algorithm::random;
    field.bson_types = {0x10, 0x12};
    EXPECT_TRUE(field.allows(0x10));
    EXPECT_TRUE(field.allows(0x12));
    EXPECT_FALSE(field.allows(0x01));
    EXPECT_FALSE(field.allows(0x02));
}

std::shared_ptr<const NamePattern> pattern(const char* text) {
    return NamePattern::compile(text).pattern;
}

TEST(SchemaNode, finds_children_by_pattern_when_no_name_is_theirs) {
    SchemaNode node;
    node.add_child("x_named").field = 0;
    node.add_pattern(pattern("^x")).field = 1;
    EXPECT_TRUE(node.is_parent());
    EXPECT_EQ(node.child("x_named")->field, 0);
    EXPECT_EQ(node.child("x1")->field, 1);
    EXPECT_EQ(node.child("ax"), nullptr);
    EXPECT_EQ(node.named_child("x1"), nullptr);
}

TEST(SchemaNode, patterns_that_agree_are_one_and_those_that_disagree_are_unknown) {
    SchemaNode node;
    node.add_pattern(pattern("^x")).field = 1;
    node.add_pattern(pattern("y$")).field = 1;
    node.add_pattern(pattern("z")).field = 2;
    EXPECT_EQ(node.child("xy")->field, 1);
    EXPECT_EQ(node.child("z")->field, 2);
    ASSERT_NE(node.child("xz"), nullptr);
    EXPECT_TRUE(node.child("xz")->unknown);
    EXPECT_FALSE(node.child("xz")->is_protected());
    EXPECT_FALSE(node.child("xz")->is_parent());
    EXPECT_EQ(node.child("a"), nullptr);
}

TEST(SchemaNode, a_name_that_a_plain_pattern_matches_too_is_unknown) {
    SchemaNode node;
    node.add_pattern(pattern("^x")).field = 1;
    node.add_plain_pattern(pattern("y$"));
    EXPECT_EQ(node.child("x")->field, 1);
    EXPECT_TRUE(node.child("xy")->unknown);
    EXPECT_EQ(node.child("y"), nullptr);
    EXPECT_TRUE(node.clone().child("xy")->unknown);
}

TEST(SchemaNode, a_name_that_cannot_be_decided_is_unknown) {
    SchemaNode node;
    node.add_pattern(pattern("^(a+)+$")).field = 1;
    EXPECT_TRUE(node.child(std::string(60, 'a') + "!")->unknown);
    EXPECT_TRUE(node.child(std::string(pattern_name_bytes_max + 1, 'b'))->unknown);
    EXPECT_EQ(node.child("b"), nullptr);
    SchemaNode plain_undecided;
    plain_undecided.add_pattern(pattern("a")).field = 1;
    plain_undecided.add_plain_pattern(pattern("^(a+)+$"));
    EXPECT_TRUE(plain_undecided.child(std::string(60, 'a') + "!")->unknown);
}

TEST(SchemaNode, compares_structure_all_the_way_down) {
    const auto tree = [](std::uint16_t field, const char* below, bool plain = false) {
        SchemaNode node;
        node.add_child("b").add_pattern(pattern(below)).field = field;
        node.add_child("a").field = 7;
        if (plain) node.add_plain_pattern(pattern("p"));
        return node;
    };
    EXPECT_TRUE(tree(1, "^x").protects_alike(tree(1, "^x")));
    EXPECT_FALSE(tree(1, "^x").protects_alike(tree(2, "^x")));
    EXPECT_FALSE(tree(1, "^x").protects_alike(tree(1, "^y")));
    EXPECT_FALSE(tree(1, "^x").protects_alike(tree(1, "^x", true)));
    SchemaNode other_order;
    other_order.add_child("a").field = 7;
    other_order.add_child("b").add_pattern(pattern("^x")).field = 1;
    EXPECT_TRUE(tree(1, "^x").protects_alike(other_order));
    EXPECT_TRUE(tree(1, "^x").protects_alike(tree(1, "^x").clone()));
    SchemaNode array = other_order.clone();
    array.array = true;
    EXPECT_FALSE(array.protects_alike(other_order));
}

TEST(SchemaNode, a_path_goes_through_patterns) {
    SchemaNode root;
    SchemaNode& tenants = root.add_child("tenants");
    tenants.add_pattern(pattern("^t")).add_child("ssn").field = 3;
    tenants.add_pattern(pattern("^.u$")).field = 4;
    EXPECT_EQ(match_path(root, "tenants.t1.ssn").node->field, 3);
    EXPECT_EQ(match_path(root, "tenants.0.t1.5.ssn").node->field, 3);
    EXPECT_TRUE(match_path(root, "tenants.t1.ssn.x").below_protected);
    EXPECT_EQ(match_path(root, "tenants.x1.ssn").node, nullptr);
    EXPECT_TRUE(match_path(root, "tenants.tu").node->unknown);
    EXPECT_TRUE(match_path(root, "tenants.tu.anything.else").node->unknown);
    EXPECT_FALSE(match_path(root, "tenants.tu.anything.else").below_protected);
}

TEST(SchemaNode, a_position_that_a_pattern_matches_is_read_both_ways) {
    SchemaNode root;
    root.add_child("a").add_pattern(pattern("^[0-9]$")).field = 3;
    EXPECT_EQ(match_path(root, "a.0").node->field, 3);
    EXPECT_EQ(match_path(root, "a.10.3").node->field, 3);
    EXPECT_TRUE(match_path(root, "a.1.3").below_protected);
}

TEST(SchemaNode, keeps_children_in_the_order_of_the_schema) {
    SchemaNode node;
    node.add_child("z");
    node.add_child("a");
    ASSERT_EQ(node.children().size(), 2u);
    EXPECT_EQ(node.children()[0].first, "z");
    EXPECT_EQ(node.child("a"), node.children()[1].second.get());
    EXPECT_EQ(node.child("b"), nullptr);
}

}  // namespace
}  // namespace fieldgate::config
