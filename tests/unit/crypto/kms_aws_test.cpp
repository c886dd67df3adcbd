#include "crypto/kms/aws.hpp"

#include "crypto/kms/http.hpp"
#include "crypto/kms/json.hpp"
#include "tests/unit/crypto/kms_support.hpp"

namespace fieldgate::crypto::kms {
namespace {

const UnixTime now(std::chrono::seconds(1440938160));  // 2015-08-30T12:36:00Z
const AwsMasterKey master_key{
    "eu-west-1", "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", ""};

AwsCredentials credentials(std::string_view session_token = "") {
    return {"AKIDEXAMPLE", SecretBuffer(bytes_of("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")),
            SecretBuffer(bytes_of(session_token))};
}

Endpoint endpoint_of(const AwsMasterKey& key, std::span<const std::string> hosts = {}) {
    return aws_kms_endpoint(key, "aws", hosts).value();
}

const Bytes wrapped = from_hex("0102020078");

// The signatures of these three requests are those of botocore 1.44.
TEST(KmsAws, an_encrypt_request_is_signed) {
    const auto request =
        aws_encrypt_request(endpoint_of(master_key), master_key, test_key(), credentials(), now);
    ASSERT_TRUE(request.has_value());
    EXPECT_EQ(text_of(request->bytes),
              "POST / HTTP/1.1\r\n"
              "Host: kms.eu-west-1.amazonaws.com\r\n"
              "Content-Type: application/x-amz-json-1.1\r\n"
              "X-Amz-Date: 20150830T123600Z\r\n"
              "X-Amz-Target: TrentService.Encrypt\r\n"
              "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/eu-west-1/kms/aws4_request, "
              "SignedHeaders=content-type;host;x-amz-date;x-amz-target, "
              "Signature=ea5df0286a96b5ff829aafd38450d481d30549e8278f282e8c3cc2d1b58eeea1\r\n"
              "Content-Length: 233\r\n"
              "Connection: keep-alive\r\n"
              "\r\n"
              "{\"Plaintext\": \"BwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8wMTIzNDU2Nzg5Ojs8PT4/"
              "QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl9gYWJjZGVm\", \"KeyId\": "
              "\"arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab\"}");
    EXPECT_EQ(request->endpoint, (Endpoint{"kms.eu-west-1.amazonaws.com", 443, true}));
}

TEST(KmsAws, a_decrypt_request_carries_the_session_token) {
    const auto request = aws_decrypt_request(endpoint_of(master_key), master_key, wrapped,
                                             credentials("IQoJb3JpZ2luX2VjEXAMPLE//+=="), now);
    ASSERT_TRUE(request.has_value());
    EXPECT_EQ(text_of(request->bytes),
              "POST / HTTP/1.1\r\n"
              "Host: kms.eu-west-1.amazonaws.com\r\n"
              "Content-Type: application/x-amz-json-1.1\r\n"
              "X-Amz-Date: 20150830T123600Z\r\n"
              "X-Amz-Target: TrentService.Decrypt\r\n"
              "X-Amz-Security-Token: IQoJb3JpZ2luX2VjEXAMPLE//+==\r\n"
              "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/eu-west-1/kms/aws4_request, "
              "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, "
              "Signature=22f7a0ecbb5a66a1411211888afbce06c93c2290de586d4db0438701b7360226\r\n"
              "Content-Length: 30\r\n"
              "Connection: keep-alive\r\n"
              "\r\n"
              "{\"CiphertextBlob\": \"AQICAHg=\"}");
}

TEST(KmsAws, decrypting_names_the_key_where_it_must_be_that_one) {
    const auto body_of = [&](AwsDecrypt how, const std::string& key) {
        const AwsMasterKey named{"eu-west-1", key, ""};
        const auto request = aws_decrypt_request(endpoint_of(named), named, wrapped, credentials(), now, how);
        const std::string text = text_of(request->bytes);
        return text.substr(text.find("\r\n\r\n") + 4);
    };
    EXPECT_EQ(body_of(AwsDecrypt::whichever_key, "alias/x"), R"({"CiphertextBlob": "AQICAHg="})");
    EXPECT_EQ(body_of(AwsDecrypt::names_key, "alias/x"),
              R"({"CiphertextBlob": "AQICAHg=", "KeyId": "alias/x"})");
    EXPECT_EQ(body_of(AwsDecrypt::names_key, "a\", \"x"),
              R"({"CiphertextBlob": "AQICAHg=", "KeyId": "a\", \"x"})")
        << "a value, whatever the document holds";
}

TEST(KmsAws, another_port_stands_in_the_signed_host) {
    const std::string hosts[] = {"localhost:4566"};
    const AwsMasterKey local{"us-east-1", "alias/x", "localhost:4566"};
    const auto request = aws_decrypt_request(endpoint_of(local, hosts), local, wrapped, credentials(), now);
    EXPECT_NE(text_of(request->bytes).find("Host: localhost:4566\r\n"), std::string::npos);
    EXPECT_NE(text_of(request->bytes)
                  .find("Signature=40be242f9c276f79bd7e6eaca129f65a1b9e5f789f6ebcf8c614e21946c7e12f\r\n"),
              std::string::npos);
    EXPECT_EQ(request->endpoint, (Endpoint{"localhost", 4566, true}));
}

TEST(KmsAws, the_host_follows_from_the_region) {
    const auto host = [](std::string_view region) {
        const auto endpoint = aws_kms_endpoint({std::string(region), "k", ""}, "aws", {});
        return endpoint ? endpoint->host : described(endpoint);
    };
    EXPECT_EQ(host("us-east-1"), "kms.us-east-1.amazonaws.com");
    EXPECT_EQ(host("us-gov-west-1"), "kms.us-gov-west-1.amazonaws.com");
    EXPECT_EQ(host("cn-north-1"), "kms.cn-north-1.amazonaws.com.cn");
    EXPECT_EQ(host("eusc-de-east-1"), "kms.eusc-de-east-1.amazonaws.eu");
    EXPECT_EQ(host("us-iso-east-1"), "kms.us-iso-east-1.c2s.ic.gov");
    EXPECT_EQ(host("us-isob-east-1"), "kms.us-isob-east-1.sc2s.sgov.gov");
    EXPECT_EQ(host("eu-isoe-west-1"), "kms.eu-isoe-west-1.cloud.adc-e.uk");
    EXPECT_EQ(host("us-isof-east-1"), "kms.us-isof-east-1.csp.hci.ic.gov");
    EXPECT_EQ(host(std::string(63, 'a')), "kms." + std::string(63, 'a') + ".amazonaws.com");
    using std::string_view_literals::operator""sv;
    for (const std::string_view region : {""sv, "evil.example/"sv, "a.b"sv, "EU-WEST-1"sv, "eu_west"sv,
                                          "-a"sv, "a-"sv, "eu west"sv, "a\r\nX: y"sv, "a\0"sv, "\xc3\xa4"sv})
        EXPECT_EQ(host(region), "refused region_not_valid") << region;
    // A bucket called "kms".
    for (const std::string_view region : {"s3", "s3-eu-west-1", "s3-accelerate"})
        EXPECT_EQ(host(region), "refused region_not_valid") << region;
    EXPECT_EQ(host(std::string(64, 'a')), "refused region_not_valid");
}

TEST(KmsAws, credentials_go_to_kms_and_to_listed_hosts_only) {
    const std::string hosts[] = {"kms.intern:8443"};
    const auto host = [&](std::string_view endpoint) {
        const auto allowed = aws_kms_endpoint({"eu-west-1", "k", std::string(endpoint)}, "aws", hosts);
        return allowed ? host_header(*allowed) : described(allowed);
    };
    for (const std::string_view own :
         {"kms.eu-west-1.amazonaws.com", "kms-fips.us-east-2.amazonaws.com", "kms.eu-west-1.api.aws",
          "vpce-0a1b-2c3d.kms.eu-west-1.vpce.amazonaws.com", "kms.cn-north-1.amazonaws.com.cn",
          "kms.cn-north-1.api.amazonwebservices.com.cn", "kms.us-iso-east-1.c2s.ic.gov", "kms.intern:8443"})
        EXPECT_EQ(host(own), own);
    EXPECT_EQ(host("kms.eu-west-1.amazonaws.com:443"), "kms.eu-west-1.amazonaws.com");
    for (const std::string_view other :
         {"evil.example", "kms.eu-west-1.amazonaws.com.evil.example",
          "abc.execute-api.eu-west-1.amazonaws.com", "ec2-1-2-3-4.eu-west-1.compute.amazonaws.com",
          "s3.amazonaws.com", "kms.s3.amazonaws.com", "kms.s3-eu-west-1.amazonaws.com", "kms.amazonaws.com",
          "kms.a.b.amazonaws.com", "kms.eu-west-1.amazonaws.com:8443",
          "x.vpce-svc-1.eu-west-1.vpce.amazonaws.com", "kms.intern", "127.0.0.1", "localhost"})
        EXPECT_EQ(host(other), "refused endpoint_not_allowed") << other;
    EXPECT_NE(aws_kms_endpoint({"eu-west-1", "k", "evil.example"}, "aws:eu", hosts)
                  .error()
                  .text.find("kms_providers.aws:eu.hosts"),
              std::string::npos);
}

TEST(KmsAws, what_a_key_document_holds_stays_a_value) {
    const AwsMasterKey hostile{"eu-west-1", "a\", \"GrantTokens\": [\"x\r\n\r\nGET / HTTP/1.1", ""};
    const auto request = aws_encrypt_request(endpoint_of(hostile), hostile, test_key(), credentials(), now);
    ASSERT_TRUE(request.has_value());
    expect_sound(*request);
    EXPECT_NE(text_of(request->bytes)
                  .find(R"("KeyId": "a\", \"GrantTokens\": [\"x\u000d\u000a\u000d\u000aGET / HTTP/1.1"})"),
              std::string::npos);
    // A region that got here without aws_kms_endpoint.
    const AwsMasterKey region{"x, SignedHeaders=", "k", ""};
    EXPECT_EQ(described(aws_encrypt_request(endpoint_of(master_key), region, test_key(), credentials(), now)),
              "refused region_not_valid");
    // Credentials that could split the head.
    EXPECT_EQ(described(aws_decrypt_request(endpoint_of(master_key), master_key, wrapped,
                                            credentials("a\r\nb"), now)),
              "malformed request_not_sound");
}

