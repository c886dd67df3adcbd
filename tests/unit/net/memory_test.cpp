#include <gtest/gtest.h>

#include <boost/endian/conversion.hpp>
#include <future>
#include <list>

#include "proxy/bson/builder.hpp"
#include "tests/unit/net/support.hpp"

namespace fieldgate::net {
namespace {

using namespace test;
using std::chrono::milliseconds;

wire::Buffer ok_reply(std::int32_t response_to) {
    bson::Buffer document;
    bson::Builder(document).append_double("ok", 1).finish();
    return wire::make_op_msg(5, response_to, document);
}

// Answers every request with {ok: 1}, which makes its sender known; one that begins with "wait" when
// released.
struct OkServer {
    std::promise<void> release;
    std::shared_future<void> released = release.get_future().share();
    StubServer server{[this](Peer& peer) {
        while (const auto request = peer.receive()) {
            const bool waits = payload_of(*request).starts_with("S wait");
            if (waits) released.wait_for(std::chrono::seconds(10));
            if (!peer.send(ok_reply(wire::Header::parse(*request).request_id))) return;
        }
    }};
};

// A client that announces 40 MB, sends a little of it and stands still.
Peer standing_still(RunningServer& proxy) {
    Peer peer = proxy.connect();
    // Only what is sent is made: twenty whole messages would take longer than the others wait for each other.
    wire::Buffer message = test::message(1, 0, std::string(100'000, 'S'));
    boost::endian::store_little_u32(message.data(), 40'000'000);
    EXPECT_TRUE(peer.send(message));
    return peer;
}

TEST(Memory, strangers_who_hold_their_part_do_not_keep_a_known_client_from_sending) {
    OkServer upstream;
    RunningServer proxy(&upstream.server);
    proxy.config.limits.memory_bytes = 100'000'000;
    proxy.options.stall_timeout = std::chrono::minutes(1);
    proxy.start();
    Peer known = proxy.connect();
    ASSERT_TRUE(known.send("S"));
    ASSERT_TRUE(known.receive().has_value());
    std::list<Peer> strangers;
    for (int i = 0; i < 20; ++i) strangers.push_back(standing_still(proxy));
    ASSERT_TRUE(proxy.eventually([](const Statistics& s) { return s.memory_waits == 19; }))
        << "one has all of their part, the others wait";
    // In messages that need nearly all of the budget: several, one after the other.
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(known.send("S" + std::string(20'000'000, 'x')));
        EXPECT_TRUE(known.receive().has_value());
    }
    EXPECT_EQ(proxy.server().statistics().memory_waits, 19u) << "it did not wait";
    Peer stranger = proxy.connect();
    ASSERT_TRUE(stranger.send("S" + std::string(70'000, 'x')));
    EXPECT_TRUE(stranger.silent_for(milliseconds(100))) << "whoever is not known yet waits with the others";
    strangers.clear();
    EXPECT_TRUE(stranger.receive().has_value());
}

TEST(Memory, a_client_that_becomes_known_while_it_waits_waits_no_longer) {
    OkServer upstream;
    RunningServer proxy(&upstream.server);
    proxy.config.limits.memory_bytes = 100'000'000;
    proxy.options.stall_timeout = std::chrono::minutes(1);
    proxy.start();
    const Peer stranger = standing_still(proxy);
    std::this_thread::sleep_for(milliseconds(50));
    Peer client = proxy.connect();
    ASSERT_TRUE(client.send("S wait"));
    ASSERT_TRUE(client.send("S" + std::string(1'000'000, 'x'), 2));
    ASSERT_TRUE(proxy.eventually([](const Statistics& s) { return s.memory_waits == 1; }));
    EXPECT_TRUE(client.silent_for(milliseconds(50)));
    upstream.release.set_value();
    for (int i = 0; i < 2; ++i) EXPECT_TRUE(client.receive().has_value());
}

TEST(Memory, one_listener_leaves_something_to_the_others) {
    OkServer upstream;
    RunningServer proxy(&upstream.server);
    proxy.config.limits.memory_bytes = 100'000'000;
    proxy.config.listeners.push_back(proxy.config.listeners.front());
    proxy.options.stall_timeout = std::chrono::minutes(1);
    proxy.start();
    const auto connect_known = [&](std::size_t listener) {
        Peer peer = Peer::connect_tcp(proxy.server().addresses().at(listener).port);
        EXPECT_TRUE(peer.send("S"));
        EXPECT_TRUE(peer.receive().has_value());
        return peer;
    };
    std::list<Peer> holders;
    const wire::Buffer large = test::message(1, 0, std::string(40'000'000, 'S'));
    for (int i = 0; i < 2; ++i) {
        holders.push_back(connect_known(0));
        ASSERT_TRUE(holders.back().send(wire::Bytes(large).first(100'000)));
    }
    ASSERT_TRUE(proxy.eventually([](const Statistics& s) { return s.memory_waits == 1; }))
        << "the first has three quarters";
    Peer other = connect_known(1);
    ASSERT_TRUE(other.send("S" + std::string(2'000'000, 'x')));
    EXPECT_TRUE(other.receive().has_value());
}

TEST(Memory, a_client_that_does_not_read_the_answer_to_a_large_request_is_closed) {
    RunningServer proxy;
    proxy.config.limits.memory_bytes = 100'000'000;
    proxy.options.stall_timeout = milliseconds(300);
    proxy.start();
    Peer deaf = proxy.connect();
    ASSERT_TRUE(deaf.send("A" + std::string(20'000'000, 'x')));
    Peer other = proxy.connect();
    ASSERT_TRUE(other.send("A" + std::string(70'000, 'x')));
    EXPECT_TRUE(other.receive().has_value()) << "it waits for what the first one holds";
    EXPECT_FALSE(deaf.receive().has_value()) << "the rest of the answer is not sent any more";
}

// A server that reads the second request when its reply to the first one is written, which is not read until
// the second request gives its memory back.
TEST(Memory, a_client_whose_request_and_reply_wait_for_each_other_is_closed) {
    StubServer upstream([](Peer& peer) {
        if (!peer.receive()) return;
        std::this_thread::sleep_for(milliseconds(200));
        if (!peer.send(message(5, 1, std::string(20'000'000, 'r')))) return;
        StubServer::echo(peer);
    });
    RunningServer proxy(&upstream);
    proxy.config.limits.memory_bytes = 100'000'000;
    proxy.options.stall_timeout = milliseconds(500);
    proxy.start();
    Peer client = proxy.connect();
    ASSERT_TRUE(client.send("C"));
    ASSERT_TRUE(client.send("S" + std::string(20'000'000, 'x'), 2));
    ASSERT_TRUE(proxy.eventually([](const Statistics& s) { return s.memory_waits == 1; }));
    EXPECT_TRUE(client.sees_end());
}

// Nothing of it is the client's fault: keys, an election or a slow server may take longer.
TEST(Memory, a_large_request_may_wait_for_the_server) {
    OkServer upstream;
    RunningServer proxy(&upstream.server);
    proxy.config.limits.memory_bytes = 100'000'000;
    proxy.options.stall_timeout = milliseconds(300);
    proxy.start();
    Peer client = proxy.connect();
    ASSERT_TRUE(client.send("S wait"));
    ASSERT_TRUE(client.send("S" + std::string(20'000'000, 'x'), 2));
    EXPECT_TRUE(client.silent_for(milliseconds(1500)));
    upstream.release.set_value();
    for (int i = 0; i < 2; ++i) EXPECT_TRUE(client.receive().has_value());
}

}  // namespace
}  // namespace fieldgate::net
