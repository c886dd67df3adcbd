#include "crypto/kms/jwt.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "crypto/kms/http.hpp"
#include "crypto/kms/json.hpp"
#include "crypto/openssl.hpp"

namespace fieldgate::crypto::kms {
namespace {

using PrivateKey = std::unique_ptr<EVP_PKEY, Free<&EVP_PKEY_free>>;
using Bio = std::unique_ptr<BIO, Free<&BIO_free>>;

constexpr int key_bits_min = 2048;

// OpenSSL would ask for the pass phrase of an encrypted key at the terminal.
int no_pass_phrase(char*, int, int, void*) {
    return -1;
}

PrivateKey read_pem(std::span<const std::uint8_t> text) {
    const Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
    return PrivateKey(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, &no_pass_phrase, nullptr) : nullptr);
}

PrivateKey read_der(std::span<const std::uint8_t> der) {
    const unsigned char* at = der.data();
    PrivateKey key(d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(der.size())));
    if (at != der.data() + der.size()) return nullptr;
    return key;
}

PrivateKey read_private_key(const SecretBuffer& contents) {
    const auto bytes = contents.expose_secret();
    PrivateKey key;
    if (text_of(bytes).starts_with("-----BEGIN ")) {
        key = read_pem(bytes);
    } else if (const auto der = base64_decode(text_of(bytes)); der && !der->empty()) {
        key = read_der(der->expose_secret());
    }
    if (!key || EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_RSA ||
        EVP_PKEY_get_bits(key.get()) < key_bits_min) {
        return nullptr;
    }
    return key;
}

std::vector<std::uint8_t> sign(EVP_PKEY* key, std::span<const std::uint8_t> message) {
    const DigestCtx context(EVP_MD_CTX_new());
    std::size_t size_bytes = 0;
    if (!context || EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key) != 1 ||
        EVP_DigestSign(context.get(), nullptr, &size_bytes, message.data(), message.size()) != 1) {
        return {};
    }
    std::vector<std::uint8_t> signature(size_bytes);
    if (EVP_DigestSign(context.get(), signature.data(), &size_bytes, message.data(), message.size()) != 1) {
        return {};
    }
    signature.resize(size_bytes);
    return signature;
}

}  // namespace

Result<SecretBuffer> sign_jwt(std::string_view claims, const SecretBuffer& private_key) {
    // The token is a secret, as long as it lasts: whoever has it gets access tokens.
    SecretBuffer token = base64_encode(bytes_of(R"({"alg":"RS256","typ":"JWT"})"), Base64::url);
    append_text(token, ".");
    append_text(token, base64_encode(bytes_of(claims), Base64::url));

    ERR_set_mark();
    const PrivateKey key = read_private_key(private_key);
    const auto signature = key ? sign(key.get(), token.expose_secret()) : std::vector<std::uint8_t>();
    // Nobody else may take the reasons for its own.
    ERR_pop_to_mark();
    if (signature.empty()) {
        return Failure{Failure::Kind::credentials, 0, "private_key_not_valid",
                       "the service account's private key is no RSA key of 2048 bits or more, as PEM or as "
                       "base64 of PKCS#8"};
    }
    append_text(token, ".");
    append_text(token, base64_encode(signature, Base64::url));
    return token;
}

}  // namespace fieldgate::crypto::kms
