#include "proxy/analysis/validator.hpp"

#include "config/name_pattern.hpp"
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
         {"enum", "dependencies", "items", "unheardOf", "encrypt", "additionalProperties"})
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
    // Only what no query compares may have a key that the document names.
    clinic.schema->fields_[clinic.field("note")].key = config::KeyPointer{{"a/b", "c~d"}};
    const auto with_note = [&](const std::string& key_id) {
        const std::string by_uuid = encrypt(rnd, "");
        std::string schema = whole_schema();
        const std::string by_pointer =
            R"({"encrypt": {"algorithm": ")" + rnd + R"(", "keyId": )" + key_id + "}}";
        return with_schema(schema.replace(schema.find(by_uuid), by_uuid.size(), by_pointer));
    };
    expect_passed(with_note(R"("/a~1b/c~0d")"));
    for (const std::string pointer : {R"("/a/b/c~0d")", R"("a~1b/c~0d")", "5"})
        expect_refusal(with_note(pointer), no, "another key");
    expect_refusal(with_schema(whole_schema()), no, "another key");
}

TEST_F(Validator, what_may_be_encrypted_or_not_is_refused) {
    clinic.schema->root_.add_child("murky").unknown = true;
    expect_refusal(with_schema(R"({"properties": {"murky": {"minimum": 5}}})"), no, "at 'murky'");
}

