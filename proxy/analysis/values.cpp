#include "proxy/analysis/values.hpp"

#include <algorithm>
#include <boost/endian/conversion.hpp>
#include <limits>
#include <utility>
#include <variant>

namespace fieldgate::analysis {
namespace {

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

std::string joined(std::string_view path, std::string_view key) {
    return path.empty() ? std::string(key) : std::string(path) + "." + std::string(key);
}

// The type that a number becomes under `coerce_numbers`, or 0: it is none, or the type cannot hold it
// exactly.
std::uint8_t coerced_type(const bson::Element& element, const config::EncryptedField& field) {
    if (field.bson_types.size() != 1) return 0;
    const auto number = element.whole_number();
    if (!number) return 0;
    // Minus zero is a whole number, and 0 is not the same value.
    if (element.type() == bson::Type::double_ && *number == 0 &&
        boost::endian::load_little_u64(element.value().data()) != 0)
        return 0;
    bool fits = false;
    switch (static_cast<bson::Type>(field.bson_types[0])) {
        case bson::Type::int32:
            fits = *number >= std::numeric_limits<std::int32_t>::min() &&
                   *number <= std::numeric_limits<std::int32_t>::max();
            break;
        case bson::Type::int64:
            fits = true;
            break;
        case bson::Type::double_: {
            // Rounded up to 2^63 there is no way back to an integer.
            constexpr double bound = 9223372036854775808.0;
            const auto rounded = static_cast<double>(*number);
            fits = rounded < bound && static_cast<std::int64_t>(rounded) == *number;
            break;
        }
        default:
            break;
    }
    return fits ? field.bson_types[0] : std::uint8_t{0};
}

bool encrypt(Request& request, const bson::Element& element, std::uint16_t field_index) {
    if (element.is_encrypted_binary()) return admit_ciphertext(request, element, field_index);
    const config::EncryptedField& field = request.field(field_index);
    std::uint8_t type = 0;
    if (!field.allows(static_cast<std::uint8_t>(element.type()))) {
        if (request.namespace_of(field_index).coerce_numbers) type = coerced_type(element, field);
        if (type == 0)
            return request.refuse(
                code::field_cannot_be_encrypted,
                "Cannot encrypt element of type: " + std::string(bson::alias(element.type())) +
                    " because schema requires that type is one of: " + required_types(field) + " (field " +
                    quote(field.path) + ")");
    }
    request.add_edit(element, field_index, Edit::Kind::encrypt, type);
    return true;
}

std::string pointer_text(const config::KeyPointer& pointer) {
    std::string text;
    for (const std::string& name : pointer.path) text += "/" + name;
    return quote(text);
}

// The value that a JSON pointer names in the document that is about to be inserted. Looked for once: a
// pattern may make a field of every name of the document.
bool find_key_name(Request& request, const config::EncryptedField& field, const config::KeyPointer& pointer) {
    const auto refuse = [&](std::string_view why) {
        return request.refuse(code::bad_value, "The key of encrypted field " + quote(field.path) +
                                                   " is named by the JSON pointer " + pointer_text(pointer) +
                                                   ", " + std::string(why));
    };
    Statement::KeyName& found = request.statement.key_name;
    if (found.pointer != nullptr && *found.pointer == pointer) {
        request.plan.edit_keys.push_back({request.plan.edits.back().offset, found.name});
        return true;
    }
    const config::SchemaNode* node = request.tree;
    bson::DocumentView document = *request.statement.inserted;
    for (std::size_t i = 0; i < pointer.path.size(); ++i) {
        const std::string& name = pointer.path[i];
        if (node != nullptr) node = node->child(name);
        if (node != nullptr && (node->is_protected() || node->unknown))
            return refuse("which is itself encrypted");
        const auto value = document.find(name);
        if (!value) return refuse("which the document does not have");
        if (document.count(name) > 1) return refuse("which stands twice in the document");
        if (i + 1 < pointer.path.size()) {
            if (!value->is_document()) return refuse("which the document does not have");
            document = value->document();
        } else if (!value->is_string() || value->string().empty() || !is_utf8(value->string()) ||
                   value->string().find('\0') != std::string_view::npos) {
            return refuse("which must be a string, not empty, with the name of a key");
        } else {
            found = {&pointer, value->string()};
            request.plan.edit_keys.push_back({request.plan.edits.back().offset, found.name});
        }
    }
    return true;
}

bool refuse_pointer(Request& request, const config::EncryptedField& field) {
    return request.refuse(
        code::operation_not_on_encrypted,
        "A non-static (JSONPointer) keyId is not supported outside of inserts: " + quote(field.path));
}

config::ProtectedNamespace::Nulls nulls_of(const Request& request, std::uint16_t field_index) {
    return request.namespace_of(field_index).nulls;
}

}  // namespace

bool store_value(Request& request, const bson::Element& element, std::uint16_t field_index) {
    request.use(field_index).written = true;
    const config::EncryptedField& field = request.field(field_index);
    const auto* const pointer = std::get_if<config::KeyPointer>(&field.key);
    if (pointer != nullptr && !request.statement.inserted) return refuse_pointer(request, field);
    if (element.type() == bson::Type::null) {
        switch (nulls_of(request, field_index)) {
            case config::ProtectedNamespace::Nulls::refuse:
                break;
            case config::ProtectedNamespace::Nulls::store:
                return true;
            case config::ProtectedNamespace::Nulls::omit:
                request.add_edit(element, field_index, Edit::Kind::remove);
                return true;
        }
    }
    // A server fills Timestamp(0, 0) in, which it cannot do to ciphertext.
    if (element.type() == bson::Type::timestamp && std::all_of(element.value().begin(), element.value().end(),
                                                               [](std::uint8_t byte) { return byte == 0; }))
        return request.refuse(
            code::field_cannot_be_encrypted,
            "A command that inserts cannot supply Timestamp(0, 0) for an encrypted field: " +
                quote(field.path));
    return encrypt(request, element, field_index) &&
           (pointer == nullptr || find_key_name(request, field, *pointer));
}

bool compare_value(Request& request, const bson::Element& element, std::uint16_t field_index) {
    const config::EncryptedField& field = request.field(field_index);
    return field.has_static_key() ? encrypt(request, element, field_index) : refuse_pointer(request, field);
}

bool omits_null(const Request& request, const bson::Element& element, std::uint16_t field_index) {
    return element.type() == bson::Type::null &&
           nulls_of(request, field_index) == config::ProtectedNamespace::Nulls::omit;
}

bool store_document(Request& request, bson::DocumentView document, const config::SchemaNode& node,
                    std::string_view path, Stored stored) {
    // What is at or above encrypted fields. A pattern may stand for all names of a document: none is looked
    // for among the others.
    std::vector<std::pair<bson::Element, const config::SchemaNode*>> found;
    std::vector<std::string_view> names;
    if (const std::size_t patterns = node.patterns().size() + node.plain_patterns().size(); patterns != 0) {
        const auto count = static_cast<std::size_t>(std::distance(document.begin(), document.end()));
        if (!request.charge_patterns(count * patterns)) return false;
    }
    for (const bson::Element& element : document) {
        const std::string_view key = element.key();
        // A key with a dot in it is one name to the server, but aggregation and other clients may read it as
        // a path; a pattern may take the whole of it for one of its own.
        const std::size_t dot = key.find('.');
        if (dot != std::string_view::npos && node.child(key.substr(0, dot)) != nullptr)
            return request.refuse(
                code::bad_value,
                "The field name " + quote(key) + " contains a dot and reads like a path to encrypted fields");
        const config::SchemaNode* child = node.child(key);
        if (child == nullptr) {
            // `$each` or `0` beside encrypted fields: servers store them as names, and what is below reads
            // like a path to those fields through an array.
            const bool root = &node == request.tree;
            if (key.starts_with('$') || (!root && config::is_array_position(key)))
                return request.refuse(code::bad_value,
                                      "The field name " + quote(joined(path, key)) +
                                          " cannot stand in an object with encrypted fields");
            continue;
        }
        found.emplace_back(element, child);
        names.push_back(key);
    }
    std::sort(names.begin(), names.end());
    // Which of two would be stored, and which read back, is not the same everywhere.
    const auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice != names.end())
        return request.refuse(code::bad_value, "The field " + quote(joined(path, *twice)) +
                                                   " stands twice in one document and is, or contains, an "
                                                   "encrypted field");
    for (const auto& [element, child] : found) {
        const std::string_view key = element.key();
        if (child->unknown)
            return request.refuse(code::bad_value, why_unusable({Resolution::Kind::unknown, child}, "store",
                                                                joined(path, key)));
        if (child->is_protected()) {
            if (!store_value(request, element, child->field)) return false;
            if (stored == Stored::overwrite && omits_null(request, element, child->field))
                request.mark_erased(*child);
        } else if (!store_parent(request, element, *child, joined(path, key), stored)) {
            return false;
        }
    }
    if (stored == Stored::overwrite) {
        for (const auto& [name, child] : node.children())
            if (!std::binary_search(names.begin(), names.end(), std::string_view(name)))
                request.mark_erased(*child);
        // Which names of a pattern are stored is not known: all that the new value does not give may be.
        for (const config::SchemaNode::Pattern& pattern : node.patterns()) request.mark_erased(*pattern.node);
    }
    return true;
}

