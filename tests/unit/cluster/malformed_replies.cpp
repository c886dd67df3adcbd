#include "tests/unit/cluster/malformed_replies.hpp"

#include <boost/endian/conversion.hpp>

#include "proxy/cluster/reply_check.hpp"

namespace fieldgate::cluster::testing {
namespace {

using wire::Buffer;
using wire::Header;

constexpr std::size_t document_offset_msg = wire::header_bytes + 5;
constexpr std::size_t document_offset_reply = wire::header_bytes + 20;

void store(Buffer& bytes, std::size_t at, std::uint32_t value) {
    boost::endian::store_little_u32(bytes.data() + at, value);
}

std::uint32_t load(const Buffer& bytes, std::size_t at) {
    return boost::endian::load_little_u32(bytes.data() + at);
}

Buffer with_length(Buffer bytes) {
    store(bytes, 0, static_cast<std::uint32_t>(bytes.size()));
    return bytes;
}

bool is_msg(const Header& request) {
    return request.opcode == wire::Opcode::msg;
}

std::size_t document_offset(const Header& request) {
    return is_msg(request) ? document_offset_msg : document_offset_reply;
}

Buffer document_of(const Header& request, const Buffer& sound) {
    const auto start = sound.begin() + static_cast<std::ptrdiff_t>(document_offset(request));
    return {start, sound.end()};
}

// The sound answer with another document, its lengths right.
Buffer answer_with(const Header& request, const Buffer& document) {
    return is_msg(request) ? wire::make_op_msg(1, request.request_id, document)
                           : wire::make_op_reply(1, request.request_id, document);
}

Buffer section_of_kind_1(const Header& request, const Buffer& sound, bool with_body) {
    const Buffer document = document_of(request, sound);
    Buffer bytes(sound.begin(), sound.begin() + wire::header_bytes + 4);
    store(bytes, 12, static_cast<std::uint32_t>(wire::Opcode::msg));
    Buffer section{1, 0, 0, 0, 0, 'd', 0};
    section.insert(section.end(), document.begin(), document.end());
    store(section, 1, static_cast<std::uint32_t>(section.size() - 1));
    bytes.insert(bytes.end(), section.begin(), section.end());
    if (with_body) {
        bytes.push_back(0);
        bytes.insert(bytes.end(), document.begin(), document.end());
    }
    return with_length(std::move(bytes));
}

// One element {type, "a", value}, which need not add up.
Buffer document_with(std::uint8_t type, const Buffer& value) {
    Buffer bytes{0, 0, 0, 0, type, 'a', 0};
    bytes.insert(bytes.end(), value.begin(), value.end());
    bytes.push_back(0);
    return with_length(std::move(bytes));
}

}  // namespace

bson::Buffer nested_document(std::uint32_t levels) {
    bson::Buffer buffer;
    bson::Builder builder(buffer);
    builder.append_double("ok", 1);
    for (std::uint32_t i = 0; i < levels; ++i) builder.open_document("a");
    for (std::uint32_t i = 0; i < levels; ++i) builder.close();
    builder.finish();
    return buffer;
}

const std::vector<MalformedReply>& malformed_replies() {
    static const std::vector<MalformedReply> replies{
        {"a message that ends after its flags",
         [](const Header&, const Buffer& sound) {
             return with_length({sound.begin(), sound.begin() + wire::header_bytes + 4});
         }},
        {"a header alone",
         [](const Header&, const Buffer& sound) {
             return with_length({sound.begin(), sound.begin() + wire::header_bytes});
         }},
        {"an OP_REPLY for an OP_MSG, an OP_MSG for an OP_QUERY",
         [](const Header& request, const Buffer& sound) {
             Header other = request;
             other.opcode = is_msg(request) ? wire::Opcode::query : wire::Opcode::msg;
             return answer_with(other, document_of(request, sound));
         }},
        {"the answer compressed",
         [](const Header&, const Buffer& sound) {
             Buffer bytes(sound.begin(), sound.begin() + wire::header_bytes);
             const Buffer fields{0xDD, 0x07, 0, 0, 0, 0, 0, 0x40, 0};  // OP_MSG, 1 GiB, no compression
             bytes.insert(bytes.end(), fields.begin(), fields.end());
             bytes.insert(bytes.end(), sound.begin() + wire::header_bytes, sound.end());
             store(bytes, 12, static_cast<std::uint32_t>(wire::Opcode::compressed));
             return with_length(std::move(bytes));
         }},
        {"an opcode that does not exist",
         [](const Header&, const Buffer& sound) {
             Buffer bytes = sound;
             store(bytes, 12, 4711);
             return bytes;
         }},
        {"a sequence and no body",
         [](const Header& request, const Buffer& sound) { return section_of_kind_1(request, sound, false); }},
        {"a sequence before the body",
         [](const Header& request, const Buffer& sound) { return section_of_kind_1(request, sound, true); }},
        {"a section of an unknown kind, or no document at all",
         [](const Header& request, const Buffer& sound) {
             Buffer bytes = sound;
             if (!is_msg(request)) {
                 bytes.resize(document_offset_reply);
                 store(bytes, document_offset_reply - 4, 0);
                 return with_length(std::move(bytes));
             }
             bytes[document_offset_msg - 1] = 2;
             return bytes;
         }},
        {"two bodies, or two documents",
         [](const Header& request, const Buffer& sound) {
             Buffer bytes = sound;
             const Buffer document = document_of(request, sound);
             if (is_msg(request)) bytes.push_back(0);
             bytes.insert(bytes.end(), document.begin(), document.end());
             if (!is_msg(request)) store(bytes, document_offset_reply - 4, 2);
             return with_length(std::move(bytes));
         }},
        {"a checksum that nobody asked for, or more documents announced than there are",
         [](const Header& request, const Buffer& sound) {
             if (is_msg(request)) {
                 return wire::make_op_msg(1, request.request_id, document_of(request, sound),
                                          wire::flag_checksum_present);
             }
             Buffer bytes = sound;
             store(bytes, document_offset_reply - 4, 1000000);
             return bytes;
         }},
        {"a negative number of documents, or flags that do not exist",
         [](const Header& request, const Buffer& sound) {
             Buffer bytes = sound;
             store(bytes, is_msg(request) ? wire::header_bytes : document_offset_reply - 4,
                   is_msg(request) ? 1u << 5 : 0xFFFFFFFF);
             return bytes;
         }},
        {"a document longer than the message",
         [](const Header& request, const Buffer& sound) {
             Buffer bytes = sound;
             const std::size_t at = document_offset(request);
             store(bytes, at, load(bytes, at) + 1);
             return bytes;
         }},
        {"a document shorter than the message",
         [](const Header& request, const Buffer& sound) {
             Buffer bytes = sound;
             const std::size_t at = document_offset(request);
             store(bytes, at, load(bytes, at) - 1);
             return bytes;
         }},
        {"a document of 4 bytes",
         [](const Header& request, const Buffer& sound) {
             Buffer bytes(sound.begin(),
                          sound.begin() + static_cast<std::ptrdiff_t>(document_offset(request)));
             bytes.insert(bytes.end(), {4, 0, 0, 0});
             return with_length(std::move(bytes));
         }},
        {"a document without its terminator",
         [](const Header&, const Buffer& sound) {
             Buffer bytes = sound;
             bytes.back() = 1;
             return bytes;
         }},
        {"a string longer than its document",
         [](const Header& request, const Buffer&) {
             return answer_with(request, document_with(0x02, {0xFF, 0xFF, 0xFF, 0x7F, 'x', 0}));
         }},
        {"a string without its terminator",
         [](const Header& request, const Buffer&) {
             return answer_with(request, document_with(0x02, {2, 0, 0, 0, 'x', 'y'}));
         }},
        {"a binary of negative length",
         [](const Header& request, const Buffer&) {
             return answer_with(request, document_with(0x05, {0xFF, 0xFF, 0xFF, 0xFF, 0}));
         }},
        {"an element of an unknown type",
         [](const Header& request, const Buffer&) {
             return answer_with(request, document_with(0x42, {1, 2, 3, 4}));
         }},
        {"an inner document longer than its outer one",
         [](const Header& request, const Buffer&) {
             return answer_with(request, document_with(0x03, {0xFF, 0, 0, 0, 0}));
         }},
        {"an inner document whose element does not add up",
         [](const Header& request, const Buffer&) {
             return answer_with(request, document_with(0x03, document_with(0x12, {1, 2})));
         }},
        {"more levels than allowed",
         [](const Header& request, const Buffer&) {
             return answer_with(request, nested_document(reply_nesting_levels_max + 1));
         }},
        {"ten thousand levels",
         [](const Header& request, const Buffer&) { return answer_with(request, nested_document(10000)); }},
        {"a message of no length",
         [](const Header&, const Buffer& sound) {
             Buffer bytes = sound;
             store(bytes, 0, 0);
             return bytes;
         },
         false},
        {"a message of 3 bytes",
         [](const Header&, const Buffer& sound) {
             Buffer bytes = sound;
             store(bytes, 0, 3);
             return bytes;
         },
         false},
        {"a message shorter than its header",
         [](const Header&, const Buffer& sound) {
             Buffer bytes = sound;
             store(bytes, 0, wire::header_bytes - 1);
             return bytes;
         },
         false},
        {"a message of negative length",
         [](const Header&, const Buffer& sound) {
             Buffer bytes = sound;
             store(bytes, 0, 0x80000000);
             return bytes;
         },
         false},
        {"a message of 2 GB",
         [](const Header&, const Buffer& sound) {
             Buffer bytes = sound;
             store(bytes, 0, 0x7FFFFFFF);
             return bytes;
         },
         false},
        {"a message one byte larger than allowed",
         [](const Header&, const Buffer& sound) {
             Buffer bytes = sound;
             store(bytes, 0, static_cast<std::uint32_t>(reply_bytes_max + 1));
             return bytes;
         },
         false},
    };
    return replies;
}

}  // namespace fieldgate::cluster::testing
