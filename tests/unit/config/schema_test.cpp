#include "config/schema.hpp"

#include <gtest/gtest.h>

#include <string>

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
