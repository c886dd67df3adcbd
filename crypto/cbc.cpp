#include "crypto/cbc.hpp"

#include <algorithm>
#include <boost/assert.hpp>

namespace fieldgate::crypto {
namespace {

void xor_into(std::uint8_t* block, std::span<const std::uint8_t, iv_bytes> a,
              std::span<const std::uint8_t, block_bytes> b) {
    for (std::size_t i = 0; i < block_bytes; ++i)
        block[i] = static_cast<std::uint8_t>(block[i] ^ a[i] ^ b[i]);
}

}  // namespace

result<CbcCipher> CbcCipher::make(std::span<const std::uint8_t, 32> key, Direction direction) {
    CipherCtx ctx(EVP_CIPHER_CTX_new());
    const int encrypt = direction == Direction::encrypt ? 1 : 0;
    const Block zero{};
    if (!ctx ||
        EVP_CipherInit_ex2(ctx.get(), aes_256_cbc(), key.data(), zero.data(), encrypt, nullptr) != 1 ||
        EVP_CIPHER_CTX_set_padding(ctx.get(), 0) != 1) {
        return Errc::library_failed;
    }
    return CbcCipher(std::move(ctx));
}

bool CbcCipher::encrypt_in_place(std::span<const std::uint8_t, iv_bytes> iv, std::span<std::uint8_t> blocks) {
    BOOST_ASSERT(!blocks.empty() && blocks.size() % block_bytes == 0);
    xor_into(blocks.data(), iv, chain_);
    if (!run(blocks, blocks.data())) return false;
    std::copy_n(blocks.end() - block_bytes, block_bytes, chain_.begin());
    return true;
}

bool CbcCipher::decrypt(std::span<const std::uint8_t, iv_bytes> iv, std::span<const std::uint8_t> blocks,
                        std::uint8_t* out) {
    BOOST_ASSERT(!blocks.empty() && blocks.size() % block_bytes == 0);
    if (!run(blocks, out)) return false;
    xor_into(out, iv, chain_);
    std::copy_n(blocks.end() - block_bytes, block_bytes, chain_.begin());
    return true;
}

bool CbcCipher::run(std::span<const std::uint8_t> in, std::uint8_t* out) {
    if (!ctx_) return false;
    int written_bytes = 0;
    if (EVP_CipherUpdate(ctx_.get(), out, &written_bytes, in.data(), static_cast<int>(in.size())) == 1 &&
        static_cast<std::size_t>(written_bytes) == in.size()) {
        return true;
    }
    // OpenSSL's chaining value is no longer known, and the next value would be sealed under an IV other than
    // the one that stands in its ciphertext. Nothing on sound input leads here.
    ctx_.reset();
    return false;
}

}  // namespace fieldgate::crypto
