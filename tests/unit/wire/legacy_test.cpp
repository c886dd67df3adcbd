#include <gtest/gtest.h>

#include "proxy/bson/error.hpp"
#include "proxy/wire/error.hpp"
#include "proxy/wire/message.hpp"
#include "tests/unit/wire/samples.hpp"

namespace fieldgate::wire {
namespace {

using namespace samples;

Buffer hello() {
    Buffer document;
    bson::Builder(document).append_int32("isMaster", 1).append_bool("helloOk", true).finish();
    return document;
}

Buffer query(const Buffer& tail) {
    return message(Opcode::query,
                   le32(4) + text("admin.$cmd") + Buffer{0} + le32(0) + le32(0xFFFFFFFFu) + tail);
}

Buffer reply(std::uint32_t document_count, const Buffer& documents) {
    return message(Opcode::reply, le32(8) + Buffer(8, 0) + le32(0) + le32(document_count) + documents);
}

TEST(OpQuery, parses_the_hello_of_older_drivers) {
    const Buffer frame = query(hello());
    const auto message = OpQuery::parse(frame);
    ASSERT_TRUE(message) << message.error().message();
    EXPECT_EQ(message->header.request_id, 7);
    EXPECT_EQ(message->flags, 4u);
    EXPECT_EQ(message->full_collection_name, "admin.$cmd");
    EXPECT_TRUE(message->is_command());
    EXPECT_EQ(message->number_to_skip, 0);
    EXPECT_EQ(message->number_to_return, -1);
    EXPECT_TRUE(message->query.find("helloOk")->truthy());
    EXPECT_TRUE(OpQuery::parse(query(hello() + empty_document())));
}

TEST(OpQuery, refuses_every_truncation_and_what_follows_the_end) {
    const Buffer frame = query(hello());
    for (std::size_t size = 0; size < frame.size(); ++size) {
        Buffer cut(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(size));
        EXPECT_FALSE(OpQuery::parse(cut)) << size;
        if (size < 4) continue;
        put_u32(cut, 0, static_cast<std::uint32_t>(size));
        EXPECT_FALSE(OpQuery::parse(cut)) << size;
    }
    EXPECT_EQ(OpQuery::parse(query(hello() + Buffer{0})).error(), Errc::message_truncated);
    EXPECT_EQ(OpQuery::parse(query(hello() + empty_document() + Buffer{0})).error(), Errc::trailing_bytes);
    EXPECT_EQ(OpQuery::parse(query(hello() + Buffer{5, 0, 0, 0, 1})).error(),
              bson::Errc::document_unterminated);
    EXPECT_EQ(OpQuery::parse(query(Buffer{6, 0, 0, 0, 0, 0})).error(), bson::Errc::document_length_mismatch);
    EXPECT_EQ(OpQuery::parse(reply(1, hello())).error(), Errc::wrong_opcode);
    Buffer longer = frame;
    put_u32(longer, 0, static_cast<std::uint32_t>(frame.size() + 1));
    EXPECT_EQ(OpQuery::parse(longer).error(), Errc::length_mismatch);
}

TEST(OpReply, parses_none_one_and_several_documents) {
    for (std::uint32_t count = 0; count <= 3; ++count) {
        Buffer documents;
        for (std::uint32_t i = 0; i < count; ++i) documents = documents + hello();
        const Buffer frame = reply(count, documents);
        const auto message = OpReply::parse(frame);
        ASSERT_TRUE(message) << count;
        EXPECT_EQ(message->response_flags, 8u);
        EXPECT_EQ(Buffer(message->documents.begin(), message->documents.end()), documents);
        EXPECT_EQ(OpReply::parse(reply(count + 1, documents)).error(), Errc::document_count_wrong);
    }
    EXPECT_EQ(OpReply::parse(reply(0, hello())).error(), Errc::document_count_wrong);
}

TEST(OpReply, refuses_every_truncation) {
    const Buffer frame = reply(1, hello());
    for (std::size_t size = 0; size < frame.size(); ++size) {
        Buffer cut(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(size));
        EXPECT_FALSE(OpReply::parse(cut)) << size;
        if (size < 4) continue;
        put_u32(cut, 0, static_cast<std::uint32_t>(size));
        EXPECT_FALSE(OpReply::parse(cut)) << size;
    }
    EXPECT_EQ(OpReply::parse(query(hello())).error(), Errc::wrong_opcode);
}

TEST(MakeOpReply, makes_what_parse_reads) {
    for (const bool failure : {false, true}) {
        const Buffer frame = make_op_reply(5, 6, hello(), failure);
        const auto message = OpReply::parse(frame);
        ASSERT_TRUE(message);
        EXPECT_EQ(message->header.request_id, 5);
        EXPECT_EQ(message->header.response_to, 6);
        EXPECT_EQ(message->response_flags, failure ? 10u : 8u);
        EXPECT_EQ(Buffer(message->documents.begin(), message->documents.end()), hello());
    }
}

}  // namespace
}  // namespace fieldgate::wire
