#include "proxy/keys/kms_providers.hpp"

#include <cstdlib>
#include <stdexcept>
#include <utility>

#include "crypto/key_material.hpp"
#include "crypto/random.hpp"
#include "crypto/secret_file.hpp"
#include "proxy/keys/kms_aws.hpp"
#include "proxy/keys/kms_azure.hpp"
#include "proxy/keys/kms_gcp.hpp"
#include "proxy/keys/kms_kmip.hpp"
#include "proxy/keys/kms_limited.hpp"
#include "proxy/keys/kms_local.hpp"
#include "proxy/keys/kms_vault.hpp"

namespace fieldgate::keys {
namespace {

using crypto::SecretBuffer;
using crypto::kms::Failure;
using crypto::kms::Result;

// OpenSSL's generator has no state of its own: one for all providers, for as long as the process lives.
crypto::Random& system_random() {
    static crypto::SystemRandom random;
    return random;
}

// One function for each kind of provider, chosen by std::visit over its settings.
struct Maker {
    const config::KmsProvider& configured;
    const KmsEnvironment& environment;

    std::unique_ptr<KmsProvider> operator()(const config::LocalKms& settings) const {
        const std::string path = settings.key_file.string();
        const auto contents = crypto::read_secret_file(path);
        if (!contents) fail(path, contents.error());
        auto key = crypto::parse_master_key(*contents);
        if (!key) fail(path, key.error());
        return make_local_kms(std::move(*key));
    }
    std::unique_ptr<KmsProvider> operator()(const config::AzureKms&) const {
        return std::make_unique<AzureProvider>(configured, environment);
    }
    std::unique_ptr<KmsProvider> operator()(const config::KmipKms&) const {
        return std::make_unique<KmipProvider>(configured, system_random());
    }

    std::unique_ptr<KmsProvider> operator()(const config::AwsKms&) const {
        return std::make_unique<AwsProvider>(configured, environment);
    }
    std::unique_ptr<KmsProvider> operator()(const config::GcpKms&) const {
        return std::make_unique<GcpProvider>(configured, environment);
    }
    std::unique_ptr<KmsProvider> operator()(const config::VaultKms&) const {
        return std::make_unique<VaultProvider>(configured, environment);
    }

    [[noreturn]] void fail(const std::string& path, const boost::system::error_code& error) const {
        throw std::runtime_error("KMS provider `" + configured.name + "`: " + path + ": " + error.message());
    }
};

}  // namespace

Kms::Providers make_kms_providers(const config::Config& config, const KmsEnvironment& environment) {
    Kms::Providers providers;
    for (const config::KmsProvider& provider : config.kms_providers) {
        auto made = std::visit(Maker{provider, environment}, provider.settings);
        if (provider.master_keys) made = limit_kms(std::move(made), MasterKeyList(provider));
        providers.emplace(provider.name, std::move(made));
    }
    return providers;
}

KmsEnvironment system_environment() {
    KmsEnvironment environment;
    environment.variable = [](const std::string& name) -> std::optional<std::string> {
        const char* const value = std::getenv(name.c_str());
        return value == nullptr || *value == '\0' ? std::nullopt : std::optional<std::string>(value);
    };
    environment.read_file = [](const std::filesystem::path& file) -> Result<SecretBuffer> {
        const auto unreadable = [&](const std::string& why) {
            return Failure{.kind = Failure::Kind::credentials,
                           .code = "file_unreadable",
                           .text = file.string() + ": " + why};
        };
        // Opening a pipe waits for its writer, and everybody's keys would wait with it.
        std::error_code error;
        if (const auto status = std::filesystem::status(file, error);
            std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
            return unreadable("it is no regular file");
        auto contents = crypto::read_secret_file(file.string());
        if (contents) return std::move(*contents);
        return unreadable(contents.error().message());
    };
    return environment;
}

}  // namespace fieldgate::keys
