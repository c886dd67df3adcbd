#include "crypto/kms/azure.hpp"

#include <gtest/gtest.h>

#include "tests/unit/crypto/kms_support.hpp"

namespace fieldgate::crypto::kms {
namespace {

const Endpoint vault{"clinic.vault.azure.net", 443, true};
const AzureMasterKey master_key{"clinic.vault.azure.net", "master", ""};
const std::string version = "0123456789abcdef0123456789ABCDEF";
// 96 bytes counting up from 7, as base64url: what libmongocrypt sends of the same key.
const std::string key_digits =
    "BwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8wMTIzNDU2Nzg5Ojs8PT4_"
    "QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl9gYWJjZGVm";

Token token() {
    return *token_of("T0ken", UnixTime{});
}

AzureApplication application() {
    return {{"login.microsoftonline.com", 443, true}, "tenant-1", "client-1"};
}

TEST(Azure, logs_in_with_a_client_secret) {
    const auto request = azure_secret_login(application(), "s&c r=t~+/", "https://vault.azure.net");
    ASSERT_TRUE(request);
    EXPECT_EQ(request->endpoint, (Endpoint{"login.microsoftonline.com", 443, true}));
    EXPECT_EQ(text_of(request->bytes),
              "POST /tenant-1/oauth2/v2.0/token HTTP/1.1\r\n"
              "Host: login.microsoftonline.com\r\n"
              "Accept: application/json\r\n"
              "Content-Type: application/x-www-form-urlencoded\r\n"
              "Content-Length: 130\r\n"
              "Connection: keep-alive\r\n"
              "\r\n"
              "client_id=client-1&scope=https%3A%2F%2Fvault.azure.net%2F.default&"
              "client_secret=s%26c%20r%3Dt~%2B%2F&grant_type=client_credentials");
}

TEST(Azure, logs_in_with_a_federated_token) {
    const auto request =
        azure_federated_login(application(), SecretBuffer(bytes_of("a.b.c\n")), "https://vault.azure.cn");
    ASSERT_TRUE(request);
    expect_sound(*request);
    EXPECT_TRUE(
        text_of(request->bytes)
            .ends_with("\r\n\r\n"
                       "client_id=client-1&scope=https%3A%2F%2Fvault.azure.cn%2F.default&"
                       "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-"
                       "bearer&client_assertion=a.b.c&grant_type=client_credentials"));
}

TEST(Azure, logs_in_as_the_machine) {
    const Endpoint metadata{"169.254.169.254", 80, false};
    const auto request = azure_managed_login(metadata, "", "https://vault.azure.net");
    ASSERT_TRUE(request);
    EXPECT_EQ(request->endpoint, metadata);
    EXPECT_EQ(
        text_of(request->bytes),
        "GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net%2F"
        " HTTP/1.1\r\n"
        "Host: 169.254.169.254\r\n"
        "Metadata: true\r\n"
        "Accept: application/json\r\n"
        "Connection: keep-alive\r\n"
        "\r\n");
    const auto of_several = azure_managed_login(metadata, "client 1", "https://vault.azure.net");
    EXPECT_NE(text_of(of_several->bytes).find("%2F&client_id=client%201 HTTP/1.1\r\n"), std::string::npos);
}

TEST(Azure, asks_for_wrapping) {
    const auto request = azure_wrap_request(vault, master_key, test_key(), token());
    ASSERT_TRUE(request);
    EXPECT_EQ(request->endpoint, vault);
    EXPECT_EQ(text_of(request->bytes),
              "POST /keys/master//wrapkey?api-version=7.1 HTTP/1.1\r\n"
              "Host: clinic.vault.azure.net\r\n"
              "Accept: application/json\r\n"
              "Authorization: Bearer T0ken\r\n"
              "Content-Type: application/json\r\n"
              "Content-Length: 161\r\n"
              "Connection: keep-alive\r\n"
              "\r\n"
              "{\"alg\":\"RSA-OAEP-256\",\"value\":\"" +
                  key_digits + "\"}");
}

TEST(Azure, asks_for_unwrapping) {
    const AzureMasterKey versioned{"clinic.vault.azure.net", "master", version};
    const auto request = azure_unwrap_request({"clinic.vault.azure.net", 8443, true}, versioned,
                                              Bytes{0xfb, 0xff, 0xfe}, token());
    ASSERT_TRUE(request);
    EXPECT_EQ(text_of(request->bytes), "POST /keys/master/" + version +
                                           "/unwrapkey?api-version=7.1 HTTP/1.1\r\n"
                                           "Host: clinic.vault.azure.net:8443\r\n"
                                           "Accept: application/json\r\n"
                                           "Authorization: Bearer T0ken\r\n"
                                           "Content-Type: application/json\r\n"
                                           "Content-Length: 37\r\n"
                                           "Connection: keep-alive\r\n"
                                           "\r\n"
                                           "{\"alg\":\"RSA-OAEP-256\",\"value\":\"-__-\"}");
}

TEST(Azure, reads_what_was_wrapped_and_by_which_version) {
    const auto wrapped = azure_read_wrapped(reply_of(
        200, R"({"kid":"https://clinic.vault.azure.net/keys/master/)" + version + R"(","value":"-__-"})"));
    ASSERT_TRUE(wrapped);
    EXPECT_EQ(wrapped->material, (Bytes{0xfb, 0xff, 0xfe}));
    EXPECT_EQ(wrapped->key_version, version);
    // Not what it must be: better none than a wrong one.
    for (const char* const kid : {"", "https://x/keys/master/", "https://x/keys/master/../../../secrets/x",
                                  "https://x/keys/master/0123456789abcdef0123456789abcde"}) {
        const auto other =
            azure_read_wrapped(reply_of(200, std::string(R"({"kid":")") + kid + R"(","value":"-__-"})"));
        ASSERT_TRUE(other);
        EXPECT_EQ(other->key_version, "") << kid;
    }
    EXPECT_EQ(described(azure_read_wrapped(reply_of(200, R"({"value":""})"))), "malformed reply_not_valid");
    EXPECT_EQ(described(azure_read_wrapped(reply_of(200, R"({"value":7})"))), "malformed reply_not_valid");
    EXPECT_EQ(described(azure_read_wrapped(reply_of(200, R"({"value":"+/"})"))), "malformed reply_not_valid");
}

TEST(Azure, reads_what_was_unwrapped) {
    EXPECT_TRUE(azure_read_unwrapped(reply_of(200, R"({"kid":"x","value":")" + key_digits + "\"}")).value() ==
                test_key());
    EXPECT_EQ(
        described(azure_read_unwrapped(reply_of(404, R"({"error":{"code":"KeyNotFound","message":"m"}})"))),
        "refused KeyNotFound");
    EXPECT_EQ(
        described(azure_read_unwrapped(reply_of(403, R"({"error":{"code":"Forbidden","message":"m"}})"))),
        "refused Forbidden");
    EXPECT_EQ(described(azure_read_unwrapped(reply_of(401, R"({"error":{"code":"Unauthorized"}})"))),
              "credentials Unauthorized");
    EXPECT_EQ(described(azure_read_unwrapped(reply_of(429, R"({"error":{"code":"Throttled"}})"))),
              "throttled Throttled");
    EXPECT_EQ(described(azure_read_unwrapped(reply_of(503, "Service Unavailable"))), "unavailable http_503");
}

TEST(Azure, knows_what_a_token_is_for) {
    const auto resource = [](std::string name, std::string_view platform = "login.microsoftonline.com") {
        return azure_resource({std::move(name), 443, true}, platform);
    };
    EXPECT_EQ(resource("clinic.vault.azure.net"), "https://vault.azure.net");
    EXPECT_EQ(resource("clinic.vault.azure.cn"), "https://vault.azure.cn");
    EXPECT_EQ(resource("clinic.vault.usgovcloudapi.net"), "https://vault.usgovcloudapi.net");
    EXPECT_EQ(resource("clinic.vault.microsoftazure.de"), "https://vault.microsoftazure.de");
    EXPECT_EQ(resource("clinic.managedhsm.azure.net"), "https://managedhsm.azure.net");
    EXPECT_EQ(resource("vault.clinic.example"), "https://vault.azure.net");
    EXPECT_EQ(resource("vault.clinic.example", "login.microsoftonline.us"),
              "https://vault.usgovcloudapi.net");
    EXPECT_EQ(resource("vault.clinic.example", "login.chinacloudapi.cn"), "https://vault.azure.cn");
    EXPECT_EQ(resource("vault.clinic.example", "login.partner.microsoftonline.cn"), "https://vault.azure.cn");
    EXPECT_EQ(resource("vault.clinic.example", "login.microsoftonline.de"),
              "https://vault.microsoftazure.de");
}

TEST(Azure, lets_nothing_into_a_path_but_names) {
    const auto problem = [](std::string name, std::string key_version = "") {
        const auto found = azure_problem_of({"v.vault.azure.net", std::move(name), std::move(key_version)});
        return found ? described(*found) : "ok";
    };
    EXPECT_EQ(problem("a"), "ok");
    EXPECT_EQ(problem("Clinic-Master-1"), "ok");
    EXPECT_EQ(problem(std::string(127, 'a')), "ok");
    EXPECT_EQ(problem(std::string(128, 'a')), "refused key_name_not_valid");
    for (const char* const name :
         {"", "..", "a/b", "a%2fb", "a?b", "a b", "a\r\nX: y", "a.b", "a_b", "\xc3\xa9"}) {
        EXPECT_EQ(problem(name), "refused key_name_not_valid") << name;
    }
    EXPECT_EQ(problem("a", version), "ok");
    EXPECT_EQ(problem("a", version.substr(1)), "refused key_version_not_valid");
    EXPECT_EQ(problem("a", version + "0"), "refused key_version_not_valid");
    EXPECT_EQ(problem("a", version.substr(1) + "/"), "refused key_version_not_valid");
}

}  // namespace
}  // namespace fieldgate::crypto::kms
