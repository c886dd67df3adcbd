#include "proxy/keys/kms_kmip.hpp"

#include <gtest/gtest.h>

#include "crypto/key_wrap.hpp"
#include "crypto/kms/kmip.hpp"
#include "crypto/kms/ttlv.hpp"
#include "tests/unit/crypto/fixed_random.hpp"
#include "tests/unit/keys/kms_conversation.hpp"
#include "tests/unit/keys/support.hpp"

namespace fieldgate::keys {
namespace {

using namespace testing;
using crypto::kms::AwsMasterKey;
using crypto::kms::Endpoint;
using crypto::kms::KmipMasterKey;
using crypto::kms::Protocol;
using crypto::kms::Tag;
using crypto::kms::TtlvWriter;

using Bytes = std::vector<std::uint8_t>;

template <class Payload>
Reply kmip_reply(std::uint32_t operation, const Payload& payload) {
    TtlvWriter out;
    out.open(Tag::response_message);
    out.open(Tag::response_header);
    out.open(Tag::protocol_version);
    out.integer(Tag::protocol_version_major, 1);
    out.integer(Tag::protocol_version_minor, 0);
    out.close();
    out.integer(Tag::batch_count, 1);
    out.close();
    out.open(Tag::batch_item);
    out.enumeration(Tag::operation, operation);
    out.enumeration(Tag::result_status, 0);
    out.open(Tag::response_payload);
    payload(out);
    out.close();
    out.close();
    out.close();
    return {.status = 200, .retry_after = {}, .body = out.take()};
}

Reply made(std::uint32_t operation, const std::string& identifier) {
    return kmip_reply(operation, [&](TtlvWriter& out) { out.text(Tag::unique_identifier, identifier); });
}
Reply registered(const std::string& identifier) {
    return made(0x03, identifier);
}
Reply created(const std::string& identifier) {
    return made(0x01, identifier);
}
Reply activated(const std::string& identifier) {
    return made(0x12, identifier);
}
Reply got(const std::string& identifier, const Bytes& material) {
    return kmip_reply(0x0A, [&](TtlvWriter& out) {
        out.enumeration(Tag::object_type, 7);
        out.text(Tag::unique_identifier, identifier);
        out.open(Tag::secret_data);
        out.enumeration(Tag::secret_data_type, 2);
        out.open(Tag::key_block);
        out.enumeration(Tag::key_format_type, 2);
        out.open(Tag::key_value);
        out.bytes(Tag::key_material, material);
        out.close();
        out.close();
        out.close();
    });
}
Reply encrypted(const std::string& identifier) {
    return kmip_reply(0x1F, [&](TtlvWriter& out) {
        out.text(Tag::unique_identifier, identifier);
        out.bytes(Tag::data, Bytes(112, 3));
        out.bytes(Tag::iv_counter_nonce, Bytes(16, 4));
    });
}
Reply decrypted(const std::string& identifier, const Bytes& data) {
    return kmip_reply(0x20, [&](TtlvWriter& out) {
        out.text(Tag::unique_identifier, identifier);
        out.bytes(Tag::data, data);
    });
}
Reply failed(std::uint32_t operation, std::uint32_t reason) {
    TtlvWriter out;
    out.open(Tag::response_message);
    out.open(Tag::response_header);
    out.open(Tag::protocol_version);
    out.integer(Tag::protocol_version_major, 1);
    out.integer(Tag::protocol_version_minor, 0);
    out.close();
    out.integer(Tag::batch_count, 1);
    out.close();
    out.open(Tag::batch_item);
    out.enumeration(Tag::operation, operation);
    out.enumeration(Tag::result_status, 1);
    out.enumeration(Tag::result_reason, reason);
    out.close();
    out.close();
    return {.status = 200, .retry_after = {}, .body = out.take()};
}

template <class... T>
std::vector<Reply> replies(T... reply) {
    std::vector<Reply> all;
    (all.push_back(std::move(reply)), ...);
    return all;
}

Bytes bytes_of(const crypto::SecretBuffer& buffer) {
    return {buffer.expose_secret().begin(), buffer.expose_secret().end()};
}

config::KmsProvider settings(std::vector<std::string> hosts = {}) {
    config::KmsProvider configured;
    configured.name = "kmip:clinic";
    configured.settings = config::KmipKms{.endpoint = "kmip.example.com:5697"};
    configured.hosts = std::move(hosts);
    return configured;
}

KmipMasterKey key_of_kind(bool delegated, std::string identifier) {
    return {std::move(identifier), "", delegated};
}
KmipMasterKey key_here(std::string identifier) {
    return key_of_kind(false, std::move(identifier));
}
KmipMasterKey key_there(std::string identifier) {
    return key_of_kind(true, std::move(identifier));
}

Bytes wrapped_locally(std::uint8_t key_fill, std::uint8_t master_fill) {
    crypto::SystemRandom random;
    const auto wrapped = crypto::wrap_key(secret_of(key_fill), secret_of(master_fill), random).value();
    return {wrapped.begin(), wrapped.end()};
}

class Kmip : public ::testing::Test {
 protected:
    std::string unwrap_refusal(const crypto::kms::MasterKeyDescription& master_key,
                               const Bytes& wrapped = Bytes(160)) {
        return described(provider.unwrap(master_key, wrapped));
    }

