#include "proxy/analysis/validator.hpp"

#include "support.hpp"

namespace fieldgate::analysis::testing {
namespace {

constexpr auto no = code::operation_not_on_encrypted;
const std::string det = "AEAD_AES_256_CBC_HMAC_SHA_512-Deterministic";
const std::string rnd = "AEAD_AES_256_CBC_HMAC_SHA_512-Random";

// { "keyId": [UUID whose first byte is `first`] }
std::string key(const std::string& base64 = "AQAAAAAAAAAAAAAAAAAAAA==", const std::string& subtype = "04") {
    return R"("keyId": [{"$binary": {"base64": ")" + base64 + R"(", "subType": ")" + subtype + R"("}}])";
}

std::string encrypt(const std::string& algorithm, const std::string& types) {
    return R"({"encrypt": {"algorithm": ")" + algorithm + R"(", )" + key() +
           (types.empty() ? "" : R"(, "bsonType": )" + types) + "}}";
}

// The clinic's schema, as a validator, with one part replaced.
std::string whole_schema(const std::string& ssn = encrypt(det, R"("int")"), const std::string& more = "") {
    return R"({"bsonType": "object", "properties": {"ssn": )" + ssn + R"(, "bloodType": )" +
           encrypt(rnd, R"("string")") + R"(, "medicalRecords": )" + encrypt(rnd, R"(["array"])") +
           R"(, "dateOfBirth": )" + encrypt(rnd, R"("date")") + R"(, "note": )" + encrypt(rnd, "") +
           R"(, "seen": )" + encrypt(det, R"("timestamp")") +
           R"(, "insurance": {"bsonType": "object", "properties": {"policyNumber": )" +
           encrypt(det, R"("int")") + R"(, "agent": {"bsonType": "object", "properties": {"code": )" +
           encrypt(det, R"("string")") +
           R"(}}}}, "contact": {"bsonType": "object", "properties": {"email": )" +
           encrypt(rnd, R"("string")") + "}}}" + more + "}";
}

class Validator : public ::testing::Test {
 protected:
    // By create and by collMod, which must agree.
    Outcome with(const std::string& validator) const {
        const Outcome modified = clinic.analyse(R"({"collMod": "patients", "validator": )" + validator + "}");
        const Outcome created = clinic.analyse(R"({"create": "patients", "validator": )" + validator + "}");
        EXPECT_EQ(modified.passed(), created.passed()) << validator;
        EXPECT_EQ(modified.refusal.errmsg, created.refusal.errmsg);
        return created;
    }
    Outcome with_schema(const std::string& schema) const {
        return with(R"({"$jsonSchema": )" + schema + "}");
    }
    void expect_passed(const Outcome& outcome) const {
        EXPECT_TRUE(outcome.passed()) << outcome;
        EXPECT_TRUE(outcome.edits.empty());
        EXPECT_TRUE(outcome.plan.requires_reveal_everything);
    }
    Clinic clinic;
};

TEST_F(Validator, predicates_on_plain_paths_pass) {
    for (const std::string validator :
         {R"({"name": {"$type": "string"}})", R"({"$or": [{"room": {"$gt": 5}}, {"room": null}]})",
          R"({"ssn": {"$exists": true}})", R"({"insurance": {"$type": "object"}})", R"({"insurance": null})",
          "{}"})
        expect_passed(with(validator));
}

TEST_F(Validator, predicates_with_values_of_encrypted_fields_are_refused) {
    for (const std::string validator :
         {R"({"ssn": 5})", R"({"ssn": {"$ne": 5}})", R"({"name": 1, "$nor": [{"ssn": {"$in": [5]}}]})",
          R"({"insurance.agent": {"code": "x"}})"})
        expect_refusal(with(validator), no, "Comparison to encrypted fields not supported in a validator");
    for (const std::string validator : {R"({"ssn": {"$gt": 5}})", R"({"bloodType": {"$type": "string"}})"})
        expect_refusal(with(validator), no, "Invalid match expression operator on encrypted field");
    expect_refusal(with(R"({"bloodType": "0-"})"), no, "randomized");
    expect_refusal(with(R"({"$and": [{"$jsonSchema": {}}]})"), no, "Unsupported match expression operator");
    expect_refusal(with(R"({"$where": "x"})"), no, "Unsupported match expression operator");
    // The rules of the schema beside it are no excuse.
    expect_refusal(with(R"({"ssn": {"$gt": 5}, "$jsonSchema": )" + whole_schema() + "}"), no,
                   "Invalid match expression operator on encrypted field");
    expect_refusal(with("5"), code::type_mismatch, "must be an object");
    expect_refusal(with(R"({"$jsonSchema": 5})"), code::failed_to_parse, "$jsonSchema");
    expect_refusal(with(R"({"$jsonSchema": {}, "$jsonSchema": {}})"), code::failed_to_parse, "once");
}

TEST_F(Validator, a_schema_without_encryption_may_say_anything_about_plain_paths) {
    for (
        const std::string schema :
        {"{}",
         R"({"bsonType": "object", "required": ["ssn", "name"], "title": "t", "description": "d", "minProperties": 1,
              "maxProperties": 50, "additionalProperties": true,
              "properties": {"name": {"bsonType": "string", "minLength": 1, "pattern": "^x", "enum": ["x", {"encrypt": 1}]},
                             "encrypt": {"bsonType": "int"},
                             "visits": {"bsonType": "array", "items": {"properties": {"ward": {"minimum": 5}}}}}})",
         R"({"properties": {"insurance": {"bsonType": ["object", "null"], "required": ["agent"],
                             "properties": {"provider": {"enum": ["x"]}}}}})",
         R"({"properties": {"ssn": {"bsonType": "binData", "title": "t", "description": "d"}, "note": {}}})",
         R"({"allOf": [{"required": ["name"]}, {"properties": {"room": {"maximum": 9}}}], "not": {"required": ["old"]}})"})
        expect_passed(with_schema(schema));
}

