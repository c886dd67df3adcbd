#include "tests/unit/net/kms_stub.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <algorithm>
#include <csignal>
#include <cstring>
#include <map>
#include <set>
#include <stdexcept>

namespace fieldgate::net::test {
namespace {

constexpr int patience_ms = 5000;

// Waits for bytes or the end.
bool wait_readable(int descriptor) {
    pollfd entry{descriptor, POLLIN, 0};
    return ::poll(&entry, 1, patience_ms) == 1;
}

}  // namespace

KmsStub::Connection::Connection(int descriptor, SSL_CTX* tls) : descriptor_(descriptor) {
    const timeval patience{patience_ms / 1000, 0};
    ::setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (tls == nullptr) return;
    ssl_.reset(SSL_new(tls));
    SSL_set_fd(ssl_.get(), descriptor);
}

// The descriptor is closed by the stub, which may still have to wake it.
KmsStub::Connection::~Connection() {
    end(false);
}

bool KmsStub::Connection::shake_hands() {
    return !ssl_ || SSL_accept(ssl_.get()) == 1;
}

std::string KmsStub::Connection::read_some() {
    char bytes[4096];
    if (ssl_) {
        const int n = SSL_read(ssl_.get(), bytes, sizeof bytes);
        return n > 0 ? std::string(bytes, static_cast<std::size_t>(n)) : std::string();
    }
    const ssize_t n = ::read(descriptor_, bytes, sizeof bytes);
    return n > 0 ? std::string(bytes, static_cast<std::size_t>(n)) : std::string();
}

std::optional<std::string> KmsStub::Connection::receive_exactly(std::size_t byte_count) {
    while (pending_.size() < byte_count) {
        const std::string more = read_some();
        if (more.empty()) return std::nullopt;
        pending_ += more;
    }
    std::string taken = pending_.substr(0, byte_count);
    pending_.erase(0, byte_count);
    return taken;
}

std::optional<std::string> KmsStub::Connection::receive() {
    std::size_t end = 0;
    while ((end = pending_.find("\r\n\r\n")) == std::string::npos) {
        const std::string more = read_some();
        if (more.empty()) return std::nullopt;
        pending_ += more;
    }
    std::size_t length = end + 4;
    if (const std::size_t at = pending_.find("Content-Length: "); at < end)
        length += std::stoul(pending_.substr(at + 16));
    return receive_exactly(length);
}

bool KmsStub::Connection::send(std::string_view text) {
    while (!text.empty()) {
        const auto n = ssl_ ? SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size()))
                            : static_cast<int>(::write(descriptor_, text.data(), text.size()));
        if (n <= 0) return false;
        text.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

void KmsStub::Connection::end(bool with_close_notify) {
    if (ssl_ && with_close_notify) SSL_shutdown(ssl_.get());
    ::shutdown(descriptor_, SHUT_RDWR);
}

void KmsStub::Connection::reset() {
    // Closing with SO_LINGER 0 resets; the descriptor's number stays taken.
    const linger at_once{1, 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    const int placeholder = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ::dup2(placeholder, descriptor_);
    ::close(placeholder);
}

std::string KmsStub::Connection::server_name() const {
    const char* const name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name);
    return name != nullptr ? name : "";
}

std::string KmsStub::Connection::client_name() const {
    const std::unique_ptr<X509, decltype(&X509_free)> certificate(SSL_get1_peer_certificate(ssl_.get()),
                                                                  &X509_free);
    if (!certificate) return {};
    char name[100] = "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate.get()), NID_commonName, name, sizeof name);
    return name;
}

bool KmsStub::Connection::sees_end() {
    while (wait_readable(descriptor_)) {
        if (read_some().empty()) return true;
    }
    return false;
}

KmsStub::KmsStub(Serve serve, const std::filesystem::path& certificate_key_file,
                 const std::filesystem::path& ca_file, int max_tls_version)
    : serve_(std::move(serve)) {
    if (!certificate_key_file.empty()) {
        tls_.reset(SSL_CTX_new(TLS_server_method()));
        SSL_CTX* const tls = tls_.get();
        if (SSL_CTX_use_certificate_chain_file(tls, certificate_key_file.c_str()) != 1 ||
            SSL_CTX_use_PrivateKey_file(tls, certificate_key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
            throw std::runtime_error("cannot use " + certificate_key_file.string());
        }
        if (!ca_file.empty()) {
            SSL_CTX_load_verify_locations(tls, ca_file.c_str(), nullptr);
            SSL_CTX_set_verify(tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
        }
        if (max_tls_version != 0) {
            SSL_CTX_set_security_level(tls, 0);
            SSL_CTX_set_min_proto_version(tls, max_tls_version);
            SSL_CTX_set_max_proto_version(tls, max_tls_version);
        }
    }
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener_, 64) != 0) {
        throw std::runtime_error("cannot listen");
    }
    socklen_t size = sizeof address;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept(); });
}

