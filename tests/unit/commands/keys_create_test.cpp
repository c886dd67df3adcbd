#include <gtest/gtest.h>

#include "proxy/commands/key_vault_access.hpp"
#include "tests/unit/commands/key_vault_stand.hpp"

namespace fieldgate::commands {
namespace {

using testing::Initialised;
using testing::PlayedKms;
using testing::Printed;
using testing::replace_in;
using testing::secret_of;
using testing::VaultStand;
using testing::write_file;

constexpr const char* more_providers =
    "  \"aws:eu\": { access_key_id: a, secret_access_key: s }\n"
    "  kmip: { endpoint: \"k.example:5696\", tls: { certificate_key_file: master-key.bin } }\n";

bool says(const std::ostringstream& stream, const std::string& text) {
    return stream.str().find(text) != std::string::npos;
}

int create(VaultStand& vault, const CreateKey& options, Printed& printed) {
    return create_key(vault.clinic.file, options, vault.open_kms(), printed.console());
}

TEST(KeysCreate, stores_a_wrapped_key_and_prints_its_uuid) {
    VaultStand vault;
    Printed printed;
    ASSERT_EQ(create(vault, {.alt_names = {"clinic", "second"}}, printed), exit_ok) << printed.err.str();
    const std::string uuid = printed.out.str();
    EXPECT_EQ(uuid.size(), 37u);
    EXPECT_EQ(uuid[14], '4') << "a random UUID";
    const auto keys = vault.keys();
    ASSERT_EQ(keys.size(), 1u);
    EXPECT_EQ(keys::uuid_text(keys[0].id) + "\n", uuid);
    EXPECT_EQ(keys[0].alt_names, (std::vector<std::string>{"clinic", "second"}));
    EXPECT_EQ(keys[0].provider, "local");
    EXPECT_EQ(keys[0].status, 0);
    EXPECT_EQ(keys[0].creation_unix_ms, keys[0].update_unix_ms);
    EXPECT_LT(now_unix_ms() - keys[0].creation_unix_ms, 60'000);
    EXPECT_TRUE(vault.kms.unwrap("local", keys[0].master_key, keys[0].wrapped));
    EXPECT_NE(vault.sent("createIndexes"), "");
}

TEST(KeysCreate, with_a_key_of_another_provider) {
    VaultStand vault;
    vault.add_providers(more_providers);
    Printed printed;
    ASSERT_EQ(create(vault,
                     {.provider = "aws:eu",
                      .master_key = R"({"provider": "aws:eu", "region": "eu-west-1", "key": "alias/x"})"},
                     printed),
              exit_ok)
        << printed.err.str();
    EXPECT_EQ(vault.keys().at(0).provider, "aws:eu");
    EXPECT_EQ(vault.keys().at(0).master_key,
              keys::MasterKeyDescription(crypto::kms::AwsMasterKey{"eu-west-1", "alias/x", ""}));

    ASSERT_EQ(create(vault, {.provider = "kmip"}, printed), exit_ok) << printed.err.str();
    EXPECT_EQ(vault.keys().at(1).master_key,
              keys::MasterKeyDescription(crypto::kms::KmipMasterKey{"made-1", "", false}))
        << "as the key manager named it";
}

TEST(KeysCreate, stores_nothing_that_does_not_unwrap) {
    for (const bool refuses : {true, false}) {
        VaultStand vault;
        vault.kms.lie = !refuses;
        if (refuses) {
            vault.kms.fail = [](const std::string& call, int) -> std::optional<PlayedKms::Failure> {
                if (call != "unwrap") return std::nullopt;
                return PlayedKms::failure("AccessDenied", "local", "may not decrypt");
            };
        }
        Printed printed;
        EXPECT_EQ(create(vault, {.alt_names = {"clinic"}}, printed), exit_unavailable);
        EXPECT_TRUE(says(printed.err, refuses
                                          ? "KMS provider `local`: may not decrypt (no key was created)"
                                          : "unwraps to another key than it wrapped (no key was created)"))
            << printed.err.str();
        EXPECT_EQ(printed.out.str(), "");
        EXPECT_EQ(vault.sent("insert"), "");
    }
}

// The other keys are of the file that this one replaced, and would be lost for one configuration or the
// other.
TEST(KeysCreate, warns_when_no_key_of_local_is_of_its_master_key) {
    VaultStand vault;
    const auto add_lost = [&](std::uint8_t fill) {
        keys::KeyDocument lost;
        lost.id.bytes.fill(fill);
        lost.wrapped = PlayedKms::wrapped("local:lost", crypto::kms::LocalMasterKey{}, secret_of(fill));
        lost.provider = "local";
        vault.documents.push_back(keys::build_key_document(lost));
    };
    add_lost(20);
    add_lost(21);
    Printed printed;
    EXPECT_EQ(create(vault, {.alt_names = {"clinic"}}, printed), exit_ok);
    EXPECT_EQ(
        printed.err.str(),
        "warning: the master key of KMS provider `local` unwraps none of its keys in encryption.__keyVault "
        "(tried: 2): if its key_file was replaced, put the right one back, or give this one a provider of "
        "its own: \"local:new\"\n");
    // Now one of them is.
    Printed again;
    EXPECT_EQ(create(vault, {.alt_names = {"second"}}, again), exit_ok);
    EXPECT_EQ(again.err.str(), "");
}

TEST(KeysCreate, the_only_provider_needs_no_name) {
    VaultStand vault;
    replace_in(vault.clinic.file, "local: {", "\"local:x\": {");
    Printed printed;
    EXPECT_EQ(create(vault, {}, printed), exit_ok) << printed.err.str();
    EXPECT_EQ(vault.keys().at(0).provider, "local:x");
}

TEST(KeysCreate, refuses_providers_and_master_keys_that_do_not_fit) {
    VaultStand vault;
    vault.add_providers(more_providers);
    struct Case {
        CreateKey options;
        int code;
        const char* expected;
    };
    const Case cases[] = {
        {{.provider = "aws"},
         exit_configuration,
         "KMS provider `aws` is not configured (configured: aws:eu, kmip, local)"},
        {{.provider = "aws:eu"},
         exit_usage,
         R"(--master-key: `aws:eu` needs one: --master-key '{"region": "eu-west-1", "key": "arn:aws:kms:..."}')"},
        {{.provider = "aws:eu", .master_key = "{"}, exit_usage, "--master-key: must be JSON"},
        {{.provider = "aws:eu", .master_key = R"({"region": "r"})"},
         exit_usage,
         "--master-key: masterKey lacks a field that its provider needs (key)"},
        {{.provider = "aws:eu", .master_key = R"({"region": "r", "key": "k", "endpoint": "x"})"},
         exit_usage,
         "(endpoint)"},
        {{.provider = "aws:eu", .master_key = R"({"provider": "aws", "region": "r", "key": "k"})"},
         exit_usage,
         "its provider is not the one of --provider"},
        {{.provider = "local", .master_key = R"({"key": "k"})"},
         exit_usage,
         "masterKey has a field that its provider does not have (key): {}"},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.expected);
        Printed printed;
        EXPECT_EQ(create(vault, c.options, printed), c.code);
        EXPECT_TRUE(says(printed.err, c.expected)) << printed.err.str();
    }
    EXPECT_TRUE(vault.server.commands().empty());

    replace_in(vault.clinic.file, "  local: {", "  \"local:x\": {");
    Printed printed;
    EXPECT_EQ(create(vault, {}, printed), exit_usage);
    EXPECT_TRUE(says(printed.err, "--provider: say which KMS wraps the key")) << printed.err.str();
}

TEST(KeysCreate, refuses_a_master_key_that_is_not_listed) {
    VaultStand vault;
    vault.add_providers(
        "  \"aws:eu\":\n    access_key_id: a\n    secret_access_key: s\n    master_keys: [{ region: r, key: "
        "k }]\n"
        "  kmip: { endpoint: \"k.example:5696\", tls: { certificate_key_file: master-key.bin }, master_keys: "
        "[{ "
        "keyId: 12 }] }\n");
    struct Case {
        CreateKey options;
        const char* expected;
    };
    const Case cases[] = {
        {{.provider = "aws:eu", .master_key = R"({"region": "r", "key": "l"})"},
         "--master-key: KMS provider `aws:eu`: the master key 'r l' is not one of "
         "kms_providers.aws:eu.master_keys; its key is another than that of the entry most like it. Add it "
         "there if fieldgate may use it\n"},
        {{.provider = "kmip"},
         "--master-key: KMS provider `kmip`: without keyId the wrapping would make a master key, and only "
         "those "
         "in kms_providers.kmip.master_keys may be used: name the keyId of one of them\n"},
        {{.provider = "kmip", .master_key = R"({"keyId": "13"})"}, "the master key '13' is not one of"},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.expected);
        Printed printed;
        EXPECT_EQ(create(vault, c.options, printed), exit_configuration);
        EXPECT_TRUE(says(printed.err, c.expected)) << printed.err.str();
        EXPECT_EQ(printed.out.str(), "");
    }
    EXPECT_TRUE(vault.server.commands().empty());
    EXPECT_TRUE(vault.kms.calls.empty());

