#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "proxy/bson/builder.hpp"
#include "proxy/bson/view.hpp"
#include "proxy/wire/message.hpp"

namespace fieldgate::cluster::testing {

// A server on a loopback port that answers every command with what a function says: enough of MongoDB for
// libmongoc to discover it and ask it something. OP_QUERY for the first handshake, OP_MSG afterwards.
class ScriptedServer {
 public:
    using Answer = std::function<bson::Buffer(bson::DocumentView command)>;
    // Whatever is to be sent, which need be no message.
    using Bytes = std::function<wire::Buffer(const wire::Header& request, bson::DocumentView command)>;

    explicit ScriptedServer(const Answer& answer) : ScriptedServer(sound(answer)) {}
    explicit ScriptedServer(Bytes bytes);
    ~ScriptedServer();
    ScriptedServer(const ScriptedServer&) = delete;
    ScriptedServer& operator=(const ScriptedServer&) = delete;

    std::uint16_t port() const { return port_; }
    std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
    // Commands other than handshakes, as extended JSON, in the order they came.
    std::vector<std::string> commands() const;

    // The messages that carry the documents of `answer`.
    static Bytes sound(const Answer& answer);

 private:
    void accept_all();
    void serve(int socket);

    const Bytes bytes_;
    int listener_ = -1;
    std::uint16_t port_ = 0;
    std::atomic<bool> stopping_{false};
    mutable std::mutex mutex_;
    std::list<int> sockets_;
    std::vector<std::string> commands_;
    std::list<std::thread> threads_;
    std::thread acceptor_;
};

bool is_hello(bson::DocumentView command);
// `role`: "primary", "secondary", "standalone" or "mongos".
bson::Buffer hello_reply(const std::string& role, const std::string& address);
// Handshakes as a standalone server, everything else as `answer` says.
ScriptedServer::Answer standalone(ScriptedServer::Answer answer);
bson::Buffer ok_reply();
bson::Buffer error_reply(std::int32_t code, const std::string& errmsg);
bson::Buffer cursor_reply(const std::string& ns, const std::vector<bson::Buffer>& documents);

}  // namespace fieldgate::cluster::testing
