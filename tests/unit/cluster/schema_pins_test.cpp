#include "proxy/cluster/schema_pins.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

namespace fieldgate::cluster {
namespace {

using analysis::NamespaceFacts;
using config::EncryptedField;

const analysis::NamespaceName patients{"clinic", "patients"};

EncryptedField field(const char* path) {
    return {path, config::Algorithm::deterministic, config::KeyUuid{1}, {0x10, 0x12}};
}

NamespaceFacts with_fields(std::vector<EncryptedField> fields) {
    auto schema = std::make_shared<config::Schema>();
    for (EncryptedField& each : fields) {
        schema->root_.add_child(each.path).field = static_cast<std::uint16_t>(schema->fields_.size());
        schema->fields_.push_back(std::move(each));
    }
    config::ProtectedNamespace made;
    made.schema = schema;
    made.index = config::ProtectedNamespace::not_listed;
    NamespaceFacts facts;
    facts.validator_encrypts = true;
    facts.server_schema = std::make_shared<const config::ProtectedNamespace>(std::move(made));
    return facts;
}

void expect_refused(const NamespaceFacts& facts, std::string_view why) {
    EXPECT_TRUE(facts.validator_encrypts);
    EXPECT_EQ(facts.server_schema, nullptr);
    EXPECT_FALSE(facts.is_view);
    EXPECT_NE(facts.schema_problem.find(why), std::string::npos) << facts.schema_problem;
}

TEST(SchemaPins, what_was_never_protected_is_left_as_it_is) {
    SchemaPins pins;
    EXPECT_FALSE(pins.apply(patients, {}).validator_encrypts);
    NamespaceFacts view;
    view.is_view = true;
    EXPECT_TRUE(pins.apply(patients, view).is_view);
    // It may gain a schema.
    EXPECT_NE(pins.apply(patients, with_fields({field("ssn")})).server_schema, nullptr);
}

TEST(SchemaPins, an_equal_schema_passes_and_a_stronger_one_takes_its_place) {
    SchemaPins pins;
    EXPECT_NE(pins.apply(patients, with_fields({field("ssn")})).server_schema, nullptr);
    EncryptedField turned = field("ssn");
    turned.bson_types = {0x12, 0x10};
    EXPECT_NE(pins.apply(patients, with_fields({turned})).server_schema, nullptr);
    EXPECT_NE(pins.apply(patients, with_fields({field("email"), field("ssn")})).server_schema, nullptr);
    expect_refused(pins.apply(patients, with_fields({field("ssn")})), "no longer encrypts field 'email'");
    // Put right again.
    EXPECT_NE(pins.apply(patients, with_fields({field("ssn"), field("email")})).server_schema, nullptr);
}

TEST(SchemaPins, a_weaker_or_other_schema_is_refused_by_what_changed) {
    const std::pair<std::function<void(EncryptedField&)>, const char*> changes[] = {
        {[](EncryptedField& f) { f.path = "other"; }, "no longer encrypts field 'ssn'"},
        {[](EncryptedField& f) { f.algorithm = config::Algorithm::random; }, "another algorithm"},
        {[](EncryptedField& f) { f.key = config::KeyUuid{2}; }, "another key"},
        {[](EncryptedField& f) { f.key = config::KeyPointer{{"key"}}; }, "another key"},
        {[](EncryptedField& f) { f.bson_types = {0x10}; }, "another bsonType"},
        {[](EncryptedField& f) { f.bson_types = {}; }, "another bsonType"},
    };
    for (const auto& [change, why] : changes) {
        SchemaPins pins;
        pins.apply(patients, with_fields({field("ssn")}));
        EncryptedField changed = field("ssn");
        change(changed);
        const NamespaceFacts facts = pins.apply(patients, with_fields({changed}));
        expect_refused(facts, why);
        EXPECT_NE(facts.schema_problem.find("restart fieldgate"), std::string::npos);
        // It stays so.
        expect_refused(pins.apply(patients, with_fields({changed})), why);
    }
}

TEST(SchemaPins, a_schema_that_is_gone_is_missed) {
    SchemaPins pins;
    pins.apply(patients, with_fields({field("ssn")}));
    expect_refused(pins.apply(patients, {}), "is gone: the collection no longer has it");
    NamespaceFacts view;
    view.is_view = true;
    view.reads = {{"clinic", "other"}};
    expect_refused(pins.apply(patients, view), "has become a view");
    NamespaceFacts broken;
    broken.validator_encrypts = true;
    broken.schema_problem = "cannot be built";
    expect_refused(pins.apply(patients, broken), "cannot be built");
    // Others are not concerned.
    EXPECT_FALSE(pins.apply({"clinic", "wards"}, {}).validator_encrypts);
    EXPECT_FALSE(pins.apply({"other", "patients"}, {}).validator_encrypts);
}

TEST(SchemaPins, what_cannot_be_remembered_is_refused) {
    SchemaPins pins(2);
    EXPECT_NE(pins.apply({"db", "a"}, with_fields({field("x")})).server_schema, nullptr);
    EXPECT_NE(pins.apply({"db", "b"}, with_fields({field("x")})).server_schema, nullptr);
    expect_refused(pins.apply({"db", "c"}, with_fields({field("x")})), "more collections");
    EXPECT_NE(pins.apply({"db", "b"}, with_fields({field("x")})).server_schema, nullptr);
}

}  // namespace
}  // namespace fieldgate::cluster
