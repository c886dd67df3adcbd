#include "pipeline_support.hpp"

namespace fieldgate::analysis::testing {
namespace {

constexpr auto no = code::operation_not_on_encrypted;
constexpr auto type = code::field_cannot_be_encrypted;

// Constants that may come out where an encrypted value may come out are encrypted like it, or refused; all
// others are the client's own.
class Constants : public ::testing::Test {
 protected:
    static std::vector<std::string> edits(const Outcome& outcome) {
        std::vector<std::string> all = edits_of(outcome);
        for (std::string& edit : all)
            if (edit.starts_with("$project.x.")) edit.erase(0, std::string_view("$project.x.").size());
        return all;
    }
    using Edits = std::vector<std::string>;
    void expect(const std::string& expression, const std::string& tree, const Edits& wanted = {}) const {
        SCOPED_TRACE(expression);
        const Outcome outcome = hospital.compute(expression);
        EXPECT_EQ(reply_tree(outcome), tree);
        EXPECT_EQ(edits(outcome), wanted);
    }
    void expect_refused(const std::string& expression, std::string_view text, std::int32_t code = no) const {
        SCOPED_TRACE(expression);
        expect_refusal(hospital.compute(expression), code, text);
    }
    Hospital hospital;
};

TEST_F(Constants, beside_a_field_are_encrypted_as_it) {
    expect(R"({"$ifNull": ["$ssn", 777]})", "x=ssn", {"$ifNull[1]=encrypt ssn"});
    expect(R"({"$ifNull": [777, "$ssn"]})", "x=ssn", {"$ifNull[0]=encrypt ssn"});
    expect(R"({"$ifNull": ["$ssn", {"$literal": 777}]})", "x=ssn", {"$ifNull[1].$literal=encrypt ssn"});
    expect(
        R"({"$switch": {"branches": [{"case": true, "then": 1}, {"case": true, "then": "$ssn"}, {"case": true, "then": null}], "default": 2}})",
        "x=ssn", {"$switch.branches[0].then=encrypt ssn", "$switch.default=encrypt ssn"});
    expect(R"({"$ifNull": ["$insurance.agent.code", {"$literal": "$A"}]})", "x=insurance.agent.code",
           {"$ifNull[1].$literal=encrypt insurance.agent.code"});
    // Random ones cannot be compared, but what comes out is opened or withheld as the field is.
    expect(R"({"$ifNull": ["$bloodType", "none"]})", "x=bloodType", {"$ifNull[1]=encrypt bloodType"});
    expect(R"({"$cond": [true, "$note", true]})", "x=note", {"$cond[2]=encrypt note"});
    // However deep, in whatever order.
    expect(R"({"$cond": ["$a", {"$cond": ["$b", 1, {"$ifNull": ["$name", 2]}]}, "$ssn"]})", "x=?",
           {"$cond[1].$cond[1]=encrypt ssn", "$cond[1].$cond[2].$ifNull[1]=encrypt ssn"});
    expect(R"({"$cond": ["$a", {"$cond": ["$b", 1, 2]}, {"$ifNull": ["$ssn", 3]}]})", "x=ssn",
           {"$cond[1].$cond[1]=encrypt ssn", "$cond[1].$cond[2]=encrypt ssn",
            "$cond[2].$ifNull[1]=encrypt ssn"});
    // Of two fields the first, once: what comes out is unknown anyway.
    expect(R"({"$ifNull": ["$ssn", "$insurance.policyNumber", 777]})", "x=?", {"$ifNull[2]=encrypt ssn"});
    // Null is no value, and a truth value is none that a field of others could hold.
    expect(R"({"$ifNull": ["$ssn", null]})", "x=ssn");
    expect(R"({"$cond": ["$a", "$ssn", false]})", "x=?");
}

TEST_F(Constants, inside_objects_are_those_of_their_path) {
    expect(
        R"({"$ifNull": ["$insurance", {"policyNumber": 777, "provider": "none", "agent": {"code": "A", "name": "B"}}]})",
        "x{policyNumber=insurance.policyNumber, agent{code=insurance.agent.code}}",
        {"$ifNull[1].policyNumber=encrypt insurance.policyNumber",
         "$ifNull[1].agent.code=encrypt insurance.agent.code"});
    expect(R"({"$ifNull": ["$insurance", {"provider": "none"}]})", "x{policyNumber=?, agent{code=?}}");
    expect(R"({"$ifNull": ["$insurance", "none"]})", "x{policyNumber=?, agent{code=?}}");
    expect_refused(R"({"$ifNull": ["$insurance", {"policyNumber": "none"}]})", "schema requires", type);
    expect_refused(R"({"$ifNull": ["$insurance", {"policyNumber": {"$add": [1, 2]}}]})", "not inside");
    expect_refused(R"({"$ifNull": ["$insurance", {"$literal": {"policyNumber": 777}}]})", "not inside");
    expect_refused(R"({"$ifNull": ["$insurance", [{"policyNumber": 777}]]})", "not inside");
    expect_refused(R"({"$ifNull": ["$ssn", {"a": 777}]})", "not inside");
    expect_refused(R"({"$ifNull": ["$medicalRecords", [{"weight": 80}]]})", "not inside");
    expect(R"({"$ifNull": ["$medicalRecords", []]})", "x=?");
    expect(R"({"$ifNull": ["$medicalRecords", {"$literal": []}]})", "x=?");
    // Defaults below what may be missing.
    expect(R"({"$mergeObjects": [{"ssn": 777}, "$$ROOT"]})", "x{" + whole_tree + "}",
           {"$mergeObjects[0].ssn=encrypt ssn"});
    expect(R"({"$mergeObjects": [{"a": 777}, {"a": "$ssn"}]})", "x{a=ssn}",
           {"$mergeObjects[0].a=encrypt ssn"});
    expect(R"({"$mergeObjects": [{"a": 777}, "$plain", {"a": "$name"}, {"a": "$ssn"}]})", "x{a=?}",
           {"$mergeObjects[0].a=encrypt ssn"});
    expect(R"({"$mergeObjects": [{"a": 777}, {"a": 778}, {"a": "$ssn"}]})", "x{a=ssn}",
           {"$mergeObjects[1].a=encrypt ssn"});
    expect_refused(R"({"$mergeObjects": [{"a": "none"}, {"a": "$ssn"}]})", "schema requires", type);
    expect_refused(R"({"$mergeObjects": [{"insurance": {"policyNumber": {"$add": [1, 2]}}}, "$$ROOT"]})",
                   "not inside");
}

TEST_F(Constants, in_objects_that_are_laid_over_each_other_are_seen_whatever_makes_them) {
    // Below: they come out where what is laid over them has nothing.
    for (const std::string below :
         {R"({"$arrayToObject": [[["ssn", 777]]]})", R"({"$literal": {"ssn": 777}})",
          R"({"$setField": {"field": "ssn", "input": {}, "value": 777}})",
          R"({"$mergeObjects": [{"ssn": 777}]})", R"({"$let": {"vars": {"v": {"ssn": 777}}, "in": "$$v"}})",
          R"({"$getField": {"field": "a", "input": {"a": {"ssn": 777}}}})"})
        for (const std::string over : {R"("$$ROOT")", R"({"ssn": "$ssn"})", R"("$plain", {"ssn": "$ssn"})"})
            expect_refused("{\"$mergeObjects\": [" + below + ", " + over + "]}", "not inside");
    expect_refused(R"({"$let": {"vars": {"v": {"ssn": 777}}, "in": {"$mergeObjects": ["$$v", "$$ROOT"]}}})",
                   "not inside");
    expect_refusal(
        hospital.aggregate(
            R"({"$group": {"_id": 1, "x": {"$mergeObjects": {"$mergeObjects": [{"$literal": {"ssn": 777}}, "$$ROOT"]}}}})"),
        no, "not inside");
    expect(R"({"$mergeObjects": [{"$cond": ["$a", {"ssn": 777}, null]}, {"ssn": "$ssn"}]})", "x{ssn=?}",
           {"$mergeObjects[0].$cond[1].ssn=encrypt ssn"});
    for (const std::string below :
         {R"({"$literal": {"kind": 777}})", R"({"$ifNull": ["$settings", {"theme": "dark"}]})",
          R"({"$setField": {"field": "kind", "input": "$plain", "value": 777}})",
          R"({"$mergeObjects": ["$plain", {"kind": 777}]})", R"({"$arrayToObject": "$pairs"})"})
        expect("{\"$mergeObjects\": [" + below + R"(, {"ssn": "$ssn"}]})", "x{ssn=?}");
    // Above: they come out where there are any. Also where the whole document is made of it.
    for (const std::string over :
         {R"({"a": {"$ifNull": ["$nothing", 777]}})", R"({"a": {"$cond": ["$b", 777, "$nothing"]}})",
          R"({"$cond": ["$b", {"a": 777}, null]})", R"({"$literal": {"a": 777}})",
          R"({"$setField": {"field": "a", "input": "$plain", "value": 777}})",
          R"({"$arrayToObject": [[["a", 777]]]})"}) {
        const std::string merged = R"({"$mergeObjects": [{"a": "$ssn"}, )" + over + "]}";
        expect_refused(merged, "A constant cannot stand in");
        for (const std::string& stage :
             {R"({"$replaceWith": )" + merged + "}", R"({"$replaceRoot": {"newRoot": )" + merged + "}}",
              R"({"$addFields": {"insurance": )" + merged + "}}"})
            expect_refusal(hospital.aggregate(stage), no, "A constant cannot stand in");
    }
    expect_refusal(
        hospital.aggregate(
            R"({"$replaceWith": {"$mergeObjects": [{"a": {"b": "$ssn"}}, {"a": {"$cond": ["$c", {"b": 777}, "$d"]}}]}})"),
        no, "A constant cannot stand in");
    for (const std::string stages :
         {R"({"$replaceWith": {"$mergeObjects": ["$$ROOT", {"kind": "x"}]}})",
          R"({"$replaceWith": {"$mergeObjects": [{"kind": "x"}, "$$ROOT"]}})",
          R"({"$replaceWith": {"$mergeObjects": ["$insurance", {"k": {"$ifNull": ["$k", "none"]}}]}})",
          R"({"$addFields": {"insurance": {"$mergeObjects": [{"provider": "none"}, "$insurance"]}}})"})
        EXPECT_TRUE(hospital.aggregate(stages).passed()) << stages;
}

TEST_F(Constants, that_cannot_be_encrypted_are_refused) {
    expect_refused(R"({"$ifNull": ["$ssn", "none"]})",
                   "schema requires that type is one of: [ int ] (field 'ssn')", type);
    expect_refused(R"({"$ifNull": ["$ssn", {"$numberLong": "777"}]})", "schema requires", type);
    expect_refused(R"({"$ifNull": ["$ssn", "$name", "none"]})", "schema requires", type);
    for (const std::string computed :
         {R"({"$add": [700, 77]})", R"({"$concat": ["7", "77"]})", R"({"$toInt": "777"})",
          R"({"$let": {"vars": {"v": 777}, "in": "$$v"}})", R"({"$arrayElemAt": [[777], 0]})",
          R"({"$mergeObjects": [{"a": 777}]})", R"({"$literal": {"a": 777}})", "[777]"})
        for (const std::string& expression :
             std::vector<std::string>{"[\"$ssn\", " + computed + "]", "[" + computed + ", \"$ssn\"]"})
            expect_refused("{\"$ifNull\": " + expression + "}",
                           "A constant cannot stand in for an encrypted field");
    expect_refused(R"({"$let": {"vars": {"v": 777}, "in": {"$ifNull": ["$ssn", "$$v"]}}})",
                   "A constant cannot stand in");
    expect_refusal(hospital.aggregate(R"({"$project": {"x": {"$ifNull": ["$ssn", "$$v"]}}})", "patients",
                                      R"(, "let": {"v": 777})"),
                   no, "A constant cannot stand in");
    // What may be encrypted or not.
    expect_refused(R"({"$ifNull": [{"$cond": ["$a", "$ssn", "$name"]}, 777]})", "not known until runtime");
    expect_refusal(
        hospital.aggregate(
            R"({"$project": {"u": {"$cond": ["$a", "$ssn", "$name"]}}}, {"$project": {"x": {"$ifNull": ["$u", 777]}}})"),
        no, "not known until runtime");
    Variants variants;
    const auto of = [&](const std::string& path) {
        return variants.analyse(
            R"({"aggregate": "patients", "cursor": {}, "pipeline": [{"$project": {"x": {"$ifNull": ["$)" +
            path + R"(", "none"]}}}]})");
    };
    expect_refusal(of("secret"), no, "JSONPointer");
    EXPECT_TRUE(of("tag").passed());
}

