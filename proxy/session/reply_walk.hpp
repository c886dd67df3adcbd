#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/session/field_reader.hpp"
#include "proxy/session/open.hpp"
#include "proxy/session/run_writer.hpp"

namespace fieldgate::session {

// The walk over one successful reply whose top level open.cpp has looked at: every element is checked, then
// copied, replaced or left out. With a stack of its own, so that depth is a number and a slice can end
// between any two elements.
class ReplyWalk {
 public:
    // All of them must outlive it.
    ReplyWalk(const wire::OpMsg& reply, wire::Bytes frame, const analysis::ReplyShape& shape,
              FieldReader& reader, std::uint32_t nesting_levels_max, std::size_t output_bytes_max);

    // FieldReader::begin() comes before each step.
    Work step(const SliceBudget& budget);
    wire::Buffer take() { return std::move(writer_.out()); }
    const analysis::Refusal& refusal() const { return refusal_; }

 private:
    // What the document is whose elements are being walked.
    enum class Where : std::uint8_t {
        reply,
        cursor,
        result,          // a document of the protected namespace, or something inside one: `node` says what
        verbatim,        // plain values at a protected path, shown as stored: nothing in it is opened
        bulk_batch,      // the results of a bulkWrite ...
        bulk_entry,      // ... one of them
        upserted,        // the array of a write result ...
        upserted_entry,  // ... and one {index, _id} of it
        last_error,      // findAndModify's lastErrorObject
        write_errors,
        write_concern_errors,
    };

    struct Frame {
        const std::uint8_t* start;       // the length field in the source
        const std::uint8_t* end;         // the terminator in the source
        std::size_t out_start;           // the length field in the output
        const config::SchemaNode* node;  // of what is inside; null: plain
        std::uint32_t next_index;        // of arrays: the key of the next element kept
        Where where;
        Place place;
        bool array;
        bool renumber;  // an element was left out of this array
    };

    struct Target {
        Where where = Where::result;
        const config::SchemaNode* node = nullptr;
        Place place = Place::exact;
    };

    enum class Next : std::uint8_t { element_done, key_missing, refused };
    using Rebuild = void (*)(bson::DocumentView, bson::Buffer&);

    Next visit(const bson::Element& element);
    Next visit_reply(const bson::Element& element);
    Next visit_bulk_entry(const bson::Element& element);
    Next visit_result(const bson::Element& element, const Target& target);
    Next visit_protected(const bson::Element& element, const Target& target);
    Next visit_unknown(const bson::Element& element, const Target& target);
    Next carry_out(Fate fate, const bson::Element& element);
    Next visit_plain(const bson::Element& element, Where where);
    Target target_of(const Frame& inside, const bson::Element& element) const;
    Target target_of_path(const Frame& inside, std::string_view path) const;

    Next enter(const bson::Element& element, const Target& target);
    Next open(const bson::Element& element, bool masked);
    Next rebuild(const bson::Element& element, Rebuild write);
    Next drop(const bson::Element& element);
    void keep_header(const bson::Element& element);
    std::size_t begin_replacement(const bson::Element& element, bson::Type type);
    Next end_replacement(const bson::Element& element);
    void close_document();

    Next refuse(std::int32_t code, std::string_view code_name, std::string errmsg);
    Next refuse_malformed(std::string_view why);
    Next refuse_malformed(const boost::system::error_code& ec) { return refuse_malformed(ec.message()); }
    Work too_large();

    const wire::OpMsg& reply_;
    const analysis::ReplyShape& shape_;
    FieldReader& reader_;
    const config::SchemaNode* id_node_;  // of write results; null: `_id` is plain
    std::size_t levels_max_;
    std::size_t output_bytes_max_;
    RunWriter writer_;
    std::vector<Frame> open_;
    const std::uint8_t* at_;
    std::size_t values_written_ = 0;  // in this slice
    analysis::Refusal refusal_;
};

}  // namespace fieldgate::session
