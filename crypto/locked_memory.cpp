#include "crypto/locked_memory.hpp"

#include <openssl/crypto.h>
#include <sys/mman.h>

#include <atomic>
#include <mutex>
#include <new>
#include <vector>

namespace fieldgate::crypto {
namespace {

// Two cache lines hold the largest key there is. Sixteen kilobytes are 128 keys and fit the smallest default
// of RLIMIT_MEMLOCK (64 KB) four times.
constexpr std::size_t slot_bytes = 128;
constexpr std::size_t arena_bytes = 16'384;

std::atomic<bool> all_locked = true;

std::uint8_t* map_pages(std::size_t size_bytes) {
    void* pages = mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) throw std::bad_alloc();
    const bool locked = mlock(pages, size_bytes) == 0;
    const bool hidden = madvise(pages, size_bytes, MADV_DONTDUMP) == 0;
    if (!locked || !hidden) all_locked.store(false, std::memory_order_relaxed);
    return static_cast<std::uint8_t*>(pages);
}

// Slots that are free and zero. The list stands outside the slots, so that a free slot holds no byte of
// anything.
class SlotPool {
 public:
    std::uint8_t* take() {
        const std::lock_guard guard(mutex_);
        if (free_.empty()) {
            // Room for every slot there will be, so that give() never allocates.
            free_.reserve(slot_count_ + arena_bytes / slot_bytes);
            std::uint8_t* const arena = map_pages(arena_bytes);
            slot_count_ += arena_bytes / slot_bytes;
            for (std::size_t at = arena_bytes; at != 0; at -= slot_bytes)
                free_.push_back(arena + at - slot_bytes);
        }
        std::uint8_t* const slot = free_.back();
        free_.pop_back();
        return slot;
    }

    void give(std::uint8_t* slot) noexcept {
        const std::lock_guard guard(mutex_);
        free_.push_back(slot);
    }

 private:
    std::mutex mutex_;
    std::vector<std::uint8_t*> free_;
    std::size_t slot_count_ = 0;
};

// Never destroyed: keys in objects of static storage may be released after any static of ours.
SlotPool& slot_pool() {
    static SlotPool& pool = *new SlotPool;
    return pool;
}

}  // namespace

std::uint8_t* allocate_locked(std::size_t size_bytes) {
    return size_bytes <= slot_bytes ? slot_pool().take() : map_pages(size_bytes);
}

void release_locked(std::uint8_t* memory, std::size_t size_bytes) noexcept {
    if (memory == nullptr) return;
    if (size_bytes <= slot_bytes) {
        OPENSSL_cleanse(memory, slot_bytes);
        slot_pool().give(memory);
    } else {
        OPENSSL_cleanse(memory, size_bytes);
        munmap(memory, size_bytes);
    }
}

bool every_page_is_locked() noexcept {
    return all_locked.load(std::memory_order_relaxed);
}

}  // namespace fieldgate::crypto
