#include "path_matrix.hpp"
#include "pipeline_support.hpp"
#include "proxy/analysis/pipeline.hpp"
#include "proxy/analysis/updates.hpp"

namespace fieldgate::analysis::testing {
namespace {

const Cell ok = passes();

// csfle.md 3.4: operators, as update documents.
std::vector<Row> all_rows() {
    const Cell rename =
        refuses("$rename between two encrypted fields must have the same metadata or both be");
    const Cell no_value = refuses("$unset of an encrypted field takes \"\" and no value of it: 'PATH'");
    const Cell no_null = refuses("Cannot encrypt element of type: null", code::field_cannot_be_encrypted);
    const Cell not_in = refuses("contains encrypted fields", code::field_cannot_be_encrypted);
    const Cell not_an_array =
        refuses("Cannot encrypt element of type: array", code::field_cannot_be_encrypted);
    // clang-format off
    std::vector<Row> rows{
        {"$set", R"({"$set": {"PATH": VALUE}})", encrypts("$set.PATH"), encrypts("$set.PATH"), ok, encrypts_inside("$set.PATH"),
         refuses("$set cannot reach below an encrypted field: 'PATH'")},
        {"$set", R"({"$set": {"PATH": null}})", no_null, no_null, ok, ok, refuses("$set cannot reach below")},
        {"$set", R"({"$set": {"PATH": [5]}})", not_an_array, not_an_array, ok, not_in, refuses("$set cannot reach below")},
        {"$setOnInsert", R"({"$setOnInsert": {"PATH": VALUE}})", encrypts("$setOnInsert.PATH"), encrypts("$setOnInsert.PATH"), ok,
         encrypts_inside("$setOnInsert.PATH"), refuses("$setOnInsert cannot reach below an encrypted field: 'PATH'")},
        {"$unset", R"({"$unset": {"PATH": ""}})", ok, ok, ok, ok, refuses("$unset cannot reach below an encrypted field: 'PATH'")},
        {"$unset", R"({"$unset": {"PATH": VALUE}})", no_value, no_value, ok, no_value, refuses("$unset cannot reach below")},
        {"$rename", R"({"$rename": {"PATH": "other"}})", rename, rename, ok, rename, rename},
        {"$rename", R"({"$rename": {"other": "PATH"}})", rename, rename, ok, rename, rename},
        // A field of the same encryption as the deterministic ones.
        {"$rename", R"({"$rename": {"PATH": "insurance.policyNumber"}})", ok, rename, rename, rename, rename},
    };
    // clang-format on
    const std::string minmax = "$max and $min not allowed on encrypted values";
    const std::string arithmetic = "$inc and $mul not allowed on encrypted values";
    for (const auto& [name, value] :
         std::vector<std::pair<std::string, std::string>>{{"$inc", "VALUE"},
                                                          {"$mul", "VALUE"},
                                                          {"$min", "VALUE"},
                                                          {"$max", "VALUE"},
                                                          {"$currentDate", "true"},
                                                          {"$addToSet", "VALUE"},
                                                          {"$addToSet", R"({"$each": [VALUE]})"},
                                                          {"$pop", "1"},
                                                          {"$pull", "VALUE"},
                                                          {"$pull", R"({"$in": [VALUE]})"},
                                                          {"$pullAll", "[VALUE]"},
                                                          {"$push", "VALUE"},
                                                          {"$push", R"({"$each": [VALUE], "$slice": 5})"},
                                                          {"$bit", R"({"and": VALUE})"}}) {
        const Cell cannot =
            refuses((name == "$inc" || name == "$mul"   ? arithmetic
                     : name == "$min" || name == "$max" ? minmax
                                                        : name + " not allowed on encrypted values") +
                    ": 'PATH'");
        rows.push_back(
            {name, "{\"" + name + R"(": {"PATH": )" + value + "}}", cannot, cannot, ok, cannot, cannot});
    }
    // Array elements that are chosen at run time.
    const Cell arrays = refuses("Array update operations not allowed on encrypted values: 'PATH");
    const Cell position = refuses("Cannot encrypt fields below '$' positional update operator: 'PATH");
    for (const std::string name :
         {"$set", "$setOnInsert", "$unset", "$inc", "$mul", "$min", "$max", "$currentDate", "$addToSet",
          "$pop", "$pull", "$pullAll", "$push", "$bit"}) {
        const std::string head = "{\"" + name + R"(": {"PATH)";
        for (const std::string at : {".$[]", ".$[i]", ".$[].policyNumber", ".$[i].agent"})
            rows.push_back({name, head + at + R"(": VALUE}})", arrays, arrays, ok, arrays, arrays});
        for (const std::string at : {".$", ".$.policyNumber", ".$.agent"})
            rows.push_back({name, head + at + R"(": VALUE}})", position, position, ok, position, position});
        // Beside the parent's encrypted fields, like the same path without its element.
        rows.push_back({name, head + R"(.$[i].x": 5}})", arrays, arrays, ok, ok, arrays});
        rows.push_back({name, head + R"(.$.x": 5}})", position, position, ok, ok, position});
    }
    const Cell no_elements = refuses("$rename cannot name array elements", code::bad_value);
    const Cell plain_target = refuses("The 'to' field for $rename must be a plain path", code::bad_value);
    const std::string renames = R"({"$rename": {")";
    rows.push_back(
        {"$rename", renames + R"(PATH.$[].x": "other"}})", arrays, arrays, no_elements, no_elements, arrays});
    rows.push_back(
        {"$rename", renames + R"(PATH.$[].agent": "other"}})", arrays, arrays, no_elements, arrays, arrays});
    rows.push_back({"$rename", renames + R"(PATH.$.agent": "other"}})", position, position, no_elements,
                    position, position});
    rows.push_back({"$rename", renames + R"(other": "PATH.$[].x"}})", plain_target, plain_target,
                    plain_target, plain_target, plain_target});
    return rows;
}

