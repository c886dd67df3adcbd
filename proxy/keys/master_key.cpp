#include "proxy/keys/master_key.hpp"

#include <algorithm>
#include <array>
#include <bitset>
#include <limits>
#include <span>

#include "config/scalars.hpp"
#include "proxy/keys/error.hpp"

namespace fieldgate::keys {
namespace {

using boost::system::error_code;
using bson::DocumentView;
using bson::Element;
using bson::Type;
using crypto::kms::AwsMasterKey;
using crypto::kms::AzureMasterKey;
using crypto::kms::GcpMasterKey;
using crypto::kms::KmipMasterKey;
using crypto::kms::LocalMasterKey;
using crypto::kms::VaultMasterKey;

constexpr std::size_t text_bytes_max = 2048;     // the longest ARN
constexpr std::size_t provider_bytes_max = 256;  // it stands in error texts

bool is_letter_or_digit(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// What each text may be. They become parts of host names, paths and JSON: nobody who writes a key document
// may put more into a request than its own field.
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
    return config::endpoint_fault(text).empty();
}
// Drivers want a dot in the host, but for KMIP.
bool is_endpoint(std::string_view text) {
    return text.find('.') != std::string_view::npos && is_bare_endpoint(text);
}

template <class Key, class Value>
Key key_of(Value Key::*);

enum class Empty : std::uint8_t { refused, means_none };

template <auto member, auto is_sound, Empty empty = Empty::refused,
          Errc fault = Errc::master_key_field_characters>
error_code read_text(const Element& element, MasterKeyDescription& master_key) {
    using Key = decltype(key_of(member));
    if (!element.is_string()) return Errc::master_key_field_type;
    const std::string_view text = element.string();
    if (text.size() > text_bytes_max || (text.empty() && empty == Empty::refused))
        return Errc::master_key_field_length;
    if (!text.empty() && !is_sound(text)) return fault;
    std::get<Key>(master_key).*member = text;
    return {};
}

template <auto member, auto is_sound>
error_code read_endpoint(const Element& element, MasterKeyDescription& master_key) {
    return read_text<member, is_sound, Empty::refused, Errc::master_key_endpoint_malformed>(element,
                                                                                            master_key);
}

error_code read_delegated(const Element& element, MasterKeyDescription& master_key) {
    if (element.type() != Type::boolean) return Errc::master_key_field_type;
    std::get<KmipMasterKey>(master_key).delegated = element.boolean();
    return {};
}

error_code read_version(const Element& element, MasterKeyDescription& master_key) {
    const auto version = element.whole_number();
    if (!version || *version < 1 || *version > std::numeric_limits<std::int32_t>::max())
        return Errc::master_key_field_type;
    std::get<VaultMasterKey>(master_key).key_version = static_cast<int>(*version);
    return {};
}

enum class Presence : std::uint8_t { optional, stored, always };

struct Row {
    std::string_view name;
    error_code (*read)(const Element&, MasterKeyDescription&);
    Presence presence;
};

constexpr std::array aws_rows{
    Row{"region", read_text<&AwsMasterKey::region, is_host_label>, Presence::always},
    Row{"key", read_text<&AwsMasterKey::key, is_printable>, Presence::always},
    Row{"endpoint", read_endpoint<&AwsMasterKey::endpoint, is_endpoint>, Presence::optional},
};
constexpr std::array azure_rows{
    Row{"keyVaultEndpoint", read_endpoint<&AzureMasterKey::key_vault_endpoint, is_endpoint>,
        Presence::always},
    Row{"keyName", read_text<&AzureMasterKey::key_name, is_path_part>, Presence::always},
    Row{"keyVersion", read_text<&AzureMasterKey::key_version, is_path_part, Empty::means_none>,
        Presence::optional},
};
constexpr std::array gcp_rows{
    Row{"projectId", read_text<&GcpMasterKey::project_id, is_path_part>, Presence::always},
    Row{"location", read_text<&GcpMasterKey::location, is_path_part>, Presence::always},
    Row{"keyRing", read_text<&GcpMasterKey::key_ring, is_path_part>, Presence::always},
    Row{"keyName", read_text<&GcpMasterKey::key_name, is_path_part>, Presence::always},
    Row{"keyVersion", read_text<&GcpMasterKey::key_version, is_path_part, Empty::means_none>,
        Presence::optional},
    Row{"endpoint", read_endpoint<&GcpMasterKey::endpoint, is_endpoint>, Presence::optional},
};
constexpr std::array kmip_rows{
    Row{"endpoint", read_endpoint<&KmipMasterKey::endpoint, is_bare_endpoint>, Presence::optional},
    Row{"delegated", read_delegated, Presence::optional},
    Row{"keyId", read_text<&KmipMasterKey::key_id, is_printable>, Presence::stored},
};
constexpr std::array vault_rows{
    Row{"keyName", read_text<&VaultMasterKey::key_name, is_path_part>, Presence::always},
    Row{"mount", read_text<&VaultMasterKey::mount, is_path>, Presence::optional},
    Row{"keyVersion", read_version, Presence::optional},
};

struct TypeRow {
    std::string_view type;
    std::span<const Row> rows;
    MasterKeyDescription (*make)();
};

template <class Key>
MasterKeyDescription make() {
    return Key{};
}

const std::array type_table{
    TypeRow{"local", {}, make<LocalMasterKey>},         TypeRow{"aws", aws_rows, make<AwsMasterKey>},
    TypeRow{"azure", azure_rows, make<AzureMasterKey>}, TypeRow{"gcp", gcp_rows, make<GcpMasterKey>},
    TypeRow{"kmip", kmip_rows, make<KmipMasterKey>},    TypeRow{"vault", vault_rows, make<VaultMasterKey>},
};

class Writer {
 public:
    explicit Writer(bson::Builder& out) : out_(out) {}
    void operator()(const LocalMasterKey&) {}
    void operator()(const AwsMasterKey& key) {
        text("region", key.region);
        text("key", key.key);
        text("endpoint", key.endpoint);
    }
    void operator()(const AzureMasterKey& key) {
        text("keyVaultEndpoint", key.key_vault_endpoint);
        text("keyName", key.key_name);
        text("keyVersion", key.key_version);
    }
    void operator()(const GcpMasterKey& key) {
        text("projectId", key.project_id);
        text("location", key.location);
        text("keyRing", key.key_ring);
        text("keyName", key.key_name);
        text("keyVersion", key.key_version);
        text("endpoint", key.endpoint);
    }
    void operator()(const KmipMasterKey& key) {
        text("endpoint", key.endpoint);
        if (key.delegated) out_.append_bool("delegated", true);
        text("keyId", key.key_id);
    }
    void operator()(const VaultMasterKey& key) {
        text("keyName", key.key_name);
        text("mount", key.mount);
        if (key.key_version != 0) out_.append_int32("keyVersion", key.key_version);
    }

