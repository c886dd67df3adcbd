#include <algorithm>
#include <array>

#include "config/files.hpp"
#include "config/load_parts.hpp"
#include "config/scalars.hpp"

namespace fieldgate::config {
namespace {

constexpr std::array<std::string_view, 6> provider_types{"local", "aws", "azure", "gcp", "kmip", "vault"};

// Names that drivers and tools have for TLS without its checks, in their spellings and ours.
constexpr std::array insecure_tls_options{
    "insecure",
    "allow_invalid_certificates",
    "allow_invalid_hostnames",
    "disable_ocsp_endpoint_check",
    "disable_certificate_revocation_check",
    "skip_verify",
    "tlsInsecure",
    "tlsAllowInvalidCertificates",
    "tlsAllowInvalidHostnames",
    "tlsDisableOCSPEndpointCheck",
    "tlsDisableCertificateRevocationCheck",
};

bool is_word(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    });
}

LocalKms load_local_kms(Section& section) {
    LocalKms local;
    const Node* key = section.require("key_file", "the path of the 96-byte local master key");
    if (key == nullptr) return local;
    // No { env: } and no inline value: the key must not pass through the environment or this file.
    if (!key->is_scalar()) {
        section.problem(*key, "key_file", "must be a path: a local master key comes from a file only");
        return local;
    }
    const auto path = section.string("key_file");
    if (!path) return local;
    local.key_file = section.context().resolve(*path);
    const KeyFileCheck check = check_key_file(local.key_file);
    if (!check.fault.empty()) section.problem(*key, "key_file", "'" + *path + "' " + check.fault);
    if (!check.warning.empty())
        section.context().warnings.add(key->where, section.path("key_file"),
                                       "'" + *path + "' " + check.warning);
    return local;
}

KmipKms load_kmip_kms(Section& section) {
    KmipKms kmip;
    if (section.require("endpoint", "HOST or HOST:PORT of the KMIP server (port 5696)") != nullptr)
        kmip.endpoint = load_endpoint(section, "endpoint");
    const Node* tls = section.take("tls");
    if (tls == nullptr || (tls->is_object() && tls->find("certificate_key_file") == nullptr) ||
        tls->is_null())
        section.context().problems.add(tls != nullptr ? tls->where : section.where(), section.path("tls"),
                                       "certificate_key_file is missing: KMIP servers know their clients by "
                                       "certificate: tls: { certificate_key_file: PATH }");
    return kmip;
}

void load_vault_login(Section& section, VaultKms& vault) {
    using Login = VaultKms::Login;
    struct Way {
        std::string key;
        Login login;
    };
    const Way ways[] = {{"token", Login::token},
                        {"token_file", Login::token},
                        {"role_id", Login::app_role},
                        {"kubernetes", Login::kubernetes}};
    const Way* chosen = nullptr;
    for (const Way& way : ways) {
        const Node* node = section.take(way.key);
        if (node == nullptr) continue;
        if (chosen != nullptr)
            section.problem(*node, way.key, "there is " + chosen->key + " already: keep one way to log in");
        else
            chosen = &way;
    }
    const Node* secret_id = section.take("secret_id");
    if (chosen == nullptr && secret_id == nullptr && section.is_present()) {
        section.context().problems.add(section.where(), section.path(),
                                       "has no way to log in: token, token_file, role_id with secret_id, or "
                                       "kubernetes: { role: NAME }");
        return;
    }
    vault.login = chosen != nullptr ? chosen->login : Login::app_role;

    vault.token = load_credential(section, "token");
    vault.token_file = load_renewed_file(section, "token_file");
    if (vault.login == Login::app_role) {
        section.require("role_id", "secret_id belongs to a role_id");
        section.require("secret_id", "role_id needs its secret_id");
    } else if (secret_id != nullptr) {
        section.problem(*secret_id, "secret_id", "belongs to role_id, not to " + chosen->key);
    }
    vault.role_id = load_credential(section, "role_id");
    vault.secret_id = load_credential(section, "secret_id");
    if (const Node* node = section.take("kubernetes")) {
        Section kubernetes(section.context(), node, section.path("kubernetes"));
        kubernetes.require("role", "the role of Vault's kubernetes login");
        vault.kubernetes_role = load_name(kubernetes, "role");
        vault.kubernetes_token_file = load_renewed_file(kubernetes, "token_file");
        kubernetes.finish();
    }
    vault.auth_mount = load_name(section, "auth_mount", "/");
    if (const Node* mount = section.take("auth_mount"); mount != nullptr && vault.login == Login::token)
        section.problem(*mount, "auth_mount", "is where role_id or kubernetes log in; a token does not");
}

VaultKms load_vault_kms(Section& section) {
    VaultKms vault;
    if (section.require("address", "https://HOST:8200 of HashiCorp Vault or OpenBao") != nullptr)
        vault.address = load_service_url(section, "address", "https://",
                                         "data keys and tokens would cross the network in clear");
    vault.vault_namespace = load_name(section, "namespace", "/");
    load_vault_login(section, vault);
    return vault;
}

