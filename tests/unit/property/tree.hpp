#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "random.hpp"
#include "value.hpp"

// What the test knows of a schema: a model of its own, so that it does not believe what it judges.
namespace fieldgate::property {

struct Field {
    bool deterministic = false;
    std::vector<Type> types;  // that may be written; empty: every one that can be encrypted at random
    bool key_by_pointer = false;
};

struct TreeMember;

// A node at or above protected fields.
struct Tree {
    // Out of line: TreeMember is not complete here.
    Tree();
    Tree(const Tree& other);
    Tree(Tree&& other) noexcept;
    Tree& operator=(const Tree& other);
    Tree& operator=(Tree&& other) noexcept;
    ~Tree();

    std::optional<Field> field;
    std::vector<TreeMember> members;

    bool is_field() const { return field.has_value(); }
    // By name, or by a pattern that the name meets; null: nothing protected there.
    const Tree* child(std::string_view name) const;
    void put(std::string name, Tree tree);
    void remove(std::string_view name);
};

struct TreeMember {
    std::string name;
    Tree tree;
    // `name` is how names begin that a pattern meets.
    bool is_pattern = false;
    // A name to write: for patterns, one that it meets.
    std::string written_name() const { return is_pattern ? name + "7" : name; }
};

// What a dotted path is to a tree. Numbers may be positions in arrays and `$`, `$[]` and `$[x]` always are:
// every way of reading the path counts, and the strictest is given.
struct Standing {
    enum class Kind { plain, parent, field, below } kind = Kind::plain;
    const Tree* node = nullptr;
    // A value there is one of a protected field, or opposite to it.
    bool is_protected() const { return kind == Kind::field || kind == Kind::below; }
};
Standing standing(const Tree& root, std::string_view path);
// The same where every part of a path is a name, as in what pipelines assign.
Standing standing_by_name(const Tree& root, std::string_view path);

// A path and what it leads to.
struct Place {
    std::string path;
    const Tree* node = nullptr;
    bool is_field() const { return node->is_field(); }
    bool deterministic() const { return node->field && node->field->deterministic; }
};
// Every path at and above protected fields.
std::vector<Place> places(const Tree& root);

// Whether documents must name a key.
bool has_key_by_pointer(const Tree& root);

// A schema of one to three levels with fields of every algorithm and type, some of them behind patterns.
Tree random_tree(Random& random);
// The same as CSFLE's JSON schema.
std::string schema_json(const Tree& root);

}  // namespace fieldgate::property
