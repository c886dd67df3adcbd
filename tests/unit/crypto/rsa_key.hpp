#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/kms/json.hpp"

// RSA keys for the tests, made as they run: none is kept anywhere.
namespace fieldgate::crypto {

class RsaKey {
 public:
    explicit RsaKey(unsigned bits = 2048) : key_(EVP_RSA_gen(bits), &EVP_PKEY_free) {
        if (!key_) throw std::runtime_error("no RSA key");
    }

    // PKCS#8, as Google's files have it.
    std::string pem() const {
        return text([this](BIO* out) {
            return PEM_write_bio_PKCS8PrivateKey(out, key_.get(), nullptr, nullptr, 0, nullptr, nullptr);
        });
    }
    std::string pem_with_pass_phrase(std::string pass_phrase) const {
        return text([&](BIO* out) {
            return PEM_write_bio_PKCS8PrivateKey(out, key_.get(), EVP_aes_256_cbc(), pass_phrase.data(),
                                                 static_cast<int>(pass_phrase.size()), nullptr, nullptr);
        });
    }
    // Base64 of PKCS#8, as drivers have it.
    std::string der() const {
        const std::string bytes =
            text([this](BIO* out) { return i2d_PKCS8PrivateKeyInfo_bio(out, key_.get()); });
        const SecretBuffer digits = kms::base64_encode(kms::bytes_of(bytes));
        return std::string(kms::text_of(digits.expose_secret()));
    }

    // RSASSA-PKCS1-v1_5 with SHA-256.
    bool verifies(std::string_view message, std::span<const std::uint8_t> signature) const {
        const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
        const auto bytes = kms::bytes_of(message);
        return EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key_.get()) == 1 &&
               EVP_DigestVerify(context.get(), signature.data(), signature.size(), bytes.data(),
                                bytes.size()) == 1;
    }

 private:
    template <class Write>
    static std::string text(const Write& write) {
        const std::unique_ptr<BIO, int (*)(BIO*)> out(BIO_new(BIO_s_mem()), &BIO_free);
        if (write(out.get()) != 1) throw std::runtime_error("the RSA key cannot be written");
        char* data = nullptr;
        const long size_bytes = BIO_get_mem_data(out.get(), &data);
        return {data, static_cast<std::size_t>(size_bytes)};
    }

    std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key_;
};

// What a JSON Web Token says, if its signature is of this key; empty otherwise.
struct JwtParts {
    std::string header;
    std::string claims;
};
inline JwtParts verified_jwt(std::string_view token, const RsaKey& key) {
    const std::size_t first = token.find('.');
    const std::size_t second = token.rfind('.');
    if (first == std::string_view::npos || second == first) return {};
    const auto decoded = [](std::string_view text) {
        if (text.ends_with('=')) return std::string();
        const auto bytes = kms::base64_decode(text, kms::Base64::url);
        return bytes ? std::string(kms::text_of(bytes->expose_secret())) : std::string();
    };
    const std::string signature = decoded(token.substr(second + 1));
    if (!key.verifies(token.substr(0, second), kms::bytes_of(signature))) return {};
    return {decoded(token.substr(0, first)), decoded(token.substr(first + 1, second - first - 1))};
}

}  // namespace fieldgate::crypto
