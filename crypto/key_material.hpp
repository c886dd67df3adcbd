#pragma once

#include "crypto/error.hpp"
#include "crypto/key_id.hpp"
#include "crypto/random.hpp"
#include "crypto/secret.hpp"

#include <array>
#include <cstdint>
#include <span>

namespace fieldgate::crypto {

// A data key from what a KMS unwrapped. Errc::data_key_length unless there are exactly 96 bytes. The caller
// erases `bytes` by keeping them in a SecretBuffer.
[[nodiscard]] result<DataKey> make_data_key(std::span<const std::uint8_t> bytes);
[[nodiscard]] result<DataKey> make_data_key(const SecretBuffer& bytes);

// A master key from the contents of its file: 96 raw bytes, or base64 of 96 bytes with white space allowed
// around it. 96 bytes are always taken as raw. Errc::master_key_length for anything else. Decodes without
// leaving copies behind.
[[nodiscard]] result<MasterKey> parse_master_key(std::span<const std::uint8_t> file_contents);
[[nodiscard]] result<MasterKey> parse_master_key(const SecretBuffer& file_contents);

// Whether a data key is the one that was seen before, long after that was erased: a digest of its random
// bytes, from which nothing leads back to them.
using KeyFingerprint = std::array<std::uint8_t, 32>;
[[nodiscard]] KeyFingerprint fingerprint_of(const DataKey& key);

// What parse_master_key reads, for writing a new key file: 128 base64 digits and a newline.
[[nodiscard]] SecretBuffer format_master_key(const MasterKey& key);

// 96 fresh random bytes, for a new data key or master key.
[[nodiscard]] result<Secret<key_bytes>> generate_key(Random& random);

// A random (version 4) UUID for a new data key.
[[nodiscard]] result<KeyId> generate_key_id(Random& random);

}  // namespace fieldgate::crypto
