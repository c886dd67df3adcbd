#include "proxy/cluster/namespaces.hpp"

#include <gtest/gtest.h>

#include <future>

#include "proxy/bson/builder.hpp"
#include "tests/unit/cluster/scripted_server.hpp"

namespace fieldgate::cluster {
namespace {

using namespace std::chrono_literals;
using testing::cursor_reply;
using testing::error_reply;
using testing::ok_reply;
using testing::ScriptedServer;
using testing::standalone;

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

TEST(NamespaceResolver, keeps_a_name_that_the_server_refuses_from_costing_others_their_answer) {
    const ScriptedServer server(standalone([](bson::DocumentView command) {
        const auto names =
            command.find("filter")->document().find("name")->document().find("$in")->document();
        for (const bson::Element& name : names)
            if (name.string() == "poison") return error_reply(73, "Invalid namespace");
        return cursor_reply("db.$cmd.listCollections", {collection_info("v", "view")});
    }));
    std::vector<analysis::NamespaceName> names{{"db", "poison"}, {"db", "v"}};
    for (int i = 0; i < 9; ++i) names.push_back({"db", "c" + std::to_string(i)});
    const NamespaceAnswers answers = resolve(server, names);
    ASSERT_EQ(answers.size(), names.size());
    for (const auto& [name, facts] : answers) {
        EXPECT_EQ(facts.has_value(), name.collection != "poison") << name.collection;
        EXPECT_EQ(facts.has_value() && facts->is_view, name.collection == "v") << name.collection;
    }
}

TEST(NamespaceResolver, asks_about_a_thousand_names_at_a_time) {
    const ScriptedServer server(
        standalone([](bson::DocumentView) { return cursor_reply("db.$cmd.listCollections", {}); }));
    std::vector<analysis::NamespaceName> names;
    for (int i = 0; i < 1000; ++i) names.push_back({"db", "c" + std::to_string(i)});
    EXPECT_EQ(resolve(server, names).size(), 1000u);
    EXPECT_EQ(server.commands().size(), 1u);
    names.push_back({"db", "one above"});
    EXPECT_EQ(resolve(server, names).size(), 1001u);
    EXPECT_EQ(server.commands().size(), 3u);
}

// One batch of descriptions; more follow if `more`.
bson::Buffer batch_of(bool more, bool first, const std::vector<bson::Buffer>& descriptions) {
    bson::Buffer buffer;
    bson::Builder builder(buffer);
    builder.open_document("cursor")
        .append_int64("id", more ? 7 : 0)
        .append_string("ns", "db.$cmd.listCollections");
    builder.open_array(first ? "firstBatch" : "nextBatch");
    std::size_t index = 0;
    for (const bson::Buffer& description : descriptions)
        builder.append_document(std::to_string(index++), description);
    builder.close().close().append_double("ok", 1).finish();
    return buffer;
}

TEST(NamespaceResolver, reads_a_thousand_descriptions_and_no_more) {
    for (const int count : {1000, 1001}) {
        int left = count;
        const ScriptedServer server(standalone([&](bson::DocumentView command) {
            const bool first = command.find("listCollections").has_value();
            std::vector<bson::Buffer> descriptions;
            for (int i = 0; i < 500 && left != 0; ++i, --left)
                descriptions.push_back(
                    collection_info(left == count ? "v" : "x" + std::to_string(left), "view"));
            return batch_of(left != 0, first, descriptions);
        }));
        const NamespaceAnswers answers = resolve(server, {{"db", "v"}});
        ASSERT_EQ(answers.size(), 1u);
        EXPECT_EQ(answers[0].second.has_value(), count == 1000) << count;
    }
}

TEST(NamespaceResolver, reads_64_mib_of_descriptions_and_no_more) {
    constexpr std::size_t most = std::size_t{64} * 1024 * 1024;
    constexpr std::size_t each = most / 8;
    // {name: "v", type: "view", filler: "..."} has 45 bytes beside the filler.
    constexpr std::size_t own = 45;
    for (const std::size_t extra : {std::size_t{0}, std::size_t{1}}) {
        int left = 8;
        const ScriptedServer server(standalone([&](bson::DocumentView command) {
            const bool first = command.find("listCollections").has_value();
            const std::size_t bytes = each + (--left == 0 ? extra : 0);
            bson::Buffer info;
            bson::Builder(info)
                .append_string("name", "v")
                .append_string("type", "view")
                .append_string("filler", std::string(bytes - own, 'x'))
                .finish();
            EXPECT_EQ(info.size(), bytes);
            return batch_of(left != 0, first, {info});
        }));
        EXPECT_EQ(resolve(server, {{"db", "v"}}).at(0).second.has_value(), extra == 0) << extra;
    }
}

TEST(NamespaceResolver, ends_with_a_server_that_goes_on_for_ever) {
    int number = 0;
    const ScriptedServer server(standalone([&](bson::DocumentView command) {
        return batch_of(true, command.find("listCollections").has_value(),
                        {collection_info("x" + std::to_string(++number), "collection")});
    }));
    EXPECT_FALSE(resolve(server, {{"db", "c"}}).at(0).second.has_value());
    EXPECT_LE(number, 1002);
}

TEST(NamespaceResolver, has_no_answer_when_batches_are_empty_and_more_are_to_come) {
    const ScriptedServer server(standalone([&](bson::DocumentView command) {
        return batch_of(true, command.find("listCollections").has_value(), {});
    }));
    EXPECT_FALSE(resolve(server, {{"db", "c"}}).at(0).second.has_value());
}

TEST(NamespaceResolver, has_no_answer_when_a_description_cannot_be_read) {
    const ScriptedServer nameless(standalone([](bson::DocumentView) {
        bson::Buffer nameless_info;
        bson::Builder(nameless_info).append_int32("x", 1).finish();
        return cursor_reply("db.$cmd.listCollections", {nameless_info});
    }));
    EXPECT_FALSE(resolve(nameless, {{"db", "c"}}).at(0).second.has_value())
        << "the nameless entry could be the view that was asked for";
    const ScriptedServer typeless(standalone([](bson::DocumentView) {
        bson::Buffer info;
        bson::Builder(info).append_string("name", "c").finish();
        return cursor_reply("db.$cmd.listCollections", {info});
    }));
    EXPECT_FALSE(resolve(typeless, {{"db", "c"}}).at(0).second.has_value());
}

TEST(NamespaceResolver, asks_nothing_about_a_database_that_cannot_exist) {
    const ScriptedServer server(standalone([](bson::DocumentView) { return cursor_reply("db.$cmd", {}); }));
    for (const std::string& database : {std::string(), std::string("d\0b", 3)}) {
        EXPECT_FALSE(resolve(server, {{database, "c"}}).at(0).second.has_value());
    }
    EXPECT_TRUE(server.commands().empty());
}

TEST(NamespaceResolver, repeats_a_warning_only_now_and_then) {
    const ScriptedServer server(
        standalone([](bson::DocumentView) { return error_reply(13, "not authorized"); }));
    std::vector<std::string> warnings;
    NamespaceResolver resolver({.uri = "mongodb://" + server.address() + "/",
                                .facts_of = &facts_by_type,
                                .selection_timeout = 2000ms,
                                .log = [&](Severity, std::string_view message, std::string_view) {
                                    warnings.emplace_back(message);
                                }});
    for (int i = 0; i < 3; ++i) {
        std::promise<NamespaceAnswers> promise;
        resolver.resolve({{"db", "c"}},
                         [&](NamespaceAnswers answers) { promise.set_value(std::move(answers)); });
        promise.get_future().wait();
    }
    resolver.stop();
    EXPECT_EQ(warnings, std::vector<std::string>{
                            "listCollections failed: not authorized (upstream.uri names no user)"});
}

TEST(NamespaceResolver, answers_at_once_when_nothing_is_asked) {
    const ScriptedServer server(standalone([](bson::DocumentView) { return ok_reply(); }));
    EXPECT_TRUE(resolve(server, {}).empty());
    EXPECT_TRUE(server.commands().empty());
}

}  // namespace
}  // namespace fieldgate::cluster
