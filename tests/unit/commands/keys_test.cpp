#include <gtest/gtest.h>

#include <mutex>

#include "crypto/key_wrap.hpp"
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

// A key vault that keeps what is inserted and finds all of it, whatever is asked.
struct Vault {
    std::mutex mutex;
    std::vector<bson::Buffer> documents;
    bool refuse_index = false;
    bool duplicate_on_insert = false;
    bool hide_on_find = false;

    bson::Buffer answer(bson::DocumentView command) {
        const std::lock_guard lock(mutex);
        if (is_hello(command)) return hello_reply("standalone", "");
        if (command.find("find")) {
            return cursor_reply("encryption.__keyVault",
                                hide_on_find ? std::vector<bson::Buffer>() : documents);
        }
        if (command.find("createIndexes") && refuse_index) return error_reply(13, "not authorized to index");
        if (command.find("insert") && duplicate_on_insert)
            return error_reply(11000, "E11000 duplicate key error");
        return ok_reply();
    }
    ScriptedServer server{[this](bson::DocumentView command) { return answer(command); }};
    Initialised clinic;
    Vault() { clinic.set_upstream("mongodb://" + server.address()); }

    void add(std::uint8_t fill, std::vector<std::string> names) {
        keys::KeyDocument key;
        key.id.bytes.fill(fill);
        key.alt_names = std::move(names);
        key.wrapped.assign(160, 1);
        key.creation_unix_ms = 1700000000000 + fill;
        key.provider = "local";
        documents.push_back(keys::build_key_document(key));
    }
    std::string inserted() const {
        for (const std::string& command : server.commands()) {
            if (command.find("\"insert\"") != std::string::npos) return command;
        }
        return "";
    }
};

bool says(const std::ostringstream& stream, const std::string& text) {
    return stream.str().find(text) != std::string::npos;
}

TEST(KeysCreate, stores_a_wrapped_key_and_prints_its_uuid) {
    Vault vault;
    Printed printed;
    ASSERT_EQ(create_key(vault.clinic.file, {"local", {"clinic", "second"}}, printed.console()), exit_ok)
        << printed.err.str();
    const std::string uuid = printed.out.str();
    EXPECT_EQ(uuid.size(), 37u);
    EXPECT_EQ(uuid[14], '4') << "a random UUID";
    const std::string command = vault.inserted();
    EXPECT_NE(command.find(R"("keyAltNames" : [ "clinic", "second" ])"), std::string::npos) << command;
    EXPECT_NE(command.find(R"("masterKey" : { "provider" : "local" })"), std::string::npos) << command;
    EXPECT_NE(command.find(R"("status" : 0)"), std::string::npos) << command;
}

TEST(KeysCreate, refuses_a_name_that_exists) {
    Vault vault;
    vault.add(7, {"clinic"});
    Printed printed;
    EXPECT_EQ(create_key(vault.clinic.file, {"local", {"new", "clinic"}}, printed.console()),
              exit_configuration);
    EXPECT_TRUE(says(printed.err, "a key named `clinic` exists already in encryption.__keyVault: 07070707-"))
        << printed.err.str();
    EXPECT_EQ(vault.inserted(), "");
    EXPECT_EQ(printed.out.str(), "");
}

TEST(KeysCreate, refuses_a_name_that_appears_at_the_same_moment) {
    Vault vault;
    vault.duplicate_on_insert = true;
    Printed printed;
    EXPECT_EQ(create_key(vault.clinic.file, {"local", {"clinic"}}, printed.console()), exit_configuration);
    EXPECT_TRUE(says(printed.err, "exists already")) << printed.err.str();
    EXPECT_EQ(printed.out.str(), "");
}

TEST(KeysCreate, warns_when_names_cannot_be_kept_unique) {
    Vault vault;
    vault.refuse_index = true;
    Printed printed;
    EXPECT_EQ(create_key(vault.clinic.file, {"local", {"clinic"}}, printed.console()), exit_ok);
    EXPECT_TRUE(says(printed.err, "warning: no unique index over keyAltNames")) << printed.err.str();
}

