#include "proxy/keys/kms_aws.hpp"

#include <algorithm>
#include <utility>

#include "crypto/kms/http.hpp"
#include "crypto/kms/json.hpp"
#include "proxy/keys/kms_operations.hpp"

namespace fieldgate::keys {

using crypto::SecretBuffer;
using crypto::kms::AwsCredentials;
using crypto::kms::AwsMasterKey;
using crypto::kms::AwsSession;
using crypto::kms::Endpoint;
using crypto::kms::Failure;
using crypto::kms::Reply;
using crypto::kms::Request;
using crypto::kms::Result;

namespace {

constexpr const char* default_region = "us-east-1";
constexpr const char* default_session_name = "fieldgate";

Failure missing(std::string text) {
    return {Failure::Kind::credentials, 0, "credentials_missing", std::move(text)};
}

Failure not_of_aws() {
    return {Failure::Kind::refused, 0, "master_key_mismatch", "the master key is not one of AWS"};
}

}  // namespace

// One request whose reply holds the credentials.
class AwsProvider::SessionLogin final : public KmsOperation {
 public:
    using Build = Result<Request> (AwsProvider::*)() const;
    using Read = Result<AwsSession> (*)(const Reply&);
    SessionLogin(AwsProvider& provider, Build build, Read read)
        : provider_(provider), build_(build), read_(read) {}

    Result<std::optional<Request>> next(UnixTime) override {
        if (is_done_) return std::optional<Request>();
        auto request = (provider_.*build_)();
        if (!request) return request.error();
        return std::optional<Request>(std::move(*request));
    }
    std::optional<Failure> reply(const Reply& reply, UnixTime now) override {
        auto failure = provider_.take(read_(reply), now);
        is_done_ = !failure;
        return failure;
    }
    void restart() override { is_done_ = false; }

 private:
    AwsProvider& provider_;
    Build build_;
    Read read_;
    bool is_done_ = false;
};

// A token, the role's name, the role's credentials.
class AwsProvider::InstanceLogin final : public KmsOperation {
 public:
    explicit InstanceLogin(AwsProvider& provider) : provider_(provider) {}

    Result<std::optional<Request>> next(UnixTime) override {
        if (is_done_) return std::optional<Request>();
        const auto endpoint = provider_.metadata_endpoint();
        if (!endpoint) return endpoint.error();
        auto request = !token_ ? crypto::kms::aws_metadata_token_request(*endpoint)
                       : role_.empty()
                           ? crypto::kms::aws_metadata_role_request(*endpoint, *token_)
                           : crypto::kms::aws_metadata_credentials_request(*endpoint, *token_, role_);
        if (!request) return request.error();
        return std::optional<Request>(std::move(*request));
    }
    std::optional<Failure> reply(const Reply& reply, UnixTime now) override {
        if (!token_) {
            auto token = crypto::kms::aws_read_metadata_token(reply);
            if (!token) return token.error();
            token_ = std::move(*token);
            return std::nullopt;
        }
        if (role_.empty()) {
            auto role = crypto::kms::aws_read_metadata_role(reply);
            if (!role) return role.error();
            role_ = std::move(*role);
            return std::nullopt;
        }
        auto failure = provider_.take(crypto::kms::aws_read_metadata_credentials(reply), now);
        is_done_ = !failure;
        return failure;
    }
    void restart() override {
        token_.reset();
        role_.clear();
        is_done_ = false;
    }

