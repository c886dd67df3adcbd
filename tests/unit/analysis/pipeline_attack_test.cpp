#include "pipeline_support.hpp"

namespace fieldgate::analysis::testing {
namespace {

constexpr auto no = code::operation_not_on_encrypted;

// Pipelines made to let a value leave in clear, to give a wrong answer, or to cost more than they weigh.
class PipelineAttack : public ::testing::Test {
 protected:
    void expect_each_refused(const std::vector<std::string>& pipelines, std::string_view text,
                             std::int32_t code = no) const {
        for (const std::string& pipeline : pipelines) {
            SCOPED_TRACE(pipeline);
            expect_refusal(hospital.aggregate(pipeline), code, text);
        }
    }
    Hospital hospital;
};

const std::string replaced = R"({"$project": {"ssn": "$name", "note": 1}}, )";

TEST_F(PipelineAttack, a_replaced_field_takes_no_constant_by_any_name) {
    expect_each_refused({replaced + R"({"$match": {"ssn": 5}})"}, "not known until runtime: 'ssn'");
    expect_each_refused(
        {R"({"$count": "n"}, {"$match": {"insurance.policyNumber": 5}})",
         R"({"$unset": "ssn"}, {"$match": {"ssn": {"$in": [5]}}})",
         R"({"$lookup": {"from": "wards", "pipeline": [], "as": "ssn"}}, {"$match": {"ssn": 5}})",
         R"({"$unwind": {"path": "$a", "includeArrayIndex": "ssn"}}, {"$match": {"ssn": 5}})",
         R"({"$facet": {"ssn": [{"$count": "n"}]}}, {"$match": {"ssn": 5}})"},
        "not known until runtime");
    for (const std::string value :
         {R"({"$eq": ["$ssn", 5]})", R"({"$eq": ["$$ROOT.ssn", 5]})", R"({"$in": ["$$CURRENT.ssn", [5]]})",
          R"({"$gt": ["$ssn", 5]})", R"({"$eq": [{"a": "$ssn"}, {"a": 5}]})", R"({"$eq": [["$ssn"], [5]]})",
          R"({"$eq": [{"$getField": "ssn"}, 5]})",
          R"({"$eq": [{"$getField": {"field": "ssn", "input": "$$ROOT"}}, 5]})",
          R"({"$eq": [{"$ifNull": ["$ssn", 1]}, 5]})", R"({"$eq": [{"$cond": [true, "$ssn", 1]}, 5]})",
          R"({"$let": {"vars": {"v": "$ssn"}, "in": {"$eq": ["$$v", 5]}}})"})
        expect_each_refused({replaced + R"({"$project": {"x": )" + value + "}}"}, "was replaced by a stage");
    // Nothing is left of the tree, but the whole document has the names.
    for (const std::string value :
         {R"({"$eq": ["$$ROOT", {"ssn": 5}]})", R"({"$in": ["$$ROOT", [{"ssn": 5}]]})",
          R"({"$let": {"vars": {"d": "$$ROOT"}, "in": {"$eq": ["$$d.ssn", 5]}}})",
          R"({"$map": {"input": ["$$ROOT"], "in": {"$eq": ["$$this.ssn", 5]}}})",
          R"({"$eq": [{"$mergeObjects": ["$$ROOT"]}, {"ssn": 5}]})"})
        expect_each_refused({R"({"$project": {"ssn": "$name"}}, {"$project": {"x": )" + value + "}}"},
                            "was replaced by a stage");
    // Below a variable some of it is left.
    expect_each_refused(
        {replaced +
         R"({"$project": {"x": {"$let": {"vars": {"d": "$$ROOT"}, "in": {"$eq": ["$$d.ssn", 5]}}}}})"},
        "not known until runtime");
    expect_each_refused(
        {replaced + R"({"$redact": {"$cond": [{"$eq": ["$ssn", 5]}, "$$KEEP", "$$PRUNE"]}})",
         R"({"$project": {"ssn": 1}}, {"$redact": {"$cond": [{"$eq": ["$policyNumber", 5]}, "$$DESCEND", "$$KEEP"]}})"},
        "was replaced by a stage");
    EXPECT_TRUE(hospital.aggregate(replaced + R"({"$group": {"_id": "$ssn", "n": {"$sum": 1}}})").passed());
    EXPECT_TRUE(hospital.aggregate(replaced + R"({"$match": {"name": 5, "ssn2": 5}})").passed());
}

TEST_F(PipelineAttack, copies_are_followed_under_any_name) {
    const auto edits = [&](const std::string& pipeline) { return hospital.aggregate(pipeline).edits; };
    EXPECT_EQ(edits(R"({"$addFields": {"c": "$$ROOT"}}, {"$match": {"c.ssn": 5}})"),
              std::vector<std::string>{"pipeline[1].$match.c.ssn=encrypt ssn"});
    EXPECT_EQ(edits(R"({"$replaceWith": {"a": {"b": "$insurance"}}}, {"$match": {"a.b.policyNumber": 5}})"),
              std::vector<std::string>{"pipeline[1].$match.a.b.policyNumber=encrypt insurance.policyNumber"});
    EXPECT_EQ(edits(R"({"$set": {"ssn": "$insurance.policyNumber"}}, {"$match": {"ssn": 5}})"),
              std::vector<std::string>{"pipeline[1].$match.ssn=encrypt insurance.policyNumber"});
    EXPECT_EQ(edits(R"({"$group": {"_id": "$ssn"}}, {"$match": {"_id": 5}})"),
              std::vector<std::string>{"pipeline[1].$match._id=encrypt ssn"});
    EXPECT_EQ(
        edits(R"({"$group": {"_id": 1, "s": {"$push": "$ssn"}}}, {"$unwind": "$s"}, {"$match": {"s": 5}})"),
        std::vector<std::string>{"pipeline[2].$match.s=encrypt ssn"});
    // A $lookup's documents, unwound, are those of the other namespace.
    EXPECT_EQ(edits(R"({"$lookup": {"from": "visits", "pipeline": [], "as": "v"}}, {"$unwind": "$v"},
                       {"$match": {"v.badge": 7, "ssn": 5}})"),
              (std::vector<std::string>{"pipeline[2].$match.v.badge=encrypt badge",
                                        "pipeline[2].$match.ssn=encrypt ssn"}));
    // Overwritten copies are plain, and not the store's names.
    EXPECT_TRUE(
        edits(R"({"$addFields": {"c": "$$ROOT"}}, {"$set": {"c.ssn": "$name"}}, {"$match": {"c.ssn": 5}})")
            .empty());
}

TEST_F(PipelineAttack, what_may_be_missing_does_not_hide_what_is_below) {
    // `name` may be missing, and then the SSN below it stays.
    const std::string merged = R"({"$project": {"c": {"$mergeObjects": ["$$ROOT", {"ssn": "$name"}]}}}, )";
    expect_each_refused({merged + R"({"$match": {"c.ssn": 5}})"}, "not known until runtime");
    expect_each_refused(
        {R"({"$project": {"c": {"$mergeObjects": [{"s": "$ssn"}, {"s": "$$REMOVE"}]}}}, {"$match": {"c.s": 5}})"},
        "not known until runtime");
    // Unknown documents stay unknown through a projection.
    const std::string unknown =
        R"({"$group": {"_id": 1, "m": {"$mergeObjects": {"s": "$ssn"}}}}, {"$replaceWith": "$m"}, )";
    EXPECT_EQ(reply_tree(hospital.aggregate(unknown + R"({"$project": {"s": 1}})")), "?");
    expect_each_refused(
        {unknown + R"({"$project": {"s": 1}}, {"$match": {"s": 5}})", unknown + R"({"$match": {"s": 5}})",
         unknown + R"({"$set": {"s": 5}})", R"({"$unionWith": "wards"}, {"$group": {"_id": "$ssn"}})",
         R"({"$unionWith": "visits"}, {"$match": {"badge": 5}})"},
        "not known until runtime");
    EXPECT_EQ(
        reply_tree(hospital.aggregate(
            R"({"$lookup": {"from": "visits", "pipeline": [{"$facet": {"a": [{"$limit": 1}]}}], "as": "v"}},
                     {"$project": {"_id": 0, "v": 1}})")),
        "v[{a[{patientSsn=visits:patientSsn, badge=visits:badge, reason=visits:reason}]}]");
    expect_each_refused(
        {R"({"$lookup": {"from": "visits", "pipeline": [{"$facet": {"a": [{"$limit": 1}]}}], "as": "v"}},
            {"$unwind": "$v"}, {"$match": {"v.a.badge": 7}})"},
        "not known until runtime");
}

TEST_F(PipelineAttack, variables_are_what_the_server_takes_them_for) {
    const auto let = [](const std::string& name, const std::string& in) {
        return R"({"$project": {"x": {"$let": {"vars": {")" + name + R"(": "$$ROOT"}, "in": )" + in + "}}}}";
    };
    // $map binds one name, and its input is evaluated outside.
    EXPECT_EQ(hospital
                  .aggregate(let(
                      "v", R"({"$filter": {"as": "v", "input": {"$cond": [{"$eq": ["$$v.ssn", 5]}, [], []]},
                                          "cond": {"$eq": ["$$v.ssn", 6]}}})"))
                  .edits.size(),
              1u);
    for (const std::string name : {"value", "this"})
        EXPECT_EQ(hospital
                      .aggregate(let(name, R"({"$map": {"input": [1], "as": "y", "in": {"$eq": ["$$)" + name +
                                               R"(.ssn", 5]}}})"))
                      .edits.size(),
                  1u)
            << name;
    EXPECT_TRUE(hospital
                    .aggregate(let("value", R"({"$reduce": {"input": [], "initialValue": 1,
                                                "in": {"$eq": ["$$value.ssn", 5]}}})"))
                    .edits.empty());
    const auto many = [](std::size_t count) {
        std::string names = "\"a0\": 1";
        for (std::size_t i = 1; i < count; ++i) names += ", \"a" + std::to_string(i) + "\": 1";
        return R"({"$project": {"x": {"$let": {"vars": {)" + names + R"(}, "in": "$$a0"}}}})";
    };
    EXPECT_TRUE(hospital.aggregate(many(256)).passed());
    expect_each_refused({many(257)}, "More variables", code::command_not_supported);
    // They end with their expression.
    expect_each_refused({R"({"$project": {"x": {"$let": {"vars": {"v": 1}, "in": "$$v"}}, "y": "$$v"}})",
                         R"({"$lookup": {"from": "visits", "let": {"v": 1}, "pipeline": [], "as": "w"}},
                            {"$project": {"y": "$$v"}})",
                         R"({"$project": {"x": "$$ROOTS.ssn"}})", R"({"$project": {"x": "$$"}})"},
                        "undefined variable", code::failed_to_parse);
}

