#include <gtest/gtest.h>

#include "tests/unit/config/load_fixture.hpp"

namespace fieldgate::config {
namespace {

using Strings = std::vector<std::string>;
using Fields = std::vector<ListedMasterKey::Field>;

// What each kind of provider cannot be without.
const std::map<std::string, std::string> needed{
    {"aws", ""},
    {"azure", ""},
    {"gcp", ""},
    {"kmip", "endpoint: h, tls: { certificate_key_file: ca.pem }, "},
    {"vault", "address: \"https://v\", token: t, "},
    {"local", "key_file: key.bin, "},
};

class LoadMasterKeys : public LoadFixture {
 protected:
    // The provider's name may have a name of its own: "aws:eu".
    static std::string config_of(const std::string& provider, const std::string& master_keys) {
        const std::string type = provider.substr(0, provider.find(':'));
        return good_upstream + "kms_providers: { \"" + provider + "\": { " + needed.at(type) +
               "master_keys: " + master_keys + " } }\n" + good_schemas + good_roles + good_listeners;
    }
    std::optional<std::vector<ListedMasterKey>> load(const std::string& provider,
                                                     const std::string& master_keys) {
        const Loaded loaded = load_text(config_of(provider, master_keys));
        for (const Problem& warning : loaded.warnings) ADD_FAILURE() << warning.text();
        return loaded.config->kms_providers.at(0).master_keys;
    }
};

TEST_F(LoadMasterKeys, every_field_of_every_provider) {
    struct Row {
        const char* provider;
        const char* entry;
        Fields fields;
    };
    const Row rows[] = {
        {"aws",
         "{ region: eu-west-1, key: \"arn:aws:kms:eu-west-1:1:key/a\" }",
         {{"region", "eu-west-1"}, {"key", "arn:aws:kms:eu-west-1:1:key/a"}}},
        {"aws:eu",
         "{ endpoint: \"kms.x:8443\", key: alias/x, region: r, provider: \"aws:eu\" }",
         {{"region", "r"}, {"key", "alias/x"}, {"endpoint", "kms.x:8443"}}},
        {"azure",
         "{ keyVaultEndpoint: \"v.vault.azure.net\", keyName: n }",
         {{"keyVaultEndpoint", "v.vault.azure.net"}, {"keyName", "n"}}},
        {"azure",
         "{ keyVaultEndpoint: \"v.x:1\", keyName: n, keyVersion: 0a }",
         {{"keyVaultEndpoint", "v.x:1"}, {"keyName", "n"}, {"keyVersion", "0a"}}},
        {"gcp",
         "{ projectId: p, location: global, keyRing: r, keyName: n, keyVersion: 2, endpoint: e.x }",
         {{"projectId", "p"},
          {"location", "global"},
          {"keyRing", "r"},
          {"keyName", "n"},
          {"keyVersion", "2"},
          {"endpoint", "e.x"}}},
        {"kmip", "{ keyId: 12 }", {{"keyId", "12"}}},
        {"kmip",
         "{ keyId: a-b, endpoint: \"localhost:5698\", delegated: true }",
         {{"endpoint", "localhost:5698"}, {"delegated", true}, {"keyId", "a-b"}}},
        {"kmip", "{ keyId: a, delegated: false }", {{"delegated", false}, {"keyId", "a"}}},
        {"vault", "{ keyName: n }", {{"keyName", "n"}}},
        {"vault:x",
         "{ keyName: n, mount: a/transit, keyVersion: 2147483647 }",
         {{"keyName", "n"}, {"mount", "a/transit"}, {"keyVersion", 2147483647}}},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(row.entry);
        const auto listed = load(row.provider, "[" + std::string(row.entry) + "]");
        ASSERT_TRUE(listed);
        ASSERT_EQ(listed->size(), 1u);
        EXPECT_EQ(listed->front().fields, row.fields);
        EXPECT_EQ(listed->front().line, 2);
    }
}

TEST_F(LoadMasterKeys, several_keep_their_order_and_lines) {
    const Loaded loaded = load_text(good_upstream + R"(kms_providers:
  vault:
    address: "https://v"
    token: t
    master_keys:
      - { keyName: new }
      - keyName: old
        mount: transit-1
)" + good_schemas + good_roles + good_listeners);
    const auto& listed = loaded.config->kms_providers.at(0).master_keys;
    ASSERT_TRUE(listed);
    ASSERT_EQ(listed->size(), 2u);
    EXPECT_EQ((*listed)[0].fields, (Fields{{"keyName", "new"}}));
    EXPECT_EQ((*listed)[0].line, 7);
    EXPECT_EQ((*listed)[1].fields, (Fields{{"keyName", "old"}, {"mount", "transit-1"}}));
    EXPECT_EQ((*listed)[1].line, 8);
}

TEST_F(LoadMasterKeys, without_a_list_there_is_none) {
    const Loaded loaded = load_text(good_upstream + "kms_providers: { aws: {} }\n" + good_schemas +
                                    good_roles + good_listeners);
    EXPECT_EQ(loaded.config->kms_providers.at(0).master_keys, std::nullopt);
}

TEST_F(LoadMasterKeys, a_thousand_and_no_more) {
    const auto list = [](int count) {
        std::string text = "[";
        for (int i = 0; i < count; ++i) text += (i ? ", " : "") + ("{ keyName: k" + std::to_string(i) + " }");
        return text + "]";
    };
    EXPECT_EQ(load("vault", list(1000))->size(), 1000u);
    expect_problems(problems_of(config_of("vault", list(1001))),
                    {"2: kms_providers.vault.master_keys: may have 1000 master keys at most, not 1001"});
}

TEST_F(LoadMasterKeys, texts_have_2048_bytes_at_most) {
    const auto list = [](std::size_t bytes) {
        return "[{ region: r, key: " + std::string(bytes, 'k') + " }]";
    };
    EXPECT_EQ(load("aws", list(2048))->size(), 1u);
    expect_problems(problems_of(config_of("aws", list(2049))),
                    {"2: kms_providers.aws.master_keys[0].key: must have at most 2048 bytes"});
}

TEST_F(LoadMasterKeys, reports_each_mistake_where_it_is) {
    struct Row {
        const char* provider;
        std::string master_keys;
        Strings problems;  // what follows "2: kms_providers.<provider>.master_keys"
    };
    const Row rows[] = {
        {"local", "[{}]", {": is not for local providers: their only master key is key_file"}},
        {"local", "[]", {": is not for local providers"}},
        {"aws", "[]", {": is empty: list the master keys that fieldgate may use, or leave it out"}},
        {"aws", "", {": is empty"}},
        {"aws", "null", {": must be a list, not null"}},
        {"aws", "{ region: r, key: k }", {": must be a list, not a mapping"}},
        {"aws", "arn", {": must be a list, not a string"}},
        {"aws", "[arn]", {"[0]: must be a mapping, not a string"}},
        {"aws",
         "[{}]",
         {"[0].region: missing: a master key here has region, key, endpoint?", "[0].key: missing"}},
        {"aws",
         "[{ region: r, key: k }, { region: r }]",
         {"[1].key: missing: a master key here has region, key, endpoint?"}},
        {"aws", "[{ region: r, key: k, keyname: x }]", {"[0].keyname: unknown key"}},
        {"aws",
         "[{ regoin: r, key: k }]",
         {"[0].region: missing", "[0].regoin: unknown key (did you mean 'region'?)"}},
        {"aws", "[{ region: [r], key: k }]", {"[0].region: must be a single value, not a list"}},
        {"aws", "[{ region: , key: k }]", {"[0].region: has no value"}},
        {"aws", "[{ region: \"\", key: k }]", {"[0].region: must not be empty"}},
        {"aws",
         "[{ region: eu/1, key: k }]",
         {"[0].region: 'eu/1' has characters that this field of a masterKey cannot have"}},
        {"aws", "[{ region: r, key: \"a b\" }]", {"[0].key: 'a b' has characters"}},
        {"aws",
         "[{ region: r, key: k, endpoint: \"https://kms.x\" }]",
         {"[0].endpoint: must be HOST or HOST:PORT, as key documents have it, with a dot in the host (except "
          "KMIP's), not 'https://kms.x'"}},
        {"aws", "[{ region: r, key: k, endpoint: nodot }]", {"[0].endpoint: must be HOST or HOST:PORT"}},
        {"aws:eu",
         "[{ region: r, key: k, provider: aws }]",
         {"[0].provider: must be 'aws:eu', whose list this is, or be left out"}},
        {"azure",
         "[{ keyName: a/b }]",
         {"[0].keyVaultEndpoint: missing: a master key here has keyVaultEndpoint, keyName, keyVersion?",
          "[0].keyName: 'a/b' has characters"}},
        {"azure",
         "[{ keyVaultEndpoint: nodot, keyName: n, keyVersion: \"..\" }]",
         {"[0].keyVaultEndpoint: must be HOST", "[0].keyVersion: '..' has characters"}},
        {"gcp",
         "[{ projectId: p }]",
         {"[0].location: missing: a master key here has projectId, location, keyRing, keyName, keyVersion?, "
          "endpoint?",
          "[0].keyRing: missing", "[0].keyName: missing"}},
        {"kmip",
         "[{ delegated: true }]",
         {"[0].keyId: missing: a master key here has endpoint?, delegated?, keyId"}},
        {"kmip",
         "[{ keyId: a, delegated: perhaps, endpoint: \"h:0\" }]",
         {"[0].endpoint: must be HOST or HOST:PORT", "[0].delegated: must be true or false, not 'perhaps'"}},
        {"vault",
         "[{ mount: a//b }]",
         {"[0].keyName: missing: a master key here has keyName, mount?, keyVersion?",
          "[0].mount: 'a//b' has characters"}},
        {"vault",
         "[{ keyName: n, keyVersion: 0 }]",
         {"[0].keyVersion: must be a number from 1 to 2147483647, not '0'"}},
        {"vault",
         "[{ keyName: n, keyVersion: 2147483648 }]",
         {"[0].keyVersion: must be a number from 1 to 2147483647, not '2147483648'"}},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(std::string(row.provider) + " " + row.master_keys);
        Strings expected;
        for (const std::string& problem : row.problems)
            expected.push_back("2: kms_providers." + std::string(row.provider) + ".master_keys" + problem);
        expect_problems(problems_of(config_of(row.provider, row.master_keys)), expected);
    }
}

}  // namespace
}  // namespace fieldgate::config
