#include "proxy/net/memory_budget.hpp"

#include <algorithm>
#include <boost/assert.hpp>
#include <utility>

namespace fieldgate::net {

MemoryBudget::Grant& MemoryBudget::Grant::operator=(Grant&& other) noexcept {
    if (this != &other) {
        give_back();
        budget_ = std::exchange(other.budget_, nullptr);
        bytes_ = other.bytes_;
    }
    return *this;
}

void MemoryBudget::Grant::give_back() {
    if (budget_ != nullptr) std::exchange(budget_, nullptr)->release(bytes_);
}

MemoryBudget::Grant MemoryBudget::try_draw(std::size_t bytes) {
    bytes = std::min(bytes, total_bytes_);
    const std::lock_guard lock(mutex_);
    if (!queue_.empty() || bytes > available_bytes_) return {};
    available_bytes_ -= bytes;
    return {*this, bytes};
}

std::unique_ptr<MemoryBudget::Place> MemoryBudget::queue(std::size_t bytes, std::function<void()> wake) {
    std::unique_ptr<Place> place(new Place(*this, std::min(bytes, total_bytes_), std::move(wake)));
    const std::lock_guard lock(mutex_);
    queue_.push_back(place.get());
    serve_queue();
    return place;
}

MemoryBudget::Place::Place(MemoryBudget& budget, std::size_t bytes, std::function<void()> wake)
    : budget_(budget), bytes_(bytes), wake_(std::move(wake)) {}

MemoryBudget::Place::~Place() {
    const std::lock_guard lock(budget_.mutex_);
    if (taken_) return;
    if (granted_) {
        budget_.available_bytes_ += bytes_;
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
    return {budget_, bytes_};
}

void MemoryBudget::release(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    available_bytes_ += bytes;
    BOOST_ASSERT(available_bytes_ <= total_bytes_);
    serve_queue();
}

void MemoryBudget::serve_queue() {
    while (!queue_.empty() && queue_.front()->bytes_ <= available_bytes_) {
        Place* const place = queue_.front();
        queue_.pop_front();
        available_bytes_ -= place->bytes_;
        place->granted_ = true;
        place->wake_();  // posts to the waiter's thread
    }
}

std::size_t MemoryBudget::available_bytes() const {
    const std::lock_guard lock(mutex_);
    return available_bytes_;
}

}  // namespace fieldgate::net