TEST(KmsAws, the_length_of_what_is_unwrapped_is_bounded) {
    const auto kind = [](std::size_t size) {
        return described(
            aws_decrypt_request(endpoint_of(master_key), master_key, Bytes(size, 1), credentials(), now));
    };
    EXPECT_EQ(kind(0), "refused wrapped_key_length");
    EXPECT_EQ(kind(1), "ok");
    EXPECT_EQ(kind(6144), "ok");
    EXPECT_EQ(kind(6145), "refused wrapped_key_length");
}

std::string blob(std::string_view name, std::size_t size) {
    return "{\"" + std::string(name) + "\": \"" + text_of(base64_encode(Bytes(size, 7))) + "\"}";
}

TEST(KmsAws, replies_that_succeeded) {
    const auto encrypted = aws_read_encrypted(reply_of(
        200, R"({"CiphertextBlob":"AQICAHg=","EncryptionAlgorithm":"SYMMETRIC_DEFAULT","KeyId":"arn"})"));
    EXPECT_EQ(encrypted.value(), wrapped);
    EXPECT_EQ(
        aws_read_decrypted(
            reply_of(200, "{\"Plaintext\": \"" + text_of(base64_encode(key_pattern(7))) + "\"}"), master_key)
            .value(),
        test_key());
    EXPECT_EQ(aws_read_encrypted(reply_of(200, blob("CiphertextBlob", 6144)))->size(), 6144u);
}