TEST_F(Constants, numbers_are_turned_into_the_type_of_the_field_where_the_schema_says_so) {
    hospital.config.schemas[0].coerce_numbers = true;
    expect(R"({"$ifNull": ["$ssn", 777.0]})", "x=ssn", {"$ifNull[1]=encrypt ssn as int"});
}

TEST_F(Constants, encrypted_alike_can_be_compared_and_grouped) {
    expect(R"({"$eq": [{"$ifNull": ["$ssn", 777]}, 5]})", "",
           {"$eq[0].$ifNull[1]=encrypt ssn", "$eq[1]=encrypt ssn"});
    const Outcome grouped =
        hospital.aggregate(R"({"$group": {"_id": {"$ifNull": ["$ssn", 777]}, "n": {"$sum": 1}}})");
    EXPECT_EQ(reply_tree(grouped), "_id=ssn");
    EXPECT_EQ(edits_of(grouped), Edits{"$group._id.$ifNull[1]=encrypt ssn"});
    const Outcome matched =
        hospital.aggregate(R"({"$addFields": {"x": {"$ifNull": ["$ssn", 777]}}}, {"$match": {"x": 777}})");
    EXPECT_TRUE(matched.passed()) << matched;
    EXPECT_EQ(matched.edits.size(), 2u);
    expect_refusal(hospital.aggregate(R"({"$group": {"_id": {"$ifNull": ["$bloodType", "none"]}}})"), no,
                   "randomized");
    const Outcome found =
        hospital.analyse(R"({"find": "patients", "projection": {"x": {"$ifNull": ["$ssn", 777]}}})");
    EXPECT_EQ(found.edits, Edits{"projection.x.$ifNull[1]=encrypt ssn"});
}

