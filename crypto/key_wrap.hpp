#pragma once

#include "crypto/ciphertext.hpp"
#include "crypto/error.hpp"
#include "crypto/random.hpp"
#include "crypto/secret.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace fieldgate::crypto {

// Local KMS: `keyMaterial` of a key vault document is the data key sealed with the master key, empty
// associated data, random IV (CSFLE specification, "KMS provider: local"). KMIP without delegation uses the
// same form.
inline constexpr std::size_t wrapped_key_bytes = sealed_bytes(key_bytes);
static_assert(wrapped_key_bytes == 160);

using WrappedKey = std::array<std::uint8_t, wrapped_key_bytes>;

[[nodiscard]] result<WrappedKey> wrap_key(const DataKey& key, const MasterKey& master_key, Random& random);

// Errors: wrapped_key_length before anything is computed, authentication_failed (another master key, or
// changed bytes), data_key_length (authentic, but not a data key).
[[nodiscard]] result<DataKey> unwrap_key(std::span<const std::uint8_t> wrapped, const MasterKey& master_key);

}  // namespace fieldgate::crypto
