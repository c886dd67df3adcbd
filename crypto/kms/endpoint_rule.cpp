#include "crypto/kms/endpoint_rule.hpp"

#include <algorithm>

#include "crypto/kms/http.hpp"
#include "crypto/kms/json.hpp"

namespace fieldgate::crypto::kms {
namespace {

std::string_view take_label(std::string_view& rest) {
    const std::size_t dot = rest.find('.');
    const std::string_view label = rest.substr(0, dot);
    rest.remove_prefix(dot == std::string_view::npos ? rest.size() : dot + 1);
    return label;
}

// `host` is in lower case and has no empty label (parse_endpoint).
bool matches(std::string_view host, std::string_view pattern) {
    while (!host.empty() && !pattern.empty()) {
        const std::string_view label = take_label(host);
        const std::string_view wanted = take_label(pattern);
        if (wanted != "*" && wanted != label) return false;
    }
    return host.empty() && pattern.empty();
}

}  // namespace

Result<Endpoint> allowed_endpoint(std::string_view text, const EndpointRule& rule) {
    const auto endpoint = parse_endpoint(text, rule.default_port);
    if (endpoint) {
        if (std::ranges::any_of(rule.hosts, [&](const std::string& listed) {
                return parse_endpoint(listed, rule.default_port) == endpoint;
            }))
            return *endpoint;
        if (endpoint->port == rule.default_port &&
            std::ranges::any_of(rule.domains,
                                [&](std::string_view domain) { return matches(endpoint->host, domain); }))
            return *endpoint;
    }
    std::string why = "the master key names the host '" + safe_text(text.substr(0, 100)) + "', which is ";
    why += endpoint ? "not one of the provider's own" : "not of the form host[:port]";
    if (endpoint)
        why +=
            "; list it in kms_providers." + std::string(rule.provider) + ".hosts if credentials may go there";
    return Failure{Failure::Kind::refused, 0, "endpoint_not_allowed", std::move(why)};
}

}  // namespace fieldgate::crypto::kms
