#include "proxy/cluster/key_vault.hpp"

#include <gtest/gtest.h>

#include <future>

#include "proxy/cluster/namespaces.hpp"
#include "proxy/keys/key_document.hpp"
#include "tests/unit/cluster/scripted_server.hpp"

namespace fieldgate::cluster {
namespace {

using namespace std::chrono_literals;
using testing::cursor_reply;
using testing::error_reply;
using testing::hello_reply;
using testing::is_hello;
using testing::ok_reply;
using testing::ScriptedServer;

// Answers handshakes, and everything else as the test says.
ScriptedServer::Answer standalone(ScriptedServer::Answer answer) {
    return [answer = std::move(answer)](bson::DocumentView command) {
        return is_hello(command) ? hello_reply("standalone", "") : answer(command);
    };
}

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

// Stands in for analysis::facts_of: `type` decides, anything but a string is not understood.
boost::system::result<analysis::NamespaceFacts> facts_by_type(std::string_view, bson::DocumentView info) {
    const auto type = info.find("type");
    if (!type || !type->is_string())
        return boost::system::errc::make_error_code(boost::system::errc::bad_message);
    analysis::NamespaceFacts facts;
    facts.is_view = type->string() == "view";
    return facts;
}

NamespaceAnswers resolve(const ScriptedServer& server, const std::vector<analysis::NamespaceName>& names) {
    NamespaceResolver resolver({.uri = "mongodb://" + server.address() + "/",
                                .facts_of = &facts_by_type,
                                .selection_timeout = 2000ms,
                                .log = {}});
    std::promise<NamespaceAnswers> promise;
    resolver.resolve(names, [&](NamespaceAnswers answers) { promise.set_value(std::move(answers)); });
    return promise.get_future().get();
}

bson::Buffer collection_info(const std::string& name, const std::string& type) {
    bson::Buffer buffer;
    bson::Builder(buffer).append_string("name", name).append_string("type", type).finish();
    return buffer;
}

TEST(NamespaceResolver, asks_once_for_each_database) {
    const ScriptedServer server(standalone([](bson::DocumentView command) {
        if (command.find("$db")->string() != "db") return cursor_reply("other.$cmd.listCollections", {});
        return cursor_reply("db.$cmd.listCollections",
                            {collection_info("v", "view"), collection_info("c", "collection")});
    }));
    const NamespaceAnswers answers =
        resolve(server, {{"db", "v"}, {"db", "c"}, {"db", "absent"}, {"other", "x"}});
    ASSERT_EQ(answers.size(), 4u);
    for (const auto& [name, facts] : answers) {
        ASSERT_TRUE(facts.has_value()) << name.collection;
        EXPECT_EQ(facts->is_view, name.collection == "v") << name.collection;
    }
    ASSERT_EQ(server.commands().size(), 2u);
    EXPECT_NE(server.commands()[0].find(R"("filter" : { "name" : { "$in" : [ "absent", "c", "v" ] } })"),
              std::string::npos)
        << server.commands()[0];
}

TEST(NamespaceResolver, has_no_answer_when_the_server_refuses) {
    const ScriptedServer server(
        standalone([](bson::DocumentView) { return error_reply(13, "not authorized"); }));
    const NamespaceAnswers answers = resolve(server, {{"db", "c"}});
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_FALSE(answers[0].second.has_value());
}

TEST(NamespaceResolver, has_no_answer_when_a_description_cannot_be_read) {
    const ScriptedServer nameless(standalone(
        [](bson::DocumentView) { return cursor_reply("db.$cmd.listCollections", {document_of(1)}); }));
    EXPECT_FALSE(resolve(nameless, {{"db", "c"}}).at(0).second.has_value())
        << "the nameless entry could be the view that was asked for";
    const ScriptedServer typeless(standalone([](bson::DocumentView) {
        bson::Buffer info;
        bson::Builder(info).append_string("name", "c").finish();
        return cursor_reply("db.$cmd.listCollections", {info});
    }));
    EXPECT_FALSE(resolve(typeless, {{"db", "c"}}).at(0).second.has_value());
}

TEST(NamespaceResolver, answers_at_once_when_nothing_is_asked) {
    const ScriptedServer server(standalone([](bson::DocumentView) { return ok_reply(); }));
    EXPECT_TRUE(resolve(server, {}).empty());
    EXPECT_TRUE(server.commands().empty());
}

}  // namespace
}  // namespace fieldgate::cluster
