// An accepted OP_MSG is understood whole: written again from its parts, and copied by an editor without
// edits, it is the same bytes. OP_QUERY and OP_REPLY get the bytes too, and must only survive them.
//
// The first byte of the input says whether opcode, length and checksum are put right first; otherwise few
// mutations would get past them.

#include <boost/endian/conversion.hpp>
#include <cstdlib>

#include "proxy/wire/message.hpp"
#include "proxy/wire/message_editor.hpp"

using namespace fieldgate;

namespace {

void put_right(wire::Buffer& frame) {
    if (frame.size() < wire::header_bytes + 8) return;
    boost::endian::store_little_s32(frame.data() + 12, static_cast<std::int32_t>(wire::Opcode::msg));
    wire::finish_message(frame);
}

void check_kept(const wire::OpMsg& message, const wire::Buffer& frame) {
    if (wire::serialize(message) != frame) std::abort();
    wire::MessageEditor editor(message, frame, {.message_bytes_max = frame.size(), .growth_bytes = 0});
    const auto copy = editor.finish();
    if (!copy || *copy != frame) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    wire::Buffer frame(data + 1, data + size);
    (void)wire::OpQuery::parse(frame);
    (void)wire::OpReply::parse(frame);
    if ((data[0] & 1) != 0) put_right(frame);
    const auto message = wire::OpMsg::parse(frame);
    if (message) check_kept(*message, frame);
    return 0;
}
