#include "pipeline_support.hpp"
#include "proxy/analysis/expressions.hpp"

namespace fieldgate::analysis::testing {
namespace {

constexpr auto no = code::operation_not_on_encrypted;

// What stages made arrays of: how many there are and which of them is meant needs no value.
class ExpressionArray : public ::testing::Test {
 protected:
    // After stages that make `docs` an array of visits, `list` one of SSNs and `mixed` one of which only the
    // data tells what is encrypted.
    Outcome after_stages(const std::string& stages) const {
        return hospital.aggregate(
            R"({"$lookup": {"from": "visits", "localField": "ward", "foreignField": "ward", "as": "docs"}},
               {"$addFields": {"list": ["$ssn"], "mixed": ["$ssn", "$name"]}}, )" +
            stages);
    }
    Outcome compute(const std::string& value) const {
        return after_stages(R"({"$project": {"_id": 0, "x": )" + value + "}}");
    }
    void expect(const std::string& value, const std::string& tree) const {
        SCOPED_TRACE(value);
        EXPECT_EQ(reply_tree(compute(value)), tree);
    }
    static bool marks(const Outcome& outcome, std::string_view path) {
        for (std::uint16_t i = 0; i < outcome.plan.uses.size(); ++i)
            if (outcome.plan.fields->field(i).path == path) return outcome.plan.uses[i].matched;
        return false;
    }
    Hospital hospital;
    const std::string visit = "patientSsn=visits:patientSsn, badge=visits:badge, reason=visits:reason";
};

TEST_F(ExpressionArray, how_many_there_are_is_plain) {
    for (const std::string path : {"$docs", "$list", "$docs.patientSsn", "$docs.reason", "$$ROOT.docs"})
        for (const std::string name : {"$size", "$isArray"})
            for (const std::string& operand : {"\"" + path + "\"", "[\"" + path + "\"]"}) {
                expect("{\"" + name + "\": " + operand + "}", "");
                EXPECT_TRUE(
                    after_stages(R"({"$match": {"$expr": {"$gt": [{")" + name + "\": " + operand + "}, 0]}}}")
                        .passed());
            }
    expect(R"({"$cond": [{"$gt": [{"$size": "$docs"}, 0]}, "some", "none"]})", "");
    // Of fields it tells how many have one, which is for roles that may ask so.
    EXPECT_TRUE(marks(compute(R"({"$size": "$list"})"), "ssn"));
    EXPECT_TRUE(marks(compute(R"({"$size": "$docs.badge"})"), "badge"));
    EXPECT_FALSE(marks(compute(R"({"$size": "$docs"})"), "badge"));
    EXPECT_FALSE(marks(compute(R"({"$arrayElemAt": ["$docs.badge", 0]})"), "badge"));
}

TEST_F(ExpressionArray, an_element_is_what_the_array_holds) {
    for (const std::string value :
         {R"({"$arrayElemAt": ["$docs", 0]})", R"({"$arrayElemAt": ["$docs", {"$subtract": ["$n", 1]}]})",
          R"({"$first": "$docs"})", R"({"$first": ["$docs"]})", R"({"$last": "$docs"})",
          R"({"$first": {"$slice": ["$docs", 5]}})", R"({"$first": {"$ifNull": ["$docs", null]}})",
          R"({"$let": {"vars": {"v": {"$last": "$docs"}}, "in": "$$v"}})"})
        expect(value, "x{" + visit + "}");
    expect(R"({"$first": "$docs.reason"})", "x=visits:reason");
    expect(R"({"$arrayElemAt": ["$list", {"$indexOfArray": ["$names", "$name"]}]})", "x=ssn");
    expect(R"({"$getField": {"field": "badge", "input": {"$first": "$docs"}}})", "x=visits:badge");
    expect(R"({"$first": "$docs.date"})", "");
    expect(R"({"$arrayElemAt": [["a", "b"], 0]})", "");
    // Known again, it can be compared, and constants beside it are encrypted.
    const Outcome compared = after_stages(
        R"({"$addFields": {"docs": {"$first": "$docs"}}}, {"$match": {"docs.badge": 5, "docs.date": {"$gt": 5}}})");
    EXPECT_EQ(compared.edits, std::vector<std::string>{"pipeline[3].$match.docs.badge=encrypt badge"});
    const Outcome beside = compute(R"({"$ifNull": [{"$first": "$docs.badge"}, 777]})");
    EXPECT_EQ(reply_tree(beside), "x=visits:badge");
    EXPECT_EQ(beside.edits.size(), 1u);
    const Outcome chosen =
        compute(R"({"$arrayElemAt": ["$docs", {"$cond": [{"$eq": ["$ssn", 777]}, 0, 1]}]})");
    EXPECT_EQ(reply_tree(chosen), "x{" + visit + "}");
    EXPECT_EQ(chosen.edits.size(), 1u);
}

