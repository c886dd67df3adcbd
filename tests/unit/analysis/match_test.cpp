#include "proxy/analysis/match.hpp"

#include "support.hpp"

namespace fieldgate::analysis::testing {
namespace {

constexpr auto no = code::operation_not_on_encrypted;

const std::string invalid = "Invalid match expression operator on encrypted field";
const std::string randomized = "Cannot query on fields encrypted with the randomized encryption algorithm";

// Beside the table of match_matrix_test.cpp.
class Match : public ::testing::Test {
 protected:
    Outcome find(const std::string& filter) const {
        return clinic.analyse(R"({"find": "patients", "filter": )" + filter + "}");
    }
    std::vector<std::string> edits(const std::string& filter) const {
        const Outcome outcome = find(filter);
        EXPECT_TRUE(outcome.passed()) << outcome;
        return outcome.edits;
    }
    Clinic clinic;
};

TEST_F(Match, the_types_of_a_parent_are_names_and_numbers) {
    // Extended JSON has a meaning of its own for some of these.
    const auto find_of_type = [&](bson::Type type, bson::Bytes value) {
        bson::Buffer body;
        bson::Builder builder(body);
        builder.append_string("find", "patients").open_document("filter").open_document("insurance");
        builder.append_value("$type", type, value).close().close();
        builder.append_string("$db", "medicalRecords").finish();
        return clinic.analyse(body);
    };
    EXPECT_TRUE(find_of_type(bson::Type::array, json(R"({"0": "number", "1": 127, "2": -1})")).passed());
    for (const std::string types : {R"({"0": "number", "1": 128})", R"({"0": -2})", R"({"0": "AB+"})",
                                    R"({"0": ["int"]})", R"({"0": {"policyNumber": 5}})"})
        expect_refusal(find_of_type(bson::Type::array, json(types)), no, "names and numbers of types");
    expect_refusal(find_of_type(bson::Type::document, json(R"({"policyNumber": 123142})")), no,
                   "names and numbers of types");
}

TEST_F(Match, operators_that_are_never_allowed_pass_on_unprotected_namespaces) {
    for (const MatchOperator& row : match_operators()) {
        if (row.rule != MatchRule::never) continue;
        const Outcome outcome =
            clinic.analyse(R"({"find": "wards", "filter": {")" + std::string(row.name) + R"(": "x"}})");
        EXPECT_TRUE(outcome.passed()) << row.name << ": " << outcome;
    }
}

TEST_F(Match, operators_that_are_never_allowed_are_found_at_the_top_and_inside_plain_conditions) {
    for (const MatchOperator& row : match_operators()) {
        if (row.rule != MatchRule::never) continue;
        const std::string op = "{\"" + std::string(row.name) + "\": \"x\"}";
        expect_refusal(find(op), no, "Unsupported match expression operator for encryption");
        expect_refusal(find(R"({"$and": [{"name": "x"}, )" + op + "]}"), no, "Unsupported match expression");
        expect_refusal(find(R"({"tags": {"$elemMatch": {"$and": [)" + op + "]}}}"), no,
                       "Unsupported match expression");
    }
}

TEST_F(Match, logical_operators_are_walked_to_any_depth) {
    EXPECT_EQ(
        edits(R"({"$or": [{"ssn": 1}, {"$and": [{"insurance.policyNumber": {"$in": [2, 3]}}, {"name": "x"}]},
                                {"$nor": [{"ssn": {"$ne": 4}}]}]})"),
        (std::vector<std::string>{
            "filter.$or[0].ssn=encrypt ssn",
            "filter.$or[1].$and[0].insurance.policyNumber.$in[0]=encrypt insurance.policyNumber",
            "filter.$or[1].$and[0].insurance.policyNumber.$in[1]=encrypt insurance.policyNumber",
            "filter.$or[2].$nor[0].ssn.$ne=encrypt ssn"}));
    for (const std::string name : {"$and", "$or", "$nor"}) {
        expect_refusal(find("{\"" + name + R"(": [{"name": 1}, {"ssn": {"$gt": 1}}]})"), no, invalid);
        expect_refusal(find("{\"" + name + R"(": {"ssn": 1}})"), code::bad_value, "must be an array");
        expect_refusal(find("{\"" + name + R"(": [5]})"), code::bad_value, "need to be full objects");
    }
}

