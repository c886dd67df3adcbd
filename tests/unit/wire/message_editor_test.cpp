#include "proxy/wire/message_editor.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "proxy/bson/error.hpp"
#include "tests/unit/wire/samples.hpp"

namespace fieldgate::wire {
namespace {

using namespace samples;

// A message in parts, so that the expected result can be put together from changed parts.
struct Parts {
    std::uint32_t flags = 0;
    Buffer command = insert_command();
    std::vector<Buffer> first = {patient(1), patient(2), patient(3)};
    std::vector<Buffer> second = {patient(4)};
    int order = 0;

    Buffer build() const {
        const auto join = [](const std::vector<Buffer>& documents) {
            Buffer all;
            for (const Buffer& document : documents) all = all + document;
            return all;
        };
        const Buffer body = body_section(command);
        const Buffer one = sequence_section("documents", join(first));
        const Buffer two = sequence_section("nsInfo", join(second));
        switch (order) {
            case 0:
                return op_msg(flags, body + one + two);
            case 1:
                return op_msg(flags, one + body + two);
            default:
                return op_msg(flags, two + one + body);
        }
    }
};

// The same edit made in a part before the message is put together: a new value for `ssn` and for `$db`.
Buffer with_replaced(const Buffer& document, std::string_view key, const Buffer& value) {
    Buffer out;
    bson::Builder builder(out);
    for (const bson::Element element : bson::DocumentView::unchecked(document)) {
        if (element.key() != key) {
            builder.append_element(element);
        } else if (!value.empty()) {
            builder.append_value(key, bson::Type::binary, value);
        }
    }
    builder.finish();
    return out;
}

std::size_t offset_of(const Buffer& frame, Bytes document, std::string_view key) {
    const auto element = bson::DocumentView::unchecked(document).find(key);
    return static_cast<std::size_t>(element->raw().data() - frame.data());
}

// Offsets of `ssn` in every sequence document and of `$db` in the body, in the order of the wire.
std::vector<std::size_t> edit_offsets(const Buffer& frame, const OpMsg& message) {
    std::vector<std::size_t> offsets = {offset_of(frame, message.body.bytes(), "$db")};
    for (const Sequence& sequence : message.sequences()) {
        Bytes rest = sequence.documents;
        while (!rest.empty()) {
            const Bytes document = rest.first(boost::endian::load_little_u32(rest.data()));
            offsets.push_back(offset_of(frame, document, "ssn"));
            rest = rest.subspan(document.size());
        }
    }
    std::ranges::sort(offsets);
    return offsets;
}

const Buffer blob = le32(100) + Buffer{6} + Buffer(100, 0xC1);

boost::system::result<Buffer> edit_all(const Buffer& frame, const std::vector<std::size_t>& offsets,
                                       const Buffer& value, const MessageEditor::Options& options = {}) {
    const auto message = OpMsg::parse(frame);
    EXPECT_TRUE(message);
    MessageEditor editor(*message, frame, options);
    for (const std::size_t offset : offsets) {
        const auto element = editor.advance_to(offset);
        if (!element) return element.error();
        EXPECT_TRUE(element->key() == "ssn" || element->key() == "$db") << element->key();
        if (value.empty()) {
            editor.remove();
            continue;
        }
        const auto room = editor.replace_value(bson::Type::binary, value.size());
        if (!room) return room.error();
        std::copy(value.begin(), value.end(), room->begin());
    }
    return editor.finish();
}

TEST(MessageEditor, edits_body_and_sequences_in_any_order) {
    for (const int order : {0, 1, 2}) {
        for (const std::uint32_t flags : {0u, flag_checksum_present}) {
            for (const Buffer& value : {blob, Buffer{}}) {
                SCOPED_TRACE(testing::Message() << order << " flags " << flags << " bytes " << value.size());
                Parts parts;
                parts.flags = flags;
                parts.order = order;
                const Buffer frame = parts.build();
                const auto message = OpMsg::parse(frame);
                ASSERT_TRUE(message);
                const auto edited = edit_all(frame, edit_offsets(frame, *message), value);
                ASSERT_TRUE(edited);
                parts.command = with_replaced(parts.command, "$db", value);
                for (auto* documents : {&parts.first, &parts.second}) {
                    for (Buffer& document : *documents) document = with_replaced(document, "ssn", value);
                }
                EXPECT_EQ(*edited, parts.build());
                EXPECT_TRUE(OpMsg::parse(*edited));
            }
        }
    }
}

TEST(MessageEditor, makes_each_edit_alone) {
    for (const int order : {0, 1, 2}) {
        Parts parts;
        parts.order = order;
        parts.flags = flag_checksum_present;
        const Buffer frame = parts.build();
        const auto message = OpMsg::parse(frame);
        ASSERT_TRUE(message);
        for (const std::size_t offset : edit_offsets(frame, *message)) {
            SCOPED_TRACE(testing::Message() << order << " at " << offset);
            const auto edited = edit_all(frame, {offset}, blob);
            ASSERT_TRUE(edited);
            const auto again = OpMsg::parse(*edited);
            ASSERT_TRUE(again) << again.error().message();
            EXPECT_EQ(edited->size(), frame.size() -
                                          (offset == offset_of(frame, message->body.bytes(), "$db")
                                               ? message->body.find("$db")->value().size()
                                               : 4) +
                                          blob.size());
        }
    }
}

TEST(MessageEditor, edits_inside_inner_documents) {
    Parts parts;
    parts.order = 1;
    const Buffer frame = parts.build();
    const auto message = OpMsg::parse(frame);
    ASSERT_TRUE(message);
    const Bytes first = message->sequences()[0].documents.first(patient(1).size());
    const auto insurance = bson::DocumentView::unchecked(first).find("insurance");
    const std::size_t offset = offset_of(frame, insurance->value(), "policyNumber");
    MessageEditor editor(*message, frame, {});
    ASSERT_TRUE(editor.advance_to(offset));
    const auto room = editor.replace_value(bson::Type::binary, blob.size());
    ASSERT_TRUE(room);
    std::copy(blob.begin(), blob.end(), room->begin());
    const auto edited = editor.finish();
    ASSERT_TRUE(edited);
    const auto again = OpMsg::parse(*edited);
    ASSERT_TRUE(again);
    const Bytes document = again->sequences()[0].documents.first(patient(1).size() + blob.size() - 4);
    ASSERT_TRUE(bson::DocumentView::check(document, bson::Limits{}));
    const auto value =
        bson::DocumentView::unchecked(document).find("insurance")->document().find("policyNumber");
    EXPECT_EQ(value->binary().subtype, 6);
}

TEST(MessageEditor, gives_the_same_message_without_edits) {
    for (const std::uint32_t flags : {0u, flag_checksum_present, flag_more_to_come}) {
        Parts parts;
        parts.flags = flags;
        const Buffer frame = parts.build();
        const auto edited = edit_all(frame, {}, blob);
        ASSERT_TRUE(edited);
        EXPECT_EQ(*edited, frame);
    }
}

TEST(MessageEditor, stops_one_byte_above_the_limit) {
    const Buffer frame = Parts().build();
    const std::vector<std::size_t> offsets = edit_offsets(frame, *OpMsg::parse(frame));
    const std::size_t size = edit_all(frame, offsets, blob)->size();
    EXPECT_TRUE(edit_all(frame, offsets, blob, {.message_bytes_max = size, .growth_bytes = 0}));
    for (std::size_t limit = frame.size(); limit < size; ++limit) {
        const auto edited = edit_all(frame, offsets, blob, {.message_bytes_max = limit, .growth_bytes = 0});
        ASSERT_FALSE(edited) << limit;
        EXPECT_EQ(edited.error(), bson::Errc::output_too_large);
    }
}

TEST(MessageEditor, never_moves_the_output_when_the_growth_is_known) {
    const Buffer frame = Parts().build();
    const auto message = OpMsg::parse(frame);
    const std::vector<std::size_t> offsets = edit_offsets(frame, *message);
    const std::size_t size = edit_all(frame, offsets, blob)->size();
    MessageEditor editor(*message, frame, {.message_bytes_max = size, .growth_bytes = size - frame.size()});
    const std::uint8_t* room_of_first = nullptr;
    std::size_t position_of_first = 0;
    for (const std::size_t offset : offsets) {
        ASSERT_TRUE(editor.advance_to(offset));
        const auto room = editor.replace_value(bson::Type::binary, blob.size());
        ASSERT_TRUE(room);
        std::copy(blob.begin(), blob.end(), room->begin());
        if (room_of_first == nullptr) {
            room_of_first = room->data();
            position_of_first = offset + 2 + std::string_view("$db").size();
        }
    }
    const auto edited = editor.finish();
    ASSERT_TRUE(edited);
    EXPECT_EQ(edited->data() + position_of_first, room_of_first);
}

// Goal: work may rest anywhere. Method: every edit and every 7 bytes of copying as a slice of its own.
TEST(MessageEditor, rests_between_any_two_calls) {
    Parts parts;
    parts.order = 2;
    const Buffer frame = parts.build();
    const auto message = OpMsg::parse(frame);
    const std::vector<std::size_t> offsets = edit_offsets(frame, *message);
    MessageEditor editor(*message, frame, {});
    for (const std::size_t offset : offsets) {
        while (editor.position() + 7 < offset) ASSERT_FALSE(editor.copy_until(editor.position() + 7));
        ASSERT_TRUE(editor.advance_to(offset));
        const auto room = editor.replace_value(bson::Type::binary, blob.size());
        ASSERT_TRUE(room);
        std::copy(blob.begin(), blob.end(), room->begin());
    }
    const auto edited = editor.finish();
    ASSERT_TRUE(edited);
    EXPECT_EQ(*edited, *edit_all(frame, offsets, blob));
}

TEST(MessageEditorDeathTest, asserts_offsets_outside_the_documents) {
    Parts parts;
    parts.order = 1;
    const Buffer frame = parts.build();
    const auto message = OpMsg::parse(frame);
    MessageEditor editor(*message, frame, {});
    EXPECT_DEATH((void)editor.advance_to(frame.size()), "behind every section");
    EXPECT_DEATH((void)editor.advance_to(0), "between two sections");
    EXPECT_DEATH((void)editor.advance_to(message->sequences()[0].section_offset + 6), "between two sections");
    EXPECT_DEATH((void)editor.advance_to(message->body_offset), "not that of an element");
}

}  // namespace
}  // namespace fieldgate::wire
