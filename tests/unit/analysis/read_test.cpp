#include "proxy/analysis/handlers.hpp"
#include "support.hpp"

namespace fieldgate::analysis::testing {
namespace {

constexpr auto no = code::operation_not_on_encrypted;

class Read : public ::testing::Test {
 protected:
    Outcome find(const std::string& more) const {
        return clinic.analyse(R"({"find": "patients", )" + more + "}");
    }
    Outcome project(const std::string& projection) const { return find(R"("projection": )" + projection); }
    Outcome distinct(const std::string& key, const std::string& more = "") const {
        return clinic.analyse(R"({"distinct": "patients", "key": ")" + key + "\"" + more + "}");
    }
    Outcome aggregate(const std::string& stages, const std::string& more = R"(, "cursor": {})") const {
        return clinic.analyse(R"({"aggregate": "patients", "pipeline": [)" + stages + "]" + more + "}");
    }
    Clinic clinic;
};

TEST_F(Read, find_gives_a_cursor_of_the_schemas_documents) {
    const Outcome outcome = find(
        R"("filter": {"ssn": 5}, "sort": {"name": 1}, "limit": 1, "skip": 0, "batchSize": 10, "singleBatch": false,
           "hint": {"ssn": 1}, "showRecordId": false, "tailable": true, "awaitData": true, "allowDiskUse": true,
           "noCursorTimeout": false, "allowPartialResults": false, "collation": {"locale": "simple"}, "comment": "x",
           "maxTimeMS": 5, "readConcern": {"level": "local"}, "lsid": {"id": 1}, "txnNumber": 1, "autocommit": false,
           "startTransaction": true, "$clusterTime": {}, "$readPreference": {"mode": "primary"}, "apiVersion": "1",
           "apiStrict": true, "apiDeprecationErrors": true, "oplogReplay": false, "ntoreturn": 5, "returnKey": false)");
    EXPECT_TRUE(outcome.passed()) << outcome;
    EXPECT_EQ(outcome.edits, std::vector<std::string>{"filter.ssn=encrypt ssn"});
    EXPECT_EQ(outcome.plan.command, "find");
    EXPECT_EQ(outcome.plan.database, "medicalRecords");
    EXPECT_EQ(outcome.plan.collection, "patients");
    EXPECT_EQ(outcome.plan.access, Access::read);
    EXPECT_EQ(outcome.plan.shape.kind, ReplyShape::Kind::cursor);
    EXPECT_TRUE(clinic.is_only_namespace(outcome.plan.shape.fields));
    EXPECT_EQ(outcome.plan.shape.tree.get(), &clinic.schema->root());
}

TEST_F(Read, options_that_could_carry_values_or_rename_fields_are_refused) {
    expect_refusal(find(R"("let": 5)"), code::type_mismatch, "'let' must be an object");
    expect_refusal(find(R"("let": {"x": "$ssn"})"), no, "");
    expect_refusal(find(R"("returnKey": true)"), code::command_not_supported, "'find.returnKey'");
    expect_refusal(find(R"("min": {"ssn": 5})"), no, "'min' cannot bound encrypted field 'ssn'");
    expect_refusal(find(R"("max": {"insurance": 5})"), no, "'max' cannot bound");
    expect_refusal(find(R"("min": 5)"), code::type_mismatch, "Index bounds");
    expect_refusal(find(R"("hint": {"ssn": 145014000})"), code::type_mismatch, "'hint'");
    expect_refusal(find(R"("hint": 5)"), code::type_mismatch, "'hint'");
    expect_refusal(find(R"("skip": {"ssn": 5})"), code::type_mismatch, "'skip'");
    expect_refusal(find(R"("limit": "5")"), code::type_mismatch, "'limit'");
    expect_refusal(find(R"("sort": 5)"), code::type_mismatch, "'sort'");
    expect_refusal(find(R"("filter": 5)"), code::type_mismatch, "'filter'");
    expect_refusal(find(R"("filter": [{"ssn": 5}])"), code::type_mismatch, "'filter'");
    expect_refusal(find(R"("projection": 5)"), code::type_mismatch, "'projection'");
    expect_refusal(find(R"("collation": 5)"), code::type_mismatch, "'collation'");
    expect_refusal(find(R"("badField": 1)"), code::unknown_field,
                   "BSON field 'find.badField' is an unknown field");
    expect_refusal(find(R"("encryptionInformation": {})"), code::unknown_field, "unknown field");
    expect_refusal(find(R"("runtimeConstants": {})"), code::unknown_field, "unknown field");
    EXPECT_TRUE(find(R"("min": {"name": "a"}, "max": {"name": "b"}, "hint": "name_1")").passed());
    EXPECT_TRUE(
        find(
            R"("filter": null, "sort": null, "projection": null, "hint": null, "collation": null, "min": null)")
            .passed());
}

TEST_F(Read, a_field_of_the_command_that_stands_twice_is_refused) {
    expect_refusal(find(R"("filter": {"name": 1}, "filter": {"ssn": 5})"), code::failed_to_parse,
                   "'find.filter' is a duplicate field");
    expect_refusal(find(R"("lsid": {}, "lsid": {})"), code::failed_to_parse,
                   "'find.lsid' is a duplicate field");
}

TEST_F(Read, collations_and_protected_predicates_do_not_meet) {
    expect_refusal(find(R"("filter": {"ssn": 5}, "collation": {"locale": "de"})"), no, "collation");
    expect_refusal(find(R"("collation": {"locale": "de"}, "filter": {"$or": [{"ssn": 5}]})"), no,
                   "collation");
    expect_refusal(find(R"("filter": {"ssn": 5}, "collation": {"locale": "simple", "locale": "de"})"), no,
                   "collation");
    expect_refusal(find(R"("filter": {"ssn": 5}, "collation": {"strength": 1})"), no, "collation");
    EXPECT_TRUE(find(R"("filter": {"name": "x"}, "collation": {"locale": "de"})").passed());
}

TEST_F(Read, sort_keys_must_be_plain) {
    for (const std::string path : {"ssn", "bloodType", "insurance", "insurance.policyNumber", "ssn.x",
                                   "insurance.0.policyNumber", "medicalRecords.weight"})
        expect_refusal(find(R"("sort": {"name": 1, ")" + path + R"(": -1})"), no,
                       "Cannot sort by encrypted field");
    EXPECT_TRUE(find(R"("sort": {"name": 1, "insurance.provider": -1, "$natural": 1})").passed());
}

TEST_F(Read, projections_include_and_exclude_any_field) {
    for (const std::string projection :
         {R"({"ssn": 1, "name": 1})", R"({"ssn": 0})", R"({"insurance": true, "_id": false})",
          R"({"insurance.policyNumber": 1})", R"({"insurance": {"policyNumber": 1, "agent": {"code": 1}}})",
          R"({"ssn": 1.0})", R"({"name": {"$numberLong": "1"}})", R"({})"}) {
        const Outcome outcome = project(projection);
        EXPECT_TRUE(outcome.passed()) << projection << outcome;
        EXPECT_EQ(outcome.plan.shape.tree.get(), &clinic.schema->root());
    }
}

TEST_F(Read, projections_that_compute_or_reach_below_are_refused) {
    for (const std::string projection :
         {R"({"x": {}})", R"({"x": {"$slice": ["$ssn", 1, 2]}})", R"({"x": {"$slice": "$ssn"}})"})
        expect_refusal(project(projection), no, "is computed");
    expect_refusal(project(R"({"ssn": "text"})"), no, "A constant cannot stand in for an encrypted field");
    expect_refusal(project(R"({"x": {"$concat": ["$ssn"]}})"), no, "$concat is not allowed on encrypted");
    for (const std::string projection : {R"({"ssn.x": 1})", R"({"medicalRecords.weight": 1})",
                                         R"({"insurance": {"policyNumber": {"x": 0}}})"})
        expect_refusal(project(projection), no, "Cannot project below");
    for (const std::string path : {"ssn", "medicalRecords", "insurance"})
        expect_refusal(project("{\"" + path + R"(": {"$meta": "textScore"}})"), no,
                       "A constant cannot stand in");
    expect_refusal(project(R"({"ssn.x": {"$meta": "textScore"}})"), no, "below or through");
    for (const std::string name : {"$slice", "$elemMatch"})
        for (const std::string path : {"ssn", "medicalRecords", "insurance", "ssn.x"})
            expect_refusal(project("{\"" + path + "\": {\"" + name + "\": 1}}"), no,
                           name + " in a projection");
    for (const std::string path : {"medicalRecords.$", "insurance.$", "insurance.$.policyNumber", "ssn.$"})
        expect_refusal(project("{\"" + path + "\": 1}"), no, "positional projection");
    expect_refusal(project(R"({"tags": {"$elemMatch": {"$expr": 1}}})"), no, "Unsupported match expression");
}

