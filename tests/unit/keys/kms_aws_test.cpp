#include "proxy/keys/kms_aws.hpp"

#include "tests/unit/keys/kms_provider_support.hpp"

namespace fieldgate::keys {
namespace {

using crypto::test_key;
using crypto::kms::AwsMasterKey;
using crypto::kms::Endpoint;
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

const AwsMasterKey master_key{"eu-west-1", "arn:aws:kms:eu-west-1:111122223333:key/1", ""};
const crypto::Bytes wrapped = crypto::from_hex("0102020078");

class AwsProviderTest : public ::testing::Test {
 protected:
    AwsProvider& provider() {
        if (!provider_) {
            configured.name = "aws:eu";
            configured.settings = settings;
            provider_ = std::make_unique<AwsProvider>(configured, machine.environment());
        }
        return *provider_;
    }
    Conversation unwrap(Reply reply) {
        auto operation = provider().unwrap(master_key, wrapped);
        return converse_once(**operation, std::move(reply));
    }
    // Which access key signs, and its session token.
    std::string signer() {
        auto operation = provider().unwrap(master_key, wrapped);
        auto request = (*operation)->next(start);
        if (!request) return described(request);
        Conversation sent;
        sent.requests.push_back(std::move(**request));
        const std::string authorization = header_of(sent, "Authorization");
        const std::size_t at = authorization.find("Credential=") + 11;
        const std::string token = header_of(sent, "X-Amz-Security-Token");
        return authorization.substr(at, authorization.find('/', at) - at) +
               (token.empty() ? "" : "+" + token);
    }
    void use_fixed_credentials() {
        settings.access_key_id = "AKID";
        settings.secret_access_key = "secret";
    }
    static Reply good_plaintext() {
        return reply_of(200, "{\"Plaintext\": \"" + base64_of(test_key()) + "\"}");
    }

    FakeEnvironment machine;
    config::AwsKms settings;
    config::KmsProvider configured;

