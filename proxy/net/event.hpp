#pragma once

#include <boost/asio/steady_timer.hpp>
#include <boost/assert.hpp>

#include "proxy/net/asio.hpp"

namespace fieldgate::net {

// Lets one coroutine of a thread wait until another code of the same thread has changed something. There is
// no memory: check the condition, wait, check again.
class Event {
 public:
    explicit Event(asio::io_context& context) : timer_(context, asio::steady_timer::time_point::max()) {}

    void notify() {
        if (waiting_ != 0) timer_.cancel();
    }

    asio::awaitable<void> wait() {
        ++waiting_;
        co_await timer_.async_wait(use_tuple);
        --waiting_;
    }

 private:
    asio::steady_timer timer_;
    int waiting_ = 0;
};

// Who may write to a stream: two loops do, and two writes in flight would mix their bytes. Handed over in the
// order asked. With two users there is never more than one waiting.
//
//     if (!lock.try_acquire()) co_await lock.acquire();
//     const WriteLock::Hold hold(lock);
class WriteLock {
 public:
    explicit WriteLock(asio::io_context& context) : handed_over_(context) {}

    bool try_acquire() {
        if (held_) return false;
        held_ = true;
        return true;
    }

    // After try_acquire() failed.
    asio::awaitable<void> acquire() {
        if (try_acquire()) co_return;
        BOOST_ASSERT(!wanted_);
        wanted_ = true;
        while (wanted_) co_await handed_over_.wait();
    }

    bool held() const { return held_; }

    // Releases what was acquired, on every way out.
    class Hold {
     public:
        explicit Hold(WriteLock& lock) : lock_(lock) {}
        Hold(const Hold&) = delete;
        Hold& operator=(const Hold&) = delete;
        ~Hold() { lock_.release(); }

     private:
        WriteLock& lock_;
    };

 private:
    void release() {
        BOOST_ASSERT(held_);
        if (!wanted_) {
            held_ = false;
            return;
        }
        wanted_ = false;  // still held, by the one who waited
        handed_over_.notify();
    }

    Event handed_over_;
    bool held_ = false;
    bool wanted_ = false;
};

}  // namespace fieldgate::net
