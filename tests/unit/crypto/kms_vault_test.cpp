#include "crypto/kms/vault.hpp"

#include "crypto/kms/json.hpp"
#include "tests/unit/crypto/kms_support.hpp"

namespace fieldgate::crypto::kms {
namespace {

const VaultServer server{{"vault.example", 8200, true}, ""};
const VaultMasterKey master_key{"patients", "", 0};

SecretBuffer token() {
    return SecretBuffer(bytes_of("hvs.t0ken"));
}

const std::string data_key_base64 =
    "BwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8wMTIzNDU2Nzg5Ojs8PT4/"
    "QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl9gYWJjZGVm";

TEST(KmsVault, an_address_is_an_https_url) {
    EXPECT_EQ(parse_vault_address("https://vault.example:8200"), (Endpoint{"vault.example", 8200, true}));
    EXPECT_EQ(parse_vault_address("https://Vault.example/"), (Endpoint{"vault.example", 443, true}));
    EXPECT_EQ(parse_vault_address("https://[::1]:8200"), (Endpoint{"::1", 8200, true}));
    for (const std::string_view address :
         {"", "vault.example", "http://vault.example", "https://", "https://a/v1", "https://a//",
          "https://u@a", "https://a:0", "HTTPS://a"})
        EXPECT_EQ(parse_vault_address(address), std::nullopt) << address;
}

TEST(KmsVault, an_encrypt_request) {
    EXPECT_EQ(text_of(vault_encrypt_request(server, master_key, test_key(), token())->bytes),
              "POST /v1/transit/encrypt/patients HTTP/1.1\r\n"
              "Host: vault.example:8200\r\n"
              "X-Vault-Request: true\r\n"
              "X-Vault-Token: hvs.t0ken\r\n"
              "Content-Type: application/json\r\n"
              "Content-Length: 145\r\n"
              "Connection: keep-alive\r\n"
              "\r\n"
              "{\"plaintext\": \"" +
                  data_key_base64 + "\"}");
}

TEST(KmsVault, version_mount_and_namespace) {
    const VaultServer spaced{{"vault.example", 443, true}, "clinic/emea"};
    const VaultMasterKey named{"a key+1", "secrets/tran sit", 12};
    const std::string text = text_of(vault_encrypt_request(spaced, named, test_key(), token())->bytes);
    EXPECT_TRUE(
        text.starts_with("POST /v1/secrets/tran%20sit/encrypt/a%20key%2B1 HTTP/1.1\r\n"
                         "Host: vault.example\r\n"
                         "X-Vault-Request: true\r\n"
                         "X-Vault-Namespace: clinic/emea\r\n"
                         "X-Vault-Token: hvs.t0ken\r\n"))
        << text;
    EXPECT_TRUE(text.ends_with("\", \"key_version\": 12}"));
}

TEST(KmsVault, a_decrypt_request_has_no_version) {
    const VaultMasterKey named{"patients", "transit", 12};
    EXPECT_EQ(text_of(vault_decrypt_request(server, named, bytes_of("vault:v3:AbC+/0=="), token())->bytes),
              "POST /v1/transit/decrypt/patients HTTP/1.1\r\n"
              "Host: vault.example:8200\r\n"
              "X-Vault-Request: true\r\n"
              "X-Vault-Token: hvs.t0ken\r\n"
              "Content-Type: application/json\r\n"
              "Content-Length: 35\r\n"
              "Connection: keep-alive\r\n"
              "\r\n"
              "{\"ciphertext\": \"vault:v3:AbC+/0==\"}");
}

TEST(KmsVault, names_cannot_leave_their_place_in_the_path) {
    const auto result = [](std::string_view name, std::string_view mount) {
        const VaultMasterKey key{std::string(name), std::string(mount), 0};
        const auto encrypt = vault_encrypt_request(server, key, test_key(), token());
        const auto decrypt = vault_decrypt_request(server, key, bytes_of("vault:v1:AA=="), token());
        EXPECT_EQ(described(encrypt), described(decrypt));
        if (!encrypt) return described(encrypt);
        expect_sound(*encrypt);
        const std::string text = text_of(encrypt->bytes);
        return text.substr(0, text.find(" HTTP/1.1"));
    };
    using std::string_view_literals::operator""sv;
    for (const std::string_view name : {""sv, "."sv, ".."sv, "a/b"sv, "../sys/seal"sv, "/a"sv, "a/"sv})
        EXPECT_EQ(result(name, ""), "refused master_key_not_valid") << name;
    for (const std::string_view mount :
         {"/"sv, "/a"sv, "a/"sv, "a//b"sv, "a/../sys"sv, ".."sv, "."sv, "a/./b"sv})
        EXPECT_EQ(result("k", mount), "refused master_key_not_valid") << mount;
    EXPECT_EQ(result("a?b#c%2f\r\nX: y\0"sv, "m\r\n"),
              "POST /v1/m%0D%0A/encrypt/a%3Fb%23c%252f%0D%0AX%3A%20y%00");
    EXPECT_EQ(result("...", "..a"), "POST /v1/..a/encrypt/...");
    EXPECT_EQ(described(vault_encrypt_request(server, {"k", "", -1}, test_key(), token())),
              "refused master_key_not_valid");
    EXPECT_EQ(described(vault_encrypt_request(server, {"k", "", 2147483647}, test_key(), token())), "ok");
}

TEST(KmsVault, headers_cannot_be_split) {
    const VaultServer hostile{{"vault.example", 443, true}, "a\r\nX: y"};
    EXPECT_EQ(described(vault_encrypt_request(hostile, master_key, test_key(), token())),
              "malformed request_not_sound");
    EXPECT_EQ(described(vault_encrypt_request(server, master_key, test_key(), SecretBuffer(bytes_of("a\n")))),
              "malformed request_not_sound");
}

TEST(KmsVault, key_material_is_the_text_of_transit) {
    const auto result = [](std::string_view wrapped) {
        return described(vault_decrypt_request(server, master_key, bytes_of(wrapped), token()));
    };
    EXPECT_EQ(result("vault:v1:AA=="), "ok");
    EXPECT_EQ(result("vault:v1234567890:A"), "ok");
    using std::string_view_literals::operator""sv;
    for (const std::string_view wrapped :
         {""sv, "vault"sv, "vault:v"sv, "vault:v1"sv, "vault:v1:"sv, "vault:v:AA=="sv, "vault:vx:AA=="sv,
          "vault:v-1:AA=="sv, "vault:v12345678901:A"sv, "Vault:v1:AA=="sv, "vault:v1:A A"sv,
          "vault:v1:AA==\n"sv, "vault:v1:\"}"sv, "vault:v1:\0"sv, "\xff\xfe"sv})
        EXPECT_EQ(result(wrapped), "refused wrapped_key_not_valid") << wrapped;
    EXPECT_EQ(result("vault:v1:" + std::string(4096 - 9, 'A')), "ok");
    EXPECT_EQ(result("vault:v1:" + std::string(4097 - 9, 'A')), "refused wrapped_key_not_valid");
}

TEST(KmsVault, replies_that_succeeded) {
    const auto encrypted = vault_read_encrypted(
        reply_of(
            200,
            R"({"request_id":"x","lease_duration":0,"data":{"ciphertext":"vault:v1:AbC=","key_version":1}})"),
        false);
    EXPECT_EQ(encrypted.value(), from_text("vault:v1:AbC="));
    EXPECT_EQ(
        vault_read_decrypted(reply_of(200, R"({"data":{"plaintext":")" + data_key_base64 + "\"}}"), false)
            .value(),
        test_key());
}

TEST(KmsVault, replies_that_are_none) {
    for (const std::string_view body :
         {"", "{}", "[]", "null", R"({"data":null})", R"({"data":"vault:v1:AA=="})",
          R"({"data":{"ciphertext":1}})", R"({"data":{"plaintext":"AA=","ciphertext":"AA=="}})",
          R"({"data":{"plaintext":null,"ciphertext":""}})",
          R"({"ciphertext":"vault:v1:AA==","plaintext":"AA=="})",
          R"({"data":{"ciphertext":"vault:v1:AA==\n","plaintext":"A"}})"}) {
        EXPECT_EQ(vault_read_encrypted(reply_of(200, body), true).error().kind, Failure::Kind::malformed)
            << body;
        EXPECT_EQ(vault_read_decrypted(reply_of(200, body), true).error().kind, Failure::Kind::malformed)
            << body;
    }
    for (const std::size_t size : {0u, 95u, 97u})
        EXPECT_EQ(
            described(vault_read_decrypted(
                reply_of(200, R"({"data":{"plaintext":")" + text_of(base64_encode(Bytes(size, 1))) + "\"}}"),
                true)),
            "malformed data_key_length");
}

