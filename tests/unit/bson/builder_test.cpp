#include "proxy/bson/builder.hpp"

#include <gtest/gtest.h>

#include "tests/unit/bson/samples.hpp"

namespace fieldgate::bson {
namespace {

using namespace samples;

TEST(Builder, writes_the_bytes_of_the_specification) {
    // bsonspec.org, "Examples".
    Buffer hello;
    Builder(hello).append_string("hello", "world").finish();
    EXPECT_EQ(hello, text(std::string_view("\x16\0\0\0\x02hello\0\x06\0\0\0world\0\0", 22)));

    Buffer list;
    Builder(list)
        .open_array("BSON")
        .append_string("0", "awesome")
        .append_double("1", 5.05)
        .append_int32("2", 1986)
        .close()
        .finish();
    EXPECT_EQ(list,
              text(std::string_view("\x31\0\0\0\x04"
                                    "BSON\0\x26\0\0\0\x02\x30\0\x08\0\0\0awesome\0\x01\x31\0\x33\x33\x33\x33"
                                    "\x33\x33\x14\x40\x10\x32\0\xc2\x07\0\0\0\0",
                                    49)));
}

TEST(Builder, starts_at_the_end_of_the_buffer) {
    Buffer buffer = {0xEE, 0xEE};
    Builder(buffer).open_document("a").open_array("b").close().close().append_null("c").finish();
    const Bytes document = Bytes(buffer).subspan(2);
    const auto view = DocumentView::check(document, Limits{});
    ASSERT_TRUE(view) << view.error().message();
    EXPECT_TRUE(view->find("a")->document().find("b")->is_array());
    EXPECT_EQ(buffer[0], 0xEE);
}

TEST(Builder, writes_each_scalar) {
    Buffer buffer;
    const std::uint8_t id[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    Builder(buffer)
        .append_int64("l", 1)
        .append_bool("b", true)
        .append_date("d", 2)
        .append_null("n")
        .append_binary("x", 6, Buffer{1})
        .append_object_id("o", id)
        .append_document("e", empty_document())
        .append_array("a", empty_document())
        .finish();
    const auto view = DocumentView::check(buffer, Limits{});
    ASSERT_TRUE(view);
    std::string aliases;
    for (const Element element : *view) aliases += std::string(alias(element.type())) + " ";
    EXPECT_EQ(aliases, "long bool date null binData objectId object array ");
}

TEST(Builder, copies_elements_as_they_are) {
    const Buffer source = every_type();
    Buffer copy;
    Builder builder(copy);
    for (const Element element : *DocumentView::check(source, Limits{})) builder.append_element(element);
    builder.finish();
    EXPECT_EQ(copy, source);
}

TEST(BuilderDeathTest, asserts_its_call_order) {
    Buffer buffer;
    EXPECT_DEATH(Builder(buffer).open_document("a").finish(), "assertion failed");
    EXPECT_DEATH(Builder(buffer).close(), "assertion failed");
    EXPECT_DEATH(Builder(buffer).append_null(std::string_view("a\0b", 3)), "assertion failed");
    EXPECT_DEATH(
        {
            Builder builder(buffer);
            builder.finish();
            builder.append_null("late");
        },
        "assertion failed");
}

TEST(Builder, index_keys_are_decimal) {
    EXPECT_EQ(index_key(0), "0");
    EXPECT_EQ(index_key(100000), "100000");
}

}  // namespace
}  // namespace fieldgate::bson
