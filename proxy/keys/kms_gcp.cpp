#include "proxy/keys/kms_gcp.hpp"

#include <boost/assert.hpp>
#include <utility>

#include "crypto/kms/endpoint_rule.hpp"
#include "crypto/kms/http.hpp"

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

// One request, or two: the exchange of somebody else's token, then that for a service account's.
class GcpLogin final : public KmsOperation {
 public:
    GcpLogin(const config::GcpKms& settings, const KmsEnvironment& environment, std::optional<Token>& token)
        : settings_(settings), environment_(environment), token_(token) {}

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
            token_ = std::move(*token);
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

    const config::GcpKms& settings_;
    const KmsEnvironment& environment_;
    std::optional<Token>& token_;
    GcpCredentials credentials_;
    std::optional<Token> federated_;
    bool is_done_ = false;
};

template <class Base>
class GcpOperation : public Base {
 public:
    GcpOperation(const std::optional<Token>& token, Endpoint endpoint, GcpMasterKey master_key)
        : endpoint_(std::move(endpoint)), master_key_(std::move(master_key)), token_(token) {}

    Result<std::optional<Request>> next(UnixTime now) override {
        if (is_done_) return std::optional<Request>();
        if (!token_ || token_->end <= now) {
            return Failure{Failure::Kind::credentials, 0, "token_ended",
                           "there is no token, or it has ended"};
        }
        auto request = key_request(*token_);
        if (!request) return request.error();
        return std::optional<Request>(std::move(*request));
    }
    std::optional<Failure> reply(const Reply& reply, UnixTime) override {
        auto failure = key_reply(reply);
        is_done_ = !failure;
        return failure;
    }
    void restart() override { is_done_ = false; }

 protected:
    Endpoint endpoint_;
    GcpMasterKey master_key_;
    bool is_done_ = false;

 private:
    virtual Result<Request> key_request(const Token& token) = 0;
    virtual std::optional<Failure> key_reply(const Reply& reply) = 0;

    const std::optional<Token>& token_;
};

class GcpUnwrap final : public GcpOperation<UnwrapOperation> {
 public:
    GcpUnwrap(const std::optional<Token>& token, Endpoint endpoint, GcpMasterKey master_key,
              std::span<const std::uint8_t> wrapped)
        : GcpOperation(token, std::move(endpoint), std::move(master_key)),
          wrapped_(wrapped.begin(), wrapped.end()) {}

    crypto::DataKey take() override {
        BOOST_ASSERT(is_done_ && key_);
        return std::move(*key_);
    }

 private:
    Result<Request> key_request(const Token& token) override {
        return crypto::kms::gcp_decrypt_request(endpoint_, master_key_, wrapped_, token);
    }
    std::optional<Failure> key_reply(const Reply& reply) override {
        auto key = crypto::kms::gcp_read_decrypted(reply);
        if (!key) return key.error();
        key_ = std::move(*key);
        return std::nullopt;
    }

    std::vector<std::uint8_t> wrapped_;
    std::optional<crypto::DataKey> key_;
};

class GcpWrap final : public GcpOperation<WrapOperation> {
 public:
    GcpWrap(const std::optional<Token>& token, Endpoint endpoint, GcpMasterKey master_key,
            const crypto::DataKey& key)
        : GcpOperation(token, std::move(endpoint), std::move(master_key)), key_(key) {}

    WrappedDataKey take() override {
        BOOST_ASSERT(is_done_);
        return {std::move(material_), master_key_};
    }

 private:
    Result<Request> key_request(const Token& token) override {
        return crypto::kms::gcp_encrypt_request(endpoint_, master_key_, key_, token);
    }
    std::optional<Failure> key_reply(const Reply& reply) override {
        auto material = crypto::kms::gcp_read_encrypted(reply);
        if (!material) return material.error();
        material_ = std::move(*material);
        return std::nullopt;
    }

    const crypto::DataKey& key_;
    std::vector<std::uint8_t> material_;
};

}  // namespace

GcpProvider::GcpProvider(const config::KmsProvider& configured, KmsEnvironment environment)
    : name_(configured.name),
      hosts_(configured.hosts),
      settings_(std::get<config::GcpKms>(configured.settings)),
      environment_(std::move(environment)) {}

std::unique_ptr<KmsOperation> GcpProvider::login(UnixTime now) {
    if (token_ && token_->end >= now + crypto::kms::token_renewal_s) return nullptr;
    return std::make_unique<GcpLogin>(settings_, environment_, token_);
}

bool GcpProvider::forget_login() {
    token_.reset();
    return true;
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
    return std::make_unique<GcpUnwrap>(token_, std::move(*endpoint), std::get<GcpMasterKey>(master_key),
                                       wrapped);
}

Result<std::unique_ptr<WrapOperation>> GcpProvider::wrap(const crypto::kms::MasterKeyDescription& master_key,
                                                         const crypto::DataKey& key) {
    auto endpoint = endpoint_of(master_key);
    if (!endpoint) return endpoint.error();
    return std::make_unique<GcpWrap>(token_, std::move(*endpoint), std::get<GcpMasterKey>(master_key), key);
}

bool GcpProvider::may_retry(const Failure& failure) const {
    return crypto::kms::may_help_to_retry(failure);
}

}  // namespace fieldgate::keys
