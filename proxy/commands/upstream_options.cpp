#include "proxy/commands/upstream_options.hpp"

#include "proxy/cluster/uri.hpp"

namespace fieldgate::commands {

net::UpstreamOptions upstream_options(const config::Config& config) {
    const cluster::SocketOptions sockets = cluster::socket_options(config.upstream.uri);
    net::UpstreamOptions options;
    options.connect_timeout = sockets.connect_timeout;
    if (sockets.tls) {
        options.tls = net::UpstreamTls{.ca_file = sockets.ca_file,
                                       .certificate_key_file = sockets.certificate_key_file,
                                       .certificate_key_password = sockets.certificate_key_file_password,
                                       .allow_invalid_certificates = sockets.allow_invalid_certificates,
                                       .allow_invalid_hostnames = sockets.allow_invalid_hostnames};
    }
    return options;
}

}  // namespace fieldgate::commands
