#include "proxy/session/seal.hpp"

#include <algorithm>
#include <array>
#include <boost/assert.hpp>
#include <boost/endian/conversion.hpp>
#include <string>
#include <utility>

#include "crypto/ciphertext.hpp"
#include "proxy/bson/number.hpp"
#include "proxy/session/field_keys.hpp"
#include "proxy/wire/message_editor.hpp"

namespace fieldgate::session {
namespace {

using analysis::Edit;
using bson::Element;

constexpr std::size_t binary_header_bytes = 5;  // int32 length, subtype

// The server's BSONObjMaxInternalSize: 16 MiB for the user and 16 KiB for what a command adds.
constexpr std::size_t document_bytes_max = 16u * 1024 * 1024 + 16 * 1024;

constexpr std::size_t sealed_value_bytes(std::size_t plaintext_bytes) {
    return binary_header_bytes + crypto::blob_bytes(plaintext_bytes);
}
// What one value can grow by at most and at least: padding adds 1 to 16 bytes.
constexpr std::size_t growth_bytes_max = sealed_value_bytes(0);
constexpr std::size_t growth_bytes_min = growth_bytes_max - 15;
static_assert(sealed_value_bytes(16) - 16 == growth_bytes_max &&
              sealed_value_bytes(15) - 15 == growth_bytes_min);
// Numbers that are turned into another type first keep within that.
static_assert(sealed_value_bytes(8) - 4 <= growth_bytes_max && sealed_value_bytes(4) - 8 >= growth_bytes_min);

// Keys that the documents of one message may name by JSON pointers: each is looked up in one slice.
constexpr std::size_t named_keys_max = 10000;

// The documents of a message from front to back, to know how large each of them becomes.
class Documents {
 public:
    Documents(const wire::OpMsg& message, wire::Bytes frame) : frame_(frame) {
        sections_[count_++] = {message.body_offset, message.body_offset + message.body.bytes().size()};
        for (const wire::Sequence& sequence : message.sequences()) {
            const auto first = static_cast<std::size_t>(sequence.documents.data() - frame.data());
            sections_[count_++] = {first, first + sequence.documents.size()};
        }
        std::sort(sections_.begin(), sections_.begin() + static_cast<std::ptrdiff_t>(count_));
        begin_ = end_ = sections_[0].first;
    }

    // On to the document that holds this offset; offsets rise. True if it is another one than before.
    bool advance_to(std::size_t offset) {
        if (offset < end_) return false;
        while (offset >= sections_[at_].second) {
            ++at_;
            BOOST_ASSERT_MSG(at_ < count_, "an edit behind every document");
            end_ = sections_[at_].first;
        }
        BOOST_ASSERT(offset >= end_);
        do {
            begin_ = end_;
            end_ += boost::endian::load_little_u32(frame_.data() + begin_);
        } while (offset >= end_);
        return true;
    }
    std::size_t size_bytes() const { return end_ - begin_; }

 private:
    wire::Bytes frame_;
    std::array<std::pair<std::size_t, std::size_t>, 3> sections_{};
    std::size_t count_ = 0;
    std::size_t at_ = 0;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

}  // namespace

struct Sealer::State {
    State(const wire::OpMsg& message, wire::Bytes frame_bytes, const analysis::Plan& sealed_plan,
          const config::Config& config, std::size_t message_bytes_max)
        : frame(frame_bytes),
          plan(sealed_plan),
          output_bytes_max(message_bytes_max),
          keys(*sealed_plan.fields, config),
          editor(
              message, frame_bytes,
              {message_bytes_max, std::min(sealed_plan.edits.size() * growth_bytes_max, message_bytes_max)}),
          documents(message, frame_bytes) {}

    const config::EncryptedField& definition(const Edit& edit) const {
        return plan.fields->field(edit.field);
    }
    bool refuse(std::int32_t code, std::string_view code_name, std::string errmsg) {
        refusal = {code, code_name, std::move(errmsg)};
        return false;
    }
    bool too_large(std::string_view what) {
        return refuse(
            analysis::code::bson_object_too_large, "BSONObjectTooLarge",
            std::string(what) +
                " after encryption, which makes every value up to 87 bytes longer: send fewer documents at "
                "once, or smaller ones");
    }

