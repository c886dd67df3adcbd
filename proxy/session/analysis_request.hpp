#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "proxy/analysis/analysis.hpp"
#include "proxy/wire/message.hpp"

// mongocryptd's protocol, as drivers speak it (client-side encryption specification, "query analysis"): what
// a driver adds to a command that it wants analysed, and the reply that it waits for. Pure.
namespace fieldgate::session {

// The commands whose values drivers hand over; nothing else is analysed for them.
bool is_analysed_for_drivers(std::string_view command);

// The reply before its values are marked:
//
//     OP_MSG {hasEncryptionPlaceholders, schemaRequiresEncryption, result: {COMMAND}, ok: 1}
//
// COMMAND is the request's without the fields that are for the analyser, its document sequences folded into
// arrays, and `$db` as its last element, because the analysis wants to see one; it goes at the end.
struct AnalysisReply {
    wire::Buffer frame;
    std::size_t command_offset = 0;   // of COMMAND, from the start of the frame
    std::size_t database_offset = 0;  // of its `$db`
    // Of the values of the two booleans, which are known last.
    std::size_t has_placeholders_offset = 0;
    std::size_t requires_encryption_offset = 0;

    // COMMAND as a message of its own, whose offsets are those of the frame. Its top level is checked.
    wire::OpMsg command() const;
};
AnalysisReply fold_into_reply(const wire::OpMsg& request, std::int32_t reply_id);

// A schema that came with a command.
struct GivenSchema {
    analysis::NamespaceName name;
    bson::DocumentView schema;  // checked
    bool remote = false;        // of the server's validator, not of the application
};

// Both forms: jsonSchema and isRemoteSchema for the one namespace of the command, or csfleEncryptionSchemas
// for each that it names. `body` is the request's, `command` the folded one, checked. A refusal names what is
// missing or cannot be.
std::optional<analysis::Refusal> read_given_schemas(bson::DocumentView body, bson::DocumentView command,
                                                    const bson::Limits& limits,
                                                    std::vector<GivenSchema>& schemas);

}  // namespace fieldgate::session
