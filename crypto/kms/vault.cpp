#include "crypto/kms/vault.hpp"

#include <algorithm>

#include "crypto/kms/http.hpp"
#include "crypto/kms/json.hpp"

namespace fieldgate::crypto::kms {
namespace {

// 96 bytes are 200 or so; a key with convergent encryption or a managed key adds some.
constexpr std::size_t wrapped_bytes_max = 4096;
constexpr std::size_t token_bytes_max = 8192;
constexpr std::chrono::seconds lease_max = std::chrono::days(366);
constexpr std::string_view default_mount = "transit";

// "vault:v<version>:<base64>": the version of the key stands in front. OpenBao keeps the prefix.
constexpr std::string_view wrapped_prefix = "vault:v";
bool is_wrapped(std::string_view text) {
    if (text.size() > wrapped_bytes_max || !text.starts_with(wrapped_prefix)) return false;
    text.remove_prefix(wrapped_prefix.size());
    const std::size_t colon = text.find(':');
    if (colon == 0 || colon > 10 || colon + 1 >= text.size()) return false;
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    return std::ranges::all_of(text.substr(0, colon), is_digit) &&
           std::ranges::all_of(text.substr(colon + 1), [&](char c) {
               return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '+' ||
                      c == '/' || c == '=';
           });
}

// A path, each of its parts percent-encoded. Nothing: a part is empty or would climb.
std::optional<std::string> encode_path(std::string_view path) {
    std::string encoded;
    while (true) {
        const std::size_t slash = path.find('/');
        const std::string_view part = path.substr(0, slash);
        if (part.empty() || part == "." || part == "..") return std::nullopt;
        encoded += percent_encode(part);
        if (slash == std::string_view::npos) return encoded;
        encoded += '/';
        path.remove_prefix(slash + 1);
    }
}

Failure master_key_not_valid(std::string why) {
    return {Failure::Kind::refused, 0, "master_key_not_valid", std::move(why)};
}

// "/v1/transit/encrypt/my-key".
Result<std::string> transit_target(const VaultMasterKey& master_key, std::string_view operation) {
    const auto mount = encode_path(master_key.mount.empty() ? default_mount : master_key.mount);
    if (!mount) return master_key_not_valid("the master key's mount is not the path of a secrets engine");
    const bool is_one_part = master_key.key_name.find('/') == std::string::npos;
    const auto name = is_one_part ? encode_path(master_key.key_name) : std::nullopt;
    if (!name) return master_key_not_valid("the master key's keyName is not the name of a transit key");
    if (master_key.key_version < 0) return master_key_not_valid("the master key's keyVersion is negative");
    return "/v1/" + *mount + "/" + std::string(operation) + "/" + *name;
}

Result<Request> post(const VaultServer& server, std::string_view target, const SecretBuffer* token,
                     const SecretBuffer& body) {
    HttpRequest request("POST", server.endpoint, target);
    // Agents can be told to take nothing without it: a page in a browser cannot send it.
    request.header("X-Vault-Request", "true");
    if (!server.name_space.empty()) request.header("X-Vault-Namespace", server.name_space);
    if (token != nullptr) request.secret_header("X-Vault-Token", "", *token);
    return request.header("Content-Type", "application/json").finish(body);
}

// {"role_id": ..., "secret_id": ...}
Result<Request> login_request(const VaultServer& server, std::string_view mount, std::string_view name_key,
                              std::string_view name, std::string_view secret_key,
                              const SecretBuffer& secret) {
    const auto path = encode_path(mount);
    if (!path) {
        return Failure{Failure::Kind::credentials, 0, "auth_mount_not_valid",
                       "auth_mount is not the path of an auth method"};
    }
    SecretBuffer body;
    append_text(body, "{");
    append_json_quoted(body, name_key);
    append_text(body, ": ");
    append_json_quoted(body, name);
    append_text(body, ", ");
    append_json_quoted(body, secret_key);
    append_text(body, ": ");
    append_json_quoted(body, text_of(secret.expose_secret()));
    append_text(body, "}");
    return post(server, "/v1/auth/" + *path + "/login", nullptr, body);
}

// API reference, "HTTP status codes". Errors have no names, so the status is the code.
Failure failure_of(const Reply& reply, bool login_can_help) {
    Failure failure{Failure::Kind::refused, reply.status, "http_" + std::to_string(reply.status), ""};
    switch (reply.status) {
        case 401:
        case 403:
            if (login_can_help) failure.kind = Failure::Kind::credentials;
            break;
        case 429:
            failure.kind = Failure::Kind::throttled;
            break;
        case 408:
        case 412:  // a standby that has not caught up yet
        case 472:  // a secondary for disaster recovery
        case 473:  // a standby
            failure.kind = Failure::Kind::unavailable;
            break;
        default:
            if (reply.status >= 500) failure.kind = Failure::Kind::unavailable;
            if (reply.status < 400) failure.kind = Failure::Kind::malformed;
    }
    std::string why;
    if (const auto json = JsonReply::parse(reply); json)
        why = safe_text(json->first_of_array("errors").value_or(""));
    if (why.empty() && reply.status == 404) why = "there is no such path: mount, key name or namespace";
    if (why.empty() && reply.status == 503) why = "the server is sealed or in maintenance";
    if (why.empty() && reply.status >= 300 && reply.status < 400)
        why =
            "the server sends us to another one, where no token of ours goes: name the active node in "
            "`address`";
    failure.text = safe_text(failure.code + (why.empty() ? "" : ": " + why));
    return failure;
}

Failure reply_not_valid(const Reply& reply, std::string what) {
    return {Failure::Kind::malformed, reply.status, "reply_not_valid", std::move(what)};
}

}  // namespace

std::string_view vault_wrapping_version(std::span<const std::uint8_t> wrapped) {
    const std::string_view text = text_of(wrapped);
    if (!is_wrapped(text)) return {};
    const std::string_view rest = text.substr(wrapped_prefix.size());
    return rest.substr(0, rest.find(':'));
}

std::optional<Endpoint> parse_vault_address(std::string_view address) {
    constexpr std::string_view scheme = "https://";
    if (!address.starts_with(scheme)) return std::nullopt;
    address.remove_prefix(scheme.size());
    if (address.ends_with('/')) address.remove_suffix(1);
    return parse_endpoint(address, 443);
}

Result<Request> vault_encrypt_request(const VaultServer& server, const VaultMasterKey& master_key,
                                      const DataKey& key, const SecretBuffer& token) {
    const auto target = transit_target(master_key, "encrypt");
    if (!target) return target.error();
    SecretBuffer body;
    append_text(body, "{\"plaintext\": \"");
    append_base64(body, key);
    append_text(body, "\"");
    if (master_key.key_version > 0)
        append_text(body, ", \"key_version\": " + std::to_string(master_key.key_version));
    append_text(body, "}");
    return post(server, *target, &token, body);
}

Result<Request> vault_decrypt_request(const VaultServer& server, const VaultMasterKey& master_key,
                                      std::span<const std::uint8_t> wrapped, const SecretBuffer& token) {
    const auto target = transit_target(master_key, "decrypt");
    if (!target) return target.error();
    if (!is_wrapped(text_of(wrapped))) {
        return Failure{Failure::Kind::refused, 0, "wrapped_key_not_valid",
                       "keyMaterial is not a ciphertext of a transit engine (vault:v1:...)"};
    }
    SecretBuffer body;
    append_text(body, "{\"ciphertext\": ");
    append_json_quoted(body, text_of(wrapped));
    append_text(body, "}");
    return post(server, *target, &token, body);
}

Result<std::vector<std::uint8_t>> vault_read_encrypted(const Reply& reply, bool login_can_help) {
    if (reply.status != 200) return failure_of(reply, login_can_help);
    auto json = JsonReply::parse(reply);
    if (!json) return json.error();
    const auto text = json->string("data.ciphertext");
    if (!text || !is_wrapped(*text))
        return reply_not_valid(reply, "the reply has no ciphertext of a transit engine");
    const auto bytes = bytes_of(*text);
    return std::vector<std::uint8_t>(bytes.begin(), bytes.end());
}

Result<DataKey> vault_read_decrypted(const Reply& reply, bool login_can_help) {
    if (reply.status != 200) return failure_of(reply, login_can_help);
    auto json = JsonReply::parse(reply);
    if (!json) return json.error();
    const auto text = json->string("data.plaintext");
    const auto bytes = text ? base64_decode(*text) : std::nullopt;
    if (!bytes) return reply_not_valid(reply, "the reply has no plaintext of base64");
    return data_key_of(*bytes);
}

Result<Request> vault_app_role_request(const VaultServer& server, std::string_view mount,
                                       std::string_view role_id, const SecretBuffer& secret_id) {
    return login_request(server, mount, "role_id", role_id, "secret_id", secret_id);
}

Result<Request> vault_kubernetes_request(const VaultServer& server, std::string_view mount,
                                         std::string_view role, const SecretBuffer& jwt) {
    return login_request(server, mount, "role", role, "jwt", jwt);
}

Result<VaultLogin> vault_read_login(const Reply& reply) {
    if (reply.status != 200) {
        Failure failure = failure_of(reply, true);
        // A wrong role_id or secret_id is answered with 400.
        if (reply.status == 400) failure.kind = Failure::Kind::credentials;
        return failure;
    }
    auto json = JsonReply::parse(reply);
    if (!json) return json.error();
    const auto token = json->string("auth.client_token");
    const auto lease_s = json->number("auth.lease_duration");
    if (!token || token->empty() || token->size() > token_bytes_max || !lease_s || *lease_s < 0 ||
        !std::ranges::all_of(*token, [](char c) { return c > 0x20 && c < 0x7f; }))
        return reply_not_valid(reply, "the reply has no client_token with a lease_duration");
    VaultLogin login{SecretBuffer(bytes_of(*token)), {}};
    if (*lease_s > 0) login.lease = std::min<std::chrono::seconds>(std::chrono::seconds(*lease_s), lease_max);
    return login;
}

}  // namespace fieldgate::crypto::kms