 private:
    AwsProvider& provider_;
    std::optional<SecretBuffer> token_;
    std::string role_;
    bool is_done_ = false;
};

AwsProvider::AwsProvider(const config::KmsProvider& configured, KmsEnvironment environment)
    : name_(configured.name),
      settings_(std::get<config::AwsKms>(configured.settings)),
      hosts_(configured.hosts),
      environment_(std::move(environment)),
      decrypt_(configured.master_keys ? crypto::kms::AwsDecrypt::names_key
                                      : crypto::kms::AwsDecrypt::whichever_key) {
    if (settings_.access_key_id.empty()) return;
    credentials_ = AwsCredentials{settings_.access_key_id,
                                  SecretBuffer(crypto::kms::bytes_of(settings_.secret_access_key)),
                                  SecretBuffer(crypto::kms::bytes_of(settings_.session_token))};
}

std::string AwsProvider::variable(const char* name) const {
    return environment_.variable(name).value_or("");
}

std::string AwsProvider::setting(const std::string& configured, const char* name) const {
    return configured.empty() ? variable(name) : configured;
}

// The order of AWS's own tools.
AwsProvider::Source AwsProvider::find_source() const {
    if (settings_.source != Source::automatic) return settings_.source;
    if (!variable("AWS_ACCESS_KEY_ID").empty()) return Source::environment;
    const std::string token_file =
        setting(settings_.web_identity_token_file.string(), "AWS_WEB_IDENTITY_TOKEN_FILE");
    if (!token_file.empty()) return Source::web_identity;
    if (!variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").empty() ||
        !variable("AWS_CONTAINER_CREDENTIALS_FULL_URI").empty())
        return Source::container;
    return Source::instance;
}

std::unique_ptr<KmsOperation> AwsProvider::login(UnixTime now) {
    if (credentials_ && (!due_ || now < *due_)) return nullptr;
    switch (find_source()) {
        case Source::automatic:
        case Source::environment: {
            auto failure = read_environment();
            return failure ? std::make_unique<NoLogin>(std::move(failure)) : nullptr;
        }
        case Source::web_identity:
            return std::make_unique<SessionLogin>(*this, &AwsProvider::web_identity_request,
                                                  &crypto::kms::aws_read_web_identity);
        case Source::container:
            return std::make_unique<SessionLogin>(*this, &AwsProvider::container_request,
                                                  &crypto::kms::aws_read_metadata_credentials);
        case Source::instance:
            return std::make_unique<InstanceLogin>(*this);
    }
    return nullptr;
}

bool AwsProvider::is_logged_in(UnixTime now) const {
    return credentials_ && (!due_ || now < ends_);
}

bool AwsProvider::forget_login() {
    // Without a date they are fixed, and this process's environment does not change either.
    if (!due_) return false;
    due_ = ends_ = UnixTime::min();
    return true;
}

std::optional<Failure> AwsProvider::read_environment() {
    const std::string access_key_id = variable("AWS_ACCESS_KEY_ID");
    const std::string secret_access_key = variable("AWS_SECRET_ACCESS_KEY");
    for (const auto& [value, name] : {std::pair(&access_key_id, "AWS_ACCESS_KEY_ID"),
                                      std::pair(&secret_access_key, "AWS_SECRET_ACCESS_KEY")})
        if (value->empty()) return missing("the environment variable " + std::string(name) + " is not set");
    credentials_ = AwsCredentials{access_key_id, SecretBuffer(crypto::kms::bytes_of(secret_access_key)),
                                  SecretBuffer(crypto::kms::bytes_of(variable("AWS_SESSION_TOKEN")))};
    due_.reset();
    return std::nullopt;
}

Result<Request> AwsProvider::web_identity_request() const {
    const std::string token_file =
        setting(settings_.web_identity_token_file.string(), "AWS_WEB_IDENTITY_TOKEN_FILE");
    if (token_file.empty())
        return missing("neither web_identity_token_file nor AWS_WEB_IDENTITY_TOKEN_FILE is set");
    const std::string role_arn = setting(settings_.role_arn, "AWS_ROLE_ARN");
    if (role_arn.empty()) return missing("neither role_arn nor AWS_ROLE_ARN is set");

    std::string region = setting(settings_.sts_region, "AWS_REGION");
    if (region.empty()) region = default_region;
    if (!crypto::kms::is_aws_region(region)) return missing("sts_region or AWS_REGION is no region");
    const std::string host = settings_.sts_endpoint.empty()
                                 ? "sts." + region + "." + std::string(crypto::kms::aws_domain(region))
                                 : settings_.sts_endpoint;
    const auto endpoint = crypto::kms::parse_endpoint(host, 443);
    if (!endpoint) return missing("sts_endpoint is not of the form host[:port]");

    auto token = environment_.read_file(token_file);
    if (!token) return token.error();
    trim_end(*token);
    if (token->empty()) return missing("the file of the web identity's token is empty: " + token_file);
    std::string session_name = variable("AWS_ROLE_SESSION_NAME");
    if (session_name.empty()) session_name = default_session_name;
    return crypto::kms::aws_web_identity_request(*endpoint, role_arn, session_name, *token);
}

Result<Request> AwsProvider::container_request() const {
    const std::string relative = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const std::string full = variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    if (relative.empty() && full.empty()) {
        return missing(
            "neither AWS_CONTAINER_CREDENTIALS_RELATIVE_URI nor AWS_CONTAINER_CREDENTIALS_FULL_URI is set");
    }
    // The relative one comes first, as in AWS's tools. It must not become part of the address.
    if (!relative.empty() && !relative.starts_with('/'))
        return missing("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI does not begin with /");
    const auto url =
        crypto::kms::parse_aws_container_url(relative.empty() ? full : "http://169.254.170.2" + relative);
    if (!url) return url.error();

    SecretBuffer authorization;
    if (const std::string file = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); !file.empty()) {
        auto token = environment_.read_file(file);
        if (!token) return token.error();
        trim_end(*token);
        authorization = std::move(*token);
    } else {
        crypto::kms::append_text(authorization, variable("AWS_CONTAINER_AUTHORIZATION_TOKEN"));
    }
    return crypto::kms::aws_container_request(*url, authorization);
}

