#include "proxy/keys/kms_words.hpp"
#include "tests/unit/keys/kms_fixture.hpp"

namespace fieldgate::keys {
namespace {

using namespace testing;
using namespace std::chrono_literals;

TEST_F(KmsTest, carries_out_an_operation_of_several_requests) {
    aws->unwrap_requests = {"first", "second"};
    const Outcome outcome = unwrap(7);
    EXPECT_EQ(transport.pending.front().timeout, 10s);
    transport.answer(200);
    EXPECT_EQ(*outcome, "");
    transport.answer(200);
    EXPECT_EQ(*outcome, "key 7");
    EXPECT_EQ(transport.log, (std::vector<std::string>{"aws:eu first 7", "aws:eu second 7"}));
    EXPECT_EQ(count(KmsCall::unwrap, "ok"), 1u);
    EXPECT_EQ(logged, std::vector<std::string>{"aws:eu ok"});
}

TEST_F(KmsTest, wraps_and_hands_the_master_key_back) {
    std::optional<Result<WrappedDataKey>> wrapped;
    kms->wrap("aws:eu", aws_key, std::make_shared<crypto::DataKey>(secret_of(9)),
              [&](Result<WrappedDataKey> result) { wrapped.emplace(std::move(result)); });
    transport.answer(200);
    ASSERT_TRUE(wrapped && *wrapped);
    EXPECT_EQ((*wrapped)->material, std::vector<std::uint8_t>{9});
    EXPECT_EQ((*wrapped)->master_key,
              crypto::kms::MasterKeyDescription(crypto::kms::AwsMasterKey{"eu", "arn", {}}));
    EXPECT_EQ(count(KmsCall::wrap, "ok"), 1u);
}

TEST_F(KmsTest, says_that_a_provider_is_not_configured_and_does_not_count_it) {
    std::string text;
    kms->unwrap("aws:us", aws_key, {1}, [&](const auto& key) { text = key.error().text; });
    EXPECT_EQ(text, "KMS provider `aws:us` is not configured");
    kms->wrap("gcp", aws_key, std::make_shared<crypto::DataKey>(secret_of(9)),
              [&](const auto& key) { text = key.error().text; });
    EXPECT_EQ(text, "KMS provider `gcp` is not configured");
    kms->login("kmip", [&](const auto& failure) { text = failure->text; });
    EXPECT_EQ(text, "KMS provider `kmip` is not configured");
    EXPECT_TRUE(kms->counts().empty());
    EXPECT_FALSE(kms->has("aws:us"));
    EXPECT_TRUE(kms->has("aws:eu"));
}

TEST_F(KmsTest, refuses_a_master_key_of_another_kind) {
    std::string text;
    kms->unwrap("aws:eu", crypto::kms::LocalMasterKey{}, {1},
                [&](const auto& key) { text = key.error().text; });
    EXPECT_EQ(text, "KMS provider `aws:eu`: masterKey is of another kind of provider");
    text.clear();
    kms->wrap("aws:eu", crypto::kms::LocalMasterKey{}, std::make_shared<crypto::DataKey>(secret_of(9)),
              [&](const auto& key) { text = key.error().text; });
    EXPECT_EQ(text, "KMS provider `aws:eu`: masterKey is of another kind of provider");
    EXPECT_EQ(count(KmsCall::unwrap, "refused"), 1u);
    EXPECT_EQ(count(KmsCall::wrap, "refused"), 1u);
}

TEST_F(KmsTest, does_not_try_a_refusal_again) {
    const Outcome outcome = unwrap();
    transport.answer(400);
    EXPECT_EQ(*outcome, "KMS provider `aws:eu`: it said 400");
    EXPECT_EQ(transport.log.size(), 1u);
    EXPECT_EQ(count(KmsCall::unwrap, "refused"), 1u);
}

TEST_F(KmsTest, what_a_key_manager_quotes_of_our_secrets_is_not_told) {
    aws->secret = "it said ";
    aws->login_requests = {"login"};
    const Outcome login = unwrap();
    transport.answer(400);
    EXPECT_EQ(*login, "KMS provider `aws:eu`: login: ...400");
    aws->login_requests.clear();
    const Outcome outcome = unwrap();
    transport.answer(403);
    EXPECT_EQ(*outcome, "KMS provider `aws:eu`: ...403");
    EXPECT_EQ(logged.back(), *outcome);
}

TEST_F(KmsTest, what_a_key_manager_quotes_of_the_key_that_it_is_to_wrap_is_not_told) {
    std::string told;
    kms->wrap("aws:eu", aws_key, std::make_shared<crypto::DataKey>(secret_of(9)),
              [&](const Result<WrappedDataKey>& wrapped) { told = wrapped.error().text; });
    const auto request = transport.take_oldest();
    request.done(Reply{
        400, {}, crypto::SecretBuffer(crypto::kms::bytes_of(": Plaintext CQkJCQkJCQkJCQkJ CQkJCQkJ."))});
    EXPECT_EQ(told, "KMS provider `aws:eu`: it said 400: Plaintext ... ....");
    EXPECT_EQ(logged.back(), told);
}

TEST_F(KmsTest, what_cannot_be_sent_is_not_sent) {
    aws->unwrap_requests = {"!endpoint_not_allowed"};
    EXPECT_EQ(*unwrap(), "KMS provider `aws:eu`: not sent");
    EXPECT_TRUE(transport.log.empty());
}

TEST_F(KmsTest, tries_three_times_from_the_beginning_with_full_jitter) {
    aws->unwrap_requests = {"first", "second"};
    const Outcome outcome = unwrap();
    transport.answer(200);
    transport.answer(503);
    EXPECT_TRUE(transport.pending.empty());
    transport.pass(99ms);
    EXPECT_TRUE(transport.pending.empty()) << "half of 200 ms";
    transport.pass(1ms);
    transport.fail("connect_failed");
    transport.pass(200ms);
    transport.answer(429);
    EXPECT_EQ(*outcome, "KMS provider `aws:eu`: it said 429");
    EXPECT_EQ(transport.delays, (std::vector<std::chrono::milliseconds>{100ms, 200ms}));
    EXPECT_EQ(transport.log, (std::vector<std::string>{"aws:eu first 7", "aws:eu second 7", "aws:eu first 7",
                                                       "aws:eu first 7"}));
    EXPECT_EQ(count(KmsCall::unwrap, "throttled"), 1u) << "an operation counts once";
}

TEST_F(KmsTest, succeeds_at_the_third_attempt) {
    const Outcome outcome = unwrap();
    for (int i = 0; i < 2; ++i) {
        transport.answer(500);
        transport.pass(1s);
    }
    transport.answer(200);
    EXPECT_EQ(*outcome, "key 7");
    EXPECT_EQ(count(KmsCall::unwrap, "ok"), 1u);
    EXPECT_EQ(count(KmsCall::unwrap, "unavailable"), 0u);
}

TEST_F(KmsTest, waits_as_long_as_it_is_told_to) {
    const Outcome outcome = unwrap();
    transport.answer(429, {}, 5s);
    EXPECT_EQ(transport.delays.back(), 5s);
    transport.pass(5s);
    transport.answer(200);
    EXPECT_EQ(*outcome, "key 7");
}

TEST_F(KmsTest, a_wait_is_capped_and_one_beyond_its_time_ends_it) {
    KmsOptions patient = options();
    patient.operation_timeout = 1min;
    Kms::Providers providers;
    providers.emplace("aws:eu", std::make_unique<ScriptedProvider>());
    Kms other(transport, std::move(providers), patient);
    other.unwrap("aws:eu", aws_key, {7}, [](const auto&) {});
    transport.answer(429, {}, std::chrono::seconds::max());
    EXPECT_EQ(transport.delays.back(), 20s);

    const Outcome outcome = unwrap();
    transport.answer(429, {}, 20s);
    EXPECT_EQ(*outcome, "KMS provider `aws:eu`: it said 429") << "20 s are all it has";
}

TEST_F(KmsTest, does_not_try_again_for_a_certificate) {
    const Outcome outcome = unwrap();
    transport.fail("certificate_name");
    EXPECT_EQ(*outcome, "KMS provider `aws:eu`: certificate_name happened");
    EXPECT_EQ(transport.log.size(), 1u);
}

TEST_F(KmsTest, an_operation_ends_in_time_whatever_the_transport_does) {
    const Outcome outcome = unwrap();
    transport.pass(10s);
    transport.fail("timeout");
    transport.pass(100ms);
    EXPECT_EQ(transport.pending.front().timeout, 9900ms) << "what is left";
    transport.pass(9900ms);
    transport.fail("timeout");
    EXPECT_EQ(*outcome, "KMS provider `aws:eu`: timeout happened");
    EXPECT_TRUE(transport.pending.empty());
}

TEST_F(KmsTest, runs_sixteen_at_a_time) {
    std::vector<Outcome> outcomes;
    for (std::uint8_t i = 0; i < 18; ++i) outcomes.push_back(unwrap(i));
    EXPECT_EQ(transport.pending.size(), 16u);
    transport.answer(200);
    EXPECT_EQ(transport.pending.size(), 16u);
    EXPECT_EQ(transport.log.back(), "aws:eu unwrap 16");
    while (!transport.pending.empty()) transport.answer(200);
    for (std::size_t i = 0; i < outcomes.size(); ++i) EXPECT_EQ(*outcomes[i], "key " + std::to_string(i));
}

TEST_F(KmsTest, one_that_waited_too_long_for_its_turn_fails_without_being_sent) {
    std::vector<Outcome> outcomes;
    for (std::uint8_t i = 0; i < 17; ++i) outcomes.push_back(unwrap(i));
    transport.pass(20s);
    for (int i = 0; i < 16; ++i) transport.fail("timeout");
    EXPECT_EQ(*outcomes[0], "KMS provider `aws:eu`: timeout happened");
    EXPECT_EQ(*outcomes[16], "KMS provider `aws:eu`: no answer within 20000 ms");
    EXPECT_EQ(transport.log.size(), 16u);
}

TEST_F(KmsTest, calls_nothing_after_its_end) {
    aws->login_requests = {"login"};
    const Outcome waiting = unwrap();
    kms.reset();
    transport.answer(200);
    transport.pass(1h);
    EXPECT_EQ(*waiting, "");
}

TEST_F(KmsTest, may_end_in_its_own_callback) {
    std::string told;
    std::vector<Outcome> others{unwrap(1), unwrap(2)};
    kms->unwrap("aws:eu", aws_key, {3}, [&](const auto& key) {
        told = key ? "key" : "failure";
        kms.reset();
    });
    const auto first = transport.take_oldest();
    const auto second = transport.take_oldest();
    transport.answer(200);
    first.done(Reply{200, {}, {}});
    second.done(Reply{500, {}, {}});
    transport.pass(1h);
    EXPECT_EQ(told, "key");
    EXPECT_EQ(*others[0] + *others[1], "");
}

TEST_F(KmsTest, may_be_asked_from_its_own_callback) {
    std::string told;
    kms->unwrap("aws:eu", aws_key, {3}, [&](const auto&) {
        kms->unwrap("local", crypto::kms::LocalMasterKey{}, key_of(1, {}, 9).wrapped, [&](const auto& key) {
            told = key ? "key " + std::to_string(key->expose_secret()[0]) : key.error().text;
        });
    });
    transport.answer(200);
    EXPECT_EQ(told, "key 9");
}

TEST_F(KmsTest, many_local_operations_do_not_nest) {
    const auto wrapped = key_of(1).wrapped;
    int done = 0;
    std::function<void()> again = [&] {
        kms->unwrap("local", crypto::kms::LocalMasterKey{}, wrapped, [&](const auto&) { ++done; });
    };
    for (int i = 0; i < 1000; ++i) again();
    EXPECT_EQ(done, 1000);
}

TEST_F(KmsTest, the_local_provider_unwraps_what_it_wraps) {
    std::optional<Result<WrappedDataKey>> wrapped;
    kms->wrap("local", crypto::kms::LocalMasterKey{}, std::make_shared<crypto::DataKey>(secret_of(9)),
              [&](Result<WrappedDataKey> result) { wrapped.emplace(std::move(result)); });
    ASSERT_TRUE(wrapped && *wrapped);
    EXPECT_EQ((*wrapped)->material.size(), crypto::wrapped_key_bytes);
    bool same = false;
    kms->unwrap("local", (*wrapped)->master_key, (*wrapped)->material,
                [&](const auto& key) { same = key && *key == secret_of(9); });
    EXPECT_TRUE(same);
}

TEST_F(KmsTest, the_local_provider_says_what_is_wrong) {
    struct Case {
        const char* name;
        std::vector<std::uint8_t> wrapped;
        crypto::kms::MasterKeyDescription master_key;
        const char* code;
        const char* text;
    };
    auto flipped = key_of(1).wrapped;
    flipped[40] ^= 1;
    auto cut = key_of(1).wrapped;
    cut.pop_back();
    auto long_one = key_of(1).wrapped;
    long_one.push_back(0);
    const crypto::kms::MasterKeyDescription local = crypto::kms::LocalMasterKey{};
    const Case cases[] = {
        {"a changed byte", flipped, local, "hmac_validation_failure",
         "KMS provider `local`: HMAC validation failure"},
        {"a byte less", cut, local, "wrapped_key_length", "KMS provider `local`: "},
        {"a byte more", long_one, local, "wrapped_key_length", "KMS provider `local`: "},
        {"another kind", key_of(1).wrapped, aws_key, "master_key_mismatch",
         "KMS provider `local`: masterKey is of another kind of provider"},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.name);
        Failure failure;
        kms->unwrap("local", c.master_key, c.wrapped, [&](const auto& key) { failure = key.error(); });
        EXPECT_EQ(failure.code, c.code);
        EXPECT_TRUE(failure.text.starts_with(c.text)) << failure.text;
    }
    Failure failure;
    kms->wrap("local", aws_key, std::make_shared<crypto::DataKey>(secret_of(9)),
              [&](const auto& key) { failure = key.error(); });
    EXPECT_EQ(failure.code, "master_key_mismatch");
}

TEST(KmsWords, clients_learn_kind_code_and_status_and_not_the_text) {
    using Kind = Failure::Kind;
    struct Case {
        Failure failure;
        const char* expected;
    };
    const Case cases[] = {
        {{Kind::refused, 400, "AccessDeniedException", "arn:secret"},
         "KMS provider `aws` refuses (AccessDeniedException, HTTP 400)"},
        {{Kind::refused, 403, "", "arn:secret"}, "KMS provider `aws` refuses (HTTP 403)"},
        {{Kind::refused, 0, "not_configured", "x"}, "KMS provider `aws` is not configured"},
        {{Kind::credentials, 401, "x", "y"},
         "KMS provider `aws` does not take fieldgate's credentials (x, HTTP 401)"},
        {{Kind::throttled, 429, "", "y"}, "KMS provider `aws` is asked too often (HTTP 429)"},
        {{Kind::unavailable, 0, "timeout", "10.0.0.1"}, "KMS provider `aws` is not available (timeout)"},
        {{Kind::unavailable, 0, "", "10.0.0.1"}, "KMS provider `aws` is not available"},
        {{Kind::malformed, 200, "not_json", "y"},
         "KMS provider `aws` gave an answer that cannot be used (not_json, HTTP 200)"},
        {{Kind::malformed, 200, "data_key_length", "y"},
         "KMS provider `aws`: decrypted key is incorrect length"},
        {{Kind::refused, 0, "hmac_validation_failure", "y"},
         "KMS provider `aws`: HMAC validation failure: it was not wrapped with the configured master key"},
    };
    for (const Case& c : cases) EXPECT_EQ(client_text("aws", c.failure), c.expected);
}

}  // namespace
}  // namespace fieldgate::keys
