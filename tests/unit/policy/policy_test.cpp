#include "proxy/policy/policy.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace fieldgate::policy {
namespace {

using analysis::Access;
using analysis::Edit;
using analysis::Plan;
using config::FieldRule;
using config::ReadRule;
using KeyVaultAccess = config::Role::KeyVaultAccess;

constexpr std::uint16_t ssn = 0;
constexpr std::uint16_t blood_type = 1;

class Judge : public ::testing::Test {
 protected:
    Judge() {
        auto schema = std::make_shared<config::Schema>();
        for (const char* name : {"ssn", "bloodType"}) {
            schema->root_.add_child(name).field = static_cast<std::uint16_t>(schema->fields_.size());
            schema->fields_.push_back({name, config::Algorithm::deterministic, config::KeyUuid{}, {0x10}});
        }
        config.schemas.push_back({{"medicalRecords", "patients"}, schema, 0, false});
        role.name = "nurse";
        role.encrypted_fields = everything;
        role.rules = {{everything, everything}};
        plan.command = "find";
        plan.database = "medicalRecords";
        plan.collection = "patients";
        plan.fields =
            analysis::FieldSpace::of(config::reference_to(config.schemas[0]), "medicalRecords", "patients");
        plan.own_is_protected = true;
        plan.uses.resize(2);
        plan.part_uses.resize(1);
        plan.access = Access::read;
    }

    void expect_allowed() const {
        const auto refusal = judge(plan, role, config);
        EXPECT_FALSE(refusal.has_value()) << refusal->errmsg;
    }
    void expect_refused(std::string_view text) const {
        const auto refusal = judge(plan, role, config);
        ASSERT_TRUE(refusal.has_value()) << text;
        EXPECT_EQ(refusal->code, analysis::code::unauthorized);
        EXPECT_EQ(refusal->code_name, "Unauthorized");
        EXPECT_NE(refusal->errmsg.find(text), std::string::npos) << refusal->errmsg;
        EXPECT_NE(refusal->errmsg.find("role 'nurse'"), std::string::npos) << refusal->errmsg;
    }
    void make_unprotected(std::string_view database, std::string_view collection) {
        plan.database = database;
        plan.collection = collection;
        plan.fields = nullptr;
        plan.own_is_protected = false;
        plan.uses.clear();
    }

