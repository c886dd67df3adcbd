#include <gtest/gtest.h>

#include "tests/unit/commands/key_vault_stand.hpp"

namespace fieldgate::commands {
namespace {

using testing::Printed;
using testing::VaultStand;
using Action = ChangeAlias::Action;
using Strings = std::vector<std::string>;

constexpr const char* sevens = "07070707-0707-0707-0707-070707070707";

struct Result {
    int code;
    std::string out;
    std::string err;
};
Result change(VaultStand& vault, Action action, const std::string& key, const std::string& name) {
    Printed printed;
    const int code = change_alias(vault.clinic.file, {action, key, name}, printed.console());
    return {code, printed.out.str(), printed.err.str()};
}

TEST(KeysAlias, adds_a_name_by_uuid_or_by_name) {
    VaultStand vault;
    vault.add(7, {"clinic"});
    Result result = change(vault, Action::add, sevens, "second");
    EXPECT_EQ(result.code, exit_ok) << result.err;
    EXPECT_EQ(result.out, std::string("added: `second` of ") + sevens + "\n");
    result = change(vault, Action::add, "second", "third");
    EXPECT_EQ(result.code, exit_ok) << result.err;
    EXPECT_EQ(vault.keys()[0].alt_names, (Strings{"clinic", "second", "third"}));
    EXPECT_NE(vault.sent("createIndexes"), "") << "without it two keys could get one name";
    result = change(vault, Action::add, "clinic", "third");
    EXPECT_EQ(result.code, exit_ok);
    EXPECT_EQ(result.out, std::string("had it already: `third` of ") + sevens + "\n");
}

// `keys delete` of that UUID, repeated, would delete the key of that name after the key of that UUID.
TEST(KeysAlias, gives_no_name_that_is_a_uuid_but_takes_one_away) {
    VaultStand vault;
    vault.add(7, {"clinic"});
    vault.add(8, {"other", sevens});
    Result result = change(vault, Action::add, "other", "09090909-0909-0909-0909-090909090909");
    EXPECT_EQ(result.code, exit_usage);
    EXPECT_EQ(result.err.rfind("NAME: a name that is a UUID could be another key's", 0), 0u) << result.err;
    EXPECT_FALSE(vault.wrote());
    result = change(vault, Action::remove, "other", sevens);
    EXPECT_EQ(result.code, exit_ok) << result.err;
    EXPECT_EQ(vault.keys()[1].alt_names, Strings{"other"});
}

TEST(KeysAlias, refuses_another_keys_name) {
    VaultStand vault;
    vault.add(7, {"clinic"});
    vault.add(8, {"other"});
    Result result = change(vault, Action::add, "clinic", "other");
    EXPECT_EQ(result.code, exit_configuration);
    EXPECT_NE(
        result.err.find("key 08080808-0808-0808-0808-080808080808 in encryption.__keyVault has the name "
                        "`other` already"),
        std::string::npos)
        << result.err;
    EXPECT_FALSE(vault.wrote());

    // Taken between the look and the write: the index says so.
    vault.before = [](bson::DocumentView command) -> std::optional<bson::Buffer> {
        if (!command.find("update")) return std::nullopt;
        return bson::from_json(
                   R"({"n": 0, "writeErrors": [{"index": 0, "code": 11000, "errmsg": "E11000"}], "ok": 1})")
            .value();
    };
    result = change(vault, Action::add, "clinic", "new");
    EXPECT_EQ(result.code, exit_configuration);
    EXPECT_NE(result.err.find("another key in encryption.__keyVault has the name `new` already"),
              std::string::npos)
        << result.err;
}

TEST(KeysAlias, removes_a_name_and_warns_of_schemas_that_use_it) {
    VaultStand vault;
    vault.add(7, {"clinic", "second"});
    Result result = change(vault, Action::remove, "second", "second");
    EXPECT_EQ(result.code, exit_ok) << result.err;
    EXPECT_EQ(result.out, std::string("removed: `second` of ") + sevens + "\n");
    EXPECT_EQ(result.err, "");
    EXPECT_EQ(vault.keys()[0].alt_names, Strings{"clinic"});
    result = change(vault, Action::remove, sevens, "clinic");
    EXPECT_EQ(result.code, exit_ok);
    EXPECT_NE(result.err.find("warning: schemas name a key so, and find none when fieldgate starts again: "
                              "medicalRecords.patients"),
              std::string::npos)
        << result.err;
    EXPECT_EQ(vault.keys()[0].alt_names, Strings{});
}

TEST(KeysAlias, says_what_is_not_there) {
    VaultStand vault;
    vault.add(7, {"clinic"});
    Result result = change(vault, Action::remove, "clinic", "x");
    EXPECT_EQ(result.code, exit_configuration);
    EXPECT_NE(result.err.find(std::string("the key `clinic` (") + sevens + ") has no name `x`"),
              std::string::npos)
        << result.err;
    for (const char* key : {"nobody", "01234567-89ab-4def-8123-456789abcdef"}) {
        result = change(vault, Action::add, key, "x");
        EXPECT_EQ(result.code, exit_configuration);
        EXPECT_NE(result.err.find(std::string("no key `") + key + "` in encryption.__keyVault"),
                  std::string::npos)
            << result.err;
    }
    EXPECT_EQ(change(vault, Action::add, "clinic", "").code, exit_usage);
    EXPECT_EQ(change(vault, Action::add, "clinic", "a\x80").code, exit_usage);
    EXPECT_EQ(vault.keys()[0].alt_names, Strings{"clinic"});
}

TEST(KeysAlias, a_name_of_several_keys_is_none) {
    VaultStand vault;
    vault.add(7, {"twin"});
    vault.add(8, {"twin"});
    const Result result = change(vault, Action::add, "twin", "x");
    EXPECT_EQ(result.code, exit_configuration);
    EXPECT_NE(result.err.find("several keys in encryption.__keyVault have the name `twin`: say which by its "
                              "UUID: 07070707-0707-0707-0707-070707070707, 08080808-"),
              std::string::npos)
        << result.err;
}

TEST(KeysAlias, a_key_that_vanishes_meanwhile_is_said_to_be_gone) {
    VaultStand vault;
    vault.add(7, {"clinic"});
    vault.before = [](bson::DocumentView command) -> std::optional<bson::Buffer> {
        if (!command.find("update")) return std::nullopt;
        return bson::from_json(R"({"n": 0, "nModified": 0, "ok": 1})").value();
    };
    const Result result = change(vault, Action::add, "clinic", "x");
    EXPECT_EQ(result.code, exit_configuration);
    EXPECT_NE(result.err.find("is gone"), std::string::npos) << result.err;
}

TEST(KeysAlias, says_what_the_key_vault_refuses) {
    VaultStand vault;
    vault.add(7, {"clinic"});
    vault.before = [](bson::DocumentView command) -> std::optional<bson::Buffer> {
        if (!command.find("update")) return std::nullopt;
        return cluster::testing::error_reply(13, "not authorized on encryption");
    };
    for (const auto& [action, name] : {std::pair{Action::add, "x"}, std::pair{Action::remove, "clinic"}}) {
        const Result result = change(vault, action, "clinic", name);
        EXPECT_EQ(result.code, exit_unavailable);
        EXPECT_NE(result.err.find("key vault encryption.__keyVault: not authorized"), std::string::npos)
            << result.err;
    }
}

}  // namespace
}  // namespace fieldgate::commands
