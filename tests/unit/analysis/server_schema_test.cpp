#include "support.hpp"

// Namespaces that the collection's own validator protects (`unlisted_namespaces: server`).
namespace fieldgate::analysis::testing {
namespace {

NamespaceFacts facts(const std::string& validator) {
    const bson::Buffer document =
        json(R"({"name": "wards", "type": "collection", "options": {"validator": )" + validator + "}}");
    const auto result = facts_of("medicalRecords", bson::DocumentView::unchecked(document));
    EXPECT_FALSE(result.has_error());
    return result ? *result : NamespaceFacts{};
}

std::string encrypt(const std::string& bson_type = "int") {
    return R"({"encrypt": {"bsonType": ")" + bson_type +
           R"(", "algorithm": "AEAD_AES_256_CBC_HMAC_SHA_512-Deterministic",
               "keyId": [{"$binary": {"base64": "AAAAAAAAAAAAAAAAAAAAAA==", "subType": "04"}}]}})";
}
std::string schema(const std::string& properties) {
    return R"({"bsonType": "object", "required": ["name"], "properties": )" + properties + "}";
}

const NamespaceFacts& wards() {
    static const NamespaceFacts made =
        facts(R"({"$jsonSchema": )" +
              schema(R"({"name": {"bsonType": "string"}, "code": )" + encrypt() + "}") + "}");
    return made;
}

class ServerSchema : public ::testing::Test {
 protected:
    ServerSchema() { clinic.catalog.facts["medicalRecords.wards"] = wards(); }
    Clinic clinic;
};

TEST(Facts, of_a_validator_that_encrypts_are_its_schema) {
    const NamespaceFacts& made = wards();
    EXPECT_TRUE(made.validator_encrypts);
    EXPECT_EQ(made.schema_problem, "");
    ASSERT_NE(made.server_schema, nullptr);
    EXPECT_EQ(made.server_schema->pattern.text(), "medicalRecords.wards");
    EXPECT_EQ(made.server_schema->index, config::ProtectedNamespace::not_listed);
    EXPECT_FALSE(made.server_schema->explicit_encryption_allow);
    ASSERT_EQ(made.server_schema->schema->fields().size(), 1u);
    EXPECT_EQ(made.server_schema->schema->fields()[0].path, "code");
    // Other rules are the server's business.
    EXPECT_NE(facts(R"({"age": {"$gt": 0}, "$jsonSchema": )" + schema("{\"code\": " + encrypt() + "}") + "}")
                  .server_schema,
              nullptr);
}

TEST(Facts, of_a_validator_that_cannot_be_applied_say_why) {
    const auto expect_problem = [](const std::string& validator, std::string_view text) {
        const NamespaceFacts made = facts(validator);
        EXPECT_TRUE(made.validator_encrypts) << validator;
        EXPECT_EQ(made.server_schema, nullptr) << validator;
        EXPECT_NE(made.schema_problem.find(text), std::string::npos) << made.schema_problem;
    };
    const std::string good = schema("{\"code\": " + encrypt() + "}");
    expect_problem(R"({"$and": [{"$jsonSchema": )" + good + "}]}", "elsewhere than in the validator's own");
    expect_problem(R"([{"$jsonSchema": )" + good + "}]", "elsewhere");
    expect_problem(R"({"$jsonSchema": )" + good + R"(, "$jsonSchema": )" + good + "}", "elsewhere");
    expect_problem(R"({"$jsonSchema": )" + good + R"(, "$nor": [{"$jsonSchema": )" + good + "}]}",
                   "in the rule '$nor' beside $jsonSchema");
    expect_problem(R"({"$jsonSchema": )" + schema("{\"code\": " + encrypt("double") + "}") + "}",
                   "properties.code");
    expect_problem(
        R"({"$jsonSchema": {"encryptMetadata": {"algorithm": "AEAD_AES_256_CBC_HMAC_SHA_512-Random"}, "properties": {}}})",
        "no field");
}

TEST_F(ServerSchema, protects_its_collection) {
    const Outcome insert = clinic.analyse(R"({"insert": "wards", "documents": [{"code": 5, "name": "x"}]})");
    EXPECT_TRUE(insert.passed()) << insert;
    EXPECT_EQ(insert.edits, std::vector<std::string>{"documents[0].code=encrypt code"});
    EXPECT_TRUE(insert.plan.own_is_protected);
    EXPECT_EQ(insert.plan.fields->parts()[0].protected_namespace, wards().server_schema);
    EXPECT_EQ(insert.plan.shape.kind, ReplyShape::Kind::write_result);
    const Outcome find = clinic.analyse(R"({"find": "wards", "filter": {"code": 5}})");
    EXPECT_EQ(find.edits, std::vector<std::string>{"filter.code=encrypt code"});
    expect_refusal(clinic.analyse(R"({"find": "wards", "filter": {"code": {"$gt": 5}}})"),
                   code::operation_not_on_encrypted, "code");
    expect_refusal(clinic.analyse(R"({"mapReduce": "wards", "out": {"inline": 1}})"),
                   code::command_not_supported, "mapReduce");
}

