#include "crypto/kms/oauth.hpp"

#include <gtest/gtest.h>

#include "tests/unit/crypto/kms_support.hpp"

namespace fieldgate::crypto::kms {
namespace {

const Endpoint host{"login.example.com", 443, true};
constexpr Answerer manager{"The manager"};
constexpr Answerer login{"The platform", Answerer::Role::login};
constexpr Answerer metadata{"The metadata service", Answerer::Role::metadata};
constexpr UnixTime now{std::chrono::seconds(1'700'000'000)};

TEST(Oauth, encodes_forms) {
    const std::string token = " \tab.c-_~\r\n";
    FormBody form;
    form.add("a", "x y&z=1+2/%").add_token("token", SecretBuffer(bytes_of(token))).add("last", "");
    const auto request = form.post(host, "/token");
    ASSERT_TRUE(request);
    EXPECT_EQ(request->endpoint, host);
    EXPECT_EQ(request->protocol, Protocol::http);
    EXPECT_EQ(text_of(request->bytes),
              "POST /token HTTP/1.1\r\n"
              "Host: login.example.com\r\n"
              "Accept: application/json\r\n"
              "Content-Type: application/x-www-form-urlencoded\r\n"
              "Content-Length: 45\r\n"
              "Connection: keep-alive\r\n"
              "\r\n"
              "a=x%20y%26z%3D1%2B2%2F%25&token=ab.c-_~&last=");
}

TEST(Oauth, posts_with_a_bearer_token) {
    const auto token = token_of("T0ken", now);
    const Bytes value{0xfb, 0xff};
    const auto request =
        bearer_post({"kms.example.com", 8443, true}, "/x", *token, "{\"v\":\"", value, Base64::url, "\"}");
    ASSERT_TRUE(request);
    EXPECT_EQ(text_of(request->bytes),
              "POST /x HTTP/1.1\r\n"
              "Host: kms.example.com:8443\r\n"
              "Accept: application/json\r\n"
              "Authorization: Bearer T0ken\r\n"
              "Content-Type: application/json\r\n"
              "Content-Length: 11\r\n"
              "Connection: keep-alive\r\n"
              "\r\n"
              "{\"v\":\"-_8\"}");
}

TEST(Oauth, takes_tokens_that_can_stand_in_a_header) {
    EXPECT_TRUE(token_of("a.b-c_d~e+f/g=", now));
    EXPECT_FALSE(token_of("", now));
    EXPECT_FALSE(token_of("a b", now));
    EXPECT_FALSE(token_of("a\r\nX: y", now));
    EXPECT_FALSE(token_of(std::string_view("a\0b", 3), now));
    EXPECT_FALSE(token_of("\xc3\xa9", now));
    EXPECT_TRUE(is_token_file(SecretBuffer(bytes_of("abc\n"))));
    EXPECT_FALSE(is_token_file(SecretBuffer(bytes_of("abc\ndef"))));
    EXPECT_FALSE(is_token_file(SecretBuffer(bytes_of(" \n"))));
    EXPECT_FALSE(is_token_file(SecretBuffer()));
}

TEST(Oauth, reads_tokens_and_their_ends) {
    const auto read = [](std::string_view body) { return read_token(reply_of(200, body), login, now); };
    const auto end_of = [&](std::string_view body) { return (read(body).value().end - now).count(); };
    const auto token = read(R"({"token_type":"Bearer","expires_in":3599,"access_token":"abc"})");
    ASSERT_TRUE(token);
    EXPECT_EQ(text_of(token->value), "abc");
    EXPECT_EQ((token->end - now).count(), 3599);
    EXPECT_EQ(end_of(R"({"expires_in":"86399","access_token":"abc"})"), 86399);  // Azure's metadata service
    EXPECT_EQ(end_of(R"({"expires_in":1,"access_token":"abc","token_type":"bearer"})"), 1);
    EXPECT_EQ(end_of(R"({"expires_in":9223372036854775807,"access_token":"abc"})"), 7 * 86400);

    for (const char* const body :
         {R"({"expires_in":3599})", R"({"expires_in":3599,"access_token":7})",
          R"({"expires_in":3599,"access_token":""})", R"({"expires_in":3599,"access_token":"a\r\nb"})",
          R"({"access_token":"abc"})", R"({"expires_in":0,"access_token":"abc"})",
          R"({"expires_in":-5,"access_token":"abc"})", R"({"expires_in":"soon","access_token":"abc"})",
          R"({"expires_in":1.5,"access_token":"abc"})",
          R"({"expires_in":3599,"access_token":"abc","token_type":"mac"})"}) {
        EXPECT_EQ(described(read(body)), "malformed reply_not_valid") << body;
    }
    EXPECT_EQ(described(read("")), "malformed not_json");
    EXPECT_EQ(described(read("[]")), "malformed not_json");
    EXPECT_EQ(described(read(R"({"expires_in":3599,"access_)")), "malformed not_json");
}

TEST(Oauth, puts_every_status_into_its_kind) {
    const auto kind = [](int status, const Answerer& answerer) {
        return described(read_success(reply_of(status, R"({"error":"x"})"), answerer));
    };
    EXPECT_EQ(kind(200, manager), "ok");
    EXPECT_EQ(kind(201, manager), "malformed x");
    EXPECT_EQ(kind(204, manager), "malformed x");
    EXPECT_EQ(kind(302, manager), "malformed x");
    EXPECT_EQ(kind(400, manager), "refused x");
    EXPECT_EQ(kind(401, manager), "credentials x");
    EXPECT_EQ(kind(403, manager), "refused x");
    EXPECT_EQ(kind(404, manager), "refused x");
    EXPECT_EQ(kind(408, manager), "unavailable x");
    EXPECT_EQ(kind(429, manager), "throttled x");
    EXPECT_EQ(kind(500, manager), "unavailable x");
    EXPECT_EQ(kind(503, manager), "unavailable x");
    EXPECT_EQ(kind(400, login), "credentials x");
    EXPECT_EQ(kind(401, login), "credentials x");
    EXPECT_EQ(kind(403, login), "credentials x");
    EXPECT_EQ(kind(404, login), "credentials x");
    EXPECT_EQ(kind(429, login), "throttled x");
    EXPECT_EQ(kind(503, login), "unavailable x");
    EXPECT_EQ(kind(400, metadata), "credentials x");
    EXPECT_EQ(kind(404, metadata), "unavailable x");
    EXPECT_EQ(kind(410, metadata), "unavailable x");
    EXPECT_EQ(kind(410, manager), "refused x");
}

TEST(Oauth, names_failures_as_the_provider_does) {
    const auto failure = [](int status, std::string_view body) {
        return read_success(reply_of(status, body), manager).error();
    };
    const Failure azure =
        failure(403, R"({"error":{"code":"Forbidden","message":"Caller is not authorized.\r\nCaller: x"}})");
    EXPECT_EQ(azure.code, "Forbidden");
    EXPECT_EQ(azure.status, 403);
    EXPECT_EQ(azure.text, "The manager answered with status 403: Caller is not authorized. Caller: x");
    EXPECT_EQ(failure(403, R"({"error":{"code":403,"message":"no","status":"PERMISSION_DENIED"}})").code,
              "PERMISSION_DENIED");
    const Failure oauth =
        failure(401, R"({"error":"invalid_client","error_description":"AADSTS7000215: no"})");
    EXPECT_EQ(oauth.code, "invalid_client");
    EXPECT_EQ(oauth.text, "The manager answered with status 401: AADSTS7000215: no");

    EXPECT_EQ(failure(503, "<html>Service Unavailable</html>").code, "http_503");
    EXPECT_EQ(failure(503, "").text, "The manager answered with status 503");
    EXPECT_EQ(failure(400, R"({"error":7})").code, "http_400");
    EXPECT_EQ(failure(400, R"({"error":"\r\n\u0000"})").code, "http_400");
    EXPECT_EQ(failure(400, R"({"error":{"code":")" + std::string(2000, 'c') + "\"}}").code,
              std::string(64, 'c'));
    EXPECT_LE(
        failure(400, R"({"error":{"code":"c","message":")" + std::string(1000, ' ') + "\"}}").text.size(),
        300u);
    // Nobody prints back what may be the token they were sent.
    const std::string token(100, 't');
    EXPECT_EQ(failure(400, R"({"error":"e","error_description":"bad: )" + token + "\"}").text.find(token),
              std::string::npos);
}

TEST(Oauth, reads_data_keys_of_96_bytes_only) {
    const auto read = [](std::size_t size_bytes) {
        const std::string digits = text_of(base64_encode(Bytes(size_bytes, 7), Base64::standard));
        return read_data_key(reply_of(200, R"({"plaintext":")" + digits + "\"}"), manager, "plaintext",
                             Base64::standard);
    };
    EXPECT_TRUE(read(96).value() == key_from(Bytes(96, 7)));
    EXPECT_EQ(described(read(95)), "malformed data_key_length");
    EXPECT_EQ(described(read(97)), "malformed data_key_length");
    EXPECT_EQ(described(read(0)), "malformed data_key_length");
    const auto other = [](int status, std::string_view body) {
        return described(read_data_key(reply_of(status, body), manager, "plaintext", Base64::standard));
    };
    EXPECT_EQ(other(200, "{}"), "malformed reply_not_valid");
    EXPECT_EQ(other(200, R"({"plaintext":7})"), "malformed reply_not_valid");
    EXPECT_EQ(other(200, R"({"plaintext":"a"})"), "malformed reply_not_valid");
    EXPECT_EQ(other(200, R"({"plaintext":"YWI-"})"), "malformed reply_not_valid");
    EXPECT_EQ(other(200, R"({"plaintext":"YW)"), "malformed not_json");
    EXPECT_EQ(other(500, "{}"), "unavailable http_500");
}

TEST(Oauth, bounds_wrapped_keys) {
    const auto read = [](std::size_t size_bytes) {
        const std::string digits = text_of(base64_encode(Bytes(size_bytes, 7), Base64::url));
        const auto json = JsonReply::parse(reply_of(200, R"({"value":")" + digits + "\"}"));
        return described(read_wrapped_key(*json, manager, "value", Base64::url));
    };
    EXPECT_EQ(read(1), "ok");
    EXPECT_EQ(read(4096), "ok");
    EXPECT_EQ(read(0), "malformed reply_not_valid");
    EXPECT_EQ(read(4097), "malformed reply_not_valid");
    EXPECT_FALSE(problem_of_wrapped_key(Bytes(1)));
    EXPECT_FALSE(problem_of_wrapped_key(Bytes(4096)));
    EXPECT_EQ(described(*problem_of_wrapped_key(Bytes())), "malformed wrapped_key_length");
    EXPECT_EQ(described(*problem_of_wrapped_key(Bytes(4097))), "malformed wrapped_key_length");
}

TEST(Oauth, reads_addresses_of_metadata_services_and_credential_files) {
    EXPECT_EQ(parse_metadata_address("http://169.254.169.254"), (Endpoint{"169.254.169.254", 80, false}));
    EXPECT_EQ(parse_metadata_address("http://localhost:8080/"), (Endpoint{"localhost", 8080, false}));
    EXPECT_FALSE(parse_metadata_address("https://localhost"));
    EXPECT_FALSE(parse_metadata_address("localhost"));
    EXPECT_FALSE(parse_metadata_address("http://localhost/path"));
    EXPECT_FALSE(parse_metadata_address("http://user@localhost"));

    const auto url = parse_https_url("https://sts.googleapis.com/v1/token?a=b");
    ASSERT_TRUE(url);
    EXPECT_EQ(url->endpoint, (Endpoint{"sts.googleapis.com", 443, true}));
    EXPECT_EQ(url->target, "/v1/token?a=b");
    EXPECT_EQ(parse_https_url("https://sts.googleapis.com:8443")->target, "/");
    EXPECT_EQ(parse_https_url("https://sts.googleapis.com:8443")->endpoint.port, 8443);
    EXPECT_FALSE(parse_https_url("http://sts.googleapis.com/v1/token"));
    EXPECT_FALSE(parse_https_url("sts.googleapis.com/v1/token"));
    EXPECT_FALSE(parse_https_url("https:///v1/token"));
    EXPECT_FALSE(parse_https_url("https://user:pw@sts.googleapis.com/"));
    EXPECT_FALSE(parse_https_url("https://sts.googleapis.com?x"));
    EXPECT_FALSE(parse_https_url("https://sts.googleapis.com/a b"));
    EXPECT_FALSE(parse_https_url("https://sts.googleapis.com/a\r\nX: y"));
    EXPECT_FALSE(parse_https_url("https://sts.googleapis.com/a#b"));
}

TEST(Oauth, says_what_may_be_tried_again) {
    const auto helps = [](Failure::Kind kind) { return may_help_to_retry({kind, 0, {}, {}}); };
    EXPECT_TRUE(helps(Failure::Kind::throttled));
    EXPECT_TRUE(helps(Failure::Kind::unavailable));
    EXPECT_FALSE(helps(Failure::Kind::refused));
    EXPECT_FALSE(helps(Failure::Kind::credentials));
    EXPECT_FALSE(helps(Failure::Kind::malformed));
}

}  // namespace
}  // namespace fieldgate::crypto::kms