Result<Endpoint> AwsProvider::metadata_endpoint() const {
    if (settings_.source == Source::automatic && variable("AWS_EC2_METADATA_DISABLED") == "true") {
        return missing(
            "no credentials: neither configured nor in the environment, and AWS_EC2_METADATA_DISABLED is "
            "set");
    }
    std::string url = setting(settings_.metadata_endpoint, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
    if (url.empty()) url = "http://169.254.169.254";
    const auto endpoint = crypto::kms::parse_metadata_endpoint(url);
    if (!endpoint) {
        return missing(
            "metadata_endpoint or AWS_EC2_METADATA_SERVICE_ENDPOINT is not of the form http://host[:port]");
    }
    return *endpoint;
}

std::optional<Failure> AwsProvider::take(Result<AwsSession> session, UnixTime now) {
    if (!session) return session.error();
    if (session->ends <= now)
        return missing("the credentials had ended when they came: is the clock of this machine right?");
    credentials_ = std::move(session->credentials);
    due_ = login_due(now, session->ends);
    ends_ = session->ends;
    return std::nullopt;
}

Result<const AwsCredentials*> AwsProvider::credentials() const {
    if (!credentials_) return missing("there are no credentials yet");
    return &*credentials_;
}

Result<std::unique_ptr<UnwrapOperation>> AwsProvider::unwrap(
    const crypto::kms::MasterKeyDescription& master_key, std::span<const std::uint8_t> wrapped) {
    const auto* const description = std::get_if<AwsMasterKey>(&master_key);
    if (description == nullptr) return not_of_aws();
    auto endpoint = crypto::kms::aws_kms_endpoint(*description, name_, hosts_);
    if (!endpoint) return endpoint.error();
    return std::make_unique<SingleUnwrap>(
        [this, endpoint = *endpoint, description = *description,
         wrapped =
             std::vector<std::uint8_t>(wrapped.begin(), wrapped.end())](UnixTime now) -> Result<Request> {
            const auto login = credentials();
            if (!login) return login.error();
            return crypto::kms::aws_decrypt_request(endpoint, description, wrapped, **login, now, decrypt_);
        },
        [description = *description](const Reply& reply) {
            return crypto::kms::aws_read_decrypted(reply, description);
        });
}

Result<std::unique_ptr<WrapOperation>> AwsProvider::wrap(const crypto::kms::MasterKeyDescription& master_key,
                                                         const crypto::DataKey& key) {
    const auto* const description = std::get_if<AwsMasterKey>(&master_key);
    if (description == nullptr) return not_of_aws();
    auto endpoint = crypto::kms::aws_kms_endpoint(*description, name_, hosts_);
    if (!endpoint) return endpoint.error();
    return std::make_unique<SingleWrap>(
        [this, endpoint = *endpoint, description = *description, &key](UnixTime now) -> Result<Request> {
            const auto login = credentials();
            if (!login) return login.error();
            return crypto::kms::aws_encrypt_request(endpoint, description, key, **login, now);
        },
        [description = *description](const Reply& reply) -> Result<WrappedDataKey> {
            auto wrapped = crypto::kms::aws_read_encrypted(reply);
            if (!wrapped) return wrapped.error();
            return WrappedDataKey{std::move(*wrapped), description};
        });
}

// The secret access key is never sent.
void AwsProvider::hide_secrets(Failure& failure) const {
    if (credentials_) crypto::kms::hide_secret(failure, credentials_->session_token);
}

// CSFLE specification: 408, 429, 500, 502, 503, 509, which aws_failure() sorts under these two.
bool AwsProvider::may_retry(const Failure& failure) const {
    return failure.kind == Failure::Kind::throttled || failure.kind == Failure::Kind::unavailable;
}

}  // namespace fieldgate::keys
