#include "proxy/session/rebuild_error.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace fieldgate::session {
namespace {

using bson::Builder;
using bson::DocumentView;
using bson::Element;
using bson::Type;

// MongoDB: a namespace has at most 255 bytes; index names are of that order. Codes and labels are one word.
constexpr std::size_t name_bytes_max = 255;
constexpr std::size_t word_bytes_max = 64;
constexpr std::size_t labels_max = 16;
// "A single compound index can have at most 32 fields" (MongoDB Limits and Thresholds).
constexpr std::size_t key_pattern_fields_max = 32;
// $clusterTime and topologyVersion are below 200 bytes.
constexpr std::size_t copied_document_bytes_max = 1024;

constexpr std::int64_t duplicate_key_code = 11000;

bool is_word_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool is_name_character(char c) {
    return is_word_character(c) || c == '.' || c == '-' || c == '$' || c == '*';
}

bool is_word(std::string_view text) {
    return !text.empty() && text.size() <= word_bytes_max &&
           std::all_of(text.begin(), text.end(), is_word_character);
}

bool is_name(std::string_view text) {
    return !text.empty() && text.size() <= name_bytes_max &&
           std::all_of(text.begin(), text.end(), is_name_character);
}

// What an error document says, as far as it is believed.
struct Known {
    std::optional<std::int32_t> code;
    std::string_view code_name;
    std::string_view errmsg;
    std::optional<Element> key_pattern;
};

Known read(DocumentView document) {
    Known known;
    for (const Element element : document) {
        const std::string_view key = element.key();
        if (key == "code") {
            const std::optional<std::int64_t> code = element.whole_number();
            if (code && *code >= std::numeric_limits<std::int32_t>::min() &&
                *code <= std::numeric_limits<std::int32_t>::max()) {
                known.code = static_cast<std::int32_t>(*code);
            }
        } else if (key == "codeName") {
            if (element.is_string() && is_word(element.string())) known.code_name = element.string();
        } else if (key == "errmsg") {
            if (element.is_string()) known.errmsg = element.string();
        } else if (key == "keyPattern") {
            if (element.is_document()) known.key_pattern = element;
        }
    }
    return known;
}

// Texts without a code of their own in old drivers: they compare errmsg. PyMongo 3 forgives a drop that says
// "ns not found"; drivers older than wire version 9 look for "not master" and "node is recovering".
std::string_view fixed_text(const Known& known) {
    constexpr std::string_view texts[] = {"ns not found", "not master", "not primary", "node is recovering"};
    for (const std::string_view text : texts)
        if (known.errmsg == text) return text;
    return {};
}

// The word that follows `label`, if it is a name and one of the server's own next words comes after it. A
// value could only get there if it looked like a name and the server put it in a name's place.
std::string_view name_after(std::string_view text, std::string_view label, std::string_view next_a,
                            std::string_view next_b) {
    const std::size_t at = text.find(label);
    if (at == std::string_view::npos) return {};
    text.remove_prefix(at + label.size());
    const std::string_view name = text.substr(0, text.find(' '));
    const std::string_view rest = text.substr(name.size());
    if (!rest.empty() && !rest.starts_with(next_a) && !rest.starts_with(next_b)) return {};
    return is_name(name) ? name : std::string_view();
}

// The server's text is "E11000 duplicate key error collection: db.coll index: ssn_1 dup key: { ssn: ... }".
std::string duplicate_key_text(std::string_view errmsg) {
    std::string text = "E11000 duplicate key error";
    if (!errmsg.starts_with(text)) return text;
    const std::string_view collection = name_after(errmsg, " collection: ", " index: ", " index: ");
    if (!collection.empty()) text.append(" collection: ").append(collection);
    const std::string_view index = name_after(errmsg, " index: ", " dup key: ", " collation: ");
    if (!index.empty()) text.append(" index: ").append(index);
    return text;
}

std::string text_of(const Known& known, std::string_view what) {
    if (known.code == duplicate_key_code) return duplicate_key_text(known.errmsg);
    if (const std::string_view fixed = fixed_text(known); !fixed.empty()) return std::string(fixed);
    std::string text("the server ");
    text.append(what).append(" on a protected namespace");
    if (!known.code_name.empty()) {
        text.append(": ").append(known.code_name);
        if (known.code) text.append(" (").append(std::to_string(*known.code)).append(")");
    } else if (known.code) {
        text.append(": code ").append(std::to_string(*known.code));
    }
    return text;
}

// Directions and kinds of index only; the names are index paths, which fieldgate does not hide.
void append_key_pattern(Builder& out, const Element& pattern) {
    const auto checked = DocumentView::check_top_level(pattern.value());
    if (!checked) return;
    std::size_t count = 0;
    for (const Element element : *checked) {
        if (++count > key_pattern_fields_max || element.key().size() > name_bytes_max) return;
    }
    constexpr std::string_view kinds[] = {"hashed", "text", "2d", "2dsphere"};
    out.open_document("keyPattern");
    for (const Element element : *checked) {
        const auto kind = element.is_string()
                              ? std::find(std::begin(kinds), std::end(kinds), element.string())
                              : std::end(kinds);
        if (kind != std::end(kinds)) {
            out.append_string(element.key(), *kind);
        } else {
            out.append_int32(element.key(), element.whole_number().value_or(1) < 0 ? -1 : 1);
        }
    }
    out.close();
}

void append_labels(Builder& out, const Element& labels) {
    const auto checked = DocumentView::check_top_level(labels.value());
    if (!checked) return;
    out.open_array("errorLabels");
    std::size_t count = 0;
    for (const Element label : *checked) {
        if (count == labels_max) break;
        if (label.is_string() && is_word(label.string()))
            out.append_string(std::to_string(count++), label.string());
    }
    out.close();
}

// Small documents of the protocol's own, which drivers hand back or compare, and which hold no stored value.
void append_small_document(Builder& out, const Element& element) {
    if (!element.is_document() || element.value().size() > copied_document_bytes_max) return;
    if (DocumentView::check(element.value(), bson::Limits{4})) out.append_element(element);
}

void append_codes(Builder& out, const Known& known) {
    if (known.code) out.append_int32("code", *known.code);
    if (!known.code_name.empty()) out.append_string("codeName", known.code_name);
}

// The first element of that name, if it is a number of things.
void append_count(Builder& out, DocumentView entry, std::string_view key) {
    const auto element = entry.find(key);
    const auto count = element ? element->whole_number() : std::nullopt;
    if (count && *count >= 0 && *count <= std::numeric_limits<std::int32_t>::max())
        out.append_int32(key, static_cast<std::int32_t>(*count));
}

}  // namespace

