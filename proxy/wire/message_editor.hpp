#pragma once

#include <array>
#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>
#include <cstddef>
#include <cstdint>
#include <span>

#include "proxy/bson/splice.hpp"
#include "proxy/wire/message.hpp"

namespace fieldgate::wire {

// Writes an OP_MSG again with some elements of its documents replaced or removed, in body and sequences
// alike, in the order in which they stand on the wire. Everything else is copied verbatim; lengths of
// documents, sequences and the message, and the checksum if there is one, are made right.
//
//     MessageEditor editor(message, frame, {.message_bytes_max = ...});
//     for (each edit, by rising offset from the start of the message) {
//         editor.advance_to(edit.offset)             -> the element: key, type, value
//         editor.replace_value(type, byte_count)     -> room to fill   (or remove())
//     }
//     editor.finish()                                -> the new message
//
// The work may rest between any two calls: the editor owns its state, the frame must outlive it, and the
// OpMsg need not. Documents with edits in them must have passed DocumentView::check(), which OpMsg::parse()
// does not do. The rules of bson::Splicer hold; the only error is bson::Errc::output_too_large.
class MessageEditor {
 public:
    struct Options {
        std::size_t message_bytes_max = 48'000'000;
        // By how much the message is expected to grow. Exact is best: the output is then never moved while it
        // grows.
        std::size_t growth_bytes = 0;
    };

    MessageEditor(const OpMsg& message, Bytes frame, const Options& options);

    boost::system::result<bson::Element> advance_to(std::size_t message_offset);
    // For slices of a long copy: how far it is, and on to an offset before the next edit.
    std::size_t position() const { return splicer_.position(); }
    boost::system::error_code copy_until(std::size_t message_offset) {
        return splicer_.copy_until(message_offset);
    }

    // Of the current element; the new value's bytes are filled in before the next call.
    boost::system::result<std::span<std::uint8_t>> replace_value(bson::Type type, std::size_t byte_count) {
        return splicer_.replace_value(type, byte_count);
    }
    // For values whose size is not known before: append to the buffer in between, for example with a Builder.
    boost::system::result<Buffer*> begin_value(bson::Type type) { return splicer_.begin_value(type); }
    boost::system::error_code end_value() { return splicer_.end_value(); }
    void remove() { splicer_.remove(); }

    // Last call.
    boost::system::result<Buffer> finish();

 private:
    struct Section {
        std::size_t length_offset = 0;  // of the body document, or of the sequence's size
        std::size_t first_document = 0;
        std::size_t end = 0;
    };

    Bytes frame_;
    std::array<Section, 3> sections_{};  // as on the wire
    std::size_t section_count_ = 0;
    std::size_t section_ = 0;   // the one that the last offset was in
    std::size_t document_ = 0;  // where the open document starts; 0: none
    Buffer out_;
    bson::Splicer splicer_;
};

}  // namespace fieldgate::wire
