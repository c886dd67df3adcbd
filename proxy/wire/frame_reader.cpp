#include "proxy/wire/frame_reader.hpp"

#include <algorithm>
#include <boost/assert.hpp>
#include <boost/endian/conversion.hpp>
#include <cstring>
#include <limits>

#include "proxy/wire/error.hpp"

namespace fieldgate::wire {

std::span<std::uint8_t> FrameReader::prepare() {
    const std::size_t pending = pending_bytes();
    boost::system::error_code ec;
    const std::optional<Header> header = peek(ec);  // no header either if its length is out of bounds
    const std::size_t wanted_bytes =
        std::max(header ? static_cast<std::size_t>(header->message_bytes) : header_bytes, pending + 1);
    if (wanted_bytes > capacity_) {
        // Exactly the announced size: the room to double into would never be used.
        reallocate(std::max(wanted_bytes, initial_bytes_));
    } else if (begin_ != 0) {
        if (pending != 0) std::memmove(buffer_.get(), buffer_.get() + begin_, pending);
        begin_ = 0;
        end_ = pending;
    }
    return {buffer_.get() + end_, capacity_ - end_};
}

void FrameReader::commit(std::size_t byte_count) {
    BOOST_ASSERT(byte_count <= capacity_ - end_);
    end_ += byte_count;
}

std::optional<std::span<const std::uint8_t>> FrameReader::next(boost::system::error_code& ec) {
    const std::optional<Header> header = peek(ec);
    if (!header) return std::nullopt;
    const auto message_bytes = static_cast<std::size_t>(header->message_bytes);
    if (pending_bytes() < message_bytes) return std::nullopt;
    return take_pending(message_bytes);
}

std::optional<Header> FrameReader::peek(boost::system::error_code& ec) const {
    ec.clear();
    if (pending_bytes() < header_bytes) return std::nullopt;
    const std::uint8_t* const start = buffer_.get() + begin_;
    const std::uint32_t message_bytes = boost::endian::load_little_u32(start);
    if (message_bytes < header_bytes) {
        ec = Errc::length_below_header;
        return std::nullopt;
    }
    // Lengths are int32 on the wire: a negative one is above any limit.
    if (message_bytes > std::min<std::size_t>(message_bytes_max_, std::numeric_limits<std::int32_t>::max())) {
        ec = Errc::length_above_limit;
        return std::nullopt;
    }
    return Header::parse({start, header_bytes});
}

std::span<const std::uint8_t> FrameReader::take_pending(std::size_t byte_count) {
    const std::size_t taken = std::min(byte_count, pending_bytes());
    const std::span<const std::uint8_t> bytes(buffer_.get() + begin_, taken);
    begin_ += taken;
    return bytes;
}

void FrameReader::release() {
    const std::size_t pending = pending_bytes();
    if (capacity_ > pending) reallocate(pending);
}

// Moves what is pending to the front of a new buffer, whose bytes start uninitialised.
void FrameReader::reallocate(std::size_t byte_count) {
    const std::size_t pending = pending_bytes();
    BOOST_ASSERT(byte_count >= pending);
    std::unique_ptr<std::uint8_t[]> larger;
    if (byte_count != 0) larger = std::make_unique_for_overwrite<std::uint8_t[]>(byte_count);
    if (pending != 0) std::memcpy(larger.get(), buffer_.get() + begin_, pending);
    buffer_ = std::move(larger);
    capacity_ = byte_count;
    begin_ = 0;
    end_ = pending;
}

}  // namespace fieldgate::wire
