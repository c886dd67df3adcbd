#include "crypto/kms/kmip.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "crypto/kms/ttlv.hpp"
#include "tests/unit/crypto/kms_support.hpp"
#include "tests/unit/crypto/samples.hpp"

namespace fieldgate::crypto::kms {
namespace {

// The bytes of libmongocrypt's requests and of PyKMIP's replies to them.
Bytes recorded(const std::string& name) {
    static const auto fields = read_vector(FIELDGATE_SOURCE_DIR "/tests/vectors/kmip.json");
    return from_hex(fields.at(name));
}

Bytes bytes_of(const SecretBuffer& buffer) {
    return {buffer.expose_secret().begin(), buffer.expose_secret().end()};
}

Reply reply_with(const Bytes& message) {
    return {.status = 200, .retry_after = {}, .body = SecretBuffer(message)};
}

MasterKey recorded_master_key() {
    return key_from(key_pattern(100));
}

// What a server answers, in parts that tests change.
struct Answer {
    std::int32_t major = 1;
    std::int32_t count = 1;
    std::optional<std::uint32_t> operation = 0x0A;
    std::optional<std::uint32_t> status = 0;
    std::optional<std::uint32_t> reason = {};
    std::optional<std::string> message = {};
    std::function<void(TtlvWriter&)> payload = {};
    Tag message_tag = Tag::response_message;
    int items = 1;

    Reply reply() const {
        TtlvWriter out;
        out.open(message_tag);
        out.open(Tag::response_header);
        out.open(Tag::protocol_version);
        out.integer(Tag::protocol_version_major, major);
        out.integer(Tag::protocol_version_minor, 0);
        out.close();
        out.integer(Tag::batch_count, count);
        out.close();
        for (int i = 0; i < items; ++i) {
            out.open(Tag::batch_item);
            if (operation) out.enumeration(Tag::operation, *operation);
            if (status) out.enumeration(Tag::result_status, *status);
            if (reason) out.enumeration(Tag::result_reason, *reason);
            if (message) out.text(Tag::result_message, *message);
            if (payload) {
                out.open(Tag::response_payload);
                payload(out);
                out.close();
            }
            out.close();
        }
        out.close();
        return {.status = 200, .retry_after = {}, .body = out.take()};
    }
};

// The payload of Get, in parts.
struct Secret96 {
    std::string identifier = "1";
    std::uint32_t object_type = 7;
    std::uint32_t format = 2;
    Bytes material = key_pattern(100);
    bool is_wrapped = false;

