#pragma once

#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <string_view>

// Views of BSON that passed the checks. Nothing outside this folder calls libbson's iterators or validators:
// they recurse without limit and report a corrupt element as the end of the document.
namespace fieldgate::bson {

using Bytes = std::span<const std::uint8_t>;

enum class Type : std::uint8_t {
    double_ = 0x01,
    string = 0x02,
    document = 0x03,
    array = 0x04,
    binary = 0x05,
    undefined = 0x06,
    object_id = 0x07,
    boolean = 0x08,
    date = 0x09,
    null = 0x0A,
    regex = 0x0B,
    db_pointer = 0x0C,
    javascript = 0x0D,
    symbol = 0x0E,
    javascript_with_scope = 0x0F,
    int32 = 0x10,
    timestamp = 0x11,
    int64 = 0x12,
    decimal128 = 0x13,
    max_key = 0x7F,
    min_key = 0xFF,
};

// The schema alias of a type ("string", "int", "binData", ...), as in error texts; "unknown" otherwise.
std::string_view alias(Type type);

class DocumentView;

// What follows the subtype byte; for subtype 2 that includes its inner length.
// Binaries that field encryption made, or that look like it (BSON specification, "Encrypted BSON value").
inline constexpr std::uint8_t encrypted_subtype = 6;

struct BinaryView {
    std::uint8_t subtype = 0;
    Bytes data;
};

// One element of a checked document. A view: lives as long as the bytes below it.
class Element {
 public:
    Element(const std::uint8_t* start, std::uint32_t key_bytes, std::uint32_t value_bytes)
        : start_(start), key_bytes_(key_bytes), value_bytes_(value_bytes) {}

    Type type() const { return static_cast<Type>(*start_); }
    std::string_view key() const { return {reinterpret_cast<const char*>(start_ + 1), key_bytes_}; }
    // What follows the key's terminator: exactly the plaintext that CSFLE encrypts.
    Bytes value() const { return {start_ + 2 + key_bytes_, value_bytes_}; }
    // Type byte, key, value.
    Bytes raw() const { return {start_, std::size_t{2} + key_bytes_ + value_bytes_}; }

    bool is_document() const { return type() == Type::document; }
    bool is_array() const { return type() == Type::array; }
    bool is_string() const { return type() == Type::string; }
    bool is_encrypted_binary() const;

    // Each accessor asserts the type.
    DocumentView document() const;  // objects and arrays
    std::string_view string()
        const;  // also symbols and JavaScript; without the terminator, may contain 0 bytes
    BinaryView binary() const;
    std::int32_t int32() const;
    std::int64_t int64() const;  // also dates
    bool boolean() const;
    // int32, int64, or a double that is a whole number within int64; anything else: nothing.
    std::optional<std::int64_t> whole_number() const;
    // MongoDB's truthiness of options: true, and any number but zero (NaN counts as true).
    bool truthy() const;

 private:
    const std::uint8_t* start_;
    std::uint32_t key_bytes_;
    std::uint32_t value_bytes_;
};

struct Limits {
    // Each document or array inside the outermost document is one level; a flat document has none. 100 is
    // what MongoDB documents ("MongoDB Limits and Thresholds").
    std::uint32_t nesting_levels_max = 100;
};

// Facts gathered by the checking walk, so that callers need no second one.
struct Facts {
    bool has_encrypted_binary = false;  // a binary of subtype 6 anywhere
};

// A document whose structure was checked: lengths, terminators, element syntax, string terminators and
// nesting, all the way down (check) or at its own level only (check_top_level).
class DocumentView {
 public:
    DocumentView() = default;

    // The whole tree, iteratively. UTF-8 is not looked at: the server does that, and the bytes are forwarded
    // as are.
    static boost::system::result<DocumentView> check(Bytes bytes, const Limits& limits,
                                                     Facts* facts = nullptr);
    // The top level only: element lengths fit, inner documents are not entered. Enough to route a message;
    // not enough to descend.
    static boost::system::result<DocumentView> check_top_level(Bytes bytes);
    // Bytes already checked by an enclosing check().
    static DocumentView unchecked(Bytes bytes) { return DocumentView(bytes); }

    class Iterator {
     public:
        using value_type = Element;
        using difference_type = std::ptrdiff_t;
        using iterator_category = std::input_iterator_tag;
        Iterator() = default;
        explicit Iterator(const std::uint8_t* at);
        Element operator*() const;
        Iterator& operator++();
        Iterator operator++(int) {
            Iterator old = *this;
            ++*this;
            return old;
        }
        friend bool operator==(const Iterator& a, const Iterator& b) { return a.at_ == b.at_; }

     private:
        void measure();  // once per element, although both * and ++ need the sizes
        const std::uint8_t* at_ = nullptr;
        std::uint32_t key_bytes_ = 0;
        std::uint32_t value_bytes_ = 0;
    };
    Iterator begin() const;
    Iterator end() const;  // points at the terminator

    bool empty() const { return bytes_.size() <= 5; }
    Bytes bytes() const { return bytes_; }  // length, elements, terminator
    // The first element of that name.
    std::optional<Element> find(std::string_view key) const;
    // How often a name occurs at this level (duplicate keys matter to analysis).
    std::size_t count(std::string_view key) const;

 private:
    explicit DocumentView(Bytes bytes) : bytes_(bytes) {}
    Bytes bytes_;
};

// The size in bytes that a BSON value of this type has at the front of `rest`, or an error. Documents and
// arrays are not entered. Exposed for the walkers of this folder and for decrypted plaintexts.
boost::system::result<std::size_t> value_size(Type type, Bytes rest);
// A decrypted plaintext must be exactly one whole value of its type. A document or array is itself the first
// level.
boost::system::error_code check_value(Type type, Bytes value, const Limits& limits);

}  // namespace fieldgate::bson

#include "proxy/bson/view-inl.hpp"  // IWYU pragma: export
