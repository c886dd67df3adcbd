#include "proxy/keys/key_ring.hpp"

#include <boost/assert.hpp>

namespace fieldgate::keys {

KeyRing::Found KeyRing::find(const crypto::KeyId& id, Clock::time_point now) {
    const auto at = entries_.find(id);
    if (at == entries_.end() || at->second.expires <= now) return {};
    if (at->second.error) return {.error = &*at->second.error};
    return {.cipher = at->second.cipher.get()};
}

KeyRing::Named KeyRing::find_name(std::string_view alt_name, Clock::time_point now) {
    const auto at = names_.find(alt_name);
    if (at == names_.end()) return {};
    if (!at->second.error) return {.id = &at->second.id};
    if (at->second.expires <= now) return {};
    return {.error = &*at->second.error};
}

void KeyRing::put(const KeyResult& result) {
    if (failures_put_ > failures_max) {
        std::erase_if(entries_, [](const auto& item) { return item.second.error.has_value(); });
        std::erase_if(names_, [](const auto& item) { return item.second.error.has_value(); });
        failures_put_ = 0;
    }
    for (const auto& [id, answer] : result.ids) {
        Entry entry;
        if (const auto* ready = std::get_if<ReadyKey>(&answer)) {
            BOOST_ASSERT(ready->material);
            // Many sessions wait for one key, and each brings the same answer: it is prepared once.
            const auto at = entries_.find(id);
            if (at != entries_.end() && at->second.cipher && at->second.expires >= ready->expires) continue;
            entry.expires = ready->expires;
            auto cipher = crypto::FieldCipher::make(*ready->material, random_);
            if (cipher) {
                entry.cipher = std::move(*cipher);
            } else {
                entry.error = KeyError{key_error_code, cipher.error().message()};
            }
        } else {
            const auto& failed = std::get<FailedKey>(answer);
            entry.expires = failed.expires;
            entry.error = failed.error;
            ++failures_put_;
        }
        entries_.insert_or_assign(id, std::move(entry));
    }
    for (const auto& [name, answer] : result.alt_names) {
        NameEntry entry{};
        if (const auto* id = std::get_if<crypto::KeyId>(&answer)) {
            entry.id = *id;
        } else {
            const auto& failed = std::get<FailedKey>(answer);
            entry.expires = failed.expires;
            entry.error = failed.error;
            ++failures_put_;
        }
        names_.insert_or_assign(name, std::move(entry));
    }
}

void KeyRing::expire(Clock::time_point now) {
    std::erase_if(entries_, [now](const auto& item) { return item.second.expires <= now; });
    std::erase_if(names_,
                  [now](const auto& item) { return item.second.error && item.second.expires <= now; });
}

}  // namespace fieldgate::keys