TEST_F(Read, array_projections_pass_on_plain_paths) {
    for (const std::string projection :
         {R"({"tags": {"$slice": 5}})", R"({"tags": {"$slice": [1, 5]}})",
          R"({"tags": {"$elemMatch": {"x": 1}}})", R"({"score": {"$meta": "textScore"}})", R"({"tags.$": 1})",
          R"({"insurance.provider": {"$slice": 1}})"})
        EXPECT_TRUE(project(projection).passed()) << projection << project(projection);
}

TEST_F(Read, count_has_no_documents_to_return) {
    const Outcome outcome = clinic.analyse(
        R"({"count": "patients", "query": {"ssn": 5}, "limit": 5, "skip": 1, "hint": "x", "fields": null})");
    EXPECT_EQ(outcome.edits, std::vector<std::string>{"query.ssn=encrypt ssn"});
    EXPECT_EQ(outcome.plan.shape.kind, ReplyShape::Kind::scalar);
    EXPECT_TRUE(clinic.is_only_namespace(outcome.plan.shape.fields));
    EXPECT_EQ(outcome.plan.shape.tree, nullptr);
    EXPECT_TRUE(clinic.analyse(R"({"count": "patients", "query": null})").passed());
    expect_refusal(clinic.analyse(R"({"count": "patients", "query": {"bloodType": "0-"}})"), no,
                   "randomized");
    expect_refusal(
        clinic.analyse(R"({"count": "patients", "query": {"ssn": 5}, "collation": {"locale": "de"}})"), no,
        "collation");
    expect_refusal(clinic.analyse(R"({"count": "patients", "badField": 1})"), code::unknown_field,
                   "count.badField");
}

