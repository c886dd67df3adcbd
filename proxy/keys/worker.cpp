#include "proxy/keys/worker.hpp"

#include <pthread.h>

#include <utility>

namespace fieldgate::keys {

Worker::Worker(const std::string& name, std::chrono::milliseconds interval, Task tick)
    : interval_(interval), tick_(std::move(tick)), thread_([this] { run(); }) {
    pthread_setname_np(thread_.native_handle(), name.substr(0, 15).c_str());
}

void Worker::post(Task task) {
    {
        const std::lock_guard lock(mutex_);
        if (stopping_) return;
        tasks_.push_back(std::move(task));
    }
    changed_.notify_one();
}

void Worker::stop() {
    std::deque<Task> dropped;
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        dropped.swap(tasks_);
    }
    changed_.notify_one();
    if (thread_.joinable()) thread_.join();
}

void Worker::run() {
    auto next_tick = std::chrono::steady_clock::now() + interval_;
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait_until(lock, next_tick, [this] { return stopping_ || !tasks_.empty(); });
        if (stopping_) return;
        if (!tasks_.empty()) {
            Task task = std::move(tasks_.front());
            tasks_.pop_front();
            lock.unlock();
            task();
            task = {};
            lock.lock();
        }
        if (std::chrono::steady_clock::now() >= next_tick) {
            lock.unlock();
            if (tick_) tick_();
            next_tick = std::chrono::steady_clock::now() + interval_;
            lock.lock();
        }
    }
}

}  // namespace fieldgate::keys