// Or it could have values of its choice encrypted, and compare them with what it may see.
TEST_F(Constants, are_for_roles_that_may_compare_with_the_field) {
    for (const std::string path : {"ssn", "note"}) {
        EXPECT_TRUE(
            hospital.use(hospital.compute(R"({"$cond": ["$a", "$)" + path + R"(", 777]})"), path).matched);
        EXPECT_FALSE(
            hospital.use(hospital.compute(R"({"$cond": ["$a", "$)" + path + R"(", null]})"), path).matched);
    }
    expect_refusal(hospital.aggregate(R"({"$project": {"x": {"$cond": ["$a", "$ssn", 777]}}})", "patients",
                                      R"(, "collation": {"locale": "de"})"),
                   no, "collation");
}

TEST_F(Constants, that_meet_no_field_are_the_clients_own) {
    for (const std::string own :
         {R"({"$cond": ["$a", 777, "$name"]})", R"({"$ifNull": ["$name", "none"]})", R"({"$literal": 777})",
          R"({"a": 777, "b": "$name"})", R"({"$let": {"vars": {"unused": 777}, "in": "$name"}})",
          R"({"$cond": [{"$eq": ["$status", "A"]}, 777, 778]})"})
        expect(own, "");
    // What only decides becomes no part of a value.
    expect(R"({"$cond": [{"$eq": ["$status", "A"]}, "$ssn", "$name"]})", "x=?");
    expect(R"({"$ifNull": ["$ssn", {"$cond": [{"$gt": ["$age", 17]}, "$a", "$b"]}]})", "x=?");
    expect(R"({"$ifNull": ["$ssn", {"$eq": ["$status", "A"]}]})", "x=?");
    expect(R"({"$ifNull": ["$ssn", {"$getField": "name"}]})", "x=?");
    expect(R"({"$cond": ["$a", "$$ROOT", {"$mergeObjects": ["$$ROOT", {"kind": "x"}]}]})",
           "x{" + whole_tree + "}");
    expect(
        R"({"$cond": ["$a", "$$ROOT", {"$setField": {"field": "kind", "input": "$$ROOT", "value": "x"}}]})",
        "x{" + whole_tree + "}");
    // Positions in an array are places of their own.
    expect(R"(["$ssn", 777])", "x=?");
    for (const std::string stages :
         {R"({"$group": {"_id": {"ssn": 777}}})", R"({"$group": {"_id": 777, "total": {"$max": 777}}})"})
        EXPECT_TRUE(hospital.aggregate(stages).passed()) << stages;
    EXPECT_TRUE(
        hospital.analyse(R"({"aggregate": 1, "cursor": {}, "pipeline": [{"$documents": [{"ssn": 777}]}]})")
            .passed());
    EXPECT_TRUE(hospital.aggregate(R"({"$match": {}})", "patients", R"(, "let": {"unused": 777})").passed());
}