TEST_F(Read, distinct_on_a_deterministic_field_names_its_values) {
    const Outcome outcome = distinct("ssn", R"(, "query": {"insurance.policyNumber": 5})");
    EXPECT_EQ(outcome.edits,
              std::vector<std::string>{"query.insurance.policyNumber=encrypt insurance.policyNumber"});
    EXPECT_TRUE(clinic.use(outcome, "ssn").named);
    EXPECT_FALSE(clinic.use(outcome, "ssn").matched);
    EXPECT_EQ(outcome.plan.shape.kind, ReplyShape::Kind::values);
    ASSERT_NE(outcome.plan.shape.tree, nullptr);
    EXPECT_EQ(outcome.plan.shape.tree->field, clinic.field("ssn"));
}

TEST_F(Read, distinct_on_plain_paths_has_plain_values) {
    const Outcome outcome = distinct("insurance.provider");
    EXPECT_TRUE(outcome.passed()) << outcome;
    EXPECT_EQ(outcome.plan.shape.kind, ReplyShape::Kind::values);
    EXPECT_EQ(outcome.plan.shape.tree, nullptr);
}

TEST_F(Read, distinct_on_a_parent_has_values_of_its_tree) {
    const Outcome outcome = distinct("insurance");
    EXPECT_TRUE(outcome.passed()) << outcome;
    EXPECT_EQ(outcome.plan.shape.tree.get(), clinic.schema->root().child("insurance"));
    EXPECT_TRUE(clinic.use(outcome, "insurance.policyNumber").named);
    EXPECT_TRUE(clinic.use(outcome, "insurance.agent.code").named);
    // Equal documents with a random field in them are different ciphertexts.
    expect_refusal(distinct("contact"), no, "randomized");
}

