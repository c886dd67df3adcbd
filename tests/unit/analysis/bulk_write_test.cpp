#include "support.hpp"

namespace fieldgate::analysis::testing {
namespace {

// nsInfo: 0 medicalRecords.wards (plain), 1 medicalRecords.patients, 2 other.staff (protected otherwise).
class BulkWrite : public ::testing::Test {
 protected:
    BulkWrite() {
        auto staff = std::make_shared<config::Schema>();
        staff->root_.add_child("pin").field = 0;
        staff->fields_.push_back({"pin", config::Algorithm::deterministic, config::KeyUuid{2}, {0x10}});
        clinic.config.schemas.push_back({{"other", "staff"}, staff, 1, false});
    }
    static std::string entry(const std::string& name) { return R"({"ns": ")" + name + "\"}"; }
    const std::vector<std::string> names{entry("medicalRecords.wards"), entry("medicalRecords.patients"),
                                         entry("other.staff")};

    // The same in the body, in sequences, and in sequences the other way round; all must answer alike.
    Outcome bulk(const std::vector<std::string>& ops, const std::string& more = "") const {
        const auto joined = [](const std::vector<std::string>& all) {
            std::string text;
            for (const std::string& each : all) text += (text.empty() ? "" : ", ") + each;
            return "[" + text + "]";
        };
        const std::string head = R"({"bulkWrite": 1, "$db": "admin")" + more;
        const Outcome in_body =
            clinic.analyse(head + R"(, "ops": )" + joined(ops) + R"(, "nsInfo": )" + joined(names) + "}");
        const Outcome outcome = clinic.analyse(head + "}", {{"ops", ops}, {"nsInfo", names}});
        for (const bool sections_first : {true, false}) {
            const Outcome turned =
                clinic.analyse(head + "}", {{"nsInfo", names}, {"ops", ops}}, sections_first);
            EXPECT_EQ(turned.edits, outcome.edits);
            EXPECT_EQ(turned.step, outcome.step);
        }
        EXPECT_EQ(in_body.step, outcome.step) << in_body << "\n" << outcome;
        EXPECT_EQ(in_body.edits.size(), outcome.edits.size());
        EXPECT_EQ(in_body.refusal.errmsg, outcome.refusal.errmsg);
        return outcome;
    }
    void expect_refused(const std::string& op, std::int32_t code, std::string_view text) const {
        expect_refusal(bulk({op}), code, text);
    }
    Clinic clinic;
};

TEST_F(BulkWrite, each_operation_is_looked_at_by_the_schema_of_its_namespace) {
    const Outcome outcome = bulk({
        R"({"insert": 1, "document": {"ssn": 5, "pin": 6}})",
        R"({"insert": 2, "document": {"ssn": 5, "pin": 6}})",
        R"({"insert": 0, "document": {"ssn": 5, "pin": 6}})",
        R"({"update": 1, "filter": {"ssn": 5}, "updateMods": {"$set": {"insurance.policyNumber": 7}}, "multi": false})",
        R"({"update": 2, "filter": {"pin": 5}, "updateMods": {"$set": {"ssn": 7}}})",
        R"({"delete": 1, "filter": {"ssn": {"$in": [5]}}, "multi": true})",
        R"({"delete": 0, "filter": {"ssn": {"$gt": 5}}})",
    });
    ASSERT_TRUE(outcome.passed()) << outcome;
    EXPECT_EQ(outcome.edits,
              (std::vector<std::string>{
                  "ops[0].document.ssn=encrypt ssn", "ops[1].document.pin=encrypt pin",
                  "ops[3].filter.ssn=encrypt ssn",
                  "ops[3].updateMods.$set.insurance.policyNumber=encrypt insurance.policyNumber",
                  "ops[4].filter.pin=encrypt pin", "ops[5].filter.ssn.$in[0]=encrypt ssn"}));
    const Plan& plan = outcome.plan;
    EXPECT_FALSE(plan.own_is_protected);
    EXPECT_EQ(plan.database, "medicalRecords");
    EXPECT_EQ(plan.collection, "wards");
    EXPECT_EQ(plan.others.size(), 3u);
    ASSERT_EQ(plan.fields->parts().size(), 2u);
    EXPECT_EQ(plan.shape.kind, ReplyShape::Kind::bulk_result);
    EXPECT_EQ(plan.access, Access::write);
    EXPECT_TRUE(plan.uses[clinic.field("ssn")].matched);
    EXPECT_TRUE(plan.uses[clinic.field("ssn")].written);
    EXPECT_TRUE(plan.uses[plan.fields->parts()[1].first_field].matched);
}

TEST_F(BulkWrite, what_is_done_to_whole_documents_is_noted_for_their_namespace) {
    const Outcome nothing = bulk({R"({"delete": 0, "filter": {}})", R"({"insert": 1, "document": {}})"});
    ASSERT_TRUE(nothing.passed()) << nothing;
    EXPECT_FALSE(nothing.plan.deletes);
    for (const PartUse& use : nothing.plan.part_uses)
        EXPECT_FALSE(use.deletes || use.replaces_whole_documents);
    const Outcome both =
        bulk({R"({"delete": 2, "filter": {}})", R"({"update": 1, "filter": {}, "updateMods": {"name": "x"}})",
              R"({"update": 0, "filter": {}, "updateMods": {"name": "x"}})"});
    ASSERT_TRUE(both.passed()) << both;
    EXPECT_FALSE(both.plan.part_uses[0].deletes);
    EXPECT_TRUE(both.plan.part_uses[0].replaces_whole_documents);
    EXPECT_TRUE(both.plan.part_uses[1].deletes);
    EXPECT_FALSE(both.plan.part_uses[1].replaces_whole_documents);
}

TEST_F(BulkWrite, refuses_what_the_single_commands_refuse) {
    const auto on_encrypted = code::operation_not_on_encrypted;
    expect_refused(R"({"insert": 1, "document": {"ssn": "5"}})", code::field_cannot_be_encrypted, "ssn");
    expect_refused(R"({"update": 1, "filter": {"ssn": {"$gt": 5}}, "updateMods": {"$set": {"x": 1}}})",
                   on_encrypted, "ssn");
    expect_refused(R"({"update": 1, "filter": {}, "updateMods": {"$inc": {"ssn": 1}}})", on_encrypted, "ssn");
    expect_refused(R"({"update": 1, "filter": {"ssn": 5}, "updateMods": {"$set": {"x": 1}},
                       "collation": {"locale": "de"}})",
                   on_encrypted, "collation");
    expect_refused(R"({"update": 1, "filter": {}, "updateMods": {"$set": {"x": 1}}, "sort": {"ssn": 1}})",
                   on_encrypted, "ssn");
    expect_refused(R"({"update": 1, "filter": {}, "updateMods": {"$set": {"x": 1}}, "constants": {"a": 1}})",
                   code::command_not_supported, "constants");
    expect_refused(R"({"delete": 1, "filter": {"bloodType": "A"}})", on_encrypted, "bloodType");
    expect_refused(R"({"delete": 1, "filter": {}, "hint": {"ssn": "x"}})", code::type_mismatch,
                   "index's key");
    // The same on a plain namespace is the server's business.
    EXPECT_TRUE(bulk({R"({"update": 0, "filter": {"ssn": {"$gt": 5}}, "updateMods": {"$inc": {"ssn": 1}},
                          "sort": {"ssn": 1}, "constants": {"a": 1}, "collation": {"locale": "de"}})"})
                    .passed());
}

