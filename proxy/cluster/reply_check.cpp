#include "proxy/cluster/reply_check.hpp"

#include "proxy/bson/view.hpp"
#include "proxy/wire/error.hpp"

namespace fieldgate::cluster {
namespace {

using boost::system::error_code;

error_code check_document(wire::Bytes document) {
    const auto view = bson::DocumentView::check(document, {.nesting_levels_max = reply_nesting_levels_max});
    return view ? error_code() : view.error();
}

error_code check_op_msg(wire::Bytes frame) {
    const auto message = wire::OpMsg::parse(frame);
    if (!message) return message.error();
    // A server sends a checksum only to whoever sent one, and no sequences at all.
    if ((message->flags & wire::flag_checksum_present) != 0) return wire::Errc::unknown_flags;
    if (!message->sequences().empty()) return wire::Errc::too_many_sequences;
    return check_document(message->body.bytes());
}

error_code check_op_reply(wire::Bytes frame) {
    const auto reply = wire::OpReply::parse(frame);
    if (!reply) return reply.error();
    if (reply->documents.empty()) return wire::Errc::document_count_wrong;
    // A second document makes the first shorter than the whole, which the check says.
    return check_document(reply->documents);
}

}  // namespace

error_code check_reply(wire::Bytes frame, wire::Opcode request) {
    switch (request) {
        case wire::Opcode::msg:
            return check_op_msg(frame);
        case wire::Opcode::query:
            return check_op_reply(frame);
        default:
            return wire::Errc::wrong_opcode;
    }
}

}  // namespace fieldgate::cluster
