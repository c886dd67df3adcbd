#include <algorithm>

#include "config/files.hpp"
#include "config/load_parts.hpp"
#include "config/scalars.hpp"

namespace fieldgate::config {
namespace {

bool is_any(std::string_view host) {
    return host == "0.0.0.0" || host == "::" || host == "*";
}

bool is_loopback(std::string_view host) {
    return host == "localhost" || host == "::1" ||
           (host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string_view::npos);
}

// Whether one connection could reach either: with port sharing the kernel would not object, and which role a
// client gets would be chance.
bool same_address(const Listener& a, const Listener& b) {
    if (!a.unix_path.empty() || !b.unix_path.empty()) return a.unix_path == b.unix_path;
    if (a.port != b.port || a.port == 0) return false;
    if (a.host == b.host || is_any(a.host) || is_any(b.host)) return true;
    return (a.host == "localhost" && is_loopback(b.host)) || (b.host == "localhost" && is_loopback(a.host));
}

TlsServer load_tls(Section& section) {
    using ClientCertificate = TlsServer::ClientCertificate;
    TlsServer tls;
    if (section.require("certificate_key_file", "the certificate chain and its private key, one PEM file") !=
        nullptr)
        tls.certificate_key_file = section.readable_file("certificate_key_file");
    tls.ca_file = section.readable_file("ca_file");
    tls.client_certificate =
        section
            .choice<ClientCertificate>("client_certificate", {{"none", ClientCertificate::none},
                                                              {"optional", ClientCertificate::optional},
                                                              {"required", ClientCertificate::required}})
            .value_or(tls.client_certificate);
    if (tls.client_certificate != ClientCertificate::none && section.take("ca_file") == nullptr)
        section.problem(*section.take("client_certificate"), "client_certificate",
                        "needs ca_file: the authorities whose certificates are accepted");
    if (const Node* ca = section.take("ca_file"); ca != nullptr &&
                                                  tls.client_certificate == ClientCertificate::none &&
                                                  section.take("client_certificate") == nullptr)
        section.problem(*ca, "ca_file",
                        "is used for client certificates only: write client_certificate: required "
                        "(or optional, or none)");
    section.finish();
    return tls;
}

void load_address(Section& section, Listener& listener) {
    if (section.require("address", "HOST:PORT, [IPV6]:PORT or unix:/PATH") == nullptr) return;
    const auto text = section.string("address");
    if (!text) return;
    const AddressText address = parse_address(*text);
    if (!address.fault.empty()) {
        section.problem(*section.take("address"), "address", "'" + *text + "': " + address.fault);
        return;
    }
    listener.host = address.host;
    listener.port = address.port;
    if (!address.unix_path.empty()) listener.unix_path = section.context().resolve(address.unix_path);
}

void load_role_name(Section& section, const Config& config, Listener& listener) {
    if (section.require("role", "one of 'roles'") == nullptr) return;
    const auto name = section.string("role");
    if (!name) return;
    std::vector<std::string> names;
    names.reserve(config.roles.size());
    for (const Role& role : config.roles) names.push_back(role.name);
    const auto found = std::find(names.begin(), names.end(), *name);
    if (found == names.end())
        section.problem(*section.take("role"), "role",
                        "there is no role '" + *name + "'" + did_you_mean(*name, names));
    else
        listener.role = static_cast<std::size_t>(found - names.begin());
}

// Whoever reaches such a listener has no role to be held to: it answers with the plaintext it was sent.
void check_query_analysis(Section& section, const Listener& listener) {
    if (const Node* role = section.take("role"))
        section.problem(*role, "role",
                        "is not used with serves: query-analysis, which decrypts nothing: leave it out");
    const bool is_local = !listener.unix_path.empty() || is_loopback(listener.host);
    const bool has_certificates =
        listener.tls && listener.tls->client_certificate == TlsServer::ClientCertificate::required;
    if (!is_local && !has_certificates && !listener.host.empty())
        section.problem(*section.take("serves"), "serves",
                        "query-analysis has no login, and drivers send it what is to be encrypted: use a "
                        "loopback address, a Unix socket, or tls with client_certificate: required");
}

Listener load_listener(Section& section, const Config& config) {
    using Serves = Listener::Serves;
    Listener listener;
    if (section.require("name", "logs and metrics need it") != nullptr)
        listener.name = section.string("name").value_or("");
    load_address(section, listener);
    const bool is_analysis = section.take("serves") != nullptr &&
                             section.choice<Serves>("serves", {{"clients", Serves::clients},
                                                               {"query-analysis", Serves::query_analysis}})
                                     .value_or(Serves::clients) == Serves::query_analysis;
    if (is_analysis)
        listener.serves = Serves::query_analysis;
    else
        load_role_name(section, config, listener);
    if (const Node* node = section.take("tls")) {
        Section tls(section.context(), node, section.path("tls"));
        if (tls.is_present() || node->is_null()) listener.tls = load_tls(tls);
    } else if (!is_analysis && !listener.host.empty() && !is_loopback(listener.host)) {
        section.context().warnings.add(
            section.where(), section.path(),
            "listens on " + listener.host +
                " without tls: what clients send and receive crosses the network in clear");
    }
    if (is_analysis) check_query_analysis(section, listener);
    for (const char* key : {"allow", "identities", "upstream_user", "proxy_protocol", "advertise"})
        section.unsupported(key);
    section.finish();
    return listener;
}

}  // namespace

void load_listeners(Section& root, Config& config) {
    LoadContext& context = root.context();
    const Node* node = root.require("listeners", "at least one, or nobody can connect");
    if (node == nullptr) return;
    const auto items = root.list("listeners");
    if ((node->is_array() && items.empty()) || node->is_null())
        context.problems.add(node->where, "listeners", "at least one is needed, or nobody can connect");
    std::vector<int> lines;
    for (std::size_t i = 0; i < items.size(); ++i) {
        const std::string path = "listeners[" + std::to_string(i) + "]";
        if (items[i]->is_null()) {
            context.problems.add(items[i]->where, path, "must be a mapping");
            continue;
        }
        Section section(context, items[i], path);
        if (!section.is_present()) continue;
        Listener listener = load_listener(section, config);
        for (std::size_t j = 0; j < config.listeners.size(); ++j) {
            const Listener& earlier = config.listeners[j];
            const std::string first = ", first on line " + std::to_string(lines[j]);
            if (!listener.name.empty() && listener.name == earlier.name)
                section.problem(*section.take("name"), "name",
                                "duplicate listener '" + listener.name + "'" + first);
            const bool both_have_address = (!listener.host.empty() || !listener.unix_path.empty()) &&
                                           (!earlier.host.empty() || !earlier.unix_path.empty());
            if (both_have_address && same_address(listener, earlier))
                section.problem(*section.take("address"), "address",
                                "the same address as listener '" + earlier.name + "'" + first);
        }
        config.listeners.push_back(std::move(listener));
        lines.push_back(items[i]->where.line);
    }
}

}  // namespace fieldgate::config