    void operator()(TtlvWriter& out) const {
        out.enumeration(Tag::object_type, object_type);
        out.text(Tag::unique_identifier, identifier);
        out.open(Tag::secret_data);
        out.enumeration(Tag::secret_data_type, 2);
        out.open(Tag::key_block);
        out.enumeration(Tag::key_format_type, format);
        if (is_wrapped) {
            out.bytes(Tag::key_value, material);
        } else {
            out.open(Tag::key_value);
            out.bytes(Tag::key_material, material);
            out.close();
        }
        out.close();
        out.close();
    }
};

std::string get_outcome(const Answer& answer) {
    return described(read_kmip_get(answer.reply(), "1"));
}

Answer got(const Secret96& secret) {
    Answer answer;
    answer.payload = secret;
    return answer;
}

TEST(Kmip, asks_byte_for_byte_what_drivers_ask) {
    EXPECT_EQ(bytes_of(kmip_register(recorded_master_key())), recorded("register_request"));
    EXPECT_EQ(bytes_of(kmip_activate("1")), recorded("activate_request"));
    EXPECT_EQ(bytes_of(kmip_get("1")), recorded("get_request"));
    EXPECT_EQ(bytes_of(kmip_create()), recorded("create_request"));
    EXPECT_EQ(bytes_of(kmip_activate("2")), recorded("activate_delegated_request"));
    EXPECT_EQ(bytes_of(kmip_encrypt("2", test_key())), recorded("encrypt_request"));
    const auto material = read_kmip_encrypt(reply_with(recorded("encrypt_reply")), "2");
    ASSERT_TRUE(material);
    EXPECT_EQ(bytes_of(kmip_decrypt("2", *material)), recorded("decrypt_request"));
}

TEST(Kmip, reads_the_replies_of_a_real_server) {
    EXPECT_EQ(read_kmip_register(reply_with(recorded("register_reply"))).value(), "1");
    EXPECT_FALSE(read_kmip_activate(reply_with(recorded("activate_reply")), "1"));
    EXPECT_TRUE(read_kmip_get(reply_with(recorded("get_reply")), "1").value() == recorded_master_key());
    EXPECT_EQ(read_kmip_create(reply_with(recorded("create_reply"))).value(), "2");
    EXPECT_EQ(read_kmip_encrypt(reply_with(recorded("encrypt_reply")), "2").value().size(), 128u);
    EXPECT_TRUE(read_kmip_decrypt(reply_with(recorded("decrypt_reply")), "2").value() == test_key());
}

TEST(Kmip, names_the_reasons_of_a_real_server) {
    const auto missing = read_kmip_get(reply_with(recorded("get_missing_reply")), "9");
    EXPECT_EQ(described(missing), "refused ItemNotFound");
    EXPECT_EQ(missing.error().text,
              "the KMIP server failed to Get: ItemNotFound (Could not locate object: 9)");
    EXPECT_EQ(missing.error().status, 0);
    EXPECT_EQ(described(*read_kmip_activate(reply_with(recorded("activate_again_reply")), "1")),
              "refused PermissionDenied");
    EXPECT_EQ(described(read_kmip_decrypt(reply_with(recorded("decrypt_bad_reply")), "2")),
              "unavailable GeneralFailure");
}

TEST(Kmip, puts_every_reason_into_its_kind) {
    Answer answer;
    answer.status = 1;
    const auto outcome = [&](std::uint32_t reason) {
        answer.reason = reason;
        return get_outcome(answer);
    };
    EXPECT_EQ(outcome(0x01), "refused ItemNotFound");
    EXPECT_EQ(outcome(0x03), "credentials AuthenticationNotSuccessful");
    EXPECT_EQ(outcome(0x0C), "refused PermissionDenied");
    EXPECT_EQ(outcome(0x0D), "refused ObjectArchived");
    EXPECT_EQ(outcome(0x2A), "unavailable InternalServerError");
    EXPECT_EQ(outcome(0x3A), "throttled ServerLimitExceeded");
    EXPECT_EQ(outcome(0x44), "unavailable ProtectionStorageUnavailable");
    EXPECT_EQ(outcome(0x100), "unavailable GeneralFailure");
    EXPECT_EQ(outcome(0x8000FFFF), "refused Reason2147549183");
}

// The server may not know which operation it could not read.
TEST(Kmip, takes_a_failure_without_an_operation) {
    Answer answer;
    answer.operation = {};
    answer.status = 1;
    answer.reason = 0x04;
    EXPECT_EQ(get_outcome(answer), "refused InvalidMessage");
    answer.reason = {};
    EXPECT_EQ(get_outcome(answer), "malformed not_kmip");
}

TEST(Kmip, does_not_print_what_a_server_says_as_it_is) {
    Answer answer;
    answer.status = 1;
    answer.reason = 0x05;
    answer.message = "no\r\n\x1b[2J" + std::string(2000, 'k') + std::string(2000, ' ');
    const auto failure = read_kmip_get(answer.reply(), "1");
    ASSERT_FALSE(failure);
    EXPECT_LE(failure.error().text.size(), 300u);
    for (const char c : failure.error().text) EXPECT_TRUE(c >= ' ' && c <= '~');
    EXPECT_EQ(failure.error().text.find("kkkk"), std::string::npos);
}

TEST(Kmip, refuses_every_reply_that_was_cut) {
    for (const char* const name :
         {"register_reply", "activate_reply", "get_reply", "encrypt_reply", "decrypt_reply"}) {
        const Bytes whole = recorded(name);
        for (std::size_t size_bytes = 0; size_bytes < whole.size(); ++size_bytes) {
            const Reply reply =
                reply_with(Bytes(whole.begin(), whole.begin() + static_cast<int>(size_bytes)));
            EXPECT_EQ(described(read_kmip_register(reply)), "malformed not_kmip");
            EXPECT_EQ(described(*read_kmip_activate(reply, "1")), "malformed not_kmip");
            EXPECT_EQ(described(read_kmip_get(reply, "1")), "malformed not_kmip");
            EXPECT_EQ(described(read_kmip_encrypt(reply, "2")), "malformed not_kmip");
            EXPECT_EQ(described(read_kmip_decrypt(reply, "2")), "malformed not_kmip");
        }
    }
}

// A changed byte gives the key, some failure, or (where the byte is the key's) another key; never a crash.
TEST(Kmip, survives_every_changed_byte) {
    const Bytes whole = recorded("get_reply");
    int refused = 0;
    for (std::size_t at = 0; at < whole.size(); ++at) {
        for (const int change : {0x01, 0x80, 0xff}) {
            Bytes changed = whole;
            changed[at] = static_cast<std::uint8_t>(changed[at] ^ change);
            if (!read_kmip_get(reply_with(changed), "1")) ++refused;
        }
    }
    // All but the 96 bytes of the key, the 8 of the time stamp, and the few numbers that do not matter.
    EXPECT_GT(refused, static_cast<int>(whole.size() - 96 - 8 - 16) * 3);
}

TEST(Kmip, refuses_the_answer_to_another_operation_or_about_another_object) {
    EXPECT_EQ(described(read_kmip_get(reply_with(recorded("activate_reply")), "1")), "malformed not_kmip");
    EXPECT_EQ(described(read_kmip_register(reply_with(recorded("create_reply")))), "malformed not_kmip");
    EXPECT_EQ(described(read_kmip_create(reply_with(recorded("register_reply")))), "malformed not_kmip");
    EXPECT_EQ(described(*read_kmip_activate(reply_with(recorded("get_reply")), "1")), "malformed not_kmip");
    EXPECT_EQ(described(read_kmip_decrypt(reply_with(recorded("encrypt_reply")), "2")), "malformed not_kmip");
    EXPECT_EQ(described(read_kmip_get(reply_with(recorded("get_reply")), "2")), "malformed not_kmip");
    EXPECT_EQ(described(*read_kmip_activate(reply_with(recorded("activate_reply")), "2")),
              "malformed not_kmip");
    EXPECT_EQ(described(read_kmip_encrypt(reply_with(recorded("encrypt_reply")), "1")), "malformed not_kmip");
    EXPECT_EQ(described(read_kmip_decrypt(reply_with(recorded("decrypt_reply")), "1")), "malformed not_kmip");
    EXPECT_EQ(described(read_kmip_get(reply_with(recorded("get_request")), "1")), "malformed not_kmip");
}

TEST(Kmip, refuses_messages_of_another_shape) {
    EXPECT_EQ(get_outcome(got({})), "ok");
    const auto changed = [](const std::function<void(Answer&)>& change) {
        Answer answer = got({});
        change(answer);
        return get_outcome(answer);
    };
    EXPECT_EQ(changed([](Answer& a) { a.message_tag = Tag::request_message; }), "malformed not_kmip");
    EXPECT_EQ(changed([](Answer& a) { a.major = 2; }), "malformed not_kmip");
    EXPECT_EQ(changed([](Answer& a) { a.count = 2; }), "malformed not_kmip");
    EXPECT_EQ(changed([](Answer& a) { a.items = 0; }), "malformed not_kmip");
    EXPECT_EQ(changed([](Answer& a) { a.items = 2; }), "malformed not_kmip");
    EXPECT_EQ(changed([](Answer& a) { a.operation = {}; }), "malformed not_kmip");
    EXPECT_EQ(changed([](Answer& a) { a.status = {}; }), "malformed not_kmip");
    EXPECT_EQ(changed([](Answer& a) { a.status = 2; }), "malformed not_kmip");  // pending
    EXPECT_EQ(changed([](Answer& a) { a.payload = {}; }), "malformed not_kmip");
}

TEST(Kmip, takes_secrets_of_96_bytes_only) {
    EXPECT_EQ(get_outcome(got({.format = 1})), "ok");  // Raw
    EXPECT_EQ(get_outcome(got({.format = 3})), "malformed not_kmip");
    EXPECT_EQ(get_outcome(got({.object_type = 2})), "malformed not_kmip");
    EXPECT_EQ(get_outcome(got({.is_wrapped = true})), "malformed not_kmip");
    EXPECT_EQ(get_outcome(got({.material = Bytes(95, 1)})), "malformed master_key_length");
    EXPECT_EQ(get_outcome(got({.material = Bytes(97, 1)})), "malformed master_key_length");
    EXPECT_EQ(get_outcome(got({.material = {}})), "malformed master_key_length");
}

TEST(Kmip, takes_identifiers_that_a_key_document_can_hold) {
    const auto made = [](const std::string& identifier) {
        Answer answer;
        answer.operation = 0x03;
        answer.payload = [&](TtlvWriter& out) { out.text(Tag::unique_identifier, identifier); };
        return described(read_kmip_register(answer.reply()));
    };
    EXPECT_EQ(made("5b2d9d0c-6a0f-4f2b-8a3d-0f4f4e4f4e4f"), "ok");
    EXPECT_EQ(made(std::string(256, 'a')), "ok");
    EXPECT_EQ(made(std::string(257, 'a')), "malformed not_kmip");
    EXPECT_EQ(made(""), "malformed not_kmip");
    EXPECT_EQ(made("a b"), "malformed not_kmip");
    EXPECT_EQ(made(std::string("a\0b", 3)), "malformed not_kmip");
    EXPECT_EQ(made("\xc3\xa9"), "malformed not_kmip");
}

TEST(Kmip, takes_what_was_encrypted_and_decrypted_in_one_size_only) {
    const auto encrypted = [](std::size_t iv_bytes, std::size_t data_bytes) {
        Answer answer;
        answer.operation = 0x1F;
        answer.payload = [&](TtlvWriter& out) {
            out.text(Tag::unique_identifier, "2");
            out.bytes(Tag::data, Bytes(data_bytes, 1));
            out.bytes(Tag::iv_counter_nonce, Bytes(iv_bytes, 2));
        };
        return described(read_kmip_encrypt(answer.reply(), "2"));
    };
    EXPECT_EQ(encrypted(16, 112), "ok");
    EXPECT_EQ(encrypted(15, 112), "malformed not_kmip");
    EXPECT_EQ(encrypted(17, 112), "malformed not_kmip");
    EXPECT_EQ(encrypted(16, 111), "malformed not_kmip");
    EXPECT_EQ(encrypted(16, 113), "malformed not_kmip");

    const auto decrypted = [](std::size_t data_bytes) {
        Answer answer;
        answer.operation = 0x20;
        answer.payload = [&](TtlvWriter& out) {
            out.text(Tag::unique_identifier, "2");
            out.bytes(Tag::data, Bytes(data_bytes, 1));
        };
        return described(read_kmip_decrypt(answer.reply(), "2"));
    };
    EXPECT_EQ(decrypted(96), "ok");
    EXPECT_EQ(decrypted(95), "malformed data_key_length");
    EXPECT_EQ(decrypted(97), "malformed data_key_length");
    EXPECT_EQ(decrypted(0), "malformed data_key_length");
}

TEST(Kmip, bounds_the_reply) {
    Answer answer = got({});
    answer.message = std::string(reply_bytes_max, 'x');
    EXPECT_EQ(get_outcome(answer), "malformed not_kmip");
}

}  // namespace
}  // namespace fieldgate::crypto::kms