class UpdateMatrix : public ::testing::Test {
 protected:
    void expect_in(const std::string& before, const std::string& after, const std::vector<Row>& rows) const {
        SCOPED_TRACE(before + "..." + after);
        expect_rows(
            rows,
            [&](const std::string& update, const std::string&) {
                return hospital.analyse(before + update + after);
            },
            CheckTrees::no);
    }
    void expect_in_updates(const std::vector<Row>& rows) const {
        expect_in(R"({"update": "patients", "updates": [{"q": {}, "u": )", "}]}", rows);
        expect_in(R"({"update": "patients", "updates": [{"q": {}, "upsert": true, "u": )", "}]}", rows);
        expect_in(R"({"findAndModify": "patients", "update": )", "}", rows);
        expect_in(
            R"({"bulkWrite": 1, "$db": "admin", "nsInfo": [{"ns": "medicalRecords.patients"}], "ops": [{"update": 0, "filter": {}, "updateMods": )",
            "}]}", rows);
    }
    Hospital hospital;
};

TEST_F(UpdateMatrix, every_row_of_the_table_is_tested_on_every_kind_of_path) {
    EXPECT_EQ(gaps_in(all_rows(), update_operators()), std::vector<std::string>{});
}

TEST_F(UpdateMatrix, operators) {
    expect_in_updates(all_rows());
}

// A number could be an array's position, whose elements nobody encrypted.
TEST_F(UpdateMatrix, numbers_in_paths_of_parents) {
    std::vector<Row> rows;
    for (const UpdateOperator& op : update_operators())
        for (const std::string at : {".0", ".0.policyNumber"}) {
            const Cell cannot = refuses(std::string(op.phrase) + ": 'PATH");
            rows.push_back({std::string(op.name),
                            "{\"" + std::string(op.name) + R"(": {"PATH)" + at + R"(": "x"}})", cannot,
                            cannot, ok, cannot, cannot});
        }
    expect_in_updates(rows);
}

