#include "proxy/analysis/expressions.hpp"

#include <set>

#include "pipeline_support.hpp"

namespace fieldgate::analysis::testing {
namespace {

constexpr auto no = code::operation_not_on_encrypted;

class Expression : public ::testing::Test {
 protected:
    // After stages that make `u` unknown, `docs` an array of patients and `list` one of SSNs.
    Outcome after_stages(const std::string& stage) const {
        return hospital.aggregate(
            R"({"$lookup": {"from": "patients", "localField": "ward", "foreignField": "ward", "as": "docs"}},
               {"$addFields": {"u": {"$cond": ["$name", "$ssn", "$name"]}, "list": ["$ssn"]}}, )" +
            stage);
    }
    Outcome compute_after(const std::string& value) const {
        return after_stages(R"({"$project": {"_id": 0, "x": )" + value + "}}");
    }
    Hospital hospital;
};

struct Answered {
    std::string op, value, tree;
    std::vector<std::string> edits = {};
};

// Each computed as `x`.
const std::vector<Answered> answered{
    {"$eq", R"(["$ssn", 5])", "", {"$project.x.$eq[1]=encrypt ssn"}},
    {"$eq", R"([5, "$ssn"])", "", {"$project.x.$eq[0]=encrypt ssn"}},
    {"$eq", R"(["$ssn", {"$literal": 5}])", "", {"$project.x.$eq[1].$literal=encrypt ssn"}},
    {"$eq", R"(["$$ROOT.ssn", 5])", "", {"$project.x.$eq[1]=encrypt ssn"}},
    {"$eq",
     R"(["$$CURRENT.insurance.agent.code", "A"])",
     "",
     {"$project.x.$eq[1]=encrypt insurance.agent.code"}},
    {"$eq", R"(["$ssn", "$insurance.policyNumber"])", ""},
    {"$eq", R"(["$name", "$ssn2"])", ""},
    {"$ne", R"(["$ssn", 5])", "", {"$project.x.$ne[1]=encrypt ssn"}},
    {"$in",
     R"(["$ssn", [5, 6]])",
     "",
     {"$project.x.$in[1][0]=encrypt ssn", "$project.x.$in[1][1]=encrypt ssn"}},
    {"$in", R"(["$ssn", {"$literal": [5]}])", "", {"$project.x.$in[1].$literal[0]=encrypt ssn"}},
    {"$in", R"(["$ssn", ["$insurance.policyNumber", 6]])", "", {"$project.x.$in[1][1]=encrypt ssn"}},
    {"$in", R"(["$name", "$tags"])", ""},
    {"$in", R"(["$ssn", []])", ""},
    {"$cond", R"([{"$eq": ["$ssn", 5]}, "$ssn", null])", "x=ssn", {"$project.x.$cond[0].$eq[1]=encrypt ssn"}},
    {"$cond", R"({"if": true, "then": "$$REMOVE", "else": "$bloodType"})", "x=bloodType"},
    {"$cond", R"([true, "$ssn", "$name"])", "x=?"},
    {"$cond", R"([true, "$ssn", 5])", "x=ssn", {"$project.x.$cond[2]=encrypt ssn"}},
    {"$cond", R"({"if": true, "then": 5, "else": "$ssn"})", "x=ssn", {"$project.x.$cond.then=encrypt ssn"}},
    {"$cond", R"([true, "$ssn", "$insurance.policyNumber"])", "x=?"},
    {"$cond", R"([true, "$insurance", "$insurance"])",
     "x{policyNumber=insurance.policyNumber, agent{code=insurance.agent.code}}"},
    {"$cond", R"([true, "$insurance", "$other"])", "x{policyNumber=?, agent{code=?}}"},
    {"$ifNull", R"(["$ssn", null])", "x=ssn"},
    {"$ifNull", R"(["$ssn", "$name", 5])", "x=?", {"$project.x.$ifNull[2]=encrypt ssn"}},
    {"$ifNull", R"(["$bloodType", "none"])", "x=bloodType", {"$project.x.$ifNull[1]=encrypt bloodType"}},
    {"$switch",
     R"({"branches": [{"case": {"$ne": ["$ssn", 5]}, "then": "$note"}], "default": null})",
     "x=note",
     {"$project.x.$switch.branches[0].case.$ne[1]=encrypt ssn"}},
    {"$switch",
     R"({"branches": [{"case": true, "then": "$note"}], "default": 1})",
     "x=note",
     {"$project.x.$switch.default=encrypt note"}},
    {"$let", R"({"vars": {"v": "$name"}, "in": {"$concat": ["$$v", "!"]}})", ""},
    {"$let", R"({"vars": {"v": "$insurance"}, "in": "$$v.agent"})", "x{code=insurance.agent.code}"},
    {"$let",
     R"({"vars": {"d": "$$ROOT"}, "in": {"$eq": ["$$d.ssn", 5]}})",
     "",
     {"$project.x.$let.in.$eq[1]=encrypt ssn"}},
    {"$let", R"({"vars": {"v": "$ssn"}, "in": {"$let": {"vars": {"v": 1}, "in": "$$v"}}})", ""},
    {"$literal", R"({"ssn": "$ssn"})", ""},
    {"$const", R"("$ssn")", ""},
    {"$getField", R"("ssn")", "x=ssn"},
    {"$getField", R"({"field": {"$literal": "policyNumber"}, "input": "$insurance"})",
     "x=insurance.policyNumber"},
    {"$getField", R"({"field": "a.b", "input": "$other"})", ""},
    {"$setField", R"({"field": "agent", "input": "$insurance", "value": "$note"})",
     "x{policyNumber=insurance.policyNumber, agent=note}"},
    {"$setField", R"({"field": "s", "input": {}, "value": "$ssn"})", "x{s=ssn}"},
    {"$setField", R"({"field": "policyNumber", "input": "$insurance", "value": "$$REMOVE"})",
     "x{agent{code=insurance.agent.code}}"},
    {"$unsetField", R"({"field": "agent", "input": "$insurance"})", "x{policyNumber=insurance.policyNumber}"},
    {"$mergeObjects", R"(["$insurance", {"provider": "x"}])",
     "x{policyNumber=insurance.policyNumber, agent{code=insurance.agent.code}}"},
    {"$mergeObjects", R"("$contact")", "x{email=contact.email}"},
    {"$mergeObjects", R"(["$other", "$contact"])", "x{email=?}"},
    {"$mergeObjects", R"(["$contact", "$other"])", "x{email=?}"},
    {"$mergeObjects", R"([{"s": "$ssn"}, {"s": "$name"}])", "x{s=?}"},
    {"$mergeObjects", R"([{"s": "$ssn"}, {"s": null, "t": "$note"}])", "x{t=note}"},
    {"$mergeObjects", R"([{"s": "$ssn"}, null])", "x{s=ssn}"},
    {"$map", R"({"input": "$tags", "as": "t", "in": {"$eq": ["$$t", "x"]}})", ""},
    {"$filter", R"({"input": "$tags", "cond": {"$eq": ["$$this", "x"]}})", ""},
    {"$reduce", R"({"input": "$tags", "initialValue": "", "in": {"$concat": ["$$value", "$$this"]}})", ""},
    {"$meta", R"("textScore")", ""},
    {"$rand", "{}", ""},
    {"$sampleRate", "0.5", ""},
};

TEST_F(Expression, what_ciphertext_can_answer) {
    for (const Answered& each : answered) {
        const Outcome outcome = hospital.compute("{\"" + each.op + "\": " + each.value + "}");
        EXPECT_TRUE(outcome.passed()) << each.op << " " << each.value << "\n" << outcome;
        EXPECT_EQ(reply_tree(outcome), each.tree) << each.op << " " << each.value;
        EXPECT_EQ(edits_of(outcome), each.edits) << each.op << " " << each.value;
    }
}

struct Refused {
    std::string op, value, text;
    std::int32_t code = no;
    std::string path = "x";
};

const std::vector<Refused> refused{
    {"$eq", R"(["$bloodType", "0-"])", "randomized encryption algorithm: '$bloodType'"},
    {"$eq", R"(["$insurance", {"policyNumber": 5}])", "not allowed on encrypted field '$insurance'"},
    {"$eq", R"([{"s": "$ssn"}, {"s": 5}])", "$eq is not allowed on encrypted field '$ssn'"},
    {"$eq", R"(["$ssn.x", 5])", "below or through"},
    {"$eq", R"(["$insurance.0.policyNumber", 5])", "below or through"},
    {"$eq", R"(["$ssn", {"$add": [1, 2]}])", "with the result of another expression"},
    {"$eq", R"(["$ssn", "$name"])", "with the result of another expression"},
    {"$eq", R"(["$ssn", {"$let": {"vars": {"v": 5}, "in": "$$v"}}])", "result of another expression"},
    {"$eq", R"(["$ssn", [5]])", "result of another expression"},
    {"$eq", R"(["$ssn", "$insurance.agent.code"])", "needs the same algorithm, key and type in both"},
    {"$eq", R"(["$ssn", null])", "Illegal equality to null predicate"},
    {"$eq", R"(["$ssn", {"$numberLong": "5"}])", "Cannot encrypt element of type: long",
     code::field_cannot_be_encrypted},
    {"$eq", R"(["$ssn"])", "two operands", code::failed_to_parse},
    {"$eq", R"(["$ssn", 5, 6])", "two operands", code::failed_to_parse},
    {"$eq", R"("$ssn")", "array of two operands", code::failed_to_parse},
    {"$eq", R"(["$$nobody.ssn", 5])", "undefined variable", code::failed_to_parse},
    {"$ne", R"(["$bloodType", "0-"])", "randomized"},
    {"$ne", R"(["$ssn", {"$concat": ["a"]}])", "result of another expression"},
    {"$in", R"(["$ssn", "$tags"])", "$in is not allowed on encrypted field '$ssn'"},
    {"$in", R"(["$name", "$ssn"])", "$in is not allowed on encrypted field '$ssn'"},
    {"$in", R"([5, ["$ssn"]])", "$in is not allowed on encrypted field '$ssn'"},
    {"$in", R"(["$ssn", [5, null]])", "Illegal equality to null inside $in"},
    {"$in", R"(["$ssn", [{"$add": [1, 2]}]])", "result of another expression"},
    {"$in", R"(["$bloodType", ["0-"]])", "randomized"},
    {"$in", R"(["$insurance", [{"policyNumber": 5}]])", "'$insurance'"},
    {"$in", R"(["$ssn"])", "two operands", code::failed_to_parse},
    {"$cond", R"([true, "$ssn", "none"])", "schema requires that type is one of: [ int ] (field 'ssn')",
     code::field_cannot_be_encrypted},
    {"$cond", R"(["$ssn", 1, 2])", "as a condition is not allowed on encrypted field '$ssn'"},
    {"$cond", R"([{"$gt": ["$ssn", 5]}, 1, 2])", "$gt is not allowed on encrypted field"},
    {"$cond", R"({"if": true, "then": 1, "then": 2})", "stands twice", code::failed_to_parse},
    {"$cond", R"({"if": true, "then": 1, "otherwise": 2})", "nothing else", code::failed_to_parse},
    {"$cond", R"([true, 1])", "if, then and else", code::failed_to_parse},
    {"$cond", R"([true, 5, null])", "A constant cannot stand in", no, "ssn"},
    {"$ifNull", R"(["$ssn.x", 1])", "below or through"},
    {"$ifNull", R"(["$ssn", 5])", "A constant cannot stand in", no, "ssn"},
    {"$ifNull", R"(["$name", {"weight": 80}])", "A constant cannot stand in", no, "medicalRecords"},
    {"$ifNull", R"(["$name", [{"weight": 80}]])", "A constant cannot stand in", no, "medicalRecords"},
    {"$ifNull", R"(["$ssn", {"$add": [700, 77]}])", "A constant cannot stand in"},
    {"$ifNull", R"(["$ssn"])", "two operands", code::failed_to_parse},
    {"$switch", R"({"branches": [{"case": "$ssn", "then": 1}]})", "as a condition"},
    {"$switch", R"({"branches": [{"case": true, "then": "$ssn"}], "default": 5.0})", "schema requires",
     code::field_cannot_be_encrypted},
    {"$switch", R"({"branches": [{"case": true, "then": 5}]})", "A constant cannot", no, "ssn"},
    {"$switch", R"({"branches": [{"when": true, "then": 5}]})", "branches with", code::failed_to_parse},
    {"$let", R"({"vars": {"CURRENT": "$insurance"}, "in": "$policyNumber"})",
     "'CURRENT' is no name for a user variable", code::failed_to_parse},
    {"$let", R"({"vars": {"v": "$ssn"}, "in": {"$add": ["$$v", 1]}})",
     "$add is not allowed on encrypted field '$$v'"},
    {"$let", R"({"vars": {"v": 1, "v": "$ssn"}, "in": "$$v"})", "stands twice", code::failed_to_parse},
    {"$let", R"({"vars": {"": 1}, "in": 1})", "is no name", code::failed_to_parse},
    {"$let", R"({"vars": {"v": 5}, "in": "$$v"})", "A constant cannot stand in", no, "ssn"},
    {"$let", R"({"vars": {"v": 5}})", "vars and in", code::failed_to_parse},
    {"$literal", "5", "A constant cannot stand in", no, "ssn"},
    {"$literal", R"({"policyNumber": 5})", "A constant cannot stand in", no, "insurance"},
    {"$const", "5", "A constant cannot stand in", no, "ssn"},
    {"$getField", R"({"field": {"$concat": ["ss", "n"]}, "input": "$$ROOT"})", "'$$ROOT'"},
    {"$getField", R"({"field": "insurance.policyNumber", "input": "$$ROOT"})", "'$$ROOT'"},
    {"$getField", R"({"field": "x", "input": "$ssn"})", "$getField is not allowed on encrypted field"},
    {"$getField", R"({"field": "x", "input": {"x": 5}})", "A constant cannot stand in", no, "ssn"},
    {"$getField", R"({"field": "x", "field": "y"})", "stands twice", code::failed_to_parse},
    {"$setField", R"({"field": "policyNumber", "input": "$insurance", "value": 5})",
     "A constant cannot stand in"},
    {"$setField", R"({"field": "policyNumber", "input": {}, "value": 5})", "A constant cannot stand in", no,
     "insurance"},
    {"$setField", R"({"field": {"$concat": ["p"]}, "input": {}, "value": 5})", "A constant cannot stand in",
     no, "insurance"},
    {"$setField", R"({"field": "x", "input": "$ssn", "value": 5})", "$setField is not allowed"},
    {"$setField", R"({"field": "0", "input": "$insurance", "value": 5})", "'$insurance'"},
    {"$unsetField", R"({"field": "x", "input": "$note"})", "$unsetField is not allowed"},
    {"$unsetField", R"({"field": "$name", "input": "$insurance"})", "$unsetField is not allowed"},
    {"$mergeObjects", R"("$ssn")", "$mergeObjects is not allowed on encrypted field '$ssn'"},
    {"$mergeObjects", R"(["$insurance", {"policyNumber": 5}])", "A constant cannot stand in"},
    {"$mergeObjects", R"([{"s": "$ssn"}, {"s": 5}])", "A constant cannot stand in"},
    {"$mergeObjects", R"([{"policyNumber": 5}])", "A constant cannot stand in", no, "insurance"},
    {"$map", R"({"input": ["$ssn"], "in": "$$this"})", "$map is not allowed on encrypted field '$ssn'"},
    {"$map", R"({"input": "$tags", "in": "$ssn"})", "$map is not allowed on encrypted field '$ssn'"},
    {"$map", R"({"input": [5], "in": "$$this"})", "A constant cannot stand in", no, "ssn"},
    {"$map", R"({"input": "$tags", "as": "CURRENT", "in": "$ssn"})", "no name for a user variable",
     code::failed_to_parse},
    {"$filter", R"({"input": "$tags", "cond": {"$eq": ["$$this", "$ssn"]}})", "result of another expression"},
    {"$filter", R"({"input": "$medicalRecords", "cond": true})", "$filter is not allowed"},
    {"$reduce", R"({"input": "$tags", "initialValue": "$ssn", "in": "$$value"})", "$reduce is not allowed"},
    {"$meta", R"("textScore")", "A constant cannot stand in", no, "ssn"},
    {"$rand", "{}", "A constant cannot stand in", no, "ssn"},
    {"$sampleRate", "0.5", "A constant cannot stand in", no, "ssn"},
    // JavaScript: no success.
    {"$function", R"({"body": "f", "args": ["$ssn"], "lang": "js"})", "runs JavaScript"},
    {"$function", R"({"body": "f", "args": [], "lang": "js"})", "runs JavaScript"},
    {"$accumulator", "{}", "runs JavaScript"},
    {"$unheardOf", R"("$name")", "Unknown aggregation expression"},
};

TEST_F(Expression, what_it_cannot_is_refused) {
    for (const Refused& each : refused) {
        const Outcome outcome = hospital.aggregate(R"({"$project": {")" + each.path + R"(": {")" + each.op +
                                                   "\": " + each.value + "}}}");
        SCOPED_TRACE(each.op + " " + each.value);
        expect_refusal(outcome, each.code, each.text);
    }
}

