#include "proxy/keys/kms_azure.hpp"

#include <gtest/gtest.h>

#include "tests/unit/keys/kms_conversation.hpp"
#include "tests/unit/keys/support.hpp"

namespace fieldgate::keys {
namespace {

using namespace testing;
using crypto::kms::AzureMasterKey;
using crypto::kms::Endpoint;
using Source = config::AzureKms::Source;

constexpr UnixTime start{std::chrono::seconds(1'700'000'000)};
const std::string version = "0123456789abcdef0123456789abcdef";
const AzureMasterKey master_key{"clinic.vault.azure.net", "master", ""};

UnixTime after(int seconds) {
    return start + std::chrono::seconds(seconds);
}

Reply token_reply(std::string_view token = "T0ken", int life_s = 3600) {
    return reply_of(200, R"({"token_type":"Bearer","expires_in":)" + std::to_string(life_s) +
                             R"(,"access_token":")" + std::string(token) + "\"}");
}
// 96 times 7, in base64url.
Reply key_reply() {
    std::string digits;
    for (int i = 0; i < 32; ++i) digits += "BwcH";
    return reply_of(200, R"({"kid":"x","value":")" + digits + "\"}");
}
Reply wrapped_reply() {
    return reply_of(
        200, R"({"kid":"https://clinic.vault.azure.net/keys/master/)" + version + R"(","value":"-__-"})");
}

config::KmsProvider configured(config::AzureKms settings, std::vector<std::string> hosts = {}) {
    config::KmsProvider provider;
    provider.name = "azure:clinic";
    provider.settings = std::move(settings);
    provider.hosts = std::move(hosts);
    return provider;
}

config::AzureKms with_secret() {
    config::AzureKms settings;
    settings.tenant_id = "tenant-1";
    settings.client_id = "client-1";
    settings.client_secret = "secret-1";
    return settings;
}

class Azure : public ::testing::Test {
 protected:
    AzureProvider make(config::AzureKms settings, std::vector<std::string> hosts = {}) {
        return AzureProvider(configured(std::move(settings), std::move(hosts)), outside.environment());
    }
    std::unique_ptr<UnwrapOperation> unwrapping(AzureProvider& provider,
                                                const AzureMasterKey& key = master_key) {
        return provider.unwrap(key, std::vector<std::uint8_t>(256)).value();
    }
    // The first login of a provider.
    Conversation first_login(const config::AzureKms& settings, std::vector<Reply> replies) {
        AzureProvider provider = make(settings);
        const auto operation = unwrapping(provider);
        const auto login = provider.login(start);
        return converse(*login, std::move(replies), start);
    }
    static std::vector<Reply> one(Reply reply) {
        std::vector<Reply> replies;
        replies.push_back(std::move(reply));
        return replies;
    }
    static std::vector<Reply> two(Reply first, Reply second) {
        auto replies = one(std::move(first));
        replies.push_back(std::move(second));
        return replies;
    }

    FakeEnvironment outside;
};

TEST_F(Azure, logs_in_and_unwraps) {
    AzureProvider provider = make(with_secret());
    const auto operation = unwrapping(provider);
    const auto login = provider.login(start);
    ASSERT_NE(login, nullptr);
    const auto logged_in = converse(*login, one(token_reply()), start);
    ASSERT_EQ(logged_in.outcome, "ok") << logged_in.text;
    EXPECT_EQ(logged_in.requests[0].endpoint, (Endpoint{"login.microsoftonline.com", 443, true}));
    EXPECT_TRUE(logged_in.sent(0).starts_with("POST /tenant-1/oauth2/v2.0/token HTTP/1.1\r\n"));
    EXPECT_NE(
        logged_in.sent(0).find("scope=https%3A%2F%2Fvault.azure.net%2F.default&client_secret=secret-1&"),
        std::string::npos);
    EXPECT_EQ(provider.login(start), nullptr);

    const auto held = converse(*operation, one(key_reply()), start);
    ASSERT_EQ(held.outcome, "ok") << held.text;
    EXPECT_EQ(held.requests[0].endpoint, (Endpoint{"clinic.vault.azure.net", 443, true}));
    EXPECT_TRUE(held.sent(0).starts_with("POST /keys/master//unwrapkey?api-version=7.1 HTTP/1.1\r\n"));
    EXPECT_NE(held.sent(0).find("\r\nAuthorization: Bearer T0ken\r\n"), std::string::npos);
    EXPECT_TRUE(operation->take() == secret_of(7));
}

TEST_F(Azure, wraps_and_remembers_which_version_did) {
    AzureProvider provider = make(with_secret());
    const auto key = secret_of(7);
    auto operation = provider.wrap(master_key, key).value();
    const auto held = converse(*operation, two(token_reply(), wrapped_reply()), start);
    ASSERT_EQ(held.outcome, "ok") << held.text;
    EXPECT_TRUE(held.sent(1).starts_with("POST /keys/master//wrapkey?api-version=7.1 HTTP/1.1\r\n"));
    const WrappedDataKey wrapped = operation->take();
    EXPECT_EQ(wrapped.material, (std::vector<std::uint8_t>{0xfb, 0xff, 0xfe}));
    EXPECT_EQ(std::get<AzureMasterKey>(wrapped.master_key),
              (AzureMasterKey{"clinic.vault.azure.net", "master", version}));

    const std::string asked_version(32, 'f');
    operation = provider.wrap(AzureMasterKey{"clinic.vault.azure.net", "master", asked_version}, key).value();
    EXPECT_EQ(converse(*operation, one(wrapped_reply()), start).outcome, "ok");
    EXPECT_EQ(std::get<AzureMasterKey>(operation->take().master_key).key_version, asked_version);
}

TEST_F(Azure, renews_a_token_60_seconds_before_its_end) {
    AzureProvider provider = make(with_secret());
    EXPECT_EQ(provider.login(start), nullptr);  // nobody asked for anything yet
    const auto operation = unwrapping(provider);
    EXPECT_EQ(converse(*provider.login(start), one(token_reply("first", 900)), start).outcome, "ok");
    EXPECT_EQ(provider.login(after(839)), nullptr);
    const auto login = provider.login(after(840));
    ASSERT_NE(login, nullptr);
    EXPECT_EQ(converse(*login, one(token_reply("second", 900)), after(840)).outcome, "ok");
    const auto held = converse(*operation, one(key_reply()), after(1700));
    EXPECT_NE(held.sent(0).find("Bearer second\r\n"), std::string::npos);
}

TEST_F(Azure, does_not_use_a_token_that_has_ended) {
    AzureProvider provider = make(with_secret());
    EXPECT_FALSE(provider.is_logged_in(start));
    auto operation = unwrapping(provider);
    EXPECT_EQ(converse(*provider.login(start), one(token_reply("first", 900)), start).outcome, "ok");
    EXPECT_TRUE(provider.is_logged_in(after(899)));
    EXPECT_FALSE(provider.is_logged_in(after(900)));
    EXPECT_NE(converse(*operation, one(key_reply()), after(899)).sent(0).find("Bearer first\r\n"),
              std::string::npos);
    operation = unwrapping(provider);
    const auto held = converse(*operation, two(token_reply("second"), key_reply()), after(900));
    EXPECT_EQ(held.outcome, "ok");
    EXPECT_NE(held.sent(1).find("Bearer second\r\n"), std::string::npos);
}

TEST_F(Azure, logs_in_afresh_when_the_token_was_not_taken) {
    AzureProvider provider = make(with_secret());
    const auto operation = unwrapping(provider);
    EXPECT_EQ(converse(*provider.login(start), one(token_reply("first")), start).outcome, "ok");
    EXPECT_EQ(converse(*operation, one(reply_of(401, R"({"error":{"code":"Unauthorized"}})")), start).outcome,
              "credentials Unauthorized");
    EXPECT_TRUE(provider.is_logged_in(start));
    EXPECT_TRUE(provider.forget_login());
    EXPECT_FALSE(provider.is_logged_in(start));
    EXPECT_EQ(converse(*provider.login(start), one(token_reply("second")), start).outcome, "ok");
    operation->restart();
    const auto held = converse(*operation, one(key_reply()), start);
    EXPECT_EQ(held.outcome, "ok");
    EXPECT_NE(held.sent(0).find("Bearer second\r\n"), std::string::npos);
}

TEST_F(Azure, gives_the_failures_of_a_login) {
    const auto outcome = [&](int status, std::string_view body) {
        return first_login(with_secret(), one(reply_of(status, body))).outcome;
    };
    EXPECT_EQ(outcome(401, R"({"error":"invalid_client","error_description":"AADSTS7000215: no"})"),
              "credentials invalid_client");
    EXPECT_EQ(outcome(400, R"({"error":"unauthorized_client"})"), "credentials unauthorized_client");
    EXPECT_EQ(outcome(429, R"({"error":"temporarily_unavailable"})"), "throttled temporarily_unavailable");
    EXPECT_EQ(outcome(503, ""), "unavailable http_503");
    EXPECT_EQ(outcome(200, R"({"access_token":7,"expires_in":1})"), "malformed reply_not_valid");
    EXPECT_EQ(outcome(200, R"({"access_)"), "malformed not_json");
}

// Key documents are written by others: a vault of another cloud must not keep ours from working.
TEST_F(Azure, keeps_the_logins_of_different_kinds_of_vaults_apart) {
    AzureProvider provider = make(with_secret());
    const auto hostile = unwrapping(provider, {"evil.vault.azure.cn", "x", ""});
    const auto ours = unwrapping(provider);
    // The first one is left to login(). It cannot be had, and the next login does not ask for it again.
    const auto refused =
        converse(*provider.login(start), one(reply_of(400, R"({"error":"invalid_resource"})")), start);
    EXPECT_EQ(refused.outcome, "credentials invalid_resource");
    EXPECT_NE(refused.sent(0).find("vault.azure.cn"), std::string::npos);
    EXPECT_EQ(provider.login(start), nullptr);
    const auto held = converse(*ours, two(token_reply(), key_reply()), start);
    EXPECT_EQ(held.outcome, "ok");
    EXPECT_NE(held.sent(0).find("vault.azure.net"), std::string::npos);

    // From now on login() renews ours only; the other's failure is its own, and forgets no token.
    const auto again = unwrapping(provider, {"evil.vault.azure.cn", "x", ""});
    EXPECT_EQ(provider.login(start), nullptr);
    const auto failed = converse(*again, one(reply_of(400, R"({"error":"invalid_resource"})")), start);
    EXPECT_EQ(failed.outcome, "refused invalid_resource");
    EXPECT_TRUE(failed.text.starts_with("login: "));
    EXPECT_EQ(provider.login(start), nullptr);
}

TEST_F(Azure, renews_tokens_for_every_kind_of_vault_that_gave_one) {
    AzureProvider provider = make(with_secret());
    auto vault = unwrapping(provider);
    auto hsm = unwrapping(provider, {"clinic.managedhsm.azure.net", "x", ""});
    EXPECT_EQ(converse(*provider.login(start), one(token_reply("for-vault")), start).outcome, "ok");
    EXPECT_EQ(converse(*hsm, two(token_reply("for-hsm"), key_reply()), start).outcome, "ok");
    EXPECT_NE(converse(*vault, one(key_reply()), start).sent(0).find("Bearer for-vault\r\n"),
              std::string::npos);
    const auto renewed =
        converse(*provider.login(after(3550)), two(token_reply("a"), token_reply("b")), after(3550));
    EXPECT_EQ(renewed.outcome, "ok");
    EXPECT_EQ(provider.login(after(3550)), nullptr);
}

TEST_F(Azure, keeps_wanting_a_first_token_after_an_outage) {
    AzureProvider provider = make(with_secret());
    const auto operation = unwrapping(provider);
    const auto login = provider.login(start);
    EXPECT_EQ(converse(*login, one(reply_of(503, "")), start).outcome, "unavailable http_503");
    login->restart();
    EXPECT_EQ(converse(*login, one(token_reply()), start).outcome, "ok");
    EXPECT_EQ(converse(*operation, one(key_reply()), start).outcome, "ok");
}

TEST_F(Azure, does_not_ask_for_ever_for_tokens_that_have_ended) {
    AzureProvider provider = make(with_secret());
    const auto operation = unwrapping(provider);
    EXPECT_EQ(converse(*provider.login(start), one(token_reply("short", 1)), start).outcome, "ok");
    EXPECT_EQ(operation->next(after(1)).has_value(), true);
    EXPECT_FALSE(operation->reply(token_reply("short", 1), after(1)));
    const auto next = operation->next(after(2));
    EXPECT_EQ(described(next), "malformed token_ended");
}

TEST_F(Azure, logs_in_with_a_federated_token) {
    config::AzureKms settings;
    settings.source = Source::workload_identity;
    outside.variables = {{"AZURE_TENANT_ID", "tenant-2"},
                         {"AZURE_CLIENT_ID", "client-2"},
                         {"AZURE_FEDERATED_TOKEN_FILE", "/var/run/token"},
                         {"AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us/"}};
    outside.files = {{"/var/run/token", "a.b.c\n"}, {"/other", "d.e.f"}};
    auto held = first_login(settings, one(token_reply()));
    ASSERT_EQ(held.outcome, "ok") << held.text;
    EXPECT_EQ(held.requests[0].endpoint, (Endpoint{"login.microsoftonline.us", 443, true}));
    EXPECT_TRUE(held.sent(0).starts_with("POST /tenant-2/oauth2/v2.0/token HTTP/1.1\r\n"));
    EXPECT_NE(held.sent(0).find("client_id=client-2&"), std::string::npos);
    EXPECT_NE(held.sent(0).find("&client_assertion=a.b.c&"), std::string::npos);

    // What is configured goes first.
    settings.tenant_id = "tenant-3";
    settings.client_id = "client-3";
    settings.federated_token_file = "/other";
    settings.identity_platform_endpoint = "login.clinic.example:8443";
    held = first_login(settings, one(token_reply()));
    EXPECT_EQ(held.requests[0].endpoint, (Endpoint{"login.clinic.example", 8443, true}));
    EXPECT_TRUE(held.sent(0).starts_with("POST /tenant-3/oauth2/v2.0/token HTTP/1.1\r\n"));
    EXPECT_NE(held.sent(0).find("client_id=client-3&"), std::string::npos);
    EXPECT_NE(held.sent(0).find("&client_assertion=d.e.f&"), std::string::npos);
}

// Kubernetes renews the file.
TEST_F(Azure, reads_the_federated_token_at_each_login) {
    config::AzureKms settings = with_secret();
    settings.source = Source::workload_identity;
    settings.federated_token_file = "/token";
    outside.files = {{"/token", "first"}};
    AzureProvider provider = make(settings);
    const auto operation = unwrapping(provider);
    EXPECT_NE(converse(*provider.login(start), one(token_reply()), start).sent(0).find("=first&"),
              std::string::npos);
    outside.files = {{"/token", "second"}};
    EXPECT_NE(
        converse(*provider.login(after(3600)), one(token_reply()), after(3600)).sent(0).find("=second&"),
        std::string::npos);
}

TEST_F(Azure, logs_in_as_the_machine) {
    config::AzureKms settings;
    settings.source = Source::managed_identity;
    auto held = first_login(
        settings, one(reply_of(200, R"({"access_token":"abc","expires_in":"86399","token_type":"Bearer"})")));
    ASSERT_EQ(held.outcome, "ok") << held.text;
    EXPECT_EQ(held.requests[0].endpoint, (Endpoint{"169.254.169.254", 80, false}));
    EXPECT_TRUE(held.sent(0).starts_with(
        "GET "
        "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net%2F "
        "HTTP/1.1\r\n"));
    EXPECT_NE(held.sent(0).find("\r\nMetadata: true\r\n"), std::string::npos);

    settings.client_id = "client-4";
    settings.metadata_endpoint = "http://localhost:8080";
    held = first_login(settings, one(reply_of(400, R"({"error":"invalid_request"})")));
    EXPECT_EQ(held.outcome, "credentials invalid_request");
    EXPECT_EQ(held.requests[0].endpoint, (Endpoint{"localhost", 8080, false}));
    EXPECT_NE(held.sent(0).find("&client_id=client-4 HTTP/1.1\r\n"), std::string::npos);
    EXPECT_EQ(first_login(settings, one(reply_of(404, ""))).outcome, "unavailable http_404");
}

TEST_F(Azure, says_which_setting_is_missing) {
    const auto outcome = [&](const config::AzureKms& settings) { return first_login(settings, {}).outcome; };
    config::AzureKms settings = with_secret();
    settings.tenant_id.clear();
    EXPECT_EQ(outcome(settings), "credentials tenant_id_missing");
    settings = with_secret();
    settings.client_id.clear();
    EXPECT_EQ(outcome(settings), "credentials client_id_missing");
    settings = with_secret();
    settings.client_secret.clear();
    EXPECT_EQ(outcome(settings), "credentials client_secret_missing");
    settings = with_secret();
    settings.identity_platform_endpoint = "https://login.example.com";
    EXPECT_EQ(outcome(settings), "credentials identity_platform_not_valid");
    settings = with_secret();
    settings.source = Source::workload_identity;
    EXPECT_EQ(outcome(settings), "credentials token_file_missing");
    settings.federated_token_file = "/nowhere";
    EXPECT_EQ(outcome(settings), "credentials file_unreadable");
    outside.files = {{"/nowhere", "a b\r\nc"}};
    EXPECT_EQ(outcome(settings), "credentials token_file_not_valid");
    settings.source = Source::managed_identity;
    settings.metadata_endpoint = "https://metadata";
    EXPECT_EQ(outcome(settings), "credentials metadata_endpoint_not_valid");
}

TEST_F(Azure, sends_tokens_to_vaults_and_listed_hosts_only) {
    AzureProvider provider = make(with_secret(), {"vault.clinic.example:8443"});
    const auto outcome = [&](std::string endpoint) {
        return described(provider.unwrap(AzureMasterKey{std::move(endpoint), "master", ""},
                                         std::vector<std::uint8_t>(256)));
    };
    EXPECT_EQ(outcome("clinic.vault.azure.net"), "ok");
    EXPECT_EQ(outcome("clinic.vault.azure.net:443"), "ok");
    EXPECT_EQ(outcome("CLINIC.vault.azure.cn"), "ok");
    EXPECT_EQ(outcome("clinic.vault.usgovcloudapi.net"), "ok");
    EXPECT_EQ(outcome("clinic.vault.microsoftazure.de"), "ok");
    EXPECT_EQ(outcome("clinic.managedhsm.azure.net"), "ok");
    EXPECT_EQ(outcome("vault.clinic.example:8443"), "ok");
    for (const char* const endpoint :
         {"", "vault.clinic.example", "clinic.vault.azure.net:8443", "vault.azure.net", "a.b.vault.azure.net",
          "clinic.vault.azure.net.evil.example", "evilvault.azure.net", "evil.example",
          "clinic.vault.azure.net@evil.example", "evil.example/.vault.azure.net",
          "evil.example#.vault.azure.net", "clinic.vault.azure.net\r\nX: y"}) {
        EXPECT_EQ(outcome(endpoint), "refused endpoint_not_allowed") << endpoint;
        EXPECT_EQ(described(provider.wrap(AzureMasterKey{endpoint, "master", ""}, secret_of(7))),
                  "refused endpoint_not_allowed")
            << endpoint;
    }
}

TEST_F(Azure, refuses_master_keys_that_are_none) {
    AzureProvider provider = make(with_secret());
    const std::vector<std::uint8_t> wrapped(256);
    EXPECT_EQ(described(provider.unwrap(crypto::kms::GcpMasterKey{}, wrapped)),
              "refused master_key_mismatch");
    EXPECT_EQ(described(provider.wrap(crypto::kms::GcpMasterKey{}, secret_of(7))),
              "refused master_key_mismatch");
    const AzureMasterKey traversal{"clinic.vault.azure.net", "../secrets", ""};
    EXPECT_EQ(described(provider.unwrap(traversal, wrapped)), "refused key_name_not_valid");
    EXPECT_EQ(described(provider.wrap(traversal, secret_of(7))), "refused key_name_not_valid");
    EXPECT_EQ(described(provider.unwrap(AzureMasterKey{"clinic.vault.azure.net", "m", "..%2f"}, wrapped)),
              "refused key_version_not_valid");
    EXPECT_EQ(described(provider.unwrap(master_key, {})), "malformed wrapped_key_length");
    EXPECT_EQ(described(provider.unwrap(master_key, std::vector<std::uint8_t>(4097))),
              "malformed wrapped_key_length");
}

TEST_F(Azure, says_what_may_be_tried_again) {
    const AzureProvider provider = make(with_secret());
    const auto may_retry = [&](Failure::Kind kind, int status) {
        return provider.may_retry({kind, status, {}, {}});
    };
    using enum Failure::Kind;
    for (const int status : {0, 404, 408, 410, 500, 502, 503, 504}) {
        EXPECT_TRUE(may_retry(unavailable, status)) << status;
    }
    EXPECT_TRUE(may_retry(throttled, 429));
    EXPECT_FALSE(may_retry(unavailable, 501));
    EXPECT_FALSE(may_retry(unavailable, 505));
    EXPECT_FALSE(may_retry(refused, 403));
    EXPECT_FALSE(may_retry(credentials, 401));
    EXPECT_FALSE(may_retry(malformed, 200));
}

TEST_F(Azure, hides_what_it_logs_in_with) {
    config::AzureKms settings = with_secret();
    settings.client_secret = "secret~1+2=3";
    AzureProvider provider = make(settings);
    const auto operation = unwrapping(provider);
    const auto login = provider.login(start);
    ASSERT_NE(login, nullptr);
    (void)login->next(start);
    (void)login->reply(token_reply("T0ken-of-ours"), start);
    Failure failure{Failure::Kind::refused, 400, "x",
                    "got secret~1+2=3, client_secret=secret~1%2B2%3D3 and T0ken-of-ours"};
    provider.hide_secrets(failure);
    EXPECT_EQ(failure.text, "got ..., client_secret=... and ...");

    provider.forget_login();
    failure.text = "got T0ken-of-ours";
    provider.hide_secrets(failure);
    EXPECT_EQ(failure.text, "got ...");
    const auto again = provider.login(start);
    ASSERT_NE(again, nullptr);
    (void)again->next(start);
    (void)again->reply(token_reply("The-other-One"), start);
    failure.text = "once T0ken-of-ours, now The-other-One";
    provider.hide_secrets(failure);
    EXPECT_EQ(failure.text, "once ..., now ...");
}

}  // namespace
}  // namespace fieldgate::keys