TEST(KmsAws, replies_that_are_none) {
    for (const std::string_view body :
         {"", "{}", "[]", "{\"Plaintext\": 1}", "{\"Plaintext\": null}", "{\"Plaintext\": {\"a\": 1}}",
          "{\"CiphertextBlob\": [\"AA==\"]}", "{\"Plaintext\": \"A\", \"CiphertextBlob\": \"A\"}",
          "{\"Plaintext\": \"AA=\", \"CiphertextBlob\": \"AA=\"}", "{\"plaintext\": \"AA==\"}"}) {
        EXPECT_EQ(aws_read_encrypted(reply_of(200, body)).error().kind, Failure::Kind::malformed) << body;
        EXPECT_EQ(aws_read_decrypted(reply_of(200, body), master_key).error().kind, Failure::Kind::malformed)
            << body;
    }
    EXPECT_EQ(described(aws_read_encrypted(reply_of(200, blob("CiphertextBlob", 0)))),
              "malformed reply_not_valid");
    EXPECT_EQ(described(aws_read_encrypted(reply_of(200, blob("CiphertextBlob", 6145)))),
              "malformed reply_not_valid");
    for (const std::size_t size : {0u, 95u, 97u})
        EXPECT_EQ(described(aws_read_decrypted(reply_of(200, blob("Plaintext", size)), master_key)),
                  "malformed data_key_length");
    // Success that is none: only 200 is.
    for (const int status : {204, 301, 307})
        EXPECT_EQ(described(aws_read_decrypted(reply_of(status, blob("Plaintext", 96)), master_key)),
                  "malformed http_" + std::to_string(status));
}

