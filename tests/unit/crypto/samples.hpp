#pragma once

#include "tests/unit/crypto/test_bytes.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

// BSON for the tests, made by libbson. Values are put into documents of one field, {"v": value}, which is
// also what libmongocrypt's explicit encryption takes.
namespace fieldgate::crypto {

struct Sample {
    std::string name;
    std::uint8_t bson_type;
    bool deterministic;  // may be encrypted deterministically
    Bytes document;

    // What crypto/ encrypts: the bytes behind type and name.
    [[nodiscard]] Bytes value() const;
};

// Every BSON type that may be encrypted (CSFLE specification, "Type matrix"), several values of some.
const std::vector<Sample>& samples();

// A value of exactly `size_bytes` bytes, 1 or more: a bool, then regular expressions and strings.
Sample sample_of_size(std::size_t size_bytes);

// {"v": value}
Bytes document_of(std::uint8_t bson_type, std::span<const std::uint8_t> value);

// {"v": Binary(subtype 6, blob)}, and back. The latter throws if `document` is anything else.
Bytes ciphertext_document(std::span<const std::uint8_t> blob);
Bytes ciphertext_of(std::span<const std::uint8_t> document);

// The key vault document of a key, complete.
Bytes key_document(const KeyId& id, std::span<const std::uint8_t> wrapped);

// A flat JSON object of tests/vectors; numbers come back as their digits. Throws if the file cannot be read.
std::map<std::string, std::string> read_vector(const std::string& path);

}  // namespace fieldgate::crypto
