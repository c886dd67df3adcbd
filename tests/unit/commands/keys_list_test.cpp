#include <gtest/gtest.h>

#include <algorithm>

#include "proxy/commands/key_vault_access.hpp"
#include "tests/unit/commands/key_vault_stand.hpp"

namespace fieldgate::commands {
namespace {

using testing::Printed;
using testing::replace_in;
using testing::VaultStand;

bool says(const std::ostringstream& stream, const std::string& text) {
    return stream.str().find(text) != std::string::npos;
}

TEST(KeysList, shows_a_table_with_the_schemas_that_use_each_key) {
    VaultStand vault;
    vault.add(9, {"spare", "old"}, "aws:eu", crypto::kms::AwsMasterKey{"eu-west-1", "alias/x", ""});
    vault.add(7, {"clinic"});
    Printed printed;
    EXPECT_EQ(list_keys(vault.clinic.file, false, printed.console()), exit_ok);
    const std::string age = age_text(1700000000000, now_unix_ms());
    EXPECT_EQ(printed.out.str(),
              "ID                                    NAMES       PROVIDER  MASTER KEY         " +
                  std::string("AGE").append(age.size() - 3, ' ') +
                  "  USED BY\n"
                  "07070707-0707-0707-0707-070707070707  clinic      local                        " +
                  age +
                  "  medicalRecords.patients\n"
                  "09090909-0909-0909-0909-090909090909  spare, old  aws:eu    eu-west-1 alias/x  " +
                  age + "\n");
}

TEST(KeysList, prints_json) {
    VaultStand vault;
    vault.add(7, {"clinic"});
    vault.add(8, {}, "kmip", crypto::kms::KmipMasterKey{"12", "", true});
    Printed printed;
    EXPECT_EQ(list_keys(vault.clinic.file, true, printed.console()), exit_ok);
    EXPECT_EQ(
        printed.out.str(),
        R"({ "keys" : [ { "id" : "07070707-0707-0707-0707-070707070707", "altNames" : [ "clinic" ], )"
        R"("provider" : "local", "masterKey" : { "provider" : "local" }, "created" : "2023-11-14T22:13:20Z", )"
        R"("updated" : "2023-11-14T22:13:20Z", "usedBy" : [ "medicalRecords.patients" ] }, )"
        R"({ "id" : "08080808-0808-0808-0808-080808080808", "altNames" : [  ], "provider" : "kmip", )"
        R"("masterKey" : { "provider" : "kmip", "delegated" : true, "keyId" : "12" }, )"
        R"("created" : "2023-11-14T22:13:20Z", "updated" : "2023-11-14T22:13:20Z", "usedBy" : [  ] } ] })"
        "\n");
}

// Whether an old version may be disabled.
TEST(KeysList, says_which_version_of_a_transit_key_wrapped_a_key) {
    VaultStand vault;
    vault.add_providers("  vault: { address: \"https://v\", token: t }\n");
    for (const std::string wrapped : {"vault:v12:QUJD", "vault:v12", "junk"}) {
        keys::KeyDocument key;
        key.id.bytes.fill(static_cast<std::uint8_t>(wrapped.size()));
        key.wrapped = {wrapped.begin(), wrapped.end()};
        key.provider = "vault";
        key.master_key = crypto::kms::VaultMasterKey{"k", "", 0};
        vault.documents.push_back(keys::build_key_document(key));
    }
    Printed printed;
    EXPECT_EQ(list_keys(vault.clinic.file, false, printed.console()), exit_ok) << printed.err.str();
    EXPECT_TRUE(says(printed.out, "vault     transit/k (v12)  ")) << printed.out.str();
    EXPECT_TRUE(says(printed.out, "vault     transit/k        ")) << printed.out.str();
    Printed json;
    EXPECT_EQ(list_keys(vault.clinic.file, true, json.console()), exit_ok);
    EXPECT_TRUE(says(json.out, R"("keyName" : "k" }, "wrappedByVersion" : "12", "created")"))
        << json.out.str();
    EXPECT_TRUE(says(json.out, R"("keyName" : "k" }, "created")")) << json.out.str();
}

TEST(KeysList, marks_master_keys_that_are_not_listed) {
    VaultStand vault;
    vault.add_providers(
        "  \"aws:eu\":\n    access_key_id: a\n    secret_access_key: s\n    master_keys: [{ region: r, key: "
        "k }]\n"
        "  aws: {}\n");
    vault.add(7, {}, "aws:eu", crypto::kms::AwsMasterKey{"r", "k", ""});
    vault.add(8, {}, "aws:eu", crypto::kms::AwsMasterKey{"r", "l", ""});
    vault.add(9, {}, "aws", crypto::kms::AwsMasterKey{"r", "m", ""});
    vault.documents.push_back(bson::from_json(R"({"_id": "x"})").value());
    Printed printed;
    EXPECT_EQ(list_keys(vault.clinic.file, false, printed.console()), exit_ok) << printed.err.str();
    EXPECT_TRUE(says(printed.out, "aws:eu    r k  ")) << printed.out.str();
    EXPECT_TRUE(says(printed.out, "aws:eu    r l (not listed)  ")) << printed.out.str();
    EXPECT_TRUE(says(printed.out, "aws       r m  ")) << printed.out.str();
    Printed json;
    EXPECT_EQ(list_keys(vault.clinic.file, true, json.console()), exit_ok);
    EXPECT_TRUE(says(json.out, R"("key" : "k" }, "masterKeyListed" : true, "created")")) << json.out.str();
    EXPECT_TRUE(says(json.out, R"("key" : "l" }, "masterKeyListed" : false, "created")")) << json.out.str();
    EXPECT_TRUE(says(json.out, R"("key" : "m" }, "created")")) << json.out.str();
}

TEST(KeysList, shows_documents_that_cannot_be_used_as_such) {
    VaultStand vault;
    vault.documents.push_back(bson::from_json(R"({"_id": "x", "keyAltNames": ["junk", 1, "?"]})").value());
    *std::ranges::find(vault.documents.back(), '?') = 0xFF;
    Printed printed;
    EXPECT_EQ(list_keys(vault.clinic.file, false, printed.console()), exit_ok);
    EXPECT_TRUE(says(printed.out, "  junk, ?  ")) << printed.out.str();
    EXPECT_TRUE(says(printed.out, "unusable: _id must be a UUID")) << printed.out.str();
    EXPECT_TRUE(says(printed.out, "no UUID  ")) << printed.out.str();
    Printed json;
    EXPECT_EQ(list_keys(vault.clinic.file, true, json.console()), exit_ok);
    EXPECT_TRUE(says(json.out, R"({ "altNames" : [ "junk", "?" ], "problem" : "_id must be a UUID)"))
        << json.out.str();
}

TEST(KeysList, one_document_makes_no_other_line_longer) {
    VaultStand vault;
    std::vector<std::string> names{std::string(80, 'n'), std::string(79, 'm') + "Ä"};
    for (char c = 'a'; c < 'z'; ++c) names.emplace_back(1, c);
    vault.add(7, names);
    vault.add(8, {"8"}, "aws:eu", crypto::kms::AwsMasterKey{"r", std::string(300, 'k'), ""});
    vault.add(9, {"nine"});
    Printed printed;
    EXPECT_EQ(list_keys(vault.clinic.file, false, printed.console()), exit_ok) << printed.err.str();
    EXPECT_TRUE(
        says(printed.out, std::string(80, 'n') + ", " + std::string(79, 'm') + "..., a, b, c and 22 more  "))
        << printed.out.str();
    EXPECT_TRUE(says(printed.out, "r " + std::string(198, 'k') + "...  ")) << printed.out.str();
    EXPECT_FALSE(says(printed.out, std::string(199, 'k')));
    Printed json;
    EXPECT_EQ(list_keys(vault.clinic.file, true, json.console()), exit_ok);
    EXPECT_TRUE(says(json.out, std::string(79, 'm') + "Ä\"")) << "whole";
    EXPECT_TRUE(says(json.out, std::string(300, 'k'))) << "whole";
}

TEST(KeysList, lets_no_control_character_reach_the_terminal) {
    VaultStand vault;
    vault.add(7, {"a\x1b[2Jb",
                  "c\xC2\x9B"
                  "2J",
                  "d\xE2\x80\xAE"
                  "e",
                  "f\x7Fg", "h\xEF\xBB\xBFÄ€𝄞"});
    Printed printed;
    EXPECT_EQ(list_keys(vault.clinic.file, false, printed.console()), exit_ok);
    EXPECT_TRUE(says(printed.out, "a?[2Jb, c?2J, d?e, f?g, h?Ä€𝄞")) << printed.out.str();
    Printed json;
    EXPECT_EQ(list_keys(vault.clinic.file, true, json.console()), exit_ok);
    EXPECT_TRUE(says(json.out, R"([ "a\u001b[2Jb", "c\u009b2J", "d\u202ee", "f\u007fg", "h\ufeffÄ€𝄞" ])"))
        << json.out.str();
}

TEST(KeysList, says_when_there_is_none_and_when_there_is_no_answer) {
    VaultStand vault;
    Printed printed;
    EXPECT_EQ(list_keys(vault.clinic.file, false, printed.console()), exit_ok);
    EXPECT_EQ(printed.out.str(), "");
    EXPECT_TRUE(says(printed.err, "no keys in encryption.__keyVault"));
    replace_in(vault.clinic.file, "mongodb://" + vault.server.address(),
               "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200");
    EXPECT_EQ(list_keys(vault.clinic.file, false, printed.console()), exit_unavailable);
}

TEST(KeysList, ages) {
    struct Case {
        std::int64_t age_ms;
        const char* text;
    };
    constexpr std::int64_t now_ms = 1'700'000'000'000;
    constexpr std::int64_t hour_ms = 3'600'000;
    for (const Case& c : {Case{-5, "0 min"}, Case{0, "0 min"}, Case{119 * 60'000, "119 min"},
                          Case{2 * hour_ms, "2 h"}, Case{47 * hour_ms, "47 h"}, Case{48 * hour_ms, "2 d"},
                          Case{9000 * hour_ms, "375 d"}, Case{now_ms + 1, "?"}}) {
        EXPECT_EQ(age_text(now_ms - c.age_ms, now_ms), c.text);
    }
    EXPECT_EQ(age_text(INT64_MIN, now_ms), "?");
    EXPECT_EQ(age_text(INT64_MAX, now_ms), "0 min");
}

}  // namespace
}  // namespace fieldgate::commands
