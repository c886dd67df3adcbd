#include <gtest/gtest.h>

#include "config/name_pattern.hpp"
#include "tests/unit/config/schema_support.hpp"

namespace fieldgate::config {
namespace {

using Strings = std::vector<std::string>;

Strings paths(const Schema& schema) {
    Strings all;
    for (const EncryptedField& field : schema.fields()) all.push_back(field.path);
    return all;
}

// The path of the field that a path of a document leads to, "plain", "parent" or "unknown".
std::string what_is(const Schema& schema, std::string_view path) {
    const PathMatch match = schema.match(path);
    if (match.node == nullptr) return "plain";
    if (match.node->unknown) return "unknown";
    return match.node->is_protected() ? schema.fields()[match.node->field].path : "parent";
}

TEST(SchemaPatterns, protect_the_names_they_match) {
    const BuiltSchema built = build(R"({OBJ, "properties": {"name": {"bsonType": "string"}},
        "patternProperties": {"_PIIString$": {"encrypt": {DET, KEY, "bsonType": "string"}},
                              "_PIINumber$": {"encrypt": {DET, KEY, "bsonType": "int"}}}})");
    ASSERT_TRUE(built.schema) << texts(built);
    EXPECT_EQ(paths(*built.schema), (Strings{"/_PIIString$/", "/_PIINumber$/"}));
    EXPECT_EQ(what_is(*built.schema, "phone_PIINumber"), "/_PIINumber$/");
    EXPECT_EQ(what_is(*built.schema, "a_PIIString"), "/_PIIString$/");
    EXPECT_EQ(what_is(*built.schema, "name"), "plain");
    EXPECT_TRUE(built.notes.empty());
}

TEST(SchemaPatterns, nest_and_combine_with_properties_and_inherit_metadata) {
    const BuiltSchema built = build(R"({OBJ, "encryptMetadata": {RND, "keyAltName": "root"},
        "properties": {"ssn": {"encrypt": {}},
                       "c": {OBJ, "encryptMetadata": {"keyAltName": "near"}, "patternProperties": {"^x": {"encrypt": {}}}}},
        "patternProperties": {"^t_": {OBJ, "encryptMetadata": {DET},
            "properties": {"id": {"encrypt": {"bsonType": "int"}}},
            "patternProperties": {"^p": {OBJ, "properties": {"q": {"encrypt": {RND}}}}}}}})");
    ASSERT_TRUE(built.schema) << texts(built);
    const Schema& schema = *built.schema;
    ASSERT_EQ(paths(schema), (Strings{"ssn", "c./^x/", "/^t_/.id", "/^t_/./^p/.q"}));
    EXPECT_EQ(std::get<KeyAltName>(schema.fields()[0].key).name, "root");
    EXPECT_EQ(std::get<KeyAltName>(schema.fields()[1].key).name, "near");
    EXPECT_EQ(schema.fields()[2].algorithm, Algorithm::deterministic);
    EXPECT_EQ(std::get<KeyAltName>(schema.fields()[2].key).name, "root");
    EXPECT_EQ(schema.fields()[3].algorithm, Algorithm::random);
    EXPECT_EQ(what_is(schema, "t_1"), "parent");
    EXPECT_EQ(what_is(schema, "t_1.id"), "/^t_/.id");
    EXPECT_EQ(what_is(schema, "t_1.7.p2.q"), "/^t_/./^p/.q");
    EXPECT_EQ(what_is(schema, "t_1.q"), "plain");
    EXPECT_EQ(what_is(schema, "c.xy"), "c./^x/");
    EXPECT_EQ(what_is(schema, "xy"), "plain");
}

