#include "proxy/keys/broker_thread.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "proxy/keys/kms_local.hpp"
#include "tests/unit/keys/kms_support.hpp"

namespace fieldgate::keys {
namespace {

using testing::id_of;
using testing::key_of;
using testing::secret_of;
using namespace std::chrono_literals;

// Answers from a thread of its own, as the real one does.
class SlowVault final : public KeyVault {
 public:
    void find(const KeyRequest& request, Done done) override {
        ++queries;
        worker_.post([request, done] {
            std::this_thread::sleep_for(5ms);
            Found found;
            for (const crypto::KeyId& id : request.ids) {
                found.documents.push_back(build_key_document(key_of(id.bytes[0])));
            }
            done(std::move(found));
        });
    }
    void stop() { worker_.stop(); }
    std::atomic<int> queries{0};

 private:
    Worker worker_{"slow-vault"};
};

Kms::Providers local_only() {
    Kms::Providers providers;
    providers.emplace("local", make_local_kms(secret_of(1)));
    return providers;
}

TEST(BrokerThread, serves_many_threads_with_few_queries) {
    SlowVault vault;
    testing::ScriptedTransport transport;
    BrokerThread broker(vault, transport, local_only(), {});
    std::atomic<int> answered{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&] {
            for (int round = 0; round < 20; ++round) {
                std::promise<KeyResult> promise;
                broker.fetch({.ids = {id_of(1), id_of(2)}},
                             [&](KeyResult result) { promise.set_value(std::move(result)); });
                const KeyResult result = promise.get_future().get();
                for (const auto& [id, answer] : result.ids) {
                    if (std::holds_alternative<ReadyKey>(answer)) ++answered;
                }
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(answered, 8 * 20 * 2);
    EXPECT_EQ(vault.queries, 1);
}

TEST(BrokerThread, drops_answers_that_come_after_it_stopped) {
    SlowVault vault;
    testing::ScriptedTransport transport;
    bool called = false;
    {
        BrokerThread broker(vault, transport, local_only(), {});
        broker.fetch({.ids = {id_of(1)}}, [&](KeyResult) { called = true; });
        while (vault.queries == 0) std::this_thread::sleep_for(1ms);
    }
    vault.stop();
    EXPECT_FALSE(called);
}

TEST(Worker, runs_tasks_in_order_and_its_tick_between_them) {
    std::atomic<int> ticks{0};
    Worker worker("worker", 1ms, [&] { ++ticks; });
    std::vector<int> order;
    std::promise<void> done;
    for (int i = 0; i < 10; ++i) worker.post([&order, i] { order.push_back(i); });
    worker.post([&] { done.set_value(); });
    done.get_future().wait();
    EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
    const auto deadline = Clock::now() + 10s;
    while (ticks < 3 && Clock::now() < deadline) std::this_thread::sleep_for(1ms);
    EXPECT_GE(ticks, 3);
}

TEST(Worker, drops_tasks_after_it_stopped) {
    Worker worker("worker");
    worker.stop();
    bool ran = false;
    worker.post([&] { ran = true; });
    worker.stop();
    EXPECT_FALSE(ran);
}

}  // namespace
}  // namespace fieldgate::keys
