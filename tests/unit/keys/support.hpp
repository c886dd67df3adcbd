#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "crypto/key_wrap.hpp"
#include "crypto/random.hpp"
#include "proxy/keys/broker.hpp"
#include "proxy/keys/key_document.hpp"

namespace fieldgate::keys::testing {

inline crypto::KeyId id_of(std::uint8_t fill) {
    crypto::KeyId id;
    id.bytes.fill(fill);
    return id;
}

inline crypto::Secret<96> secret_of(std::uint8_t fill) {
    std::array<std::uint8_t, 96> bytes;
    bytes.fill(fill);
    return crypto::Secret<96>(bytes);
}

// A key document whose data key is 96 bytes of `key_fill`, wrapped under 96 bytes of `master_fill`.
inline KeyDocument key_of(std::uint8_t id_fill, std::vector<std::string> alt_names = {},
                          std::uint8_t key_fill = 7, std::uint8_t master_fill = 1) {
    crypto::SystemRandom random;
    const auto wrapped = crypto::wrap_key(secret_of(key_fill), secret_of(master_fill), random);
    KeyDocument key;
    key.id = id_of(id_fill);
    key.alt_names = std::move(alt_names);
    key.wrapped.assign(wrapped->begin(), wrapped->end());
    key.creation_unix_ms = 1700000000000;
    key.update_unix_ms = 1700000000001;
    key.provider = "local";
    return key;
}

}  // namespace fieldgate::keys::testing
