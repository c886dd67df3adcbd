#include "proxy/keys/kms_gcp.hpp"

#include <gtest/gtest.h>

#include "tests/unit/crypto/rsa_key.hpp"
#include "tests/unit/keys/kms_conversation.hpp"
#include "tests/unit/keys/support.hpp"

namespace fieldgate::keys {
namespace {

using namespace testing;
using crypto::RsaKey;
using crypto::kms::Endpoint;
using crypto::kms::GcpMasterKey;
using Source = config::GcpKms::Source;

constexpr UnixTime start{std::chrono::seconds(1'700'000'000)};
const GcpMasterKey master_key{"p", "global", "r", "k", "", ""};

UnixTime after(int seconds) {
    return start + std::chrono::seconds(seconds);
}

const RsaKey& rsa() {
    static const RsaKey made;
    return made;
}

Reply token_reply(std::string_view token = "T0ken", int life_s = 3600) {
    return reply_of(200, R"({"token_type":"Bearer","expires_in":)" + std::to_string(life_s) +
                             R"(,"access_token":")" + std::string(token) + "\"}");
}
// 96 times 7.
Reply key_reply() {
    std::string digits;
    for (int i = 0; i < 32; ++i) digits += "BwcH";
    return reply_of(200, R"({"plaintext":")" + digits + "\"}");
}
std::vector<Reply> one(Reply reply) {
    std::vector<Reply> replies;
    replies.push_back(std::move(reply));
    return replies;
}
std::vector<Reply> two(Reply first, Reply second) {
    auto replies = one(std::move(first));
    replies.push_back(std::move(second));
    return replies;
}

config::GcpKms account() {
    config::GcpKms settings;
    settings.email = "fieldgate@clinic.iam.gserviceaccount.com";
    settings.private_key = rsa().der();
    return settings;
}

config::GcpKms of_file(std::string file) {
    config::GcpKms settings;
    settings.source = Source::credentials_file;
    settings.credentials_file = std::move(file);
    return settings;
}

std::string account_file() {
    return R"({"type":"service_account","client_email":"file@clinic","private_key":)" +
           crypto::kms::json_quoted(rsa().pem()) +
           R"(,"token_uri":"https://oauth.clinic.example:8443/token"})";
}

std::string federation_file(bool impersonates) {
    return std::string(R"({"type":"external_account","audience":"//iam.googleapis.com/x",)"
                       R"("subject_token_type":"urn:ietf:params:oauth:token-type:jwt",)"
                       R"("token_url":"https://sts.googleapis.com/v1/token",)"
                       R"("credential_source":{"file":"/token"})") +
           (impersonates
                ? R"(,"service_account_impersonation_url":)"
                  R"("https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a:generateAccessToken")"
                : "") +
           "}";
}

class Gcp : public ::testing::Test {
 protected:
    GcpProvider make(config::GcpKms settings, std::vector<std::string> hosts = {}) {
        config::KmsProvider configured;
        configured.name = "gcp:clinic";
        configured.settings = std::move(settings);
        configured.hosts = std::move(hosts);
        return GcpProvider(configured, outside.environment());
    }
    Conversation first_login(const config::GcpKms& settings, std::vector<Reply> replies) {
        GcpProvider provider = make(settings);
        const auto login = provider.login(start);
        return converse(*login, std::move(replies), start);
    }