    for (const CreateKey& options :
         {CreateKey{.provider = "aws:eu", .master_key = R"({"region": "r", "key": "k"})"},
          CreateKey{.provider = "kmip", .master_key = R"({"keyId": "12"})"},
          CreateKey{.provider = "local"}}) {
        Printed printed;
        EXPECT_EQ(create(vault, options, printed), exit_ok) << printed.err.str();
    }
    EXPECT_EQ(vault.keys().size(), 3u);
}

TEST(KeysCreate, restores_a_key_from_its_material) {
    VaultStand vault;
    const std::string uuid = "01234567-89ab-4def-8123-456789abcdef";
    const auto file = vault.clinic.directory.path() / "key";
    for (const std::string& text : {std::string(96, 'x'), std::string(128, 'A') + "\n"}) {
        write_file(file, text);
        vault.documents.clear();
        Printed printed;
        ASSERT_EQ(create(vault, {.alt_names = {"clinic"}, .key_material = file, .id = uuid}, printed),
                  exit_ok)
            << printed.err.str();
        EXPECT_EQ(printed.out.str(), uuid + "\n");
        const auto key = vault.keys().at(0);
        const auto unwrapped = vault.kms.unwrap("local", key.master_key, key.wrapped);
        EXPECT_EQ(*unwrapped, secret_of(text.size() == 96 ? 'x' : 0));
    }
    Printed again;
    EXPECT_EQ(create(vault, {.key_material = file, .id = uuid}, again), exit_configuration);
    EXPECT_TRUE(says(again.err, "key " + uuid + " exists already in encryption.__keyVault"));
    EXPECT_EQ(vault.keys().size(), 1u);
    Printed fresh;
    EXPECT_EQ(create(vault, {.key_material = file}, fresh), exit_ok) << "with a UUID of its own";
    EXPECT_EQ(vault.keys().size(), 2u);
}

TEST(KeysCreate, refuses_key_material_that_is_none) {
    VaultStand vault;
    const auto file = vault.clinic.directory.path() / "key";
    write_file(file, std::string(95, 'x'));
    struct Case {
        CreateKey options;
        int code;
        std::string expected;
    };
    const Case cases[] = {
        {{.key_material = file}, exit_configuration, file.string() + ": key material is 96 bytes"},
        {{.key_material = "/nonexistent"}, exit_configuration, "/nonexistent: "},
        {{.id = "01234567-89ab-4def-8123-456789abcdef"}, exit_usage, "--id: only with --key-material"},
        {{.key_material = file, .id = "7"}, exit_usage, "--id: must be a UUID"},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.expected);
        Printed printed;
        EXPECT_EQ(create(vault, c.options, printed), c.code);
        EXPECT_TRUE(says(printed.err, c.expected)) << printed.err.str();
    }
    EXPECT_TRUE(vault.server.commands().empty());
}

