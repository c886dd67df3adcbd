#include "support.hpp"

namespace fieldgate::analysis::testing {
namespace {

class Structure : public ::testing::Test {
 protected:
    Outcome run(const std::string& name, const std::string& value, const std::string& more = "") const {
        return clinic.analyse("{\"" + name + "\": " + value + more + "}");
    }
    Clinic clinic;
};

TEST_F(Structure, create_on_a_protected_name_is_plain) {
    EXPECT_EQ(run("create", R"("patients")", R"(, "capped": true, "size": 5)").plan.shape.kind,
              ReplyShape::Kind::scalar);
    for (const std::string option :
         {"viewOn", "pipeline", "timeseries", "encryptedFields", "expireAfterSeconds"})
        expect_refusal(run("create", R"("patients")", ", \"" + option + R"(": "x")"),
                       code::command_not_supported, "create." + option);
    expect_refusal(run("create", R"("patients")", R"(, "collation": {"locale": "de"})"),
                   code::command_not_supported, "create.collation");
    EXPECT_TRUE(run("create", R"("patients")", R"(, "collation": {"locale": "simple"})").passed());
    expect_refusal(run("create", R"("patients")", R"(, "badField": 1)"), code::unknown_field,
                   "create.badField");
    EXPECT_TRUE(run("create", R"("patients")",
                    R"(, "clusteredIndex": {"key": {"_id": 1}, "unique": true, "name": "c"},
                    "changeStreamPreAndPostImages": {"enabled": true})")
                    .passed());
    expect_refusal(
        run("create", R"("patients")", R"(, "clusteredIndex": {"key": {"ssn": 1}, "unique": true})"),
        code::operation_not_on_encrypted, "an index option on encrypted field 'ssn'");
    expect_refusal(run("create", R"("patients")", R"(, "clusteredIndex": {"key": {"_id": 1}, "x": 1})"),
                   code::unknown_field, "clusteredIndex.x");
    expect_refusal(run("create", R"("patients")", R"(, "clusteredIndex": "x")"), code::type_mismatch,
                   "'clusteredIndex'");
    expect_refusal(
        run("create", R"("patients")", R"(, "changeStreamPreAndPostImages": {"enabled": {"ssn": 5}})"),
        code::type_mismatch, "'enabled'");
}

TEST_F(Structure, views_over_protected_namespaces_are_not_defined) {
    for (const std::string name : {"create", "collMod"}) {
        const std::string text = "names the protected namespace";
        const auto define = [&](const std::string& more) { return run(name, R"("v")", ", " + more); };
        expect_refusal(define(R"("viewOn": "patients", "pipeline": [])"), code::command_not_supported, text);
        expect_refusal(define(R"("viewOn": "wards", "pipeline": [{"$lookup": {"from": "patients"}}])"),
                       code::command_not_supported, text);
        expect_refusal(define(R"("viewOn": "wards", "pipeline": [{"$unionWith": "patients"}])"),
                       code::command_not_supported, text);
        expect_refusal(define(R"("viewOn": "wards", "viewOn": "patients")"), code::failed_to_parse,
                       "duplicate");
        expect_refusal(define(R"("viewOn": 5)"), code::invalid_namespace, "'viewOn'");
        expect_refusal(define(R"("viewOn": "wards", "pipeline": [{"$out": "x"}])"),
                       code::command_not_supported, "cannot stand here");
        expect_refusal(define(R"("viewOn": "wards", "pipeline": 5)"), code::type_mismatch, "'pipeline'");
        const Outcome outcome = define(R"("viewOn": "wards", "pipeline": [{"$lookup": {"from": "beds"}}])");
        EXPECT_TRUE(outcome.passed()) << outcome;
        EXPECT_EQ(outcome.plan.others,
                  (std::vector<NamespaceName>{{"medicalRecords", "wards"}, {"medicalRecords", "beds"}}));
    }
}

TEST_F(Structure, indexes_on_protected_namespaces) {
    const auto index = [&](const std::string& spec) {
        return run("createIndexes", R"("patients")", R"(, "indexes": [)" + spec + "]");
    };
    for (const std::string spec :
         {R"({"key": {"ssn": 1}, "name": "a", "unique": true})", R"({"key": {"bloodType": -1}, "name": "a"})",
          R"({"key": {"insurance.policyNumber": 1, "name": 1}, "name": "a", "v": 2})",
          R"({"key": {"name": "text"}, "name": "a"})", R"({"key": {"name": "hashed"}, "name": "a"})",
          R"({"key": {"place": "2dsphere"}, "name": "a"})",
          R"({"key": {"admitted": 1}, "name": "a", "expireAfterSeconds": 5})",
          R"({"key": {"tags.$**": 1}, "name": "a"})", R"({"key": {"insurance": 1}, "name": "a"})",
          R"({"key": {"name": 1}, "collation": {"locale": "de"}, "name": "a"})",
          R"({"key": {"name": "text"}, "weights": {"name": 5}, "name": "a"})",
          R"({"key": {"ssn": 1.0}, "name": "a"})"})
        EXPECT_TRUE(index(spec).passed()) << spec << index(spec);
    EXPECT_EQ(index(R"({"key": {"ssn": 1}, "name": "a"})").plan.access, Access::write);
    // Such an index deletes documents.
    EXPECT_TRUE(index(R"({"key": {"admitted": 1}, "expireAfterSeconds": 5})").plan.deletes);
    EXPECT_FALSE(index(R"({"key": {"admitted": 1}})").plan.deletes);
    const std::string text = "Comparison to encrypted fields not supported";
    for (const std::string spec :
         {R"({"key": {"bloodType": 1}, "unique": true})", R"({"key": {"insurance": 1}, "unique": true})",
          R"({"key": {"bloodType": 1}, "prepareUnique": true})", R"({"key": {"ssn": "hashed"}})",
          R"({"key": {"ssn": "text"}})", R"({"key": {"ssn": "2dsphere"}})", R"({"key": {"ssn": 145014000}})",
          R"({"key": {"dateOfBirth": 1}, "expireAfterSeconds": 5})", R"({"key": {"$**": 1}})",
          R"({"key": {"$**": "text"}})", R"({"key": {"insurance.$**": 1}})", R"({"key": {"ssn.$**": 1}})",
          R"({"key": {"ssn.x": 1}})", R"({"key": {"ssn": 1}, "collation": {"locale": "de"}})",
          R"({"key": {"name": "text"}, "weights": {"ssn": 5}})",
          R"({"key": {"name": "text"}, "weights": {"$**": 5}})"})
        expect_refusal(index(spec), code::operation_not_on_encrypted, text);
    for (const std::string filter :
         {R"({"name": {"$gt": "a"}, "$or": [{"room": 5}, {"room": {"$exists": true}}]})",
          R"({"ssn": {"$exists": true}})", R"({"insurance": {"$type": "object"}})", "{}"})
        EXPECT_TRUE(index(R"({"key": {"name": 1}, "partialFilterExpression": )" + filter + "}").passed())
            << filter;
    EXPECT_TRUE(
        clinic
            .use(index(R"({"key": {"name": 1}, "partialFilterExpression": {"ssn": {"$exists": true}}})"),
                 "ssn")
            .matched);
    for (const std::string& filter : std::vector<std::string>{
             R"({"ssn": 5})", R"({"name": 1, "$and": [{"ssn": {"$in": [5]}}]})",
             R"({"insurance.agent": {"code": "x"}})", R"({"ssn": )" + ciphertext(1) + "}"})
        expect_refusal(index(R"({"key": {"name": 1}, "partialFilterExpression": )" + filter + "}"),
                       code::operation_not_on_encrypted, text + " in a partialFilterExpression");
    for (const std::string filter : {R"({"ssn": {"$gt": 5}})", R"({"ssn": {"$type": "int"}})"})
        expect_refusal(index(R"({"key": {"name": 1}, "partialFilterExpression": )" + filter + "}"),
                       code::operation_not_on_encrypted,
                       "Invalid match expression operator on encrypted field");
    expect_refusal(index(R"({"key": {"name": 1}, "partialFilterExpression": 5})"), code::type_mismatch,
                   "partialFilterExpression must be an object");
    expect_refusal(index(R"({"key": {"$**": 1}, "wildcardProjection": {"ssn": 0}})"),
                   code::operation_not_on_encrypted, text);
    expect_refusal(index(R"({"key": {"x.$**": 1}, "wildcardProjection": {"ssn": 0}})"),
                   code::command_not_supported, "wildcardProjection");
    expect_refusal(index(R"({"key": {"name": 1}, "badField": {"ssn": 5}})"), code::unknown_field,
                   "indexes.badField");
    expect_refusal(index(R"({"key": {"name": 1}, "name": {"ssn": 5}})"), code::type_mismatch,
                   "'name' must be a string");
    expect_refusal(index(R"({"name": "a"})"), code::failed_to_parse, "'indexes.key' is missing");
    expect_refusal(index(R"({"key": 5})"), code::type_mismatch, "key must be an object");
    expect_refusal(index("5"), code::type_mismatch, "An index must be an object");
    expect_refusal(run("createIndexes", R"("patients")", R"(, "indexes": {})"), code::type_mismatch,
                   "'indexes'");
    EXPECT_TRUE(run("createIndexes", R"("wards")",
                    R"(, "indexes": [{"key": {"x": 1}, "partialFilterExpression": {"x": 5}}])")
                    .passed());
}

TEST_F(Structure, options_of_collections_are_modified) {
    const auto modify = [&](const std::string& more) { return run("collMod", R"("patients")", ", " + more); };
    struct Option {
        std::string text;
        bool deletes = false, names_index = false, reveals = false;
    };
    for (const Option& each : std::vector<Option>{
             {.text = R"("index": {"keyPattern": {"ssn": 1}, "hidden": true})"},
             {.text = R"("index": {"keyPattern": {"ssn": 1}, "prepareUnique": true})"},
             {.text = R"("index": {"keyPattern": {"bloodType": 1}, "unique": false})"},
             {.text = R"("index": {"keyPattern": {"admitted": 1}, "expireAfterSeconds": 5})",
              .deletes = true},
             {.text = R"("index": {"name": "a", "hidden": false})", .names_index = true},
             {.text = R"("index": {"name": "a", "expireAfterSeconds": 5})",
              .deletes = true,
              .names_index = true},
             {.text = R"("validationLevel": "off")", .reveals = true},
             {.text = R"("validationAction": "warn")", .reveals = true},
             {.text = R"("validator": {})", .reveals = true},
             {.text = R"("changeStreamPreAndPostImages": {"enabled": true})"},
             {.text =
                  R"("recordPreImages": true, "noPadding": false, "usePowerOf2Sizes": true, "dryRun": true)"},
             {.text = R"("cappedSize": 5)", .deletes = true},
             {.text = R"("cappedMax": 5)", .deletes = true}}) {
        const Outcome outcome = modify(each.text);
        EXPECT_TRUE(outcome.passed()) << each.text << outcome;
        EXPECT_EQ(outcome.plan.access, Access::write);
        EXPECT_EQ(outcome.plan.deletes, each.deletes) << each.text;
        EXPECT_EQ(outcome.plan.names_index, each.names_index) << each.text;
        EXPECT_EQ(outcome.plan.requires_reveal_everything, each.reveals) << each.text;
        EXPECT_EQ(outcome.plan.shape.kind, ReplyShape::Kind::scalar);
    }
    const std::string text = "Comparison to encrypted fields not supported";
    for (const std::string more :
         {R"("index": {"keyPattern": {"bloodType": 1}, "unique": true})",
          R"("index": {"keyPattern": {"bloodType": 1}, "prepareUnique": true})",
          R"("index": {"keyPattern": {"insurance": 1}, "unique": true})",
          R"("index": {"keyPattern": {"dateOfBirth": 1}, "expireAfterSeconds": 5})",
          R"("index": {"keyPattern": {"ssn": 145014000}, "hidden": true})",
          R"("index": {"name": "a", "unique": true})", R"("index": {"name": "a", "prepareUnique": true})"})
        expect_refusal(modify(more), code::operation_not_on_encrypted, text);
    for (const std::string option : {"viewOn", "pipeline", "timeseries", "expireAfterSeconds"})
        expect_refusal(modify("\"" + option + R"(": [])"), code::command_not_supported, "collMod." + option);
    for (const std::string more :
         {R"("index": 5)", R"("index": {"keyPattern": 5})", R"("index": {"name": 5})",
          R"("validationLevel": 5)", R"("validationAction": {"ssn": 5})", R"("validator": 5)",
          R"("changeStreamPreAndPostImages": {"enabled": "x"})", R"("cappedSize": "x")"})
        expect_refusal(modify(more), code::type_mismatch, "must be");
    expect_refusal(modify(R"("badField": 1)"), code::unknown_field, "collMod.badField");
    expect_refusal(modify(R"("index": {"keyPattern": {"ssn": 1}, "badField": {"ssn": 5}})"),
                   code::unknown_field, "collMod.index.badField");
    // What a view reads may be protected.
    clinic.catalog.facts["medicalRecords.patients"].is_view = true;
    expect_refusal(modify(R"("dryRun": true)"), code::command_not_supported, "view");
}

TEST_F(Structure, drop_database_is_a_deletion_and_may_take_the_key_vault_with_it) {
    const Outcome outcome = run("dropDatabase", "1");
    EXPECT_TRUE(outcome.passed());
    EXPECT_TRUE(outcome.plan.deletes);
    EXPECT_EQ(outcome.plan.access, Access::write);
    EXPECT_FALSE(outcome.plan.touches_key_vault);
    EXPECT_TRUE(run("dropDatabase", "1", R"(, "$db": "encryption")").plan.touches_key_vault);
    EXPECT_TRUE(run("dropDatabase", "1", R"(, "$db": "local")").plan.requires_reveal_everything);
    expect_refusal(clinic.analyse(R"({"dropDatabase": 1})", {{"x", {"{}"}}}), code::failed_to_parse,
                   "document sequence");
}

TEST_F(Structure, renames_stay_on_one_side_of_protection) {
    const auto rename = [&](const std::string& from, const std::string& to, const std::string& more = "") {
        return run("renameCollection", "\"" + from + "\"",
                   R"(, "to": ")" + to + R"(", "$db": "admin")" + more);
    };
    const Outcome outcome = rename("x.a", "y.b");
    EXPECT_TRUE(outcome.passed()) << outcome;
    EXPECT_EQ(outcome.plan.database, "x");
    EXPECT_EQ(outcome.plan.collection, "a");
    EXPECT_EQ(outcome.plan.others, (std::vector<NamespaceName>{{"y", "b"}}));
    EXPECT_FALSE(outcome.plan.deletes);
    EXPECT_TRUE(rename("x.a", "y.b", R"(, "dropTarget": true)").plan.deletes);
    EXPECT_FALSE(rename("x.a", "y.b", R"(, "dropTarget": false)").plan.deletes);
    expect_refusal(rename("medicalRecords.patients", "medicalRecords.open"), code::command_not_supported,
                   "another schema");
    expect_refusal(rename("medicalRecords.open", "medicalRecords.patients"), code::command_not_supported,
                   "protected namespace");
    expect_refusal(rename("x.a", "encryption.__keyVault"), code::command_not_supported, "key vault");
    EXPECT_TRUE(rename("encryption.__keyVault", "x.a").plan.touches_key_vault);
    for (const std::string bad : {"nodot", ".x", "x."}) {
        expect_refusal(rename(bad, "y.b"), code::invalid_namespace, "two full names");
        expect_refusal(rename("y.b", bad), code::invalid_namespace, "two full names");
    }
    expect_refusal(run("renameCollection", R"("x.a")", R"(, "to": "y.b", "to": "medicalRecords.patients")"),
                   code::invalid_namespace, "two full names");
    expect_refusal(run("renameCollection", R"("x.a")"), code::invalid_namespace, "two full names");
}

TEST_F(Structure, renames_within_one_schema_need_a_role_that_reveals_everything) {
    clinic.config.schemas[0].pattern = {"tenant_*", "patients*"};
    const auto rename = [&](const std::string& from, const std::string& to) {
        return run("renameCollection", "\"" + from + "\"", R"(, "to": ")" + to + "\"");
    };
    const Outcome outcome = rename("tenant_a.patients", "tenant_a.patients_old");
    EXPECT_TRUE(outcome.passed()) << outcome;
    EXPECT_TRUE(outcome.plan.requires_reveal_everything);
    EXPECT_EQ(outcome.plan.shape.kind, ReplyShape::Kind::scalar);
    expect_refusal(run("renameCollection", R"("tenant_a.patients")",
                       R"(, "to": "tenant_a.patients_old", "badField": 1)"),
                   code::unknown_field, "renameCollection.badField");
    // Another database may mean another key.
    expect_refusal(rename("tenant_a.patients", "tenant_b.patients"), code::command_not_supported,
                   "another schema");
    expect_refusal(rename("tenant_a.patients", "tenant_a.patients$"), code::invalid_namespace,
                   "Invalid collection name");
}

TEST_F(Structure, copies_of_collections_do_not_reach_protected_names) {
    expect_refusal(run("cloneCollectionAsCapped", R"("wards")", R"(, "toCollection": "patients")"),
                   code::command_not_supported, "names the protected namespace");
    expect_refusal(run("cloneCollectionAsCapped", R"("wards")"), code::invalid_namespace, "'toCollection'");
    for (const std::string name : {"mapReduce", "mapreduce"}) {
        for (const std::string out :
             {R"("patients")", R"({"replace": "patients"})", R"({"merge": "patients"})",
              R"({"reduce": "patients"})", R"({"replace": "patients", "db": "medicalRecords"})"})
            expect_refusal(run(name, R"("wards")", R"(, "out": )" + out), code::command_not_supported,
                           "names the protected namespace");
        for (const std::string out :
             {R"({"replace": "a", "merge": "patients"})", R"({"replace": "a", "replace": "patients"})",
              R"({"db": "x"})", R"({"replace": 5})", R"({"unheardOf": "patients"})", "{}"})
            expect_refusal(run(name, R"("wards")", R"(, "out": )" + out), code::invalid_namespace,
                           "output of mapReduce");
        expect_refusal(run(name, R"("wards")", R"(, "out": 5)"), code::type_mismatch, "'out'");
        for (const std::string out :
             {R"("x")", R"({"inline": 1})", R"({"merge": "x", "db": "y", "nonAtomic": true})"})
            EXPECT_TRUE(run(name, R"("wards")", R"(, "out": )" + out).passed()) << out;
    }
}

}  // namespace
}  // namespace fieldgate::analysis::testing