// Paths that cannot be computed with, and what the refusal says besides the operator.
const std::vector<std::pair<std::string, std::string>> unusable_paths{
    {"$ssn", "not allowed on encrypted field '$ssn'"},
    {"$bloodType", "not allowed on encrypted field '$bloodType'"},
    {"$insurance", "not allowed on encrypted field '$insurance'"},
    {"$ssn.x", "below or through an encrypted field: 'ssn.x'"},
    {"$u", "not known until runtime"},
    {"$u.x", "not known until runtime"},
    {"$docs", "not allowed on encrypted field '$docs'"},
    {"$docs.ssn", "not allowed on encrypted field '$docs.ssn'"},
    {"$list", "not allowed on encrypted field '$list'"},
    {"$$ROOT", "not known until runtime"},
};

TEST_F(Expression, operators_that_compute_take_plain_operands_only) {
    std::size_t rows = 0;
    for (const ExpressionOperator& row : expression_operators()) {
        const bool of_array = row.rule == ExpressionRule::of_array;  // more in expression_array_test.cpp
        if (row.rule != ExpressionRule::plain_only && !of_array) continue;
        ++rows;
        const std::string name(row.name);
        // Extended JSON has a meaning of its own for other objects with "$type".
        const bool only_strings = name == "$type";
        std::vector<std::string> good{R"("$name")"};
        if (!only_strings) good.insert(good.end(), {R"(["$name", 1])", R"({"input": "$docs.name"})"});
        for (const std::string& operands : good) {
            const Outcome outcome = compute_after("{\"" + name + "\": " + operands + "}");
            EXPECT_TRUE(outcome.passed()) << name << outcome;
            EXPECT_EQ(reply_tree(outcome), "") << name;
        }
        for (const auto& [path, text] : unusable_paths) {
            std::vector<std::string> bad;
            const bool made_array = path.starts_with("$docs") || path == "$list";
            if (!of_array || !made_array) bad.push_back("\"" + path + "\"");
            if (!only_strings)
                bad.insert(bad.end(),
                           {R"(["$name", ")" + path + "\"]", R"({"a": {"b": [")" + path + "\"]}}"});
            for (const std::string& operands : bad)
                expect_refusal(compute_after("{\"" + name + "\": " + operands + "}"), no, text);
        }
        if (only_strings) continue;
        // What it computes stands at the field's path, from constants.
        expect_refusal(hospital.aggregate(R"({"$project": {"ssn": {")" + name + R"(": "five"}}})"), no,
                       "A constant cannot stand in");
    }
    EXPECT_GT(rows, 100u);
}

