#include "proxy/wire/frame_reader.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "proxy/wire/error.hpp"
#include "tests/unit/wire/samples.hpp"

namespace fieldgate::wire {
namespace {

using namespace samples;

Buffer frame_of(std::size_t size, std::uint8_t fill = 0) {
    return message(Opcode::msg, Buffer(size - header_bytes, fill));
}

void feed(FrameReader& reader, Bytes bytes) {
    while (!bytes.empty()) {
        const auto room = reader.prepare();
        ASSERT_FALSE(room.empty());
        const std::size_t step = std::min(room.size(), bytes.size());
        std::copy_n(bytes.begin(), step, room.begin());
        reader.commit(step);
        bytes = bytes.subspan(step);
    }
}

// Goal: framing must not depend on how TCP cut the stream. Method: every possible cut of two frames.
TEST(FrameReader, gives_the_same_frames_for_every_split) {
    const Buffer stream = frame_of(16) + frame_of(29, 0xAB);
    for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
        SCOPED_TRACE(cut);
        FrameReader reader(1024);
        Buffer received;
        std::vector<std::size_t> sizes;
        boost::system::error_code ec;
        const auto drain = [&] {
            while (const auto frame = reader.next(ec)) {
                sizes.push_back(frame->size());
                received.insert(received.end(), frame->begin(), frame->end());
            }
            EXPECT_FALSE(ec);
        };
        feed(reader, Bytes(stream).first(cut));
        drain();
        feed(reader, Bytes(stream).subspan(cut));
        drain();
        EXPECT_EQ(sizes, (std::vector<std::size_t>{16, 29}));
        EXPECT_EQ(received, stream);
    }
}

TEST(FrameReader, gives_the_same_frames_byte_by_byte) {
    const Buffer stream = frame_of(17, 1) + frame_of(16) + frame_of(5000, 2) + frame_of(16);
    FrameReader reader(5000, 16);
    Buffer received;
    boost::system::error_code ec;
    for (const std::uint8_t byte : stream) {
        feed(reader, Bytes(&byte, 1));
        while (const auto frame = reader.next(ec))
            received.insert(received.end(), frame->begin(), frame->end());
        ASSERT_FALSE(ec);
    }
    EXPECT_EQ(received, stream);
}

TEST(FrameReader, refuses_lengths_outside_the_limits) {
    struct Case {
        const char* name;
        std::uint32_t length;
        Errc expected;
    };
    constexpr Case cases[] = {
        {"zero", 0, Errc::length_below_header},
        {"one below header", 15, Errc::length_below_header},
        {"header only", 16, Errc::ok},
        {"limit", 1024, Errc::ok},
        {"one above limit", 1025, Errc::length_above_limit},
        {"largest int32", 0x7FFFFFFFu, Errc::length_above_limit},
        {"smallest int32", 0x80000000u, Errc::length_above_limit},
        {"negative as int32", 0xFFFFFFFFu, Errc::length_above_limit},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.name);
        FrameReader reader(1024);
        Buffer header = frame_of(16);
        put_u32(header, 0, c.length);
        feed(reader, header);
        boost::system::error_code ec;
        EXPECT_EQ(reader.peek(ec).has_value(), c.expected == Errc::ok);
        EXPECT_EQ(ec.value(), static_cast<int>(c.expected));
        EXPECT_EQ(reader.next(ec).has_value(), c.length == 16);
        EXPECT_EQ(ec.value(), static_cast<int>(c.expected));
    }
}

TEST(FrameReader, refuses_negative_lengths_under_any_limit) {
    FrameReader reader(0xFFFFFFFFu);
    Buffer header = frame_of(16);
    put_u32(header, 0, 0x80000000u);
    feed(reader, header);
    boost::system::error_code ec;
    EXPECT_FALSE(reader.next(ec));
    EXPECT_EQ(ec, Errc::length_above_limit);
}

TEST(FrameReader, does_not_allocate_for_a_length_that_it_refuses) {
    FrameReader reader(1 << 20, 64);
    Buffer header = frame_of(16);
    put_u32(header, 0, (1 << 20) + 1);
    feed(reader, header);
    reader.prepare();
    EXPECT_EQ(reader.buffer_bytes(), 64u);
    boost::system::error_code ec;
    EXPECT_FALSE(reader.next(ec));
    reader.prepare();
    EXPECT_EQ(reader.buffer_bytes(), 64u);
    EXPECT_FALSE(reader.next(ec));
    EXPECT_EQ(ec, Errc::length_above_limit);
}

