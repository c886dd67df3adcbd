#include <array>

#include "generator.hpp"

// Documents with protected values, and what an application stores beside them.
namespace fieldgate::property {
namespace {

constexpr std::array<std::string_view, 8> plain_names = {"name",  "ward", "tags",   "visits",
                                                         "place", "_id",  "status", "n"};
// Names of protected fields, for where they protect nothing.
constexpr std::array<std::string_view, 6> decoys = {"ssn", "policyNumber", "email", "note", "a", "p_1"};
constexpr std::array<std::string_view, 6> odd_names = {"", "0", "$x", "q.r", "__proto__", "12"};
constexpr std::array plain_types = {Type::string, Type::int32, Type::double_, Type::boolean,
                                    Type::date,   Type::null,  Type::int64,   Type::object_id,
                                    Type::string, Type::int32, Type::binary,  Type::decimal128};

}  // namespace

std::string Generator::plain_name(unsigned level) {
    if (wild()) return std::string(random_.pick(odd_names));
    if (level > 0 && random_.chance(40)) return std::string(random_.pick(decoys));
    return std::string(random_.pick(plain_names));
}

Value Generator::plain_value(unsigned level) {
    if (level < 3 && random_.chance(20)) {
        Value inner = random_.chance(50) ? object() : list();
        for (std::size_t left = random_.below(4); left > 0; --left)
            inner.add(plain_name(level + 1), plain_value(level + 1));
        return inner;
    }
    if (wild()) {
        // Ciphertext where none belongs.
        if (random_.chance(20)) return scalar(Type::binary, random_.pick(collection_.ciphertexts));
        return canaries_.make(random_.pick(every_type), false);
    }
    const Type type = random_.pick(plain_types);
    if (type == Type::int32) return int32(static_cast<std::int32_t>(random_.below(1000)));
    return canaries_.make(type, false);
}

Value Generator::unfit_value() {
    if (random_.chance(15)) {
        Buffer ciphertext = random_.pick(collection_.ciphertexts);
        if (random_.chance(50)) random_.pick(ciphertext) ^= 1;
        // Lengths and subtypes of a damaged one must still be those of BSON.
        return binary(6, Bytes(ciphertext).subspan(5));
    }
    return canaries_.make(random_.pick(every_type), true);
}

Value Generator::field_value(const Field& field) {
    const bool is_number =
        !field.types.empty() &&
        (field.types[0] == Type::int32 || field.types[0] == Type::int64 || field.types[0] == Type::double_);
    if (is_number && random_.chance(20)) return canaries_.make_number(true);
    if (random_.chance(collection_.refuses_nulls ? wildness_ / 2 : 8)) {
        used("null");
        return null();
    }
    if (wild()) return unfit_value();
    if (!field.types.empty()) return canaries_.make(random_.pick(field.types), true);
    for (;;) {
        const Type type = random_.pick(every_type);
        if (type != Type::undefined && type != Type::null && type != Type::max_key && type != Type::min_key)
            return canaries_.make(type, true);
    }
}

Value Generator::parent_value(const Tree& node, unsigned level) {
    if (!wild()) return document(node, level + 1);
    switch (random_.below(3)) {
        case 0:
            return list({document(node, level + 1), document(node, level + 1)});
        case 1:
            return canaries_.make(random_.pick(every_type), false);
        default:
            return null();
    }
}

Value Generator::value_at(const Standing& at) {
    switch (at.kind) {
        case Standing::Kind::plain:
            return plain_value(0);
        case Standing::Kind::parent:
            return parent_value(*at.node, 0);
        case Standing::Kind::field:
            return field_value(*at.node->field);
        case Standing::Kind::below:
            break;
    }
    return unfit_value();
}

Value Generator::document(const Tree& node, unsigned level) {
    Value result = object();
    for (std::size_t left = random_.below(4); left > 0; --left)
        result.add(plain_name(level) + (level == 0 ? "" : "_"), plain_value(level));
    for (const TreeMember& member : node.members) {
        if (random_.chance(25)) continue;
        const Tree& child = member.tree;
        result.add(member.written_name(),
                   child.is_field() ? field_value(*child.field) : parent_value(child, level));
    }
    if (level == 0 && has_key_by_pointer(node) && !random_.chance(wildness_)) {
        used("a key by pointer");
        result.add(key_pointer, text(pointed_key));
    }
    if (wild()) spoil(result, node, level);
    return result;
}

// Protected values under names that only look like other ones.
void Generator::spoil(Value& result, const Tree& node, unsigned level) {
    const std::vector<Place> below = places(node);
    if (below.empty()) return;
    const Place& place = random_.pick(below);
    switch (random_.below(5)) {
        case 0: {  // twice
            const std::string name = place.path.substr(0, place.path.find('.'));
            const Tree& child = *node.child(name);
            result.add(name, child.is_field() ? unfit_value() : document(child, 1));
            break;
        }
        case 1:  // a path as a name
            if (place.is_field() && place.path.find('.') != std::string::npos)
                result.add(place.path, unfit_value());
            break;
        case 2:
            if (place.is_field()) result.add(place.path + ".x", unfit_value());
            break;
        case 3:  // beside protected fields, but not at the root, where a number is a name
            if (level > 0 && place.is_field())
                result.add(random_.chance(50) ? "0" : "$each", object({{place.path, unfit_value()}}));
            break;
        default:
            result.add("$" + place.path, plain_value(1));
            break;
    }
}

}  // namespace fieldgate::property
