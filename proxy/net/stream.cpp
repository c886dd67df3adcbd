#include "proxy/net/stream.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>

#include "proxy/net/error.hpp"

namespace fieldgate::net {
namespace {

// How much one session may move before others of its thread get their turn: well under a millisecond's worth.
constexpr std::size_t turn_bytes_max = std::size_t{256} * 1024;

// OpenSSL reports through errno and a queue per thread, which must not hold what another session left there.
void prepare_tls_call() {
    ERR_clear_error();
    errno = 0;
}

error_code last_system_error() {
    return {errno, boost::system::system_category()};
}

std::string openssl_error_text() {
    const unsigned long code = ERR_peek_error();
    if (code == 0) return "unknown cause";
    const char* const reason = ERR_reason_error_string(code);
    return reason != nullptr ? reason : "OpenSSL error " + std::to_string(code);
}

// The alerts of RFC 8446 6.2 about the certificate of whom they are sent to. (handshake_failure, which
// servers of TLS 1.2 send when there is none, can mean anything.)
bool is_about_our_certificate(unsigned long code) {
    if (ERR_GET_LIB(code) != ERR_LIB_SSL) return false;
    switch (ERR_GET_REASON(code)) {
        case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
        case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
        case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
        case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
        case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
        case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
        case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
        case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
            return true;
        default:
            return false;
    }
}

}  // namespace

asio::awaitable<error_code> Stream::connect(Socket::endpoint_type endpoint) {
    error_code ec;
    std::tie(ec) = co_await socket_.async_connect(endpoint, use_tuple);
    if (!ec) tune();
    co_return ec;
}

void Stream::tune() {
    const auto set = [this](int level, int option, int value) {
        ::setsockopt(socket_.native_handle(), level, option, &value, sizeof value);
    };
    set(IPPROTO_TCP, TCP_NODELAY, 1);
    // As drivers do, so that a peer that is cut off is noticed in minutes and not in hours.
    set(SOL_SOCKET, SO_KEEPALIVE, 1);
    set(IPPROTO_TCP, TCP_KEEPIDLE, 120);
    set(IPPROTO_TCP, TCP_KEEPINTVL, 10);
    set(IPPROTO_TCP, TCP_KEEPCNT, 9);
}

asio::awaitable<error_code> Stream::accept_tls(SSL_CTX* context) {
    ssl_.reset(SSL_new(context));
    if (!ssl_) throw std::bad_alloc();
    SSL_set_accept_state(ssl_.get());
    return handshake();
}

asio::awaitable<error_code> Stream::connect_tls(SSL_CTX* context, const PeerName& name) {
    ssl_.reset(SSL_new(context));
    if (!ssl_) throw std::bad_alloc();
    SSL_set_connect_state(ssl_.get());
    error_code not_an_address;
    asio::ip::make_address(name.host, not_an_address);
    int ok = 1;
    if (not_an_address) {
        // Without SNI a server of several names presents the wrong certificate; without the check any
        // certificate of the same authority would do.
        ok = SSL_set_tlsext_host_name(ssl_.get(), name.host.c_str()) == 1 &&
             (!name.verify || SSL_set1_host(ssl_.get(), name.host.c_str()) == 1);
    } else if (name.verify) {
        ok = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_.get()), name.host.c_str());
    }
    if (ok != 1) {
        tls_error_ = "the host name cannot be checked";
        ssl_.reset();
        co_return Errc::tls_failed;
    }
    co_return co_await handshake();
}

asio::awaitable<error_code> Stream::handshake() {
    error_code ec;
    socket_.native_non_blocking(true, ec);
    if (!ec && SSL_set_fd(ssl_.get(), socket_.native_handle()) != 1) ec = Errc::tls_failed;
    while (!ec) {
        prepare_tls_call();
        const int result = SSL_do_handshake(ssl_.get());
        if (result == 1) {
            tls_established_ = true;
            break;
        }
        const Wait wait = after_tls_call(result, ec);
        if (ec) {
            const long verify_result = SSL_get_verify_result(ssl_.get());
            if (verify_result != X509_V_OK) tls_error_ = X509_verify_cert_error_string(verify_result);
            if (tls_error_.empty()) tls_error_ = ec.message();
            break;
        }
        ec = co_await wait_for(wait);
    }
    co_return ec;
}

asio::awaitable<IoResult> Stream::read_some(std::span<std::uint8_t> room) {
    if (ssl_) return read_tls(room);
    return socket_.async_read_some(asio::buffer(room.data(), room.size()), use_tuple);
}

