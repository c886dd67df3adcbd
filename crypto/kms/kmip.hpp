#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/kms/exchange.hpp"

// KMIP (OASIS, "Key Management Interoperability Protocol"): one TTLV message asks, one answers; the client's
// certificate is the login. What is asked, and how, is what MongoDB's drivers ask (CSFLE specification, "KMS
// provider: KMIP"), so that a key made by either can be used by both:
//
//     not delegated   Register a secret of 96 bytes, Activate it; Get it to wrap and to unwrap here, with
//                     crypto/key_wrap
//     delegated       Create an AES-256 key, Activate it; Encrypt and Decrypt there
namespace fieldgate::crypto::kms {

inline constexpr std::uint16_t kmip_port = 5696;
// What Encrypt makes of a data key: AES-CBC with PKCS#5 padding. keyMaterial is the IV, then this.
inline constexpr std::size_t kmip_iv_bytes = 16;
inline constexpr std::size_t kmip_ciphertext_bytes = key_bytes + 16;
inline constexpr std::size_t kmip_delegated_bytes = kmip_iv_bytes + kmip_ciphertext_bytes;

// The requests. An identifier is what the server called an object: see is_kmip_identifier().
[[nodiscard]] SecretBuffer kmip_register(const MasterKey& key);
[[nodiscard]] SecretBuffer kmip_create();
[[nodiscard]] SecretBuffer kmip_activate(std::string_view identifier);
[[nodiscard]] SecretBuffer kmip_get(std::string_view identifier);
[[nodiscard]] SecretBuffer kmip_encrypt(std::string_view identifier, const DataKey& key);
// `material` has kmip_delegated_bytes.
[[nodiscard]] SecretBuffer kmip_decrypt(std::string_view identifier, std::span<const std::uint8_t> material);

// 1 to 256 printable characters of ASCII, no blanks: what goes into a key document, and comes out of one.
[[nodiscard]] bool is_kmip_identifier(std::string_view text);

// Their replies. Failures: what the server said, its result reason as the code ("ItemNotFound"), or
// `malformed`, code "not_kmip": not one whole message, not of this operation, not about this object.
[[nodiscard]] Result<std::string> read_kmip_register(const Reply& reply);  // the identifier
[[nodiscard]] Result<std::string> read_kmip_create(const Reply& reply);    // the identifier
[[nodiscard]] std::optional<Failure> read_kmip_activate(const Reply& reply, std::string_view identifier);
// `malformed`, code "master_key_length": the secret does not have 96 bytes.
[[nodiscard]] Result<MasterKey> read_kmip_get(const Reply& reply, std::string_view identifier);
// keyMaterial: kmip_delegated_bytes.
[[nodiscard]] Result<std::vector<std::uint8_t>> read_kmip_encrypt(const Reply& reply,
                                                                  std::string_view identifier);
[[nodiscard]] Result<DataKey> read_kmip_decrypt(const Reply& reply, std::string_view identifier);

}  // namespace fieldgate::crypto::kms
