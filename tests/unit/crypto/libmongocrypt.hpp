#pragma once

#include "tests/unit/crypto/test_bytes.hpp"

#include "crypto/ciphertext.hpp"

#include <memory>
#include <span>
#include <stdexcept>
#include <string>

namespace fieldgate::crypto {

// What libmongocrypt said when it refused.
struct LibmongocryptError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// MongoDB's library, used as a driver uses it for explicit encryption: a context per value, the key document
// fed when it asks for it (afterwards it is in the library's cache), local KMS.
class Libmongocrypt {
 public:
    Libmongocrypt(std::span<const std::uint8_t> master_key, Bytes key_document);
    ~Libmongocrypt();

    // `document` is {"v": value}; returns {"v": ciphertext}.
    Bytes encrypt(Algorithm algorithm, const KeyId& key_id, std::span<const std::uint8_t> document);
    // The way back.
    Bytes decrypt(std::span<const std::uint8_t> document);

    // The same without the copy of the result that the tests want: for the benchmark. Returns its size.
    std::size_t encrypt_only(Algorithm algorithm, const KeyId& key_id,
                             std::span<const std::uint8_t> document);
    std::size_t decrypt_only(std::span<const std::uint8_t> document);

 private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace fieldgate::crypto
