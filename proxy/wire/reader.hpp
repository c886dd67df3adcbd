#pragma once

#include <boost/endian/conversion.hpp>
#include <cstring>
#include <optional>
#include <string_view>

#include "proxy/wire/message.hpp"

namespace fieldgate::wire {

// Takes fields off the front of a message. What does not fit is an empty optional and leaves the rest alone;
// private to this folder.
class Reader {
 public:
    explicit Reader(Bytes bytes) : rest_(bytes) {}

    bool done() const { return rest_.empty(); }
    Bytes rest() const { return rest_; }

    std::optional<Bytes> take(std::size_t byte_count) {
        if (byte_count > rest_.size()) return std::nullopt;
        const Bytes taken = rest_.first(byte_count);
        rest_ = rest_.subspan(byte_count);
        return taken;
    }

    std::optional<std::uint8_t> u8() {
        const auto taken = take(1);
        if (!taken) return std::nullopt;
        return (*taken)[0];
    }

    std::optional<std::uint32_t> u32() {
        const auto taken = take(4);
        if (!taken) return std::nullopt;
        return boost::endian::load_little_u32(taken->data());
    }

    std::optional<std::int32_t> s32() {
        const auto taken = take(4);
        if (!taken) return std::nullopt;
        return boost::endian::load_little_s32(taken->data());
    }

    // Without its terminator, which is taken too.
    std::optional<std::string_view> cstring() {
        if (rest_.empty()) return std::nullopt;
        const void* const zero = std::memchr(rest_.data(), 0, rest_.size());
        if (zero == nullptr) return std::nullopt;
        const auto length = static_cast<std::size_t>(static_cast<const std::uint8_t*>(zero) - rest_.data());
        const Bytes taken = *take(length + 1);
        return std::string_view(reinterpret_cast<const char*>(taken.data()), length);
    }

    // As many bytes as the int32 at the front says, which counts itself.
    std::optional<Bytes> sized(std::size_t bytes_min) {
        if (rest_.size() < 4) return std::nullopt;
        const std::uint32_t length = boost::endian::load_little_u32(rest_.data());
        if (length < bytes_min) return std::nullopt;
        return take(length);
    }

 private:
    Bytes rest_;
};

}  // namespace fieldgate::wire