// What a value takes the place of is gone, and who sees it may be asked: roles depend on it.
TEST_F(UpdateMatrix, uses_that_roles_depend_on) {
    const auto use = [&](const std::string& update, const std::string& path) {
        const Outcome outcome =
            hospital.analyse(R"({"update": "patients", "updates": [{"q": {}, "u": )" + update + "}]}");
        EXPECT_TRUE(outcome.passed()) << outcome;
        return hospital.use(outcome, path);
    };
    for (const std::string path : {"ssn", "bloodType", "contact.email", "insurance.policyNumber"}) {
        const std::string value = path == "bloodType" || path == "contact.email" ? "\"x\"" : "5";
        for (const std::string name : {"$set", "$setOnInsert"})
            EXPECT_TRUE(use("{\"" + name + "\": {\"" + path + "\": " + value + "}}", path).written) << path;
        EXPECT_TRUE(use(R"({"$unset": {")" + path + R"(": ""}})", path).erased) << path;
        EXPECT_FALSE(use(R"({"$unset": {")" + path + R"(": ""}})", path).written) << path;
        EXPECT_FALSE(use(R"({"$set": {"name": 5}})", path).written) << path;
        EXPECT_FALSE(use(R"({"$unset": {"name": ""}})", path).erased) << path;
    }
}

// Whole documents: an insert's and a replacement.
std::vector<Row> document_rows() {
    const Cell dotted =
        refuses("The field name 'PATH' contains a dot and reads like a path", code::bad_value);
    const Cell no_null = refuses("Cannot encrypt element of type: null", code::field_cannot_be_encrypted);
    const Cell no_boolean = refuses("Cannot encrypt element of type: bool", code::field_cannot_be_encrypted);
    const Cell not_in = refuses("contains encrypted fields", code::field_cannot_be_encrypted);
    // clang-format off
    return {
        {"document", R"({"PATH": VALUE})", encrypts("PATH"), encrypts("PATH"), ok, encrypts_inside("PATH"), dotted},
        {"document", R"({"PATH": null})", no_null, no_null, ok, ok, dotted},
        {"document", R"({"PATH": true})", no_boolean, no_boolean, ok, not_in, dotted},
    };
    // clang-format on
}

TEST_F(UpdateMatrix, documents_that_are_stored_whole) {
    for (const Row& row : document_rows())
        for (const PathKind kind : path_kinds) {
            const std::string path = paths_of(kind).front();
            for (
                const auto& [before, after] : std::vector<std::pair<std::string, std::string>>{
                    {R"({"insert": "patients", "documents": [)", "]}"},
                    {R"({"update": "patients", "updates": [{"q": {}, "u": )", "}]}"},
                    {R"({"findAndModify": "patients", "update": )", "}"},
                    {R"({"bulkWrite": 1, "$db": "admin", "nsInfo": [{"ns": "medicalRecords.patients"}], "ops": [{"insert": 0, "document": )",
                     "}]}"}})
                expect_cell(
                    row, kind, path,
                    [&](const std::string& document, const std::string&) {
                        return hospital.analyse(before + document + after);
                    },
                    CheckTrees::no);
        }
}

