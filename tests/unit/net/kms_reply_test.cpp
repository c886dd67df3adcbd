#include "proxy/net/kms_reply.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace fieldgate::net {
namespace {

using crypto::kms::Failure;
using crypto::kms::Protocol;
using crypto::kms::reply_bytes_max;
using State = KmsReplyReader::State;

State feed(KmsReplyReader& reader, std::string_view text) {
    State state = State::more;
    while (!text.empty() && state == State::more) {
        const auto room = reader.prepare();
        const std::size_t part = std::min(room.size(), text.size());
        std::copy_n(text.begin(), part, room.begin());
        text.remove_prefix(part);
        state = reader.commit(part);
    }
    return state;
}

std::string body_of(const crypto::kms::Reply& reply) {
    const auto bytes = reply.body.expose_secret();
    return {bytes.begin(), bytes.end()};
}

// "200 body", or the failure's code, or "more".
std::string outcome_of(KmsReplyReader& reader, State state) {
    if (state == State::more) return "more";
    if (state == State::failed) return reader.failure().code;
    const auto reply = reader.take();
    return std::to_string(reply.status) + " " + body_of(reply);
}

std::string read(std::string_view text, bool ends = false, Protocol protocol = Protocol::http) {
    KmsReplyReader reader(protocol);
    State state = feed(reader, text);
    if (ends && state == State::more) state = reader.end();
    return outcome_of(reader, state);
}

TEST(KmsReply, reads_every_kind_of_body_however_it_is_cut) {
    struct Case {
        const char* name;
        std::string text;
        const char* expected;
        bool may_continue;
        bool ends = false;
    };
    const Case cases[] = {
        {"length", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", "200 body", true},
        {"chunks",
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nbo\r\n2\r\ndy\r\n0\r\nA: b\r\n\r\n",
         "200 body", true},
        {"up to the end", "HTTP/1.1 200 OK\r\n\r\nbody", "200 body", false, true},
        {"HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nbody", "200 body", false, true},
        {"HTTP/1.0 with a length", "HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nbody", "200 body", false},
        {"the connection ends after it",
         "HTTP/1.1 403 No\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody", "403 body", false},
        {"no body", "HTTP/1.1 204 Nothing\r\n\r\n", "204 ", true},
        {"an empty body", "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", "500 ", true},
        {"an interim reply", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
         "200 body", true},
    };
    for (const Case& c : cases) {
        for (std::size_t cut = 0; cut <= c.text.size(); ++cut) {
            SCOPED_TRACE(std::string(c.name) + " cut at " + std::to_string(cut));
            KmsReplyReader reader(Protocol::http);
            EXPECT_FALSE(reader.has_begun());
            State state = feed(reader, c.text.substr(0, cut));
            if (cut < c.text.size()) {
                ASSERT_EQ(state, State::more);
                state = feed(reader, c.text.substr(cut));
            }
            if (c.ends) {
                ASSERT_EQ(state, State::more);
                state = reader.end();
            }
            ASSERT_EQ(state, State::complete);
            EXPECT_TRUE(reader.has_begun());
            EXPECT_EQ(reader.may_continue(), c.may_continue);
            EXPECT_EQ(outcome_of(reader, state), c.expected);
        }
    }
}

TEST(KmsReply, bytes_behind_the_reply_end_the_connection) {
    KmsReplyReader reader(Protocol::http);
    EXPECT_EQ(feed(reader, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbodyHTTP/1.1"), State::complete);
    EXPECT_FALSE(reader.may_continue());
    EXPECT_EQ(outcome_of(reader, State::complete), "200 body");
}

TEST(KmsReply, reads_when_to_come_back) {
    struct Case {
        const char* value;
        int seconds;  // -1: nothing
    };
    for (const Case& c :
         {Case{"7", 7}, Case{"0", 0}, Case{"Fri, 31 Dec 1999 23:59:59 GMT", -1}, Case{"-1", -1},
          Case{"7 ", 7}, Case{"7s", -1}, Case{"99999999999999999999", -1}, Case{"", -1}}) {
        SCOPED_TRACE(c.value);
        KmsReplyReader reader(Protocol::http);
        ASSERT_EQ(feed(reader, "HTTP/1.1 429 Slow\r\nRetry-After: " + std::string(c.value) +
                                   "\r\nContent-Length: 0\r\n\r\n"),
                  State::complete);
        const auto reply = reader.take();
        if (c.seconds < 0) {
            EXPECT_FALSE(reply.retry_after);
        } else {
            ASSERT_TRUE(reply.retry_after);
            EXPECT_EQ(reply.retry_after->count(), c.seconds);
        }
    }
}

TEST(KmsReply, says_what_is_wrong) {
    EXPECT_EQ(read("SSH-2.0-OpenSSH_9.2\r\n\r\n"), "not_http");
    EXPECT_EQ(read("HTTP/1.1 2000 OK\r\n\r\n"), "not_http");
    EXPECT_EQ(read("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), "not_http");
    EXPECT_EQ(read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), "not_http");
    EXPECT_EQ(read("", true), "closed");
    EXPECT_EQ(read("HTTP/1.1 200 O", true), "truncated");
    EXPECT_EQ(read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nbody", true), "truncated");
    EXPECT_EQ(read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n", true), "truncated");
    EXPECT_EQ(read("HTTP/1.1 100 Continue\r\n\r\n", true), "truncated");
}

TEST(KmsReply, bounds_the_body) {
    const std::string most(reply_bytes_max, 'x');
    const std::string length = "HTTP/1.1 200 OK\r\nContent-Length: ";
    EXPECT_EQ(read(length + std::to_string(most.size()) + "\r\n\r\n" + most), "200 " + most);
    EXPECT_EQ(read(length + std::to_string(most.size() + 1) + "\r\n\r\n"), "reply_too_large")
        << "without waiting for it";
    EXPECT_EQ(read("HTTP/1.1 200 OK\r\n\r\n" + most, true), "200 " + most);
    EXPECT_EQ(read("HTTP/1.1 200 OK\r\n\r\n" + most + "x", true), "reply_too_large");
    const std::string chunks =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000\r\n" + most + "\r\n";
    EXPECT_EQ(read(chunks + "0\r\n\r\n"), "200 " + most);
    EXPECT_EQ(read(chunks + "1\r\nx\r\n0\r\n\r\n"), "reply_too_large");
}

TEST(KmsReply, bounds_the_header) {
    const std::string fields = "Content-Length: 0\r\nX: ";
    const std::string start = "HTTP/1.1 200 OK\r\n" + fields;
    const auto reply = [&](std::size_t header_bytes) {
        return start + std::string(header_bytes - fields.size() - 4, 'x') + "\r\n\r\n";
    };
    EXPECT_EQ(read(reply(KmsReplyReader::header_bytes_max)), "200 ");
    EXPECT_EQ(read(reply(KmsReplyReader::header_bytes_max + 1)), "reply_too_large");
    EXPECT_EQ(read(start + std::string(100000, 'x')), "reply_too_large") << "one that never ends";
}

TEST(KmsReply, bounds_what_is_around_the_body) {
    std::string chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (int i = 0; i < 40000; ++i) chunks += "1\r\nx\r\n";
    EXPECT_EQ(read(chunks), "reply_too_large");
    std::string interim;
    for (int i = 0; i < 10000; ++i) interim += "HTTP/1.1 100 Continue\r\n\r\n";
    EXPECT_EQ(read(interim), "reply_too_large");
    const std::string extension =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + std::string(100000, 'x');
    EXPECT_EQ(read(extension), "reply_too_large");
}

std::string ttlv(std::size_t length, std::string_view start) {
    std::string text(start);
    for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(length >> shift & 0xFF);
    return text + std::string(std::min(length, reply_bytes_max), 'v');
}

TEST(KmsReply, reads_one_kmip_message_however_it_is_cut) {
    const std::string message = ttlv(16, std::string_view("\x42\x00\x7B\x01", 4));
    for (std::size_t cut = 0; cut < message.size(); ++cut) {
        SCOPED_TRACE(cut);
        KmsReplyReader reader(Protocol::kmip);
        ASSERT_EQ(feed(reader, message.substr(0, cut)), State::more);
        ASSERT_EQ(feed(reader, message.substr(cut)), State::complete);
        EXPECT_TRUE(reader.may_continue());
        EXPECT_EQ(outcome_of(reader, State::complete), "200 " + message);
    }
    KmsReplyReader reader(Protocol::kmip);
    ASSERT_EQ(feed(reader, message + "x"), State::complete);
    EXPECT_FALSE(reader.may_continue());
}

TEST(KmsReply, says_what_is_wrong_with_kmip) {
    const std::string_view tag("\x42\x00\x7B\x01", 4);
    EXPECT_EQ(read(ttlv(reply_bytes_max - 8, tag), false, Protocol::kmip),
              "200 " + ttlv(reply_bytes_max - 8, tag));
    EXPECT_EQ(read(ttlv(reply_bytes_max - 7, tag), false, Protocol::kmip), "reply_too_large");
    EXPECT_EQ(read(ttlv(0xFFFFFFFF, tag), false, Protocol::kmip), "reply_too_large");
    EXPECT_EQ(read(ttlv(0, tag), false, Protocol::kmip), "200 " + ttlv(0, tag));
    EXPECT_EQ(read("HTTP/1.1 400 Bad Request\r\n\r\n", false, Protocol::kmip), "not_kmip");
    EXPECT_EQ(read(ttlv(8, std::string_view("\x42\x00\x78\x01", 4)), false, Protocol::kmip), "not_kmip")
        << "a request";
    EXPECT_EQ(read("", true, Protocol::kmip), "closed");
    EXPECT_EQ(read(ttlv(16, tag).substr(0, 23), true, Protocol::kmip), "truncated");
    EXPECT_EQ(read(ttlv(16, tag).substr(0, 7), true, Protocol::kmip), "truncated");
}

}  // namespace
}  // namespace fieldgate::net
