#pragma once

#include <cstdint>
#include <span>

// The two ways to compute CRC-32C (Castagnoli, RFC 3720 appendix B.4). Everybody else calls wire::crc32c() of
// message.hpp, which picks; these are exposed for testing, because one machine takes only one of them.
namespace fieldgate::wire::detail {

std::uint32_t crc32c_by_table(std::span<const std::uint8_t> bytes);

bool has_crc32c_instruction();
// Only where has_crc32c_instruction().
std::uint32_t crc32c_by_instruction(std::span<const std::uint8_t> bytes);

}  // namespace fieldgate::wire::detail
