#pragma once

#include <openssl/ssl.h>

#include <boost/asio/generic/stream_protocol.hpp>
#include <memory>
#include <string>

#include "proxy/net/asio.hpp"
#include "proxy/wire/message.hpp"

namespace fieldgate::net {

struct SslFree {
    void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
    void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
};
using SslContext = std::unique_ptr<SSL_CTX, SslFree>;

// How a host name is checked on a client's side of TLS.
struct PeerName {
    std::string host;  // a name or an IP address
    bool verify = true;
};

// One end of a connection: TCP or Unix, plain or TLS. One concrete class, so that each asynchronous operation
// is compiled once. OpenSSL works on the descriptor itself: no second pair of buffers per session, and the
// idle ones are released.
//
// At most one read and one write under way; both on the context's thread.
class Stream {
 public:
    using Socket = asio::generic::stream_protocol::socket;

    explicit Stream(asio::io_context& context) : socket_(context) {}
    explicit Stream(Socket socket) : socket_(std::move(socket)) {}
    ~Stream() { close(); }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    asio::awaitable<error_code> connect(Socket::endpoint_type endpoint);
    // TCP_NODELAY and keep-alive, where the address family has them.
    void tune();

    asio::awaitable<error_code> accept_tls(SSL_CTX* context);
    asio::awaitable<error_code> connect_tls(SSL_CTX* context, const PeerName& name);
    // What OpenSSL said about the last failure, for logs; certificate errors by name.
    const std::string& tls_error() const { return tls_error_; }
    // X509_V_OK, or why the peer's certificate was not taken (X509_V_ERR_...).
    long verify_result() const { return ssl_ ? SSL_get_verify_result(ssl_.get()) : X509_V_OK; }

    // The peer ended TLS with an alert (RFC 8446 6.2) about our certificate: it wants one, or another.
    bool is_certificate_refused() const { return is_certificate_refused_; }

    // At least one byte, or an error (eof included).
    asio::awaitable<IoResult> read_some(std::span<std::uint8_t> room);

    // Writes what can be written without waiting and returns the rest, which means nothing if `ec` is set.
    wire::Bytes try_write(wire::Bytes bytes, error_code& ec);
    // Writes the rest, giving way to other sessions between slices.
    asio::awaitable<error_code> write(wire::Bytes bytes);

    // Tells the peer that nothing more comes. What it still sends can be read.
    void end_writing();

    // Ever, for telling a slow peer from one that stands still.
    std::uint64_t bytes_written() const { return bytes_written_; }

    bool is_open() const { return socket_.is_open(); }
    // Open, and nothing to read: neither bytes nor an end. Not while a read is under way.
    bool is_quiet();
    // Ends what is under way with operation_aborted. Idempotent.
    void close();

 private:
    enum class Wait { none, read, write };

    asio::awaitable<error_code> handshake();
    asio::awaitable<IoResult> read_tls(std::span<std::uint8_t> room);
    // What SSL_get_error() wants; sets `ec` if the stream is broken or at its end.
    Wait after_tls_call(int result, error_code& ec);
    asio::awaitable<error_code> wait_for(Wait wait);

    Socket socket_;
    std::unique_ptr<SSL, SslFree> ssl_;
    bool tls_established_ = false;
    Wait blocked_ = Wait::none;  // why try_write() left a rest: none if only its turn was over
    std::size_t bytes_since_wait_ = 0;
    std::uint64_t bytes_written_ = 0;
    std::string tls_error_;
    bool is_certificate_refused_ = false;
};

}  // namespace fieldgate::net
