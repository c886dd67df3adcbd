#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace fieldgate::keys {

// One thread that runs what is posted to it, in order, and a task of its own now and then. For the work
// beside the data path: the broker, the key vault, questions to the server.
class Worker {
 public:
    using Task = std::function<void()>;

    // `name` is what debuggers and top show, at most 15 characters. `tick` runs on the thread about every
    // `interval`.
    explicit Worker(const std::string& name, std::chrono::milliseconds interval = std::chrono::hours(1),
                    Task tick = {});
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;
    ~Worker() { stop(); }

    // Any thread. After stop() the task is dropped, its captures destroyed.
    void post(Task task);
    // Waits for the task that runs; drops the others. Not from the thread itself.
    void stop();

 private:
    void run();

    const std::chrono::milliseconds interval_;
    const Task tick_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Task> tasks_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace fieldgate::keys
