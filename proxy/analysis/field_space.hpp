#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"

namespace fieldgate::analysis {

// The protected fields that one command has to do with, of one namespace or several ($lookup, bulkWrite), in
// one row of numbers: edits, uses of fields and the trees of reply shapes all name fields by them. The fields
// of the first namespace have the numbers of its schema, so that its tree serves as it is; the trees of
// others are numbered anew.
//
// Built while a command is analysed, immutable afterwards; plans, reply shapes and cursors share it.
class FieldSpace {
 public:
    struct Part {
        config::NamespaceRef protected_namespace;
        std::string database;
        std::string collection;
        std::uint16_t first_field = 0;
        std::shared_ptr<const config::SchemaNode> tree;  // of one document
    };

    // Of one namespace.
    static std::shared_ptr<FieldSpace> of(const config::NamespaceRef& protected_namespace,
                                          std::string_view database, std::string_view collection);
    // The part of that namespace, which is added unless it is there. Nothing: more fields than there are
    // numbers.
    std::optional<std::size_t> add(const config::NamespaceRef& protected_namespace, std::string_view database,
                                   std::string_view collection);
    const Part* find(std::string_view database, std::string_view collection) const;

    const std::vector<Part>& parts() const { return parts_; }
    std::size_t size() const { return size_; }
    // The part that a field belongs to, and its number in that part's schema.
    const Part& part_of(std::uint16_t field) const { return parts_[part_index(field)]; }
    std::size_t part_index(std::uint16_t field) const;
    const config::EncryptedField& field(std::uint16_t field) const;
    std::uint16_t number_in_schema(std::uint16_t field) const {
        return static_cast<std::uint16_t>(field - part_of(field).first_field);
    }

    // Whether equal plaintexts have, or would have, equal ciphertexts in both: the same algorithm, key and
    // types. A key named in two ways may be the same one; that is not assumed.
    bool same_encryption(std::uint16_t a, std::uint16_t b) const;

 private:
    std::vector<Part> parts_;
    std::size_t size_ = 0;
};

// `{database}` in a key's alternative name stands for the database of the namespace.
std::string expand_alt_name(std::string_view alt_name, std::string_view database);

}  // namespace fieldgate::analysis
