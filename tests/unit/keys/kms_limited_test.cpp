#include "proxy/keys/kms_limited.hpp"

#include <gtest/gtest.h>

#include "tests/unit/keys/kms_support.hpp"

namespace fieldgate::keys {
namespace {

using namespace testing;
using crypto::kms::AwsMasterKey;

// `aws_key` is listed.
struct KmsLimited : ::testing::Test {
    ScriptedTransport transport;
    ScriptedProvider* aws = nullptr;  // owned by `kms`
    std::optional<Kms> kms;
    std::vector<std::string> logged;

    void SetUp() override {
        config::KmsProvider configured;
        configured.name = "aws:eu";
        configured.settings = config::AwsKms{};
        configured.master_keys.emplace();
        configured.master_keys->push_back(
            {{{"region", "eu-west-1"}, {"key", "arn:aws:kms:eu-west-1:1:key/x"}}, 1});
        auto scripted = std::make_unique<ScriptedProvider>();
        aws = scripted.get();
        Kms::Providers providers;
        providers.emplace("aws:eu", limit_kms(std::move(scripted), MasterKeyList(configured)));
        KmsOptions options;
        options.steady_now = [this] { return transport.steady; };
        options.random = [] { return 0.5; };
        options.on_done = [this](const std::string&, KmsCall, const Failure* failure) {
            logged.push_back(failure == nullptr ? "ok" : failure->code);
        };
        kms.emplace(transport, std::move(providers), options);
    }
    std::string unwrap(const crypto::kms::MasterKeyDescription& master_key) {
        std::string outcome;
        kms->unwrap("aws:eu", master_key, {7}, [&](const Result<crypto::DataKey>& key) {
            outcome = key ? "key " + std::to_string(key->expose_secret()[0]) : key.error().text;
        });
        while (!transport.pending.empty()) transport.answer(200);
        return outcome;
    }
    std::string wrap(const crypto::kms::MasterKeyDescription& master_key) {
        std::string outcome;
        kms->wrap("aws:eu", master_key, std::make_shared<crypto::DataKey>(secret_of(9)),
                  [&](const Result<WrappedDataKey>& key) { outcome = key ? "wrapped" : key.error().text; });
        while (!transport.pending.empty()) transport.answer(200);
        return outcome;
    }
};

TEST_F(KmsLimited, a_listed_master_key_wraps_and_unwraps) {
    EXPECT_EQ(unwrap(aws_key), "key 7");
    EXPECT_EQ(wrap(aws_key), "wrapped");
    EXPECT_EQ(transport.log, (std::vector<std::string>{"aws:eu unwrap 7", "aws:eu wrap"}));
}

TEST_F(KmsLimited, nothing_is_asked_about_another_one) {
    aws->login_requests = {"login"};
    const AwsMasterKey planted{"eu-west-1", "arn:aws:kms:eu-west-1:2:key/y", ""};
    const std::string expected =
        "KMS provider `aws:eu`: the master key 'eu-west-1 arn:aws:kms:eu-west-1:2:key/y' is not one of "
        "kms_providers.aws:eu.master_keys; its key is another than that of the entry most like it. Add it "
        "there if fieldgate may use it";
    EXPECT_EQ(unwrap(planted), expected);
    EXPECT_EQ(wrap(planted), expected);
    EXPECT_TRUE(transport.log.empty());
    EXPECT_EQ(logged, (std::vector<std::string>{"master_key_not_listed", "master_key_not_listed"}));
    const auto counts = kms->counts();
    ASSERT_EQ(counts.size(), 2u);
    for (const KmsCount& count : counts) EXPECT_EQ(count.outcome, "refused");
}

TEST_F(KmsLimited, the_provider_is_otherwise_as_it_was) {
    aws->secret = "it said ";
    aws->login_requests = {"login"};
    std::string login = "none";
    kms->login("aws:eu", [&](const auto& failure) { login = failure ? failure->text : "in"; });
    transport.answer(200);
    EXPECT_EQ(login, "in");
    EXPECT_EQ(unwrap(aws_key), "key 7");

    std::string outcome;
    const auto told = [&](const Result<crypto::DataKey>& key) { outcome = key ? "key" : key.error().text; };
    kms->unwrap("aws:eu", aws_key, {8}, told);
    transport.answer(401);
    EXPECT_EQ(aws->forgotten, 1) << "logs in afresh";
    transport.answer(200);
    transport.answer(503);
    transport.pass(std::chrono::seconds(1));
    transport.answer(403);
    EXPECT_EQ(outcome, "KMS provider `aws:eu`: ...403") << "tried again, and nothing quoted";
}

}  // namespace
}  // namespace fieldgate::keys
