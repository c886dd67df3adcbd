#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"
#include "proxy/net/server.hpp"

namespace fieldgate::net {

// Why a Server of this configuration would not start, in the words it would use: certificates, keys and
// authorities that cannot be read, addresses that name no host or cannot be a socket's. Nothing is bound, a
// proxy that runs is not disturbed: that an address is in use, or another machine's, is found out by
// listen().
std::vector<std::string> start_problems(const config::Config& config, const UpstreamOptions& upstream);

}  // namespace fieldgate::net
