#include <gtest/gtest.h>

#include "config/bson_types.hpp"
#include "config/encrypt_options.hpp"
#include "config/schema_builder.hpp"
#include "tests/unit/config/schema_support.hpp"

// Tables of what a schema may not say, and what is said of it.
namespace fieldgate::config {
namespace {

TEST(SchemaRefusals, refuses_wrong_encrypt_objects) {
    struct Row {
        const char* encrypt;
        const char* fragment;
    };
    const Row rows[] = {
        {"5", "'encrypt' must be an object, not a number"},
        {"[]", "'encrypt' must be an object, not a list"},
        {"null", "'encrypt' must be an object, not null"},
        {R"({RND, KEY, "foo": 1})", "BSON field 'encrypt.foo' is an unknown field (40415)"},
        {R"({RND, KEY, "keyid": 1})", "did you mean 'keyId'?"},
        {R"({RND})", "'keyId' (or 'keyAltName') is missing"},
        {R"({KEY})", "'algorithm' is missing"},
        {R"({KEY, "algorithm": 5})", "'algorithm' must be a string, not a number"},
        {R"({KEY, "algorithm": "AES"})", "BadValue: unknown algorithm 'AES'"},
        {R"({KEY, "algorithm": "AEAD_AES_256_CBC_HMAC_SHA_512-random"})", "unknown algorithm"},
        {R"({RND, "keyId": []})", "exactly one UUID"},
        {R"({RND, "keyId": [{"$uuid": "00010203-0405-0607-0809-0a0b0c0d0e0f"}, {"$uuid": "00010203-0405-0607-0809-0a0b0c0d0e0f"}]})",
         "exactly one UUID"},
        {R"({RND, "keyId": ["x"]})", "(51088)"},
        {R"({RND, "keyId": [null]})", "(51088)"},
        {R"({RND, "keyId": [{"$binary": {"base64": "AAECAwQFBgcICQoLDA0ODw==", "subType": "00"}}]})",
         "(51084)"},
        {R"({RND, "keyId": [{"$binary": {"base64": "AAECAwQFBgcICQoLDA0O", "subType": "04"}}]})", "(51084)"},
        {R"({RND, "keyId": 5})", "(51085)"},
        {R"({RND, "keyId": {"$uuid": "00010203-0405-0607-0809-0a0b0c0d0e0f"}})", "(51085)"},
        {R"({RND, "keyId": "tenant"})", "it must begin with / (51065)"},
        {R"({RND, "keyId": ""})", "(51065)"},
        {R"({RND, "keyId": "/"})", "it has an empty name"},
        {R"({RND, "keyId": "/a//b"})", "it has an empty name"},
        {R"({RND, "keyId": "/a/"})", "it has an empty name"},
        {R"({RND, "keyId": "/a~2"})", "~ stands only in ~0"},
        {R"({RND, "keyId": "/a~"})", "~ stands only in ~0"},
        {R"({RND, "keyId": "/a.b"})", "a dot or a null character"},
        {R"({RND, "keyId": "/a\u0000b"})", "a dot or a null character"},
        {R"({RND, "keyId": "/f"})", "leads to a field that is or may be encrypted, 'f'"},
        {R"({RND, "keyId": "/f/x"})", "leads to a field that is or may be encrypted, 'f.x'"},
        {R"({DET, "bsonType": "int", "keyId": "/k"})",
         "the deterministic algorithm cannot be used with a JSON pointer"},
        {R"({RND, "keyAltName": ""})", "'keyAltName' must be a non-empty string"},
        {R"({RND, "keyAltName": 5})", "'keyAltName' must be a non-empty string"},
        {R"({RND, "keyAltName": ["a"]})", "'keyAltName' must be a non-empty string"},
        {R"({RND, "keyAltName": "a\u0000b"})", "'keyAltName' must be a non-empty string"},
        {R"({RND, KEY, "keyAltName": "a"})", "instead of 'keyId', not beside it"},
        {R"({RND, "keyAltName": "a", KEY})", "instead of 'keyId', not beside it"},
        {R"({RND, KEY, "bsonType": 2})", "TypeMismatch"},
        {R"({RND, KEY, "bsonType": [2]})", "TypeMismatch"},
        {R"({RND, KEY, "bsonType": {}})", "TypeMismatch"},
        {R"({RND, KEY, "bsonType": "integer"})", "BadValue: Unknown type name alias: 'integer'"},
        {R"({RND, KEY, "bsonType": ["int", "nope"]})", "Unknown type name alias: 'nope'"},
        {R"({RND, KEY, "bsonType": "number"})", "name int, long, double or decimal"},
        {R"({RND, KEY, "bsonType": []})", "must not be an empty array"},
        {R"({RND, KEY, "bsonType": ["int", "int"]})", "names 'int' twice"},
        {R"({RND, KEY, "bsonType": ["int", "null"]})", "Cannot encrypt element of type: null"},
        {R"({DET, KEY})", "exactly one 'bsonType'"},
        {R"({DET, KEY, "bsonType": ["int", "long"]})", "exactly one 'bsonType'"},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(row.encrypt);
        const BuiltSchema built = build_field(row.encrypt);
        EXPECT_FALSE(built.schema);
        EXPECT_EQ(built.problems.size(), 1u) << texts(built);
        if (built.problems.empty()) continue;
        EXPECT_NE(built.problems[0].what.find(row.fragment), std::string::npos) << texts(built);
        EXPECT_EQ(built.problems[0].path, "properties.f.encrypt");
    }
}

TEST(SchemaRefusals, refuses_wrong_schemas) {
    struct Row {
        const char* schema;
        const char* fragment;
    };
    const Row rows[] = {
        {"5", "a schema must be an object, not a number"},
        {"[]", "a schema must be an object"},
        // encrypt stands alone
        {R"({OBJ, "properties": {"f": {"bsonType": "int", "encrypt": {RND, KEY}}}})",
         "'encrypt' cannot be used in conjunction with 'bsonType'"},
        {R"({OBJ, "properties": {"f": {"encrypt": {RND, KEY}, "type": "string"}}})",
         "'encrypt' cannot be used in conjunction with 'type'"},
        {R"({OBJ, "properties": {"f": {"encrypt": {RND, KEY}, "encryptMetadata": {RND}}}})",
         "'encrypt' cannot be used in conjunction with 'encryptMetadata'"},
        {R"({OBJ, "properties": {"f": {"encrypt": {RND, KEY}, "properties": {}}}})",
         "'encrypt' cannot be used in conjunction with 'properties'"},
        {R"({OBJ, "properties": {"f": {"encrypt": {RND, KEY}, "title": "x"}}})",
         "'encrypt' cannot be used in conjunction with 'title'"},
        {R"({"encrypt": {RND, KEY}})", "A whole document cannot be encrypted"},
        // encryptMetadata
        {R"({OBJ, "encryptMetadata": {}})", "'encryptMetadata' must not be empty"},
        {R"({OBJ, "encryptMetadata": 5})", "'encryptMetadata' must be an object"},
        {R"({OBJ, "encryptMetadata": {RND, "bsonType": "int"}})",
         "'bsonType' is not allowed in 'encryptMetadata'"},
        {R"({OBJ, "encryptMetadata": {RND, "x": 1}})", "BSON field 'encryptMetadata.x' is an unknown field"},
        {R"({OBJ, "encryptMetadata": {"keyId": "x"}})", "(51065)"},
        {R"({OBJ, "encryptMetadata": {"algorithm": "x"}})", "unknown algorithm 'x'"},
        // parents declare that they are objects
        {R"({"properties": {"f": {"encrypt": {RND, KEY}}}})",
         "Invalid schema containing the 'encrypt' keyword."},
        {R"({"properties": {"_id": {"encrypt": {RND, KEY}}}})",
         "Invalid schema containing the 'encrypt' keyword."},
        {R"({"bsonType": "array", "properties": {"f": {"encrypt": {RND, KEY}}}})", "Invalid schema"},
        {R"({"bsonType": ["object", "null"], "properties": {"f": {"encrypt": {RND, KEY}}}})",
         "Invalid schema"},
        {R"({OBJ, "properties": {"a": {"properties": {"f": {"encrypt": {RND, KEY}}}}}})", "Invalid schema"},
        {R"({OBJ, "properties": {"a": {"bsonType": "string", "properties": {"f": {"encrypt": {RND, KEY}}}}}})",
         "Invalid schema"},
        // where encrypt cannot stand
        {R"({OBJ, "items": {"encrypt": {RND, KEY}}})", "not allowed below 'items'"},
        {R"({OBJ, "items": [{"properties": {"f": {"encrypt": {RND, KEY}}}}]})", "not allowed below 'items'"},
        {R"({OBJ, "additionalItems": {"encrypt": {RND, KEY}}})", "not allowed below 'additionalItems'"},
        {R"({OBJ, "items": {"encryptMetadata": {RND}}})", "not allowed below 'items'"},
        {R"({OBJ, "anyOf": [{"encrypt": {RND, KEY}}]})", "Invalid schema containing the 'encrypt' keyword"},
        {R"({OBJ, "allOf": [{OBJ, "properties": {"f": {"encrypt": {RND, KEY}}}}]})", "Invalid schema"},
        {R"({OBJ, "oneOf": [{"encrypt": {RND, KEY}}]})", "Invalid schema"},
        {R"({OBJ, "not": {"encrypt": {RND, KEY}}})", "Invalid schema"},
        {R"({OBJ, "dependencies": {"a": {"encrypt": {RND, KEY}}}})", "not allowed below 'dependencies'"},
        {R"({OBJ, "additionalProperties": {"encrypt": {RND, KEY}}})",
         "not allowed below 'additionalProperties'"},
        {R"({OBJ, "dependencies": {"encrypt": {"encrypt": {RND, KEY}}}})", "below 'dependencies'"},
        {R"({OBJ, "not": {"properties": {"encryptMetadata": {"encryptMetadata": {RND}}}}})",
         "not allowed below 'not'"},
        // keywords
        {R"({OBJ, "title": 5})", "'title' must be a string"},
        {R"({OBJ, "description": {}})", "'description' must be a string"},
        {R"({OBJ, "propertise": {}})",
         "Unknown $jsonSchema keyword: 'propertise' (did you mean 'properties'?)"},
        {R"({OBJ, "banana": {}})", "Unknown $jsonSchema keyword: 'banana'"},
        {R"({OBJ, "$ref": "x"})", "$jsonSchema keyword '$ref' is not currently supported"},
        {R"({OBJ, "$schema": "x"})", "'$schema' is not currently supported"},
        {R"({OBJ, "default": 1})", "'default' is not currently supported"},
        {R"({OBJ, "definitions": {}})", "'definitions' is not currently supported"},
        {R"({OBJ, "format": "x"})", "'format' is not currently supported"},
        {R"({OBJ, "id": "x"})", "'id' is not currently supported"},
        {R"({OBJ, "type": "object"})", "Cannot specify both $jsonSchema keywords 'type' and 'bsonType'"},
        {R"({"bsonType": 3})", "TypeMismatch: 'bsonType'"},
        {R"({"bsonType": ["object", 3]})", "TypeMismatch: 'bsonType'"},
        {R"({"bsonType": []})", "must not be an empty array"},
        {R"({"bsonType": "objekt"})", "Unknown type name alias: 'objekt'"},
        {R"({"type": "int"})", "Unknown type name alias: 'int'"},
        {R"({OBJ, "properties": []})", "'properties' must be an object"},
        {R"({OBJ, "properties": {"a": 5}})", "a schema must be an object, not a number"},
        // names
        {R"({OBJ, "properties": {"": {}}})", "a field name must not be empty"},
        {R"({OBJ, "properties": {"a.b": {}}})", "field name 'a.b' contains a dot"},
        {R"({OBJ, "properties": {"$a": {"encrypt": {RND, KEY}}}})", "field name '$a' begins with $"},
        {R"({OBJ, "properties": {"a\u0000b": {}}})", "must not contain a null character"},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(row.schema);
        const BuiltSchema built = build(row.schema);
        EXPECT_FALSE(built.schema);
        EXPECT_EQ(built.problems.size(), 1u) << texts(built);
        if (built.problems.empty()) continue;
        EXPECT_NE(built.problems[0].what.find(row.fragment), std::string::npos) << texts(built);
    }
}

TEST(SchemaRefusals, refuses_every_validation_keyword_in_a_local_schema_and_accepts_it_in_a_remote_one) {
    const std::pair<const char*, const char*> rows[] = {
        {"enum", "[1]"},
        {"required", "[\"f\"]"},
        {"minimum", "1"},
        {"maximum", "1"},
        {"exclusiveMinimum", "true"},
        {"exclusiveMaximum", "true"},
        {"multipleOf", "2"},
        {"minLength", "1"},
        {"maxLength", "1"},
        {"pattern", "\"x\""},
        {"minItems", "1"},
        {"maxItems", "1"},
        {"uniqueItems", "true"},
        {"minProperties", "1"},
        {"maxProperties", "1"},
        {"items", "{}"},
        {"additionalItems", "false"},
        {"additionalProperties", "false"},
        {"anyOf", "[{}]"},
        {"allOf", "[{}]"},
        {"oneOf", "[{}]"},
        {"not", "{\"required\": [\"x\"]}"},
        {"dependencies", "{\"a\": [\"b\"]}"},
    };
    for (const auto& [keyword, value] : rows) {
        SCOPED_TRACE(keyword);
        const std::string schema = R"({OBJ, "properties": {"f": {"encrypt": {RND, KEY}}}, ")" +
                                   std::string(keyword) + "\": " + value + "}";
        const BuiltSchema local = build(schema);
        ASSERT_EQ(local.problems.size(), 1u) << texts(local);
        EXPECT_EQ(local.problems[0].what,
                  "JSON schema keyword '" + std::string(keyword) + "' is only allowed with a remote schema");
        EXPECT_TRUE(build(schema, SchemaOrigin::remote).schema);
    }
}

}  // namespace
}  // namespace fieldgate::config
