#include "proxy/session/field_keys.hpp"

#include <algorithm>
#include <boost/assert.hpp>

namespace fieldgate::session {

FieldKeys::FieldKeys(const analysis::FieldSpace& fields) : fields_(fields), entries_(fields.size()) {}

void FieldKeys::begin(keys::KeyRing& ring, keys::Clock::time_point now) {
    ring_ = &ring;
    now_ = now;
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
    std::string name = alt_name(field);
    if (std::find(request.alt_names.begin(), request.alt_names.end(), name) == request.alt_names.end()) {
        request.alt_names.push_back(std::move(name));
    }
}

}  // namespace fieldgate::session
