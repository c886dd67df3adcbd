#include "proxy/cluster/reply_check.hpp"

#include <gtest/gtest.h>

#include "proxy/cluster/key_vault.hpp"
#include "proxy/cluster/namespaces.hpp"
#include "proxy/cluster/watcher.hpp"
#include "tests/unit/cluster/malformed_replies.hpp"
#include "tests/unit/cluster/scripted_server.hpp"

#include <array>
#include <atomic>
#include <future>
#include <thread>
#include <vector>

namespace fieldgate::cluster {
namespace {

using namespace std::chrono_literals;
using testing::cursor_reply;
using testing::hello_reply;
using testing::malformed_replies;
using testing::MalformedReply;
using testing::ScriptedServer;
using Clock = std::chrono::steady_clock;

wire::Header request_of(wire::Opcode opcode) {
    wire::Header request;
    request.request_id = 7;
    request.opcode = opcode;
    return request;
}

wire::Buffer answer_to(const wire::Header& request, const bson::Buffer& document) {
    return ScriptedServer::sound([&](bson::DocumentView) { return document; })(request, {});
}

TEST(ReplyCheck, takes_what_servers_answer) {
    for (const wire::Opcode opcode : {wire::Opcode::msg, wire::Opcode::query}) {
        const wire::Header request = request_of(opcode);
        for (const bson::Buffer& document :
             {hello_reply("primary", "db1:27017"), testing::ok_reply(), testing::error_reply(13, "no"),
              testing::nested_document(reply_nesting_levels_max)}) {
            EXPECT_FALSE(check_reply(answer_to(request, document), opcode));
        }
    }
    // A monitor's server pushes more answers.
    EXPECT_FALSE(check_reply(wire::make_op_msg(1, 7, testing::ok_reply(), wire::flag_more_to_come),
                             wire::Opcode::msg));
}

TEST(ReplyCheck, refuses_what_is_malformed) {
    for (const wire::Opcode opcode : {wire::Opcode::msg, wire::Opcode::query}) {
        const wire::Header request = request_of(opcode);
        const wire::Buffer sound = answer_to(request, testing::ok_reply());
        for (const MalformedReply& reply : malformed_replies()) {
            EXPECT_TRUE(check_reply(reply.of(request, sound), opcode)) << reply.name;
        }
    }
}

TEST(ReplyCheck, refuses_an_answer_to_nothing) {
    const wire::Buffer sound = answer_to(request_of(wire::Opcode::msg), testing::ok_reply());
    EXPECT_TRUE(check_reply(sound, wire::Opcode{}));
}

// A server that answers soundly, but for what `hostile` says: only while it is `armed`.
struct HostileServer {
    using Chooses = bool (*)(const wire::Header& request, bson::DocumentView command);

    HostileServer(const MalformedReply& reply, Chooses chooses) : reply_(reply), chooses_(chooses) {}

    wire::Buffer answer(const wire::Header& request, bson::DocumentView command) {
        const wire::Buffer sound = ScriptedServer::sound([&](bson::DocumentView) {
            return testing::is_hello(command) ? monitored_hello() : cursor_reply("db.c", {});
        })(request, command);
        if (!armed || !chooses_(request, command)) return sound;
        ++malformed_count;
        return reply_.of(request, sound);
    }