TEST_F(PipelineAttack, a_change_stream_stands_first_in_a_command) {
    const std::string events = R"({"$changeStream": {}}, )";
    expect_each_refused(
        {events +
         R"({"$lookup": {"from": "wards", "pipeline": [{"$changeStream": {}}], "as": "w"}}, {"$match": {"a": 1}})"},
        "as the first of a command");
    expect_each_refused({events + R"({"$match": {"updateDescription.updatedFields.ssn": 5}})",
                         events + R"({"$match": {"updateDescription.updatedFields": {"ssn": 5}}})",
                         events + R"({"$set": {"updateDescription.updatedFields.x": "$fullDocument.ssn"}})"},
                        "");
    EXPECT_EQ(hospital.aggregate(events + R"({"$match": {"fullDocument.ssn": 5}})").edits.size(), 1u);
    EXPECT_TRUE(
        hospital.aggregate(events + R"({"$match": {"operationType": "insert", "documentKey._id": 5}})")
            .passed());
    EXPECT_EQ(reply_tree(hospital.aggregate(
                  events + R"({"$project": {"_id": 0, "x": "$updateDescription.updatedFields.ssn"}})")),
              "x=?");
}

std::string repeated(const std::string& stage, std::size_t times) {
    std::string stages;
    for (std::size_t i = 0; i < times; ++i) stages += (i == 0 ? "" : ", ") + stage;
    return stages;
}