asio::awaitable<IoResult> Stream::read_tls(std::span<std::uint8_t> room) {
    error_code ec;
    if (bytes_since_wait_ > turn_bytes_max) {
        bytes_since_wait_ = 0;
        co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
    }
    std::size_t total = 0;
    while (socket_.is_open()) {
        prepare_tls_call();
        std::size_t byte_count = 0;
        const int result = SSL_read_ex(ssl_.get(), room.data() + total, room.size() - total, &byte_count);
        if (result == 1) {
            total += byte_count;
            // A record holds 16 KB: take what OpenSSL has read ahead, too.
            if (total < room.size() && SSL_has_pending(ssl_.get()) == 1) continue;
            break;
        }
        const Wait wait = after_tls_call(result, ec);
        if (total != 0) {
            ec.clear();  // an error shows itself again at the next call
            break;
        }
        if (!ec) ec = co_await wait_for(wait);
        if (ec) co_return IoResult{ec, 0};
    }
    if (total == 0) co_return IoResult{asio::error::operation_aborted, 0};
    bytes_since_wait_ += total;
    co_return IoResult{ec, total};
}

wire::Bytes Stream::try_write(wire::Bytes bytes, error_code& ec) {
    ec.clear();
    blocked_ = Wait::none;
    if (!socket_.is_open()) {
        ec = asio::error::operation_aborted;
        return bytes;
    }
    const std::size_t turn_bytes = std::min(bytes.size(), turn_bytes_max);
    std::size_t written = 0;
    if (!ssl_) {
        const ssize_t byte_count =
            ::send(socket_.native_handle(), bytes.data(), turn_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (byte_count >= 0) {
            written = static_cast<std::size_t>(byte_count);
        } else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
            ec = last_system_error();
            return bytes;
        }
        if (written < turn_bytes) blocked_ = Wait::write;
        bytes_written_ += written;
        return bytes.subspan(written);
    }
    while (written < turn_bytes) {
        std::size_t byte_count = 0;
        prepare_tls_call();
        const int result =
            SSL_write_ex(ssl_.get(), bytes.data() + written, bytes.size() - written, &byte_count);
        if (result == 1) {
            written += byte_count;
            continue;
        }
        blocked_ = after_tls_call(result, ec);
        break;
    }
    bytes_written_ += written;
    return bytes.subspan(written);
}

asio::awaitable<error_code> Stream::write(wire::Bytes bytes) {
    error_code ec;
    for (;;) {
        bytes = try_write(bytes, ec);
        if (ec || bytes.empty()) co_return ec;
        if (blocked_ == Wait::none) {
            co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
        } else {
            ec = co_await wait_for(blocked_);
            if (ec) co_return ec;
        }
    }
}

Stream::Wait Stream::after_tls_call(int result, error_code& ec) {
    switch (SSL_get_error(ssl_.get(), result)) {
        case SSL_ERROR_WANT_READ:
            return Wait::read;
        case SSL_ERROR_WANT_WRITE:
            return Wait::write;
        case SSL_ERROR_ZERO_RETURN:
            ec = asio::error::eof;
            break;
        case SSL_ERROR_SYSCALL:
            ec = errno != 0 ? last_system_error() : make_error_code(Errc::tls_truncated);
            break;
        default:
            tls_error_ = openssl_error_text();
            is_certificate_refused_ = is_about_our_certificate(ERR_peek_error());
            ec = ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING
                     ? make_error_code(Errc::tls_truncated)
                     : make_error_code(Errc::tls_failed);
    }
    tls_established_ = tls_established_ && ec == asio::error::eof;  // after an error there is no polite end
    return Wait::none;
}

asio::awaitable<error_code> Stream::wait_for(Wait wait) {
    error_code ec;
    if (!socket_.is_open()) co_return asio::error::operation_aborted;
    std::tie(ec) =
        co_await socket_.async_wait(wait == Wait::read ? Socket::wait_read : Socket::wait_write, use_tuple);
    bytes_since_wait_ = 0;
    if (!ec && !socket_.is_open()) ec = asio::error::operation_aborted;
    co_return ec;
}

bool Stream::is_quiet() {
    if (!socket_.is_open() || (ssl_ && SSL_has_pending(ssl_.get()) == 1)) return false;
    char byte = 0;
    const ssize_t byte_count = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return byte_count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
}

void Stream::end_writing() {
    if (!socket_.is_open()) return;
    if (ssl_ && tls_established_) {
        prepare_tls_call();
        SSL_shutdown(ssl_.get());  // close_notify, if the socket takes it now
        ERR_clear_error();
    }
    error_code ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
}

void Stream::close() {
    if (!socket_.is_open()) return;
    end_writing();
    error_code ignored;
    socket_.close(ignored);
}

}  // namespace fieldgate::net
