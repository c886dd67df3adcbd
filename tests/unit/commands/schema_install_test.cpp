#include <gtest/gtest.h>

#include <mutex>

#include "proxy/keys/key_document.hpp"
#include "tests/unit/cluster/scripted_server.hpp"
#include "tests/unit/commands/support.hpp"

namespace fieldgate::commands {
namespace {

using cluster::testing::cursor_reply;
using cluster::testing::error_reply;
using cluster::testing::hello_reply;
using cluster::testing::is_hello;
using cluster::testing::ok_reply;
using cluster::testing::ScriptedServer;
using testing::Initialised;
using testing::Printed;

bool says(const std::ostringstream& stream, const std::string& text) {
    return stream.str().find(text) != std::string::npos;
}

// A server with one collection, medicalRecords.patients, or none, and a key vault.
struct Cluster {
    std::mutex mutex;
    bool exists = false;
    std::string type = "collection";
    bson::Buffer options = *bson::from_json("{}");
    std::vector<std::string> key_names{"clinic"};
    bool refuse = false;
    bool forget = false;  // says ok and changes nothing

    bson::Buffer answer(bson::DocumentView command) {
        const std::lock_guard lock(mutex);
        if (is_hello(command)) return hello_reply("standalone", "");
        if (command.find("find")) return cursor_reply("encryption.__keyVault", keys());
        if (command.find("listCollections"))
            return cursor_reply("medicalRecords.$cmd.listCollections",
                                exists ? std::vector<bson::Buffer>{entry()} : std::vector<bson::Buffer>());
        if (refuse) return error_reply(13, "not authorized on medicalRecords to execute command");
        if (!forget) change(command);
        return ok_reply();
    }
    std::vector<bson::Buffer> keys() const {
        std::vector<bson::Buffer> documents;
        for (const std::string& name : key_names) {
            keys::KeyDocument key;
            key.id.bytes.fill(static_cast<std::uint8_t>(documents.size() + 7));
            key.alt_names = {name};
            key.wrapped.assign(160, 1);
            key.provider = "local";
            documents.push_back(keys::build_key_document(key));
        }
        return documents;
    }
    bson::Buffer entry() const {
        bson::Buffer out;
        bson::Builder(out)
            .append_string("name", "patients")
            .append_string("type", type)
            .append_document("options", options)
            .finish();
        return out;
    }
    void change(bson::DocumentView command) {
        exists = true;
        options.clear();
        bson::Builder builder(options);
        for (const char* const name : {"validator", "validationLevel", "validationAction"})
            if (const auto element = command.find(name)) builder.append_element(*element);
        builder.finish();
    }

    ScriptedServer server{[this](bson::DocumentView command) { return answer(command); }};
    Initialised clinic;
    Cluster() { clinic.set_upstream("mongodb://" + server.address()); }

