#include "proxy/bson/error.hpp"

#include <string>

namespace fieldgate::bson {
namespace {

class Category final : public boost::system::error_category {
 public:
    const char* name() const noexcept override { return "fieldgate.bson"; }
    std::string message(int value) const override {
        switch (static_cast<Errc>(value)) {
            case Errc::ok:
                return "no error";
            case Errc::document_too_short:
                return "a BSON document is shorter than its 5 bytes of frame";
            case Errc::document_length_mismatch:
                return "a BSON document's length is not where its elements end";
            case Errc::document_unterminated:
                return "a BSON document does not end with a 0 byte";
            case Errc::key_unterminated:
                return "the key of a BSON element does not end";
            case Errc::unknown_type:
                return "a BSON element has an unknown type";
            case Errc::value_truncated:
                return "a BSON value reaches beyond its document";
            case Errc::string_malformed:
                return "a BSON string's length does not match its terminator";
            case Errc::boolean_malformed:
                return "a BSON boolean is neither 0 nor 1";
            case Errc::binary_malformed:
                return "the two lengths of a BSON binary of subtype 2 disagree";
            case Errc::code_malformed:
                return "the lengths of BSON code with scope disagree";
            case Errc::nested_too_deep:
                return "a BSON document is nested too deeply";
            case Errc::trailing_bytes:
                return "bytes follow a BSON value that should stand alone";
            case Errc::json_malformed:
                return "the text is not an extended JSON document";
            case Errc::output_too_large:
                return "the edited message would exceed the size limit";
            case Errc::too_many_values:
                return "a BSON document has too many values";
        }
        return "unknown BSON error";
    }
};

}  // namespace

const boost::system::error_category& error_category() {
    static const Category category;
    return category;
}

}  // namespace fieldgate::bson