TEST(SchemaPatterns, that_define_the_same_are_one_field) {
    const BuiltSchema built = build(R"({OBJ, "encryptMetadata": {RND, KEY},
        "properties": {"xz": {"encrypt": {"bsonType": ["long", "int"]}}, "other": {"encrypt": {"bsonType": ["int", "long"]}}},
        "patternProperties": {"^x": {"encrypt": {"bsonType": ["int", "long"]}},
                              "y$": {"encrypt": {"bsonType": ["long", "int"]}},
                              "s": {"encrypt": {"bsonType": "string"}}}})");
    ASSERT_TRUE(built.schema) << texts(built);
    const Schema& schema = *built.schema;
    EXPECT_EQ(paths(schema), (Strings{"xz", "other", "/s/"}));
    EXPECT_EQ(schema.other_paths(), (Schema::OtherPaths{{"/^x/", 0}, {"/y$/", 0}}));
    EXPECT_EQ(what_is(schema, "xz"), "xz");
    EXPECT_EQ(what_is(schema, "xy"), "xz");
    EXPECT_EQ(what_is(schema, "y"), "xz");
    EXPECT_EQ(what_is(schema, "other"), "other");  // no pattern matches it
    EXPECT_EQ(what_is(schema, "s"), "/s/");
    EXPECT_EQ(what_is(schema, "xs"), "unknown");
    EXPECT_EQ(what_is(schema, "xs.a.b"), "unknown");
}

TEST(SchemaPatterns, agree_by_structure) {
    const BuiltSchema built = build(R"({OBJ, "encryptMetadata": {RND, KEY}, "patternProperties": {
        "^a": {OBJ, "properties": {"f": {"encrypt": {}}, "g": {"encrypt": {"bsonType": "int"}}}},
        "b$": {OBJ, "properties": {"g": {"encrypt": {"bsonType": "int"}}, "f": {"encrypt": {}}}},
        "c": {OBJ, "properties": {"f": {"encrypt": {}}}},
        "d": {"encrypt": {}}}})");
    ASSERT_TRUE(built.schema) << texts(built);
    const Schema& schema = *built.schema;
    EXPECT_EQ(paths(schema), (Strings{"/^a/.f", "/^a/.g", "/c/.f", "/d/"}));
    EXPECT_EQ(schema.other_paths(), (Schema::OtherPaths{{"/b$/.g", 1}, {"/b$/.f", 0}}));
    EXPECT_EQ(what_is(schema, "ab.f"), "/^a/.f");
    EXPECT_EQ(what_is(schema, "xb.g"), "/^a/.g");
    EXPECT_EQ(what_is(schema, "ac.f"), "unknown");
    EXPECT_EQ(what_is(schema, "ad"), "unknown");
}

// The first of these meets the second only through the third.
TEST(SchemaPatterns, are_one_field_in_whatever_order_they_meet) {
    for (const char* patterns : {R"("^n": {"encrypt": {RND, KEY}}, "^m|n": {"encrypt": {RND, KEY}})",
                                 R"("^m|n": {"encrypt": {RND, KEY}}, "^n": {"encrypt": {RND, KEY}})"}) {
        const BuiltSchema built =
            build(R"({OBJ, "properties": {"m": {"encrypt": {RND, KEY}}}, "patternProperties": {)" +
                  std::string(patterns) + "}}");
        ASSERT_TRUE(built.schema) << texts(built);
        EXPECT_EQ(paths(*built.schema), Strings{"m"});
        EXPECT_EQ(what_is(*built.schema, "na"), "m");
    }
}

TEST(SchemaPatterns, fields_of_different_objects_stay_different) {
    const BuiltSchema built = build(R"({OBJ, "encryptMetadata": {RND, KEY},
        "properties": {"o": {OBJ, "patternProperties": {"^x": {"encrypt": {}}}}},
        "patternProperties": {"^x": {"encrypt": {}}}})");
    ASSERT_TRUE(built.schema) << texts(built);
    EXPECT_EQ(paths(*built.schema), (Strings{"o./^x/", "/^x/"}));
    EXPECT_TRUE(built.schema->other_paths().empty());
}

