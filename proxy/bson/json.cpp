#include <bson/bson.h>

#include <memory>

#include "proxy/bson/builder.hpp"
#include "proxy/bson/error.hpp"
#include "proxy/bson/json_syntax.hpp"

namespace fieldgate::bson {
namespace {

// libbson's parser holds 100 levels and silently drops what is deeper; wrappers like $date take one of their
// own.
constexpr std::uint32_t json_levels_max = 90;

struct TextFree {
    void operator()(char* text) const { bson_free(text); }
};

// Not a unique_ptr: bson_t is over-aligned by an attribute, which a template argument would lose.
struct OwnedDocument {
    bson_t* const value;
    explicit OwnedDocument(bson_t* document) : value(document) {}
    OwnedDocument(const OwnedDocument&) = delete;
    OwnedDocument& operator=(const OwnedDocument&) = delete;
    ~OwnedDocument() {
        if (value != nullptr) bson_destroy(value);
    }
};

}  // namespace

std::string to_json(Bytes document) {
    // libbson recurses as deep as the document goes, so it only gets documents of bounded depth.
    if (!DocumentView::check(document, Limits{})) return "(not a BSON document)";
    bson_t view;
    if (!bson_init_static(&view, document.data(), document.size())) return "(not a BSON document)";
    std::size_t text_bytes = 0;
    const std::unique_ptr<char, TextFree> text(bson_as_relaxed_extended_json(&view, &text_bytes));
    if (!text) return "(a document that is not UTF-8)";
    return {text.get(), text_bytes};
}

boost::system::result<Buffer> from_json(std::string_view json) {
    if (!is_strict_json_object(json, json_levels_max)) return Errc::json_malformed;
    bson_error_t error;
    const OwnedDocument document(bson_new_from_json(reinterpret_cast<const std::uint8_t*>(json.data()),
                                                    static_cast<ssize_t>(json.size()), &error));
    if (document.value == nullptr) return Errc::json_malformed;
    const Bytes bytes(bson_get_data(document.value), document.value->len);
    if (!DocumentView::check(bytes, Limits{})) return Errc::json_malformed;
    return Buffer(bytes.begin(), bytes.end());
}

}  // namespace fieldgate::bson
