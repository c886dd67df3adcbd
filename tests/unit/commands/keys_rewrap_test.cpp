#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>

#include "tests/unit/commands/rewrap_stand.hpp"

namespace fieldgate::commands {
namespace {

using crypto::kms::AwsMasterKey;
using crypto::kms::KmipMasterKey;
using crypto::kms::LocalMasterKey;
using testing::has;
using testing::PlayedKms;
using testing::Printed;
using testing::secret_of;
using testing::Strings;
using Result = testing::RewrapResult;
using Stand = testing::RewrapStand;
using Kind = PlayedKms::Failure::Kind;

TEST(KeysRewrap, puts_all_keys_under_another_provider) {
    Stand vault;
    const auto before = vault.keys();
    const Result result = vault.rewrap({.filters = {"all"}, .provider = "local:new"});
    EXPECT_EQ(result.code, exit_ok) << result.err;
    EXPECT_EQ(vault.providers(), (Strings{"local:new", "local:new", "local:new"}));
    vault.expect_same_keys();
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(vault.keys()[i].id, before[i].id);
        EXPECT_EQ(vault.keys()[i].alt_names, before[i].alt_names);
        EXPECT_EQ(vault.keys()[i].creation_unix_ms, before[i].creation_unix_ms);
    }
    EXPECT_TRUE(has(result.out, "`one` (01010101-0101-0101-0101-010101010101): rewrapped: local:new\n"))
        << result.out;
    EXPECT_TRUE(has(result.out, "rewrapped 3 of 3 keys\n")) << result.out;
}

TEST(KeysRewrap, afresh_under_their_own_master_keys) {
    Stand vault;
    const auto before = vault.keys();
    const Result result = vault.rewrap({.filters = {"all"}});
    EXPECT_EQ(result.code, exit_ok) << result.err;
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(vault.keys()[i].provider, before[i].provider);
        EXPECT_EQ(vault.keys()[i].master_key, before[i].master_key);
        EXPECT_NE(vault.keys()[i].wrapped, before[i].wrapped);
    }
    vault.expect_same_keys();
}

TEST(KeysRewrap, under_another_master_key_of_a_provider) {
    Stand vault;
    const Result result = vault.rewrap({.filters = {"provider=aws:eu"},
                                        .provider = "aws:eu",
                                        .master_key = R"({"region": "r", "key": "k2"})"});
    EXPECT_EQ(result.code, exit_ok) << result.err;
    EXPECT_EQ(vault.keys()[2].master_key, keys::MasterKeyDescription(AwsMasterKey{"r", "k2", ""}));
    vault.expect_same_keys();
}

TEST(KeysRewrap, kmip_makes_one_key_for_all) {
    Stand vault;
    const Result result = vault.rewrap({.filters = {"all"}, .provider = "kmip"});
    EXPECT_EQ(result.code, exit_ok) << result.err;
    for (const keys::KeyDocument& key : vault.keys())
        EXPECT_EQ(key.master_key, keys::MasterKeyDescription(KmipMasterKey{"made-1", "", false}));
    EXPECT_EQ(vault.kms.calls["made"], 1);
    vault.expect_same_keys();
}

TEST(KeysRewrap, a_dry_run_unwraps_and_changes_nothing) {
    Stand vault;
    const auto before = vault.keys();
    Result result = vault.rewrap({.filters = {"all"}, .provider = "local:new", .dry_run = true});
    EXPECT_EQ(result.code, exit_ok) << result.err;
    EXPECT_EQ(vault.keys(), before);
    EXPECT_FALSE(vault.wrote());
    EXPECT_TRUE(has(result.out, "would be rewrapped: aws:eu -> local:new")) << result.out;
    EXPECT_TRUE(has(result.out, "would rewrap 3 of 3 keys\n")) << result.out;
    EXPECT_EQ(vault.kms.calls["unwrap"], 4) << "the target's proof, and each key";

    result = vault.rewrap({.filters = {"all"}, .provider = "kmip", .dry_run = true});
    EXPECT_EQ(result.code, exit_ok) << result.err;
    EXPECT_EQ(vault.kms.calls["made"], 0) << "a dry run makes no key";
}

