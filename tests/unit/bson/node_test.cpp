#include "proxy/bson/node.hpp"

#include <gtest/gtest.h>

#include "config/name_pattern.hpp"
#include "config/schema_builder.hpp"
#include "config/schema_writer.hpp"
#include "proxy/bson/builder.hpp"
#include "proxy/bson/error.hpp"

namespace fieldgate::bson {
namespace {

using config::Node;
using Kind = Node::Kind;

Buffer json(std::string_view text) {
    auto document = from_json(text);
    EXPECT_TRUE(document) << text;
    return document ? *document : Buffer{};
}

boost::system::result<Node> node_of(const Buffer& document, std::string_view label = {}) {
    const auto view = DocumentView::check(document, Limits{200});
    EXPECT_TRUE(view);
    return to_node(*view, label);
}

TEST(Node, has_every_value_of_a_document) {
    const Buffer document = json(R"({"n": null, "t": true, "f": false, "i": -5, "l": {"$numberLong": "5"},
        "d": 1.5, "nan": {"$numberDouble": "NaN"}, "inf": {"$numberDouble": "-Infinity"}, "s": "text", "a": [1, "x"],
        "o": {"k": {}}, "u": {"$binary": {"base64": "AAECAwQFBgcICQoLDA0ODw==", "subType": "04"}}})");
    const auto result = node_of(document);
    ASSERT_TRUE(result);
    const Node& root = *result;
    EXPECT_EQ(root.kind, Kind::object);
    EXPECT_EQ(root.children.size(), 12u);
    EXPECT_EQ(root.find("n")->kind, Kind::null);
    EXPECT_EQ(root.find("n")->text, "null");
    EXPECT_TRUE(root.find("t")->boolean);
    EXPECT_EQ(root.find("f")->kind, Kind::boolean);
    EXPECT_FALSE(root.find("f")->boolean);
    EXPECT_EQ(root.find("i")->kind, Kind::int32);
    EXPECT_EQ(root.find("i")->integer, -5);
    EXPECT_EQ(root.find("i")->text, "-5");
    EXPECT_EQ(root.find("l")->kind, Kind::int64);
    EXPECT_EQ(root.find("l")->integer, 5);
    EXPECT_EQ(root.find("d")->kind, Kind::double_);
    EXPECT_EQ(root.find("d")->text, "1.5");
    EXPECT_EQ(root.find("nan")->text, "NaN");
    EXPECT_EQ(root.find("inf")->text, "-Infinity");
    EXPECT_EQ(root.find("s")->kind, Kind::string);
    EXPECT_EQ(root.find("s")->text, "text");
    ASSERT_EQ(root.find("a")->children.size(), 2u);
    EXPECT_EQ(root.find("a")->children[1].text, "x");
    EXPECT_EQ(root.find("a")->children[1].key, "");
    EXPECT_TRUE(root.find("o")->find("k")->is_object());
    const Node& uuid = *root.find("u");
    EXPECT_EQ(uuid.kind, Kind::binary);
    EXPECT_EQ(uuid.subtype, 4);
    ASSERT_EQ(uuid.bytes.size(), 16u);
    EXPECT_EQ(uuid.bytes[15], 15);
}

TEST(Node, of_a_type_that_schemas_do_not_use_has_its_name) {
    const Buffer document = json(R"({"regex": {"$regularExpression": {"pattern": "x", "options": "i"}},
        "objectId": {"$oid": "000102030405060708090a0b"}, "date": {"$date": {"$numberLong": "0"}},
        "decimal": {"$numberDecimal": "1"}, "timestamp": {"$timestamp": {"t": 1, "i": 1}},
        "javascript": {"$code": "f"}, "minKey": {"$minKey": 1}, "maxKey": {"$maxKey": 1}, "undefined": {"$undefined": true}})");
    const auto root = node_of(document);
    ASSERT_TRUE(root);
    ASSERT_EQ(root->children.size(), 9u);
    for (const Node& child : root->children) {
        EXPECT_EQ(child.kind, Kind::other);
        EXPECT_EQ(child.text, child.key);
    }
}

TEST(Node, carries_its_path_and_no_line) {
    const auto root = node_of(json(R"({"a": {"b": [{"c": 1}]}})"), "validator");
    ASSERT_TRUE(root);
    EXPECT_EQ(root->where.label, "validator");
    const Node& c = root->children[0].children[0].children[0].children[0];
    EXPECT_EQ(c.where.label, "validator.a.b.0.c");
    EXPECT_EQ(c.where.line, 0);
    EXPECT_EQ(node_of(json(R"({"a": 1})"))->children[0].where.label, "a");
}