    // With a topologyVersion, which makes monitors ask the other way (OP_MSG, awaited).
    static bson::Buffer monitored_hello() {
        bson::Buffer buffer;
        bson::Builder reply(buffer);
        const bson::Buffer plain = hello_reply("standalone", "");
        constexpr std::array<std::uint8_t, 12> process_id{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
        reply.open_document("topologyVersion")
            .append_object_id("processId", process_id)
            .append_int64("counter", 1)
            .close();
        for (const bson::Element& element : *bson::DocumentView::check(plain, {}))
            reply.append_element(element);
        reply.finish();
        return buffer;
    }

    std::atomic<bool> armed{true};
    std::atomic<int> malformed_count{0};
    MalformedReply reply_;
    Chooses chooses_;
    ScriptedServer server{
        ScriptedServer::Bytes([this](const wire::Header& request, bson::DocumentView command) {
            return answer(request, command);
        })};
};

// One thread for each: most of the time is libmongoc's, waiting before it tries again.
template <typename Test>
void with_every_malformed_reply(const Test& test) {
    std::vector<std::thread> threads;
    for (const MalformedReply& reply : malformed_replies()) {
        threads.emplace_back([&] {
            SCOPED_TRACE(reply.name);
            test(reply);
        });
    }
    for (std::thread& thread : threads) thread.join();
}

bool is_no_hello(const wire::Header&, bson::DocumentView command) {
    return !testing::is_hello(command);
}

bool is_any_hello(const wire::Header&, bson::DocumentView command) {
    return testing::is_hello(command);
}

bool is_awaited_hello(const wire::Header& request, bson::DocumentView command) {
    return testing::is_hello(command) && request.opcode == wire::Opcode::msg;
}

std::string options_for_tests() {
    return "/?socketTimeoutMS=2000&connectTimeoutMS=2000";
}

TEST(CheckedStream, keeps_malformed_answers_from_the_key_vaults_client) {
    with_every_malformed_reply([](const MalformedReply& reply) {
        HostileServer hostile(reply, is_no_hello);
        KeyVaultClient client({"mongodb://" + hostile.server.address() + options_for_tests(), "encryption",
                               "__keyVault", 2000ms});
        EXPECT_NE(client.find({}).error, "");
        EXPECT_GT(hostile.malformed_count, 0);
        hostile.armed = false;
        EXPECT_EQ(client.find({}).error, "") << "the next connection is none the worse for it";
    });
}

TEST(CheckedStream, keeps_malformed_answers_from_the_namespaces_client) {
    with_every_malformed_reply([](const MalformedReply& reply) {
        HostileServer hostile(reply, is_no_hello);
        NamespaceResolver resolver(
            {.uri = "mongodb://" + hostile.server.address() + options_for_tests(),
             .facts_of = [](std::string_view, bson::DocumentView) { return analysis::NamespaceFacts{}; },
             .selection_timeout = 2000ms,
             .log = {}});
        const auto resolve = [&] {
            std::promise<NamespaceAnswers> promise;
            resolver.resolve({{"db", "c"}},
                             [&](NamespaceAnswers answers) { promise.set_value(std::move(answers)); });
            return promise.get_future().get().at(0).second.has_value();
        };
        EXPECT_FALSE(resolve());
        EXPECT_GT(hostile.malformed_count, 0);
        hostile.armed = false;
        EXPECT_TRUE(resolve());
    });
}

TEST(CheckedStream, keeps_malformed_hellos_from_the_scan_of_a_client) {
    with_every_malformed_reply([](const MalformedReply& reply) {
        HostileServer hostile(reply, is_any_hello);
        KeyVaultClient client({"mongodb://" + hostile.server.address() + options_for_tests(), "encryption",
                               "__keyVault", 300ms});
        EXPECT_NE(client.find({}).error, "");
        EXPECT_GT(hostile.malformed_count, 0);
        hostile.armed = false;
        EXPECT_EQ(client.find({}).error, "");
    });
}

std::optional<HostPort> find(Watcher& watcher, std::chrono::milliseconds wait) {
    std::promise<std::optional<HostPort>> promise;
    watcher.find_primary(wait, [&](std::optional<HostPort> member, const std::string&) {
        promise.set_value(std::move(member));
    });
    return promise.get_future().get();
}

TEST(CheckedStream, keeps_malformed_hellos_from_the_monitors) {
    with_every_malformed_reply([](const MalformedReply& reply) {
        HostileServer hostile(reply, is_any_hello);
        Watcher watcher({.uri = "mongodb://" + hostile.server.address() + "/?heartbeatFrequencyMS=500",
                         .on_member_lost = {},
                         .log = {}});
        EXPECT_FALSE(find(watcher, 100ms).has_value());
        EXPECT_GT(hostile.malformed_count, 0);
        hostile.armed = false;
        EXPECT_TRUE(find(watcher, 10s).has_value());
    });
}

TEST(CheckedStream, keeps_malformed_awaited_hellos_from_the_monitors) {
    with_every_malformed_reply([](const MalformedReply& reply) {
        HostileServer hostile(reply, is_awaited_hello);
        std::atomic<int> losses{0};
        Watcher watcher({.uri = "mongodb://" + hostile.server.address() + "/?heartbeatFrequencyMS=500",
                         .on_member_lost = [&](const HostPort&) { ++losses; },
                         .log = {}});
        EXPECT_TRUE(find(watcher, 10s).has_value()) << "the first hello is sound";
        const auto give_up = Clock::now() + 10s;
        while (hostile.malformed_count < 2 && Clock::now() < give_up) std::this_thread::sleep_for(10ms);
        EXPECT_GE(hostile.malformed_count, 2) << "it went on after the first";
        hostile.armed = false;
        EXPECT_TRUE(find(watcher, 10s).has_value());
    });
}

// A server may announce what it never sends: within the bound it is waited for, above it is refused at once.
TEST(CheckedStream, refuses_a_size_above_the_bound_before_it_arrives) {
    for (const std::size_t announced : {reply_bytes_max, reply_bytes_max + 1}) {
        ScriptedServer server(
            ScriptedServer::Bytes([&](const wire::Header& request, bson::DocumentView command) {
                wire::Buffer bytes = ScriptedServer::sound([](bson::DocumentView asked) {
                    return testing::is_hello(asked) ? hello_reply("standalone", "") : testing::ok_reply();
                })(request, command);
                if (!testing::is_hello(command)) {
                    for (std::size_t i = 0; i < 4; ++i)
                        bytes[i] = static_cast<std::uint8_t>(announced >> (8 * i));
                }
                return bytes;
            }));
        KeyVaultClient client(
            {"mongodb://" + server.address() + "/?socketTimeoutMS=3000", "encryption", "__keyVault", 2000ms});
        const auto asked_at = Clock::now();
        EXPECT_NE(client.find({}).error, "");
        // Twice: reads are retried once.
        EXPECT_EQ(Clock::now() - asked_at >= 3s, announced == reply_bytes_max);
    }
}

TEST(CheckedStream, hands_on_large_answers_whole) {
    bson::Buffer document;
    bson::Builder(document).append_string("x", std::string(3 << 20, 'x')).finish();
    const ScriptedServer server(testing::standalone(
        [&](bson::DocumentView) { return cursor_reply("encryption.__keyVault", {document, document}); }));
    KeyVaultClient client({"mongodb://" + server.address() + "/", "encryption", "__keyVault", 2000ms});
    const auto found = client.find({});
    EXPECT_EQ(found.error, "");
    EXPECT_EQ(found.documents, (std::vector{document, document}));
}

TEST(CheckedStream, asks_for_no_compression) {
    std::atomic<bool> asked{false};
    const ScriptedServer watched([&](bson::DocumentView command) {
        if (const auto list = command.find("compression"); list && !list->document().empty()) asked = true;
        return testing::is_hello(command) ? hello_reply("standalone", "") : cursor_reply("db.c", {});
    });
    KeyVaultClient client(
        {"mongodb://" + watched.address() + "/?compressors=zlib", "encryption", "__keyVault", 2000ms});
    EXPECT_EQ(client.find({}).error, "");
    EXPECT_FALSE(asked);
}

// Its end would otherwise wait for the monitors, which wait for an answer.
TEST(Watcher, ends_at_once_while_a_server_is_silent) {
    std::promise<void> released;
    const std::shared_future<void> release = released.get_future().share();
    std::promise<void> asked;
    std::atomic<bool> first{true};
    ScriptedServer server([&](bson::DocumentView) {
        if (first.exchange(false)) asked.set_value();
        release.wait();
        return testing::ok_reply();
    });
    Clock::time_point ends_at;
    {
        const Watcher watcher(
            {.uri = "mongodb://" + server.address() + "/", .on_member_lost = {}, .log = {}});
        asked.get_future().wait();
        ends_at = Clock::now();
    }
    EXPECT_LT(Clock::now() - ends_at, 5s) << "connectTimeoutMS is 10 seconds";
    released.set_value();
}

}  // namespace
}  // namespace fieldgate::cluster