TEST(KeysRewrap, repeated_it_does_the_rest) {
    Stand vault;
    // The key vault fails for the second key.
    int updates = 0;
    vault.before = [&](bson::DocumentView command) -> std::optional<bson::Buffer> {
        if (!command.find("update") || ++updates != 2) return std::nullopt;
        return cluster::testing::error_reply(13, "not authorized on encryption");
    };
    Result result = vault.rewrap({.filters = {"all"}, .provider = "local:new", .keys_at_once = 1});
    EXPECT_EQ(result.code, exit_incomplete);
    EXPECT_TRUE(
        has(result.err, "`two` (02020202-0202-0202-0202-020202020202): FAILED: key vault: not authorized"))
        << result.err;
    EXPECT_TRUE(has(result.err, "incomplete: ")) << result.err;
    EXPECT_TRUE(has(result.out, "rewrapped 2 of 3 keys, 1 failed\n")) << result.out;
    EXPECT_EQ(vault.providers(), (Strings{"local:new", "local", "local:new"}));
    vault.expect_same_keys();

    result = vault.rewrap({.filters = {"all"}, .provider = "local:new"});
    EXPECT_EQ(result.code, exit_ok) << result.err;
    EXPECT_TRUE(has(result.out, "rewrapped 1 of 3 keys, 2 there already\n")) << result.out;
    EXPECT_EQ(updates, 4);
    vault.expect_same_keys();
}

TEST(KeysRewrap, sees_a_concurrent_change_and_overwrites_nothing) {
    Stand vault;
    // Somebody else rewraps the first key between our look and our write.
    std::vector<std::uint8_t> theirs;
    int updates = 0;
    vault.before = [&](bson::DocumentView command) -> std::optional<bson::Buffer> {
        if (!command.find("update") || ++updates != 1) return std::nullopt;
        const std::lock_guard lock(vault.mutex);
        auto key = keys::parse_key_document(vault.documents[0]).value();
        key.wrapped = theirs = PlayedKms::wrapped("local", LocalMasterKey{}, secret_of(1));
        vault.documents[0] = keys::build_key_document(key);
        return std::nullopt;
    };
    const Result result = vault.rewrap({.filters = {"all"}, .provider = "local:new"});
    EXPECT_EQ(result.code, exit_incomplete);
    EXPECT_TRUE(has(result.err, "`one` (01010101-0101-0101-0101-010101010101): CONFLICT: somebody else"))
        << result.err;
    EXPECT_TRUE(has(result.out, "rewrapped 2 of 3 keys, 1 changed by somebody else\n")) << result.out;
    EXPECT_EQ(vault.keys()[0].wrapped, theirs);
    vault.expect_same_keys();
}

TEST(KeysRewrap, an_interruption_ends_after_the_key_under_way) {
    Stand vault;
    std::atomic<bool> interrupted{false};
    vault.before = [&](bson::DocumentView command) -> std::optional<bson::Buffer> {
        if (command.find("update")) interrupted = true;
        return std::nullopt;
    };
    const Result result = vault.rewrap(
        {.filters = {"all"}, .provider = "local:new", .keys_at_once = 1, .interrupted = &interrupted});
    EXPECT_EQ(result.code, exit_incomplete);
    EXPECT_TRUE(has(result.err, "interrupted\n")) << result.err;
    EXPECT_TRUE(has(result.out, "rewrapped 1 of 3 keys, 2 not reached\n")) << result.out;
    EXPECT_EQ(vault.providers(), (Strings{"local:new", "local", "aws:eu"}));
}