TEST(KmsVault, failures_by_status) {
    const auto kind = [](int status, bool login_can_help) {
        const Reply reply =
            reply_of(status, R"({"errors":["1 error occurred:\n\t* permission denied\n\n"]})");
        const auto encrypted = vault_read_encrypted(reply, login_can_help);
        const auto decrypted = vault_read_decrypted(reply, login_can_help);
        EXPECT_EQ(described(encrypted), described(decrypted));
        return described(encrypted);
    };
    for (const int status : {400, 404, 405, 413})
        EXPECT_EQ(kind(status, true), "refused http_" + std::to_string(status));
    EXPECT_EQ(kind(403, true), "credentials http_403");
    EXPECT_EQ(kind(403, false), "refused http_403");
    EXPECT_EQ(kind(401, true), "credentials http_401");
    EXPECT_EQ(kind(429, true), "throttled http_429");
    for (const int status : {408, 412, 472, 473, 500, 502, 503, 504})
        EXPECT_EQ(kind(status, true), "unavailable http_" + std::to_string(status));
    for (const int status : {201, 204, 301, 307})
        EXPECT_EQ(kind(status, true), "malformed http_" + std::to_string(status));
}

TEST(KmsVault, the_text_of_a_failure_says_what_vault_said) {
    const auto text = [](int status, std::string_view body) {
        return vault_read_decrypted(reply_of(status, body), true).error().text;
    };
    EXPECT_EQ(text(403, R"({"errors":["1 error occurred:\n\t* permission denied\n\n"]})"),
              "http_403: 1 error occurred: * permission denied");
    EXPECT_EQ(text(404, R"({"errors":[]})"), "http_404: there is no such path: mount, key name or namespace");
    EXPECT_EQ(text(503, "<html>"), "http_503: the server is sealed or in maintenance");
    EXPECT_EQ(text(502, ""), "http_502");
    EXPECT_NE(text(307, "").find("`address`"), std::string::npos);
    EXPECT_LE(text(400, "{\"errors\":[\"" + std::string(5000, '!') + "\"]}").size(), 300u);
}

