#include "config/schema_builder.hpp"

#include <gtest/gtest.h>

#include "config/bson_types.hpp"
#include "config/encrypt_options.hpp"
#include "tests/unit/config/schema_support.hpp"

namespace fieldgate::config {
namespace {

TEST(SchemaBuilder, builds_fields_in_the_order_of_the_schema) {
    const BuiltSchema built = build(R"({OBJ, "title": "t", "description": "d", "properties": {
        "z": {"encrypt": {DET, KEY, "bsonType": "int"}},
        "plain": {"bsonType": "string", "title": "x"},
        "empty": {},
        "a": {OBJ, "properties": {"y": {"encrypt": {RND, KEY}}, "b": {"encrypt": {RND, KEY, "bsonType": ["int", "long"]}}}}
    }})");
    ASSERT_TRUE(built.schema) << texts(built);
    const auto& fields = built.schema->fields();
    ASSERT_EQ(fields.size(), 3u);
    EXPECT_EQ(fields[0].path, "z");
    EXPECT_EQ(fields[0].algorithm, Algorithm::deterministic);
    EXPECT_EQ(std::get<KeyUuid>(fields[0].key), counting_uuid);
    EXPECT_EQ(fields[0].bson_types, std::vector<std::uint8_t>{0x10});
    EXPECT_EQ(fields[1].path, "a.y");
    EXPECT_TRUE(fields[1].bson_types.empty());
    EXPECT_EQ(fields[2].path, "a.b");
    EXPECT_EQ(fields[2].bson_types, (std::vector<std::uint8_t>{0x10, 0x12}));
    EXPECT_EQ(built.schema->match("a.y").node->field, 1);
    EXPECT_EQ(built.schema->match("plain").node, nullptr);
    EXPECT_TRUE(built.notes.empty());
}

TEST(SchemaBuilder, type_object_declares_a_parent_as_well) {
    EXPECT_TRUE(build(R"({"type": "object", "properties": {"a": {"type": "object", "properties": {
        "f": {"encrypt": {RND, KEY}}}}}})")
                    .schema);
    EXPECT_TRUE(build(R"({"bsonType": ["object"], "properties": {"f": {"encrypt": {RND, KEY}}}})").schema);
}

TEST(SchemaBuilder, inherits_each_option_from_the_nearest_metadata) {
    const BuiltSchema built = build(R"({OBJ, "encryptMetadata": {RND, "keyAltName": "root"}, "properties": {
        "a": {"encrypt": {}},
        "b": {"encrypt": {"keyAltName": "own"}},
        "c": {OBJ, "encryptMetadata": {"keyAltName": "near"}, "properties": {
            "d": {"encrypt": {}},
            "e": {OBJ, "encryptMetadata": {DET}, "properties": {"g": {"encrypt": {"bsonType": "string"}}}},
            "h": {"encrypt": {KEY, DET, "bsonType": "long"}}}},
        "i": {"encrypt": {DET, "bsonType": "date"}}
    }})");
    ASSERT_TRUE(built.schema) << texts(built);
    const auto& fields = built.schema->fields();
    struct Row {
        const char* path;
        Algorithm algorithm;
        const char* key;  // null: the UUID
        std::optional<std::string> algorithm_from;
        std::optional<std::string> key_from;
    };
    const std::optional<std::string> own;
    const Row rows[] = {{"a", Algorithm::random, "root", "", ""},
                        {"b", Algorithm::random, "own", "", own},
                        {"c.d", Algorithm::random, "near", "", "c"},
                        {"c.e.g", Algorithm::deterministic, "near", "c.e", "c"},
                        {"c.h", Algorithm::deterministic, nullptr, own, own},
                        {"i", Algorithm::deterministic, "root", own, ""}};
    ASSERT_EQ(fields.size(), std::size(rows));
    for (std::size_t i = 0; i < std::size(rows); ++i) {
        SCOPED_TRACE(rows[i].path);
        EXPECT_EQ(fields[i].path, rows[i].path);
        EXPECT_EQ(fields[i].algorithm, rows[i].algorithm);
        if (rows[i].key != nullptr)
            EXPECT_EQ(std::get<KeyAltName>(fields[i].key), KeyAltName{rows[i].key});
        else
            EXPECT_EQ(std::get<KeyUuid>(fields[i].key), counting_uuid);
        EXPECT_EQ(fields[i].algorithm_from, rows[i].algorithm_from);
        EXPECT_EQ(fields[i].key_from, rows[i].key_from);
    }
}

