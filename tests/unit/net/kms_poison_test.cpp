#include "tests/unit/net/kms_transport_fixture.hpp"

// What a connection holds that nobody asked for must not become the answer to the next request: an answer
// may be a data key.
namespace fieldgate::net {
namespace {

using namespace test;

TEST_F(KmsTransportTest, what_came_before_the_request_is_not_its_reply) {
    for (const bool tls : {true, false}) {
        SCOPED_TRACE(tls ? "TLS" : "plain");
        std::promise<void> sent;
        KmsStub server(
            [&](KmsStub::Connection& connection, int number) {
                if (!connection.shake_hands() || !connection.receive()) return;
                connection.send(http_reply("own " + std::to_string(number)));
                std::this_thread::sleep_for(100ms);  // a read of its own, also after a delayed ACK
                if (number == 1) {
                    connection.send(http_reply("somebody else's"));
                    sent.set_value();
                }
                connection.receive();
                connection.sees_end();
            },
            tls ? path("server.pem") : "");
        EXPECT_EQ(ask(request(server.port(), "/a", tls)), "200 own 1");
        sent.get_future().wait_for(5s);
        std::this_thread::sleep_for(20ms);
        EXPECT_EQ(ask(request(server.port(), "/b", tls)), "200 own 2");
        EXPECT_EQ(server.accepted(), 2);
    }
}

}  // namespace
}  // namespace fieldgate::net
