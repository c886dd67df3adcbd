#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "crypto/secret.hpp"

// Tag, type, length, value: the encoding of KMIP messages (KMIP specification 1.2, section 9.1). Internal to
// kms/.
namespace fieldgate::crypto::kms {

// Those that our requests and their replies have (section 9.1.3.1). Others are read and passed over.
enum class Tag : std::uint32_t {
    attribute = 0x420008,
    attribute_name = 0x42000A,
    attribute_value = 0x42000B,
    batch_count = 0x42000D,
    batch_item = 0x42000F,
    block_cipher_mode = 0x420011,
    cryptographic_algorithm = 0x420028,
    cryptographic_parameters = 0x42002B,
    iv_counter_nonce = 0x42003D,
    key_block = 0x420040,
    key_format_type = 0x420042,
    key_material = 0x420043,
    key_value = 0x420045,
    object_type = 0x420057,
    operation = 0x42005C,
    padding_method = 0x42005F,
    protocol_version = 0x420069,
    protocol_version_major = 0x42006A,
    protocol_version_minor = 0x42006B,
    request_header = 0x420077,
    request_message = 0x420078,
    request_payload = 0x420079,
    response_header = 0x42007A,
    response_message = 0x42007B,
    response_payload = 0x42007C,
    result_message = 0x42007D,
    result_reason = 0x42007E,
    result_status = 0x42007F,
    secret_data = 0x420085,
    secret_data_type = 0x420086,
    template_attribute = 0x420091,
    unique_identifier = 0x420094,
    data = 0x4200C2,
    random_iv = 0x4200C5,
};

enum class TtlvType : std::uint8_t {
    structure = 1,
    integer = 2,
    long_integer = 3,
    big_integer = 4,
    enumeration = 5,
    boolean = 6,
    text_string = 7,
    byte_string = 8,
    date_time = 9,
    interval = 10,
};

// Writes one message. Every open() has its close() before take().
class TtlvWriter {
 public:
    void open(Tag structure);
    void close();
    void integer(Tag tag, std::int32_t value);
    void enumeration(Tag tag, std::uint32_t value);
    void boolean(Tag tag, bool value);
    void text(Tag tag, std::string_view value);
    void bytes(Tag tag, std::span<const std::uint8_t> value);
    [[nodiscard]] SecretBuffer take();

 private:
    void head(Tag tag, TtlvType type, std::size_t length_bytes);
    void number(std::uint64_t value, int size_bytes);
    void pad();

    SecretBuffer out_;
    std::vector<std::size_t> open_;  // where the structures that are open begin
};

// A view of one item of a message; valid as long as the message.
class TtlvItem {
 public:
    // Checks all of it: one item and nothing behind it, every length within what encloses it and right for
    // its type, padding of zeros, known types, structures nested at most 16 deep. Nothing otherwise.
    [[nodiscard]] static std::optional<TtlvItem> parse(std::span<const std::uint8_t> message);

    [[nodiscard]] bool is(Tag tag) const { return tag_ == static_cast<std::uint32_t>(tag); }
    [[nodiscard]] TtlvType type() const { return type_; }

    // The one item of a structure with this tag. Nothing: there is none, or several, or this is no structure.
    [[nodiscard]] std::optional<TtlvItem> only(Tag tag) const;

    // The value of the one item of a structure with this tag. Nothing: see only(), or it has another type.
    [[nodiscard]] std::optional<TtlvItem> structure(Tag tag) const;
    [[nodiscard]] std::optional<std::int32_t> integer(Tag tag) const;
    [[nodiscard]] std::optional<std::uint32_t> enumeration(Tag tag) const;
    [[nodiscard]] std::optional<std::string_view> text(Tag tag) const;
    [[nodiscard]] std::optional<std::span<const std::uint8_t>> bytes(Tag tag) const;

 private:
    TtlvItem(std::uint32_t tag, TtlvType type, std::span<const std::uint8_t> value)
        : tag_(tag), type_(type), value_(value) {}

    // Takes the first item off `rest`, checking its own head, length and padding, not what it contains.
    static std::optional<TtlvItem> take(std::span<const std::uint8_t>& rest);
    static bool is_sound(const TtlvItem& item, int levels_left);
    std::optional<TtlvItem> only(Tag tag, TtlvType type) const;

    std::uint32_t tag_;  // any, also those that Tag does not list
    TtlvType type_;
    std::span<const std::uint8_t> value_;  // without padding
};

}  // namespace fieldgate::crypto::kms
