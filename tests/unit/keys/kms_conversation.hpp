#pragma once

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "crypto/kms/exchange.hpp"
#include "proxy/keys/kms_provider.hpp"

// Holds the conversation of an operation with replies that a test gives: nothing else is faked but clock,
// environment and files.
namespace fieldgate::keys::testing {

using crypto::kms::Failure;
using crypto::kms::Reply;
using crypto::kms::Request;
using crypto::kms::Result;

inline std::string text_of(const crypto::SecretBuffer& buffer) {
    const auto bytes = buffer.expose_secret();
    return {bytes.begin(), bytes.end()};
}

inline Reply reply_of(int status, std::string_view body) {
    return {.status = status, .retry_after = {}, .body = crypto::SecretBuffer(crypto::kms::bytes_of(body))};
}

// "refused ItemNotFound": kind and code.
inline std::string described(const Failure& failure) {
    constexpr std::string_view kinds[] = {"refused", "credentials", "throttled", "unavailable", "malformed"};
    return std::string(kinds[static_cast<std::size_t>(failure.kind)]) + " " + failure.code;
}

template <class T>
std::string described(const Result<T>& result) {
    return result ? "ok" : described(result.error());
}

struct FakeEnvironment {
    std::map<std::string, std::string> variables;
    std::map<std::string, std::string> files;

    // Refers to this object.
    KmsEnvironment environment() {
        return {.variable = [this](const std::string& name) -> std::optional<std::string> {
                    const auto at = variables.find(name);
                    if (at == variables.end()) return std::nullopt;
                    return at->second;
                },
                .read_file = [this](const std::filesystem::path& file) -> Result<crypto::SecretBuffer> {
                    const auto at = files.find(file.string());
                    if (at == files.end()) {
                        return Failure{Failure::Kind::credentials, 0, "file_unreadable",
                                       "cannot read " + file.string()};
                    }
                    return crypto::SecretBuffer(crypto::kms::bytes_of(at->second));
                }};
    }
};

struct Conversation {
    std::vector<Request> requests;
    std::string outcome;  // "ok", or kind and code
    std::string text;     // of the failure

    std::string sent(std::size_t at) const { return text_of(requests.at(at).bytes); }
};

// Until the operation is complete or fails. More requests than replies are a failure of the test.
inline Conversation converse(KmsOperation& operation, std::vector<Reply> replies, UnixTime now = {}) {
    Conversation held;
    const auto failed = [&](const Failure& failure) {
        held.outcome = described(failure);
        held.text = failure.text;
    };
    for (std::size_t at = 0;; ++at) {
        auto request = operation.next(now);
        if (!request) {
            failed(request.error());
            break;
        }
        if (!*request) {
            held.outcome = "ok";
            EXPECT_EQ(at, replies.size()) << "it asked less than expected";
            break;
        }
        held.requests.push_back(std::move(**request));
        if (at == replies.size()) {
            ADD_FAILURE() << "it asked more than expected: " << held.sent(at);
            break;
        }
        if (const auto failure = operation.reply(replies[at], now)) {
            failed(*failure);
            EXPECT_EQ(at + 1, replies.size()) << "it failed early: " << held.text;
            break;
        }
    }
    return held;
}

}  // namespace fieldgate::keys::testing
