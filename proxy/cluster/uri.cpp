#include "proxy/cluster/uri.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <stdexcept>

#include "proxy/cluster/mongoc.hpp"

namespace fieldgate::cluster {
namespace {

struct RefusedOption {
    const char* name;
    const char* spelling;
    const char* why;
};

// Options that libmongoc would honour on its connections and fieldgate cannot on its own.
constexpr std::array refused_options{
    RefusedOption{MONGOC_URI_TLSDISABLECERTIFICATEREVOCATIONCHECK, "tlsDisableCertificateRevocationCheck",
                  "remove it; fieldgate asks for no revocation list"},
    RefusedOption{MONGOC_URI_TLSDISABLEOCSPENDPOINTCHECK, "tlsDisableOCSPEndpointCheck",
                  "remove it; fieldgate asks no OCSP responder"},
    RefusedOption{MONGOC_URI_CANONICALIZEHOSTNAME, "canonicalizeHostname",
                  "fieldgate does not support Kerberos"},
};

std::string utf8_option(const mongoc_uri_t& uri, const char* option) {
    const char* value = mongoc_uri_get_option_as_utf8(&uri, option, nullptr);
    return value == nullptr ? std::string() : std::string(value);
}

// libmongoc only logs a TLS file that it cannot read, and goes on without.
void check_pem_file(const char* option, const std::string& path, const char* marker,
                    std::vector<std::string>& problems) {
    if (path.empty()) return;
    std::ifstream file(path);
    if (!file) {
        problems.push_back(std::string(option) + ": " + path + ": " + std::strerror(errno));
        return;
    }
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("-----BEGIN ") && line.find(marker) != std::string::npos) return;
    }
    problems.push_back(std::string(option) + ": " + path + ": holds no PEM block of a " + marker);
}

bool same_ignoring_case(std::string_view a, std::string_view b) {
    const auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
    return std::ranges::equal(a, b, {}, lower, lower);
}

// Those of libmongoc 1.23.
constexpr std::string_view auth_mechanisms[] = {"SCRAM-SHA-256", "SCRAM-SHA-1", "MONGODB-X509",
                                                "MONGODB-AWS",   "PLAIN",       "GSSAPI"};

std::vector<std::string> secrets_of(const std::string& uri) {
    std::vector<std::string> secrets;
    const auto add = [&](std::string_view raw) {
        if (raw.empty()) return;
        secrets.emplace_back(raw);
        std::string decoded;
        for (std::size_t i = 0; i < raw.size(); ++i) {
            unsigned value = 0;
            if (raw[i] == '%' && i + 2 < raw.size() &&
                std::sscanf(std::string(raw.substr(i + 1, 2)).c_str(), "%2x", &value) == 1) {
                decoded += static_cast<char>(value);
                i += 2;
            } else {
                decoded += raw[i];
            }
        }
        if (decoded != raw) secrets.push_back(decoded);
    };
    const std::size_t scheme = uri.find("://");
    if (scheme == std::string::npos) return secrets;
    const std::string_view rest = std::string_view(uri).substr(scheme + 3);
    // The last @ of the string at most: a password that was not escaped may hold any character.
    const std::size_t query = rest.find('?');
    const std::size_t at = rest.substr(0, query).rfind('@');
    if (at != std::string_view::npos) {
        const std::string_view user_info = rest.substr(0, at);
        const std::size_t colon = user_info.find(':');
        if (colon != std::string_view::npos) add(user_info.substr(colon + 1));
    }
    std::string_view options = query == std::string_view::npos ? "" : rest.substr(query + 1);
    while (!options.empty()) {
        const std::size_t end = std::min(options.find('&'), options.size());
        const std::string_view option = options.substr(0, end);
        options.remove_prefix(std::min(end + 1, options.size()));
        const std::size_t equals = option.find('=');
        if (equals == std::string_view::npos) continue;
        for (const std::string_view name : {"tlsCertificateKeyFilePassword",
                                            "sslClientCertificateKeyPassword", "authMechanismProperties"}) {
            if (same_ignoring_case(option.substr(0, equals), name)) add(option.substr(equals + 1));
        }
    }
    return secrets;
}

}  // namespace