KmsStub::~KmsStub() {
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    {
        const std::lock_guard lock(mutex_);
        for (const int descriptor : descriptors_) ::shutdown(descriptor, SHUT_RDWR);
    }
    for (std::thread& thread : threads_) thread.join();
    for (const int descriptor : descriptors_) ::close(descriptor);
    ::close(listener_);
}

void KmsStub::accept() {
    for (;;) {
        const int descriptor = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (descriptor < 0) return;
        const int number = ++accepted_;
        const std::lock_guard lock(mutex_);
        descriptors_.push_back(descriptor);
        threads_.emplace_back([this, descriptor, number] {
            sigset_t signals;  // OpenSSL's writes
            sigemptyset(&signals);
            sigaddset(&signals, SIGPIPE);
            pthread_sigmask(SIG_BLOCK, &signals, nullptr);
            Connection connection(descriptor, tls_.get());
            serve_(connection, number);
        });
    }
}

std::string http_reply(std::string_view body, std::string_view headers) {
    return "HTTP/1.1 200 OK\r\n" + std::string(headers) + "Content-Length: " + std::to_string(body.size()) +
           "\r\n\r\n" + std::string(body);
}

void KmsStub::echo(Connection& connection, int) {
    if (!connection.shake_hands()) return;
    while (const auto request = connection.receive()) {
        const std::size_t start = request->find(' ') + 1;
        if (!connection.send(http_reply(request->substr(start, request->find(' ', start) - start)))) return;
    }
}

// The resolver.

namespace {

struct Names {
    std::mutex mutex;
    std::condition_variable changed;
    std::map<std::string, std::vector<std::string>> addresses;
    std::set<std::string> hanging;
    std::set<std::string> asked;
    int hanging_count = 0;
};

// Never destroyed: a thread that nobody waits for may still ask.
Names& names() {
    static Names& names = *new Names;
    return names;
}

}  // namespace

FakeNames::FakeNames() = default;

FakeNames::~FakeNames() {
    Names& state = names();
    std::unique_lock lock(state.mutex);
    state.hanging.clear();
    state.addresses.clear();
    state.asked.clear();
    state.changed.notify_all();
    state.changed.wait(lock, [&] { return state.hanging_count == 0; });
}

void FakeNames::add(const std::string& name, std::vector<std::string> addresses) {
    const std::lock_guard lock(names().mutex);
    names().addresses[name] = std::move(addresses);
}

void FakeNames::hang(const std::string& name) {
    const std::lock_guard lock(names().mutex);
    names().addresses[name] = {};
    names().hanging.insert(name);
}

bool FakeNames::was_asked(const std::string& name) {
    Names& state = names();
    std::unique_lock lock(state.mutex);
    return state.changed.wait_for(lock, std::chrono::milliseconds(patience_ms),
                                  [&] { return state.asked.contains(name); });
}

}  // namespace fieldgate::net::test

extern "C" {

int __real_getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** result);

int __wrap_getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** result) {
    auto& state = fieldgate::net::test::names();
    std::vector<std::string> addresses;
    {
        std::unique_lock lock(state.mutex);
        const auto at = node == nullptr ? state.addresses.end() : state.addresses.find(node);
        if (at == state.addresses.end()) {
            lock.unlock();
            return __real_getaddrinfo(node, service, hints, result);
        }
        addresses = at->second;
        state.asked.insert(node);
        state.changed.notify_all();
        ++state.hanging_count;
        state.changed.wait(lock, [&] { return !state.hanging.contains(node); });
        --state.hanging_count;
        state.changed.notify_all();
    }
    if (addresses.empty()) return EAI_NONAME;
    addrinfo* first = nullptr;
    for (auto address = addresses.rbegin(); address != addresses.rend(); ++address) {
        addrinfo numeric = *hints;
        numeric.ai_flags = AI_NUMERICHOST;
        addrinfo* one = nullptr;
        if (__real_getaddrinfo(address->c_str(), service, &numeric, &one) != 0) continue;
        one->ai_next = first;
        first = one;
    }
    *result = first;
    return 0;
}
}
