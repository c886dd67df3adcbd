#include "crypto/field_cipher.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <boost/assert.hpp>
#include <utility>

namespace fieldgate::crypto {

result<std::unique_ptr<FieldCipher>> FieldCipher::make(const DataKey& key, Random& random) {
    auto aead = Aead::make(key);
    if (!aead) return aead.error();
    return std::unique_ptr<FieldCipher>(new FieldCipher(std::move(*aead), random));
}

error_code FieldCipher::seal(Algorithm algorithm, const KeyId& key_id, std::uint8_t bson_type,
                             std::span<const std::uint8_t> plaintext, std::span<std::uint8_t> out) {
    BOOST_ASSERT(out.size() == blob_bytes(plaintext.size()));
    out[0] = static_cast<std::uint8_t>(algorithm);
    std::copy(key_id.bytes.begin(), key_id.bytes.end(), out.begin() + 1);
    out[associated_data_bytes - 1] = bson_type;

    std::array<std::uint8_t, iv_bytes> iv;
    const error_code ec = algorithm == Algorithm::deterministic
                              ? aead_.derive_iv(out.first(associated_data_bytes), plaintext, iv)
                              : random_.fill(iv);
    if (ec) {
        OPENSSL_cleanse(out.data(), out.size());
        return ec;
    }
    return aead_.seal(iv, plaintext, out, associated_data_bytes);
}

result<std::size_t> FieldCipher::open(std::span<const std::uint8_t> blob, std::span<std::uint8_t> out) {
    if (const auto view = CiphertextView::parse(blob); !view) return view.error();
    return aead_.open(blob, associated_data_bytes, out);
}

error_code FieldCipher::verify(std::span<const std::uint8_t> blob) {
    if (const auto view = CiphertextView::parse(blob); !view) return view.error();
    return aead_.verify(blob, associated_data_bytes);
}

}  // namespace fieldgate::crypto
