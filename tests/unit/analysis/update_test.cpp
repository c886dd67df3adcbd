#include "proxy/analysis/updates.hpp"

#include <algorithm>

#include "support.hpp"

namespace fieldgate::analysis::testing {
namespace {

constexpr auto no = code::operation_not_on_encrypted;

// Beside the table of update_matrix_test.cpp.
class Update : public ::testing::Test {
 protected:
    Outcome update(const std::string& u, const std::string& more = "", const std::string& q = "{}") const {
        return clinic.analyse(R"({"update": "patients"})",
                              {{"updates", {R"({"q": )" + q + R"(, "u": )" + u + more + "}"}}});
    }
    std::vector<std::string> edits(const std::string& u) const {
        const Outcome outcome = update(u);
        EXPECT_TRUE(outcome.passed()) << u << ": " << outcome;
        return outcome.edits;
    }
    Clinic clinic;
};

TEST_F(Update, set_encrypts_values_at_protected_paths) {
    EXPECT_EQ(edits(R"({"$set": {"ssn": 5, "name": "x", "bloodType": "AB+", "insurance.policyNumber": 7}})"),
              (std::vector<std::string>{
                  "updates[0].u.$set.ssn=encrypt ssn", "updates[0].u.$set.bloodType=encrypt bloodType",
                  "updates[0].u.$set.insurance.policyNumber=encrypt insurance.policyNumber"}));
    EXPECT_EQ(edits(R"({"$setOnInsert": {"ssn": 5, "medicalRecords": []}})"),
              (std::vector<std::string>{"updates[0].u.$setOnInsert.ssn=encrypt ssn",
                                        "updates[0].u.$setOnInsert.medicalRecords=encrypt medicalRecords"}));
}

TEST_F(Update, set_of_a_parent_encrypts_inside_and_erases_the_rest) {
    const Outcome outcome = update(R"({"$set": {"insurance": {"provider": "x", "policyNumber": 5}}})");
    EXPECT_EQ(outcome.edits, std::vector<std::string>{
                                 "updates[0].u.$set.insurance.policyNumber=encrypt insurance.policyNumber"});
    EXPECT_TRUE(clinic.use(outcome, "insurance.policyNumber").written);
    EXPECT_FALSE(clinic.use(outcome, "insurance.policyNumber").erased);
    EXPECT_TRUE(clinic.use(outcome, "insurance.agent.code").erased);
    EXPECT_FALSE(clinic.use(outcome, "ssn").erased);

    const Outcome inner = update(R"({"$set": {"insurance.agent": {"name": "x"}}})");
    EXPECT_TRUE(clinic.use(inner, "insurance.agent.code").erased);
    EXPECT_FALSE(clinic.use(inner, "insurance.policyNumber").erased);

    const Outcome on_insert = update(R"({"$setOnInsert": {"insurance": {"policyNumber": 5}}})");
    EXPECT_EQ(on_insert.edits.size(), 1u);
    EXPECT_FALSE(clinic.use(on_insert, "insurance.agent.code").erased);
}

TEST_F(Update, set_of_a_parent_to_null_erases_everything_below) {
    const Outcome outcome = update(R"({"$set": {"insurance": null}})");
    EXPECT_TRUE(outcome.passed()) << outcome;
    EXPECT_TRUE(clinic.use(outcome, "insurance.policyNumber").erased);
    EXPECT_TRUE(clinic.use(outcome, "insurance.agent.code").erased);
    for (const std::string value : {"[]", "5", R"("x")", R"([{"policyNumber": 5}])"})
        expect_refusal(update(R"({"$set": {"insurance": )" + value + "}}"), code::field_cannot_be_encrypted,
                       "contains encrypted fields");
}

TEST_F(Update, values_of_the_wrong_type_are_refused) {
    expect_refusal(
        update(R"({"$set": {"ssn": "5"}})"), code::field_cannot_be_encrypted,
        "Cannot encrypt element of type: string because schema requires that type is one of: [ int ]");
    expect_refusal(update(R"({"$set": {"ssn": null}})"), code::field_cannot_be_encrypted, "of type: null");
    expect_refusal(update(R"({"$setOnInsert": {"note": null}})"), code::field_cannot_be_encrypted,
                   "of type: null");
    expect_refusal(update(R"({"$set": {"seen": {"$timestamp": {"t": 0, "i": 0}}}})"),
                   code::field_cannot_be_encrypted, "Timestamp(0, 0)");
    EXPECT_EQ(edits(R"({"$set": {"seen": {"$timestamp": {"t": 0, "i": 1}}}})").size(), 1u);
}

TEST_F(Update, unset_erases) {
    const Outcome outcome = update(R"({"$unset": {"ssn": "", "contact": "", "name": ""}})");
    EXPECT_TRUE(outcome.passed()) << outcome;
    EXPECT_TRUE(outcome.edits.empty());
    EXPECT_TRUE(clinic.use(outcome, "ssn").erased);
    EXPECT_TRUE(clinic.use(outcome, "contact.email").erased);
    EXPECT_FALSE(clinic.use(outcome, "ssn").written);
    EXPECT_FALSE(clinic.use(outcome, "bloodType").erased);
    EXPECT_FALSE(outcome.plan.part_uses[0].replaces_whole_documents);
}

TEST_F(Update, rename_is_refused_on_either_side) {
    expect_refusal(update(R"({"$rename": {"name": "ssn"}})"), no, "$rename between two encrypted fields");
    expect_refusal(update(R"({"$rename": {"ssn": "bloodType"}})"), no, "$rename between");
    expect_refusal(update(R"({"$rename": {"ssn": "name"}})"), no, "$rename between");
    expect_refusal(update(R"({"$rename": {"insurance": "contact"}})"), no, "$rename between");
    expect_refusal(update(R"({"$rename": {"name": "insurance"}})"), no, "$rename between");
    expect_refusal(update(R"({"$rename": {"name": "ssn.x"}})"), no, "$rename between");
    expect_refusal(update(R"({"$rename": {"name": 5}})"), code::bad_value, "must be a string");
    expect_refusal(update(R"({"$rename": {"name": "insurance.$[].policyNumber"}})"), code::bad_value,
                   "plain path");
    EXPECT_TRUE(edits(R"({"$rename": {"name": "fullName"}})").empty());
}

TEST(UpdateOfVariants, rename_moves_between_fields_that_are_encrypted_alike) {
    const Variants variants;
    const auto rename = [&](const std::string& from, const std::string& to) {
        return variants.analyse(R"({"update": "patients", "updates": [{"q": {}, "u": {"$rename": {")" + from +
                                R"(": ")" + to + "\"}}}]}");
    };
    struct Pair {
        std::string from, to;
        std::vector<std::string> fields;
    };
    for (const Pair& each :
         std::vector<Pair>{{"twin", "other", {"twin", "other"}},
                           {"other", "twin", {"twin", "other"}},
                           {"alias", "aliasToo", {"alias", "aliasToo"}},
                           {"home", "work", {"home.zip", "home.town", "work.zip", "work.town"}},
                           {"home.zip", "work.zip", {"home.zip", "work.zip"}},
                           {"home.zip", "whole", {"home.zip", "whole"}}}) {
        const Outcome outcome = rename(each.from, each.to);
        EXPECT_TRUE(outcome.passed()) << outcome;
        EXPECT_TRUE(outcome.edits.empty());
        // Values of one field become readable as those of the other.
        EXPECT_TRUE(outcome.plan.requires_reveal_everything);
        for (std::size_t i = 0; i < variants.schema->fields().size(); ++i) {
            const bool moved =
                std::count(each.fields.begin(), each.fields.end(), variants.schema->fields()[i].path) > 0;
            EXPECT_EQ(outcome.plan.uses[i].written, moved) << i;
            EXPECT_EQ(outcome.plan.uses[i].erased, moved) << i;
            EXPECT_FALSE(outcome.plan.uses[i].matched);
        }
    }
    for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
             {"whole", "long"},          // another type
             {"whole", "twin"},          // another key
             {"whole", "alias"},         // a key named in another way
             {"whole", "ratio"},         // another algorithm
             {"secret", "deep.secret"},  // keys that only the documents know
             {"home", "club"},           // other fields below
             {"club", "home"},
             {"home", "whole"},
             {"whole", "home"},
             {"murkyParent", "home"},
             {"murkyParent", "murkyParent"},
             {"murky", "murky"},
             {"twin", "other.x"},
             {"twin.x", "other.x"},
             {"twin", "plain"},
             {"plain", "twin"}})
        expect_refusal(rename(from, to), no,
                       "$rename between two encrypted fields must have the same metadata");
    const Outcome plain = rename("home.street", "work.street");
    EXPECT_TRUE(plain.passed()) << plain;
    EXPECT_FALSE(plain.plan.requires_reveal_everything);
}

