#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <future>
#include <string>

#include "tests/unit/net/support.hpp"

namespace fieldgate::net {
namespace {

using namespace test;
using std::chrono::milliseconds;

// Answers each request after `delay`.
StubServer::Serve slow_echo(milliseconds delay) {
    return [delay](Peer& peer) {
        while (const auto request = peer.receive()) {
            std::this_thread::sleep_for(delay);
            if (!peer.send(message(5, 1, "reply to " + payload_of(*request)))) return;
        }
    };
}

Peer connected(RunningServer& proxy) {
    Peer client = proxy.connect();
    EXPECT_TRUE(client.send("S"));
    EXPECT_EQ(client.receive_text(), "reply to S");
    return client;
}

TEST(Failover, closes_idle_sessions_of_a_lost_member_at_once_and_busy_ones_after_their_reply) {
    StubServer upstream(slow_echo(milliseconds(150)));
    RunningServer proxy(&upstream);
    proxy.start();
    Peer idle = connected(proxy);
    Peer busy = connected(proxy);
    Peer without_upstream = proxy.connect();
    ASSERT_TRUE(busy.send("S last"));
    ASSERT_TRUE(proxy.eventually([](const Statistics& s) { return s.connections_active == 3; }));
    std::this_thread::sleep_for(milliseconds(50));
    proxy.server().member_lost({"127.0.0.1", 1});
    EXPECT_TRUE(idle.silent_for(milliseconds(30)));
    proxy.server().member_lost(upstream.address());
    EXPECT_TRUE(idle.sees_end());
    EXPECT_EQ(busy.receive_text(), "reply to S last");
    EXPECT_TRUE(busy.sees_end());
    EXPECT_TRUE(without_upstream.silent_for(milliseconds(20)));
    EXPECT_EQ(connected(proxy).descriptor() >= 0, true);
}

// The reply itself is kept from the client: see connection_replies.cpp.
TEST(Failover, a_reply_that_says_so_closes_every_session_of_the_member) {
    StubServer upstream(&StubServer::echo);
    RunningServer proxy(&upstream);
    proxy.options.worker_count = 2;
    proxy.start();
    std::vector<Peer> others;
    for (int i = 0; i < 8; ++i) others.push_back(connected(proxy));
    Peer witness = connected(proxy);
    ASSERT_TRUE(witness.send("L"));
    EXPECT_TRUE(witness.sees_end());
    for (Peer& other : others) EXPECT_TRUE(other.sees_end());
    ASSERT_EQ(proxy.reports().size(), 1u);
    EXPECT_EQ(proxy.reports().front(), upstream.address().text() + ": it said that it is not the primary");
}

// One client may well make the server drop its connection: others go only if whoever watches the members says
// so.
TEST(Failover, a_connection_that_the_server_ends_takes_others_with_it_only_if_the_member_is_gone) {
    for (const bool member_is_gone : {false, true}) {
        SCOPED_TRACE(member_is_gone);
        StubServer upstream([](Peer& peer) {
            while (const auto request = peer.receive()) {
                const std::string text = payload_of(*request);
                if (text == "S die") return;
                if (!peer.send(message(5, 1, "reply to " + text))) return;
            }
        });
        RunningServer proxy(&upstream);
        std::atomic<int> reports{0};
        proxy.services.report_member = [&](const HostPort& member, std::string_view why) {
            EXPECT_EQ(member, upstream.address());
            EXPECT_EQ(why, "it closed the connection");
            ++reports;
            if (member_is_gone) proxy.server().member_lost(member);
        };
        proxy.start();
        Peer other = connected(proxy);
        Peer witness = connected(proxy);
        ASSERT_TRUE(witness.send("S die"));
        EXPECT_TRUE(witness.sees_end());
        if (member_is_gone) {
            EXPECT_TRUE(other.sees_end());
        } else {
            EXPECT_TRUE(other.silent_for(milliseconds(20)));
            ASSERT_TRUE(other.send("S"));
            EXPECT_EQ(other.receive_text(), "reply to S");
        }
        EXPECT_EQ(reports, 1);
    }
}

TEST(Failover, a_reply_cut_off_in_the_middle_closes_the_client) {
    for (const char* letter : {"S", "C"}) {
        SCOPED_TRACE(letter);
        StubServer upstream([](Peer& peer) {
            peer.receive();
            const wire::Buffer reply = message(5, 1, std::string(200000, 'x'));
            peer.send(wire::Bytes(reply).first(150000));
        });
        RunningServer proxy(&upstream);
        proxy.start();
        Peer client = proxy.connect();
        ASSERT_TRUE(client.send(letter));
        EXPECT_EQ(client.receive_text(), "(no message)");
    }
}

TEST(Failover, looks_for_the_primary_until_there_is_one) {
    StubServer secondary(&StubServer::echo, "not primary");
    StubServer primary(&StubServer::echo);
    RunningServer proxy;
    std::atomic<int> asked{0};
    proxy.services.find_primary = [&](milliseconds, auto done) {
        done(++asked < 3 ? secondary.address() : primary.address(), "");
    };
    proxy.start();
    Peer client = proxy.connect();
    ASSERT_TRUE(client.send("S"));
    EXPECT_EQ(client.receive_text(), "reply to S");
    EXPECT_EQ(secondary.accepted(), 2);
    EXPECT_EQ(proxy.reports().size(), 2u);
    EXPECT_EQ(proxy.reports().front(),
              secondary.address().text() + ": " + secondary.address().text() + " is not the primary");
}

// Without addresses: whoever connects here may not learn them. The log and the watcher have them.
TEST(Failover, answers_with_the_reason_when_there_is_no_primary_in_time) {
    RunningServer proxy;
    proxy.start();
    Peer client = proxy.connect();
    ASSERT_TRUE(client.send("S"));
    EXPECT_EQ(client.receive_text(), "unavailable: no primary was found in time");
    ASSERT_TRUE(client.send("A"));
    EXPECT_EQ(client.receive_text(), "answer to A");
}

TEST(Failover, answers_when_the_primary_cannot_be_reached_in_time) {
    HostPort nobody;
    {
        StubServer gone(&StubServer::echo);
        nobody = gone.address();
    }
    RunningServer proxy;
    proxy.config.upstream.election_wait = milliseconds(300);
    proxy.services.find_primary = [&](milliseconds, auto done) { done(nobody, ""); };
    proxy.start();
    Peer client = proxy.connect();
    ASSERT_TRUE(client.send("S"));
    EXPECT_EQ(client.receive_text(), "unavailable: the primary cannot be reached");
    ASSERT_GE(proxy.reports().size(), 2u);
    EXPECT_EQ(proxy.reports().front(),
              nobody.text() + ": cannot connect to " + nobody.text() + ": Connection refused");
}

TEST(Failover, does_not_wait_for_ever_for_a_member_that_says_nothing) {
    // Its hello never comes: the thread of the stub would send one, so nobody accepts here.
    const int mute = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(::listen(mute, 16), 0);
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    ASSERT_EQ(::getsockname(mute, reinterpret_cast<sockaddr*>(&address), &size), 0);
    std::uint16_t port = 0;
    std::copy_n(reinterpret_cast<const std::uint8_t*>(&address) + 2, 2,
                reinterpret_cast<std::uint8_t*>(&port));
    port = static_cast<std::uint16_t>((port >> 8) | (port << 8));
    RunningServer proxy;
    proxy.config.upstream.election_wait = milliseconds(100);
    proxy.upstream_options.connect_timeout = milliseconds(100);
    proxy.services.find_primary = [&](milliseconds, auto done) { done(HostPort{"127.0.0.1", port}, ""); };
    proxy.start();
    Peer client = proxy.connect();
    ASSERT_TRUE(client.send("S"));
    EXPECT_EQ(client.receive_text(), "unavailable: the primary cannot be reached");
    ASSERT_FALSE(proxy.reports().empty());
    EXPECT_TRUE(proxy.reports().front().ends_with(": it took longer than allowed"))
        << proxy.reports().front();
    ::close(mute);
}

TEST(Failover, answers_and_closes_when_the_server_refuses_the_handshake) {
    StubServer upstream(&StubServer::echo, "go away");
    RunningServer proxy(&upstream);
    proxy.start();
    Peer client = proxy.connect();
    ASSERT_TRUE(client.send("S"));
    EXPECT_EQ(client.receive_text(), "unavailable: the primary refused the handshake");
    EXPECT_TRUE(client.sees_end());
}

TEST(Failover, refuses_a_handshake_of_unreasonable_size) {
    StubServer chatty([](Peer&) {}, "primary" + std::string(70000, ' '));
    RunningServer proxy(&chatty);
    proxy.start();
    Peer client = proxy.connect();
    ASSERT_TRUE(client.send("S"));
    EXPECT_EQ(client.receive_text(), "unavailable: the primary refused the handshake");
    EXPECT_TRUE(client.sees_end());
}

TEST(Limits, closes_connections_above_the_limit_and_takes_new_ones_when_others_left) {
    StubServer upstream(&StubServer::echo);
    RunningServer proxy(&upstream);
    proxy.config.limits.connections = 2;
    proxy.start();
    Peer first = connected(proxy);
    Peer second = connected(proxy);
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(proxy.connect().sees_end());
    EXPECT_TRUE(proxy.eventually([](const Statistics& s) { return s.connections_refused == 3; }));
    ASSERT_TRUE(first.send("S"));
    EXPECT_EQ(first.receive_text(), "reply to S");
    first.close();
    EXPECT_TRUE(proxy.eventually([](const Statistics& s) { return s.connections_active == 1; }));
    connected(proxy);
}

// Goal: running out of descriptors must not touch the sessions that are there. Method: forbid new ones for a
// while.
// Nobody who can connect may fill a disk.
TEST(Limits, logs_a_hundred_mistakes_of_clients_in_a_second_and_counts_the_others) {
    constexpr int mistakes = 1000;
    StubServer upstream(&StubServer::echo);
    RunningServer proxy(&upstream);
    ::testing::internal::CaptureStderr();
    proxy.start();
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < mistakes; ++i) {
        Peer peer = proxy.connect();
        EXPECT_TRUE(peer.send(wire::Buffer(64, 0xFF)));
        EXPECT_TRUE(peer.sees_end());
    }
    const auto seconds =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - start).count();
    EXPECT_TRUE(proxy.eventually([](const Statistics& s) { return s.protocol_errors == mistakes; }));
    const std::string logged = ::testing::internal::GetCapturedStderr();
    int lines = 0;
    for (std::size_t at = 0; (at = logged.find("no MongoDB message", at)) != std::string::npos; ++at) ++lines;
    EXPECT_GE(lines, 100);
    EXPECT_LE(lines, 100 * (seconds + 1));
}