TEST(SchemaBuilder, bson_type_is_not_inherited) {
    const BuiltSchema built = build(R"({OBJ, "encryptMetadata": {DET, KEY}, "properties": {
        "f": {"encrypt": {"bsonType": "int"}}, "g": {"encrypt": {}}}})");
    ASSERT_EQ(built.problems.size(), 1u) << texts(built);
    EXPECT_EQ(built.problems[0].path, "properties.g.encrypt");
    EXPECT_NE(built.problems[0].what.find("exactly one 'bsonType'"), std::string::npos);
}

TEST(SchemaBuilder, metadata_of_a_sibling_is_not_inherited) {
    const BuiltSchema built = build(R"({OBJ, "properties": {
        "a": {OBJ, "encryptMetadata": {RND, KEY}, "properties": {"f": {"encrypt": {}}}}, "g": {"encrypt": {}}}})");
    EXPECT_EQ(built.problems.size(), 2u) << texts(built);
}

// Goal: the matrix of CSFLE specification, "Encryption and BSON types", through the whole builder.
TEST(SchemaBuilder, accepts_exactly_the_types_that_the_algorithm_can_encrypt) {
    for (unsigned value = 0; value <= 0xFF; ++value) {
        const auto type = static_cast<std::uint8_t>(value);
        const std::string alias(bson_type_alias(type));
        if (alias == "unknown") continue;
        SCOPED_TRACE(alias);
        const BuiltSchema det = build_field(R"({DET, KEY, "bsonType": ")" + alias + "\"}");
        const BuiltSchema random = build_field(R"({RND, KEY, "bsonType": ")" + alias + "\"}");
        EXPECT_EQ(det.schema != nullptr, may_encrypt(Algorithm::deterministic, type)) << texts(det);
        EXPECT_EQ(random.schema != nullptr, may_encrypt(Algorithm::random, type)) << texts(random);
        if (!det.schema) {
            ASSERT_EQ(det.problems.size(), 1u) << texts(det);
            EXPECT_EQ(det.problems[0].what,
                      (random.schema ? "Cannot use deterministic encryption for element of type: "
                                     : "Cannot encrypt element of type: ") +
                          alias);
        }
        if (!random.schema) {
            ASSERT_EQ(random.problems.size(), 1u);
            EXPECT_EQ(random.problems[0].what, "Cannot encrypt element of type: " + alias);
        }
    }
}

TEST(SchemaBuilder, a_single_type_in_an_array_is_enough_for_the_deterministic_algorithm) {
    EXPECT_TRUE(build_field(R"({DET, KEY, "bsonType": ["int"]})").schema);
}

TEST(SchemaBuilder, a_remote_schema_may_not_hide_encrypt_either) {
    for (const char* keyword : {"items", "additionalItems", "additionalProperties", "anyOf", "allOf", "oneOf",
                                "not", "dependencies"}) {
        SCOPED_TRACE(keyword);
        const BuiltSchema built = build(R"({OBJ, ")" + std::string(keyword) +
                                            R"(": {"x": {"properties": {"f": {"encrypt": {RND, KEY}}}}}})",
                                        SchemaOrigin::remote);
        EXPECT_FALSE(built.schema);
        EXPECT_EQ(built.problems.size(), 1u) << texts(built);
    }
}

TEST(SchemaBuilder, a_remote_schema_may_have_plain_fields_of_any_name) {
    EXPECT_TRUE(
        build(R"({OBJ, "properties": {"a.b": {"bsonType": "int"}, "$x": {}}})", SchemaOrigin::remote).schema);
    EXPECT_FALSE(
        build(R"({OBJ, "properties": {"a.b": {"encrypt": {RND, KEY}}}})", SchemaOrigin::remote).schema);
}

