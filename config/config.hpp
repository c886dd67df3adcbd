#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/schema.hpp"

// The configuration as values: built once by config/load.hpp, immutable, shared between threads. Holds no key
// bytes, only where they are; credentials (of connection strings and key managers) are in it. Field names
// follow the YAML keys of reference.md.
namespace fieldgate::config {

struct Upstream {
    std::string uri;
    enum class Presentation { gateway } presentation = Presentation::gateway;
    enum class ReadPreference { primary, refuse } read_preference = ReadPreference::primary;
    std::chrono::milliseconds election_wait{8000};
};

struct KeyVault {
    std::string database = "encryption";
    std::string collection = "__keyVault";
    std::string uri;  // never empty after loading: defaults to upstream.uri
    std::chrono::milliseconds cache_lifetime{60000};
};

struct LocalKms {
    std::filesystem::path key_file;  // as the process can open it; 96 bytes, raw or base64
};

// TLS towards a key manager. Empty: the system's certificate authorities, no certificate of ours.
struct KmsTls {
    std::filesystem::path ca_file;
    std::filesystem::path certificate_key_file;
    std::string certificate_key_file_password;
};

// Names of settings are the drivers', in snake_case. Where no fixed credentials are given, they are looked
// for the way the provider's own tools do: each struct says where.
struct AwsKms {
    std::string access_key_id;  // empty: found at run time, see `source`
    std::string secret_access_key;
    std::string session_token;
    // `automatic`: environment (AWS_ACCESS_KEY_ID, ...), web identity (AWS_WEB_IDENTITY_TOKEN_FILE,
    // AWS_ROLE_ARN), container (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI), instance metadata, in
    // this order.
    enum class Source : std::uint8_t {
        automatic,
        environment,
        web_identity,
        container,
        instance
    } source = Source::automatic;
    std::string role_arn;                           // of web identity; empty: AWS_ROLE_ARN
    std::filesystem::path web_identity_token_file;  // empty: AWS_WEB_IDENTITY_TOKEN_FILE
    std::string sts_endpoint;                       // host[:port]; empty: sts.<region>.amazonaws.com
    std::string sts_region;                         // empty: AWS_REGION, or us-east-1
    std::string metadata_endpoint;  // http://host[:port]; empty: AWS_EC2_METADATA_SERVICE_ENDPOINT, or
                                    // 169.254.169.254
};
struct AzureKms {
    std::string tenant_id;  // empty with managed identity
    std::string client_id;
    std::string client_secret;
    // Without client_secret: the file of a Kubernetes token (workload identity), or managed identity.
    enum class Source : std::uint8_t {
        client_secret,
        managed_identity,
        workload_identity
    } source = Source::client_secret;
    std::filesystem::path federated_token_file;  // empty: AZURE_FEDERATED_TOKEN_FILE
    std::string
        identity_platform_endpoint;  // host[:port]; empty: AZURE_AUTHORITY_HOST or login.microsoftonline.com
    std::string metadata_endpoint;   // http://host[:port]; empty: 169.254.169.254
};
struct GcpKms {
    std::string email;
    std::string private_key;  // base64 of PKCS#8 DER, as drivers want it, or PEM
    // A service account's key or an external_account (workload identity federation), as gcloud writes them.
    // Empty, and no email: GOOGLE_APPLICATION_CREDENTIALS, or else the metadata server.
    std::filesystem::path credentials_file;
    enum class Source : std::uint8_t {
        service_account,
        credentials_file,
        metadata
    } source = Source::service_account;
    std::string endpoint;  // of OAuth: host[:port]; empty: oauth2.googleapis.com
    std::string
        metadata_endpoint;  // http://host[:port]; empty: GCE_METADATA_HOST, or metadata.google.internal
};
struct KmipKms {
    std::string endpoint;  // host[:port], 5696
};
// HashiCorp Vault or OpenBao, transit engine.
struct VaultKms {
    std::string address;          // https://host[:port]
    std::string vault_namespace;  // sent as X-Vault-Namespace; empty: none
    enum class Login : std::uint8_t { token, app_role, kubernetes } login = Login::token;
    std::string token;
    std::filesystem::path token_file;  // read at each login, for agents that renew it
    std::string role_id;
    std::string secret_id;
    std::string kubernetes_role;
    std::filesystem::path kubernetes_token_file;  // empty: the pod's own
    std::string auth_mount;                       // empty: approle or kubernetes
};

// A master key as key documents name it: the fields of its masterKey (master_key_fields.hpp), checked.
using MasterKeyValue = std::variant<std::string, bool, std::int32_t>;
struct ListedMasterKey {
    struct Field {
        std::string name;
        MasterKeyValue value;
        friend bool operator==(const Field&, const Field&) = default;
    };
    std::vector<Field> fields;
    int line = 0;  // in the configuration
};

struct KmsProvider {
    std::string name;  // "aws", "aws:eu"
    std::variant<LocalKms, AwsKms, AzureKms, GcpKms, KmipKms, VaultKms> settings;
    KmsTls tls;
    // host[:port] that a masterKey of a key document may name besides the provider's own domains: credentials
    // never go anywhere else.
    std::vector<std::string> hosts;
    // The only master keys that its data keys may be wrapped under. Nothing: any that its credentials may
    // use.
    std::optional<std::vector<ListedMasterKey>> master_keys = {};
    int line = 0;  // in the configuration

