#include "crypto/kms/kmip.hpp"

#include <algorithm>

#include "crypto/kms/json.hpp"
#include "crypto/kms/ttlv.hpp"

namespace fieldgate::crypto::kms {
namespace {

constexpr std::size_t identifier_bytes_max = 256;

// Section 9.1.3.2.27, "Operation".
enum class Operation : std::uint32_t {
    create = 0x01,
    register_ = 0x03,
    get = 0x0A,
    activate = 0x12,
    encrypt = 0x1F,
    decrypt = 0x20,
};

std::string_view name_of(Operation operation) {
    switch (operation) {
        case Operation::create:
            return "Create";
        case Operation::register_:
            return "Register";
        case Operation::get:
            return "Get";
        case Operation::activate:
            return "Activate";
        case Operation::encrypt:
            return "Encrypt";
        case Operation::decrypt:
            return "Decrypt";
    }
    return "";
}

// Section 9.1.3.2: values of the enumerations that requests have.
constexpr std::uint32_t object_symmetric_key = 2;
constexpr std::uint32_t object_secret_data = 7;
constexpr std::uint32_t secret_seed = 2;
constexpr std::uint32_t format_raw = 1;
constexpr std::uint32_t format_opaque = 2;
constexpr std::uint32_t algorithm_aes = 3;
constexpr std::uint32_t mode_cbc = 1;
constexpr std::uint32_t padding_pkcs5 = 3;
constexpr std::int32_t usage_none = 0;
constexpr std::int32_t usage_encrypt_and_decrypt = 4 | 8;

constexpr std::uint32_t status_success = 0;
constexpr std::uint32_t status_failed = 1;

// One message with one operation. Version 1.0 has the older operations, 1.2 those of delegation; drivers
// send the lowest that will do.
template <class Payload>
SecretBuffer request(Operation operation, std::int32_t minor_version, const Payload& payload) {
    TtlvWriter out;
    out.open(Tag::request_message);
    out.open(Tag::request_header);
    out.open(Tag::protocol_version);
    out.integer(Tag::protocol_version_major, 1);
    out.integer(Tag::protocol_version_minor, minor_version);
    out.close();
    out.integer(Tag::batch_count, 1);
    out.close();
    out.open(Tag::batch_item);
    out.enumeration(Tag::operation, static_cast<std::uint32_t>(operation));
    out.open(Tag::request_payload);
    payload(out);
    out.close();
    out.close();
    out.close();
    return out.take();
}

void usage_mask(TtlvWriter& out, std::int32_t mask) {
    out.open(Tag::attribute);
    out.text(Tag::attribute_name, "Cryptographic Usage Mask");
    out.integer(Tag::attribute_value, mask);
    out.close();
}

void cbc_parameters(TtlvWriter& out, bool server_chooses_iv) {
    out.open(Tag::cryptographic_parameters);
    out.enumeration(Tag::block_cipher_mode, mode_cbc);
    out.enumeration(Tag::padding_method, padding_pkcs5);
    out.enumeration(Tag::cryptographic_algorithm, algorithm_aes);
    if (server_chooses_iv) out.boolean(Tag::random_iv, true);
    out.close();
}

struct Reason {
    std::string_view name;
    std::uint32_t value;
    Failure::Kind kind = Failure::Kind::refused;
};

// Section 9.1.3.2.29, "Result Reason", and those of later versions that servers give to older clients too.
constexpr Reason reasons[] = {
    {"ItemNotFound", 0x01},
    {"ResponseTooLarge", 0x02},
    {"AuthenticationNotSuccessful", 0x03, Failure::Kind::credentials},
    {"InvalidMessage", 0x04},
    {"OperationNotSupported", 0x05},
    {"MissingData", 0x06},
    {"InvalidField", 0x07},
    {"FeatureNotSupported", 0x08},
    {"OperationCanceledByRequester", 0x09},
    {"CryptographicFailure", 0x0A},
    {"IllegalOperation", 0x0B},
    {"PermissionDenied", 0x0C},
    {"ObjectArchived", 0x0D},
    {"IndexOutOfBounds", 0x0E},
    {"ApplicationNamespaceNotSupported", 0x0F},
    {"KeyFormatTypeNotSupported", 0x10},
    {"KeyCompressionTypeNotSupported", 0x11},
    {"EncodingOptionError", 0x12},
    {"KeyValueNotPresent", 0x13},
    {"AttestationRequired", 0x14},
    {"AttestationFailed", 0x15},
    {"Sensitive", 0x16},
    {"NotExtractable", 0x17},
    {"ObjectAlreadyExists", 0x18},
    {"InternalServerError", 0x2A, Failure::Kind::unavailable},
    {"ObjectDestroyed", 0x36},
    {"ObjectNotFound", 0x37},
    {"NotAuthorised", 0x39},
    {"ServerLimitExceeded", 0x3A, Failure::Kind::throttled},
    {"UnsupportedProtocolVersion", 0x3F},
    {"WrongKeyLifecycleState", 0x43},
    {"ProtectionStorageUnavailable", 0x44, Failure::Kind::unavailable},
    // "Failed for a reason other than the defined ones": servers say it when something broke inside.
    {"GeneralFailure", 0x100, Failure::Kind::unavailable},
};

Failure not_kmip(Operation operation, std::string_view why) {
    return {Failure::Kind::malformed, 0, "not_kmip",
            "the reply to " + std::string(name_of(operation)) + " is not one: " + std::string(why)};
}

// What the server says of a failed operation.
Failure failure_of(const TtlvItem& batch_item, Operation operation) {
    const auto value = batch_item.enumeration(Tag::result_reason);
    if (!value) return not_kmip(operation, "it failed without a result reason");
    const auto* const known = std::ranges::find(reasons, *value, &Reason::value);
    Failure failure{Failure::Kind::refused, 0, "Reason" + std::to_string(*value), {}};
    if (known != std::end(reasons)) {
        failure.kind = known->kind;
        failure.code = known->name;
    }
    failure.text = "the KMIP server failed to " + std::string(name_of(operation)) + ": " + failure.code;
    if (const auto message = batch_item.text(Tag::result_message)) {
        failure.text = safe_text(failure.text + " (" + std::string(*message) + ")");
    }
    return failure;
}

// The payload of the one answer in a reply; a view of the reply.
Result<TtlvItem> payload_of(const Reply& reply, Operation operation) {
    if (reply.body.size() > reply_bytes_max) return not_kmip(operation, "it is too large");
    const auto message = TtlvItem::parse(reply.body.expose_secret());
    if (!message || !message->is(Tag::response_message)) {
        return not_kmip(operation, "it is not one whole response message");
    }
    const auto header = message->structure(Tag::response_header);
    const auto version = header ? header->structure(Tag::protocol_version) : std::nullopt;
    if (!version || version->integer(Tag::protocol_version_major) != 1) {
        return not_kmip(operation, "it is not of version 1");
    }
    const auto item = message->structure(Tag::batch_item);
    if (!item || header->integer(Tag::batch_count) != 1) {
        return not_kmip(operation, "it does not answer one operation");
    }
    // When the request could not be read the server may not know what it answers.
    const auto answered = item->enumeration(Tag::operation);
    const auto status = item->enumeration(Tag::result_status);
    if (status == status_failed) return failure_of(*item, operation);
    if (status != status_success) return not_kmip(operation, "it has no result yet");
    if (answered != static_cast<std::uint32_t>(operation)) {
        return not_kmip(operation, "it answers another operation");
    }
    const auto payload = item->structure(Tag::response_payload);
    if (!payload) return not_kmip(operation, "it has no payload");
    return *payload;
}

// The same, of an answer about a known object.
Result<TtlvItem> payload_of(const Reply& reply, Operation operation, std::string_view identifier) {
    auto payload = payload_of(reply, operation);
    if (payload && payload->text(Tag::unique_identifier) != identifier) {
        return not_kmip(operation, "it is about another object");
    }
    return payload;
}

Result<std::string> made_identifier(const Reply& reply, Operation operation) {
    const auto payload = payload_of(reply, operation);
    if (!payload) return payload.error();
    const auto identifier = payload->text(Tag::unique_identifier);
    if (!identifier || !is_kmip_identifier(*identifier)) {
        return not_kmip(operation, "it has no identifier of printable characters");
    }
    return std::string(*identifier);
}

}  // namespace

SecretBuffer kmip_register(const MasterKey& key) {
    return request(Operation::register_, 0, [&](TtlvWriter& out) {
        out.enumeration(Tag::object_type, object_secret_data);
        out.open(Tag::template_attribute);
        usage_mask(out, usage_none);
        out.close();
        out.open(Tag::secret_data);
        out.enumeration(Tag::secret_data_type, secret_seed);
        out.open(Tag::key_block);
        out.enumeration(Tag::key_format_type, format_opaque);
        out.open(Tag::key_value);
        out.bytes(Tag::key_material, key.expose_secret());
        out.close();
        out.close();
        out.close();
    });
}

SecretBuffer kmip_create() {
    return request(Operation::create, 2, [](TtlvWriter& out) {
        out.enumeration(Tag::object_type, object_symmetric_key);
        out.open(Tag::template_attribute);
        out.open(Tag::attribute);
        out.text(Tag::attribute_name, "Cryptographic Algorithm");
        out.enumeration(Tag::attribute_value, algorithm_aes);
        out.close();
        out.open(Tag::attribute);
        out.text(Tag::attribute_name, "Cryptographic Length");
        out.integer(Tag::attribute_value, 256);
        out.close();
        usage_mask(out, usage_encrypt_and_decrypt);
        out.close();
    });
}

SecretBuffer kmip_activate(std::string_view identifier) {
    return request(Operation::activate, 0,
                   [&](TtlvWriter& out) { out.text(Tag::unique_identifier, identifier); });
}

SecretBuffer kmip_get(std::string_view identifier) {
    return request(Operation::get, 0, [&](TtlvWriter& out) { out.text(Tag::unique_identifier, identifier); });
}

SecretBuffer kmip_encrypt(std::string_view identifier, const DataKey& key) {
    return request(Operation::encrypt, 2, [&](TtlvWriter& out) {
        out.text(Tag::unique_identifier, identifier);
        cbc_parameters(out, true);
        out.bytes(Tag::data, key.expose_secret());
    });
}

SecretBuffer kmip_decrypt(std::string_view identifier, std::span<const std::uint8_t> material) {
    return request(Operation::decrypt, 2, [&](TtlvWriter& out) {
        out.text(Tag::unique_identifier, identifier);
        cbc_parameters(out, false);
        out.bytes(Tag::data, material.subspan(kmip_iv_bytes));
        out.bytes(Tag::iv_counter_nonce, material.first(kmip_iv_bytes));
    });
}

bool is_kmip_identifier(std::string_view text) {
    return !text.empty() && text.size() <= identifier_bytes_max &&
           std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

Result<std::string> read_kmip_register(const Reply& reply) {
    return made_identifier(reply, Operation::register_);
}

Result<std::string> read_kmip_create(const Reply& reply) {
    return made_identifier(reply, Operation::create);
}

std::optional<Failure> read_kmip_activate(const Reply& reply, std::string_view identifier) {
    const auto payload = payload_of(reply, Operation::activate, identifier);
    if (!payload) return payload.error();
    return std::nullopt;
}

Result<MasterKey> read_kmip_get(const Reply& reply, std::string_view identifier) {
    const auto payload = payload_of(reply, Operation::get, identifier);
    if (!payload) return payload.error();
    const auto secret = payload->structure(Tag::secret_data);
    if (!secret || payload->enumeration(Tag::object_type) != object_secret_data) {
        return not_kmip(Operation::get, "it is no SecretData");
    }
    const auto block = secret->structure(Tag::key_block);
    const auto format = block ? block->enumeration(Tag::key_format_type) : std::nullopt;
    if (format != format_raw && format != format_opaque) {
        return not_kmip(Operation::get, "its key format is neither Raw nor Opaque");
    }
    // A key that the server has wrapped has no structure here.
    const auto value = block->structure(Tag::key_value);
    const auto material = value ? value->bytes(Tag::key_material) : std::nullopt;
    if (!material) return not_kmip(Operation::get, "it has no key material");
    if (material->size() != key_bytes) {
        return Failure{Failure::Kind::malformed, 0, "master_key_length",
                       "the KMIP object is no master key of ours: it has " +
                           std::to_string(material->size()) + " bytes, not 96"};
    }
    return MasterKey(material->first<key_bytes>());
}

Result<std::vector<std::uint8_t>> read_kmip_encrypt(const Reply& reply, std::string_view identifier) {
    const auto payload = payload_of(reply, Operation::encrypt, identifier);
    if (!payload) return payload.error();
    const auto iv = payload->bytes(Tag::iv_counter_nonce);
    const auto ciphertext = payload->bytes(Tag::data);
    if (!iv || iv->size() != kmip_iv_bytes || !ciphertext || ciphertext->size() != kmip_ciphertext_bytes) {
        return not_kmip(Operation::encrypt, "it has no IV of 16 and no ciphertext of 112 bytes");
    }
    std::vector<std::uint8_t> material(iv->begin(), iv->end());
    material.insert(material.end(), ciphertext->begin(), ciphertext->end());
    return material;
}

Result<DataKey> read_kmip_decrypt(const Reply& reply, std::string_view identifier) {
    const auto payload = payload_of(reply, Operation::decrypt, identifier);
    if (!payload) return payload.error();
    const auto opened = payload->bytes(Tag::data);
    if (!opened) return not_kmip(Operation::decrypt, "it has no data");
    return data_key_of(*opened);
}

}  // namespace fieldgate::crypto::kms
