#include "crypto/kms/http.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace fieldgate::crypto::kms {
namespace {

constexpr std::size_t host_bytes_max = 253;  // RFC 1035, 2.3.4, without the root's dot
constexpr std::size_t label_bytes_max = 63;

bool is_letter_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_unreserved(char c) {
    return is_letter_or_digit(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

// RFC 9110, 5.6.2.
bool is_token(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        return is_letter_or_digit(c) || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
    });
}

bool is_header_value(std::string_view text) {
    return std::ranges::none_of(text, [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte < 0x20 || byte == 0x7f;
    });
}

bool is_target(std::string_view text) {
    return text.starts_with('/') && std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

// Letters, digits, hyphens; and underscores, which names of containers have.
bool is_host_name(std::string_view text) {
    if (text.empty() || text.size() > host_bytes_max) return false;
    while (true) {
        const std::size_t dot = text.find('.');
        const std::string_view label = text.substr(0, dot);
        if (label.empty() || label.size() > label_bytes_max || label.starts_with('-') ||
            label.ends_with('-') ||
            !std::ranges::all_of(label, [](char c) { return is_letter_or_digit(c) || c == '-' || c == '_'; }))
            return false;
        if (dot == std::string_view::npos) return true;
        text.remove_prefix(dot + 1);
    }
}

std::string lower(std::string_view text) {
    std::string result(text);
    for (char& c : result)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return result;
}

std::array<char, 3> percent_triplet(char c) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    const auto byte = static_cast<unsigned char>(c);
    return {'%', digits[byte >> 4], digits[byte & 15]};
}

}  // namespace

HttpRequest::HttpRequest(std::string_view method, Endpoint endpoint, std::string_view target)
    : endpoint_(std::move(endpoint)),
      is_sound_(is_token(method) && is_target(target)),
      has_body_method_(method == "POST" || method == "PUT") {
    append_text(head_, method);
    append_text(head_, " ");
    append_text(head_, target);
    append_text(head_, " HTTP/1.1\r\n");
    header("Host", host_header(endpoint_));
}

HttpRequest& HttpRequest::header(std::string_view name, std::string_view value) {
    return secret_header(name, "", bytes_of(value));
}

HttpRequest& HttpRequest::secret_header(std::string_view name, std::string_view prefix,
                                        std::span<const std::uint8_t> value) {
    if (!is_token(name) || !is_header_value(prefix) || !is_header_value(text_of(value))) is_sound_ = false;
    append_text(head_, name);
    append_text(head_, ": ");
    append_text(head_, prefix);
    head_.append(value);
    append_text(head_, "\r\n");
    return *this;
}

Result<Request> HttpRequest::finish(std::span<const std::uint8_t> body) {
    if (has_body_method_ || !body.empty()) header("Content-Length", std::to_string(body.size()));
    header("Connection", "keep-alive");
    append_text(head_, "\r\n");
    head_.append(body);
    if (!is_sound_) {
        return Failure{Failure::Kind::malformed, 0, "request_not_sound",
                       "a value for the request holds characters that cannot stand in its head"};
    }
    return Request{Protocol::http, std::move(endpoint_), std::move(head_)};
}

HttpRequest& HttpRequest::secret_header(std::string_view name, std::string_view prefix,
                                        const SecretBuffer& value) {
    return secret_header(name, prefix, value.expose_secret());
}

Result<Request> HttpRequest::finish(const SecretBuffer& body) {
    return finish(body.expose_secret());
}

std::optional<Endpoint> parse_endpoint(std::string_view text, std::uint16_t default_port) {
    Endpoint endpoint{.host = {}, .port = default_port, .tls = true};
    std::string_view after_host;
    if (text.starts_with('[')) {
        const std::size_t end = text.find(']');
        if (end == std::string_view::npos) return std::nullopt;
        endpoint.host = lower(text.substr(1, end - 1));
        in6_addr address{};
        // c_str() ends at a NUL; the address must not.
        if (endpoint.host.find('\0') != std::string::npos ||
            inet_pton(AF_INET6, endpoint.host.c_str(), &address) != 1)
            return std::nullopt;
        after_host = text.substr(end + 1);
    } else {
        const std::string_view host = text.substr(0, text.find(':'));
        if (!is_host_name(host)) return std::nullopt;
        endpoint.host = lower(host);
        after_host = text.substr(host.size());
    }
    if (after_host.empty()) return endpoint;
    if (!after_host.starts_with(':')) return std::nullopt;
    const char* const begin = after_host.data() + 1;
    const char* const end = after_host.data() + after_host.size();
    const auto [read_to, error] = std::from_chars(begin, end, endpoint.port);
    if (error != std::errc() || read_to != end || endpoint.port == 0 || *begin == '0') return std::nullopt;
    return endpoint;
}

std::string host_header(const Endpoint& endpoint) {
    const bool is_address_6 = endpoint.host.find(':') != std::string::npos;
    std::string text = is_address_6 ? "[" + endpoint.host + "]" : endpoint.host;
    if (endpoint.port != (endpoint.tls ? 443 : 80)) text += ":" + std::to_string(endpoint.port);
    return text;
}

std::string percent_encode(std::string_view text) {
    std::string encoded;
    for (const char c : text) {
        if (is_unreserved(c))
            encoded += c;
        else
            encoded.append(percent_triplet(c).data(), 3);
    }
    return encoded;
}

void append_percent_encoded(SecretBuffer& out, std::string_view text) {
    for (const char c : text) {
        const std::array<char, 3> triplet = percent_triplet(c);
        append_text(out, is_unreserved(c) ? std::string_view(&c, 1) : std::string_view(triplet.data(), 3));
    }
}

void append_text(SecretBuffer& out, std::string_view text) {
    out.append(bytes_of(text));
}

void append_text(SecretBuffer& out, const SecretBuffer& text) {
    out.append(text.expose_secret());
}

bool is_unreserved(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) { return is_unreserved(c); });
}

}  // namespace fieldgate::crypto::kms