TEST(UpdateOfVariants, what_may_be_encrypted_or_not_is_left_alone) {
    const Variants variants;
    for (const UpdateOperator& op : update_operators())
        for (const std::string path : {"murky", "murky.x", "murkyParent.murky"})
            expect_refusal(variants.analyse(R"({"update": "patients", "updates": [{"q": {}, "u": {")" +
                                            std::string(op.name) + R"(": {")" + path + R"(": "x"}}}]})"),
                           no, std::string(op.phrase));
    expect_refusal(variants.analyse(R"({"update": "patients", "updates": [{"q": {}, "u": {"murky": 5}}]})"),
                   code::bad_value, "not known until runtime");
}

TEST_F(Update, positional_paths_that_could_reach_a_protected_field_are_refused) {
    const std::string array = "Array update operations not allowed on encrypted values";
    const std::string below = "Cannot encrypt fields below '$' positional update operator";
    for (const UpdateOperator& row : update_operators()) {
        const std::string op(row.name);
        for (const std::string path :
             {"insurance.$[].policyNumber", "insurance.$[i].policyNumber", "medicalRecords.$[]",
              "medicalRecords.$[i].weight", "insurance.$[]", "ssn.$[]"})
            expect_refusal(update("{\"" + op + "\": {\"" + path + "\": \"x\"}}"), no, array);
        for (const std::string path :
             {"insurance.$.policyNumber", "medicalRecords.$", "medicalRecords.$.weight", "insurance.$",
              "insurance.agent.$.code", "$.ssn"})
            expect_refusal(update("{\"" + op + "\": {\"" + path + "\": \"x\"}}"), no, below);
    }
    EXPECT_TRUE(edits(R"({"$set": {"visits.$[v].ward": 3, "tags.$": "x"}})").empty());
}

