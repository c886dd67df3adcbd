#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"

// The small grammars of the configuration's scalars. Pure; each returns nothing for text it does not accept.
namespace fieldgate::config {

// A decimal number without sign, blanks or leading zeros.
std::optional<std::uint64_t> parse_unsigned(std::string_view text);
// Go style: "30s", "1m30s", "500ms", "2h"; "0" is zero. A bare number has no unit and is refused.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);
// Bytes: "1048576", "64KiB", "48MB", "1GiB".
std::optional<std::uint64_t> parse_byte_size(std::string_view text);
// Strict RFC 4648 base64 with padding.
std::optional<std::vector<std::uint8_t>> parse_base64(std::string_view text);
bool is_base64_character(char c);
// "01234567-89ab-cdef-0123-456789abcdef".
std::optional<KeyUuid> parse_uuid(std::string_view text);

// "db.coll", split at the first dot and checked against MongoDB's naming rules. Returns the reason when
// refused.
struct NamespaceText {
    std::optional<NamespacePattern> pattern;
    std::string fault;
};
NamespaceText parse_namespace(std::string_view text, bool stars_allowed);

// "host:port", "[v6]:port", "unix:/path".
struct AddressText {
    std::string host;
    std::uint16_t port = 0;
    std::string unix_path;
    std::string fault;  // empty: accepted
};
AddressText parse_address(std::string_view text);

// What is wrong with "host", "host:port" or "[v6]:port" of a service, ports from 1; empty: nothing. No
// scheme, no user, no path.
std::string endpoint_fault(std::string_view text);

// The candidate that `text` probably meant: one to three edits away, by its length, ignoring case.
std::optional<std::string> closest(std::string_view text, const std::vector<std::string>& candidates);
// " (did you mean 'x'?)", or empty.
std::string did_you_mean(std::string_view text, const std::vector<std::string>& candidates);

// "a, b or c".
std::string join_or(const std::vector<std::string>& words);

}  // namespace fieldgate::config
