#include "crypto/error.hpp"

#include <string>

namespace fieldgate::crypto {
namespace {

class Category final : public boost::system::error_category {
 public:
    const char* name() const noexcept override { return "fieldgate.crypto"; }

    std::string message(int value) const override {
        switch (static_cast<Errc>(value)) {
            case Errc::ok:
                return "success";
            case Errc::malformed:
                return "malformed ciphertext: its size is not that of any encrypted value";
            case Errc::unsupported_kind:
                return "not a ciphertext of client-side field level encryption";
            case Errc::authentication_failed:
                return "HMAC validation failure: made with another key, or changed since";
            case Errc::empty_plaintext:
                return "cannot encrypt a value of zero bytes";
            case Errc::plaintext_too_large:
                return "value too large to encrypt";
            case Errc::wrapped_key_length:
                return "wrapped key of the wrong length: 160 bytes expected";
            case Errc::data_key_length:
                return "decrypted key is incorrect length: 96 bytes expected";
            case Errc::master_key_length:
                return "a local master key is 96 bytes, raw or as base64";
            case Errc::secret_file_size:
                return "the file is too large for a key or a password";
            case Errc::random_failed:
                return "the system gave no random bytes";
            case Errc::library_failed:
                return "OpenSSL failed: out of memory, or AES-256-CBC or SHA-512 is not provided";
        }
        return "unknown crypto error";
    }
};

}  // namespace

const boost::system::error_category& error_category() noexcept {
    static const Category category;
    return category;
}

}  // namespace fieldgate::crypto
