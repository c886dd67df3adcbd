#include "proxy/net/resolver.hpp"

#include <netdb.h>
#include <pthread.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>

namespace fieldgate::net {
namespace {

// Threads that the system's resolver keeps waiting: of one host, so that a name that nobody answers for does
// not keep others from being asked for, and of all. More questions are refused.
constexpr std::size_t threads_of_host_max = 4;
constexpr std::size_t threads_max = 64;

// Which questions are under way. Never destroyed: threads that nobody waits for may end after any static.
class Questions {
 public:
    bool begin(const std::string& host) {
        const std::lock_guard lock(mutex_);
        if (count_ >= threads_max) return false;
        std::size_t& count_of_host = hosts_[host];
        if (count_of_host >= threads_of_host_max) return false;
        ++count_of_host;
        ++count_;
        return true;
    }
    void end(const std::string& host) {
        const std::lock_guard lock(mutex_);
        const auto at = hosts_.find(host);
        if (--at->second == 0) hosts_.erase(at);
        --count_;
    }

 private:
    std::mutex mutex_;
    std::map<std::string, std::size_t> hosts_;
    std::size_t count_ = 0;
};

Questions& questions() {
    static Questions& questions = *new Questions;
    return questions;
}

struct FreeAddresses {
    void operator()(addrinfo* addresses) const noexcept { freeaddrinfo(addresses); }
};

}  // namespace

struct Lookup::Shared {
    std::mutex mutex;
    asio::io_context* context = nullptr;  // null: nobody waits any more
    // Written before `is_answered` is set on the context's thread, and by nobody afterwards.
    std::vector<asio::ip::address> addresses;
    std::string error;
    // Of the context's thread.
    bool is_answered = false;
    Event* answered = nullptr;
};

Lookup::Lookup(asio::io_context& context, const std::string& host)
    : shared_(std::make_shared<Shared>()), answered_(context) {
    error_code not_an_address;
    const auto literal = asio::ip::make_address(host, not_an_address);
    if (!not_an_address) {
        shared_->addresses.push_back(literal);
        shared_->is_answered = true;
        return;
    }
    shared_->context = &context;
    shared_->answered = &answered_;
    if (!questions().begin(host)) {
        shared_->error = "the system's resolver does not answer";
        shared_->is_answered = true;
        return;
    }
    try {
        std::thread([shared = shared_, host] {
            pthread_setname_np(pthread_self(), "kms-resolve");
            ask(shared, host);
            questions().end(host);
        }).detach();
    } catch (const std::system_error& error) {
        questions().end(host);
        shared_->error = error.what();
        shared_->is_answered = true;
    }
}

void Lookup::ask(const std::shared_ptr<Shared>& shared, const std::string& host) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    addrinfo* found = nullptr;
    const int result = getaddrinfo(host.c_str(), nullptr, &hints, &found);
    const std::unique_ptr<addrinfo, FreeAddresses> addresses(found);

    const std::lock_guard lock(shared->mutex);
    if (shared->context == nullptr) return;
    if (result != 0) shared->error = gai_strerror(result);
    for (const addrinfo* at = result == 0 ? found : nullptr; at != nullptr; at = at->ai_next) {
        asio::ip::tcp::endpoint endpoint;
        if (at->ai_addrlen > endpoint.capacity()) continue;
        std::copy_n(reinterpret_cast<const std::uint8_t*>(at->ai_addr), at->ai_addrlen,
                    reinterpret_cast<std::uint8_t*>(endpoint.data()));
        shared->addresses.push_back(endpoint.address());
    }
    if (shared->addresses.empty() && shared->error.empty()) shared->error = "it has no address";
    asio::post(*shared->context, [shared] {
        shared->is_answered = true;
        if (shared->answered != nullptr) shared->answered->notify();
    });
}

asio::awaitable<void> Lookup::wait() {
    while (!shared_->is_answered) co_await answered_.wait();
}

void Lookup::give_up() {
    {
        const std::lock_guard lock(shared_->mutex);
        shared_->context = nullptr;
        if (!shared_->is_answered) {
            shared_->addresses.clear();
            shared_->error = "given up";
        }
    }
    shared_->is_answered = true;
    shared_->answered = nullptr;
    answered_.notify();
}

const std::vector<asio::ip::address>& Lookup::addresses() const {
    return shared_->addresses;
}

const std::string& Lookup::error() const {
    return shared_->error;
}

}  // namespace fieldgate::net
