#include "proxy/wire/crc32c.hpp"

#include <array>
#include <boost/assert.hpp>
#include <boost/endian/conversion.hpp>

#include "proxy/wire/message.hpp"

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace fieldgate::wire {
namespace detail {
namespace {

constexpr std::uint32_t polynomial_reflected = 0x82F63B78u;

// Row k gives the effect of a byte that has k more bytes behind it, so that eight bytes are taken at a time.
constexpr std::array<std::array<std::uint32_t, 256>, 8> make_tables() {
    std::array<std::array<std::uint32_t, 256>, 8> tables{};
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
        std::uint32_t crc = byte;
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? polynomial_reflected : 0);
        tables[0][byte] = crc;
    }
    for (std::size_t row = 1; row < 8; ++row) {
        for (std::size_t byte = 0; byte < 256; ++byte) {
            const std::uint32_t before = tables[row - 1][byte];
            tables[row][byte] = (before >> 8) ^ tables[0][before & 0xFF];
        }
    }
    return tables;
}

constexpr auto tables = make_tables();

}  // namespace

std::uint32_t crc32c_by_table(std::span<const std::uint8_t> bytes) {
    std::uint32_t crc = 0xFFFFFFFFu;
    while (bytes.size() >= 8) {
        const std::uint32_t low = boost::endian::load_little_u32(bytes.data()) ^ crc;
        const std::uint32_t high = boost::endian::load_little_u32(bytes.data() + 4);
        crc = 0;
        for (std::size_t i = 0; i < 4; ++i) {
            crc ^= tables[7 - i][(low >> (8 * i)) & 0xFF] ^ tables[3 - i][(high >> (8 * i)) & 0xFF];
        }
        bytes = bytes.subspan(8);
    }
    for (const std::uint8_t byte : bytes) crc = (crc >> 8) ^ tables[0][(crc ^ byte) & 0xFF];
    return ~crc;
}

#if defined(__x86_64__)

bool has_crc32c_instruction() {
    return __builtin_cpu_supports("sse4.2") != 0;
}

__attribute__((target("sse4.2"))) std::uint32_t crc32c_by_instruction(std::span<const std::uint8_t> bytes) {
    std::uint64_t crc = 0xFFFFFFFFu;
    while (bytes.size() >= 8) {
        crc = _mm_crc32_u64(crc, boost::endian::load_little_u64(bytes.data()));
        bytes = bytes.subspan(8);
    }
    std::uint32_t tail = static_cast<std::uint32_t>(crc);
    for (const std::uint8_t byte : bytes) tail = _mm_crc32_u8(tail, byte);
    return ~tail;
}

#else

bool has_crc32c_instruction() {
    return false;
}

std::uint32_t crc32c_by_instruction(std::span<const std::uint8_t> bytes) {
    BOOST_ASSERT_MSG(false, "no CRC-32C instruction here");
    return crc32c_by_table(bytes);
}

#endif

}  // namespace detail

std::uint32_t crc32c(Bytes bytes) {
    static const bool by_instruction = detail::has_crc32c_instruction();
    return by_instruction ? detail::crc32c_by_instruction(bytes) : detail::crc32c_by_table(bytes);
}

}  // namespace fieldgate::wire
