#pragma once

#include <boost/asio/ip/address.hpp>
#include <memory>
#include <string>
#include <vector>

#include "proxy/net/event.hpp"

namespace fieldgate::net {

// One question to the system's resolver, on a thread of its own that nobody waits for: getaddrinfo() cannot
// be cut short, and Asio's resolver makes the end of its io_context wait for it. A question that is given up
// finishes unseen.
//
// Of one thread, that of `context`; give_up() before `context` ends.
class Lookup {
 public:
    // A literal address is answered at once.
    Lookup(asio::io_context& context, const std::string& host);
    ~Lookup() { give_up(); }
    Lookup(const Lookup&) = delete;
    Lookup& operator=(const Lookup&) = delete;

    // Until the answer has come or give_up() was called.
    asio::awaitable<void> wait();
    void give_up();

    // After wait(). Empty: `error` says why.
    const std::vector<asio::ip::address>& addresses() const;
    const std::string& error() const;

 private:
    struct Shared;
    static void ask(const std::shared_ptr<Shared>& shared, const std::string& host);
    std::shared_ptr<Shared> shared_;
    Event answered_;
};

}  // namespace fieldgate::net
