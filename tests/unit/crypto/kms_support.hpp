#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "crypto/kms/exchange.hpp"
#include "tests/unit/crypto/test_bytes.hpp"

// What the tests of key managers share.
namespace fieldgate::crypto::kms {

inline std::string text_of(const SecretBuffer& buffer) {
    return std::string(text_of(buffer.expose_secret()));
}

inline Reply reply_of(int status, std::string_view body) {
    return {.status = status, .retry_after = {}, .body = SecretBuffer(bytes_of(body))};
}

// A failure as "kind code", to be compared in one line.
inline std::string described(const Failure& failure) {
    constexpr std::string_view kinds[] = {"refused", "credentials", "throttled", "unavailable", "malformed"};
    return std::string(kinds[static_cast<std::size_t>(failure.kind)]) + " " + failure.code;
}

template <class T>
std::string described(const Result<T>& result) {
    return result ? "ok" : described(result.error());
}

// Every request is HTTP that a strict reader takes: one head, no control character in it, a body as long as
// it says.
inline void expect_sound(const Request& request) {
    const std::string text = text_of(request.bytes);
    const std::size_t end = text.find("\r\n\r\n");
    ASSERT_NE(end, std::string::npos);
    std::string_view head = std::string_view(text).substr(0, end);
    std::size_t body_bytes = 0;
    while (!head.empty()) {
        const std::string_view line = head.substr(0, head.find("\r\n"));
        head.remove_prefix(std::min(head.size(), line.size() + 2));
        for (const char c : line) EXPECT_TRUE(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) << line;
        if (line.starts_with("Content-Length: ")) body_bytes = std::stoul(std::string(line.substr(16)));
    }
    EXPECT_EQ(text.size() - end - 4, body_bytes);
}

}  // namespace fieldgate::crypto::kms