TEST_F(Constants, do_not_stand_under_names_that_are_encrypted_in_the_store) {
    for (const std::string stages :
         {R"({"$project": {"ssn": {"$literal": 777}}})", R"({"$addFields": {"ssn": 777}})",
          R"({"$group": {"_id": "$x", "ssn": {"$max": 777}}})",
          R"({"$group": {"_id": "$x", "ssn": {"$first": 777}}})",
          R"({"$group": {"_id": "$x", "note": {"$sum": 2}}})",
          R"({"$group": {"_id": "$x", "insurance": {"$push": {"policyNumber": 777}}}})",
          R"({"$bucket": {"groupBy": "$x", "boundaries": [1, 2], "output": {"ssn": {"$max": 777}}}})"})
        expect_refusal(hospital.aggregate(stages), no, "A constant cannot stand in");
    EXPECT_TRUE(
        hospital.aggregate(R"({"$group": {"_id": "$x", "note": {"$sum": "$n"}, "ssn": {"$count": {}}}})")
            .passed());
    EXPECT_TRUE(hospital.aggregate(R"({"$group": {"_id": "$x", "note": {"$sum": 1}}})").passed());  // counts
    // Nor do they get into the store by another name.
    for (const std::string stage : {R"({"$merge": "patients"})", R"({"$out": "archive"})",
                                    R"({"$merge": {"into": "archive", "on": "_id"}})"})
        for (const std::string before :
             {R"({"$group": {"_id": {"ssn": 777}}}, {"$replaceRoot": {"newRoot": "$_id"}}, )",
              R"({"$project": {"a": {"ssn": {"$literal": 777}}}}, {"$replaceRoot": {"newRoot": "$a"}}, )",
              R"({"$project": {"t": {"$literal": 777}}}, {"$project": {"ssn": "$t"}}, )"})
            expect_refusal(hospital.aggregate(before + stage), no, "the documents differ");
    for (const std::string stage : {R"({"$merge": "patients"})", R"({"$out": "patients"})"})
        expect_refusal(hospital.analyse(
                           R"({"aggregate": 1, "cursor": {}, "pipeline": [{"$documents": [{"ssn": 777}]}, )" +
                           stage + "]}"),
                       no, "");
}

