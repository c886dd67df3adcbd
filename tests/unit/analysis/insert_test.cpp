#include "support.hpp"

namespace fieldgate::analysis::testing {
namespace {

constexpr auto wrong = code::field_cannot_be_encrypted;

class Insert : public ::testing::Test {
 protected:
    Outcome insert(const std::string& document) const {
        return clinic.analyse(R"({"insert": "patients"})", {{"documents", {document}}});
    }
    // One document whose element is added by `add`: for what extended JSON cannot say.
    template <class Add>
    Outcome insert_built(Add add) const {
        bson::Buffer body;
        bson::Builder builder(body);
        builder.append_string("insert", "patients").open_array("documents").open_document("0");
        add(builder);
        builder.close().close().append_string("$db", "medicalRecords").finish();
        return clinic.analyse(body);
    }
    Clinic clinic;
};

TEST_F(Insert, every_protected_field_is_encrypted_and_nothing_else) {
    const Outcome outcome = insert(
        R"({"_id": 1, "name": "Jon", "ssn": 145014000, "bloodType": "AB+",
            "medicalRecords": [{"weight": 180, "bloodPressure": "120/80"}],
            "insurance": {"provider": "MaestCare", "policyNumber": 123142, "agent": {"code": "a", "name": "b"}},
            "dateOfBirth": {"$date": "1970-01-01T00:00:00Z"}, "contact": {"email": "a@b.c", "phone": "1"}})");
    EXPECT_EQ(outcome.edits, (std::vector<std::string>{
                                 "documents[0].ssn=encrypt ssn", "documents[0].bloodType=encrypt bloodType",
                                 "documents[0].medicalRecords=encrypt medicalRecords",
                                 "documents[0].insurance.policyNumber=encrypt insurance.policyNumber",
                                 "documents[0].insurance.agent.code=encrypt insurance.agent.code",
                                 "documents[0].dateOfBirth=encrypt dateOfBirth",
                                 "documents[0].contact.email=encrypt contact.email"}))
        << outcome;
    EXPECT_TRUE(clinic.use(outcome, "ssn").written);
    EXPECT_FALSE(clinic.use(outcome, "ssn").erased);
    EXPECT_FALSE(clinic.use(outcome, "note").written);
    EXPECT_EQ(outcome.plan.shape.kind, ReplyShape::Kind::write_result);
    EXPECT_EQ(outcome.plan.access, Access::write);
    EXPECT_FALSE(outcome.plan.part_uses[0].replaces_whole_documents);
}

TEST_F(Insert, documents_in_the_body_are_encrypted_too) {
    const Outcome outcome =
        clinic.analyse(R"({"insert": "patients", "documents": [{"ssn": 1}, {"ssn": 2}]})");
    EXPECT_EQ(outcome.edits,
              (std::vector<std::string>{"documents[0].ssn=encrypt ssn", "documents[1].ssn=encrypt ssn"}));
}

TEST_F(Insert, sections_may_come_before_the_body) {
    for (const bool sections_first : {false, true}) {
        const Outcome outcome = clinic.analyse(
            R"({"insert": "patients"})",
            {{"documents", {R"({"ssn": 1})", R"({"bloodType": "0-", "ssn": 2})"}}}, sections_first);
        EXPECT_EQ(outcome.edits, (std::vector<std::string>{"documents[0].ssn=encrypt ssn",
                                                           "documents[1].bloodType=encrypt bloodType",
                                                           "documents[1].ssn=encrypt ssn"}));
    }
}

TEST_F(Insert, values_of_the_wrong_type_are_refused_with_what_the_schema_requires) {
    expect_refusal(
        insert(R"({"ssn": "x"})"), wrong,
        "Cannot encrypt element of type: string because schema requires that type is one of: [ int ]");
    expect_refusal(insert(R"({"ssn": {"$numberLong": "5"}})"), wrong, "element of type: long");
    expect_refusal(insert(R"({"ssn": 5.0})"), wrong, "element of type: double");
    expect_refusal(insert(R"({"ssn": [5]})"), wrong, "element of type: array");
    expect_refusal(insert(R"({"ssn": {}})"), wrong, "element of type: object");
    expect_refusal(insert(R"({"ssn": null})"), wrong, "element of type: null");
    expect_refusal(insert(R"({"ssn": true})"), wrong, "element of type: bool");
    expect_refusal(insert(R"({"bloodType": 5})"), wrong, "element of type: int");
    expect_refusal(insert(R"({"medicalRecords": {}})"), wrong, "element of type: object");
    expect_refusal(insert(R"({"insurance": {"policyNumber": "x"}})"), wrong, "'insurance.policyNumber'");
}

TEST_F(Insert, a_random_field_without_types_takes_what_can_be_encrypted) {
    for (const std::string value : {"5", R"("x")", "[1]", "{}", "true", "1.5"})
        EXPECT_EQ(insert(R"({"note": )" + value + "}").edits.size(), 1u) << value;
    for (const std::string value :
         {"null", R"({"$minKey": 1})", R"({"$maxKey": 1})", R"({"$undefined": true})"})
        expect_refusal(insert(R"({"note": )" + value + "}"), wrong, "Cannot encrypt element of type");
}

TEST_F(Insert, the_zero_timestamp_is_refused) {
    expect_refusal(insert(R"({"seen": {"$timestamp": {"t": 0, "i": 0}}})"), wrong,
                   "A command that inserts cannot supply Timestamp(0, 0) for an encrypted");
    EXPECT_EQ(insert(R"({"seen": {"$timestamp": {"t": 1, "i": 0}}})").edits.size(), 1u);
}

TEST_F(Insert, arrays_and_scalars_where_the_schema_has_an_object_are_refused) {
    expect_refusal(insert(R"({"insurance": [{"policyNumber": 5}]})"), wrong, "element of type: array");
    expect_refusal(insert(R"({"insurance": "x"})"), wrong, "[ object ]");
    expect_refusal(insert(R"({"insurance": {"agent": [{"code": "x"}]}})"), wrong, "'insurance.agent'");
    EXPECT_TRUE(insert(R"({"insurance": null})").passed());
    EXPECT_TRUE(insert(R"({"insurance": {}})").passed());
}

TEST_F(Insert, a_protected_field_that_stands_twice_is_refused) {
    expect_refusal(insert_built([](bson::Builder& b) { b.append_int32("ssn", 1).append_int32("ssn", 2); }),
                   code::bad_value, "'ssn' stands twice");
    expect_refusal(insert_built([](bson::Builder& b) {
                       b.append_int32("ssn", 1).append_string("x", "y").append_null("ssn");
                   }),
                   code::bad_value, "'ssn' stands twice");
    expect_refusal(insert_built([](bson::Builder& b) {
                       b.open_document("insurance").append_int32("policyNumber", 1).close();
                       b.open_document("insurance").append_int32("policyNumber", 2).close();
                   }),
                   code::bad_value, "'insurance' stands twice");
    expect_refusal(insert_built([](bson::Builder& b) {
                       b.open_document("insurance")
                           .append_int32("policyNumber", 1)
                           .append_int32("policyNumber", 2)
                           .close();
                   }),
                   code::bad_value, "'insurance.policyNumber' stands twice");
    EXPECT_TRUE(insert_built([](bson::Builder& b) { b.append_int32("x", 1).append_int32("x", 2); }).passed());
}

TEST_F(Insert, names_with_dots_that_read_like_protected_paths_are_refused) {
    expect_refusal(insert(R"({"insurance.policyNumber": 5})"), code::bad_value, "contains a dot");
    expect_refusal(insert(R"({"ssn.x": 5})"), code::bad_value, "contains a dot");
    expect_refusal(insert(R"({"insurance": {"agent.code": "x"}})"), code::bad_value, "contains a dot");
    EXPECT_TRUE(insert(R"({"a.b": 5, "insurance": {"x.y": 1}})").passed());
}

TEST_F(Insert, plain_subtrees_with_protected_names_in_them_are_plain) {
    EXPECT_TRUE(insert(R"({"other": {"ssn": 5, "insurance": {"policyNumber": 6}}, "list": [{"ssn": 5}]})")
                    .edits.empty());
}

TEST_F(Insert, ciphertext_passes_only_at_fitting_protected_paths) {
    EXPECT_EQ(insert(R"({"ssn": )" + ciphertext(1) + "}").edits,
              std::vector<std::string>{"documents[0].ssn=verify ssn"});
    expect_refusal(insert(R"({"ssn": )" + ciphertext(2) + "}"), wrong, "binData subtype 6");
    expect_refusal(insert(R"({"bloodType": )" + ciphertext(1) + "}"), wrong, "binData subtype 6");
    expect_refusal(insert(R"({"note": )" + ciphertext(0) + "}"), wrong, "binData subtype 6");
    expect_refusal(insert(R"({"note": {"$binary": {"base64": "", "subType": "06"}}})"), wrong,
                   "binData subtype 6");
    for (const int kind : {0, 1, 2, 3, 7}) {
        expect_refusal(insert(R"({"name": )" + ciphertext(kind) + "}"), code::bad_value,
                       "Ciphertext (binData subtype 6)");
        expect_refusal(insert(R"({"x": {"y": [1, {"z": )" + ciphertext(kind) + "}]}}"), code::bad_value,
                       "at 'z'");
    }
    // One that is inside a value about to be encrypted would become plaintext of the field.
    expect_refusal(insert(R"({"medicalRecords": [)" + ciphertext(1) + "]}"), code::bad_value, "Ciphertext");
    EXPECT_TRUE(insert(R"({"name": {"$binary": {"base64": "AQID", "subType": "00"}}})").passed());
}

TEST_F(Insert, explicit_encryption_lets_stored_kinds_in_and_says_so) {
    clinic.config.schemas[0].explicit_encryption_allow = true;
    for (const int kind : {1, 2}) {
        const Outcome outcome = insert(R"({"name": )" + ciphertext(kind) + "}");
        EXPECT_TRUE(outcome.passed()) << outcome;
        EXPECT_TRUE(outcome.plan.carries_foreign_ciphertext);
    }
    for (const int kind : {0, 3})
        expect_refusal(insert(R"({"name": )" + ciphertext(kind) + "}"), code::bad_value, "Ciphertext");
    EXPECT_FALSE(insert(R"({"name": "x", "ssn": )" + ciphertext(1) + "}").plan.carries_foreign_ciphertext);
}

TEST_F(Insert, ciphertext_elsewhere_in_the_command_is_refused) {
    for (const std::string field : {"comment", "writeConcern", "lsid"})
        expect_refusal(
            clinic.analyse(R"({"insert": "patients", ")" + field + R"(": {"x": )" + ciphertext(1) + "}}",
                           {{"documents", {R"({"ssn": 1})"}}}),
            code::bad_value, "Ciphertext");
}

TEST_F(Insert, a_protected_id_must_be_given) {
    clinic.schema->root_.add_child("_id").field = 0;
    expect_refusal(insert(R"({"name": "x"})"), code::bad_value, "'_id'");
    EXPECT_EQ(insert(R"({"_id": 5})").edits.size(), 1u);
    expect_refusal(
        clinic.analyse(
            R"({"update": "patients", "updates": [{"q": {}, "u": {"$set": {"x": 1}}, "upsert": true}]})"),
        code::operation_not_on_encrypted, "An upsert where '_id' is encrypted");
}

TEST_F(Insert, a_malformed_document_is_refused) {
    // A string that reaches beyond its document, which the top level of the message does not show.
    bson::Buffer malformed = json(R"({"a": "c"})");
    malformed[7] = 0x7F;
    for (const bool is_protected : {true, false}) {
        bson::Buffer body;
        bson::Builder builder(body);
        builder.append_string("insert", is_protected ? "patients" : "wards").open_array("documents");
        builder.append_document("0", malformed).close().append_string("$db", "medicalRecords").finish();
        const Outcome outcome = clinic.analyse(body);
        EXPECT_EQ(outcome.passed(), !is_protected) << outcome;
        if (is_protected) expect_refusal(outcome, code::invalid_bson, "not valid BSON");
    }
}

TEST_F(Insert, documents_nested_too_deep_are_refused) {
    const auto nested = [](int levels) {
        std::string text = "1";
        for (int i = 0; i < levels; ++i) text = R"({"a": )" + text + "}";
        return R"({"x": )" + text + "}";
    };
    clinic.config.limits.nesting_levels = 20;
    EXPECT_TRUE(insert(nested(20)).passed());
    expect_refusal(insert(nested(21)), code::invalid_bson, "not valid BSON");
}

TEST_F(Insert, long_sequences_are_walked_in_slices) {
    std::vector<std::string> documents(1000, R"({"ssn": 1, "name": "somebody with a name"})");
    const bson::Buffer body = json(R"({"insert": "patients", "$db": "medicalRecords"})");
    const Outcome outcome = clinic.analyse(body, {{"documents", documents}}, false, 1000);
    EXPECT_EQ(outcome.edits.size(), 1000u);
    EXPECT_GT(clinic.steps, 40u);
    documents.back() = R"({"ssn": "x"})";
    expect_refusal(clinic.analyse(body, {{"documents", documents}}, false, 1000), wrong,
                   "element of type: string");
}

TEST_F(Insert, names_in_error_texts_are_valid_utf8_and_short) {
    expect_refusal(clinic.analyse(R"({"insert": "patients", ")" + std::string(500, 'x') + R"(": 1})"),
                   code::unknown_field, "...'");
    bson::Buffer body;
    bson::Builder(body)
        .append_string("insert", "patients")
        .append_int32("bad\xff\x01name\xc3\xa9", 1)
        .append_string("$db", "medicalRecords")
        .finish();
    expect_refusal(clinic.analyse(body), code::unknown_field, "bad??name\xc3\xa9");
}

}  // namespace
}  // namespace fieldgate::analysis::testing