TEST_F(Validator, keywords_that_could_hold_values_of_encrypted_fields_are_refused) {
    const std::string text = "Comparison to encrypted fields not supported in a validator: the keyword ";
    for (const std::string keyword : {"enum", "minimum", "maximum", "pattern", "minLength", "multipleOf",
                                      "items", "properties", "allOf", "not", "unheardOf", "type"})
        expect_refusal(with_schema(R"({"properties": {"ssn": {")" + keyword + R"(": [5]}}})"), no,
                       text + "'" + keyword + "' at 'ssn'");
    expect_refusal(with_schema(R"({"properties": {"ssn": {"bsonType": "int"}}})"), no, text + "'bsonType'");
    for (const std::string keyword :
         {"enum", "patternProperties", "dependencies", "items", "unheardOf", "encrypt"})
        for (const std::string& schema : std::vector<std::string>{
                 "{\"" + keyword + R"(": {"ssn": {"enum": [5]}}})",
                 R"({"properties": {"insurance": {")" + keyword + R"(": [{"policyNumber": 5}]}}})"})
            expect_refusal(with_schema(schema), no, text + "'" + keyword + "'");
    for (
        const std::string schema :
        {R"({"additionalProperties": {"enum": [5]}})", R"({"required": [5]})", R"({"required": {"ssn": 5}})",
         R"({"bsonType": {"ssn": 5}})", R"({"properties": 5})", R"({"allOf": [5]})", R"({"allOf": 5})",
         R"({"title": {"ssn": 5}})", R"({"required": ["a"], "required": ["b"]})",
         R"({"anyOf": [{"properties": {"ssn": {"enum": [5]}}}]})",
         R"({"oneOf": [{"properties": {"insurance": {"not": {"properties": {"policyNumber": {"minimum": 5}}}}}}]})"})
        expect_refusal(with_schema(schema), no, text);
    expect_refusal(with_schema(R"({"properties": {"ssn": 5}})"), code::type_mismatch, "'ssn'");
    expect_refusal(with_schema(R"({"properties": {"ssn": {}, "ssn": {}}})"), code::bad_value, "stands twice");
}

TEST_F(Validator, a_schema_that_encrypts_the_same_passes) {
    expect_passed(with_schema(whole_schema()));
    expect_passed(with_schema(whole_schema(encrypt(det, R"(["int"])"), R"(, "required": ["name"])")));
    expect_passed(with(R"({"room": {"$gt": 5}, "$jsonSchema": )" + whole_schema() + "}"));
    const std::string metadata = R"("encryptMetadata": {"algorithm": ")" + det + R"(", )" + key() + "}";
    // Inherited from wherever it stands in the object above.
    expect_passed(with_schema(whole_schema(R"({"encrypt": {"bsonType": "int"}})", ", " + metadata)));
    expect_passed(
        with_schema(whole_schema(R"({"encrypt": {"bsonType": "int", "algorithm": ")" + det + R"("}})",
                                 R"(, "encryptMetadata": {"algorithm": ")" + rnd + R"(", )" + key() + "}")));
}

