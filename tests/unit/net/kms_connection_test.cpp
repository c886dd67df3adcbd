#include "tests/unit/net/kms_transport_fixture.hpp"

// Connections: used again, bounded, closed by the other side; what comes over them.
namespace fieldgate::net {
namespace {

using namespace test;

using testing::HasSubstr;

TEST_F(KmsTransportTest, uses_a_connection_again) {
    KmsStub server(&KmsStub::echo, path("server.pem"));
    for (const char* const target : {"/a", "/b", "/c"})
        EXPECT_EQ(ask(request(server.port(), target)), std::string("200 ") + target);
    EXPECT_EQ(server.accepted(), 1);
}

TEST_F(KmsTransportTest, does_not_use_a_connection_again_that_the_server_ends) {
    KmsStub server(
        [](KmsStub::Connection& connection, int number) {
            if (!connection.shake_hands() || !connection.receive()) return;
            connection.send(http_reply(std::to_string(number), "Connection: close\r\n"));
            connection.sees_end();
        },
        path("server.pem"));
    EXPECT_EQ(ask(request(server.port())), "200 1");
    EXPECT_EQ(ask(request(server.port())), "200 2");
}

TEST_F(KmsTransportTest, providers_do_not_share_connections) {
    config::KmsProvider eu = aws_;
    eu.name = "aws:eu";
    transport_.emplace(std::vector{aws_, eu});
    KmsStub server(&KmsStub::echo, path("server.pem"));
    EXPECT_EQ(ask(request(server.port())), "200 /a");
    std::promise<std::string> outcome;
    transport().send("aws:eu", request(server.port()), 5s,
                     [&](const Result<Reply>& reply) { outcome.set_value(outcome_of(reply)); });
    EXPECT_EQ(get(outcome.get_future()), "200 /a");
    EXPECT_EQ(server.accepted(), 2);
}

TEST_F(KmsTransportTest, opens_four_connections_at_most_and_lets_the_others_wait) {
    std::atomic<int> asked{0};
    std::promise<void> go;
    const std::shared_future<void> may_answer = go.get_future().share();
    KmsStub server(
        [&](KmsStub::Connection& connection, int) {
            if (!connection.shake_hands()) return;
            while (connection.receive()) {
                ++asked;
                may_answer.wait_for(5s);
                if (!connection.send(http_reply("ok"))) return;
            }
        },
        path("server.pem"));
    std::vector<Future> outcomes;
    for (int i = 0; i < 10; ++i) outcomes.push_back(send(request(server.port())));
    const auto deadline = std::chrono::steady_clock::now() + 5s;
    while (asked < 4 && std::chrono::steady_clock::now() < deadline) std::this_thread::sleep_for(1ms);
    std::this_thread::sleep_for(20ms);
    EXPECT_EQ(asked, 4);
    EXPECT_THAT(ask(request(server.port()), 20ms), HasSubstr("timeout: ")) << "waiting counts";
    go.set_value();
    for (Future& outcome : outcomes) EXPECT_EQ(get(std::move(outcome)), "200 ok");
    EXPECT_EQ(server.accepted(), 4);
}

TEST_F(KmsTransportTest, closes_a_connection_that_nobody_uses) {
    options_.idle_timeout = 30ms;
    std::promise<bool> ended;
    KmsStub server(
        [&](KmsStub::Connection& connection, int number) {
            if (!connection.shake_hands() || !connection.receive()) return;
            connection.send(http_reply("ok"));
            if (number == 1) ended.set_value(connection.sees_end());
        },
        path("server.pem"));
    EXPECT_EQ(ask(request(server.port())), "200 ok");
    EXPECT_TRUE(ended.get_future().get());
    EXPECT_EQ(ask(request(server.port())), "200 ok");
    EXPECT_EQ(server.accepted(), 2);
}

TEST_F(KmsTransportTest, keeps_a_bounded_number_of_connections_that_nobody_uses) {
    options_.idle_max = 2;
    std::promise<bool> ended;
    KmsStub server([&](KmsStub::Connection& connection, int number) {
        if (!connection.receive()) return;
        connection.send(http_reply("ok"));
        if (number == 3) ended.set_value(connection.sees_end());
        connection.receive();
        connection.send(http_reply("again"));
    });
    for (const char* const name : {"one.test", "two.test", "three.test"}) {
        names_.add(name, {"127.0.0.1"});
        EXPECT_EQ(ask(request(server.port(), "/a", false, name)), "200 ok");
    }
    auto future = ended.get_future();
    ASSERT_EQ(future.wait_for(5s), std::future_status::ready);
    EXPECT_TRUE(future.get());
    EXPECT_EQ(ask(request(server.port(), "/a", false, "two.test")), "200 again");
    EXPECT_EQ(server.accepted(), 3);
}

// How a server goes away.
struct Ending {
    const char* name;
    void (*end)(KmsStub::Connection&);
};
const Ending endings[] = {
    {"properly", [](KmsStub::Connection& connection) { connection.end(); }},
    {"without TLS's end", [](KmsStub::Connection& connection) { connection.end(false); }},
    {"with a reset", [](KmsStub::Connection& connection) { connection.reset(); }},
};

TEST_F(KmsTransportTest, sends_once_more_what_met_a_connection_that_was_closed_meanwhile) {
    for (const Ending& ending : endings) {
        SCOPED_TRACE(ending.name);
        std::atomic<int> asked{0};
        KmsStub server(
            [&](KmsStub::Connection& connection, int number) {
                if (!connection.shake_hands()) return;
                while (connection.receive()) {
                    // The first connection takes the second request and goes.
                    if (++asked == 2) return ending.end(connection);
                    connection.send(http_reply(std::to_string(number)));
                }
            },
            path("server.pem"));
        EXPECT_EQ(ask(request(server.port())), "200 1");
        EXPECT_EQ(ask(request(server.port())), "200 2");
        EXPECT_EQ(asked, 3);
    }
}

TEST_F(KmsTransportTest, sends_no_more_than_twice) {
    KmsStub server(
        [&](KmsStub::Connection& connection, int number) {
            if (!connection.shake_hands() || !connection.receive()) return;
            if (number == 1) connection.send(http_reply("1"));
            if (number == 1) connection.receive();
        },
        path("server.pem"));
    EXPECT_EQ(ask(request(server.port())), "200 1");
    EXPECT_THAT(ask(request(server.port())), HasSubstr("closed: "));
    EXPECT_EQ(server.accepted(), 2);
}

TEST_F(KmsTransportTest, does_not_send_again_on_a_new_connection_or_within_a_reply) {
    for (const Ending& ending : endings) {
        SCOPED_TRACE(ending.name);
        KmsStub fresh(
            [&](KmsStub::Connection& connection, int) {
                if (connection.shake_hands() && connection.receive()) ending.end(connection);
            },
            path("server.pem"));
        EXPECT_THAT(ask(request(fresh.port())), HasSubstr("closed: "));
        EXPECT_EQ(fresh.accepted(), 1);

        KmsStub reused(
            [&](KmsStub::Connection& connection, int) {
                if (!connection.shake_hands() || !connection.receive()) return;
                connection.send(http_reply("1"));
                if (!connection.receive()) return;
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
                std::this_thread::sleep_for(20ms);  // or the reset overtakes it
                ending.end(connection);
            },
            path("server.pem"));
        EXPECT_EQ(ask(request(reused.port())), "200 1");
        EXPECT_THAT(ask(request(reused.port())), HasSubstr("truncated: "));
        EXPECT_EQ(reused.accepted(), 1);
    }
}

TEST_F(KmsTransportTest, a_reply_up_to_the_end_must_end_properly) {
    for (const bool properly : {true, false}) {
        KmsStub server(
            [&](KmsStub::Connection& connection, int) {
                if (!connection.shake_hands() || !connection.receive()) return;
                connection.send("HTTP/1.0 200 OK\r\n\r\nbody");
                connection.end(properly);
            },
            path("server.pem"));
        if (properly) {
            EXPECT_EQ(ask(request(server.port())), "200 body");
        } else {
            EXPECT_THAT(ask(request(server.port())), HasSubstr("truncated: ")) << "cut by whoever is between";
        }
    }
}

TEST_F(KmsTransportTest, whatever_status_a_whole_reply_has_it_is_a_reply) {
    KmsStub server(
        [](KmsStub::Connection& connection, int) {
            if (!connection.shake_hands()) return;
            for (const char* const status : {"302 Found", "429 Slow", "500 Oh"}) {
                if (!connection.receive()) return;
                connection.send("HTTP/1.1 " + std::string(status) +
                                "\r\nLocation: /b\r\nContent-Length: 1\r\n\r\nx");
            }
        },
        path("server.pem"));
    for (const char* const expected : {"302 x", "429 x", "500 x"})
        EXPECT_EQ(ask(request(server.port())), expected);
}

TEST_F(KmsTransportTest, says_what_is_wrong_with_a_reply) {
    struct Case {
        const char* reply;
        const char* expected;
    };
    for (const Case& c :
         {Case{"nonsense\r\n\r\n", "malformed not_http: kms.test:"},
          Case{"HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n", "malformed reply_too_large: kms.test:"}}) {
        KmsStub server(
            [&](KmsStub::Connection& connection, int) {
                if (!connection.shake_hands() || !connection.receive()) return;
                connection.send(c.reply);
                connection.sees_end();
            },
            path("server.pem"));
        EXPECT_THAT(ask(request(server.port())), testing::StartsWith(c.expected));
    }
}

TEST_F(KmsTransportTest, carries_kmip_messages_on_one_connection) {
    KmsStub server(
        [](KmsStub::Connection& connection, int) {
            if (!connection.shake_hands()) return;
            while (const auto message = connection.receive_exactly(16)) {
                std::string reply = *message;
                reply[2] = 0x7B;  // a response
                if (!connection.send(reply)) return;
            }
        },
        path("server.pem"));
    for (const char letter : {'a', 'b'}) {
        std::string text("\x42\x00\x78\x01\x00\x00\x00\x08", 8);
        text += std::string(8, letter);
        Request message;
        message.protocol = crypto::kms::Protocol::kmip;
        message.endpoint = {"kms.test", server.port(), true};
        message.bytes =
            crypto::SecretBuffer({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
        text[2] = 0x7B;
        EXPECT_EQ(ask(std::move(message)), "200 " + text);
    }
    EXPECT_EQ(server.accepted(), 1);
}

}  // namespace
}  // namespace fieldgate::net
