#pragma once

#include <span>
#include <string_view>

#include "crypto/kms/exchange.hpp"

// The parts that the HTTP key managers share. Internal to kms/ and to the providers of proxy/keys.
namespace fieldgate::crypto::kms {

// Writes one HTTP/1.1 request: HttpRequest("POST", endpoint, "/token").header("Accept", "application/json")
// .secret_header("Authorization", "Bearer ", token).finish(body). Host, Content-Length (with a body, or for
// POST and PUT) and Connection: keep-alive are added. A header whose name or value holds CR, LF or NUL makes
// finish() fail
// (`malformed`): what came from a key document must not become another header.
class HttpRequest {
 public:
    HttpRequest(std::string_view method, Endpoint endpoint, std::string_view target);
    HttpRequest& header(std::string_view name, std::string_view value);
    HttpRequest& secret_header(std::string_view name, std::string_view prefix,
                               std::span<const std::uint8_t> value);
    [[nodiscard]] Result<Request> finish(std::span<const std::uint8_t> body = {});

 private:
    Endpoint endpoint_;
    SecretBuffer head_;
    bool is_sound_ = true;
    bool has_body_method_ = false;
};

// "host", "host:port", "[::1]:port"; the default port otherwise. Nothing: no host, a port that is none, or
// anything else that an authority does not have (a user, a path).
[[nodiscard]] std::optional<Endpoint> parse_endpoint(std::string_view text, std::uint16_t default_port);
// "host" or "host:port" as the Host header has it: without the port where it is 443 with TLS or 80 without.
[[nodiscard]] std::string host_header(const Endpoint& endpoint);

// RFC 3986, 2.3: everything but unreserved characters becomes %XX.
[[nodiscard]] std::string percent_encode(std::string_view text);
[[nodiscard]] bool is_unreserved(std::string_view text);  // and not empty

}  // namespace fieldgate::crypto::kms
