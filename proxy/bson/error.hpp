#pragma once

#include <boost/system/error_code.hpp>
#include <boost/system/is_error_code_enum.hpp>

namespace fieldgate::bson {

// Why bytes are not BSON that this proxy handles. A peer can cause all but json_malformed and
// output_too_large. The texts name the rule and never a key or a value.
enum class Errc {
    ok = 0,
    document_too_short,        // a length below 5, or fewer than 5 bytes
    document_length_mismatch,  // a document's length is not where its elements end
    document_unterminated,     // the last byte of a document is not 0
    key_unterminated,          // no 0 byte ends an element's key
    unknown_type,              // an element type that BSON does not have
    value_truncated,           // a value reaches beyond the document that holds it
    string_malformed,          // a string's length is below 1, or its last byte is not 0
    boolean_malformed,         // a boolean that is neither 0 nor 1
    binary_malformed,          // a binary of subtype 2 whose two lengths disagree
    code_malformed,            // the lengths of code with scope disagree
    nested_too_deep,           // more levels of documents and arrays than allowed
    trailing_bytes,            // bytes after a value that should stand alone
    json_malformed,            // text that is not extended JSON
    output_too_large,          // an edited message would exceed its limit
    too_many_values,           // a document has more values than its reader takes
};

const boost::system::error_category& error_category();

inline boost::system::error_code make_error_code(Errc error) {
    return {static_cast<int>(error), error_category()};
}

}  // namespace fieldgate::bson

template <>
struct boost::system::is_error_code_enum<fieldgate::bson::Errc> : std::true_type {};
