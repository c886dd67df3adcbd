#pragma once

#include <optional>
#include <string>

#include "config/config.hpp"
#include "proxy/analysis/analysis.hpp"

// Role x plan -> allowed or not; role x field -> what to do with a stored value. Pure.
namespace fieldgate::policy {

// The refusal (13 Unauthorized, naming the field or namespace and the role's rule) of a plan that the role
// may not carry out; nothing if it may. Every right a plan needs is listed in the Plan; an empty answer means
// all were checked.
std::optional<analysis::Refusal> judge(const analysis::Plan& plan, const config::Role& role,
                                       const config::Config& config);

// Whether the role may send ciphertext of its own (design: only a role that reveals every field, in every
// namespace, that uses the key).
bool may_send_ciphertext(const config::Role& role, const config::Config& config);

// A masked rendering of a decrypted value: all but the last `keep_last` characters of its text become '*'.
// Strings count characters (code points), whole numbers their digits (not the sign); a value with no more
// characters than `keep_last` is hidden whole. Other types cannot be masked: nothing (withhold it). `value`
// is the BSON value (what follows the key).
std::optional<std::string> mask(bson::Type type, bson::Bytes value, std::uint32_t keep_last);

}  // namespace fieldgate::policy