TEST_F(Constants, do_not_come_to_stand_beside_encrypted_values_in_a_union) {
    const auto made_up = [&](const std::string& documents, const std::string& rest) {
        return hospital.analyse(R"({"aggregate": 1, "cursor": {}, "pipeline": [{"$documents": )" + documents +
                                "}, " + rest + "]}");
    };
    const std::string patients = R"({"$unionWith": "patients"})";
    const std::string text = "$unionWith would put that at";
    for (const std::string documents :
         {R"([{"ssn": 777}])", R"([{"name": "x"}, {"insurance": {"policyNumber": 777}}])",
          R"([{"ssn": {"a": 777}}])", R"([{"insurance": {"$literal": {"policyNumber": 777}}}])",
          R"({"$map": {"input": [1], "in": {"ssn": 777}}})", R"([{"$mergeObjects": [{"ssn": 777}]}])",
          R"([{"ssn": {"$cond": [true, null, 777]}}])"})
        expect_refusal(made_up(documents, patients), no, text);
    for (const std::string documents : {R"([{"ward": 777, "insurance": {"provider": "x"}}])",
                                        R"([{"ssn": null}])", "[]", R"([{"ssn": {"$eq": [1, 777]}}])"})
        EXPECT_TRUE(made_up(documents, patients).passed()) << documents;
    // From the other side, by another name, and through a second union.
    for (const std::string stage :
         {R"({"$project": {"ssn": {"$literal": 777}}})", R"({"$addFields": {"ssn": 777}})",
          R"({"$group": {"_id": 1, "ssn": {"$max": 777}}})", R"({"$replaceRoot": {"newRoot": {"ssn": 777}}})",
          R"({"$replaceWith": {"$mergeObjects": ["$$ROOT", {"ssn": 777}]}})",
          R"({"$unionWith": {"coll": "beds", "pipeline": [{"$project": {"ssn": {"$literal": 777}}}]}})"}) {
        expect_refusal(
            hospital.aggregate(R"({"$unionWith": {"coll": "wards", "pipeline": [)" + stage + "]}}"), no,
            text);
        expect_refusal(hospital.aggregate(stage + ", " + patients, "wards"), no, text);
    }
    expect_refusal(
        hospital.aggregate(
            R"({"$project": {"x": {"$literal": 777}}}, {"$unionWith": {"coll": "patients", "pipeline": [{"$project": {"x": "$ssn"}}]}})",
            "wards"),
        no, text);
    EXPECT_TRUE(
        hospital
            .aggregate(
                R"({"$project": {"name": 1, "kind": {"$literal": "ward"}}}, {"$unionWith": {"coll": "patients", "pipeline": [
                                       {"$project": {"ssn": 1, "kind": {"$literal": "patient"}}}]}})",
                "wards")
            .passed());
    EXPECT_TRUE(
        hospital
            .aggregate(
                R"({"$lookup": {"from": "wards", "pipeline": [{"$addFields": {"ssn": 777}}], "as": "w"}}, )" +
                patients)
            .passed());
}

