#pragma once

#include <openssl/evp.h>

#include <memory>

// Owners for OpenSSL's objects and the algorithms fetched once per process. Private to crypto/.
namespace fieldgate::crypto {

template <auto free_function>
struct Free {
    template <typename T>
    void operator()(T* object) const noexcept {
        free_function(object);
    }
};

using CipherCtx = std::unique_ptr<EVP_CIPHER_CTX, Free<&EVP_CIPHER_CTX_free>>;
using DigestCtx = std::unique_ptr<EVP_MD_CTX, Free<&EVP_MD_CTX_free>>;

// Fetching takes locks and string comparisons, hence once. Null when OpenSSL does not provide the algorithm.
// The results are never freed: an object freed by a static destructor could outlive OpenSSL's own clean-up at
// exit.
const EVP_CIPHER* aes_256_cbc() noexcept;
const EVP_MD* sha_512() noexcept;

}  // namespace fieldgate::crypto
