#include "proxy/keys/kms_vault.hpp"

#include "tests/unit/keys/kms_provider_support.hpp"

namespace fieldgate::keys {
namespace {

using crypto::from_text;
using crypto::test_key;
using crypto::kms::Endpoint;
using crypto::kms::VaultMasterKey;
using std::chrono::seconds;
using testing::base64_of;
using testing::Conversation;
using testing::converse;
using testing::converse_once;
using testing::described;
using ::testing::ElementsAre;
using testing::endpoints_of;
using testing::Failure;
using testing::FakeEnvironment;
using testing::header_of;
using testing::log_in;
using testing::Reply;
using testing::reply_of;
using testing::start;
using Method = config::VaultKms::Login;

const VaultMasterKey master_key{"patients", "", 0};
const crypto::Bytes wrapped = from_text("vault:v1:AA==");

class VaultProviderTest : public ::testing::Test {
 protected:
    VaultProvider& provider() {
        if (!provider_) {
            config::KmsProvider configured;
            configured.name = "vault";
            configured.settings = settings;
            provider_ = std::make_unique<VaultProvider>(configured, machine.environment());
        }
        return *provider_;
    }
    static config::VaultKms default_settings() {
        config::VaultKms settings;
        settings.address = "https://vault.example:8200";
        return settings;
    }
    Conversation unwrap(Reply reply) {
        auto operation = provider().unwrap(master_key, wrapped);
        return converse_once(**operation, std::move(reply));
    }
    // The token that goes out.
    std::string token() {
        auto operation = provider().unwrap(master_key, wrapped);
        auto request = (*operation)->next(start);
        if (!request) return described(request);
        Conversation sent;
        sent.requests.push_back(std::move(**request));
        return header_of(sent, "X-Vault-Token");
    }
    static Reply good_plaintext() {
        return reply_of(200, R"({"data":{"plaintext":")" + base64_of(test_key()) + "\"}}");
    }
    static Reply login_reply(std::string_view token, int lease_s) {
        return reply_of(200, R"({"auth":{"client_token":")" + std::string(token) + R"(","lease_duration":)" +
                                 std::to_string(lease_s) + "}}");
    }

    FakeEnvironment machine;
    config::VaultKms settings = default_settings();

