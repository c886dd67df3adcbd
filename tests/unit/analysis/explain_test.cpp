#include <set>

#include "proxy/analysis/commands.hpp"
#include "support.hpp"

namespace fieldgate::analysis::testing {
namespace {

class Explain : public ::testing::Test {
 protected:
    Outcome run(const std::string& name, const std::string& value, const std::string& more = "") const {
        return clinic.analyse("{\"" + name + "\": " + value + more + "}");
    }
    Clinic clinic;
};

struct Explained {
    std::string name, more;  // what it needs besides the collection
    std::vector<std::string> edits;
    std::string bad, why;  // what it may not have on a protected namespace
};

TEST_F(Explain, what_is_explained_is_analysed_by_its_own_row) {
    const std::string statement = R"({"q": {"ssn": 5}, "u": {"$set": {"bloodType": "0-"}}})";
    const std::string computed = "Invalid match expression operator on encrypted field";
    std::vector<Explained> cases{
        {"find",
         R"("filter": {"ssn": 5})",
         {"explain.filter.ssn=encrypt ssn"},
         R"("filter": {"ssn": {"$gt": 5}})",
         computed},
        {"count",
         R"("query": {"ssn": 5})",
         {"explain.query.ssn=encrypt ssn"},
         R"("badField": 1)",
         "'count.badField'"},
        {"distinct",
         R"("key": "ssn", "query": {"ssn": 5})",
         {"explain.query.ssn=encrypt ssn"},
         R"("key": "bloodType")",
         "randomized"},
        {"aggregate",
         R"("pipeline": [{"$match": {"ssn": 5}}], "cursor": {})",
         {"explain.pipeline[0].$match.ssn=encrypt ssn"},
         R"("cursor": {})",
         "pipeline' is missing"},
        {"update",
         R"("updates": [)" + statement + "]",
         {"explain.updates[0].q.ssn=encrypt ssn", "explain.updates[0].u.$set.bloodType=encrypt bloodType"},
         R"("updates": [{"q": {}, "u": {"$inc": {"ssn": 5}}}])",
         "$inc and $mul"},
        {"delete",
         R"("deletes": [{"q": {"ssn": 5}, "limit": 1}])",
         {"explain.deletes[0].q.ssn=encrypt ssn"},
         R"("deletes": [{"q": {"ssn": {"$gt": 5}}, "limit": 1}])",
         computed},
    };
    for (const std::string name : {"findAndModify", "findandmodify"})
        cases.push_back({name,
                         R"("query": {"ssn": 5}, "remove": true)",
                         {"explain.query.ssn=encrypt ssn"},
                         R"("sort": {"ssn": 1}, "remove": true)",
                         "Cannot sort"});
    std::set<std::string> tested{"mapReduce", "mapreduce"};
    for (const Explained& each : cases) {
        SCOPED_TRACE(each.name);
        tested.insert(each.name);
        const auto explain = [&](const std::string& inner, const std::string& verbosity) {
            return run("explain", "{\"" + each.name + R"(": "patients", )" + inner + "}",
                       R"(, "verbosity": )" + verbosity);
        };
        for (const std::string verbosity : {"queryPlanner", "executionStats", "allPlansExecution"}) {
            const Outcome outcome = explain(each.more, "\"" + verbosity + "\"");
            EXPECT_EQ(outcome.edits, each.edits) << outcome;
            EXPECT_EQ(outcome.plan.command, "explain");
            EXPECT_EQ(outcome.plan.access, Access::read);
            EXPECT_FALSE(outcome.plan.deletes);
            EXPECT_TRUE(outcome.plan.requires_reveal_everything);
            EXPECT_EQ(outcome.plan.shape.kind, ReplyShape::Kind::scalar);
            EXPECT_TRUE(clinic.is_only_namespace(outcome.plan.shape.fields));
            EXPECT_EQ(outcome.plan.shape.tree, nullptr);
        }
        EXPECT_TRUE(clinic.use(explain(each.more, R"("queryPlanner")"), "ssn").matched);
        const Outcome refused = explain(each.bad, R"("queryPlanner")");
        EXPECT_TRUE(refused.refused()) << refused;
        EXPECT_NE(refused.refusal.errmsg.find(each.why), std::string::npos) << refused;
        for (const std::string verbosity : {R"("ssn")", "5", R"({"ssn": 5})", R"("QueryPlanner")"})
            expect_refusal(explain(each.more, verbosity), code::bad_value, "'explain.verbosity'");
        expect_refusal(explain(each.more + R"(, "comment": )" + ciphertext(1), R"("queryPlanner")"),
                       code::bad_value, "Ciphertext");
        expect_refusal(run("explain", "{\"" + each.name + R"(": "patients", )" + each.more + "}",
                           R"(, "filter": {"ssn": 5})"),
                       code::unknown_field, "'explain.filter'");
    }
    for (const std::string name : {"mapReduce", "mapreduce"})
        expect_refusal(run("explain", "{\"" + name + R"(": "patients", "out": {"inline": 1}})"),
                       code::command_not_supported, "explain of '" + name + "': use an aggregation");
    for (const Command& row : command_table())
        EXPECT_EQ(row.explainable, tested.count(std::string(row.name)) == 1) << row.name;
}

TEST_F(Explain, explain_passes_on_unprotected_namespaces) {
    for (const std::string name : {"find", "count", "distinct", "aggregate", "update", "delete",
                                   "findAndModify", "findandmodify", "mapReduce", "mapreduce"}) {
        const std::string inner = name == "aggregate" ? R"(, "pipeline": [])" : "";
        const Outcome plain =
            run("explain", "{\"" + name + R"(": "wards")" + inner + "}", R"(, "verbosity": "queryPlanner")");
        EXPECT_TRUE(plain.passed()) << name << plain;
        EXPECT_EQ(plain.plan.command, "explain");
        EXPECT_EQ(plain.plan.collection, "wards");
        EXPECT_EQ(plain.plan.access, Access::read);
        EXPECT_FALSE(plain.plan.requires_reveal_everything);
        EXPECT_EQ(plain.plan.shape.kind, ReplyShape::Kind::pass);
        EXPECT_FALSE(run("explain", "{\"" + name + R"(": 1})").passed()) << name;
    }
    for (const std::string name :
         {"insert", "explain", "getMore", "unheardOf", "applyOps", "bulkWrite", "dropDatabase"})
        expect_refusal(run("explain", "{\"" + name + R"(": "wards"})"), code::command_not_supported,
                       "explain of '" + name);
    expect_refusal(run("explain", R"({"find": "wards", "find": "patients"})"), code::failed_to_parse,
                   "duplicate");
    expect_refusal(run("explain", R"({"find": "wards", "$db": "other"})"), code::bad_value,
                   "another database");
    EXPECT_TRUE(run("explain", R"({"find": "wards", "$db": "medicalRecords"})").passed());
    expect_refusal(run("explain", "{}"), code::failed_to_parse, "empty");
    expect_refusal(run("explain", "5"), code::type_mismatch, "'explain'");
    // What joins a protected namespace is analysed.
    const Outcome joined =
        run("explain", R"({"aggregate": "wards", "pipeline": [{"$unionWith": "patients"}]})");
    ASSERT_TRUE(joined.passed()) << joined;
    EXPECT_NE(joined.plan.fields, nullptr);
    EXPECT_TRUE(joined.plan.requires_reveal_everything);
}

}  // namespace
}  // namespace fieldgate::analysis::testing
