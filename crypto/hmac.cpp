#include "crypto/hmac.hpp"

#include <openssl/crypto.h>

#include <array>

namespace fieldgate::crypto {
namespace {

constexpr std::size_t sha_512_block_bytes = 128;

// A digest that has absorbed HMAC's first block: the key, padded with zeros, each byte xored with `pad`.
DigestCtx absorb_pad(std::span<const std::uint8_t, 32> key, std::uint8_t pad) {
    DigestCtx ctx(EVP_MD_CTX_new());
    if (!ctx || EVP_DigestInit_ex2(ctx.get(), sha_512(), nullptr) != 1) return nullptr;

    std::array<std::uint8_t, sha_512_block_bytes> block;
    block.fill(pad);
    for (std::size_t i = 0; i < key.size(); ++i) block[i] = static_cast<std::uint8_t>(key[i] ^ pad);
    const bool absorbed = EVP_DigestUpdate(ctx.get(), block.data(), block.size()) == 1;
    OPENSSL_cleanse(block.data(), block.size());
    return absorbed ? std::move(ctx) : nullptr;
}

}  // namespace

result<Hmac512> Hmac512::make(std::span<const std::uint8_t, 32> key) {
    DigestCtx inner = absorb_pad(key, 0x36);
    DigestCtx outer = absorb_pad(key, 0x5c);
    DigestCtx running(EVP_MD_CTX_new());
    if (!inner || !outer || !running) return Errc::library_failed;
    return Hmac512(std::move(inner), std::move(outer), std::move(running));
}

bool Hmac512::begin() noexcept {
    return EVP_MD_CTX_copy_ex(running_.get(), inner_.get()) == 1;
}

bool Hmac512::update(std::span<const std::uint8_t> bytes) noexcept {
    return EVP_DigestUpdate(running_.get(), bytes.data(), bytes.size()) == 1;
}

bool Hmac512::finish(std::span<std::uint8_t, digest_bytes> digest) noexcept {
    return EVP_DigestFinal_ex(running_.get(), digest.data(), nullptr) == 1 &&
           EVP_MD_CTX_copy_ex(running_.get(), outer_.get()) == 1 &&
           EVP_DigestUpdate(running_.get(), digest.data(), digest.size()) == 1 &&
           EVP_DigestFinal_ex(running_.get(), digest.data(), nullptr) == 1;
}

}  // namespace fieldgate::crypto