 private:
    std::unique_ptr<VaultProvider> provider_;
};

TEST_F(VaultProviderTest, a_token_is_used_as_it_is) {
    settings.token = "hvs.fixed";
    EXPECT_EQ(provider().login(start), nullptr);
    EXPECT_EQ(provider().login(UnixTime::max()), nullptr);
    EXPECT_FALSE(provider().forget_login());
    EXPECT_EQ(token(), "hvs.fixed");
    // No login could help.
    EXPECT_EQ(unwrap(reply_of(403, R"({"errors":["permission denied"]})")).outcome, "refused http_403");
}

TEST_F(VaultProviderTest, unwraps) {
    settings.token = "hvs.fixed";
    settings.vault_namespace = "clinic";
    auto operation = std::move(*provider().unwrap(master_key, wrapped));
    const Conversation conversation = converse_once(*operation, (good_plaintext()));
    EXPECT_EQ(conversation.outcome, "ok");
    EXPECT_THAT(endpoints_of(conversation), ElementsAre(Endpoint{"vault.example", 8200, true}));
    EXPECT_TRUE(conversation.sent(0).starts_with("POST /v1/transit/decrypt/patients HTTP/1.1\r\n"));
    EXPECT_NE(conversation.sent(0).find("X-Vault-Namespace: clinic\r\n"), std::string::npos);
    EXPECT_EQ(operation->take(), test_key());
}

TEST_F(VaultProviderTest, wraps_and_keeps_the_master_key_as_it_was) {
    settings.token = "hvs.fixed";
    const crypto::DataKey key = test_key();
    const VaultMasterKey versioned{"patients", "secrets/transit", 3};
    auto operation = std::move(*provider().wrap(versioned, key));
    const Conversation conversation =
        converse_once(*operation, (reply_of(200, R"({"data":{"ciphertext":"vault:v3:AA=="}})")));
    EXPECT_EQ(conversation.outcome, "ok");
    EXPECT_TRUE(conversation.sent(0).starts_with("POST /v1/secrets/transit/encrypt/patients HTTP/1.1\r\n"));
    const WrappedDataKey result = operation->take();
    EXPECT_EQ(result.material, from_text("vault:v3:AA=="));
    EXPECT_EQ(std::get<VaultMasterKey>(result.master_key), versioned);
}

TEST_F(VaultProviderTest, hides_what_it_logs_in_with) {
    settings.login = Method::app_role;
    settings.secret_id = "secret-id-4711";
    log_in(provider(), start, login_reply("hvs.token-of-ours", 60));
    Failure failure{Failure::Kind::refused, 400, "hvs.token-of-ours",
                    "got hvs.token-of-ours, secret-id-4711"};
    provider().hide_secrets(failure);
    EXPECT_EQ(failure.code + "|" + failure.text, "...|got ..., ...");

    EXPECT_TRUE(provider().forget_login());
    log_in(provider(), start, login_reply("hvs.another-one", 60));
    failure.text = "once hvs.token-of-ours, now hvs.another-one";
    provider().hide_secrets(failure);
    EXPECT_EQ(failure.text, "once ..., now ...") << "the first is still good at the key manager";
}

TEST_F(VaultProviderTest, what_is_refused_before_anything_is_sent) {
    settings.token = "hvs.fixed";
    const crypto::DataKey key = test_key();
    EXPECT_EQ(described(provider().unwrap(crypto::kms::AwsMasterKey{"eu-west-1", "k", ""}, wrapped)),
              "refused master_key_mismatch");
    EXPECT_EQ(described(provider().wrap(crypto::kms::LocalMasterKey{}, key)), "refused master_key_mismatch");
    const auto unwrap_outcome = [&](const VaultMasterKey& description, const crypto::Bytes& material) {
        auto operation = std::move(*provider().unwrap(description, material));
        const Conversation conversation = converse(*operation, {}, start);
        EXPECT_TRUE(conversation.requests.empty());
        return conversation.outcome;
    };
    EXPECT_EQ(unwrap_outcome({"../sys", "", 0}, wrapped), "refused master_key_not_valid");
    EXPECT_EQ(unwrap_outcome({"k", "a/../b", 0}, wrapped), "refused master_key_not_valid");
    EXPECT_EQ(unwrap_outcome({"k", "", -1}, wrapped), "refused master_key_not_valid");
    EXPECT_EQ(unwrap_outcome(master_key, from_text("not from transit")), "refused wrapped_key_not_valid");
    auto operation = std::move(*provider().wrap(VaultMasterKey{"", "", 0}, key));
    EXPECT_EQ(converse(*operation, {}, start).outcome, "refused master_key_not_valid");
}

TEST_F(VaultProviderTest, an_address_that_is_none) {
    settings.token = "hvs.fixed";
    settings.address = "http://vault.example:8200";
    EXPECT_EQ(described(provider().unwrap(master_key, wrapped)), "refused address_not_valid");
    EXPECT_EQ(described(provider().wrap(master_key, test_key())), "refused address_not_valid");
}

TEST_F(VaultProviderTest, a_login_to_an_address_that_is_none) {
    settings.login = Method::app_role;
    settings.address = "vault.example";
    EXPECT_EQ(log_in(provider(), start).outcome, "refused address_not_valid");
}

TEST_F(VaultProviderTest, a_token_file_is_read_again_when_the_token_is_not_taken) {
    settings.token_file = "/token";
    Conversation login = log_in(provider(), start);
    EXPECT_EQ(login.text, "cannot read /token");
    machine.files["/token"] = " \n";
    EXPECT_EQ(log_in(provider(), start).text, "the file of the token is empty: /token");
    machine.files["/token"] = "hvs.one\n";
    EXPECT_EQ(provider().login(start), nullptr);
    EXPECT_EQ(token(), "hvs.one");
    machine.files["/token"] = "hvs.two";
    EXPECT_EQ(provider().login(start + seconds(100000)), nullptr);
    EXPECT_EQ(token(), "hvs.one");
    EXPECT_EQ(unwrap(reply_of(403, R"({"errors":["permission denied"]})")).outcome, "credentials http_403");
    EXPECT_TRUE(provider().forget_login());
    EXPECT_EQ(provider().login(start), nullptr);
    EXPECT_EQ(token(), "hvs.two");
}

TEST_F(VaultProviderTest, no_token_at_all) {
    EXPECT_EQ(log_in(provider(), start).text, "neither token nor token_file is set");
    EXPECT_EQ(token(), "credentials credentials_missing");
}

TEST_F(VaultProviderTest, app_role) {
    settings.login = Method::app_role;
    settings.role_id = "id";
    settings.secret_id = "secret";
    settings.vault_namespace = "clinic";
    EXPECT_EQ(token(), "credentials credentials_missing");
    const Conversation login = log_in(provider(), start, login_reply("hvs.one", 1200));
    EXPECT_EQ(login.outcome, "ok");
    EXPECT_TRUE(login.sent(0).starts_with("POST /v1/auth/approle/login HTTP/1.1\r\n"));
    EXPECT_NE(login.sent(0).find("X-Vault-Namespace: clinic\r\n"), std::string::npos);
    EXPECT_TRUE(login.sent(0).ends_with(R"({"role_id": "id", "secret_id": "secret"})"));
    EXPECT_EQ(token(), "hvs.one");
    // Twenty minutes, renewed one before the end.
    EXPECT_EQ(provider().login(start + seconds(1139)), nullptr);
    EXPECT_EQ(log_in(provider(), start + seconds(1140), login_reply("hvs.two", 1200)).outcome, "ok");
    EXPECT_EQ(token(), "hvs.two");
}

TEST_F(VaultProviderTest, app_role_elsewhere) {
    settings.login = Method::app_role;
    settings.auth_mount = "team/approle";
    EXPECT_TRUE(log_in(provider(), start, reply_of(500, ""))
                    .sent(0)
                    .starts_with("POST /v1/auth/team/approle/login HTTP/1.1\r\n"));
}

TEST_F(VaultProviderTest, leases_that_are_short_or_without_end) {
    settings.login = Method::app_role;
    EXPECT_EQ(log_in(provider(), start, login_reply("hvs.one", 30)).outcome, "ok");
    EXPECT_EQ(provider().login(start + seconds(14)), nullptr);
    EXPECT_TRUE(provider().is_logged_in(start + seconds(29)));
    EXPECT_FALSE(provider().is_logged_in(start + seconds(30)));
    EXPECT_EQ(log_in(provider(), start + seconds(15), login_reply("hvs.two", 1)).outcome, "ok");
    EXPECT_EQ(provider().login(start + seconds(15)), nullptr);
    EXPECT_EQ(log_in(provider(), start + seconds(16), login_reply("hvs.three", 0)).outcome, "ok");
    EXPECT_EQ(provider().login(UnixTime::max()), nullptr);
    EXPECT_TRUE(provider().is_logged_in(UnixTime::max()));
    // Without end, and yet revoked.
    EXPECT_TRUE(provider().forget_login());
    EXPECT_FALSE(provider().is_logged_in(start));
    EXPECT_EQ(log_in(provider(), start, login_reply("hvs.four", 0)).outcome, "ok");
    EXPECT_EQ(token(), "hvs.four");
}

TEST_F(VaultProviderTest, app_role_that_is_refused) {
    settings.login = Method::app_role;
    const auto login = provider().login(start);
    const Conversation refused =
        converse_once(*login, (reply_of(400, R"({"errors":["invalid role or secret ID"]})")));
    EXPECT_EQ(refused.outcome, "credentials http_400");
    EXPECT_EQ(refused.text, "http_400: invalid role or secret ID");
    login->restart();
    EXPECT_EQ(converse_once(*login, (reply_of(200, R"({"auth":null})"))).outcome,
              "malformed reply_not_valid");
    login->restart();
    EXPECT_EQ(converse_once(*login, (login_reply("hvs.one", 60))).outcome, "ok");
}

TEST_F(VaultProviderTest, kubernetes) {
    settings.login = Method::kubernetes;
    settings.kubernetes_role = "fieldgate";
    EXPECT_EQ(log_in(provider(), start).text,
              "cannot read /var/run/secrets/kubernetes.io/serviceaccount/token");
    machine.files["/var/run/secrets/kubernetes.io/serviceaccount/token"] = "ey.J\n";
    const Conversation login = log_in(provider(), start, login_reply("hvs.one", 3600));
    EXPECT_EQ(login.outcome, "ok");
    EXPECT_TRUE(login.sent(0).starts_with("POST /v1/auth/kubernetes/login HTTP/1.1\r\n"));
    EXPECT_TRUE(login.sent(0).ends_with(R"({"role": "fieldgate", "jwt": "ey.J"})"));
    EXPECT_EQ(token(), "hvs.one");
    // The next login takes the file as it is then.
    machine.files["/var/run/secrets/kubernetes.io/serviceaccount/token"] = "ey.K";
    EXPECT_TRUE(provider().forget_login());
    EXPECT_TRUE(
        log_in(provider(), start, login_reply("hvs.two", 3600)).sent(0).ends_with(R"("jwt": "ey.K"})"));
}

TEST_F(VaultProviderTest, kubernetes_elsewhere) {
    settings.login = Method::kubernetes;
    settings.kubernetes_token_file = "/projected";
    settings.auth_mount = "k8s-eu";
    machine.files["/projected"] = "";
    EXPECT_EQ(log_in(provider(), start).text, "the file of the Kubernetes token is empty: /projected");
    machine.files["/projected"] = "ey.J";
    EXPECT_TRUE(log_in(provider(), start, reply_of(500, ""))
                    .sent(0)
                    .starts_with("POST /v1/auth/k8s-eu/login HTTP/1.1\r\n"));
}

TEST_F(VaultProviderTest, what_may_be_tried_again) {
    settings.token = "t";
    const auto may_retry = [&](int status) {
        return provider().may_retry(crypto::kms::vault_read_decrypted(reply_of(status, ""), true).error());
    };
    for (const int status : {408, 412, 429, 472, 473, 500, 502, 503, 504})
        EXPECT_TRUE(may_retry(status)) << status;
    for (const int status : {301, 400, 403, 404, 405}) EXPECT_FALSE(may_retry(status)) << status;
}

}  // namespace
}  // namespace fieldgate::keys
