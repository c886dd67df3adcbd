#include <gtest/gtest.h>

#include "driver_fixture.hpp"
#include "proxy/session/query_analyser.hpp"

// The schemas that come with a command, what is refused, and the bounds.
namespace fieldgate::session {
namespace {

using namespace testing;

// Schemas

TEST_F(QueryAnalyserTest, gives_a_command_without_schema_back_as_it_came) {
    const std::string_view command = R"({"find": "notes", "filter": {"ssn": 5}, "lsid": {"id": 1})";
    const Buffer reply =
        ask(std::string(command) + R"(, "$db": "clinic", "jsonSchema": {}, "isRemoteSchema": true})");
    EXPECT_EQ(bson::to_json(reply),
              R"({ "hasEncryptionPlaceholders" : false, "schemaRequiresEncryption" : false, )"
              R"("result" : { "find" : "notes", "filter" : { "ssn" : 5 }, )"
              R"("lsid" : { "id" : 1 } }, "ok" : 1.0 })");
}

TEST_F(QueryAnalyserTest, analyses_a_command_without_schema_all_the_same) {
    expect_refused(R"({"aggregate": "notes", "pipeline": [{"$lookup": {"from": "patients", "localField": "a",
                      "foreignField": "b", "as": "c"}}], "cursor": {}, "jsonSchema": {}, "isRemoteSchema": true,
                      "$db": "clinic"})",
                   2, "Missing encryption schema for namespace: clinic.patients");
    expect_refused(R"({"find": "notes", "filter": {}, "jsonSchema": {}, "isRemoteSchema": true})", 73, "$db");
}

TEST_F(QueryAnalyserTest, reads_a_validator_as_remote_and_the_applications_schema_as_local) {
    const std::string_view schema = R"({"bsonType": "object", "required": ["name"], "properties": {
        "name": {"bsonType": "string"},
        "ssn": {"encrypt": {"bsonType": "int", "algorithm": "AEAD_AES_256_CBC_HMAC_SHA_512-Deterministic",
                "keyId": [{"$binary": {"base64": "EREREREREREREREREREREQ==", "subType": "04"}}]}}}})";
    const auto with = [&](std::string_view remote) {
        return R"({"find": "patients", "filter": {"ssn": 5}, "jsonSchema": )" + std::string(schema) +
               R"(, "isRemoteSchema": )" + std::string(remote) + R"(, "$db": "clinic"})";
    };
    EXPECT_EQ(marked_as_json(result(with("true")), "filter.ssn"), marking(1, "5"));
    expect_refused(with("false"), 9, "'required' is only allowed with a remote schema");
}

// More than are kept, each asked for twice in a row and all of them again: none is taken for another.
TEST_F(QueryAnalyserTest, keeps_schemas_apart) {
    const auto find = [](int number, std::string_view remote) {
        return R"({"find": "patients", "filter": {"f)" + std::to_string(number) +
               R"(": 5}, "jsonSchema": {"bsonType": "object", "properties": {"f)" + std::to_string(number) +
               R"(": {"encrypt": {"bsonType": "int", "algorithm": "AEAD_AES_256_CBC_HMAC_SHA_512-Deterministic",
                   "keyId": [{"$binary": {"base64": "EREREREREREREREREREREQ==", "subType": "04"}}]}}}},
                   "isRemoteSchema": )" +
               std::string(remote) + R"(, "$db": "clinic"})";
    };
    for (int round = 0; round < 2; ++round)
        for (int number = 0; number < 20; ++number)
            for (const std::string_view remote : {"true", "false", "false"})
                EXPECT_EQ(marked_as_json(result(find(number, remote)), "filter.f" + std::to_string(number)),
                          marking(1, "5"));
}

TEST_F(QueryAnalyserTest, requires_no_encryption_for_a_validator_without_encrypt) {
    const Buffer reply =
        ask(R"({"find": "patients", "filter": {"ssn": 5}, "jsonSchema": {"bsonType": "object",
        "required": ["name"], "properties": {"name": {"bsonType": "string"}}}, "isRemoteSchema": true, "$db": "clinic"})");
    ASSERT_EQ(code_of(reply), 0) << errmsg_of(reply);
    EXPECT_FALSE(at(reply, "schemaRequiresEncryption")->boolean());
    EXPECT_FALSE(at(reply, "hasEncryptionPlaceholders")->boolean());
}

std::string with_schemas(std::string_view command, std::string_view schemas) {
    return replaced(std::string(command) + R"(, "csfleEncryptionSchemas": )" + std::string(schemas) +
                        R"(, "$db": "clinic"})",
                    "SCHEMA", patients_schema);
}

constexpr std::string_view two_schemas =
    R"({"clinic.patients": {"jsonSchema": SCHEMA, "isRemoteSchema": false},
    "clinic.wards": {"isRemoteSchema": true, "jsonSchema": {}}})";