TEST(KmsVault, logins_are_posted) {
    const VaultServer spaced{{"vault.example", 443, true}, "clinic"};
    EXPECT_EQ(
        text_of(vault_app_role_request(spaced, "approle", "id", SecretBuffer(bytes_of("s\"ecret")))->bytes),
        "POST /v1/auth/approle/login HTTP/1.1\r\n"
        "Host: vault.example\r\n"
        "X-Vault-Request: true\r\n"
        "X-Vault-Namespace: clinic\r\n"
        "Content-Type: application/json\r\n"
        "Content-Length: 42\r\n"
        "Connection: keep-alive\r\n"
        "\r\n"
        R"({"role_id": "id", "secret_id": "s\"ecret"})");
    const std::string text = text_of(
        vault_kubernetes_request(server, "team a/k8s", "fieldgate", SecretBuffer(bytes_of("ey.J")))->bytes);
    EXPECT_TRUE(text.starts_with("POST /v1/auth/team%20a/k8s/login HTTP/1.1\r\n"));
    EXPECT_TRUE(text.ends_with("\r\n\r\n{\"role\": \"fieldgate\", \"jwt\": \"ey.J\"}"));
    EXPECT_EQ(text.find("X-Vault-Token"), std::string::npos);
    for (const std::string_view mount : {"", "..", "a/../b", "/a"})
        EXPECT_EQ(described(vault_app_role_request(server, mount, "id", SecretBuffer(bytes_of("s")))),
                  "credentials auth_mount_not_valid");
}

TEST(KmsVault, the_reply_to_a_login) {
    const auto read = [](std::string_view auth) {
        return vault_read_login(reply_of(200, "{\"auth\": " + std::string(auth) + "}"));
    };
    auto login = read(R"({"client_token":"hvs.x","lease_duration":1800,"renewable":true,"policies":["a"]})");
    ASSERT_TRUE(login.has_value());
    EXPECT_EQ(text_of(login->token), "hvs.x");
    EXPECT_EQ(login->lease, std::chrono::seconds(1800));
    EXPECT_EQ(read(R"({"client_token":"x","lease_duration":0})")->lease, std::nullopt);
    // Enormous, but a number: a date that far away could not be counted.
    EXPECT_EQ(read(R"({"client_token":"x","lease_duration":9223372036854775807})")->lease,
              std::chrono::days(366));
    EXPECT_EQ(
        text_of(read("{\"client_token\":\"" + std::string(8192, 'x') + "\",\"lease_duration\":1}")->token)
            .size(),
        8192u);
    for (const std::string& auth :
         {std::string("null"), std::string("{}"), std::string(R"({"client_token":"x"})"),
          std::string(R"({"lease_duration":1})"), std::string(R"({"client_token":"","lease_duration":1})"),
          std::string(R"({"client_token":7,"lease_duration":1})"),
          std::string(R"({"client_token":"x","lease_duration":-1})"),
          std::string(R"({"client_token":"x","lease_duration":9223372036854775808})"),
          std::string(R"({"client_token":"x","lease_duration":1.5})"),
          std::string(R"({"client_token":"x\r\nX: y","lease_duration":1})"),
          "{\"client_token\":\"" + std::string(8193, 'x') + "\",\"lease_duration\":1}"})
        EXPECT_EQ(described(read(auth)), "malformed reply_not_valid") << auth.substr(0, 80);
    EXPECT_EQ(described(vault_read_login(reply_of(200, ""))), "malformed not_json");

    const auto failed = [](int status) {
        return described(vault_read_login(reply_of(status, R"({"errors":["x"]})")));
    };
    EXPECT_EQ(failed(400), "credentials http_400");
    EXPECT_EQ(failed(403), "credentials http_403");
    EXPECT_EQ(failed(404), "refused http_404");
    EXPECT_EQ(failed(429), "throttled http_429");
    EXPECT_EQ(failed(503), "unavailable http_503");
}

}  // namespace
}  // namespace fieldgate::crypto::kms
