#include "proxy/keys/kms_azure.hpp"

#include <algorithm>
#include <boost/assert.hpp>
#include <utility>

#include "crypto/kms/endpoint_rule.hpp"
#include "crypto/kms/http.hpp"
#include "crypto/kms/json.hpp"
#include "proxy/keys/kms_operations.hpp"

namespace fieldgate::keys {
namespace {

using crypto::kms::AzureMasterKey;
using crypto::kms::Endpoint;
using crypto::kms::Failure;
using crypto::kms::Reply;
using crypto::kms::Request;
using crypto::kms::Result;
using crypto::kms::Token;

constexpr const char* default_platform = "login.microsoftonline.com";
constexpr const char* default_metadata = "http://169.254.169.254";

Failure missing(std::string code, std::string text) {
    return {Failure::Kind::credentials, 0, std::move(code), std::move(text)};
}

class AzureLogin final : public KmsOperation {
 public:
    explicit AzureLogin(AzureTokens& tokens) : tokens_(tokens) {}

    Result<std::optional<Request>> next(UnixTime now) override {
        const auto due = tokens_.due(now);
        // A token that has ended when it comes would be asked for over and over.
        if (!due || *due == asked_) return std::optional<Request>();
        asked_ = *due;
        auto request = tokens_.request(asked_);
        if (!request) return request.error();
        return std::optional<Request>(std::move(*request));
    }
    std::optional<Failure> reply(const Reply& reply, UnixTime now) override {
        return tokens_.take(asked_, reply, now);
    }
    void restart() override { asked_.clear(); }

 private:
    AzureTokens& tokens_;
    std::string asked_;
};

// One operation on the vault, with a token fetched first where there is none.
template <class Base>
class AzureOperation : public Base {
 public:
    AzureOperation(AzureTokens& tokens, Endpoint vault, AzureMasterKey master_key)
        : vault_(std::move(vault)),
          master_key_(std::move(master_key)),
          tokens_(tokens),
          resource_(crypto::kms::azure_resource(vault_, tokens.identity_platform_host())) {
        tokens_.want(resource_);
    }

    Result<std::optional<Request>> next(UnixTime now) override {
        if (is_done_) return std::optional<Request>();
        const Token* const token = tokens_.find(resource_, now);
        if (token == nullptr && asked_token_) {
            return Failure{Failure::Kind::malformed, 0, "token_ended", "the token had ended when it came"};
        }
        asked_token_ = token == nullptr;
        auto request = asked_token_ ? tokens_.request(resource_) : key_request(*token);
        if (!request) return request.error();
        return std::optional<Request>(std::move(*request));
    }
    std::optional<Failure> reply(const Reply& reply, UnixTime now) override {
        if (asked_token_) {
            auto failure = tokens_.take(resource_, reply, now);
            if (!failure) return std::nullopt;
            failure->text = "login: " + failure->text;
            // Not `credentials`: the tokens for other kinds of vaults are not in question.
            if (failure->kind == Failure::Kind::credentials) failure->kind = Failure::Kind::refused;
            return failure;
        }
        auto failure = key_reply(reply);
        is_done_ = !failure;
        return failure;
    }
    void restart() override {
        is_done_ = false;
        asked_token_ = false;
    }

 protected:
    Endpoint vault_;
    AzureMasterKey master_key_;
    bool is_done_ = false;

 private:
    virtual Result<Request> key_request(const Token& token) = 0;
    virtual std::optional<Failure> key_reply(const Reply& reply) = 0;

    AzureTokens& tokens_;
    std::string resource_;
    bool asked_token_ = false;
};

class AzureUnwrap final : public AzureOperation<UnwrapOperation> {
 public:
    AzureUnwrap(AzureTokens& tokens, Endpoint vault, AzureMasterKey master_key,
                std::span<const std::uint8_t> wrapped)
        : AzureOperation(tokens, std::move(vault), std::move(master_key)),
          wrapped_(wrapped.begin(), wrapped.end()) {}

    crypto::DataKey take() override {
        BOOST_ASSERT(is_done_ && key_);
        return std::move(*key_);
    }

 private:
    Result<Request> key_request(const Token& token) override {
        return crypto::kms::azure_unwrap_request(vault_, master_key_, wrapped_, token);
    }
    std::optional<Failure> key_reply(const Reply& reply) override {
        auto key = crypto::kms::azure_read_unwrapped(reply);
        if (!key) return key.error();
        key_ = std::move(*key);
        return std::nullopt;
    }

