#include "config/master_key_fields.hpp"

#include <algorithm>
#include <array>

#include "config/scalars.hpp"

namespace fieldgate::config {
namespace {

using Presence = MasterKeyField::Presence;
using Type = MasterKeyField::Type;

bool is_letter_or_digit(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_printable(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f'; });
}
bool is_host_label(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return is_letter_or_digit(c) || c == '-'; });
}
// RFC 3986, 2.3, and no step to another directory.
bool is_path_part(std::string_view text) {
    return text != "." && text != ".." && std::ranges::all_of(text, [](char c) {
               return is_letter_or_digit(c) || c == '-' || c == '.' || c == '_' || c == '~';
           });
}
bool is_path(std::string_view text) {
    for (std::size_t start = 0;;) {
        const std::size_t end = std::min(text.find('/', start), text.size());
        const std::string_view part = text.substr(start, end - start);
        if (part.empty() || !is_path_part(part)) return false;
        if (end == text.size()) return true;
        start = end + 1;
    }
}
bool is_bare_endpoint(std::string_view text) {
    return endpoint_fault(text).empty();
}
// Drivers want a dot in the host, but for KMIP.
bool is_endpoint(std::string_view text) {
    return text.find('.') != std::string_view::npos && is_bare_endpoint(text);
}

constexpr MasterKeyField text(std::string_view name, bool (*is_sound)(std::string_view),
                              Presence presence = Presence::always) {
    return {name, presence, Type::text, is_sound, false};
}
constexpr MasterKeyField version(std::string_view name) {
    return {name, Presence::optional, Type::text, is_path_part, true};
}
constexpr MasterKeyField endpoint(std::string_view name, Presence presence = Presence::optional,
                                  bool (*is_sound)(std::string_view) = is_endpoint) {
    return {name, presence, Type::endpoint, is_sound, false};
}

constexpr std::array aws_fields{text("region", is_host_label), text("key", is_printable),
                                endpoint("endpoint")};
constexpr std::array azure_fields{endpoint("keyVaultEndpoint", Presence::always),
                                  text("keyName", is_path_part), version("keyVersion")};
constexpr std::array gcp_fields{text("projectId", is_path_part), text("location", is_path_part),
                                text("keyRing", is_path_part),   text("keyName", is_path_part),
                                version("keyVersion"),           endpoint("endpoint")};
constexpr std::array kmip_fields{endpoint("endpoint", Presence::optional, is_bare_endpoint),
                                 MasterKeyField{"delegated", Presence::optional, Type::boolean},
                                 text("keyId", is_printable, Presence::stored)};
constexpr std::array vault_fields{text("keyName", is_path_part), text("mount", is_path, Presence::optional),
                                  MasterKeyField{"keyVersion", Presence::optional, Type::number}};

}  // namespace

std::optional<std::span<const MasterKeyField>> master_key_fields(std::string_view provider_type) {
    using Fields = std::span<const MasterKeyField>;
    if (provider_type == "local") return Fields();
    if (provider_type == "aws") return Fields(aws_fields);
    if (provider_type == "azure") return Fields(azure_fields);
    if (provider_type == "gcp") return Fields(gcp_fields);
    if (provider_type == "kmip") return Fields(kmip_fields);
    if (provider_type == "vault") return Fields(vault_fields);
    return std::nullopt;
}

MasterKeyFault fault_of(const MasterKeyField& field, std::string_view text) {
    if (text.empty() && field.empty_means_none) return MasterKeyFault::none;
    if (text.empty() || text.size() > master_key_text_bytes_max) return MasterKeyFault::length;
    if (field.is_sound(text)) return MasterKeyFault::none;
    return field.type == Type::endpoint ? MasterKeyFault::endpoint : MasterKeyFault::characters;
}

}  // namespace fieldgate::config
