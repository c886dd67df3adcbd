#include "tests/unit/net/kms_transport_fixture.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

// Names, addresses, time-outs and the end of the transport.
namespace fieldgate::net {
namespace {

using namespace test;

using testing::HasSubstr;
using testing::MatchesRegex;

TEST_F(KmsTransportTest, says_that_a_name_is_unknown) {
    names_.add("absent.test", {});
    EXPECT_THAT(ask(request(1, "/", true, "absent.test")), HasSubstr("resolve_failed: absent.test: "));
}

TEST_F(KmsTransportTest, tries_the_next_address) {
    names_.add("many.test", {"127.0.0.3", "127.0.0.1"});
    KmsStub server(&KmsStub::echo);
    EXPECT_EQ(ask(request(server.port(), "/a", false, "many.test")), "200 /a");
}

TEST_F(KmsTransportTest, says_that_nobody_listens) {
    std::uint16_t port = 0;
    {
        const KmsStub server(&KmsStub::echo);
        port = server.port();
    }
    EXPECT_EQ(ask(request(port)),
              "connect_failed: kms.test:" + std::to_string(port) + ": Connection refused");
}

TEST_F(KmsTransportTest, a_name_that_nobody_answers_for_does_not_keep_others_from_being_asked_for) {
    KmsStub server(&KmsStub::echo, path("server.pem"));
    options_.connections_max = 64;
    std::vector<Future> hanging;
    for (const char* const name : {"slow.test", "slower.test"}) names_.hang(name);
    for (int i = 0; i < 20; ++i) hanging.push_back(send(request(1, "/", true, "slow.test"), 50ms));
    std::size_t refused = 0;
    for (Future& outcome : hanging) {
        const std::string text = get(std::move(outcome));
        if (text.starts_with("resolve_failed: slow.test: the system's resolver does not answer")) ++refused;
    }
    EXPECT_EQ(refused, 16u) << "four are given up and have their threads still";
    EXPECT_THAT(ask(request(1, "/", true, "slower.test"), 50ms), HasSubstr("timeout: "));
    EXPECT_EQ(ask(request(server.port())), "200 /a");
}

// A listener whose queue is full: connecting hangs.
class FullListener {
 public:
    explicit FullListener(const char* address = "127.0.0.1", std::uint16_t port = 0) {
        listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in name{};
        name.sin_family = AF_INET;
        name.sin_port = htons(port);
        ::inet_pton(AF_INET, address, &name.sin_addr);
        EXPECT_EQ(::bind(listener_, reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
        ::listen(listener_, 0);
        socklen_t size = sizeof name;
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&name), &size);
        port_ = ntohs(name.sin_port);
        for (int& filler : fillers_) {
            filler = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
            ::connect(filler, reinterpret_cast<const sockaddr*>(&name), sizeof name);
        }
    }
    ~FullListener() {
        for (const int filler : fillers_) ::close(filler);
        ::close(listener_);
    }
    std::uint16_t port() const { return port_; }

 private:
    int listener_;
    int fillers_[4];
    std::uint16_t port_ = 0;
};

TEST_F(KmsTransportTest, an_address_that_does_not_answer_does_not_take_the_time_of_the_next) {
    names_.add("many.test", {"127.0.0.3", "127.0.0.1"});
    KmsStub server(&KmsStub::echo);
    const FullListener full("127.0.0.3", server.port());
    EXPECT_EQ(ask(request(server.port(), "/a", false, "many.test"), 400ms), "200 /a");
}

// Time-outs and the end, wherever an exchange stands.

class KmsTransportPhases : public KmsTransportTest {
 protected:
    struct Hang {
        std::unique_ptr<KmsStub> server;
        std::unique_ptr<FullListener> full;
        Request request;
        std::function<bool()> is_there;  // blocks until the exchange is in the phase
    };