// KMS decrypts with the key that made the blob, whichever the document names.
TEST(KmsAws, a_data_key_that_another_master_key_wrapped_is_refused) {
    const auto decrypted = [](std::string_view used, std::string key) {
        AwsMasterKey named = master_key;
        named.key = std::move(key);
        return described(
            aws_read_decrypted(reply_of(200, "{\"Plaintext\": \"" + text_of(base64_encode(Bytes(96, 7))) +
                                                 "\", \"KeyId\": " + json_quoted(used) + "}"),
                               named));
    };
    const std::string account = "arn:aws:kms:eu-west-1:111122223333:";
    const std::string used = account + "key/1234abcd-12ab-34cd-56ef-1234567890ab";
    for (const std::string& key :
         {used, std::string("1234abcd-12ab-34cd-56ef-1234567890ab"), account + "alias/clinic",
          std::string("alias/clinic"), "arn:aws:kms:us-east-1:111122223333:" + used.substr(account.size())})
        EXPECT_EQ(decrypted(used, key), "ok") << key;
    for (const std::string& key :
         {account + "key/4321abcd-12ab-34cd-56ef-1234567890ab",
          std::string("4321abcd-12ab-34cd-56ef-1234567890ab"),
          std::string("arn:aws:kms:eu-west-1:999900001111:key/1234abcd-12ab-34cd-56ef-1234567890ab"),
          std::string("arn:aws:kms:eu-west-1:999900001111:alias/clinic")})
        EXPECT_EQ(decrypted(used, key), "refused master_key_mismatch") << key;
    EXPECT_EQ(decrypted("1234abcd-12ab-34cd-56ef-1234567890ab", used), "ok") << "of a stand-in";
    EXPECT_EQ(decrypted("4321abcd-12ab-34cd-56ef-1234567890ab", used), "refused master_key_mismatch");
}

TEST(KmsAws, failures_by_name) {
    const auto kind = [](int status, std::string_view type) {
        return described(
            aws_read_decrypted(reply_of(status, "{\"__type\": " + json_quoted(type) + "}"), master_key));
    };
    for (const std::string_view code :
         {"AccessDeniedException", "NotFoundException", "DisabledException", "InvalidCiphertextException",
          "IncorrectKeyException", "InvalidKeyUsageException", "KMSInvalidStateException",
          "SomethingNewException"})
        EXPECT_EQ(kind(400, code), "refused " + std::string(code));
    for (const std::string_view code :
         {"ExpiredTokenException", "UnrecognizedClientException", "InvalidSignatureException",
          "IncompleteSignature", "IncompleteSignatureException", "InvalidClientTokenId",
          "InvalidClientTokenIdException", "MissingAuthenticationTokenException"})
        EXPECT_EQ(kind(400, code), "credentials " + std::string(code));
    for (const std::string_view code :
         {"ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException"})
        EXPECT_EQ(kind(400, code), "throttled " + std::string(code));
    EXPECT_EQ(kind(429, "Other"), "throttled Other");
    EXPECT_EQ(kind(509, "Other"), "throttled Other");
    EXPECT_EQ(kind(500, "KMSInternalException"), "unavailable KMSInternalException");
    EXPECT_EQ(kind(400, "DependencyTimeoutException"), "unavailable DependencyTimeoutException");
    EXPECT_EQ(kind(400, "com.amazonaws.kms#NotFoundException"), "refused NotFoundException");
    EXPECT_EQ(kind(400, "a\r\nb<c>"), "refused abc");
    for (const int status : {408, 500, 502, 503, 504})
        EXPECT_EQ(described(aws_read_decrypted(reply_of(status, "<html>"), master_key)),
                  "unavailable http_" + std::to_string(status));
    EXPECT_EQ(described(aws_read_decrypted(reply_of(403, ""), master_key)), "refused http_403");
    EXPECT_EQ(described(aws_read_decrypted(reply_of(400, "{\"__type\": 7}"), master_key)),
              "refused http_400");
}

TEST(KmsAws, the_text_of_a_failure_says_what_aws_said) {
    const auto text = [](std::string_view body) {
        return aws_read_decrypted(reply_of(400, body), master_key).error().text;
    };
    EXPECT_EQ(text(R"({"__type":"NotFoundException","message":"Key 'arn:x' does not exist"})"),
              "NotFoundException: Key 'arn:x' does not exist");
    EXPECT_EQ(text(R"({"__type":"AccessDeniedException","Message":"no"})"), "AccessDeniedException: no");
    EXPECT_EQ(text(R"({"__type":"DisabledException"})"), "DisabledException");
    EXPECT_EQ(text(""), "http_400");
    // AWS quotes the request it was sent, session token included.
    EXPECT_EQ(
        text(
            R"({"__type":"InvalidSignatureException","message":"The signature does not match.\n\nThe Canonical String)"
            R"( for this request should have been 'POST\nx-amz-security-token:short-token'"})"),
        "InvalidSignatureException: The signature does not match.");
    EXPECT_LE(text("{\"__type\":\"A\",\"message\":\"" + std::string(5000, '!') + "\"}").size(), 300u);
}

}  // namespace
}  // namespace fieldgate::crypto::kms
