#include "proxy/keys/kms_thread.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "proxy/keys/kms_local.hpp"
#include "proxy/keys/worker.hpp"
#include "tests/unit/keys/kms_support.hpp"

namespace fieldgate::keys {
namespace {

using namespace testing;
using namespace std::chrono_literals;

// Answers everything from a thread of its own, the first request of all with 503.
class LiveTransport final : public KmsTransport {
 public:
    void send(const std::string&, Request, std::chrono::milliseconds, Done done) override {
        worker_.post([this, done] { done(Reply{first_ ? 503 : 200, {}, {}}), first_ = false; });
    }
    // Only the pauses between attempts: no time limit is reached here.
    void after(std::chrono::milliseconds delay, std::function<void()> task) override {
        if (delay > 1s) return;
        worker_.post([delay, task] {
            std::this_thread::sleep_for(std::min(delay, 10ms));
            task();
        });
    }

 private:
    bool first_ = true;
    Worker worker_{"live-transport"};
};

TEST(KmsThread, waits_for_the_outcome) {
    LiveTransport transport;
    Kms::Providers providers;
    auto scripted = std::make_unique<ScriptedProvider>();
    scripted->login_requests = {"login"};
    providers.emplace("aws", std::move(scripted));
    providers.emplace("local", make_local_kms(secret_of(1)));
    KmsThread kms(transport, std::move(providers));
    EXPECT_TRUE(kms.has("aws"));
    EXPECT_FALSE(kms.has("gcp"));

    EXPECT_FALSE(kms.login("aws"));
    const auto wrapped = kms.wrap("aws", aws_key, secret_of(9));
    ASSERT_TRUE(wrapped);
    const auto unwrapped = kms.unwrap("aws", wrapped->master_key, wrapped->material);
    ASSERT_TRUE(unwrapped);
    EXPECT_TRUE(*unwrapped == secret_of(9));

    EXPECT_FALSE(kms.login("local"));
    EXPECT_EQ(kms.login("gcp")->text, "KMS provider `gcp` is not configured");
    EXPECT_EQ(kms.unwrap("local", crypto::kms::LocalMasterKey{}, {}).error().code, "wrapped_key_length");
}

TEST(KmsThread, may_end_while_the_transport_still_answers) {
    LiveTransport transport;
    for (int i = 0; i < 20; ++i) {
        Kms::Providers providers;
        providers.emplace("aws", std::make_unique<ScriptedProvider>());
        KmsOptions options;
        options.operation_timeout = 1ms;
        KmsThread kms(transport, std::move(providers), options);
        (void)kms.unwrap("aws", aws_key, {});
    }
}

}  // namespace
}  // namespace fieldgate::keys
