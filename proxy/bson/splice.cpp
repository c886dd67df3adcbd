#include "proxy/bson/splice.hpp"

#include <algorithm>
#include <limits>

#include "proxy/bson/error.hpp"

namespace fieldgate::bson {

using boost::system::error_code;
using boost::system::result;

Splicer::Splicer(Bytes source, Buffer& out, std::size_t output_bytes_max)
    : source_(source), out_(out), out_base_(out.size()), output_bytes_max_(output_bytes_max) {
    // Lengths are int32, so none can overflow once this holds.
    BOOST_ASSERT(output_bytes_max <= static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()));
}

void Splicer::open_document(std::size_t offset) {
    BOOST_ASSERT(!in_value_);
    current_.reset();
    close_until(offset);
    BOOST_ASSERT_MSG(open_.empty() || open_.back().is_region, "a root document inside another");
    BOOST_ASSERT(offset + 5 <= source_.size());
    const std::size_t end = offset + detail::load_u32(source_.data() + offset);
    push(offset, end, offset + 4, false);
}

void Splicer::open_region(std::size_t offset, std::size_t end) {
    BOOST_ASSERT(!in_value_);
    current_.reset();
    close_until(offset);
    BOOST_ASSERT_MSG(open_.empty(), "a region inside a document or region");
    BOOST_ASSERT(offset + 4 <= end);
    push(offset, end, offset + 4, true);
}

void Splicer::push(std::size_t offset, std::size_t end, std::size_t cursor, bool is_region) {
    BOOST_ASSERT_MSG(offset >= edited_until_, "a document before the last edit");
    BOOST_ASSERT(end <= source_.size() && (open_.empty() || end <= open_.back().end));
    // Between the position and here (on whichever side) nothing was or will be edited, so the distance is the
    // same in the output.
    const std::size_t out_start =
        offset >= copied_ ? out_.size() + (offset - copied_) : out_.size() - (copied_ - offset);
    open_.push_back({end, out_start, cursor, is_region});
}

// Leaves the documents that end at or before `offset` and corrects their lengths. One that the output has not
// reached yet was opened for nothing and will be copied as it is.
void Splicer::close_until(std::size_t offset) {
    while (!open_.empty() && open_.back().end <= offset) {
        const Open& closing = open_.back();
        if (!failed_ && closing.out_start + 4 <= out_.size()) {
            // The tail of the document may still be to copy; its size is known all the same.
            const std::size_t out_end = out_.size() + (closing.end - copied_);
            boost::endian::store_little_u32(out_.data() + closing.out_start,
                                            static_cast<std::uint32_t>(out_end - closing.out_start));
        }
        open_.pop_back();
    }
}

Element Splicer::element_at(std::size_t offset) const {
    const DocumentView::Iterator element(source_.data() + offset);
    return *element;
}

result<Element> Splicer::advance_to(std::size_t element_offset) {
    BOOST_ASSERT(!in_value_);
    BOOST_ASSERT_MSG(element_offset >= copied_, "edits have to be in rising order and apart");
    close_until(element_offset);
    BOOST_ASSERT_MSG(!open_.empty() && !open_.back().is_region, "no open document holds this offset");
    for (;;) {
        Open& inner = open_.back();
        // The terminator has type 0 and is no element.
        BOOST_ASSERT_MSG(inner.cursor <= element_offset && source_[inner.cursor] != 0,
                         "the offset is not that of an element");
        const Element element = element_at(inner.cursor);
        const std::size_t end = inner.cursor + element.raw().size();
        if (inner.cursor == element_offset) {
            if (const error_code ec = copy_until(element_offset)) return ec;
            current_ = element;
            return element;
        }
        if (end <= element_offset) {
            inner.cursor = end;
            continue;
        }
        BOOST_ASSERT_MSG(element.is_document() || element.is_array(), "the offset is inside a value");
        const std::size_t value_offset = end - element.value().size();
        push(value_offset, end, value_offset + 4, false);
    }
}

bool Splicer::has_room(std::size_t byte_count) {
    if (failed_ || byte_count > output_bytes_max_ - (out_.size() - out_base_)) failed_ = true;
    return !failed_;
}

error_code Splicer::copy_until(std::size_t offset) {
    BOOST_ASSERT(!in_value_ && offset <= source_.size());
    offset = std::max(offset, copied_);
    if (!has_room(offset - copied_)) return Errc::output_too_large;
    const Bytes run = source_.subspan(copied_, offset - copied_);
    out_.insert(out_.end(), run.begin(), run.end());
    copied_ = offset;
    return {};
}

// Writes type and key and steps over the element in the source.
bool Splicer::begin_replacement(Type type, std::size_t byte_count) {
    BOOST_ASSERT_MSG(current_ && !in_value_, "no current element, or edited twice");
    const Bytes raw = current_->raw();
    const std::size_t head_bytes = raw.size() - current_->value().size();
    current_.reset();
    if (!has_room(head_bytes) || byte_count > output_bytes_max_ - (out_.size() - out_base_) - head_bytes) {
        failed_ = true;
        return false;
    }
    const std::size_t type_at = out_.size();
    out_.insert(out_.end(), raw.begin(), raw.begin() + static_cast<std::ptrdiff_t>(head_bytes));
    out_[type_at] = static_cast<std::uint8_t>(type);
    copied_ += raw.size();
    edited_until_ = copied_;
    open_.back().cursor = copied_;
    return true;
}

result<std::span<std::uint8_t>> Splicer::replace_value(Type type, std::size_t byte_count) {
    if (!begin_replacement(type, byte_count)) return Errc::output_too_large;
    out_.resize(out_.size() + byte_count);
    return std::span(out_).last(byte_count);
}

result<Buffer*> Splicer::begin_value(Type type) {
    if (!begin_replacement(type, 0)) return Errc::output_too_large;
    in_value_ = true;
    return &out_;
}

error_code Splicer::end_value() {
    BOOST_ASSERT_MSG(in_value_, "end_value() without begin_value()");
    in_value_ = false;
    if (out_.size() - out_base_ > output_bytes_max_) failed_ = true;
    return failed_ ? make_error_code(Errc::output_too_large) : error_code();
}

void Splicer::remove() {
    BOOST_ASSERT_MSG(current_ && !in_value_, "no current element, or edited twice");
    copied_ += current_->raw().size();
    edited_until_ = copied_;
    open_.back().cursor = copied_;
    current_.reset();
}

error_code Splicer::finish() {
    BOOST_ASSERT(!in_value_);
    current_.reset();
    close_until(source_.size());
    return copy_until(source_.size());
}

error_code splice(Bytes document, std::span<const Edit> edits, Buffer& out, std::size_t output_bytes_max) {
    Splicer splicer(document, out, output_bytes_max);
    splicer.open_document(0);
    for (const Edit& edit : edits) {
        const auto element = splicer.advance_to(edit.offset);
        if (!element) return element.error();
        if (edit.is_removal) {
            splicer.remove();
            continue;
        }
        const auto room = splicer.replace_value(edit.type, edit.value.size());
        if (!room) return room.error();
        std::copy(edit.value.begin(), edit.value.end(), room->begin());
    }
    return splicer.finish();
}

}  // namespace fieldgate::bson
