#include "proxy/wire/crc32c.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "proxy/wire/message.hpp"

namespace fieldgate::wire {
namespace {

struct Vector {
    const char* name;
    Buffer bytes;
    std::uint32_t expected;
};

// RFC 3720 appendix B.4, and the check value of the Rocksoft catalogue.
std::vector<Vector> published() {
    Buffer ascending(32);
    std::iota(ascending.begin(), ascending.end(), std::uint8_t{0});
    const Buffer descending(ascending.rbegin(), ascending.rend());
    const std::string_view digits = "123456789";
    return {
        {"nothing", {}, 0},
        {"123456789", Buffer(digits.begin(), digits.end()), 0xE3069283u},
        {"32 zeros", Buffer(32, 0), 0x8A9136AAu},
        {"32 ones", Buffer(32, 0xFF), 0x62A8AB43u},
        {"ascending", ascending, 0x46DD794Eu},
        {"descending", descending, 0x113FDB5Cu},
    };
}

TEST(Crc32c, table_gives_the_published_values) {
    for (const Vector& vector : published()) {
        EXPECT_EQ(detail::crc32c_by_table(vector.bytes), vector.expected) << vector.name;
    }
}

TEST(Crc32c, instruction_gives_the_published_values) {
    if (!detail::has_crc32c_instruction()) GTEST_SKIP() << "this processor has no CRC-32C instruction";
    for (const Vector& vector : published()) {
        EXPECT_EQ(detail::crc32c_by_instruction(vector.bytes), vector.expected) << vector.name;
    }
}

TEST(Crc32c, both_ways_agree_at_every_length_and_alignment) {
    if (!detail::has_crc32c_instruction()) GTEST_SKIP() << "this processor has no CRC-32C instruction";
    Buffer bytes(80);
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 37 + 11);
    for (std::size_t start = 0; start < 8; ++start) {
        for (std::size_t size = 0; start + size <= bytes.size(); ++size) {
            const Bytes part = Bytes(bytes).subspan(start, size);
            EXPECT_EQ(detail::crc32c_by_table(part), detail::crc32c_by_instruction(part));
            EXPECT_EQ(crc32c(part), detail::crc32c_by_table(part));
        }
    }
}

}  // namespace
}  // namespace fieldgate::wire