    std::vector<std::uint8_t> wrapped_;
    std::optional<crypto::DataKey> key_;
};

class AzureWrap final : public AzureOperation<WrapOperation> {
 public:
    AzureWrap(AzureTokens& tokens, Endpoint vault, AzureMasterKey master_key, const crypto::DataKey& key)
        : AzureOperation(tokens, std::move(vault), std::move(master_key)), key_(key) {}

    WrappedDataKey take() override {
        BOOST_ASSERT(is_done_);
        AzureMasterKey master_key = master_key_;
        if (master_key.key_version.empty()) master_key.key_version = wrapped_.key_version;
        return {std::move(wrapped_.material), std::move(master_key)};
    }

 private:
    Result<Request> key_request(const Token& token) override {
        return crypto::kms::azure_wrap_request(vault_, master_key_, key_, token);
    }
    std::optional<Failure> key_reply(const Reply& reply) override {
        auto wrapped = crypto::kms::azure_read_wrapped(reply);
        if (!wrapped) return wrapped.error();
        wrapped_ = std::move(*wrapped);
        return std::nullopt;
    }

    const crypto::DataKey& key_;
    crypto::kms::AzureWrapped wrapped_;
};

}  // namespace

AzureTokens::AzureTokens(const config::AzureKms& settings, KmsEnvironment environment)
    : settings_(settings), environment_(std::move(environment)) {}

std::string AzureTokens::setting(const std::string& configured, const char* variable) const {
    return configured.empty() ? environment_.variable(variable).value_or("") : configured;
}

std::string AzureTokens::identity_platform_host() const {
    const auto platform = application();
    return platform ? platform->identity_platform.host : default_platform;
}

Result<crypto::kms::AzureApplication> AzureTokens::application() const {
    // The variable is an URL, the setting host[:port].
    std::string address = settings_.identity_platform_endpoint;
    if (address.empty()) {
        const auto url = environment_.variable("AZURE_AUTHORITY_HOST");
        address = url.value_or(default_platform);
        if (address.starts_with("https://")) address.erase(0, 8);
        if (address.ends_with('/')) address.pop_back();
    }
    auto platform = crypto::kms::parse_endpoint(address, 443);
    if (!platform) {
        return missing("identity_platform_not_valid",
                       "identity_platform_endpoint (or AZURE_AUTHORITY_HOST) is not of the form host[:port]");
    }
    return crypto::kms::AzureApplication{std::move(*platform),
                                         setting(settings_.tenant_id, "AZURE_TENANT_ID"),
                                         setting(settings_.client_id, "AZURE_CLIENT_ID")};
}

Result<Request> AzureTokens::request(const std::string& resource) const {
    using Source = config::AzureKms::Source;
    if (settings_.source == Source::managed_identity) {
        const auto metadata = crypto::kms::parse_metadata_address(
            settings_.metadata_endpoint.empty() ? default_metadata : settings_.metadata_endpoint);
        if (!metadata) {
            return missing("metadata_endpoint_not_valid",
                           "metadata_endpoint is not of the form http://host[:port]");
        }
        return crypto::kms::azure_managed_login(*metadata, setting(settings_.client_id, "AZURE_CLIENT_ID"),
                                                resource);
    }
    const auto known = application();
    if (!known) return known.error();
    if (known->tenant_id.empty()) {
        return missing("tenant_id_missing", "neither tenant_id nor AZURE_TENANT_ID is set");
    }
    if (known->client_id.empty()) {
        return missing("client_id_missing", "neither client_id nor AZURE_CLIENT_ID is set");
    }
    if (settings_.source == Source::client_secret) {
        if (settings_.client_secret.empty()) {
            return missing("client_secret_missing", "client_secret is not set");
        }
        return crypto::kms::azure_secret_login(*known, settings_.client_secret, resource);
    }

    const std::string file = setting(settings_.federated_token_file.string(), "AZURE_FEDERATED_TOKEN_FILE");
    if (file.empty()) {
        return missing("token_file_missing",
                       "neither federated_token_file nor AZURE_FEDERATED_TOKEN_FILE is set");
    }
    const auto contents = environment_.read_file(file);
    if (!contents) return contents.error();
    if (!crypto::kms::is_token_file(*contents)) {
        return missing("token_file_not_valid", file + " does not hold a token");
    }
    return crypto::kms::azure_federated_login(*known, *contents, resource);
}

const Token* AzureTokens::find(const std::string& resource, UnixTime now) const {
    const auto at = tokens_.find(resource);
    return at != tokens_.end() && now < at->second.token.end ? &at->second.token : nullptr;
}

std::optional<Failure> AzureTokens::take(const std::string& resource, const Reply& reply, UnixTime now) {
    const bool is_managed = settings_.source == config::AzureKms::Source::managed_identity;
    auto token = crypto::kms::read_token(
        reply, is_managed ? crypto::kms::azure_metadata : crypto::kms::azure_platform, now);
    if (token) {
        const UnixTime due = login_due(now, token->end);
        Kept& kept = tokens_[resource];
        kept = {std::move(*token), due, std::move(kept.token.value)};
        first_.clear();
        return std::nullopt;
    }
    // There may be none for this kind of vault: let another be the first.
    if (resource == first_ && !crypto::kms::may_help_to_retry(token.error())) first_.clear();
    return token.error();
}

void AzureTokens::want(const std::string& resource) {
    if (tokens_.empty() && first_.empty()) first_ = resource;
}

std::optional<std::string> AzureTokens::due(UnixTime now) const {
    for (const auto& [resource, kept] : tokens_) {
        if (kept.due <= now) return resource;
    }
    if (!first_.empty()) return first_;
    return std::nullopt;
}

bool AzureTokens::are_good(UnixTime now) const {
    return !tokens_.empty() &&
           std::ranges::all_of(tokens_, [&](const auto& entry) { return now < entry.second.token.end; });
}

void AzureTokens::forget() {
    for (auto& [resource, kept] : tokens_) kept.token.end = kept.due = {};
}

void AzureTokens::hide_secrets(Failure& failure) const {
    crypto::kms::hide_secret(failure, settings_.client_secret);
    for (const auto& [resource, kept] : tokens_) {
        crypto::kms::hide_secret(failure, kept.token.value);
        crypto::kms::hide_secret(failure, kept.replaced);
    }
}

AzureProvider::AzureProvider(const config::KmsProvider& configured, KmsEnvironment environment)
    : name_(configured.name),
      hosts_(configured.hosts),
      tokens_(std::get<config::AzureKms>(configured.settings), std::move(environment)) {}

std::unique_ptr<KmsOperation> AzureProvider::login(UnixTime now) {
    if (!tokens_.due(now)) return nullptr;
    return std::make_unique<AzureLogin>(tokens_);
}

bool AzureProvider::is_logged_in(UnixTime now) const {
    return tokens_.are_good(now);
}

bool AzureProvider::forget_login() {
    tokens_.forget();
    return true;
}

Result<Endpoint> AzureProvider::vault_of(const crypto::kms::MasterKeyDescription& master_key) const {
    const auto* const azure = std::get_if<AzureMasterKey>(&master_key);
    if (azure == nullptr) {
        return Failure{Failure::Kind::refused, 0, "master_key_mismatch",
                       "masterKey is of another kind of provider"};
    }
    if (const auto problem = crypto::kms::azure_problem_of(*azure)) return *problem;
    return crypto::kms::allowed_endpoint(
        azure->key_vault_endpoint,
        {.provider = name_, .default_port = 443, .domains = crypto::kms::azure_domains, .hosts = hosts_});
}

Result<std::unique_ptr<UnwrapOperation>> AzureProvider::unwrap(
    const crypto::kms::MasterKeyDescription& master_key, std::span<const std::uint8_t> wrapped) {
    auto vault = vault_of(master_key);
    if (!vault) return vault.error();
    if (const auto problem = crypto::kms::problem_of_wrapped_key(wrapped)) return *problem;
    return std::make_unique<AzureUnwrap>(tokens_, std::move(*vault), std::get<AzureMasterKey>(master_key),
                                         wrapped);
}

Result<std::unique_ptr<WrapOperation>> AzureProvider::wrap(
    const crypto::kms::MasterKeyDescription& master_key, const crypto::DataKey& key) {
    auto vault = vault_of(master_key);
    if (!vault) return vault.error();
    return std::make_unique<AzureWrap>(tokens_, std::move(*vault), std::get<AzureMasterKey>(master_key), key);
}

bool AzureProvider::may_retry(const Failure& failure) const {
    // 501 and 505 are no matter of time.
    return crypto::kms::may_help_to_retry(failure) && failure.status != 501 && failure.status < 505;
}

}  // namespace fieldgate::keys
