#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <future>
#include <limits>
#include <thread>
#include <vector>

#include "proxy/cluster/key_vault.hpp"
#include "proxy/cluster/namespaces.hpp"
#include "proxy/cluster/reply_check.hpp"
#include "proxy/cluster/watcher.hpp"
#include "tests/unit/cluster/malformed_replies.hpp"
#include "tests/unit/cluster/scripted_server.hpp"

namespace fieldgate::cluster {
namespace {

using namespace std::chrono_literals;
using testing::cursor_reply;
using testing::hello_reply;
using testing::malformed_replies;
using testing::MalformedReply;
using testing::ScriptedServer;
using Clock = std::chrono::steady_clock;

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

// Values of which some do not fit, whatever the field is.
void append_odd_value(bson::Builder& builder, std::string_view key, std::size_t kind) {
    switch (kind) {
        case 0:
            builder.append_null(key);
            break;
        case 1:
            builder.append_int32(key, -7);
            break;
        case 2:
            builder.append_int64(key, std::numeric_limits<std::int64_t>::max());
            break;
        case 3:
            builder.append_double(key, 1e300);
            break;
        case 4:
            builder.append_string(key, std::string(70000, 'x'));
            break;
        case 5:
            builder.append_string(key, "");
            break;
        case 6:
            builder.append_string(key, std::string_view("a\0\xff", 3));
            break;
        case 7:
            builder.append_binary(key, 0, {});
            break;
        case 8:
            builder.open_document(key).close();
            break;
        case 9:
            builder.open_document(key).append_int32("a", 1).append_string("id", "x").close();
            break;
        case 10:
            builder.open_array(key).append_int32("0", 1).append_null("1").close();
            break;
        case 11:
            builder.open_array(key).append_string("0", "").append_string("1", "\xff:1").close();
            break;
        default:
            builder.open_array(key).open_document("0").append_null("code").close().close();
            break;
    }
}
constexpr std::size_t odd_kinds = 13;

// Sound messages that say odd things. libmongoc takes many fields for what they should be.
TEST(CheckedStream, odd_fields_of_sound_answers_do_no_harm) {
    constexpr std::array fields{"hosts",
                                "passives",
                                "arbiters",
                                "setName",
                                "me",
                                "primary",
                                "tags",
                                "lastWrite",
                                "topologyVersion",
                                "electionId",
                                "setVersion",
                                "maxBsonObjectSize",
                                "maxMessageSizeBytes",
                                "maxWriteBatchSize",
                                "minWireVersion",
                                "maxWireVersion",
                                "compression",
                                "$clusterTime",
                                "logicalSessionTimeoutMinutes",
                                "msg",
                                "serviceId",
                                "ok",
                                "ismaster",
                                "isWritablePrimary",
                                "secondary",
                                "arbiterOnly",
                                "hidden",
                                "helloOk",
                                "speculativeAuthenticate",
                                "saslSupportedMechs",
                                "errmsg",
                                "code",
                                "errorLabels",
                                "operationTime",
                                "cursor",
                                "payload",
                                "conversationId",
                                "done",
                                "writeErrors",
                                "writeConcernError",
                                "n",
                                "recoveryToken",
                                "topologyVersion.processId",
                                "topologyVersion.counter",
                                "$clusterTime.clusterTime",
                                "lastWrite.lastWriteDate",
                                "lastWrite.opTime",
                                "speculativeAuthenticate.payload",
                                "speculativeAuthenticate.conversationId",
                                "speculativeAuthenticate.done",
                                "writeConcernError.code",
                                "writeConcernError.errmsg",
                                "writeConcernError.errInfo",
                                "firstBatch",
                                "id",
                                "ns"};
    const auto answer = [](std::string_view field, std::size_t kind, const std::string& address) {
        bson::Buffer buffer;
        bson::Builder reply(buffer);
        if (const std::size_t dot = field.find('.'); dot != std::string_view::npos) {
            // Beside what must be there for it to be looked at.
            const std::string_view inner = field.substr(dot + 1);
            field = field.substr(0, dot);
            reply.open_document(field);
            append_odd_value(reply, inner, kind);
            constexpr std::array<std::uint8_t, 12> process_id{};
            if (inner != "processId") reply.append_object_id("processId", process_id);
            for (const char* number : {"counter", "conversationId"})
                if (inner != number) reply.append_int64(number, 1);
            if (inner != "payload") reply.append_binary("payload", 0, process_id);
            if (inner != "done") reply.append_bool("done", false);
            reply.close();
        } else {
            append_odd_value(reply, field, kind);
        }
        const auto append_others = [&](const bson::Buffer& document) {
            for (const bson::Element& element : *bson::DocumentView::check(document, {})) {
                if (element.key() == field) continue;
                if (element.key() == "cursor" && (field == "firstBatch" || field == "id" || field == "ns")) {
                    reply.open_document("cursor");
                    append_odd_value(reply, field, kind);
                    for (const bson::Element& inner : element.document())
                        if (inner.key() != field) reply.append_element(inner);
                    reply.close();
                    continue;
                }
                reply.append_element(element);
            }
        };
        append_others(hello_reply("primary", address));
        append_others(cursor_reply("encryption.__keyVault", {testing::ok_reply()}));
        reply.finish();
        return buffer;
    };
    std::vector<std::thread> threads;
    for (const char* field : fields) {
        threads.emplace_back([&answer, field] {
            for (std::size_t kind = 0; kind < odd_kinds; ++kind) {
                std::promise<std::string> listening;
                const std::shared_future<std::string> address = listening.get_future().share();
                const ScriptedServer server(
                    [&](bson::DocumentView) { return answer(field, kind, address.get()); });
                listening.set_value(server.address());
                const Watcher watcher({.uri = "mongodb://" + server.address() + "/?connectTimeoutMS=300",
                                       .on_member_lost = {},
                                       .log = {}});
                for (const char* user : {"", "u:p@"}) {
                    KeyVaultClient client(
                        {"mongodb://" + (user + server.address()) + "/?connectTimeoutMS=300", "encryption",
                         "__keyVault", 100ms});
                    for (const bson::Buffer& document : client.find({}).documents)
                        EXPECT_TRUE(bson::DocumentView::check(document, {})) << field << " " << kind;
                    static_cast<void>(client.insert(testing::ok_reply()));
                }
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
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