TEST(SchemaBuilder, a_field_may_be_called_like_a_keyword) {
    EXPECT_TRUE(build(R"({OBJ, "not": {"properties": {"encrypt": {"bsonType": "int"}}},
                          "dependencies": {"encryptMetadata": {"required": ["a"]}, "properties": ["b"]}})",
                      SchemaOrigin::remote)
                    .schema);
    const BuiltSchema built =
        build(R"({OBJ, "properties": {"encrypt": {"encrypt": {RND, KEY}}, "properties": {
        OBJ, "properties": {"f": {"encrypt": {RND, KEY}}}}}})");
    ASSERT_TRUE(built.schema) << texts(built);
    EXPECT_EQ(built.schema->fields()[1].path, "properties.f");
}

TEST(SchemaBuilder, reads_json_pointers) {
    const BuiltSchema built =
        build(R"({OBJ, "encryptMetadata": {RND, "keyId": "/owner/key~1na~0me"}, "properties": {
        "a": {"encrypt": {}},
        "b": {"encrypt": {"keyId": "/k", "bsonType": ["int", "string"]}},
        "c": {"encrypt": {DET, KEY, "bsonType": "int"}},
        "owner": {OBJ, "properties": {"key/na~me": {"bsonType": "string"}}}}})");
    ASSERT_TRUE(built.schema) << texts(built);
    const auto& fields = built.schema->fields();
    ASSERT_EQ(fields.size(), 3u);
    EXPECT_EQ(std::get<KeyPointer>(fields[0].key).path, (std::vector<std::string>{"owner", "key/na~me"}));
    EXPECT_FALSE(fields[0].has_static_key());
    EXPECT_EQ(std::get<KeyPointer>(fields[1].key).path, std::vector<std::string>{"k"});
    EXPECT_TRUE(fields[2].has_static_key());
}

TEST(SchemaBuilder, a_json_pointer_must_lead_to_something_in_clear) {
    struct Row {
        const char* pointer;
        const char* fragment;  // null: accepted
    };
    const Row rows[] = {
        {"/plain", nullptr},
        {"/o/plain", nullptr},
        {"/o/0/plain", nullptr},
        {"/later", "a field that is or may be encrypted, 'later'"},
        {"/later/x/y", "a field that is or may be encrypted, 'later.x.y'"},
        {"/o/in", "a field that is or may be encrypted, 'o.in'"},
        {"/o/3/in", "a field that is or may be encrypted, 'o.3.in'"},
        {"/o", "an object that holds encrypted fields, 'o'"},
        {"/p/xa", "a field that is or may be encrypted, 'p.xa'"},
        {"/p/xb", "a field that is or may be encrypted, 'p.xb'"},  // its patterns disagree
        {"/p/a", nullptr},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(row.pointer);
        const BuiltSchema built = build(
            R"({OBJ, "encryptMetadata": {KEY, RND}, "properties": {
            "f": {"encrypt": {"keyId": ")" +
            std::string(row.pointer) + R"("}},
            "o": {OBJ, "properties": {"in": {"encrypt": {}}}},
            "p": {OBJ, "patternProperties": {"^x": {"encrypt": {}}, "xb$": {"encrypt": {"bsonType": "int"}}}},
            "later": {"encrypt": {}}}})");
        EXPECT_EQ(built.schema != nullptr, row.fragment == nullptr) << texts(built);
        if (row.fragment == nullptr) continue;
        ASSERT_EQ(built.problems.size(), 1u) << texts(built);
        EXPECT_EQ(built.problems[0].path, "properties.f.encrypt");
        EXPECT_NE(built.problems[0].what.find(row.fragment), std::string::npos) << texts(built);
    }
}

TEST(SchemaBuilder, a_deterministic_field_may_not_inherit_a_json_pointer) {
    const BuiltSchema built = build(R"({OBJ, "encryptMetadata": {DET, "keyId": "/k"}, "properties": {
        "f": {"encrypt": {"bsonType": "int"}}}})");
    ASSERT_EQ(built.problems.size(), 1u) << texts(built);
    EXPECT_EQ(built.problems[0].path, "properties.f.encrypt");
}

