#include "proxy/cluster/key_vault.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <future>
#include <thread>

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

// As behind a firewall that forgot the connection: what is sent on it vanishes.
TEST(KeyVaultClient, gives_up_a_connection_that_swallows_what_it_is_sent) {
    std::atomic<bool> is_mute{false};
    const ScriptedServer server(standalone([&](bson::DocumentView) {
        for (int i = 0; is_mute && i < 400; ++i) std::this_thread::sleep_for(10ms);
        return cursor_reply("encryption.__keyVault", {});
    }));
    KeyVaultOptions options = options_of(server);
    EXPECT_EQ(options.socket_timeout, 10s) << "libmongoc's own is five minutes";
    options.socket_timeout = 100ms;
    KeyVaultClient client(options);
    ASSERT_EQ(client.find({}).error, "");
    is_mute = true;
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_NE(client.find({}).error, "");
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 3s);
    is_mute = false;
    EXPECT_EQ(client.find({}).error, "") << "on a new connection";
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
        EXPECT_EQ(client.find_all().documents.size(), count) << "a list for people has another limit";
    }
}

TEST(KeyVaultClient, bounds_what_one_query_may_bring) {
    const ScriptedServer server(standalone([](bson::DocumentView) {
        return cursor_reply("encryption.__keyVault", {document_of(1), document_of(2), document_of(3)});
    }));
    const std::size_t bytes = 3 * document_of(1).size();
    struct Case {
        std::size_t documents;
        std::size_t bytes;
        bool fits;
    };
    for (const Case& c : {Case{3, bytes, true}, Case{2, bytes, false}, Case{3, bytes - 1, false}}) {
        KeyVaultOptions options = options_of(server);
        options.documents_max = options.list_documents_max = c.documents;
        options.documents_bytes_max = options.list_bytes_max = c.bytes;
        KeyVaultClient client(options);
        EXPECT_EQ(client.find({}).error.empty(), c.fits);
        EXPECT_EQ(client.find_all().error,
                  c.fits ? "" : "it returned more documents than one query may bring");
    }
}

bson::Buffer batch_reply(bson::DocumentView command, std::int64_t cursor_id, bool with_document) {
    bson::Buffer buffer;
    bson::Builder builder(buffer);
    builder.open_document("cursor")
        .append_int64("id", cursor_id)
        .append_string("ns", "encryption.__keyVault");
    builder.open_array(command.find("getMore") ? "nextBatch" : "firstBatch");
    if (with_document) builder.append_document("0", document_of(1));
    builder.close().close().append_double("ok", 1).finish();
    return buffer;
}

TEST(KeyVaultClient, an_empty_batch_is_not_the_end) {
    int round = 0;
    const ScriptedServer server(standalone([&](bson::DocumentView command) {
        ++round;
        return batch_reply(command, round < 6 ? 7 : 0, round == 6);
    }));
    KeyVaultClient client(options_of(server));
    const auto found = client.find_all();
    EXPECT_EQ(found.error, "");
    EXPECT_EQ(found.documents.size(), 1u);
}

// A cursor that never ends: libmongoc would follow it for ever.
TEST(KeyVaultClient, a_cursor_without_end_is_an_error) {
    std::atomic<int> rounds{0};
    const ScriptedServer server(standalone([&](bson::DocumentView command) {
        ++rounds;
        return batch_reply(command, 7, false);
    }));
    KeyVaultOptions options = options_of(server);
    options.selection_timeout = 100ms;
    options.query_timeout = 100ms;
    options.list_timeout = 200ms;
    KeyVaultClient client(options);
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(client.find({}).error, "its answer did not end in time");
    const int first = rounds;
    EXPECT_GT(first, 1) << "it was a cursor";
    EXPECT_EQ(client.find_all().error, "its answer did not end in time");
    EXPECT_GT(rounds, first) << "asked again on a connection of its own";
    EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
}

TEST(KeyVaultClient, asks_for_some_documents_of_a_provider) {
    const ScriptedServer server(standalone(
        [](bson::DocumentView) { return cursor_reply("encryption.__keyVault", {document_of(1)}); }));
    KeyVaultClient client(options_of(server));
    EXPECT_EQ(client.find_of_provider("aws:eu", 100).documents.size(), 1u);
    const std::string command = server.commands().at(0);
    EXPECT_NE(command.find(R"("filter" : { "masterKey.provider" : "aws:eu" })"), std::string::npos)
        << command;
    EXPECT_NE(command.find(R"("limit" : 100)"), std::string::npos) << command;
    EXPECT_NE(command.find(R"("readConcern" : { "level" : "majority" })"), std::string::npos) << command;
}