    crypto::FixedRandom random{10};
    KmipProvider provider{settings(), random};
};

TEST_F(Kmip, needs_no_login) {
    EXPECT_EQ(provider.login(UnixTime{}), nullptr);
    EXPECT_FALSE(provider.forget_login());
}

TEST_F(Kmip, unwraps_with_a_secret_it_gets) {
    auto operation = provider.unwrap(key_here("12"), wrapped_locally(7, 9)).value();
    const auto held = converse(*operation, replies(got("12", Bytes(96, 9))));
    ASSERT_EQ(held.outcome, "ok") << held.text;
    EXPECT_EQ(held.requests[0].protocol, Protocol::kmip);
    EXPECT_EQ(held.requests[0].endpoint, (Endpoint{"kmip.example.com", 5697, true}));
    EXPECT_EQ(bytes_of(held.requests[0].bytes), bytes_of(crypto::kms::kmip_get("12")));
    EXPECT_TRUE(operation->take() == secret_of(7));
}

TEST_F(Kmip, unwraps_there_when_delegated) {
    Bytes wrapped(128, 5);
    std::fill_n(wrapped.begin(), 16, std::uint8_t{6});
    auto operation = provider.unwrap(key_there("13"), wrapped).value();
    const auto held = converse(*operation, replies(decrypted("13", Bytes(96, 7))));
    ASSERT_EQ(held.outcome, "ok") << held.text;
    EXPECT_EQ(bytes_of(held.requests[0].bytes), bytes_of(crypto::kms::kmip_decrypt("13", wrapped)));
    EXPECT_TRUE(operation->take() == secret_of(7));
}

TEST_F(Kmip, wraps_with_a_key_that_is_there) {
    const auto key = secret_of(7);
    const KmipMasterKey master_key{"12", "kmip.example.com:5697", false};
    auto operation = provider.wrap(master_key, key).value();
    const auto held = converse(*operation, replies(got("12", Bytes(96, 9))));
    ASSERT_EQ(held.outcome, "ok") << held.text;
    const WrappedDataKey wrapped = operation->take();
    EXPECT_EQ(std::get<KmipMasterKey>(wrapped.master_key), master_key);
    EXPECT_TRUE(crypto::unwrap_key(wrapped.material, secret_of(9)).value() == key);
}

TEST_F(Kmip, makes_a_key_where_there_is_none) {
    const auto key = secret_of(7);
    auto operation = provider.wrap(KmipMasterKey{}, key).value();
    Bytes fresh(96);  // what FixedRandom gives first
    for (std::size_t i = 0; i < fresh.size(); ++i) fresh[i] = static_cast<std::uint8_t>(10 + i);
    const auto held = converse(*operation, replies(registered("21"), activated("21"), got("21", fresh)));
    ASSERT_EQ(held.outcome, "ok") << held.text;
    const crypto::MasterKey kek(std::span<const std::uint8_t>(fresh).first<96>());
    EXPECT_EQ(bytes_of(held.requests[0].bytes), bytes_of(crypto::kms::kmip_register(kek)));
    EXPECT_EQ(bytes_of(held.requests[1].bytes), bytes_of(crypto::kms::kmip_activate("21")));
    EXPECT_EQ(bytes_of(held.requests[2].bytes), bytes_of(crypto::kms::kmip_get("21")));
    const WrappedDataKey wrapped = operation->take();
    EXPECT_EQ(std::get<KmipMasterKey>(wrapped.master_key), key_here("21"));
    EXPECT_TRUE(crypto::unwrap_key(wrapped.material, kek).value() == key);
}

TEST_F(Kmip, makes_a_delegated_key_where_there_is_none) {
    const auto key = secret_of(7);
    auto operation = provider.wrap(key_there(""), key).value();
    const auto held = converse(*operation, replies(created("22"), activated("22"), encrypted("22")));
    ASSERT_EQ(held.outcome, "ok") << held.text;
    EXPECT_EQ(bytes_of(held.requests[0].bytes), bytes_of(crypto::kms::kmip_create()));
    EXPECT_EQ(bytes_of(held.requests[1].bytes), bytes_of(crypto::kms::kmip_activate("22")));
    EXPECT_EQ(bytes_of(held.requests[2].bytes), bytes_of(crypto::kms::kmip_encrypt("22", key)));
    const WrappedDataKey wrapped = operation->take();
    EXPECT_EQ(std::get<KmipMasterKey>(wrapped.master_key), key_there("22"));
    ASSERT_EQ(wrapped.material.size(), 128u);
    EXPECT_EQ(wrapped.material.front(), 4);  // the IV comes first
    EXPECT_EQ(wrapped.material.back(), 3);
}

TEST_F(Kmip, begins_again_after_a_restart) {
    const auto key = secret_of(7);
    auto wrap = provider.wrap(KmipMasterKey{}, key).value();
    EXPECT_EQ(converse(*wrap, replies(registered("21"), failed(0x12, 0x100))).outcome,
              "unavailable GeneralFailure");
    wrap->restart();
    Bytes second(96);
    for (std::size_t i = 0; i < second.size(); ++i) second[i] = static_cast<std::uint8_t>(106 + i);
    const auto held = converse(*wrap, replies(registered("31"), activated("31"), got("31", second)));
    ASSERT_EQ(held.outcome, "ok");
    EXPECT_EQ(std::get<KmipMasterKey>(wrap->take().master_key).key_id, "31");

    auto unwrap = provider.unwrap(key_here("12"), wrapped_locally(7, 9)).value();
    EXPECT_EQ(converse(*unwrap, replies(failed(0x0A, 0x2A))).outcome, "unavailable InternalServerError");
    unwrap->restart();
    EXPECT_EQ(converse(*unwrap, replies(got("12", Bytes(96, 9)))).outcome, "ok");
}

TEST_F(Kmip, gives_every_step_s_failure) {
    const auto key = secret_of(7);
    const auto outcome = [&](bool delegated, std::vector<Reply> given) {
        auto operation = provider.wrap(key_of_kind(delegated, ""), key).value();
        return converse(*operation, std::move(given)).outcome;
    };
    EXPECT_EQ(outcome(false, replies(failed(0x03, 0x0C))), "refused PermissionDenied");
    EXPECT_EQ(outcome(false, replies(registered("1"), failed(0x12, 0x0C))), "refused PermissionDenied");
    EXPECT_EQ(outcome(false, replies(registered("1"), activated("1"), failed(0x0A, 0x01))),
              "refused ItemNotFound");
    EXPECT_EQ(outcome(false, replies(registered("1"), activated("2"))), "malformed not_kmip");
    EXPECT_EQ(outcome(false, replies(registered("1"), activated("1"), got("1", Bytes(96, 0)))),
              "malformed another_key")
        << "a key that everybody knows, say";
    EXPECT_EQ(outcome(true, replies(failed(0x01, 0x05))), "refused OperationNotSupported");
    EXPECT_EQ(outcome(true, replies(created("1"), activated("1"), failed(0x1F, 0x03))),
              "credentials AuthenticationNotSuccessful");
    random.fail_from_now_on();
    EXPECT_EQ(outcome(false, {}), "unavailable local_failure");
    EXPECT_EQ(outcome(true, replies(created("1"), activated("1"), encrypted("1"))), "ok");
}

TEST_F(Kmip, refuses_keys_that_do_not_open_or_have_another_length) {
    const auto outcome = [&](bool delegated, const Bytes& wrapped, Reply reply) {
        auto operation = provider.unwrap(key_of_kind(delegated, "1"), wrapped).value();
        return converse(*operation, replies(std::move(reply))).outcome;
    };
    const Bytes wrapped = wrapped_locally(7, 9);
    EXPECT_EQ(outcome(false, wrapped, got("1", Bytes(96, 8))), "refused hmac_validation_failure");
    EXPECT_EQ(outcome(false, wrapped, got("1", Bytes(95, 9))), "malformed master_key_length");
    EXPECT_EQ(outcome(false, wrapped, got("1", Bytes(97, 9))), "malformed master_key_length");
    EXPECT_EQ(outcome(true, Bytes(128), decrypted("1", Bytes(95, 7))), "malformed data_key_length");
    EXPECT_EQ(outcome(true, Bytes(128), decrypted("1", Bytes(97, 7))), "malformed data_key_length");
    EXPECT_EQ(outcome(true, Bytes(128), reply_of(200, "no TTLV")), "malformed not_kmip");
    EXPECT_EQ(outcome(true, Bytes(128), reply_of(200, "")), "malformed not_kmip");
}

TEST_F(Kmip, asks_nothing_about_what_cannot_be_a_wrapped_key) {
    const KmipMasterKey here = key_here("1");
    const KmipMasterKey there = key_there("1");
    EXPECT_EQ(unwrap_refusal(here, Bytes(160)), "ok");
    EXPECT_EQ(unwrap_refusal(here, Bytes(159)), "malformed wrapped_key_length");
    EXPECT_EQ(unwrap_refusal(here, Bytes(161)), "malformed wrapped_key_length");
    EXPECT_EQ(unwrap_refusal(there, Bytes(128)), "ok");
    EXPECT_EQ(unwrap_refusal(there, Bytes(127)), "malformed wrapped_key_length");
    EXPECT_EQ(unwrap_refusal(there, Bytes(129)), "malformed wrapped_key_length");
    EXPECT_EQ(unwrap_refusal(there, {}), "malformed wrapped_key_length");
}

TEST_F(Kmip, refuses_master_keys_that_are_none) {
    EXPECT_EQ(unwrap_refusal(AwsMasterKey{}), "refused master_key_mismatch");
    EXPECT_EQ(described(provider.wrap(AwsMasterKey{}, secret_of(7))), "refused master_key_mismatch");
    EXPECT_EQ(unwrap_refusal(KmipMasterKey{}), "refused key_id_not_valid");
    const std::string hostile = "1\n";
    EXPECT_EQ(unwrap_refusal(key_here(hostile)), "refused key_id_not_valid");
    EXPECT_EQ(described(provider.wrap(key_here(hostile), secret_of(7))), "refused key_id_not_valid");
    EXPECT_EQ(unwrap_refusal(key_here(std::string(256, 'a'))), "ok");
    EXPECT_EQ(unwrap_refusal(key_here(std::string(257, 'a'))), "refused key_id_not_valid");
}

// Data keys and master keys go to the configured server, or to those that the configuration lists.
TEST_F(Kmip, goes_to_no_host_that_only_a_key_document_names) {
    const auto at = [](std::string endpoint) { return KmipMasterKey{"1", std::move(endpoint), false}; };
    EXPECT_EQ(unwrap_refusal(at("kmip.example.com:5697")), "ok");
    EXPECT_EQ(unwrap_refusal(at("KMIP.example.com:5697")), "ok");
    EXPECT_EQ(unwrap_refusal(at("kmip.example.com")), "refused endpoint_not_allowed");  // port 5696
    EXPECT_EQ(unwrap_refusal(at("kmip.example.com.evil.example:5697")), "refused endpoint_not_allowed");
    EXPECT_EQ(unwrap_refusal(at("user@kmip.example.com:5697")), "refused endpoint_not_allowed");
    EXPECT_EQ(unwrap_refusal(at("other.example.com:5696")), "refused endpoint_not_allowed");
    EXPECT_EQ(described(provider.wrap(at("other.example.com:5696"), secret_of(7))),
              "refused endpoint_not_allowed");

    KmipProvider listing(settings({"other.example.com"}), random);
    EXPECT_EQ(described(listing.unwrap(at("other.example.com:5696"), Bytes(160))), "ok");
    EXPECT_EQ(described(listing.unwrap(at("other.example.com"), Bytes(160))), "ok");
    EXPECT_EQ(described(listing.unwrap(at("other.example.com:5697"), Bytes(160))),
              "refused endpoint_not_allowed");
    auto operation = listing.unwrap(at("other.example.com"), Bytes(160)).value();
    const auto request = operation->next(UnixTime{});
    EXPECT_EQ((*request)->endpoint, (Endpoint{"other.example.com", 5696, true}));
}

TEST_F(Kmip, says_what_may_be_tried_again) {
    const auto may_retry = [&](Failure::Kind kind, std::string code) {
        return provider.may_retry({.kind = kind, .status = 0, .code = std::move(code), .text = {}});
    };
    EXPECT_TRUE(may_retry(Failure::Kind::unavailable, "timeout"));
    EXPECT_TRUE(may_retry(Failure::Kind::unavailable, "InternalServerError"));
    EXPECT_TRUE(may_retry(Failure::Kind::throttled, "ServerLimitExceeded"));
    EXPECT_FALSE(may_retry(Failure::Kind::unavailable, "GeneralFailure"));
    EXPECT_FALSE(may_retry(Failure::Kind::refused, "ItemNotFound"));
    EXPECT_FALSE(may_retry(Failure::Kind::credentials, "AuthenticationNotSuccessful"));
    EXPECT_FALSE(may_retry(Failure::Kind::malformed, "not_kmip"));
}

}  // namespace
}  // namespace fieldgate::keys