TEST(KeysCreate, refuses_names_that_are_none) {
    Vault vault;
    struct Case {
        std::vector<std::string> names;
        const char* expected;
    };
    for (const Case& c :
         {Case{{""}, "cannot be empty"}, Case{{"a\x80"}, "must be UTF-8"}, Case{{"a", "a"}, "twice"}}) {
        Printed printed;
        EXPECT_EQ(create_key(vault.clinic.file, {"local", c.names}, printed.console()), exit_usage);
        EXPECT_TRUE(says(printed.err, c.expected)) << printed.err.str();
    }
    EXPECT_TRUE(vault.server.commands().empty());
}

TEST(KeysCreate, knows_the_configured_providers_only) {
    Vault vault;
    Printed printed;
    EXPECT_EQ(create_key(vault.clinic.file, {"aws", {}}, printed.console()), exit_configuration);
    EXPECT_TRUE(says(printed.err, "KMS provider `aws` is not configured"));
}

TEST(KeysCreate, says_when_the_key_vault_is_away) {
    Initialised clinic;
    clinic.set_upstream("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200");
    Printed printed;
    EXPECT_EQ(create_key(clinic.file, {}, printed.console()), exit_unavailable);
    EXPECT_TRUE(says(printed.err, "key vault encryption.__keyVault: No suitable servers"))
        << printed.err.str();
    Printed list;
    EXPECT_EQ(list_keys(clinic.file, false, list.console()), exit_unavailable);
}

TEST(KeysList, shows_a_table_with_the_schemas_that_use_each_key) {
    Vault vault;
    vault.add(9, {"spare", "old"});
    vault.add(7, {"clinic"});
    Printed printed;
    EXPECT_EQ(list_keys(vault.clinic.file, false, printed.console()), exit_ok);
    EXPECT_EQ(printed.out.str(),
              "ID                                    NAMES       PROVIDER  CREATED               USED BY\n"
              "07070707-0707-0707-0707-070707070707  clinic      local     2023-11-14T22:13:20Z  "
              "medicalRecords.patients\n"
              "09090909-0909-0909-0909-090909090909  spare, old  local     2023-11-14T22:13:20Z\n");
}

TEST(KeysList, prints_json) {
    Vault vault;
    vault.add(7, {"clinic"});
    Printed printed;
    EXPECT_EQ(list_keys(vault.clinic.file, true, printed.console()), exit_ok);
    EXPECT_EQ(
        printed.out.str(),
        R"({ "keys" : [ { "id" : "07070707-0707-0707-0707-070707070707", "altNames" : [ "clinic" ], )"
        R"("provider" : "local", "created" : "2023-11-14T22:13:20Z", "usedBy" : [ "medicalRecords.patients" ] } ] })"
        "\n");
}

TEST(KeysList, shows_documents_that_cannot_be_used_as_such) {
    Vault vault;
    bson::Buffer broken;
    bson::Builder(broken).append_string("_id", "x").finish();
    vault.documents.push_back(broken);
    Printed printed;
    EXPECT_EQ(list_keys(vault.clinic.file, false, printed.console()), exit_ok);
    EXPECT_TRUE(says(printed.out, "unusable: _id must be a UUID")) << printed.out.str();
}

TEST(KeysList, lets_no_control_character_reach_the_terminal) {
    Vault vault;
    vault.add(7, {"a\x1b[2Jb"});
    Printed printed;
    EXPECT_EQ(list_keys(vault.clinic.file, false, printed.console()), exit_ok);
    EXPECT_TRUE(says(printed.out, "a?[2Jb")) << printed.out.str();
}

TEST(KeysList, says_when_there_is_none) {
    Vault vault;
    Printed printed;
    EXPECT_EQ(list_keys(vault.clinic.file, false, printed.console()), exit_ok);
    EXPECT_EQ(printed.out.str(), "");
    EXPECT_TRUE(says(printed.err, "no keys in encryption.__keyVault"));
}

}  // namespace
}  // namespace fieldgate::commands
