#include "tests/unit/net/support.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/endian/conversion.hpp>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace fieldgate::net::test {
namespace {

constexpr int patience_ms = 5000;

// A thread that waits for the wrong thing must not hang the whole run.
void limit_waiting(int descriptor) {
    const timeval patience{patience_ms / 1000, 0};
    ::setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

sockaddr_un unix_address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof address.sun_path - 1));
    return address;
}

template <typename Address>
const sockaddr* generic(const Address& address) {
    return reinterpret_cast<const sockaddr*>(&address);
}

}  // namespace

wire::Buffer message(std::int32_t request_id, std::int32_t response_to, std::string_view text,
                     std::uint32_t flags) {
    wire::Buffer bytes(wire::header_bytes + 4 + text.size());
    boost::endian::store_little_s32(bytes.data(), static_cast<std::int32_t>(bytes.size()));
    boost::endian::store_little_s32(bytes.data() + 4, request_id);
    boost::endian::store_little_s32(bytes.data() + 8, response_to);
    boost::endian::store_little_s32(bytes.data() + 12, 2013);
    boost::endian::store_little_u32(bytes.data() + 16, flags);
    std::memcpy(bytes.data() + 20, text.data(), text.size());
    return bytes;
}

std::string payload_of(wire::Bytes frame) {
    if (frame.size() < 20) return {};
    return {reinterpret_cast<const char*>(frame.data()) + 20, frame.size() - 20};
}

