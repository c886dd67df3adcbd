#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "proxy/net/server.hpp"
#include "proxy/wire/message.hpp"

// Blocking peers for tests of the relay. Every wait is bounded: a test that hangs fails.
namespace fieldgate::net::test {

// An OP_MSG-shaped message whose payload is `text` behind header and flags.
wire::Buffer message(std::int32_t request_id, std::int32_t response_to, std::string_view text,
                     std::uint32_t flags = 0);
std::string payload_of(wire::Bytes frame);

// One blocking socket. Uses read() and write(): send() and recv() belong to the relay, and tests make them
// fail.
class Peer {
 public:
    static Peer connect_tcp(std::uint16_t port);
    static Peer connect_unix(const std::string& path);
    explicit Peer(int descriptor) : descriptor_(descriptor) {}
    Peer(Peer&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    Peer& operator=(Peer&& other) noexcept;
    ~Peer() { close(); }

    bool send(wire::Bytes bytes);
    bool send(std::string_view text, std::int32_t request_id = 1) {
        return send(message(request_id, 0, text));
    }
    // A whole message; nothing at the end, on an error or after 5 s.
    std::optional<wire::Buffer> receive();
    // Its payload, or why there is none.
    std::string receive_text();
    // True if the other side ends the connection within 5 s, without a byte before.
    bool sees_end();
    // True if nothing arrives and nothing ends for that long.
    bool silent_for(std::chrono::milliseconds duration);
    void close();
    void reset();  // closes with a reset
    int descriptor() const { return descriptor_; }

 private:
    bool receive_exactly(std::uint8_t* to, std::size_t byte_count);
    int descriptor_ = -1;
};

// A scripted upstream: each connection has a thread, shakes hands by itself and then runs `serve`.
class StubServer {
 public:
    using Serve = std::function<void(Peer&)>;
    // What it answers to a hello: "primary", "not primary" or anything else.
    explicit StubServer(Serve serve, std::string hello = "primary", std::string unix_path = {});
    ~StubServer();
    HostPort address() const { return address_; }
    int accepted() const { return accepted_; }
    // Answers every request with its own payload behind "reply to ".
    static void echo(Peer& peer);

 private:
    void accept();
    Serve serve_;
    std::string hello_;
    int listener_ = -1;
    HostPort address_;
    std::atomic<int> accepted_{0};
    std::mutex mutex_;
    std::vector<int> descriptors_;
    std::vector<std::thread> threads_;
    std::thread acceptor_;
};

// A configuration with one plain listener on a port of the kernel's choice.
config::Config plain_config();

// A server that runs, on one worker unless told otherwise. Services answer at once unless replaced before
// start().
class RunningServer {
 public:
    explicit RunningServer(const StubServer* upstream = nullptr);
    ~RunningServer();
    void start();
    Peer connect() { return Peer::connect_tcp(port()); }
    std::uint16_t port() const { return server_->addresses().front().port; }
    Server& server() { return *server_; }
    // run() has returned within 5 s.
    bool ends();
    std::vector<std::string> reports();
    // Polls for 5 s.
    bool eventually(const std::function<bool(const Statistics&)>& condition);

    config::Config config = plain_config();
    Services services;
    UpstreamOptions upstream_options;
    ServerOptions options;

 private:
    std::unique_ptr<Server> server_;
    std::thread thread_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool ended_ = false;
    std::vector<std::string> reports_;
};

keys::KeyResult failed_keys(const keys::KeyRequest& request);

}  // namespace fieldgate::net::test
