#pragma once

#include <string>
#include <unordered_set>
#include <vector>

#include "random.hpp"
#include "value.hpp"

// Values that can be recognised wherever they turn up, for one case.
namespace fieldgate::property {

class Canaries {
 public:
    explicit Canaries(Random& random) : random_(random) {}

    // A value of the type that stands nowhere else. Objects and arrays carry such values inside. Types
    // without room for one (booleans, null, the keys at the ends) give what they have. `is_protected`: it
    // must not be found.
    Value make(Type type, bool is_protected);
    // A whole number that an int32 could hold, as another type.
    Value make_number(bool is_protected);
    std::size_t protected_count() const { return needles_.size() + numbers_.size(); }

    // What of the protected values a message shows; empty: nothing. In order: the raw bytes, then whatever
    // number equals an int32, whose four bytes alone would be met by chance.
    std::string found_in_message(Bytes frame) const;
    // The same for a document that answers the client, where numbers may also stand as text.
    std::string found_in_answer(Bytes document) const;

 private:
    void keep(const Buffer& needle, bool is_protected);
    std::string found_raw(Bytes bytes) const;
    std::string found_number(bson::DocumentView document) const;
    std::string letters();

    Random& random_;
    std::vector<Buffer> needles_;
    std::unordered_set<std::int64_t> numbers_;
    std::vector<std::string> spelled_;
};

// Every type that an element of BSON may have.
inline constexpr Type every_type[] = {
    Type::double_,   Type::string,     Type::document,   Type::array,      Type::binary,
    Type::undefined, Type::object_id,  Type::boolean,    Type::date,       Type::null,
    Type::regex,     Type::db_pointer, Type::javascript, Type::symbol,     Type::javascript_with_scope,
    Type::int32,     Type::timestamp,  Type::int64,      Type::decimal128, Type::max_key,
    Type::min_key};

}  // namespace fieldgate::property
