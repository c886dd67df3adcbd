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
#include <vector>

#include "config/schema.hpp"

// The configuration as values: built once by config/load.hpp, immutable, shared between threads. Holds no key
// bytes, only where they are. Field names follow the YAML keys of the README.
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
    std::optional<LocalKms> local_kms;
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