    // The key of one value.
    struct Key {
        const crypto::KeyId* id = nullptr;
        crypto::FieldCipher* cipher = nullptr;
    };

    bool start();
    bool note_named_keys();
    Work find_keys(keys::KeyRequest& needed);
    bool find_named_keys(keys::KeyRequest& needed);
    // No cipher: it was there a slice ago.
    Key key_of(const Edit& edit);
    Work apply(const SliceBudget& budget, keys::KeyRequest& needed);
    bool seal(const Edit& edit, const Element& element, const Key& key);
    bool verify(const Edit& edit, const Element& element, const Key& key);

    const wire::Bytes frame;
    const analysis::Plan& plan;
    const std::size_t output_bytes_max;
    FieldKeys keys;
    wire::MessageEditor editor;
    Documents documents;
    std::vector<std::uint16_t> used_fields;    // of the edits, each once
    std::vector<std::string_view> named_keys;  // of the plan's edit_keys, each once
    bool named_keys_found = false;
    std::size_t next_edit = 0;
    std::size_t next_edit_key = 0;
    std::ptrdiff_t document_growth_bytes = 0;
    bool started = false;
    wire::Buffer result;
    bool finished = false;
    analysis::Refusal refusal;
};

// One pass over the edits. A batch that cannot fit is refused before its first value is sealed.
bool Sealer::State::start() {
    started = true;
    std::vector<bool> used(plan.fields->size());
    std::size_t bytes_min = frame.size();
    for (const Edit& edit : plan.edits) {
        BOOST_ASSERT(edit.field < used.size());
        switch (edit.kind) {
            case Edit::Kind::encrypt:
                bytes_min += growth_bytes_min;
                used[edit.field] = true;
                break;
            case Edit::Kind::verify_ciphertext:
                used[edit.field] = true;
                break;
            case Edit::Kind::remove:
                bytes_min -= (*bson::DocumentView::Iterator(frame.data() + edit.offset)).raw().size();
                break;
        }
    }
    for (std::size_t field = 0; field < used.size(); ++field) {
        if (used[field]) used_fields.push_back(static_cast<std::uint16_t>(field));
    }
    if (bytes_min > output_bytes_max) {
        return too_large("the message would exceed " + std::to_string(output_bytes_max) + " bytes");
    }
    return note_named_keys();
}

bool Sealer::State::note_named_keys() {
    named_keys.reserve(plan.edit_keys.size());
    for (const analysis::EditKey& key : plan.edit_keys) named_keys.push_back(key.alt_name);
    std::sort(named_keys.begin(), named_keys.end());
    named_keys.erase(std::unique(named_keys.begin(), named_keys.end()), named_keys.end());
    named_keys_found = named_keys.empty();
    if (std::ranges::any_of(named_keys,
                            [](std::string_view name) { return name.size() > keys::alt_name_bytes_max; }))
        return refuse(analysis::code::bad_value, "BadValue",
                      "a document names its data key (keyId as a JSON pointer) with more than " +
                          std::to_string(keys::alt_name_bytes_max) + " bytes");
    if (named_keys.size() <= named_keys_max) return true;
    return refuse(analysis::code::bad_value, "BadValue",
                  "the documents name more than " + std::to_string(named_keys_max) +
                      " data keys (keyId as a JSON pointer): send fewer documents at once");
}

// Every key that the message needs, before any of it is used: what is missing is then asked for in one go.
Work Sealer::State::find_keys(keys::KeyRequest& needed) {
    for (const std::uint16_t field : used_fields) {
        if (!plan.fields->field(field).has_static_key()) continue;
        const FieldKeys::Found found = keys.find(field);
        if (found.error != nullptr) {
            refuse(found.error->code, analysis::code_name(found.error->code), found.error->errmsg);
            return Work::refused;
        }
        if (found.cipher == nullptr) keys.collect(field, needed);
    }
    if (!named_keys_found && !find_named_keys(needed)) return Work::refused;
    return needed.empty() ? Work::more : Work::need_keys;
}

// Only once, and again when one of them has expired since: there may be one for each document.
bool Sealer::State::find_named_keys(keys::KeyRequest& needed) {
    for (const std::string_view name : named_keys) {
        const FieldKeys::Named named = keys.find_name(name);
        if (named.found.error != nullptr) {
            const keys::KeyError& error = *named.found.error;
            return refuse(error.code, analysis::code_name(error.code), error.errmsg);
        }
        if (named.found.cipher == nullptr) keys.collect_name(name, needed);
        // It could never be read again: see FieldKeys::owner_of().
        if (named.id != nullptr && keys.owner_of(*named.id, needed) == FieldKeys::Owner::a_schema)
            return refuse(
                analysis::code::bad_value, "BadValue",
                "a document names, as the key of its encrypted fields (keyId as a JSON pointer), the "
                "key that a schema gives to other fields");
    }
    named_keys_found = needed.empty();
    return true;
}

Sealer::State::Key Sealer::State::key_of(const Edit& edit) {
    if (definition(edit).has_static_key()) return {keys.id(edit.field), keys.find(edit.field).cipher};
    const auto& edit_keys = plan.edit_keys;
    while (next_edit_key < edit_keys.size() && edit_keys[next_edit_key].offset < edit.offset) ++next_edit_key;
    BOOST_ASSERT_MSG(next_edit_key < edit_keys.size() && edit_keys[next_edit_key].offset == edit.offset,
                     "an edit whose key nobody names");
    const FieldKeys::Named named = keys.find_name(edit_keys[next_edit_key].alt_name);
    return {named.id, named.found.cipher};
}

Work Sealer::State::apply(const SliceBudget& budget, keys::KeyRequest& needed) {
    if (const Work work = find_keys(needed); work != Work::more) return work;
    const std::size_t slice_end = editor.position() + std::max<std::size_t>(budget.bytes, 1);
    std::size_t values = 0;
    for (; next_edit < plan.edits.size(); ++next_edit) {
        const Edit& edit = plan.edits[next_edit];
        if (values != 0 && (values >= budget.values || editor.position() >= slice_end)) return Work::more;
        if (edit.offset > slice_end) {
            if (editor.copy_until(slice_end)) break;
            return Work::more;
        }
        Key key;
        if (edit.kind != Edit::Kind::remove) {
            key = key_of(edit);
            if (key.cipher == nullptr) {
                named_keys_found = false;
                return find_keys(needed);
            }
        }
        const auto element = editor.advance_to(edit.offset);
        if (!element) break;
        if (documents.advance_to(edit.offset)) document_growth_bytes = 0;
        if (edit.kind == Edit::Kind::remove) {
            document_growth_bytes -= static_cast<std::ptrdiff_t>(element->raw().size());
            editor.remove();
        } else {
            const bool good =
                edit.kind == Edit::Kind::encrypt ? seal(edit, *element, key) : verify(edit, *element, key);
            if (!good) return Work::refused;
        }
        ++values;
    }
    // Only when the editor had no room does the loop end before its edits do.
    if (next_edit == plan.edits.size()) {
        if (frame.size() > slice_end && !editor.copy_until(slice_end)) return Work::more;
        if (auto message = editor.finish()) {
            result = std::move(*message);
            finished = true;
            return Work::done;
        }
    }
    too_large("the message would exceed " + std::to_string(output_bytes_max) + " bytes");
    return Work::refused;
}

bool Sealer::State::seal(const Edit& edit, const Element& element, const Key& key) {
    const config::EncryptedField& field = definition(edit);
    const auto type = edit.type != 0 ? edit.type : static_cast<std::uint8_t>(element.type());
    const bool is_ciphertext = element.is_encrypted_binary();
    const auto converted =
        edit.type != 0 ? bson::convert_exactly(element, static_cast<bson::Type>(edit.type)) : std::nullopt;
    if (!field.allows(type) || is_ciphertext || (edit.type != 0 && !converted)) {
        return refuse(analysis::code::field_cannot_be_encrypted, "Location31041",
                      "field '" + field.path + "': cannot encrypt element of type: " +
                          std::string(is_ciphertext ? "encrypted binary data" : bson::alias(element.type())));
    }
    const bson::Bytes plaintext = converted ? converted->value() : element.value();
    const std::size_t value_bytes = sealed_value_bytes(plaintext.size());
    document_growth_bytes +=
        static_cast<std::ptrdiff_t>(value_bytes) - static_cast<std::ptrdiff_t>(element.value().size());
    if (static_cast<std::ptrdiff_t>(documents.size_bytes()) + document_growth_bytes >
        static_cast<std::ptrdiff_t>(document_bytes_max)) {
        return too_large("a document would exceed 16 MiB");
    }
    const auto room = editor.replace_value(bson::Type::binary, value_bytes);
    if (!room) return too_large("the message would exceed " + std::to_string(output_bytes_max) + " bytes");
    boost::endian::store_little_u32(room->data(),
                                    static_cast<std::uint32_t>(value_bytes - binary_header_bytes));
    (*room)[4] = bson::encrypted_subtype;
    const auto ec = key.cipher->seal(static_cast<crypto::Algorithm>(field.algorithm), *key.id, type,
                                     plaintext, room->subspan(binary_header_bytes));
    if (ec) {
        return refuse(analysis::code::key_not_available, "OperationFailed",
                      "field '" + field.path + "' cannot be encrypted: " + ec.message());
    }
    return true;
}

// Ciphertext that the client made itself stays as it is if the field's readers will be able to open it.
bool Sealer::State::verify(const Edit& edit, const Element& element, const Key& key) {
    const config::EncryptedField& field = definition(edit);
    const auto unfit = [&](std::string_view why) {
        return refuse(
            analysis::code::field_cannot_be_encrypted, "Location31041",
            "the already encrypted value does not fit field '" + field.path + "': " + std::string(why));
    };
    if (!element.is_encrypted_binary()) {
        return unfit("it is no binary of subtype 6");
    }
    const auto blob = crypto::CiphertextView::parse(element.binary().data);
    if (!blob) return unfit("it is no ciphertext");
    if (static_cast<std::uint8_t>(blob->algorithm) != static_cast<std::uint8_t>(field.algorithm)) {
        return unfit("the schema names another algorithm");
    }
    if (blob->key_id != *key.id)
        return unfit(field.has_static_key() ? "the schema names another key"
                                            : "its document names another key");
    if (!field.allows(blob->bson_type)) {
        return unfit("the schema does not allow the type " +
                     std::string(bson::alias(static_cast<bson::Type>(blob->bson_type))));
    }
    if (key.cipher->verify(element.binary().data)) return unfit("it does not authenticate under its key");
    return true;
}

Sealer::Sealer(const wire::OpMsg& message, wire::Bytes frame, const analysis::Plan& plan,
               const config::Config& config, std::size_t message_bytes_max) {
    BOOST_ASSERT_MSG(plan.touches_protected(), "a plan without a protected namespace has no edits");
    state_ = std::make_unique<State>(message, frame, plan, config, message_bytes_max);
}

Sealer::~Sealer() = default;

Work Sealer::step(keys::KeyRing& ring, keys::Clock::time_point now, const SliceBudget& budget) {
    State& state = *state_;
    BOOST_ASSERT_MSG(state.refusal.code == 0, "step after a refusal");
    needed_ = {};
    if (state.finished) return Work::done;
    Work work = Work::refused;
    if (state.started || state.start()) {
        state.keys.begin(ring, now);
        work = state.apply(budget, needed_);
    }
    if (work == Work::refused) refusal_ = state.refusal;
    return work;
}

wire::Buffer Sealer::take() {
    BOOST_ASSERT_MSG(state_->finished, "take() before done");
    return std::move(state_->result);
}

}  // namespace fieldgate::session