TEST_F(Read, distinct_is_refused_where_ciphertext_cannot_answer) {
    expect_refusal(distinct("bloodType"), no,
                   "distinct is not allowed on fields encrypted with the randomized");
    expect_refusal(distinct("ssn.x"), no, "below or through");
    expect_refusal(distinct("insurance.0.policyNumber"), no, "below or through");
    expect_refusal(distinct("ssn", R"(, "collation": {"locale": "de"})"), no, "collation");
    expect_refusal(distinct("ssn", R"(, "query": {"ssn": {"$gt": 5}})"), no, "Invalid match expression");
    expect_refusal(clinic.analyse(R"({"distinct": "patients", "key": 5})"), code::type_mismatch,
                   "'key' must be a string");
    expect_refusal(clinic.analyse(R"({"distinct": "patients"})"), code::failed_to_parse,
                   "'distinct.key' is missing");
    expect_refusal(distinct("ssn", R"(, "badField": 1)"), code::unknown_field, "distinct.badField");
}

TEST_F(Read, get_more_continues_a_cursor) {
    const Outcome outcome = clinic.analyse(
        R"({"getMore": {"$numberLong": "77"}, "collection": "patients", "batchSize": 5, "maxTimeMS": 5, "comment": "x"})");
    EXPECT_TRUE(outcome.passed()) << outcome;
    EXPECT_TRUE(outcome.plan.is_get_more);
    EXPECT_EQ(outcome.plan.cursor_id, 77);
    EXPECT_EQ(outcome.plan.shape.kind, ReplyShape::Kind::cursor);
    const Outcome plain = clinic.analyse(R"({"getMore": {"$numberLong": "78"}, "collection": "wards"})");
    EXPECT_TRUE(plain.plan.is_get_more);
    EXPECT_EQ(plain.plan.cursor_id, 78);
    EXPECT_EQ(plain.plan.shape.kind, ReplyShape::Kind::pass);
    for (const std::string collection : {"patients", "wards"})
        expect_refusal(clinic.analyse(R"({"getMore": 77, "collection": ")" + collection + "\"}"),
                       code::type_mismatch, "must be a long");
    expect_refusal(
        clinic.analyse(R"({"getMore": {"$numberLong": "77"}, "collection": "patients", "badField": 1})"),
        code::unknown_field, "getMore.badField");
    expect_refusal(clinic.analyse(R"({"getMore": {"$numberLong": "77"}})"), code::invalid_namespace,
                   "collections by UUID");
}

TEST_F(Read, cursors_of_database_commands_continue) {
    EXPECT_TRUE(clinic.analyse(R"({"getMore": {"$numberLong": "7"}, "collection": "$cmd.listCollections"})")
                    .passed());
    EXPECT_TRUE(clinic.analyse(R"({"getMore": {"$numberLong": "7"}, "collection": "$cmd.aggregate"})")
                    .plan.requires_reveal_everything);
    expect_refusal(clinic.analyse(R"({"getMore": {"$numberLong": "7"}, "collection": "$cmd.sys.inprog"})"),
                   code::invalid_namespace, "Invalid collection name");
}

TEST_F(Read, pipelines_keep_the_schemas_shape) {
    const Outcome outcome = aggregate(
        R"({"$match": {"ssn": {"$in": [5]}}}, {"$project": {"insurance": 1}}, {"$sort": {"insurance.provider": 1}},
           {"$match": {"insurance.policyNumber": 7}}, {"$limit": 5})");
    EXPECT_EQ(outcome.edits,
              (std::vector<std::string>{
                  "pipeline[0].$match.ssn.$in[0]=encrypt ssn",
                  "pipeline[3].$match.insurance.policyNumber=encrypt insurance.policyNumber"}));
    EXPECT_EQ(outcome.plan.shape.kind, ReplyShape::Kind::cursor);
    // $project keeps `insurance` alone.
    ASSERT_NE(outcome.plan.shape.tree, nullptr);
    EXPECT_EQ(outcome.plan.shape.tree->children().size(), 1u);
    ASSERT_NE(outcome.plan.shape.tree->child("insurance"), nullptr);
    EXPECT_EQ(outcome.plan.shape.tree->child("insurance")->children().size(), 2u);
    EXPECT_EQ(aggregate("").plan.shape.tree.get(), &clinic.schema->root());
    EXPECT_EQ(aggregate(R"({"$match": {"ssn": 5}}, {"$limit": 1})").plan.shape.tree.get(),
              &clinic.schema->root());
}