 private:
    void text(std::string_view name, const std::string& value) {
        if (!value.empty()) out_.append_string(name, value);
    }
    bson::Builder& out_;
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
    const auto type = std::ranges::find(type_table, provider_type(provider), &TypeRow::type);
    if (type == type_table.end()) return Errc::master_key_provider_unknown;
    const auto at = [&](std::string_view name) {
        if (field != nullptr) *field = name;
    };

    MasterKeyDescription master_key = type->make();
    std::bitset<8> seen;
    bool has_provider = false;
    for (const Element& element : document) {
        if (element.key() == "provider") {
            if (std::exchange(has_provider, true)) return Errc::master_key_duplicate_field;
            continue;
        }
        const auto row = std::ranges::find(type->rows, element.key(), &Row::name);
        if (row == type->rows.end()) return Errc::master_key_unknown_field;
        at(row->name);
        const auto index = static_cast<std::size_t>(row - type->rows.begin());
        if (seen[index]) return Errc::master_key_duplicate_field;
        seen[index] = true;
        if (const error_code ec = row->read(element, master_key)) return ec;
    }
    for (std::size_t index = 0; index < type->rows.size(); ++index) {
        const Presence presence = type->rows[index].presence;
        if (seen[index] || presence == Presence::optional ||
            (presence == Presence::stored && use == MasterKeyUse::wanted))
            continue;
        at(type->rows[index].name);
        return Errc::master_key_field_missing;
    }
    return master_key;
}

void append_master_key(bson::Builder& document, std::string_view provider,
                       const MasterKeyDescription& master_key) {
    document.open_document("masterKey").append_string("provider", provider);
    std::visit(Writer(document), master_key);
    document.close();
}

std::string master_key_text(const MasterKeyDescription& master_key) {
    return std::visit(Wording(), master_key);
}

}  // namespace fieldgate::keys
