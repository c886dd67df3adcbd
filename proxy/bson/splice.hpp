#pragma once

#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "proxy/bson/builder.hpp"
#include "proxy/bson/view.hpp"

namespace fieldgate::bson {

// Copies `source` to the end of `out` with some elements replaced or removed. What is not edited is copied
// verbatim in runs as long as possible, and the length of every document around an edit is corrected. One
// pass, front to back:
//
//     Splicer splicer(source, out, output_bytes_max);
//     splicer.open_document(0);                 // a root: where a document starts in `source`
//     splicer.advance_to(offset)                -> the element there; untouched bytes before it are now in
//     `out` splicer.replace_value(type, byte_count)   -> room for the new value, to be filled at once
//     splicer.advance_to(later_offset) ; splicer.remove() ; ...
//     splicer.finish();
//
// Offsets are those of elements (of their type byte) from the start of `source` and rise from call to call.
// An element that was advanced to and neither replaced nor removed stays as it is and may be descended into.
// Between any two calls the work may rest: the state is here, `source` must live on, `out` must not change.
//
// `source` may hold several documents and other bytes between them, which are copied too. Documents that are
// edited must have passed DocumentView::check(). Only documents and arrays are entered, not the scope of
// code. Offsets that fall back, miss an element or edit one twice are our own mistakes and assert. Errors are
// output_too_large only; after one the output is worthless and every further call gives the error again.
//
// An element removed from an array leaves a gap in its keys, which servers accept and drivers skip; where the
// length matters, null stands in.
class Splicer {
 public:
    // `output_bytes_max` limits what is added to `out`, and is checked before each write.
    Splicer(Bytes source, Buffer& out, std::size_t output_bytes_max);
    Splicer(const Splicer&) = delete;
    Splicer& operator=(const Splicer&) = delete;

    // A root document starts here. The one before it is over. Inside an open region, a document of that
    // region.
    void open_document(std::size_t offset);
    // Bytes up to `end` that start with an int32 length which counts itself, and hold documents: an OP_MSG
    // document sequence. Its length is corrected like a document's.
    void open_region(std::size_t offset, std::size_t end);

    boost::system::result<Element> advance_to(std::size_t element_offset);
    // Copies untouched bytes up to here and no further, for callers that cut long copies into slices: any
    // offset before the next edit, for what is behind cannot be edited any more. Does nothing for offsets
    // that are already behind.
    boost::system::error_code copy_until(std::size_t offset);
    // Bytes of `source` that were copied, replaced or removed so far.
    std::size_t position() const { return copied_; }

    // Instead of the current element's value: a new type, the same key, `byte_count` bytes that the caller
    // fills in before its next call.
    boost::system::result<std::span<std::uint8_t>> replace_value(Type type, std::size_t byte_count);
    // The same for values whose size is not known: append them to the buffer between the two calls. The limit
    // is checked at the end, so the caller bounds what it appends.
    boost::system::result<Buffer*> begin_value(Type type);
    boost::system::error_code end_value();
    void remove();

    // Copies the rest.
    boost::system::error_code finish();

 private:
    // A document or region that encloses the current position and has been edited, or may be.
    struct Open {
        std::size_t end = 0;        // in the source
        std::size_t out_start = 0;  // of its length field, in `out_`
        std::size_t cursor = 0;     // in the source: the first element that has not been passed
        bool is_region = false;
    };

    void push(std::size_t offset, std::size_t end, std::size_t cursor, bool is_region);
    void close_until(std::size_t offset);
    bool has_room(std::size_t byte_count);
    bool begin_replacement(Type type, std::size_t byte_count);
    Element element_at(std::size_t offset) const;

    Bytes source_;
    Buffer& out_;
    std::size_t out_base_;  // what was in `out_` before
    std::size_t output_bytes_max_;
    std::size_t copied_ = 0;        // in the source
    std::size_t edited_until_ = 0;  // in the source: the end of the last edited element
    std::optional<Element> current_;
    bool in_value_ = false;
    bool failed_ = false;
    std::vector<Open> open_;
};

// An edit whose new value exists already.
struct Edit {
    std::size_t offset = 0;  // of the element, from the start of the document
    bool is_removal = false;
    Type type{};
    Bytes value{};
};

// One checked document with edits in rising order of offset, appended to `out`. Error: output_too_large.
boost::system::error_code splice(Bytes document, std::span<const Edit> edits, Buffer& out,
                                 std::size_t output_bytes_max);

}  // namespace fieldgate::bson
