#include <boost/endian/conversion.hpp>

#include "proxy/wire/error.hpp"
#include "proxy/wire/message.hpp"
#include "proxy/wire/reader.hpp"

// The opcodes before OP_MSG: OP_QUERY carries the first hello of older drivers, OP_REPLY answers it.
namespace fieldgate::wire {
namespace {

using boost::system::error_code;
using boost::system::result;

constexpr std::size_t document_bytes_min = 5;
constexpr std::uint32_t reply_query_failure = 1u << 1;
constexpr std::uint32_t reply_await_capable = 1u << 3;

error_code check_header(Bytes frame, Opcode opcode, Header& header) {
    if (frame.size() < header_bytes) return Errc::message_truncated;
    header = Header::parse(frame);
    if (header.opcode != opcode) return Errc::wrong_opcode;
    if (boost::endian::load_little_u32(frame.data()) != frame.size()) return Errc::length_mismatch;
    return {};
}

}  // namespace

result<OpQuery> OpQuery::parse(Bytes frame) {
    OpQuery message;
    if (const error_code ec = check_header(frame, Opcode::query, message.header)) return ec;
    Reader reader(frame.subspan(header_bytes));
    const auto flags = reader.u32();
    const auto full_collection_name = reader.cstring();
    const auto number_to_skip = reader.s32();
    const auto number_to_return = reader.s32();
    const auto query = reader.sized(document_bytes_min);
    if (!flags || !full_collection_name || !number_to_skip || !number_to_return || !query) {
        return Errc::message_truncated;
    }
    message.flags = *flags;
    message.full_collection_name = *full_collection_name;
    message.number_to_skip = *number_to_skip;
    message.number_to_return = *number_to_return;
    const auto view = bson::DocumentView::check_top_level(*query);
    if (!view) return view.error();
    message.query = *view;
    // Optional: the fields to return.
    if (!reader.done()) {
        const auto fields = reader.sized(document_bytes_min);
        if (!fields) return Errc::message_truncated;
        const auto fields_view = bson::DocumentView::check_top_level(*fields);
        if (!fields_view) return fields_view.error();
    }
    if (!reader.done()) return Errc::trailing_bytes;
    return message;
}

result<OpReply> OpReply::parse(Bytes frame) {
    OpReply message;
    if (const error_code ec = check_header(frame, Opcode::reply, message.header)) return ec;
    Reader reader(frame.subspan(header_bytes));
    const auto flags = reader.u32();
    const auto cursor_id = reader.take(8);
    const auto starting_from = reader.s32();
    const auto number_returned = reader.s32();
    if (!flags || !cursor_id || !starting_from || !number_returned) return Errc::message_truncated;
    message.response_flags = *flags;
    message.documents = reader.rest();
    std::int64_t document_count = 0;
    while (!reader.done()) {
        if (!reader.sized(document_bytes_min)) return Errc::message_truncated;
        ++document_count;
    }
    if (document_count != *number_returned) return Errc::document_count_wrong;
    return message;
}

Buffer make_op_reply(std::int32_t request_id, std::int32_t response_to, Bytes document, bool query_failure) {
    Buffer out;
    out.reserve(header_bytes + 20 + document.size());
    append_header(out, request_id, response_to, Opcode::reply);
    std::uint8_t fields[20] = {};  // flags, cursor 0, starting from 0, one document
    boost::endian::store_little_u32(fields, reply_await_capable | (query_failure ? reply_query_failure : 0));
    boost::endian::store_little_u32(fields + 16, 1);
    out.insert(out.end(), fields, fields + sizeof fields);
    out.insert(out.end(), document.begin(), document.end());
    finish_message(out);
    return out;
}

}  // namespace fieldgate::wire
