#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

namespace fieldgate::net {

// The bytes that all messages above `free_bytes` may occupy together (limits.memory_bytes). One per process;
// the lock is taken for large messages only. Granted in the order asked, so that a large message is not
// starved by smaller ones.
class MemoryBudget {
 public:
    // Messages up to this size do not count: each session has a buffer for one anyway.
    static constexpr std::size_t free_bytes = std::size_t{64} * 1024;

    explicit MemoryBudget(std::size_t total_bytes)
        : total_bytes_(total_bytes), available_bytes_(total_bytes) {}

    // Bytes drawn, given back when it dies.
    class Grant {
     public:
        Grant() = default;
        Grant(Grant&& other) noexcept
            : budget_(std::exchange(other.budget_, nullptr)), bytes_(other.bytes_) {}
        Grant& operator=(Grant&& other) noexcept;
        ~Grant() { give_back(); }
        void give_back();
        explicit operator bool() const { return budget_ != nullptr; }

     private:
        friend MemoryBudget;
        Grant(MemoryBudget& budget, std::size_t bytes) : budget_(&budget), bytes_(bytes) {}
        MemoryBudget* budget_ = nullptr;
        std::size_t bytes_ = 0;
    };

    // A place in the queue. Leaving it gives back what was granted and not taken.
    class Place {
     public:
        ~Place();
        bool granted() const;
        Grant take();  // after granted()

     private:
        friend MemoryBudget;
        Place(MemoryBudget& budget, std::size_t bytes, std::function<void()> wake);
        MemoryBudget& budget_;
        std::size_t bytes_;
        std::function<void()> wake_;
        bool granted_ = false;
        bool taken_ = false;
    };

    // Nothing if it is not to be had now. What exceeds the whole budget draws the whole budget.
    Grant try_draw(std::size_t bytes);
    // `wake` is called once, on any thread, when it is granted; it must not call back into the budget.
    std::unique_ptr<Place> queue(std::size_t bytes, std::function<void()> wake);

    std::size_t available_bytes() const;

 private:
    void release(std::size_t bytes);
    void serve_queue();  // with the lock held

    const std::size_t total_bytes_;
    mutable std::mutex mutex_;
    std::size_t available_bytes_;
    std::deque<Place*> queue_;
};

}  // namespace fieldgate::net
