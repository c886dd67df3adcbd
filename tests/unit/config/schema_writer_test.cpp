#include "config/schema_writer.hpp"

#include <gtest/gtest.h>

#include "config/name_pattern.hpp"
#include "tests/unit/config/schema_support.hpp"

namespace fieldgate::config {
namespace {

void expect_equal(const Schema& a, const Schema& b) {
    EXPECT_TRUE(a.root().protects_alike(b.root()));
    EXPECT_EQ(a.other_paths(), b.other_paths());
    ASSERT_EQ(a.fields().size(), b.fields().size());
    for (std::size_t i = 0; i < a.fields().size(); ++i) {
        EXPECT_EQ(a.fields()[i].path, b.fields()[i].path);
        EXPECT_EQ(a.fields()[i].algorithm, b.fields()[i].algorithm);
        EXPECT_EQ(a.fields()[i].key, b.fields()[i].key);
        EXPECT_EQ(a.fields()[i].bson_types, b.fields()[i].bson_types);
    }
}

TEST(SchemaWriter, what_it_writes_builds_the_same_schema) {
    const char* schemas[] = {
        R"({OBJ})",
        R"({OBJ, "properties": {"f": {"encrypt": {DET, KEY, "bsonType": "int"}}, "plain": {"bsonType": "int"}}})",
        R"({OBJ, "encryptMetadata": {RND, "keyAltName": "{database}"}, "properties": {
            "b": {OBJ, "properties": {"y": {"encrypt": {"bsonType": ["long", "int"]}}, "x": {"encrypt": {KEY}}}},
            "a": {"encrypt": {"keyId": "/owner/a~1b~0c"}}}})",
        R"({OBJ, "encryptMetadata": {RND, KEY}, "properties": {"xz": {"encrypt": {}}, "o": {OBJ,
                "patternProperties": {"\\d\"": {"encrypt": {}}, "plain": {}, "^n": {OBJ, "properties": {"f": {"encrypt": {}}}}}}},
            "patternProperties": {"^x": {"encrypt": {}}, "p": {"bsonType": "int"}, "y$": {"encrypt": {}},
                "s": {"encrypt": {"bsonType": "string"}}}})",
    };
    for (const char* text : schemas) {
        SCOPED_TRACE(text);
        const BuiltSchema built = build(text);
        ASSERT_TRUE(built.schema) << texts(built);
        const Node written = write_schema(*built.schema);
        for (const SchemaOrigin origin : {SchemaOrigin::local, SchemaOrigin::remote}) {
            const BuiltSchema again = build_schema(written, origin);
            ASSERT_TRUE(again.schema) << texts(again);
            expect_equal(*built.schema, *again.schema);
        }
        const BuiltSchema from_text = build(to_extended_json(written));
        ASSERT_TRUE(from_text.schema) << texts(from_text);
        expect_equal(*built.schema, *from_text.schema);
    }
}

TEST(SchemaWriter, writes_what_a_driver_reads) {
    const BuiltSchema built = build(R"({OBJ, "encryptMetadata": {KEY}, "properties": {
        "o": {OBJ, "properties": {"f": {"encrypt": {RND, "bsonType": ["int", "long"]}}}}},
        "patternProperties": {"^x": {"encrypt": {DET, "bsonType": "string"}}}})");
    ASSERT_TRUE(built.schema) << texts(built);
    EXPECT_EQ(to_extended_json(write_schema(*built.schema)), R"({
  "bsonType": "object",
  "properties": {
    "o": {
      "bsonType": "object",
      "properties": {
        "f": {
          "encrypt": {
            "bsonType": [
              "int",
              "long"
            ],
            "algorithm": "AEAD_AES_256_CBC_HMAC_SHA_512-Random",
            "keyId": [
              { "$binary": { "base64": "AAECAwQFBgcICQoLDA0ODw==", "subType": "04" } }
            ]
          }
        }
      }
    }
  },
  "patternProperties": {
    "^x": {
      "encrypt": {
        "bsonType": "string",
        "algorithm": "AEAD_AES_256_CBC_HMAC_SHA_512-Deterministic",
        "keyId": [
          { "$binary": { "base64": "AAECAwQFBgcICQoLDA0ODw==", "subType": "04" } }
        ]
      }
    }
  }
})");
}

TEST(SchemaWriter, resolves_names_of_keys_if_asked_to) {
    const BuiltSchema built = build(R"({OBJ, "encryptMetadata": {RND}, "properties": {
        "a": {"encrypt": {"keyAltName": "known"}}, "b": {"encrypt": {"keyAltName": "other"}}}})");
    ASSERT_TRUE(built.schema) << texts(built);
    const UuidOfKey uuid_of = [](const KeyAltName& name) -> std::optional<KeyUuid> {
        if (name.name != "known") return std::nullopt;
        return counting_uuid;
    };
    const BuiltSchema again = build_schema(write_schema(*built.schema, uuid_of), SchemaOrigin::local);
    ASSERT_TRUE(again.schema) << texts(again);
    EXPECT_EQ(again.schema->fields()[0].key, KeyReference(counting_uuid));
    EXPECT_EQ(again.schema->fields()[1].key, KeyReference(KeyAltName{"other"}));
}

TEST(SchemaWriter, extended_json_keeps_types_and_escapes_strings) {
    const std::string text =
        R"({"s": "a\"\\\u0001\n", "i": -5, "l": {"$numberLong": "5"}, "d": {"$numberDouble": "1.5"}, "e": [],
            "n": null, "b": [true, false], "x": {"$binary": {"base64": "AQID/w==", "subType": "80"}}, "o": {},
            "y": {"$binary": {"base64": "AQ==", "subType": "00"}}, "z": {"$binary": {"base64": "", "subType": "00"}}})";
    std::vector<Problem> problems;
    ProblemList list(problems, "x");
    const auto read = [&](const std::string& json) {
        auto node = read_json(json, list);
        EXPECT_TRUE(node);
        decode_extended_json(*node, list);
        EXPECT_TRUE(problems.empty());
        return std::move(*node);
    };
    const std::string once = to_extended_json(read(text));
    const Node node = read(once);
    EXPECT_EQ(to_extended_json(node), once);
    EXPECT_EQ(node.find("s")->text, "a\"\\\x01\n");
    EXPECT_EQ(node.find("i")->kind, Node::Kind::int32);
    EXPECT_EQ(node.find("l")->kind, Node::Kind::int64);
    EXPECT_EQ(node.find("d")->kind, Node::Kind::double_);
    EXPECT_EQ(node.find("x")->bytes, (std::vector<std::uint8_t>{1, 2, 3, 0xFF}));
    EXPECT_EQ(node.find("x")->subtype, 0x80);
    EXPECT_EQ(node.find("y")->bytes, std::vector<std::uint8_t>{1});
    EXPECT_EQ(node.find("b")->children.size(), 2u);
    EXPECT_TRUE(node.find("e")->is_array());
    EXPECT_TRUE(node.find("o")->is_object());
}

}  // namespace
}  // namespace fieldgate::config
