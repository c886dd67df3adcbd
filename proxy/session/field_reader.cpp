#include "proxy/session/field_reader.hpp"

#include <string.h>

#include <boost/assert.hpp>
#include <boost/endian/conversion.hpp>

#include "config/bson_types.hpp"
#include "proxy/policy/policy.hpp"

namespace fieldgate::session {
namespace {

using config::ReadRule;

constexpr std::uint8_t encrypted_subtype = 6;
constexpr std::size_t binary_header_bytes = 5;

constexpr std::string_view unauthentic =
    "does not authenticate: it was changed, or made with another key than it names";
constexpr std::string_view not_a_value = "does not hold a value of the type that it names";

bool is_encrypted_binary(bson::Type type, bson::Bytes value) {
    return type == bson::Type::binary && value[4] == encrypted_subtype;
}

bson::Bytes blob_of(bson::Bytes value) {
    return value.subspan(binary_header_bytes);
}

void append_string_value(bson::Buffer& out, std::string_view text) {
    std::uint8_t length[4];
    boost::endian::store_little_u32(length, static_cast<std::uint32_t>(text.size() + 1));
    out.insert(out.end(), length, length + sizeof length);
    out.insert(out.end(), text.begin(), text.end());
    out.push_back(0);
}

const std::vector<config::FieldRule>& rules_of(const config::Role& role, std::size_t namespace_index) {
    BOOST_ASSERT(namespace_index < role.rules.size());
    return role.rules[namespace_index];
}

bool needs_key(const config::FieldRule& rule) {
    return rule.read.kind == ReadRule::Kind::reveal || rule.read.kind == ReadRule::Kind::mask;
}

}  // namespace

FieldReader::FieldReader(const config::ProtectedNamespace& protected_namespace, const config::Role& role,
                         const config::Config& config, std::string_view database)
    : schema_(*protected_namespace.schema),
      rules_(rules_of(role, protected_namespace.index)),
      limits_{config.limits.nesting_levels},
      keys_(schema_, database),
      opens_plain_(protected_namespace.explicit_encryption_allow && role.reveals_everything()) {
    BOOST_ASSERT(rules_.size() == schema_.fields().size());
    for (const config::FieldRule& rule : rules_) withholds_ |= rule.read.kind != ReadRule::Kind::reveal;
}

FieldReader::~FieldReader() {
    if (!scratch_.empty()) explicit_bzero(scratch_.data(), scratch_.size());
}

bool FieldReader::fits(std::uint16_t field, const crypto::CiphertextView& blob,
                       const crypto::KeyId& key_id) const {
    const config::EncryptedField& definition = schema_.fields()[field];
    return static_cast<std::uint8_t>(blob.algorithm) == static_cast<std::uint8_t>(definition.algorithm) &&
           blob.key_id == key_id && definition.allows(blob.bson_type);
}

Fate FieldReader::judge_blob(std::uint16_t field, bson::Bytes value, Fate with_key, Fate unfit) {
    const auto blob = crypto::CiphertextView::parse(blob_of(value));
    if (!blob) return unfit;
    const FieldKeys::Found found = keys_.find(field);
    const crypto::KeyId* const key_id = keys_.id(field);
    // With another key's id on it the blob is not this field's, whatever became of this field's own key.
    if (key_id != nullptr && !fits(field, *blob, *key_id)) return unfit;
    if (found.error != nullptr) {
        refusal_ = {found.error->code, analysis::code_name(found.error->code), found.error->errmsg};
        return Fate::key_failed;
    }
    if (found.cipher == nullptr) return Fate::key_missing;
    field_ = field;
    cipher_ = found.cipher;
    return with_key;
}

Fate FieldReader::judge(std::uint16_t field, Place place, bson::Type type, bson::Bytes value) {
    const bool encrypted = is_encrypted_binary(type, value);
    switch (rules_[field].read.kind) {
        case ReadRule::Kind::reveal:
            if (!encrypted || place == Place::alike) return Fate::keep;
            return judge_blob(field, value, Fate::open, Fate::keep);
        case ReadRule::Kind::ciphertext:
            // Plaintext from before the field was protected, or put there by somebody past the proxy, is no
            // ciphertext.
            return encrypted && crypto::CiphertextView::parse(blob_of(value)) ? Fate::keep : Fate::drop;
        case ReadRule::Kind::null:
            return Fate::null;
        case ReadRule::Kind::omit:
            return Fate::drop;
        case ReadRule::Kind::mask:
            if (place == Place::alike) return Fate::null;
            if (encrypted) return judge_blob(field, value, Fate::mask, Fate::null);
            field_ = field;
            cipher_ = nullptr;
            return Fate::mask;
    }
    return Fate::drop;
}

Fate FieldReader::judge_plain(bson::Type type, bson::Bytes value) {
    if (!opens_plain_ || !is_encrypted_binary(type, value)) return Fate::keep;
    const auto blob = crypto::CiphertextView::parse(blob_of(value));
    if (!blob || !config::may_encrypt(config::Algorithm::random, blob->bson_type)) return Fate::keep;
    bool name_missing = false;
    for (std::size_t i = 0; i < schema_.fields().size(); ++i) {
        const auto field = static_cast<std::uint16_t>(i);
        const FieldKeys::Found found = keys_.find(field);
        const crypto::KeyId* const key_id = keys_.id(field);
        name_missing |= key_id == nullptr && found.error == nullptr;
        if (key_id == nullptr || *key_id != blob->key_id) continue;
        if (found.error != nullptr) return Fate::keep;
        if (found.cipher == nullptr) return Fate::key_missing;
        field_ = config::no_field;
        cipher_ = found.cipher;
        return Fate::open;
    }
    return name_missing ? Fate::key_missing : Fate::keep;
}

std::optional<bson::Type> FieldReader::write_opened(bson::Bytes value, bson::Buffer& out) {
    BOOST_ASSERT(cipher_ != nullptr);
    const bson::Bytes blob = blob_of(value);
    const auto type = static_cast<bson::Type>(blob[17]);
    const std::size_t start = out.size();
    out.resize(start + crypto::opened_bytes_max(blob.size()));
    const auto opened = cipher_->open(blob, std::span(out).subspan(start));
    if (!opened) {
        out.resize(start);
        refuse(unauthentic);
        return std::nullopt;
    }
    out.resize(start + *opened);
    if (bson::check_value(type, bson::Bytes(out).subspan(start), limits_)) {
        explicit_bzero(out.data() + start, *opened);
        out.resize(start);
        refuse(not_a_value);
        return std::nullopt;
    }
    return type;
}

std::optional<bson::Type> FieldReader::write_masked(bson::Type type, bson::Bytes value, bson::Buffer& out) {
    bson::Bytes plaintext = value;
    if (cipher_ != nullptr) {
        const bson::Bytes blob = blob_of(value);
        type = static_cast<bson::Type>(blob[17]);
        const std::size_t room = crypto::opened_bytes_max(blob.size());
        if (scratch_.size() < room) scratch_.resize(room);
        const auto opened = cipher_->open(blob, std::span(scratch_).first(room));
        if (!opened) {
            refuse(unauthentic);
            return std::nullopt;
        }
        plaintext = bson::Bytes(scratch_).first(*opened);
        if (bson::check_value(type, plaintext, limits_)) {
            explicit_bzero(scratch_.data(), *opened);
            refuse(not_a_value);
            return std::nullopt;
        }
    }
    const std::optional<std::string> masked = policy::mask(type, plaintext, rules_[field_].read.keep_last);
    if (cipher_ != nullptr) explicit_bzero(scratch_.data(), plaintext.size());
    if (!masked) return bson::Type::null;
    append_string_value(out, *masked);
    return bson::Type::string;
}

void FieldReader::collect_keys(keys::KeyRequest& request) {
    for (std::size_t field = 0; field < rules_.size(); ++field) {
        if (needs_key(rules_[field])) keys_.collect(static_cast<std::uint16_t>(field), request);
    }
}

void FieldReader::refuse(std::string_view why) {
    if (field_ == config::no_field) return;  // at a plain path it simply is not ours
    refusal_ = {analysis::code::key_not_available, "OperationFailed",
                "the stored ciphertext of field '" + schema_.fields()[field_].path + "' " + std::string(why)};
}

}  // namespace fieldgate::session