 private:
    std::unique_ptr<AwsProvider> provider_;
};

// Ends 3600 s after `start`.
Reply metadata_credentials(std::string_view id, std::string_view ends = "2015-08-30T13:36:00Z") {
    return reply_of(200, R"({"Code":"Success","AccessKeyId":")" + std::string(id) +
                             R"(","SecretAccessKey":"s","Token":"t","Expiration":")" + std::string(ends) +
                             "\"}");
}

Reply web_identity_credentials(std::string_view id) {
    return reply_of(
        200,
        "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>" +
            std::string(id) +
            "</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"
            "<Expiration>2015-08-30T13:36:00Z</Expiration></Credentials>"
            "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>");
}

TEST_F(AwsProviderTest, fixed_credentials_need_no_login) {
    use_fixed_credentials();
    machine.variables["AWS_ACCESS_KEY_ID"] = "OTHER";
    EXPECT_EQ(provider().login(start), nullptr);
    EXPECT_EQ(provider().login(UnixTime::max()), nullptr);
    EXPECT_FALSE(provider().forget_login());
    EXPECT_TRUE(provider().is_logged_in(UnixTime::max()));
    EXPECT_EQ(signer(), "AKID");
}

TEST_F(AwsProviderTest, fixed_credentials_of_a_session) {
    use_fixed_credentials();
    settings.session_token = "tok";
    EXPECT_EQ(signer(), "AKID+tok");
}

TEST_F(AwsProviderTest, hides_the_token_of_a_session) {
    use_fixed_credentials();
    settings.session_token = "session-token-4711";
    crypto::kms::Failure failure{crypto::kms::Failure::Kind::refused, 400, "x", "got session-token-4711."};
    provider().hide_secrets(failure);
    EXPECT_EQ(failure.text, "got ....");
}

TEST_F(AwsProviderTest, unwraps) {
    use_fixed_credentials();
    auto operation = std::move(*provider().unwrap(master_key, wrapped));
    const Conversation conversation = converse_once(*operation, (good_plaintext()));
    EXPECT_EQ(conversation.outcome, "ok");
    EXPECT_THAT(endpoints_of(conversation), ElementsAre(Endpoint{"kms.eu-west-1.amazonaws.com", 443, true}));
    EXPECT_NE(conversation.sent(0).find("X-Amz-Date: 20150830T123600Z\r\nX-Amz-Target: TrentService.Decrypt"),
              std::string::npos);
    EXPECT_EQ(operation->take(), test_key());
}

TEST_F(AwsProviderTest, wraps_and_keeps_the_master_key_as_it_was) {
    use_fixed_credentials();
    const crypto::DataKey key = test_key();
    const AwsMasterKey with_endpoint{"eu-west-1", "k", "kms-fips.eu-west-1.amazonaws.com:443"};
    auto operation = std::move(*provider().wrap(with_endpoint, key));
    const Conversation conversation =
        converse_once(*operation, (reply_of(200, R"({"CiphertextBlob":"AQICAHg="})")));
    EXPECT_EQ(conversation.outcome, "ok");
    EXPECT_THAT(endpoints_of(conversation),
                ElementsAre(Endpoint{"kms-fips.eu-west-1.amazonaws.com", 443, true}));
    const WrappedDataKey result = operation->take();
    EXPECT_EQ(result.material, wrapped);
    EXPECT_EQ(std::get<AwsMasterKey>(result.master_key), with_endpoint);
}

TEST_F(AwsProviderTest, an_operation_starts_over) {
    use_fixed_credentials();
    auto operation = std::move(*provider().unwrap(master_key, wrapped));
    EXPECT_EQ(converse_once(*operation, (reply_of(503, ""))).outcome, "unavailable http_503");
    operation->restart();
    EXPECT_EQ(converse_once(*operation, (good_plaintext())).outcome, "ok");
    operation->restart();
    EXPECT_EQ(converse_once(*operation, good_plaintext()).outcome, "ok");
}

TEST_F(AwsProviderTest, other_master_keys_and_other_hosts_are_refused) {
    use_fixed_credentials();
    configured.hosts = {"localhost:4566"};
    const crypto::DataKey key = test_key();
    const auto both = [&](const crypto::kms::MasterKeyDescription& description) {
        const auto unwrap = provider().unwrap(description, wrapped);
        const auto wrap = provider().wrap(description, key);
        EXPECT_EQ(described(unwrap), described(wrap));
        return described(unwrap);
    };
    EXPECT_EQ(both(crypto::kms::LocalMasterKey{}), "refused master_key_mismatch");
    EXPECT_EQ(both(crypto::kms::VaultMasterKey{"k", "", 0}), "refused master_key_mismatch");
    EXPECT_EQ(both(AwsMasterKey{"eu-west-1", "k", "evil.example"}), "refused endpoint_not_allowed");
    EXPECT_EQ(both(AwsMasterKey{"evil.example/", "k", ""}), "refused region_not_valid");
    EXPECT_EQ(both(AwsMasterKey{"eu-west-1", "k", "localhost:4566"}), "ok");
    EXPECT_NE(provider()
                  .unwrap(AwsMasterKey{"a", "k", "b.c"}, wrapped)
                  .error()
                  .text.find("kms_providers.aws:eu.hosts"),
              std::string::npos);
}

TEST_F(AwsProviderTest, what_may_be_tried_again) {
    use_fixed_credentials();
    const auto may_retry = [&](int status) {
        const auto failed = crypto::kms::aws_failure(status, "", "");
        return provider().may_retry(failed);
    };
    for (const int status : {408, 429, 500, 502, 503, 509}) EXPECT_TRUE(may_retry(status)) << status;
    for (const int status : {301, 400, 401, 403, 404, 413}) EXPECT_FALSE(may_retry(status)) << status;
    EXPECT_TRUE(provider().may_retry({Failure::Kind::unavailable, 0, "timeout", ""}));
    EXPECT_FALSE(provider().may_retry({Failure::Kind::malformed, 200, "not_json", ""}));
    EXPECT_FALSE(provider().may_retry({Failure::Kind::credentials, 400, "ExpiredTokenException", ""}));
}

TEST_F(AwsProviderTest, without_credentials_nothing_is_sent) {
    EXPECT_EQ(unwrap(good_plaintext()).outcome, "credentials credentials_missing");
    EXPECT_TRUE(unwrap(good_plaintext()).requests.empty());
    EXPECT_FALSE(provider().forget_login());
}

TEST_F(AwsProviderTest, the_environment) {
    settings.source = config::AwsKms::Source::environment;
    Conversation login = log_in(provider(), start);
    EXPECT_EQ(login.outcome, "credentials credentials_missing");
    EXPECT_EQ(login.text, "the environment variable AWS_ACCESS_KEY_ID is not set");
    machine.variables["AWS_ACCESS_KEY_ID"] = "AKENV";
    EXPECT_EQ(log_in(provider(), start).text, "the environment variable AWS_SECRET_ACCESS_KEY is not set");
    machine.variables["AWS_SECRET_ACCESS_KEY"] = "s";
    EXPECT_EQ(provider().login(start), nullptr);
    EXPECT_EQ(signer(), "AKENV");
    EXPECT_FALSE(provider().forget_login());
}

TEST_F(AwsProviderTest, the_environment_of_a_session) {
    machine.variables = {
        {"AWS_ACCESS_KEY_ID", "AKENV"}, {"AWS_SECRET_ACCESS_KEY", "s"}, {"AWS_SESSION_TOKEN", "tok"}};
    EXPECT_EQ(provider().login(start), nullptr);
    EXPECT_EQ(signer(), "AKENV+tok");
}

TEST_F(AwsProviderTest, a_web_identity) {
    machine.variables = {{"AWS_WEB_IDENTITY_TOKEN_FILE", "/token"},
                         {"AWS_ROLE_ARN", "arn:aws:iam::1:role/r"},
                         {"AWS_REGION", "cn-north-1"},
                         {"AWS_ROLE_SESSION_NAME", "pod 1"}};
    machine.files["/token"] = "ey.J\n";
    const Conversation login = log_in(provider(), start, web_identity_credentials("ASIA1"));
    EXPECT_EQ(login.outcome, "ok");
    EXPECT_THAT(endpoints_of(login), ElementsAre(Endpoint{"sts.cn-north-1.amazonaws.com.cn", 443, true}));
    EXPECT_TRUE(
        login.sent(0).ends_with("\r\n\r\nAction=AssumeRoleWithWebIdentity&Version=2011-06-15&"
                                "RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr"
                                "&RoleSessionName=pod%201&WebIdentityToken=ey.J"));
    EXPECT_EQ(signer(), "ASIA1+t");
    // Good for an hour: renewed 60 seconds before, with the token as it is then.
    EXPECT_EQ(provider().login(start + seconds(3539)), nullptr);
    machine.files["/token"] = "ey.K";
    const Conversation again = log_in(provider(), start + seconds(3540), web_identity_credentials("ASIA2"));
    EXPECT_TRUE(again.sent(0).ends_with("WebIdentityToken=ey.K"));
    EXPECT_EQ(signer(), "ASIA2+t");
}

TEST_F(AwsProviderTest, a_web_identity_as_configured) {
    settings.source = config::AwsKms::Source::web_identity;
    settings.role_arn = "role";
    settings.web_identity_token_file = "/configured";
    settings.sts_endpoint = "localhost:4566";
    machine.variables = {{"AWS_WEB_IDENTITY_TOKEN_FILE", "/token"},
                         {"AWS_ROLE_ARN", "other"},
                         {"AWS_ACCESS_KEY_ID", "AKENV"},
                         {"AWS_SECRET_ACCESS_KEY", "s"}};
    machine.files["/configured"] = "ey.J";
    const Conversation login = log_in(provider(), start, web_identity_credentials("ASIA1"));
    EXPECT_THAT(endpoints_of(login), ElementsAre(Endpoint{"localhost", 4566, true}));
    EXPECT_TRUE(login.sent(0).ends_with("RoleArn=role&RoleSessionName=fieldgate&WebIdentityToken=ey.J"));
}

TEST_F(AwsProviderTest, a_web_identity_that_lacks_something) {
    settings.source = config::AwsKms::Source::web_identity;
    const auto why = [&] {
        const Conversation login = log_in(provider(), start);
        EXPECT_TRUE(login.requests.empty());
        EXPECT_TRUE(login.outcome.starts_with("credentials ")) << login.outcome;
        return login.text;
    };
    EXPECT_EQ(why(), "neither web_identity_token_file nor AWS_WEB_IDENTITY_TOKEN_FILE is set");
    machine.variables["AWS_WEB_IDENTITY_TOKEN_FILE"] = "/token";
    EXPECT_EQ(why(), "neither role_arn nor AWS_ROLE_ARN is set");
    machine.variables["AWS_ROLE_ARN"] = "r";
    EXPECT_EQ(why(), "cannot read /token");
    machine.files["/token"] = "\n";
    EXPECT_EQ(why(), "the file of the web identity's token is empty: /token");
    machine.variables["AWS_REGION"] = "evil.example/";
    EXPECT_EQ(why(), "sts_region or AWS_REGION is no region");
}

TEST_F(AwsProviderTest, a_web_identity_that_is_refused) {
    settings.source = config::AwsKms::Source::web_identity;
    machine.variables = {{"AWS_WEB_IDENTITY_TOKEN_FILE", "/token"}, {"AWS_ROLE_ARN", "r"}};
    machine.files["/token"] = "ey.J";
    const auto login = provider().login(start);
    EXPECT_EQ(converse_once(*login, reply_of(403,
                                             "<ErrorResponse><Error><Code>AccessDenied</Code>"
                                             "<Message>Not authorized</Message></Error></ErrorResponse>"))
                  .outcome,
              "refused AccessDenied");
    EXPECT_EQ(signer(), "credentials credentials_missing");
    login->restart();
    EXPECT_EQ(converse_once(*login, (web_identity_credentials("ASIA1"))).outcome, "ok");
    EXPECT_EQ(signer(), "ASIA1+t");
}

TEST_F(AwsProviderTest, a_container) {
    machine.variables = {{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/x"},
                         {"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/other"}};
    const Conversation login = log_in(provider(), start, metadata_credentials("ASIA1"));
    EXPECT_EQ(login.outcome, "ok");
    EXPECT_THAT(endpoints_of(login), ElementsAre(Endpoint{"169.254.170.2", 80, false}));
    EXPECT_TRUE(login.sent(0).starts_with("GET /v2/credentials/x HTTP/1.1\r\nHost: 169.254.170.2\r\n"));
    EXPECT_EQ(login.sent(0).find("Authorization"), std::string::npos);
    EXPECT_EQ(signer(), "ASIA1+t");
}

TEST_F(AwsProviderTest, a_container_with_authorization) {
    machine.variables = {{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials"},
                         {"AWS_CONTAINER_AUTHORIZATION_TOKEN", "from-variable"}};
    const auto authorization = [&] {
        const Conversation login =
            log_in(provider(), start, metadata_credentials("ASIA1", "2015-08-30T12:36:01Z"));
        if (login.requests.empty()) return login.outcome + ": " + login.text;
        const std::string& text = login.sent(0);
        const std::size_t at = text.find("Authorization: ");
        return at == std::string::npos ? "" : text.substr(at + 15, text.find('\r', at) - at - 15);
    };
    EXPECT_EQ(authorization(), "from-variable");
    provider().forget_login();
    machine.variables["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = "/pod-token";
    EXPECT_EQ(authorization(), "credentials file_unreadable: cannot read /pod-token");
    machine.files["/pod-token"] = "from-file\n";
    EXPECT_EQ(authorization(), "from-file");
    provider().forget_login();
    machine.files["/pod-token"] = "a\r\nX: y";
    EXPECT_TRUE(authorization().starts_with("malformed request_not_sound"));
}

TEST_F(AwsProviderTest, a_container_elsewhere) {
    settings.source = config::AwsKms::Source::container;
    EXPECT_EQ(log_in(provider(), start).text,
              "neither AWS_CONTAINER_CREDENTIALS_RELATIVE_URI nor AWS_CONTAINER_CREDENTIALS_FULL_URI is set");
    machine.variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://evil.example/x";
    EXPECT_EQ(log_in(provider(), start).outcome, "credentials metadata_url_not_allowed");
    machine.variables["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "@evil.example/x";
    EXPECT_EQ(log_in(provider(), start).text, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI does not begin with /");
    machine.variables.erase("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    machine.variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "https://creds.example/x";
    EXPECT_THAT(endpoints_of(log_in(provider(), start, metadata_credentials("A"))),
                ElementsAre(Endpoint{"creds.example", 443, true}));
}

TEST_F(AwsProviderTest, an_instance) {
    const auto login = provider().login(start);
    std::vector<Reply> replies;
    replies.push_back(reply_of(200, "token=="));
    replies.push_back(reply_of(200, "role-1"));
    replies.push_back(metadata_credentials("ASIA1"));
    Conversation conversation = converse(*login, std::move(replies), start);
    EXPECT_EQ(conversation.outcome, "ok");
    const Endpoint metadata{"169.254.169.254", 80, false};
    EXPECT_THAT(endpoints_of(conversation), ElementsAre(metadata, metadata, metadata));
    EXPECT_TRUE(conversation.sent(0).starts_with("PUT /latest/api/token HTTP/1.1\r\n"));
    EXPECT_TRUE(
        conversation.sent(1).starts_with("GET /latest/meta-data/iam/security-credentials/ HTTP/1.1\r\n"));
    EXPECT_TRUE(conversation.sent(2).starts_with(
        "GET /latest/meta-data/iam/security-credentials/role-1 HTTP/1.1\r\n"));
    EXPECT_NE(conversation.sent(1).find("X-aws-ec2-metadata-token: token==\r\n"), std::string::npos);
    EXPECT_NE(conversation.sent(2).find("X-aws-ec2-metadata-token: token==\r\n"), std::string::npos);
    EXPECT_EQ(signer(), "ASIA1+t");
    // From the beginning, not from where it was.
    login->restart();
    conversation = converse_once(*login, (reply_of(500, "")));
    EXPECT_EQ(conversation.outcome, "unavailable http_500");
    EXPECT_TRUE(conversation.sent(0).starts_with("PUT "));
}

TEST_F(AwsProviderTest, an_instance_without_version_2_is_not_asked_by_version_1) {
    for (const int status : {400, 403, 404, 405}) {
        const Conversation login = log_in(provider(), start, reply_of(status, ""));
        EXPECT_EQ(login.outcome, "refused http_" + std::to_string(status));
        EXPECT_EQ(login.requests.size(), 1u);
    }
}

TEST_F(AwsProviderTest, an_instance_with_no_role_or_no_credentials) {
    EXPECT_EQ(log_in(provider(), start, reply_of(200, "token"), reply_of(404, "")).outcome,
              "credentials credentials_missing");
    EXPECT_EQ(log_in(provider(), start, reply_of(200, "token"), reply_of(200, "../role")).outcome,
              "malformed reply_not_valid");
    EXPECT_EQ(
        log_in(provider(), start, reply_of(200, "token"), reply_of(200, "role"), reply_of(200, "{}")).outcome,
        "malformed reply_not_valid");
    EXPECT_EQ(signer(), "credentials credentials_missing");
}

TEST_F(AwsProviderTest, the_metadata_service_stands_elsewhere_or_is_switched_off) {
    machine.variables["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = "http://[fd00:ec2::254]/";
    EXPECT_THAT(endpoints_of(log_in(provider(), start, reply_of(500, ""))),
                ElementsAre(Endpoint{"fd00:ec2::254", 80, false}));
    machine.variables["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = "ftp://x";
    EXPECT_EQ(log_in(provider(), start).outcome, "credentials credentials_missing");
    machine.variables["AWS_EC2_METADATA_DISABLED"] = "true";
    EXPECT_NE(log_in(provider(), start).text.find("AWS_EC2_METADATA_DISABLED"), std::string::npos);
}

TEST_F(AwsProviderTest, the_metadata_service_as_configured) {
    settings.source = config::AwsKms::Source::instance;
    settings.metadata_endpoint = "http://127.0.0.1:1338";
    machine.variables["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = "http://other";
    machine.variables["AWS_EC2_METADATA_DISABLED"] = "true";
    EXPECT_THAT(endpoints_of(log_in(provider(), start, reply_of(500, ""))),
                ElementsAre(Endpoint{"127.0.0.1", 1338, false}));
}

TEST_F(AwsProviderTest, credentials_are_renewed_before_they_end) {
    machine.variables["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "/x";
    // Fifteen minutes.
    EXPECT_EQ(log_in(provider(), start, metadata_credentials("A", "2015-08-30T12:51:00Z")).outcome, "ok");
    EXPECT_EQ(provider().login(start), nullptr);
    EXPECT_EQ(provider().login(start + seconds(839)), nullptr);
    EXPECT_NE(provider().login(start + seconds(840)), nullptr);
    // Less than two minutes: half-way.
    EXPECT_EQ(
        log_in(provider(), start + seconds(840), metadata_credentials("B", "2015-08-30T12:51:40Z")).outcome,
        "ok");
    EXPECT_EQ(provider().login(start + seconds(889)), nullptr);
    EXPECT_NE(provider().login(start + seconds(890)), nullptr);
    EXPECT_TRUE(provider().is_logged_in(start + seconds(939)));
    EXPECT_FALSE(provider().is_logged_in(start + seconds(940)));
    // One second: good for that one.
    EXPECT_EQ(
        log_in(provider(), start + seconds(939), metadata_credentials("C", "2015-08-30T12:51:40Z")).outcome,
        "ok");
    EXPECT_EQ(provider().login(start + seconds(939)), nullptr);
    // None: an error that says so, and not a login for each operation.
    const Conversation ended =
        log_in(provider(), start + seconds(940), metadata_credentials("D", "2015-08-30T12:51:40Z"));
    EXPECT_EQ(ended.outcome, "credentials credentials_missing");
    EXPECT_NE(ended.text.find("clock"), std::string::npos);
}

TEST_F(AwsProviderTest, credentials_that_are_not_taken_are_fetched_again) {
    machine.variables["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "/x";
    EXPECT_EQ(log_in(provider(), start, metadata_credentials("A")).outcome, "ok");
    EXPECT_EQ(unwrap(reply_of(400, R"({"__type":"ExpiredTokenException"})")).outcome,
              "credentials ExpiredTokenException");
    EXPECT_TRUE(provider().is_logged_in(start));
    EXPECT_TRUE(provider().forget_login());
    EXPECT_FALSE(provider().is_logged_in(start));
    EXPECT_EQ(log_in(provider(), start, metadata_credentials("B")).outcome, "ok");
    EXPECT_EQ(signer(), "B+t");
}

TEST_F(AwsProviderTest, with_a_list_of_master_keys_the_request_names_the_key) {
    use_fixed_credentials();
    EXPECT_EQ(unwrap(good_plaintext()).sent(0).find("KeyId"), std::string::npos) << "as drivers' do";

    config::KmsProvider limited;
    limited.name = "aws:eu";
    limited.settings = settings;
    limited.master_keys.emplace();
    AwsProvider with_list(limited, machine.environment());
    auto operation = with_list.unwrap(master_key, wrapped);
    const Conversation held = converse_once(**operation, good_plaintext());
    EXPECT_EQ(held.outcome, "ok");
    EXPECT_NE(held.sent(0).find(R"("KeyId": "arn:aws:kms:eu-west-1:111122223333:key/1")"), std::string::npos);
}

}  // namespace
}  // namespace fieldgate::keys
