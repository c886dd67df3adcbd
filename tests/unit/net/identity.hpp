#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <filesystem>
#include <memory>
#include <string>

// Certificates of a test's own making.
namespace fieldgate::net::test {

template <auto free_function>
struct Free {
    template <typename T>
    void operator()(T* object) const noexcept {
        free_function(object);
    }
};
using Key = std::unique_ptr<EVP_PKEY, Free<&EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Free<&X509_free>>;

struct Identity {
    Key key;
    Certificate certificate;
};

struct IdentityOptions {
    std::string name = "fieldgate test";
    std::string alternative_names = {};  // "DNS:localhost,IP:127.0.0.1"
    bool authority = false;
    bool expired = false;
};

// Signed by `issuer`, or by itself.
Identity make_identity(const IdentityOptions& options, const Identity* issuer);

// PEM files.
void write_certificate(const std::filesystem::path& file, const Identity& identity);
void write_identity(const std::filesystem::path& file, const Identity& identity,
                    const char* password = nullptr);

}  // namespace fieldgate::net::test