TEST(KeysRewrap, an_interruption_says_what_it_waits_for) {
    Stand vault;
    std::atomic<bool> interrupted{false};
    std::atomic<bool> has_said{false};
    Printed printed;
    // A key manager that answers only after the command has said that it waits.
    vault.kms.meanwhile = [&](const std::string&) {
        interrupted = true;
        for (int i = 0; i < 2000 && !has_said; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
        EXPECT_TRUE(has_said);
    };
    struct Watching final : std::stringbuf {
        explicit Watching(std::atomic<bool>& said) : has_said(said) {}
        int sync() override {
            if (has(str(), "waiting for what key managers were asked")) has_said = true;
            return 0;
        }
        std::atomic<bool>& has_said;
    } watching(has_said);
    std::ostream err(&watching);
    const RewrapKeys options{.filters = {"all"}, .interrupted = &interrupted};
    EXPECT_EQ(
        rewrap_keys(vault.clinic.file, options, vault.open_kms(), Console{printed.out, err, nullptr, false}),
        exit_incomplete);
    EXPECT_TRUE(has(watching.str(),
                    "interrupted\nwaiting for what key managers were asked; once more ends it at once\n"))
        << watching.str();
    EXPECT_FALSE(vault.wrote());
}

TEST(KeysRewrap, a_key_that_cannot_be_unwrapped_keeps_the_others_from_nothing) {
    Stand vault;
    {
        auto broken = vault.keys()[1];
        broken.wrapped[40] ^= 1;
        vault.documents[1] = keys::build_key_document(broken);
        vault.documents.push_back(bson::from_json(R"({"_id": "x", "keyAltNames": ["junk"]})").value());
    }
    const Result result = vault.rewrap({.filters = {"all"}, .provider = "local:new"});
    EXPECT_EQ(result.code, exit_incomplete);
    EXPECT_TRUE(
        has(result.err, "`two` (02020202-0202-0202-0202-020202020202): FAILED: KMS provider `local`: "))
        << result.err;
    EXPECT_TRUE(has(result.err, "`junk` (no UUID): FAILED: left as it is: _id must be")) << result.err;
    EXPECT_TRUE(has(result.out, "rewrapped 2 of 4 keys, 2 failed\n")) << result.out;
}

TEST(KeysRewrap, touches_nothing_when_the_new_master_key_cannot_be_used) {
    for (const bool refuses : {true, false}) {
        Stand vault;
        const auto before = vault.keys();
        vault.kms.lie = !refuses;
        if (refuses) {
            vault.kms.fail = [](const std::string& call, int) -> std::optional<PlayedKms::Failure> {
                if (call != "wrap") return std::nullopt;
                return PlayedKms::failure("AccessDenied", "local:new", "refuses");
            };
        }
        const Result result = vault.rewrap({.filters = {"all"}, .provider = "local:new"});
        EXPECT_EQ(result.code, exit_unavailable);
        EXPECT_TRUE(has(result.err, refuses ? "KMS provider `local:new`: refuses" : "unwraps to another key"))
            << result.err;
        EXPECT_FALSE(vault.wrote());
        vault.kms.lie = false;
        EXPECT_EQ(vault.keys(), before);
    }
}

TEST(KeysRewrap, what_does_not_unwrap_replaces_nothing) {
    Stand vault;
    const auto before = vault.keys();
    // The proof of each new wrapping fails: calls 2, 4, 6 of unwrap, without a target's proof.
    vault.kms.fail = [](const std::string& call, int number) -> std::optional<PlayedKms::Failure> {
        if (call != "unwrap" || number % 2 != 0) return std::nullopt;
        return PlayedKms::failure("x", "local", "cannot");
    };
    const Result result = vault.rewrap({.filters = {"all"}, .keys_at_once = 1});
    EXPECT_EQ(result.code, exit_incomplete);
    EXPECT_TRUE(has(result.out, "rewrapped 0 of 3 keys, 3 failed\n")) << result.out;
    EXPECT_FALSE(vault.wrote());
    EXPECT_EQ(vault.keys(), before);
}

TEST(KeysRewrap, stops_when_a_key_manager_is_away) {
    Stand vault;
    for (std::uint8_t i = 10; i < 20; ++i) vault.add(i, {});
    vault.kms.fail = [](const std::string& call, int number) -> std::optional<PlayedKms::Failure> {
        if (call != "unwrap" || number < 3) return std::nullopt;  // after the first key
        return PlayedKms::failure("timeout", "local", "no answer", Kind::unavailable);
    };
    const Result result = vault.rewrap({.filters = {"all"}, .keys_at_once = 1});
    EXPECT_EQ(result.code, exit_incomplete);
    EXPECT_TRUE(has(result.err, "stopped: the key manager or the key vault failed 3 times in a row"))
        << result.err;
    EXPECT_TRUE(has(result.out, "rewrapped 1 of 13 keys, 3 failed, 9 not reached\n")) << result.out;
}

// One of several places that swallows packets: every question to it would take its time.
TEST(KeysRewrap, asks_no_key_manager_again_that_did_not_answer) {
    Stand vault;
    vault.add(4, {"four"}, "aws:eu", AwsMasterKey{"r", "k", ""});
    vault.add(5, {"five"});
    vault.add(6, {"six"}, "aws:eu", AwsMasterKey{"another", "k", ""});
    vault.kms.fail = [&](const std::string& call, int) -> std::optional<PlayedKms::Failure> {
        if (call != "unwrap" || vault.kms.calls["unwrap aws:eu"] != 1) return std::nullopt;
        return PlayedKms::failure("timeout", "aws:eu", "no answer", Kind::unavailable);
    };
    const Result result =
        vault.rewrap({.filters = {"provider=aws:eu"}, .provider = "local:new", .keys_at_once = 1});
    EXPECT_EQ(result.code, exit_incomplete);
    EXPECT_EQ(vault.kms.calls["unwrap aws:eu"], 2) << "one for each region";
    EXPECT_TRUE(has(result.err,
                    "`four` (04040404-0404-0404-0404-040404040404): FAILED: KMS provider `aws:eu`: "
                    "no answer (not asked again)\n"))
        << result.err;
    EXPECT_TRUE(has(result.out, "rewrapped 1 of 3 keys, 2 failed\n")) << result.out;
}

TEST(KeysRewrap, asks_about_several_keys_at_once_and_tells_them_in_order) {
    Stand vault;
    for (std::uint8_t i = 10; i < 30; ++i) vault.add(i, {});
    std::mutex mutex;
    std::condition_variable came;
    std::size_t waiting = 0;
    std::size_t most = 0;
    // The first five unwraps wait for each other; the sixth must not begin before one of them is over.
    vault.kms.meanwhile = [&](const std::string& call) {
        if (call != "unwrap") return;
        std::unique_lock lock(mutex);
        most = std::max(most, ++waiting);
        came.notify_all();
        EXPECT_TRUE(came.wait_for(lock, std::chrono::seconds(20), [&] { return most >= 5; }));
        --waiting;
    };
    const Result result = vault.rewrap({.filters = {"provider=local"}, .dry_run = true, .keys_at_once = 5});
    EXPECT_EQ(result.code, exit_ok) << result.err;
    EXPECT_EQ(most, 5U);
    EXPECT_TRUE(has(result.out, "would rewrap 22 of 22 keys\n")) << result.out;
    std::size_t at = 0;
    for (const keys::KeyDocument& key : vault.keys()) {
        if (key.provider != "local") continue;
        const std::size_t found = result.out.find(keys::uuid_text(key.id));
        ASSERT_NE(found, std::string::npos);
        EXPECT_GE(found, at);
        at = found;
    }
}

TEST(KeysRewrap, what_was_asked_about_when_it_stops_is_not_written) {
    Stand vault;
    for (std::uint8_t i = 10; i < 250; ++i) vault.add(i, {});
    std::atomic<bool> interrupted{false};
    vault.before = [&](bson::DocumentView command) -> std::optional<bson::Buffer> {
        if (command.find("update")) interrupted = true;
        return std::nullopt;
    };
    const Result result = vault.rewrap(
        {.filters = {"all"}, .provider = "local:new", .keys_at_once = 8, .interrupted = &interrupted});
    EXPECT_EQ(result.code, exit_incomplete);
    const auto written = std::ranges::count(vault.providers(), "local:new");
    EXPECT_GE(written, 1);
    EXPECT_LE(written, 100) << "one command's worth";
    EXPECT_TRUE(has(result.out, "rewrapped " + std::to_string(written) + " of 243 keys, " +
                                    std::to_string(243 - written) + " not reached\n"))
        << result.out;
    EXPECT_EQ(vault.rewrap({.filters = {"all"}, .provider = "local:new"}).code, exit_ok);
    EXPECT_EQ(std::ranges::count(vault.providers(), "local:new"), 243);
    vault.expect_same_keys();
}

TEST(KeysRewrap, writes_together_what_is_there_together) {
    Stand vault;
    for (std::uint8_t i = 10; i < 250; ++i) vault.add(i, {});
    std::atomic<int> updates{0};
    // While the first is being written, the key managers get ahead.
    vault.before = [&](bson::DocumentView command) -> std::optional<bson::Buffer> {
        if (command.find("update") && ++updates == 1)
            std::this_thread::sleep_for(std::chrono::milliseconds(300));
        return std::nullopt;
    };
    const Result result = vault.rewrap({.filters = {"all"}, .provider = "local:new", .keys_at_once = 200});
    EXPECT_EQ(result.code, exit_ok) << result.err;
    EXPECT_TRUE(has(result.out, "rewrapped 243 of 243 keys\n")) << result.out;
    EXPECT_EQ(std::ranges::count(vault.providers(), "local:new"), 243);
    EXPECT_LT(updates, 60);
    vault.expect_same_keys();
    std::size_t at = 0;
    for (const keys::KeyDocument& key : vault.keys()) {
        const std::size_t found = result.out.find(keys::uuid_text(key.id));
        ASSERT_NE(found, std::string::npos);
        EXPECT_GE(found, at);
        at = found;
    }
}

TEST(KeysRewrap, tells_a_conflict_among_keys_that_are_written_together) {
    Stand vault;
    for (std::uint8_t i = 10; i < 40; ++i) vault.add(i, {});
    // Before anything is written, somebody deletes one key and rewraps another.
    std::atomic<int> updates{0};
    vault.before = [&](bson::DocumentView command) -> std::optional<bson::Buffer> {
        if (!command.find("update") || ++updates != 1) return std::nullopt;
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        const std::lock_guard lock(vault.mutex);
        auto key = keys::parse_key_document(vault.documents[20]).value();
        key.wrapped = PlayedKms::wrapped("local", LocalMasterKey{}, secret_of(key.id.bytes[0]));
        vault.documents[20] = keys::build_key_document(key);
        vault.documents.erase(vault.documents.begin() + 25);
        return std::nullopt;
    };
    const Result result = vault.rewrap({.filters = {"all"}, .provider = "local:new", .keys_at_once = 40});
    EXPECT_EQ(result.code, exit_incomplete);
    EXPECT_TRUE(has(result.out, "rewrapped 31 of 33 keys, 2 changed by somebody else\n")) << result.out;
    for (const char* id : {"1b1b1b1b-1b1b-1b1b-1b1b-1b1b1b1b1b1b", "20202020-2020-2020-2020-202020202020"})
        EXPECT_TRUE(has(result.err, std::string(id) + ": CONFLICT: somebody else changed or deleted it"))
            << result.err;
    vault.expect_same_keys();
}

TEST(KeysRewrap, stops_when_the_key_vault_refuses) {
    Stand vault;
    for (std::uint8_t i = 10; i < 40; ++i) vault.add(i, {});
    vault.before = [&](bson::DocumentView command) -> std::optional<bson::Buffer> {
        if (!command.find("update")) return std::nullopt;
        return cluster::testing::error_reply(13, "not authorized on encryption");
    };
    const Result result = vault.rewrap({.filters = {"all"}, .provider = "local:new", .keys_at_once = 1});
    EXPECT_EQ(result.code, exit_incomplete);
    EXPECT_TRUE(has(result.err, "stopped: the key manager or the key vault failed 3 times in a row"))
        << result.err;
    EXPECT_TRUE(has(result.out, "rewrapped 0 of 33 keys, 3 failed, 30 not reached\n")) << result.out;
}

TEST(KeysRewrap, shows_progress_on_a_terminal) {
    Stand vault;
    const Result result = vault.rewrap({.filters = {"all"}, .provider = "local:new"}, true);
    EXPECT_EQ(result.code, exit_ok);
    EXPECT_TRUE(has(result.err, "\r1 of 3 keys\r2 of 3 keys\r3 of 3 keys\r\x1b[K")) << result.err;
    EXPECT_EQ(result.out, "rewrapped 3 of 3 keys\n");
}

}  // namespace
}  // namespace fieldgate::commands