TEST_F(BulkWrite, a_hint_is_of_the_namespace_of_its_operation) {
    const Outcome outcome = bulk({R"({"delete": 2, "filter": {}, "hint": {"pin": 1}})"});
    ASSERT_TRUE(outcome.passed()) << outcome;
    EXPECT_TRUE(outcome.plan.uses[outcome.plan.fields->parts()[1].first_field].matched);
    EXPECT_FALSE(outcome.plan.uses[clinic.field("ssn")].matched);
}

TEST_F(BulkWrite, refuses_operations_that_it_does_not_understand) {
    expect_refused("{}", code::failed_to_parse, "empty");
    expect_refused(R"({"replace": 1, "document": {}})", code::failed_to_parse, "must begin with insert");
    expect_refused(R"({"document": {}, "insert": 1})", code::failed_to_parse, "must begin with insert");
    expect_refused(R"({"insert": 3, "document": {}})", code::bad_value, "invalid nsInfo index");
    expect_refused(R"({"insert": -1, "document": {}})", code::bad_value, "invalid nsInfo index");
    expect_refused(R"({"insert": "1", "document": {}})", code::bad_value, "invalid nsInfo index");
    expect_refused(R"({"insert": 1})", code::failed_to_parse, "ops.document");
    expect_refused(R"({"update": 1, "filter": {}})", code::failed_to_parse, "ops.updateMods");
    expect_refused(R"({"delete": 1})", code::failed_to_parse, "ops.filter");
    expect_refused(R"({"insert": 1, "document": 5})", code::type_mismatch, "must be an object");
    for (const std::string index : {"0", "1"}) {
        expect_refused(R"({"insert": )" + index + R"(, "document": {}, "x": 1})", code::unknown_field,
                       "ops.x");
        expect_refused(R"({"delete": )" + index + R"(, "filter": {}, "document": {}})", code::unknown_field,
                       "ops.document");
    }
    expect_refused(R"({"update": 0, "updateMods": [{"$lookup": {"from": "patients"}}]})",
                   code::command_not_supported, "cannot stand in an update");
    expect_refused(R"({"insert": 1, "document": {}, "insert": 0})", code::failed_to_parse, "duplicate");
}

TEST_F(BulkWrite, fields_of_the_command_are_known_or_refused) {
    const std::vector<std::string> op{R"({"insert": 1, "document": {}})"};
    EXPECT_TRUE(bulk(op, R"(, "ordered": false, "errorsOnly": true, "bypassDocumentValidation": false,
                             "comment": "x", "cursor": {"batchSize": 5}, "lsid": {}, "txnNumber": 5)")
                    .passed());
    expect_refusal(bulk(op, R"(, "unheardOf": 1)"), code::unknown_field, "bulkWrite.unheardOf");
    expect_refusal(bulk(op, R"(, "ordered": {})"), code::type_mismatch, "ordered");
}

