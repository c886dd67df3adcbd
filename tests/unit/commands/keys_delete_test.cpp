#include <gtest/gtest.h>

#include "tests/unit/commands/key_vault_stand.hpp"

namespace fieldgate::commands {
namespace {

using testing::Printed;
using testing::replace_in;
using testing::VaultStand;

constexpr const char* sevens = "07070707-0707-0707-0707-070707070707";

struct Result {
    int code;
    std::string out;
    std::string err;
};
// `typed`: what somebody types at the terminal; null: there is none.
Result remove(VaultStand& vault, const DeleteKey& options, const char* typed = nullptr) {
    Printed printed;
    std::istringstream in(typed == nullptr ? "" : typed);
    const Console console{printed.out, printed.err, &in, typed != nullptr};
    const int code = delete_key(vault.clinic.file, options, console);
    return {code, printed.out.str(), printed.err.str()};
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

TEST(KeysDelete, asks_for_the_keys_name_or_uuid) {
    for (const char* typed : {"clinic\n", "second\n", "07070707-0707-0707-0707-070707070707\n", "clinic"}) {
        SCOPED_TRACE(typed);
        VaultStand vault;
        vault.add(7, {"clinic", "second"});
        vault.add(8, {"other"});
        const Result result = remove(vault, {.key = "second"}, typed);
        EXPECT_EQ(result.code, exit_ok) << result.err;
        EXPECT_EQ(result.out, std::string("deleted: ") + sevens + "\n");
        EXPECT_TRUE(has(result.err, std::string("Everything that is encrypted with `clinic` (") + sevens +
                                        ") becomes unreadable, for ever."))
            << result.err;
        EXPECT_TRUE(has(result.err, "cannot be written: medicalRecords.patients")) << result.err;
        EXPECT_TRUE(has(result.err, "Type its name or UUID to delete it: ")) << result.err;
        EXPECT_TRUE(has(result.err, "key_vault.cache_lifetime (60 s)")) << result.err;
        ASSERT_EQ(vault.keys().size(), 1u);
        EXPECT_EQ(vault.keys()[0].alt_names, std::vector<std::string>{"other"});
    }
}

TEST(KeysDelete, deletes_nothing_on_another_answer) {
    for (const char* typed : {"", "\n", "y\n", "yes\n", "Clinic\n", "clinic \n", "other\n",
                              "08080808-0808-0808-0808-080808080808\n"}) {
        SCOPED_TRACE(typed);
        VaultStand vault;
        vault.add(7, {"clinic"});
        vault.add(8, {"other"});
        const Result result = remove(vault, {.key = "clinic"}, typed);
        EXPECT_EQ(result.code, exit_usage);
        EXPECT_TRUE(has(result.err, "nothing was deleted")) << result.err;
        EXPECT_EQ(vault.keys().size(), 2u);
        EXPECT_FALSE(vault.wrote());
    }
}

TEST(KeysDelete, yes_is_needed_where_nobody_can_be_asked) {
    VaultStand vault;
    vault.add(7, {"spare"});
    Result result = remove(vault, {.key = sevens});
    EXPECT_EQ(result.code, exit_usage);
    EXPECT_EQ(result.err, "--yes: needed where nobody can be asked: this is no terminal\n");
    EXPECT_FALSE(vault.wrote());
    result = remove(vault, {.key = "nobodys"});
    EXPECT_EQ(result.code, exit_configuration) << "what is wrong first: " << result.err;
    result = remove(vault, {.key = sevens, .yes = true});
    EXPECT_EQ(result.code, exit_ok);
    EXPECT_FALSE(has(result.err, "Type its"));
    EXPECT_TRUE(has(result.err, "no schema of " + vault.clinic.file.string() + " names it")) << result.err;
    EXPECT_TRUE(vault.keys().empty());
}

// By its name it would be looked for under a UUID that it does not have.
TEST(KeysDelete, leaves_a_document_without_a_uuid_alone) {
    VaultStand vault;
    vault.documents.push_back(bson::from_json(R"({"_id": "x", "keyAltNames": ["junk"]})").value());
    const Result result = remove(vault, {.key = "junk", .yes = true});
    EXPECT_EQ(result.code, exit_configuration);
    EXPECT_TRUE(has(result.err,
                    "the document `junk` (no UUID) in encryption.__keyVault is no key: _id must be a UUID"))
        << result.err;
    EXPECT_TRUE(has(result.err, "Change it with a MongoDB shell\n")) << result.err;
    EXPECT_FALSE(vault.wrote());
}

TEST(KeysDelete, says_which_documents_may_name_the_key_themselves) {
    VaultStand vault;
    replace_in(vault.clinic.file, "schemas:\n",
               "schemas:\n  db.notes: { schema: { bsonType: object, properties: { note: { encrypt: { keyId: "
               "/owner, algorithm: AEAD_AES_256_CBC_HMAC_SHA_512-Random } } } } }\n");
    vault.add(7, {"patient-1"});
    const Result result = remove(vault, {.key = "patient-1", .yes = true});
    EXPECT_EQ(result.code, exit_ok) << result.err;
    EXPECT_TRUE(has(result.err, "documents of these namespaces may name it: db.notes")) << result.err;
}

TEST(KeysDelete, deletes_documents_that_are_no_keys) {
    VaultStand vault;
    vault.documents.push_back(
        bson::from_json(
            R"({"_id": {"$binary": {"base64": "BwcHBwcHBwcHBwcHBwcHBw==", "subType": "04"}}, "x": 1})")
            .value());
    const Result result = remove(vault, {.key = sevens}, (std::string(sevens) + "\n").c_str());
    EXPECT_EQ(result.code, exit_ok) << result.err;
    EXPECT_TRUE(has(result.err, "Type its UUID to delete it: ")) << result.err;
    EXPECT_TRUE(vault.documents.empty());
}

TEST(KeysDelete, says_what_is_not_there_or_not_allowed) {
    VaultStand vault;
    Result result = remove(vault, {.key = "clinic", .yes = true});
    EXPECT_EQ(result.code, exit_configuration);
    EXPECT_TRUE(has(result.err, "no key `clinic` in encryption.__keyVault")) << result.err;

    vault.add(7, {"clinic"});
    bool is_gone = true;
    vault.before = [&](bson::DocumentView command) -> std::optional<bson::Buffer> {
        if (!command.find("delete")) return std::nullopt;
        if (is_gone) return bson::from_json(R"({"n": 0, "ok": 1})").value();
        return cluster::testing::error_reply(13, "not authorized on encryption");
    };
    result = remove(vault, {.key = "clinic", .yes = true});
    EXPECT_EQ(result.code, exit_configuration);
    EXPECT_TRUE(has(result.err, "is gone already")) << result.err;
    is_gone = false;
    result = remove(vault, {.key = "clinic", .yes = true});
    EXPECT_EQ(result.code, exit_unavailable);
    EXPECT_TRUE(has(result.err, "not authorized")) << result.err;
    EXPECT_EQ(result.out, "");
}

}  // namespace
}  // namespace fieldgate::commands