std::string HostPort::text() const {
    if (host.starts_with('/')) return host;
    const bool is_ipv6 = host.find(':') != std::string::npos;
    return (is_ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::string without_secrets(std::string text, const std::string& uri) {
    for (const std::string& secret : secrets_of(uri)) {
        for (std::size_t at = text.find(secret); at != std::string::npos; at = text.find(secret, at + 3)) {
            text.replace(at, secret.size(), "***");
        }
    }
    const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
    std::replace_if(text.begin(), text.end(), is_control, '?');
    return text;
}

std::vector<std::string> check_uri(const std::string& uri) {
    start_library();
    std::vector<std::string> problems;
    UriPtr parsed;
    {
        const LogCapture capture;
        bson_error_t error{};
        parsed.reset(mongoc_uri_new_with_error(uri.c_str(), &error));
        for (const std::string& message : capture.messages())
            problems.push_back(without_secrets(message, uri));
        if (!parsed) problems.push_back(without_secrets(error.message, uri));
    }
    if (!parsed) return problems;

    for (const RefusedOption& option : refused_options) {
        if (mongoc_uri_has_option(parsed.get(), option.name)) {
            problems.push_back(std::string(option.spelling) + " is not supported: " + option.why);
        }
    }
    if (mongoc_uri_get_option_as_bool(parsed.get(), MONGOC_URI_LOADBALANCED, false)) {
        problems.emplace_back("loadBalanced=true is not supported: name the members or a mongos instead");
    }
    // libmongoc looks at it when it logs in.
    if (const char* mechanism = mongoc_uri_get_auth_mechanism(parsed.get());
        mechanism != nullptr && std::ranges::none_of(auth_mechanisms, [&](std::string_view known) {
            return same_ignoring_case(mechanism, known);
        })) {
        std::string known;
        for (const std::string_view name : auth_mechanisms)
            known += (known.empty() ? "" : ", ") + std::string(name);
        problems.push_back("authMechanism=" + without_secrets(mechanism, uri) +
                           " is not supported: " + known + " are");
    }
    check_pem_file("tlsCAFile", utf8_option(*parsed, MONGOC_URI_TLSCAFILE), "CERTIFICATE", problems);
    const std::string key_file = utf8_option(*parsed, MONGOC_URI_TLSCERTIFICATEKEYFILE);
    check_pem_file("tlsCertificateKeyFile", key_file, "CERTIFICATE", problems);
    if (!key_file.empty() && ::access(key_file.c_str(), R_OK) == 0) {
        check_pem_file("tlsCertificateKeyFile", key_file, "PRIVATE KEY", problems);
    }
    return problems;
}

SocketOptions socket_options(const std::string& uri) {
    const UriPtr parsed = parse_uri(uri);
    SocketOptions options;
    for (const mongoc_host_list_t* host = mongoc_uri_get_hosts(parsed.get()); host != nullptr;
         host = host->next) {
        options.hosts.push_back({host->host, host->port});
    }
    options.tls = mongoc_uri_get_tls(parsed.get());
    options.ca_file = utf8_option(*parsed, MONGOC_URI_TLSCAFILE);
    options.certificate_key_file = utf8_option(*parsed, MONGOC_URI_TLSCERTIFICATEKEYFILE);
    options.certificate_key_file_password = utf8_option(*parsed, MONGOC_URI_TLSCERTIFICATEKEYFILEPASSWORD);
    const bool insecure = mongoc_uri_get_option_as_bool(parsed.get(), MONGOC_URI_TLSINSECURE, false);
    options.allow_invalid_certificates =
        insecure ||
        mongoc_uri_get_option_as_bool(parsed.get(), MONGOC_URI_TLSALLOWINVALIDCERTIFICATES, false);
    options.allow_invalid_hostnames =
        insecure || mongoc_uri_get_option_as_bool(parsed.get(), MONGOC_URI_TLSALLOWINVALIDHOSTNAMES, false);
    const std::int32_t connect_ms =
        mongoc_uri_get_option_as_int32(parsed.get(), MONGOC_URI_CONNECTTIMEOUTMS, 0);
    if (connect_ms > 0) options.connect_timeout = std::chrono::milliseconds(connect_ms);
    const std::int32_t socket_ms =
        mongoc_uri_get_option_as_int32(parsed.get(), MONGOC_URI_SOCKETTIMEOUTMS, 0);
    if (socket_ms > 0) options.socket_timeout = std::chrono::milliseconds(socket_ms);
    return options;
}

bool has_credentials(const std::string& uri) {
    const UriPtr parsed = parse_uri(uri);
    return mongoc_uri_get_username(parsed.get()) != nullptr ||
           mongoc_uri_get_auth_mechanism(parsed.get()) != nullptr;
}

}  // namespace fieldgate::cluster