TEST_F(BulkWrite, entries_of_namespaces_are_known_or_refused) {
    const auto with = [&](const std::string& first) {
        return clinic.analyse(R"({"bulkWrite": 1, "$db": "admin"})",
                              {{"nsInfo", {first}}, {"ops", {R"({"insert": 0, "document": {}})"}}});
    };
    EXPECT_TRUE(with(names[1]).passed());
    for (const std::string name : {"medicalRecords.patients", "medicalRecords.wards"}) {
        expect_refusal(with(R"({"ns": ")" + name + R"(", "encryptionInformation": {}})"),
                       code::command_not_supported, "Queryable Encryption");
        expect_refusal(with(R"({"ns": ")" + name + R"(", "x": {}})"), code::unknown_field, "nsInfo.x");
    }
    expect_refusal(
        clinic.analyse(R"({"bulkWrite": 1, "$db": "admin", "nsInfo": [], "nsInfo": [)" + names[1] + "]}"),
        code::failed_to_parse, "duplicate");
    expect_refusal(clinic.analyse(R"({"bulkWrite": 1, "$db": "admin", "nsInfo": 5})"), code::failed_to_parse,
                   "needs nsInfo");
    clinic.catalog.facts["medicalRecords.patients"] = {.is_view = true};
    expect_refusal(with(names[1]), code::command_not_supported, "cannot auto encrypt a view");
    clinic.catalog.facts.erase("*");
    EXPECT_EQ(with(names[0]).needed, (std::vector<NamespaceName>{{"medicalRecords", "wards"}}));
}

TEST_F(BulkWrite, ciphertext_is_looked_for_in_operations_on_protected_namespaces) {
    const std::string blob = ciphertext(1);
    EXPECT_TRUE(bulk({R"({"insert": 0, "document": {"x": )" + blob + "}}"}).passed());
    expect_refused(R"({"insert": 1, "document": {"x": )" + blob + "}}", code::bad_value, "Ciphertext");
    const Outcome fits = bulk({R"({"insert": 1, "document": {"ssn": )" + blob + "}}"});
    EXPECT_EQ(fits.edits, std::vector<std::string>{"ops[0].document.ssn=verify ssn"});
    clinic.config.schemas[1].explicit_encryption_allow = true;
    const Outcome allowed = bulk({R"({"insert": 2, "document": {"x": )" + blob + "}}"});
    EXPECT_TRUE(allowed.passed()) << allowed;
    EXPECT_TRUE(allowed.plan.carries_foreign_ciphertext);
    expect_refused(R"({"insert": 1, "document": {"x": )" + blob + "}}", code::bad_value, "Ciphertext");
}

TEST_F(BulkWrite, results_name_new_documents_by_what_their_namespaces_encrypt) {
    const std::vector<std::string> op{R"({"insert": 1, "document": {}})"};
    EXPECT_EQ(bulk(op).plan.shape.tree->child("_id"), nullptr);
    auto staff = std::make_shared<config::Schema>();
    staff->root_.add_child("_id").add_child("pin").field = 0;
    staff->fields_.push_back({"_id.pin", config::Algorithm::deterministic, config::KeyUuid{2}, {0x10}});
    clinic.config.schemas[1].schema = staff;
    const Outcome one = bulk(op);
    const config::SchemaNode* id = one.plan.shape.tree->child("_id");
    ASSERT_NE(id, nullptr);
    EXPECT_EQ(id->child("pin")->field, one.plan.fields->parts()[1].first_field);
    clinic.config.schemas.push_back({{"medicalRecords", "wards"}, staff, 2, false});
    EXPECT_TRUE(bulk(op).plan.shape.tree->child("_id")->unknown);
}

TEST_F(BulkWrite, its_results_belong_to_no_collection) {
    const Outcome more = clinic.analyse(
        R"({"getMore": {"$numberLong": "42"}, "collection": "$cmd.bulkWrite", "$db": "admin"})");
    EXPECT_TRUE(more.passed()) << more;
    EXPECT_TRUE(more.plan.continues_bulk_write);
    EXPECT_EQ(more.plan.cursor_id, 42);
    EXPECT_EQ(more.plan.access, Access::none);
    EXPECT_TRUE(
        clinic.analyse(R"({"killCursors": "$cmd.bulkWrite", "cursors": [], "$db": "admin"})").passed());
}

TEST_F(BulkWrite, operations_are_looked_at_in_slices) {
    std::vector<std::string> ops(200, R"({"insert": 1, "document": {"ssn": 5}})");
    const bson::Buffer body = json(R"({"bulkWrite": 1, "$db": "admin"})");
    const Outcome outcome = clinic.analyse(body, {{"ops", ops}, {"nsInfo", names}}, false, 100);
    EXPECT_TRUE(outcome.passed());
    EXPECT_EQ(outcome.edits.size(), 200u);
    EXPECT_GT(clinic.steps, 50u);
}

}  // namespace
}  // namespace fieldgate::analysis::testing