TEST_F(Match, operators_that_pass_at_the_top) {
    EXPECT_TRUE(edits(R"({"$comment": "why", "$sampleRate": 0.5, "name": "x"})").empty());
    EXPECT_TRUE(edits(R"({"$alwaysTrue": 1})").empty());
    EXPECT_TRUE(edits(R"({"$alwaysFalse": 1})").empty());
}

TEST_F(Match, field_operators_and_unknown_ones_are_refused_at_the_top) {
    expect_refusal(find(R"({"$gt": 5})"), code::bad_value, "cannot stand at the top");
    expect_refusal(find(R"({"$eq": 5})"), code::bad_value, "cannot stand at the top");
    expect_refusal(find(R"({"$unheardOf": 5})"), no,
                   "Unsupported match expression operator for encryption: '$unheardOf'");
    expect_refusal(find(R"({"": 5, "$id": 5})"), no, "Unsupported match expression operator");
}

TEST_F(Match, mixed_operators_and_names_are_refused) {
    expect_refusal(find(R"({"ssn": {"$eq": 5, "x": 5}})"), no, invalid);
    // Without an operator first it is an object to compare with.
    expect_refusal(find(R"({"ssn": {"x": 5, "$eq": 5}})"), code::field_cannot_be_encrypted, "type: object");
}

TEST_F(Match, several_operators_on_one_field_are_all_looked_at) {
    EXPECT_EQ(edits(R"({"ssn": {"$exists": true, "$ne": 1, "$nin": [2, 3]}})"),
              (std::vector<std::string>{"filter.ssn.$ne=encrypt ssn", "filter.ssn.$nin[0]=encrypt ssn",
                                        "filter.ssn.$nin[1]=encrypt ssn"}));
    expect_refusal(find(R"({"ssn": {"$ne": 1, "$gt": 2}})"), no, invalid);
}

TEST_F(Match, the_same_field_twice_is_encrypted_twice) {
    bson::Buffer filter;
    bson::Builder(filter).append_int32("ssn", 1).append_int32("ssn", 2).finish();
    bson::Buffer body;
    bson::Builder(body)
        .append_string("find", "patients")
        .append_document("filter", filter)
        .append_string("$db", "medicalRecords")
        .finish();
    EXPECT_EQ(clinic.analyse(body).edits.size(), 2u);
}

TEST_F(Match, deeper_paths) {
    EXPECT_EQ(edits(R"({"insurance.agent.code": "x"})"),
              std::vector<std::string>{"filter.insurance.agent.code=encrypt insurance.agent.code"});
    expect_refusal(find(R"({"insurance.agent.code.x": "x"})"), no, "below or through");
    expect_refusal(find(R"({"medicalRecords.weight": 180})"), no, "below or through");
    expect_refusal(find(R"({"medicalRecords.0.weight": 180})"), no, "below or through");
}

TEST_F(Match, numbers_in_paths_below_protected_parents_are_refused) {
    expect_refusal(find(R"({"insurance.0.policyNumber": 5})"), no, "below or through");
    expect_refusal(find(R"({"insurance.0": 5})"), no, "below or through");
    expect_refusal(find(R"({"ssn.0": 5})"), no, "below or through");
    // The outermost value is no array: there a number is a name.
    EXPECT_TRUE(edits(R"({"0.ssn": 5, "2024": {"x": 1}})").empty());
    EXPECT_TRUE(edits(R"({"tags.0": "x"})").empty());
}

TEST_F(Match, matched_fields_are_noted_even_when_only_their_existence_is_asked) {
    const Outcome outcome = find(R"({"ssn": 5, "bloodType": {"$exists": true}, "name": "x"})");
    EXPECT_TRUE(clinic.use(outcome, "ssn").matched);
    EXPECT_TRUE(clinic.use(outcome, "bloodType").matched);
    EXPECT_FALSE(clinic.use(outcome, "insurance.policyNumber").matched);
    EXPECT_FALSE(clinic.use(outcome, "ssn").written);
}

