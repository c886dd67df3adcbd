#include "crypto/openssl.hpp"

namespace fieldgate::crypto {

const EVP_CIPHER* aes_256_cbc() noexcept {
    static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr);
    return cipher;
}

const EVP_MD* sha_512() noexcept {
    static const EVP_MD* const digest = EVP_MD_fetch(nullptr, "SHA2-512", nullptr);
    return digest;
}

}  // namespace fieldgate::crypto