TEST(Limits, goes_on_when_there_are_no_descriptors_left) {
    StubServer upstream(&StubServer::echo);
    RunningServer proxy(&upstream);
    proxy.config.limits.connections = 50;
    proxy.start();
    Peer first = connected(proxy);
    Peer waiting(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    rlimit none = before;
    none.rlim_cur = 3;  // applies to new descriptors only
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    ASSERT_EQ(::getpeername(first.descriptor(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    ASSERT_EQ(::connect(waiting.descriptor(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_TRUE(proxy.eventually([](const Statistics& s) { return s.accept_failures >= 2; }));
    ASSERT_TRUE(first.send("S"));
    EXPECT_EQ(first.receive_text(), "reply to S");
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    ASSERT_TRUE(waiting.send("S"));
    EXPECT_EQ(waiting.receive_text(), "reply to S");
}

TEST(Limits, reads_no_large_message_without_memory_for_it) {
    std::promise<void> release;
    std::shared_future<void> released = release.get_future().share();
    StubServer upstream([&](Peer& peer) {
        while (const auto request = peer.receive()) {
            const std::string text = payload_of(*request);
            if (text[0] == 'K') released.wait_for(std::chrono::seconds(5));
            if (!peer.send(message(5, 1, "reply to " + text.substr(0, 4)))) return;
        }
    });
    RunningServer proxy(&upstream);
    proxy.config.limits.memory_bytes = 1000000;
    // The first request keeps its memory while its keys are on their way.
    std::mutex mutex;
    std::function<void()> give_keys;
    proxy.services.fetch_keys = [&](keys::KeyRequest request, std::function<void(keys::KeyResult)> done) {
        const std::lock_guard lock(mutex);
        give_keys = [request, done] { done(failed_keys(request)); };
    };
    proxy.start();
    Peer first = proxy.connect();
    Peer second = proxy.connect();
    Peer small = proxy.connect();
    ASSERT_TRUE(first.send("K..." + std::string(700000, 'x')));
    ASSERT_TRUE(proxy.eventually([&](const Statistics&) {
        const std::lock_guard lock(mutex);
        return give_keys != nullptr;
    }));
    ASSERT_TRUE(second.send("S..." + std::string(700000, 'x')));
    EXPECT_TRUE(proxy.eventually([](const Statistics& s) { return s.memory_waits == 1; }));
    EXPECT_TRUE(second.silent_for(milliseconds(30)));
    ASSERT_TRUE(small.send("S..." + std::string(1000, 'x')));
    EXPECT_EQ(small.receive_text(), "reply to S...");
    release.set_value();
    give_keys();
    EXPECT_EQ(first.receive_text(), "reply to K...");
    EXPECT_EQ(second.receive_text(), "reply to S...");
    // One that leaves while it waits gives up its place.
    Peer leaver = proxy.connect();
    Peer holder = proxy.connect();
    ASSERT_TRUE(holder.send(wire::Bytes(message(1, 0, std::string(900000, 'S'))).first(100000)));
    ASSERT_TRUE(proxy.eventually([](const Statistics& s) { return s.connections_active == 5; }));
    std::this_thread::sleep_for(milliseconds(50));
    ASSERT_TRUE(leaver.send(wire::Bytes(message(1, 0, std::string(900000, 'S'))).first(100000)));
    EXPECT_TRUE(proxy.eventually([](const Statistics& s) { return s.memory_waits == 2; }));
    leaver.reset();
    holder.reset();
    ASSERT_TRUE(second.send("S..." + std::string(700000, 'x')));
    EXPECT_EQ(second.receive_text(), "reply to S...");
}

TEST(Limits, ends_a_client_that_announces_a_large_message_and_stands_still) {
    StubServer upstream(StubServer::echo);
    RunningServer proxy(&upstream);
    proxy.options.stall_timeout = std::chrono::milliseconds(300);
    proxy.start();
    Peer still = proxy.connect();
    wire::Buffer announced = message(1, 0, std::string(1000000, 'x'));
    ASSERT_TRUE(still.send(wire::Bytes(announced).first(16)));
    EXPECT_TRUE(still.sees_end());

    // One that moves on, however long it takes, is served.
    Peer slow = proxy.connect();
    for (std::size_t sent = 0; sent < announced.size();) {
        const std::size_t piece = std::min<std::size_t>(300000, announced.size() - sent);
        ASSERT_TRUE(slow.send(wire::Bytes(announced).subspan(sent, piece)));
        sent += piece;
        std::this_thread::sleep_for(std::chrono::milliseconds(150));
    }
    EXPECT_TRUE(slow.receive().has_value());
}

TEST(Drain, closes_idle_sessions_and_lets_others_finish) {
    StubServer upstream(slow_echo(milliseconds(200)));
    RunningServer proxy(&upstream);
    proxy.start();
    Peer idle = connected(proxy);
    Peer silent = proxy.connect();
    Peer busy = connected(proxy);
    ASSERT_TRUE(busy.send("S last"));
    std::this_thread::sleep_for(milliseconds(50));
    const std::uint16_t port = proxy.port();
    proxy.server().drain(milliseconds(5000));
    EXPECT_TRUE(idle.sees_end());
    EXPECT_TRUE(silent.sees_end());
    EXPECT_ANY_THROW(Peer::connect_tcp(port));
    EXPECT_EQ(busy.receive_text(), "reply to S last");
    EXPECT_TRUE(busy.sees_end());
    EXPECT_TRUE(proxy.ends());
}

TEST(Drain, finishes_a_request_that_is_half_read) {
    StubServer upstream(&StubServer::echo);
    RunningServer proxy(&upstream);
    proxy.start();
    Peer client = connected(proxy);
    const wire::Buffer request = message(1, 0, "S in two parts");
    ASSERT_TRUE(client.send(wire::Bytes(request).first(10)));
    std::this_thread::sleep_for(milliseconds(50));
    proxy.server().drain(milliseconds(5000));
    std::this_thread::sleep_for(milliseconds(50));
    ASSERT_TRUE(client.send(wire::Bytes(request).subspan(10)));
    EXPECT_EQ(client.receive_text(), "reply to S in two parts");
    EXPECT_TRUE(client.sees_end());
    EXPECT_TRUE(proxy.ends());
}

TEST(Drain, cuts_what_is_left_when_its_time_is_over) {
    StubServer upstream([](Peer& peer) {
        peer.receive();
        peer.receive();  // never answers
    });
    RunningServer proxy(&upstream);
    proxy.start();
    Peer client = proxy.connect();
    ASSERT_TRUE(client.send("S"));
    std::this_thread::sleep_for(milliseconds(50));
    proxy.server().drain(milliseconds(100));
    EXPECT_TRUE(client.sees_end());
    EXPECT_TRUE(proxy.ends());
}

TEST(Drain, ends_a_server_without_sessions_at_once) {
    RunningServer proxy;
    proxy.options.worker_count = 3;
    proxy.start();
    proxy.server().drain(milliseconds(60000));
    EXPECT_TRUE(proxy.ends());
}

TEST(Listen, says_which_listener_cannot_have_its_port) {
    StubServer owner(&StubServer::echo);
    RunningServer proxy;
    proxy.config.listeners.front().port = owner.address().port;
    try {
        proxy.start();
        FAIL() << "it listens on a port in use";
    } catch (const std::runtime_error& error) {
        EXPECT_EQ(error.what(),
                  "listener doctors cannot listen on " + owner.address().text() + ": Address already in use");
    }
}

TEST(Listen, does_not_share_a_port_with_another_fieldgate) {
    RunningServer first;
    first.start();
    RunningServer second;
    second.config.listeners.front().port = first.port();
    EXPECT_THROW(second.start(), std::runtime_error);
}

TEST(Listen, serves_unix_sockets_on_every_worker_both_ways) {
    const auto directory =
        std::filesystem::temp_directory_path() / ("fieldgate-net-" + std::to_string(::getpid()));
    std::filesystem::create_directory(directory);
    const std::string path = (directory / "doctors.sock").string();
    {
        StubServer upstream(&StubServer::echo, "primary", (directory / "upstream.sock").string());
        RunningServer proxy(&upstream);
        proxy.options.worker_count = 2;
        proxy.config.listeners.front().host.clear();
        proxy.config.listeners.front().unix_path = path;
        // What a process that was killed leaves behind.
        const int stale = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_storage address{};
        address.ss_family = AF_UNIX;
        std::copy(path.begin(), path.end(), reinterpret_cast<char*>(&address) + 2);
        ASSERT_EQ(
            ::bind(stale, reinterpret_cast<sockaddr*>(&address), static_cast<socklen_t>(path.size() + 3)), 0);
        ::close(stale);
        proxy.start();
        EXPECT_EQ(proxy.server().addresses().front().address, "unix:" + path);
        std::vector<Peer> clients;
        for (int i = 0; i < 4; ++i) clients.push_back(Peer::connect_unix(path));
        for (Peer& client : clients) {
            ASSERT_TRUE(client.send("S"));
            EXPECT_EQ(client.receive_text(), "reply to S");
        }
        RunningServer second(&upstream);
        second.config.listeners.front().host.clear();
        second.config.listeners.front().unix_path = path;
        EXPECT_THROW(second.start(), std::runtime_error);
    }
    EXPECT_FALSE(std::filesystem::exists(path));
    std::ofstream(path) << "a file";
    RunningServer proxy;
    proxy.config.listeners.front().unix_path = path;
    EXPECT_THROW(proxy.start(), std::runtime_error);
    EXPECT_TRUE(std::filesystem::exists(path));
    std::filesystem::remove_all(directory);
}

TEST(Listen, spreads_connections_over_its_workers_and_counts_them) {
    StubServer upstream(&StubServer::echo);
    RunningServer proxy(&upstream);
    proxy.options.worker_count = 4;
    proxy.start();
    std::vector<Peer> clients;
    for (int i = 0; i < 20; ++i) clients.push_back(connected(proxy));
    const Statistics statistics = proxy.server().statistics();
    EXPECT_EQ(statistics.connections_active, 20u);
    EXPECT_EQ(statistics.upstream_active, 20u);
    clients.clear();
    EXPECT_TRUE(
        proxy.eventually([](const Statistics& s) { return s.connections_active == 0 && s.requests == 20; }));
}

}  // namespace
}  // namespace fieldgate::net
