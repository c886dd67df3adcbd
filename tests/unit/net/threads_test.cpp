#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "tests/unit/net/support.hpp"

namespace fieldgate::net {
namespace {

using namespace test;

// Goal: nothing but what is meant to be shared is shared between workers; run under TSan. Method: 200 clients
// on 4 workers, keys and namespaces answered by another thread, members lost and memory short in the middle,
// then a drain.
TEST(Threads, many_clients_on_several_workers) {
    constexpr int client_threads = 20;
    constexpr int clients_per_thread = 10;
    StubServer upstream(&StubServer::echo);
    RunningServer proxy(&upstream);
    proxy.options.worker_count = 4;
    proxy.options.namespace_lifetime = std::chrono::milliseconds(1);
    proxy.config.limits.memory_bytes = 400000;

    std::mutex mutex;
    std::vector<std::function<void()>> questions;
    bool done = false;
    std::thread answers([&] {
        for (;;) {
            std::vector<std::function<void()>> batch;
            {
                const std::lock_guard lock(mutex);
                if (done && questions.empty()) return;
                batch.swap(questions);
            }
            for (const auto& question : batch) question();
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    });
    const auto later = [&](std::function<void()> question) {
        const std::lock_guard lock(mutex);
        questions.push_back(std::move(question));
    };
    proxy.services.fetch_keys = [&](keys::KeyRequest request, std::function<void(keys::KeyResult)> answer) {
        later([request, answer] { answer(failed_keys(request)); });
    };
    proxy.services.resolve_namespaces = [&](std::vector<analysis::NamespaceName> names, auto answer) {
        later([names, answer] {
            NamespaceAnswers facts;
            for (const auto& name : names) facts.emplace_back(name, analysis::NamespaceFacts{});
            answer(std::move(facts));
        });
    };
    proxy.start();

    std::atomic<int> replies{0};
    std::atomic<int> wrong{0};
    std::vector<std::thread> clients;
    for (int t = 0; t < client_threads; ++t) {
        clients.emplace_back([&, t] {
            std::vector<Peer> peers;
            for (int i = 0; i < clients_per_thread; ++i) peers.push_back(proxy.connect());
            for (const std::string letter : {"S", "C", "A", "K", "R", "N", "G", "W"}) {
                const std::string text =
                    letter + std::to_string(t) + (t % 4 == 0 ? std::string(100000, 'x') : "");
                for (Peer& peer : peers) peer.send(text);
                for (Peer& peer : peers) {
                    const auto reply = peer.receive();
                    if (!reply) continue;  // its member was lost
                    ++replies;
                    const std::string expected = letter == "A"   ? "answer to " + text
                                                 : letter == "W" ? "replaced"
                                                                 : "reply to " + text;
                    if (payload_of(*reply) != expected) ++wrong;
                }
                if (t == 0 && letter == "N") proxy.server().member_lost(upstream.address());
            }
        });
    }
    while (replies < 300) {
        proxy.server().statistics();
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    for (std::thread& thread : clients) thread.join();
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(proxy.server().statistics().connections_accepted, 200u);
    proxy.server().drain(std::chrono::milliseconds(2000));
    EXPECT_TRUE(proxy.ends());
    EXPECT_EQ(proxy.server().statistics().connections_active, 0u);
    {
        const std::lock_guard lock(mutex);
        done = true;
    }
    answers.join();
}

}  // namespace
}  // namespace fieldgate::net