TEST_F(Update, array_filters_are_plain_conditions) {
    EXPECT_TRUE(
        update(R"({"$set": {"visits.$[v].ward": 3}})", R"(, "arrayFilters": [{"v.year": {"$gt": 2020}}])")
            .passed());
    expect_refusal(
        update(R"({"$set": {"visits.$[v].ward": 3}})", R"(, "arrayFilters": [{"v": {"$expr": 1}}])"), no,
        "Unsupported match expression operator");
    expect_refusal(
        update(R"({"$set": {"visits.$[v].ward": 3}})", R"(, "arrayFilters": [{"v": )" + ciphertext(1) + "}]"),
        code::bad_value, "Ciphertext (binData subtype 6)");
    expect_refusal(update(R"({"$set": {"x": 3}})", R"(, "arrayFilters": {})"), code::type_mismatch,
                   "arrayFilters");
    expect_refusal(update(R"({"$set": {"x": 3}})", R"(, "arrayFilters": [5])"), code::type_mismatch,
                   "array of objects");
    for (const std::string never : {"$where", "$text", "$jsonSchema", "$function", "$accumulator"})
        expect_refusal(
            update(R"({"$set": {"visits.$[v].ward": 3}})",
                   R"(, "arrayFilters": [{"$or": [{"v.x": {"$elemMatch": {")" + never + R"(": "x"}}}]}])"),
            no, "Unsupported match expression operator");
    EXPECT_TRUE(update(R"({"$set": {"visits.$[v].ward": 3}})",
                       R"(, "arrayFilters": [{"$or": [{"v.year": 5}, {"v.tags": {"$all": [1]}}]}])")
                    .passed());
}

TEST_F(Update, a_replacement_is_encrypted_like_an_insert) {
    const Outcome outcome = update(R"({"name": "x", "ssn": 5, "insurance": {"policyNumber": 6}})");
    EXPECT_EQ(outcome.edits, (std::vector<std::string>{
                                 "updates[0].u.ssn=encrypt ssn",
                                 "updates[0].u.insurance.policyNumber=encrypt insurance.policyNumber"}));
    EXPECT_TRUE(outcome.plan.part_uses[0].replaces_whole_documents);
    EXPECT_TRUE(update("{}").plan.part_uses[0].replaces_whole_documents);
    EXPECT_FALSE(update(R"({"$set": {"ssn": 5}})").plan.part_uses[0].replaces_whole_documents);
}

