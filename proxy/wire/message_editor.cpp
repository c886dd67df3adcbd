#include "proxy/wire/message_editor.hpp"

#include <algorithm>
#include <boost/assert.hpp>
#include <boost/endian/conversion.hpp>

namespace fieldgate::wire {

MessageEditor::MessageEditor(const OpMsg& message, Bytes frame, const Options& options)
    : frame_(frame), splicer_(frame, out_, options.message_bytes_max) {
    BOOST_ASSERT(message.body.bytes().data() == frame.data() + message.body_offset);
    const std::size_t body_end = message.body_offset + message.body.bytes().size();
    sections_[section_count_++] = {message.body_offset, message.body_offset, body_end};
    for (const Sequence& sequence : message.sequences()) {
        const auto first = static_cast<std::size_t>(sequence.documents.data() - frame.data());
        sections_[section_count_++] = {sequence.section_offset + 1, first, first + sequence.documents.size()};
    }
    const auto in_use = std::span(sections_).first(section_count_);
    std::ranges::sort(in_use, {}, &Section::length_offset);
    out_.reserve(std::min(frame.size() + options.growth_bytes, options.message_bytes_max));
}

boost::system::result<bson::Element> MessageEditor::advance_to(std::size_t message_offset) {
    const auto document_end = [&](std::size_t document) {
        return document + boost::endian::load_little_u32(frame_.data() + document);
    };
    while (section_ < section_count_ && sections_[section_].end <= message_offset) {
        ++section_;
        document_ = 0;
    }
    BOOST_ASSERT_MSG(section_ < section_count_, "the offset is behind every section");
    const Section& section = sections_[section_];
    BOOST_ASSERT_MSG(message_offset >= section.first_document, "the offset is between two sections");

    std::size_t wanted = document_;
    if (wanted == 0) {
        if (section.length_offset != section.first_document)
            splicer_.open_region(section.length_offset, section.end);
        wanted = section.first_document;
    }
    while (document_end(wanted) <= message_offset) wanted = document_end(wanted);
    if (wanted != document_) {
        splicer_.open_document(wanted);
        document_ = wanted;
    }
    return splicer_.advance_to(message_offset);
}

boost::system::result<Buffer> MessageEditor::finish() {
    if (const boost::system::error_code ec = splicer_.finish()) return ec;
    finish_message(out_);
    return std::move(out_);
}

}  // namespace fieldgate::wire
