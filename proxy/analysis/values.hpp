#pragma once

#include "proxy/analysis/request.hpp"

// Values that stand at protected paths: checked against their field, and noted as edits. Internal to
// analysis/.
namespace fieldgate::analysis {

// One value at a protected path, about to be stored. A null under `nulls: omit` is taken out of its document.
[[nodiscard]] bool store_value(Request& request, const bson::Element& element, std::uint16_t field_index);
// One value that a query compares a deterministic field with.
[[nodiscard]] bool compare_value(Request& request, const bson::Element& element, std::uint16_t field_index);

// A whole object that a query compares a parent of protected fields with: encrypted inside if it gives every
// one of them and all are deterministic, refused otherwise. What plain fields hold in it is not looked at.
[[nodiscard]] bool compare_document(Request& request, bson::DocumentView document,
                                    const config::SchemaNode& node, std::string_view path);
// Whether it is a null that is never stored.
bool omits_null(const Request& request, const bson::Element& element, std::uint16_t field_index);

enum class Stored : std::uint8_t {
    insert,     // a new document, or one that replaces another whole
    overwrite,  // a value that takes the place of another: what it does not name is erased
};

// A document about to be stored at a parent of protected fields (the schema's root: a whole document). `path`
// is the node's, for error texts.
[[nodiscard]] bool store_document(Request& request, bson::DocumentView document,
                                  const config::SchemaNode& node, std::string_view path, Stored stored);
// A value of any type about to be stored at such a parent: a document, or null.
[[nodiscard]] bool store_parent(Request& request, const bson::Element& element,
                                const config::SchemaNode& node, std::string_view path, Stored stored);

}  // namespace fieldgate::analysis
