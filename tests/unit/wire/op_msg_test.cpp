#include <gtest/gtest.h>

#include "proxy/bson/error.hpp"
#include "proxy/wire/error.hpp"
#include "proxy/wire/message.hpp"
#include "tests/unit/wire/samples.hpp"

namespace fieldgate::wire {
namespace {

using namespace samples;

boost::system::error_code parse_error(const Buffer& frame) {
    return OpMsg::parse(frame).error();
}

const Buffer command = insert_command();
const Buffer two_patients = patient(1) + patient(2);

struct Sample {
    const char* name;
    Buffer frame;
    std::size_t sequence_count;
};

std::vector<Sample> good_messages() {
    const Buffer body = body_section(command);
    const Buffer documents = sequence_section("documents", two_patients);
    const Buffer other = sequence_section("nsInfo", patient(3));
    return {
        {"body only", op_msg(0, body), 0},
        {"body, sequence", op_msg(0, body + documents), 1},
        {"sequence, body", op_msg(0, documents + body), 1},
        {"sequence, body, sequence", op_msg(0, documents + body + other), 2},
        {"two sequences, body", op_msg(0, other + documents + body), 2},
        {"body, two sequences", op_msg(0, body + documents + other), 2},
        {"empty sequence", op_msg(0, body + sequence_section("documents", {})), 1},
        {"unnamed sequence", op_msg(0, body + sequence_section("", two_patients)), 1},
        {"empty body", op_msg(0, body_section(empty_document())), 0},
        {"checksum", op_msg(flag_checksum_present, documents + body), 1},
        {"more to come", op_msg(flag_more_to_come, body), 0},
        {"all known flags", op_msg(flag_checksum_present | flag_more_to_come | flag_exhaust_allowed, body),
         0},
    };
}

TEST(OpMsg, parses_sections_in_any_order) {
    for (const Sample& sample : good_messages()) {
        SCOPED_TRACE(sample.name);
        const auto message = OpMsg::parse(sample.frame);
        ASSERT_TRUE(message) << message.error().message();
        EXPECT_EQ(message->header.request_id, 7);
        EXPECT_EQ(message->sequences().size(), sample.sequence_count);
        EXPECT_EQ(message->body.bytes().data(), sample.frame.data() + message->body_offset);
        for (const Sequence& sequence : message->sequences()) {
            EXPECT_EQ(sample.frame[sequence.section_offset], 1);
            EXPECT_EQ(sequence.documents.data(),
                      sample.frame.data() + sequence.section_offset + 5 + sequence.id.size() + 1);
        }
    }
}

TEST(OpMsg, serializes_to_the_bytes_it_was_parsed_from) {
    for (const Sample& sample : good_messages()) {
        SCOPED_TRACE(sample.name);
        const auto message = OpMsg::parse(sample.frame);
        ASSERT_TRUE(message);
        EXPECT_EQ(serialize(*message), sample.frame);
    }
}

TEST(OpMsg, gives_names_and_documents_of_sequences) {
    const Buffer frame = op_msg(0, sequence_section("ops", two_patients) + body_section(command) +
                                       sequence_section("nsInfo", patient(3)));
    const auto message = OpMsg::parse(frame);
    ASSERT_TRUE(message);
    EXPECT_EQ(message->sequences()[0].id, "ops");
    EXPECT_EQ(message->sequences()[0].section_offset, 20u);
    EXPECT_EQ(Buffer(message->sequences()[0].documents.begin(), message->sequences()[0].documents.end()),
              two_patients);
    EXPECT_EQ(message->sequences()[1].id, "nsInfo");
    EXPECT_EQ(message->body.find("$db")->string(), "medicalRecords");
}

TEST(OpMsg, refuses_every_truncation) {
    for (const Sample& sample : good_messages()) {
        SCOPED_TRACE(sample.name);
        for (std::size_t size = 0; size < sample.frame.size(); ++size) {
            Buffer cut(sample.frame.begin(), sample.frame.begin() + static_cast<std::ptrdiff_t>(size));
            EXPECT_TRUE(parse_error(cut)) << size;
            if (size < header_bytes) continue;
            // A length that agrees with the cut helps only where a whole section is gone.
            put_u32(cut, 0, static_cast<std::uint32_t>(size));
            const auto message = OpMsg::parse(cut);
            if (message) {
                EXPECT_EQ(serialize(*message), cut) << size;
            }
        }
    }
}

TEST(OpMsg, refuses_every_length_off_by_one) {
    const std::size_t sequence_at = 20;
    const std::size_t documents_at = sequence_at + 5 + std::string_view("documents").size() + 1;
    const std::size_t body_at = documents_at + two_patients.size() + 1;
    const Buffer frame = op_msg(0, sequence_section("documents", two_patients) + body_section(command));
    ASSERT_TRUE(OpMsg::parse(frame));
    struct Case {
        const char* name;
        std::size_t length_at;
        Errc expected;
    };
    const Case cases[] = {
        {"message", 0, Errc::length_mismatch},
        {"sequence", sequence_at + 1, Errc::sequence_malformed},
        {"first document", documents_at, Errc::sequence_malformed},
        {"second document", documents_at + patient(1).size(), Errc::sequence_malformed},
        {"body", body_at, Errc::message_truncated},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.name);
        for (const std::uint32_t off : {1u, 0xFFFFFFFFu}) {
            Buffer wrong = frame;
            put_u32(wrong, c.length_at, get_u32(frame, c.length_at) + off);
            EXPECT_TRUE(parse_error(wrong));
        }
        for (const std::uint32_t hostile : {0u, 4u, 0x7FFFFFFFu, 0x80000000u, 0xFFFFFFFFu}) {
            Buffer wrong = frame;
            put_u32(wrong, c.length_at, hostile);
            EXPECT_EQ(parse_error(wrong), c.expected) << hostile;
        }
    }
}

TEST(OpMsg, refuses_what_the_server_refuses) {
    const Buffer body = body_section(command);
    const Buffer documents = sequence_section("documents", two_patients);
    Buffer colliding;
    bson::Builder(colliding).append_string("insert", "c").open_array("documents").close().finish();
    Buffer malformed;
    bson::Builder(malformed).append_value("k", bson::Type::boolean, Buffer{2}).finish();
    struct Case {
        const char* name;
        Buffer frame;
        boost::system::error_code expected;
    };
    const Case cases[] = {
        {"no section", op_msg(0, {}), Errc::body_missing},
        {"sequence only", op_msg(0, documents), Errc::body_missing},
        {"two bodies", op_msg(0, body + body), Errc::body_repeated},
        {"two bodies around a sequence", op_msg(0, body + documents + body), Errc::body_repeated},
        {"same sequence twice", op_msg(0, body + documents + documents), Errc::sequence_repeated},
        {"same name, other documents", op_msg(0, documents + body + sequence_section("documents", {})),
         Errc::sequence_repeated},
        {"three sequences",
         op_msg(0, body + documents + sequence_section("a", {}) + sequence_section("b", {})),
         Errc::too_many_sequences},
        {"sequence named like a field, before", op_msg(0, documents + body_section(colliding)),
         Errc::sequence_also_in_body},
        {"sequence named like a field, after", op_msg(0, body_section(colliding) + documents),
         Errc::sequence_also_in_body},
        {"section kind 2", op_msg(0, body + Buffer{2} + empty_document()), Errc::unknown_section_kind},
        {"section kind 255", op_msg(0, Buffer{255} + body), Errc::unknown_section_kind},
        {"kind byte and nothing else", op_msg(0, body + Buffer{0}), Errc::body_repeated},
        {"body without document", op_msg(0, Buffer{0}), Errc::message_truncated},
        {"name without end", op_msg(0, body + Buffer{1} + le32(6) + text("ab")), Errc::sequence_malformed},
        {"sequence without name", op_msg(0, body + Buffer{1} + le32(4)), Errc::sequence_malformed},
        {"sequence of size 3", op_msg(0, body + Buffer{1} + le32(3) + Buffer{0}), Errc::sequence_malformed},
        {"half a document", op_msg(0, body + sequence_section("documents", Buffer{5, 0, 0, 0})),
         Errc::sequence_malformed},
        {"malformed body", op_msg(0, body_section(malformed)), bson::Errc::boolean_malformed},
        {"no flags", message(Opcode::msg, {}), Errc::message_truncated},
        {"OP_QUERY", message(Opcode::query, le32(0) + body), Errc::wrong_opcode},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.name);
        EXPECT_EQ(parse_error(c.frame), c.expected) << parse_error(c.frame).message();
    }
}

