#include "proxy/keys/kms_gcp.hpp"

#include <utility>

#include "crypto/kms/endpoint_rule.hpp"
#include "crypto/kms/http.hpp"
#include "crypto/kms/json.hpp"
#include "proxy/keys/kms_operations.hpp"

namespace fieldgate::keys {
namespace {

using crypto::kms::Endpoint;
using crypto::kms::Failure;
using crypto::kms::GcpCredentials;
using crypto::kms::GcpFederation;
using crypto::kms::GcpMasterKey;
using crypto::kms::GcpServiceAccount;
using crypto::kms::Reply;
using crypto::kms::Request;
using crypto::kms::Result;
using crypto::kms::Token;
using Source = config::GcpKms::Source;

constexpr const char* default_oauth = "oauth2.googleapis.com";
constexpr const char* default_metadata = "metadata.google.internal";

Failure not_usable(std::string code, std::string text) {
    return {Failure::Kind::credentials, 0, std::move(code), std::move(text)};
}

}  // namespace

// One request, or two: the exchange of somebody else's token, then that for a service account's.
class GcpProvider::Login final : public KmsOperation {
 public:
    explicit Login(GcpProvider& provider)
        : provider_(provider), settings_(provider.settings_), environment_(provider.environment_) {}

    Result<std::optional<Request>> next(UnixTime now) override {
        if (is_done_) return std::optional<Request>();
        auto request = federated_ ? crypto::kms::gcp_impersonate(federation(), *federated_) : first(now);
        if (!request) return request.error();
        return std::optional<Request>(std::move(*request));
    }

    std::optional<Failure> reply(const Reply& reply, UnixTime now) override {
        auto token = federated_ ? crypto::kms::gcp_read_impersonated(reply, now)
                                : crypto::kms::read_token(reply,
                                                          settings_.source == Source::metadata
                                                              ? crypto::kms::gcp_metadata
                                                              : crypto::kms::gcp_oauth,
                                                          now);
        if (!token) return token.error();
        const bool goes_on = !federated_ && std::holds_alternative<GcpFederation>(credentials_) &&
                             federation().impersonation_url;
        if (goes_on) {
            federated_ = std::move(*token);
        } else {
            provider_.due_ = login_due(now, token->end);
            provider_.take(std::move(*token));
            is_done_ = true;
        }
        return std::nullopt;
    }

    void restart() override {
        federated_.reset();
        is_done_ = false;
    }

 private:
    const GcpFederation& federation() const { return std::get<GcpFederation>(credentials_); }

    Result<Request> first(UnixTime now) {
        if (settings_.source == Source::metadata) return metadata();
        auto credentials = settings_.source == Source::service_account ? configured_account() : from_file();
        if (!credentials) return credentials.error();
        credentials_ = std::move(*credentials);
        if (const auto* const account = std::get_if<GcpServiceAccount>(&credentials_)) {
            return crypto::kms::gcp_account_login(*account, now);
        }
        const auto subject = environment_.read_file(federation().subject_file);
        if (!subject) return subject.error();
        return crypto::kms::gcp_exchange(federation(), *subject);
    }

    Result<Request> metadata() const {
        std::string address = settings_.metadata_endpoint;
        if (address.empty()) {
            address = "http://" + environment_.variable("GCE_METADATA_HOST").value_or(default_metadata);
        }
        const auto endpoint = crypto::kms::parse_metadata_address(address);
        if (!endpoint) {
            return not_usable(
                "metadata_endpoint_not_valid",
                "metadata_endpoint is not of the form http://host[:port], or GCE_METADATA_HOST not "
                "of the form host[:port]");
        }
        return crypto::kms::gcp_metadata_login(*endpoint);
    }

    Result<GcpCredentials> configured_account() const {
        if (settings_.email.empty()) return not_usable("email_missing", "email is not set");
        if (settings_.private_key.empty()) return not_usable("private_key_missing", "private_key is not set");
        GcpServiceAccount account;
        account.email = settings_.email;
        account.private_key = crypto::SecretBuffer(crypto::kms::bytes_of(settings_.private_key));
        if (const auto problem = set_endpoint(account)) return *problem;
        return GcpCredentials(std::move(account));
    }

    Result<GcpCredentials> from_file() const {
        std::string file = settings_.credentials_file.string();
        if (file.empty()) file = environment_.variable("GOOGLE_APPLICATION_CREDENTIALS").value_or("");
        if (file.empty()) {
            return not_usable("credentials_file_missing",
                              "neither credentials_file nor GOOGLE_APPLICATION_CREDENTIALS is set");
        }
        const auto contents = environment_.read_file(file);
        if (!contents) return contents.error();
        auto credentials = crypto::kms::gcp_read_credentials(*contents, file);
        if (!credentials || settings_.endpoint.empty()) return credentials;
        if (auto* const account = std::get_if<GcpServiceAccount>(&*credentials)) {
            if (const auto problem = set_endpoint(*account)) return *problem;
            return credentials;
        }
        return not_usable("endpoint_not_used",
                          "endpoint is for service accounts: leave it out, " + file + " names its own");
    }

