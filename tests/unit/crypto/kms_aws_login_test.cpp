#include "crypto/kms/aws_login.hpp"

#include "tests/unit/crypto/kms_support.hpp"

namespace fieldgate::crypto::kms {
namespace {

const Endpoint sts{"sts.eu-west-1.amazonaws.com", 443, true};
const Endpoint metadata{"169.254.169.254", 80, false};
const UnixTime ends(std::chrono::seconds(1440938160));  // 2015-08-30T12:36:00Z

TEST(KmsAwsLogin, dates) {
    EXPECT_EQ(parse_utc_time("2015-08-30T12:36:00Z"), ends);
    EXPECT_EQ(parse_utc_time("2015-08-30T12:36:00.5Z"), ends);
    EXPECT_EQ(parse_utc_time("2015-08-30T12:36:00.123456789Z"), ends);
    EXPECT_EQ(parse_utc_time("1970-01-01T00:00:00Z"), UnixTime());
    EXPECT_EQ(parse_utc_time("2024-02-29T23:59:59Z"), UnixTime(std::chrono::seconds(1709251199)));
    EXPECT_EQ(parse_utc_time("9999-12-31T23:59:59Z"), UnixTime(std::chrono::seconds(253402300799)));
    for (const std::string_view text :
         {"", "Z", "2015-08-30T12:36:00", "2015-08-30 12:36:00Z", "2015-08-30T12:36:00+00:00",
          "2015-13-30T12:36:00Z", "2015-02-29T12:36:00Z", "2015-08-30T24:00:00Z", "2015-08-30T12:60:00Z",
          "2015-08-30T12:36:61Z", "2015-08-30T12:36:00.Z", "2015-08-30T12:36:00.1234567890Z",
          "2015-08-30T12:36:00.xZ", "2015-08-30T12:36Z", "-015-08-30T12:36:00Z", "20150830T123600Z",
          "99999-08-30T12:36:00Z", "1440938160"})
        EXPECT_EQ(parse_utc_time(text), std::nullopt) << text;
}

TEST(KmsAwsLogin, a_web_identity_is_posted_as_a_form) {
    const auto request = aws_web_identity_request(sts, "arn:aws:iam::111122223333:role/field gate",
                                                  "fieldgate", SecretBuffer(bytes_of("ey.J&=+/x")));
    EXPECT_EQ(text_of(request->bytes),
              "POST / HTTP/1.1\r\n"
              "Host: sts.eu-west-1.amazonaws.com\r\n"
              "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n"
              "Content-Length: 176\r\n"
              "Connection: keep-alive\r\n"
              "\r\n"
              "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A111122223333%"
              "3Arole%2F"
              "field%20gate&RoleSessionName=fieldgate&WebIdentityToken=ey.J%26%3D%2B%2Fx");
}

// As the API reference shows it.
std::string web_identity_reply(std::string_view credentials) {
    return "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n"
           "  <AssumeRoleWithWebIdentityResult>\n"
           "    <SubjectFromWebIdentityToken>subject</SubjectFromWebIdentityToken>\n"
           "    <AssumedRoleUser><Arn>arn</Arn><AssumedRoleId>id</AssumedRoleId></AssumedRoleUser>\n"
           "    <Credentials>" +
           std::string(credentials) +
           "</Credentials>\n  </AssumeRoleWithWebIdentityResult>\n"
           "  <ResponseMetadata><RequestId>ad4156e9</RequestId></ResponseMetadata>\n"
           "</AssumeRoleWithWebIdentityResponse>\n";
}

TEST(KmsAwsLogin, the_reply_to_a_web_identity) {
    const auto session = aws_read_web_identity(reply_of(
        200,
        web_identity_reply("<SessionToken>t/+=</SessionToken><SecretAccessKey>s/+</SecretAccessKey>"
                           "<Expiration>2015-08-30T12:36:00Z</Expiration><AccessKeyId>ASIA</AccessKeyId>")));
    ASSERT_TRUE(session.has_value()) << session.error().text;
    EXPECT_EQ(session->credentials.access_key_id, "ASIA");
    EXPECT_EQ(text_of(session->credentials.secret_access_key), "s/+");
    EXPECT_EQ(text_of(session->credentials.session_token), "t/+=");
    EXPECT_EQ(session->ends, ends);

    const std::string_view id = "<AccessKeyId>A</AccessKeyId>",
                           secret = "<SecretAccessKey>s</SecretAccessKey>",
                           token = "<SessionToken>t</SessionToken>",
                           date = "<Expiration>2015-08-30T12:36:00Z</Expiration>";
    const auto read = [](std::initializer_list<std::string_view> parts) {
        std::string all;
        for (const std::string_view part : parts) all += part;
        return described(aws_read_web_identity(reply_of(200, web_identity_reply(all))));
    };
    EXPECT_EQ(read({id, secret, token, date}), "ok");
    EXPECT_EQ(read({secret, token, date}), "malformed reply_not_valid");
    EXPECT_EQ(read({id, token, date}), "malformed reply_not_valid");
    EXPECT_EQ(read({id, secret, date}), "malformed reply_not_valid");
    EXPECT_EQ(read({id, secret, token}), "malformed reply_not_valid");
    EXPECT_EQ(read({id, secret, token, "<Expiration>soon</Expiration>"}), "malformed reply_not_valid");
    EXPECT_EQ(read({"<AccessKeyId>A\r\nB</AccessKeyId>", secret, token, date}), "malformed reply_not_valid");
    EXPECT_EQ(read({id, secret, "<SessionToken>a&#10;b</SessionToken>", date}), "malformed reply_not_valid");
    EXPECT_EQ(read({id, id, secret, token, date}), "malformed not_xml");
    EXPECT_EQ(described(aws_read_web_identity(reply_of(200, "{}"))), "malformed not_xml");
    EXPECT_EQ(described(aws_read_web_identity(reply_of(200, ""))), "malformed not_xml");
}

TEST(KmsAwsLogin, what_the_token_service_refuses) {
    const auto read = [](int status, std::string_view code) {
        return aws_read_web_identity(
                   reply_of(status,
                            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error>"
                            "<Type>Sender</Type><Code>" +
                                std::string(code) +
                                "</Code><Message>Why it is so</Message></Error>"
                                "<RequestId>x</RequestId></ErrorResponse>"))
            .error();
    };
    EXPECT_EQ(described(read(400, "ExpiredTokenException")), "credentials ExpiredTokenException");
    EXPECT_EQ(described(read(400, "InvalidIdentityToken")), "credentials InvalidIdentityToken");
    EXPECT_EQ(described(read(403, "AccessDenied")), "refused AccessDenied");
    EXPECT_EQ(described(read(400, "Throttling")), "throttled Throttling");
    EXPECT_EQ(described(read(400, "IDPCommunicationError")), "unavailable IDPCommunicationError");
    EXPECT_EQ(read(403, "AccessDenied").text, "AccessDenied: Why it is so");
    EXPECT_EQ(described(aws_read_web_identity(reply_of(503, "busy"))), "unavailable http_503");
    EXPECT_EQ(described(aws_read_web_identity(reply_of(403, ""))), "refused http_403");
}

TEST(KmsAwsLogin, credentials_of_the_metadata_services) {
    // The container's service.
    auto session = aws_read_metadata_credentials(reply_of(
        200,
        R"({"AccessKeyId":"A","SecretAccessKey":"s","Token":"t","Expiration":"2015-08-30T12:36:00Z","RoleArn":"r"})"));
    ASSERT_TRUE(session.has_value());
    EXPECT_EQ(session->credentials.access_key_id, "A");
    EXPECT_EQ(text_of(session->credentials.secret_access_key), "s");
    EXPECT_EQ(text_of(session->credentials.session_token), "t");
    EXPECT_EQ(session->ends, ends);
    // The instance's.
    session = aws_read_metadata_credentials(reply_of(
        200, R"({"Code":"Success","LastUpdated":"2015-08-30T12:00:00Z","Type":"AWS-HMAC","AccessKeyId":"A",)"
             R"("SecretAccessKey":"s","Token":"t","Expiration":"2015-08-30T12:36:00Z"})"));
    EXPECT_TRUE(session.has_value());

    const auto read = [](int status, std::string_view body) {
        return described(aws_read_metadata_credentials(reply_of(status, body)));
    };
    EXPECT_EQ(read(200, R"({"Code":"AssumeRoleUnauthorizedAccess","Message":"no"})"),
              "credentials AssumeRoleUnauthorizedAccess");
    EXPECT_EQ(read(200, R"({"Code":"<>"})"), "credentials credentials_missing");
    EXPECT_EQ(read(200, R"({"AccessKeyId":"A","SecretAccessKey":"s","Token":"t"})"),
              "malformed reply_not_valid");
    EXPECT_EQ(read(200, R"({"AccessKeyId":"A","SecretAccessKey":"s","Token":"t","Expiration":1440938160})"),
              "malformed reply_not_valid");
    EXPECT_EQ(
        read(
            200,
            R"({"AccessKeyId":"A","SecretAccessKey":"s","Token":"t\n","Expiration":"2015-08-30T12:36:00Z"})"),
        "malformed reply_not_valid");
    EXPECT_EQ(read(200, "<html>"), "malformed not_json");
    EXPECT_EQ(read(404, "<html>"), "refused http_404");
    EXPECT_EQ(read(500, R"({"code":"x","message":"y"})"), "unavailable http_500");
    EXPECT_EQ(read(429, ""), "throttled http_429");
    EXPECT_EQ(aws_read_metadata_credentials(reply_of(403, R"({"message":"bad token"})")).error().text,
              "the metadata service: http_403: bad token");
}

TEST(KmsAwsLogin, the_instance_metadata_conversation) {
    EXPECT_EQ(
        text_of(aws_metadata_token_request(metadata)->bytes),
        "PUT /latest/api/token HTTP/1.1\r\nHost: 169.254.169.254\r\n"
        "X-aws-ec2-metadata-token-ttl-seconds: 300\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n");
    const auto token = aws_read_metadata_token(reply_of(200, "AQAAA=="));
    EXPECT_EQ(text_of(aws_metadata_role_request(metadata, *token)->bytes),
              "GET /latest/meta-data/iam/security-credentials/ HTTP/1.1\r\nHost: 169.254.169.254\r\n"
              "X-aws-ec2-metadata-token: AQAAA==\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_EQ(text_of(aws_metadata_credentials_request(metadata, *token, "role+1")->bytes),
              "GET /latest/meta-data/iam/security-credentials/role%2B1 HTTP/1.1\r\nHost: 169.254.169.254\r\n"
              "X-aws-ec2-metadata-token: AQAAA==\r\nConnection: keep-alive\r\n\r\n");

    EXPECT_EQ(described(aws_read_metadata_token(reply_of(403, ""))), "refused http_403");
    EXPECT_EQ(described(aws_read_metadata_token(reply_of(200, ""))), "malformed reply_not_valid");
    EXPECT_EQ(described(aws_read_metadata_token(reply_of(200, "a\r\nb"))), "malformed reply_not_valid");
    EXPECT_EQ(described(aws_read_metadata_token(reply_of(200, std::string(1024, 'a')))), "ok");
    EXPECT_EQ(described(aws_read_metadata_token(reply_of(200, std::string(1025, 'a')))),
              "malformed reply_not_valid");

    EXPECT_EQ(aws_read_metadata_role(reply_of(200, "field_gate-1.x@y")).value(), "field_gate-1.x@y");
    EXPECT_EQ(aws_read_metadata_role(reply_of(200, "role\n")).value(), "role");
    EXPECT_EQ(aws_read_metadata_role(reply_of(200, std::string(128, 'r')))->size(), 128u);
    for (const std::string_view name : {"", "\n", "a\nb", "a/b", "..", ".", "a b", "a?b", "<html>", "a~"})
        EXPECT_EQ(described(aws_read_metadata_role(reply_of(200, name))), "malformed reply_not_valid")
            << name;
    EXPECT_EQ(described(aws_read_metadata_role(reply_of(200, std::string(129, 'r')))),
              "malformed reply_not_valid");
    EXPECT_EQ(described(aws_read_metadata_role(reply_of(404, ""))), "credentials credentials_missing");
    EXPECT_EQ(described(aws_read_metadata_role(reply_of(401, ""))), "refused http_401");
    EXPECT_EQ(described(aws_read_metadata_role(reply_of(500, ""))), "unavailable http_500");
}

TEST(KmsAwsLogin, the_container_is_asked_in_clear_on_known_addresses_only) {
    const auto parsed = [](std::string_view url) {
        const auto result = parse_aws_container_url(url);
        if (!result) return described(result.error());
        return std::string(result->endpoint.tls ? "https " : "http ") + result->endpoint.host + " " +
               std::to_string(result->endpoint.port) + " " + result->target;
    };
    EXPECT_EQ(parsed("https://any.example/a?b=c"), "https any.example 443 /a?b=c");
    EXPECT_EQ(parsed("https://any.example"), "https any.example 443 /");
    EXPECT_EQ(parsed("https://any.example?x"), "https any.example 443 /?x");
    EXPECT_EQ(parsed("http://127.0.0.1:9/x"), "http 127.0.0.1 9 /x");
    EXPECT_EQ(parsed("http://127.9.9.9/"), "http 127.9.9.9 80 /");
    EXPECT_EQ(parsed("http://localhost/x"), "http localhost 80 /x");
    EXPECT_EQ(parsed("http://[::1]:8080/x"), "http ::1 8080 /x");
    EXPECT_EQ(parsed("http://169.254.170.2/v2/credentials/x"), "http 169.254.170.2 80 /v2/credentials/x");
    EXPECT_EQ(parsed("http://169.254.170.23/v1/credentials"), "http 169.254.170.23 80 /v1/credentials");
    EXPECT_EQ(parsed("http://[fd00:ec2::23]/v1/credentials"), "http fd00:ec2::23 80 /v1/credentials");
    for (const std::string_view url :
         {"", "/x", "ftp://127.0.0.1/", "http://", "http://any.example/", "http://169.254.169.254/",
          "http://10.0.0.1/", "http://128.0.0.1/", "http://127.0.0.1.evil.example/",
          "http://localhost.evil.example/", "http://127.0.0.1@evil.example/", "http://[::2]/", "https://a b/",
          "https://a/#x", "HTTP://127.0.0.1/"})
        EXPECT_EQ(parsed(url), "credentials metadata_url_not_allowed") << url;

    const auto url = parse_aws_container_url("http://169.254.170.23/v1/credentials?a=b");
    EXPECT_EQ(text_of(aws_container_request(*url, SecretBuffer(bytes_of("tok")))->bytes),
              "GET /v1/credentials?a=b HTTP/1.1\r\nHost: 169.254.170.23\r\nAccept: application/json\r\n"
              "Authorization: tok\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_EQ(text_of(aws_container_request(*url, {})->bytes),
              "GET /v1/credentials?a=b HTTP/1.1\r\nHost: 169.254.170.23\r\nAccept: application/json\r\n"
              "Connection: keep-alive\r\n\r\n");
    EXPECT_EQ(described(aws_container_request(*url, SecretBuffer(bytes_of("a\nb")))),
              "malformed request_not_sound");
    EXPECT_EQ(described(aws_container_request(*parse_aws_container_url("http://127.0.0.1/a b"), {})),
              "malformed request_not_sound");
}

TEST(KmsAwsLogin, other_metadata_endpoints) {
    EXPECT_EQ(parse_metadata_endpoint("http://127.0.0.1:1338"), (Endpoint{"127.0.0.1", 1338, false}));
    EXPECT_EQ(parse_metadata_endpoint("http://[fd00:ec2::254]/"), (Endpoint{"fd00:ec2::254", 80, false}));
    for (const std::string_view url :
         {"", "127.0.0.1", "https://a", "http://", "http://a/b", "http://a//", "http://a?b"})
        EXPECT_EQ(parse_metadata_endpoint(url), std::nullopt) << url;
}

}  // namespace
}  // namespace fieldgate::crypto::kms
