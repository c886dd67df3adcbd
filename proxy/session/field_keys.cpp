#include "proxy/session/field_keys.hpp"

#include <algorithm>
#include <boost/assert.hpp>

namespace fieldgate::session {

namespace {

void add_name(std::string_view name, keys::KeyRequest& request) {
    if (std::find(request.alt_names.begin(), request.alt_names.end(), name) == request.alt_names.end())
        request.alt_names.emplace_back(name);
}

}  // namespace

FieldKeys::FieldKeys(const analysis::FieldSpace& fields, const config::Config& config)
    : fields_(fields), config_(config), entries_(fields.size()) {}

void FieldKeys::begin(keys::KeyRing& ring, keys::Clock::time_point now) {
    ring_ = &ring;
    now_ = now;
    owners_.clear();
    for (Entry& entry : entries_) {
        entry.name_error = nullptr;
        entry.found = {};
    }
}

std::string FieldKeys::alt_name(std::uint16_t field) const {
    return analysis::expand_alt_name(std::get<config::KeyAltName>(fields_.field(field).key).name,
                                     fields_.part_of(field).database);
}

void FieldKeys::resolve(std::uint16_t field) {
    BOOST_ASSERT_MSG(ring_ != nullptr, "begin() comes first");
    Entry& entry = entries_[field];
    if (entry.id_known || entry.name_error != nullptr) return;
    const config::KeyReference& key = fields_.field(field).key;
    if (const auto* uuid = std::get_if<config::KeyUuid>(&key)) {
        entry.id.bytes = *uuid;
        entry.id_known = true;
        return;
    }
    if (!std::holds_alternative<config::KeyAltName>(key)) return;
    const keys::KeyRing::Named named = ring_->find_name(alt_name(field), now_);
    entry.name_error = named.error;
    if (named.id != nullptr) {
        entry.id = *named.id;
        entry.id_known = true;
    }
}

const crypto::KeyId* FieldKeys::id(std::uint16_t field) {
    resolve(field);
    const Entry& entry = entries_[field];
    return entry.id_known ? &entry.id : nullptr;
}

FieldKeys::Found FieldKeys::find(std::uint16_t field) {
    resolve(field);
    Entry& entry = entries_[field];
    if (entry.name_error != nullptr) return {nullptr, entry.name_error};
    if (!entry.id_known) return {};
    if (entry.found.cipher == nullptr && entry.found.error == nullptr) {
        const keys::KeyRing::Found found = ring_->find(entry.id, now_);
        entry.found = {found.cipher, found.error};
    }
    return entry.found;
}

void FieldKeys::collect(std::uint16_t field, keys::KeyRequest& request) {
    const Found found = find(field);
    if (found.cipher != nullptr || found.error != nullptr) return;
    if (entries_[field].id_known) {
        const crypto::KeyId& id = entries_[field].id;
        if (std::find(request.ids.begin(), request.ids.end(), id) == request.ids.end())
            request.ids.push_back(id);
        return;
    }
    if (std::holds_alternative<config::KeyAltName>(fields_.field(field).key))
        add_name(alt_name(field), request);
}

FieldKeys::Named FieldKeys::find_name(std::string_view name) {
    BOOST_ASSERT_MSG(ring_ != nullptr, "begin() comes first");
    const keys::KeyRing::Named named = ring_->find_name(name, now_);
    if (named.id == nullptr) return {nullptr, {nullptr, named.error}};
    const keys::KeyRing::Found found = ring_->find(*named.id, now_);
    return {named.id, {found.cipher, found.error}};
}

void FieldKeys::collect_name(std::string_view name, keys::KeyRequest& request) {
    const Named named = find_name(name);
    if (named.found.cipher != nullptr || named.found.error != nullptr) return;
    if (named.id != nullptr) {
        request.ids.push_back(*named.id);
    } else {
        request.alt_names.emplace_back(name);
    }
}

FieldKeys::Owner FieldKeys::owner_of(const crypto::KeyId& id, keys::KeyRequest& missing) {
    const auto known = owners_.find(id);
    if (known != owners_.end()) return known->second;
    const Owner owner = look_for_owner(id, missing);
    if (owner != Owner::unresolved) owners_.emplace(id, owner);
    return owner;
}

FieldKeys::Owner FieldKeys::look_for_owner(const crypto::KeyId& id, keys::KeyRequest& missing) {
    bool unresolved = false;
    for (std::size_t i = 0; i < fields_.size(); ++i) {
        const auto field = static_cast<std::uint16_t>(i);
        if (!fields_.field(field).has_static_key()) continue;
        resolve(field);
        const Entry& entry = entries_[field];
        if (entry.id_known && entry.id == id) return Owner::a_schema;
        if (entry.id_known || entry.name_error != nullptr) continue;
        add_name(alt_name(field), missing);
        unresolved = true;
    }
    for (const config::ProtectedNamespace& listed : config_.schemas) {
        for (const config::EncryptedField& field : listed.schema->fields()) {
            if (const auto* uuid = std::get_if<config::KeyUuid>(&field.key)) {
                if (*uuid == id.bytes) return Owner::a_schema;
                continue;
            }
            const auto* name = std::get_if<config::KeyAltName>(&field.key);
            if (name == nullptr || name->name.find("{database}") != std::string::npos) continue;
            const keys::KeyRing::Named named = ring_->find_name(name->name, now_);
            if (named.id != nullptr && *named.id == id) return Owner::a_schema;
            if (named.id != nullptr || named.error != nullptr) continue;
            add_name(name->name, missing);
            unresolved = true;
        }
    }
    return unresolved ? Owner::unresolved : Owner::none;
}

}  // namespace fieldgate::session
