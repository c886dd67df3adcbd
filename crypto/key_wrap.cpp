#include "crypto/key_wrap.hpp"

#include "crypto/aead.hpp"
#include "crypto/key_material.hpp"

namespace fieldgate::crypto {

result<WrappedKey> wrap_key(const DataKey& key, const MasterKey& master_key, Random& random) {
    auto aead = Aead::make(master_key);
    if (!aead) return aead.error();
    std::array<std::uint8_t, iv_bytes> iv;
    if (const error_code ec = random.fill(iv)) return ec;
    WrappedKey wrapped;
    if (const error_code ec = aead->seal(iv, key.expose_secret(), wrapped, 0)) return ec;
    return wrapped;
}

result<DataKey> unwrap_key(std::span<const std::uint8_t> wrapped, const MasterKey& master_key) {
    if (wrapped.size() != wrapped_key_bytes) return Errc::wrapped_key_length;
    auto aead = Aead::make(master_key);
    if (!aead) return aead.error();
    SecretBuffer opened(wrapped_key_bytes - iv_bytes - tag_bytes);
    const auto opened_bytes = aead->open(wrapped, 0, opened.writable());
    if (!opened_bytes) return opened_bytes.error();
    return make_data_key(opened.expose_secret().first(*opened_bytes));
}

}  // namespace fieldgate::crypto