TEST_F(PipelineAttack, documents_in_documents_have_bounds) {
    // Each doubles the tree.
    std::string doubling;
    for (std::size_t i = 0; i < 60; ++i)
        doubling += (i == 0 ? "" : ", ") + (R"({"$set": {"d)" + std::to_string(i) + R"(": "$$ROOT"}})");
    expect_each_refused({doubling}, "copies documents", code::command_not_supported);
    const std::string few = doubling.substr(0, doubling.find(R"("d10")") - 12);
    EXPECT_TRUE(hospital.aggregate(few).passed()) << hospital.aggregate(few);

    // One level each; the deepest tree so far has 3 levels.
    EXPECT_TRUE(hospital.aggregate(repeated(R"({"$replaceWith": {"a": "$$ROOT"}})", 247)).passed());
    expect_each_refused({repeated(R"({"$replaceWith": {"a": "$$ROOT"}})", 248)}, "nests documents",
                        code::command_not_supported);
    std::string deep = "a";
    for (std::size_t i = 0; i < 300; ++i) deep += ".a";
    expect_each_refused({R"({"$project": {")" + deep + R"(": "$ssn"}})",
                         R"({"$lookup": {"from": "patients", "pipeline": [], "as": ")" + deep + R"("}})"},
                        "nests documents", code::command_not_supported);
    std::string longest = "a";
    for (std::size_t i = 0; i < 999; ++i) longest += ".a";
    EXPECT_TRUE(
        hospital.aggregate(R"({"$unwind": {"path": "$t", "includeArrayIndex": ")" + longest + R"("}})")
            .passed());
    for (const std::string& path : {longest + ".a", std::string(2001, 'k')})
        expect_each_refused(
            {R"({"$unwind": {"path": "$t", "includeArrayIndex": ")" + path + R"("}})",
             R"({"$lookup": {"from": "patients", "pipeline": [], "as": ")" + path + R"("}})",
             R"({"$geoNear": {"near": 1, "distanceField": ")" + path + R"("}})",
             R"({"$graphLookup": {"from": "patients", "startWith": 1, "connectFromField": "x", "connectToField": "x",
                 "as": "v", "depthField": ")" +
                 path + R"("}})"},
            "too long", code::bad_value);
}