TEST(OpMsg, accepts_a_sequence_named_like_a_nested_field) {
    Buffer body;
    bson::Builder(body).open_document("outer").append_null("documents").close().finish();
    EXPECT_TRUE(OpMsg::parse(op_msg(0, body_section(body) + sequence_section("documents", two_patients))));
}

TEST(OpMsg, refuses_unknown_required_flags_and_ignores_optional_ones) {
    for (std::uint32_t bit = 0; bit < 32; ++bit) {
        SCOPED_TRACE(bit);
        const Buffer frame = op_msg(1u << bit, body_section(command));
        if (bit <= 1 || bit >= 16) {
            EXPECT_TRUE(OpMsg::parse(frame));
        } else {
            EXPECT_EQ(parse_error(frame), Errc::unknown_flags);
        }
    }
}

TEST(OpMsg, verifies_checksums) {
    const Buffer frame =
        op_msg(flag_checksum_present, body_section(command) + sequence_section("d", two_patients));
    ASSERT_TRUE(OpMsg::parse(frame));
    for (std::size_t at = 0; at < frame.size(); ++at) {
        Buffer flipped = frame;
        flipped[at] ^= 0x10;
        EXPECT_TRUE(parse_error(flipped)) << at;
        if (at >= header_bytes + 4) {
            EXPECT_EQ(parse_error(flipped), Errc::checksum_wrong) << at;
        }
    }
    // Missing: the flag is set, and the last four bytes are sections.
    Buffer missing = op_msg(0, body_section(command));
    put_u32(missing, header_bytes, flag_checksum_present);
    EXPECT_EQ(parse_error(missing), Errc::checksum_wrong);
    EXPECT_EQ(parse_error(message(Opcode::msg, le32(flag_checksum_present))), Errc::message_truncated);
    EXPECT_EQ(parse_error(message(Opcode::msg, le32(flag_checksum_present) + Buffer{1, 2, 3})),
              Errc::message_truncated);
    // Unannounced: four bytes too many.
    EXPECT_TRUE(parse_error(op_msg(0, body_section(command) + le32(0x12345678))));
}

TEST(OpMsg, does_not_enter_inner_documents) {
    // Analysis checks what it is going to look at; a message that is only forwarded costs its top level.
    Buffer inner;
    bson::Builder(inner).append_value("k", bson::Type::boolean, Buffer{2}).finish();
    Buffer body;
    bson::Builder(body).append_document("d", inner).finish();
    EXPECT_TRUE(OpMsg::parse(op_msg(0, body_section(body) + sequence_section("documents", inner))));
}

TEST(MakeOpMsg, makes_what_parse_reads) {
    for (const std::uint32_t flags : {0u, flag_more_to_come, flag_checksum_present}) {
        SCOPED_TRACE(flags);
        const Buffer frame = make_op_msg(11, 22, command, flags);
        const auto message = OpMsg::parse(frame);
        ASSERT_TRUE(message) << message.error().message();
        EXPECT_EQ(message->header.request_id, 11);
        EXPECT_EQ(message->header.response_to, 22);
        EXPECT_EQ(message->flags, flags);
        EXPECT_EQ(Buffer(message->body.bytes().begin(), message->body.bytes().end()), command);
    }
}

}  // namespace
}  // namespace fieldgate::wire
