#include "tests/unit/net/identity.hpp"

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>

namespace fieldgate::net::test {
namespace {

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
    ASSERT_NE(extension, nullptr) << value;
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

}  // namespace

Identity make_identity(const IdentityOptions& options, const Identity* issuer) {
    static long serial = 1;
    Identity identity{Key(EVP_EC_gen("P-256")), Certificate(X509_new())};
    X509* const certificate = identity.certificate.get();
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -7200);
    X509_gmtime_adj(X509_getm_notAfter(certificate), options.expired ? -3600 : 86400);
    X509_set_pubkey(certificate, identity.key.get());
    X509_NAME* const name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(options.name.c_str()), -1, -1, 0);
    const Identity& signer = issuer != nullptr ? *issuer : identity;
    X509_set_issuer_name(certificate, X509_get_subject_name(signer.certificate.get()));
    add_extension(certificate, signer.certificate.get(), NID_basic_constraints,
                  options.authority ? "critical,CA:TRUE" : "CA:FALSE");
    if (!options.alternative_names.empty()) {
        add_extension(certificate, signer.certificate.get(), NID_subject_alt_name, options.alternative_names);
    }
    X509_sign(certificate, signer.key.get(), EVP_sha256());
    return identity;
}

void write_certificate(const std::filesystem::path& file, const Identity& identity) {
    FILE* const out = std::fopen(file.c_str(), "w");
    PEM_write_X509(out, identity.certificate.get());
    std::fclose(out);
}

void write_identity(const std::filesystem::path& file, const Identity& identity, const char* password) {
    FILE* const out = std::fopen(file.c_str(), "w");
    PEM_write_X509(out, identity.certificate.get());
    PEM_write_PrivateKey(out, identity.key.get(), password != nullptr ? EVP_aes_256_cbc() : nullptr, nullptr,
                         0, nullptr, const_cast<char*>(password));
    std::fclose(out);
}

}  // namespace fieldgate::net::test
