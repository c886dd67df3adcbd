#include <algorithm>
#include <limits>

#include "config/load_parts.hpp"
#include "config/master_key_fields.hpp"

// kms_providers.<provider>.master_keys: what key documents may name, in their own form.
namespace fieldgate::config {
namespace {

constexpr std::size_t master_keys_max = 1000;

std::string fields_text(std::span<const MasterKeyField> fields) {
    std::string text;
    for (const MasterKeyField& field : fields) {
        if (!text.empty()) text += ", ";
        text += field.name;
        if (field.presence == MasterKeyField::Presence::optional) text += '?';
    }
    return text;
}

// Nothing: absent, or wrong, which was reported.
std::optional<MasterKeyValue> load_value(Section& section, const MasterKeyField& field) {
    const std::string key(field.name);
    if (field.type == MasterKeyField::Type::boolean) {
        const auto value = section.choice<bool>(key, {{"true", true}, {"false", false}});
        return value ? std::optional<MasterKeyValue>(*value) : std::nullopt;
    }
    if (field.type == MasterKeyField::Type::number) {
        const auto value = section.number(key, 1, std::numeric_limits<std::int32_t>::max());
        return value ? std::optional<MasterKeyValue>(static_cast<std::int32_t>(*value)) : std::nullopt;
    }
    const auto text = section.string(key);
    if (!text) return std::nullopt;
    switch (fault_of(field, *text)) {
        case MasterKeyFault::none:
            return *text;
        case MasterKeyFault::length:
            section.problem(*section.take(key), key,
                            "must have at most " + std::to_string(master_key_text_bytes_max) + " bytes");
            break;
        case MasterKeyFault::characters:
            section.problem(*section.take(key), key,
                            "'" + *text + "' has characters that this field of a masterKey cannot have");
            break;
        case MasterKeyFault::endpoint:
            section.problem(*section.take(key), key,
                            "must be HOST or HOST:PORT, as key documents have it, with a dot in the host "
                            "(except KMIP's), not '" +
                                *text + "'");
            break;
    }
    return std::nullopt;
}

ListedMasterKey load_master_key(Section& section, const std::string& provider,
                                std::span<const MasterKeyField> fields) {
    ListedMasterKey listed;
    listed.line = section.where().line;
    if (const auto named = section.string("provider"); named && *named != provider)
        section.problem(*section.take("provider"), "provider",
                        "must be '" + provider + "', whose list this is, or be left out");
    for (const MasterKeyField& field : fields) {
        if (field.presence != MasterKeyField::Presence::optional)
            section.require(std::string(field.name), "a master key here has " + fields_text(fields));
        if (auto value = load_value(section, field))
            listed.fields.push_back({std::string(field.name), std::move(*value)});
    }
    section.finish();
    return listed;
}

}  // namespace

std::optional<std::vector<ListedMasterKey>> load_master_keys(Section& section, const KmsProvider& provider) {
    const Node* node = section.take("master_keys");
    if (node == nullptr) return std::nullopt;
    // From here on there is a list, if only an empty one: one that was meant must never become none.
    std::vector<ListedMasterKey> master_keys;
    const auto fields = master_key_fields(provider.type());
    if (!fields || fields->empty()) {
        section.problem(*node, "master_keys",
                        "is not for local providers: their only master key is key_file");
        return master_keys;
    }
    const std::vector<const Node*> items = section.list("master_keys");
    if (items.empty() && (node->is_array() || (node->is_null() && node->text.empty()))) {
        section.problem(*node, "master_keys",
                        "is empty: list the master keys that fieldgate may use, or leave it out for any that "
                        "its credentials may use");
    } else if (items.size() > master_keys_max) {
        section.problem(*node, "master_keys",
                        "may have " + std::to_string(master_keys_max) + " master keys at most, not " +
                            std::to_string(items.size()));
        return master_keys;
    }
    for (std::size_t i = 0; i < items.size(); ++i) {
        Section entry(section.context(), items[i], section.path("master_keys[" + std::to_string(i) + "]"));
        master_keys.push_back(load_master_key(entry, provider.name, *fields));
    }
    return master_keys;
}

}  // namespace fieldgate::config
