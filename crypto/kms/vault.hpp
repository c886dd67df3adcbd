#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/kms/exchange.hpp"
#include "crypto/kms/master_key.hpp"

// HashiCorp Vault and OpenBao: the transit engine's encrypt and decrypt, and the logins by AppRole and by a
// Kubernetes service account, as their HTTP API's reference has them.
//
// keyMaterial is the text that transit answers with, "vault:v1:...", as bytes. It names the version of the
// key that it was wrapped with, so unwrapping needs no version.
namespace fieldgate::crypto::kms {

// Where the server is and what every request to it carries.
struct VaultServer {
    Endpoint endpoint;
    std::string name_space;  // sent as X-Vault-Namespace; empty: none
};

// "https://host[:port]"; the port is 443 where none stands, as in any URL. Nothing: it is not of this form;
// plain HTTP is not.
[[nodiscard]] std::optional<Endpoint> parse_vault_address(std::string_view address);

// `refused`, code "master_key_not_valid": the name of the key or of the mount is none (an empty or a dotted
// part of a path), or the version is negative.
[[nodiscard]] Result<Request> vault_encrypt_request(const VaultServer& server,
                                                    const VaultMasterKey& master_key, const DataKey& key,
                                                    const SecretBuffer& token);
// `refused`, code "wrapped_key_not_valid", too: keyMaterial is not what transit writes.
[[nodiscard]] Result<Request> vault_decrypt_request(const VaultServer& server,
                                                    const VaultMasterKey& master_key,
                                                    std::span<const std::uint8_t> wrapped,
                                                    const SecretBuffer& token);
// `login_can_help`: what Vault forbids is `credentials`, otherwise `refused`. It answers in the same way to a
// token that ended and to one without the permission.
[[nodiscard]] Result<std::vector<std::uint8_t>> vault_read_encrypted(const Reply& reply, bool login_can_help);
[[nodiscard]] Result<DataKey> vault_read_decrypted(const Reply& reply, bool login_can_help);

// The version of the transit key that wrapped it, "1"; empty: it is not what transit writes.
[[nodiscard]] std::string_view vault_wrapping_version(std::span<const std::uint8_t> wrapped);

// Logins. `mount` is where the method is mounted below auth/.
[[nodiscard]] Result<Request> vault_app_role_request(const VaultServer& server, std::string_view mount,
                                                     std::string_view role_id, const SecretBuffer& secret_id);
[[nodiscard]] Result<Request> vault_kubernetes_request(const VaultServer& server, std::string_view mount,
                                                       std::string_view role, const SecretBuffer& jwt);
struct VaultLogin {
    SecretBuffer token;
    std::optional<std::chrono::seconds> lease;  // nothing: it does not end
};
[[nodiscard]] Result<VaultLogin> vault_read_login(const Reply& reply);

}  // namespace fieldgate::crypto::kms