    std::optional<Failure> set_endpoint(GcpServiceAccount& account) const {
        const auto endpoint =
            crypto::kms::parse_endpoint(settings_.endpoint.empty() ? default_oauth : settings_.endpoint, 443);
        if (!endpoint) return not_usable("endpoint_not_valid", "endpoint is not of the form host[:port]");
        account.token_url = crypto::kms::gcp_token_url(*endpoint);
        account.audience = crypto::kms::gcp_audience(account.token_url);
        return std::nullopt;
    }

    GcpProvider& provider_;
    const config::GcpKms& settings_;
    const KmsEnvironment& environment_;
    GcpCredentials credentials_;
    std::optional<Token> federated_;
    bool is_done_ = false;
};

GcpProvider::GcpProvider(const config::KmsProvider& configured, KmsEnvironment environment)
    : name_(configured.name),
      hosts_(configured.hosts),
      settings_(std::get<config::GcpKms>(configured.settings)),
      environment_(std::move(environment)) {}

std::unique_ptr<KmsOperation> GcpProvider::login(UnixTime now) {
    if (is_logged_in(now) && now < due_) return nullptr;
    return std::make_unique<Login>(*this);
}

bool GcpProvider::is_logged_in(UnixTime now) const {
    return token_ && now < token_->end;
}

bool GcpProvider::forget_login() {
    if (token_) token_->end = {};
    return true;
}

void GcpProvider::take(Token token) {
    if (token_) replaced_token_ = std::move(token_->value);
    token_ = std::move(token);
}

Result<const Token*> GcpProvider::token(UnixTime now) const {
    if (!token_ || token_->end <= now) {
        return Failure{Failure::Kind::credentials, 0, "token_ended", "there is no token, or it has ended"};
    }
    return &*token_;
}

Result<Endpoint> GcpProvider::endpoint_of(const crypto::kms::MasterKeyDescription& master_key) const {
    const auto* const gcp = std::get_if<GcpMasterKey>(&master_key);
    if (gcp == nullptr) {
        return Failure{Failure::Kind::refused, 0, "master_key_mismatch",
                       "masterKey is of another kind of provider"};
    }
    if (const auto problem = crypto::kms::gcp_problem_of(*gcp)) return *problem;
    return crypto::kms::allowed_endpoint(
        gcp->endpoint.empty() ? crypto::kms::gcp_kms_host : std::string_view(gcp->endpoint),
        {.provider = name_, .default_port = 443, .domains = crypto::kms::gcp_domains, .hosts = hosts_});
}

Result<std::unique_ptr<UnwrapOperation>> GcpProvider::unwrap(
    const crypto::kms::MasterKeyDescription& master_key, std::span<const std::uint8_t> wrapped) {
    auto endpoint = endpoint_of(master_key);
    if (!endpoint) return endpoint.error();
    if (const auto problem = crypto::kms::problem_of_wrapped_key(wrapped)) return *problem;
    return std::make_unique<SingleUnwrap>(
        [this, endpoint = std::move(*endpoint), key = std::get<GcpMasterKey>(master_key),
         material =
             std::vector<std::uint8_t>(wrapped.begin(), wrapped.end())](UnixTime now) -> Result<Request> {
            const auto good = token(now);
            if (!good) return good.error();
            return crypto::kms::gcp_decrypt_request(endpoint, key, material, **good);
        },
        crypto::kms::gcp_read_decrypted);
}

Result<std::unique_ptr<WrapOperation>> GcpProvider::wrap(const crypto::kms::MasterKeyDescription& master_key,
                                                         const crypto::DataKey& key) {
    auto endpoint = endpoint_of(master_key);
    if (!endpoint) return endpoint.error();
    const auto& asked = std::get<GcpMasterKey>(master_key);
    return std::make_unique<SingleWrap>(
        [this, endpoint = std::move(*endpoint), asked, &key](UnixTime now) -> Result<Request> {
            const auto good = token(now);
            if (!good) return good.error();
            return crypto::kms::gcp_encrypt_request(endpoint, asked, key, **good);
        },
        [asked](const Reply& reply) -> Result<WrappedDataKey> {
            auto material = crypto::kms::gcp_read_encrypted(reply);
            if (!material) return material.error();
            return WrappedDataKey{std::move(*material), asked};
        });
}

void GcpProvider::hide_secrets(Failure& failure) const {
    if (token_) crypto::kms::hide_secret(failure, token_->value);
    crypto::kms::hide_secret(failure, replaced_token_);
}

bool GcpProvider::may_retry(const Failure& failure) const {
    return crypto::kms::may_help_to_retry(failure);
}

}  // namespace fieldgate::keys
