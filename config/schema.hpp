#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace fieldgate::config {

// The two algorithms of CSFLE; the values are the first byte of a stored ciphertext.
enum class Algorithm : std::uint8_t { deterministic = 1, random = 2 };

using KeyUuid = std::array<std::uint8_t, 16>;

// fieldgate's schema extension: a key named by its alternative name instead of its UUID. `{database}` in it
// stands for the database of the namespace the schema is applied to.
struct KeyAltName {
    std::string name;
    friend bool operator==(const KeyAltName&, const KeyAltName&) = default;
};

// A JSON pointer as `keyId`: the value of that field in the document being inserted is the alternative name
// of the key. Inserts only (CSFLE specification, "keyId as a JSON pointer").
struct KeyPointer {
    std::vector<std::string> path;  // names from the root of the document, unescaped; never empty
    friend bool operator==(const KeyPointer&, const KeyPointer&) = default;
};

using KeyReference = std::variant<KeyUuid, KeyAltName, KeyPointer>;

// What one `encrypt` object says after inheritance: complete and checked against the type matrix.
struct EncryptedField {
    // Dotted, from the root of the document. A name that a pattern stands for is written "/pattern/".
    std::string path;
    Algorithm algorithm{};
    KeyReference key;
    std::vector<std::uint8_t> bson_types;  // type bytes that may be written; empty: every encryptable type.
                                           // Exactly one for deterministic.
    // For people: the path of the object whose `encryptMetadata` gave it, empty for the root; nothing: it is
    // the field's own.
    std::optional<std::string> algorithm_from = {};
    std::optional<std::string> key_from = {};
    bool allows(std::uint8_t bson_type) const;
    bool has_static_key() const { return !std::holds_alternative<KeyPointer>(key); }
};

inline constexpr std::uint16_t no_field = 0xFFFF;

// A regular expression of `patternProperties`, compiled once. Matches anywhere in a name unless anchored, in
// MongoDB's own dialect (PCRE). Immutable, shared between threads.
class NamePattern;

// A node of the path tree. Only paths at or above a protected field have nodes; a path without a node is
// plain. A node is a protected field (`field != no_field`), a parent of protected fields, or unknown; of
// these exactly one.
class SchemaNode {
 public:
    SchemaNode() = default;
    SchemaNode(SchemaNode&&) noexcept = default;
    SchemaNode& operator=(SchemaNode&&) noexcept = default;

    std::uint16_t field = no_field;  // index into Schema::fields()
    // What stands here may or may not be encrypted, which only the data tells: a name that patterns with
    // different metadata match; what a pipeline computed. Nothing may touch it; roles that do not reveal
    // everything get the strictest of what they would get of any field.
    bool unknown = false;
    // Pipelines only: the value is an array, each of whose elements is what the rest of this node says. Its
    // elements cannot be queried, because a driver would not either.
    bool array = false;
    // Replies only: the keys of this document are dotted paths, read from this node's children on, and
    // numbers in them (but for the first name) may be array positions: `updateDescription.updatedFields` of a
    // change stream event.
    bool dotted_keys = false;

    bool is_protected() const { return field != no_field; }
    bool is_parent() const { return !children_.empty() || !patterns_.empty(); }
    // The node one name further down; null: nothing at or below that path is protected. A name in
    // `properties` is that node; otherwise the patterns that match it decide, and where those disagree the
    // answer is an unknown node.
    const SchemaNode* child(std::string_view name) const;

    using Children = std::vector<std::pair<std::string, std::unique_ptr<SchemaNode>>>;
    const Children& children() const { return children_; }
    struct Pattern {
        std::shared_ptr<const NamePattern> pattern;
        std::unique_ptr<SchemaNode> node;
    };
    const std::vector<Pattern>& patterns() const { return patterns_; }
    // Named children and those of patterns alike.
    template <class Visit>
    void for_each_child(Visit visit) const {
        for (const auto& [name, node] : children_) visit(std::as_const(*node));
        for (const Pattern& pattern : patterns_) visit(std::as_const(*pattern.node));
    }
    template <class Visit>
    void for_each_child(Visit visit) {
        for (auto& [name, node] : children_) visit(*node);
        for (Pattern& pattern : patterns_) visit(*pattern.node);
    }

    // The node of exactly that name in `properties`, or null. Patterns are not asked.
    const SchemaNode* named_child(std::string_view name) const;
    // Whether both say the same of whatever stands there: the same field, or the same children all the way
    // down.
    bool protects_alike(const SchemaNode& other) const;
    // Patterns beside those above whose schemas protect nothing: a name that matches one of each is unknown.
    using PlainPatterns = std::vector<std::shared_ptr<const NamePattern>>;
    const PlainPatterns& plain_patterns() const { return plain_patterns_; }

    SchemaNode& add_child(std::string name);                              // for builders; the name is new
    SchemaNode& add_pattern(std::shared_ptr<const NamePattern> pattern);  // its text is new
    void add_plain_pattern(std::shared_ptr<const NamePattern> pattern);
    void put_child(std::string name, SchemaNode node);  // replaces what had that name
    void remove_child(std::string_view name);
    SchemaNode clone() const;

 private:
    const SchemaNode* child_by_pattern(std::string_view name) const;

    Children children_;
    std::vector<std::uint16_t> by_name_;  // positions in children_, sorted by name
    std::vector<Pattern> patterns_;
    PlainPatterns plain_patterns_;
};

// What a dotted path is to a tree.
struct PathMatch {
    const SchemaNode* node =
        nullptr;  // the node at the path: protected field, parent or unknown; null: plain
    // The path goes through a protected field (`ssn.x`), which `node` then is. Also set where a numeric
    // component could be read in two ways that reach different protected fields. To be refused.
    bool below_protected = false;
};
// Numeric components are tried as names and also skipped (they may be array positions):
// `insurance.0.policyNumber` matches insurance.policyNumber. A path at or below an unknown node is that node.
PathMatch match_path(const SchemaNode& root, std::string_view dotted_path);

// Whether a name could be the position in an array: digits only.
bool is_array_position(std::string_view name);

// The protected fields of one namespace. Immutable once built, shared between threads.
class Schema {
 public:
    const SchemaNode& root() const { return root_; }
    const std::vector<EncryptedField>& fields() const { return fields_; }
    bool empty() const { return fields_.empty(); }

    PathMatch match(std::string_view dotted_path) const { return match_path(root_, dotted_path); }

    // Patterns of one object that define the same are one field, as is a name that such a pattern matches: it
    // has the path of the first in fields(), and these paths of the others, with its index.
    using OtherPaths = std::vector<std::pair<std::string, std::uint16_t>>;
    const OtherPaths& other_paths() const { return other_paths_; }

    SchemaNode root_;                     // for the builder
    std::vector<EncryptedField> fields_;  // for the builder
    OtherPaths other_paths_;              // for the builder
};

}  // namespace fieldgate::config
