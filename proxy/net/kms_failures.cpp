#include "proxy/net/kms_failures.hpp"

#include <openssl/x509_vfy.h>

#include <utility>

#include "proxy/net/error.hpp"
#include "proxy/net/stream.hpp"

namespace fieldgate::net {

using crypto::kms::Endpoint;
using crypto::kms::Failure;

std::string text_of(const Endpoint& endpoint) {
    const bool is_v6 = endpoint.host.find(':') != std::string::npos;
    return (is_v6 ? "[" + endpoint.host + "]" : endpoint.host) + ":" + std::to_string(endpoint.port);
}

Failure unavailable(std::string_view code, std::string text) {
    return {.kind = Failure::Kind::unavailable, .code = std::string(code), .text = std::move(text)};
}

Failure stopped() {
    return unavailable("stopped", "fieldgate is ending");
}

Failure tls_failure(const Stream& stream, const Endpoint& endpoint, const error_code& ec) {
    const std::string where = text_of(endpoint);
    switch (stream.verify_result()) {
        case X509_V_OK:
            break;
        case X509_V_ERR_HOSTNAME_MISMATCH:
        case X509_V_ERR_IP_ADDRESS_MISMATCH:
            return unavailable("certificate_name", "the certificate of " + where + " is not of that name");
        case X509_V_ERR_CERT_HAS_EXPIRED:
        case X509_V_ERR_CERT_NOT_YET_VALID:
            return unavailable("certificate_expired",
                               "the certificate of " + where + " is not valid now: " + stream.tls_error());
        default:
            return unavailable("certificate_untrusted",
                               "the certificate of " + where + " is not trusted: " + stream.tls_error());
    }
    if (stream.is_certificate_refused()) {
        return {.kind = Failure::Kind::credentials,
                .code = "certificate_refused",
                .text = where + " does not take fieldgate's certificate (tls.certificate_key_file): " +
                        stream.tls_error()};
    }
    if (ec == Errc::tls_failed) {
        return unavailable("tls_failed", "TLS with " + where + ": " + stream.tls_error());
    }
    return unavailable("closed", where + " closed the connection: " + ec.message());
}

}  // namespace fieldgate::net
