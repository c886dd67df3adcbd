#pragma once

#include <boost/system/error_code.hpp>
#include <cstddef>
#include <cstdint>

#include "proxy/wire/message.hpp"

namespace fieldgate::cluster {

// The most that one reply may have: what MongoDB calls maxMessageSizeBytes, and a header.
inline constexpr std::size_t reply_bytes_max = std::size_t{48'000'000} + wire::header_bytes;
// Servers store up to 200 levels ("BSONDepth"), and a reply wraps documents in a few more.
inline constexpr std::uint32_t reply_nesting_levels_max = 220;

// "Replica Set Architectures" of the MongoDB manual.
inline constexpr std::size_t replica_set_members_max = 50;

// Whether a whole message can be the answer to a command that was sent with `request` (query or msg), for a
// reader that takes what it says for granted. Refuses: an opcode that is not the answer to `request` (a
// compressed one too, none was negotiated), an OP_MSG that is not one body without checksum, an OP_REPLY
// that does not hold exactly one document, BSON that is unsound or too deep at any level, and fields of
// another type than they have in MongoDB where libmongoc does not look (members of a replica set, labels,
// compressors; members more than there can be). Errors: wire::Errc, bson::Errc and, for such fields,
// bad_message.
boost::system::error_code check_reply(wire::Bytes frame, wire::Opcode request);

}  // namespace fieldgate::cluster