TEST(SchemaBuilder, bounds_the_names_of_keys) {
    const auto with = [](const std::string& key) { return build_field("{RND, " + key + "}"); };
    const auto pointer = [](std::size_t levels) {
        std::string text;
        for (std::size_t i = 0; i < levels; ++i) text += "/a";
        return text;
    };
    EXPECT_TRUE(with(R"("keyId": ")" + pointer(node_levels_max) + "\"").schema);
    const BuiltSchema deep = with(R"("keyId": ")" + pointer(node_levels_max + 1) + "\"");
    ASSERT_EQ(deep.problems.size(), 1u) << texts(deep);
    EXPECT_NE(deep.problems[0].what.find("deeper than 100 levels (51067)"), std::string::npos);
    EXPECT_TRUE(with(R"("keyId": "/)" + std::string(key_name_bytes_max - 1, 'k') + "\"").schema);
    EXPECT_FALSE(with(R"("keyId": "/)" + std::string(key_name_bytes_max, 'k') + "\"").schema);
    EXPECT_TRUE(with(R"("keyAltName": ")" + std::string(key_name_bytes_max, 'k') + "\"").schema);
    EXPECT_FALSE(with(R"("keyAltName": ")" + std::string(key_name_bytes_max + 1, 'k') + "\"").schema);
}

TEST(SchemaBuilder, bounds_the_paths_of_fields) {
    const auto named = [](std::size_t bytes) {
        return build(R"({OBJ, "properties": {")" + std::string(bytes, 'n') +
                     R"(": {"encrypt": {RND, KEY}}}})");
    };
    EXPECT_TRUE(named(schema_field_path_bytes_max).schema);
    const BuiltSchema built = named(schema_field_path_bytes_max + 1);
    ASSERT_EQ(built.problems.size(), 1u) << texts(built);
    EXPECT_NE(built.problems[0].what.find("longer than 4096 bytes"), std::string::npos);
}

TEST(SchemaBuilder, bounds_the_list_of_problems) {
    const auto wrong = [](std::size_t count) {
        std::string text = "{OBJ";
        for (std::size_t i = 0; i < count; ++i) text += ", \"x" + std::to_string(i) + "\": 1";
        return build(text + "}");
    };
    EXPECT_EQ(wrong(schema_problems_max).problems.size(), schema_problems_max);
    const BuiltSchema built = wrong(schema_problems_max + 5);
    ASSERT_EQ(built.problems.size(), schema_problems_max + 1);
    EXPECT_EQ(built.problems.back().what, "and more problems, which are not listed");
}

TEST(SchemaBuilder, says_everything_at_once_with_lines_and_paths) {
    const BuiltSchema built = build(
        "{OBJ,\n\"required\": [],\n\"properties\": {\n\"f\": {\"encrypt\": {RND}},\n"
        "\"g\": {\n\"encrypt\": {\nKEY,\n\"algorithm\": 1}}}}");
    ASSERT_EQ(built.problems.size(), 3u) << texts(built);
    EXPECT_EQ(built.problems[0].where.line, 2);
    EXPECT_EQ(built.problems[0].path, "");
    EXPECT_EQ(built.problems[1].where.line, 4);
    EXPECT_EQ(built.problems[1].path, "properties.f.encrypt");
    EXPECT_EQ(built.problems[2].where.line, 8);
    EXPECT_EQ(built.problems[2].path, "properties.g.encrypt");
}

TEST(SchemaBuilder, a_mistake_in_metadata_is_said_once_and_not_at_each_field) {
    const BuiltSchema built =
        build(R"({OBJ, "encryptMetadata": {"algorithm": "x", "keyId": 5}, "properties": {
        "f": {"encrypt": {}}, "g": {"encrypt": {}}}})");
    EXPECT_EQ(built.problems.size(), 2u) << texts(built);
}

Node node_of(const char* key, Node::Kind kind, std::vector<Node> children = {}) {
    Node node;
    node.key = key;
    node.kind = kind;
    node.children = std::move(children);
    return node;
}

