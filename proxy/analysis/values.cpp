#include "proxy/analysis/values.hpp"

#include <algorithm>

namespace fieldgate::analysis {
namespace {

constexpr std::uint8_t encrypted_subtype = 6;

std::string required_types(const config::EncryptedField& field) {
    if (field.bson_types.empty()) return "any type that its algorithm can encrypt";
    std::string text = "[ ";
    for (const std::uint8_t type : field.bson_types) {
        if (text.size() > 2) text += ", ";
        text += bson::alias(static_cast<bson::Type>(type));
    }
    return text + " ]";
}

// Ciphertext from the client: only the kind is looked at here, the sealing sink proves the rest.
bool admit_ciphertext(Request& request, const bson::Element& element, std::uint16_t field_index) {
    const config::EncryptedField& field = request.field(field_index);
    const bson::Bytes blob = element.binary().data;
    if (blob.empty() || blob[0] != static_cast<std::uint8_t>(field.algorithm))
        return request.refuse(
            code::field_cannot_be_encrypted,
            "Cannot encrypt element of type: binData subtype 6, and it is no ciphertext of the "
            "algorithm that field " +
                quote(field.path) + " requires");
    request.add_edit(element, field_index, Edit::Kind::verify_ciphertext);
    return true;
}

bool is_encrypted_binary(const bson::Element& element) {
    return element.type() == bson::Type::binary && element.binary().subtype == encrypted_subtype;
}

std::string joined(std::string_view path, std::string_view key) {
    return path.empty() ? std::string(key) : std::string(path) + "." + std::string(key);
}

bool encrypt(Request& request, const bson::Element& element, std::uint16_t field_index) {
    if (is_encrypted_binary(element)) return admit_ciphertext(request, element, field_index);
    const config::EncryptedField& field = request.field(field_index);
    if (!field.allows(static_cast<std::uint8_t>(element.type())))
        return request.refuse(code::field_cannot_be_encrypted,
                              "Cannot encrypt element of type: " + std::string(bson::alias(element.type())) +
                                  " because schema requires that type is one of: " + required_types(field) +
                                  " (field " + quote(field.path) + ")");
    request.add_edit(element, field_index, Edit::Kind::encrypt);
    return true;
}

}  // namespace

bool store_value(Request& request, const bson::Element& element, std::uint16_t field_index) {
    request.use(field_index).written = true;
    // A server fills Timestamp(0, 0) in, which it cannot do to ciphertext.
    if (element.type() == bson::Type::timestamp && std::all_of(element.value().begin(), element.value().end(),
                                                               [](std::uint8_t byte) { return byte == 0; }))
        return request.refuse(
            code::field_cannot_be_encrypted,
            "A command that inserts cannot supply Timestamp(0, 0) for an encrypted field: " +
                quote(request.field(field_index).path));
    return encrypt(request, element, field_index);
}

bool compare_value(Request& request, const bson::Element& element, std::uint16_t field_index) {
    return encrypt(request, element, field_index);
}

bool store_document(Request& request, bson::DocumentView document, const config::SchemaNode& node,
                    std::string_view path, Stored stored) {
    for (const bson::Element& element : document) {
        const std::string_view key = element.key();
        const config::SchemaNode* child = node.child(key);
        if (child == nullptr) {
            // `$each` or `0` beside encrypted fields: servers store them as names, and what is below reads
            // like a path to those fields through an array.
            const bool root = &node == request.tree;
            if (key.starts_with('$') || (!root && config::is_array_position(key)))
                return request.refuse(code::bad_value,
                                      "The field name " + quote(joined(path, key)) +
                                          " cannot stand in an object with encrypted fields");
            // A key with a dot in it is one name to the server, but aggregation and other clients may read it
            // as a path.
            const std::size_t dot = key.find('.');
            if (dot != std::string_view::npos && node.child(key.substr(0, dot)) != nullptr)
                return request.refuse(code::bad_value,
                                      "The field name " + quote(key) +
                                          " contains a dot and reads like a path to encrypted fields");
            continue;
        }
        // Which of two would be stored, and which read back, is not the same everywhere.
        if (document.count(key) > 1)
            return request.refuse(code::bad_value,
                                  "The field " + quote(joined(path, key)) +
                                      " stands twice in one document and is, or contains, an "
                                      "encrypted field");
        if (child->unknown)
            return request.refuse(code::bad_value, why_unusable({Resolution::Kind::unknown, child}, "store",
                                                                joined(path, key)));
        if (child->is_protected()) {
            if (!store_value(request, element, child->field)) return false;
        } else if (!store_parent(request, element, *child, joined(path, key), stored)) {
            return false;
        }
    }
    if (stored == Stored::overwrite) {
        for (const auto& [name, child] : node.children())
            if (!document.find(name)) request.mark_erased(*child);
        // Which names of a pattern are stored is not known: all that the new value does not give may be.
        for (const config::SchemaNode::Pattern& pattern : node.patterns()) request.mark_erased(*pattern.node);
    }
    return true;
}

bool store_parent(Request& request, const bson::Element& element, const config::SchemaNode& node,
                  std::string_view path, Stored stored) {
    if (element.is_document()) return store_document(request, element.document(), node, path, stored);
    if (element.type() != bson::Type::null)
        return request.refuse(code::field_cannot_be_encrypted,
                              "Cannot encrypt element of type: " + std::string(bson::alias(element.type())) +
                                  " because schema requires that type is one of: [ object ] (field " +
                                  quote(path) + ", which contains encrypted fields)");
    if (stored == Stored::overwrite) request.mark_erased(node);
    return true;
}

}  // namespace fieldgate::analysis
