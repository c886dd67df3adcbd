#pragma once

#include <openssl/ssl.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "proxy/net/tls.hpp"

// A key manager of a test's own making: blocking, scripted, with TLS or without. Every wait is bounded.
namespace fieldgate::net::test {

class KmsStub {
 public:
    // One connection, as the script sees it.
    class Connection {
     public:
        Connection(int descriptor, SSL_CTX* tls);
        Connection(const Connection&) = delete;
        Connection& operator=(const Connection&) = delete;
        ~Connection();

        bool shake_hands();  // true at once without TLS
        // One HTTP request, head and body; nothing at the end, on an error or after 5 s.
        std::optional<std::string> receive();
        std::optional<std::string> receive_exactly(std::size_t byte_count);
        bool send(std::string_view text);
        // Ends TLS properly, then the socket; or only the socket.
        void end(bool with_close_notify = true);
        void reset();
        std::string server_name() const;  // SNI, or empty
        std::string client_name() const;  // CN of the client's certificate, or empty
        // Until the client closes, at most 5 s: true if it did.
        bool sees_end();

     private:
        std::string read_some();
        int descriptor_;
        std::unique_ptr<SSL, SslFree> ssl_;
        std::string pending_;
    };

    using Serve = std::function<void(Connection&, int number)>;  // number: 1, 2, ...
    // `certificate_key_file` empty: without TLS. `ca_file`: asks for client certificates.
    explicit KmsStub(Serve serve, const std::filesystem::path& certificate_key_file = {},
                     const std::filesystem::path& ca_file = {}, int max_tls_version = 0);
    ~KmsStub();
    std::uint16_t port() const { return port_; }
    int accepted() const { return accepted_; }

    // Answers every request with 200 and its own target or body: "POST /x" gives "/x".
    static void echo(Connection& connection, int number);

 private:
    void accept();
    Serve serve_;
    SslContext tls_;
    int listener_ = -1;
    std::uint16_t port_ = 0;
    std::atomic<int> accepted_{0};
    std::mutex mutex_;
    std::vector<int> descriptors_;
    std::vector<std::thread> threads_;
    std::thread acceptor_;
};

std::string http_reply(std::string_view body, std::string_view headers = {});

// What the system's resolver says while it lives: addresses of 127.0.0.1 and ::1 kind, in order. Names that
// no test made up go to the real one.
class FakeNames {
 public:
    FakeNames();
    ~FakeNames();
    void add(const std::string& name, std::vector<std::string> addresses);  // none: not found
    // Questions for the name are not answered until the end of this object.
    void hang(const std::string& name);
    // Blocks until somebody asked for it, at most 5 s.
    bool was_asked(const std::string& name);
};

}  // namespace fieldgate::net::test