void rebuild_command_error(DocumentView reply, bson::Buffer& out) {
    const Known known = read(reply);
    Builder document(out);
    document.append_double("ok", 0.0);
    document.append_string("errmsg", text_of(known, "refused the command"));
    append_codes(document, known);
    if (known.key_pattern) append_key_pattern(document, *known.key_pattern);
    // The first of each name: a hostile reply that repeats one must not grow.
    if (const auto labels = reply.find("errorLabels"); labels && labels->is_array())
        append_labels(document, *labels);
    if (const auto entry = reply.find("writeConcernError"); entry && entry->is_document()) {
        bson::Buffer rebuilt;
        if (const auto checked = DocumentView::check_top_level(entry->value())) {
            rebuild_write_concern_error(*checked, rebuilt);
            document.append_document("writeConcernError", rebuilt);
        }
    }
    if (const auto version = reply.find("topologyVersion")) append_small_document(document, *version);
    if (const auto time = reply.find("operationTime"); time && time->type() == Type::timestamp) {
        document.append_element(*time);
    }
    if (const auto time = reply.find("$clusterTime")) append_small_document(document, *time);
    document.finish();
}

void rebuild_write_error(DocumentView entry, bson::Buffer& out) {
    const Known known = read(entry);
    Builder document(out);
    append_count(document, entry, "index");
    append_codes(document, known);
    if (known.key_pattern) append_key_pattern(document, *known.key_pattern);
    document.append_string("errmsg", text_of(known, "refused the write"));
    document.finish();
}

void rebuild_bulk_error(DocumentView entry, bson::Buffer& out) {
    const Known known = read(entry);
    Builder document(out);
    document.append_double("ok", 0.0);
    append_count(document, entry, "idx");
    append_codes(document, known);
    if (known.key_pattern) append_key_pattern(document, *known.key_pattern);
    document.append_string("errmsg", text_of(known, "refused the write"));
    append_count(document, entry, "n");
    append_count(document, entry, "nModified");
    document.finish();
}

void rebuild_write_concern_error(DocumentView entry, bson::Buffer& out) {
    const Known known = read(entry);
    Builder document(out);
    append_codes(document, known);
    document.append_string("errmsg", text_of(known, "could not satisfy the write concern"));
    document.finish();
}

}  // namespace fieldgate::session
