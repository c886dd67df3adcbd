#pragma once

#include <boost/system/error_code.hpp>
#include <boost/system/is_error_code_enum.hpp>

namespace fieldgate::net {

// Why a connection ended, where neither the operating system nor wire/ has a name for it.
enum class Errc {
    ok = 0,
    tls_failed,         // a TLS handshake or record that the peer's bytes or certificate made fail
    tls_truncated,      // the peer went without ending its TLS stream
    timed_out,          // a step with a limit in time (connect, handshake, first reply) took longer
    unsolicited_bytes,  // the upstream sent more than the one reply to its handshake
    no_address,         // an upstream host name without addresses
};

const boost::system::error_category& error_category();

inline boost::system::error_code make_error_code(Errc error) {
    return {static_cast<int>(error), error_category()};
}

}  // namespace fieldgate::net

template <>
struct boost::system::is_error_code_enum<fieldgate::net::Errc> : std::true_type {};