TEST_F(Update, mixtures_of_operators_and_fields_are_refused) {
    expect_refusal(update(R"({"ssn": 5, "$set": {"name": "x"}})"), code::failed_to_parse, "operator '$set'");
    expect_refusal(update(R"({"$set": {"name": "x"}, "ssn": 5})"), no, "'ssn'");
    expect_refusal(update(R"({"$unheardOf": {"name": "x"}})"), no, "'$unheardOf'");
    expect_refusal(update(R"({"$set": 5})"), code::failed_to_parse, "needs an object");
    expect_refusal(update("5"), code::type_mismatch, "must be an object");
}

TEST_F(Update, pipelines_leave_encrypted_fields_alone) {
    EXPECT_TRUE(update(R"([{"$set": {"name": "x"}}])").passed());
    EXPECT_TRUE(update("[]").passed());
    EXPECT_FALSE(update(R"([{"$set": {"name": "x"}}])").plan.part_uses[0].replaces_whole_documents);
    expect_refusal(update(R"([{"$set": {"ssn": 5}}])"), no, "aggregation expression syntax");
    expect_refusal(update(R"([{"$unset": "ssn"}])"), no, "aggregation expression syntax");
}

TEST_F(Update, pull_takes_conditions_and_push_takes_values) {
    EXPECT_TRUE(edits(R"({"$pull": {"visits": {"ward": {"$in": [1, 2]}, "year": {"$gt": 2020}}}})").empty());
    EXPECT_TRUE(edits(R"({"$push": {"visits": {"$each": [{"$where": 1}], "$sort": {"x": 1}, "$slice": 5}}})")
                    .empty());
    for (const std::string never : {"$where", "$text", "$jsonSchema", "$expr"})
        expect_refusal(update(R"({"$pull": {"visits": {"$or": [{")" + never + R"(": "x"}]}}})"), no,
                       "Unsupported match expression operator");
}

TEST_F(Update, the_query_is_a_filter) {
    const Outcome outcome = update(R"({"$set": {"name": "x"}})", "", R"({"ssn": 5})");
    EXPECT_EQ(outcome.edits, std::vector<std::string>{"updates[0].q.ssn=encrypt ssn"});
    EXPECT_TRUE(clinic.use(outcome, "ssn").matched);
    EXPECT_FALSE(clinic.use(outcome, "ssn").written);
    expect_refusal(update(R"({"$set": {"name": "x"}})", "", R"({"ssn": {"$gt": 5}})"), no,
                   "Invalid match expression");
}

TEST_F(Update, an_upsert_writes_what_its_filter_compares) {
    const Outcome outcome = update(R"({"$set": {"name": "x"}})", R"(, "upsert": true)", R"({"ssn": 5})");
    EXPECT_TRUE(clinic.use(outcome, "ssn").written);
    const Outcome not_upsert = update(R"({"$set": {"name": "x"}})", R"(, "upsert": false)", R"({"ssn": 5})");
    EXPECT_FALSE(clinic.use(not_upsert, "ssn").written);
}

TEST_F(Update, an_upsert_of_one_statement_says_nothing_about_another) {
    const Outcome outcome =
        clinic.analyse(R"({"update": "patients"})",
                       {{"updates",
                         {R"({"q": {"ssn": 5}, "u": {"$set": {"name": "x"}}})",
                          R"({"q": {"name": 5}, "u": {"$set": {"name": "y"}}, "upsert": true})"}}});
    EXPECT_TRUE(outcome.passed()) << outcome;
    EXPECT_FALSE(clinic.use(outcome, "ssn").written);
}

TEST_F(Update, a_collation_with_a_protected_predicate_is_refused) {
    const std::string german = R"(, "collation": {"locale": "de"})";
    expect_refusal(update(R"({"$set": {"name": "x"}})", german, R"({"ssn": 5})"), no, "collation");
    EXPECT_TRUE(update(R"({"$set": {"name": "x"}})", german, R"({"name": "y"})").passed());
    EXPECT_TRUE(
        update(R"({"$set": {"name": "x"}})", R"(, "collation": {"locale": "simple"})", R"({"ssn": 5})")
            .passed());
    EXPECT_TRUE(update(R"({"$set": {"name": "x"}})", R"(, "collation": {})", R"({"ssn": 5})").passed());
}

