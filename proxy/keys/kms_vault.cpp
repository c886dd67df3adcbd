#include "proxy/keys/kms_vault.hpp"

#include <utility>

#include "crypto/kms/json.hpp"
#include "proxy/keys/kms_operations.hpp"

namespace fieldgate::keys {

using crypto::SecretBuffer;
using crypto::kms::Failure;
using crypto::kms::Reply;
using crypto::kms::Request;
using crypto::kms::Result;
using crypto::kms::VaultMasterKey;
using crypto::kms::VaultServer;
using Method = config::VaultKms::Login;

namespace {

constexpr const char* kubernetes_token_file = "/var/run/secrets/kubernetes.io/serviceaccount/token";

Failure missing(std::string text) {
    return {Failure::Kind::credentials, 0, "credentials_missing", std::move(text)};
}

Failure not_of_vault() {
    return {Failure::Kind::refused, 0, "master_key_mismatch", "the master key is not one of Vault"};
}

}  // namespace

class VaultProvider::Login final : public KmsOperation {
 public:
    explicit Login(VaultProvider& provider) : provider_(provider) {}

    Result<std::optional<Request>> next(UnixTime) override {
        if (is_done_) return std::optional<Request>();
        auto request = provider_.login_request();
        if (!request) return request.error();
        return std::optional<Request>(std::move(*request));
    }
    std::optional<Failure> reply(const Reply& reply, UnixTime now) override {
        auto login = crypto::kms::vault_read_login(reply);
        if (!login) return login.error();
        provider_.take(std::move(login->token));
        provider_.due_.reset();
        if (login->lease) {
            provider_.ends_ = now + *login->lease;
            provider_.due_ = login_due(now, provider_.ends_);
        }
        provider_.must_renew_ = false;
        is_done_ = true;
        return std::nullopt;
    }
    void restart() override { is_done_ = false; }

 private:
    VaultProvider& provider_;
    bool is_done_ = false;
};

VaultProvider::VaultProvider(const config::KmsProvider& configured, KmsEnvironment environment)
    : settings_(std::get<config::VaultKms>(configured.settings)), environment_(std::move(environment)) {
    if (auto endpoint = crypto::kms::parse_vault_address(settings_.address))
        server_ = VaultServer{std::move(*endpoint), settings_.vault_namespace};
    if (settings_.login == Method::token && !settings_.token.empty())
        token_ = SecretBuffer(crypto::kms::bytes_of(settings_.token));
}

bool VaultProvider::is_token_fixed() const {
    return settings_.login == Method::token && !settings_.token.empty();
}

std::unique_ptr<KmsOperation> VaultProvider::login(UnixTime now) {
    if (token_ && !must_renew_ && (!due_ || now < *due_)) return nullptr;
    if (settings_.login != Method::token) return std::make_unique<Login>(*this);
    auto failure = read_token_file();
    return failure ? std::make_unique<NoLogin>(std::move(failure)) : nullptr;
}

bool VaultProvider::is_logged_in(UnixTime now) const {
    return token_ && !must_renew_ && (!due_ || now < ends_);
}

bool VaultProvider::forget_login() {
    if (is_token_fixed()) return false;
    must_renew_ = true;
    return true;
}

void VaultProvider::take(SecretBuffer token) {
    if (token_) replaced_token_ = std::move(*token_);
    token_ = std::move(token);
}

std::optional<Failure> VaultProvider::read_token_file() {
    if (settings_.token_file.empty()) return missing("neither token nor token_file is set");
    auto token = environment_.read_file(settings_.token_file);
    if (!token) return token.error();
    trim_end(*token);
    if (token->empty()) return missing("the file of the token is empty: " + settings_.token_file.string());
    take(std::move(*token));
    must_renew_ = false;
    return std::nullopt;
}

Result<VaultServer> VaultProvider::server() const {
    if (!server_) {
        return Failure{Failure::Kind::refused, 0, "address_not_valid",
                       "address is not of the form https://host[:port]"};
    }
    return *server_;
}

Result<Request> VaultProvider::login_request() const {
    const auto to = server();
    if (!to) return to.error();
    const auto mount = [&](const char* usual) {
        return settings_.auth_mount.empty() ? std::string(usual) : settings_.auth_mount;
    };
    if (settings_.login == Method::app_role) {
        return crypto::kms::vault_app_role_request(*to, mount("approle"), settings_.role_id,
                                                   SecretBuffer(crypto::kms::bytes_of(settings_.secret_id)));
    }
    const std::filesystem::path file =
        settings_.kubernetes_token_file.empty() ? kubernetes_token_file : settings_.kubernetes_token_file;
    auto jwt = environment_.read_file(file);
    if (!jwt) return jwt.error();
    trim_end(*jwt);
    if (jwt->empty()) return missing("the file of the Kubernetes token is empty: " + file.string());
    return crypto::kms::vault_kubernetes_request(*to, mount("kubernetes"), settings_.kubernetes_role, *jwt);
}

Result<const SecretBuffer*> VaultProvider::token() const {
    if (!token_) return missing("there is no token yet");
    return &*token_;
}

Result<std::unique_ptr<UnwrapOperation>> VaultProvider::unwrap(
    const crypto::kms::MasterKeyDescription& master_key, std::span<const std::uint8_t> wrapped) {
    const auto* const description = std::get_if<VaultMasterKey>(&master_key);
    if (description == nullptr) return not_of_vault();
    auto to = server();
    if (!to) return to.error();
    return std::make_unique<SingleUnwrap>(
        [this, to = *to, description = *description,
         wrapped = std::vector<std::uint8_t>(wrapped.begin(), wrapped.end())](UnixTime) -> Result<Request> {
            const auto login = token();
            if (!login) return login.error();
            return crypto::kms::vault_decrypt_request(to, description, wrapped, **login);
        },
        [can_help = !is_token_fixed()](const Reply& reply) {
            return crypto::kms::vault_read_decrypted(reply, can_help);
        });
}

Result<std::unique_ptr<WrapOperation>> VaultProvider::wrap(
    const crypto::kms::MasterKeyDescription& master_key, const crypto::DataKey& key) {
    const auto* const description = std::get_if<VaultMasterKey>(&master_key);
    if (description == nullptr) return not_of_vault();
    auto to = server();
    if (!to) return to.error();
    return std::make_unique<SingleWrap>(
        [this, to = *to, description = *description, &key](UnixTime) -> Result<Request> {
            const auto login = token();
            if (!login) return login.error();
            return crypto::kms::vault_encrypt_request(to, description, key, **login);
        },
        [can_help = !is_token_fixed(),
         description = *description](const Reply& reply) -> Result<WrappedDataKey> {
            auto wrapped = crypto::kms::vault_read_encrypted(reply, can_help);
            if (!wrapped) return wrapped.error();
            return WrappedDataKey{std::move(*wrapped), description};
        });
}

void VaultProvider::hide_secrets(Failure& failure) const {
    if (token_) crypto::kms::hide_secret(failure, *token_);
    crypto::kms::hide_secret(failure, replaced_token_);
    crypto::kms::hide_secret(failure, settings_.secret_id);
}

// 429, and the statuses of servers that cannot answer now (vault.cpp).
bool VaultProvider::may_retry(const Failure& failure) const {
    return failure.kind == Failure::Kind::throttled || failure.kind == Failure::Kind::unavailable;
}

}  // namespace fieldgate::keys