TEST_F(Validator, patterns_beside_names_that_are_encrypted) {
    // The clinic's schema has none: what they say matters only to names that they cannot match.
    for (const std::string& more : std::vector<std::string>{
             R"({"^plain_": {"minimum": 5, "enum": ["x"]}, "^nam": {"bsonType": "string"}})",
             R"({"^plain_": {}})"}) {
        expect_passed(with_schema(R"({"patternProperties": )" + more + "}"));
        expect_passed(
            with_schema(whole_schema(encrypt(det, R"("int")"), R"(, "patternProperties": )" + more)));
        expect_passed(with_schema(R"({"properties": {"insurance": {"patternProperties": )" + more + "}}}"));
    }
    for (const std::string pattern : {"^s", "ssn", ".", "", "^insurance$", "^sn|n$"})
        for (const std::string& schema : std::vector<std::string>{
                 R"({"patternProperties": {")" + pattern + R"(": {"enum": [5]}}})",
                 R"({"allOf": [{"patternProperties": {")" + pattern + R"(": {"enum": [5]}}}]})",
                 whole_schema(encrypt(det, R"("int")"),
                              R"(, "patternProperties": {")" + pattern + R"(": {}})")})
            expect_refusal(with_schema(schema), no, "which is encrypted or holds encrypted fields");
    expect_refusal(with_schema(R"({"properties": {"insurance": {"patternProperties": {"^p": {}}}}})"), no,
                   "at 'insurance./^p/': the pattern may match 'policyNumber'");
    for (const std::string& schema :
         std::vector<std::string>{R"({"patternProperties": {"^x": )" + encrypt(det, R"("int")") + "}}",
                                  whole_schema(encrypt(det, R"("int")"), R"(, "patternProperties": {"^x": )" +
                                                                             encrypt(det, R"("int")") + "}")})
        expect_refusal(with_schema(schema), no, "it encrypts a field that the schema does not encrypt");
    expect_refusal(with_schema(R"({"patternProperties": {"[": {}}})"), code::bad_value,
                   "Invalid regular expression");
    expect_refusal(with_schema(R"({"patternProperties": 5})"), no, "'patternProperties'");
    expect_refusal(with_schema(R"({"patternProperties": {"^x": 5}})"), code::type_mismatch, "'^x'");
    expect_refusal(with_schema(R"({"patternProperties": {"^x": {}, "^x": {}}})"), code::bad_value, "twice");
}

TEST_F(Validator, a_bounded_number_of_patterns_is_compiled) {
    for (const std::size_t count : {std::size_t{32}, std::size_t{33}}) {
        std::string patterns;
        for (std::size_t i = 0; i < count; ++i)
            patterns += (i == 0 ? "\"^plain_" : ", \"^plain_") + std::to_string(i) + "\": {}";
        const Outcome outcome = with_schema(R"({"patternProperties": {)" + patterns + "}}");
        if (count == 32)
            expect_passed(outcome);
        else
            expect_refusal(outcome, no, "more than 32 patterns");
    }
}

// { code: deterministic int, /^note_/: random string, /^visit_/: { doctor: deterministic string }, /^x/:
// nothing }
class PatternValidator : public Validator {
 protected:
    PatternValidator() {
        auto schema = std::make_shared<config::Schema>();
        const config::KeyReference uuid = config::KeyUuid{1};
        const auto add = [&](config::SchemaNode& node, std::string path, config::Algorithm algorithm,
                             std::uint8_t type) {
            node.field = static_cast<std::uint16_t>(schema->fields_.size());
            schema->fields_.push_back({std::move(path), algorithm, uuid, {type}});
        };
        config::SchemaNode& root = schema->root_;
        add(root.add_child("code"), "code", config::Algorithm::deterministic, 0x10);
        add(root.add_pattern(config::NamePattern::compile("^note_").pattern), "/^note_/",
            config::Algorithm::random, 0x02);
        config::SchemaNode& visit = root.add_pattern(config::NamePattern::compile("^visit_").pattern);
        add(visit.add_child("doctor"), "/^visit_/.doctor", config::Algorithm::deterministic, 0x02);
        root.add_plain_pattern(config::NamePattern::compile("^x").pattern);
        clinic.schema = schema;
        clinic.config.schemas[0].schema = std::move(schema);
    }
    static std::string visit(const std::string& doctor = encrypt(det, R"("string")")) {
        return R"({"bsonType": "object", "properties": {"doctor": )" + doctor + "}}";
    }
    static std::string patterns(const std::string& note = encrypt(rnd, R"("string")"),
                                const std::string& visits = visit(), const std::string& x = R"("^x": {})") {
        return R"({"^note_": )" + note + R"(, "^visit_": )" + visits + (x.empty() ? "" : ", " + x) + "}";
    }
    static std::string schema_of(const std::string& patterns, const std::string& names = "",
                                 const std::string& more = "") {
        return R"({"bsonType": "object", "properties": {"code": )" + encrypt(det, R"("int")") + names +
               R"(}, "patternProperties": )" + patterns + more + "}";
    }
};

TEST_F(PatternValidator, a_schema_that_encrypts_the_same_passes) {
    expect_passed(with_schema(schema_of(patterns())));
    // Plain patterns of the schema may say something, as may plain names, and the rules beside.
    expect_passed(with_schema(schema_of(
        patterns(encrypt(rnd, R"(["string"])"), visit(), R"("^x": {"minimum": 5})"),
        R"(, "ward": {"minimum": 5})", R"(, "required": ["ward"], "additionalProperties": false)")));
    expect_passed(
        with_schema(schema_of(patterns(R"({"encrypt": {"bsonType": "string"}})"), "",
                              R"(, "encryptMetadata": {"algorithm": ")" + rnd + R"(", )" + key() + "}")));
    expect_passed(with(R"({"room": {"$gt": 5}, "$jsonSchema": )" + schema_of(patterns()) + "}"));
}

TEST_F(PatternValidator, a_schema_without_encryption_passes) {
    for (
        const std::string schema :
        {R"({"patternProperties": {"^note_": {"bsonType": "binData", "title": "t"}}})",
         R"({"patternProperties": {"^visit_": {"bsonType": "object", "required": ["ward"], "properties": {"ward": {"minimum": 5}}}}})",
         R"({"patternProperties": {"^x": {"minimum": 5}}, "properties": {"ward": {"enum": [5]}, "note_1": {"title": "t"}}})",
         R"({"allOf": [{"patternProperties": {"^visit_": {"required": ["ward"]}, "^x": {"minimum": 5}}}]})"})
        expect_passed(with_schema(schema));
}

TEST_F(PatternValidator, a_schema_that_encrypts_otherwise_is_refused) {
    const std::string text = "must equal the schema of the namespace";
    const std::string missing = "it does not encrypt that field, which the schema encrypts";
    const std::string note = encrypt(rnd, R"("string")");
    // A pattern is missing, or says less.
    expect_refusal(with_schema(schema_of("{}")), no, "at '/^note_/': " + missing);
    expect_refusal(with_schema(schema_of(R"({"^note_": )" + note + R"(, "^x": {}})")), no,
                   "at '/^visit_/.doctor': " + missing);
    expect_refusal(with_schema(schema_of(patterns("{}"))), no, "at '/^note_/': " + missing);
    expect_refusal(with_schema(schema_of(patterns(note, visit("{}")))), no, missing);
    expect_refusal(with_schema(schema_of(patterns(note, visit(), ""))), no,
                   "at '/^x/': it does not name that pattern");
    expect_refusal(with_schema(R"({"bsonType": "object", "patternProperties": )" + patterns() + "}"), no,
                   "at 'code': " + missing);
    // One is written otherwise, or one too many.
    expect_refusal(
        with_schema(schema_of(R"({"^note": )" + note + R"(, "^visit_": )" + visit() + R"(, "^x": {}})")), no,
        "at '/^note/': the schema has no such pattern");
    for (const std::string& other : std::vector<std::string>{note, "{}", R"({"minimum": 5})"})
        for (const std::string& schema :
             std::vector<std::string>{schema_of(patterns(note, visit(), R"("^x": {}, "^other": )" + other)),
                                      R"({"patternProperties": {"^other": )" + other + "}}"})
            expect_refusal(with_schema(schema), no, "at '/^other/': the schema has no such pattern");
    // Algorithm, types, key.
    expect_refusal(with_schema(schema_of(patterns(encrypt(det, R"("string")")))), no,
                   "at '/^note_/': another algorithm");
    expect_refusal(with_schema(schema_of(patterns(encrypt(rnd, R"("int")")))), no,
                   "at '/^note_/': other types");
    expect_refusal(with_schema(schema_of(patterns(R"({"encrypt": {"algorithm": ")" + rnd +
                                                  R"(", "bsonType": "string", )" +
                                                  key("AgAAAAAAAAAAAAAAAAAAAA==") + "}}"))),
                   no, "at '/^note_/': another key");
    expect_refusal(with_schema(schema_of(patterns(R"({"encrypt": {"algorithm": ")" + rnd +
                                                  R"(", "bsonType": "string", "keyAltName": "k"}})"))),
                   no, "servers do not know 'keyAltName'");
    // Names that a pattern stands for, and plain patterns, encrypt nothing of their own.
    expect_refusal(with_schema(schema_of(patterns(), R"(, "note_1": )" + note)), no,
                   "at 'note_1': the schema encrypts it by a pattern");
    expect_refusal(with_schema(schema_of(patterns(), R"(, "visit_1": )" + visit())), no, "by a pattern");
    expect_refusal(with_schema(schema_of(patterns(note, visit(), R"("^x": )" + note))), no,
                   "at '/^x/': it encrypts a field that the schema does not encrypt");
    expect_refusal(with_schema(R"({"allOf": [)" + schema_of(patterns()) + "]}"), code::bad_value,
                   "'encrypt' keyword");
    expect_refusal(with_schema(schema_of(patterns(), "", R"(, "additionalProperties": {"minimum": 5})")), no,
                   "'additionalProperties'");
    // What no driver could read: the rules of the schema's builder.
    expect_refusal(with_schema(schema_of(patterns(), R"(, "note_1": {})")), no,
                   "matches this name too and says otherwise");
    std::string untyped = schema_of(patterns());
    untyped.erase(1, std::string_view(R"("bsonType": "object", )").size());
    expect_refusal(with_schema(untyped), no, "bsonType: \"object\"");
}

