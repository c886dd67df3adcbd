#pragma once

#include <boost/system/error_code.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "proxy/wire/message.hpp"

namespace fieldgate::wire {

// Cuts a byte stream into MongoDB messages. Knows nothing about sockets:
//
//     reader.prepare()      -> room to read into
//     reader.commit(n)      <- n bytes arrived
//     reader.next(ec)       -> a whole message, or nothing: more bytes are needed unless ec is set
//
//     buffer_: | handed out | pending | free |
//              0            begin_    end_   capacity_
//
// A message returned by next() is valid until the next call of prepare(). For messages that are streamed
// instead of collected: peek() gives the header as soon as it is there, take_pending(n) hands out what has
// arrived of it, and the caller reads the rest elsewhere. The buffer starts small, grows to the announced
// size in one step and only after the size was checked against the limit; a caller with a memory budget asks
// it between peek() and prepare(). After an error the stream has no next message: both calls go on saying so.
class FrameReader {
 public:
    explicit FrameReader(std::size_t message_bytes_max, std::size_t initial_bytes = 4096)
        : message_bytes_max_(message_bytes_max), initial_bytes_(initial_bytes) {}

    FrameReader(const FrameReader&) = delete;
    FrameReader& operator=(const FrameReader&) = delete;

    // Room for at least one byte, for the rest of the next message if its header is there. Invalidates what
    // next() and take_pending() handed out.
    std::span<std::uint8_t> prepare();
    // Asserts that prepare() gave that much.
    void commit(std::size_t byte_count);
    std::optional<std::span<const std::uint8_t>> next(boost::system::error_code& ec);

    // The header of the message that comes next, once its 16 bytes are there and its length passed the
    // checks.
    std::optional<Header> peek(boost::system::error_code& ec) const;
    // Bytes of the next message that are here already.
    std::size_t pending_bytes() const { return end_ - begin_; }
    // A look at them without taking them, for routing; valid until the next prepare() or release().
    std::span<const std::uint8_t> pending() const { return {buffer_.get() + begin_, end_ - begin_}; }
    // Hands out up to `byte_count` pending bytes, for streaming. Valid until prepare() or release().
    std::span<const std::uint8_t> take_pending(std::size_t byte_count);
    // What the buffer holds on to, used or not.
    std::size_t buffer_bytes() const { return capacity_; }
    // Shrinks the buffer to what is pending, to nothing if nothing is. Ends the life of what was handed out.
    void release();

 private:
    void reallocate(std::size_t byte_count);

    std::size_t message_bytes_max_;
    std::size_t initial_bytes_;
    // Not a vector: growing one to 48 MB would write 48 MB of zeros first.
    std::unique_ptr<std::uint8_t[]> buffer_;
    std::size_t capacity_ = 0;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

}  // namespace fieldgate::wire
