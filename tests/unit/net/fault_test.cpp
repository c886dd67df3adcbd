#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <string>
#include <vector>

#include "tests/unit/net/support.hpp"

// The linker sends the relay's system calls through these (CMakeLists.txt, --wrap).
namespace {

std::atomic<int> calls_until_failure{0};  // 0: none fails
std::atomic<int> failure{ECONNRESET};

bool fails_now() {
    int left = calls_until_failure.load();
    while (left > 0 && !calls_until_failure.compare_exchange_weak(left, left - 1)) {
    }
    if (left != 1) return false;
    errno = failure;
    return true;
}

}  // namespace

extern "C" {
ssize_t __real_send(int descriptor, const void* bytes, size_t size, int flags);
ssize_t __real_recv(int descriptor, void* bytes, size_t size, int flags);
int __real_connect(int descriptor, const sockaddr* address, socklen_t size);
int __real_accept(int descriptor, sockaddr* address, socklen_t* size);
int __real_socket(int family, int type, int protocol);

ssize_t __wrap_send(int descriptor, const void* bytes, size_t size, int flags) {
    return fails_now() ? -1 : __real_send(descriptor, bytes, size, flags);
}
ssize_t __wrap_recv(int descriptor, void* bytes, size_t size, int flags) {
    return fails_now() ? -1 : __real_recv(descriptor, bytes, size, flags);
}
int __wrap_connect(int descriptor, const sockaddr* address, socklen_t size) {
    return fails_now() ? -1 : __real_connect(descriptor, address, size);
}
int __wrap_accept(int descriptor, sockaddr* address, socklen_t* size) {
    return fails_now() ? -1 : __real_accept(descriptor, address, size);
}
int __wrap_socket(int family, int type, int protocol) {
    return fails_now() ? -1 : __real_socket(family, type, protocol);
}
}

namespace fieldgate::net {
namespace {

using namespace test;

// Goal: whichever system call of the relay fails, the client gets whole messages in order and then an end,
// never a part of one, never one out of turn; and the next client is served. Method: the n-th call fails, for
// n = 1, 2, 3 ... until a run needs no n-th call.
void fail_each_step_in_turn(int error) {
    StubServer upstream(&StubServer::echo);
    RunningServer proxy(&upstream);
    proxy.config.upstream.election_wait = std::chrono::milliseconds(150);
    proxy.start();
    const std::vector<std::string> requests = {"S 1", "C 2",
                                               "A 3", "W 4",
                                               "K 5", "S 6 " + std::string(300000, 's'),
                                               "O 7", "C 8 " + std::string(300000, 'c'),
                                               "Q 9", "A 10"};
    std::vector<std::string> replies;
    for (const std::string& request : requests) {
        if (request[0] == 'Q') continue;
        replies.push_back(request[0] == 'A'   ? "answer to " + request
                          : request[0] == 'W' ? "replaced"
                                              : "reply to " + request);
    }
    failure = error;
    int n = 1;
    int complete_runs_with_failure = 0;
    for (;; ++n) {
        SCOPED_TRACE(n);
        ASSERT_LT(n, 1000);
        Peer client(__real_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        {
            Peer connected = proxy.connect();
            client = std::move(connected);
        }
        calls_until_failure = n;
        std::size_t received = 0;
        bool whole = true;
        for (const std::string& request : requests) {
            if (!client.send(request)) break;
            if (request[0] == 'Q') continue;
            const auto reply = client.receive();
            if (!reply) {
                whole = false;
                break;
            }
            const std::string text = payload_of(*reply);
            if (text.starts_with("unavailable: ")) {
                ++received;
                continue;
            }
            ASSERT_TRUE(text == replies[received])
                << text.substr(0, 40) << " instead of " << replies[received].substr(0, 40);
            ++received;
        }
        const bool failed = calls_until_failure == 0;
        calls_until_failure = 0;
        if (!failed) {
            EXPECT_TRUE(whole);
            EXPECT_EQ(received, replies.size());
            break;
        }
        if (whole) ++complete_runs_with_failure;
        client.close();
        Peer next = proxy.connect();
        ASSERT_TRUE(next.send("S next"));
        ASSERT_EQ(next.receive_text(), "reply to S next");
        next.close();
        ASSERT_TRUE(proxy.eventually([](const Statistics& s) { return s.connections_active == 0; }));
        EXPECT_EQ(proxy.server().statistics().upstream_active, 0u);
    }
    EXPECT_GT(n, 20) << "too few steps for all of this";
    // Connecting is tried again, so a run may survive a failure; few of them do.
    EXPECT_LT(complete_runs_with_failure, n / 2);
}

TEST(Faults, a_reset_at_any_step_ends_that_session_only) {
    fail_each_step_in_turn(ECONNRESET);
}
TEST(Faults, a_timeout_at_any_step_ends_that_session_only) {
    fail_each_step_in_turn(ETIMEDOUT);
}

}  // namespace
}  // namespace fieldgate::net
