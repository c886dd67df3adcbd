#pragma once

#include <gtest/gtest.h>

#include "proxy/keys/kms.hpp"
#include "proxy/keys/kms_local.hpp"
#include "tests/unit/keys/kms_support.hpp"

namespace fieldgate::keys::testing {

// A Kms with a scripted provider `aws:eu` and a local one, whose time and transport the test moves.
struct KmsTest : ::testing::Test {
    ScriptedTransport transport;
    UnixTime now{std::chrono::seconds(1700000000)};
    ScriptedProvider* aws = nullptr;  // owned by `kms`
    double random = 0.5;
    std::vector<std::string> logged;
    std::optional<Kms> kms;

    KmsOptions options() {
        KmsOptions options;
        options.now = [this] { return now; };
        options.steady_now = [this] { return transport.steady; };
        options.random = [this] { return random; };
        options.on_done = [this](const std::string& provider, KmsCall, const Failure* failure) {
            logged.push_back(failure == nullptr ? provider + " ok" : failure->text);
        };
        return options;
    }
    void SetUp() override {
        Kms::Providers providers;
        auto scripted = std::make_unique<ScriptedProvider>();
        aws = scripted.get();
        providers.emplace("aws:eu", std::move(scripted));
        providers.emplace("local", make_local_kms(secret_of(1)));
        kms.emplace(transport, std::move(providers), options());
    }

    using Outcome = std::shared_ptr<std::string>;
    // "": no outcome yet. "key 7", or the text of the failure.
    Outcome unwrap(std::uint8_t fill = 7) {
        auto outcome = std::make_shared<std::string>();
        kms->unwrap("aws:eu", aws_key, {fill}, [outcome](const Result<crypto::DataKey>& key) {
            ASSERT_EQ(*outcome, "") << "told twice";
            *outcome = key ? "key " + std::to_string(key->expose_secret()[0]) : key.error().text;
        });
        return outcome;
    }
    std::uint64_t count(KmsCall call, const std::string& outcome) {
        for (const KmsCount& count : kms->counts()) {
            if (count.provider == "aws:eu" && count.call == call && count.outcome == outcome)
                return count.count;
        }
        return 0;
    }
};

}  // namespace fieldgate::keys::testing