Peer Peer::connect_tcp(std::uint16_t port) {
    Peer peer(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    limit_waiting(peer.descriptor_);
    const sockaddr_in address = loopback(port);
    if (::connect(peer.descriptor_, generic(address), sizeof address) != 0)
        throw std::runtime_error("cannot connect");
    return peer;
}

Peer Peer::connect_unix(const std::string& path) {
    Peer peer(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    limit_waiting(peer.descriptor_);
    const sockaddr_un address = unix_address(path);
    if (::connect(peer.descriptor_, generic(address), sizeof address) != 0)
        throw std::runtime_error("cannot connect");
    return peer;
}

Peer& Peer::operator=(Peer&& other) noexcept {
    close();
    descriptor_ = std::exchange(other.descriptor_, -1);
    return *this;
}

bool Peer::send(wire::Bytes bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::write(descriptor_, bytes.data(), bytes.size());
        if (n <= 0) return false;
        bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
    return true;
}

bool Peer::receive_exactly(std::uint8_t* to, std::size_t byte_count) {
    while (byte_count != 0) {
        const ssize_t n = ::read(descriptor_, to, byte_count);
        if (n <= 0) return false;
        to += n;
        byte_count -= static_cast<std::size_t>(n);
    }
    return true;
}

std::optional<wire::Buffer> Peer::receive() {
    wire::Buffer bytes(wire::header_bytes);
    if (!receive_exactly(bytes.data(), bytes.size())) return std::nullopt;
    bytes.resize(boost::endian::load_little_u32(bytes.data()));
    if (!receive_exactly(bytes.data() + wire::header_bytes, bytes.size() - wire::header_bytes))
        return std::nullopt;
    return bytes;
}

std::string Peer::receive_text() {
    const auto bytes = receive();
    return bytes ? payload_of(*bytes) : "(no message)";
}

bool Peer::sees_end() {
    std::uint8_t byte = 0;
    const ssize_t n = ::read(descriptor_, &byte, 1);
    return n == 0 || (n < 0 && errno == ECONNRESET);
}

bool Peer::silent_for(std::chrono::milliseconds duration) {
    pollfd poller{descriptor_, POLLIN, 0};
    return ::poll(&poller, 1, static_cast<int>(duration.count())) == 0;
}

void Peer::close() {
    if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
}

void Peer::reset() {
    const linger now{1, 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
}

StubServer::StubServer(Serve serve, std::string hello, std::string unix_path)
    : serve_(std::move(serve)), hello_(std::move(hello)) {
    if (!unix_path.empty()) {
        listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const sockaddr_un address = unix_address(unix_path);
        if (::bind(listener_, generic(address), sizeof address) != 0) throw std::runtime_error("cannot bind");
        address_.host = unix_path;
    } else {
        listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address = loopback(0);
        if (::bind(listener_, generic(address), sizeof address) != 0) throw std::runtime_error("cannot bind");
        socklen_t size = sizeof address;
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
        address_ = {"127.0.0.1", ntohs(address.sin_port)};
    }
    ::listen(listener_, 1024);
    acceptor_ = std::thread([this] { accept(); });
}

StubServer::~StubServer() {
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    {
        const std::lock_guard lock(mutex_);
        for (const int descriptor : descriptors_) ::shutdown(descriptor, SHUT_RDWR);
    }
    for (std::thread& thread : threads_) thread.join();
    for (const int descriptor : descriptors_) ::close(descriptor);
    ::close(listener_);
    if (address_.host.starts_with('/')) ::unlink(address_.host.c_str());
}

void StubServer::accept() {
    for (;;) {
        const int descriptor = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (descriptor < 0) return;
        limit_waiting(descriptor);
        ++accepted_;
        const std::lock_guard lock(mutex_);
        descriptors_.push_back(::dup(descriptor));  // stays valid for the shutdown at the end
        threads_.emplace_back([this, descriptor] {
            Peer peer(descriptor);
            const auto hello = peer.receive();
            if (!hello) return;
            if (!peer.send(message(9, wire::Header::parse(*hello).request_id, hello_))) return;
            serve_(peer);
            // The duplicate keeps the connection open otherwise.
            ::shutdown(peer.descriptor(), SHUT_RDWR);
        });
    }
}

void StubServer::echo(Peer& peer) {
    while (const auto request = peer.receive()) {
        const auto header = wire::Header::parse(*request);
        if (!peer.send(
                message(header.request_id + 1000, header.request_id, "reply to " + payload_of(*request))))
            return;
    }
}

config::Config plain_config() {
    config::Config config;
    config.roles.emplace_back().name = "doctor";
    config::Listener& listener = config.listeners.emplace_back();
    listener.name = "doctors";
    listener.host = "127.0.0.1";
    return config;
}

keys::KeyResult failed_keys(const keys::KeyRequest& request) {
    keys::KeyResult result;
    const auto expires = keys::Clock::now() + std::chrono::minutes(1);
    for (const crypto::KeyId& id : request.ids) {
        result.ids.emplace_back(id, keys::FailedKey{{96, "no such key"}, expires});
    }
    return result;
}

RunningServer::RunningServer(const StubServer* upstream) {
    options.worker_count = 1;
    services.fetch_keys = [](const keys::KeyRequest& request,
                             const std::function<void(keys::KeyResult)>& done) {
        done(failed_keys(request));
    };
    services.resolve_namespaces = [](const std::vector<analysis::NamespaceName>& names,
                                     const std::function<void(NamespaceAnswers)>& done) {
        NamespaceAnswers answers;
        for (const auto& name : names) answers.emplace_back(name, analysis::NamespaceFacts{});
        done(std::move(answers));
    };
    std::optional<HostPort> member;
    if (upstream != nullptr) member = upstream->address();
    services.find_primary = [member](std::chrono::milliseconds, const auto& done) {
        done(member, member ? "" : "there is no primary");
    };
    services.report_member = [this](const HostPort& which, std::string_view why) {
        const std::lock_guard lock(mutex_);
        reports_.push_back(which.text() + ": " + std::string(why));
    };
}

void RunningServer::start() {
    server_ = std::make_unique<Server>(std::make_shared<config::Config>(config), services, upstream_options,
                                       options);
    server_->listen();
    thread_ = std::thread([this] {
        server_->run();
        const std::lock_guard lock(mutex_);
        ended_ = true;
        changed_.notify_all();
    });
}

RunningServer::~RunningServer() {
    if (!thread_.joinable()) return;
    server_->stop();
    thread_.join();
}

bool RunningServer::ends() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::milliseconds(patience_ms), [this] { return ended_; });
}

std::vector<std::string> RunningServer::reports() {
    const std::lock_guard lock(mutex_);
    return reports_;
}

bool RunningServer::eventually(const std::function<bool(const Statistics&)>& condition) {
    for (int waited_ms = 0; waited_ms < patience_ms; waited_ms += 5) {
        if (condition(server_->statistics())) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
}

}  // namespace fieldgate::net::test
