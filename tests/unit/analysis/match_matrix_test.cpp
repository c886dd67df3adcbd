#include "path_matrix.hpp"
#include "pipeline_support.hpp"
#include "proxy/analysis/match.hpp"

namespace fieldgate::analysis::testing {
namespace {

const Cell ok = passes();
const Cell invalid = refuses("Invalid match expression operator on encrypted field 'PATH'");
const Cell random =
    refuses("Cannot query on fields encrypted with the randomized encryption algorithm: 'PATH'");
const Cell below = refuses("Cannot query below or through an encrypted field: 'PATH'");
const Cell no_null = refuses("Illegal equality to null predicate for encrypted field: 'PATH'");
const Cell no_null_in = refuses("Illegal equality to null inside $in against an encrypted field: 'PATH'");
const Cell unsupported = refuses("Unsupported match expression operator for encryption");
const Cell below_expression = refuses("below or through an encrypted field: 'PATH'");

Cell type(const std::string& name) {
    return refuses("Cannot encrypt element of type: " + name, code::field_cannot_be_encrypted);
}
const Cell no_array = refuses("needs an array: 'PATH'", code::bad_value);
const Cell not_at_top = refuses("cannot stand at the top of a filter", code::bad_value);
const std::string at_top = "it stands at the top of a filter and names no field";

// csfle.md 3.3. On a plain path everything is the server's to answer, wrong operands included.
std::vector<Row> all_rows() {
    const std::string regex = R"({"$regularExpression": {"pattern": "5", "options": ""}})";
    // clang-format off
    std::vector<Row> rows{
        {"$eq", R"({"PATH": VALUE})", encrypts("PATH"), random, ok, encrypts_inside("PATH"), below},
        {"$eq", R"({"PATH": {"$eq": VALUE}})", encrypts("PATH.$eq"), random, ok, encrypts_inside("PATH.$eq"), below},
        {"$eq", R"({"PATH": 5})", encrypts("PATH"), refuses("randomized"), ok, invalid, below},
        {"$eq", R"({"PATH": null})", no_null, random, ok, ok, below},
        {"$eq", R"({"PATH": {"$eq": null}})", no_null, random, ok, ok, below},
        {"$eq", R"({"PATH": "five"})", type("string"), random, ok, invalid, below},
        {"$eq", R"({"PATH": {"a": 5}})", type("object"), random, ok, refuses("does not give 'insurance."), below},
        {"$eq", R"({"PATH": [5]})", type("array"), random, ok, invalid, below},
        {"$eq", R"({"PATH": true})", type("bool"), random, ok, invalid, below},
        {"$eq", R"({"PATH": {"$numberDouble": "5.0"}})", type("double"), random, ok, invalid, below},
        {"$eq", R"({"PATH": {"$numberDecimal": "5"}})", type("decimal"), random, ok, invalid, below},
        {"$eq", R"({"PATH": {"$numberLong": "5"}})", type("long"), random, ok, invalid, below},
        {"$eq", R"({"PATH": )" + regex + "}", invalid, invalid, ok, invalid, below},
        {"$eq", R"({"PATH": {"$unheardOf": 5}})", invalid, invalid, ok, invalid, below},
        {"$ne", R"({"PATH": {"$ne": VALUE}})", encrypts("PATH.$ne"), random, ok, encrypts_inside("PATH.$ne"), below},
        {"$ne", R"({"PATH": {"$ne": 5}})", encrypts("PATH.$ne"), random, ok, invalid, below},
        {"$ne", R"({"PATH": {"$ne": null}})", no_null, random, ok, ok, below},
        {"$in", R"({"PATH": {"$in": [VALUE]}})", encrypts("PATH.$in[0]"), random, ok, encrypts_inside("PATH.$in[0]"), below},
        {"$in", R"({"PATH": {"$in": [5]}})", encrypts("PATH.$in[0]"), random, ok, invalid, below},
        {"$in", R"({"PATH": {"$in": [null]}})", no_null_in, random, ok, ok, below},
        {"$in", R"({"PATH": {"$in": [)" + regex + "]}}", invalid, invalid, ok, invalid, below},
        {"$in", R"({"PATH": {"$in": [{"$gt": 5}]}})", invalid, invalid, ok, invalid, below},
        {"$in", R"({"PATH": {"$in": 5}})", no_array, no_array, ok, no_array, below},
        {"$nin", R"({"PATH": {"$nin": [VALUE]}})", encrypts("PATH.$nin[0]"), random, ok, encrypts_inside("PATH.$nin[0]"), below},
        {"$nin", R"({"PATH": {"$nin": [null]}})", no_null_in, random, ok, ok, below},
        {"$nin", R"({"PATH": {"$nin": 5}})", no_array, no_array, ok, no_array, below},
        {"$not", R"({"PATH": {"$not": {"$eq": VALUE}}})", encrypts("PATH.$not.$eq"), random, ok, encrypts_inside("PATH.$not.$eq"), below},
        {"$not", R"({"PATH": {"$not": {"$not": {"$in": [VALUE]}}}})", encrypts("PATH.$not.$not.$in[0]"), random, ok,
         encrypts_inside("PATH.$not.$not.$in[0]"), below},
        {"$not", R"({"PATH": {"$not": {"$exists": true}}})", ok, ok, ok, ok, below},
        {"$not", R"({"PATH": {"$not": {"$gt": VALUE}}})", invalid, invalid, ok, invalid, below},
        {"$not", R"({"PATH": {"$not": )" + regex + "}}", invalid, invalid, ok, invalid, below},
        {"$exists", R"({"PATH": {"$exists": true}})", ok, ok, ok, ok, below},
        {"$exists", R"({"PATH": {"$exists": 0}})", ok, ok, ok, ok, below},
        {"$exists", R"({"PATH": {"$exists": VALUE}})", invalid, invalid, ok, invalid, below},
        {"$type", R"({"PATH": {"$type": "int"}})", invalid, invalid, ok, ok, below},
        {"$and", R"({"$and": [{"PATH": VALUE}]})", encrypts("$and[0].PATH"), random, ok, encrypts_inside("$and[0].PATH"), below},
        {"$or", R"({"$or": [{"PATH": VALUE}]})", encrypts("$or[0].PATH"), random, ok, encrypts_inside("$or[0].PATH"), below},
        {"$nor", R"({"$nor": [{"PATH": VALUE}]})", encrypts("$nor[0].PATH"), random, ok, encrypts_inside("$nor[0].PATH"), below},
        {"$nor", R"({"$nor": [{"$and": [{"$or": [{"PATH": {"$gt": VALUE}}]}]}]})", invalid, invalid, ok, invalid, below},
        {"$expr", R"({"$expr": {"$eq": ["$PATH", VALUE]}})", encrypts("$expr.$eq[1]"), refuses("randomized"), ok,
         refuses("$eq is not allowed on encrypted field '$PATH'"), below_expression},
        {"$expr", R"({"$expr": {"$gt": ["$PATH", VALUE]}})", refuses("$gt is not allowed on encrypted field '$PATH'"),
         refuses("$gt is not allowed on encrypted field '$PATH'"), ok, refuses("$gt is not allowed on encrypted field '$PATH'"),
         below_expression},
        {"$expr", R"({"PATH": {"$expr": {"$eq": [1, 1]}}})", unsupported, unsupported, unsupported, unsupported, below},
        {"$regex", R"({"PATH": {"$exists": true, "$regex": "5"}})", invalid, invalid, ok, invalid, below},
        {"$options", R"({"PATH": {"$exists": true, "$options": "i", "$regex": "5"}})", invalid, invalid, ok, invalid, below},
        {"$elemMatch", R"({"PATH": {"$elemMatch": {"x": VALUE}}})", invalid, invalid, ok, invalid, below},
        {"$elemMatch", R"({"PATH": {"$elemMatch": {"$eq": VALUE}}})", invalid, invalid, ok, invalid, below},
        {"$all", R"({"PATH": {"$all": [VALUE]}})", invalid, invalid, ok, invalid, below},
        {"$mod", R"({"PATH": {"$mod": [4, 0]}})", invalid, invalid, ok, invalid, below},
        {"$bitsAllSet", R"({"PATH": {"$bitsAllSet": [0, 3]}})", invalid, invalid, ok, invalid, below},
        pathless("$comment", R"({"$comment": "why"})", at_top, ok),
        pathless("$sampleRate", R"({"$sampleRate": 0.5})", at_top, ok),
        pathless("$alwaysTrue", R"({"$alwaysTrue": 1})", at_top, ok),
        pathless("$alwaysFalse", R"({"$alwaysFalse": 1})", at_top, ok),
        pathless("$gt", R"({"$gt": 5})", at_top, not_at_top),
        pathless("$eq", R"({"$eq": 5})", at_top, not_at_top),
    };
    // clang-format on
    for (const std::string name : {"$gt",
                                   "$gte",
                                   "$lt",
                                   "$lte",
                                   "$mod",
                                   "$size",
                                   "$bitsAllClear",
                                   "$bitsAllSet",
                                   "$bitsAnyClear",
                                   "$bitsAnySet",
                                   "$near",
                                   "$nearSphere",
                                   "$geoIntersects",
                                   "$geoWithin",
                                   "$within",
                                   "$maxDistance",
                                   "$minDistance",
                                   "$comment",
                                   "$sampleRate",
                                   "$alwaysTrue",
                                   "$alwaysFalse",
                                   "$and",
                                   "$or",
                                   "$nor"})
        for (const std::string operand : {"VALUE", "1", "\"int\""})
            rows.push_back({name, R"({"PATH": {")" + name + "\": " + operand + "}}", invalid, invalid, ok,
                            invalid, below});
    for (const std::string name : {"$where", "$text", "$jsonSchema", "$function", "$accumulator"}) {
        const std::string why = "what it looks at cannot be told";
        rows.push_back({name, R"({"PATH": {")" + name + R"(": VALUE}})", unsupported, unsupported,
                        unsupported, unsupported, below, why});
        rows.push_back(pathless(name, "{\"" + name + R"(": "x"})", at_top, unsupported));
        rows.push_back(
            pathless(name, R"({"$or": [{"name": "x"}, {")" + name + R"(": "x"}]})", at_top, unsupported));
    }
    return rows;
}

class MatchMatrix : public ::testing::Test {
 protected:
    // `before` and `after` make a whole command of a filter.
    void expect_in(const std::string& before, const std::string& after, const std::vector<Row>& rows) const {
        SCOPED_TRACE(before + "..." + after);
        expect_rows(
            rows,
            [&](const std::string& filter, const std::string&) {
                return hospital.analyse(before + filter + after);
            },
            CheckTrees::no);
    }
    Hospital hospital;
};

TEST_F(MatchMatrix, every_row_of_the_table_is_tested_on_every_kind_of_path) {
    EXPECT_EQ(gaps_in(all_rows(), match_operators()), std::vector<std::string>{});
}

// Wherever a filter stands, the same is decided.
TEST_F(MatchMatrix, filters_of_commands) {
    const std::vector<Row> rows = all_rows();
    expect_in(R"({"find": "patients", "filter": )", "}", rows);
    expect_in(R"({"count": "patients", "query": )", "}", rows);
    expect_in(R"({"distinct": "patients", "key": "name", "query": )", "}", rows);
    expect_in(R"({"delete": "patients", "deletes": [{"limit": 1, "q": )", "}]}", rows);
    expect_in(R"({"update": "patients", "updates": [{"u": {"$unset": {"name": 1}}, "q": )", "}]}", rows);
    expect_in(R"({"findAndModify": "patients", "remove": true, "query": )", "}", rows);
    expect_in(R"({"explain": {"find": "patients", "filter": )", "}}", rows);
    expect_in(
        R"({"bulkWrite": 1, "$db": "admin", "nsInfo": [{"ns": "medicalRecords.patients"}], "ops": [{"delete": 0, "filter": )",
        "}]}", rows);
}

TEST_F(MatchMatrix, filters_in_pipelines) {
    const std::vector<Row> rows = all_rows();
    const std::string of_patients = R"({"aggregate": "patients", "cursor": {}, "pipeline": [)";
    const std::string of_wards = R"({"aggregate": "wards", "cursor": {}, "pipeline": [)";
    expect_in(of_patients + R"({"$match": )", "}]}", rows);
    expect_in(of_patients + R"({"$facet": {"a": [{"$match": )", "}]}}]}", rows);
    expect_in(of_patients + R"({"$geoNear": {"near": [1, 2], "distanceField": "d", "query": )", "}}]}", rows);
    expect_in(of_wards + R"({"$unionWith": {"coll": "patients", "pipeline": [{"$match": )", "}]}}]}", rows);
    expect_in(of_wards + R"({"$lookup": {"from": "patients", "as": "p", "pipeline": [{"$match": )", "}]}}]}",
              rows);
    expect_in(of_wards + R"({"$graphLookup": {"from": "patients", "startWith": 1, "connectFromField": "a",
                             "connectToField": "b", "as": "p", "restrictSearchWithMatch": )",
              "}}]}", rows);
}