TEST(SchemaPatterns, a_plain_pattern_that_matches_too_makes_a_name_unknown) {
    const char* text =
        R"({OBJ, "patternProperties": {"^x": {"encrypt": {RND, KEY}}, "y$": {"bsonType": "string"}}})";
    for (const SchemaOrigin origin : {SchemaOrigin::local, SchemaOrigin::remote}) {
        const BuiltSchema built = build(text, origin);
        ASSERT_TRUE(built.schema) << texts(built);
        EXPECT_EQ(what_is(*built.schema, "x"), "/^x/");
        EXPECT_EQ(what_is(*built.schema, "y"), "plain");
        EXPECT_EQ(what_is(*built.schema, "xy"), "unknown");
    }
}

TEST(SchemaPatterns, refuse) {
    struct Row {
        const char* schema;
        const char* path;
        const char* fragment;
    };
    const Row rows[] = {
        {R"({OBJ, "patternProperties": 5})", "", "'patternProperties' must be an object"},
        {R"({OBJ, "patternProperties": {"^x": 5}})", "patternProperties.^x", "a schema must be an object"},
        {R"({OBJ, "patternProperties": {"a(b": {"encrypt": {RND, KEY}}}})", "patternProperties",
         "invalid regular expression 'a(b': missing closing parenthesis (at offset 3)"},
        {R"({OBJ, "patternProperties": {"[": {}}})", "patternProperties", "invalid regular expression '['"},
        {R"({"patternProperties": {"^x": {"encrypt": {RND, KEY}}}})", "",
         "Invalid schema containing the 'encrypt' keyword."},
        {R"({OBJ, "patternProperties": {"^x": {"properties": {"f": {"encrypt": {RND, KEY}}}}}})",
         "patternProperties.^x", "Invalid schema containing the 'encrypt' keyword."},
        {R"({OBJ, "patternProperties": {"^x": {"encrypt": {RND, KEY}, "bsonType": "int"}}})",
         "patternProperties.^x", "'encrypt' cannot be used in conjunction with 'bsonType'"},
        {R"({OBJ, "patternProperties": {"^x": {"encrypt": {RND}}}})", "patternProperties.^x.encrypt",
         "'keyId' (or 'keyAltName') is missing"},
        {R"({OBJ, "patternProperties": {"^x": {"required": ["a"]}}})", "patternProperties.^x",
         "JSON schema keyword 'required' is only allowed with a remote schema"},
        {R"({OBJ, "patternProperties": {"^x": {"items": {"encrypt": {RND, KEY}}}}})", "patternProperties.^x",
         "not allowed below 'items'"},
        // a name and a pattern that say different things of one field
        {R"({OBJ, "properties": {"x1": {}}, "patternProperties": {"^x": {"encrypt": {RND, KEY}}}})",
         "properties.x1", "the pattern '^x' matches this name too and says otherwise"},
        {R"({OBJ, "properties": {"x1": {"encrypt": {RND, KEY, "bsonType": "int"}}},
             "patternProperties": {"^x": {"encrypt": {RND, KEY}}}})",
         "properties.x1", "the pattern '^x' matches this name too"},
        {R"({OBJ, "properties": {"x1": {"encrypt": {RND, KEY}}}, "patternProperties": {"^x": {"bsonType": "string"}}})",
         "properties.x1", "the pattern '^x' matches this name too"},
        {R"({OBJ, "properties": {"x1": {OBJ, "properties": {"f": {"encrypt": {RND, KEY}}}}},
             "patternProperties": {"^x": {"encrypt": {RND, KEY}}}})",
         "properties.x1", "the pattern '^x' matches this name too"},
        {R"({OBJ, "properties": {"o": {OBJ, "properties": {"x1": {}}, "patternProperties": {"^x": {"encrypt": {RND, KEY}}}}}})",
         "properties.o.properties.x1", "the pattern '^x' matches this name too"},
        {R"({OBJ, "properties": {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!": {}},
             "patternProperties": {"^(a+)+$": {"encrypt": {RND, KEY}}}})",
         "properties.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!",
         "whether the pattern '^(a+)+$' matches this name takes too long"},
        // one text for two fields, which roles could not tell apart
        {R"({OBJ, "properties": {"/^x/": {"encrypt": {RND, KEY}}}, "patternProperties": {"^x": {"encrypt": {RND, KEY}}}})",
         "patternProperties.^x", "another field is written '/^x/' as well"},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(row.schema);
        const BuiltSchema built = build(row.schema);
        EXPECT_FALSE(built.schema);
        ASSERT_EQ(built.problems.size(), 1u) << texts(built);
        EXPECT_EQ(built.problems[0].path, row.path);
        EXPECT_NE(built.problems[0].what.find(row.fragment), std::string::npos) << texts(built);
    }
}