TEST_F(Constants, come_to_stand_in_a_union_by_any_stage) {
    const std::string text = "$unionWith would put that at";
    const auto joined = [](const std::string& inner) {
        return R"({"$unionWith": {"coll": "wards", "pipeline": [)" + inner + "]}}";
    };
    // Documents of no collection.
    for (const std::string before : {"", R"({"$project": {"ssn": 1}}, )"})
        expect_refusal(
            hospital.aggregate(before + R"({"$unionWith": {"pipeline": [{"$documents": [{"ssn": 777}]}]}})"),
            no, text);
    EXPECT_TRUE(
        hospital.aggregate(R"({"$unionWith": {"pipeline": [{"$documents": [{"name": 777}]}]}})").passed());
    // As what documents are put together by.
    const std::string by_ssn = R"({"$group": {"_id": "$ssn"}}, )";
    for (const std::string stage :
         {R"({"$sortByCount": {"$literal": 777}})", R"({"$sortByCount": {"$cond": ["$a", 777, 778]}})",
          R"({"$bucket": {"groupBy": "$a", "boundaries": [777, 778]}})",
          R"({"$bucket": {"groupBy": "$a", "boundaries": ["$b", "$c"], "default": 777}})",
          R"({"$bucketAuto": {"groupBy": {"$cond": ["$a", 777, 778]}, "buckets": 2}})"})
        expect_refusal(hospital.aggregate(by_ssn + joined(stage)), no, text);
    expect_refusal(hospital.aggregate(
                       R"({"$group": {"_id": {"max": "$ssn"}}}, )" +
                       joined(R"({"$bucketAuto": {"groupBy": {"$cond": ["$a", 777, 778]}, "buckets": 2}})")),
                   no, text);
    for (const std::string stage :
         {R"({"$sortByCount": "$a"})",
          R"({"$bucketAuto": {"groupBy": "$a", "buckets": 2, "granularity": "R5"}})"})
        EXPECT_TRUE(hospital.aggregate(by_ssn + joined(stage)).passed()) << stage;
    // Inside what pipelines of their own make.
    const std::string policy = R"([{"$project": {"policyNumber": {"$literal": 777}}}])";
    for (const std::string& stage : std::vector<std::string>{
             R"({"$lookup": {"from": "beds", "as": "insurance", "pipeline": )" + policy + "}}",
             R"({"$lookup": {"as": "insurance", "pipeline": [{"$documents": [{"policyNumber": 777}]}]}})",
             R"({"$facet": {"insurance": )" + policy + "}}"})
        for (const std::string unwind : {"", R"({"$unwind": "$insurance"}, )"})
            expect_refusal(
                hospital.aggregate(stage + ", " + unwind + R"({"$unionWith": "patients"})", "wards"), no,
                text);
    // Under names that are values.
    const auto replaced = [&](const std::string& with) {
        return hospital.aggregate(R"({"$replaceWith": )" + with + R"(}, {"$unionWith": "patients"})",
                                  "wards");
    };
    for (
        const std::string with :
        {R"({"$arrayToObject": [[["ssn", 777]]]})",
         R"({"$setField": {"field": "ssn", "input": "$$ROOT", "value": 777}})",
         R"({"$setField": {"field": {"$literal": "ssn"}, "input": "$$ROOT", "value": 777}})",
         R"({"$setField": {"field": "$$v", "input": "$$ROOT", "value": 777}})",
         R"({"$setField": {"field": "a", "input": {"$literal": {"ssn": 777}}, "value": 5}})",
         R"({"$mergeObjects": ["$$ROOT", {"$arrayToObject": [[["ssn", 777]]]}]})",
         R"({"$let": {"vars": {"v": {"$arrayToObject": [[["ssn", 777]]]}}, "in": "$$v"}})",
         R"({"$unsetField": {"field": "a", "input": {"$setField": {"field": "ssn", "input": {}, "value": 777}}}})"})
        expect_refusal(replaced(with.find("$$v\", \"input") == std::string::npos
                                    ? with
                                    : R"({"$let": {"vars": {"v": "ssn"}, "in": )" + with + "}}"),
                       no, text);
    for (const std::string with :
         {R"({"$setField": {"field": "kind", "input": "$$ROOT", "value": 777}})",
          R"({"$mergeObjects": ["$$ROOT", {"kind": "ward"}]})", R"({"$arrayToObject": "$pairs"})"})
        EXPECT_TRUE(replaced(with).passed()) << with;
}

TEST_F(Constants, in_any_number_cost_a_bounded_time_and_room) {
    const auto with = [&](const std::string& first, std::size_t constants) {
        std::string branches = R"({"case": true, "then": ")" + first + "\"}";
        for (std::size_t i = 0; i < constants; ++i) branches += R"(, {"case": true, "then": 1})";
        return hospital.compute(R"({"$switch": {"branches": [)" + branches + "]}}");
    };
    const Outcome many = with("$ssn", 100000);
    EXPECT_TRUE(many.passed()) << many.refusal.errmsg;
    EXPECT_EQ(many.plan.edits.size(), 100000u);
    expect_refusal(with("$ssn", 100001), code::command_not_supported,
                   "more constants beside encrypted fields");
    EXPECT_TRUE(with("$name", 100001).passed());
}

}  // namespace
}  // namespace fieldgate::analysis::testing