TEST_F(Update, unknown_and_duplicate_fields_of_statements_are_refused) {
    expect_refusal(update(R"({"$set": {"name": "x"}})", R"(, "badField": 1)"), code::unknown_field,
                   "'updates.badField' is an unknown field");
    expect_refusal(update(R"({"$set": {"name": "x"}})", R"(, "c": {"x": 1})"), code::command_not_supported,
                   "not supported");
    expect_refusal(update(R"({"$set": {"name": "x"}})", R"(, "u": {"$set": {"ssn": 5}})"),
                   code::failed_to_parse, "'updates.u' is a duplicate field");
    expect_refusal(update(R"({"$set": {"name": "x"}})", R"(, "sort": {"ssn": 1})"), no, "Cannot sort");
    expect_refusal(update(R"({"$set": {"name": "x"}})", R"(, "multi": {"ssn": 5})"), code::type_mismatch,
                   "'multi'");
    expect_refusal(update(R"({"$set": {"name": "x"}})", R"(, "hint": {"ssn": 145014000})"),
                   code::type_mismatch, "'hint'");
}

TEST_F(Update, ciphertext_at_a_protected_path_is_verified) {
    EXPECT_EQ(edits(R"({"$set": {"ssn": )" + ciphertext(1) + R"(, "bloodType": )" + ciphertext(2) + "}}"),
              (std::vector<std::string>{"updates[0].u.$set.ssn=verify ssn",
                                        "updates[0].u.$set.bloodType=verify bloodType"}));
    expect_refusal(update(R"({"$set": {"name": )" + ciphertext(1) + "}}"), code::bad_value, "Ciphertext");
    expect_refusal(update(R"({"$push": {"tags": [)" + ciphertext(2) + "]}}"), code::bad_value, "Ciphertext");
}

TEST_F(Update, find_and_modify_is_analysed_like_an_update) {
    for (const std::string name : {"findAndModify", "findandmodify"}) {
        const auto modify = [&](const std::string& more) {
            return clinic.analyse("{\"" + name + R"(": "patients", "query": {"ssn": 5}, )" + more + "}");
        };
        const Outcome outcome =
            modify(R"("update": {"$set": {"bloodType": "0-"}}, "new": true, "fields": {"name": 1})");
        EXPECT_EQ(outcome.edits, (std::vector<std::string>{"query.ssn=encrypt ssn",
                                                           "update.$set.bloodType=encrypt bloodType"}));
        EXPECT_EQ(outcome.plan.shape.kind, ReplyShape::Kind::value);
        EXPECT_EQ(outcome.plan.shape.tree.get(), &clinic.schema->root());
        EXPECT_EQ(outcome.plan.access, Access::write);
        EXPECT_FALSE(outcome.plan.deletes);
        EXPECT_TRUE(modify(R"("remove": true)").plan.deletes);
        EXPECT_FALSE(modify(R"("remove": false, "update": {"$set": {"name": "x"}})").plan.deletes);
        EXPECT_TRUE(
            clinic.use(modify(R"("update": {"$set": {"name": "x"}}, "upsert": true)"), "ssn").written);
        EXPECT_TRUE(modify(R"("update": {"ssn": 6})").plan.part_uses[0].replaces_whole_documents);
        EXPECT_TRUE(modify(R"("update": [{"$set": {"name": "x"}}])").passed());
        expect_refusal(modify(R"("update": [{"$set": {"ssn": 5}}])"), no, "aggregation expression syntax");
        expect_refusal(modify(R"("update": {"$inc": {"ssn": 1}})"), no, "$inc and $mul");
        expect_refusal(modify(R"("sort": {"ssn": 1}, "remove": true)"), no, "Cannot sort");
        expect_refusal(modify(R"("fields": {"x": {"$add": ["$ssn", 1]}}, "remove": true)"), no,
                       "$add is not allowed on encrypted field '$ssn'");
        const Outcome renamed = modify(R"("fields": {"x": "$ssn"}, "remove": true)");
        ASSERT_TRUE(renamed.passed()) << renamed;
        ASSERT_NE(renamed.plan.shape.tree->child("x"), nullptr);
        EXPECT_EQ(renamed.plan.shape.tree->child("x")->field, clinic.field("ssn"));
        expect_refusal(modify(R"("let": 5, "remove": true)"), code::type_mismatch, "'let' must be an object");
        expect_refusal(modify(R"("badField": 1, "remove": true)"), code::unknown_field, "unknown field");
        expect_refusal(modify(R"("collation": {"locale": "de"}, "remove": true)"), no, "collation");
    }
}

}  // namespace
}  // namespace fieldgate::analysis::testing