TEST_F(Read, after_count_nothing_is_protected) {
    const Outcome outcome =
        aggregate(R"({"$match": {"ssn": 5}}, {"$count": "ssn"}, {"$sort": {"n": 1}}, {"$limit": 1})");
    EXPECT_TRUE(outcome.passed()) << outcome;
    EXPECT_EQ(outcome.edits.size(), 1u);
    EXPECT_EQ(outcome.plan.shape.kind, ReplyShape::Kind::cursor);
    ASSERT_NE(outcome.plan.shape.tree, nullptr);
    EXPECT_FALSE(outcome.plan.shape.tree->is_parent());
    EXPECT_FALSE(outcome.plan.shape.tree->is_protected());
}

TEST_F(Read, groups_that_only_count_pass) {
    for (const std::string group :
         {R"({"_id": 1, "n": {"$sum": 1}})", R"({"_id": null, "n": {"$count": {}}, "m": {"$sum": 2}})",
          R"({"_id": "all"})"}) {
        const Outcome outcome =
            aggregate(R"({"$match": {"ssn": 5}}, {"$skip": 1}, {"$group": )" + group + "}");
        EXPECT_EQ(outcome.edits.size(), 1u) << group << outcome;
        ASSERT_NE(outcome.plan.shape.tree, nullptr);
        EXPECT_FALSE(outcome.plan.shape.tree->is_parent());
    }
    for (const std::string group :
         {R"({"_id": 1, "n": {"$sum": "$ssn"}})", R"({"_id": 1, "n": {"$sum": {"$add": ["$ssn", 1]}}})"})
        expect_refusal(aggregate(R"({"$group": )" + group + "}"), no, "is not allowed on encrypted field");
    for (const std::string group : {R"({"_id": 1, "n": {"$count": {}, "$push": "$ssn"}})",
                                    R"({"_id": 1, "n": {}})", R"({"_id": 1, "n": 5})"})
        expect_refusal(aggregate(R"({"$group": )" + group + "}"), code::failed_to_parse, "one accumulator");
}

TEST_F(Read, projections_of_stages_know_no_positions) {
    for (const std::string name : {"$slice", "$elemMatch"})
        EXPECT_TRUE(aggregate(R"({"$project": {"ssn": {")" + name + R"(": 5}}})").refused()) << name;
    expect_refusal(aggregate(R"({"$project": {"tags": {"$elemMatch": {"x": 1}}}})"), no,
                   "Unknown aggregation expression");
    expect_refusal(aggregate(R"({"$project": {"tags.$": 1}})"), no, "positional projection");
    EXPECT_TRUE(aggregate(R"({"$project": {"ssn": 0, "contact": {"email": 0}}})").passed());
}

TEST_F(Read, malformed_pipelines_and_options_of_aggregate_are_refused) {
    expect_refusal(aggregate("5"), code::type_mismatch, "must be an object");
    expect_refusal(aggregate("{}"), code::failed_to_parse, "one field");
    expect_refusal(aggregate(R"({"$limit": 1, "$skip": 1})"), code::failed_to_parse, "one field");
    expect_refusal(clinic.analyse(R"({"aggregate": "patients", "pipeline": {"$limit": 1}})"),
                   code::failed_to_parse, "'pipeline'");
    expect_refusal(clinic.analyse(R"({"aggregate": "patients", "cursor": {}})"), code::failed_to_parse,
                   "pipeline' is missing");
    expect_refusal(aggregate("", R"(, "explain": {"ssn": 5})"), code::type_mismatch, "'explain'");
    expect_refusal(aggregate("", R"(, "let": 5)"), code::type_mismatch, "'let'");
    expect_refusal(aggregate("", R"(, "cursor": {"batchSize": {"ssn": 5}})"), code::type_mismatch,
                   "'batchSize'");
    expect_refusal(aggregate("", R"(, "exchange": {})"), code::unknown_field, "unknown field");
    expect_refusal(aggregate(R"({"$match": {"ssn": 5}})", R"(, "collation": {"locale": "de"})"), no,
                   "collation");
    EXPECT_TRUE(
        aggregate(
            R"({"$match": {"ssn": 5}})",
            R"(, "explain": false, "allowDiskUse": true, "hint": {"ssn": 1}, "cursor": {"batchSize": 5})")
            .passed());
}

