#pragma once

#include <array>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace fieldgate::net {

// The bytes that all messages above `free_bytes` may occupy together (limits.memory_bytes). One per process;
// the lock is taken for large messages only. Granted in the order asked, so that a large message is not
// starved by smaller ones.
//
// Whoever can connect can announce large messages, and connect again when it is closed for standing still.
// So strangers (sessions that the server has not let do anything yet) may hold an eighth of the budget
// together, and where there are several listeners each may hold three quarters of it, so that the clients of
// one cannot shut out those of another. Strangers are bounded and not refused, because nobody can tell
// whether the server will ask for a login: without one, a driver's new connection may well begin with a large
// insert. Who waits for a bounded part does not hold up the others.
//
// A message larger than the part that it may hold draws all of that part, and what it occupies above that is
// not counted: one such message at a time.
class MemoryBudget {
 public:
    // Messages up to this size do not count: each session has a buffer for one anyway.
    static constexpr std::size_t free_bytes = std::size_t{64} * 1024;

    explicit MemoryBudget(std::size_t total_bytes, std::size_t listener_count = 1);

    struct Claimant {
        std::size_t listener = 0;
        bool is_stranger = false;
    };

 private:
    // A bound on what some hold together.
    struct Part {
        std::size_t limit_bytes = 0;
        std::size_t used_bytes = 0;
        bool awaited = false;  // while the queue is looked through: somebody ahead waits for it
    };
    // From the innermost to the whole; null: none.
    using Parts = std::array<Part*, 3>;

 public:
    // Bytes drawn, given back when it dies.
    class Grant {
     public:
        Grant() = default;
        Grant(Grant&& other) noexcept
            : budget_(std::exchange(other.budget_, nullptr)), parts_(other.parts_), bytes_(other.bytes_) {}
        Grant& operator=(Grant&& other) noexcept;
        ~Grant() { give_back(); }
        void give_back();
        explicit operator bool() const { return budget_ != nullptr; }

     private:
        friend MemoryBudget;
        Grant(MemoryBudget& budget, const Parts& parts, std::size_t bytes)
            : budget_(&budget), parts_(parts), bytes_(bytes) {}
        MemoryBudget* budget_ = nullptr;
        Parts parts_{};
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
        Place(MemoryBudget& budget, const Parts& parts, std::size_t bytes, std::function<void()> wake);
        MemoryBudget& budget_;
        Parts parts_;
        std::size_t bytes_;
        std::function<void()> wake_;
        bool granted_ = false;
        bool taken_ = false;
    };

    // Nothing if it is not to be had now.
    Grant try_draw(std::size_t bytes, Claimant claimant);
    // `wake` is called once, on any thread, when it is granted; it must not call back into the budget.
    std::unique_ptr<Place> queue(std::size_t bytes, Claimant claimant, std::function<void()> wake);

    std::size_t available_bytes() const;

 private:
    static constexpr std::size_t strangers_divisor = 8;

    Parts parts_of(Claimant claimant);
    std::size_t capped(std::size_t bytes, const Parts& parts) const;
    // With the lock held:
    bool draw(const Parts& parts, std::size_t bytes);
    void put_back(const Parts& parts, std::size_t bytes);
    void clear_awaited();
    void serve_queue();

    const std::size_t strangers_bytes_;
    mutable std::mutex mutex_;
    Part whole_;
    std::vector<Part> listeners_;
    std::vector<Part> strangers_;  // by listener
    std::deque<Place*> queue_;
};

}  // namespace fieldgate::net