KmsTls load_kms_tls(Section& provider) {
    Section section(provider.context(), provider.take("tls"), provider.path("tls"));
    KmsTls tls;
    tls.ca_file = section.readable_file("ca_file");
    tls.certificate_key_file = section.readable_file("certificate_key_file");
    tls.certificate_key_file_password = section.secret("certificate_key_file_password").value_or("");
    if (const Node* password = section.take("certificate_key_file_password");
        password != nullptr && section.take("certificate_key_file") == nullptr)
        section.problem(*password, "certificate_key_file_password",
                        "there is no certificate_key_file that it could open");
    for (const char* option : insecure_tls_options)
        if (const Node* node = section.take(option))
            section.problem(*node, option,
                            "is refused: a key manager that is not authenticated could be anybody. Name the "
                            "authority of a private certificate with ca_file");
    section.finish();
    return tls;
}

std::vector<std::string> load_hosts(Section& section) {
    std::vector<std::string> hosts;
    for (const Node* item : section.list("hosts")) {
        if (!item->is_scalar() || item->is_null()) {
            section.problem(*item, "hosts", "must be a list of HOST or HOST:PORT");
        } else if (const std::string fault = endpoint_fault(item->text); !fault.empty()) {
            section.problem(*item, "hosts", fault + ", not '" + item->text + "'");
        } else {
            hosts.push_back(item->text);
        }
    }
    return hosts;
}

KmsProvider load_provider(LoadContext& context, const Node& node) {
    KmsProvider provider;
    provider.name = node.key;
    provider.line = node.key_where.line;
    Section section(context, &node, "kms_providers." + node.key);
    const std::string_view type = provider.type();
    if (type == "local") provider.settings = load_local_kms(section);
    if (type == "aws") provider.settings = load_aws_kms(section);
    if (type == "azure") provider.settings = load_azure_kms(section);
    if (type == "gcp") provider.settings = load_gcp_kms(section);
    if (type == "kmip") provider.settings = load_kmip_kms(section);
    if (type == "vault") provider.settings = load_vault_kms(section);
    if (type != "local") provider.tls = load_kms_tls(section);
    // A local key is nowhere else, and Vault is where the configuration says: key documents name no host.
    if (type != "local" && type != "vault") provider.hosts = load_hosts(section);
    provider.master_keys = load_master_keys(section, provider);
    section.finish();
    return provider;
}

}  // namespace

void load_kms_providers(Section& root, Config& config) {
    const Node* node = root.take("kms_providers");
    Section section(root.context(), node, "kms_providers");
    for (const std::string_view type : provider_types) section.take(std::string(type));
    if (section.is_present())
        for (const Node& child : node->children) {
            const std::size_t colon = child.key.find(':');
            const std::string type = child.key.substr(0, colon);
            if (std::find(provider_types.begin(), provider_types.end(), type) == provider_types.end())
                continue;  // finish() names it
            section.take(child.key);
            if (colon != std::string::npos && !is_word(std::string_view(child.key).substr(colon + 1))) {
                root.context().problems.add(
                    child.key_where, section.path(child.key),
                    "a named provider is " + type + ":NAME, with letters, digits and underscores");
                continue;
            }
            config.kms_providers.push_back(load_provider(root.context(), child));
        }
    section.finish();
}

std::string load_endpoint(Section& section, const std::string& key) {
    const auto text = section.string(key);
    if (!text) return {};
    const std::string fault = endpoint_fault(*text);
    if (fault.empty()) return *text;
    section.problem(*section.take(key), key, fault + ", not '" + *text + "'");
    return {};
}

std::string load_service_url(Section& section, const std::string& key, std::string_view scheme,
                             const std::string& why) {
    const auto text = section.string(key);
    if (!text) return {};
    const Node& node = *section.take(key);
    if (!text->starts_with(scheme)) {
        section.problem(node, key, "must begin with " + std::string(scheme) + ": " + why);
        return {};
    }
    std::string host = text->substr(scheme.size());
    if (host.ends_with('/')) host.pop_back();
    const std::string fault = endpoint_fault(host);
    if (fault.empty()) return std::string(scheme) + host;
    // Not quoted: somebody may have written a user and a password into it.
    section.problem(node, key, "behind " + std::string(scheme) + " " + fault);
    return {};
}

std::filesystem::path load_renewed_file(Section& section, const std::string& key) {
    const auto name = section.string(key);
    if (!name) return {};
    std::filesystem::path path = section.context().resolve(*name);
    const std::string fault = readable_fault(path);
    if (!fault.empty())
        section.context().warnings.add(section.take(key)->where, section.path(key),
                                       "'" + *name + "' " + fault + "; it is looked for again at each login");
    return path;
}

std::string load_credential(Section& section, const std::string& key) {
    const auto text = section.secret(key);
    if (!text) return {};
    if (text->empty() ||
        !std::all_of(text->begin(), text->end(), [](char c) { return c > ' ' && c < '\x7f'; })) {
        section.problem(*section.take(key), key, "must be one word of printable ASCII characters");
        return {};
    }
    return *text;
}

std::string load_name(Section& section, const std::string& key, std::string_view more) {
    const auto text = section.string(key);
    if (!text) return {};
    const bool is_sound = std::all_of(text->begin(), text->end(), [&](char c) {
        return is_word(std::string_view(&c, 1)) || c == '-' || c == '.' || c == '~' ||
               more.find(c) != std::string_view::npos;
    });
    if (is_sound) return *text;
    section.problem(*section.take(key), key, "'" + *text + "' has characters that such a name does not have");
    return {};
}

}  // namespace fieldgate::config
