#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "crypto/ciphertext.hpp"
#include "proxy/analysis/analysis.hpp"
#include "proxy/bson/builder.hpp"
#include "proxy/bson/view.hpp"
#include "proxy/session/field_keys.hpp"

namespace fieldgate::session {

// Whether the value stands at the protected path itself, or at one that only reads like it: a literal dotted
// key, a document keyed by numbers. The latter is withheld like the former, and never opened.
enum class Place : std::uint8_t { exact, alike };

// What becomes of one stored value for one role.
enum class Fate : std::uint8_t {
    keep,         // as stored
    drop,         // the element disappears
    null,         // BSON null
    open,         // write_opened() it
    mask,         // write_masked() it
    key_missing,  // collect_keys(), then ask again
    key_failed,   // refusal() says why
};

// One role's eyes on the protected fields of one namespace. Decides about a value, then writes what the
// client gets instead. Nothing is written before the key is there, so that asking again costs nothing.
class FieldReader {
 public:
    FieldReader(const config::ProtectedNamespace& protected_namespace, const config::Role& role,
                const config::Config& config, std::string_view database);
    ~FieldReader();
    FieldReader(const FieldReader&) = delete;
    FieldReader& operator=(const FieldReader&) = delete;

    void begin(keys::KeyRing& ring, keys::Clock::time_point now) { keys_.begin(ring, now); }

    // A value at a protected path.
    Fate judge(std::uint16_t field, Place place, bson::Type type, bson::Bytes value);
    // A value at a plain path: opened only under `explicit_encryption: allow`, for a role that reveals
    // everything.
    Fate judge_plain(bson::Type type, bson::Bytes value);
    // Whether judge_plain() can say anything but keep.
    bool opens_plain() const { return opens_plain_; }
    // Whether a path that reads like a protected one matters: some field is not shown in clear.
    bool withholds() const { return withholds_; }

    // After Fate::open: appends the plaintext value, returns its type. Nothing: refusal() says why; for a
    // blob at a plain path (no field), simply that it is not ours.
    std::optional<bson::Type> write_opened(bson::Bytes value, bson::Buffer& out);
    // After Fate::mask: appends a string value, or nothing for null. Returns the type; nothing: see
    // refusal().
    std::optional<bson::Type> write_masked(bson::Type type, bson::Bytes value, bson::Buffer& out);

    // Every key that this role's reading of the namespace may need and that the ring has no answer for.
    void collect_keys(keys::KeyRequest& request);
    const analysis::Refusal& refusal() const { return refusal_; }

 private:
    bool fits(std::uint16_t field, const crypto::CiphertextView& blob, const crypto::KeyId& key_id) const;
    Fate judge_blob(std::uint16_t field, bson::Bytes value, Fate with_key, Fate unfit);
    void refuse(std::string_view why);

    const config::Schema& schema_;
    const std::vector<config::FieldRule>& rules_;
    bson::Limits limits_;
    FieldKeys keys_;
    bool opens_plain_ = false;
    bool withholds_ = false;

    // Of the last judge(): what the write needs.
    std::uint16_t field_ = config::no_field;
    crypto::FieldCipher* cipher_ = nullptr;
    std::vector<std::uint8_t> scratch_;  // plaintext to be masked; erased after each use
    analysis::Refusal refusal_;
};

}  // namespace fieldgate::session
