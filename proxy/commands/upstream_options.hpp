#pragma once

#include "config/config.hpp"
#include "proxy/net/server.hpp"

namespace fieldgate::commands {

// What the sessions' sockets need of the upstream's connection string, which was checked.
net::UpstreamOptions upstream_options(const config::Config& config);

}  // namespace fieldgate::commands