TEST_F(QueryAnalyserTest, takes_several_schemas) {
    const Buffer found = result(with_schemas(R"({"find": "patients", "filter": {"ssn": 5})", two_schemas));
    EXPECT_EQ(marked_as_json(found, "filter.ssn"), marking(1, "5"));
    EXPECT_FALSE(at(found, "csfleEncryptionSchemas"));
    EXPECT_FALSE(at(found, "$db"));
    const Buffer reply = ask(with_schemas(R"({"find": "wards", "filter": {"ssn": 5})", two_schemas));
    EXPECT_TRUE(at(reply, "schemaRequiresEncryption")->boolean());
    EXPECT_FALSE(at(reply, "hasEncryptionPlaceholders")->boolean());
}

TEST_F(QueryAnalyserTest, joins_only_namespaces_whose_schema_it_was_given) {
    const std::string_view join =
        R"({"aggregate": "beds", "cursor": {}, "pipeline": [{"$lookup": {"from": "wards",
        "localField": "a", "foreignField": "b", "as": "c"}}])";
    const std::string_view plain = R"({"clinic.beds": {"jsonSchema": {}, "isRemoteSchema": true},
        "clinic.wards": {"jsonSchema": {}, "isRemoteSchema": true}})";
    EXPECT_TRUE(at(result(with_schemas(join, plain)), "pipeline"));
    expect_refused(with_schemas(join, R"({"clinic.beds": {"jsonSchema": {}, "isRemoteSchema": true}})"), 2,
                   "Missing encryption schema for namespace: clinic.wards");
}

TEST_F(QueryAnalyserTest, needs_the_schema_of_the_commands_own_namespace) {
    expect_refused(with_schemas(R"({"find": "beds", "filter": {"ssn": 5})", two_schemas), 2,
                   "Missing encryption schema for namespace: clinic.beds");
}

TEST_F(QueryAnalyserTest, refuses_schemas_that_make_no_sense) {
    const std::string_view find = R"({"find": "patients", "filter": {"ssn": 5})";
    const std::string pair = R"({"jsonSchema": {}, "isRemoteSchema": true})";
    expect_refused(with_schemas(find, "{}"), 14, "csfleEncryptionSchemas");
    expect_refused(with_schemas(find, "5"), 14, "csfleEncryptionSchemas");
    for (const std::string name : {"patients", ".patients", "clinic."})
        expect_refused(with_schemas(find, "{\"" + name + "\": " + pair + "}"), 73, "full name");
    expect_refused(with_schemas(find, R"({"clinic.patients": 5})"), 9, "jsonSchema is required");
    expect_refused(with_schemas(find, R"({"clinic.patients": {"jsonSchema": {}}})"), 9,
                   "isRemoteSchema is required");
    expect_refused(
        with_schemas(find, R"({"clinic.patients": {"jsonSchema": {}, "isRemoteSchema": true, "x": 1}})"),
        40415, "nothing else");
    expect_refused(
        with_schemas(find, R"({"clinic.patients": )" + pair + R"(, "clinic.patients": )" + pair + "}"), 9,
        "two schemas");
    expect_refused(with_schemas(std::string(find) + R"(, "isRemoteSchema": true)", two_schemas), 9,
                   "stand alone");
    expect_refused(with_schemas(std::string(find) + R"(, "jsonSchema": {})", two_schemas), 9, "stand alone");
    expect_refused(with_schemas(std::string(find) + R"(, "csfleEncryptionSchemas": {})", two_schemas), 9,
                   "stand alone");
    expect_refused(with_schemas(R"({"find": "a*", "filter": {})",
                                R"({"clinic.a*": {"jsonSchema": SCHEMA, "isRemoteSchema": false}})"),
                   73, "star");
}

TEST_F(QueryAnalyserTest, says_what_is_missing) {
    const std::string_view find = R"({"find": "patients", "filter": {"ssn": 5}, "$db": "clinic")";
    const auto with = [&](std::string_view more) { return std::string(find) + std::string(more) + "}"; };
    expect_refused(with(""), 9, "jsonSchema is required");
    expect_refused(with(R"(, "isRemoteSchema": true)"), 9, "jsonSchema is required");
    expect_refused(with(R"(, "jsonSchema": {})"), 9, "isRemoteSchema is required");
    expect_refused(with(R"(, "jsonSchema": 1, "isRemoteSchema": true)"), 14, "jsonSchema must be an object");
    expect_refused(with(R"(, "jsonSchema": {}, "isRemoteSchema": 1)"), 14,
                   "isRemoteSchema must be a boolean");
    expect_refused(with(R"(, "jsonSchema": {}, "jsonSchema": {}, "isRemoteSchema": true)"), 9,
                   "jsonSchema is a duplicate field");
    expect_refused(with(R"(, "jsonSchema": {}, "isRemoteSchema": true, "isRemoteSchema": false)"), 9,
                   "isRemoteSchema is a duplicate field");
    expect_refused(with(R"(, "jsonSchema": {"properties": {"a": {"encrypt": {}}}}, "isRemoteSchema": true)"),
                   9, "Invalid schema of clinic.patients");
}

