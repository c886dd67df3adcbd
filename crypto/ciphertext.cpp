#include "crypto/ciphertext.hpp"

#include <algorithm>

namespace fieldgate::crypto {

result<CiphertextView> CiphertextView::parse(std::span<const std::uint8_t> blob) {
    if (blob.empty()) return Errc::malformed;
    const std::uint8_t kind = blob[0];
    if (kind != static_cast<std::uint8_t>(Algorithm::deterministic) &&
        kind != static_cast<std::uint8_t>(Algorithm::random)) {
        return Errc::unsupported_kind;
    }
    if (blob.size() < blob_bytes_min || blob.size() > blob_bytes(plaintext_bytes_max)) return Errc::malformed;
    if ((blob.size() - blob_bytes_min) % block_bytes != 0) return Errc::malformed;

    CiphertextView view{.algorithm = static_cast<Algorithm>(kind),
                        .key_id = {},
                        .bson_type = blob[associated_data_bytes - 1],
                        .sealed = blob.subspan(associated_data_bytes),
                        .associated_data = blob.first(associated_data_bytes)};
    std::copy_n(blob.begin() + 1, view.key_id.bytes.size(), view.key_id.bytes.begin());
    return view;
}

}  // namespace fieldgate::crypto