bool compare_document(Request& request, bson::DocumentView document, const config::SchemaNode& node,
                      std::string_view path) {
    const auto refuse = [&](std::string_view why, std::string_view name) {
        return request.refuse(code::operation_not_on_encrypted,
                              "Invalid match expression operator on encrypted field " + quote(path) +
                                  ": a comparison with a whole object " + std::string(why) + " " +
                                  quote(name) + ". Compare its fields by their paths");
    };
    for (const bson::Element& element : document) {
        const std::string_view key = element.key();
        if (key.empty() || key.starts_with('$') || key.find('.') != std::string_view::npos ||
            config::is_array_position(key))
            return refuse("with the field name", key);
    }
    // Sorted, because both the object and the schema may have thousands of names.
    std::vector<bson::Element> by_name(document.begin(), document.end());
    std::sort(by_name.begin(), by_name.end(),
              [](const bson::Element& a, const bson::Element& b) { return a.key() < b.key(); });
    const auto twice =
        std::adjacent_find(by_name.begin(), by_name.end(),
                           [](const bson::Element& a, const bson::Element& b) { return a.key() == b.key(); });
    if (twice != by_name.end()) return refuse("that has twice", joined(path, twice->key()));
    // A pattern stands for any number of names: none of them can be known to be missing.
    if (!node.patterns().empty()) return refuse("with names that patterns of the schema stand for, at", path);
    for (const auto& [name, child] : node.children()) {
        const std::string own = joined(path, name);
        const auto value = std::lower_bound(
            by_name.begin(), by_name.end(), std::string_view(name),
            [](const bson::Element& element, std::string_view key) { return element.key() < key; });
        if (child->unknown || child->array) return refuse("that holds what only the data tells, at", own);
        if (value == by_name.end() || value->key() != name) return refuse("that does not give", own);
        if (!child->is_protected()) {
            if (!value->is_document()) return refuse("that gives anything but an object for", own);
            if (!compare_document(request, value->document(), *child, own)) return false;
            continue;
        }
        request.mark_matched(child->field);
        if (request.field(child->field).algorithm == config::Algorithm::random)
            return request.refuse(
                code::operation_not_on_encrypted,
                "Cannot query on fields encrypted with the randomized encryption algorithm: " + quote(own));
        if (value->type() == bson::Type::null) {
            // Stored as it is, it is compared as it is.
            if (nulls_of(request, child->field) == config::ProtectedNamespace::Nulls::store) continue;
            return request.refuse(code::operation_not_on_encrypted,
                                  "Illegal equality to null predicate for encrypted field: " + quote(own));
        }
        if (!compare_value(request, *value, child->field)) return false;
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
