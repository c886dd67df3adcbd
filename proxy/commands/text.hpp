#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "proxy/analysis/analysis.hpp"

// How the commands word what several of them say.
namespace fieldgate::commands {

// What goes to a terminal: names are chosen by whoever may write the key vault, the collection or the
// command. What a terminal would not show as itself (observe/utf8.hpp) becomes '?'.
std::string printable(std::string_view text);

// The same for JSON, which stays JSON and says the same: \uXXXX instead of '?'. `json` is well-formed, in
// UTF-8.
std::string printable_json(std::string_view json);

// At most `bytes_max` of it, whole characters, and then "...": what somebody else made as long as he liked.
std::string shortened(std::string_view text, std::size_t bytes_max);

std::string joined(const std::vector<std::string>& texts);

// Rows with columns as wide as their widest cell, two blanks between; each line ends with a line feed. Rows
// may have different lengths; the last cell of a row makes no column wider. Cells are made printable.
std::string table(const std::vector<std::vector<std::string>>& rows, std::size_t indent = 0);

// "DATABASE.COLLECTION" of the command line. Nothing: an empty name, or a pattern.
std::optional<analysis::NamespaceName> parse_name(std::string_view full_name);

// Where a schema comes from: "patients.schema.json (schemas: medicalRecords.patients, clinic.yaml:14)".
std::string source_of(const config::ProtectedNamespace& entry, const config::Config& config);

// "int", "int, long", "any type".
std::string types_text(const config::EncryptedField& field);
std::string_view algorithm_text(const config::EncryptedField& field);  // "deterministic", "random"

}  // namespace fieldgate::commands
