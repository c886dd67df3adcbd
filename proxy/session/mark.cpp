#include "proxy/session/mark.hpp"

#include <algorithm>
#include <boost/assert.hpp>
#include <boost/endian/conversion.hpp>
#include <string>
#include <utility>

#include "crypto/ciphertext.hpp"
#include "proxy/bson/builder.hpp"
#include "proxy/wire/message_editor.hpp"

namespace fieldgate::session {
namespace {

using analysis::Edit;
using bson::Element;

constexpr std::uint8_t uuid_subtype = 4;
constexpr std::uint8_t marking_kind = 0;

// What a marking says of its value: the field's options, and by which name its key goes. The only place that
// knows how a plan tells.
struct Intent {
    const config::EncryptedField* field = nullptr;
    std::string alt_name;  // empty: the field's key is a UUID
};

Intent intent_of(const analysis::Plan& plan, const Edit& edit) {
    Intent intent;
    intent.field = &plan.fields->field(edit.field);
    if (const auto* name = std::get_if<config::KeyAltName>(&intent.field->key)) {
        intent.alt_name = analysis::expand_alt_name(name->name, plan.fields->part_of(edit.field).database);
    } else if (!intent.field->has_static_key()) {
        const auto key = std::lower_bound(
            plan.edit_keys.begin(), plan.edit_keys.end(), edit.offset,
            [](const analysis::EditKey& k, std::uint32_t offset) { return k.offset < offset; });
        BOOST_ASSERT_MSG(key != plan.edit_keys.end() && key->offset == edit.offset,
                         "a key that the document names is in the plan");
        intent.alt_name = key->alt_name;
    }
    return intent;
}

// Fixed parts of a marking: length and subtype of the binary, the kind; then the document's length, `a`, the
// key's UUID, the header of `v` and the terminator.
constexpr std::size_t marking_bytes = 5 + 1 + 4 + 7 + 25 + 3 + 1;

}  // namespace

struct Marker::State {
    State(const wire::OpMsg& envelope, wire::Bytes frame_bytes, const analysis::Plan& marked_plan,
          std::size_t left_out_offset, std::size_t message_bytes_max)
        : frame(frame_bytes),
          plan(marked_plan),
          left_out(left_out_offset),
          output_bytes_max(message_bytes_max),
          editor(envelope, frame_bytes, {message_bytes_max, marked_plan.edits.size() * marking_bytes}) {}

    Work refuse(std::int32_t code, std::string errmsg) {
        refusal = {code, analysis::code_name(code), std::move(errmsg)};
        return Work::refused;
    }
    Work too_large() {
        return refuse(analysis::code::bson_object_too_large,
                      "the command would exceed " + std::to_string(output_bytes_max) +
                          " bytes with its markings, which no server takes once they are encrypted: send "
                          "fewer documents at once, or smaller ones");
    }
    bool mark(const Intent& intent, const Element& element);
    Work apply(const Edit& edit, const Element& element);
    Work finish();

    const wire::Bytes frame;
    const analysis::Plan& plan;
    const std::size_t left_out;
    const std::size_t output_bytes_max;
    wire::MessageEditor editor;
    bson::Buffer document;  // of the marking under way
    std::size_t next_edit = 0;
    bool finished = false;
    wire::Buffer result;
    analysis::Refusal refusal;
};

// False if there is no room.
bool Marker::State::mark(const Intent& intent, const Element& element) {
    document.clear();
    bson::Builder marking(document);
    marking.append_int32("a", static_cast<std::int32_t>(intent.field->algorithm));
    if (const auto* uuid = std::get_if<config::KeyUuid>(&intent.field->key))
        marking.append_binary("ki", uuid_subtype, *uuid);
    else
        marking.append_string("ka", intent.alt_name);
    marking.append_value("v", element.type(), element.value()).finish();

    const std::size_t value_bytes = 5 + 1 + document.size();
    const auto room = editor.replace_value(bson::Type::binary, value_bytes);
    if (!room) return false;
    const auto length = static_cast<std::uint32_t>(1 + document.size());
    boost::endian::store_little_u32(room->data(), length);
    (*room)[4] = bson::encrypted_subtype;
    (*room)[5] = marking_kind;
    std::copy(document.begin(), document.end(), room->begin() + 6);
    return true;
}

// A value of the schema's type is marked; ciphertext that the application made itself is its own business, as
// long as it is ciphertext: a marking must come from here.
Work Marker::State::apply(const Edit& edit, const Element& element) {
    const Intent intent = intent_of(plan, edit);
    if (edit.kind == Edit::Kind::verify_ciphertext) {
        if (element.is_encrypted_binary() && crypto::CiphertextView::parse(element.binary().data))
            return Work::more;
        return refuse(analysis::code::field_cannot_be_encrypted,
                      "the already encrypted value of field '" + intent.field->path + "' is no ciphertext");
    }
    BOOST_ASSERT_MSG(edit.kind == Edit::Kind::encrypt && edit.type == 0,
                     "the schemas of drivers neither coerce numbers nor leave nulls out");
    const bool is_encrypted = element.is_encrypted_binary();
    if (is_encrypted || !intent.field->allows(static_cast<std::uint8_t>(element.type())))
        return refuse(analysis::code::field_cannot_be_encrypted,
                      "field '" + intent.field->path + "': cannot encrypt element of type: " +
                          std::string(is_encrypted ? "encrypted binary data" : bson::alias(element.type())));
    return mark(intent, element) ? Work::more : too_large();
}

Work Marker::State::finish() {
    if (!editor.advance_to(left_out)) return too_large();
    editor.remove();
    auto message = editor.finish();
    if (!message) return too_large();
    result = std::move(*message);
    finished = true;
    return Work::done;
}

Marker::Marker(const wire::OpMsg& envelope, wire::Bytes frame, const analysis::Plan& plan,
               std::size_t left_out, std::size_t message_bytes_max)
    : state_(std::make_unique<State>(envelope, frame, plan, left_out, message_bytes_max)) {}

Marker::~Marker() = default;

Work Marker::step(const SliceBudget& budget) {
    State& state = *state_;
    BOOST_ASSERT_MSG(state.refusal.code == 0, "step after a refusal");
    if (state.finished) return Work::done;
    const std::size_t slice_end = state.editor.position() + std::max<std::size_t>(budget.bytes, 1);
    for (std::size_t values = 0; state.next_edit < state.plan.edits.size(); ++state.next_edit) {
        const Edit& edit = state.plan.edits[state.next_edit];
        if (values != 0 && (values >= budget.values || state.editor.position() >= slice_end))
            return Work::more;
        BOOST_ASSERT(edit.offset < state.left_out);
        if (edit.offset > slice_end) {
            if (state.editor.copy_until(slice_end)) return state.too_large();
            return Work::more;
        }
        const auto element = state.editor.advance_to(edit.offset);
        if (!element) return state.too_large();
        if (const Work work = state.apply(edit, *element); work != Work::more) return work;
        ++values;
    }
    if (state.left_out > slice_end)
        return state.editor.copy_until(slice_end) ? state.too_large() : Work::more;
    return state.finish();
}

wire::Buffer Marker::take() {
    BOOST_ASSERT_MSG(state_->finished, "take() before done");
    return std::move(state_->result);
}

const analysis::Refusal& Marker::refusal() const {
    return state_->refusal;
}

}  // namespace fieldgate::session
