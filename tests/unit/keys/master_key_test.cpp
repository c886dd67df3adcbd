#include "proxy/keys/master_key.hpp"

#include <gtest/gtest.h>

#include "proxy/keys/error.hpp"

namespace fieldgate::keys {
namespace {

using bson::Buffer;
using bson::DocumentView;
using crypto::kms::AwsMasterKey;
using crypto::kms::AzureMasterKey;
using crypto::kms::GcpMasterKey;
using crypto::kms::KmipMasterKey;
using crypto::kms::LocalMasterKey;
using crypto::kms::VaultMasterKey;

boost::system::result<MasterKeyDescription> parse(std::string_view provider, const std::string& json,
                                                  MasterKeyUse use = MasterKeyUse::stored,
                                                  std::string* field = nullptr) {
    const auto document = bson::from_json(json);
    if (!document) throw std::runtime_error("no JSON: " + json);
    return parse_master_key(provider, DocumentView::unchecked(*document), use, field);
}

TEST(MasterKey, reads_every_field_of_every_provider) {
    struct Case {
        const char* provider;
        std::string json;
        MasterKeyDescription expected;
    };
    const Case cases[] = {
        {"local", "{}", LocalMasterKey{}},
        {"local:a", R"({"provider": "local:a"})", LocalMasterKey{}},
        {"aws", R"({"region": "eu-west-1", "key": "arn:aws:kms:eu-west-1:1:key/a-b"})",
         AwsMasterKey{"eu-west-1", "arn:aws:kms:eu-west-1:1:key/a-b", ""}},
        {"aws:eu", R"({"endpoint": "kms.eu.example:8443", "key": "k", "region": "r"})",
         AwsMasterKey{"r", "k", "kms.eu.example:8443"}},
        {"azure", R"({"keyVaultEndpoint": "v.vault.azure.net", "keyName": "n"})",
         AzureMasterKey{"v.vault.azure.net", "n", ""}},
        {"azure", R"({"keyVaultEndpoint": "v.x:1", "keyName": "n", "keyVersion": "0a"})",
         AzureMasterKey{"v.x:1", "n", "0a"}},
        {"azure", R"({"keyVaultEndpoint": "v.x", "keyName": "n", "keyVersion": ""})",
         AzureMasterKey{"v.x", "n", ""}},
        {"gcp", R"({"projectId": "p", "location": "l", "keyRing": "r", "keyName": "n"})",
         GcpMasterKey{"p", "l", "r", "n", "", ""}},
        {"gcp",
         R"({"projectId": "p", "location": "l", "keyRing": "r", "keyName": "n", "keyVersion": "2", "endpoint": "e.x"})",
         GcpMasterKey{"p", "l", "r", "n", "2", "e.x"}},
        {"gcp", R"({"projectId": "p", "location": "l", "keyRing": "r", "keyName": "n", "keyVersion": ""})",
         GcpMasterKey{"p", "l", "r", "n", "", ""}},
        {"kmip", R"({"keyId": "12"})", KmipMasterKey{"12", "", false}},
        {"kmip", R"({"keyId": "12", "endpoint": "localhost:5698", "delegated": true})",
         KmipMasterKey{"12", "localhost:5698", true}},
        {"kmip", R"({"keyId": "12", "delegated": false, "endpoint": "[::1]:5696"})",
         KmipMasterKey{"12", "[::1]:5696", false}},
        {"vault", R"({"keyName": "n"})", VaultMasterKey{"n", "", 0}},
        {"vault:x", R"({"keyName": "n", "mount": "a/transit", "keyVersion": 2147483647})",
         VaultMasterKey{"n", "a/transit", 2147483647}},
        {"vault", R"({"keyName": "n", "keyVersion": {"$numberLong": "1"}})", VaultMasterKey{"n", "", 1}},
        {"aws", R"({"region": "r", "key": ")" + std::string(2048, 'k') + "\"}",
         AwsMasterKey{"r", std::string(2048, 'k'), ""}},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(std::string(c.provider) + " " + c.json.substr(0, 200));
        const auto master_key = parse(c.provider, c.json);
        ASSERT_TRUE(master_key) << master_key.error().message();
        EXPECT_EQ(*master_key, c.expected);
    }
}

TEST(MasterKey, before_the_first_wrapping_kmip_needs_no_key_id) {
    EXPECT_EQ(parse("kmip", "{}").error(), Errc::master_key_field_missing);
    const auto wanted = parse("kmip", R"({"delegated": true})", MasterKeyUse::wanted);
    ASSERT_TRUE(wanted);
    EXPECT_EQ(*wanted, MasterKeyDescription(KmipMasterKey{"", "", true}));
    EXPECT_EQ(parse("aws", "{}", MasterKeyUse::wanted).error(), Errc::master_key_field_missing);
}

TEST(MasterKey, names_what_is_wrong_and_the_field) {
    struct Case {
        const char* provider;
        std::string json;
        Errc expected;
        const char* field;
    };
    const std::string long_text(2049, 'k');
    const Case cases[] = {
        {"hsm", "{}", Errc::master_key_provider_unknown, ""},
        {"", "{}", Errc::master_key_provider_unknown, ""},
        {"local", R"({"x": 1})", Errc::master_key_unknown_field, ""},
        {"aws", R"({"region": "r", "key": "k", "x": 1})", Errc::master_key_unknown_field, "key"},
        {"aws", R"({"keyName": "k"})", Errc::master_key_unknown_field, ""},
        {"aws", R"({"region": "r", "region": "r", "key": "k"})", Errc::master_key_duplicate_field, "region"},
        {"aws", R"({"provider": "aws", "region": "r", "key": "k", "provider": "aws"})",
         Errc::master_key_duplicate_field, "key"},
        {"aws", R"({"key": "k"})", Errc::master_key_field_missing, "region"},
        {"aws", R"({"region": "r"})", Errc::master_key_field_missing, "key"},
        {"aws", R"({"region": 1, "key": "k"})", Errc::master_key_field_type, "region"},
        {"aws", R"({"region": "", "key": "k"})", Errc::master_key_field_length, "region"},
        {"aws", R"({"region": "r", "key": ")" + long_text + "\"}", Errc::master_key_field_length, "key"},
        {"aws", R"({"region": "r.x", "key": "k"})", Errc::master_key_field_characters, "region"},
        {"aws", R"({"region": "r@x", "key": "k"})", Errc::master_key_field_characters, "region"},
        {"aws", R"({"region": "r", "key": "k\r\nX: y"})", Errc::master_key_field_characters, "key"},
        {"aws", R"({"region": "r", "key": "ü"})", Errc::master_key_field_characters, "key"},
        {"aws", R"({"region": "r", "key": "k", "endpoint": null})", Errc::master_key_field_type, "endpoint"},
        {"aws", R"({"region": "r", "key": "k", "endpoint": ""})", Errc::master_key_field_length, "endpoint"},
        {"aws", R"({"region": "r", "key": "k", "endpoint": "nodot"})", Errc::master_key_endpoint_malformed,
         "endpoint"},
        {"aws", R"({"region": "r", "key": "k", "endpoint": "a.b:x"})", Errc::master_key_endpoint_malformed,
         "endpoint"},
        {"aws", R"({"region": "r", "key": "k", "endpoint": "a.b:65536"})",
         Errc::master_key_endpoint_malformed, "endpoint"},
        {"aws", R"({"region": "r", "key": "k", "endpoint": "https://a.b"})",
         Errc::master_key_endpoint_malformed, "endpoint"},
        {"aws", R"({"region": "r", "key": "k", "endpoint": "u@a.b"})", Errc::master_key_endpoint_malformed,
         "endpoint"},
        {"azure", R"({"keyName": "n"})", Errc::master_key_field_missing, "keyVaultEndpoint"},
        {"azure", R"({"keyVaultEndpoint": "v.x"})", Errc::master_key_field_missing, "keyName"},
        {"azure", R"({"keyVaultEndpoint": "vx", "keyName": "n"})", Errc::master_key_endpoint_malformed,
         "keyVaultEndpoint"},
        {"azure", R"({"keyVaultEndpoint": "v.x", "keyName": "a/b"})", Errc::master_key_field_characters,
         "keyName"},
        {"azure", R"({"keyVaultEndpoint": "v.x", "keyName": ".."})", Errc::master_key_field_characters,
         "keyName"},
        {"azure", R"({"keyVaultEndpoint": "v.x", "keyName": "n", "keyVersion": "1?a"})",
         Errc::master_key_field_characters, "keyVersion"},
        {"azure", R"({"keyVaultEndpoint": "v.x", "keyName": "n", "keyVersion": 1})",
         Errc::master_key_field_type, "keyVersion"},
        {"gcp", R"({"location": "l", "keyRing": "r", "keyName": "n"})", Errc::master_key_field_missing,
         "projectId"},
        {"gcp", R"({"projectId": "p", "keyRing": "r", "keyName": "n"})", Errc::master_key_field_missing,
         "location"},
        {"gcp", R"({"projectId": "p", "location": "l", "keyName": "n"})", Errc::master_key_field_missing,
         "keyRing"},
        {"gcp", R"({"projectId": "p", "location": "l", "keyRing": "r"})", Errc::master_key_field_missing,
         "keyName"},
        {"gcp", R"({"projectId": "p/x", "location": "l", "keyRing": "r", "keyName": "n"})",
         Errc::master_key_field_characters, "projectId"},
        {"gcp", R"({"projectId": "p", "location": "l", "keyRing": "r", "keyName": "n", "endpoint": "x"})",
         Errc::master_key_endpoint_malformed, "endpoint"},
        {"kmip", R"({"keyId": 12})", Errc::master_key_field_type, "keyId"},
        {"kmip", R"({"keyId": ""})", Errc::master_key_field_length, "keyId"},
        {"kmip", R"({"keyId": "1", "delegated": 1})", Errc::master_key_field_type, "delegated"},
        {"kmip", R"({"keyId": "1", "endpoint": "a b"})", Errc::master_key_endpoint_malformed, "endpoint"},
        {"vault", "{}", Errc::master_key_field_missing, "keyName"},
        {"vault", R"({"keyName": "a/b"})", Errc::master_key_field_characters, "keyName"},
        {"vault", R"({"keyName": "n", "mount": "a/../b"})", Errc::master_key_field_characters, "mount"},
        {"vault", R"({"keyName": "n", "mount": "/a"})", Errc::master_key_field_characters, "mount"},
        {"vault", R"({"keyName": "n", "mount": "a/"})", Errc::master_key_field_characters, "mount"},
        {"vault", R"({"keyName": "n", "keyVersion": 0})", Errc::master_key_field_type, "keyVersion"},
        {"vault", R"({"keyName": "n", "keyVersion": "1"})", Errc::master_key_field_type, "keyVersion"},
        {"vault", R"({"keyName": "n", "keyVersion": 2147483648})", Errc::master_key_field_type, "keyVersion"},
        {"vault", R"({"keyName": "n", "endpoint": "evil.example"})", Errc::master_key_unknown_field,
         "keyName"},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(std::string(c.provider) + " " + c.json.substr(0, 200));
        std::string field;
        const auto master_key = parse(c.provider, c.json, MasterKeyUse::stored, &field);
        ASSERT_FALSE(master_key);
        EXPECT_EQ(master_key.error(), c.expected) << master_key.error().message();
        EXPECT_EQ(field, c.field);
    }
}