    static constexpr FieldRule everything{{ReadRule::Kind::reveal, 0}, true, true};
    config::Config config;
    config::Role role;
    Plan plan;
};

TEST_F(Judge, a_plan_that_uses_no_field_needs_no_right) {
    role.rules[0] = {FieldRule{}, FieldRule{}};
    role.encrypted_fields = {};
    expect_allowed();
}

TEST_F(Judge, matching_needs_match) {
    plan.uses[ssn].matched = true;
    expect_allowed();
    role.rules[0][blood_type].match = false;
    expect_allowed();
    role.rules[0][ssn].match = false;
    expect_refused("may not query by encrypted field 'ssn' (`match`)");
}

TEST_F(Judge, writing_and_erasing_need_write) {
    plan.uses[ssn].written = true;
    expect_allowed();
    role.rules[0][ssn].write = false;
    expect_refused("may not write encrypted field 'ssn' (`write`)");
    plan.uses[ssn] = {.erased = true};
    expect_refused("may not erase encrypted field 'ssn' (`write`)");
    role.rules[0][ssn].write = true;
    expect_allowed();
}

TEST_F(Judge, a_replacement_needs_write_on_every_field) {
    plan.part_uses[0].replaces_whole_documents = true;
    expect_allowed();
    role.rules[0][blood_type].write = false;
    expect_refused("may not replace documents with encrypted field 'bloodType'");
}

TEST_F(Judge, naming_an_index_needs_match_on_every_field) {
    plan.names_index = true;
    expect_allowed();
    role.rules[0][blood_type].match = false;
    expect_refused("may not name or rebuild indexes, which may be on encrypted field 'bloodType'");
}

TEST_F(Judge, listing_values_needs_match_or_reveal) {
    plan.uses[ssn].named = true;
    expect_allowed();
    role.rules[0][ssn].match = false;
    expect_allowed();
    for (const auto kind :
         {ReadRule::Kind::ciphertext, ReadRule::Kind::null, ReadRule::Kind::omit, ReadRule::Kind::mask}) {
        role.rules[0][ssn].read.kind = kind;
        role.rules[0][ssn].match = false;
        expect_refused("may not list the values of encrypted field 'ssn'");
        role.rules[0][ssn].match = true;
        expect_allowed();
    }
}

TEST_F(Judge, a_read_only_role_writes_nowhere) {
    role.read_only = true;
    expect_allowed();
    plan.access = Access::write;
    expect_refused("is read-only (`access`)");
    make_unprotected("x", "y");
    expect_refused("is read-only (`access`)");
}

TEST_F(Judge, a_role_that_may_not_delete_keeps_protected_documents) {
    role.may_delete = false;
    plan.access = Access::write;
    expect_allowed();
    plan.deletes = true;
    expect_refused("may not delete documents of 'medicalRecords.patients' (`delete`)");
    make_unprotected("medicalRecords", "wards");
    expect_allowed();
    // The whole database with the protected collection in it.
    config.unlisted_namespaces = config::Config::Unlisted::pass;
    plan.collection = "";
    expect_refused("may not delete documents of 'medicalRecords'");
    plan.database = "other";
    expect_allowed();
    config.schemas[0].pattern.database = "*";
    expect_refused("may not delete documents of 'other'");
}

TEST_F(Judge, namespaces_of_the_role_are_all_it_may_use) {
    role.namespaces = {{"medicalRecords", "*"}};
    expect_allowed();
    plan.others = {{"medicalRecords", "wards"}};
    expect_allowed();
    plan.others.push_back({"x", "y"});
    expect_refused("may not use 'x.y' (`namespaces`)");
    plan.others.clear();
    make_unprotected("x", "y");
    expect_refused("may not use 'x.y' (`namespaces`)");
}

TEST_F(Judge, whole_databases_are_changed_only_where_all_of_it_is_the_roles) {
    role.namespaces = {{"medicalRecords", "patients"}, {"own", "*"}};
    make_unprotected("medicalRecords", "");
    expect_allowed();
    plan.access = Access::write;
    expect_refused("may not use 'medicalRecords'");
    plan.database = "own";
    expect_allowed();
    plan.database = "other";
    expect_refused("may not use 'other'");
    plan.access = Access::read;
    expect_refused("may not use 'other'");
    plan.access = Access::none;
    plan.database = "admin";
    expect_allowed();
}

TEST_F(Judge, the_key_vault_is_closed_unless_the_role_has_it) {
    make_unprotected("encryption", "__keyVault");
    plan.touches_key_vault = true;
    expect_refused("may not read the key vault");
    role.key_vault = KeyVaultAccess::read;
    expect_allowed();
    plan.access = Access::write;
    expect_refused("may not write to the key vault");
    role.key_vault = KeyVaultAccess::write;
    expect_allowed();
    plan.access = Access::none;
    role.key_vault = KeyVaultAccess::none;
    expect_refused("may not read the key vault");
}

TEST_F(Judge, what_shows_everything_needs_a_role_that_reveals_everything) {
    plan.requires_reveal_everything = true;
    expect_allowed();
    role.rules[0][blood_type].read.kind = ReadRule::Kind::mask;
    expect_refused("may not run 'find' here: only roles that reveal every encrypted field may");
    role.rules[0][blood_type].read.kind = ReadRule::Kind::reveal;
    role.encrypted_fields.read.kind = ReadRule::Kind::ciphertext;
    expect_refused("only roles that reveal every encrypted field may");
    role.encrypted_fields = everything;
    role.reaches_every_schema = false;
    expect_refused("only roles that reveal every encrypted field may");
}

TEST_F(Judge, parts_of_a_plan_are_judged_each_by_its_own_rules) {
    auto schema = std::make_shared<config::Schema>();
    schema->root_.add_child("pin").field = 0;
    schema->fields_.push_back({"pin", config::Algorithm::deterministic, config::KeyUuid{}, {0x10}});
    config.schemas.push_back({{"other", "staff"}, schema, 1, false});
    role.rules.push_back({everything});
    plan.fields =
        analysis::FieldSpace::of(config::reference_to(config.schemas[0]), "medicalRecords", "patients");
    ASSERT_TRUE(plan.fields->add(config::reference_to(config.schemas[1]), "other", "staff"));
    plan.uses.resize(3);
    plan.part_uses.resize(2);
    plan.access = Access::write;
    role.rules[1][0].write = false;
    plan.part_uses[0].replaces_whole_documents = true;
    expect_allowed();
    plan.part_uses[1].replaces_whole_documents = true;
    expect_refused("may not replace documents with encrypted field 'pin'");
    plan.part_uses[1].replaces_whole_documents = false;
    plan.uses[2].written = true;
    expect_refused("may not write encrypted field 'pin'");
    role.rules[1][0].write = true;
    expect_allowed();

    role.may_delete = false;
    expect_allowed();
    plan.part_uses[1].deletes = true;
    expect_refused("may not delete documents");
    role.may_delete = true;
    expect_allowed();
}

TEST_F(Judge, schemas_of_the_server_are_judged_by_what_the_role_may_do_anywhere) {
    config::ProtectedNamespace from_server{{"medicalRecords", "wards"}, config.schemas[0].schema};
    from_server.index = config::ProtectedNamespace::not_listed;
    plan.fields = analysis::FieldSpace::of(std::make_shared<const config::ProtectedNamespace>(from_server),
                                           "medicalRecords", "wards");
    plan.uses[ssn].matched = true;
    role.rules = {{FieldRule{}, FieldRule{}}};
    expect_allowed();
    role.encrypted_fields.match = false;
    expect_refused("may not query by encrypted field 'ssn'");
    plan.uses[ssn].matched = false;
    plan.deletes = true;
    role.may_delete = false;
    expect_refused("may not delete documents");
}

TEST_F(Judge, whole_databases_may_hold_what_the_servers_schemas_protect) {
    make_unprotected("other", "");
    plan.part_uses.clear();
    plan.access = Access::write;
    plan.deletes = true;
    role.may_delete = false;
    config.unlisted_namespaces = config::Config::Unlisted::server;
    expect_refused("may not delete documents of 'other'");
    config.unlisted_namespaces = config::Config::Unlisted::pass;
    expect_allowed();
}

TEST_F(Judge, ciphertext_from_a_client_needs_a_role_that_reveals_everything) {
    plan.edits = {{0, ssn, Edit::Kind::encrypt}};
    role.rules[0][blood_type].read.kind = ReadRule::Kind::omit;
    expect_allowed();
    plan.edits.push_back({9, ssn, Edit::Kind::verify_ciphertext});
    expect_refused("may not send ciphertext");
    plan.edits.clear();
    plan.carries_foreign_ciphertext = true;
    expect_refused("may not send ciphertext");
    EXPECT_FALSE(may_send_ciphertext(role, config));
    role.rules[0][blood_type].read.kind = ReadRule::Kind::reveal;
    EXPECT_TRUE(may_send_ciphertext(role, config));
    expect_allowed();
}

}  // namespace
}  // namespace fieldgate::policy