// What the server keeps must not have values in it that are encrypted: an index or a validator would outlive
// their keys, and a driver's own analyser refuses it too.
TEST_F(MatchMatrix, filters_that_the_server_keeps) {
    std::vector<Row> rows = all_rows();
    for (Row& row : rows)
        for (Cell Row::* const cell :
             {&Row::deterministic, &Row::random, &Row::plain, &Row::parent, &Row::below})
            if (!(row.*cell).edits.empty())
                row.*cell = refuses("Comparison to encrypted fields not supported");
    expect_in(
        R"({"createIndexes": "patients", "indexes": [{"key": {"name": 1}, "name": "n", "partialFilterExpression": )",
        "}]}", rows);
    std::erase_if(rows, [](const Row& row) { return row.form.starts_with(R"({"$jsonSchema")"); });
    expect_in(R"({"collMod": "patients", "validator": )", "}", rows);
    expect_in(R"({"create": "patients", "validator": )", "}", rows);
}

// Elements of plain arrays have nothing protected in them, whatever their names are.
TEST_F(MatchMatrix, conditions_on_elements_of_plain_arrays) {
    for (const Row& row : all_rows()) {
        if (!row.never.empty() || row.name == "$expr" || row.alone.is != Cell::Is::missing) continue;
        for (const PathKind kind : path_kinds)
            for (const std::string& path : paths_of(kind)) {
                Row in_array = row;
                in_array.plain = ok;
                for (const std::string before :
                     {R"({"find": "patients", "filter": {"tags": {"$elemMatch": )",
                      R"({"findAndModify": "patients", "update": {"$pull": {"tags": )"})
                    expect_cell(
                        in_array, PathKind::plain, path,
                        [&](const std::string& condition, const std::string&) {
                            return hospital.analyse(before + condition + "}}}");
                        },
                        CheckTrees::no);
            }
    }
}

}  // namespace
}  // namespace fieldgate::analysis::testing
