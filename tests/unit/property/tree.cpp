#include "tree.hpp"

#include <algorithm>
#include <array>

#include "stand.hpp"

namespace fieldgate::property {
namespace {

constexpr std::array deterministic_types = {Type::int32,  Type::string,     Type::int64,     Type::string,
                                            Type::binary, Type::object_id,  Type::date,      Type::int32,
                                            Type::symbol, Type::javascript, Type::timestamp, Type::regex,
                                            Type::int64,  Type::string,     Type::db_pointer};
constexpr std::array random_types = {
    Type::string,    Type::document, Type::array,   Type::double_, Type::decimal128,
    Type::date,      Type::document, Type::boolean, Type::int32,   Type::javascript_with_scope,
    Type::object_id, Type::int64,    Type::array,   Type::binary,  Type::string};
constexpr std::array<std::string_view, 12> field_names = {
    "ssn", "email", "policyNumber", "note", "blood", "born", "key", "code", "records", "a", "x", "phone"};
constexpr std::array<std::string_view, 6> parent_names = {"insurance", "b", "contact", "m", "deep", "next"};

Tree random_node(Random& random, unsigned level);

Tree random_field(Random& random) {
    Tree node;
    node.field.emplace();
    node.field->deterministic = random.chance(60);
    if (node.field->deterministic) {
        node.field->types = {random.pick(deterministic_types)};
    } else {
        node.field->key_by_pointer = random.chance(10);
        for (std::size_t left = random.below(3); left > 0; --left) {
            const Type type = random.pick(random_types);
            if (std::find(node.field->types.begin(), node.field->types.end(), type) ==
                node.field->types.end())
                node.field->types.push_back(type);
        }
    }
    return node;
}

void fill(Random& random, Tree& node, unsigned level) {
    const std::size_t fields = 1 + random.below(level == 0 ? 5 : 3);
    for (std::size_t i = 0; i < fields; ++i) {
        const std::string name(random.pick(field_names));
        if (node.child(name) == nullptr) node.put(name, random_field(random));
    }
    if (level < 2 && random.chance(level == 0 ? 85 : 40)) {
        Tree parent = random_node(random, level + 1);
        const std::string name(random.pick(parent_names));
        if (node.child(name) == nullptr) node.put(name, std::move(parent));
    }
    if (random.chance(30)) {
        Tree behind = random.chance(70) || level == 2 ? random_field(random) : random_node(random, level + 1);
        node.members.push_back({"p_", std::move(behind), true});
    }
}

Tree random_node(Random& random, unsigned level) {
    Tree node;
    fill(random, node, level);
    return node;
}

void collect(const Tree& node, const std::string& prefix, std::vector<Place>& found) {
    for (const TreeMember& member : node.members) {
        const std::string path = prefix + member.written_name();
        found.push_back({path, &member.tree});
        collect(member.tree, path + ".", found);
    }
}

std::vector<std::string_view> split(std::string_view path) {
    std::vector<std::string_view> components;
    for (;;) {
        const std::size_t dot = path.find('.');
        components.push_back(path.substr(0, dot));
        if (dot == std::string_view::npos) return components;
        path.remove_prefix(dot + 1);
    }
}

// Whether parts of a path may be positions in arrays.
enum class Positions : bool { none, skipped };

bool is_number(std::string_view component) {
    return !component.empty() &&
           std::all_of(component.begin(), component.end(), [](char c) { return c >= '0' && c <= '9'; });
}

Standing read(const Tree& node, std::span<const std::string_view> rest, Positions positions) {
    if (rest.empty()) return {node.is_field() ? Standing::Kind::field : Standing::Kind::parent, &node};
    if (node.is_field()) return {Standing::Kind::below, &node};
    Standing strictest;
    if (const Tree* child = node.child(rest[0])) strictest = read(*child, rest.subspan(1), positions);
    if (positions == Positions::skipped && (is_number(rest[0]) || rest[0].starts_with('$'))) {
        const Standing skipped = read(node, rest.subspan(1), positions);
        if (skipped.kind > strictest.kind) strictest = skipped;
    }
    return strictest;
}

void write_schema(const Tree& node, std::string& out) {
    if (node.is_field()) {
        out += R"({"encrypt": {"algorithm": "AEAD_AES_256_CBC_HMAC_SHA_512-)";
        out += node.field->deterministic ? "Deterministic\"" : "Random\"";
        if (!node.field->types.empty()) {
            out += ", \"bsonType\": [";
            for (const Type type : node.field->types)
                (out += out.back() == '[' ? "\"" : ", \"") += std::string(bson::alias(type)) + "\"";
            out += ']';
        }
        if (node.field->key_by_pointer) out += std::string(R"(, "keyId": "/)") + key_pointer + '"';
        out += "}}";
        return;
    }
    out += R"({"bsonType": "object")";
    for (const bool patterns : {false, true}) {
        bool first = true;
        for (const TreeMember& member : node.members) {
            if (member.is_pattern != patterns) continue;
            if (first) out += patterns ? R"(, "patternProperties": {)" : R"(, "properties": {)";
            if (!first) out += ", ";
            first = false;
            out += (patterns ? "\"^" : "\"") + member.name + "\": ";
            write_schema(member.tree, out);
        }
        if (!first) out += '}';
    }
    out += '}';
}

}  // namespace

