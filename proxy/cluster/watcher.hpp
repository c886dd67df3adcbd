#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/cluster/library.hpp"
#include "proxy/cluster/uri.hpp"

namespace fieldgate::cluster {

struct WatcherOptions {
    std::string uri;
    // Connecting to a member takes no longer than this, whatever the connection string says.
    std::optional<std::chrono::milliseconds> connect_timeout_max{};
    // A member stopped taking writes, or is gone. Once for each time; from the watcher's thread.
    std::function<void(const HostPort&)> on_member_lost;
    // What happens to the deployment, for the log; from the watcher's thread. `member` may be empty.
    std::function<void(Severity, std::string_view message, std::string_view member)> log;
};

// Follows a deployment with libmongoc's monitors and knows which member takes writes at the moment (the rules
// are PrimaryTracker's). Heartbeats come every second unless the connection string says otherwise: servers
// that push their changes are seen at once, others within it.
class Watcher {
 public:
    // Starts watching and returns. std::runtime_error if the connection string cannot be used (unknown DNS
    // seed list); a deployment that does not answer is waited for.
    explicit Watcher(WatcherOptions options);
    ~Watcher();
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;

    using Found = std::function<void(std::optional<HostPort> member, std::string why)>;
    // The member that takes writes, waited for up to `wait`; otherwise nothing, and why. `found` is called
    // once, on the calling thread if it is known, else on the watcher's. Any thread.
    void find_primary(std::chrono::milliseconds wait, Found found);

    // A session lost `member`, could not reach it or was told that it is not the primary: it is not handed
    // out until it says, on a new connection, that it takes writes. Any thread.
    void suspect(const HostPort& member);

 private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace fieldgate::cluster
