#include "proxy/wire/message.hpp"

#include <boost/assert.hpp>
#include <boost/endian/conversion.hpp>
#include <limits>

#include "proxy/wire/error.hpp"

namespace fieldgate::wire {
namespace {

constexpr std::size_t checksum_bytes = 4;

}  // namespace

Header Header::parse(Bytes bytes) {
    BOOST_ASSERT(bytes.size() >= header_bytes);
    return {boost::endian::load_little_s32(bytes.data()), boost::endian::load_little_s32(bytes.data() + 4),
            boost::endian::load_little_s32(bytes.data() + 8),
            static_cast<Opcode>(boost::endian::load_little_s32(bytes.data() + 12))};
}

void append_header(Buffer& out, std::int32_t request_id, std::int32_t response_to, Opcode opcode) {
    std::uint8_t bytes[header_bytes] = {};
    boost::endian::store_little_s32(bytes + 4, request_id);
    boost::endian::store_little_s32(bytes + 8, response_to);
    boost::endian::store_little_s32(bytes + 12, static_cast<std::int32_t>(opcode));
    out.insert(out.end(), bytes, bytes + sizeof bytes);
}

void finish_message(std::span<std::uint8_t> message) {
    BOOST_ASSERT(message.size() >= header_bytes);
    BOOST_ASSERT(message.size() <= static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()));
    boost::endian::store_little_u32(message.data(), static_cast<std::uint32_t>(message.size()));
    if (Header::parse(message).opcode != Opcode::msg) return;
    BOOST_ASSERT(message.size() >= header_bytes + 4);
    if ((boost::endian::load_little_u32(message.data() + header_bytes) & flag_checksum_present) == 0) return;
    BOOST_ASSERT(message.size() >= header_bytes + 4 + checksum_bytes);
    const auto covered = message.first(message.size() - checksum_bytes);
    boost::endian::store_little_u32(message.data() + covered.size(), crc32c(covered));
}

std::optional<Buffer> make_refusal(const Header& request, Bytes error_document, std::int32_t request_id,
                                   Bytes request_frame) {
    Opcode opcode = request.opcode;
    if (opcode == Opcode::compressed) {
        // originalOpcode is the first field after the header; what it wraps may not be wrapped again.
        if (request_frame.size() < header_bytes + 4) return std::nullopt;
        opcode = static_cast<Opcode>(boost::endian::load_little_s32(request_frame.data() + header_bytes));
    }
    switch (opcode) {
        case Opcode::msg:
            return make_op_msg(request_id, request.request_id, error_document);
        case Opcode::query:
        case Opcode::get_more:
            return make_op_reply(request_id, request.request_id, error_document, true);
        default:
            return std::nullopt;
    }
}

}  // namespace fieldgate::wire