Tree::Tree() = default;
Tree::Tree(const Tree& other) = default;
Tree::Tree(Tree&& other) noexcept = default;
Tree& Tree::operator=(const Tree& other) = default;
Tree& Tree::operator=(Tree&& other) noexcept = default;
Tree::~Tree() = default;

const Tree* Tree::child(std::string_view name) const {
    for (const TreeMember& member : members)
        if (!member.is_pattern && member.name == name) return &member.tree;
    for (const TreeMember& member : members)
        if (member.is_pattern && name.starts_with(member.name)) return &member.tree;
    return nullptr;
}

void Tree::put(std::string name, Tree tree) {
    remove(name);
    // What holds nothing protected, as documents of another collection may, is no part of the tree.
    if (!tree.is_field() && tree.members.empty() && child(name) == nullptr) return;
    members.push_back({std::move(name), std::move(tree), false});
}

void Tree::remove(std::string_view name) {
    std::erase_if(members, [&](const TreeMember& member) { return member.name == name; });
}

Standing standing(const Tree& root, std::string_view path) {
    std::vector<std::string_view> components = split(path);
    // The outermost value is no array, but aggregations write a path with a `$` before it.
    while (!components.empty() && components[0].starts_with('$')) components.erase(components.begin());
    if (components.empty()) return {};
    const Tree* first = root.child(components[0]);
    return first == nullptr ? Standing{} : read(*first, std::span(components).subspan(1), Positions::skipped);
}

Standing standing_by_name(const Tree& root, std::string_view path) {
    const std::vector<std::string_view> components = split(path);
    const Tree* first = root.child(components[0]);
    return first == nullptr ? Standing{} : read(*first, std::span(components).subspan(1), Positions::none);
}

std::vector<Place> places(const Tree& root) {
    std::vector<Place> found;
    collect(root, "", found);
    return found;
}

bool has_key_by_pointer(const Tree& root) {
    if (root.is_field()) return root.field->key_by_pointer;
    return std::any_of(root.members.begin(), root.members.end(),
                       [](const TreeMember& member) { return has_key_by_pointer(member.tree); });
}

Tree random_tree(Random& random) {
    return random_node(random, 0);
}

std::string schema_json(const Tree& root) {
    std::string out;
    write_schema(root, out);
    const std::string metadata = R"({"encryptMetadata": {"keyAltName": "clinic"}, )";
    return metadata + out.substr(1);
}

}  // namespace fieldgate::property