TEST_F(Validator, a_schema_that_encrypts_otherwise_is_refused) {
    const std::string text = "must equal the schema of the namespace";
    const std::string head = R"({"encrypt": {"algorithm": ")" + det + R"(", "bsonType": "int", )";
    for (const std::string& ssn :
         std::vector<std::string>{encrypt(rnd, R"("int")"),
                                  encrypt(det, R"("long")"),
                                  encrypt(det, R"(["int", "long"])"),
                                  encrypt(det, ""),
                                  encrypt(det, R"("number")"),
                                  encrypt(det, "5"),
                                  encrypt("AES", R"("int")"),
                                  head + key("AgAAAAAAAAAAAAAAAAAAAA==") + "}}",
                                  head + key("AQAAAAAAAAAAAAAAAAAAAA==", "03") + "}}",
                                  head + key("AQ==") + "}}",
                                  head + R"("keyId": "/x"}})",
                                  head + R"("keyId": []}})",
                                  head + R"("keyId": [1]}})",
                                  head + R"("keyId": 5}})",
                                  head + key() + R"(, "x": 1}})",
                                  head + key() + R"(, "bsonType": "int"}})",
                                  R"({"encrypt": {"algorithm": ")" + det + R"(", "bsonType": "int"}})",
                                  R"({"encrypt": {"bsonType": "int", )" + key() + "}}",
                                  std::string(R"({"encrypt": 5})"),
                                  std::string("{}")})
        expect_refusal(with_schema(whole_schema(ssn)), no, text);
    expect_refusal(with_schema(R"({"properties": {"ssn": )" + encrypt(det, R"("int")") + "}}"), no,
                   "does not encrypt that field");
    for (const std::string& plain : std::vector<std::string>{
             R"({"properties": {"name": )" + encrypt(det, R"("int")") + "}}",
             R"({"properties": {"name": {"items": [{"anyOf": [)" + encrypt(det, R"("int")") + "]}]}}}",
             R"({"properties": {"x": {"patternProperties": {"encrypt": {"encryptMetadata": {}}}}}})"})
        expect_refusal(with_schema(plain), no, "a field that the schema does not encrypt");
    expect_refusal(with_schema(R"({"encryptMetadata": {"algorithm": ")" + det + R"("}})"), no, text);
    expect_refusal(with_schema(whole_schema(encrypt(det, R"("int")"), R"(, "encryptMetadata": 5)")), no,
                   text);
    expect_refusal(with_schema(R"({"allOf": [{"encryptMetadata": {}}]})"), no, text);
    expect_refusal(with_schema(R"({"allOf": [)" + whole_schema() + "]}"), code::bad_value,
                   "Invalid schema containing the 'encrypt' keyword");
    for (const std::string sibling : {R"("title": "x")", R"("bsonType": "binData")"})
        expect_refusal(with_schema(whole_schema("{" + sibling + R"(, "encrypt": {"algorithm": "x"}})")),
                       code::bad_value, "'encrypt' cannot be used in conjunction");
}

TEST_F(Validator, keys_by_name_and_by_pointer) {
    clinic.schema->fields_[0].key = config::KeyAltName{"key"};
    expect_passed(with_schema(whole_schema()));
    clinic.schema->fields_[0].key = config::KeyPointer{{"a/b", "c~d"}};
    const std::string head = R"({"encrypt": {"algorithm": ")" + det + R"(", "bsonType": "int", "keyId": )";
    expect_passed(with_schema(whole_schema(head + R"("/a~1b/c~0d"}})")));
    for (const std::string pointer : {R"("/a/b/c~0d")", R"("a~1b/c~0d")", "5"})
        expect_refusal(with_schema(whole_schema(head + pointer + "}}")), no, "another key");
    expect_refusal(with_schema(whole_schema()), no, "another key");
}

TEST_F(Validator, what_may_be_encrypted_or_not_and_patterns_are_refused) {
    clinic.schema->root_.add_child("murky").unknown = true;
    expect_refusal(with_schema(R"({"properties": {"murky": {"minimum": 5}}})"), no, "at 'murky'");
    // A name that a pattern of the schema stands for.
    clinic.schema->fields_[0].path = "/^s/";
    expect_refusal(with_schema(whole_schema()), no, "by a pattern");
}

TEST_F(Validator, unprotected_names_take_any_validator) {
    for (const std::string command : {"create", "collMod"})
        for (const std::string& validator :
             std::vector<std::string>{R"({"ssn": 5})", R"({"$jsonSchema": )" + whole_schema() + "}"})
            EXPECT_TRUE(
                clinic.analyse("{\"" + command + R"(": "wards", "validator": )" + validator + "}").passed());
}

}  // namespace
}  // namespace fieldgate::analysis::testing