TEST(Node, bounds_the_path_at_a_character) {
    std::string key(node_path_bytes_max, 'k');
    EXPECT_EQ(node_of(json("{\"" + key + "\": 1}"))->children[0].where.label, key);
    EXPECT_EQ(node_of(json("{\"k" + key + "\": 1}"))->children[0].where.label,
              "..." + std::string(node_path_bytes_max - 3, 'k'));
    std::string accents;
    for (std::size_t i = 0; i < node_path_bytes_max; ++i) accents += "\xC3\xA9";
    const std::string label = node_of(json("{\"" + accents + "\": 1}"))->children[0].where.label;
    EXPECT_LE(label.size(), node_path_bytes_max);
    EXPECT_EQ(label.substr(0, 5), "...\xC3\xA9");
}

TEST(Node, keeps_duplicate_keys_for_the_builder_to_refuse) {
    Buffer document;
    Builder(document).append_int32("a", 1).append_int32("a", 2).finish();
    const auto root = node_of(document);
    ASSERT_TRUE(root);
    EXPECT_EQ(root->children.size(), 2u);
    const auto built = config::build_schema(*root, config::SchemaOrigin::remote);
    EXPECT_FALSE(built.schema);
    EXPECT_EQ(built.problems[0].what, "'a' stands twice");
}

TEST(Node, bounds_levels) {
    const auto nested = [](std::size_t levels) {
        Buffer document;
        Builder builder(document);
        for (std::size_t level = 1; level < levels; ++level) builder.open_document("a");
        for (std::size_t level = 1; level < levels; ++level) builder.close();
        builder.finish();
        return document;
    };
    EXPECT_TRUE(node_of(nested(config::node_levels_max)));
    EXPECT_EQ(node_of(nested(config::node_levels_max + 1)).error(), Errc::nested_too_deep);
}

TEST(Node, bounds_the_number_of_nodes) {
    const auto with = [](std::size_t values) {
        Buffer document;
        Builder builder(document);
        builder.open_array("a");
        for (std::size_t i = 0; i < values; ++i) builder.append_null("0");
        builder.close().finish();
        return document;
    };
    EXPECT_TRUE(node_of(with(node_count_max - 2)));
    EXPECT_EQ(node_of(with(node_count_max - 1)).error(), Errc::too_many_values);
}

// A collection's validator, through the builder.
TEST(Node, feeds_the_schema_builder) {
    const Buffer document =
        json(R"({"bsonType": "object", "required": ["ssn"], "minProperties": {"$numberLong": "1"},
        "encryptMetadata": {"algorithm": "AEAD_AES_256_CBC_HMAC_SHA_512-Random",
                            "keyId": [{"$binary": {"base64": "AAECAwQFBgcICQoLDA0ODw==", "subType": "04"}}]},
        "properties": {"ssn": {"encrypt": {"bsonType": "int"}}, "name": {"bsonType": "string", "pattern": "^[A-Z]", "maxLength": 5.0}},
        "patternProperties": {"^t_": {"encrypt": {}}}})");
    const auto node = node_of(document);
    ASSERT_TRUE(node);
    const auto built = config::build_schema(*node, config::SchemaOrigin::remote);
    ASSERT_TRUE(built.schema) << built.problems[0].what;
    ASSERT_EQ(built.schema->fields().size(), 2u);
    EXPECT_EQ(built.schema->fields()[0].path, "ssn");
    EXPECT_EQ(built.schema->match("t_x").node->field, 1);
    // And back again: what is written is BSON that says the same.
    const auto again =
        config::build_schema(*node_of(json(config::to_extended_json(config::write_schema(*built.schema)))),
                             config::SchemaOrigin::remote);
    ASSERT_TRUE(again.schema);
    EXPECT_TRUE(again.schema->root().protects_alike(built.schema->root()));
    EXPECT_EQ(again.schema->fields()[0].key, built.schema->fields()[0].key);
}

TEST(Node, of_a_wrong_schema_says_where) {
    const auto node = node_of(json(R"({"bsonType": "object", "properties": {
        "f": {"encrypt": {"keyId": [{"$oid": "000102030405060708090a0b"}],
                          "algorithm": {"$regularExpression": {"pattern": "x", "options": ""}}}}}})"),
                              "$jsonSchema");
    const auto built = config::build_schema(*node, config::SchemaOrigin::remote);
    ASSERT_EQ(built.problems.size(), 2u);
    EXPECT_EQ(built.problems[0].where.label, "$jsonSchema.properties.f.encrypt.keyId.0");
    EXPECT_NE(built.problems[0].what.find("(51088)"), std::string::npos);
    EXPECT_EQ(built.problems[1].where.label, "$jsonSchema.properties.f.encrypt.algorithm");
    EXPECT_EQ(built.problems[1].path, "properties.f.encrypt");
    EXPECT_EQ(built.problems[1].what, "'algorithm' must be a string, not another type");
}

}  // namespace
}  // namespace fieldgate::bson
