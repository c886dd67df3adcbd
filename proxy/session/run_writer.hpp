#pragma once

#include <boost/assert.hpp>
#include <boost/endian/conversion.hpp>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proxy/wire/message.hpp"

namespace fieldgate::session {

// Copies a source to an output in runs as long as nothing changes between them, so that untouched bytes cost
// one memcpy however many elements they are:
//
//     source: |-- copied --|-- run, not copied yet --|-- not walked yet --|
//                          run_begin                 wherever the walk is
//
// position() says where a byte of the run will stand in the output, before it is there.
class RunWriter {
 public:
    // Takes room for the whole source at once: what is opened, masked or withheld is never longer than its
    // ciphertext.
    explicit RunWriter(wire::Bytes source) : run_begin_(source.data()) { out_.reserve(source.size()); }

    wire::Buffer& out() { return out_; }
    std::size_t position(const std::uint8_t* source_at) const {
        BOOST_ASSERT(source_at >= run_begin_);
        return out_.size() + static_cast<std::size_t>(source_at - run_begin_);
    }
    // Copies the run up to `source_at`, where the next one begins.
    void flush(const std::uint8_t* source_at) {
        BOOST_ASSERT(source_at >= run_begin_);
        out_.insert(out_.end(), run_begin_, source_at);
        run_begin_ = source_at;
    }
    // The source up to here was replaced or left out.
    void skip_to(const std::uint8_t* source_at) {
        BOOST_ASSERT(source_at >= run_begin_);
        run_begin_ = source_at;
    }
    void append_element_header(std::uint8_t type, std::string_view key) {
        out_.push_back(type);
        out_.insert(out_.end(), key.begin(), key.end());
        out_.push_back(0);
    }
    // Of a document that was changed inside, whose length therefore is in the output already.
    void patch_length(std::size_t at, std::size_t length) {
        BOOST_ASSERT(at + 4 <= out_.size());
        boost::endian::store_little_u32(out_.data() + at, static_cast<std::uint32_t>(length));
    }

 private:
    wire::Buffer out_;
    const std::uint8_t* run_begin_;
};

}  // namespace fieldgate::session
