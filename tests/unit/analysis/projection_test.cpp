#include "pipeline_support.hpp"
#include "proxy/analysis/pipeline.hpp"

namespace fieldgate::analysis::testing {
namespace {

constexpr auto no = code::operation_not_on_encrypted;

// Projections of find that compute, and those of stages beside the tables of stage_test.cpp.
class Projections : public ::testing::Test {
 protected:
    Outcome find(const std::string& projection) const {
        return hospital.analyse(R"({"find": "patients", "projection": )" + projection + "}");
    }
    Outcome stage(const std::string& projection) const {
        return hospital.aggregate(R"({"$project": )" + projection + "}");
    }
    Hospital hospital;
};

TEST_F(Projections, of_find_that_compute_have_a_tree_of_their_own) {
    // Which fields are left out depends on the server's version: a place that stays empty does no harm.
    EXPECT_EQ(reply_tree(find(R"({"x": "$ssn"})")), whole_tree + ", x=ssn");
    EXPECT_EQ(reply_tree(find(R"({"x": {"y": ["$note"]}, "name": "$name"})")), whole_tree + ", x{y[=note]}");
    const Outcome compared = find(R"({"x": {"$eq": ["$ssn", 5]}, "y": null, "z": {"$literal": 1}})");
    EXPECT_EQ(compared.edits, std::vector<std::string>{"projection.x.$eq[1]=encrypt ssn"});
    EXPECT_TRUE(hospital.use(compared, "ssn").matched);
    EXPECT_EQ(compared.plan.shape.kind, ReplyShape::Kind::cursor);
    // The field that stands there, not the one whose name it has.
    const Outcome moved = find(R"({"ssn": "$insurance.policyNumber", "note": "$name"})");
    ASSERT_TRUE(moved.passed()) << moved;
    EXPECT_EQ(moved.plan.shape.tree->child("ssn")->field, hospital.field("insurance.policyNumber"));
    EXPECT_EQ(moved.plan.shape.tree->child("note"), nullptr);
    EXPECT_EQ(reply_tree(find(R"({"ssn": 1})")), whole_tree);
}

TEST_F(Projections, of_find_are_refused_like_those_of_stages) {
    for (const bool of_find : {true, false}) {
        const auto project = [&](const std::string& projection) {
            return of_find ? find(projection) : stage(projection);
        };
        expect_refusal(project(R"({"x": {"$add": ["$ssn", 1]}})"), no, "$add is not allowed");
        expect_refusal(project(R"({"x": {"$eq": ["$note", "x"]}})"), no, "randomized");
        expect_refusal(project(R"({"ssn": "five"})"), no, "A constant cannot stand in");
        expect_refusal(project(R"({"ssn": [5]})"), no, "A constant cannot stand in");
        expect_refusal(project(R"({"insurance": {"policyNumber": {"$add": [5]}}})"), no,
                       "A constant cannot stand in");
        expect_refusal(project(R"({"insurance": {"$literal": {"policyNumber": 5}}})"), no,
                       "A constant cannot stand in");
        expect_refusal(project(R"({"insurance.policyNumber": {"$literal": 5}})"), no,
                       "A constant cannot stand in");
        expect_refusal(project(R"({"ssn.x": "$name"})"), no, "below or through");
        expect_refusal(project(R"({"insurance.0": "$name"})"), no, "'insurance.0'");
        expect_refusal(project(R"({"": "$ssn", "x": "$ssn", "x": 1})"), code::failed_to_parse, "twice");
        expect_refusal(project(R"({"x": {"$ssn": 1}})"), no, "Unknown aggregation expression");
        expect_refusal(project(R"({"x": {"a": 1, "$add": [1]}})"), no, "is computed");
        expect_refusal(project(R"({")" + std::string(2001, 'k') + R"(": "$ssn"})"), code::bad_value,
                       "too long");
    }
}

TEST_F(Projections, of_stages_keep_and_take_paths) {
    const auto tree = [&](const std::string& projection) { return reply_tree(stage(projection)); };
    EXPECT_EQ(tree(R"({"insurance": {"agent": 1}, "insurance.policyNumber": 1, "_id": 0})"),
              "insurance{agent{code=insurance.agent.code}, policyNumber=insurance.policyNumber}");
    EXPECT_EQ(tree(R"({"insurance": 1, "insurance.agent": "$note"})"),
              "insurance{policyNumber=insurance.policyNumber, agent=note}");
    EXPECT_EQ(tree(R"({"name": 1})"), "");
    EXPECT_EQ(tree(R"({"_id": 1, "name": {"$toUpper": "$name"}})"), "");
    EXPECT_EQ(tree(R"({"name": 0})"), whole_tree);
    EXPECT_EQ(tree(R"({"_id": 0})"), whole_tree);
    EXPECT_EQ(tree(R"({"a.b.c": "$ssn", "a.b.d": "$name"})"), "a{b{c=ssn}}");
    const std::string by_ssn = R"({"$group": {"_id": "$ssn", "n": {"$sum": 1}}}, )";
    EXPECT_EQ(reply_tree(hospital.aggregate(by_ssn + R"({"$project": {"n": 1}})")), "_id=ssn");
    EXPECT_EQ(reply_tree(hospital.aggregate(by_ssn + R"({"$project": {"_id": 0, "ssn": "$_id"}})")),
              "ssn=ssn");
}

TEST_F(Projections, the_sort_of_a_replaced_field_has_directions_only) {
    const std::string replaced = R"({"$project": {"ssn": "$name"}}, )";
    EXPECT_TRUE(hospital.aggregate(replaced + R"({"$sort": {"ssn": -1}})").passed());
    expect_refusal(hospital.aggregate(replaced + R"({"$sort": {"ssn": 2}})"), no, "must be 1 or -1");
    expect_refusal(hospital.aggregate(replaced + R"({"$sort": {"ssn": {"$meta": "x"}}})"), no,
                   "must be 1 or -1");
}

}  // namespace
}  // namespace fieldgate::analysis::testing
