#include "path_matrix.hpp"
#include "pipeline_support.hpp"
#include "proxy/analysis/stages.hpp"

namespace fieldgate::analysis::testing {
namespace {

const Cell plain = passes("");
const Cell below = refuses("below or through an encrypted field: 'PATH'");

Cell not_on(const std::string& name) {
    return refuses(name + " is not allowed on encrypted field '$PATH'");
}

const std::string inside = "policyNumber=PATH.policyNumber, agent{code=PATH.agent.code}";

// csfle.md 3.5 ($group): each accumulates into field `x`.
std::vector<Row> all_rows() {
    const Cell one = passes("x=PATH");
    const Cell one_parent = passes("x{" + inside + "}");
    const Cell list = passes("x[=PATH]");
    const Cell list_parent = passes("x[{" + inside + "}]");
    const Cell random = refuses("encrypted with the randomized encryption algorithm: '$PATH'");
    const Cell no_sort = refuses("Cannot sort by encrypted field 'PATH'");
    const Cell javascript = refuses("runs JavaScript on the server");
    const std::string takes_none = "it takes no operand";
    // clang-format off
    std::vector<Row> rows{
        {"$first", R"({"$first": "$PATH"})", one, one, plain, one_parent, below},
        {"$first", R"({"$first": {"$add": ["$PATH", 1]}})", not_on("$add"), not_on("$add"), plain, not_on("$add"), below},
        {"$first", R"({"$first": {"$eq": ["$PATH", VALUE]}})", encrypts("$first.$eq[1]", ""), random, plain, not_on("$eq"), below},
        {"$last", R"({"$last": "$PATH"})", one, one, plain, one_parent, below},
        {"$firstN", R"({"$firstN": {"input": "$PATH", "n": 2}})", list, list, plain, list_parent, below},
        {"$firstN", R"({"$firstN": {"input": "$name", "n": "$PATH"}})", not_on("$firstN"), not_on("$firstN"), plain, not_on("$firstN"), below},
        {"$lastN", R"({"$lastN": {"input": "$PATH", "n": 2}})", list, list, plain, list_parent, below},
        {"$lastN", R"({"$lastN": {"input": "$name", "n": "$PATH"}})", not_on("$lastN"), not_on("$lastN"), plain, not_on("$lastN"), below},
        {"$push", R"({"$push": "$PATH"})", list, list, plain, list_parent, below},
        {"$push", R"({"$push": {"y": "$PATH"}})", passes("x[{y=PATH}]"), passes("x[{y=PATH}]"), plain, passes("x[{y{" + inside + "}}]"), below},
        {"$addToSet", R"({"$addToSet": "$PATH"})", list, random, plain, list_parent, below},
        {"$addToSet", R"({"$addToSet": {"y": "$PATH"}})", passes("x[{y=PATH}]"), random, plain, passes("x[{y{" + inside + "}}]"), below},
        {"$mergeObjects", R"({"$mergeObjects": "$PATH"})", not_on("$mergeObjects"), not_on("$mergeObjects"), plain, passes("x=?"), below},
        {"$mergeObjects", R"({"$mergeObjects": {"y": "$PATH"}})", passes("x=?"), passes("x=?"), plain, passes("x=?"), below},
        pathless("$count", R"({"$count": {}})", takes_none, plain),
        pathless("$count", R"({"$count": 5})", takes_none, refuses("has operands that it does not know", code::failed_to_parse)),
        {"$count", R"({"$count": {"x": "$PATH"}})", refuses("has operands", code::failed_to_parse), refuses("has operands", code::failed_to_parse),
         refuses("has operands", code::failed_to_parse), refuses("has operands", code::failed_to_parse), refuses("has operands", code::failed_to_parse)},
        never("$accumulator", R"({"$accumulator": {"init": "f", "accumulateArgs": ["$PATH"]}})", "it runs JavaScript on the server", javascript),
    };
    // clang-format on
    for (const std::string name : {"$top", "$bottom", "$topN", "$bottomN"}) {
        const bool many = name.ends_with('N');
        const std::string n = many ? R"(, "n": 2}})" : "}}";
        const std::string head = "{\"" + name + R"(": {)";
        rows.push_back({name, head + R"("sortBy": {"name": 1}, "output": "$PATH")" + n, many ? list : one,
                        many ? list : one, plain, many ? list_parent : one_parent, below});
        rows.push_back({name, head + R"("sortBy": {"PATH": 1}, "output": "$name")" + n, no_sort, no_sort,
                        plain, no_sort, no_sort});
        if (many)
            rows.push_back({name, head + R"("sortBy": {"name": 1}, "output": "$name", "n": "$PATH"}})",
                            not_on(name), not_on(name), plain, not_on(name), below});
    }
    for (const std::string name : {"$sum", "$avg", "$min", "$max", "$stdDevPop", "$stdDevSamp",
                                   "$concatArrays", "$setUnion", "$minN", "$maxN", "$median", "$percentile"})
        rows.push_back(
            {name, "{\"" + name + R"(": "$PATH"})", not_on(name), not_on(name), plain, not_on(name), below});
    for (const std::string name : {"$minN", "$maxN", "$median", "$percentile"})
        rows.push_back({name, "{\"" + name + R"(": {"input": "$PATH", "n": 2}})", not_on(name), not_on(name),
                        plain, not_on(name), below});
    return rows;
}