TEST_F(Expression, every_row_has_a_success_and_a_refusal) {
    std::set<std::string_view> with_success;
    std::set<std::string_view> with_refusal;
    for (const Answered& each : answered) with_success.insert(each.op);
    for (const Refused& each : refused) with_refusal.insert(each.op);
    std::set<std::string_view> names;
    for (const ExpressionOperator& row : expression_operators()) {
        EXPECT_TRUE(names.insert(row.name).second) << row.name << " stands twice";
        EXPECT_EQ(find_expression_operator(row.name), &row);
        // Generated above.
        if (row.rule == ExpressionRule::plain_only || row.rule == ExpressionRule::of_array) continue;
        EXPECT_EQ(with_success.contains(row.name), row.rule != ExpressionRule::never) << row.name;
        EXPECT_TRUE(with_refusal.contains(row.name)) << row.name;
    }
}

TEST_F(Expression, comparisons_know_every_kind_of_path) {
    for (const auto& [path, text] : unusable_paths) {
        if (path == "$ssn") continue;
        const std::string comparison = R"({"$eq": [")" + path + R"(", 5]})";
        expect_refusal(compute_after(comparison), no, path == "$bloodType" ? "randomized" : text);
        if (path == "$bloodType") continue;
        for (const std::string& value :
             {R"({"$in": [")" + path + R"(", [5]]})", R"({"$cond": [")" + path + R"(", 1, 2]})"})
            expect_refusal(compute_after(value), no, text);
    }
    EXPECT_EQ(compute_after(R"({"$eq": ["$ssn", 5]})").edits.size(), 1u);
    EXPECT_TRUE(compute_after(R"({"$eq": ["$docs.name", 5]})").edits.empty());
}

