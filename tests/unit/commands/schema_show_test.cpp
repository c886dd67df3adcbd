#include <gtest/gtest.h>

#include "proxy/keys/key_document.hpp"
#include "tests/unit/cluster/scripted_server.hpp"
#include "tests/unit/commands/support.hpp"

namespace fieldgate::commands {
namespace {

using cluster::testing::cursor_reply;
using cluster::testing::ScriptedServer;
using cluster::testing::standalone;
using testing::Initialised;
using testing::Printed;
using testing::replace_in;

bool says(const std::ostringstream& stream, const std::string& text) {
    return stream.str().find(text) != std::string::npos;
}

bson::Buffer key_named(const std::string& name, std::uint8_t fill) {
    keys::KeyDocument key;
    key.id.bytes.fill(fill);
    key.alt_names = {name};
    key.wrapped.assign(160, 1);
    key.provider = "local";
    return keys::build_key_document(key);
}

TEST(SchemaShow, each_field_with_algorithm_key_and_who_said_so) {
    Initialised clinic;
    Printed printed;
    EXPECT_EQ(show_schema(clinic.file, {.name = "medicalRecords.patients"}, printed.console()), exit_ok)
        << printed.err.str();
    EXPECT_TRUE(
        says(printed.out, "patients.schema.json (schemas: medicalRecords.patients, " + clinic.file.string()))
        << printed.out.str();
    EXPECT_TRUE(says(printed.out, "nulls: refuse   coerce_numbers: false   explicit_encryption: refuse\n"));
    EXPECT_TRUE(says(printed.out, "FIELD                   TYPES   ALGORITHM      KEY\n"))
        << printed.out.str();
    EXPECT_TRUE(
        says(printed.out,
             "ssn                     int     deterministic  'clinic' (encryptMetadata of the root)\n"))
        << printed.out.str();
}

TEST(SchemaShow, says_which_of_several_patterns_wins) {
    Initialised clinic;
    replace_in(
        clinic.file, "schemas:\n",
        "schemas:\n  \"*.patients\": { file: patients.schema.json, nulls: omit, coerce_numbers: true }\n");
    Printed printed;
    EXPECT_EQ(show_schema(clinic.file, {.name = "medicalRecords.patients"}, printed.console()), exit_ok)
        << printed.err.str();
    EXPECT_TRUE(says(printed.out, "not used:  ")) << printed.out.str();
    EXPECT_TRUE(says(printed.out, "(schemas: *.patients, " + clinic.file.string() + ":"))
        << printed.out.str();
    Printed other;
    EXPECT_EQ(show_schema(clinic.file, {.name = "elsewhere.patients"}, other.console()), exit_ok);
    EXPECT_TRUE(says(other.out, "nulls: omit   coerce_numbers: true")) << other.out.str();
    EXPECT_FALSE(says(other.out, "not used")) << other.out.str();
}

TEST(SchemaShow, json_is_the_schema_with_the_names_of_keys_or_their_uuids) {
    Initialised clinic;
    Printed named;
    EXPECT_EQ(show_schema(clinic.file, {.name = "medicalRecords.patients", .json = true}, named.console()),
              exit_ok);
    const auto document = bson::from_json(named.out.str());
    ASSERT_TRUE(document) << named.out.str();
    EXPECT_TRUE(says(named.out, R"("keyAltName": "clinic")")) << named.out.str();
    EXPECT_TRUE(says(named.err, "--connect puts the UUIDs")) << named.err.str();

    const ScriptedServer server(standalone(
        [](bson::DocumentView) { return cursor_reply("encryption.__keyVault", {key_named("clinic", 7)}); }));
    clinic.set_upstream("mongodb://" + server.address());
    Printed resolved;
    EXPECT_EQ(show_schema(clinic.file, {.name = "medicalRecords.patients", .json = true, .connect = true},
                          resolved.console()),
              exit_ok)
        << resolved.err.str();
    EXPECT_EQ(resolved.err.str(), "");
    EXPECT_TRUE(says(resolved.out, R"("base64": "BwcHBwcHBwcHBwcHBwcHBw==", "subType": "04")"))
        << resolved.out.str();
    EXPECT_FALSE(says(resolved.out, "keyAltName")) << resolved.out.str();
}

TEST(SchemaShow, names_that_are_no_key_are_said) {
    Initialised clinic;
    const ScriptedServer server(
        standalone([](bson::DocumentView) { return cursor_reply("encryption.__keyVault", {}); }));
    clinic.set_upstream("mongodb://" + server.address());
    Printed printed;
    EXPECT_EQ(show_schema(clinic.file, {.name = "medicalRecords.patients", .json = true, .connect = true},
                          printed.console()),
              exit_configuration);
    EXPECT_TRUE(says(printed.err, "no key named `clinic` in encryption.__keyVault")) << printed.err.str();
    EXPECT_EQ(printed.out.str(), "");
}

TEST(SchemaShow, a_namespace_that_is_not_listed) {
    Initialised clinic;
    Printed printed;
    EXPECT_EQ(show_schema(clinic.file, {.name = "medicalRecords.wards"}, printed.console()), exit_ok);
    EXPECT_TRUE(
        says(printed.out, "medicalRecords.wards: not in the configuration; the collection's own validator"))
        << printed.out.str();
    Printed json;
    EXPECT_EQ(show_schema(clinic.file, {.name = "medicalRecords.wards", .json = true}, json.console()),
              exit_configuration);
    EXPECT_EQ(json.out.str(), "");
    Printed vault;
    EXPECT_EQ(show_schema(clinic.file, {.name = "encryption.__keyVault"}, vault.console()), exit_ok);
    EXPECT_TRUE(says(vault.out, "the key vault")) << vault.out.str();
}

TEST(SchemaShow, the_collections_own_validator) {
    Initialised clinic;
    std::string entry;
    const ScriptedServer server(standalone([&](bson::DocumentView) {
        return cursor_reply(
            "medicalRecords.$cmd.listCollections",
            entry.empty() ? std::vector<bson::Buffer>() : std::vector<bson::Buffer>{*bson::from_json(entry)});
    }));
    clinic.set_upstream("mongodb://" + server.address());
    const auto show = [&](int code, const std::string& text) {
        Printed printed;
        EXPECT_EQ(
            show_schema(clinic.file, {.name = "medicalRecords.wards", .connect = true}, printed.console()),
            code);
        EXPECT_TRUE(says(printed.out, text) || says(printed.err, text))
            << printed.out.str() << printed.err.str();
    };
    show(exit_ok, "there is no such collection");
    entry = R"({"name": "wards", "type": "view", "options": {"viewOn": "x", "pipeline": []}})";
    show(exit_ok, "it is a view");
    entry = R"({"name": "wards", "type": "collection", "options": {"validator": {"a": 1}}})";
    show(exit_ok, "the collection's validator encrypts nothing");
    const std::string encrypt = R"({"encrypt": {"algorithm": "AEAD_AES_256_CBC_HMAC_SHA_512-Random", "keyId":
        [{"$binary": {"base64": "AAECAwQFBgcICQoLDA0ODw==", "subType": "04"}}]}})";
    entry = R"({"name": "wards", "type": "collection", "options": {"validator": {"$jsonSchema":
        {"bsonType": "object", "required": ["a"], "properties": {"code": )" +
            encrypt + "}}}}}";
    show(exit_ok, "schema:    the collection's own validator\n");
    show(exit_ok, "code   any type  random     00010203-0405-0607-0809-0a0b0c0d0e0f\n");
    entry = R"({"name": "wards", "type": "collection", "options": {"validator": {"$jsonSchema":
        {"properties": {"code": )" +
            encrypt + "}}}}}";
    show(exit_configuration, "cannot be applied");
}

TEST(SchemaShow, refuses_what_is_no_namespace) {
    Initialised clinic;
    for (const char* const name :
         {"", "patients", ".patients", "medicalRecords.", "*.patients", "medicalRecords.p*"}) {
        Printed printed;
        EXPECT_EQ(show_schema(clinic.file, {.name = name}, printed.console()), exit_usage) << name;
        EXPECT_TRUE(says(printed.err, "DATABASE.COLLECTION"));
        Printed install;
        EXPECT_EQ(install_schema(clinic.file, {.name = name}, install.console()), exit_usage) << name;
    }
}

}  // namespace
}  // namespace fieldgate::commands