TEST_F(Match, an_empty_set_and_an_empty_filter_pass) {
    EXPECT_TRUE(edits(R"({"ssn": {"$in": []}})").empty());
    EXPECT_TRUE(edits("{}").empty());
}

TEST_F(Match, ciphertext_as_a_value_of_a_query_is_verified) {
    EXPECT_EQ(edits(R"({"ssn": )" + ciphertext(1) + "}"), std::vector<std::string>{"filter.ssn=verify ssn"});
    expect_refusal(find(R"({"ssn": )" + ciphertext(2) + "}"), code::field_cannot_be_encrypted,
                   "binData subtype 6");
    expect_refusal(find(R"({"bloodType": )" + ciphertext(2) + "}"), no, randomized);
}

TEST_F(Match, expressions_stand_at_the_top_only) {
    expect_refusal(find(R"({"$expr": {"$gt": ["$ssn", 5]}})"), no, "");
    expect_refusal(find(R"({"$and": [{"$nor": [{"$expr": {"$gt": ["$ssn", 5]}}]}]})"), no, "");
    for (const std::string filter : {R"({"ssn": {"$expr": true}})", R"({"name": {"$expr": true}})",
                                     R"({"tags": {"$elemMatch": {"$and": [{"$expr": true}]}}})",
                                     R"({"name": {"$not": {"$expr": true}}})"})
        expect_refusal(find(filter), no, "Unsupported match expression operator for encryption: '$expr'");
}

TEST_F(Match, a_whole_object_is_encrypted_inside_if_it_gives_every_encrypted_field) {
    const std::string agent = R"({"code": "x", "name": {"first": "y"}})";
    const std::string whole = R"({"provider": "p", "agent": )" + agent + R"(, "policyNumber": 5})";
    struct Form {
        std::string predicate, path;
    };
    for (const Form& each : std::vector<Form>{{whole, ""},
                                              {R"({"$eq": )" + whole + "}", ".$eq"},
                                              {R"({"$ne": )" + whole + "}", ".$ne"},
                                              {R"({"$not": {"$eq": )" + whole + "}}", ".$not.$eq"},
                                              {R"({"$in": [null, )" + whole + "]}", ".$in[1]"},
                                              {R"({"$nin": [)" + whole + "]}", ".$nin[0]"}}) {
        const Outcome outcome = find(R"({"insurance": )" + each.predicate + "}");
        const std::string at = "filter.insurance" + each.path;
        EXPECT_EQ(outcome.edits,
                  (std::vector<std::string>{at + ".agent.code=encrypt insurance.agent.code",
                                            at + ".policyNumber=encrypt insurance.policyNumber"}))
            << outcome;
        EXPECT_TRUE(clinic.use(outcome, "insurance.policyNumber").matched);
        EXPECT_TRUE(clinic.use(outcome, "insurance.agent.code").matched);
    }
    EXPECT_EQ(edits(R"({"insurance.agent": )" + agent + "}"),
              std::vector<std::string>{"filter.insurance.agent.code=encrypt insurance.agent.code"});
    EXPECT_EQ(edits(R"({"insurance.agent": {"code": )" + ciphertext(1, 1, 2) + "}}"),
              std::vector<std::string>{"filter.insurance.agent.code=verify insurance.agent.code"});
}

