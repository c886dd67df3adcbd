#include "proxy/session/describe.hpp"

#include <algorithm>
#include <boost/assert.hpp>
#include <boost/endian/conversion.hpp>
#include <string_view>

#include "proxy/keys/key_document.hpp"
#include "proxy/wire/message_editor.hpp"

namespace fieldgate::session {
namespace {

using analysis::Edit;
using analysis::Plan;

// A text instead of a value may be many times longer; a command for people never gets near this.
constexpr std::size_t output_bytes_max = std::size_t{1} << 30;

// The alternative name that the document gives for the field at this offset, if it is one that documents
// name.
const analysis::EditKey* document_key(const Plan& plan, const Edit& edit) {
    const auto found = std::lower_bound(
        plan.edit_keys.begin(), plan.edit_keys.end(), edit.offset,
        [](const analysis::EditKey& key, std::uint32_t offset) { return key.offset < offset; });
    return found != plan.edit_keys.end() && found->offset == edit.offset ? &*found : nullptr;
}

std::string key_of(const Plan& plan, const Edit& edit) {
    if (const analysis::EditKey* key = document_key(plan, edit))
        return "key '" + std::string(key->alt_name) + "'";
    return key_name(plan.fields->field(edit.field).key, plan.fields->part_of(edit.field).database);
}

std::string text_of(const Plan& plan, const Edit& edit, bson::Type type) {
    const std::string name = field_name(*plan.fields, edit.field);
    switch (edit.kind) {
        case Edit::Kind::encrypt: {
            const bool deterministic =
                plan.fields->field(edit.field).algorithm == config::Algorithm::deterministic;
            std::string text = "<encrypted: " + name + (deterministic ? ", deterministic " : ", random ");
            if (edit.type != 0 && edit.type != static_cast<std::uint8_t>(type))
                text += std::string(bson::alias(static_cast<bson::Type>(edit.type))) + " (from " +
                        std::string(bson::alias(type)) + ")";
            else
                text += bson::alias(type);
            return text + ", " + key_of(plan, edit) + ">";
        }
        case Edit::Kind::verify_ciphertext:
            return "<ciphertext of the client, checked against " + name + ">";
        case Edit::Kind::remove:
            return "<left out: " + name + ", " + std::string(bson::alias(type)) + ">";
    }
    BOOST_ASSERT_MSG(false, "an edit of no kind");
    return {};
}

}  // namespace

std::string field_name(const analysis::FieldSpace& fields, std::uint16_t field) {
    std::string name = fields.field(field).path;
    if (fields.parts().size() > 1) {
        const analysis::FieldSpace::Part& part = fields.part_of(field);
        name += " of " + part.database + "." + part.collection;
    }
    return name;
}

std::string key_name(const config::KeyReference& key, std::string_view database) {
    if (const auto* uuid = std::get_if<config::KeyUuid>(&key))
        return "key " + keys::uuid_text(crypto::KeyId{*uuid});
    if (const auto* name = std::get_if<config::KeyAltName>(&key))
        return "key '" + analysis::expand_alt_name(name->name, database) + "'";
    std::string text = "key named by the document at ";
    for (const std::string& name : std::get<config::KeyPointer>(key).path) text += "/" + name;
    return text;
}

wire::Buffer describe(const wire::OpMsg& message, wire::Bytes frame, const Plan& plan) {
    wire::MessageEditor editor(message, frame, {output_bytes_max, plan.edits.size() * 64});
    for (const Edit& edit : plan.edits) {
        const auto element = editor.advance_to(edit.offset);
        BOOST_ASSERT_MSG(element, "a description is short");
        const std::string text = text_of(plan, edit, element->type());
        const auto room = editor.replace_value(bson::Type::string, 4 + text.size() + 1);
        BOOST_ASSERT_MSG(room, "a description is short");
        boost::endian::store_little_u32(room->data(), static_cast<std::uint32_t>(text.size() + 1));
        std::copy(text.begin(), text.end(), room->begin() + 4);
        room->back() = 0;
    }
    const auto described = editor.finish();
    BOOST_ASSERT_MSG(described, "a description is short");
    const auto parsed = wire::OpMsg::parse(*described);
    BOOST_ASSERT_MSG(parsed, "a message of our own");
    const wire::Bytes body = parsed->body.bytes();
    return {body.begin(), body.end()};
}

}  // namespace fieldgate::session
