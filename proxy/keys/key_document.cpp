#include "proxy/keys/key_document.hpp"

#include <algorithm>
#include <array>
#include <bitset>
#include <optional>
#include <unordered_set>

#include "proxy/bson/error.hpp"
#include "proxy/keys/error.hpp"
#include "proxy/keys/master_key.hpp"

namespace fieldgate::keys {
namespace {

using boost::system::error_code;
using bson::DocumentView;
using bson::Element;
using bson::Type;

constexpr std::uint8_t binary_subtype_generic = 0;
constexpr std::uint8_t binary_subtype_uuid = 4;

// A sound one has one level, masterKey and keyAltNames; the others are for errors that name the field.
constexpr std::uint32_t nesting_levels_max = 4;

std::optional<crypto::KeyId> read_uuid(const Element& element) {
    if (element.type() != Type::binary) return std::nullopt;
    const bson::BinaryView binary = element.binary();
    crypto::KeyId id;
    if (binary.subtype != binary_subtype_uuid || binary.data.size() != id.bytes.size()) return std::nullopt;
    std::copy(binary.data.begin(), binary.data.end(), id.bytes.begin());
    return id;
}

error_code read_id(const Element& element, KeyDocument& key) {
    const auto id = read_uuid(element);
    if (!id) return Errc::id_not_uuid;
    key.id = *id;
    return {};
}

error_code read_key_material(const Element& element, KeyDocument& key) {
    if (element.type() != Type::binary || element.binary().subtype != binary_subtype_generic) {
        return Errc::key_material_not_binary;
    }
    const bson::Bytes data = element.binary().data;
    if (data.empty() || data.size() > key_material_bytes_max) return Errc::key_material_length;
    key.wrapped.assign(data.begin(), data.end());
    return {};
}

error_code read_creation_date(const Element& element, KeyDocument& key) {
    if (element.type() != Type::date) return Errc::creation_date_not_date;
    key.creation_unix_ms = element.int64();
    return {};
}

error_code read_update_date(const Element& element, KeyDocument& key) {
    if (element.type() != Type::date) return Errc::update_date_not_date;
    key.update_unix_ms = element.int64();
    return {};
}

error_code read_status(const Element& element, KeyDocument& key) {
    const auto status = element.whole_number();
    if (!status) return Errc::status_not_number;
    key.status = *status;
    return {};
}

error_code read_version(const Element& element, KeyDocument&) {
    return element.whole_number() == 0 ? error_code() : Errc::version_not_supported;
}

error_code read_alt_names(const Element& element, KeyDocument& key) {
    if (!element.is_array()) return Errc::alt_names_not_array;
    std::unordered_set<std::string_view> seen;
    for (const Element& name : element.document()) {
        if (!name.is_string() || !is_utf8(name.string())) return Errc::alt_name_not_string;
        if (!seen.insert(name.string()).second) return Errc::alt_name_twice;
        key.alt_names.emplace_back(name.string());
    }
    return {};
}

error_code read_master_key(const Element& element, KeyDocument& key) {
    if (!element.is_document()) return Errc::master_key_not_document;
    const auto provider = element.document().find("provider");
    if (!provider) return Errc::master_key_provider_missing;
    if (!provider->is_string() || !is_provider_name(provider->string())) {
        return Errc::master_key_provider_not_name;
    }
    auto master_key = parse_master_key(provider->string(), element.document(), MasterKeyUse::stored);
    if (!master_key) return master_key.error();
    key.provider = provider->string();
    key.master_key = std::move(*master_key);
    return {};
}

struct FieldRow {
    std::string_view name;
    error_code (*read)(const Element&, KeyDocument&);
    Errc missing;  // ok: the field is optional
};

constexpr std::array field_table{
    FieldRow{"_id", read_id, Errc::id_missing},
    FieldRow{"keyMaterial", read_key_material, Errc::key_material_missing},
    FieldRow{"creationDate", read_creation_date, Errc::creation_date_missing},
    FieldRow{"updateDate", read_update_date, Errc::update_date_missing},
    FieldRow{"status", read_status, Errc::status_missing},
    FieldRow{"masterKey", read_master_key, Errc::master_key_missing},
    FieldRow{"keyAltNames", read_alt_names, Errc::ok},
    FieldRow{"version", read_version, Errc::ok},
};

}  // namespace

boost::system::result<KeyDocument> parse_key_document(bson::Bytes document) {
    if (document.size() > key_document_bytes_max) return Errc::too_large;
    const auto checked = DocumentView::check(document, bson::Limits{nesting_levels_max});
    if (!checked) {
        return checked.error() == bson::Errc::nested_too_deep ? Errc::nested_too_deep : Errc::not_bson;
    }

    KeyDocument key;
    std::bitset<field_table.size()> seen;
    for (const Element& element : *checked) {
        const auto row = std::ranges::find(field_table, element.key(), &FieldRow::name);
        if (row == field_table.end()) return Errc::unknown_field;
        const auto index = static_cast<std::size_t>(row - field_table.begin());
        if (seen[index]) return Errc::duplicate_field;
        seen[index] = true;
        if (const error_code ec = row->read(element, key)) return ec;
    }
    for (std::size_t index = 0; index < field_table.size(); ++index) {
        if (!seen[index] && field_table[index].missing != Errc::ok) return field_table[index].missing;
    }
    return key;
}

KeyClaims claims_of(bson::Bytes document) {
    KeyClaims claims;
    const auto checked = DocumentView::check(document, bson::Limits{});
    if (!checked) return claims;
    for (const Element& element : *checked) {
        if (element.key() == "_id") {
            if (const auto id = read_uuid(element)) claims.ids.push_back(*id);
        } else if (element.key() == "keyAltNames" && element.is_array()) {
            for (const Element& name : element.document()) {
                if (name.is_string()) claims.alt_names.emplace_back(name.string());
            }
        }
    }
    return claims;
}

bson::Buffer build_key_document(const KeyDocument& key) {
    bson::Buffer buffer;
    bson::Builder document(buffer);
    document.append_binary("_id", binary_subtype_uuid, key.id.bytes);
    // Absent rather than empty: the recommended unique index is partial over documents that have the field.
    if (!key.alt_names.empty()) {
        document.open_array("keyAltNames");
        for (std::size_t index = 0; index < key.alt_names.size(); ++index) {
            document.append_string(std::to_string(index), key.alt_names[index]);
        }
        document.close();
    }
    document.append_binary("keyMaterial", binary_subtype_generic, key.wrapped)
        .append_date("creationDate", key.creation_unix_ms)
        .append_date("updateDate", key.update_unix_ms)
        .append_int32("status", static_cast<std::int32_t>(key.status));
    append_master_key(document, key.provider, key.master_key);
    document.finish();
    return buffer;
}

std::string uuid_text(const crypto::KeyId& id) {
    constexpr char hex[] = "0123456789abcdef";
    std::string text;
    text.reserve(36);
    for (std::size_t index = 0; index < id.bytes.size(); ++index) {
        if (index == 4 || index == 6 || index == 8 || index == 10) text += '-';
        text += hex[id.bytes[index] >> 4];
        text += hex[id.bytes[index] & 0xF];
    }
    return text;
}

bool is_utf8(std::string_view text) {
    std::size_t at = 0;
    const auto in = [&](std::size_t offset, unsigned low, unsigned high) {
        if (at + offset >= text.size()) return false;
        const auto byte = static_cast<unsigned char>(text[at + offset]);
        return byte >= low && byte <= high;
    };
    while (at < text.size()) {
        const auto first = static_cast<unsigned char>(text[at]);
        if (first < 0x80) {
            at += 1;
        } else if (first >= 0xC2 && first <= 0xDF && in(1, 0x80, 0xBF)) {
            at += 2;
        } else if (first >= 0xE0 && first <= 0xEF &&
                   in(1, first == 0xE0 ? 0xA0 : 0x80, first == 0xED ? 0x9F : 0xBF) && in(2, 0x80, 0xBF)) {
            at += 3;
        } else if (first >= 0xF0 && first <= 0xF4 &&
                   in(1, first == 0xF0 ? 0x90 : 0x80, first == 0xF4 ? 0x8F : 0xBF) && in(2, 0x80, 0xBF) &&
                   in(3, 0x80, 0xBF)) {
            at += 4;
        } else {
            return false;
        }
    }
    return true;
}

}  // namespace fieldgate::keys
