#include "proxy/net/tls.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <stdexcept>
#include <string>

namespace fieldgate::net {
namespace {

[[noreturn]] void fail(const std::string& what) {
    const unsigned long code = ERR_peek_last_error();
    const char* const reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
    ERR_clear_error();
    throw std::runtime_error(what + ": " + (reason != nullptr ? reason : "unknown cause"));
}

SslContext make_context(const SSL_METHOD* method) {
    ERR_clear_error();
    SslContext context(SSL_CTX_new(method));
    if (!context) fail("TLS cannot be set up");
    if (SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) != 1) fail("TLS 1.2 cannot be required");
    SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    // One read per record instead of two (header, body).
    SSL_CTX_set_read_ahead(context.get(), 1);
    return context;
}

int give_password(char* buffer, int size, int, void* password) {
    const auto& text = *static_cast<const std::string*>(password);
    if (text.size() > static_cast<std::size_t>(size)) return -1;
    text.copy(buffer, text.size());
    return static_cast<int>(text.size());
}

void use_certificate(SSL_CTX* context, const std::string& file, std::string password) {
    // Also without a password: OpenSSL would ask for one on the terminal.
    SSL_CTX_set_default_passwd_cb(context, give_password);
    SSL_CTX_set_default_passwd_cb_userdata(context, &password);
    if (SSL_CTX_use_certificate_chain_file(context, file.c_str()) != 1) fail("certificate in " + file);
    if (SSL_CTX_use_PrivateKey_file(context, file.c_str(), SSL_FILETYPE_PEM) != 1)
        fail("private key in " + file);
    if (SSL_CTX_check_private_key(context) != 1) fail("certificate and private key in " + file);
    SSL_CTX_set_default_passwd_cb_userdata(context, nullptr);
    SSL_CTX_set_default_passwd_cb(context, nullptr);
}

}  // namespace

SslContext make_listener_context(const config::TlsServer& tls) {
    SslContext context = make_context(TLS_server_method());
    use_certificate(context.get(), tls.certificate_key_file.string(), {});
    using ClientCertificate = config::TlsServer::ClientCertificate;
    if (tls.client_certificate != ClientCertificate::none) {
        const std::string ca_file = tls.ca_file.string();
        if (SSL_CTX_load_verify_locations(context.get(), ca_file.c_str(), nullptr) != 1) {
            fail("certificate authorities in " + ca_file);
        }
        SSL_CTX_set_client_CA_list(context.get(), SSL_load_client_CA_file(ca_file.c_str()));
        SSL_CTX_set_verify(context.get(),
                           tls.client_certificate == ClientCertificate::required
                               ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
                               : SSL_VERIFY_PEER,
                           nullptr);
    }
    // A resumed session would need an id context, and tickets cost more than they save on connections that
    // last.
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context.get(), 0);
    SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET);
    return context;
}

SslContext make_upstream_context(const UpstreamTls& tls) {
    SslContext context = make_context(TLS_client_method());
    if (!tls.certificate_key_file.empty()) {
        use_certificate(context.get(), tls.certificate_key_file, tls.certificate_key_password);
    }
    if (tls.allow_invalid_certificates) {
        SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
        return context;
    }
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    if (tls.ca_file.empty()) {
        if (SSL_CTX_set_default_verify_paths(context.get()) != 1)
            fail("the system's certificate authorities");
    } else if (SSL_CTX_load_verify_locations(context.get(), tls.ca_file.c_str(), nullptr) != 1) {
        fail("certificate authorities in " + tls.ca_file);
    }
    return context;
}

}  // namespace fieldgate::net
