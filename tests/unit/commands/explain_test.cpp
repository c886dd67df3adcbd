#include <gtest/gtest.h>

#include "tests/unit/cluster/scripted_server.hpp"
#include "tests/unit/commands/support.hpp"

namespace fieldgate::commands {
namespace {

using cluster::testing::cursor_reply;
using cluster::testing::error_reply;
using cluster::testing::ScriptedServer;
using cluster::testing::standalone;
using testing::Initialised;
using testing::Printed;
using testing::replace_in;

struct Explained : Printed {
    int code = -1;
    bool says(const std::string& text) const { return out.str().find(text) != std::string::npos; }
    bool warns(const std::string& text) const { return err.str().find(text) != std::string::npos; }
};

class Explain : public ::testing::Test {
 protected:
    void run(const std::string& input, const ExplainOptions& options = {.database = "medicalRecords"}) {
        std::istringstream in(input);
        printed.out.str("");
        printed.err.str("");
        printed.code = explain(clinic.file, options, in, printed.console());
    }
    Initialised clinic;
    Explained printed;
};

TEST_F(Explain, a_find_shows_the_command_the_needs_and_what_each_role_gets) {
    run(R"({"find": "patients", "filter": {"ssn": 123456789, "name": "House"}})");
    EXPECT_EQ(printed.code, exit_ok) << printed.err.str();
    EXPECT_EQ(printed.err.str(), "");
    EXPECT_TRUE(printed.says("find on medicalRecords.patients\n")) << printed.out.str();
    EXPECT_TRUE(printed.says("medicalRecords.patients  encrypted fields: 6, from "));
    EXPECT_TRUE(
        printed.says("patients.schema.json (schemas: medicalRecords.patients, " + clinic.file.string() + ":"))
        << printed.out.str();
    EXPECT_TRUE(printed.says(R"("<encrypted: ssn, deterministic int, key 'clinic'>")")) << printed.out.str();
    EXPECT_TRUE(printed.says(R"("name": "House")")) << printed.out.str();
    EXPECT_TRUE(printed.says("  ssn  matched\n")) << printed.out.str();
    EXPECT_TRUE(printed.says("Role doctor: allowed\n  reply: documents in cursor.firstBatch"))
        << printed.out.str();
    EXPECT_TRUE(printed.says("    insurance.policyNumber  revealed\n")) << printed.out.str();
    EXPECT_TRUE(
        printed.says("Role receptionist: refused with 13 (Unauthorized)\n  not authorized: role "
                     "'receptionist' may not query by encrypted field 'ssn'"))
        << printed.out.str();
}

TEST_F(Explain, no_protected_value_is_printed) {
    for (
        const char* const input :
        {R"({"find": "patients", "filter": {"ssn": 123456789}})",
         R"({"find": "patients", "filter": {"ssn": {"$in": [123456789]}}})",
         R"({"insert": "patients", "documents": [{"ssn": 123456789, "email": "secret@clinic.example"}]})",
         R"({"update": "patients", "updates": [{"q": {}, "u": {"$set": {"email": "secret@clinic.example"}}}]})",
         R"({"find": "patients", "filter": {"ssn": {"$gt": 123456789}}})",
         R"({"find": "patients", "filter": {"ssn": "secret@clinic.example"}})",
         R"({"aggregate": "patients", "pipeline": [{"$match": {"ssn": 123456789}}], "cursor": {}})"}) {
        SCOPED_TRACE(input);
        run(input);
        EXPECT_EQ(printed.code, exit_ok) << printed.err.str();
        EXPECT_FALSE(printed.says("123456789")) << printed.out.str();
        EXPECT_FALSE(printed.says("secret@")) << printed.out.str();
    }
}

TEST_F(Explain, one_role_can_be_asked_for) {
    run(R"({"find": "patients"})", {.role = "receptionist", .database = "medicalRecords"});
    EXPECT_EQ(printed.code, exit_ok);
    EXPECT_TRUE(printed.says("Role receptionist: allowed\n")) << printed.out.str();
    EXPECT_TRUE(printed.says("    ssn                     withheld: left out\n")) << printed.out.str();
    EXPECT_FALSE(printed.says("Role doctor")) << printed.out.str();
    EXPECT_TRUE(printed.says("What the server receives (nothing to encrypt)\n")) << printed.out.str();

    run(R"({"find": "patients"})", {.role = "nurse", .database = "medicalRecords"});
    EXPECT_EQ(printed.code, exit_usage);
    EXPECT_TRUE(printed.warns("no role `nurse`, but doctor, receptionist")) << printed.err.str();
    EXPECT_EQ(printed.out.str(), "");
}

TEST_F(Explain, every_way_to_read_a_field_has_its_words) {
    replace_in(
        clinic.file, "encrypted_fields: { read: omit, match: deny, write: deny }",
        "encrypted_fields: { read: \"null\" }\n    fields:\n      medicalRecords.patients:\n"
        "        email: { read: { mask: { keep_last: 4 } } }\n        bloodType: { read: ciphertext }");
    run(R"({"find": "patients"})", {.role = "receptionist", .database = "medicalRecords"});
    EXPECT_EQ(printed.code, exit_ok) << printed.err.str();
    EXPECT_TRUE(printed.says("    ssn                     withheld: null\n")) << printed.out.str();
    EXPECT_TRUE(printed.says("    email                   masked, but for the last 4\n"))
        << printed.out.str();
    EXPECT_TRUE(printed.says("    bloodType               ciphertext, as stored\n")) << printed.out.str();
}

TEST_F(Explain, a_refusal_is_an_answer) {
    run(R"({"find": "patients", "filter": {"ssn": {"$gt": 1}}})");
    EXPECT_EQ(printed.code, exit_ok) << printed.err.str();
    EXPECT_TRUE(printed.says("For every role: refused with 51092 (")) << printed.out.str();
    EXPECT_TRUE(printed.says("ssn")) << printed.out.str();
    EXPECT_TRUE(printed.says("$gt")) << printed.out.str();
    EXPECT_FALSE(printed.says("What the server receives")) << printed.out.str();
    EXPECT_FALSE(printed.says("Role doctor")) << printed.out.str();
}

TEST_F(Explain, writes_and_their_results) {
    run(R"({"update": "patients", "updates": [{"q": {"name": "a"}, "u": {"$unset": {"ssn": 1}}}]})");
    EXPECT_TRUE(printed.says("  ssn  may be erased\n")) << printed.out.str();
    EXPECT_TRUE(printed.says("Role doctor: allowed\n  reply: the result of a write")) << printed.out.str();
    EXPECT_TRUE(printed.says("may not erase encrypted field 'ssn'")) << printed.out.str();

    run(R"({"delete": "patients", "deletes": [{"q": {}, "limit": 0}]})");
    EXPECT_TRUE(printed.says("deletes documents")) << printed.out.str();

    run(R"({"distinct": "patients", "key": "ssn"})");
    EXPECT_TRUE(printed.says("  ssn  its values listed\n")) << printed.out.str();
    EXPECT_TRUE(printed.says("    (each value)  revealed (ssn)\n")) << printed.out.str();
}

TEST_F(Explain, other_namespaces_are_taken_for_collections) {
    run(R"({"find": "wards", "$db": "medicalRecords"})", {});
    EXPECT_EQ(printed.code, exit_ok) << printed.err.str();
    EXPECT_TRUE(printed.says("medicalRecords.wards  not in the configuration; taken for a collection"))
        << printed.out.str();
    EXPECT_TRUE(printed.says("reply: nothing encrypted behind it")) << printed.out.str();
    EXPECT_TRUE(printed.says("nothing in particular")) << printed.out.str();
}

TEST_F(Explain, a_command_about_no_collection) {
    run(R"({"ping": 1})");
    EXPECT_EQ(printed.code, exit_ok);
    EXPECT_TRUE(printed.says("ping on database medicalRecords\n")) << printed.out.str();
    EXPECT_FALSE(printed.says("Namespaces")) << printed.out.str();
    run(R"({"getMore": {"$numberLong": "5"}, "collection": "patients"})");
    EXPECT_TRUE(printed.says("reply: what the command that opened the cursor says")) << printed.out.str();
    run(R"({"hello": 1})");
    EXPECT_TRUE(printed.says("fieldgate answers it itself")) << printed.out.str();
}

TEST_F(Explain, a_wrong_input_is_said) {
    struct Case {
        const char* input;
        const char* database;
        const char* expected;
    };
    for (const Case& c : {
             Case{"", "d", "no command on standard input"},
             Case{" \n", "d", "no command on standard input"},
             Case{"[1]", "d", "a command is a JSON object"},
             Case{"find", "d", "a command is a JSON object"},
             Case{R"({"find": )", "d", "no extended JSON"},
             Case{R"({"find": "a",})", "d", "no extended JSON"},
             Case{R"({"find": "a"} {"find": "b"})", "d", "something follows the command"},
             Case{R"({"find": "}{"} x)", "d", "something follows the command"},
             Case{"{}", "d", "the command is empty"},
             Case{R"({"find": "a"})", "", "the command has no `$db`"},
             Case{R"({"find": "a", "$db": "x"})", "d", "leave out --database"},
         }) {
        SCOPED_TRACE(c.input);
        run(c.input, {.database = c.database});
        EXPECT_EQ(printed.code, exit_usage);
        EXPECT_TRUE(printed.warns(c.expected)) << printed.err.str();
        EXPECT_EQ(printed.out.str(), "");
    }
}

TEST_F(Explain, a_command_longer_than_a_message_is_not_read) {
    replace_in(clinic.file, "roles:", "limits: { message_bytes: 65536 }\nroles:");
    const std::string empty = R"({"ping": 1, "x": ""})";
    const auto padded = [&](std::size_t size) {
        std::string text = empty;
        return text.insert(text.size() - 2, size - empty.size(), 'x');
    };
    run(padded(65536));
    EXPECT_EQ(printed.code, exit_ok) << printed.err.str();
    run(padded(65537));
    EXPECT_EQ(printed.code, exit_usage);
    EXPECT_TRUE(printed.warns("longer than 65536 bytes")) << printed.err.str();
}

TEST_F(Explain, canonical_json_is_read_as_well) {
    run(R"({"find": "patients", "filter": {"ssn": {"$numberInt": "5"}}, "$db": "medicalRecords"})", {});
    EXPECT_TRUE(printed.says("<encrypted: ssn, deterministic int, key 'clinic'>")) << printed.out.str();
}

TEST_F(Explain, asks_the_cluster_what_a_namespace_is) {
    bson::Buffer view = *bson::from_json(
        R"({"name": "v", "type": "view", "options": {"viewOn": "patients", "pipeline": []}})");
    const ScriptedServer server(standalone(
        [&](bson::DocumentView) { return cursor_reply("medicalRecords.$cmd.listCollections", {view}); }));
    clinic.set_upstream("mongodb://" + server.address());
    run(R"({"find": "v"})", {.database = "medicalRecords", .connect = true});
    EXPECT_EQ(printed.code, exit_ok) << printed.err.str();
    EXPECT_TRUE(printed.says("For every role: refused with 115 (CommandNotSupported)")) << printed.out.str();
    EXPECT_TRUE(printed.says("medicalRecords.v  a view over medicalRecords.patients\n")) << printed.out.str();
    run(R"({"find": "wards"})", {.database = "medicalRecords", .connect = true});
    EXPECT_EQ(printed.code, exit_ok) << printed.err.str();
    EXPECT_TRUE(printed.says("medicalRecords.wards  nothing encrypted\n")) << printed.out.str();
}

TEST_F(Explain, a_collections_own_validator_is_applied) {
    const std::string field =
        R"({"encrypt": {"bsonType": "string", "algorithm": "AEAD_AES_256_CBC_HMAC_SHA_512-Random", "keyId":
        [{"$binary": {"base64": "AAECAwQFBgcICQoLDA0ODw==", "subType": "04"}}]}})";
    const auto entry_of = [&](const std::string& schema) {
        return *bson::from_json(
            R"({"name": "wards", "type": "collection", "options": {"validator": {"$jsonSchema": )" + schema +
            "}}}");
    };
    bson::Buffer entry = entry_of(R"({"bsonType": "object", "properties": {"code": )" + field + "}}");
    const ScriptedServer server(standalone(
        [&](bson::DocumentView) { return cursor_reply("medicalRecords.$cmd.listCollections", {entry}); }));
    clinic.set_upstream("mongodb://" + server.address());
    const std::string insert = R"({"insert": "wards", "documents": [{"code": "x"}]})";
    run(insert, {.database = "medicalRecords", .connect = true});
    EXPECT_TRUE(
        printed.says("medicalRecords.wards  encrypted fields: 1, from the collection's own validator\n"))
        << printed.out.str();
    EXPECT_TRUE(printed.says("<encrypted: code, random string, key 00010203-0405-0607-0809-0a0b0c0d0e0f>"))
        << printed.out.str();
    entry = entry_of(R"({"properties": {"code": )" + field + "}}");
    run(insert, {.database = "medicalRecords", .connect = true});
    EXPECT_TRUE(printed.says("its own validator encrypts, but cannot be applied")) << printed.out.str();
    EXPECT_TRUE(printed.says("For every role: refused with")) << printed.out.str();
}

TEST_F(Explain, says_why_the_cluster_does_not_answer) {
    const ScriptedServer server(
        standalone([&](bson::DocumentView) { return error_reply(13, "not authorized on medicalRecords"); }));
    clinic.set_upstream("mongodb://" + server.address());
    run(R"({"find": "wards"})", {.database = "medicalRecords", .connect = true});
    EXPECT_EQ(printed.code, exit_unavailable);
    EXPECT_TRUE(printed.warns("not authorized on medicalRecords")) << printed.err.str();
}

TEST_F(Explain, no_control_character_reaches_the_terminal) {
    run("{\"find\": \"a\\u001b[2Jb\", \"$db\": \"medicalRecords\"}", {});
    EXPECT_EQ(printed.out.str().find('\x1b'), std::string::npos) << printed.out.str();
    EXPECT_TRUE(printed.says("a?[2Jb")) << printed.out.str();
}

TEST_F(Explain, a_wrong_configuration_comes_first) {
    replace_in(clinic.file, "role: doctor", "role: docter");
    run("");
    EXPECT_EQ(printed.code, exit_configuration);
}

}  // namespace
}  // namespace fieldgate::commands
