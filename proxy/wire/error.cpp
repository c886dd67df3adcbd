#include "proxy/wire/error.hpp"

#include <string>

namespace fieldgate::wire {
namespace {

class Category final : public boost::system::error_category {
 public:
    const char* name() const noexcept override { return "fieldgate.wire"; }
    std::string message(int value) const override {
        switch (static_cast<Errc>(value)) {
            case Errc::ok:
                return "no error";
            case Errc::length_below_header:
                return "a message announces fewer bytes than its header has";
            case Errc::length_above_limit:
                return "a message announces more bytes than allowed";
            case Errc::wrong_opcode:
                return "the message has another opcode";
            case Errc::length_mismatch:
                return "the header's length is not that of the message";
            case Errc::message_truncated:
                return "a part of the message reaches beyond its end";
            case Errc::trailing_bytes:
                return "bytes follow the end of the message's contents";
            case Errc::unknown_flags:
                return "OP_MSG has an unknown required flag";
            case Errc::checksum_wrong:
                return "the message's checksum is wrong";
            case Errc::unknown_section_kind:
                return "OP_MSG has a section of unknown kind";
            case Errc::body_missing:
                return "OP_MSG has no body";
            case Errc::body_repeated:
                return "OP_MSG has more than one body";
            case Errc::sequence_malformed:
                return "a document sequence's sizes do not add up";
            case Errc::too_many_sequences:
                return "OP_MSG has more document sequences than any command uses";
            case Errc::sequence_repeated:
                return "OP_MSG has two document sequences of one name";
            case Errc::sequence_also_in_body:
                return "a document sequence is also a field of the body";
            case Errc::document_count_wrong:
                return "OP_REPLY does not hold the number of documents it says";
        }
        return "unknown wire error";
    }
};

}  // namespace

const boost::system::error_category& error_category() {
    static const Category category;
    return category;
}

}  // namespace fieldgate::wire
