#include "crypto/secret.hpp"

namespace fieldgate::crypto {

SecretBuffer::SecretBuffer(std::size_t size_bytes) {
    resize(size_bytes);
}

SecretBuffer::SecretBuffer(std::span<const std::uint8_t> source) {
    append(source);
}

SecretBuffer::SecretBuffer(SecretBuffer&& other) noexcept
    : bytes_(std::exchange(other.bytes_, nullptr)),
      size_bytes_(std::exchange(other.size_bytes_, 0)),
      capacity_bytes_(std::exchange(other.capacity_bytes_, 0)) {}

SecretBuffer& SecretBuffer::operator=(SecretBuffer&& other) noexcept {
    if (this != &other) {
        clear();
        bytes_ = std::exchange(other.bytes_, nullptr);
        size_bytes_ = std::exchange(other.size_bytes_, 0);
        capacity_bytes_ = std::exchange(other.capacity_bytes_, 0);
    }
    return *this;
}

void SecretBuffer::append(std::span<const std::uint8_t> more) {
    if (more.empty()) return;
    const std::size_t before_bytes = size_bytes_;
    if (more.size() > capacity_bytes_ - size_bytes_) {
        // Doubling, so that a reply appended in small pieces is not copied once per piece.
        reserve(std::max(before_bytes + more.size(), capacity_bytes_ * 2));
    }
    std::copy(more.begin(), more.end(), bytes_ + before_bytes);
    size_bytes_ = before_bytes + more.size();
}

void SecretBuffer::resize(std::size_t size_bytes) {
    if (size_bytes > capacity_bytes_) reserve(size_bytes);
    if (size_bytes < size_bytes_) OPENSSL_cleanse(bytes_ + size_bytes, size_bytes_ - size_bytes);
    size_bytes_ = size_bytes;
}

void SecretBuffer::clear() noexcept {
    release_locked(bytes_, capacity_bytes_);
    bytes_ = nullptr;
    size_bytes_ = 0;
    capacity_bytes_ = 0;
}

// Bytes between size and capacity are always zero: fresh memory is, and resize() erases what it cuts off.
void SecretBuffer::reserve(std::size_t capacity_bytes) {
    std::uint8_t* const grown = allocate_locked(capacity_bytes);
    std::copy_n(bytes_, size_bytes_, grown);
    release_locked(bytes_, capacity_bytes_);
    bytes_ = grown;
    capacity_bytes_ = capacity_bytes;
}

}  // namespace fieldgate::crypto