// What a write sent, and what came of it.
struct WriteCase {
    KeyVaultClient::Written written;
    std::string command;
};
WriteCase write_with(const std::function<KeyVaultClient::Written(KeyVaultClient&)>& write,
                     std::int32_t matched = 1, std::int32_t modified = 1) {
    const ScriptedServer server(standalone([&](bson::DocumentView) {
        bson::Buffer buffer;
        bson::Builder(buffer)
            .append_int32("n", matched)
            .append_int32("nModified", modified)
            .append_double("ok", 1)
            .finish();
        return buffer;
    }));
    KeyVaultClient client(options_of(server));
    WriteCase result;
    result.written = write(client);
    result.command = server.commands().at(0);
    EXPECT_NE(result.command.find(R"("writeConcern" : { "w" : "majority" })"), std::string::npos)
        << result.command;
    return result;
}

constexpr const char* zero_id =
    R"("_id" : { "$binary" : { "base64" : "AAAAAAAAAAAAAAAAAAAAAA==", "subType" : "04" } })";

TEST(KeyVaultClient, adds_a_name) {
    const auto add = [](KeyVaultClient& client) { return client.add_alt_name({}, "n"); };
    const WriteCase done = write_with(add);
    EXPECT_NE(done.command.find(std::string(R"("q" : { )") + zero_id +
                                R"( }, "u" : { "$addToSet" : { "keyAltNames" : "n" } })"),
              std::string::npos)
        << done.command;
    EXPECT_TRUE(done.written.matched);
    EXPECT_TRUE(done.written.changed);
    EXPECT_FALSE(write_with(add, 1, 0).written.changed);
    EXPECT_FALSE(write_with(add, 0, 0).written.matched);
}

TEST(KeyVaultClient, removes_a_name_and_the_field_with_its_last) {
    const auto remove = [](KeyVaultClient& client) { return client.remove_alt_name({}, "$n"); };
    const WriteCase done = write_with(remove);
    EXPECT_NE(
        done.command.find(
            std::string(R"("q" : { )") + zero_id +
            R"(, "keyAltNames" : "$n" }, "u" : [ { "$set" : { "keyAltNames" : { "$cond" : [ )"
            R"({ "$eq" : [ "$keyAltNames", [ { "$literal" : "$n" } ] ] }, "$$REMOVE", )"
            R"({ "$filter" : { "input" : "$keyAltNames", "cond" : { "$ne" : [ "$$this", { "$literal" : "$n" } ] } } } ] } } } ])"),
        std::string::npos)
        << done.command;
    EXPECT_TRUE(done.written.matched);
    EXPECT_FALSE(write_with(remove, 0, 0).written.matched);
}

TEST(KeyVaultClient, rewraps_only_what_was_read) {
    keys::KeyDocument read;
    read.wrapped = {1, 2, 3};
    read.provider = "local";
    keys::KeyDocument rewrapped = read;
    rewrapped.wrapped = {4, 5, 6};
    rewrapped.provider = "aws:eu";
    rewrapped.master_key = crypto::kms::AwsMasterKey{"r", "k", ""};
    const auto rewrap = [&](KeyVaultClient& client) {
        return client.rewrap(std::vector{KeyVaultClient::Rewrapped{read, rewrapped}}).at(0);
    };
    const WriteCase done = write_with(rewrap);
    EXPECT_NE(
        done.command.find(
            std::string(R"("q" : { )") + zero_id +
            R"(, "keyMaterial" : { "$binary" : { "base64" : "AQID", "subType" : "00" } } }, "u" : { "$set" : )"
            R"({ "keyMaterial" : { "$binary" : { "base64" : "BAUG", "subType" : "00" } }, "masterKey" : )"
            R"({ "provider" : "aws:eu", "region" : "r", "key" : "k" } }, "$currentDate" : { "updateDate" : true } })"),
        std::string::npos)
        << done.command;
    EXPECT_TRUE(done.written.matched);
    EXPECT_FALSE(write_with(rewrap, 0, 0).written.matched) << "somebody else was there";
}

// Three keys, of which the server says what `update` is; a look afterwards finds `there`.
struct Rewraps {
    std::vector<KeyVaultClient::Rewrapped> keys;
    std::vector<KeyVaultClient::Written> written;
    std::vector<std::string> commands;

    explicit Rewraps(const std::string& update, const std::optional<std::vector<std::uint8_t>>& there = {}) {
        std::vector<bson::Buffer> found;
        for (std::uint8_t i = 0; i < 3; ++i) {
            keys::KeyDocument key;
            key.id.bytes.fill(i);
            key.wrapped = {i, 0};
            key.provider = "local";
            keys.push_back({key, key});
            keys[i].written.wrapped = {i, 1};
            if (there) {
                key.wrapped = {i, there->at(i)};
                found.push_back(keys::build_key_document(key));
            }
        }
        const ScriptedServer server(standalone([&](bson::DocumentView command) {
            if (command.find("update")) return bson::from_json(update).value();
            return there ? cursor_reply("encryption.__keyVault", found) : error_reply(13, "you may not look");
        }));
        KeyVaultClient client(options_of(server));
        written = client.rewrap(keys);
        commands = server.commands();
    }
    std::vector<bool> matched() const {
        std::vector<bool> matched;
        for (const auto& one : written) matched.push_back(one.matched && !one.error);
        return matched;
    }
};
using Flags = std::vector<bool>;