TEST(FrameReader, allocates_nothing_before_the_first_read) {
    EXPECT_EQ(FrameReader(1024).buffer_bytes(), 0u);
}

TEST(FrameReader, grows_once_to_the_announced_size) {
    const Buffer frame = frame_of(100000, 3);
    FrameReader reader(100000, 64);
    feed(reader, Bytes(frame).first(64));
    EXPECT_EQ(reader.buffer_bytes(), 64u);
    const auto room = reader.prepare();
    EXPECT_EQ(reader.buffer_bytes(), 100000u);
    EXPECT_EQ(room.size(), 100000u - 64u);
    feed(reader, Bytes(frame).subspan(64));
    EXPECT_EQ(reader.buffer_bytes(), 100000u);
    boost::system::error_code ec;
    const auto got = reader.next(ec);
    ASSERT_TRUE(got);
    EXPECT_TRUE(std::equal(got->begin(), got->end(), frame.begin(), frame.end()));
}

TEST(FrameReader, peek_tells_the_header_without_taking_the_message) {
    FrameReader reader(1024);
    const Buffer frame = message(Opcode::query, Buffer(10, 0), 77, -5);
    boost::system::error_code ec;
    feed(reader, Bytes(frame).first(15));
    EXPECT_FALSE(reader.peek(ec));
    EXPECT_FALSE(ec);
    feed(reader, Bytes(frame).subspan(15, 1));
    const auto header = reader.peek(ec);
    ASSERT_TRUE(header);
    EXPECT_EQ(header->message_bytes, 26);
    EXPECT_EQ(header->request_id, 77);
    EXPECT_EQ(header->response_to, -5);
    EXPECT_EQ(header->opcode, Opcode::query);
    EXPECT_FALSE(reader.next(ec));
    EXPECT_FALSE(ec);
    feed(reader, Bytes(frame).subspan(16));
    EXPECT_TRUE(reader.next(ec));
    EXPECT_FALSE(reader.peek(ec));
    EXPECT_FALSE(ec);
}

TEST(FrameReader, hands_out_pending_bytes_for_streaming) {
    FrameReader reader(1 << 20, 64);
    const Buffer frame = frame_of(1000, 9);
    const Buffer follower = frame_of(20);
    feed(reader, Bytes(frame).first(50));
    boost::system::error_code ec;
    ASSERT_TRUE(reader.peek(ec));
    EXPECT_EQ(reader.pending_bytes(), 50u);
    EXPECT_EQ(reader.take_pending(30).size(), 30u);
    EXPECT_EQ(reader.take_pending(1000).size(), 20u);
    EXPECT_EQ(reader.take_pending(1).size(), 0u);
    EXPECT_EQ(reader.pending_bytes(), 0u);
    // The rest of the frame went elsewhere; the stream goes on with the next message.
    feed(reader, follower);
    const auto next = reader.next(ec);
    ASSERT_TRUE(next);
    EXPECT_EQ(next->size(), 20u);
    EXPECT_EQ(reader.buffer_bytes(), 64u);
}

TEST(FrameReader, release_gives_the_memory_back_and_loses_nothing) {
    FrameReader reader(1 << 20, 64);
    const Buffer large = frame_of(100000, 4);
    const Buffer small = frame_of(40, 5);
    boost::system::error_code ec;
    feed(reader, large);
    ASSERT_TRUE(reader.next(ec));
    reader.release();
    EXPECT_EQ(reader.buffer_bytes(), 0u);
    feed(reader, large);
    ASSERT_TRUE(reader.next(ec));
    feed(reader, Bytes(small).first(20));
    reader.release();
    EXPECT_EQ(reader.buffer_bytes(), 20u);
    feed(reader, Bytes(small).subspan(20));
    const auto frame = reader.next(ec);
    ASSERT_TRUE(frame);
    EXPECT_TRUE(std::equal(frame->begin(), frame->end(), small.begin(), small.end()));
    reader.release();
    reader.release();
    EXPECT_EQ(reader.buffer_bytes(), 0u);
}

TEST(FrameReaderDeathTest, asserts_that_commit_fits_what_was_prepared) {
    FrameReader reader(1024, 64);
    EXPECT_DEATH(reader.commit(1), "assertion failed");
    const std::size_t room = reader.prepare().size();
    EXPECT_DEATH(reader.commit(room + 1), "assertion failed");
}

}  // namespace
}  // namespace fieldgate::wire
