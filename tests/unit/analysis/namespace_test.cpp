#include "support.hpp"

namespace fieldgate::analysis::testing {
namespace {

class Namespaces : public ::testing::Test {
 protected:
    Outcome find(const std::string& collection, const std::string& database = "medicalRecords") const {
        return clinic.analyse(R"({"find": ")" + collection + R"(", "$db": ")" + database + "\"}");
    }
    Outcome aggregate(const std::string& stages, const std::string& collection = "\"wards\"",
                      const std::string& database = "medicalRecords") const {
        return clinic.analyse(R"({"aggregate": )" + collection + R"(, "pipeline": [)" + stages +
                              R"(], "cursor": {}, "$db": ")" + database + "\"}");
    }
    Clinic clinic;
};

TEST_F(Namespaces, unprotected_ones_pass_untouched) {
    const Outcome outcome = clinic.analyse(
        R"({"find": "wards", "filter": {"ssn": {"$gt": 5}, "$where": "x"}, "unheardOf": 1, "sort": {"ssn": 1}, "let": {"x": 1}})");
    EXPECT_TRUE(outcome.passed()) << outcome;
    EXPECT_TRUE(outcome.edits.empty());
    EXPECT_EQ(outcome.plan.fields, nullptr);
    EXPECT_TRUE(outcome.plan.uses.empty());
    EXPECT_EQ(outcome.plan.shape.kind, ReplyShape::Kind::pass);
    EXPECT_FALSE(outcome.plan.requires_reveal_everything);
}

TEST_F(Namespaces, what_the_server_says_about_each_is_asked_first) {
    clinic.catalog.facts.erase("*");
    for (const std::string name : {"wards", "patients"}) {
        const Outcome outcome = find(name);
        EXPECT_EQ(outcome.step, RequestAnalysis::Step::need_namespaces);
        EXPECT_EQ(outcome.needed, (std::vector<NamespaceName>{{"medicalRecords", name}}));
    }
    const Outcome several =
        aggregate(R"({"$lookup": {"from": "beds"}}, {"$unionWith": "beds"}, {"$out": "x"})");
    EXPECT_EQ(several.step, RequestAnalysis::Step::need_namespaces);
    EXPECT_EQ(several.needed,
              (std::vector<NamespaceName>{
                  {"medicalRecords", "wards"}, {"medicalRecords", "beds"}, {"medicalRecords", "x"}}));
    clinic.config.unlisted_namespaces = config::Config::Unlisted::pass;
    EXPECT_EQ(find("wards").step, RequestAnalysis::Step::need_namespaces);
    EXPECT_EQ(find("__keyVault", "encryption").step, RequestAnalysis::Step::need_namespaces);
    // No documents behind it.
    EXPECT_TRUE(clinic.analyse(R"({"drop": "wards"})").passed());
    EXPECT_TRUE(clinic.analyse(R"({"ping": 1})").passed());
}

TEST_F(Namespaces, one_command_looks_up_128_names_and_no_more) {
    clinic.catalog.facts.erase("*");
    const auto view_over = [&](const std::string& view, int count) {
        NamespaceFacts& facts = clinic.catalog.facts["medicalRecords." + view];
        facts.is_view = true;
        for (int i = 0; i < count; ++i) facts.reads.push_back({"medicalRecords", view + std::to_string(i)});
    };
    view_over("a", 64);
    view_over("b", 64);
    view_over("c", 1);
    const Outcome most = aggregate(R"({"$unionWith": "b"})", "\"a\"");
    EXPECT_EQ(most.step, RequestAnalysis::Step::need_namespaces) << most;
    EXPECT_EQ(most.needed.size(), 128u);
    expect_refusal(aggregate(R"({"$unionWith": "b"}, {"$unionWith": "c"})", "\"a\""),
                   code::command_not_supported, "names more namespaces, itself or through views");
}