TEST_F(PatternValidator, keywords_that_could_hold_values_of_encrypted_fields_are_refused) {
    const std::string text = "Comparison to encrypted fields not supported in a validator: the keyword ";
    for (const std::string keyword : {"enum", "minimum", "bsonType", "pattern"}) {
        const std::string values = "{\"" + keyword + "\": [5]}";
        expect_refusal(with_schema(R"({"patternProperties": {"^note_": )" + values + "}}"), no,
                       text + "'" + keyword + "' at '/^note_/'");
        expect_refusal(
            with_schema(R"({"patternProperties": {"^visit_": {"properties": {"doctor": )" + values + "}}}}"),
            no, text + "'" + keyword + "' at '/^visit_/.doctor'");
        expect_refusal(with_schema(R"({"properties": {"note_1": )" + values + "}}"), no,
                       text + "'" + keyword + "' at 'note_1'");
    }
    // A name that the schema's plain pattern matches too is not told apart.
    clinic.schema->root_.add_plain_pattern(config::NamePattern::compile("^note_x").pattern);
    expect_refusal(with_schema(R"({"properties": {"note_x": {"minimum": 5}}})"), no,
                   text + "'properties' at 'note_x'");
    clinic.schema->root_.add_plain_pattern(config::NamePattern::compile("^co").pattern);
    expect_refusal(with_schema(R"({"patternProperties": {"^co": {"minimum": 5}}})"), no,
                   "the pattern may match 'code'");
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
