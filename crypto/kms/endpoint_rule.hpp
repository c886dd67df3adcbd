#pragma once

#include <span>
#include <string>
#include <string_view>

#include "crypto/kms/exchange.hpp"

namespace fieldgate::crypto::kms {

// Where a masterKey may send us. Key documents are written by others, and whoever writes them must not be
// able to have credentials and data keys sent to a host of his own: only to the provider's own domains, or to
// hosts that the configuration lists (`kms_providers.<provider>.hosts`).
struct EndpointRule {
    std::string_view provider;  // its name in the configuration, "aws:eu"
    std::uint16_t default_port = 443;
    // Patterns of host names, at the default port only. A label `*` stands for exactly one label, so that
    // "kms.*.amazonaws.com" does not match "kms.evil.execute-api.eu-west-1.amazonaws.com".
    std::span<const std::string_view> domains;
    // "host" (at the default port) or "host:port", exactly.
    std::span<const std::string> hosts;
};

// The endpoint, with TLS, that `text` ("host[:port]") names. `refused` with code "endpoint_not_allowed"
// otherwise; the text names the host and the setting.
[[nodiscard]] Result<Endpoint> allowed_endpoint(std::string_view text, const EndpointRule& rule);

}  // namespace fieldgate::crypto::kms
