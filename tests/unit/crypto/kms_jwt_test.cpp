#include "crypto/kms/jwt.hpp"

#include <gtest/gtest.h>
#include <openssl/err.h>

#include "tests/unit/crypto/kms_support.hpp"
#include "tests/unit/crypto/rsa_key.hpp"

namespace fieldgate::crypto::kms {
namespace {

const RsaKey& key() {
    static const RsaKey made;
    return made;
}

Result<SecretBuffer> sign(std::string_view private_key) {
    return sign_jwt(R"({"iss":"a","exp":1})", SecretBuffer(bytes_of(private_key)));
}

std::string outcome(std::string_view private_key) {
    return described(sign(private_key));
}

TEST(Jwt, is_signed_with_the_key_in_either_form) {
    for (const std::string& private_key : {key().pem(), key().der()}) {
        const auto token = sign(private_key);
        ASSERT_TRUE(token);
        const JwtParts parts = verified_jwt(text_of(*token), key());
        EXPECT_EQ(parts.header, R"({"alg":"RS256","typ":"JWT"})");
        EXPECT_EQ(parts.claims, R"({"iss":"a","exp":1})");
    }
}

TEST(Jwt, does_not_verify_with_another_key_or_other_claims) {
    const std::string token = text_of(*sign(key().pem()));
    EXPECT_EQ(verified_jwt(token, RsaKey()).claims, "");
    std::string changed = token;
    char& c = changed[token.find('.') + 3];
    c = c == 'A' ? 'B' : 'A';
    EXPECT_EQ(verified_jwt(changed, key()).claims, "");
}

TEST(Jwt, refuses_what_is_no_rsa_key_of_2048_bits) {
    EXPECT_EQ(outcome(RsaKey(2048).der()), "ok");
    EXPECT_EQ(outcome(RsaKey(2040).der()), "credentials private_key_not_valid");
    const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> elliptic(EVP_EC_gen("P-256"), &EVP_PKEY_free);
    const std::unique_ptr<BIO, int (*)(BIO*)> out(BIO_new(BIO_s_mem()), &BIO_free);
    ASSERT_EQ(PEM_write_bio_PKCS8PrivateKey(out.get(), elliptic.get(), nullptr, nullptr, 0, nullptr, nullptr),
              1);
    char* data = nullptr;
    const long size_bytes = BIO_get_mem_data(out.get(), &data);
    EXPECT_EQ(outcome({data, static_cast<std::size_t>(size_bytes)}), "credentials private_key_not_valid");
}

TEST(Jwt, refuses_keys_that_are_damaged) {
    ERR_clear_error();
    const std::string pem = key().pem();
    const std::string der = key().der();
    const std::string public_key = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";
    for (const std::string& damaged :
         {std::string(), std::string("x"), pem.substr(0, pem.size() / 2), der.substr(0, der.size() / 8 * 4),
          "AAAA" + der, der + "=", der.substr(0, der.size() - 4) + "AAAAAAAA", public_key,
          std::string("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"), " " + der}) {
        EXPECT_EQ(outcome(damaged), "credentials private_key_not_valid") << damaged.substr(0, 40);
    }
    EXPECT_EQ(ERR_peek_error(), 0u);  // nothing is left behind for others to find
}

// And does not ask for the pass phrase at the terminal.
TEST(Jwt, refuses_keys_with_a_pass_phrase) {
    ERR_clear_error();
    EXPECT_EQ(outcome(key().pem_with_pass_phrase("open sesame")), "credentials private_key_not_valid");
    EXPECT_EQ(ERR_peek_error(), 0u);
}

TEST(Jwt, says_nothing_of_the_key_when_it_fails) {
    const auto token = sign("c2VjcmV0LXNlY3JldC1zZWNyZXQ=");
    ASSERT_FALSE(token);
    EXPECT_EQ(token.error().text.find("c2VjcmV0"), std::string::npos);
}

}  // namespace
}  // namespace fieldgate::crypto::kms