    std::string_view type() const { return std::string_view(name).substr(0, name.find(':')); }
};

// `db.coll` where `*` matches any run of characters within one of the two names (never the dot between them).
struct NamespacePattern {
    std::string database;
    std::string collection;
    bool matches(std::string_view database_name, std::string_view collection_name) const;
    std::size_t literal_characters() const;           // the longest literal wins
    bool meets(const NamespacePattern& other) const;  // some namespace matches both
    bool covers(
        const NamespacePattern& other) const;  // every namespace that `other` matches, this one matches
    std::string text() const { return database + "." + collection; }
};

struct ProtectedNamespace {
    NamespacePattern pattern;
    std::shared_ptr<const Schema> schema;
    // Position in Config::schemas; `not_listed` for a schema that came from elsewhere (a collection's own
    // validator, a driver that asks for query analysis).
    static constexpr std::size_t not_listed = static_cast<std::size_t>(-1);
    std::size_t index = 0;
    bool explicit_encryption_allow = false;
    // A number that the schema's type represents exactly becomes one of that type, in writes and queries
    // alike.
    bool coerce_numbers = false;
    // A null written to a protected field, which cannot be encrypted: `store` leaves it as it is, `omit`
    // leaves the field out.
    enum class Nulls : std::uint8_t { refuse, store, omit } nulls = Nulls::refuse;
    // Where it is written, for people.
    std::filesystem::path schema_file = {};  // empty: the schema stands in the configuration itself
    int line = 0;                            // of the entry in the configuration
};

// Those of the configuration live as long as it does and are not owned; others are.
using NamespaceRef = std::shared_ptr<const ProtectedNamespace>;
inline NamespaceRef reference_to(const ProtectedNamespace& listed) {
    return {NamespaceRef(), &listed};
}

struct ReadRule {
    enum class Kind : std::uint8_t { reveal, ciphertext, null, omit, mask } kind = Kind::ciphertext;
    std::uint32_t keep_last = 0;  // for mask
    friend bool operator==(const ReadRule&, const ReadRule&) = default;
};

// What a role may do with one protected field. The defaults are those of a role that names nothing.
struct FieldRule {
    ReadRule read;
    bool match = false;  // use it in a query
    bool write = false;
    friend bool operator==(const FieldRule&, const FieldRule&) = default;
};

struct Role {
    std::string name;
    FieldRule encrypted_fields;
    // Per namespace of Config::schemas (by index), per field of its schema (by index): the rule after
    // defaults.
    std::vector<std::vector<FieldRule>> rules;
    std::vector<NamespacePattern> namespaces;  // empty: all
    bool read_only = false;
    bool may_delete = true;
    bool reaches_every_schema = true;  // false: `namespaces` keeps it from a protected namespace
    enum class KeyVaultAccess : std::uint8_t { none, read, write } key_vault = KeyVaultAccess::none;

    const FieldRule& rule(std::size_t namespace_index, std::uint16_t field) const {
        return namespace_index == ProtectedNamespace::not_listed ? encrypted_fields
                                                                 : rules[namespace_index][field];
    }
    // Reads every protected field of every namespace in clear: gates `local`, `config`, ciphertext from
    // clients.
    bool reveals_everything() const;
    bool may_use(std::string_view database_name, std::string_view collection_name) const;
};

struct TlsServer {
    std::filesystem::path certificate_key_file;
    std::filesystem::path ca_file;  // empty: clients are not asked for certificates
    enum class ClientCertificate { none, optional, required } client_certificate = ClientCertificate::none;
};

struct Listener {
    std::string name;
    std::string host;        // empty for a Unix socket
    std::uint16_t port = 0;  // 0: the kernel chooses, the log says which (tests)
    std::filesystem::path unix_path;
    // What is spoken there: MongoDB's protocol for clients of the role, or mongocryptd's for drivers' own
    // CSFLE.
    enum class Serves : std::uint8_t { clients, query_analysis } serves = Serves::clients;
    std::size_t role = 0;  // index into Config::roles; meaningless for query_analysis
    std::optional<TlsServer> tls;
};

struct Log {
    enum class Level { trace, debug, info, warn, error } level = Level::info;
    enum class Format { automatic, text, json } format = Format::automatic;
};

struct Limits {
    std::uint32_t connections = 10000;
    std::uint32_t message_bytes = 48000000;
    std::uint32_t nesting_levels = 100;
    std::uint64_t memory_bytes = 1073741824;
    std::chrono::milliseconds drain{30000};
};

struct Config {
    std::filesystem::path file;
    Upstream upstream;
    KeyVault key_vault;
    std::vector<KmsProvider> kms_providers;  // in the order of the configuration; names are unique
    std::vector<ProtectedNamespace> schemas;
    enum class Unlisted { server, pass, refuse } unlisted_namespaces = Unlisted::server;
    std::vector<std::string> commands_pass;
    std::vector<Role> roles;
    std::vector<Listener> listeners;
    Log log;
    Limits limits;

    // The schema that applies to a namespace, or null. Longest literal wins.
    const ProtectedNamespace* find(std::string_view database_name, std::string_view collection_name) const;
    bool is_key_vault(std::string_view database_name, std::string_view collection_name) const;
};

}  // namespace fieldgate::config