// csfle.md 3.4, pipeline-style: passes where every protected field provably stays as it is.
std::vector<Row> pipeline_rows() {
    const Cell computes = refuses("A pipeline-style update cannot compute encrypted field");
    const Cell changes = refuses("A pipeline-style update uses aggregation expression syntax");
    const Cell constant = refuses("aggregation expression syntax");
    const Cell below = refuses("below or through an encrypted field: 'PATH'");
    const Cell random = refuses("Cannot query on fields encrypted with the randomized encryption algorithm");
    const Cell no_parent = refuses("$eq is not allowed on encrypted field '$PATH'");
    const std::string kept = R"({"$cond": [{"$eq": ["$PATH", VALUE]}, "$$ROOT", "$$ROOT"]})";
    const std::string kept_at = "$cond[0].$eq[1]";
    // clang-format off
    return {
        {"$set", R"({"$set": {"PATH": VALUE}})", constant, constant, ok, constant, below},
        {"$set", R"({"$set": {"PATH": "$other"}})", constant, constant, ok, constant, below},
        {"$set", R"({"$set": {"copy": "$PATH"}})", changes, changes, ok, changes, below},
        {"$set", R"({"$set": {"vip": {"$eq": ["$PATH", VALUE]}}})", encrypts("$set.vip.$eq[1]"), random, ok, no_parent, below},
        {"$addFields", R"({"$addFields": {"PATH": VALUE}})", constant, constant, ok, constant, below},
        {"$addFields", R"({"$addFields": {"copy": "$PATH"}})", changes, changes, ok, changes, below},
        {"$addFields", R"({"$addFields": {"vip": {"$eq": ["$PATH", VALUE]}}})", encrypts("$addFields.vip.$eq[1]"), random, ok, no_parent, below},
        {"$unset", R"({"$unset": "PATH"})", changes, changes, ok, changes, below},
        {"$unset", R"({"$unset": ["other", "PATH"]})", changes, changes, ok, changes, below},
        {"$project", R"({"$project": {"PATH": 0}})", changes, changes, ok, changes, below},
        {"$project", R"({"$project": {"PATH": 1}})", changes, changes, changes, changes, below},
        {"$project", R"({"$project": {"PATH": {"$add": [VALUE]}}})", constant, constant, changes, constant, below},
        {"$replaceRoot", R"({"$replaceRoot": {"newRoot": )" + kept + "}}", encrypts(kept_at), random, ok, no_parent, below},
        {"$replaceRoot", R"({"$replaceRoot": {"newRoot": "$PATH"}})", refuses("cannot be replaced by an encrypted value"),
         refuses("cannot be replaced by an encrypted value"), changes, changes, below},
        {"$replaceWith", R"({"$replaceWith": )" + kept + "}", encrypts(kept_at), random, ok, no_parent, below},
        {"$replaceWith", R"({"$replaceWith": {"$mergeObjects": ["$$ROOT", {"copy": "$PATH"}]}})", changes, changes, ok, changes, below},
        {"$replaceWith", R"({"$replaceWith": {"$mergeObjects": ["$$ROOT", "$PATH"]}})", refuses("$mergeObjects is not allowed"),
         refuses("$mergeObjects is not allowed"), changes, changes, below},
    };
    // clang-format on
}

TEST_F(UpdateMatrix, every_stage_of_pipelines_is_tested_on_every_kind_of_path) {
    std::vector<std::string> names;
    for (const Stage& row : stage_table())
        if (row.place == StagePlace::update) names.emplace_back(row.name);
    EXPECT_EQ(gaps(pipeline_rows(), names), std::vector<std::string>{});
}

TEST_F(UpdateMatrix, pipelines) {
    for (const std::string list : {"[", R"([{"$set": {"other": 5}}, )"}) {
        expect_in(R"({"update": "patients", "updates": [{"q": {}, "u": )" + list, "]}]}", pipeline_rows());
        expect_in(R"({"findAndModify": "patients", "update": )" + list, "]}", pipeline_rows());
        expect_in(
            R"({"bulkWrite": 1, "$db": "admin", "nsInfo": [{"ns": "medicalRecords.patients"}], "ops": [{"update": 0, "filter": {}, "updateMods": )" +
                list,
            "]}]}", pipeline_rows());
    }
}

TEST_F(UpdateMatrix, no_other_stage_stands_in_an_update) {
    for (const Stage& row : stage_table()) {
        if (row.place == StagePlace::update) continue;
        const Outcome outcome = hospital.analyse(R"({"update": "patients", "updates": [{"q": {}, "u": [{")" +
                                                 std::string(row.name) + R"(": {}}]}]})");
        expect_refusal(outcome, code::operation_not_on_encrypted,
                       "Aggregation stage " + std::string(row.name) + " is not allowed or supported");
    }
}

// csfle.md 3.4: conditions of arrayFilters are on elements of plain arrays; the path that they belong to
// decides.
TEST_F(UpdateMatrix, array_filters) {
    const Cell arrays = refuses("Array update operations not allowed on encrypted values: 'PATH");
    expect_rows(
        {{"arrayFilters", R"("u": {"$set": {"PATH.$[i].agent": 1}}, "arrayFilters": [{"i.y": VALUE}])",
          arrays, arrays, ok, arrays, arrays}},
        [&](const std::string& form, const std::string&) {
            return hospital.analyse(R"({"update": "patients", "updates": [{"q": {}, )" + form + "}]}");
        },
        CheckTrees::no);
}

}  // namespace
}  // namespace fieldgate::analysis::testing
