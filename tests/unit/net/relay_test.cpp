#include <gtest/gtest.h>
#include <sys/socket.h>

#include <string>

#include "proxy/wire/frame_reader.hpp"
#include "tests/unit/net/support.hpp"

namespace fieldgate::net {
namespace {

using namespace test;
using std::chrono::milliseconds;

TEST(Relay, passes_requests_and_replies_on_byte_for_byte) {
    StubServer upstream(&StubServer::echo);
    RunningServer proxy(&upstream);
    proxy.start();
    Peer client = proxy.connect();
    for (const char* letter : {"S", "C", "K", "N", "G", "R"}) {
        SCOPED_TRACE(letter);
        const std::string text = letter + std::string(" request");
        ASSERT_TRUE(client.send(text, 7));
        EXPECT_EQ(client.receive(), message(1007, 7, "reply to " + text));
    }
    EXPECT_EQ(upstream.accepted(), 1);
}

TEST(Relay, opens_no_upstream_connection_before_one_is_needed) {
    StubServer upstream(&StubServer::echo);
    RunningServer proxy(&upstream);
    proxy.start();
    Peer client = proxy.connect();
    ASSERT_TRUE(client.send("A"));
    EXPECT_EQ(client.receive_text(), "answer to A");
    EXPECT_EQ(upstream.accepted(), 0);
}

TEST(Relay, writes_what_the_session_made_of_a_reply) {
    StubServer upstream(&StubServer::echo);
    RunningServer proxy(&upstream);
    proxy.start();
    Peer client = proxy.connect();
    ASSERT_TRUE(client.send("W"));
    EXPECT_EQ(client.receive_text(), "replaced");
    ASSERT_TRUE(client.send("Q swallowed"));
    ASSERT_TRUE(client.send("S after"));
    EXPECT_EQ(client.receive_text(), "reply to S after");
}

TEST(Relay, carries_messages_of_every_size_around_its_buffers) {
    StubServer upstream(&StubServer::echo);
    RunningServer proxy(&upstream);
    proxy.start();
    Peer client = proxy.connect();
    for (const std::size_t size :
         {0u, 1u, 4075u, 4076u, 4077u, 65515u, 65516u, 65517u, 262143u, 262144u, 300000u, 3000000u}) {
        for (const char letter : {'S', 'C'}) {
            SCOPED_TRACE(std::string(1, letter) + " " + std::to_string(size));
            std::string text(size + 1, letter);
            for (std::size_t i = 1; i < text.size(); ++i) text[i] = static_cast<char>('a' + i % 23);
            ASSERT_TRUE(client.send(text));
            EXPECT_TRUE(client.receive_text() == "reply to " + text);
        }
    }
}

// Goal: framing must not depend on how TCP cut the stream, on either side. Method: one byte at a time.
TEST(Relay, puts_messages_together_that_arrive_byte_by_byte) {
    StubServer upstream([](Peer& peer) {
        while (const auto request = peer.receive()) {
            const wire::Buffer reply = message(5, 1, "reply to " + payload_of(*request));
            for (const std::uint8_t byte : reply) peer.send(wire::Bytes(&byte, 1));
        }
    });
    RunningServer proxy(&upstream);
    proxy.start();
    Peer client = proxy.connect();
    for (const char* text : {"S streamed", "C collected"}) {
        for (const std::uint8_t byte : message(1, 0, text)) ASSERT_TRUE(client.send(wire::Bytes(&byte, 1)));
        EXPECT_EQ(client.receive_text(), std::string("reply to ") + text);
    }
}

TEST(Relay, never_lets_a_local_answer_overtake_a_reply) {
    StubServer upstream([](Peer& peer) {
        while (const auto request = peer.receive()) {
            std::this_thread::sleep_for(milliseconds(30));
            // Large, so that the reply is still being written when the next answer is ready.
            if (!peer.send(message(5, 1, "reply to " + payload_of(*request) + std::string(400000, '.'))))
                return;
        }
    });
    RunningServer proxy(&upstream);
    proxy.start();
    Peer client = proxy.connect();
    wire::Buffer burst;
    const std::vector<std::string> texts = {"A 1", "S 2", "A 3", "A 4", "C 5", "A 6", "S 7", "W 8", "A 9"};
    for (const std::string& text : texts) {
        const wire::Buffer one = message(1, 0, text);
        burst.insert(burst.end(), one.begin(), one.end());
    }
    ASSERT_TRUE(client.send(burst));
    for (const std::string& text : texts) {
        const std::string expected = text[0] == 'A'   ? "answer to " + text
                                     : text[0] == 'W' ? "replaced"
                                                      : "reply to " + text;
        EXPECT_EQ(client.receive_text().substr(0, expected.size()), expected);
    }
}

TEST(Relay, passes_a_stream_of_replies_to_one_request_on) {
    StubServer upstream([](Peer& peer) {
        while (const auto request = peer.receive()) {
            for (int i = 0; i < 20; ++i) {
                const std::string text =
                    "part " + std::to_string(i) + std::string(static_cast<std::size_t>(i) * 5000, 'x');
                if (!peer.send(message(i, 1, text, i < 19 ? wire::flag_more_to_come : 0))) return;
            }
        }
    });
    RunningServer proxy(&upstream);
    proxy.start();
    Peer client = proxy.connect();
    for (const char* letter : {"S", "C"}) {
        wire::Buffer burst = message(1, 0, letter);
        const wire::Buffer second = message(2, 0, "A");
        burst.insert(burst.end(), second.begin(), second.end());
        ASSERT_TRUE(client.send(burst));
        for (int i = 0; i < 20; ++i) {
            const std::string expected = "part " + std::to_string(i);
            EXPECT_EQ(client.receive_text().substr(0, expected.size()), expected);
        }
        EXPECT_EQ(client.receive_text(), "answer to A");
    }
}

TEST(Relay, forwards_requests_that_have_no_reply) {
    StubServer upstream(&StubServer::echo);
    StubServer silent([](Peer& peer) {
        while (const auto request = peer.receive()) {
            const std::string text = payload_of(*request);
            if (text[0] != 'U' && !peer.send(message(5, 1, "reply to " + text))) return;
        }
    });
    RunningServer proxy(&silent);
    proxy.start();
    Peer client = proxy.connect();
    ASSERT_TRUE(client.send("U 1"));
    ASSERT_TRUE(client.send("U 2"));
    ASSERT_TRUE(client.send("S 3"));
    EXPECT_EQ(client.receive_text(), "reply to S 3");
}

TEST(Relay, sends_requests_of_its_own_and_keeps_their_replies) {
    std::atomic<int> own{0};
    StubServer upstream([&](Peer& peer) {
        while (const auto request = peer.receive()) {
            if (payload_of(*request) == "Q own") ++own;
            if (!peer.send(message(5, 1, "reply to " + payload_of(*request)))) return;
        }
    });
    RunningServer proxy(&upstream);
    proxy.start();
    Peer client = proxy.connect();
    ASSERT_TRUE(client.send("O"));
    EXPECT_EQ(client.receive_text(), "reply to O");
    ASSERT_TRUE(client.send("S"));
    EXPECT_EQ(client.receive_text(), "reply to S");
    EXPECT_EQ(own, 1);
}

TEST(Relay, serves_others_while_one_waits_for_keys) {
    StubServer upstream(&StubServer::echo);
    RunningServer proxy(&upstream);
    std::mutex mutex;
    std::vector<std::function<void()>> waiting;
    proxy.services.fetch_keys = [&](keys::KeyRequest request, std::function<void(keys::KeyResult)> done) {
        const std::lock_guard lock(mutex);
        waiting.push_back([request, done] { done(failed_keys(request)); });
    };
    proxy.start();
    Peer slow = proxy.connect();
    Peer quick = proxy.connect();
    ASSERT_TRUE(slow.send("K"));
    EXPECT_TRUE(proxy.eventually([&](const Statistics&) {
        const std::lock_guard lock(mutex);
        return waiting.size() == 1;
    }));
    ASSERT_TRUE(quick.send("S"));
    EXPECT_EQ(quick.receive_text(), "reply to S");
    EXPECT_TRUE(slow.silent_for(milliseconds(20)));
    waiting.front()();
    EXPECT_EQ(slow.receive_text(), "reply to K");
}

TEST(Relay, survives_answers_for_connections_and_servers_that_are_gone) {
    std::vector<std::function<void()>> waiting;
    std::mutex mutex;
    {
        StubServer upstream(&StubServer::echo);
        RunningServer proxy(&upstream);
        proxy.services.fetch_keys = [&](keys::KeyRequest request, std::function<void(keys::KeyResult)> done) {
            const std::lock_guard lock(mutex);
            waiting.push_back([request, done] { done(failed_keys(request)); });
        };
        proxy.services.find_primary = [&, member = upstream.address()](milliseconds, auto done) {
            done(member, "");
            const std::lock_guard lock(mutex);
            waiting.push_back([] {});
        };
        proxy.start();
        Peer first = proxy.connect();
        Peer second = proxy.connect();
        ASSERT_TRUE(first.send("K"));
        ASSERT_TRUE(second.send("R"));
        EXPECT_TRUE(proxy.eventually([&](const Statistics&) {
            const std::lock_guard lock(mutex);
            return waiting.size() == 3;
        }));
        first.close();
    }
    for (const auto& answer : waiting) answer();
}

TEST(Relay, answers_when_a_namespace_cannot_be_looked_up) {
    StubServer upstream(&StubServer::echo);
    RunningServer proxy(&upstream);
    proxy.services.resolve_namespaces = [](std::vector<analysis::NamespaceName> names, auto done) {
        NamespaceAnswers answers;
        for (auto& name : names) answers.emplace_back(std::move(name), std::nullopt);
        done(std::move(answers));
    };
    proxy.start();
    Peer client = proxy.connect();
    ASSERT_TRUE(client.send("N"));
    EXPECT_EQ(client.receive_text(),
              "unavailable: the server could not be asked whether the namespace is a view");
    EXPECT_EQ(upstream.accepted(), 0);
}

TEST(Relay, closes_when_the_session_says_so_after_what_is_owed) {
    StubServer upstream([](Peer& peer) {
        while (const auto request = peer.receive()) {
            std::this_thread::sleep_for(milliseconds(50));
            if (!peer.send(message(5, 1, "reply to " + payload_of(*request)))) return;
        }
    });
    RunningServer proxy(&upstream);
    proxy.start();
    Peer client = proxy.connect();
    wire::Buffer burst;
    for (const char* text : {"S 1", "A 2", "X", "S never"}) {
        const wire::Buffer one = message(1, 0, text);
        burst.insert(burst.end(), one.begin(), one.end());
    }
    ASSERT_TRUE(client.send(burst));
    EXPECT_EQ(client.receive_text(), "reply to S 1");
    EXPECT_EQ(client.receive_text(), "answer to A 2");
    EXPECT_TRUE(client.sees_end());
}

TEST(Relay, closes_on_lengths_that_make_no_sense_and_leaves_others_alone) {
    StubServer upstream(&StubServer::echo);
    RunningServer proxy(&upstream);
    proxy.config.limits.message_bytes = 1000;
    proxy.start();
    Peer bystander = proxy.connect();
    ASSERT_TRUE(bystander.send("S"));
    EXPECT_EQ(bystander.receive_text(), "reply to S");
    for (const std::uint32_t length : {0u, 15u, 1001u, 0x7FFFFFFFu, 0xFFFFFFFFu}) {
        SCOPED_TRACE(length);
        Peer client = proxy.connect();
        wire::Buffer bytes = message(1, 0, "S");
        for (std::size_t i = 0; i < 4; ++i) bytes[i] = static_cast<std::uint8_t>(length >> (8 * i));
        ASSERT_TRUE(client.send(bytes));
        EXPECT_TRUE(client.sees_end());
    }
    EXPECT_EQ(proxy.server().statistics().protocol_errors, 5u);
    Peer at_limit = proxy.connect();
    ASSERT_TRUE(at_limit.send(message(1, 0, std::string(980, 'A'))));
    EXPECT_EQ(at_limit.receive_text().substr(0, 10), "answer to ");
    ASSERT_TRUE(bystander.send("S"));
    EXPECT_EQ(bystander.receive_text(), "reply to S");
}

TEST(Relay, closes_on_a_reply_that_nobody_waits_for) {
    StubServer upstream([](Peer& peer) {
        const auto request = peer.receive();
        peer.send(message(5, 1, "reply"));
        peer.send(message(6, 1, "another"));
        peer.receive();
    });
    RunningServer proxy(&upstream);
    proxy.start();
    Peer client = proxy.connect();
    ASSERT_TRUE(client.send("S"));
    EXPECT_EQ(client.receive_text(), "reply");
    EXPECT_TRUE(client.sees_end());
    EXPECT_EQ(proxy.server().statistics().protocol_errors, 1u);
}

TEST(Relay, closes_when_a_reply_may_not_be_passed_on) {
    StubServer upstream(&StubServer::echo);
    RunningServer proxy(&upstream);
    proxy.start();
    Peer client = proxy.connect();
    ASSERT_TRUE(client.send("Z"));
    EXPECT_TRUE(client.sees_end());
}

TEST(Relay, closes_the_upstream_when_the_client_leaves) {
    std::atomic<int> ended{0};
    StubServer upstream([&](Peer& peer) {
        StubServer::echo(peer);
        ++ended;
    });
    RunningServer proxy(&upstream);
    proxy.start();
    for (const bool reset : {false, true}) {
        Peer client = proxy.connect();
        ASSERT_TRUE(client.send("S"));
        EXPECT_EQ(client.receive_text(), "reply to S");
        if (reset) client.reset();
        client.close();
    }
    EXPECT_TRUE(
        proxy.eventually([&](const Statistics& s) { return ended == 2 && s.connections_active == 0; }));
    EXPECT_EQ(proxy.server().statistics().upstream_active, 0u);
}

TEST(Relay, stops_reading_from_a_client_that_does_not_read) {
    StubServer upstream(&StubServer::echo);
    RunningServer proxy(&upstream);
    proxy.start();
    Peer client = proxy.connect();
    Peer bystander = proxy.connect();
    // More than the sockets' buffers hold: the relay must stop taking requests, and serve others meanwhile.
    const timeval patience{0, 300000};
    ::setsockopt(client.descriptor(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    const wire::Buffer request = message(1, 0, std::string(1000000, 'S'));
    int sent = 0;
    while (sent < 200 && client.send(request)) ++sent;
    EXPECT_LT(sent, 200);
    ASSERT_TRUE(bystander.send("S"));
    EXPECT_EQ(bystander.receive_text(), "reply to S");
}

}  // namespace
}  // namespace fieldgate::net