// What is accumulated into the path's own name, from constants: sent in clear, it would be taken for the
// field.
std::vector<Row> target_rows() {
    const Cell constant = refuses("A constant cannot stand in for an encrypted field");
    const Cell dotted = refuses("must be an object with one accumulator", code::failed_to_parse);
    // clang-format off
    std::vector<Row> rows{
        {"$sum", R"({"$sum": 1})", plain, plain, plain, plain, dotted},  // it counts
        {"$count", R"({"$count": {}})", plain, plain, plain, plain, dotted},
        {"$firstN", R"({"$firstN": {"input": VALUE, "n": 2}})", constant, constant, plain, constant, dotted},
        {"$lastN", R"({"$lastN": {"input": VALUE, "n": 2}})", constant, constant, plain, constant, dotted},
        {"$top", R"({"$top": {"sortBy": {"name": 1}, "output": VALUE}})", constant, constant, plain, constant, dotted},
        {"$bottomN", R"({"$bottomN": {"sortBy": {"name": 1}, "output": VALUE, "n": 2}})", constant, constant, plain, constant, dotted},
        {"$mergeObjects", R"({"$mergeObjects": {"policyNumber": VALUE}})", constant, constant, plain, constant, dotted},
    };
    // clang-format on
    for (const std::string name :
         {"$first", "$last", "$push", "$addToSet", "$sum", "$avg", "$min", "$max", "$stdDevPop",
          "$stdDevSamp", "$concatArrays", "$setUnion", "$minN", "$maxN", "$median", "$percentile"})
        rows.push_back({name, "{\"" + name + R"(": VALUE})", constant, constant, plain, constant, dotted});
    return rows;
}

class AccumulatorMatrix : public ::testing::Test {
 protected:
    void expect_in(const std::string& before, const std::string& after,
                   CheckTrees trees = CheckTrees::yes) const {
        SCOPED_TRACE(before + "..." + after);
        expect_rows(
            all_rows(),
            [&](const std::string& accumulator, const std::string&) {
                return hospital.aggregate(before + accumulator + after);
            },
            trees);
    }
    Hospital hospital;
};

TEST_F(AccumulatorMatrix, every_row_of_the_table_is_tested_on_every_kind_of_path) {
    EXPECT_EQ(gaps_in(all_rows(), accumulator_operators()), std::vector<std::string>{});
}

TEST_F(AccumulatorMatrix, wherever_values_are_accumulated) {
    expect_in(R"({"$group": {"_id": null, "x": )", "}}");
    expect_in(R"({"$group": {"_id": "$ward", "x": )", "}}");
    expect_in(R"({"$bucket": {"groupBy": "$age", "boundaries": [0, 9], "output": {"x": )", "}}}");
    expect_in(R"({"$bucketAuto": {"groupBy": "$age", "buckets": 4, "output": {"x": )", "}}}");
    expect_in(R"({"$facet": {"a": [{"$group": {"_id": null, "x": )", "}}]}}", CheckTrees::no);
}

TEST_F(AccumulatorMatrix, constants_at_the_path) {
    for (const Row& row : target_rows())
        for (const PathKind kind : path_kinds)
            expect_cell(
                row, kind, paths_of(kind).front(),
                [&](const std::string& accumulator, const std::string& path) {
                    return hospital.aggregate(R"({"$group": {"_id": null, ")" + path + "\": " + accumulator +
                                              "}}");
                },
                CheckTrees::yes);
}

// What an accumulator gives cannot be looked into by the stages that follow.
TEST_F(AccumulatorMatrix, arrays_of_ciphertext_are_not_matched) {
    for (const std::string accumulator :
         {R"({"$push": "$ssn"})", R"({"$addToSet": "$ssn"})", R"({"$firstN": {"input": "$ssn", "n": 2}})",
          R"({"$topN": {"sortBy": {"name": 1}, "output": "$ssn", "n": 2}})",
          R"({"$mergeObjects": "$insurance"})"})
        for (const std::string filter :
             {R"({"x": 5})", R"({"x": {"$all": [5]}})", R"({"x": {"$in": [5]}})", R"({"x": []})"})
            expect_refusal(hospital.aggregate(R"({"$group": {"_id": null, "x": )" + accumulator +
                                              R"(}}, {"$match": )" + filter + "}"),
                           code::operation_not_on_encrypted, "not known until runtime");
}

}  // namespace
}  // namespace fieldgate::analysis::testing