TEST_F(QueryAnalyserTest, refuses_queryable_encryption_by_name) {
    const std::string_view information = R"("encryptionInformation": {"type": 1, "schema": {}})";
    expect_refused(on_patients(R"({"find": "patients", "filter": {}, )" + std::string(information)), 115,
                   "Queryable Encryption");
    expect_refused(on_patients(R"({"explain": {"find": "patients", )" + std::string(information) + "}"), 115,
                   "Queryable Encryption");
    expect_refused(
        on_patients(
            R"({"bulkWrite": 1, "ops": [], "nsInfo": [{"ns": "clinic.a"}, {"ns": "clinic.patients", )" +
            std::string(information) + "}]"),
        115, "Queryable Encryption");
}

TEST_F(QueryAnalyserTest, refuses_what_is_not_about_one_collection) {
    for (const std::string_view command :
         {R"({"aggregate": 1, "pipeline": [], "cursor": {})", R"({"find": "", "filter": {})",
          R"({"explain": 1)", R"({"explain": {})",
          R"({"bulkWrite": 1, "ops": [], "nsInfo": [{"ns": "clinic.a"}, {"ns": "clinic.b"}])",
          R"({"bulkWrite": 1, "ops": [], "nsInfo": [])",
          R"({"bulkWrite": 1, "ops": [], "nsInfo": [{"ns": "a"}])"})
        expect_refused(on_patients(command), 73, "non-collection command not supported");
    expect_refused(with_schemas(R"({"aggregate": 1, "pipeline": [], "cursor": {})", two_schemas), 2,
                   "Missing encryption schema");
}

TEST_F(QueryAnalyserTest, refuses_commands_that_carry_nothing_to_analyse) {
    for (const std::string name :
         {"getMore", "drop", "serverStatus", "shutdown", "saslStart", "mapReduce", "x"})
        expect_refused(R"({")" + name + R"(": 1, "$db": "clinic"})", 115,
                       "not supported for auto encryption");
    expect_refused("{}", 9, "empty");
    EXPECT_EQ(analyser.last_command(), "unknown");
}

// Both bound how long one request may keep a thread.
TEST_F(QueryAnalyserTest, bounds_how_many_schemas_come_with_a_command) {
    const auto find = [](int count) {
        std::string entries;
        for (int i = 0; i < count; ++i)
            entries += (i == 0 ? R"("clinic.notes": )" : R"(, "clinic.c)" + std::to_string(i) + "\": ") +
                       R"({"jsonSchema": {}, "isRemoteSchema": false})";
        return R"({"find": "notes", "filter": {}, "csfleEncryptionSchemas": {)" + entries +
               R"(}, "$db": "clinic"})";
    };
    EXPECT_EQ(bson::to_json(result(find(65))), R"({ "find" : "notes", "filter" : {  } })");
    expect_refused(find(66), 115, "more than 65");
}

TEST_F(QueryAnalyserTest, bounds_the_schemas_that_come_with_a_command) {
    const auto find = [](std::size_t schema_bytes, bool many) {
        // {"description": "..."} has 23 bytes beside the text.
        const std::string pair = R"({"jsonSchema": {"description": ")" + std::string(schema_bytes - 23, 'x') +
                                 R"("}, "isRemoteSchema": false})";
        return R"({"find": "notes", "filter": {}, )" +
               (many ? R"("csfleEncryptionSchemas": {"clinic.notes": )" + pair + "}"
                     : pair.substr(1, pair.size() - 2)) +
               R"(, "$db": "clinic"})";
    };
    constexpr std::size_t most = 2 * 1024 * 1024;
    for (const bool many : {false, true}) {
        // Around one of several stand its two names, its type and its end.
        const std::size_t own = many ? most - 53 : most;
        EXPECT_TRUE(at(ask(find(own, many)), "result")) << many;
        expect_refused(find(own + 1, many), 10334, "larger than 2097152 bytes");
    }
}

// Values

TEST_F(QueryAnalyserTest, lets_ciphertext_of_the_application_pass) {
    // Kind, key and the type of an int, then initialisation vector, one block and tag.
    const std::string blob = "AREREREREREREREREREREREQ" + std::string(86, 'A') + "==";
    const auto binary = [](const std::string& base64) {
        return R"({"$binary": {"base64": ")" + base64 + R"(", "subType": "06"}})";
    };
    const std::string sealed_ssn = binary(blob);
    expect_marked(R"({"insert": "patients", "documents": [{"ssn": )" + sealed_ssn + R"(, "other": )" +
                      sealed_ssn + R"(, "email": "e"}])",
                  {{"documents.0.email", marking(2, R"("e")")}});
    expect_marked(R"({"insert": "patients", "documents": [{"ssn": )" + sealed_ssn + "}]", {});
}

