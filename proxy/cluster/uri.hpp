#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Connection strings. libmongoc parses them; what it would only log is an error here, and so is what
// fieldgate's own connections to the cluster could not honour: both kinds of connection must behave alike.
namespace fieldgate::cluster {

// A member of a deployment. A host that starts with '/' is the path of a Unix socket, its port is without
// meaning.
struct HostPort {
    std::string host;
    std::uint16_t port = 27017;

    std::string text() const;  // "db1:27017", "[::1]:27017", "/tmp/mongodb.sock"
    friend auto operator<=>(const HostPort&, const HostPort&) = default;
};

// Every problem of a connection string, for config::LoadOptions::check_uri; empty: sound. No text holds a
// password. Looks at the TLS files, asks no network.
std::vector<std::string> check_uri(const std::string& uri);

// What fieldgate's own sockets need of a connection string. Credentials are not among it: sessions log in as
// their clients.
struct SocketOptions {
    std::vector<HostPort> hosts;  // seeds; empty for mongodb+srv
    bool tls = false;
    std::string ca_file;               // empty: the system's certificates
    std::string certificate_key_file;  // empty: none
    std::string certificate_key_file_password;
    bool allow_invalid_certificates = false;
    bool allow_invalid_hostnames = false;
    std::chrono::milliseconds connect_timeout{10000};
    std::optional<std::chrono::milliseconds> socket_timeout;
};

// Throws std::runtime_error where check_uri() would have reported a string that cannot be parsed.
SocketOptions socket_options(const std::string& uri);

// Whether fieldgate logs in with this string: without a user, a server with access control lets it find the
// primary and nothing else.
bool has_credentials(const std::string& uri);

// `text`, which may be the server's, fit to be shown: the secrets of `uri` (password, key file's password,
// mechanism properties) replaced, and control characters, which would be commands to a terminal.
std::string without_secrets(std::string text, const std::string& uri);

}  // namespace fieldgate::cluster
