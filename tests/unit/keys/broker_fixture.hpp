#pragma once

#include <gtest/gtest.h>

#include "proxy/keys/broker.hpp"
#include "proxy/keys/kms_local.hpp"
#include "tests/unit/keys/kms_support.hpp"

namespace fieldgate::keys::testing {

using namespace std::chrono_literals;

// Questions are kept until the test answers them.
class ScriptedVault final : public KeyVault {
 public:
    void find(const KeyRequest& request, Done done) override {
        requests.push_back(request);
        pending_ = std::move(done);
    }

    void answer(const std::vector<KeyDocument>& keys) {
        Found found;
        for (const KeyDocument& key : keys) found.documents.push_back(build_key_document(key));
        answer(std::move(found));
    }
    void answer(Found found) {
        ASSERT_TRUE(pending_) << "no query is under way";
        std::exchange(pending_, {})(std::move(found));
    }
    bool busy() const { return static_cast<bool>(pending_); }

    std::vector<KeyRequest> requests;

 private:
    Done pending_;
};

struct BrokerTest : ::testing::Test {
    Clock::time_point now = Clock::time_point(1000s);
    ScriptedVault vault;
    std::vector<std::string> moved;
    std::vector<std::string> failures;
    std::vector<std::string> details;
    std::vector<std::uint64_t> untold;
    std::vector<std::string> refresh_failures;
    ScriptedTransport transport;
    ScriptedProvider* aws = nullptr;  // owned by `kms`
    Kms kms{transport, providers(), kms_options()};
    Broker broker{vault, kms, options()};

    Kms::Providers providers() {
        Kms::Providers providers;
        providers.emplace("local", make_local_kms(secret_of(1)));
        auto scripted = std::make_unique<ScriptedProvider>();
        aws = scripted.get();
        providers.emplace("aws", std::move(scripted));
        providers.emplace("aws:other", std::make_unique<ScriptedProvider>());
        return providers;
    }
    KmsOptions kms_options() {
        KmsOptions options;
        options.steady_now = [this] { return now; };
        options.random = [] { return 0.0; };
        return options;
    }

    BrokerOptions options() {
        return {
            .key_vault_namespace = "encryption.__keyVault",
            .now = [this] { return now; },
            .on_name_moved = [this](const std::string& name, const crypto::KeyId&,
                                    const crypto::KeyId&) { moved.push_back(name); },
            .on_failure =
                [this](const KeyError& error, const std::string& detail) {
                    failures.push_back(error.errmsg);
                    details.push_back(detail);
                },
            .on_failures_untold = [this](std::uint64_t count) { untold.push_back(count); },
            .on_refresh_failure = [this](const KeyError& error,
                                         const std::string&) { refresh_failures.push_back(error.errmsg); }};
    }

    // A document whose key is 96 times `fill`, wrapped by the provider `aws`.
    static KeyDocument aws_key_of(std::uint8_t id_fill, std::vector<std::string> alt_names = {},
                                  std::uint8_t fill = 7) {
        KeyDocument key = key_of(id_fill, std::move(alt_names));
        key.provider = "aws";
        key.master_key = aws_key;
        key.wrapped.assign(1, fill);
        return key;
    }
    // Time passes for everybody, a second at a time, as the broker's thread lets it pass.
    void pass(std::chrono::seconds time) {
        for (auto i = 0s; i < time; ++i) {
            now += 1s;
            transport.pass(1s);
            broker.tick();
        }
    }

    // The answer arrives in the returned place once the broker has it.
    std::shared_ptr<std::optional<KeyResult>> ask(KeyRequest request) {
        auto place = std::make_shared<std::optional<KeyResult>>();
        broker.request(request, [place](KeyResult result) {
            ASSERT_FALSE(place->has_value()) << "answered twice";
            *place = std::move(result);
        });
        return place;
    }

    static const ReadyKey* ready(const std::optional<KeyResult>& result, const crypto::KeyId& id) {
        if (!result) return nullptr;
        for (const auto& [key, answer] : result->ids) {
            if (key == id) return std::get_if<ReadyKey>(&answer);
        }
        return nullptr;
    }
    static std::string error(const std::optional<KeyResult>& result, const crypto::KeyId& id) {
        if (!result) return "(no answer yet)";
        for (const auto& [key, answer] : result->ids) {
            if (key != id) continue;
            const auto* failed = std::get_if<FailedKey>(&answer);
            return failed == nullptr ? "" : failed->error.errmsg;
        }
        return "(not answered)";
    }
    static std::optional<crypto::KeyId> named(const std::optional<KeyResult>& result, std::string_view name) {
        if (!result) return std::nullopt;
        for (const auto& [key, answer] : result->alt_names) {
            if (key != name) continue;
            if (const auto* id = std::get_if<crypto::KeyId>(&answer)) return *id;
        }
        return std::nullopt;
    }
    static std::string name_error(const std::optional<KeyResult>& result, std::string_view name) {
        if (!result) return "(no answer yet)";
        for (const auto& [key, answer] : result->alt_names) {
            if (key != name) continue;
            const auto* failed = std::get_if<FailedKey>(&answer);
            return failed == nullptr ? "" : failed->error.errmsg;
        }
        return "(not answered)";
    }
};

}  // namespace fieldgate::keys::testing
