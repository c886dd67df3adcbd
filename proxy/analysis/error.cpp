#include <string>

#include "proxy/analysis/analysis.hpp"

namespace fieldgate::analysis {
namespace {

class Category final : public boost::system::error_category {
 public:
    const char* name() const noexcept override { return "fieldgate.analysis"; }
    std::string message(int value) const override {
        switch (static_cast<Errc>(value)) {
            case Errc::ok:
                return "no error";
            case Errc::collection_info_unreadable:
                return "what the server says about a collection cannot be understood";
        }
        return "unknown error of analysis";
    }
};

}  // namespace

const boost::system::error_category& error_category() {
    static const Category category;
    return category;
}

boost::system::error_code make_error_code(Errc error) {
    return {static_cast<int>(error), error_category()};
}

std::string_view code_name(std::int32_t code) {
    switch (code) {
        case code::bad_value:
            return "BadValue";
        case code::failed_to_parse:
            return "FailedToParse";
        case code::unauthorized:
            return "Unauthorized";
        case code::type_mismatch:
            return "TypeMismatch";
        case code::invalid_bson:
            return "InvalidBSON";
        case code::cursor_not_found:
            return "CursorNotFound";
        case code::command_not_supported:
            return "CommandNotSupported";
        case code::invalid_namespace:
            return "InvalidNamespace";
        case code::unsupported_op_query_command:
            return "UnsupportedOpQueryCommand";
        case code::field_cannot_be_encrypted:
            return "Location31041";
        case code::operation_not_on_encrypted:
            return "Location51092";
        case code::bson_object_too_large:
            return "BSONObjectTooLarge";
        case code::key_not_available:
            return "OperationFailed";
        case code::unknown_field:
            return "IDLUnknownField";
        default:
            return "UnknownError";
    }
}

}  // namespace fieldgate::analysis
