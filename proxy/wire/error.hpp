#pragma once

#include <boost/system/error_code.hpp>
#include <boost/system/is_error_code_enum.hpp>

namespace fieldgate::wire {

// Why a peer's bytes could not be understood as a message. Every value is reachable from the network. After a
// wrong length the framing is lost and the connection ends; after the others the next message can still be
// found.
enum class Errc {
    ok = 0,
    length_below_header,    // a message announces fewer bytes than its header has
    length_above_limit,     // a message announces more bytes than allowed (a negative length too)
    wrong_opcode,           // parsed as another kind of message than the header says
    length_mismatch,        // the header's length is not that of the message
    message_truncated,      // a field or section reaches beyond the message
    trailing_bytes,         // bytes after what the message should hold
    unknown_flags,          // a required flag bit (0 to 15) that OP_MSG does not define
    checksum_wrong,         // CRC-32C of the message disagrees with its last four bytes
    unknown_section_kind,   // a section of a kind other than 0 and 1
    body_missing,           // no section of kind 0
    body_repeated,          // more than one section of kind 0
    sequence_malformed,     // a kind 1 section whose size, name or documents do not add up
    too_many_sequences,     // more sections of kind 1 than any command has
    sequence_repeated,      // two sequences of one name
    sequence_also_in_body,  // a sequence named like a field of the body
    document_count_wrong,   // OP_REPLY holds another number of documents than it says
};

const boost::system::error_category& error_category();

inline boost::system::error_code make_error_code(Errc error) {
    return {static_cast<int>(error), error_category()};
}

}  // namespace fieldgate::wire

template <>
struct boost::system::is_error_code_enum<fieldgate::wire::Errc> : std::true_type {};