TEST_F(PipelineAttack, pipelines_have_a_length) {
    EXPECT_TRUE(hospital.aggregate(repeated(R"({"$skip": 1})", 1000)).passed());
    expect_each_refused({repeated(R"({"$skip": 1})", 1001)}, "no longer than 1000 stages",
                        code::command_not_supported);
}

TEST_F(PipelineAttack, wide_objects_have_bounds) {
    const auto parts = [](std::size_t count, const std::string& value) {
        std::string text;
        for (std::size_t i = 0; i < count; ++i)
            text += (i == 0 ? "\"k" : ", \"k") + std::to_string(i) + "\": " + value;
        return text;
    };
    const auto object = [&](std::size_t count) {
        return R"({"$project": {"x": [{)" + parts(count, "\"$ssn\"") + "}]}}";
    };
    EXPECT_TRUE(hospital.aggregate(object(1000)).passed());
    expect_each_refused({object(70000), R"({"$project": {)" + parts(70000, "\"$ssn\"") + "}}",
                         R"({"$group": {"_id": 1, )" + parts(70000, R"({"$first": "$ssn"})") + "}}",
                         R"({"$project": {"x": {"$mergeObjects": [{)" + parts(70000, "\"$ssn\"") + "}]}}}"},
                        "copies documents", code::command_not_supported);
    // A million constants beside one field cost no more than one.
    std::string branches;
    for (std::size_t i = 0; i < 20000; ++i) branches += R"({"case": true, "then": 1}, )";
    EXPECT_TRUE(hospital
                    .compute(R"({"$switch": {"branches": [{"case": true, "then": "$$ROOT"}, )" + branches +
                             R"({"case": true, "then": "$ssn"}]}})")
                    .passed());
}

