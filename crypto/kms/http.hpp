#pragma once

#include <span>
#include <string_view>

#include "crypto/kms/exchange.hpp"

// The parts that the HTTP key managers share. Internal to kms/ and to the providers of proxy/keys.
namespace fieldgate::crypto::kms {

// Writes one HTTP/1.1 request: HttpRequest("POST", endpoint, "/token").header("Accept", "application/json")
// .secret_header("Authorization", "Bearer ", token).finish(body). In this order: Host, the headers as they
// were called, Content-Length (with a body, or for POST and PUT), Connection: keep-alive. What came from a
// key document must not become another header or another request: a target with anything but printable ASCII,
// a header name that is no token or a value with a control character makes finish() fail (`malformed`, code
// "request_not_sound"). finish() is called once.
class HttpRequest {
 public:
    HttpRequest(std::string_view method, Endpoint endpoint, std::string_view target);
    HttpRequest& header(std::string_view name, std::string_view value);
    HttpRequest& secret_header(std::string_view name, std::string_view prefix,
                               std::span<const std::uint8_t> value);
    HttpRequest& secret_header(std::string_view name, std::string_view prefix, const SecretBuffer& value);
    [[nodiscard]] Result<Request> finish(std::span<const std::uint8_t> body = {});
    [[nodiscard]] Result<Request> finish(const SecretBuffer& body);

 private:
    Endpoint endpoint_;
    SecretBuffer head_;
    bool is_sound_ = true;
    bool has_body_method_ = false;
};

// "host", "host:port", "[::1]:port"; the default port otherwise. The host comes back in lower case. Nothing:
// no host, a port that is none, or anything else that an authority does not have (a user, a path).
[[nodiscard]] std::optional<Endpoint> parse_endpoint(std::string_view text, std::uint16_t default_port);
// "host" or "host:port" as the Host header has it: without the port where it is 443 with TLS or 80 without.
[[nodiscard]] std::string host_header(const Endpoint& endpoint);

// RFC 3986, 2.3: everything but unreserved characters becomes %XX.
[[nodiscard]] std::string percent_encode(std::string_view text);
void append_percent_encoded(SecretBuffer& out, std::string_view text);
// As it is.
void append_text(SecretBuffer& out, std::string_view text);
void append_text(SecretBuffer& out, const SecretBuffer& text);
[[nodiscard]] bool is_unreserved(std::string_view text);  // and not empty

}  // namespace fieldgate::crypto::kms
