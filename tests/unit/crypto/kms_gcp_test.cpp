#include "crypto/kms/gcp.hpp"

#include <gtest/gtest.h>

#include "tests/unit/crypto/kms_support.hpp"
#include "tests/unit/crypto/rsa_key.hpp"

namespace fieldgate::crypto::kms {
namespace {

const Endpoint cloudkms{"cloudkms.googleapis.com", 443, true};
const GcpMasterKey master_key{"p-1", "global", "r_1", "k.1", "", ""};
constexpr UnixTime now{std::chrono::seconds(1'700'000'000)};
const std::string key_digits =
    "BwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8wMTIzNDU2Nzg5Ojs8PT4/"
    "QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl9gYWJjZGVm";

const RsaKey& rsa() {
    static const RsaKey made;
    return made;
}

Token token() {
    return *token_of("T0ken", UnixTime{});
}

SecretBuffer file(std::string_view text) {
    return SecretBuffer(bytes_of(text));
}

std::string body_of(const Request& request) {
    const std::string text = text_of(request.bytes);
    return text.substr(text.find("\r\n\r\n") + 4);
}

TEST(Gcp, asks_for_encryption) {
    const auto request = gcp_encrypt_request(cloudkms, master_key, test_key(), token());
    ASSERT_TRUE(request);
    EXPECT_EQ(request->endpoint, cloudkms);
    EXPECT_EQ(text_of(request->bytes),
              "POST /v1/projects/p-1/locations/global/keyRings/r_1/cryptoKeys/k.1:encrypt HTTP/1.1\r\n"
              "Host: cloudkms.googleapis.com\r\n"
              "Accept: application/json\r\n"
              "Authorization: Bearer T0ken\r\n"
              "Content-Type: application/json\r\n"
              "Content-Length: 144\r\n"
              "Connection: keep-alive\r\n"
              "\r\n"
              "{\"plaintext\":\"" +
                  key_digits + "\"}");
    GcpMasterKey versioned = master_key;
    versioned.key_version = "3";
    EXPECT_TRUE(text_of(gcp_encrypt_request(cloudkms, versioned, test_key(), token())->bytes)
                    .starts_with("POST /v1/projects/p-1/locations/global/keyRings/r_1/cryptoKeys/k.1/"
                                 "cryptoKeyVersions/3:encrypt HTTP/1.1\r\n"));
}

TEST(Gcp, asks_for_decryption_without_a_version) {
    GcpMasterKey versioned = master_key;
    versioned.key_version = "3";
    const auto request =
        gcp_decrypt_request({"kms.example.com", 8443, true}, versioned, Bytes{0xfb, 0xff}, token());
    ASSERT_TRUE(request);
    EXPECT_EQ(text_of(request->bytes),
              "POST /v1/projects/p-1/locations/global/keyRings/r_1/cryptoKeys/k.1:decrypt HTTP/1.1\r\n"
              "Host: kms.example.com:8443\r\n"
              "Accept: application/json\r\n"
              "Authorization: Bearer T0ken\r\n"
              "Content-Type: application/json\r\n"
              "Content-Length: 21\r\n"
              "Connection: keep-alive\r\n"
              "\r\n"
              "{\"ciphertext\":\"+/8=\"}");
}

TEST(Gcp, reads_replies) {
    EXPECT_EQ(gcp_read_encrypted(reply_of(200, R"({"name":"x","ciphertext":"+/8="})")).value(),
              (Bytes{0xfb, 0xff}));
    EXPECT_TRUE(
        gcp_read_decrypted(reply_of(200, R"({"plaintext":")" + key_digits + R"(","usedPrimary":true})"))
            .value() == test_key());
    EXPECT_EQ(described(gcp_read_encrypted(reply_of(200, R"({"ciphertext":"-_8="})"))),
              "malformed reply_not_valid");
    EXPECT_EQ(described(gcp_read_encrypted(reply_of(200, R"({"ciphertext":["+/8="]})"))),
              "malformed reply_not_valid");
    EXPECT_EQ(described(gcp_read_decrypted(reply_of(200, "{}"))), "malformed reply_not_valid");
    const auto failed = [](int status, std::string_view name) {
        return described(gcp_read_decrypted(reply_of(
            status, R"({"error":{"code":400,"message":"m","status":")" + std::string(name) + "\"}}")));
    };
    EXPECT_EQ(failed(403, "PERMISSION_DENIED"), "refused PERMISSION_DENIED");
    EXPECT_EQ(failed(404, "NOT_FOUND"), "refused NOT_FOUND");
    EXPECT_EQ(failed(401, "UNAUTHENTICATED"), "credentials UNAUTHENTICATED");
    EXPECT_EQ(failed(429, "RESOURCE_EXHAUSTED"), "throttled RESOURCE_EXHAUSTED");
    EXPECT_EQ(failed(503, "UNAVAILABLE"), "unavailable UNAVAILABLE");
}

TEST(Gcp, lets_nothing_into_a_path_but_names) {
    EXPECT_FALSE(gcp_problem_of(master_key));
    const auto problem = [](std::string GcpMasterKey::* part, std::string value) {
        GcpMasterKey changed = master_key;
        changed.*part = std::move(value);
        const auto found = gcp_problem_of(changed);
        return found ? described(*found) : "ok";
    };
    for (const auto part : {&GcpMasterKey::project_id, &GcpMasterKey::location, &GcpMasterKey::key_ring,
                            &GcpMasterKey::key_name, &GcpMasterKey::key_version}) {
        EXPECT_EQ(problem(part, "aZ09-._~"), "ok");
        EXPECT_EQ(problem(part, std::string(128, 'a')), "ok");
        EXPECT_EQ(problem(part, std::string(129, 'a')), "refused key_name_not_valid");
        EXPECT_EQ(problem(part, ""),
                  part == &GcpMasterKey::key_version ? "ok" : "refused key_name_not_valid");
        for (const char* const value :
             {".", "..", "a/b", "a:b", "a%2fb", "a?b", "a#b", "a b", "a\r\nX: y", "\xc3\xa9"}) {
            EXPECT_EQ(problem(part, value), "refused key_name_not_valid") << value;
        }
    }
    EXPECT_NE(gcp_problem_of({"p", "l", "..", "k", "", ""})->text.find("keyRing"), std::string::npos);
}

TEST(Gcp, logs_in_with_a_service_account) {
    GcpServiceAccount account;
    account.email = "field\"gate@clinic.iam.gserviceaccount.com";
    account.private_key = file(rsa().der());
    account.token_url = gcp_token_url({"oauth2.googleapis.com", 443, true});
    account.audience = gcp_audience(account.token_url);
    const auto request = gcp_account_login(account, now);
    ASSERT_TRUE(request);
    expect_sound(*request);
    EXPECT_EQ(request->endpoint, (Endpoint{"oauth2.googleapis.com", 443, true}));
    EXPECT_TRUE(text_of(request->bytes)
                    .starts_with("POST /token HTTP/1.1\r\n"
                                 "Host: oauth2.googleapis.com\r\n"
                                 "Accept: application/json\r\n"
                                 "Content-Type: application/x-www-form-urlencoded\r\n"));
    const std::string body = body_of(*request);
    const std::string before = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
    ASSERT_TRUE(body.starts_with(before));
    const JwtParts parts = verified_jwt(body.substr(before.size()), rsa());
    EXPECT_EQ(parts.header, R"({"alg":"RS256","typ":"JWT"})");
    EXPECT_EQ(
        parts.claims,
        R"({"iss":"field\"gate@clinic.iam.gserviceaccount.com","aud":"https://oauth2.googleapis.com/token",)"
        R"("scope":"https://www.googleapis.com/auth/cloudkms","iat":1700000000,"exp":1700000300})");

    account.private_key = file("no key");
    EXPECT_EQ(described(gcp_account_login(account, now)), "credentials private_key_not_valid");
}

TEST(Gcp, makes_the_audience_from_the_endpoint) {
    EXPECT_EQ(gcp_audience(gcp_token_url({"oauth2.googleapis.com", 443, true})),
              "https://oauth2.googleapis.com/token");
    EXPECT_EQ(gcp_audience(gcp_token_url({"oauth.example.com", 8443, true})),
              "https://oauth.example.com:8443/token");
}

TEST(Gcp, reads_a_service_account_s_file) {
    const std::string text =
        R"({"type":"service_account","client_email":"a@b","private_key":"line 1\nline 2\n",)"
        R"("token_uri":"https://oauth2.googleapis.com/token","project_id":"p"})";
    const auto read = gcp_read_credentials(file(text), "/key.json");
    ASSERT_TRUE(read);
    const auto& account = std::get<GcpServiceAccount>(*read);
    EXPECT_EQ(account.email, "a@b");
    EXPECT_EQ(text_of(account.private_key), "line 1\nline 2\n");
    EXPECT_EQ(account.token_url.endpoint, (Endpoint{"oauth2.googleapis.com", 443, true}));
    EXPECT_EQ(account.token_url.target, "/token");
    EXPECT_EQ(account.audience, "https://oauth2.googleapis.com/token");
}

std::string federation_file(std::string_view more = "",
                            std::string_view source = R"({"file":"/var/run/token"})") {
    return R"({"type":"external_account","audience":"//iam.googleapis.com/x",)"
           R"("subject_token_type":"urn:ietf:params:oauth:token-type:jwt",)"
           R"("token_url":"https://sts.googleapis.com/v1/token","credential_source":)" +
           std::string(source) + std::string(more) + "}";
}
constexpr std::string_view impersonation =
    R"(,"service_account_impersonation_url":)"
    R"("https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@b:generateAccessToken")";

GcpFederation federation(std::string_view text) {
    return std::get<GcpFederation>(std::move(gcp_read_credentials(file(text), "/wif.json").value()));
}

TEST(Gcp, reads_a_federation_s_file) {
    const GcpFederation plain = federation(federation_file());
    EXPECT_EQ(plain.token_url.endpoint, (Endpoint{"sts.googleapis.com", 443, true}));
    EXPECT_EQ(plain.token_url.target, "/v1/token");
    EXPECT_EQ(plain.audience, "//iam.googleapis.com/x");
    EXPECT_EQ(plain.subject_token_type, "urn:ietf:params:oauth:token-type:jwt");
    EXPECT_EQ(plain.subject_file, "/var/run/token");
    EXPECT_EQ(plain.subject_field, "");
    EXPECT_FALSE(plain.impersonation_url);

    const GcpFederation full = federation(federation_file(
        std::string(impersonation) + R"(,"service_account_impersonation":{"token_lifetime_seconds":600})",
        R"({"file":"/t","format":{"type":"json","subject_token_field_name":"id_token"}})"));
    EXPECT_EQ(full.subject_field, "id_token");
    EXPECT_EQ(full.impersonation_url->target, "/v1/projects/-/serviceAccounts/a@b:generateAccessToken");
    EXPECT_EQ(full.impersonation_lifetime_s, 600);
    EXPECT_EQ(federation(federation_file(impersonation)).impersonation_lifetime_s, 3600);
}

TEST(Gcp, says_what_is_wrong_with_a_credentials_file) {
    const auto why = [](std::string_view text) {
        const auto read = gcp_read_credentials(file(text), "/c.json");
        return read ? "ok" : described(read.error()) + ": " + read.error().text;
    };
    const std::string start = "credentials credentials_file_not_valid: /c.json cannot be used: ";
    EXPECT_EQ(why(""), start + "it is not a JSON object");
    EXPECT_EQ(why("[]"), start + "it is not a JSON object");
    EXPECT_EQ(why("{}"), start + "its type is neither service_account nor external_account");
    EXPECT_EQ(why(R"({"type":"authorized_user","client_secret":"s"})"),
              start + "its type is neither service_account nor external_account");
    EXPECT_EQ(why(R"({"type":"service_account"})"), start + "it has no client_email");
    EXPECT_EQ(why(R"({"type":"service_account","client_email":"a","private_key":7})"),
              start + "it has no private_key");
    EXPECT_EQ(why(R"({"type":"service_account","client_email":"a","private_key":"k"})"),
              start + "it has no token_uri");
    EXPECT_EQ(
        why(R"({"type":"service_account","client_email":"a","private_key":"k","token_uri":"http://x/token"})"),
        start + "its token_uri is not of the form https://host/path");
    EXPECT_EQ(why(federation_file("", "{}")), start + "its credential_source is not a file");
    EXPECT_EQ(why(federation_file("", R"({"url":"http://169.254.169.254/"})")),
              start + "its credential_source is not a file");
    EXPECT_EQ(why(federation_file("", R"({"file":"/t","format":{"type":"xml"}})")),
              start + "its credential_source.format is neither text nor json");
    EXPECT_EQ(why(federation_file("", R"({"file":"/t","format":{"type":"json"}})")),
              start + "it has no credential_source.format.subject_token_field_name");
    EXPECT_EQ(why(federation_file(R"(,"service_account_impersonation_url":"http://x/")")),
              start + "its service_account_impersonation_url is not of the form https://host/path");
    const auto with_lifetime = [&](int seconds) {
        return why(federation_file(std::string(impersonation) +
                                   R"(,"service_account_impersonation":{"token_lifetime_seconds":)" +
                                   std::to_string(seconds) + "}"));
    };
    EXPECT_EQ(with_lifetime(600), "ok");
    EXPECT_EQ(with_lifetime(43200), "ok");
    EXPECT_EQ(with_lifetime(599), start + "its token_lifetime_seconds is not 600 to 43200");
    EXPECT_EQ(with_lifetime(43201), start + "its token_lifetime_seconds is not 600 to 43200");
}

TEST(Gcp, exchanges_a_federated_token) {
    const auto request = gcp_exchange(federation(federation_file()), file("a.b.c\n"));
    ASSERT_TRUE(request);
    expect_sound(*request);
    EXPECT_EQ(request->endpoint, (Endpoint{"sts.googleapis.com", 443, true}));
    EXPECT_TRUE(
        text_of(request->bytes).starts_with("POST /v1/token HTTP/1.1\r\nHost: sts.googleapis.com\r\n"));
    EXPECT_EQ(body_of(*request),
              "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&"
              "audience=%2F%2Fiam.googleapis.com%2Fx&"
              "scope=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fcloudkms&"
              "requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token&"
              "subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt&subject_token=a.b.c");
    const auto for_another = gcp_exchange(federation(federation_file(impersonation)), file("a.b.c"));
    EXPECT_NE(body_of(*for_another).find("&scope=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fcloud-platform&"),
              std::string::npos);

    EXPECT_EQ(described(gcp_exchange(federation(federation_file()), file(""))),
              "credentials token_file_not_valid");
    EXPECT_EQ(described(gcp_exchange(federation(federation_file()), file("a b\nc"))),
              "credentials token_file_not_valid");
}

TEST(Gcp, takes_a_federated_token_out_of_json) {
    const GcpFederation json = federation(federation_file(
        "", R"({"file":"/t","format":{"type":"json","subject_token_field_name":"id_token"}})"));
    const auto request = gcp_exchange(json, file(R"({"id_token":"d.e.f","other":1})"));
    ASSERT_TRUE(request);
    EXPECT_TRUE(body_of(*request).ends_with("&subject_token=d.e.f"));
    EXPECT_EQ(described(gcp_exchange(json, file("a.b.c"))), "credentials token_file_not_valid");
    EXPECT_EQ(described(gcp_exchange(json, file("{}"))), "credentials token_file_not_valid");
    EXPECT_EQ(described(gcp_exchange(json, file(R"({"id_token":""})"))), "credentials token_file_not_valid");
}

TEST(Gcp, goes_on_as_a_service_account) {
    const auto request = gcp_impersonate(federation(federation_file(impersonation)), token());
    ASSERT_TRUE(request);
    expect_sound(*request);
    EXPECT_TRUE(text_of(request->bytes)
                    .starts_with("POST /v1/projects/-/serviceAccounts/a@b:generateAccessToken HTTP/1.1\r\n"
                                 "Host: iamcredentials.googleapis.com\r\n"
                                 "Accept: application/json\r\n"
                                 "Authorization: Bearer T0ken\r\n"));
    EXPECT_EQ(body_of(*request),
              R"({"scope":["https://www.googleapis.com/auth/cloudkms"],"lifetime":"3600s"})");

    const auto read = [](std::string_view body) { return gcp_read_impersonated(reply_of(200, body), now); };
    const auto token = read(R"({"accessToken":"abc","expireTime":"2023-11-14T22:13:21Z"})");  // now + 1 s
    ASSERT_TRUE(token);
    EXPECT_EQ(text_of(token->value), "abc");
    EXPECT_EQ(token->end, now + std::chrono::seconds(1));
    EXPECT_EQ(read(R"({"accessToken":"abc","expireTime":"2999-01-01T00:00:00Z"})")->end,
              now + std::chrono::days(1));
    for (const char* const body : {R"({"accessToken":"abc"})", R"({"accessToken":"abc","expireTime":"soon"})",
                                   R"({"accessToken":"abc","expireTime":"2023-11-14T22:13:20Z"})",
                                   R"({"expireTime":"2024-01-01T00:00:00Z"})",
                                   R"({"accessToken":"a b","expireTime":"2024-01-01T00:00:00Z"})"}) {
        EXPECT_EQ(described(read(body)), "malformed reply_not_valid") << body;
    }
    EXPECT_EQ(
        described(gcp_read_impersonated(
            reply_of(403, R"({"error":{"code":403,"message":"m","status":"PERMISSION_DENIED"}})"), now)),
        "credentials PERMISSION_DENIED");
}

TEST(Gcp, asks_the_metadata_server) {
    const Endpoint metadata{"metadata.google.internal", 80, false};
    const auto request = gcp_metadata_login(metadata);
    ASSERT_TRUE(request);
    EXPECT_EQ(request->endpoint, metadata);
    EXPECT_EQ(text_of(request->bytes),
              "GET /computeMetadata/v1/instance/service-accounts/default/token HTTP/1.1\r\n"
              "Host: metadata.google.internal\r\n"
              "Metadata-Flavor: Google\r\n"
              "Accept: application/json\r\n"
              "Connection: keep-alive\r\n"
              "\r\n");
}

TEST(Gcp, reads_google_s_times) {
    EXPECT_EQ(parse_google_time("1970-01-01T00:00:00Z"), UnixTime{});
    EXPECT_EQ(parse_google_time("2023-11-14T22:13:20Z"), now);
    EXPECT_EQ(parse_google_time("2023-11-14T22:13:20.045123456Z"), now);
    EXPECT_TRUE(parse_google_time("2024-02-29T23:59:59Z"));
    for (const char* const text :
         {"", "Z", "2023-11-14T22:13:20", "2023-11-14T22:13:20+01:00", "2023-11-14 22:13:20Z",
          "2023-02-29T00:00:00Z", "2023-13-01T00:00:00Z", "2023-00-01T00:00:00Z", "2023-11-14T24:00:00Z",
          "2023-11-14T22:60:00Z", "2023-11-14T22:13:60Z", "2023-11-14T22:13:20.Z",
          "2023-11-14T22:13:20.1234567890Z", "2023-11-14T22:13:2xZ", "-023-11-14T22:13:20Z",
          "2023-11-14T22:13:20ZZ", "2023-11-14T22:13:20.1xZ"}) {
        EXPECT_FALSE(parse_google_time(text)) << text;
    }
}

}  // namespace
}  // namespace fieldgate::crypto::kms