    void have(const std::string& collection_options) {
        exists = true;
        options = *bson::from_json(collection_options);
    }
    int install(Printed& printed, InstallSchema given = {}) {
        given.name = "medicalRecords.patients";
        return install_schema(clinic.file, given, printed.console());
    }
    std::string changed() const {
        for (const std::string& command : server.commands())
            if (command.starts_with(R"({ "collMod")") || command.starts_with(R"({ "create")")) return command;
        return "";
    }
};

TEST(SchemaInstall, makes_the_collection_if_there_is_none) {
    Cluster cluster;
    Printed printed;
    ASSERT_EQ(cluster.install(printed), exit_ok) << printed.err.str();
    EXPECT_EQ(
        printed.out.str(),
        "medicalRecords.patients: installed (create, validationLevel strict, validationAction error)\n");
    const std::string command = cluster.changed();
    EXPECT_TRUE(command.starts_with(R"({ "create" : "patients", "validator" : { "$jsonSchema" : )"))
        << command;
    EXPECT_NE(command.find(R"("base64" : "BwcHBwcHBwcHBwcHBwcHBw==")"), std::string::npos) << command;
    EXPECT_EQ(command.find("keyAltName"), std::string::npos) << command;
    EXPECT_NE(command.find(R"("writeConcern" : { "w" : "majority" })"), std::string::npos) << command;
}

TEST(SchemaInstall, keeps_the_other_rules_of_a_collection) {
    Cluster cluster;
    cluster.have(R"({"validator": {"name": {"$exists": true}, "$jsonSchema": {"required": ["name"]}},
                     "validationLevel": "moderate", "validationAction": "warn"})");
    Printed printed;
    ASSERT_EQ(cluster.install(printed), exit_ok) << printed.err.str();
    const std::string command = cluster.changed();
    EXPECT_TRUE(command.starts_with(
        R"({ "collMod" : "patients", "validator" : { "name" : { "$exists" : true }, "$jsonSchema" : { "required" : [ "name" ], )"))
        << command;
    EXPECT_TRUE(says(printed.err, "validationLevel was moderate, becomes strict")) << printed.err.str();
    EXPECT_TRUE(says(printed.err, "validationAction was warn, becomes error")) << printed.err.str();
    EXPECT_TRUE(says(printed.err, "stored in plaintext stay")) << printed.err.str();
}

TEST(SchemaInstall, does_nothing_the_second_time) {
    Cluster cluster;
    Printed first;
    ASSERT_EQ(cluster.install(first), exit_ok) << first.err.str();
    const std::size_t commands = cluster.server.commands().size();
    Printed second;
    EXPECT_EQ(cluster.install(second), exit_ok);
    EXPECT_TRUE(says(second.err, "medicalRecords.patients: the schema is installed already"))
        << second.err.str();
    EXPECT_EQ(second.out.str(), "");
    for (std::size_t i = commands; i < cluster.server.commands().size(); ++i)
        EXPECT_EQ(cluster.server.commands()[i].find("validator"), std::string::npos);
    // Another level is another state.
    Printed third;
    EXPECT_EQ(cluster.install(third, {.level = "moderate", .action = "warn"}), exit_ok) << third.err.str();
    EXPECT_TRUE(says(third.out, "collMod, validationLevel moderate, validationAction warn"))
        << third.out.str();
    EXPECT_TRUE(says(third.err, "the server stores plaintext all the same")) << third.err.str();
}

TEST(SchemaInstall, a_dry_run_prints_the_command_and_changes_nothing) {
    Cluster cluster;
    Printed printed;
    ASSERT_EQ(cluster.install(printed, {.dry_run = true}), exit_ok) << printed.err.str();
    EXPECT_EQ(cluster.changed(), "");
    const auto command = bson::from_json(printed.out.str());
    ASSERT_TRUE(command) << printed.out.str();
    const auto document = bson::DocumentView::unchecked(*command);
    EXPECT_EQ(document.find("create")->string(), "patients");
    EXPECT_TRUE(document.find("validator")->document().find("$jsonSchema"));
}

TEST(SchemaInstall, a_name_must_be_one_keys) {
    Cluster cluster;
    cluster.key_names = {};
    Printed missing;
    EXPECT_EQ(cluster.install(missing), exit_configuration);
    EXPECT_TRUE(says(missing.err,
                     "no key named `clinic` in encryption.__keyVault (before the first document: fieldgate "
                     "keys create -c " +
                         cluster.clinic.file.string() + " --alt-name clinic; later: restore it"))
        << missing.err.str();
    cluster.key_names = {"clinic", "clinic"};
    Printed twice;
    EXPECT_EQ(cluster.install(twice), exit_configuration);
    EXPECT_TRUE(says(twice.err, "several keys named `clinic`")) << twice.err.str();
    EXPECT_EQ(cluster.changed(), "");
}

TEST(SchemaInstall, views_and_the_like_have_no_validator) {
    Cluster cluster;
    for (const char* const type : {"view", "timeseries"}) {
        cluster.have(R"({"viewOn": "x", "pipeline": []})");
        cluster.type = type;
        Printed printed;
        EXPECT_EQ(cluster.install(printed), exit_configuration);
        EXPECT_TRUE(says(printed.err, "medicalRecords.patients: it is a " + std::string(type)))
            << printed.err.str();
    }
    EXPECT_EQ(cluster.changed(), "");
}

TEST(SchemaInstall, rules_that_contradict_the_schema_are_refused) {
    Cluster cluster;
    cluster.have(R"({"validator": {"$jsonSchema": {"patternProperties": {"^s": {"bsonType": "string"}}}}})");
    Printed printed;
    EXPECT_EQ(cluster.install(printed), exit_configuration);
    EXPECT_TRUE(says(printed.err, "cannot be one")) << printed.err.str();
    EXPECT_EQ(cluster.changed(), "");
}

TEST(SchemaInstall, says_what_the_server_says) {
    Cluster cluster;
    cluster.refuse = true;
    Printed printed;
    EXPECT_EQ(cluster.install(printed), exit_unavailable);
    EXPECT_TRUE(says(printed.err, "cluster: create: not authorized on medicalRecords")) << printed.err.str();
    EXPECT_EQ(printed.out.str(), "");
}

TEST(SchemaInstall, reads_back_what_it_installed) {
    Cluster cluster;
    cluster.forget = true;
    Printed printed;
    EXPECT_EQ(cluster.install(printed), exit_unavailable);
    EXPECT_TRUE(says(printed.err, "the collection has another validator now")) << printed.err.str();
}

TEST(SchemaInstall, only_schemas_of_the_configuration) {
    Initialised clinic;
    Printed printed;
    EXPECT_EQ(install_schema(clinic.file, {.name = "medicalRecords.wards"}, printed.console()),
              exit_configuration);
    EXPECT_TRUE(says(printed.err, "medicalRecords.wards: not in the configuration's `schemas`"))
        << printed.err.str();
}

TEST(SchemaInstall, says_when_the_cluster_is_away) {
    Initialised clinic;
    clinic.set_upstream("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200");
    Printed printed;
    EXPECT_EQ(install_schema(clinic.file, {.name = "medicalRecords.patients"}, printed.console()),
              exit_unavailable);
    EXPECT_TRUE(says(printed.err, "key vault encryption.__keyVault: ")) << printed.err.str();
}

}  // namespace
}  // namespace fieldgate::commands
