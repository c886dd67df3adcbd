#include "tests/unit/crypto/reference.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <stdexcept>

namespace fieldgate::crypto {
namespace {

Bytes hmac(std::span<const std::uint8_t> key, const Bytes& message) {
    Bytes digest(64);
    if (HMAC(EVP_sha512(), key.data(), static_cast<int>(key.size()), message.data(), message.size(),
             digest.data(), nullptr) == nullptr) {
        throw std::runtime_error("HMAC");
    }
    return digest;
}

// The associated data of every CSFLE ciphertext has 18 bytes: 144 bits.
const Bytes bit_length = {0, 0, 0, 0, 0, 0, 0, 144};

}  // namespace

Bytes pad(std::span<const std::uint8_t> plaintext) {
    Bytes padded(plaintext.begin(), plaintext.end());
    const std::size_t count = 16 - plaintext.size() % 16;
    padded.insert(padded.end(), count, static_cast<std::uint8_t>(count));
    return padded;
}

Bytes reference_iv(std::span<const std::uint8_t> key, std::span<const std::uint8_t> head,
                   std::span<const std::uint8_t> plaintext) {
    Bytes digest = hmac(key.subspan(64, 32), concat({head, bit_length, plaintext}));
    digest.resize(16);
    return digest;
}

Bytes reference_blob(std::span<const std::uint8_t> key, std::span<const std::uint8_t> head,
                     std::span<const std::uint8_t> iv, std::span<const std::uint8_t> padded) {
    // CBC written out over single blocks.
    Bytes blocks;
    Bytes previous(iv.begin(), iv.end());
    EVP_CIPHER_CTX* const ctx = EVP_CIPHER_CTX_new();
    EVP_EncryptInit_ex(ctx, EVP_aes_256_ecb(), nullptr, key.subspan(32, 32).data(), nullptr);
    EVP_CIPHER_CTX_set_padding(ctx, 0);
    for (std::size_t at = 0; at < padded.size(); at += 16) {
        Bytes block(16);
        for (std::size_t i = 0; i < 16; ++i)
            block[i] = static_cast<std::uint8_t>(padded[at + i] ^ previous[i]);
        int written_bytes = 0;
        if (EVP_EncryptUpdate(ctx, previous.data(), &written_bytes, block.data(), 16) != 1 ||
            written_bytes != 16) {
            throw std::runtime_error("EVP_EncryptUpdate");
        }
        blocks.insert(blocks.end(), previous.begin(), previous.end());
    }
    EVP_CIPHER_CTX_free(ctx);

    Bytes tag = hmac(key.first(32), concat({head, iv, blocks, bit_length}));
    tag.resize(32);
    return concat({head, iv, blocks, tag});
}

}  // namespace fieldgate::crypto
