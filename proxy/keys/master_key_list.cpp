#include "proxy/keys/master_key_list.hpp"

#include <utility>

#include "crypto/kms/aws.hpp"
#include "crypto/kms/gcp.hpp"
#include "crypto/kms/http.hpp"
#include "crypto/kms/json.hpp"
#include "crypto/kms/kmip.hpp"

namespace fieldgate::keys {
namespace {

using crypto::kms::AwsMasterKey;
using crypto::kms::AzureMasterKey;
using crypto::kms::Failure;
using crypto::kms::GcpMasterKey;
using crypto::kms::KmipMasterKey;
using crypto::kms::LocalMasterKey;
using crypto::kms::VaultMasterKey;

constexpr std::uint16_t https_port = 443;
constexpr std::size_t told_bytes_max = 200;  // of the master key, in a refusal
constexpr std::string_view version_field = "keyVersion";

// What cannot be read as an endpoint is equal to itself only.
std::string normal(std::string_view endpoint, std::uint16_t default_port) {
    const auto parsed = crypto::kms::parse_endpoint(endpoint, default_port);
    if (!parsed) return std::string(endpoint);
    return parsed->host + " port " + std::to_string(parsed->port);
}

}  // namespace

struct MasterKeyList::Parts {
    const std::string& own_endpoint;

    std::vector<Part> operator()(const LocalMasterKey&) const { return {}; }
    std::vector<Part> operator()(const AwsMasterKey& key) const {
        const std::string own = "kms." + key.region + "." + std::string(crypto::kms::aws_domain(key.region));
        return {{"region", key.region},
                {"key", key.key},
                {"endpoint", normal(key.endpoint.empty() ? own : key.endpoint, https_port)}};
    }
    std::vector<Part> operator()(const AzureMasterKey& key) const {
        return {{"keyVaultEndpoint", normal(key.key_vault_endpoint, https_port)},
                {"keyName", key.key_name},
                {version_field, key.key_version}};
    }
    std::vector<Part> operator()(const GcpMasterKey& key) const {
        return {{"projectId", key.project_id},
                {"location", key.location},
                {"keyRing", key.key_ring},
                {"keyName", key.key_name},
                {version_field, key.key_version},
                {"endpoint",
                 normal(key.endpoint.empty() ? crypto::kms::gcp_kms_host : key.endpoint, https_port)}};
    }
    std::vector<Part> operator()(const KmipMasterKey& key) const {
        return {
            {"keyId", key.key_id},
            {"delegated", key.delegated ? "true" : ""},
            {"endpoint", normal(key.endpoint.empty() ? own_endpoint : key.endpoint, crypto::kms::kmip_port)}};
    }
    std::vector<Part> operator()(const VaultMasterKey& key) const {
        return {{"mount", key.mount.empty() ? "transit" : key.mount},
                {"keyName", key.key_name},
                {version_field, key.key_version == 0 ? "" : std::to_string(key.key_version)}};
    }
};

MasterKeyList::MasterKeyList(const config::KmsProvider& provider)
    : provider_(provider.name), is_limited_(provider.master_keys.has_value()) {
    if (const auto* kmip = std::get_if<config::KmipKms>(&provider.settings)) endpoint_ = kmip->endpoint;
    if (!is_limited_) return;
    for (const config::ListedMasterKey& listed : *provider.master_keys) {
        listed_.push_back(master_key_of(provider.name, listed));
        listed_parts_.push_back(std::visit(Parts{endpoint_}, listed_.back()));
    }
}

std::optional<Failure> MasterKeyList::refusal_of(const MasterKeyDescription& master_key) const {
    if (!is_limited_) return std::nullopt;
    const std::string setting = "kms_providers." + provider_ + ".master_keys";
    const auto refused = [](std::string text) {
        return Failure{Failure::Kind::refused, 0, "master_key_not_listed", std::move(text)};
    };
    const auto* kmip = std::get_if<KmipMasterKey>(&master_key);
    if (kmip != nullptr && kmip->key_id.empty()) {
        return refused("without keyId the wrapping would make a master key, and only those in " + setting +
                       " may be used: name the keyId of one of them");
    }

    const std::vector<Part> parts = std::visit(Parts{endpoint_}, master_key);
    std::size_t most_equal = 0;
    std::string_view differs;
    for (const std::vector<Part>& listed : listed_parts_) {
        if (parts.empty() || listed.size() != parts.size()) continue;  // of another kind of provider
        std::size_t equal = 0;
        std::string_view first;
        for (std::size_t i = 0; i < parts.size(); ++i) {
            const bool is_any_version = parts[i].field == version_field && listed[i].value.empty();
            if (parts[i].field != listed[i].field) {
                if (first.empty()) first = parts[i].field;
            } else if (is_any_version || parts[i].value == listed[i].value) {
                ++equal;
            } else if (first.empty()) {
                first = parts[i].field;
            }
        }
        if (equal == parts.size()) return std::nullopt;
        if (differs.empty() || equal > most_equal) {
            most_equal = equal;
            differs = first;
        }
    }
    std::string text = master_key_text(master_key);
    if (text.size() > told_bytes_max) text = text.substr(0, told_bytes_max) + "...";
    text = "the master key '" + text + "' is not one of " + setting;
    if (!differs.empty())
        text += "; its " + std::string(differs) + " is another than that of the entry most like it";
    return refused(text + ". Add it there if fieldgate may use it");
}

}  // namespace fieldgate::keys
