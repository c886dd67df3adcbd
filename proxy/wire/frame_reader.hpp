#pragma once

#include <boost/system/error_code.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "proxy/wire/message.hpp"

namespace fieldgate::wire {

// Cuts a byte stream into MongoDB messages. Knows nothing about sockets:
//
//     reader.prepare()      -> room to read into
//     reader.commit(n)      <- n bytes arrived
//     reader.next(ec)       -> a whole message, or nothing: more bytes are needed unless ec is set
//
//     buffer_: | handed out | pending | free |
//              0            begin_    end_   size()
//
// A message returned by next() is valid until the next call of prepare(). For messages that are streamed instead of
// collected: peek() gives the header as soon as it is there, take_pending(n) hands out what has arrived of it, and
// the caller reads the rest elsewhere. The buffer starts small, grows to the announced size only after the size was
// checked against the limit, and release() gives the memory back when nothing is pending.
class FrameReader {
   public:
    explicit FrameReader(std::size_t message_bytes_max, std::size_t initial_bytes = 4096)
        : message_bytes_max_(message_bytes_max), initial_bytes_(initial_bytes) {}

    std::span<std::uint8_t> prepare();
    void commit(std::size_t byte_count);
    std::optional<std::span<const std::uint8_t>> next(boost::system::error_code& ec);

    // The header of the message that comes next, once its 16 bytes are there and its length passed the checks.
    std::optional<Header> peek(boost::system::error_code& ec) const;
    // Bytes of the next message that are here already.
    std::size_t pending_bytes() const { return end_ - begin_; }
    // Hands out up to `byte_count` pending bytes, for streaming.
    std::span<const std::uint8_t> take_pending(std::size_t byte_count);
    std::size_t buffer_bytes() const { return buffer_.size(); }
    void release();

   private:
    std::size_t message_bytes_max_;
    std::size_t initial_bytes_;
    std::size_t wanted_bytes_ = header_bytes;
    std::vector<std::uint8_t> buffer_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

}  // namespace fieldgate::wire
