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

using KeyReference = std::variant<KeyUuid, KeyAltName>;

// What one `encrypt` object says after inheritance: complete and checked against the type matrix.
struct EncryptedField {
    std::string path;  // dotted, from the root of the document
    Algorithm algorithm{};
    KeyReference key;
    std::vector<std::uint8_t> bson_types;  // type bytes that may be written; empty: every encryptable type.
                                           // Exactly one for deterministic.
    bool allows(std::uint8_t bson_type) const;
};

inline constexpr std::uint16_t no_field = 0xFFFF;

// A node of the path tree. Only paths at or above a protected field have nodes; a path without a node is
// plain. A node is either a protected field (`field != no_field`, no children) or a parent of protected
// fields.
class SchemaNode {
 public:
    std::uint16_t field = no_field;  // index into Schema::fields()

    bool is_protected() const { return field != no_field; }
    bool is_parent() const { return !children_.empty(); }
    // The node one name further down; null: nothing at or below that path is protected.
    const SchemaNode* child(std::string_view name) const;
    const std::vector<std::pair<std::string, std::unique_ptr<SchemaNode>>>& children() const {
        return children_;
    }

    SchemaNode& add_child(std::string name);  // for the builder

 private:
    std::vector<std::pair<std::string, std::unique_ptr<SchemaNode>>> children_;
    std::vector<std::uint16_t> by_name_;  // positions in children_, sorted by name
};

// The protected fields of one namespace. Immutable once built, shared between threads.
class Schema {
 public:
    const SchemaNode& root() const { return root_; }
    const std::vector<EncryptedField>& fields() const { return fields_; }
    bool empty() const { return fields_.empty(); }

    // What a dotted path is to this schema.
    struct PathMatch {
        const SchemaNode* node = nullptr;  // the node at the path: protected field or parent; null: plain
        // The path goes through a protected field (`ssn.x`), which `node` then is. Also set where a numeric
        // component could be read in two ways that reach different protected fields. To be refused.
        bool below_protected = false;
    };
    // Numeric components are tried as names and also skipped (they may be array positions):
    // `insurance.0.policyNumber` matches insurance.policyNumber.
    PathMatch match(std::string_view dotted_path) const;

    SchemaNode root_;                     // for the builder
    std::vector<EncryptedField> fields_;  // for the builder
};

}  // namespace fieldgate::config
