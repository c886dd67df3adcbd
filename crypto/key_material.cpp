#include "crypto/key_material.hpp"

#include "crypto/base64_digits.hpp"

#include <openssl/sha.h>

#include <cstddef>

namespace fieldgate::crypto {
namespace {

bool is_space(std::uint8_t byte) {
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

// Base64 of 96 bytes has exactly 128 digits and needs no padding.
constexpr std::size_t key_digit_count = key_bytes / 3 * 4;

std::span<const std::uint8_t> trim(std::span<const std::uint8_t> bytes) {
    while (!bytes.empty() && is_space(bytes.front())) bytes = bytes.subspan(1);
    while (!bytes.empty() && is_space(bytes.back())) bytes = bytes.first(bytes.size() - 1);
    return bytes;
}

}  // namespace

result<DataKey> make_data_key(std::span<const std::uint8_t> bytes) {
    if (bytes.size() != key_bytes) return Errc::data_key_length;
    return DataKey(bytes.first<key_bytes>());
}

result<DataKey> make_data_key(const SecretBuffer& bytes) {
    return make_data_key(bytes.expose_secret());
}

result<MasterKey> parse_master_key(std::span<const std::uint8_t> file_contents) {
    if (file_contents.size() == key_bytes) return MasterKey(file_contents.first<key_bytes>());

    const std::span<const std::uint8_t> digits = trim(file_contents);
    if (digits.size() != key_digit_count) return Errc::master_key_length;
    SecretBuffer decoded(key_bytes);
    const std::span<std::uint8_t> out = decoded.writable();
    unsigned invalid = 0;
    for (std::size_t group = 0; group < key_digit_count / 4; ++group) {
        unsigned bits = 0;
        for (std::size_t i = 0; i < 4; ++i) {
            const unsigned value = base64_value(digits[group * 4 + i]);
            invalid |= value & 64;
            bits = bits << 6 | (value & 63);
        }
        out[group * 3] = static_cast<std::uint8_t>(bits >> 16);
        out[group * 3 + 1] = static_cast<std::uint8_t>(bits >> 8 & 0xff);
        out[group * 3 + 2] = static_cast<std::uint8_t>(bits & 0xff);
    }
    if (invalid != 0) return Errc::master_key_length;
    return MasterKey(decoded.expose_secret().first<key_bytes>());
}

result<MasterKey> parse_master_key(const SecretBuffer& file_contents) {
    return parse_master_key(file_contents.expose_secret());
}

KeyFingerprint fingerprint_of(const DataKey& key) {
    KeyFingerprint fingerprint;
    static_assert(std::tuple_size_v<KeyFingerprint> == SHA256_DIGEST_LENGTH);
    const auto bytes = key.expose_secret();
    SHA256(bytes.data(), bytes.size(), fingerprint.data());
    return fingerprint;
}

SecretBuffer format_master_key(const MasterKey& key) {
    const std::span<const std::uint8_t, key_bytes> bytes = key.expose_secret();
    SecretBuffer text(key_digit_count + 1);
    const std::span<std::uint8_t> out = text.writable();
    for (std::size_t group = 0; group < key_digit_count / 4; ++group) {
        const unsigned bits = static_cast<unsigned>(bytes[group * 3]) << 16 |
                              static_cast<unsigned>(bytes[group * 3 + 1]) << 8 | bytes[group * 3 + 2];
        for (std::size_t i = 0; i < 4; ++i) out[group * 4 + i] = base64_digit(bits >> (18 - 6 * i) & 63);
    }
    out[key_digit_count] = '\n';
    return text;
}

result<Secret<key_bytes>> generate_key(Random& random) {
    SecretBuffer bytes(key_bytes);
    if (const error_code ec = random.fill(bytes.writable())) return ec;
    return Secret<key_bytes>(bytes.expose_secret().first<key_bytes>());
}

result<KeyId> generate_key_id(Random& random) {
    KeyId id;
    if (const error_code ec = random.fill(id.bytes)) return ec;
    // RFC 4122, section 4.4: version 4 in the high half of byte 6, variant 10 in the top bits of byte 8.
    id.bytes[6] = static_cast<std::uint8_t>((id.bytes[6] & 0x0f) | 0x40);
    id.bytes[8] = static_cast<std::uint8_t>((id.bytes[8] & 0x3f) | 0x80);
    return id;
}

}  // namespace fieldgate::crypto
