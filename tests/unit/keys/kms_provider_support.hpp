#pragma once

#include <gmock/gmock.h>

#include <memory>
#include <string>
#include <vector>

#include "crypto/kms/json.hpp"
#include "tests/unit/crypto/test_bytes.hpp"
#include "tests/unit/keys/kms_conversation.hpp"

// What the tests of AWS's and Vault's providers share.
namespace fieldgate::keys::testing {

inline const UnixTime start(std::chrono::seconds(1440938160));  // 2015-08-30T12:36:00Z

// A login that must be needed.
template <class... Replies>
Conversation log_in(KmsProvider& provider, UnixTime now, Replies... replies) {
    const auto login = provider.login(now);
    if (!login) return {.requests = {}, .outcome = "no login", .text = {}};
    std::vector<Reply> all;
    (all.push_back(std::move(replies)), ...);
    return converse(*login, std::move(all), now);
}

// One exchange, or the failure before it.
inline Conversation converse_once(KmsOperation& operation, Reply reply) {
    std::vector<Reply> one;
    one.push_back(std::move(reply));
    return converse(operation, std::move(one), start);
}

inline std::vector<crypto::kms::Endpoint> endpoints_of(const Conversation& conversation) {
    std::vector<crypto::kms::Endpoint> endpoints;
    for (const Request& request : conversation.requests) endpoints.push_back(request.endpoint);
    return endpoints;
}

// The value of a header of the first request; empty where there is none.
inline std::string header_of(const Conversation& conversation, const std::string& name) {
    if (conversation.requests.empty()) return "";
    const std::string text = conversation.sent(0);
    const std::string before = "\r\n" + name + ": ";
    const std::size_t at = text.find(before);
    if (at == std::string::npos) return "";
    return text.substr(at + before.size(), text.find('\r', at + before.size()) - at - before.size());
}

inline std::string base64_of(const crypto::DataKey& key) {
    crypto::SecretBuffer text;
    crypto::kms::append_base64(text, key);
    return text_of(text);
}

}  // namespace fieldgate::keys::testing
