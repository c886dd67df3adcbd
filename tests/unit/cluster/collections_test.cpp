#include "proxy/cluster/collections.hpp"

#include <gtest/gtest.h>

#include "tests/unit/cluster/scripted_server.hpp"

namespace fieldgate::cluster {
namespace {

using testing::cursor_reply;
using testing::error_reply;
using testing::ok_reply;
using testing::ScriptedServer;
using testing::standalone;

bson::Buffer json(const char* text) {
    return *bson::from_json(text);
}

CollectionOptions options_of(const ScriptedServer& server) {
    return {"mongodb://" + server.address(), std::chrono::milliseconds(2000)};
}

TEST(CollectionClient, describes_one_collection) {
    const ScriptedServer server(standalone([](bson::DocumentView) {
        return cursor_reply("db.$cmd.listCollections",
                            {json(R"({"name": "other"})"), json(R"({"name": "c", "a": 1})")});
    }));
    CollectionClient client(options_of(server));
    const auto description = client.describe("db", "c");
    EXPECT_EQ(description.error, "");
    ASSERT_TRUE(description.entry);
    EXPECT_EQ(bson::to_json(*description.entry), R"({ "name" : "c", "a" : 1 })");
    ASSERT_FALSE(server.commands().empty());
    EXPECT_NE(server.commands()[0].find(R"("filter" : { "name" : "c" })"), std::string::npos);
    EXPECT_FALSE(client.describe("db", "absent").entry);
}

TEST(CollectionClient, a_description_without_a_name_is_none) {
    const ScriptedServer server(
        standalone([](bson::DocumentView) { return cursor_reply("db.$cmd.listCollections", {json("{}")}); }));
    EXPECT_EQ(CollectionClient(options_of(server)).describe("db", "c").error,
              "listCollections returned no description of a collection");
}

TEST(CollectionClient, reads_a_thousand_descriptions_and_no_more) {
    for (const int count : {1000, 1001}) {
        std::vector<bson::Buffer> descriptions(static_cast<std::size_t>(count), json(R"({"name": "c"})"));
        const ScriptedServer server(standalone(
            [&](bson::DocumentView) { return cursor_reply("db.$cmd.listCollections", descriptions); }));
        EXPECT_EQ(CollectionClient(options_of(server)).describe("db", "c").entry.has_value(), count == 1000);
    }
}

TEST(CollectionClient, says_why_a_question_or_a_command_failed) {
    const ScriptedServer server(
        standalone([](bson::DocumentView) { return error_reply(13, "not authorized"); }));
    CollectionClient client(options_of(server));
    EXPECT_EQ(client.describe("db", "c").error, "not authorized");
    EXPECT_EQ(client.run("db", json(R"({"create": "c"})")), "not authorized");
}

TEST(CollectionClient, waits_for_the_majority) {
    const ScriptedServer server(standalone([](bson::DocumentView) { return ok_reply(); }));
    EXPECT_EQ(CollectionClient(options_of(server)).run("db", json(R"({"collMod": "c"})")), "");
    ASSERT_EQ(server.commands().size(), 1u);
    EXPECT_NE(server.commands()[0].find(R"("writeConcern" : { "w" : "majority" })"), std::string::npos);
}

TEST(CollectionClient, a_write_concern_that_was_not_met_is_an_error) {
    const ScriptedServer server(standalone([](bson::DocumentView) {
        return json(
            R"({"ok": 1, "writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}})");
    }));
    EXPECT_NE(CollectionClient(options_of(server)).run("db", json(R"({"collMod": "c"})")).find("timed out"),
              std::string::npos);
}

}  // namespace
}  // namespace fieldgate::cluster
