#include "proxy/keys/master_key.hpp"

#include <algorithm>
#include <bitset>
#include <boost/assert.hpp>
#include <limits>
#include <optional>
#include <tuple>
#include <utility>

#include "config/master_key_fields.hpp"
#include "proxy/keys/error.hpp"

namespace fieldgate::keys {
namespace {

using boost::system::error_code;
using bson::DocumentView;
using bson::Element;
using bson::Type;
using config::MasterKeyField;
using config::MasterKeyValue;
using crypto::kms::AwsMasterKey;
using crypto::kms::AzureMasterKey;
using crypto::kms::GcpMasterKey;
using crypto::kms::KmipMasterKey;
using crypto::kms::LocalMasterKey;
using crypto::kms::VaultMasterKey;

constexpr std::size_t provider_bytes_max = 256;  // it stands in error texts

bool is_letter_or_digit(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

template <class Key, class Value>
struct Member {
    std::string_view name;
    Value Key::* value;
};

// Which member holds which field, in the drivers' order.
template <class Key>
constexpr auto members_of = std::tuple{};
template <>
constexpr auto members_of<AwsMasterKey> =
    std::tuple{Member{"region", &AwsMasterKey::region}, Member{"key", &AwsMasterKey::key},
               Member{"endpoint", &AwsMasterKey::endpoint}};
template <>
constexpr auto members_of<AzureMasterKey> = std::tuple{
    Member{"keyVaultEndpoint", &AzureMasterKey::key_vault_endpoint},
    Member{"keyName", &AzureMasterKey::key_name}, Member{"keyVersion", &AzureMasterKey::key_version}};
template <>
constexpr auto members_of<GcpMasterKey> =
    std::tuple{Member{"projectId", &GcpMasterKey::project_id},   Member{"location", &GcpMasterKey::location},
               Member{"keyRing", &GcpMasterKey::key_ring},       Member{"keyName", &GcpMasterKey::key_name},
               Member{"keyVersion", &GcpMasterKey::key_version}, Member{"endpoint", &GcpMasterKey::endpoint}};
template <>
constexpr auto members_of<KmipMasterKey> =
    std::tuple{Member{"endpoint", &KmipMasterKey::endpoint}, Member{"delegated", &KmipMasterKey::delegated},
               Member{"keyId", &KmipMasterKey::key_id}};
template <>
constexpr auto members_of<VaultMasterKey> =
    std::tuple{Member{"keyName", &VaultMasterKey::key_name}, Member{"mount", &VaultMasterKey::mount},
               Member{"keyVersion", &VaultMasterKey::key_version}};

// visit(name, member) for each.
template <class Key, class Visit>
void each_member(Key& key, const Visit& visit) {
    std::apply([&](const auto&... member) { (visit(member.name, key.*member.value), ...); },
               members_of<std::remove_const_t<Key>>);
}

std::optional<MasterKeyDescription> make(std::string_view type) {
    if (type == "local") return LocalMasterKey{};
    if (type == "aws") return AwsMasterKey{};
    if (type == "azure") return AzureMasterKey{};
    if (type == "gcp") return GcpMasterKey{};
    if (type == "kmip") return KmipMasterKey{};
    if (type == "vault") return VaultMasterKey{};
    return std::nullopt;
}

void set(MasterKeyDescription& master_key, std::string_view name, const MasterKeyValue& value) {
    bool is_set = false;
    const auto assign = [&](std::string_view member, auto& to) {
        if (member != name) return;
        to = std::get<std::remove_cvref_t<decltype(to)>>(value);
        is_set = true;
    };
    std::visit([&](auto& key) { each_member(key, assign); }, master_key);
    BOOST_ASSERT_MSG(is_set, "a field of config/master_key_fields has no member here");
}

error_code error_of(config::MasterKeyFault fault) {
    switch (fault) {
        case config::MasterKeyFault::none:
            return {};
        case config::MasterKeyFault::length:
            return Errc::master_key_field_length;
        case config::MasterKeyFault::characters:
            return Errc::master_key_field_characters;
        case config::MasterKeyFault::endpoint:
            return Errc::master_key_endpoint_malformed;
    }
    return Errc::master_key_field_type;
}

boost::system::result<MasterKeyValue> read(const MasterKeyField& field, const Element& element) {
    if (field.type == MasterKeyField::Type::boolean) {
        if (element.type() != Type::boolean) return Errc::master_key_field_type;
        return MasterKeyValue(element.boolean());
    }
    if (field.type == MasterKeyField::Type::number) {
        const auto number = element.whole_number();
        if (!number || *number < 1 || *number > std::numeric_limits<std::int32_t>::max())
            return Errc::master_key_field_type;
        return MasterKeyValue(static_cast<std::int32_t>(*number));
    }
    if (!element.is_string()) return Errc::master_key_field_type;
    if (const error_code ec = error_of(config::fault_of(field, element.string()))) return ec;
    return MasterKeyValue(std::string(element.string()));
}

// What is empty, false or 0 is left out.
struct Writer {
    bson::Builder& out;
    void operator()(std::string_view name, const std::string& value) const {
        if (!value.empty()) out.append_string(name, value);
    }
    void operator()(std::string_view name, bool value) const {
        if (value) out.append_bool(name, true);
    }
    void operator()(std::string_view name, int value) const {
        if (value != 0) out.append_int32(name, value);
    }
};

std::string with(const std::string& text, const char* between, const std::string& more) {
    return more.empty() ? text : text + between + more;
}

struct Wording {
    std::string operator()(const LocalMasterKey&) const { return {}; }
    std::string operator()(const AwsMasterKey& key) const {
        return with(key.region + " " + key.key, " at ", key.endpoint);
    }
    std::string operator()(const AzureMasterKey& key) const {
        return with(key.key_name, "/", key.key_version) + " at " + key.key_vault_endpoint;
    }
    std::string operator()(const GcpMasterKey& key) const {
        const std::string path =
            key.project_id + "/" + key.location + "/" + key.key_ring + "/" + key.key_name;
        return with(with(path, "/", key.key_version), " at ", key.endpoint);
    }
    std::string operator()(const KmipMasterKey& key) const {
        const std::string id = key.key_id.empty() ? "a new key" : key.key_id;
        return with(key.delegated ? id + " (delegated)" : id, " at ", key.endpoint);
    }
    std::string operator()(const VaultMasterKey& key) const {
        const std::string path = (key.mount.empty() ? "transit" : key.mount) + "/" + key.key_name;
        return key.key_version == 0 ? path : path + " version " + std::to_string(key.key_version);
    }
};

}  // namespace

bool is_provider_name(std::string_view text) {
    const auto is_word = [](std::string_view part) {
        return !part.empty() &&
               std::ranges::all_of(part, [](char c) { return is_letter_or_digit(c) || c == '_'; });
    };
    const std::size_t colon = text.find(':');
    return text.size() <= provider_bytes_max && is_word(text.substr(0, colon)) &&
           (colon == std::string_view::npos || is_word(text.substr(colon + 1)));
}

std::string_view provider_type(std::string_view provider) {
    return provider.substr(0, provider.find(':'));
}

boost::system::result<MasterKeyDescription> parse_master_key(std::string_view provider, DocumentView document,
                                                             MasterKeyUse use, std::string* field) {
    const auto fields = config::master_key_fields(provider_type(provider));
    auto made = make(provider_type(provider));
    if (!fields || !made) return Errc::master_key_provider_unknown;
    const auto at = [&](std::string_view name) {
        if (field != nullptr) *field = name;
    };

    MasterKeyDescription master_key = std::move(*made);
    std::bitset<8> seen;
    bool has_provider = false;
    for (const Element& element : document) {
        if (element.key() == "provider") {
            if (std::exchange(has_provider, true)) return Errc::master_key_duplicate_field;
            continue;
        }
        const auto known = std::ranges::find(*fields, element.key(), &MasterKeyField::name);
        if (known == fields->end()) return Errc::master_key_unknown_field;
        at(known->name);
        const auto index = static_cast<std::size_t>(known - fields->begin());
        if (seen[index]) return Errc::master_key_duplicate_field;
        seen[index] = true;
        const auto value = read(*known, element);
        if (!value) return value.error();
        set(master_key, known->name, *value);
    }
    for (std::size_t index = 0; index < fields->size(); ++index) {
        using Presence = MasterKeyField::Presence;
        const Presence presence = (*fields)[index].presence;
        if (seen[index] || presence == Presence::optional ||
            (presence == Presence::stored && use == MasterKeyUse::wanted))
            continue;
        at((*fields)[index].name);
        return Errc::master_key_field_missing;
    }
    return master_key;
}

MasterKeyDescription master_key_of(std::string_view provider, const config::ListedMasterKey& listed) {
    auto made = make(provider_type(provider));
    BOOST_ASSERT_MSG(made, "the configuration has no providers of other types");
    for (const config::ListedMasterKey::Field& field : listed.fields) set(*made, field.name, field.value);
    return std::move(*made);
}

void append_master_key(bson::Builder& document, std::string_view provider,
                       const MasterKeyDescription& master_key) {
    document.open_document("masterKey").append_string("provider", provider);
    std::visit([&](const auto& key) { each_member(key, Writer{document}); }, master_key);
    document.close();
}

std::string master_key_text(const MasterKeyDescription& master_key) {
    return std::visit(Wording(), master_key);
}

}  // namespace fieldgate::keys
