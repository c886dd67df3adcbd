#pragma once

#include "crypto/locked_memory.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <boost/assert.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace fieldgate::crypto {

// Key material of a fixed size: moved, never copied, compared in constant time, kept on locked pages and
// erased when it dies. Moving hands over the memory, so the source holds no byte afterwards; it may only be
// destroyed or assigned to. There is no operator<< and no formatter: logging one does not compile.
template <std::size_t size_bytes>
class Secret {
 public:
    // Copies `source`; erasing that is the caller's duty (read keys into a SecretBuffer, which does it).
    explicit Secret(std::span<const std::uint8_t, size_bytes> source) : bytes_(allocate_locked(size_bytes)) {
        std::copy(source.begin(), source.end(), bytes_);
    }
    Secret(Secret&& other) noexcept : bytes_(std::exchange(other.bytes_, nullptr)) {}
    Secret& operator=(Secret&& other) noexcept {
        if (this != &other) {
            release_locked(bytes_, size_bytes);
            bytes_ = std::exchange(other.bytes_, nullptr);
        }
        return *this;
    }
    Secret(const Secret&) = delete;
    Secret& operator=(const Secret&) = delete;
    ~Secret() { release_locked(bytes_, size_bytes); }

    // The name is long so that a search for it lists every place that touches key bytes.
    [[nodiscard]] std::span<const std::uint8_t, size_bytes> expose_secret() const noexcept {
        BOOST_ASSERT(bytes_ != nullptr);
        return std::span<const std::uint8_t, size_bytes>(bytes_, size_bytes);
    }

    friend bool operator==(const Secret& a, const Secret& b) noexcept {
        return CRYPTO_memcmp(a.expose_secret().data(), b.expose_secret().data(), size_bytes) == 0;
    }

 private:
    std::uint8_t* bytes_;
};

// 32 bytes HMAC key, 32 bytes AES-256 key, 32 bytes IV-derivation key, in this order (CSFLE specification,
// "Data keys"). A local master key has the same layout; its last third is not used.
using DataKey = Secret<96>;
using MasterKey = Secret<96>;

inline constexpr std::size_t key_bytes = 96;

// A secret whose size is known only at run time: the contents of a key file, a KMS reply, a password. Fill it
// through writable() or append(); everything it ever held is erased, also what growing leaves behind.
class SecretBuffer {
 public:
    SecretBuffer() = default;
    // `size_bytes` zero bytes, to be filled through writable().
    explicit SecretBuffer(std::size_t size_bytes);
    explicit SecretBuffer(std::span<const std::uint8_t> source);
    SecretBuffer(SecretBuffer&& other) noexcept;
    SecretBuffer& operator=(SecretBuffer&& other) noexcept;
    SecretBuffer(const SecretBuffer&) = delete;
    SecretBuffer& operator=(const SecretBuffer&) = delete;
    ~SecretBuffer() { clear(); }

    [[nodiscard]] std::size_t size() const noexcept { return size_bytes_; }
    [[nodiscard]] bool empty() const noexcept { return size_bytes_ == 0; }

    // Both views are valid until the next call of append(), resize(), clear() or the end of the buffer.
    [[nodiscard]] std::span<const std::uint8_t> expose_secret() const noexcept {
        return {bytes_, size_bytes_};
    }
    [[nodiscard]] std::span<std::uint8_t> writable() noexcept { return {bytes_, size_bytes_}; }

    // `more` must not point into this buffer.
    void append(std::span<const std::uint8_t> more);
    // New bytes are zero, bytes beyond a smaller size are erased at once.
    void resize(std::size_t size_bytes);
    void clear() noexcept;

    friend bool operator==(const SecretBuffer& a, const SecretBuffer& b) noexcept {
        return a.size_bytes_ == b.size_bytes_ &&
               (a.size_bytes_ == 0 || CRYPTO_memcmp(a.bytes_, b.bytes_, a.size_bytes_) == 0);
    }

 private:
    void reserve(std::size_t capacity_bytes);

    std::uint8_t* bytes_ = nullptr;
    std::size_t size_bytes_ = 0;
    std::size_t capacity_bytes_ = 0;
};

}  // namespace fieldgate::crypto