TEST(MasterKey, is_written_with_what_is_not_empty) {
    struct Case {
        const char* provider;
        MasterKeyDescription key;
        const char* json;
        const char* text;
    };
    const Case cases[] = {
        {"local", LocalMasterKey{}, R"({ "provider" : "local" })", ""},
        {"aws:eu", AwsMasterKey{"r", "k", "e.x"},
         R"({ "provider" : "aws:eu", "region" : "r", "key" : "k", "endpoint" : "e.x" })", "r k at e.x"},
        {"aws", AwsMasterKey{"r", "k", ""}, R"({ "provider" : "aws", "region" : "r", "key" : "k" })", "r k"},
        {"azure", AzureMasterKey{"v.x", "n", "1"},
         R"({ "provider" : "azure", "keyVaultEndpoint" : "v.x", "keyName" : "n", "keyVersion" : "1" })",
         "n/1 at v.x"},
        {"azure", AzureMasterKey{"v.x", "n", ""},
         R"({ "provider" : "azure", "keyVaultEndpoint" : "v.x", "keyName" : "n" })", "n at v.x"},
        {"gcp", GcpMasterKey{"p", "l", "r", "n", "2", "e.x"},
         R"({ "provider" : "gcp", "projectId" : "p", "location" : "l", "keyRing" : "r", "keyName" : "n", "keyVersion" : "2", "endpoint" : "e.x" })",
         "p/l/r/n/2 at e.x"},
        {"kmip", KmipMasterKey{"12", "", false}, R"({ "provider" : "kmip", "keyId" : "12" })", "12"},
        {"kmip", KmipMasterKey{"12", "h", true},
         R"({ "provider" : "kmip", "endpoint" : "h", "delegated" : true, "keyId" : "12" })",
         "12 (delegated) at h"},
        {"kmip", KmipMasterKey{}, R"({ "provider" : "kmip" })", "a new key"},
        {"vault", VaultMasterKey{"n", "m", 3},
         R"({ "provider" : "vault", "keyName" : "n", "mount" : "m", "keyVersion" : 3 })", "m/n version 3"},
        {"vault", VaultMasterKey{"n", "", 0}, R"({ "provider" : "vault", "keyName" : "n" })", "transit/n"},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.json);
        Buffer buffer;
        bson::Builder builder(buffer);
        append_master_key(builder, c.provider, c.key);
        builder.finish();
        const DocumentView written = DocumentView::unchecked(buffer).find("masterKey")->document();
        EXPECT_EQ(bson::to_json(written.bytes()), c.json);
        EXPECT_EQ(master_key_text(c.key), c.text);
        const auto read = parse_master_key(c.provider, written, MasterKeyUse::wanted);
        ASSERT_TRUE(read) << read.error().message();
        EXPECT_EQ(*read, c.key);
    }
}

TEST(MasterKey, provider_names) {
    for (const char* name : {"aws", "aws:eu", "local:A_1", "x"}) EXPECT_TRUE(is_provider_name(name)) << name;
    EXPECT_TRUE(is_provider_name(std::string(256, 'a')));
    for (const char* name : {"", ":", "aws:", ":eu", "aws:e-u", "aws:a:b", "a b", "aws\n"})
        EXPECT_FALSE(is_provider_name(name)) << name;
    EXPECT_FALSE(is_provider_name(std::string(257, 'a')));
    EXPECT_EQ(provider_type("aws:eu"), "aws");
    EXPECT_EQ(provider_type("aws"), "aws");
}

}  // namespace
}  // namespace fieldgate::keys
