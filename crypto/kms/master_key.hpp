#pragma once

#include <optional>
#include <string>
#include <variant>

// The masterKey of a key document, without its provider: which key of the key manager wraps the data key
// (CSFLE specification, "masterKey"). Data written by somebody else: endpoints are checked before a
// credential goes there.
namespace fieldgate::crypto::kms {

struct LocalMasterKey {
    friend bool operator==(const LocalMasterKey&, const LocalMasterKey&) = default;
};
struct AwsMasterKey {
    std::string region;
    std::string key;       // ARN
    std::string endpoint;  // host[:port] or empty: kms.<region>.amazonaws.com
    friend bool operator==(const AwsMasterKey&, const AwsMasterKey&) = default;
};
struct AzureMasterKey {
    std::string key_vault_endpoint;  // host[:port]
    std::string key_name;
    std::string key_version;  // empty: the current one wraps
    friend bool operator==(const AzureMasterKey&, const AzureMasterKey&) = default;
};
struct GcpMasterKey {
    std::string project_id;
    std::string location;
    std::string key_ring;
    std::string key_name;
    std::string key_version;  // empty: the primary one wraps
    std::string endpoint;     // host[:port] or empty: cloudkms.googleapis.com
    friend bool operator==(const GcpMasterKey&, const GcpMasterKey&) = default;
};
struct KmipMasterKey {
    std::string key_id;    // Unique Identifier; empty only before the first wrapping, which makes one
    std::string endpoint;  // host[:port] or empty: the provider's
    bool delegated = false;
    friend bool operator==(const KmipMasterKey&, const KmipMasterKey&) = default;
};
// Ours: drivers do not have this provider. {provider: "vault", keyName, mount?, keyVersion?}. The server is
// always the one that the configuration names.
struct VaultMasterKey {
    std::string key_name;  // of the transit engine
    std::string mount;     // where the engine is mounted; empty: "transit"
    int key_version = 0;   // 0: the latest one wraps
    friend bool operator==(const VaultMasterKey&, const VaultMasterKey&) = default;
};

using MasterKeyDescription =
    std::variant<LocalMasterKey, AwsMasterKey, AzureMasterKey, GcpMasterKey, KmipMasterKey, VaultMasterKey>;

}  // namespace fieldgate::crypto::kms
