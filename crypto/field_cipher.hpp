#pragma once

#include "crypto/aead.hpp"
#include "crypto/ciphertext.hpp"
#include "crypto/error.hpp"
#include "crypto/key_id.hpp"
#include "crypto/random.hpp"
#include "crypto/secret.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

namespace fieldgate::crypto {

// One data key, prepared: key schedule expanded and HMAC pads absorbed once, then any number of values sealed
// and opened without an allocation of ours. Used by one thread at a time; every worker has its own for each
// key. It keeps no reference to the DataKey, so the key may go first; it keeps one to `random`, which must
// outlive it.
class FieldCipher {
 public:
    // Fails with Errc::library_failed when OpenSSL does not provide AES-256-CBC or SHA-512.
    [[nodiscard]] static result<std::unique_ptr<FieldCipher>> make(const DataKey& key, Random& random);

    FieldCipher(const FieldCipher&) = delete;
    FieldCipher& operator=(const FieldCipher&) = delete;

    // Writes the ciphertext of one BSON value. `plaintext` is the value exactly as it stands in its document
    // behind type and name; `out` has exactly blob_bytes(plaintext.size()) bytes and does not overlap it.
    // Errors: empty_plaintext, plaintext_too_large, random_failed, library_failed; `out` is zero after an
    // error.
    [[nodiscard]] error_code seal(Algorithm algorithm, const KeyId& key_id, std::uint8_t bson_type,
                                  std::span<const std::uint8_t> plaintext, std::span<std::uint8_t> out);

    // Authenticates, then decrypts; returns how many bytes of `out` are the value. `out` has at least
    // opened_bytes_max(blob.size()) bytes (blob.size() is always enough) and does not overlap `blob`.
    // Errors: malformed and unsupported_kind as in CiphertextView::parse, otherwise authentication_failed.
    // After an error `out` holds no plaintext. That `blob` was made with this key's id is not checked here
    // but follows: the id is authenticated under the key.
    [[nodiscard]] result<std::size_t> open(std::span<const std::uint8_t> blob, std::span<std::uint8_t> out);

    // Whether `blob` was made with this key, without decrypting it: for ciphertext that a client supplies.
    // Errors as for open().
    [[nodiscard]] error_code verify(std::span<const std::uint8_t> blob);

 private:
    FieldCipher(Aead aead, Random& random) : aead_(std::move(aead)), random_(random) {}

    Aead aead_;
    Random& random_;
};

// Room that open() needs for a ciphertext of `blob_size_bytes`.
constexpr std::size_t opened_bytes_max(std::size_t blob_size_bytes) {
    constexpr std::size_t overhead_bytes = associated_data_bytes + iv_bytes + tag_bytes;
    return blob_size_bytes <= overhead_bytes ? 0 : blob_size_bytes - overhead_bytes;
}

}  // namespace fieldgate::crypto