TEST_F(Match, a_whole_object_that_ciphertext_cannot_equal_is_refused) {
    const auto whole = [&](const std::string& object) { return find(R"({"insurance": )" + object + "}"); };
    expect_refusal(whole(R"({"policyNumber": 5})"), no, "does not give 'insurance.agent'");
    expect_refusal(whole(R"({"policyNumber": 5, "agent": {"name": "x"}})"), no,
                   "does not give 'insurance.agent.code'");
    expect_refusal(whole(R"({"agent": {"code": "x"}})"), no, "does not give 'insurance.policyNumber'");
    expect_refusal(whole("{}"), no, "does not give");
    expect_refusal(whole(R"({"policyNumber": 5, "agent": null})"), no,
                   "anything but an object for 'insurance.agent'");
    expect_refusal(whole(R"({"policyNumber": 5, "agent": [{"code": "x"}]})"), no, "anything but an object");
    expect_refusal(whole(R"({"policyNumber": null, "agent": {"code": "x"}})"), no,
                   "Illegal equality to null predicate for encrypted field: 'insurance.policyNumber'");
    expect_refusal(whole(R"({"policyNumber": "5", "agent": {"code": "x"}})"), code::field_cannot_be_encrypted,
                   "element of type: string");
    for (const std::string name : {"a.b", "0", "", "agent.code"})
        expect_refusal(whole(R"({"policyNumber": 5, "agent": {"code": "x"}, ")" + name + R"(": 1})"), no,
                       "with the field name");
    expect_refusal(whole(R"({"policyNumber": 5, "agent": {"code": "x"}, "$x": 1})"), no,
                   "with the field name");
    expect_refusal(find(R"({"insurance": {"$eq": {"$x": 1, "policyNumber": 5, "agent": {"code": "x"}}}})"),
                   no, "with the field name");
    expect_refusal(whole(R"({"policyNumber": 5, "agent": {"code": "x", "code": "y"}})"), no,
                   "has twice 'insurance.agent.code'");
    expect_refusal(whole(R"({"policyNumber": 5, "agent": {"code": "x"}, "z": 1, "z": 2})"), no,
                   "has twice 'insurance.z'");
    expect_refusal(whole(R"({"policyNumber": 5, "agent": {"code": "x"}, "z": {"$where": "x"}})"), no,
                   "Unsupported match expression");
    expect_refusal(find(R"({"contact": {"email": "x", "phone": "y"}})"), no,
                   randomized + ": 'contact.email'");
    expect_refusal(clinic.analyse(R"({"find": "patients", "collation": {"locale": "de"}, "filter":
                                      {"insurance.agent": {"code": "x"}}})"),
                   no, "collation");
}

TEST_F(Match, a_whole_object_with_many_names_costs_no_more_than_sorting_them) {
    // Looked up one by one they would take minutes.
    bson::Buffer body;
    bson::Builder builder(body);
    builder.append_string("find", "patients").open_document("filter").open_document("insurance.agent");
    for (int i = 0; i < 200000; ++i) builder.append_int32("n" + std::to_string(i), i);
    builder.append_string("code", "x").close().close().append_string("$db", "medicalRecords").finish();
    EXPECT_EQ(clinic.analyse(body).edits.size(), 1u);
}

TEST(MatchOfVariants, an_index_on_such_a_path_may_be_on_any_field) {
    const Variants variants;
    for (const std::string path : {"murky", "murky.x"}) {
        EXPECT_TRUE(
            variants.analyse(R"({"find": "patients", "hint": {")" + path + R"(": 1}})").plan.names_index);
        expect_refusal(variants.analyse(R"({"find": "patients", "hint": {")" + path + R"(": 5}})"),
                       code::type_mismatch, "'hint'");
    }
    EXPECT_FALSE(variants.analyse(R"({"find": "patients", "hint": {"whole": 1}})").plan.names_index);
}

TEST(MatchOfVariants, a_path_that_may_be_encrypted_or_not_is_refused) {
    const Variants variants;
    for (const std::string value : {"5", "null", R"({"$exists": true})", R"({"$gt": 5})", "{}"})
        for (const std::string path : {"murky", "murky.x", "murkyParent.murky"})
            expect_refusal(
                variants.analyse(R"({"find": "patients", "filter": {")" + path + "\": " + value + "}}"), no,
                "not known until runtime: '" + path + "'");
    expect_refusal(
        variants.analyse(R"({"find": "patients", "filter": {"murkyParent": {"zip": 5, "murky": 1}}})"), no,
        "'murkyParent.murky'");
}

TEST_F(Match, error_texts_name_the_path_and_never_the_value) {
    const Outcome outcome = find(R"({"ssn": "145-01-4000"})");
    EXPECT_NE(outcome.refusal.errmsg.find("'ssn'"), std::string::npos);
    EXPECT_NE(outcome.refusal.errmsg.find("[ int ]"), std::string::npos);
    EXPECT_EQ(outcome.refusal.errmsg.find("145"), std::string::npos);
}

}  // namespace
}  // namespace fieldgate::analysis::testing