// { "aggregate": "patients", "pipeline": [{ "$project": { "x": <"$ssn" in that many operators> } }] }
bson::Buffer nested_projection(const std::string& op, std::size_t times) {
    bson::Buffer body;
    bson::Builder builder(body);
    builder.append_string("aggregate", "patients").open_array("pipeline");
    builder.open_document("0").open_document("$project");
    std::string key = "x";
    for (std::size_t i = 0; i < times; ++i) {
        if (op == "object") {
            builder.open_document(key);
            key = "a";
        } else if (op == "array") {
            builder.open_array(key);
            key = "0";
        } else if (op == "$let") {
            builder.open_document(key).open_document(op).open_document("vars");
            key = "v";
        } else if (op == "$mergeObjects") {
            builder.open_document(key).open_array(op).open_document("0");
            key = "a";
        } else {
            builder.open_document(key).open_array(op);
            builder.append_null("0").append_null("1");
            key = "2";
        }
    }
    builder.append_string(key, "$ssn");
    for (std::size_t i = 0; i < times; ++i) {
        builder.close();
        if (op == "$let") builder.append_string("in", "$$v");
        if (op == "object" || op == "array") continue;
        builder.close();
        if (op == "$let" || op == "$mergeObjects") builder.close();
    }
    builder.close().close().close().open_document("cursor").close();
    builder.append_string("$db", "medicalRecords").finish();
    return body;
}

TEST_F(PipelineAttack, expressions_nest_as_deep_as_messages_may) {
    hospital.config.limits.nesting_levels = 5000;  // walkers stop at 1000 whatever it says
    constexpr std::size_t levels = 997;            // below pipeline, stage and $project
    const auto analyse = [&](const std::string& op, std::size_t times) {
        return hospital.analyse(nested_projection(op, times));
    };
    EXPECT_EQ(reply_tree(analyse("$ifNull", levels / 2)), "x=ssn");
    EXPECT_EQ(reply_tree(analyse("$cond", levels / 2)), "x=ssn");
    EXPECT_EQ(reply_tree(analyse("$let", levels / 3)), "x=ssn");
    EXPECT_EQ(reply_tree(analyse("array", levels)), "x=?");
    expect_refusal(analyse("object", levels), code::command_not_supported, "nests documents");
    expect_refusal(analyse("$mergeObjects", levels / 3), code::command_not_supported, "nests documents");
    expect_refusal(analyse("$and", levels / 2), no, "$and is not allowed on encrypted field '$ssn'");
    for (const std::string op : {"$ifNull", "$cond", "$let", "$mergeObjects", "$and", "array", "object"})
        expect_refusal(analyse(op, levels + 1), code::invalid_bson, "");
}

// What the first batch leaves is asked for by the name of the first namespace, perhaps through a fieldgate
// that never saw the pipeline.
TEST_F(PipelineAttack, ciphertext_behind_a_cursor_of_an_unprotected_namespace_is_for_who_sees_everything) {
    for (
        const std::string stages :
        {R"({"$unionWith": "patients"})", R"({"$lookup": {"from": "patients", "pipeline": [], "as": "j"}})",
         R"({"$unionWith": {"coll": "patients", "pipeline": [{"$project": {"z": "$ssn"}}]}})",
         R"({"$lookup": {"from": "patients", "pipeline": [{"$project": {"z": {"$ifNull": ["$ssn", 1]}}}], "as": "j"}})"}) {
        SCOPED_TRACE(stages);
        const Outcome joined = hospital.aggregate(stages, "wards");
        EXPECT_TRUE(joined.passed()) << joined;
        EXPECT_TRUE(joined.plan.requires_reveal_everything);
        EXPECT_FALSE(hospital.aggregate(stages + R"(, {"$project": {"name": 1, "j.name": 1}})", "patients")
                         .plan.requires_reveal_everything);
    }
    for (const std::string stages :
         {R"({"$unionWith": {"coll": "patients", "pipeline": [{"$project": {"name": 1}}]}})",
          R"({"$unionWith": "patients"}, {"$project": {"name": 1}})"}) {
        const Outcome plain = hospital.aggregate(stages, "wards");
        EXPECT_TRUE(plain.passed()) << plain;
        EXPECT_FALSE(plain.plan.requires_reveal_everything) << stages;
    }
}

}  // namespace
}  // namespace fieldgate::analysis::testing
