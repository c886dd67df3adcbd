// Any bytes, cut anywhere: the frames are the stream cut at the announced lengths, as far as the lengths are
// good; the buffer never outgrows the limit.

#include <algorithm>
#include <boost/endian/conversion.hpp>
#include <cstdlib>
#include <vector>

#include "proxy/wire/frame_reader.hpp"

namespace {

constexpr std::size_t message_bytes_max = 4096;
constexpr std::size_t initial_bytes = 64;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fieldgate::wire::FrameReader reader(message_bytes_max, initial_bytes);
    const std::span<const std::uint8_t> stream(data, size);
    std::span<const std::uint8_t> rest = stream;
    std::size_t framed_bytes = 0;
    while (!rest.empty()) {
        const auto room = reader.prepare();
        if (room.empty() || reader.buffer_bytes() > message_bytes_max) std::abort();
        // The stream itself says where it is cut.
        const std::size_t step = std::min({rest.size(), room.size(), std::size_t{1} + rest.front() % 64});
        std::copy_n(rest.begin(), step, room.begin());
        reader.commit(step);
        rest = rest.subspan(step);
        boost::system::error_code ec;
        while (const auto frame = reader.next(ec)) {
            if (frame->size() != boost::endian::load_little_u32(frame->data())) std::abort();
            const auto expected = stream.subspan(framed_bytes, frame->size());
            if (!std::equal(frame->begin(), frame->end(), expected.begin(), expected.end())) std::abort();
            framed_bytes += frame->size();
        }
        if (ec) {
            const std::uint32_t length = boost::endian::load_little_u32(stream.data() + framed_bytes);
            if (length >= fieldgate::wire::header_bytes && length <= message_bytes_max) std::abort();
            return 0;
        }
        if (reader.pending_bytes() == 0) reader.release();
    }
    return 0;
}
