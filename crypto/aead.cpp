#include "crypto/aead.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <boost/assert.hpp>
#include <boost/endian/conversion.hpp>
#include <utility>

namespace fieldgate::crypto {
namespace {

constexpr std::size_t sha_512_block_bytes = 128;
constexpr std::size_t bit_length_bytes = 8;

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

CipherCtx prepare_cipher(std::span<const std::uint8_t, 32> key, bool encrypt) {
    CipherCtx ctx(EVP_CIPHER_CTX_new());
    if (!ctx) return nullptr;
    if (EVP_CipherInit_ex2(ctx.get(), aes_256_cbc(), key.data(), nullptr, encrypt ? 1 : 0, nullptr) != 1) {
        return nullptr;
    }
    // Padding is ours: one call per value instead of two, and the check after opening is complete.
    if (EVP_CIPHER_CTX_set_padding(ctx.get(), 0) != 1) return nullptr;
    return ctx;
}

// Whole blocks in one call with the key schedule that is already there. `out` may be `in`.
bool run_cipher(EVP_CIPHER_CTX* ctx, const std::uint8_t* iv, std::span<const std::uint8_t> in,
                std::uint8_t* out) {
    int written_bytes = 0;
    return EVP_CipherInit_ex2(ctx, nullptr, nullptr, iv, -1, nullptr) == 1 &&
           EVP_CipherUpdate(ctx, out, &written_bytes, in.data(), static_cast<int>(in.size())) == 1 &&
           static_cast<std::size_t>(written_bytes) == in.size();
}

std::array<std::uint8_t, bit_length_bytes> bit_length(std::size_t size_bytes) {
    std::array<std::uint8_t, bit_length_bytes> bits;
    boost::endian::store_big_u64(bits.data(), std::uint64_t{size_bytes} * 8);
    return bits;
}

// How many bytes of `blocks` are plaintext, or nothing if any byte of the padding is not what PKCS#7 wants.
// It looks at the same 16 bytes whatever they hold, though the tag has already shown that a holder of the key
// wrote them.
std::size_t padding_bytes(std::span<const std::uint8_t> blocks) {
    const std::span<const std::uint8_t> last = blocks.last(block_bytes);
    const unsigned pad = last[block_bytes - 1];
    unsigned wrong = static_cast<unsigned>(pad == 0) | static_cast<unsigned>(pad > block_bytes);
    for (std::size_t i = 0; i < block_bytes; ++i) {
        const auto is_padding = static_cast<unsigned>(i + pad >= block_bytes);
        wrong |= is_padding & static_cast<unsigned>(last[i] != pad);
    }
    return wrong != 0 ? 0 : pad;
}

error_code check_plaintext_size(std::size_t plaintext_bytes) {
    if (plaintext_bytes == 0) return Errc::empty_plaintext;
    if (plaintext_bytes > plaintext_bytes_max) return Errc::plaintext_too_large;
    return {};
}

bool has_sealed_size(std::size_t message_bytes, std::size_t associated_bytes) {
    if (message_bytes < associated_bytes) return false;
    const std::size_t rest_bytes = message_bytes - associated_bytes;
    return rest_bytes >= sealed_bytes_min && rest_bytes <= sealed_bytes(plaintext_bytes_max) &&
           (rest_bytes - sealed_bytes_min) % block_bytes == 0;
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

result<Aead> Aead::make(const Secret<key_bytes>& key) {
    const std::span<const std::uint8_t, key_bytes> bytes = key.expose_secret();
    auto mac = Hmac512::make(bytes.subspan<0, 32>());
    auto iv_mac = Hmac512::make(bytes.subspan<64, 32>());
    if (!mac || !iv_mac) return Errc::library_failed;

    CipherCtx encrypt = prepare_cipher(bytes.subspan<32, 32>(), true);
    CipherCtx decrypt = prepare_cipher(bytes.subspan<32, 32>(), false);
    if (!encrypt || !decrypt) return Errc::library_failed;
    return Aead(std::move(*mac), std::move(*iv_mac), std::move(encrypt), std::move(decrypt));
}

error_code Aead::seal(Iv iv, std::span<const std::uint8_t> plaintext, std::span<std::uint8_t> message,
                      std::size_t associated_bytes) {
    BOOST_ASSERT(message.size() == associated_bytes + sealed_bytes(plaintext.size()));
    const auto fail = [message](error_code ec) {
        OPENSSL_cleanse(message.data(), message.size());
        return ec;
    };
    if (const error_code ec = check_plaintext_size(plaintext.size())) return fail(ec);

    const std::span<std::uint8_t> iv_room = message.subspan(associated_bytes, iv_bytes);
    const std::span<std::uint8_t> tag = message.last(tag_bytes);
    const std::span<std::uint8_t> blocks = message.subspan(
        associated_bytes + iv_bytes, message.size() - associated_bytes - iv_bytes - tag_bytes);

    std::copy(iv.begin(), iv.end(), iv_room.begin());
    const auto padding = std::copy(plaintext.begin(), plaintext.end(), blocks.begin());
    std::fill(padding, blocks.end(), static_cast<std::uint8_t>(blocks.end() - padding));
    if (!run_cipher(encrypt_.get(), iv.data(), blocks, blocks.data())) return fail(Errc::library_failed);

    // The length stands where the tag will be for a moment, so that the MAC's whole input is one piece.
    std::array<std::uint8_t, Hmac512::digest_bytes> digest;
    const auto length = bit_length(associated_bytes);
    std::copy(length.begin(), length.end(), tag.begin());
    if (!mac_.begin() || !mac_.update(message.first(message.size() - tag_bytes + bit_length_bytes)) ||
        !mac_.finish(digest)) {
        return fail(Errc::library_failed);
    }
    std::copy_n(digest.begin(), tag_bytes, tag.begin());
    return {};
}

error_code Aead::derive_iv(std::span<const std::uint8_t> associated_data,
                           std::span<const std::uint8_t> plaintext, std::span<std::uint8_t, iv_bytes> iv) {
    if (const error_code ec = check_plaintext_size(plaintext.size())) return ec;
    std::array<std::uint8_t, Hmac512::digest_bytes> digest;
    if (!iv_mac_.begin() || !iv_mac_.update(associated_data) ||
        !iv_mac_.update(bit_length(associated_data.size())) || !iv_mac_.update(plaintext) ||
        !iv_mac_.finish(digest)) {
        return Errc::library_failed;
    }
    std::copy_n(digest.begin(), iv_bytes, iv.begin());
    return {};
}

error_code Aead::verify(std::span<const std::uint8_t> message, std::size_t associated_bytes) {
    if (!has_sealed_size(message.size(), associated_bytes)) return Errc::malformed;
    std::array<std::uint8_t, Hmac512::digest_bytes> digest;
    if (!mac_.begin() || !mac_.update(message.first(message.size() - tag_bytes)) ||
        !mac_.update(bit_length(associated_bytes)) || !mac_.finish(digest)) {
        return Errc::library_failed;
    }
    if (CRYPTO_memcmp(digest.data(), message.last(tag_bytes).data(), tag_bytes) != 0) {
        return Errc::authentication_failed;
    }
    return {};
}

result<std::size_t> Aead::open(std::span<const std::uint8_t> message, std::size_t associated_bytes,
                               std::span<std::uint8_t> out) {
    if (const error_code ec = verify(message, associated_bytes)) return ec;

    const std::span<const std::uint8_t> iv = message.subspan(associated_bytes, iv_bytes);
    const std::span<const std::uint8_t> blocks = message.subspan(
        associated_bytes + iv_bytes, message.size() - associated_bytes - iv_bytes - tag_bytes);
    BOOST_ASSERT(out.size() >= blocks.size());
    const std::span<std::uint8_t> opened = out.first(blocks.size());
    if (!run_cipher(decrypt_.get(), iv.data(), blocks, opened.data())) {
        OPENSSL_cleanse(opened.data(), opened.size());
        return Errc::library_failed;
    }
    const std::size_t pad = padding_bytes(opened);
    // A value of zero bytes is never sealed, so one that opens was not made by the rules either.
    if (pad == 0 || pad == opened.size()) {
        OPENSSL_cleanse(opened.data(), opened.size());
        return Errc::authentication_failed;
    }
    return opened.size() - pad;
}

}  // namespace fieldgate::crypto