TEST_F(Namespaces, views_over_protected_namespaces_are_refused) {
    clinic.catalog.facts["medicalRecords.v"] = {
        .is_view = true, .reads = {{"medicalRecords", "wards"}, {"medicalRecords", "patients"}}};
    clinic.catalog.facts["medicalRecords.w"] = {.is_view = true, .reads = {{"medicalRecords", "v"}}};
    clinic.catalog.facts["medicalRecords.k"] = {.is_view = true, .reads = {{"encryption", "__keyVault"}}};
    for (const std::string name : {"v", "w", "k"}) {
        expect_refusal(find(name), code::command_not_supported,
                       "cannot auto encrypt a view: 'medicalRecords." + name + "'");
        for (const std::string stage :
             {R"({"$lookup": {"from": ")", R"({"$unionWith": {"coll": ")", R"({"$graphLookup": {"from": ")"})
            expect_refusal(aggregate(stage + name + "\"}}"), code::command_not_supported,
                           "cannot auto encrypt a view");
        for (const std::string command :
             {"count", "aggregate", "distinct", "getMore", "insert", "update", "delete", "findAndModify"})
            EXPECT_FALSE(clinic
                             .analyse("{\"" + command + R"(": ")" + name +
                                      R"(", "pipeline": [], "collection": ")" + name + "\"}")
                             .passed())
                << command;
    }
    EXPECT_TRUE(clinic.analyse(R"({"drop": "v"})").passed());
}

TEST_F(Namespaces, views_over_unprotected_namespaces_pass_once_all_of_them_are_known) {
    clinic.catalog.facts["medicalRecords.v"] = {.is_view = true, .reads = {{"medicalRecords", "w"}}};
    clinic.catalog.facts["medicalRecords.w"] = {
        .is_view = true, .reads = {{"medicalRecords", "wards"}, {"medicalRecords", "v"}}};
    EXPECT_TRUE(find("v").passed()) << find("v");
    clinic.catalog.facts.erase("*");
    EXPECT_EQ(find("v").needed, (std::vector<NamespaceName>{{"medicalRecords", "wards"}}));
    clinic.catalog.facts["medicalRecords.wards"] = {.validator_encrypts = true};
    expect_refusal(find("v"), code::command_not_supported, "cannot auto encrypt a view");
    clinic.catalog.facts["medicalRecords.s"] = {.is_view = true,
                                                .reads = {{"medicalRecords", "system.profile"}}};
    clinic.catalog.facts["*"] = {};
    EXPECT_TRUE(find("s").plan.requires_reveal_everything);
}

TEST_F(Namespaces, a_protected_name_that_is_a_view_is_refused) {
    clinic.catalog.facts["medicalRecords.patients"] = {.is_view = true,
                                                       .reads = {{"medicalRecords", "wards"}}};
    expect_refusal(find("patients"), code::command_not_supported,
                   "cannot auto encrypt a view: 'medicalRecords.patients'");
    expect_refusal(clinic.analyse(R"({"insert": "patients", "documents": [{"ssn": 5}]})"),
                   code::command_not_supported, "view");
}

TEST_F(Namespaces, validators_that_encrypt_and_cannot_be_applied_are_refused_where_they_count) {
    clinic.catalog.facts["medicalRecords.wards"] = {.validator_encrypts = true,
                                                    .schema_problem = "the reason"};
    expect_refusal(find("wards"), code::command_not_supported, "cannot be applied: the reason");
    expect_refusal(aggregate(R"({"$lookup": {"from": "wards"}})", "\"beds\""), code::command_not_supported,
                   "The schema in the validator of 'medicalRecords.wards'");
    const Outcome drop = clinic.analyse(R"({"drop": "wards"})");
    EXPECT_TRUE(drop.passed()) << drop;
    EXPECT_TRUE(drop.plan.requires_reveal_everything);
    clinic.config.unlisted_namespaces = config::Config::Unlisted::pass;
    EXPECT_TRUE(find("wards").passed());
    clinic.config.unlisted_namespaces = config::Config::Unlisted::server;
    clinic.catalog.facts["medicalRecords.patients"] = {.validator_encrypts = true};
    EXPECT_TRUE(find("patients").passed());
}

TEST_F(Namespaces, unlisted_ones_can_be_refused_all_together) {
    clinic.config.unlisted_namespaces = config::Config::Unlisted::refuse;
    expect_refusal(find("wards"), code::unauthorized, "`unlisted_namespaces` is refuse");
    expect_refusal(find("oplog.rs", "local"), code::unauthorized, "`unlisted_namespaces` is refuse");
    EXPECT_TRUE(find("patients").passed());
    EXPECT_TRUE(find("__keyVault", "encryption").plan.touches_key_vault);
    EXPECT_TRUE(clinic.analyse(R"({"ping": 1})").passed());
    expect_refusal(clinic.analyse(R"({"bulkWrite": 1, "nsInfo": [{"ns": "x.y"}]})"), code::unauthorized,
                   "refuse");
}

TEST_F(Namespaces, collections_without_a_name_or_with_a_strange_one_are_refused) {
    for (const std::string command :
         {"find", "insert", "update", "delete", "count", "distinct", "findAndModify", "create"}) {
        for (const std::string value :
             {R"({"$binary": {"base64": "AAAAAAAAAAAAAAAAAAAAAA==", "subType": "04"}})", "5", "1", "null",
              R"({"x": 1})", "true"})
            expect_refusal(clinic.analyse("{\"" + command + "\": " + value + "}"), code::invalid_namespace,
                           "collections by UUID are refused");
        for (const std::string value :
             {R"("")", R"("pat\u0000ients")", R"("patients$x")", R"("$cmd.sys.inprog")"})
            expect_refusal(clinic.analyse("{\"" + command + "\": " + value + "}"), code::invalid_namespace,
                           "Invalid collection name");
    }
}

TEST_F(Namespaces, the_servers_own_need_a_role_that_reveals_everything) {
    EXPECT_TRUE(find("oplog.rs", "local").plan.requires_reveal_everything);
    EXPECT_TRUE(find("transactions", "config").plan.requires_reveal_everything);
    for (const std::string name :
         {"system.profile", "system.views", "system.js", "system.buckets.weather", "system.users"})
        EXPECT_TRUE(find(name).plan.requires_reveal_everything) << name;
    EXPECT_TRUE(aggregate(R"({"$unionWith": "system.profile"})").plan.requires_reveal_everything);
    EXPECT_TRUE(
        aggregate(R"({"$merge": {"into": {"db": "local", "coll": "x"}}})").plan.requires_reveal_everything);
    EXPECT_FALSE(find("systematic").plan.requires_reveal_everything);
    expect_refusal(find("system.buckets.patients"), code::command_not_supported,
                   "holds documents of the protected namespace");
    expect_refusal(aggregate(R"({"$unionWith": "system.buckets.patients"})"), code::command_not_supported,
                   "holds documents");
}

TEST_F(Namespaces, the_key_vault_is_noted) {
    EXPECT_TRUE(find("__keyVault", "encryption").plan.touches_key_vault);
    EXPECT_TRUE(clinic.analyse(R"({"drop": "__keyVault", "$db": "encryption"})").plan.touches_key_vault);
    EXPECT_FALSE(find("__keyVault", "other").plan.touches_key_vault);
    expect_refusal(aggregate(R"({"$merge": {"into": {"db": "encryption", "coll": "__keyVault"}}})"),
                   code::command_not_supported, "key vault");
    expect_refusal(aggregate(R"({"$lookup": {"from": "__keyVault"}})", "\"x\"", "encryption"),
                   code::command_not_supported, "key vault");
}

TEST_F(Namespaces, every_namespace_that_a_pipeline_names_is_found) {
    // It joins the plan; what becomes of the stages is the pipeline's business.
    const auto expect_found = [&](const Outcome& outcome) {
        ASSERT_NE(outcome.plan.fields, nullptr) << outcome;
        EXPECT_NE(outcome.plan.fields->find("medicalRecords", "patients"), nullptr) << outcome;
        EXPECT_FALSE(outcome.plan.own_is_protected);
    };
    for (
        const std::string stage :
        {R"({"$lookup": {"from": "patients", "as": "x"}})",
         R"({"$lookup": {"from": {"db": "medicalRecords", "coll": "patients"}}})",
         R"({"$graphLookup": {"from": "patients"}})", R"({"$unionWith": "patients"})",
         R"({"$unionWith": {"coll": "patients", "pipeline": []}})", R"({"$out": "patients"})",
         R"({"$out": {"db": "medicalRecords", "coll": "patients"}})", R"({"$merge": "patients"})",
         R"({"$merge": {"into": "patients"}})",
         R"({"$merge": {"into": {"db": "medicalRecords", "coll": "patients"}}})",
         R"({"$merge": {"into": {"coll": "patients"}}})",
         R"({"$facet": {"a": [{"$limit": 1}], "b": [{"$lookup": {"from": "patients"}}]}})",
         R"({"$lookup": {"from": "beds", "pipeline": [{"$unionWith": "patients"}]}})",
         R"({"$unionWith": {"coll": "beds", "pipeline": [{"$lookup": {"from": "beds", "pipeline": [{"$facet": {"x": [{"$graphLookup": {"from": "patients"}}]}}]}}]}})",
         R"({"$lookup": {"pipeline": [{"$documents": []}, {"$unionWith": "patients"}]}})",
         R"({"$merge": {"into": "beds", "whenMatched": [{"$lookup": {"from": "patients"}}]}})",
         R"({"$rankFusion": {"input": {"pipelines": {"a": [{"$lookup": {"from": "patients"}}]}}}})",
         R"({"$unheardOf": {"x": {"y": [[{"$unionWith": "patients"}]]}}})"}) {
        expect_found(aggregate(stage));
        expect_found(aggregate(R"({"$limit": 1}, )" + stage));
        expect_found(aggregate(stage, "1"));
    }
    EXPECT_EQ(aggregate(R"({"$unionWith": "beds"})").plan.fields, nullptr);
}

TEST_F(Namespaces, what_cannot_be_told_is_refused) {
    for (const std::string stage :
         {R"({"$lookup": {"from": 5}})", R"({"$lookup": {"from": "a", "from": "patients"}})",
          R"({"$lookup": {}})", R"({"$lookup": 5})", R"({"$unionWith": 5})", R"({"$unionWith": {}})",
          R"({"$unionWith": {"coll": 5}})", R"({"$unionWith": {"coll": "a", "coll": "patients"}})",
          R"({"$unionWith": {"coll": "a", "db": "other"}})",
          R"({"$lookup": {"from": {"db": "other", "coll": "a"}}})", R"({"$out": 5})",
          R"({"$out": {"db": "x"}})", R"({"$merge": 5})", R"({"$merge": {}})", R"({"$merge": {"into": 5}})",
          R"({"$merge": {"into": "a", "into": "patients"}})", R"({"$graphLookup": {}})",
          R"({"$_internalAnything": {}})", R"({"$mergeCursors": {}})"})
        expect_refusal(aggregate(stage), code::command_not_supported, "cannot be told");
    for (const std::string name : {"", "a\\u0000b", "$cmd.aggregate"})
        expect_refusal(aggregate(R"({"$unionWith": ")" + name + "\"}"), code::invalid_namespace,
                       "Invalid collection name");
}

TEST_F(Namespaces, pipelines_over_unprotected_ones_pass_and_list_them) {
    const Outcome outcome = aggregate(
        R"({"$lookup": {"from": "beds", "pipeline": [{"$match": {}}]}}, {"$unionWith": {"coll": "rooms"}}, {"$merge": {"into": {"db": "x", "coll": "y"}}})");
    EXPECT_TRUE(outcome.passed()) << outcome;
    EXPECT_EQ(outcome.plan.others, (std::vector<NamespaceName>{
                                       {"medicalRecords", "beds"}, {"medicalRecords", "rooms"}, {"x", "y"}}));
    EXPECT_EQ(outcome.plan.access, Access::write);
    EXPECT_EQ(aggregate(R"({"$lookup": {"from": "beds"}})").plan.access, Access::read);
    EXPECT_TRUE(aggregate(R"({"$lookup": {"pipeline": [{"$documents": []}]}})").passed());
}

TEST_F(Namespaces, a_pipeline_must_stand_in_the_body_once_as_an_array) {
    expect_refusal(clinic.analyse(R"({"aggregate": "wards", "pipeline": {}})"), code::failed_to_parse,
                   "an array, once");
    expect_refusal(
        clinic.analyse(R"({"aggregate": "wards", "pipeline": [], "pipeline": [{"$unionWith": "patients"}]})"),
        code::failed_to_parse, "once");
    expect_refusal(clinic.analyse(R"({"aggregate": "wards"})"), code::failed_to_parse, "missing");
    expect_refusal(clinic.analyse(R"({"aggregate": "wards"})", {{"pipeline", {R"({"$limit": 1})"}}}),
                   code::failed_to_parse, "document sequence");
}

TEST_F(Namespaces, pipelines_without_a_collection_look_at_the_server) {
    EXPECT_TRUE(aggregate(R"({"$currentOp": {}})", "1", "admin").plan.requires_reveal_everything);
    EXPECT_TRUE(aggregate(R"({"$changeStream": {}})", "1").plan.requires_reveal_everything);
    EXPECT_TRUE(aggregate("", "1").plan.requires_reveal_everything);
    EXPECT_FALSE(
        aggregate(R"({"$documents": [{"x": 1}]}, {"$limit": 1})", "1").plan.requires_reveal_everything);
    EXPECT_TRUE(aggregate(R"({"$documents": []})", "1", "config").plan.requires_reveal_everything);
    EXPECT_EQ(aggregate(R"({"$documents": []})", "1").plan.collection, "");
    for (const std::string value : {"2", "0", "true", "1.5"})
        EXPECT_TRUE(aggregate("", value).refused()) << value;
}

TEST_F(Namespaces, stages_that_show_the_server_need_a_role_that_reveals_everything_at_any_depth) {
    for (const std::string name : {"$currentOp", "$listLocalSessions", "$listSessions", "$listSampledQueries",
                                   "$queryStats", "$shardedDataDistribution", "$listClusterCatalog"}) {
        EXPECT_TRUE(aggregate("{\"" + name + "\": {}}").plan.requires_reveal_everything) << name;
        EXPECT_TRUE(
            aggregate(R"({"$documents": []}, {"$unionWith": {"pipeline": [{")" + name + R"(": {}}]}})", "1")
                .plan.requires_reveal_everything)
            << name;
    }
    EXPECT_FALSE(aggregate(R"({"$indexStats": {}})").plan.requires_reveal_everything);
}

TEST_F(Namespaces, updates_cannot_name_a_second_namespace) {
    for (const std::string pipeline :
         {R"([{"$lookup": {"from": "patients"}}])", R"([{"$set": {"x": {"$unionWith": "beds"}}}])"}) {
        const std::string text = "A stage that names a namespace cannot stand in an update";
        expect_refusal(
            clinic.analyse(R"({"update": "wards", "updates": [{"q": {}, "u": )" + pipeline + "}]}"),
            code::command_not_supported, text);
        expect_refusal(
            clinic.analyse(R"({"update": "wards"})", {{"updates", {R"({"q": {}, "u": )" + pipeline + "}"}}}),
            code::command_not_supported, text);
        expect_refusal(clinic.analyse(R"({"findAndModify": "wards", "update": )" + pipeline + "}"),
                       code::command_not_supported, text);
    }
    EXPECT_TRUE(
        clinic.analyse(R"({"update": "wards"})", {{"updates", {R"({"q": {}, "u": [{"$set": {"x": 1}}]})"}}})
            .passed());
}

TEST_F(Namespaces, collections_are_told_apart_exactly) {
    for (const std::string name : {"Patients", "patients2", "patient", "patients.x"})
        EXPECT_EQ(find(name).plan.fields, nullptr);
    EXPECT_EQ(find("patients", "medicalrecords").plan.fields, nullptr);
    EXPECT_NE(find("patients").plan.fields, nullptr);
}

NamespaceFacts facts(const std::string& info) {
    const bson::Buffer document = json(info);
    const auto result = facts_of("db", bson::DocumentView::unchecked(document));
    EXPECT_TRUE(result.has_value()) << info;
    return result ? *result : NamespaceFacts{};
}

TEST(Facts, of_a_view_list_everything_it_reads) {
    const NamespaceFacts view = facts(
        R"({"name": "v", "type": "view", "options": {"viewOn": "a", "pipeline": [{"$lookup": {"from": "b"}}, {"$facet": {"x": [{"$unionWith": "c"}]}}]}})");
    EXPECT_TRUE(view.is_view);
    EXPECT_EQ(view.reads, (std::vector<NamespaceName>{{"db", "a"}, {"db", "b"}, {"db", "c"}}));
    EXPECT_TRUE(facts(R"({"name": "v", "type": "view", "options": {"viewOn": "a"}})").is_view);
    EXPECT_TRUE(facts(R"({"name": "v", "options": {"viewOn": "a"}})").is_view);
}

TEST(Facts, of_a_collection_tell_whether_its_validator_encrypts) {
    EXPECT_FALSE(facts(R"({"name": "c", "type": "collection", "options": {}})").is_view);
    EXPECT_FALSE(facts(R"({"name": "c", "type": "collection"})").validator_encrypts);
    EXPECT_FALSE(facts(R"({"name": "c", "type": "timeseries", "options": {}})").is_view);
    EXPECT_FALSE(
        facts(
            R"({"name": "c", "options": {"validator": {"$jsonSchema": {"properties": {"encrypt": {"bsonType": "int"}}}}}})")
            .validator_encrypts);
    EXPECT_TRUE(
        facts(
            R"({"name": "c", "options": {"validator": {"$jsonSchema": {"properties": {"encrypt": {"encrypt": {}}}}}}})")
            .validator_encrypts);
    EXPECT_TRUE(
        facts(
            R"({"name": "c", "options": {"validator": {"$and": [{"$jsonSchema": {"encryptMetadata": {}}}]}}})")
            .validator_encrypts);
    EXPECT_TRUE(
        facts(
            R"({"name": "c", "options": {"validator": {"$jsonSchema": {"properties": {"properties": {"properties": {"x": {"encrypt": {}}}}}}}}})")
            .validator_encrypts);
}

TEST(Facts, that_make_no_sense_are_an_error) {
    for (
        const std::string info :
        {R"({"name": "v", "type": "view", "options": {}})", R"({"name": "v", "type": "view"})",
         R"({"name": "v", "type": 5})", R"({"name": "v", "type": "unheardOf"})",
         R"({"name": "v", "options": 5})", R"({"name": "v", "type": "view", "options": {"viewOn": 5}})",
         R"({"name": "v", "type": "view", "options": {"viewOn": "a", "pipeline": [{"$lookup": {"from": 5}}]}})"}) {
        const bson::Buffer document = json(info);
        const auto result = facts_of("db", bson::DocumentView::unchecked(document));
        ASSERT_TRUE(result.has_error()) << info;
        EXPECT_EQ(result.error(), make_error_code(Errc::collection_info_unreadable));
    }
}

}  // namespace
}  // namespace fieldgate::analysis::testing
