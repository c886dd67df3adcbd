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

// One role's eyes on the protected fields of a reply shape. Decides about a value, then writes what the
// client gets instead. Nothing is written before the key is there, so that asking again costs nothing.
class FieldReader {
 public:
    // All three must outlive it.
    FieldReader(const analysis::FieldSpace& fields, const config::Role& role, const config::Config& config);
    ~FieldReader();
    FieldReader(const FieldReader&) = delete;
    FieldReader& operator=(const FieldReader&) = delete;

    void begin(keys::KeyRing& ring, keys::Clock::time_point now);

    // A value at a protected path.
    Fate judge(std::uint16_t field, Place place, bson::Type type, bson::Bytes value);
    bool reveals(std::uint16_t field) const {
        return rule(field).read.kind == config::ReadRule::Kind::reveal;
    }
    // A value at a plain path: opened only under `explicit_encryption: allow`, for a role that reveals
    // everything.
    Fate judge_plain(bson::Type type, bson::Bytes value);
    // A value where nobody knows before it is read whether it is encrypted. For a role that everything here
    // is revealed to, what fits one of the fields is opened and the rest kept; for any other, what stands
    // there meets the strictest of its rules.
    Fate judge_unknown(bson::Type type, bson::Bytes value);
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
    enum class Fit : std::uint8_t { yes, no, key_missing, key_failed };
    const config::FieldRule& rule(std::uint16_t field) const { return *rules_[field]; }
    Fit fit(std::uint16_t field, const crypto::CiphertextView& blob);
    Fit fit_document_key(std::uint16_t field, const crypto::KeyId& id);
    Fate judge_blob(std::uint16_t field, bson::Bytes value, Fate with_key, Fate unfit);
    void refuse(std::string_view why);

    const analysis::FieldSpace& fields_;
    std::vector<const config::FieldRule*> rules_;  // by number of the field
    bson::Limits limits_;
    FieldKeys keys_;
    bool opens_plain_ = false;
    bool withholds_ = false;
    config::ReadRule::Kind strictest_ = config::ReadRule::Kind::reveal;
    keys::KeyRing* ring_ = nullptr;
    keys::Clock::time_point now_;
    keys::KeyRequest missing_;  // beyond the keys that the schemas name

    // Of the last judge(): what the write needs.
    std::uint16_t field_ = config::no_field;
    crypto::FieldCipher* cipher_ = nullptr;
    std::vector<std::uint8_t> scratch_;  // plaintext to be masked; erased after each use
    analysis::Refusal refusal_;
};

}  // namespace fieldgate::session