    FakeEnvironment outside;
};

TEST_F(Gcp, logs_in_with_a_configured_account_and_unwraps) {
    GcpProvider provider = make(account());
    const auto operation = provider.unwrap(master_key, std::vector<std::uint8_t>{0xfb, 0xff}).value();
    const auto login = provider.login(start);
    ASSERT_NE(login, nullptr);
    const auto logged_in = converse(*login, one(token_reply()), start);
    ASSERT_EQ(logged_in.outcome, "ok") << logged_in.text;
    EXPECT_EQ(logged_in.requests[0].endpoint, (Endpoint{"oauth2.googleapis.com", 443, true}));
    EXPECT_TRUE(logged_in.sent(0).starts_with("POST /token HTTP/1.1\r\n"));
    const std::string sent = logged_in.sent(0);
    const auto parts = crypto::verified_jwt(sent.substr(sent.find("&assertion=") + 11), rsa());
    EXPECT_EQ(
        parts.claims,
        R"({"iss":"fieldgate@clinic.iam.gserviceaccount.com","aud":"https://oauth2.googleapis.com/token",)"
        R"("scope":"https://www.googleapis.com/auth/cloudkms","iat":1700000000,"exp":1700000300})");
    EXPECT_EQ(provider.login(start), nullptr);

    const auto held = converse(*operation, one(key_reply()), start);
    ASSERT_EQ(held.outcome, "ok") << held.text;
    EXPECT_EQ(held.requests[0].endpoint, (Endpoint{"cloudkms.googleapis.com", 443, true}));
    EXPECT_TRUE(held.sent(0).starts_with(
        "POST /v1/projects/p/locations/global/keyRings/r/cryptoKeys/k:decrypt HTTP/1.1\r\n"));
    EXPECT_NE(held.sent(0).find("\r\nAuthorization: Bearer T0ken\r\n"), std::string::npos);
    EXPECT_TRUE(held.sent(0).ends_with(R"({"ciphertext":"+/8="})"));
    EXPECT_TRUE(operation->take() == secret_of(7));
}

TEST_F(Gcp, wraps) {
    GcpProvider provider = make(account());
    EXPECT_EQ(converse(*provider.login(start), one(token_reply()), start).outcome, "ok");
    const auto key = secret_of(7);
    const GcpMasterKey asked{"p", "global", "r", "k", "2", "eu-kms.googleapis.com"};
    auto operation = provider.wrap(asked, key).value();
    const auto held = converse(*operation, one(reply_of(200, R"({"ciphertext":"+/8="})")), start);
    ASSERT_EQ(held.outcome, "ok") << held.text;
    EXPECT_EQ(held.requests[0].endpoint.host, "eu-kms.googleapis.com");
    EXPECT_TRUE(held.sent(0).starts_with(
        "POST /v1/projects/p/locations/global/keyRings/r/cryptoKeys/k/cryptoKeyVersions/2:encrypt "
        "HTTP/1.1\r\n"));
    const WrappedDataKey wrapped = operation->take();
    EXPECT_EQ(wrapped.material, (std::vector<std::uint8_t>{0xfb, 0xff}));
    EXPECT_EQ(std::get<GcpMasterKey>(wrapped.master_key), asked);
}

TEST_F(Gcp, renews_a_token_60_seconds_before_its_end) {
    GcpProvider provider = make(account());
    EXPECT_EQ(converse(*provider.login(start), one(token_reply("first", 900)), start).outcome, "ok");
    EXPECT_EQ(provider.login(after(839)), nullptr);
    const auto login = provider.login(after(840));
    ASSERT_NE(login, nullptr);
    EXPECT_EQ(converse(*login, one(token_reply("second", 900)), after(840)).outcome, "ok");
    const auto operation = provider.unwrap(master_key, std::vector<std::uint8_t>(9)).value();
    const auto held = converse(*operation, one(key_reply()), after(1739));
    EXPECT_NE(held.sent(0).find("Bearer second\r\n"), std::string::npos);
    const auto late = provider.unwrap(master_key, std::vector<std::uint8_t>(9)).value();
    EXPECT_EQ(converse(*late, {}, after(1740)).outcome, "credentials token_ended");
}

TEST_F(Gcp, renews_a_short_token_half_way) {
    GcpProvider provider = make(account());
    EXPECT_EQ(converse(*provider.login(start), one(token_reply("short", 60)), start).outcome, "ok");
    EXPECT_EQ(provider.login(after(29)), nullptr);
    EXPECT_NE(provider.login(after(30)), nullptr);
    EXPECT_TRUE(provider.is_logged_in(after(59)));
    EXPECT_FALSE(provider.is_logged_in(after(60)));
}

TEST_F(Gcp, logs_in_afresh_when_the_token_was_not_taken) {
    GcpProvider provider = make(account());
    const auto operation = provider.unwrap(master_key, std::vector<std::uint8_t>(9)).value();
    EXPECT_EQ(converse(*operation, {}, start).outcome, "credentials token_ended");
    EXPECT_EQ(converse(*provider.login(start), one(token_reply("first")), start).outcome, "ok");
    const auto refused = converse(
        *operation, one(reply_of(401, R"({"error":{"code":401,"message":"m","status":"UNAUTHENTICATED"}})")),
        start);
    EXPECT_EQ(refused.outcome, "credentials UNAUTHENTICATED");
    EXPECT_TRUE(provider.is_logged_in(start));
    EXPECT_TRUE(provider.forget_login());
    EXPECT_FALSE(provider.is_logged_in(start));
    EXPECT_EQ(converse(*provider.login(start), one(token_reply("second")), start).outcome, "ok");
    operation->restart();
    const auto held = converse(*operation, one(key_reply()), start);
    EXPECT_EQ(held.outcome, "ok");
    EXPECT_NE(held.sent(0).find("Bearer second\r\n"), std::string::npos);
}

TEST_F(Gcp, hides_its_token_and_the_one_before) {
    GcpProvider provider = make(account());
    EXPECT_EQ(converse(*provider.login(start), one(token_reply("T0ken-of-ours")), start).outcome, "ok");
    EXPECT_TRUE(provider.forget_login());
    crypto::kms::Failure failure{crypto::kms::Failure::Kind::refused, 400, "x", "got T0ken-of-ours"};
    provider.hide_secrets(failure);
    EXPECT_EQ(failure.text, "got ...");
    EXPECT_EQ(converse(*provider.login(start), one(token_reply("The-other-One")), start).outcome, "ok");
    failure.text = "once T0ken-of-ours, now The-other-One";
    provider.hide_secrets(failure);
    EXPECT_EQ(failure.text, "once ..., now ...");
}

TEST_F(Gcp, logs_in_at_a_configured_endpoint) {
    config::GcpKms settings = account();
    settings.endpoint = "oauth.clinic.example:8443";
    const auto held = first_login(settings, one(token_reply()));
    ASSERT_EQ(held.outcome, "ok") << held.text;
    EXPECT_EQ(held.requests[0].endpoint, (Endpoint{"oauth.clinic.example", 8443, true}));
    const std::string sent = held.sent(0);
    EXPECT_NE(crypto::verified_jwt(sent.substr(sent.find("&assertion=") + 11), rsa())
                  .claims.find(R"("aud":"https://oauth.clinic.example:8443/token")"),
              std::string::npos);
}

TEST_F(Gcp, logs_in_with_a_credentials_file) {
    outside.files = {{"/key.json", account_file()}};
    auto held = first_login(of_file("/key.json"), one(token_reply()));
    ASSERT_EQ(held.outcome, "ok") << held.text;
    EXPECT_EQ(held.requests[0].endpoint, (Endpoint{"oauth.clinic.example", 8443, true}));
    const std::string sent = held.sent(0);
    const auto parts = crypto::verified_jwt(sent.substr(sent.find("&assertion=") + 11), rsa());
    EXPECT_TRUE(
        parts.claims.starts_with(R"({"iss":"file@clinic","aud":"https://oauth.clinic.example:8443/token")"));

    // The variable names it, when the configuration does not.
    outside.variables = {{"GOOGLE_APPLICATION_CREDENTIALS", "/key.json"}};
    EXPECT_EQ(first_login(of_file(""), one(token_reply())).outcome, "ok");

    config::GcpKms elsewhere = of_file("/key.json");
    elsewhere.endpoint = "oauth2.googleapis.com";
    held = first_login(elsewhere, one(token_reply()));
    EXPECT_EQ(held.requests[0].endpoint.host, "oauth2.googleapis.com");
}

TEST_F(Gcp, exchanges_a_federated_token) {
    outside.files = {{"/wif.json", federation_file(false)}, {"/token", "a.b.c"}};
    const auto held = first_login(of_file("/wif.json"), one(token_reply()));
    ASSERT_EQ(held.outcome, "ok") << held.text;
    EXPECT_EQ(held.requests[0].endpoint.host, "sts.googleapis.com");
    EXPECT_TRUE(held.sent(0).ends_with("&subject_token=a.b.c"));
}

TEST_F(Gcp, exchanges_a_federated_token_and_goes_on_as_a_service_account) {
    outside.files = {{"/wif.json", federation_file(true)}, {"/token", "a.b.c"}};
    GcpProvider provider = make(of_file("/wif.json"));
    const auto login = provider.login(start);
    const auto failed = converse(*login, two(token_reply("federated"), reply_of(503, "")), start);
    EXPECT_EQ(failed.outcome, "unavailable http_503");
    EXPECT_EQ(converse(*provider.unwrap(master_key, std::vector<std::uint8_t>(9)).value(), {}, start).outcome,
              "credentials token_ended");  // the first of the two is no token for keys

    login->restart();
    outside.files["/token"] = "d.e.f";  // renewed meanwhile
    const auto held =
        converse(*login,
                 two(token_reply("federated"),
                     reply_of(200, R"({"accessToken":"own","expireTime":"2023-11-14T23:13:20Z"})")),
                 start);
    ASSERT_EQ(held.outcome, "ok") << held.text;
    EXPECT_TRUE(held.sent(0).ends_with("&subject_token=d.e.f"));
    EXPECT_EQ(held.requests[1].endpoint.host, "iamcredentials.googleapis.com");
    EXPECT_NE(held.sent(1).find("\r\nAuthorization: Bearer federated\r\n"), std::string::npos);
    EXPECT_EQ(provider.login(after(3539)), nullptr);
    EXPECT_NE(provider.login(after(3540)), nullptr);
    const auto operation = provider.unwrap(master_key, std::vector<std::uint8_t>(9)).value();
    EXPECT_NE(converse(*operation, one(key_reply()), start).sent(0).find("Bearer own\r\n"),
              std::string::npos);
}

TEST_F(Gcp, asks_the_metadata_server) {
    config::GcpKms settings;
    settings.source = Source::metadata;
    auto held = first_login(settings, one(token_reply()));
    ASSERT_EQ(held.outcome, "ok") << held.text;
    EXPECT_EQ(held.requests[0].endpoint, (Endpoint{"metadata.google.internal", 80, false}));
    EXPECT_TRUE(held.sent(0).starts_with(
        "GET /computeMetadata/v1/instance/service-accounts/default/token HTTP/1.1\r\n"));
    outside.variables = {{"GCE_METADATA_HOST", "localhost:8081"}};
    held = first_login(settings, one(reply_of(404, "<!DOCTYPE html>")));
    EXPECT_EQ(held.outcome, "unavailable http_404");
    EXPECT_EQ(held.requests[0].endpoint, (Endpoint{"localhost", 8081, false}));
    settings.metadata_endpoint = "http://localhost:8082";
    held = first_login(settings, one(reply_of(403, "")));
    EXPECT_EQ(held.outcome, "credentials http_403");
    EXPECT_EQ(held.requests[0].endpoint, (Endpoint{"localhost", 8082, false}));
}

TEST_F(Gcp, gives_the_failures_of_a_login) {
    const auto outcome = [&](int status, std::string_view body) {
        return first_login(account(), one(reply_of(status, body))).outcome;
    };
    EXPECT_EQ(outcome(400, R"({"error":"invalid_grant","error_description":"Invalid JWT Signature."})"),
              "credentials invalid_grant");
    EXPECT_EQ(outcome(401, R"({"error":"invalid_client"})"), "credentials invalid_client");
    EXPECT_EQ(outcome(429, R"({"error":"rate_limit_exceeded"})"), "throttled rate_limit_exceeded");
    EXPECT_EQ(outcome(503, ""), "unavailable http_503");
    EXPECT_EQ(outcome(200, R"({"access_token":"a","expires_in":0})"), "malformed reply_not_valid");
    EXPECT_EQ(outcome(200, R"({"access_)"), "malformed not_json");
}

TEST_F(Gcp, says_which_setting_is_missing_or_wrong) {
    const auto outcome = [&](const config::GcpKms& settings) { return first_login(settings, {}).outcome; };
    config::GcpKms settings = account();
    settings.email.clear();
    EXPECT_EQ(outcome(settings), "credentials email_missing");
    settings = account();
    settings.private_key.clear();
    EXPECT_EQ(outcome(settings), "credentials private_key_missing");
    settings.private_key = "AAAA";
    EXPECT_EQ(outcome(settings), "credentials private_key_not_valid");
    settings = account();
    settings.endpoint = "https://oauth";
    EXPECT_EQ(outcome(settings), "credentials endpoint_not_valid");
    EXPECT_EQ(outcome(of_file("")), "credentials credentials_file_missing");
    EXPECT_EQ(outcome(of_file("/nowhere")), "credentials file_unreadable");
    outside.files = {
        {"/wif.json", federation_file(false)}, {"/bad.json", "{}"}, {"/key.json", account_file()}};
    EXPECT_EQ(outcome(of_file("/bad.json")), "credentials credentials_file_not_valid");
    EXPECT_EQ(outcome(of_file("/wif.json")), "credentials file_unreadable");  // /token
    outside.files["/token"] = "a b";
    EXPECT_EQ(outcome(of_file("/wif.json")), "credentials token_file_not_valid");
    settings = of_file("/wif.json");
    settings.endpoint = "oauth2.googleapis.com";
    EXPECT_EQ(outcome(settings), "credentials endpoint_not_used");
    settings = of_file("/key.json");
    settings.endpoint = "https://oauth";
    EXPECT_EQ(outcome(settings), "credentials endpoint_not_valid");
    settings = {};
    settings.source = Source::metadata;
    settings.metadata_endpoint = "metadata.google.internal";
    EXPECT_EQ(outcome(settings), "credentials metadata_endpoint_not_valid");
}

TEST_F(Gcp, sends_tokens_to_google_and_listed_hosts_only) {
    GcpProvider provider = make(account(), {"kms.clinic.example:8443"});
    const auto outcome = [&](std::string endpoint) {
        GcpMasterKey key = master_key;
        key.endpoint = std::move(endpoint);
        return described(provider.unwrap(key, std::vector<std::uint8_t>(9)));
    };
    EXPECT_EQ(outcome(""), "ok");
    EXPECT_EQ(outcome("cloudkms.googleapis.com:443"), "ok");
    EXPECT_EQ(outcome("cloudkms-clinic.p.googleapis.com"), "ok");
    EXPECT_EQ(outcome("cloudkms.europe-west3.rep.googleapis.com"), "ok");
    EXPECT_EQ(outcome("kms.clinic.example:8443"), "ok");
    for (const char* const endpoint :
         {"kms.clinic.example", "cloudkms.googleapis.com:8443", "googleapis.com", "a.b.googleapis.com",
          "bucket.storage.googleapis.com", "cloudkms.googleapis.com.evil.example", "evilgoogleapis.com",
          "cloudkms.googleapis.com@evil.example", "evil.example/.googleapis.com",
          "evil.example#.googleapis.com", "cloudkms.googleapis.com\r\nX: y"}) {
        EXPECT_EQ(outcome(endpoint), "refused endpoint_not_allowed") << endpoint;
        GcpMasterKey key = master_key;
        key.endpoint = endpoint;
        EXPECT_EQ(described(provider.wrap(key, secret_of(7))), "refused endpoint_not_allowed") << endpoint;
    }
}

TEST_F(Gcp, refuses_master_keys_that_are_none) {
    GcpProvider provider = make(account());
    const std::vector<std::uint8_t> wrapped(9);
    EXPECT_EQ(described(provider.unwrap(crypto::kms::KmipMasterKey{}, wrapped)),
              "refused master_key_mismatch");
    EXPECT_EQ(described(provider.wrap(crypto::kms::KmipMasterKey{}, secret_of(7))),
              "refused master_key_mismatch");
    const GcpMasterKey traversal{"p", "global", "r", "../k", "", ""};
    EXPECT_EQ(described(provider.unwrap(traversal, wrapped)), "refused key_name_not_valid");
    EXPECT_EQ(described(provider.wrap(traversal, secret_of(7))), "refused key_name_not_valid");
    EXPECT_EQ(described(provider.unwrap(master_key, {})), "malformed wrapped_key_length");
    EXPECT_EQ(described(provider.unwrap(master_key, std::vector<std::uint8_t>(4097))),
              "malformed wrapped_key_length");
}

TEST_F(Gcp, says_what_may_be_tried_again) {
    const GcpProvider provider = make(account());
    using enum Failure::Kind;
    EXPECT_TRUE(provider.may_retry({unavailable, 0, "timeout", {}}));
    EXPECT_TRUE(provider.may_retry({unavailable, 599, {}, {}}));
    EXPECT_TRUE(provider.may_retry({throttled, 429, {}, {}}));
    EXPECT_FALSE(provider.may_retry({refused, 403, {}, {}}));
    EXPECT_FALSE(provider.may_retry({credentials, 401, {}, {}}));
    EXPECT_FALSE(provider.may_retry({malformed, 200, {}, {}}));
}

}  // namespace
}  // namespace fieldgate::keys