TEST(KeyVaultClient, rewraps_several_keys_with_one_command) {
    const Rewraps done(R"({"n": 3, "nModified": 3, "ok": 1})");
    EXPECT_EQ(done.matched(), (Flags{true, true, true}));
    ASSERT_EQ(done.commands.size(), 1u);
    EXPECT_NE(done.commands[0].find(R"("ordered" : false)"), std::string::npos) << done.commands[0];
    EXPECT_NE(done.commands[0].find(R"("writeConcern" : { "w" : "majority" })"), std::string::npos);
}

TEST(KeyVaultClient, looks_which_keys_were_not_rewrapped) {
    const Rewraps some(R"({"n": 2, "nModified": 2, "ok": 1})", {{1, 7, 1}});
    EXPECT_EQ(some.matched(), (Flags{true, false, true}));
    EXPECT_FALSE(some.written[1].error) << "it was changed by somebody else";
    ASSERT_EQ(some.commands.size(), 2u);
    EXPECT_NE(some.commands[1].find(R"("readConcern" : { "level" : "majority" })"), std::string::npos);

    const Rewraps blind(R"({"n": 2, "nModified": 2, "ok": 1})");
    EXPECT_EQ(blind.matched(), (Flags{false, false, false}));
    for (const auto& one : blind.written) {
        ASSERT_TRUE(one.error);
        EXPECT_NE(one.error->text.find("you may not look"), std::string::npos) << one.error->text;
    }
}

TEST(KeyVaultClient, tells_the_error_of_each_key) {
    const Rewraps one(
        R"({"n": 2, "nModified": 2, "ok": 1, "writeErrors": [{"index": 1, "code": 121, "errmsg": "not valid"}]})");
    EXPECT_EQ(one.matched(), (Flags{true, false, true}));
    ASSERT_TRUE(one.written[1].error);
    EXPECT_EQ(one.written[1].error->text, "not valid");
    EXPECT_EQ(one.written[1].error->kind, KeyVaultClient::Failure::refused);
    EXPECT_EQ(one.commands.size(), 1u);
    // A second error for the same, and one for none of them.
    const Rewraps odd(
        R"({"n": 2, "ok": 1, "writeErrors": [{"index": 1, "code": 121, "errmsg": "not valid"},
            {"index": 1, "code": 121, "errmsg": "again"}, {"index": 9, "code": 121, "errmsg": "whose?"}]})");
    EXPECT_EQ(odd.matched(), (Flags{true, false, true}));
    EXPECT_EQ(odd.written[1].error->text, "not valid");

    const Rewraps none(R"({"ok": 0, "code": 13, "errmsg": "not authorized"})");
    EXPECT_EQ(none.matched(), (Flags{false, false, false}));
    for (const auto& each : none.written) {
        ASSERT_TRUE(each.error);
        EXPECT_EQ(each.error->text, "not authorized");
    }
    // Written, but not by a majority: it may be lost again.
    const Rewraps lost(
        R"({"n": 3, "nModified": 3, "ok": 1, "writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}})");
    EXPECT_EQ(lost.matched(), (Flags{false, false, false}));
    ASSERT_TRUE(lost.written[0].error);
    EXPECT_NE(lost.written[0].error->text.find("waiting for replication"), std::string::npos);
}

TEST(KeyVaultClient, removes_a_key) {
    const auto remove = [](KeyVaultClient& client) { return client.remove({}); };
    const WriteCase done = write_with(remove);
    EXPECT_NE(done.command.find(std::string(R"("q" : { )") + zero_id + R"( }, "limit" : 1)"),
              std::string::npos)
        << done.command;
    EXPECT_TRUE(done.written.matched);
    EXPECT_FALSE(write_with(remove, 0, 0).written.matched);
}

TEST(KeyVaultClient, writes_that_are_refused_say_why) {
    const ScriptedServer server(
        standalone([](bson::DocumentView) { return error_reply(13, "not authorized on encryption"); }));
    KeyVaultClient client(options_of(server));
    for (const auto& written :
         {client.add_alt_name({}, "n"), client.remove_alt_name({}, "n"),
          client.rewrap(std::vector<KeyVaultClient::Rewrapped>(2)).at(1), client.remove({})}) {
        ASSERT_TRUE(written.error.has_value());
        EXPECT_EQ(written.error->kind, KeyVaultClient::Failure::refused);
        EXPECT_NE(written.error->text.find("not authorized"), std::string::npos);
        EXPECT_FALSE(written.matched);
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

TEST(KeyVaultClient, a_name_of_another_key_is_a_duplicate) {
    const ScriptedServer server(standalone([](bson::DocumentView) {
        return bson::from_json(
                   R"({"n": 0, "writeErrors": [{"index": 0, "code": 11000, "errmsg": "E11000"}], "ok": 1})")
            .value();
    }));
    KeyVaultClient client(options_of(server));
    const auto written = client.add_alt_name({}, "n");
    ASSERT_TRUE(written.error.has_value());
    EXPECT_EQ(written.error->kind, KeyVaultClient::Failure::duplicate);
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
