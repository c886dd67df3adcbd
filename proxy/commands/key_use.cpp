#include "proxy/commands/key_use.hpp"

#include <algorithm>

#include "proxy/analysis/field_space.hpp"

namespace fieldgate::commands {
namespace {

constexpr std::string_view placeholder = "{database}";

// The name with the database put in, if the pattern says which one it is.
std::string name_for(const std::string& name, const config::NamespacePattern& pattern) {
    if (pattern.database.find('*') != std::string::npos) return name;
    return analysis::expand_alt_name(name, pattern.database);
}

// Whether `name` could be `wanted` for some database.
bool could_be(std::string_view wanted, std::string_view name) {
    const std::size_t at = wanted.find(placeholder);
    if (at == std::string_view::npos) return wanted == name;
    const std::string_view before = wanted.substr(0, at);
    const std::string_view after = wanted.substr(wanted.rfind(placeholder) + placeholder.size());
    return name.size() > before.size() + after.size() && name.starts_with(before) && name.ends_with(after);
}

bool uses(const config::ProtectedNamespace& entry, const config::KeyReference& reference,
          const keys::KeyDocument& key) {
    if (const auto* uuid = std::get_if<config::KeyUuid>(&reference)) return *uuid == key.id.bytes;
    const auto* alt_name = std::get_if<config::KeyAltName>(&reference);
    if (alt_name == nullptr) return false;  // any key may be named by a document
    const std::string wanted = name_for(alt_name->name, entry.pattern);
    return std::ranges::any_of(key.alt_names,
                               [&](const std::string& name) { return could_be(wanted, name); });
}

}  // namespace

std::vector<std::string> schemas_that_use(const config::Config& config, const keys::KeyDocument& key) {
    std::vector<std::string> names;
    for (const config::ProtectedNamespace& entry : config.schemas) {
        if (std::ranges::any_of(entry.schema->fields(), [&](const config::EncryptedField& field) {
                return uses(entry, field.key, key);
            })) {
            names.push_back(entry.pattern.text());
        }
    }
    return names;
}

keys::KeyRequest keys_of_schemas(const config::Config& config, std::vector<std::string>& open_names) {
    keys::KeyRequest request;
    const auto add = [](auto& list, const auto& value) {
        if (std::ranges::find(list, value) == list.end()) list.push_back(value);
    };
    for (const config::ProtectedNamespace& entry : config.schemas) {
        for (const config::EncryptedField& field : entry.schema->fields()) {
            if (const auto* uuid = std::get_if<config::KeyUuid>(&field.key)) {
                add(request.ids, crypto::KeyId{*uuid});
                continue;
            }
            const auto* alt_name = std::get_if<config::KeyAltName>(&field.key);
            if (alt_name == nullptr) continue;  // documents name the key
            const std::string name = name_for(alt_name->name, entry.pattern);
            add(name.find(placeholder) == std::string::npos ? request.alt_names : open_names, name);
        }
    }
    return request;
}

}  // namespace fieldgate::commands
