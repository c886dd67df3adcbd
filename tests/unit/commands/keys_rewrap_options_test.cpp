#include <gtest/gtest.h>

#include "tests/unit/commands/rewrap_stand.hpp"

namespace fieldgate::commands {
namespace {

using testing::has;
using testing::Strings;
using Result = testing::RewrapResult;
using Stand = testing::RewrapStand;

TEST(KeysRewrap, refuses_a_master_key_that_is_not_listed_before_any_key_is_touched) {
    Stand vault;
    vault.add_providers(
        "  vault: { address: \"https://v\", token: t, master_keys: [{ keyName: new }, { keyName: old }] }\n");
    for (const bool dry_run : {true, false}) {
        const Result result = vault.rewrap({.filters = {"all"},
                                            .provider = "vault",
                                            .master_key = R"({"keyName": "somebodys"})",
                                            .dry_run = dry_run});
        EXPECT_EQ(result.code, exit_configuration);
        EXPECT_TRUE(
            has(result.err,
                "--master-key: KMS provider `vault`: the master key 'transit/somebodys' is not one of "
                "kms_providers.vault.master_keys; its keyName is another than that of the entry most "
                "like it. Add it there if fieldgate may use it\n"))
            << result.err;
    }
    EXPECT_TRUE(vault.server.commands().empty());
    EXPECT_TRUE(vault.kms.calls.empty());

    const Result result =
        vault.rewrap({.filters = {"all"}, .provider = "vault", .master_key = R"({"keyName": "new"})"});
    EXPECT_EQ(result.code, exit_ok) << result.err;
    EXPECT_EQ(vault.providers(), (Strings{"vault", "vault", "vault"}));
}

TEST(KeysRewrap, chooses_keys) {
    struct Case {
        Strings filters;
        Strings expected;
    };
    const Case cases[] = {
        {{"provider=local"}, {"local:new", "local:new", "aws:eu"}},
        {{"provider=aws:eu"}, {"local", "local", "local:new"}},
        {{"name=deux"}, {"local", "local:new", "aws:eu"}},
        {{"id=01010101-0101-0101-0101-010101010101"}, {"local:new", "local", "aws:eu"}},
        {{"name=one", "name=three"}, {"local:new", "local", "local:new"}},
        {{"provider=kmip"}, {"local", "local", "aws:eu"}},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.filters[0]);
        Stand vault;
        const Result result = vault.rewrap({.filters = c.filters, .provider = "local:new"});
        EXPECT_EQ(result.code, exit_ok) << result.err;
        EXPECT_EQ(vault.providers(), c.expected);
        vault.expect_same_keys();
    }
    Stand vault;
    EXPECT_TRUE(has(vault.rewrap({.filters = {"provider=kmip"}}).err,
                    "no key in encryption.__keyVault fits the filter (its keys' providers: aws:eu, local)"));
    vault.documents.clear();
    EXPECT_TRUE(has(vault.rewrap({.filters = {"all"}}).err,
                    "no key in encryption.__keyVault fits the filter (it has no keys)"));
}

TEST(KeysRewrap, a_filter_that_names_nothing_there_is_refused_before_anything_is_written) {
    struct Case {
        Strings filters;
        const char* expected;
    };
    const Case cases[] = {
        {{"name=one", "name=oen"}, "--filter: encryption.__keyVault has no key with the name `oen`"},
        {{"id=01010101-0101-0101-0101-010101010109", "all"},
         "--filter: encryption.__keyVault has no key 01010101-0101-0101-0101-010101010109"},
        {{"provider=local", "provider=lcoal"},
         "--filter: KMS provider `lcoal` is not configured, and encryption.__keyVault has no key of it (its "
         "keys' providers: aws:eu, local)"},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.expected);
        Stand vault;
        const Result result = vault.rewrap({.filters = c.filters, .provider = "local:new"});
        EXPECT_EQ(result.code, exit_configuration);
        EXPECT_TRUE(has(result.err, c.expected)) << result.err;
        EXPECT_EQ(vault.providers(), (Strings{"local", "local", "aws:eu"}));
    }
}

TEST(KeysRewrap, refuses_what_makes_no_sense) {
    Stand vault;
    struct Case {
        RewrapKeys options;
        int code;
        const char* expected;
    };
    const Case cases[] = {
        {{.filters = {}}, exit_usage, "--filter: say which keys"},
        {{.filters = {"everything"}}, exit_usage, "--filter: must be all, provider=NAME"},
        {{.filters = {"id=7"}}, exit_usage, "not `id=7`"},
        {{.filters = {"name="}}, exit_usage, "not `name=`"},
        {{.filters = {"provider=a-b"}}, exit_usage, "not `provider=a-b`"},
        {{.filters = {"all", "x"}}, exit_usage, "not `x`"},
        {{.filters = {"all"}, .master_key = "{}"}, exit_usage, "--master-key: say of which --provider"},
        {{.filters = {"all"}, .provider = "gcp"}, exit_configuration, "KMS provider `gcp` is not configured"},
        {{.filters = {"all"}, .provider = "aws:eu"}, exit_usage, "--master-key: `aws:eu` needs one"},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.expected);
        const Result result = vault.rewrap(c.options);
        EXPECT_EQ(result.code, c.code);
        EXPECT_TRUE(has(result.err, c.expected)) << result.err;
    }
    EXPECT_TRUE(vault.server.commands().empty());
}

}  // namespace
}  // namespace fieldgate::commands
