#include "crypto/kms/ttlv.hpp"

#include <gtest/gtest.h>

#include "tests/unit/crypto/test_bytes.hpp"

namespace fieldgate::crypto::kms {
namespace {

// Section 9.1.2 of the specification encodes its examples with this tag.
constexpr Tag example_tag{0x420020};

Bytes written(TtlvWriter& writer) {
    const SecretBuffer message = writer.take();
    const auto bytes = message.expose_secret();
    return {bytes.begin(), bytes.end()};
}

// Structures in each other, `levels` of them.
Bytes nested(int levels) {
    TtlvWriter writer;
    for (int i = 0; i < levels; ++i) writer.open(example_tag);
    for (int i = 0; i < levels; ++i) writer.close();
    return written(writer);
}

TEST(TtlvWriter, writes_the_examples_of_the_specification) {
    TtlvWriter integer;
    integer.integer(example_tag, 8);
    EXPECT_EQ(written(integer), from_hex("42002002000000040000000800000000"));

    TtlvWriter enumeration;
    enumeration.enumeration(example_tag, 255);
    EXPECT_EQ(written(enumeration), from_hex("4200200500000004000000ff00000000"));

    TtlvWriter boolean;
    boolean.boolean(example_tag, true);
    EXPECT_EQ(written(boolean), from_hex("42002006000000080000000000000001"));

    TtlvWriter text;
    text.text(example_tag, "Hello World");
    EXPECT_EQ(written(text), from_hex("420020070000000b48656c6c6f20576f726c640000000000"));

    TtlvWriter bytes;
    bytes.bytes(example_tag, from_hex("010203"));
    EXPECT_EQ(written(bytes), from_hex("42002008000000030102030000000000"));

    TtlvWriter structure;
    structure.open(example_tag);
    structure.enumeration(Tag{0x420004}, 254);
    structure.integer(Tag{0x420005}, 255);
    structure.close();
    EXPECT_EQ(written(structure), from_hex("4200200100000020"
                                           "4200040500000004000000fe00000000"
                                           "4200050200000004000000ff00000000"));
}

TEST(TtlvWriter, pads_no_value_that_needs_no_padding) {
    TtlvWriter writer;
    writer.bytes(example_tag, from_hex("0102030405060708"));
    EXPECT_EQ(written(writer), from_hex("42002008000000080102030405060708"));
    TtlvWriter empty;
    empty.text(example_tag, "");
    EXPECT_EQ(written(empty), from_hex("4200200700000000"));
}

TEST(TtlvItem, reads_back_what_was_written) {
    TtlvWriter writer;
    writer.open(example_tag);
    writer.integer(Tag{0x420001}, -2);
    writer.enumeration(Tag{0x420002}, 0xfffffffe);
    writer.text(Tag{0x420003}, "Hello World");
    writer.bytes(Tag{0x420004}, from_hex("010203"));
    writer.open(Tag{0x420005});
    writer.boolean(Tag{0x420006}, true);
    writer.close();
    writer.close();
    const Bytes message = written(writer);

    const auto item = TtlvItem::parse(message);
    ASSERT_TRUE(item);
    EXPECT_TRUE(item->is(example_tag));
    EXPECT_EQ(item->type(), TtlvType::structure);
    EXPECT_EQ(item->integer(Tag{0x420001}), -2);
    EXPECT_EQ(item->enumeration(Tag{0x420002}), 0xfffffffe);
    EXPECT_EQ(item->text(Tag{0x420003}), "Hello World");
    const auto bytes = item->bytes(Tag{0x420004});
    ASSERT_TRUE(bytes);
    EXPECT_EQ(Bytes(bytes->begin(), bytes->end()), from_hex("010203"));
    ASSERT_TRUE(item->structure(Tag{0x420005}));
    EXPECT_EQ(item->structure(Tag{0x420005})->only(Tag{0x420006})->type(), TtlvType::boolean);
}

TEST(TtlvItem, has_nothing_of_another_type_or_tag_or_twice) {
    TtlvWriter writer;
    writer.open(example_tag);
    writer.integer(Tag{0x420001}, 1);
    writer.text(Tag{0x420002}, "a");
    writer.text(Tag{0x420002}, "a");
    writer.close();
    const Bytes message = written(writer);
    const auto item = TtlvItem::parse(message);
    ASSERT_TRUE(item);
    EXPECT_FALSE(item->enumeration(Tag{0x420001}));
    EXPECT_FALSE(item->structure(Tag{0x420001}));
    EXPECT_FALSE(item->text(Tag{0x420001}));
    EXPECT_FALSE(item->bytes(Tag{0x420001}));
    EXPECT_FALSE(item->integer(Tag{0x420003}));
    EXPECT_FALSE(item->text(Tag{0x420002}));
    EXPECT_FALSE(item->only(Tag{0x420001})->only(Tag{0x420001}));
}

TEST(TtlvItem, knows_every_type_of_the_specification) {
    for (const char* const hex :
         {"42002003000000080123456789abcdef", "420020040000001000000000000000000123456789abcdef",
          "42002009000000080000000047da67f8", "4200200a00000004000d2f0000000000", "4200200100000000"}) {
        EXPECT_TRUE(TtlvItem::parse(from_hex(hex))) << hex;
    }
}

TEST(TtlvItem, refuses_lengths_that_a_type_does_not_have) {
    for (const char* const hex : {
             "42002001000000040000000000000000",                    // a structure of half a unit
             "42002002000000080000000000000008",                    // an integer of 8
             "42002002000000030000000000000000",                    // and of 3
             "42002005000000050000000000000000",                    // an enumeration of 5
             "4200200a000000080000000000000000",                    // an interval of 8
             "42002003000000040000000000000000",                    // a long integer of 4
             "42002006000000040000000100000000",                    // a boolean of 4
             "42002009000000040000000000000000",                    // a date of 4
             "4200200400000000",                                    // a big integer of nothing
             "42002004000000090102030405060708090000000000000000",  // and of 9
         }) {
        EXPECT_FALSE(TtlvItem::parse(from_hex(hex))) << hex;
    }
}

TEST(TtlvItem, refuses_unknown_types_and_tags_of_nobody) {
    EXPECT_FALSE(TtlvItem::parse(from_hex("4200200000000000")));
    EXPECT_FALSE(TtlvItem::parse(from_hex("4200200b000000080000000000000000")));
    EXPECT_FALSE(TtlvItem::parse(from_hex("420020ff00000000")));
    EXPECT_TRUE(TtlvItem::parse(from_hex("5400200700000000")));
    EXPECT_FALSE(TtlvItem::parse(from_hex("4100200700000000")));
    EXPECT_FALSE(TtlvItem::parse(from_hex("0000000700000000")));
}

TEST(TtlvItem, refuses_padding_that_is_not_zero_and_booleans_that_are_none) {
    EXPECT_TRUE(TtlvItem::parse(from_hex("42002002000000040000000800000000")));
    EXPECT_FALSE(TtlvItem::parse(from_hex("42002002000000040000000800000001")));
    EXPECT_FALSE(TtlvItem::parse(from_hex("42002008000000030102030100000000")));
    EXPECT_TRUE(TtlvItem::parse(from_hex("42002006000000080000000000000000")));
    EXPECT_FALSE(TtlvItem::parse(from_hex("42002006000000080000000000000002")));
    EXPECT_FALSE(TtlvItem::parse(from_hex("42002006000000080100000000000001")));
}

TEST(TtlvItem, refuses_every_message_that_was_cut_or_has_more_behind_it) {
    TtlvWriter writer;
    writer.open(example_tag);
    writer.text(Tag{0x420001}, "Hello World");
    writer.bytes(Tag{0x420002}, Bytes(20, 1));
    writer.close();
    Bytes message = written(writer);
    for (std::size_t size_bytes = 0; size_bytes < message.size(); ++size_bytes) {
        EXPECT_FALSE(TtlvItem::parse(std::span(message).first(size_bytes))) << size_bytes;
    }
    EXPECT_TRUE(TtlvItem::parse(message));
    message.push_back(0);
    EXPECT_FALSE(TtlvItem::parse(message));
}

TEST(TtlvItem, refuses_an_inner_length_beyond_the_structure) {
    EXPECT_TRUE(
        TtlvItem::parse(from_hex("4200200100000010"
                                 "42000108000000080102030405060708")));
    EXPECT_FALSE(
        TtlvItem::parse(from_hex("4200200100000010"
                                 "42000108000000090102030405060708")));
    EXPECT_FALSE(
        TtlvItem::parse(from_hex("4200200100000010"
                                 "42000108ffffffff0102030405060708")));
    // The last item fits without its padding only.
    EXPECT_FALSE(
        TtlvItem::parse(from_hex("4200200100000008"
                                 "4200010800000001"
                                 "0100000000000000")));
}

TEST(TtlvItem, bounds_the_depth) {
    EXPECT_TRUE(TtlvItem::parse(nested(16)));
    EXPECT_FALSE(TtlvItem::parse(nested(17)));
    EXPECT_FALSE(TtlvItem::parse(nested(8000)));
}

}  // namespace
}  // namespace fieldgate::crypto::kms
