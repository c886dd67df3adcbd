#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <string>

#include "config/config.hpp"
#include "proxy/net/asio.hpp"

// Where a listener is to listen; said alike by the server and by whoever checks a configuration.
namespace fieldgate::net {

inline std::string listener_address(const config::Listener& listener) {
    return listener.unix_path.empty() ? listener.host + ":" + std::to_string(listener.port)
                                      : "unix:" + listener.unix_path.string();
}

inline std::string cannot_listen(const config::Listener& listener, const std::string& address,
                                 const std::string& cause) {
    return "listener " + listener.name + " cannot listen on " + address + ": " + cause;
}

// Blocking. None and `ec` if there is no such host.
inline asio::ip::tcp::resolver::results_type resolve_listener(asio::io_context& context,
                                                              const config::Listener& listener,
                                                              error_code& ec) {
    using asio::ip::tcp;
    tcp::resolver resolver(context);
    auto results = resolver.resolve(listener.host, std::to_string(listener.port), tcp::resolver::passive, ec);
    if (!ec && results.empty()) ec = asio::error::host_not_found;
    return results;
}

}  // namespace fieldgate::net
