#pragma once

#include <cstdint>
#include <string>

#include "proxy/analysis/analysis.hpp"
#include "proxy/wire/message.hpp"

namespace fieldgate::session {

// The describing sink: instead of ciphertext, a text for people that says what will stand there:
//
//     "<encrypted: ssn, deterministic int, key 'clinic'>"
//     "<encrypted: ssn, deterministic int (from double), key 'clinic'>"
//     "<left out: nickname, null>"
//     "<ciphertext of the client, checked against ssn>"
//
// Needs no keys. No value of a protected field is in the result. For `explain`, so it works in one go, unlike
// the sinks of the data path: `frame` is a whole message, whose documents passed their checks, and `plan` is
// of it. Returns the message's body.
wire::Buffer describe(const wire::OpMsg& message, wire::Bytes frame, const analysis::Plan& plan);

// The name of a field among those of a plan: its path, and the namespace as well where the plan has several.
std::string field_name(const analysis::FieldSpace& fields, std::uint16_t field);

// "key 'clinic'", "key 01234567-89ab-...", "key named by the document at /keyName": by what the field's
// definition calls it, `{database}` replaced.
std::string key_name(const config::KeyReference& key, std::string_view database);

}  // namespace fieldgate::session