TEST(KeysCreate, refuses_a_name_that_exists_and_says_the_ways_out) {
    VaultStand vault;
    vault.add(7, {"clinic"});
    Printed printed;
    EXPECT_EQ(create(vault, {.alt_names = {"new", "clinic"}}, printed), exit_configuration);
    EXPECT_TRUE(says(printed.err, "a key named `clinic` exists already in encryption.__keyVault: 07070707-"))
        << printed.err.str();
    EXPECT_TRUE(
        says(printed.err, "a key vault of its own: key_vault.namespace in " + vault.clinic.file.string()))
        << printed.err.str();
    EXPECT_FALSE(vault.wrote());
    EXPECT_EQ(vault.kms.calls["wrap"], 0) << "KMIP would have made a key";
    EXPECT_EQ(printed.out.str(), "");
}

TEST(KeysCreate, refuses_a_name_that_appears_at_the_same_moment) {
    VaultStand vault;
    vault.before = [](bson::DocumentView command) -> std::optional<bson::Buffer> {
        if (!command.find("insert")) return std::nullopt;
        return cluster::testing::error_reply(11000, "E11000 duplicate key error");
    };
    Printed printed;
    EXPECT_EQ(create(vault, {.alt_names = {"clinic"}}, printed), exit_configuration);
    EXPECT_TRUE(says(printed.err, "exists already")) << printed.err.str();
    EXPECT_EQ(printed.out.str(), "");
}

