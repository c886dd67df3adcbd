#include "proxy/commands/validator.hpp"

#include <gtest/gtest.h>

#include "config/schema_builder.hpp"
#include "proxy/bson/node.hpp"

namespace fieldgate::commands {
namespace {

const std::string key = R"("keyId": [{"$binary": {"base64": "AAECAwQFBgcICQoLDA0ODw==", "subType": "04"}}])";
const std::string encrypt_int =
    R"({"encrypt": {"bsonType": "int", "algorithm": "AEAD_AES_256_CBC_HMAC_SHA_512-Deterministic", )" + key +
    "}}";
const std::string encrypt_any =
    R"({"encrypt": {"algorithm": "AEAD_AES_256_CBC_HMAC_SHA_512-Random", )" + key + "}}";

bson::Buffer json(const std::string& text) {
    const auto document = bson::from_json(text);
    if (!document) throw std::runtime_error("no JSON: " + text);
    return *document;
}

std::shared_ptr<const config::Schema> schema_of(const std::string& text) {
    const bson::Buffer document = json(text);
    const auto built = config::build_schema(*bson::to_node(bson::DocumentView::unchecked(document)),
                                            config::SchemaOrigin::local);
    if (!built.schema) throw std::runtime_error(built.problems.front().what);
    return built.schema;
}

const std::string clinic_text = R"({"bsonType": "object", "properties": {"ssn": )" + encrypt_int +
                                R"(, "insurance": {"bsonType": "object", "properties": {"policyNumber": )" +
                                encrypt_int + "}}}}";

MergedValidator merge(const std::string& existing, const std::string& schema = clinic_text) {
    if (existing.empty()) return merge_validator(std::nullopt, *schema_of(schema));
    const bson::Buffer document = json(existing);
    return merge_validator(bson::DocumentView::unchecked(document), *schema_of(schema));
}

void expect_validator(const MergedValidator& merged, const std::string& expected,
                      const std::vector<std::string>& notes = {}) {
    EXPECT_EQ(merged.problems, std::vector<std::string>{});
    EXPECT_EQ(bson::to_json(merged.validator), bson::to_json(json(expected)));
    EXPECT_EQ(merged.notes, notes);
}

void expect_problem(const MergedValidator& merged, const std::string& text) {
    ASSERT_FALSE(merged.problems.empty());
    EXPECT_NE(merged.problems.front().find(text), std::string::npos) << merged.problems.front();
}

TEST(Validator, of_a_collection_without_one_is_the_schema) {
    expect_validator(merge(""), R"({"$jsonSchema": )" + clinic_text + "}");
    expect_validator(merge("{}"), R"({"$jsonSchema": )" + clinic_text + "}");
}

TEST(Validator, keeps_query_operators_beside_the_schema) {
    expect_validator(merge(R"({"name": {"$exists": true}, "$or": [{"a": 1}]})"),
                     R"({"name": {"$exists": true}, "$or": [{"a": 1}], "$jsonSchema": )" + clinic_text + "}");
    expect_validator(merge(R"({"$jsonSchema": {}, "name": {"$exists": true}})"),
                     R"({"$jsonSchema": )" + clinic_text + R"(, "name": {"$exists": true}})");
}

TEST(Validator, keeps_keywords_and_fields_beside_the_encrypted_ones) {
    expect_validator(merge(R"({"$jsonSchema": {"required": ["ssn", "name"], "title": "t", "properties": {
            "name": {"bsonType": "string", "minLength": 1},
            "insurance": {"bsonType": "object", "required": ["provider"], "properties": {
                "provider": {"bsonType": "string"}}}}, "additionalProperties": false}})"),
                     R"({"$jsonSchema": {"required": ["ssn", "name"], "title": "t", "properties": {
            "name": {"bsonType": "string", "minLength": 1},
            "insurance": {"bsonType": "object", "required": ["provider"], "properties": {
                "provider": {"bsonType": "string"}, "policyNumber": )" +
                         encrypt_int + R"(}}, "ssn": )" + encrypt_int +
                         R"(}, "additionalProperties": false, "bsonType": "object"}})");
}

TEST(Validator, what_stands_at_an_encrypted_path_gives_way) {
    expect_validator(
        merge(R"({"$jsonSchema": {"bsonType": "object", "properties": {
                         "ssn": {"bsonType": "int", "minimum": 1}, "insurance": {}}}})"),
        R"({"$jsonSchema": {"bsonType": "object", "properties": {"ssn": )" + encrypt_int +
            R"(, "insurance": {"bsonType": "object", "properties": {"policyNumber": )" + encrypt_int +
            "}}}}}",
        {"$jsonSchema.properties.ssn: `bsonType`, `minimum` gives way to `encrypt`, which may have "
         "no siblings"});
}