TEST_F(Read, aggregates_are_explained_to_roles_that_reveal_everything) {
    const Outcome outcome = aggregate(R"({"$match": {"ssn": 5}})", R"(, "explain": true)");
    EXPECT_EQ(outcome.edits, std::vector<std::string>{"pipeline[0].$match.ssn=encrypt ssn"});
    EXPECT_EQ(outcome.plan.shape.kind, ReplyShape::Kind::scalar);
    EXPECT_TRUE(outcome.plan.requires_reveal_everything);
    for (const std::string value : {"false", "0", "null"}) {
        const Outcome executed = aggregate("", R"(, "explain": )" + value);
        EXPECT_EQ(executed.plan.shape.kind, ReplyShape::Kind::cursor) << executed;
        EXPECT_FALSE(executed.plan.requires_reveal_everything);
    }
}

TEST_F(Read, deletes_are_filters) {
    const Outcome outcome = clinic.analyse(R"({"delete": "patients"})",
                                           {{"deletes", {R"({"q": {"ssn": 5}, "limit": 1, "hint": "x"})"}}});
    EXPECT_EQ(outcome.edits, std::vector<std::string>{"deletes[0].q.ssn=encrypt ssn"});
    EXPECT_TRUE(outcome.plan.deletes);
    EXPECT_EQ(outcome.plan.access, Access::write);
    EXPECT_EQ(outcome.plan.shape.kind, ReplyShape::Kind::write_result);
    expect_refusal(
        clinic.analyse(R"({"delete": "patients", "deletes": [{"q": {"bloodType": "0-"}, "limit": 0}]})"), no,
        "randomized");
    expect_refusal(
        clinic.analyse(
            R"({"delete": "patients", "deletes": [{"q": {"ssn": 5}, "limit": 0, "collation": {"locale": "de"}}]})"),
        no, "collation");
    expect_refusal(clinic.analyse(R"({"delete": "patients", "deletes": [{"q": {}, "limit": 0, "u": {}}]})"),
                   code::unknown_field, "'deletes.u'");
    expect_refusal(clinic.analyse(R"({"delete": "patients", "deletes": {"q": {"ssn": 5}}})"),
                   code::type_mismatch, "must be an array");
    expect_refusal(clinic.analyse(R"({"delete": "patients", "deletes": [5]})"), code::type_mismatch,
                   "array of objects");
}

TEST_F(Read, streams_of_a_whole_database_take_no_values_of_documents) {
    const auto stream = [&](const std::string& stages, const std::string& database = "medicalRecords") {
        return clinic.analyse(
            R"({"aggregate": 1, "pipeline": [{"$changeStream": {"allChangesForCluster": false}})" + stages +
            R"(], "cursor": {}, "$db": ")" + database + "\"}");
    };
    for (const std::string database : {"medicalRecords", "admin"}) {
        EXPECT_TRUE(stream("", database).plan.requires_reveal_everything);
        EXPECT_TRUE(
            stream(R"(, {"$match": {"ns.coll": "patients", "operationType": "insert"}})", database).passed());
        for (const std::string path : {"fullDocument.ssn", "fullDocumentBeforeChange.ssn", "documentKey._id",
                                       "updateDescription.updatedFields.ssn", "fullDocument"})
            expect_refusal(stream(R"(, {"$match": {")" + path + "\": 145014000}}", database), no,
                           "not known until runtime");
        expect_refusal(
            stream(R"(, {"$match": {"$expr": {"$eq": ["$fullDocument.ssn", 145014000]}}})", database), no,
            "not known until runtime");
    }
    // Nothing can be protected there.
    clinic.config.unlisted_namespaces = config::Config::Unlisted::pass;
    EXPECT_TRUE(stream(R"(, {"$match": {"fullDocument.ssn": 5}})", "elsewhere").passed());
    EXPECT_TRUE(stream(R"(, {"$match": {"fullDocument.ssn": 5}})").refused());
}

}  // namespace
}  // namespace fieldgate::analysis::testing
