#include <set>

#include "pipeline_support.hpp"
#include "proxy/analysis/stages.hpp"

namespace fieldgate::analysis::testing {
namespace {

constexpr auto no = code::operation_not_on_encrypted;
constexpr auto shape = code::failed_to_parse;

class Accumulators : public ::testing::Test {
 protected:
    Hospital hospital;
};

const std::string lookup_docs =
    R"({"$lookup": {"from": "patients", "localField": "ward", "foreignField": "ward", "as": "docs"}}, )";
const std::string make_unknown = R"({"$addFields": {"u": {"$cond": ["$name", "$ssn", "$name"]}}}, )";

struct Accumulated {
    std::string op, value, tree;
};

const std::vector<Accumulated> accumulated{
    {"$count", "{}", ""},
    {"$first", R"("$ssn")", "x=ssn"},
    {"$first", R"("$insurance.agent")", "x{code=insurance.agent.code}"},
    {"$last", R"({"a": "$note"})", "x{a=note}"},
    {"$firstN", R"({"input": "$ssn", "n": 2})", "x[=ssn]"},
    {"$lastN", R"({"input": "$note", "n": 2})", "x[=note]"},
    {"$push", R"("$note")", "x[=note]"},
    {"$push", R"({"s": "$ssn", "n": "$name"})", "x[{s=ssn}]"},
    {"$push", R"("$u")", "x=?"},
    {"$push", R"("$docs")", "x=?"},
    {"$addToSet", R"("$ssn")", "x[=ssn]"},
    {"$top", R"({"sortBy": {"name": 1}, "output": "$note"})", "x=note"},
    {"$top", R"({"sortBy": {"name": 1}, "output": ["$ssn", "$ssn"]})", "x[=ssn]"},
    {"$bottom", R"({"sortBy": {"name": 1}, "output": "$ssn"})", "x=ssn"},
    {"$topN", R"({"sortBy": {"name": 1}, "output": "$note", "n": 2})", "x[=note]"},
    {"$bottomN", R"({"sortBy": {"name": 1}, "output": "$name", "n": 2})", ""},
    {"$mergeObjects", R"("$insurance")", "x=?"},
    {"$mergeObjects", R"("$other")", ""},
};
struct Refused {
    std::string name, value, text;
    std::int32_t code = no;
};
const std::vector<Refused> not_accumulated{
    {"$count", "5", "operands that it does not know", shape},
    {"$first", R"("$ssn.x")", "below or through"},
    {"$last", R"({"$add": ["$ssn", 1]})", "$add is not allowed"},
    {"$firstN", R"({"input": "$name", "n": "$ssn"})", "$firstN is not allowed"},
    {"$lastN", R"({"input": "$name", "k": 2})", "operands that it does not know", shape},
    {"$push", R"({"$toString": "$ssn"})", "$toString is not allowed"},
    {"$addToSet", R"("$note")", "randomized"},
    {"$addToSet", R"("$u")", "not known until runtime"},
    {"$addToSet", R"("$docs")", "$addToSet is not allowed"},
    {"$addToSet", R"("$$ROOT")", "not known until runtime"},
    {"$top", R"({"sortBy": {"ssn": 1}, "output": "$name"})", "Cannot sort"},
    {"$bottom", R"({"sortBy": {"u": 1}, "output": "$name"})", "not known until runtime"},
    {"$topN", R"({"sortBy": {"name": 1}, "output": "$name", "n": "$ssn"})", "$topN is not allowed"},
    {"$bottomN", R"({"sortBy": 5, "output": "$name", "n": 5})", "operands that it does not know", shape},
    {"$mergeObjects", R"({"$setField": {"field": "a", "input": "$ssn", "value": 1}})", "$setField is not"},
    {"$accumulator", R"({"init": "f", "accumulateArgs": ["$ssn"]})", "runs JavaScript"},
    {"$unheardOf", R"("$name")", "Unknown accumulator"},
};

TEST_F(Accumulators, every_accumulator_has_a_success_and_a_refusal) {
    const auto whole = [&](std::string_view op, const std::string& value) {
        return hospital.aggregate(lookup_docs + make_unknown + R"({"$group": {"_id": null, "x": {")" +
                                  std::string(op) + "\": " + value + "}}}");
    };
    std::set<std::string_view> with_success;
    std::set<std::string_view> with_refusal;
    for (const Accumulated& each : accumulated) {
        with_success.insert(each.op);
        const Outcome outcome = whole(each.op, each.value);
        EXPECT_TRUE(outcome.passed()) << each.op << " " << each.value << outcome;
        EXPECT_EQ(reply_tree(outcome), each.tree) << each.op << " " << each.value;
    }
    for (const Refused& each : not_accumulated) {
        with_refusal.insert(each.name);
        SCOPED_TRACE(each.name + " " + each.value);
        expect_refusal(whole(each.name, each.value), each.code, each.text);
    }
    std::set<std::string_view> names;
    for (const AccumulatorOperator& row : accumulator_operators()) {
        EXPECT_TRUE(names.insert(row.name).second) << row.name << " stands twice";
        if (row.rule == AccumulatorRule::plain_only) {
            EXPECT_EQ(reply_tree(whole(row.name, R"("$name")")), "") << row.name;
            for (const std::string path : {"$ssn", "$insurance", "$note", "$docs.ssn", "$u"})
                expect_refusal(whole(row.name, "\"" + path + "\""), no, "'" + path + "'");
            continue;
        }
        // JavaScript has refusals only.
        EXPECT_EQ(with_success.contains(row.name), row.rule != AccumulatorRule::never) << row.name;
        EXPECT_TRUE(with_refusal.contains(row.name)) << row.name;
    }
}

}  // namespace
}  // namespace fieldgate::analysis::testing
