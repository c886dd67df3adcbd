#include "proxy/cluster/key_vault.hpp"

#include <gtest/gtest.h>

#include <future>

#include "proxy/keys/key_document.hpp"
#include "tests/unit/cluster/scripted_server.hpp"

namespace fieldgate::cluster {
namespace {

using namespace std::chrono_literals;
using testing::cursor_reply;
using testing::error_reply;
using testing::ok_reply;
using testing::ScriptedServer;
using testing::standalone;

KeyVaultOptions options_of(const ScriptedServer& server) {
    return {"mongodb://" + server.address() + "/", "encryption", "__keyVault", 2000ms};
}

bson::Buffer document_of(std::int32_t value) {
    bson::Buffer buffer;
    bson::Builder(buffer).append_int32("x", value).finish();
    return buffer;
}

keys::KeyRequest request_of(std::vector<crypto::KeyId> ids, std::vector<std::string> names) {
    keys::KeyRequest request;
    request.ids = std::move(ids);
    request.alt_names = std::move(names);
    return request;
}

TEST(KeyVaultClient, asks_with_the_drivers_filter_and_majority_read_concern) {
    const ScriptedServer server(standalone([](bson::DocumentView) {
        return cursor_reply("encryption.__keyVault", {document_of(1), document_of(2)});
    }));
    KeyVaultClient client(options_of(server));
    const auto found = client.find(request_of({crypto::KeyId{}}, {"n"}));
    EXPECT_EQ(found.error, "");
    EXPECT_EQ(found.documents, (std::vector{document_of(1), document_of(2)}));
    ASSERT_EQ(server.commands().size(), 1u);
    const std::string command = server.commands()[0];
    EXPECT_NE(
        command.find(R"({ "find" : "__keyVault", "filter" : { "$or" : [ { "_id" : { "$in" : [ { "$binary" : )"
                     R"({ "base64" : "AAAAAAAAAAAAAAAAAAAAAA==", "subType" : "04" } } ] } }, )"
                     R"({ "keyAltNames" : { "$in" : [ "n" ] } } ] })"),
        std::string::npos)
        << command;
    EXPECT_NE(command.find(R"("readConcern" : { "level" : "majority" })"), std::string::npos) << command;
    EXPECT_NE(command.find(R"("$db" : "encryption")"), std::string::npos) << command;
}

TEST(KeyVaultClient, keeps_empty_lists_in_the_filter) {
    const ScriptedServer server(
        standalone([](bson::DocumentView) { return cursor_reply("encryption.__keyVault", {}); }));
    KeyVaultClient client(options_of(server));
    EXPECT_EQ(client.find({}).error, "");
    EXPECT_NE(server.commands().at(0).find(
                  R"({ "$or" : [ { "_id" : { "$in" : [  ] } }, { "keyAltNames" : { "$in" : [  ] } } ] })"),
              std::string::npos)
        << server.commands()[0];
}

TEST(KeyVaultClient, reports_what_the_server_refuses) {
    const ScriptedServer server(
        standalone([](bson::DocumentView) { return error_reply(13, "not authorized on encryption"); }));
    KeyVaultClient client(options_of(server));
    EXPECT_NE(client.find({}).error.find("not authorized on encryption"), std::string::npos);
    const auto error = client.ensure_name_index();
    ASSERT_TRUE(error.has_value());
    EXPECT_EQ(error->kind, KeyVaultClient::Failure::refused);
}

TEST(KeyVaultClient, reports_a_server_that_does_not_answer) {
    KeyVaultClient client({"mongodb://127.0.0.1:1/", "encryption", "__keyVault", 200ms});
    EXPECT_NE(client.find({}).error.find("No suitable servers found"), std::string::npos);
    const auto error = client.insert(document_of(1));
    ASSERT_TRUE(error.has_value());
    EXPECT_EQ(error->kind, KeyVaultClient::Failure::unavailable);
}

TEST(KeyVaultClient, takes_no_more_documents_than_a_query_may_bring) {
    for (const std::size_t count : {std::size_t{10000}, std::size_t{10001}}) {
        const ScriptedServer server(standalone([count](bson::DocumentView) {
            return cursor_reply("encryption.__keyVault", std::vector<bson::Buffer>(count, document_of(1)));
        }));
        KeyVaultClient client(options_of(server));
        const auto found = client.find({});
        EXPECT_EQ(found.error.empty(), count == 10000) << found.error;
        EXPECT_EQ(found.documents.size(), count == 10000 ? count : 0u);
        EXPECT_EQ(client.find_all().documents.size(), count) << "a list for people has no such limit";
    }
}

TEST(KeyVaultClient, writes_with_majority_write_concern) {
    const ScriptedServer server(standalone([](bson::DocumentView) { return ok_reply(); }));
    KeyVaultClient client(options_of(server));
    EXPECT_FALSE(client.ensure_name_index().has_value());
    EXPECT_FALSE(client.insert(document_of(7)).has_value());
    ASSERT_EQ(server.commands().size(), 2u);
    EXPECT_NE(
        server.commands()[0].find(
            R"("createIndexes" : "__keyVault", "indexes" : [ { "key" : { "keyAltNames" : 1 }, "name" : )"
            R"("keyAltNames_1", "unique" : true, "partialFilterExpression" : { "keyAltNames" : { "$exists" : )"
            R"(true } } } ])"),
        std::string::npos)
        << server.commands()[0];
    for (const std::string& command : server.commands()) {
        EXPECT_NE(command.find(R"("writeConcern" : { "w" : "majority" })"), std::string::npos) << command;
    }
    EXPECT_NE(server.commands()[1].find(R"("x" : 7)"), std::string::npos) << server.commands()[1];
}

TEST(KeyVaultClient, tells_a_duplicate_from_other_refusals) {
    const ScriptedServer server(standalone([](bson::DocumentView) {
        bson::Buffer buffer;
        bson::Builder(buffer)
            .append_int32("n", 0)
            .open_array("writeErrors")
            .open_document("0")
            .append_int32("index", 0)
            .append_int32("code", 11000)
            .append_string("errmsg", "E11000 duplicate key error")
            .close()
            .close()
            .append_double("ok", 1)
            .finish();
        return buffer;
    }));
    KeyVaultClient client(options_of(server));
    const auto error = client.insert(document_of(1));
    ASSERT_TRUE(error.has_value());
    EXPECT_EQ(error->kind, KeyVaultClient::Failure::duplicate);
}

TEST(KeyVaultThread, answers_on_its_own_thread) {
    const ScriptedServer server(standalone(
        [](bson::DocumentView) { return cursor_reply("encryption.__keyVault", {document_of(1)}); }));
    KeyVaultThread vault(options_of(server));
    std::promise<std::pair<std::size_t, std::thread::id>> promise;
    vault.find({}, [&](keys::KeyVault::Found found) {
        promise.set_value({found.documents.size(), std::this_thread::get_id()});
    });
    const auto [count, thread] = promise.get_future().get();
    EXPECT_EQ(count, 1u);
    EXPECT_NE(thread, std::this_thread::get_id());
}

}  // namespace
}  // namespace fieldgate::cluster
