#include "config/name_pattern.hpp"
#include "pipeline_support.hpp"
#include "proxy/analysis/commands.hpp"
#include "proxy/analysis/pipeline.hpp"

namespace fieldgate::analysis::testing {
namespace {

// Pipelines of updates, straight into their walk.
class UpdatePipeline : public ::testing::Test {
 protected:
    struct Result {
        bool passed = false;
        Plan plan;
        Refusal refusal;
    };
    Result walk(const std::string& stages) const {
        const bson::Buffer body =
            json(R"({"update": "patients", "$db": "medicalRecords", "u": [)" + stages + "]}");
        wire::OpMsg message;
        message.body = bson::DocumentView::unchecked(body);
        Result result;
        std::vector<NamespaceName> needed;
        Request request(message, Context{hospital.config, hospital.catalog}, result.plan, result.refusal,
                        needed);
        request.command = find_command("update");
        result.passed =
            request.protect(config::reference_to(hospital.config.schemas[0]), "medicalRecords", "patients");
        request.plan.own_is_protected = true;
        request.enter_part(0);
        result.passed = result.passed && walk_update_pipeline(request, *request.document.find("u"));
        EXPECT_EQ(request.tree, &hospital.schema->root());
        EXPECT_FALSE(request.updates_by_pipeline);
        return result;
    }
    Hospital hospital;
};

TEST_F(UpdatePipeline, what_leaves_every_protected_field_as_it_is_passes) {
    for (
        const std::string stages :
        {R"({"$set": {"name": "x", "n": {"$add": ["$n", 1]}}})",
         R"({"$addFields": {"insurance.provider": "x"}})",
         R"({"$set": {"insurance": {"provider": "x"}}}, {"$unset": ["name", "insurance.provider"]})",
         R"({"$project": {"name": 0}})", R"({"$replaceWith": "$$ROOT"})",
         R"({"$replaceWith": {"$mergeObjects": [{"name": "none"}, "$$ROOT", {"seenAt": "$$NOW"}]}})",
         R"({"$replaceRoot": {"newRoot": {"$cond": ["$dead", "$$ROOT", {"$mergeObjects": ["$$ROOT", {"n": 1}]}]}}})",
         R"({"$set": {"a": "$$ROOT"}}, {"$unset": "a"})"}) {
        const Result result = walk(stages);
        EXPECT_TRUE(result.passed) << stages << "\n" << result.refusal.errmsg;
        EXPECT_TRUE(result.plan.edits.empty());
    }
    const Result compared = walk(R"({"$set": {"vip": {"$eq": ["$ssn", 5]}}})");
    EXPECT_TRUE(compared.passed) << compared.refusal.errmsg;
    EXPECT_EQ(compared.plan.edits.size(), 1u);
    EXPECT_TRUE(compared.plan.uses.at(hospital.field("ssn")).matched);
}

// The names that one pattern stands for are one field: the tree has no node for each of them.
TEST_F(UpdatePipeline, names_that_patterns_stand_for_are_left_as_they_are) {
    config::SchemaNode& root = hospital.schema->root_;
    for (config::SchemaNode* const parent : {&root, &root.add_child("box")}) {
        parent->add_pattern(config::NamePattern::compile("^secret").pattern).field =
            static_cast<std::uint16_t>(hospital.schema->fields_.size());
        hospital.schema->fields_.push_back(
            {"/^secret/", config::Algorithm::random, config::KeyUuid{1}, {0x02}});
    }
    root.add_pattern(config::NamePattern::compile("^of-").pattern).add_child("pin").field =
        hospital.field("ssn");
    for (const std::string stages :
         {R"({"$unset": "secretA"})", R"({"$unset": ["name", "box.secretA"]})", R"({"$unset": "of-x.pin"})",
          R"({"$project": {"secretA": 0}})", R"({"$project": {"box": {"secretA": 0}}})",
          R"({"$project": {"of-x.pin": 0}})", R"({"$project": {"of-x": 0}})",
          R"({"$set": {"d": "$$ROOT"}}, {"$unset": "d.secretA"}, {"$replaceWith": "$d"})",
          R"({"$replaceWith": {"$unsetField": {"field": "secretA", "input": "$$ROOT"}}})",
          R"({"$replaceWith": {"$setField": {"field": "secretB", "input": "$$ROOT", "value": "$secretA"}}})",
          R"({"$replaceWith": {"$setField": {"field": "of-y", "input": "$$ROOT", "value": "$of-x"}}})"}) {
        const Result result = walk(stages);
        EXPECT_FALSE(result.passed) << stages;
        EXPECT_EQ(result.refusal.code, code::operation_not_on_encrypted);
        EXPECT_NE(result.refusal.errmsg.find("A pipeline-style update"), std::string::npos)
            << result.refusal.errmsg;
    }
    for (const std::string stages :
         {R"({"$unset": "name"})", R"({"$project": {"box.name": 0, "public": 0}})",
          R"({"$replaceWith": {"$setField": {"field": "name", "input": "$$ROOT", "value": "x"}}})",
          R"({"$set": {"d": "$box"}}, {"$unset": "d"})"}) {
        const Result result = walk(stages);
        EXPECT_TRUE(result.passed) << stages << "\n" << result.refusal.errmsg;
    }
}

TEST_F(UpdatePipeline, whatever_could_change_one_is_refused) {
    for (const std::string stages :
         {R"({"$set": {"ssn": 5}})", R"({"$set": {"ssn": "$ssn"}})", R"({"$set": {"ssn": "$$REMOVE"}})",
          R"({"$set": {"insurance": null}})", R"({"$set": {"copy": "$ssn"}})",
          R"({"$set": {"copy": "$$ROOT"}})", R"({"$set": {"x": {"$ifNull": ["$ssn", null]}}})",
          R"({"$unset": "ssn"})", R"({"$unset": "insurance"})", R"({"$project": {"name": 1}})",
          R"({"$project": {"ssn": 0}})", R"({"$replaceWith": {"name": "x"}})",
          R"({"$replaceWith": {"$mergeObjects": ["$$ROOT", {"ssn": "$name"}]}})",
          R"({"$replaceWith": {"$mergeObjects": ["$$ROOT", "$other"]}})",
          R"({"$replaceWith": {"$cond": ["$dead", "$$ROOT", null]}})",
          R"({"$replaceWith": {"$setField": {"field": "ssn", "input": "$$ROOT", "value": "$$REMOVE"}}})"})
        EXPECT_FALSE(walk(stages).passed) << stages;
    EXPECT_NE(walk(R"({"$unset": "ssn"})").refusal.errmsg.find("aggregation expression syntax"),
              std::string::npos);
    for (const std::string stage :
         {R"({"$match": {"name": 1}})", R"({"$lookup": {"from": "wards", "pipeline": [], "as": "w"}})",
          R"({"$out": "x"})", R"({"$group": {"_id": 1}})"})
        EXPECT_NE(walk(stage).refusal.errmsg.find("in an update"), std::string::npos) << stage;
}

}  // namespace
}  // namespace fieldgate::analysis::testing