TEST(SchemaPatterns, of_a_servers_schema_that_protects_nothing_near_them_may_be_anything) {
    for (const char* text :
         {R"({OBJ, "patternProperties": {"[": {"bsonType": "int"}}})",
          R"({OBJ, "properties": {"f": {"encrypt": {RND, KEY}}, "o": {"patternProperties": {"[": {}}}}})"})
        EXPECT_TRUE(build(text, SchemaOrigin::remote).schema) << text;
    const BuiltSchema built =
        build(R"({OBJ, "properties": {"f": {"encrypt": {RND, KEY}}}, "patternProperties": {"[": {}}})",
              SchemaOrigin::remote);
    ASSERT_EQ(built.problems.size(), 1u) << texts(built);
    EXPECT_NE(built.problems[0].what.find("invalid regular expression"), std::string::npos);
}

TEST(SchemaPatterns, a_pattern_may_be_called_like_a_keyword) {
    const BuiltSchema built = build(R"({OBJ, "patternProperties": {"properties": {"encrypt": {RND, KEY}}}})");
    ASSERT_TRUE(built.schema) << texts(built);
    EXPECT_EQ(what_is(*built.schema, "my_properties"), "/properties/");
}

TEST(SchemaPatterns, a_pattern_that_matches_the_id_is_noted) {
    const BuiltSchema built = build(R"({OBJ, "patternProperties": {"^.": {"encrypt": {RND, KEY}}}})");
    ASSERT_TRUE(built.schema) << texts(built);
    ASSERT_EQ(built.notes.size(), 1u);
    EXPECT_NE(built.notes[0].what.find("the pattern '^.' matches '_id'"), std::string::npos);
    EXPECT_TRUE(
        build(R"({OBJ, "properties": {"o": {OBJ, "patternProperties": {"^.": {"encrypt": {RND, KEY}}}}}})")
            .notes.empty());
}

TEST(SchemaPatterns, are_bounded_in_number) {
    const auto with = [](std::size_t count) {
        std::string text = R"({OBJ, "patternProperties": {)";
        for (std::size_t i = 0; i < count; ++i)
            text += (i > 0 ? ", \"^" : "\"^") + std::to_string(i) + R"($": {"encrypt": {RND, KEY}})";
        return build(text + "}}");
    };
    EXPECT_TRUE(with(schema_patterns_max).schema);
    const BuiltSchema built = with(schema_patterns_max + 2);
    ASSERT_EQ(built.problems.size(), 1u) << texts(built);
    EXPECT_EQ(built.problems[0].what, "more than 32 patterns");
}

TEST(SchemaPatterns, are_compared_with_a_bounded_number_of_names) {
    const auto with = [](std::size_t names) {
        std::string text = R"({OBJ, "properties": {)";
        for (std::size_t i = 0; i < names; ++i)
            text += (i > 0 ? ", \"n" : "\"n") + std::to_string(i) + "\": {}";
        text += R"(}, "patternProperties": {)";
        for (std::size_t i = 0; i < 20; ++i)
            text += (i > 0 ? ", \"^" : "\"^") + std::to_string(i) + R"($": {"encrypt": {RND, KEY}})";
        return build(text + "}}");
    };
    EXPECT_TRUE(with(schema_overlaps_max / 20).schema);
    const BuiltSchema built = with(schema_overlaps_max / 20 + 1);
    ASSERT_EQ(built.problems.size(), 1u) << texts(built);
    EXPECT_EQ(built.problems[0].what, "more than 20000 pairs of a name and a pattern beside it");
}

}  // namespace
}  // namespace fieldgate::config