TEST(KeysCreate, warns_when_names_cannot_be_kept_unique) {
    VaultStand vault;
    vault.before = [](bson::DocumentView command) -> std::optional<bson::Buffer> {
        if (!command.find("createIndexes")) return std::nullopt;
        return cluster::testing::error_reply(13, "not authorized to index");
    };
    Printed printed;
    EXPECT_EQ(create(vault, {.alt_names = {"clinic"}}, printed), exit_ok);
    EXPECT_TRUE(says(printed.err, "warning: no unique index over keyAltNames")) << printed.err.str();
}

TEST(KeysCreate, refuses_names_that_are_none) {
    VaultStand vault;
    struct Case {
        std::vector<std::string> names;
        const char* expected;
    };
    for (const Case& c :
         {Case{{""}, "cannot be empty"}, Case{{"a\x80"}, "must be UTF-8"}, Case{{"a", "a"}, "twice"},
          Case{{"07070707-0707-0707-0707-070707070707"}, "a name that is a UUID"},
          Case{{std::string(513, 'a')}, "512 bytes at most"}}) {
        Printed printed;
        EXPECT_EQ(create(vault, {.alt_names = c.names}, printed), exit_usage);
        EXPECT_TRUE(says(printed.err, c.expected)) << printed.err.str();
    }
    EXPECT_TRUE(vault.server.commands().empty());
}

TEST(KeysCreate, stores_nothing_when_the_key_manager_does_not_wrap) {
    VaultStand vault;
    vault.kms.fail = [](const std::string&, int) {
        return PlayedKms::failure("timeout", "local", "no answer", PlayedKms::Failure::Kind::unavailable);
    };
    Printed printed;
    EXPECT_EQ(create(vault, {}, printed), exit_unavailable);
    EXPECT_TRUE(says(printed.err, "KMS provider `local`: no answer"));
    EXPECT_FALSE(vault.wrote());
}

TEST(KeysCreate, says_when_key_files_cannot_be_read) {
    VaultStand vault;
    Printed printed;
    EXPECT_EQ(create_key(
                  vault.clinic.file, {},
                  [](const config::Config&) -> std::unique_ptr<KeyManagers> {
                      throw std::runtime_error("KMS provider `x`: y.pem");
                  },
                  printed.console()),
              exit_configuration);
    EXPECT_TRUE(says(printed.err, "KMS provider `x`: y.pem"));
}

TEST(KeysCreate, says_when_the_key_vault_is_away) {
    VaultStand vault;
    replace_in(vault.clinic.file, "mongodb://" + vault.server.address(),
               "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200");
    Printed printed;
    EXPECT_EQ(create(vault, {}, printed), exit_unavailable);
    EXPECT_TRUE(says(printed.err, "key vault encryption.__keyVault: No suitable servers"))
        << printed.err.str();
}

}  // namespace
}  // namespace fieldgate::commands