TEST_F(ServerSchema, counts_only_where_the_configuration_says_so_and_names_no_schema) {
    clinic.config.unlisted_namespaces = config::Config::Unlisted::pass;
    const Outcome pass = clinic.analyse(R"({"insert": "wards", "documents": [{"code": 5}]})");
    EXPECT_TRUE(pass.passed());
    EXPECT_EQ(pass.plan.fields, nullptr);
    clinic.config.unlisted_namespaces = config::Config::Unlisted::refuse;
    expect_refusal(clinic.analyse(R"({"find": "wards"})"), code::unauthorized, "refuse");
    clinic.config.unlisted_namespaces = config::Config::Unlisted::server;
    clinic.catalog.facts["medicalRecords.patients"] = wards();
    const Outcome local = clinic.analyse(R"({"find": "patients", "filter": {"code": 5, "ssn": 5}})");
    EXPECT_EQ(local.edits, std::vector<std::string>{"filter.ssn=encrypt ssn"});
}

TEST_F(ServerSchema, commands_about_structure_know_it_too) {
    for (const std::string command : {"drop", "listIndexes", "collStats", "reIndex"}) {
        const Outcome outcome = clinic.analyse("{\"" + command + R"(": "wards"})");
        EXPECT_TRUE(outcome.passed()) << command << outcome;
        EXPECT_TRUE(outcome.plan.own_is_protected) << command;
    }
    EXPECT_TRUE(clinic.analyse(R"({"drop": "wards"})").plan.deletes);
    clinic.catalog.facts.erase("medicalRecords.wards");
    clinic.catalog.facts.erase("*");
    EXPECT_EQ(clinic.analyse(R"({"drop": "wards"})").needed,
              (std::vector<NamespaceName>{{"medicalRecords", "wards"}}));
    clinic.config.unlisted_namespaces = config::Config::Unlisted::pass;
    EXPECT_TRUE(clinic.analyse(R"({"drop": "wards"})").passed());
    EXPECT_TRUE(clinic.analyse(R"({"drop": "patients"})").passed());
}

TEST_F(ServerSchema, other_namespaces_that_it_protects_are_refused_where_listed_ones_are) {
    expect_refusal(clinic.analyse(R"({"mapReduce": "beds", "out": "wards"})"), code::command_not_supported,
                   "names the protected namespace 'medicalRecords.wards'");
    expect_refusal(
        clinic.analyse(
            R"({"renameCollection": "medicalRecords.wards", "to": "medicalRecords.beds", "$db": "admin"})"),
        code::command_not_supported, "another schema");
    expect_refusal(
        clinic.analyse(
            R"({"renameCollection": "medicalRecords.beds", "to": "medicalRecords.wards", "$db": "admin"})"),
        code::command_not_supported, "names the protected namespace");
    clinic.catalog.facts["medicalRecords.v"] = {.is_view = true, .reads = {{"medicalRecords", "wards"}}};
    expect_refusal(clinic.analyse(R"({"find": "v"})"), code::command_not_supported, "view");
}

// Joins: here only which parts the plan gets; what stages do with them is the pipeline's business.

TEST_F(ServerSchema, namespaces_that_an_aggregation_names_join_the_plan) {
    const auto parts = [&](const std::string& collection, const std::string& from) {
        const Outcome outcome = clinic.analyse(R"({"aggregate": ")" + collection +
                                               R"(", "cursor": {}, "pipeline": [{"$lookup":
                {"from": ")" + from + R"(", "localField": "a", "foreignField": "b", "as": "c"}}]})");
        std::vector<std::string> names;
        if (outcome.plan.fields)
            for (const FieldSpace::Part& part : outcome.plan.fields->parts())
                names.push_back(part.collection);
        EXPECT_EQ(outcome.plan.own_is_protected, collection != "beds") << outcome;
        return names;
    };
    using Parts = std::vector<std::string>;
    EXPECT_EQ(parts("beds", "patients"), Parts{"patients"});
    EXPECT_EQ(parts("beds", "wards"), Parts{"wards"});
    EXPECT_EQ(parts("patients", "wards"), (Parts{"patients", "wards"}));
    EXPECT_EQ(parts("wards", "patients"), (Parts{"wards", "patients"}));
    EXPECT_EQ(parts("patients", "patients"), Parts{"patients"});
    EXPECT_EQ(parts("patients", "beds"), Parts{"patients"});
}

TEST_F(ServerSchema, what_an_aggregation_on_a_protected_namespace_names_is_asked_first) {
    clinic.catalog.facts.erase("*");
    clinic.catalog.facts["medicalRecords.patients"] = {};
    const std::string command = R"({"aggregate": "patients", "cursor": {}, "pipeline": [{"$lookup":
        {"from": "other", "localField": "a", "foreignField": "b", "as": "c"}}]})";
    EXPECT_EQ(clinic.analyse(command).needed, (std::vector<NamespaceName>{{"medicalRecords", "other"}}));
    EXPECT_EQ(clinic.analyse(R"({"explain": )" + command + "}").needed,
              (std::vector<NamespaceName>{{"medicalRecords", "other"}}));
    clinic.catalog.facts["medicalRecords.other"] = {.is_view = true,
                                                    .reads = {{"medicalRecords", "patients"}}};
    expect_refusal(clinic.analyse(command), code::command_not_supported, "view");
    clinic.catalog.facts["medicalRecords.other"] = {};
    clinic.catalog.facts["medicalRecords.patients"] = {.is_view = true};
    expect_refusal(
        clinic.analyse(
            R"({"aggregate": "other", "cursor": {}, "pipeline": [{"$unionWith": {"coll": "patients"}}]})"),
        code::command_not_supported, "cannot auto encrypt a view: 'medicalRecords.patients'");
}

}  // namespace
}  // namespace fieldgate::analysis::testing