TEST_F(Expression, values_are_paths_objects_and_arrays) {
    const auto tree = [&](const std::string& value) { return reply_tree(compute_after(value)); };
    EXPECT_EQ(tree(R"("$ssn")"), "x=ssn");
    EXPECT_EQ(tree(R"("$insurance.agent")"), "x{code=insurance.agent.code}");
    EXPECT_EQ(tree(R"({"a": {"b": "$ssn", "c": "$name"}})"), "x{a{b=ssn}}");
    EXPECT_EQ(tree(R"(["$ssn", "$ssn", null])"), "x[=ssn]");
    EXPECT_EQ(tree(R"(["$ssn", "$name"])"), "x=?");
    EXPECT_EQ(tree(R"(["$name", "$ssn"])"), "x=?");
    EXPECT_EQ(tree(R"([["$ssn"]])"), "x=?");
    EXPECT_EQ(tree(R"(["$name", 5])"), "");
    EXPECT_EQ(tree(R"("$docs.ssn")"), "x[=ssn]");
    EXPECT_EQ(tree(R"("$docs.insurance")"),
              "x[{policyNumber=insurance.policyNumber, agent{code=insurance.agent.code}}]");
    EXPECT_EQ(tree(R"("$u")"), "x=?");
    EXPECT_EQ(tree(R"("$u.y")"), "x=?");
    EXPECT_EQ(tree(R"("$$REMOVE")"), "");
    EXPECT_EQ(tree(R"("$$NOW")"), "");
    EXPECT_EQ(reply_tree(hospital.compute(R"("$$ROOT")")), "x{" + whole_tree + "}");
    expect_refusal(hospital.compute(R"({"$literal": 1, "a": "$ssn"})"), code::failed_to_parse, "exactly one");
    expect_refusal(hospital.compute(R"([{"a": 1, "$add": [1]}])"), code::failed_to_parse, "'$add'");
    expect_refusal(hospital.compute(R"([{"a.b": "$ssn"}])"), code::failed_to_parse, "'a.b'");
    expect_refusal(hospital.compute(R"([{"a": "$ssn", "a": "$name"}])"), code::failed_to_parse, "twice");
    expect_refusal(hospital.compute(R"([{"$add": [1], "$abs": 1}])"), code::failed_to_parse, "exactly one");
}

TEST_F(Expression, uses_of_fields_are_noted_for_roles) {
    const Outcome compared = hospital.compute(R"({"$eq": ["$ssn", "$insurance.policyNumber"]})");
    EXPECT_TRUE(hospital.use(compared, "ssn").matched);
    EXPECT_TRUE(hospital.use(compared, "insurance.policyNumber").matched);
    EXPECT_FALSE(hospital.use(compared, "bloodType").matched);
    EXPECT_TRUE(hospital.use(hospital.compute(R"({"$in": ["$ssn", [5]]})"), "ssn").matched);
    EXPECT_TRUE(hospital.use(hospital.compute(R"({"$ifNull": ["$note", null]})"), "note").matched);
    EXPECT_TRUE(hospital.use(hospital.compute(R"({"$cond": [{"$ne": ["$ssn", 5]}, 1, 2]})"), "ssn").matched);
    EXPECT_FALSE(hospital.use(hospital.compute(R"("$ssn")"), "ssn").matched);
    expect_refusal(hospital.aggregate(R"({"$project": {"x": {"$eq": ["$ssn", 5]}}})", "patients",
                                      R"(, "collation": {"locale": "de"})"),
                   no, "collation");
}

}  // namespace
}  // namespace fieldgate::analysis::testing