    Hang hang(const std::string& phase) {
        Hang hang;
        const auto reached = std::make_shared<std::promise<void>>();
        const auto future = std::make_shared<std::future<void>>(reached->get_future());
        hang.is_there = [future] { return future->wait_for(5s) == std::future_status::ready; };
        const auto serve = [&](KmsStub::Serve script, bool tls = true) {
            hang.server = std::make_unique<KmsStub>(std::move(script), tls ? path("server.pem") : "");
            hang.request = request(hang.server->port());
        };
        if (phase == "resolving") {
            names_.hang("slow.test");
            hang.request = request(1, "/", true, "slow.test");
            hang.is_there = [this] { return names_.was_asked("slow.test"); };
        } else if (phase == "connecting") {
            hang.full = std::make_unique<FullListener>();
            hang.request = request(hang.full->port());
            hang.is_there = [] {
                std::this_thread::sleep_for(20ms);
                return true;
            };
        } else if (phase == "shaking hands") {
            serve(
                [reached](KmsStub::Connection& connection, int) {
                    reached->set_value();
                    connection.sees_end();
                },
                false);
        } else if (phase == "waiting for the reply") {
            serve([reached](KmsStub::Connection& connection, int) {
                connection.shake_hands();
                connection.receive();
                reached->set_value();
                connection.sees_end();
            });
        } else if (phase == "within the reply") {
            serve([reached](KmsStub::Connection& connection, int) {
                connection.shake_hands();
                connection.receive();
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
                reached->set_value();
                connection.sees_end();
            });
        }
        return hang;
    }
};

constexpr const char* phases[] = {"resolving", "connecting", "shaking hands", "waiting for the reply",
                                  "within the reply"};

TEST_F(KmsTransportPhases, each_ends_with_the_time) {
    for (const char* const phase : phases) {
        SCOPED_TRACE(phase);
        Hang there = hang(phase);
        const auto start = std::chrono::steady_clock::now();
        const std::string outcome = ask(std::move(there.request), 100ms);
        EXPECT_THAT(outcome, MatchesRegex("timeout: .*:[0-9]+: no answer within 100 ms"));
        EXPECT_GE(std::chrono::steady_clock::now() - start, 90ms);
        EXPECT_LE(std::chrono::steady_clock::now() - start, 3s);
    }
}

TEST_F(KmsTransportPhases, each_ends_with_the_transport) {
    for (const char* const phase : phases) {
        SCOPED_TRACE(phase);
        transport_.emplace(std::vector{aws_});
        Hang there = hang(phase);
        Future outcome = send(std::move(there.request), 30s);
        EXPECT_TRUE(there.is_there());
        const auto start = std::chrono::steady_clock::now();
        transport_->stop();
        EXPECT_LE(std::chrono::steady_clock::now() - start, 2s);
        ASSERT_EQ(outcome.wait_for(0s), std::future_status::ready);
        EXPECT_EQ(outcome.get(), "stopped: fieldgate is ending");
    }
}

TEST_F(KmsTransportTest, waiting_for_a_turn_ends_with_the_transport) {
    options_.connections_max = 1;
    std::promise<void> asked;
    KmsStub server(
        [&](KmsStub::Connection& connection, int) {
            connection.shake_hands();
            connection.receive();
            asked.set_value();
            connection.sees_end();
        },
        path("server.pem"));
    Future first = send(request(server.port()), 30s);
    asked.get_future().wait_for(5s);
    Future second = send(request(server.port()), 30s);
    transport().stop();
    EXPECT_EQ(get(std::move(first)), "stopped: fieldgate is ending");
    EXPECT_EQ(get(std::move(second)), "stopped: fieldgate is ending");
}

TEST_F(KmsTransportTest, what_is_sent_after_the_end_fails_at_once) {
    transport().stop();
    Future outcome = send(request(1));
    ASSERT_EQ(outcome.wait_for(0s), std::future_status::ready);
    EXPECT_EQ(outcome.get(), "stopped: fieldgate is ending");
    transport().after(0ms, [] { ADD_FAILURE() << "ran"; });
    transport().stop();
}

TEST_F(KmsTransportTest, runs_a_task_after_its_delay_and_none_after_the_end) {
    std::promise<void> ran;
    const auto start = std::chrono::steady_clock::now();
    transport().after(30ms, [&] { ran.set_value(); });
    ASSERT_EQ(ran.get_future().wait_for(5s), std::future_status::ready);
    EXPECT_GE(std::chrono::steady_clock::now() - start, 30ms);
    transport().after(1h, [] { ADD_FAILURE() << "ran"; });
    transport_.reset();
}

TEST_F(KmsTransportTest, may_be_asked_by_many_threads_while_it_ends) {
    KmsStub server(&KmsStub::echo, path("server.pem"));
    KmsTransport& transport = this->transport();
    std::atomic<int> told{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            for (int round = 0; round < 50; ++round) {
                transport.send("aws", request(server.port()), 5s, [&](const Result<Reply>&) { ++told; });
            }
        });
    }
    std::this_thread::sleep_for(5ms);
    transport.stop();
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(told, 200) << "each exactly once";
}

}  // namespace
}  // namespace fieldgate::net
