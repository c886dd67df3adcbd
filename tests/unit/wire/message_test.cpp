#include "proxy/wire/message.hpp"

#include <gtest/gtest.h>

#include "proxy/wire/error.hpp"
#include "tests/unit/wire/samples.hpp"

namespace fieldgate::wire {
namespace {

using namespace samples;

Header header_of(const Buffer& frame) {
    return Header::parse(frame);
}

TEST(Header, reads_little_endian_fields) {
    const Header header = header_of(message(Opcode::compressed, Buffer(3, 0), 0x01020304, -2));
    EXPECT_EQ(header.message_bytes, 19);
    EXPECT_EQ(header.request_id, 0x01020304);
    EXPECT_EQ(header.response_to, -2);
    EXPECT_EQ(header.opcode, Opcode::compressed);
}

TEST(HeaderDeathTest, asserts_its_sixteen_bytes) {
    EXPECT_DEATH(Header::parse(Buffer(15, 0)), "assertion failed");
}

TEST(FinishMessage, writes_length_and_checksum) {
    Buffer frame = op_msg(flag_checksum_present, body_section(insert_command()));
    const Buffer expected = frame;
    put_u32(frame, 0, 1);
    put_u32(frame, frame.size() - 4, 0);
    finish_message(frame);
    EXPECT_EQ(frame, expected);
}

TEST(FinishMessage, leaves_the_end_alone_without_the_flag) {
    Buffer plain = op_msg(0, body_section(insert_command()));
    const Buffer expected = plain;
    put_u32(plain, 0, 1);
    finish_message(plain);
    EXPECT_EQ(plain, expected);
    // In other opcodes the same bit means something else.
    Buffer query = message(Opcode::query, le32(flag_checksum_present) + Buffer(8, 0xEE));
    const Buffer same = query;
    finish_message(query);
    EXPECT_EQ(query, same);
}

TEST(FinishMessageDeathTest, asserts_room_for_the_checksum) {
    Buffer frame = message(Opcode::msg, le32(flag_checksum_present) + Buffer(3, 0));
    EXPECT_DEATH(finish_message(frame), "assertion failed");
}

TEST(MakeRefusal, answers_in_the_reply_opcode_of_the_request) {
    Buffer error;
    bson::Builder(error).append_double("ok", 0).append_int32("code", 20).finish();
    struct Case {
        Opcode opcode;
        Opcode reply;  // 0: none
    };
    const Opcode none{};
    const Case cases[] = {
        {Opcode::msg, Opcode::msg},
        {Opcode::query, Opcode::reply},
        {Opcode::get_more, Opcode::reply},
        {Opcode::reply, none},
        {Opcode::update, none},
        {Opcode::insert, none},
        {Opcode::delete_, none},
        {Opcode::kill_cursors, none},
        {Opcode::compressed, none},
        {static_cast<Opcode>(2010), none},
        {static_cast<Opcode>(0), none},
        {static_cast<Opcode>(-1), none},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(static_cast<std::int32_t>(c.opcode));
        const Buffer plain = message(c.opcode, {}, 99);
        const Buffer wrapped = message(Opcode::compressed, le32(static_cast<std::uint32_t>(c.opcode)), 99);
        for (const Buffer& request : {plain, wrapped}) {
            const auto reply = make_refusal(header_of(request), error, 3, request);
            ASSERT_EQ(reply.has_value(), c.reply != none);
            if (!reply) continue;
            const Header header = header_of(*reply);
            EXPECT_EQ(header.opcode, c.reply);
            EXPECT_EQ(header.response_to, 99);
            EXPECT_EQ(header.request_id, 3);
            if (c.reply == Opcode::msg) {
                EXPECT_EQ(OpMsg::parse(*reply)->body.find("code")->int32(), 20);
            } else {
                EXPECT_EQ(OpReply::parse(*reply)->response_flags, 10u);
            }
        }
    }
}

TEST(MakeRefusal, answers_nothing_to_a_compressed_message_without_its_opcode) {
    const Buffer request = message(Opcode::compressed, {0xDD, 0x07, 0});
    EXPECT_FALSE(make_refusal(header_of(request), empty_document(), 1, request));
    EXPECT_FALSE(make_refusal(header_of(request), empty_document(), 1));
}

TEST(WireErrc, has_a_sentence_for_each_value) {
    for (int value = 0; value <= static_cast<int>(Errc::document_count_wrong); ++value) {
        EXPECT_NE(make_error_code(static_cast<Errc>(value)).message(), "unknown wire error") << value;
    }
    EXPECT_EQ(make_error_code(static_cast<Errc>(1000)).message(), "unknown wire error");
}

}  // namespace
}  // namespace fieldgate::wire
