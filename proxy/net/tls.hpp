#pragma once

#include "config/config.hpp"
#include "proxy/net/server.hpp"
#include "proxy/net/stream.hpp"

namespace fieldgate::net {

// TLS 1.2 and later, no renegotiation, buffers of idle sessions released. Both throw std::runtime_error that
// names the file and what OpenSSL says about it.
SslContext make_listener_context(const config::TlsServer& tls);
SslContext make_upstream_context(const UpstreamTls& tls);

}  // namespace fieldgate::net
