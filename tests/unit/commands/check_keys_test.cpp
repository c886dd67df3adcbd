#include <gtest/gtest.h>

#include "tests/unit/commands/key_vault_stand.hpp"

namespace fieldgate::commands {
namespace {

using cluster::testing::error_reply;
using testing::PlayedKms;
using testing::Printed;
using testing::replace_in;
using testing::VaultStand;

bool says(const std::ostringstream& stream, const std::string& text) {
    return stream.str().find(text) != std::string::npos;
}

constexpr const char* aws_static =
    "  \"aws:eu\": { access_key_id: a, secret_access_key: s }\n  \"aws:us\": { access_key_id: a, "
    "secret_access_key: s }\n";

// Of patients, say. Whoever replaces a master key's file is to hear of it before the patients do.
TEST(CheckKeys, tries_keys_that_no_schema_names) {
    VaultStand vault;
    vault.add_providers(aws_static);
    vault.add(7, {"clinic"});
    vault.add(8, {"patient-1"}, "aws:eu", crypto::kms::AwsMasterKey{"r", "one", ""});
    vault.add(9, {"patient-2"}, "aws:eu", crypto::kms::AwsMasterKey{"r", "one", ""});
    Printed sound;
    EXPECT_EQ(check(vault.clinic.file, true, vault.open_kms(), sound.console()), exit_ok) << sound.err.str();
    EXPECT_TRUE(says(sound.out, "KMS provider `local`: unwraps keys of the key vault (tried: 1 of 1)\n"))
        << sound.out.str();
    EXPECT_TRUE(says(sound.out, "KMS provider `aws:eu`: unwraps keys of the key vault (tried: 1 of 2)\n"))
        << sound.out.str();

    for (std::uint8_t i = 0; i < 7; ++i) {
        keys::KeyDocument lost;
        lost.id.bytes.fill(i + 20);
        lost.wrapped = PlayedKms::wrapped("local:lost", crypto::kms::LocalMasterKey{}, testing::secret_of(9));
        lost.provider = "local";
        vault.documents.push_back(keys::build_key_document(lost));
    }
    Printed printed;
    EXPECT_EQ(check(vault.clinic.file, true, vault.open_kms(), printed.console()), exit_configuration);
    for (const char* line : {"FAILED  key 14141414-1414-1414-1414-141414141414: KMS provider `local`: HMAC",
                             "FAILED  key 18181818-1818-1818-1818-181818181818: KMS provider `local`: HMAC",
                             "(it was made with another master key"}) {
        EXPECT_TRUE(says(printed.err, line)) << line << "\n" << printed.err.str();
    }
    EXPECT_FALSE(says(printed.err, "19191919-1919")) << "five of them: " << printed.err.str();
    EXPECT_FALSE(says(printed.out, "`local`: unwraps keys")) << printed.out.str();
    EXPECT_TRUE(says(printed.out, "`aws:eu`: unwraps keys")) << printed.out.str();
}

// It would be waited for once more for each of its keys.
TEST(CheckKeys, tries_no_keys_of_a_provider_that_does_not_work) {
    VaultStand vault;
    vault.add(7, {"patient-1"});
    vault.kms.fail = [](const std::string& call, int) -> std::optional<PlayedKms::Failure> {
        if (call != "wrap") return std::nullopt;
        return PlayedKms::failure("timeout", "local", "no answer", PlayedKms::Failure::Kind::unavailable);
    };
    Printed printed;
    EXPECT_EQ(check(vault.clinic.file, true, vault.open_kms(), printed.console()), exit_configuration);
    EXPECT_EQ(vault.kms.calls["unwrap"], 0);
}

// They may be another installation's, or the rest of a rotation whose old provider was taken away too early.
TEST(CheckKeys, warns_of_documents_that_this_configuration_cannot_use) {
    VaultStand vault;
    vault.add(7, {"clinic"});
    vault.add(8, {}, "aws:old", crypto::kms::AwsMasterKey{"r", "one", ""});
    vault.add(9, {}, "aws:old", crypto::kms::AwsMasterKey{"r", "one", ""});
    vault.add(10, {}, "gcp", crypto::kms::GcpMasterKey{"p", "l", "r", "k", "", ""});
    vault.documents.push_back(bson::from_json(R"({"_id": "x", "keyAltNames": ["junk"]})").value());
    Printed printed;
    EXPECT_EQ(check(vault.clinic.file, true, vault.open_kms(), printed.console()), exit_ok);
    for (const char* line : {"warning KMS provider `aws:old` is not configured: 2 keys are under it, and "
                             "what was encrypted with that "
                             "cannot be read\n",
                             "warning KMS provider `gcp` is not configured: 1 key is under it",
                             "warning key vault encryption.__keyVault: documents that are no keys: 1, the "
                             "first is `junk` (no UUID): "
                             "_id must be a UUID"}) {
        EXPECT_TRUE(says(printed.err, line)) << line << "\n" << printed.err.str();
    }
}

// Each question to one that swallows packets takes its time.
TEST(CheckKeys, asks_no_key_manager_again_that_was_away) {
    VaultStand vault;
    vault.add_providers(aws_static);
    vault.add(7, {"clinic"}, "aws:eu", crypto::kms::AwsMasterKey{"r", "one", ""});
    vault.add(8, {}, "aws:eu", crypto::kms::AwsMasterKey{"r", "two", ""});
    vault.add(9, {}, "aws:eu", crypto::kms::AwsMasterKey{"another", "three", ""});
    vault.kms.fail = [&](const std::string& call, int) -> std::optional<PlayedKms::Failure> {
        if (call != "wrap" || vault.kms.calls["wrap aws:eu"] != 1) return std::nullopt;
        return PlayedKms::failure("timeout", "aws:eu", "no answer", PlayedKms::Failure::Kind::unavailable);
    };
    Printed printed;
    EXPECT_EQ(check(vault.clinic.file, true, vault.open_kms(), printed.console()), exit_unavailable);
    EXPECT_EQ(vault.kms.calls["wrap aws:eu"], 2) << "one for each region";
    for (const char* line : {"KMS provider `aws:eu`: no answer (under r one)\n",
                             "KMS provider `aws:eu`: no answer (not asked again) (under r two)\n",
                             "key named `clinic`: KMS provider `aws:eu`: no answer (not asked again)\n"}) {
        EXPECT_TRUE(says(printed.err, line)) << line << "\n" << printed.err.str();
    }
    EXPECT_TRUE(says(printed.out, "KMS provider `aws:eu`: unwraps what it wraps under another three\n"))
        << printed.out.str();
}

// What it says of one key says nothing of the next.
TEST(CheckKeys, asks_a_key_manager_again_that_refused) {
    VaultStand vault;
    vault.add_providers(aws_static);
    vault.add(7, {"clinic"}, "aws:eu", crypto::kms::AwsMasterKey{"r", "one", ""});
    vault.add(8, {}, "aws:eu", crypto::kms::AwsMasterKey{"r", "two", ""});
    vault.kms.fail = [&](const std::string& call, int) -> std::optional<PlayedKms::Failure> {
        if (call != "wrap" || vault.kms.calls["wrap aws:eu"] != 1) return std::nullopt;
        return PlayedKms::failure("DisabledException", "aws:eu", "refuses");
    };
    Printed printed;
    EXPECT_EQ(check(vault.clinic.file, true, vault.open_kms(), printed.console()), exit_unavailable);
    EXPECT_TRUE(says(printed.out, "KMS provider `aws:eu`: unwraps what it wraps under r two\n"))
        << printed.out.str();
    EXPECT_TRUE(says(printed.out, "key named `clinic`: is ")) << printed.out.str();
}

TEST(CheckKeys, proves_each_provider_with_the_master_keys_that_documents_name) {
    VaultStand vault;
    vault.add_providers(aws_static);
    vault.add(7, {"clinic"});
    vault.add(8, {}, "aws:eu", crypto::kms::AwsMasterKey{"r", "one", ""});
    vault.add(9, {}, "aws:eu", crypto::kms::AwsMasterKey{"r", "one", ""});
    vault.add(10, {}, "aws:eu", crypto::kms::AwsMasterKey{"r", "two", ""});
    Printed printed;
    EXPECT_EQ(check(vault.clinic.file, true, vault.open_kms(), printed.console()), exit_ok)
        << printed.err.str();
    for (const char* line : {"KMS provider `aws:eu`: unwraps what it wraps under r one",
                             "KMS provider `aws:eu`: unwraps what it wraps under r two",
                             "KMS provider `aws:us`: no key in the key vault uses it yet; there was nothing "
                             "to try it with",
                             "KMS provider `local`: unwraps what it wraps\n"}) {
        EXPECT_TRUE(says(printed.out, line)) << line << "\n" << printed.out.str();
    }
    EXPECT_EQ(vault.kms.calls["wrap aws:eu"], 2);
    EXPECT_FALSE(vault.wrote());
}

TEST(CheckKeys, tries_no_more_than_five_master_keys_of_a_provider) {
    VaultStand vault;
    vault.add_providers(aws_static);
    vault.add(7, {"clinic"});
    for (std::uint8_t i = 0; i < 8; ++i)
        vault.add(i + 20, {}, "aws:eu",
                  crypto::kms::AwsMasterKey{"r", std::string(1, static_cast<char>('a' + i)), ""});
    Printed printed;
    EXPECT_EQ(check(vault.clinic.file, true, vault.open_kms(), printed.console()), exit_ok);
    EXPECT_EQ(vault.kms.calls["wrap aws:eu"], 5);
}

constexpr const char* aws_with_list =
    "  \"aws:eu\":\n    access_key_id: a\n    secret_access_key: s\n    master_keys:\n"
    "      - { region: r, key: one }\n      - { region: r, key: two }\n";

TEST(CheckKeys, proves_each_master_key_that_is_listed) {
    VaultStand vault;
    vault.add_providers(aws_with_list);
    vault.add(7, {"clinic"});
    vault.add(8, {}, "aws:eu", crypto::kms::AwsMasterKey{"r", "one", ""});
    Printed printed;
    EXPECT_EQ(check(vault.clinic.file, true, vault.open_kms(), printed.console()), exit_ok)
        << printed.err.str();
    for (const char* line : {"KMS provider `aws:eu`: unwraps what it wraps under r one\n",
                             "KMS provider `aws:eu`: unwraps what it wraps under r two\n"}) {
        EXPECT_TRUE(says(printed.out, line)) << line << "\n" << printed.out.str();
    }
    EXPECT_EQ(vault.kms.calls["wrap aws:eu"], 2);

    vault.kms.fail = [](const std::string& call, int number) -> std::optional<PlayedKms::Failure> {
        if (call != "wrap" || number != 4) return std::nullopt;
        return PlayedKms::failure("NotFoundException", "aws:eu", "no such key");
    };
    Printed again;
    EXPECT_EQ(check(vault.clinic.file, true, vault.open_kms(), again.console()), exit_unavailable);
    EXPECT_TRUE(says(again.err, "FAILED  KMS provider `aws:eu`: no such key (under r one)\n"))
        << again.err.str();
}

TEST(CheckKeys, proves_every_one_of_a_long_list_and_needs_no_key_vault_for_it) {
    VaultStand vault;
    std::string list;
    for (int i = 0; i < 8; ++i) list += "      - { keyName: k" + std::to_string(i) + " }\n";
    vault.add_providers("  vault:\n    address: \"https://v\"\n    token: t\n    master_keys:\n" + list);
    vault.before = [](bson::DocumentView command) -> std::optional<bson::Buffer> {
        if (!command.find("find")) return std::nullopt;
        return error_reply(13, "not authorized on encryption");
    };
    Printed printed;
    EXPECT_EQ(check(vault.clinic.file, true, vault.open_kms(), printed.console()), exit_unavailable);
    EXPECT_EQ(vault.kms.calls["wrap vault"], 8);
    EXPECT_EQ(vault.kms.calls["login vault"], 0);
    EXPECT_TRUE(says(printed.out, "KMS provider `vault`: unwraps what it wraps under transit/k7\n"))
        << printed.out.str();
}

TEST(CheckKeys, names_keys_whose_master_key_is_not_listed) {
    VaultStand vault;
    vault.add_providers(aws_with_list);
    vault.add(7, {"clinic"});
    vault.add(8, {"planted"}, "aws:eu", crypto::kms::AwsMasterKey{"r", "three", ""});
    vault.add(9, {"again"}, "aws:eu", crypto::kms::AwsMasterKey{"r", "three", ""});
    for (std::uint8_t i = 0; i < 8; ++i)
        vault.add(i + 20, {}, "aws:eu",
                  crypto::kms::AwsMasterKey{"r", std::string(1, static_cast<char>('a' + i)), ""});
    Printed printed;
    EXPECT_EQ(check(vault.clinic.file, true, vault.open_kms(), printed.console()), exit_configuration);
    EXPECT_TRUE(
        says(printed.err,
             "FAILED  key `planted` (08080808-0808-0808-0808-080808080808): KMS provider `aws:eu`: the "
             "master key 'r three' is not one of kms_providers.aws:eu.master_keys; its key is another "
             "than that of the entry most like it. Add it there if fieldgate may use it\n"))
        << printed.err.str();
    EXPECT_FALSE(says(printed.err, "`again`")) << "once for each master key";
    EXPECT_TRUE(says(printed.err, "'r d'")) << printed.err.str();
    EXPECT_FALSE(says(printed.err, "'r e'")) << "five of them";
    EXPECT_EQ(vault.kms.calls["wrap aws:eu"], 2) << "only those that are listed are asked about";
    EXPECT_TRUE(says(printed.out, "unwraps what it wraps under r one\n")) << printed.out.str();
}

TEST(CheckKeys, logs_in_where_there_is_no_master_key_to_try) {
    VaultStand vault;
    vault.add_providers("  aws: {}\n  vault: { address: \"https://v\", token: t }\n");
    vault.add(7, {"clinic"});
    Printed printed;
    EXPECT_EQ(check(vault.clinic.file, true, vault.open_kms(), printed.console()), exit_ok)
        << printed.err.str();
    for (const char* provider : {"aws", "vault"}) {
        EXPECT_TRUE(says(printed.out, std::string("KMS provider `") + provider +
                                          "`: no key in the key vault uses it yet; its credentials were "
                                          "proved by login only"))
            << printed.out.str();
        EXPECT_EQ(vault.kms.calls[std::string("login ") + provider], 1);
    }

    vault.kms.fail = [](const std::string& call, int) -> std::optional<PlayedKms::Failure> {
        if (call != "login") return std::nullopt;
        return PlayedKms::failure("no", "vault", "refuses", PlayedKms::Failure::Kind::credentials);
    };
    Printed again;
    EXPECT_EQ(check(vault.clinic.file, true, vault.open_kms(), again.console()), exit_unavailable);
    EXPECT_TRUE(says(again.err, "FAILED  KMS provider `vault`: refuses")) << again.err.str();
}

TEST(CheckKeys, says_which_provider_does_not_work) {
    VaultStand vault;
    vault.add(7, {"clinic"});
    vault.kms.fail = [](const std::string& call, int) -> std::optional<PlayedKms::Failure> {
        if (call != "wrap") return std::nullopt;
        return PlayedKms::failure("timeout", "local", "no answer", PlayedKms::Failure::Kind::unavailable);
    };
    Printed printed;
    EXPECT_EQ(check(vault.clinic.file, true, vault.open_kms(), printed.console()), exit_unavailable);
    EXPECT_TRUE(says(printed.err, "FAILED  KMS provider `local`: no answer")) << printed.err.str();

    VaultStand liar;
    liar.add(7, {"clinic"});
    liar.kms.lie = true;
    Printed again;
    EXPECT_EQ(check(liar.clinic.file, true, liar.open_kms(), again.console()), exit_unavailable);
    EXPECT_TRUE(says(again.err, "unwraps to another key than it wrapped")) << again.err.str();
}

TEST(CheckKeys, a_schemas_key_must_be_one_that_can_be_used) {
    struct Case {
        const char* name;
        std::function<void(VaultStand&)> fill;
        const char* expected;
        int code;
    };
    const Case cases[] = {
        {"twice",
         [](VaultStand& v) {
             v.add(7, {"clinic"});
             v.add(8, {"clinic"});
         },
         "key named `clinic`: several keys in encryption.__keyVault are it", exit_configuration},
        {"no key document",
         [](VaultStand& v) {
             v.documents.push_back(bson::from_json(R"({"_id": 1, "keyAltNames": ["clinic"]})").value());
         },
         "key named `clinic`: its document cannot be used: _id must be a UUID", exit_configuration},
        {"another provider",
         [](VaultStand& v) { v.add(7, {"clinic"}, "aws", crypto::kms::AwsMasterKey{"r", "k", ""}); },
         "key named `clinic`: KMS provider `aws` is not configured", exit_configuration},
        {"a key manager that is away",
         [](VaultStand& v) {
             v.add(7, {"clinic"});
             v.kms.fail = [](const std::string& call, int number) -> std::optional<PlayedKms::Failure> {
                 if (call != "unwrap" || number < 2) return std::nullopt;
                 return PlayedKms::failure("timeout", "local", "no answer",
                                           PlayedKms::Failure::Kind::unavailable);
             };
         },
         "key named `clinic`: KMS provider `local`: no answer", exit_unavailable},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.name);
        VaultStand vault;
        c.fill(vault);
        Printed printed;
        EXPECT_EQ(check(vault.clinic.file, true, vault.open_kms(), printed.console()), c.code);
        EXPECT_TRUE(says(printed.err, c.expected)) << printed.err.str();
    }
}

}  // namespace
}  // namespace fieldgate::commands
