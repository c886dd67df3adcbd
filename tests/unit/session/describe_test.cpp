#include "proxy/session/describe.hpp"

#include "tests/unit/session/clinic.hpp"

namespace fieldgate::session::testing {
namespace {

using analysis::Edit;
using analysis::Plan;

class Describe : public ::testing::Test {
 protected:
    // The command {insert: "patients", documents: [DOCUMENT], $db: "clinic"}.
    void insert(std::string_view document_text) {
        const Buffer body = from_json(R"({"insert": "patients", "documents": [)" +
                                      std::string(document_text) + R"(], "$db": "clinic"})");
        frame = wire::make_op_msg(1, 0, body);
        message = wire::OpMsg::parse(frame).value();
        plan.fields = clinic.fields();
    }
    // Adds an edit of the document's element of that name.
    Edit& edit(std::string_view name, Field field, Edit::Kind kind = Edit::Kind::encrypt) {
        const bson::Element element = *inserted(message.body).find(name);
        plan.edits.push_back({static_cast<std::uint32_t>(element.raw().data() - frame.data()), field, kind});
        return plan.edits.back();
    }
    static bson::DocumentView inserted(bson::DocumentView body) {
        return (*body.find("documents")->document().begin()).document();
    }
    std::string described() const {
        const wire::Buffer body = describe(message, frame, plan);
        return bson::to_json(inserted(*bson::DocumentView::check(body, {})).bytes());
    }

    Clinic clinic;
    wire::Buffer frame;
    wire::OpMsg message;
    Plan plan;
};

TEST_F(Describe, says_field_algorithm_type_and_key_instead_of_the_value) {
    insert(R"({"name": "House", "ssn": 123456789, "email": "secret@clinic.example", "passport": "P1"})");
    edit("ssn", ssn);
    edit("email", email);
    edit("passport", passport);
    EXPECT_EQ(described(),
              R"({ "name" : "House", )"
              R"("ssn" : "<encrypted: ssn, deterministic int, key 01010101-0101-0101-0101-010101010101>", )"
              R"("email" : "<encrypted: email, random string, key 01010101-0101-0101-0101-010101010101>", )"
              R"("passport" : "<encrypted: passport, deterministic string, key 'key-of-clinic'>" })");
    const wire::Buffer body = describe(message, frame, plan);
    EXPECT_FALSE(contains(body, "secret@clinic.example"));
    EXPECT_FALSE(contains(body, int32_value(123456789)));
}

TEST_F(Describe, says_which_type_a_number_had) {
    insert(R"({"ssn": 5.0})");
    edit("ssn", ssn).type = 0x10;
    EXPECT_NE(described().find("deterministic int (from double), key"), std::string::npos) << described();
}

TEST_F(Describe, says_what_is_left_out) {
    insert(R"({"ssn": null, "name": "House"})");
    edit("ssn", ssn, Edit::Kind::remove);
    EXPECT_EQ(described(), R"({ "ssn" : "<left out: ssn, null>", "name" : "House" })");
}

TEST_F(Describe, says_where_ciphertext_of_the_client_will_be_checked) {
    insert(R"({"ssn": {"$binary": {"base64": "AQID", "subType": "06"}}})");
    edit("ssn", ssn, Edit::Kind::verify_ciphertext);
    EXPECT_EQ(described(), R"({ "ssn" : "<ciphertext of the client, checked against ssn>" })");
}

TEST_F(Describe, names_the_key_that_the_document_names) {
    insert(R"({"ssn": 1, "keyName": "of-house"})");
    const Edit& made = edit("ssn", ssn);
    plan.edit_keys.push_back({made.offset, "of-house"});
    EXPECT_NE(described().find("key 'of-house'"), std::string::npos) << described();
}

TEST_F(Describe, names_the_namespace_where_there_are_several) {
    insert(R"({"ssn": 1})");
    edit("ssn", ssn);
    plan.fields->add(config::reference_to(clinic.patients()), "clinic", "former");
    EXPECT_NE(described().find("<encrypted: ssn of clinic.patients, "), std::string::npos) << described();
}

TEST_F(Describe, a_command_without_edits_is_as_it_was) {
    insert(R"({"name": "House"})");
    const wire::Buffer body = describe(message, frame, plan);
    EXPECT_TRUE(std::ranges::equal(body, message.body.bytes()));
}

TEST(DescribeKeys, by_what_the_schema_calls_them) {
    EXPECT_EQ(key_name(config::KeyAltName{"k-{database}"}, "db"), "key 'k-db'");
    EXPECT_EQ(key_name(config::KeyPointer{{"a", "b"}}, "db"), "key named by the document at /a/b");
}

}  // namespace
}  // namespace fieldgate::session::testing
