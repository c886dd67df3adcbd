#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/key_id.hpp"
#include "proxy/analysis/field_space.hpp"
#include "proxy/keys/key_ring.hpp"

namespace fieldgate::session {

// The keys of a plan's fields while one message is worked on: names resolved, ciphers looked up once per
// slice. begin() at the start of every slice, because a cipher is only valid until the ring changes.
class FieldKeys {
 public:
    // `fields` must outlive it.
    explicit FieldKeys(const analysis::FieldSpace& fields);

    void begin(keys::KeyRing& ring, keys::Clock::time_point now);

    // At most one of the pointers is set; neither: the ring has no answer yet, see collect().
    struct Found {
        crypto::FieldCipher* cipher = nullptr;
        const keys::KeyError* error = nullptr;
    };
    Found find(std::uint16_t field);
    // The UUID alone, known without the key itself. Null: a name that is not resolved (or cannot be).
    const crypto::KeyId* id(std::uint16_t field);

    // Adds what the ring has no answer for, once.
    void collect(std::uint16_t field, keys::KeyRequest& request);

 private:
    struct Entry {
        crypto::KeyId id;
        bool id_known = false;
        const keys::KeyError* name_error = nullptr;
        Found found;
    };
    std::string alt_name(std::uint16_t field) const;
    void resolve(std::uint16_t field);

    const analysis::FieldSpace& fields_;
    keys::KeyRing* ring_ = nullptr;
    keys::Clock::time_point now_;
    std::vector<Entry> entries_;
};

}  // namespace fieldgate::session
