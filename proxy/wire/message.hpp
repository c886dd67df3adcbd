#pragma once

#include <array>
#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "proxy/bson/view.hpp"

// Bytes <-> messages. No I/O, no policy.
namespace fieldgate::wire {

using Bytes = std::span<const std::uint8_t>;
using Buffer = std::vector<std::uint8_t>;

inline constexpr std::size_t header_bytes = 16;

enum class Opcode : std::int32_t {
    reply = 1,
    update = 2001,
    insert = 2002,
    query = 2004,
    get_more = 2005,
    delete_ = 2006,
    kill_cursors = 2007,
    compressed = 2012,
    msg = 2013,
};

struct Header {
    std::int32_t message_bytes = 0;
    std::int32_t request_id = 0;
    std::int32_t response_to = 0;
    Opcode opcode{};

    // Asserts header_bytes of input. Lengths are checked by FrameReader.
    static Header parse(Bytes bytes);
};

inline constexpr std::uint32_t flag_checksum_present = 1u << 0;
inline constexpr std::uint32_t flag_more_to_come = 1u << 1;
inline constexpr std::uint32_t flag_exhaust_allowed = 1u << 16;

// One kind 1 section. Offsets are from the start of the message.
struct Sequence {
    std::string_view id;
    std::size_t section_offset = 0;  // of the kind byte; the int32 size follows it
    Bytes documents;                 // one BSON document after another, lengths checked, contents not
};

// A parsed OP_MSG: views into the message's bytes. Sections come in any order on the wire; exactly one body.
struct OpMsg {
    Header header;
    std::uint32_t flags = 0;
    bson::DocumentView body;      // top level checked only
    std::size_t body_offset = 0;  // of the document, from the start of the message
    std::array<Sequence, 2> sequence_storage;
    std::size_t sequence_count = 0;

    std::span<const Sequence> sequences() const { return {sequence_storage.data(), sequence_count}; }
    bool more_to_come() const { return (flags & flag_more_to_come) != 0; }

    // Refuses: unknown required flag bits (0-15), no or several bodies, unknown section kinds, more than two
    // sequences or two of one name, a sequence named like a top-level field of the body, sizes that do not
    // add up, a wrong checksum. `frame` is a whole message, header included. Errors: wire::Errc, and
    // bson::Errc for the body's top level.
    static boost::system::result<OpMsg> parse(Bytes frame);
};

// The same message again, sections in their order, checksum recomputed. Of a parsed message: the same bytes.
Buffer serialize(const OpMsg& message);

// A parsed OP_QUERY. On current servers it carries the handshake only.
struct OpQuery {
    Header header;
    std::uint32_t flags = 0;
    std::string_view full_collection_name;  // "admin.$cmd"
    std::int32_t number_to_skip = 0;
    std::int32_t number_to_return = 0;
    bson::DocumentView query;  // top level checked only

    bool is_command() const { return full_collection_name.ends_with(".$cmd"); }
    static boost::system::result<OpQuery> parse(Bytes frame);
};

// A parsed OP_REPLY with its documents' bytes (one or none matters to us).
struct OpReply {
    Header header;
    std::uint32_t response_flags = 0;
    Bytes documents;
    static boost::system::result<OpReply> parse(Bytes frame);
};

// A header at the end of a message's buffer; finish_message() writes its length.
void append_header(Buffer& out, std::int32_t request_id, std::int32_t response_to, Opcode opcode);

// Whole messages with a body and nothing else.
Buffer make_op_msg(std::int32_t request_id, std::int32_t response_to, Bytes body, std::uint32_t flags = 0);
// Flags: AwaitCapable (8) always, as every server since 2.x sends; QueryFailure (2) for refused queries.
Buffer make_op_reply(std::int32_t request_id, std::int32_t response_to, Bytes document,
                     bool query_failure = false);

// The answer that refuses a request, in the reply opcode that its sender waits for: OP_MSG for OP_MSG,
// OP_REPLY with QueryFailure for OP_QUERY and OP_GET_MORE; nothing for opcodes that have no reply, and for
// unknown ones. For OP_COMPRESSED the opcode it wraps decides, which is read from `request_frame` (needed for
// that only). Whether the request asked for no answer (moreToCome) is the caller's to look at.
std::optional<Buffer> make_refusal(const Header& request, Bytes error_document, std::int32_t request_id,
                                   Bytes request_frame = {});

// After a message's bytes were edited: writes the new length into the header and, if it is an OP_MSG with the
// checksum flag, recomputes the last four bytes (which must be there). CRC-32C over everything before them.
void finish_message(std::span<std::uint8_t> message);

std::uint32_t crc32c(Bytes bytes);  // by SSE 4.2 where the processor has it

}  // namespace fieldgate::wire
