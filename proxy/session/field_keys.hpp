#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "config/config.hpp"
#include "crypto/key_id.hpp"
#include "proxy/analysis/field_space.hpp"
#include "proxy/keys/key_ring.hpp"

namespace fieldgate::session {

// The keys of a plan's fields while one message is worked on: names resolved, ciphers looked up once per
// slice. begin() at the start of every slice, because a cipher is only valid until the ring changes.
class FieldKeys {
 public:
    // Both must outlive it.
    FieldKeys(const analysis::FieldSpace& fields, const config::Config& config);

    void begin(keys::KeyRing& ring, keys::Clock::time_point now);

    // At most one of the pointers is set; neither: the ring has no answer yet, see collect(), or the field
    // has no key of its own, because each document names it.
    struct Found {
        crypto::FieldCipher* cipher = nullptr;
        const keys::KeyError* error = nullptr;
    };
    Found find(std::uint16_t field);
    // The UUID alone, known without the key itself. Null: a name that is not resolved (or cannot be), or no
    // key of its own.
    const crypto::KeyId* id(std::uint16_t field);

    // Adds what the ring has no answer for, once; nothing for a field without a key of its own.
    void collect(std::uint16_t field, keys::KeyRequest& request);

    // The key that a document names for such a field.
    struct Named {
        const crypto::KeyId* id = nullptr;  // valid until the ring changes
        Found found;
    };
    Named find_name(std::string_view alt_name);
    // Adds what the ring has no answer for; the caller asks once for each name.
    void collect_name(std::string_view alt_name, keys::KeyRequest& request);

    // Whether a schema of this plan or of the configuration gives this key to a field of its own. No document
    // may name it then: whoever can move ciphertexts in the store must not have those of one field opened
    // under the rule of another. `unresolved`: names of keys stand in the way of the answer, added to
    // `missing`. (A name with `{database}` in it is one for each database, of which only the plan's are
    // known.)
    enum class Owner : std::uint8_t { none, a_schema, unresolved };
    Owner owner_of(const crypto::KeyId& id, keys::KeyRequest& missing);

 private:
    struct Entry {
        crypto::KeyId id;
        bool id_known = false;
        const keys::KeyError* name_error = nullptr;
        Found found;
    };
    std::string alt_name(std::uint16_t field) const;
    void resolve(std::uint16_t field);
    Owner look_for_owner(const crypto::KeyId& id, keys::KeyRequest& missing);

    const analysis::FieldSpace& fields_;
    const config::Config& config_;
    keys::KeyRing* ring_ = nullptr;
    keys::Clock::time_point now_;
    std::vector<Entry> entries_;
    std::unordered_map<crypto::KeyId, Owner> owners_;  // of this slice
};

}  // namespace fieldgate::session
