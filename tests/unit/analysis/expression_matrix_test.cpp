#include <algorithm>

#include "path_matrix.hpp"
#include "pipeline_support.hpp"
#include "proxy/analysis/expressions.hpp"

namespace fieldgate::analysis::testing {
namespace {

const Cell plain = passes("");
const Cell as_x = passes("x=PATH");
const Cell random = refuses("encrypted with the randomized encryption algorithm: '$PATH'");
const Cell below = refuses("below or through an encrypted field: 'PATH'");
const Cell condition = refuses("as a condition is not allowed on encrypted field '$PATH'");
const Cell other_result = refuses("with the result of another expression");
const Cell constant = refuses("A constant cannot stand in for an encrypted field");
const Cell javascript = refuses("runs JavaScript on the server");
const std::string runs_javascript = "it runs JavaScript on the server";

const std::string inside = "policyNumber=PATH.policyNumber, agent{code=PATH.agent.code}";
const Cell parent_as_x = passes("x{" + inside + "}");

Cell not_on(const std::string& name) {
    return refuses(name + " is not allowed on encrypted field '$PATH'");
}

// csfle.md 3.6: what is not a plain computation. Each stands as field `x`, with the path as an operand.
std::vector<Row> operand_rows() {
    const Cell eq = not_on("$eq");
    const Cell in = not_on("$in");
    const Cell get = not_on("$getField");
    const Cell set = not_on("$setField");
    const Cell unset = not_on("$unsetField");
    const Cell merge = not_on("$mergeObjects");
    const Cell map = not_on("$map");
    const Cell filter = not_on("$filter");
    const Cell reduce = not_on("$reduce");
    const Cell no_such_type = refuses("Cannot encrypt element of type", code::field_cannot_be_encrypted);
    const Cell beside_parent = passes("x{policyNumber=?, agent{code=?}}");
    const std::string policy = "insurance.policyNumber";  // encrypted as the deterministic paths are
    // clang-format off
    return {
        {"$eq", R"({"$eq": ["$PATH", VALUE]})", encrypts("$eq[1]", ""), random, plain, eq, below},
        {"$eq", R"({"$eq": [VALUE, "$PATH"]})", encrypts("$eq[0]", ""), random, plain, eq, below},
        {"$eq", R"({"$eq": ["$PATH", {"$literal": VALUE}]})", encrypts("$eq[1].$literal", ""), random, plain, eq, below},
        {"$eq", R"({"$eq": ["$$ROOT.PATH", VALUE]})", encrypts("$eq[1]", ""), refuses("randomized"), plain, refuses("$eq is not allowed"), below},
        {"$eq", R"({"$eq": ["$PATH", "$)" + policy + R"("]})", plain, random, other_result, eq, below},
        {"$eq", R"({"$eq": ["$PATH", "$other"]})", other_result, random, plain, eq, below},
        {"$eq", R"({"$eq": ["$PATH", {"$add": [VALUE, 1]}]})", other_result, random, plain, eq, below},
        {"$eq", R"({"$eq": ["$PATH", null]})", refuses("Illegal equality to null predicate"), random, plain, eq, below},
        {"$eq", R"({"$eq": [{"s": "$PATH"}, {"s": VALUE}]})", eq, eq, plain, eq, below},
        {"$ne", R"({"$ne": ["$PATH", VALUE]})", encrypts("$ne[1]", ""), random, plain, not_on("$ne"), below},
        {"$ne", R"({"$ne": [VALUE, "$PATH"]})", encrypts("$ne[0]", ""), random, plain, not_on("$ne"), below},
        {"$in", R"({"$in": ["$PATH", [VALUE]]})", encrypts("$in[1][0]", ""), random, plain, in, below},
        {"$in", R"({"$in": ["$PATH", {"$literal": [VALUE]}]})", encrypts("$in[1].$literal[0]", ""), random, plain, in, below},
        {"$in", R"({"$in": ["$PATH", ["$)" + policy + R"("]]})", plain, random, refuses("$in is not allowed on encrypted field '$insurance.policyNumber'"),
         refuses("$in is not allowed on encrypted field '$insurance.policyNumber'"), below},
        {"$in", R"({"$in": ["$PATH", [null]]})", refuses("Illegal equality to null inside $in"), random, plain, in, below},
        {"$in", R"({"$in": ["$PATH", "$tags"]})", in, in, plain, in, below},
        {"$in", R"({"$in": [VALUE, "$PATH"]})", in, in, plain, in, below},
        {"$in", R"({"$in": [VALUE, ["$PATH"]]})", in, in, plain, in, below},
        {"$cond", R"({"$cond": ["$PATH", 1, 2]})", condition, condition, plain, condition, below},
        {"$cond", R"({"$cond": [{"$eq": ["$PATH", VALUE]}, 1, 2]})", encrypts("$cond[0].$eq[1]", ""), random, plain, eq, below},
        {"$cond", R"({"$cond": [true, "$PATH", null]})", as_x, as_x, plain, parent_as_x, below},
        {"$cond", R"({"$cond": {"if": true, "then": "$$REMOVE", "else": "$PATH"}})", as_x, as_x, plain, parent_as_x, below},
        {"$cond", R"({"$cond": [true, "$PATH", VALUE]})", encrypts("$cond[2]", "x=PATH"), encrypts("$cond[2]", "x=PATH"), plain,
         encrypts_inside("$cond[2]", "x{" + inside + "}"), below},
        {"$cond", R"({"$cond": [true, "$PATH", 1.5]})", no_such_type, no_such_type, plain, beside_parent, below},
        {"$ifNull", R"({"$ifNull": ["$PATH", null]})", as_x, as_x, plain, parent_as_x, below},
        {"$ifNull", R"({"$ifNull": ["$PATH", VALUE]})", encrypts("$ifNull[1]", "x=PATH"), encrypts("$ifNull[1]", "x=PATH"), plain,
         encrypts_inside("$ifNull[1]", "x{" + inside + "}"), below},
        {"$ifNull", R"({"$ifNull": ["$PATH", 1.5]})", no_such_type, no_such_type, plain, beside_parent, below},
        {"$switch", R"({"$switch": {"branches": [{"case": "$PATH", "then": 1}]}})", condition, condition, plain, condition, below},
        {"$switch", R"({"$switch": {"branches": [{"case": {"$eq": ["$PATH", VALUE]}, "then": 1}]}})",
         encrypts("$switch.branches[0].case.$eq[1]", ""), random, plain, eq, below},
        {"$switch", R"({"$switch": {"branches": [{"case": true, "then": "$PATH"}], "default": null}})", as_x, as_x, plain, parent_as_x, below},
        {"$switch", R"({"$switch": {"branches": [{"case": true, "then": VALUE}], "default": "$PATH"}})",
         encrypts("$switch.branches[0].then", "x=PATH"), encrypts("$switch.branches[0].then", "x=PATH"), plain,
         encrypts_inside("$switch.branches[0].then", "x{" + inside + "}"), below},
        {"$switch", R"({"$switch": {"branches": [{"case": true, "then": 1.5}], "default": "$PATH"}})", no_such_type, no_such_type, plain, beside_parent, below},
        {"$let", R"({"$let": {"vars": {"v": "$PATH"}, "in": "$$v"}})", as_x, as_x, plain, parent_as_x, below},
        {"$let", R"({"$let": {"vars": {"v": "$PATH"}, "in": {"$eq": ["$$v", VALUE]}}})", encrypts("$let.in.$eq[1]", ""), refuses("randomized"), plain,
         refuses("$eq is not allowed on encrypted field '$$v'"), below},
        {"$let", R"({"$let": {"vars": {"v": "$PATH"}, "in": {"$add": ["$$v", 1]}}})", refuses("$add is not allowed on encrypted field '$$v'"),
         refuses("$add is not allowed on encrypted field '$$v'"), plain, refuses("$add is not allowed on encrypted field '$$v'"), below},
        {"$let", R"({"$let": {"vars": {"v": VALUE}, "in": {"$eq": ["$PATH", "$$v"]}}})", other_result, random, plain, eq, below},
        {"$getField", R"({"$getField": {"field": "y", "input": "$PATH"}})", get, get, plain, plain, below},
        {"$getField", R"({"$getField": {"field": "policyNumber", "input": "$PATH"}})", get, get, plain, passes("x=PATH.policyNumber"), below},
        {"$getField", R"({"$getField": {"field": {"$concat": ["y"]}, "input": "$PATH"}})", get, get, plain, get, below},
        {"$setField", R"({"$setField": {"field": "y", "input": "$PATH", "value": 5}})", set, set, plain, parent_as_x, below},
        {"$setField", R"({"$setField": {"field": "y", "input": "$other", "value": "$PATH"}})", passes("x{y=PATH}"), passes("x{y=PATH}"), plain,
         passes("x{y{" + inside + "}}"), below},
        {"$setField", R"({"$setField": {"field": "policyNumber", "input": "$PATH", "value": VALUE}})", set, set, plain, constant, below},
        {"$unsetField", R"({"$unsetField": {"field": "policyNumber", "input": "$PATH"}})", unset, unset, plain, passes("x{agent{code=PATH.agent.code}}"), below},
        {"$mergeObjects", R"({"$mergeObjects": ["$PATH", {"y": 1}]})", merge, merge, plain, parent_as_x, below},
        {"$mergeObjects", R"({"$mergeObjects": [{"y": "$PATH"}]})", passes("x{y=PATH}"), passes("x{y=PATH}"), plain, passes("x{y{" + inside + "}}"), below},
        {"$map", R"({"$map": {"input": "$PATH", "in": "$$this"}})", map, map, plain, map, below},
        {"$map", R"({"$map": {"input": "$tags", "in": "$PATH"}})", map, map, plain, map, below},
        {"$filter", R"({"$filter": {"input": "$PATH", "cond": true}})", filter, filter, plain, filter, below},
        {"$filter", R"({"$filter": {"input": "$tags", "cond": {"$eq": ["$$this", "$PATH"]}}})", other_result, random, plain, eq, below},
        {"$filter", R"({"$filter": {"input": "$tags", "cond": {"$eq": ["$PATH", VALUE]}}})", encrypts("$filter.cond.$eq[1]", ""), random, plain, eq, below},
        {"$reduce", R"({"$reduce": {"input": "$PATH", "initialValue": 0, "in": "$$value"}})", reduce, reduce, plain, reduce, below},
        {"$reduce", R"({"$reduce": {"input": "$tags", "initialValue": "$PATH", "in": "$$value"}})", reduce, reduce, plain, reduce, below},
        {"$and", R"({"$and": [{"$eq": ["$PATH", VALUE]}, true]})", encrypts("$and[0].$eq[1]", ""), random, plain, eq, below},
        {"$or", R"({"$or": [{"$eq": ["$PATH", VALUE]}]})", encrypts("$or[0].$eq[1]", ""), random, plain, eq, below},
        {"$not", R"({"$not": [{"$in": ["$PATH", [VALUE]]}]})", encrypts("$not[0].$in[1][0]", ""), random, plain, in, below},
        never("$function", R"({"$function": {"body": "f", "args": ["$PATH"], "lang": "js"}})", runs_javascript, javascript),
        never("$accumulator", R"({"$accumulator": {"init": "f", "accumulateArgs": ["$PATH"]}})", runs_javascript, javascript),
    };
    // clang-format on
}

// Operators that compute from values: never on ciphertext. Some are answered on what stages made arrays of,
// see expression_array_test.cpp. A name that is not here has no tests.
const std::vector<std::string> computing{"$cmp",
                                         "$gt",
                                         "$gte",
                                         "$lt",
                                         "$lte",
                                         "$and",
                                         "$or",
                                         "$not",
                                         "$arrayElemAt",
                                         "$arrayToObject",
                                         "$concatArrays",
                                         "$first",
                                         "$firstN",
                                         "$indexOfArray",
                                         "$isArray",
                                         "$last",
                                         "$lastN",
                                         "$maxN",
                                         "$minN",
                                         "$objectToArray",
                                         "$range",
                                         "$reverseArray",
                                         "$size",
                                         "$slice",
                                         "$sortArray",
                                         "$zip",
                                         "$allElementsTrue",
                                         "$anyElementTrue",
                                         "$setDifference",
                                         "$setEquals",
                                         "$setIntersection",
                                         "$setIsSubset",
                                         "$setUnion",
                                         "$abs",
                                         "$add",
                                         "$ceil",
                                         "$divide",
                                         "$exp",
                                         "$floor",
                                         "$ln",
                                         "$log",
                                         "$log10",
                                         "$mod",
                                         "$multiply",
                                         "$pow",
                                         "$round",
                                         "$sigmoid",
                                         "$sqrt",
                                         "$subtract",
                                         "$trunc",
                                         "$bitAnd",
                                         "$bitNot",
                                         "$bitOr",
                                         "$bitXor",
                                         "$sin",
                                         "$cos",
                                         "$tan",
                                         "$asin",
                                         "$acos",
                                         "$atan",
                                         "$atan2",
                                         "$sinh",
                                         "$cosh",
                                         "$tanh",
                                         "$asinh",
                                         "$acosh",
                                         "$atanh",
                                         "$degreesToRadians",
                                         "$radiansToDegrees",
                                         "$avg",
                                         "$max",
                                         "$min",
                                         "$sum",
                                         "$stdDevPop",
                                         "$stdDevSamp",
                                         "$median",
                                         "$percentile",
                                         "$dateAdd",
                                         "$dateDiff",
                                         "$dateFromParts",
                                         "$dateFromString",
                                         "$dateSubtract",
                                         "$dateToParts",
                                         "$dateToString",
                                         "$dateTrunc",
                                         "$dayOfMonth",
                                         "$dayOfWeek",
                                         "$dayOfYear",
                                         "$hour",
                                         "$isoDayOfWeek",
                                         "$isoWeek",
                                         "$isoWeekYear",
                                         "$millisecond",
                                         "$minute",
                                         "$month",
                                         "$second",
                                         "$week",
                                         "$year",
                                         "$tsIncrement",
                                         "$tsSecond",
                                         "$concat",
                                         "$indexOfBytes",
                                         "$indexOfCP",
                                         "$ltrim",
                                         "$regexFind",
                                         "$regexFindAll",
                                         "$regexMatch",
                                         "$replaceOne",
                                         "$replaceAll",
                                         "$rtrim",
                                         "$split",
                                         "$strLenBytes",
                                         "$strLenCP",
                                         "$strcasecmp",
                                         "$substr",
                                         "$substrBytes",
                                         "$substrCP",
                                         "$toLower",
                                         "$toUpper",
                                         "$trim",
                                         "$convert",
                                         "$isNumber",
                                         "$toBool",
                                         "$toDate",
                                         "$toDecimal",
                                         "$toDouble",
                                         "$toInt",
                                         "$toLong",
                                         "$toObjectId",
                                         "$toString",
                                         "$toUUID",
                                         "$type",
                                         "$binarySize",
                                         "$bsonSize",
                                         "$toHashedIndexKey",
                                         "$encStrContains",
                                         "$encStrEndsWith",
                                         "$encStrNormalizedEq",
                                         "$encStrStartsWith"};

std::vector<Row> computing_rows() {
    std::vector<Row> rows;
    for (const std::string& name : computing) {
        const Cell cannot = not_on(name);
        const auto add = [&](const std::string& operands) {
            rows.push_back(
                {name, "{\"" + name + "\": " + operands + "}", cannot, cannot, plain, cannot, below});
        };
        add(R"("$PATH")");
        if (name == "$type") continue;  // extended JSON has a meaning of its own for its other operands
        add(R"(["$name", "$PATH"])");
        add(R"({"input": {"a": ["$PATH"]}, "by": 1})");
    }
    return rows;
}

// What stands at the path itself, from constants: sent in clear, it would be taken for the field.
std::vector<Row> target_rows() {
    // clang-format off
    std::vector<Row> rows{
        {"$eq", R"({"$eq": ["$name", 5]})", plain, plain, plain, plain, below},
        {"$cond", R"({"$cond": [true, VALUE, null]})", constant, constant, plain, constant, below},
        {"$ifNull", R"({"$ifNull": ["$name", VALUE]})", constant, constant, plain, constant, below},
        {"$switch", R"({"$switch": {"branches": [{"case": true, "then": VALUE}]}})", constant, constant, plain, constant, below},
        {"$let", R"({"$let": {"vars": {"v": VALUE}, "in": "$$v"}})", constant, constant, plain, constant, below},
        {"$literal", R"({"$literal": VALUE})", constant, constant, plain, constant, below},
        {"$const", R"({"$const": VALUE})", constant, constant, plain, constant, below},
        {"$setField", R"({"$setField": {"field": "policyNumber", "input": {}, "value": VALUE}})", constant, constant, plain, constant, below},
        {"$setField", R"({"$setField": {"field": "policyNumber", "input": "$other", "value": VALUE}})", constant, constant, plain, constant, below},
        {"$setField", R"({"$setField": {"field": "y", "input": "$contact", "value": 5}})", constant, constant, passes(), passes(), below},
        {"$getField", R"({"$getField": {"field": "y", "input": {"y": VALUE}}})", constant, constant, plain, constant, below},
        {"$mergeObjects", R"({"$mergeObjects": [{"policyNumber": VALUE}]})", constant, constant, plain, constant, below},
        {"$map", R"({"$map": {"input": [VALUE], "in": "$$this"}})", constant, constant, plain, constant, below},
        {"$reduce", R"({"$reduce": {"input": "$tags", "initialValue": VALUE, "in": "$$value"}})", constant, constant, plain, constant, below},
        {"$meta", R"({"$meta": "textScore"})", constant, constant, plain, constant, below},
        {"$rand", R"({"$rand": {}})", constant, constant, plain, constant, below},
        {"$sampleRate", R"({"$sampleRate": 0.5})", constant, constant, plain, constant, below},
    };
    // clang-format on
    for (const std::string& name : computing)
        if (name != "$type")
            rows.push_back(
                {name, "{\"" + name + "\": [\"x\", VALUE]}", constant, constant, plain, constant, below});
    return rows;
}

class ExpressionMatrix : public ::testing::Test {
 protected:
    void expect_computed(const std::vector<Row>& rows) const {
        expect_rows(rows, [&](const std::string& expression, const std::string&) {
            return hospital.compute(expression);
        });
    }
    // Where no tree of `x` alone comes out.
    void expect_in(const std::string& before, const std::string& after, std::vector<Row> rows) const {
        // In a projection of find $slice is another operator, with its tests in read_test.cpp.
        const bool of_find = before.find(R"("projection")") != std::string::npos ||
                             before.find(R"("fields")") != std::string::npos;
        if (of_find) std::erase_if(rows, [](const Row& row) { return row.name == "$slice"; });
        SCOPED_TRACE(before + "..." + after);
        expect_rows(
            rows,
            [&](const std::string& expression, const std::string&) {
                return hospital.analyse(before + expression + after);
            },
            CheckTrees::no);
    }
    Hospital hospital;
};

TEST_F(ExpressionMatrix, every_row_of_the_table_is_tested_on_every_kind_of_path) {
    std::vector<Row> rows = operand_rows();
    for (const std::vector<Row>& more : {computing_rows(), target_rows()})
        rows.insert(rows.end(), more.begin(), more.end());
    EXPECT_EQ(gaps_in(rows, expression_operators()), std::vector<std::string>{});
}

TEST_F(ExpressionMatrix, the_lists_are_those_of_the_code) {
    std::vector<std::string> plain_only;
    for (const ExpressionOperator& row : expression_operators())
        if (row.rule == ExpressionRule::plain_only || row.rule == ExpressionRule::of_array)
            plain_only.emplace_back(row.name);
    std::vector<std::string> listed = computing;
    std::sort(listed.begin(), listed.end());
    EXPECT_EQ(listed, plain_only);
    for (const ExpressionOperator& row : expression_operators())
        EXPECT_EQ(find_expression_operator(row.name), &row);
}

TEST_F(ExpressionMatrix, paths_as_operands) {
    expect_computed(operand_rows());
    expect_computed(computing_rows());
}

TEST_F(ExpressionMatrix, wherever_a_value_is_computed) {
    const std::string pipeline = R"({"aggregate": "patients", "cursor": {}, "pipeline": [)";
    for (const std::vector<Row>& rows : {operand_rows(), computing_rows()}) {
        expect_in(pipeline + R"({"$addFields": {"x": {"y": )", "}}}]}", rows);
        expect_in(pipeline + R"({"$replaceWith": {"x": )", "}}]}", rows);
        expect_in(pipeline + R"({"$group": {"_id": null, "x": {"$push": {"y": )", "}}}}]}", rows);
        expect_in(R"({"find": "patients", "projection": {"x": )", "}}", rows);
        expect_in(R"({"findAndModify": "patients", "remove": true, "fields": {"x": )", "}}", rows);
    }
}

// A condition has no use for a value that is encrypted, or may be.
TEST_F(ExpressionMatrix, conditions_take_what_comes_out_plain) {
    for (std::vector<Row> rows : {operand_rows(), computing_rows()}) {
        for (Row& row : rows)
            for (Cell Row::* const each :
                 {&Row::deterministic, &Row::random, &Row::plain, &Row::parent, &Row::below}) {
                Cell& cell = row.*each;
                if (cell.is == Cell::Is::passes && cell.tree != "") cell = refuses("");
            }
        expect_in(R"({"find": "patients", "filter": {"$expr": )", "}}", rows);
        expect_in(R"({"aggregate": "patients", "cursor": {}, "pipeline": [{"$match": {"$expr": )", "}}]}",
                  rows);
    }
}

TEST_F(ExpressionMatrix, constants_at_the_path) {
    const auto computed_at = [&](const std::string& before, const std::string& after) {
        return [this, before, after](const std::string& expression, const std::string& path) {
            return hospital.analyse(before + path + "\": " + expression + after);
        };
    };
    const std::string pipeline = R"({"aggregate": "patients", "cursor": {}, "pipeline": [)";
    std::vector<Row> rows = target_rows();
    expect_rows(rows, computed_at(pipeline + R"({"$project": {"_id": 0, ")", "}}]}"), CheckTrees::no);
    expect_rows(rows, computed_at(pipeline + R"({"$addFields": {")", "}}]}"), CheckTrees::no);
    std::erase_if(rows, [](const Row& row) { return row.name == "$slice"; });  // another operator there
    expect_rows(rows, computed_at(R"({"find": "patients", "projection": {")", "}}"), CheckTrees::no);
}

}  // namespace
}  // namespace fieldgate::analysis::testing
