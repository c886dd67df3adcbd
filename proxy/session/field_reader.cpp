#include "proxy/session/field_reader.hpp"

#include <string.h>

#include <algorithm>
#include <boost/assert.hpp>
#include <boost/endian/conversion.hpp>

#include "config/bson_types.hpp"
#include "proxy/policy/policy.hpp"

namespace fieldgate::session {
namespace {

using config::ReadRule;

constexpr std::size_t binary_header_bytes = 5;

constexpr std::string_view unauthentic =
    "does not authenticate: it was changed, or made with another key than it names";
constexpr std::string_view not_a_value = "does not hold a value of the type that it names";

bool is_encrypted_binary(bson::Type type, bson::Bytes value) {
    return type == bson::Type::binary && value[4] == bson::encrypted_subtype;
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

// How much a rule withholds, compared with others.
int strictness(ReadRule::Kind kind) {
    switch (kind) {
        case ReadRule::Kind::reveal:
            return 0;
        case ReadRule::Kind::ciphertext:
            return 1;
        case ReadRule::Kind::mask:
            return 2;
        case ReadRule::Kind::null:
            return 3;
        case ReadRule::Kind::omit:
            break;
    }
    return 4;
}

bool needs_key(const config::FieldRule& rule) {
    return rule.read.kind == ReadRule::Kind::reveal || rule.read.kind == ReadRule::Kind::mask;
}

}  // namespace

FieldReader::FieldReader(const analysis::FieldSpace& fields, const config::Role& role,
                         const config::Config& config)
    : fields_(fields), limits_{config.limits.nesting_levels}, keys_(fields, config) {
    opens_plain_ = role.reveals_everything();
    rules_.reserve(fields.size());
    for (const analysis::FieldSpace::Part& part : fields.parts()) {
        const config::ProtectedNamespace& protected_namespace = *part.protected_namespace;
        opens_plain_ = opens_plain_ && protected_namespace.explicit_encryption_allow;
        for (std::size_t i = 0; i < protected_namespace.schema->fields().size(); ++i)
            rules_.push_back(&role.rule(protected_namespace.index, static_cast<std::uint16_t>(i)));
    }
    for (const config::FieldRule* rule : rules_)
        if (strictness(rule->read.kind) > strictness(strictest_)) strictest_ = rule->read.kind;
    withholds_ = strictest_ != ReadRule::Kind::reveal;
}

void FieldReader::begin(keys::KeyRing& ring, keys::Clock::time_point now) {
    ring_ = &ring;
    now_ = now;
    missing_ = {};
    keys_.begin(ring, now);
}

FieldReader::~FieldReader() {
    if (!scratch_.empty()) explicit_bzero(scratch_.data(), scratch_.size());
}

// With another key's id on it the blob is not this field's, whatever became of this field's own key.
FieldReader::Fit FieldReader::fit(std::uint16_t field, const crypto::CiphertextView& blob) {
    const config::EncryptedField& definition = fields_.field(field);
    if (static_cast<std::uint8_t>(blob.algorithm) != static_cast<std::uint8_t>(definition.algorithm) ||
        !definition.allows(blob.bson_type))
        return Fit::no;
    if (!definition.has_static_key()) return fit_document_key(field, blob.key_id);
    const FieldKeys::Found found = keys_.find(field);
    const crypto::KeyId* const key_id = keys_.id(field);
    if (key_id != nullptr && blob.key_id != *key_id) return Fit::no;
    if (found.error != nullptr) {
        refusal_ = {found.error->code, analysis::code_name(found.error->code), found.error->errmsg};
        return Fit::key_failed;
    }
    if (found.cipher == nullptr) return Fit::key_missing;
    field_ = field;
    cipher_ = found.cipher;
    return Fit::yes;
}

// Each document names the key of such a field itself. Any key may be it, but for those of other fields.
FieldReader::Fit FieldReader::fit_document_key(std::uint16_t field, const crypto::KeyId& id) {
    switch (keys_.owner_of(id, missing_)) {
        case FieldKeys::Owner::a_schema:
            return Fit::no;
        case FieldKeys::Owner::unresolved:
            return Fit::key_missing;
        case FieldKeys::Owner::none:
            break;
    }
    const keys::KeyRing::Found found = ring_->find(id, now_);
    if (found.error != nullptr) {
        refusal_ = {found.error->code, analysis::code_name(found.error->code), found.error->errmsg};
        return Fit::key_failed;
    }
    if (found.cipher == nullptr) {
        missing_.ids.push_back(id);
        return Fit::key_missing;
    }
    field_ = field;
    cipher_ = found.cipher;
    return Fit::yes;
}

Fate FieldReader::judge_blob(std::uint16_t field, bson::Bytes value, Fate with_key, Fate unfit) {
    const auto blob = crypto::CiphertextView::parse(blob_of(value));
    if (!blob) return unfit;
    switch (fit(field, *blob)) {
        case Fit::yes:
            return with_key;
        case Fit::no:
            return unfit;
        case Fit::key_missing:
            return Fate::key_missing;
        case Fit::key_failed:
            break;
    }
    return Fate::key_failed;
}

Fate FieldReader::judge_unknown(bson::Type type, bson::Bytes value) {
    const bool encrypted = is_encrypted_binary(type, value);
    switch (strictest_) {
        case ReadRule::Kind::reveal:
            break;
        case ReadRule::Kind::ciphertext:
            return encrypted && crypto::CiphertextView::parse(blob_of(value)) ? Fate::keep : Fate::drop;
        case ReadRule::Kind::mask:  // of which field, to how many characters, is not known either
        case ReadRule::Kind::null:
            return Fate::null;
        case ReadRule::Kind::omit:
            return Fate::drop;
    }
    if (!encrypted) return Fate::keep;
    const auto blob = crypto::CiphertextView::parse(blob_of(value));
    if (!blob) return Fate::keep;
    Fate fate = Fate::keep;
    for (std::size_t i = 0; i < fields_.size(); ++i) {
        switch (fit(static_cast<std::uint16_t>(i), *blob)) {
            case Fit::yes:
                return Fate::open;
            case Fit::key_missing:
                fate = Fate::key_missing;
                break;
            case Fit::key_failed:
                if (fate == Fate::keep) fate = Fate::key_failed;
                break;
            case Fit::no:
                break;
        }
    }
    return fate;
}

Fate FieldReader::judge(std::uint16_t field, Place place, bson::Type type, bson::Bytes value) {
    const bool encrypted = is_encrypted_binary(type, value);
    switch (rule(field).read.kind) {
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
    for (std::size_t i = 0; i < fields_.size(); ++i) {
        const auto field = static_cast<std::uint16_t>(i);
        if (!fields_.field(field).has_static_key()) continue;
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
    const std::optional<std::string> masked = policy::mask(type, plaintext, rule(field_).read.keep_last);
    if (cipher_ != nullptr) explicit_bzero(scratch_.data(), plaintext.size());
    if (!masked) return bson::Type::null;
    append_string_value(out, *masked);
    return bson::Type::string;
}

void FieldReader::collect_keys(keys::KeyRequest& request) {
    for (std::size_t i = 0; i < rules_.size(); ++i) {
        const auto field = static_cast<std::uint16_t>(i);
        if (needs_key(*rules_[i]) && fields_.field(field).has_static_key()) keys_.collect(field, request);
    }
    const auto add = [](auto& list, auto& more) {
        for (auto& each : more)
            if (std::ranges::find(list, each) == list.end()) list.push_back(std::move(each));
        more.clear();
    };
    add(request.ids, missing_.ids);
    add(request.alt_names, missing_.alt_names);
}

void FieldReader::refuse(std::string_view why) {
    if (field_ == config::no_field) return;  // at a plain path it simply is not ours
    refusal_ = {analysis::code::key_not_available, "OperationFailed",
                "the stored ciphertext of field '" + fields_.field(field_).path + "' " + std::string(why)};
}

}  // namespace fieldgate::session
