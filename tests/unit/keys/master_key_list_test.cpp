#include "proxy/keys/master_key_list.hpp"

#include <gtest/gtest.h>

#include "config/master_key_fields.hpp"

namespace fieldgate::keys {
namespace {

using config::ListedMasterKey;
using crypto::kms::AwsMasterKey;
using crypto::kms::AzureMasterKey;
using crypto::kms::Failure;
using crypto::kms::GcpMasterKey;
using crypto::kms::KmipMasterKey;
using crypto::kms::LocalMasterKey;
using crypto::kms::VaultMasterKey;

using Fields = std::vector<ListedMasterKey::Field>;

config::KmsProvider provider_of(const std::string& name, const std::vector<Fields>& listed) {
    config::KmsProvider provider;
    provider.name = name;
    if (provider.type() == "aws") provider.settings = config::AwsKms{};
    if (provider.type() == "azure") provider.settings = config::AzureKms{};
    if (provider.type() == "gcp") provider.settings = config::GcpKms{};
    if (provider.type() == "kmip") provider.settings = config::KmipKms{"KMIP.example"};
    if (provider.type() == "vault") provider.settings = config::VaultKms{};
    provider.master_keys.emplace();
    for (const Fields& fields : listed) provider.master_keys->push_back({fields, 7});
    return provider;
}

// "": may be used. Otherwise the name of the field that differs.
std::string difference(const std::string& provider, const std::vector<Fields>& listed,
                       const MasterKeyDescription& master_key) {
    const auto refusal = MasterKeyList(provider_of(provider, listed)).refusal_of(master_key);
    if (!refusal) return "";
    EXPECT_EQ(refusal->kind, Failure::Kind::refused);
    EXPECT_EQ(refusal->code, "master_key_not_listed");
    EXPECT_EQ(refusal->status, 0);
    const std::string before = "; its ";
    const std::size_t at = refusal->text.find(before);
    if (at == std::string::npos) return refusal->text;
    const std::size_t begin = at + before.size();
    return refusal->text.substr(begin, refusal->text.find(' ', begin) - begin);
}

TEST(MasterKeyList, what_says_which_key_it_is_must_be_equal) {
    const Fields aws{{"region", "eu-west-1"}, {"key", "arn:k"}};
    const Fields aws_at{{"region", "eu-west-1"}, {"key", "arn:k"}, {"endpoint", "kms.x:8443"}};
    const Fields azure{{"keyVaultEndpoint", "v.vault.azure.net"}, {"keyName", "n"}};
    const Fields azure_1{
        {"keyVaultEndpoint", "v.vault.azure.net:443"}, {"keyName", "n"}, {"keyVersion", "1"}};
    const Fields gcp{{"projectId", "p"}, {"location", "l"}, {"keyRing", "r"}, {"keyName", "n"}};
    const Fields gcp_1{{"projectId", "p"}, {"location", "l"},   {"keyRing", "r"},
                       {"keyName", "n"},   {"keyVersion", "1"}, {"endpoint", "e.x"}};
    const Fields kmip{{"keyId", "12"}};
    const Fields kmip_at{{"endpoint", "other:5696"}, {"delegated", true}, {"keyId", "12"}};
    const Fields vault{{"keyName", "n"}};
    const Fields vault_1{{"keyName", "n"}, {"mount", "a/transit"}, {"keyVersion", std::int32_t{1}}};
    struct Case {
        const char* provider;
        Fields listed;
        MasterKeyDescription master_key;
        const char* differs;
    };
    const Case cases[] = {
        {"aws", aws, AwsMasterKey{"eu-west-1", "arn:k", ""}, ""},
        {"aws:eu", aws, AwsMasterKey{"eu-west-1", "arn:k", ""}, ""},
        {"aws", aws, AwsMasterKey{"eu-west-1", "arn:k", "KMS.eu-west-1.amazonaws.com:443"}, ""},
        {"aws", aws, AwsMasterKey{"eu-west-2", "arn:k", ""}, "region"},
        {"aws", aws, AwsMasterKey{"EU-WEST-1", "arn:k", ""}, "region"},
        {"aws", aws, AwsMasterKey{"eu-west-1", "arn:K", ""}, "key"},
        {"aws", aws, AwsMasterKey{"eu-west-1", "arn:k/", ""}, "key"},
        {"aws", aws, AwsMasterKey{"eu-west-1", "arn:", ""}, "key"},
        {"aws", aws, AwsMasterKey{"eu-west-1", "arn:k", "kms.eu-west-2.amazonaws.com"}, "endpoint"},
        {"aws", aws, AwsMasterKey{"eu-west-1", "arn:k", "kms.eu-west-1.amazonaws.com:444"}, "endpoint"},
        {"aws", aws, AwsMasterKey{"eu-west-1", "arn:k", "kms.x:8443"}, "endpoint"},
        {"aws", aws_at, AwsMasterKey{"eu-west-1", "arn:k", "KMS.X:8443"}, ""},
        {"aws", aws_at, AwsMasterKey{"eu-west-1", "arn:k", ""}, "endpoint"},
        {"aws", aws_at, AwsMasterKey{"eu-west-1", "arn:k", "kms.x"}, "endpoint"},

        {"azure", azure, AzureMasterKey{"v.vault.azure.net", "n", ""}, ""},
        {"azure", azure, AzureMasterKey{"V.Vault.azure.net:443", "n", "any"}, ""},
        {"azure", azure, AzureMasterKey{"w.vault.azure.net", "n", ""}, "keyVaultEndpoint"},
        {"azure", azure, AzureMasterKey{"v.vault.azure.net:444", "n", ""}, "keyVaultEndpoint"},
        {"azure", azure, AzureMasterKey{"v.vault.azure.net", "N", ""}, "keyName"},
        {"azure", azure_1, AzureMasterKey{"v.vault.azure.net", "n", "1"}, ""},
        {"azure", azure_1, AzureMasterKey{"v.vault.azure.net", "n", "2"}, "keyVersion"},
        {"azure", azure_1, AzureMasterKey{"v.vault.azure.net", "n", ""}, "keyVersion"},

        {"gcp", gcp, GcpMasterKey{"p", "l", "r", "n", "", ""}, ""},
        {"gcp", gcp, GcpMasterKey{"p", "l", "r", "n", "3", "CloudKMS.googleapis.com:443"}, ""},
        {"gcp", gcp, GcpMasterKey{"q", "l", "r", "n", "", ""}, "projectId"},
        {"gcp", gcp, GcpMasterKey{"p", "m", "r", "n", "", ""}, "location"},
        {"gcp", gcp, GcpMasterKey{"p", "l", "s", "n", "", ""}, "keyRing"},
        {"gcp", gcp, GcpMasterKey{"p", "l", "r", "o", "", ""}, "keyName"},
        {"gcp", gcp, GcpMasterKey{"p", "l", "r", "n", "", "e.x"}, "endpoint"},
        {"gcp", gcp_1, GcpMasterKey{"p", "l", "r", "n", "1", "e.x:443"}, ""},
        {"gcp", gcp_1, GcpMasterKey{"p", "l", "r", "n", "2", "e.x"}, "keyVersion"},
        {"gcp", gcp_1, GcpMasterKey{"p", "l", "r", "n", "", "e.x"}, "keyVersion"},
        {"gcp", gcp_1, GcpMasterKey{"p", "l", "r", "n", "1", ""}, "endpoint"},

        {"kmip", kmip, KmipMasterKey{"12", "", false}, ""},
        {"kmip", kmip, KmipMasterKey{"12", "kmip.example:5696", false}, ""},
        {"kmip", kmip, KmipMasterKey{"1", "", false}, "keyId"},
        {"kmip", kmip, KmipMasterKey{"12", "", true}, "delegated"},
        {"kmip", kmip, KmipMasterKey{"12", "kmip.example:443", false}, "endpoint"},
        {"kmip", kmip, KmipMasterKey{"12", "other:5696", false}, "endpoint"},
        {"kmip", kmip_at, KmipMasterKey{"12", "OTHER", true}, ""},
        {"kmip", kmip_at, KmipMasterKey{"12", "", true}, "endpoint"},
        {"kmip", kmip_at, KmipMasterKey{"12", "other", false}, "delegated"},

        {"vault", vault, VaultMasterKey{"n", "", 0}, ""},
        {"vault", vault, VaultMasterKey{"n", "transit", 5}, ""},
        {"vault", vault, VaultMasterKey{"m", "", 0}, "keyName"},
        {"vault", vault, VaultMasterKey{"n", "Transit", 0}, "mount"},
        {"vault", vault, VaultMasterKey{"n", "a/transit", 0}, "mount"},
        {"vault", vault_1, VaultMasterKey{"n", "a/transit", 1}, ""},
        {"vault", vault_1, VaultMasterKey{"n", "a/transit", 2}, "keyVersion"},
        {"vault", vault_1, VaultMasterKey{"n", "a/transit", 0}, "keyVersion"},
        {"vault", vault_1, VaultMasterKey{"n", "", 1}, "mount"},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(std::string(c.provider) + " " + master_key_text(c.master_key));
        EXPECT_EQ(difference(c.provider, {c.listed}, c.master_key), c.differs);
    }
}

TEST(MasterKeyList, any_entry_may_match_and_the_nearest_is_compared) {
    const std::vector<Fields> listed{{{"region", "a"}, {"key", "1"}},
                                     {{"region", "b"}, {"key", "2"}},
                                     {{"region", "b"}, {"key", "3"}, {"endpoint", "kms.x"}}};
    EXPECT_EQ(difference("aws", listed, AwsMasterKey{"a", "1", ""}), "");
    EXPECT_EQ(difference("aws", listed, AwsMasterKey{"b", "2", ""}), "");
    EXPECT_EQ(difference("aws", listed, AwsMasterKey{"b", "3", "kms.x"}), "");
    EXPECT_EQ(difference("aws", listed, AwsMasterKey{"b", "3", ""}), "key") << "the second one is as near";
    EXPECT_EQ(difference("aws", listed, AwsMasterKey{"b", "9", "kms.x"}), "key");
    EXPECT_EQ(difference("aws", listed, AwsMasterKey{"z", "1", ""}), "region");
    EXPECT_EQ(difference("aws", listed, AwsMasterKey{"b", "1", ""}), "key") << "never parts of two entries";
}

TEST(MasterKeyList, names_the_master_key_the_field_and_the_setting) {
    const MasterKeyList list(provider_of("aws:eu", {{{"region", "eu-west-1"}, {"key", "arn:k"}}}));
    EXPECT_EQ(list.refusal_of(AwsMasterKey{"eu-west-2", "arn:k", "kms.eu-west-1.amazonaws.com"})->text,
              "the master key 'eu-west-2 arn:k at kms.eu-west-1.amazonaws.com' is not one of "
              "kms_providers.aws:eu.master_keys; its region is another than that of the entry most like it. "
              "Add it there if fieldgate may use it");
    const std::string text = list.refusal_of(AwsMasterKey{"eu-west-1", std::string(2048, 'k'), ""})->text;
    EXPECT_TRUE(
        text.starts_with("the master key 'eu-west-1 " + std::string(190, 'k') + "...' is not one of "))
        << text;
}

TEST(MasterKeyList, a_key_that_the_wrapping_would_make_is_never_listed) {
    for (const bool delegated : {false, true}) {
        EXPECT_EQ(difference("kmip:x", {{{"keyId", "12"}}}, KmipMasterKey{"", "", delegated}),
                  "without keyId the wrapping would make a master key, and only those in "
                  "kms_providers.kmip:x.master_keys may be used: name the keyId of one of them");
    }
}

TEST(MasterKeyList, without_a_list_nothing_is_refused) {
    for (const char* name : {"aws", "kmip", "local"}) {
        config::KmsProvider provider = provider_of(name, {});
        provider.master_keys.reset();
        const MasterKeyList list(provider);
        EXPECT_FALSE(list.is_limited());
        EXPECT_TRUE(list.listed().empty());
        EXPECT_FALSE(list.refusal_of(AwsMasterKey{"r", "k", ""}));
        EXPECT_FALSE(list.refusal_of(KmipMasterKey{}));
        EXPECT_FALSE(list.refusal_of(LocalMasterKey{}));
    }
}

TEST(MasterKeyList, an_empty_list_and_one_of_another_kind_refuse_all) {
    const MasterKeyList empty(provider_of("aws", {}));
    EXPECT_TRUE(empty.is_limited());
    EXPECT_EQ(
        empty.refusal_of(AwsMasterKey{"r", "k", ""})->text,
        "the master key 'r k' is not one of kms_providers.aws.master_keys. Add it there if fieldgate may "
        "use it");
    EXPECT_TRUE(empty.refusal_of(LocalMasterKey{}));
    const MasterKeyList vault(provider_of("vault", {{{"keyName", "n"}}}));
    EXPECT_TRUE(vault.refusal_of(LocalMasterKey{}));
    EXPECT_TRUE(vault.refusal_of(AwsMasterKey{"transit", "n", ""}));
    EXPECT_TRUE(vault.refusal_of(AzureMasterKey{"transit", "n", ""}));
    EXPECT_TRUE(vault.refusal_of(GcpMasterKey{"p", "l", "r", "n", "", ""}));
    EXPECT_TRUE(vault.refusal_of(KmipMasterKey{"n", "", false}));
}

TEST(MasterKeyList, entries_become_master_keys) {
    const MasterKeyList list(provider_of(
        "vault", {{{"keyName", "n"}, {"mount", "m"}, {"keyVersion", std::int32_t{3}}}, {{"keyName", "o"}}}));
    EXPECT_EQ(list.listed(),
              (std::vector<MasterKeyDescription>{VaultMasterKey{"n", "m", 3}, VaultMasterKey{"o", "", 0}}));
}

// The table of the configuration and the members here: a field of one must be in the other.
TEST(MasterKeyList, every_field_of_the_configuration_has_a_member) {
    using Type = config::MasterKeyField::Type;
    for (const char* type : {"aws", "azure", "gcp", "kmip", "vault"}) {
        Fields fields;
        const auto known = config::master_key_fields(type);
        for (const config::MasterKeyField& field : *known) {
            config::MasterKeyValue value = "x." + std::string(field.name);
            if (field.type == Type::boolean) value = true;
            if (field.type == Type::number) value = std::int32_t{7};
            fields.push_back({std::string(field.name), value});
        }
        bson::Buffer buffer;
        bson::Builder document(buffer);
        append_master_key(document, type, master_key_of(type, {fields, 0}));
        document.finish();
        const auto written = bson::DocumentView::unchecked(buffer).find("masterKey");
        std::size_t count = 0;
        for (const bson::Element& element : written->document())
            count += element.key() != "provider" ? 1u : 0u;
        EXPECT_EQ(count, fields.size()) << type;
    }
}

}  // namespace
}  // namespace fieldgate::keys
