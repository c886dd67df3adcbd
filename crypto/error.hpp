#pragma once

#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>
#include <type_traits>

namespace fieldgate::crypto {

using boost::system::error_code;
using boost::system::result;

// Everything that can go wrong in crypto/. No text contains a byte of a key, a plaintext or a ciphertext.
enum class Errc {
    ok = 0,
    // The bytes cannot be a ciphertext: shorter than the shortest one, or not a whole number of cipher
    // blocks.
    malformed,
    // The first byte is neither 1 nor 2: an intent-to-encrypt marking (0), Queryable Encryption (3 and
    // above).
    unsupported_kind,
    // Wrong key, changed byte, wrong padding: the one answer to every ciphertext that does not open.
    authentication_failed,
    // A plaintext of no bytes: no BSON value that may be encrypted is empty, and libmongocrypt refuses it as
    // well.
    empty_plaintext,
    // A plaintext longer than plaintext_bytes_max: more than fits into a message.
    plaintext_too_large,
    // A wrapped data key that does not have wrapped_key_bytes.
    wrapped_key_length,
    // A data key that does not have 96 bytes, whichever KMS unwrapped it.
    data_key_length,
    // The contents of a key file are neither 96 raw bytes nor the base64 of 96 bytes.
    master_key_length,
    // A file of a key or password that is larger than any such file.
    secret_file_size,
    // The operating system or OpenSSL's generator gave no random bytes.
    random_failed,
    // OpenSSL refused an operation that cannot fail on sound input: out of memory, or an algorithm its
    // configuration does not provide.
    library_failed,
};

const boost::system::error_category& error_category() noexcept;

inline error_code make_error_code(Errc code) noexcept {
    return {static_cast<int>(code), error_category()};
}

}  // namespace fieldgate::crypto

template <>
struct boost::system::is_error_code_enum<fieldgate::crypto::Errc> : std::true_type {};
