#include "crypto/aead.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <boost/assert.hpp>
#include <boost/endian/conversion.hpp>
#include <utility>

namespace fieldgate::crypto {
namespace {

constexpr std::size_t bit_length_bytes = 8;

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

result<Aead> Aead::make(const Secret<key_bytes>& key) {
    const std::span<const std::uint8_t, key_bytes> bytes = key.expose_secret();
    auto mac = Hmac512::make(bytes.subspan<0, 32>());
    auto iv_mac = Hmac512::make(bytes.subspan<64, 32>());
    if (!mac || !iv_mac) return Errc::library_failed;

    auto encrypt = CbcCipher::make(bytes.subspan<32, 32>(), CbcCipher::Direction::encrypt);
    auto decrypt = CbcCipher::make(bytes.subspan<32, 32>(), CbcCipher::Direction::decrypt);
    if (!encrypt || !decrypt) return Errc::library_failed;
    return Aead(std::move(*mac), std::move(*iv_mac), std::move(*encrypt), std::move(*decrypt));
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
    if (!encrypt_.encrypt_in_place(iv, blocks)) return fail(Errc::library_failed);

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

    const Iv iv(message.data() + associated_bytes, iv_bytes);
    const std::span<const std::uint8_t> blocks = message.subspan(
        associated_bytes + iv_bytes, message.size() - associated_bytes - iv_bytes - tag_bytes);
    BOOST_ASSERT(out.size() >= blocks.size());
    const std::span<std::uint8_t> opened = out.first(blocks.size());
    if (!decrypt_.decrypt(iv, blocks, opened.data())) {
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