TEST(Validator, ancestors_become_objects) {
    expect_validator(
        merge(R"({"$jsonSchema": {"type": "object", "properties": {
                         "ssn": )" +
              encrypt_int + R"(,
                         "insurance": {"bsonType": ["object", "null"]}}}})"),
        R"({"$jsonSchema": {"type": "object", "properties": {"ssn": )" + encrypt_int +
            R"(, "insurance": {"bsonType": "object", "properties": {"policyNumber": )" + encrypt_int +
            "}}}}}",
        {"$jsonSchema.properties.insurance.bsonType becomes \"object\", which encrypted fields need"});
    expect_validator(merge(R"({"$jsonSchema": {"type": ["object", "string"]}})"),
                     R"({"$jsonSchema": )" + clinic_text + "}",
                     {"$jsonSchema.type gives way to bsonType \"object\", which encrypted fields need"});
}

TEST(Validator, inherited_metadata_goes_because_fields_name_their_own) {
    expect_validator(merge(R"({"$jsonSchema": {"bsonType": "object", "encryptMetadata": {)" + key +
                           R"(}, "properties": {"ssn": )" + encrypt_int + "}}}"),
                     R"({"$jsonSchema": )" + clinic_text + "}",
                     {"$jsonSchema.encryptMetadata goes: every field names its own algorithm and key"});
}

TEST(Validator, the_result_merged_once_more_is_the_same) {
    const MergedValidator first =
        merge(R"({"a": 1, "$jsonSchema": {"required": ["b"], "properties": {"b": {}}}})");
    ASSERT_TRUE(first.problems.empty());
    const MergedValidator second =
        merge_validator(bson::DocumentView::unchecked(first.validator), *schema_of(clinic_text));
    EXPECT_EQ(first.validator, second.validator);
    EXPECT_TRUE(second.notes.empty());
}

TEST(Validator, patterns_are_merged_by_their_text) {
    const std::string ours =
        R"({"bsonType": "object", "patternProperties": {"^secret_": )" + encrypt_any + "}}";
    const MergedValidator merged = merge(
        R"({"$jsonSchema": {"bsonType": "object", "patternProperties": {"^public_": {"bsonType": "int"},
            "^secret_": {"bsonType": "string"}}}})",
        ours);
    EXPECT_EQ(merged.problems, std::vector<std::string>{});
    EXPECT_EQ(bson::to_json(merged.validator),
              bson::to_json(json(R"({"$jsonSchema": {"bsonType": "object", "patternProperties": {
                  "^public_": {"bsonType": "int"}, "^secret_": )" +
                                 encrypt_any + "}}}")));
}

TEST(Validator, pointers_are_written_as_they_are) {
    const std::string ours = R"({"bsonType": "object", "properties": {"a": {"encrypt": {"keyId": "/keyName",
        "algorithm": "AEAD_AES_256_CBC_HMAC_SHA_512-Random"}}}})";
    const MergedValidator merged = merge("", ours);
    EXPECT_EQ(merged.problems, std::vector<std::string>{});
    EXPECT_NE(bson::to_json(merged.validator).find(R"("keyId" : "/keyName")"), std::string::npos);
}

TEST(Validator, a_rule_on_an_encrypted_field_beside_the_schema_is_noted) {
    const MergedValidator merged = merge(R"({"ssn": {"$gt": 1}, "insurance.policyNumber": 1, "name": "x"})");
    EXPECT_EQ(merged.problems, std::vector<std::string>{});
    EXPECT_EQ(merged.notes,
              (std::vector<std::string>{
                  "the rule on 'ssn' beside $jsonSchema stays, and will see ciphertext",
                  "the rule on 'insurance.policyNumber' beside $jsonSchema stays, and will see ciphertext"}));
}

TEST(Validator, a_field_that_only_the_validator_encrypts_is_no_business_of_the_installation) {
    expect_problem(
        merge(R"({"$jsonSchema": {"bsonType": "object", "properties": {"other": )" + encrypt_int + "}}}"),
        "the validator encrypts 'other' as int, deterministic and key 00010203-");
}

TEST(Validator, a_pattern_of_the_validator_that_matches_an_encrypted_name_is_refused) {
    expect_problem(merge(R"({"$jsonSchema": {"patternProperties": {"^s": {"bsonType": "string"}}}})"),
                   "'^s'");
}

TEST(Validator, encrypt_where_no_driver_would_read_it_is_refused) {
    expect_problem(merge(R"({"$jsonSchema": {"items": )" + encrypt_int + "}}"), "items");
}

TEST(Validator, a_validator_that_makes_no_sense_is_refused) {
    expect_problem(merge(R"({"$jsonSchema": 1})"), "$jsonSchema is no object");
    expect_problem(merge(R"({"$jsonSchema": {}, "$jsonSchema": {}})"), "$jsonSchema stands twice");
    expect_problem(merge(R"({"$jsonSchema": {"properties": 1}})"), "$jsonSchema.properties is no object");
    expect_problem(merge(R"({"$jsonSchema": {"properties": {"ssn": 1}}})"),
                   "$jsonSchema.properties.ssn is no object");
}

}  // namespace
}  // namespace fieldgate::commands
