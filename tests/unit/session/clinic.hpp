#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/config.hpp"
#include "crypto/random.hpp"
#include "proxy/analysis/analysis.hpp"
#include "proxy/bson/builder.hpp"
#include "proxy/keys/key_ring.hpp"
#include "proxy/session/seal.hpp"
#include "proxy/wire/message.hpp"

// The clinic for the tests of sealing and opening: a schema, two data keys with known bytes, and documents
// under them.
namespace fieldgate::session::testing {

using bson::Buffer;
using bson::Builder;
using bson::Bytes;
using bson::Type;
using config::ReadRule;

inline crypto::DataKey data_key(std::uint8_t filler) {
    const std::vector<std::uint8_t> bytes(crypto::key_bytes, filler);
    return crypto::DataKey(std::span<const std::uint8_t, crypto::key_bytes>(bytes.data(), bytes.size()));
}

inline crypto::KeyId key_id(std::uint8_t filler) {
    crypto::KeyId id;
    id.bytes.fill(filler);
    return id;
}

enum Field : std::uint16_t {
    ssn,
    policy_number,
    blood_type,
    medical_records,
    date_of_birth,
    email,
    passport,  // the second key, by a name that depends on the database
    note,      // random, any type
    field_count,
};

inline const char* const tenant_key_name = "key-of-clinic";

class Clinic {
 public:
    Clinic() {
        auto schema = std::make_shared<config::Schema>();
        const auto add = [&](config::SchemaNode& parent, const char* name, std::string path,
                             config::Algorithm algorithm, config::KeyReference key,
                             std::vector<std::uint8_t> types) {
            parent.add_child(name).field = static_cast<std::uint16_t>(schema->fields_.size());
            schema->fields_.push_back({std::move(path), algorithm, std::move(key), std::move(types)});
        };
        const config::KeyReference key = key_id(1).bytes;
        const auto det = config::Algorithm::deterministic;
        const auto random_algorithm = config::Algorithm::random;
        add(schema->root_, "ssn", "ssn", det, key, {0x10});
        add(schema->root_.add_child("insurance"), "policyNumber", "insurance.policyNumber", det, key, {0x10});
        add(schema->root_, "bloodType", "bloodType", random_algorithm, key, {0x02});
        add(schema->root_, "medicalRecords", "medicalRecords", random_algorithm, key, {0x04});
        add(schema->root_, "dateOfBirth", "dateOfBirth", random_algorithm, key, {0x09});
        add(schema->root_, "email", "email", random_algorithm, key, {0x02});
        add(schema->root_, "passport", "passport", det, config::KeyAltName{"key-of-{database}"}, {0x02});
        add(schema->root_, "note", "note", random_algorithm, key, {});
        config.schemas.push_back({{"clinic", "patients"}, schema, 0, false});
        for (std::uint8_t filler = 1; filler <= 2; ++filler) {
            ciphers_[filler - 1] = std::move(crypto::FieldCipher::make(data_key(filler), random).value());
        }
        give_keys();
    }

    const config::ProtectedNamespace& patients() const { return config.schemas.front(); }
    const config::Schema& schema() const { return *patients().schema; }
    std::shared_ptr<analysis::FieldSpace> fields() const {
        return analysis::FieldSpace::of(config::reference_to(patients()), "clinic", "patients");
    }

    static keys::ReadyKey ready(std::uint8_t filler) {
        return {std::make_shared<const crypto::DataKey>(data_key(filler)), now() + std::chrono::hours(1)};
    }
    void give_keys() {
        keys::KeyResult result;
        result.ids.emplace_back(key_id(1), ready(1));
        result.ids.emplace_back(key_id(2), ready(2));
        result.alt_names.emplace_back(tenant_key_name, key_id(2));
        ring.put(result);
    }
    static keys::Clock::time_point now() { return keys::Clock::time_point(std::chrono::hours(10)); }

    config::Role role(ReadRule::Kind kind, std::uint32_t keep_last = 0) const {
        config::Role role;
        role.name = "tester";
        role.encrypted_fields = {{kind, keep_last}, false, false};
        role.rules = {std::vector<config::FieldRule>(field_count, role.encrypted_fields)};
        return role;
    }

    // The ciphertext of a value under the field's own key and algorithm.
    Buffer blob(Field field, Type type, Bytes value) {
        const config::EncryptedField& definition = schema().fields()[field];
        return blob_with(static_cast<crypto::Algorithm>(definition.algorithm), field == passport ? 2 : 1,
                         type, value);
    }
    Buffer blob_with(crypto::Algorithm algorithm, std::uint8_t key, Type type, Bytes value) {
        Buffer out(crypto::blob_bytes(value.size()));
        const auto ec =
            ciphers_[key - 1]->seal(algorithm, key_id(key), static_cast<std::uint8_t>(type), value, out);
        EXPECT_FALSE(ec) << ec.message();
        return out;
    }

    crypto::SystemRandom random;
    config::Config config;
    keys::KeyRing ring{random};

 private:
    std::unique_ptr<crypto::FieldCipher> ciphers_[2];
};

// BSON values as they stand behind a key.
inline Buffer int32_value(std::int32_t number) {
    const auto bits = static_cast<std::uint32_t>(number);
    return {static_cast<std::uint8_t>(bits), static_cast<std::uint8_t>(bits >> 8),
            static_cast<std::uint8_t>(bits >> 16), static_cast<std::uint8_t>(bits >> 24)};
}
inline Buffer string_value(std::string_view text) {
    const Buffer size = int32_value(static_cast<std::int32_t>(text.size() + 1));
    Buffer out(size.size() + text.size() + 1);
    std::copy(size.begin(), size.end(), out.begin());
    std::copy(text.begin(), text.end(), out.begin() + static_cast<std::ptrdiff_t>(size.size()));
    return out;
}

inline Buffer document(const std::function<void(Builder&)>& fill) {
    Buffer out;
    Builder builder(out);
    fill(builder);
    builder.finish();
    return out;
}
inline Buffer from_json(std::string_view json) {
    auto out = bson::from_json(json);
    EXPECT_TRUE(out) << json;
    return *out;
}

inline bool contains(Bytes haystack, Bytes needle) {
    return std::search(haystack.begin(), haystack.end(), needle.begin(), needle.end()) != haystack.end();
}
inline bool contains(Bytes haystack, std::string_view needle) {
    return contains(haystack, Bytes(reinterpret_cast<const std::uint8_t*>(needle.data()), needle.size()));
}

// Steps until something other than another slice is due.
template <class Rewriter>
Work run(Rewriter& rewriter, Clinic& clinic, const SliceBudget& budget = {}, std::size_t* slices = nullptr) {
    for (;;) {
        const Work work = rewriter.step(clinic.ring, Clinic::now(), budget);
        if (slices != nullptr) ++*slices;
        if (work != Work::more) return work;
    }
}

}  // namespace fieldgate::session::testing