TEST_F(QueryAnalyserTest, refuses_markings_and_ciphertext_that_is_none) {
    // Kind 0 is what the driver would encrypt in the application's name.
    expect_refused(on_patients(R"({"insert": "patients", "documents": [{"other":
        {"$binary": {"base64": "AAUAAAAA", "subType": "06"}}}])"),
                   2, "Ciphertext");
    expect_refused(on_patients(R"({"insert": "patients", "documents": [{"ssn":
        {"$binary": {"base64": "AAUAAAAA", "subType": "06"}}}])"),
                   31041, "ssn");
    expect_refused(on_patients(R"({"insert": "patients", "documents": [{"ssn":
        {"$binary": {"base64": "AQUAAAAA", "subType": "06"}}}])"),
                   31041, "is no ciphertext");
}

TEST_F(QueryAnalyserTest, refuses_what_ciphertext_cannot_answer_or_hold) {
    expect_refused(on_patients(R"({"insert": "patients", "documents": [{"ssn": "text"}])"), 31041, "ssn");
    expect_refused(on_patients(R"({"insert": "patients", "documents": [{"ssn": null}])"), 31041, "ssn");
    expect_refused(on_patients(R"({"find": "patients", "filter": {"email": "x"})"), 51092, "email");
    expect_refused(on_patients(R"({"find": "patients", "filter": {}, "unknownOption": 1)"), 40415,
                   "unknownOption");
}

// Bounds

std::string nested(int levels) {
    std::string text = "1";
    for (int i = 0; i < levels; ++i) text = R"({"a": )" + text + "}";
    return text;
}

TEST_F(QueryAnalyserTest, bounds_how_deep_a_command_nests) {
    config->limits.nesting_levels = 20;
    const auto find = [](int levels) {
        return R"({"find": "notes", "filter": )" + nested(levels) +
               R"(, "jsonSchema": {}, "isRemoteSchema": true, "$db": "clinic"})";
    };
    EXPECT_TRUE(at(result(find(20)), "filter"));
    expect_refused(find(21), 22, "not valid BSON");
    const auto with_schema_of = [](int levels) {
        return R"({"find": "notes", "filter": {}, "jsonSchema": )" + nested(levels) +
               R"(, "isRemoteSchema": true, "$db": "clinic"})";
    };
    expect_refused(with_schema_of(22), 22, "jsonSchema is not valid BSON");
}

// A command without schema of so many bytes: body and sequence together.
Buffer command_of(std::size_t bytes) {
    Buffer document;
    const std::string_view body =
        R"({"insert": "notes", "jsonSchema": {}, "isRemoteSchema": true, "$db": "clinic"})";
    const std::size_t overhead = json(body).size() + 4 + 1 + 1 + 1 + 4 + 1 + 1;
    Builder(document).append_string("x", std::string(bytes - overhead, 'x')).finish();
    return with_sequences(body, {{"documents", {document}}});
}

TEST_F(QueryAnalyserTest, bounds_the_bytes_of_a_command) {
    constexpr std::size_t most = 16 * 1024 * 1024 + 16 * 1024;
    Buffer reply = ask(command_of(most));
    EXPECT_EQ(code_of(reply), 0) << errmsg_of(reply);
    reply = ask(command_of(most + 1));
    EXPECT_EQ(code_of(reply), 10334);
}

TEST_F(QueryAnalyserTest, bounds_the_bytes_of_a_command_with_its_markings) {
    // The answer's bound: 16 MiB + 16 KiB for the command, and room for what stands around it.
    constexpr std::size_t most = 16 * 1024 * 1024 + 16 * 1024 + 1024;
    const auto insert = [](std::size_t padding) {
        std::vector<Buffer> documents(1000, json(R"({"ssn": 5})"));
        Buffer padded;
        Builder(padded).append_string("x", std::string(padding, 'x')).finish();
        documents.push_back(std::move(padded));
        return with_sequences(on_patients(R"({"insert": "patients")"), {{"documents", std::move(documents)}});
    };
    const std::size_t unpadded = send(insert(0)).answer.size();
    const auto fits = send(insert(most - unpadded));
    EXPECT_EQ(fits.refusal, "");
    EXPECT_EQ(fits.answer.size(), most);
    const Buffer reply = ask(insert(most - unpadded + 1));
    EXPECT_EQ(code_of(reply), 10334);
    EXPECT_NE(errmsg_of(reply).find("markings"), std::string::npos);
}

}  // namespace
}  // namespace fieldgate::session
