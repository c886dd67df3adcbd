#include "proxy/net/memory_budget.hpp"

#include <algorithm>
#include <boost/assert.hpp>
#include <utility>

namespace fieldgate::net {

MemoryBudget::MemoryBudget(std::size_t total_bytes, std::size_t listener_count)
    : strangers_bytes_(total_bytes / strangers_divisor), whole_{total_bytes, 0, false} {
    const std::size_t listener_bytes = listener_count > 1 ? total_bytes - total_bytes / 4 : total_bytes;
    listeners_.assign(listener_count, {listener_bytes, 0, false});
    strangers_.assign(listener_count,
                      {strangers_bytes_ / std::max<std::size_t>(1, listener_count), 0, false});
}

MemoryBudget::Parts MemoryBudget::parts_of(Claimant claimant) {
    BOOST_ASSERT(claimant.listener < listeners_.size());
    return {claimant.is_stranger ? &strangers_[claimant.listener] : nullptr, &listeners_[claimant.listener],
            &whole_};
}

// Never more than can be had while strangers hold all that is theirs.
std::size_t MemoryBudget::capped(std::size_t bytes, const Parts& parts) const {
    bytes = std::min(bytes, whole_.limit_bytes - strangers_bytes_);
    for (const Part* part : parts) {
        if (part != nullptr) bytes = std::min(bytes, part->limit_bytes);
    }
    return bytes;
}

MemoryBudget::Grant& MemoryBudget::Grant::operator=(Grant&& other) noexcept {
    if (this != &other) {
        give_back();
        budget_ = std::exchange(other.budget_, nullptr);
        parts_ = other.parts_;
        bytes_ = other.bytes_;
    }
    return *this;
}

void MemoryBudget::Grant::give_back() {
    if (budget_ == nullptr) return;
    MemoryBudget& budget = *std::exchange(budget_, nullptr);
    const std::lock_guard lock(budget.mutex_);
    budget.put_back(parts_, bytes_);
    budget.serve_queue();
}

MemoryBudget::Grant MemoryBudget::try_draw(std::size_t bytes, Claimant claimant) {
    const Parts parts = parts_of(claimant);
    bytes = capped(bytes, parts);
    const std::lock_guard lock(mutex_);
    // Whatever could be granted from the queue has been: this marks what those who are left wait for.
    serve_queue();
    if (!draw(parts, bytes)) return {};
    return {*this, parts, bytes};
}

std::unique_ptr<MemoryBudget::Place> MemoryBudget::queue(std::size_t bytes, Claimant claimant,
                                                         std::function<void()> wake) {
    const Parts parts = parts_of(claimant);
    std::unique_ptr<Place> place(new Place(*this, parts, capped(bytes, parts), std::move(wake)));
    const std::lock_guard lock(mutex_);
    queue_.push_back(place.get());
    serve_queue();
    return place;
}

MemoryBudget::Place::Place(MemoryBudget& budget, const Parts& parts, std::size_t bytes,
                           std::function<void()> wake)
    : budget_(budget), parts_(parts), bytes_(bytes), wake_(std::move(wake)) {}

MemoryBudget::Place::~Place() {
    const std::lock_guard lock(budget_.mutex_);
    if (taken_) return;
    if (granted_) {
        budget_.put_back(parts_, bytes_);
    } else {
        std::erase(budget_.queue_, this);
    }
    budget_.serve_queue();
}

bool MemoryBudget::Place::granted() const {
    const std::lock_guard lock(budget_.mutex_);
    return granted_;
}

MemoryBudget::Grant MemoryBudget::Place::take() {
    const std::lock_guard lock(budget_.mutex_);
    BOOST_ASSERT(granted_ && !taken_);
    taken_ = true;
    return {budget_, parts_, bytes_};
}

// Not past somebody who waits for one of these parts. What is lacking is marked as waited for, from the
// inside: who waits for a part of the budget does not wait for all of it.
bool MemoryBudget::draw(const Parts& parts, std::size_t bytes) {
    for (Part* part : parts) {
        if (part == nullptr) continue;
        if (part->awaited) return false;
        if (bytes > part->limit_bytes - part->used_bytes) {
            part->awaited = true;
            return false;
        }
    }
    for (Part* part : parts) {
        if (part != nullptr) part->used_bytes += bytes;
    }
    return true;
}

void MemoryBudget::put_back(const Parts& parts, std::size_t bytes) {
    for (Part* part : parts) {
        if (part == nullptr) continue;
        BOOST_ASSERT(bytes <= part->used_bytes);
        part->used_bytes -= bytes;
    }
}

void MemoryBudget::clear_awaited() {
    whole_.awaited = false;
    for (std::vector<Part>* parts : {&listeners_, &strangers_}) {
        for (Part& part : *parts) part.awaited = false;
    }
}

void MemoryBudget::serve_queue() {
    clear_awaited();
    for (auto place = queue_.begin(); place != queue_.end() && !whole_.awaited;) {
        Place& next = **place;
        if (!draw(next.parts_, next.bytes_)) {
            ++place;
            continue;
        }
        place = queue_.erase(place);
        next.granted_ = true;
        next.wake_();  // posts to the waiter's thread
    }
}

std::size_t MemoryBudget::available_bytes() const {
    const std::lock_guard lock(mutex_);
    return whole_.limit_bytes - whole_.used_bytes;
}

}  // namespace fieldgate::net