TEST_F(ExpressionArray, a_part_is_an_array_of_the_same) {
    for (const std::string value : {R"({"$slice": ["$docs", 0, 10]})", R"({"$slice": ["$docs", "$n"]})",
                                    R"({"$reverseArray": "$docs"})", R"({"$reverseArray": ["$docs"]})"})
        expect(value, "x[{" + visit + "}]");
    EXPECT_EQ(
        reply_tree(after_stages(
            R"({"$project": {"docs": {"$slice": ["$docs", 1]}}}, {"$unwind": "$docs"}, {"$match": {"docs.badge": 5}})")),
        "docs{" + visit + "}");
    expect(R"({"$slice": [["a", "b"], 1]})", "");
}

TEST_F(ExpressionArray, filters_ask_how_many_there_are) {
    const auto match = [&](const std::string& path, const std::string& predicate) {
        return after_stages(R"({"$match": {")" + path + "\": " + predicate + "}}");
    };
    const std::vector<std::string> compared{R"({"$ne": []})", R"({"$eq": []})", "[]",
                                            R"({"$not": {"$eq": []}})", R"({"$exists": true, "$ne": []})"};
    const std::vector<std::string> counted{R"({"$size": 2})", R"({"$not": {"$size": 0}})"};
    for (const std::string predicate : {R"({"$exists": true})", R"({"$exists": 0})"})
        for (const std::string path : {"docs", "docs.0", "docs.12", "list"})
            EXPECT_TRUE(match(path, predicate).passed()) << path << predicate;
    for (const std::string& predicate : counted) {
        for (const std::string path : {"docs", "list"}) {
            const Outcome outcome = match(path, predicate);
            EXPECT_TRUE(outcome.passed()) << path << predicate << outcome;
            EXPECT_EQ(marks(outcome, "ssn"), path == "list");
            EXPECT_FALSE(marks(outcome, "badge"));
        }
        for (const std::string path : {"docs.0", "docs.badge", "mixed", "docs.badge.0"})
            EXPECT_EQ(match(path, predicate).refusal.code, no) << path << predicate;
    }
    for (const std::string& predicate : compared) {
        EXPECT_TRUE(match("docs", predicate).passed()) << predicate;
        // An element could be an empty array itself, encrypted.
        for (const std::string path : {"list", "docs.0", "docs.badge", "mixed"})
            EXPECT_EQ(match(path, predicate).refusal.code, no) << path << predicate;
    }
    for (const std::string predicate :
         {"5", "null", "[5]", "{}", R"({"$ne": [5]})", R"({"$eq": null})", R"({"$gt": []})",
          R"({"$in": [[]]})", R"({"$size": "x"})", R"({"$exists": 5})", R"({"$size": 1, "$ne": [5]})",
          R"({"$not": {"$ne": 5}})", R"({"$not": []})", R"({"$elemMatch": {"badge": 5}})",
          R"({"$all": [[]]})"})
        for (const std::string path : {"docs", "list", "docs.0"})
            expect_refusal(match(path, predicate), no, "not known until runtime");
}

TEST_F(ExpressionArray, what_is_no_array_of_a_stage_is_refused) {
    for (const std::string name :
         {"$size", "$isArray", "$arrayElemAt", "$first", "$last", "$slice", "$reverseArray"}) {
        const auto of = [&](const std::string& operands) {
            return compute("{\"" + name + "\": " + operands + "}");
        };
        for (const std::string operands : {R"("$medicalRecords")", R"(["$medicalRecords", 1])", R"("$ssn")",
                                           R"("$insurance")", R"(["$name", "$docs"])", R"(["$docs", "$ssn"])",
                                           R"(["$docs", "$list"])", R"([["$ssn"]])", R"({"a": "$docs"})"})
            expect_refusal(of(operands), no, name + " is not allowed on encrypted field");
        for (const std::string operands : {R"("$mixed")", R"(["$mixed", 1])"})
            expect_refusal(of(operands), no, "not known until runtime");
        expect_refusal(of(R"("$docs.badge.x")"), no, "below or through");
        // A constant does not come out at an encrypted name by way of an array.
        for (const std::string operands : {R"([[777], 0])", R"([{"$literal": [777]}, 0])"})
            expect_refusal(
                hospital.aggregate(R"({"$project": {"ssn": {")" + name + "\": " + operands + "}}}"), no,
                "A constant cannot stand in");
        expect_refusal(compute(R"({"$ifNull": ["$ssn", {")" + name + R"(": [[777], 0]}]})"), no,
                       "A constant cannot stand in");
        EXPECT_TRUE(of("[]").passed());
    }
    expect_refusal(compute(R"({"$add": [{"$first": "$list"}, 1]})"), no, "$add is not allowed");
    expect_refusal(compute(R"({"$first": {"$slice": ["$list", "$ssn"]}})"), no, "$slice is not allowed");
    // Names of the store that a join covered stay what they were.
    EXPECT_EQ(
        reply_tree(hospital.aggregate(
            R"({"$lookup": {"from": "visits", "localField": "w", "foreignField": "w", "as": "insurance"}},
               {"$project": {"_id": 0, "x": {"$first": "$insurance"}}})")),
        "x{" + visit + ", policyNumber=?, agent=?}");
    expect_refusal(
        hospital.analyse(
            R"({"update": "patients", "updates": [{"q": {}, "u": [{"$set": {"x": {"$first": "$medicalRecords"}}}]}]})"),
        no, "$first is not allowed");
}

}  // namespace
}  // namespace fieldgate::analysis::testing
