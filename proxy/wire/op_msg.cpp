#include <algorithm>
#include <boost/assert.hpp>
#include <boost/endian/conversion.hpp>

#include "proxy/wire/error.hpp"
#include "proxy/wire/message.hpp"
#include "proxy/wire/reader.hpp"

namespace fieldgate::wire {
namespace {

using boost::system::error_code;
using boost::system::result;

constexpr std::size_t document_bytes_min = 5;
constexpr std::size_t checksum_bytes = 4;
// OP_MSG.md: "Clients MUST error if any unsupported or undefined required bits are set to 1". The server does
// too.
constexpr std::uint32_t required_flags = 0xFFFF;
constexpr std::uint32_t known_required_flags = flag_checksum_present | flag_more_to_come;

// The lengths of a run of documents have to fill it exactly.
bool documents_add_up(Bytes documents) {
    Reader reader(documents);
    while (!reader.done()) {
        if (!reader.sized(document_bytes_min)) return false;
    }
    return true;
}

class Parser {
 public:
    Parser(Bytes frame, OpMsg& out) : frame_(frame), out_(out), sections_({}) {}

    error_code run() {
        if (const error_code ec = envelope()) return ec;
        while (!sections_.done()) {
            const std::size_t offset = offset_of(sections_.rest());
            const std::uint8_t kind = *sections_.u8();
            if (kind > 1) return Errc::unknown_section_kind;
            if (const error_code ec = kind == 0 ? body() : sequence(offset)) return ec;
        }
        if (!has_body_) return Errc::body_missing;
        for (const Sequence& sequence : out_.sequences()) {
            if (out_.body.find(sequence.id)) return Errc::sequence_also_in_body;
        }
        return {};
    }

 private:
    std::size_t offset_of(Bytes rest) const { return static_cast<std::size_t>(rest.data() - frame_.data()); }

    // Header, flags and checksum; what is left is sections only.
    error_code envelope() {
        if (frame_.size() < header_bytes) return Errc::message_truncated;
        out_.header = Header::parse(frame_);
        if (out_.header.opcode != Opcode::msg) return Errc::wrong_opcode;
        if (boost::endian::load_little_u32(frame_.data()) != frame_.size()) return Errc::length_mismatch;
        Reader reader(frame_.subspan(header_bytes));
        const auto flags = reader.u32();
        if (!flags) return Errc::message_truncated;
        out_.flags = *flags;
        if ((out_.flags & required_flags & ~known_required_flags) != 0) return Errc::unknown_flags;
        Bytes rest = reader.rest();
        if ((out_.flags & flag_checksum_present) != 0) {
            if (rest.size() < checksum_bytes) return Errc::message_truncated;
            const Bytes covered = frame_.first(frame_.size() - checksum_bytes);
            if (boost::endian::load_little_u32(frame_.data() + covered.size()) != crc32c(covered)) {
                return Errc::checksum_wrong;
            }
            rest = rest.first(rest.size() - checksum_bytes);
        }
        sections_ = Reader(rest);
        return {};
    }

    error_code body() {
        if (has_body_) return Errc::body_repeated;
        has_body_ = true;
        out_.body_offset = offset_of(sections_.rest());
        const auto document = sections_.sized(document_bytes_min);
        if (!document) return Errc::message_truncated;
        const auto view = bson::DocumentView::check_top_level(*document);
        if (!view) return view.error();
        out_.body = *view;
        return {};
    }

    error_code sequence(std::size_t section_offset) {
        const auto section = sections_.sized(4);
        if (!section) return Errc::sequence_malformed;
        Reader reader(section->subspan(4));
        const auto id = reader.cstring();
        if (!id || !documents_add_up(reader.rest())) return Errc::sequence_malformed;
        for (const Sequence& earlier : out_.sequences()) {
            if (earlier.id == *id) return Errc::sequence_repeated;
        }
        if (out_.sequence_count == out_.sequence_storage.size()) return Errc::too_many_sequences;
        out_.sequence_storage[out_.sequence_count++] = {*id, section_offset, reader.rest()};
        return {};
    }

    Bytes frame_;
    OpMsg& out_;
    Reader sections_;
    bool has_body_ = false;
};

void append_u32(Buffer& out, std::size_t value) {
    std::uint8_t bytes[4];
    boost::endian::store_little_u32(bytes, static_cast<std::uint32_t>(value));
    out.insert(out.end(), bytes, bytes + sizeof bytes);
}

}  // namespace

result<OpMsg> OpMsg::parse(Bytes frame) {
    OpMsg message;
    if (const error_code ec = Parser(frame, message).run()) return ec;
    return message;
}

Buffer make_op_msg(std::int32_t request_id, std::int32_t response_to, Bytes body, std::uint32_t flags) {
    Buffer out;
    out.reserve(header_bytes + 5 + body.size() + checksum_bytes);
    append_header(out, request_id, response_to, Opcode::msg);
    append_u32(out, flags);
    out.push_back(0);
    out.insert(out.end(), body.begin(), body.end());
    if ((flags & flag_checksum_present) != 0) append_u32(out, 0);
    finish_message(out);
    return out;
}

Buffer serialize(const OpMsg& message) {
    Buffer out;
    append_header(out, message.header.request_id, message.header.response_to, Opcode::msg);
    append_u32(out, message.flags);
    const auto append_body = [&] {
        out.push_back(0);
        out.insert(out.end(), message.body.bytes().begin(), message.body.bytes().end());
    };
    bool body_written = false;
    for (const Sequence& sequence : message.sequences()) {
        if (!body_written && message.body_offset < sequence.section_offset) {
            append_body();
            body_written = true;
        }
        out.push_back(1);
        append_u32(out, 4 + sequence.id.size() + 1 + sequence.documents.size());
        out.insert(out.end(), sequence.id.begin(), sequence.id.end());
        out.push_back(0);
        out.insert(out.end(), sequence.documents.begin(), sequence.documents.end());
    }
    if (!body_written) append_body();
    if ((message.flags & flag_checksum_present) != 0) append_u32(out, 0);
    finish_message(out);
    return out;
}

}  // namespace fieldgate::wire
