#pragma once

#include <cstddef>
#include <cstdint>

namespace fieldgate::crypto {

// Memory for keys: zeroed when handed out, erased when given back, kept out of swap (mlock) and out of core
// dumps (MADV_DONTDUMP) as far as the system allows. Small pieces share pages, so that ten thousand data keys
// do not need ten thousand locked pages. Any thread may call; running out of memory throws std::bad_alloc.
[[nodiscard]] std::uint8_t* allocate_locked(std::size_t size_bytes);

// `size_bytes` is what allocate_locked was called with. Null is ignored.
void release_locked(std::uint8_t* memory, std::size_t size_bytes) noexcept;

// False once a page could not be locked (RLIMIT_MEMLOCK): keys work, but could reach the swap device. For a
// warning at start-up and a metric.
[[nodiscard]] bool every_page_is_locked() noexcept;

}  // namespace fieldgate::crypto
