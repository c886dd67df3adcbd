#include "proxy/commands/master_key_option.hpp"

#include <algorithm>
#include <ostream>
#include <stdexcept>

#include "config/master_key_fields.hpp"
#include "proxy/commands/key_vault_access.hpp"
#include "proxy/commands/text.hpp"
#include "proxy/keys/error.hpp"
#include "proxy/keys/master_key.hpp"
#include "proxy/keys/master_key_list.hpp"

namespace fieldgate::commands {
namespace {

std::string example(std::string_view type) {
    if (type == "aws") return R"({"region": "eu-west-1", "key": "arn:aws:kms:..."})";
    if (type == "azure") return R"({"keyVaultEndpoint": "NAME.vault.azure.net", "keyName": "..."})";
    if (type == "gcp")
        return R"({"projectId": "...", "location": "global", "keyRing": "...", "keyName": "..."})";
    if (type == "kmip") return R"({} or {"keyId": "..."})";
    if (type == "vault") return R"({"keyName": "..."})";
    return "{}";
}

std::string configured(const config::Config& config) {
    std::vector<std::string> names;
    names.reserve(config.kms_providers.size());
    for (const config::KmsProvider& provider : config.kms_providers) names.push_back(provider.name);
    return names.empty() ? "none is configured" : "configured: " + joined(names);
}

// The first of them, which whoever asks has written himself.
std::string unknown_field(std::string_view type, bson::DocumentView document) {
    const auto known = config::master_key_fields(type);
    for (const bson::Element& element : document) {
        if (element.key() != "provider" &&
            std::ranges::find(*known, element.key(), &config::MasterKeyField::name) == known->end())
            return std::string(element.key());
    }
    return {};
}

}  // namespace

MasterKeyOption read_master_key_option(const config::Config& config, const std::string& provider,
                                       const std::string& master_key) {
    MasterKeyOption option;
    const auto refuse = [&](int code, std::string problem) {
        option.problem = std::move(problem);
        option.code = code;
        return option;
    };
    if (!provider.empty()) {
        option.provider = provider;
    } else if (find_provider(config, "local") != nullptr) {
        option.provider = "local";
    } else if (config.kms_providers.size() == 1) {
        option.provider = config.kms_providers.front().name;
    } else {
        return refuse(config.kms_providers.empty() ? exit_configuration : exit_usage,
                      "--provider: say which KMS wraps the key (" + configured(config) + ")");
    }
    const config::KmsProvider* const found = find_provider(config, option.provider);
    if (found == nullptr) {
        return refuse(exit_configuration, "KMS provider `" + option.provider + "` is not configured (" +
                                              configured(config) + ")");
    }

    const std::string_view type = keys::provider_type(option.provider);
    const auto document = bson::from_json(master_key.empty() ? "{}" : master_key);
    if (!document) return refuse(exit_usage, "--master-key: must be JSON: " + example(type));
    const auto view = bson::DocumentView::unchecked(*document);
    if (const auto named = view.find("provider");
        named && (!named->is_string() || named->string() != option.provider)) {
        return refuse(exit_usage, "--master-key: its provider is not the one of --provider");
    }
    std::string field;
    auto parsed = keys::parse_master_key(option.provider, view, keys::MasterKeyUse::wanted, &field);
    if (parsed) {
        if (const auto refusal = keys::MasterKeyList(*found).refusal_of(*parsed)) {
            return refuse(exit_configuration,
                          "--master-key: KMS provider `" + option.provider + "`: " + refusal->text);
        }
        option.master_key = std::move(*parsed);
        return option;
    }
    if (master_key.empty()) {
        return refuse(exit_usage, "--master-key: `" + option.provider + "` needs one: --master-key '" +
                                      example(type) + "'");
    }
    if (parsed.error() == keys::Errc::master_key_unknown_field) field = unknown_field(type, view);
    return refuse(exit_usage, "--master-key: " + parsed.error().message() +
                                  (field.empty() ? "" : " (" + field + ")") + ": " + example(type));
}

std::unique_ptr<KeyManagers> open_key_managers(const config::Config& config, const OpenKeyManagers& open,
                                               Console console) {
    try {
        return open(config);
    } catch (const std::runtime_error& error) {
        console.err << printable(error.what()) << '\n';
        return nullptr;
    }
}

}  // namespace fieldgate::commands