// BSON keeps duplicate keys, so the builder cannot rely on its readers.
TEST(SchemaBuilder, refuses_duplicate_properties_keywords_and_options) {
    Node type = node_of("bsonType", Node::Kind::string);
    type.text = "object";
    const Node plain = node_of("f", Node::Kind::object);
    {
        const Node root = node_of("", Node::Kind::object,
                                  {type, node_of("properties", Node::Kind::object, {plain, plain, plain})});
        const BuiltSchema built = build_schema(root, SchemaOrigin::remote);
        ASSERT_EQ(built.problems.size(), 1u) << texts(built);
        EXPECT_EQ(built.problems[0].what, "'f' stands twice");
        EXPECT_EQ(built.problems[0].path, "properties");
    }
    {
        const BuiltSchema built =
            build_schema(node_of("", Node::Kind::object, {type, type}), SchemaOrigin::remote);
        ASSERT_EQ(built.problems.size(), 1u) << texts(built);
        EXPECT_EQ(built.problems[0].what, "'bsonType' stands twice");
    }
    {
        Node name = node_of("keyAltName", Node::Kind::string);
        name.text = "k";
        Node algorithm = node_of("algorithm", Node::Kind::string);
        algorithm.text = "AEAD_AES_256_CBC_HMAC_SHA_512-Random";
        const Node encrypt = node_of("encrypt", Node::Kind::object, {name, algorithm, name});
        const Node root = node_of(
            "", Node::Kind::object,
            {type, node_of("properties", Node::Kind::object, {node_of("f", Node::Kind::object, {encrypt})})});
        const BuiltSchema built = build_schema(root, SchemaOrigin::remote);
        ASSERT_EQ(built.problems.size(), 1u) << texts(built);
        EXPECT_EQ(built.problems[0].what, "'keyAltName' stands twice in 'encrypt'");
    }
}

Node nested_schema(std::size_t levels) {
    Node type = node_of("bsonType", Node::Kind::string);
    type.text = "object";
    Node node = node_of("f", Node::Kind::object, {type});
    for (std::size_t level = 1; level < levels; ++level)
        node = node_of("f", Node::Kind::object,
                       {type, node_of("properties", Node::Kind::object, {std::move(node)})});
    return node;
}

TEST(SchemaBuilder, bounds_nesting) {
    // Each level of the document is two of the schema: its `properties` and the field.
    EXPECT_TRUE(build_schema(nested_schema(50), SchemaOrigin::remote).schema);
    const BuiltSchema built = build_schema(nested_schema(51), SchemaOrigin::remote);
    ASSERT_EQ(built.problems.size(), 1u) << texts(built);
    EXPECT_EQ(built.problems[0].what, "nested deeper than 100 levels");
}

TEST(SchemaBuilder, refuses_what_is_nested_too_deep_to_be_searched_for_encrypt) {
    Node deep = node_of("x", Node::Kind::object);
    for (std::size_t level = 0; level <= node_levels_max; ++level)
        deep = node_of("x", Node::Kind::object, {std::move(deep)});
    deep.key = "not";
    EXPECT_FALSE(build_schema(node_of("", Node::Kind::object, {deep}), SchemaOrigin::remote).schema);
}

TEST(SchemaBuilder, bounds_the_number_of_fields) {
    const auto with_fields = [](std::size_t count) {
        std::string text = R"({OBJ, "encryptMetadata": {RND, KEY}, "properties": {)";
        for (std::size_t i = 0; i < count; ++i)
            text += (i > 0 ? ", " : "") + std::string("\"f") + std::to_string(i) + R"(": {"encrypt": {}})";
        return text + "}}";
    };
    EXPECT_TRUE(build(with_fields(schema_fields_max)).schema);
    const BuiltSchema built = build(with_fields(schema_fields_max + 2));
    ASSERT_EQ(built.problems.size(), 1u) << texts(built);
    EXPECT_EQ(built.problems[0].what, "more than 4096 encrypted fields");
}

TEST(SchemaBuilder, warns_about_a_local_schema_that_protects_nothing) {
    const BuiltSchema local = build(R"({OBJ, "properties": {"a": {"bsonType": "int"}}})");
    ASSERT_TRUE(local.schema);
    EXPECT_TRUE(local.schema->empty());
    ASSERT_EQ(local.notes.size(), 1u);
    EXPECT_NE(local.notes[0].what.find("protects no field"), std::string::npos);
    EXPECT_TRUE(build(R"({OBJ})", SchemaOrigin::remote).notes.empty());
}

TEST(SchemaBuilder, allows_the_id_to_be_protected_and_notes_it) {
    const BuiltSchema built =
        build(R"({OBJ, "properties": {"_id": {"encrypt": {DET, KEY, "bsonType": "string"}}}})");
    ASSERT_TRUE(built.schema) << texts(built);
    ASSERT_EQ(built.notes.size(), 1u);
    EXPECT_NE(built.notes[0].what.find("'_id' is encrypted"), std::string::npos);
}

}  // namespace
}  // namespace fieldgate::config
