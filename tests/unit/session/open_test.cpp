#include "tests/unit/session/open_fixture.hpp"

namespace fieldgate::session::testing {
namespace {

// Shapes

TEST_F(Open, a_first_and_a_next_batch_come_back_in_clear) {
    for (const char* const batch : {"firstBatch", "nextBatch"}) {
        const Opened opened = open_body(cursor_reply({patient(), patient()}, batch),
                                        shape(ReplyShape::Kind::cursor), clinic.role(Kind::reveal));
        ASSERT_EQ(opened.work, Work::done) << opened.refusal.errmsg;
        EXPECT_EQ(opened.cursor_id, 99);
        const std::string each(patient_in_clear);
        EXPECT_EQ(opened.json(),
                  json(R"({"cursor": {")" + std::string(batch) + R"(": [)" + each + "," + each +
                       R"(], "id": {"$numberLong": "99"}, "ns": "clinic.patients"}, "ok": 1.0})"));
    }
}

TEST_F(Open, the_value_of_find_and_modify_comes_back_in_clear) {
    const Buffer body = document([&](Builder& reply) {
        reply.open_document("lastErrorObject").append_int32("n", 1).close();
        reply.append_document("value", patient()).append_double("ok", 1);
    });
    const Opened opened = open_body(body, shape(ReplyShape::Kind::value), clinic.role(Kind::reveal));
    ASSERT_EQ(opened.work, Work::done) << opened.refusal.errmsg;
    EXPECT_EQ(opened.json(), json(R"({"lastErrorObject": {"n": 1}, "value": )" +
                                  std::string(patient_in_clear) + R"(, "ok": 1.0})"));
}

TEST_F(Open, a_find_and_modify_that_found_nothing_stays_null) {
    const Buffer body = from_json(R"({"value": null, "ok": 1.0})");
    EXPECT_EQ(open_body(body, shape(ReplyShape::Kind::value), clinic.role(Kind::omit)).frame,
              wire::make_op_msg(7, 8, body));
}

TEST_F(Open, distinct_values_of_a_protected_field_follow_its_rule) {
    const Buffer body = document([&](Builder& reply) {
        reply.open_array("values");
        add(reply, "0", ssn, Type::int32, int32_value(1));
        reply.append_int32("1", 2);
        add(reply, "2", ssn, Type::int32, int32_value(3));
        reply.append_int32("3", 4).close().append_double("ok", 1);
    });
    const ReplyShape of_ssn = values_of(clinic.schema().root().child("ssn"));
    EXPECT_EQ(open_body(body, of_ssn, clinic.role(Kind::reveal)).json(),
              json(R"({"values": [1, 2, 3, 4], "ok": 1.0})"));
    EXPECT_EQ(open_body(body, of_ssn, clinic.role(Kind::omit)).json(), json(R"({"values": [], "ok": 1.0})"));
    EXPECT_EQ(open_body(body, of_ssn, clinic.role(Kind::null)).json(),
              json(R"({"values": [null, null, null, null], "ok": 1.0})"));
    // The plaintexts go, and the keys of what is left are those of an array again.
    const Opened as_stored = open_body(body, of_ssn, clinic.role(Kind::ciphertext));
    const auto values = as_stored.body().find("values")->document();
    ASSERT_EQ(std::distance(values.begin(), values.end()), 2);
    EXPECT_EQ((*values.begin()).key(), "0");
    ASSERT_TRUE(values.find("1"));
    EXPECT_EQ(values.find("1")->type(), Type::binary);
}

TEST_F(Open, elements_after_one_left_out_of_an_array_are_renumbered_whatever_they_are) {
    const Buffer body = document([&](Builder& reply) {
        reply.open_array("values");
        for (int i = 0; i < 12; ++i) {
            const std::string key = std::to_string(i);
            if (i == 1)
                reply.append_int32(key, 145014000);
            else
                add(reply, key.c_str(), ssn, Type::int32, int32_value(i));
        }
        reply.close().append_double("ok", 1);
    });
    config::Role role = clinic.role(Kind::ciphertext);
    const Opened opened = open_body(body, values_of(clinic.schema().root().child("ssn")), role);
    const auto values = opened.body().find("values")->document();
    std::size_t expected = 0;
    for (const bson::Element element : values) EXPECT_EQ(element.key(), std::to_string(expected++));
    EXPECT_EQ(expected, 11u);
    EXPECT_FALSE(contains(opened.frame, int32_value(145014000)));
}

TEST_F(Open, distinct_values_that_are_parents_are_walked_and_plain_ones_copied) {
    const Buffer body = document([&](Builder& reply) {
        reply.open_array("values").open_document("0").append_string("provider", "MaestCare");
        add(reply, "policyNumber", policy_number, Type::int32, int32_value(123142));
        reply.close().close().append_double("ok", 1);
    });
    EXPECT_EQ(open_body(body, values_of(clinic.schema().root().child("insurance")), clinic.role(Kind::reveal))
                  .json(),
              json(R"({"values": [{"provider": "MaestCare", "policyNumber": 123142}], "ok": 1.0})"));
    EXPECT_EQ(open_body(body, values_of(nullptr), clinic.role(Kind::reveal)).frame,
              wire::make_op_msg(7, 8, body));
}

TEST_F(Open, a_count_is_the_same_bytes_again) {
    const Buffer body = from_json(R"({"n": 3, "ok": 1.0, "$clusterTime": {"clusterTime": 1}})");
    EXPECT_EQ(open_body(body, shape(ReplyShape::Kind::scalar), clinic.role(Kind::omit)).frame,
              wire::make_op_msg(7, 8, body));
}

// Actions

TEST_F(Open, reveal_shows_everything) {
    EXPECT_EQ(seen(patient(), Kind::reveal), json(patient_in_clear));
}

TEST_F(Open, omit_leaves_neither_ciphertext_nor_name) {
    const Opened opened =
        open_body(cursor_reply({patient()}), shape(ReplyShape::Kind::cursor), clinic.role(Kind::omit));
    ASSERT_EQ(opened.work, Work::done);
    EXPECT_EQ(bson::to_json(result(opened).bytes()), json(patient_without));
    EXPECT_FALSE(contains(opened.frame, Bytes(key_id(1).bytes)));
}

TEST_F(Open, null_keeps_the_names) {
    EXPECT_EQ(seen(patient(), Kind::null), json(R"({"name": "Jon Doe", "ssn": null, "bloodType": null,
        "medicalRecords": null, "insurance": {"provider": "MaestCare", "policyNumber": null}, "dateOfBirth": null,
        "email": null, "passport": null, "note": null})"));
}

TEST_F(Open, ciphertext_gives_the_same_bytes_again) {
    const Buffer body = cursor_reply({patient()});
    EXPECT_EQ(open_body(body, shape(ReplyShape::Kind::cursor), clinic.role(Kind::ciphertext)).frame,
              wire::make_op_msg(7, 8, body));
}

TEST_F(Open, mask_shows_the_end_of_text_and_nothing_of_what_has_none) {
    EXPECT_EQ(seen(patient(), clinic.role(Kind::mask, 4)), json(R"({"name": "Jon Doe", "ssn": "*****4000",
        "bloodType": "***", "medicalRecords": null, "insurance": {"provider": "MaestCare", "policyNumber": "**3142"},
        "dateOfBirth": null, "email": "***********.com", "passport": "*****0T47", "note": null})"));
}

TEST_F(Open, each_field_has_its_own_rule) {
    config::Role role = clinic.role(Kind::omit);
    role.rules[0][policy_number].read = {Kind::mask, 4};
    role.rules[0][blood_type].read = {Kind::reveal, 0};
    role.rules[0][email].read = {Kind::null, 0};
    EXPECT_EQ(seen(patient(), role), json(R"({"name": "Jon Doe", "bloodType": "AB+", "insurance":
        {"provider": "MaestCare", "policyNumber": "**3142"}, "email": null})"));
}

TEST_F(Open, plaintext_from_before_is_shown_only_to_who_reveals_or_masks) {
    const Buffer legacy =
        from_json(R"({"name": "Jon Doe", "ssn": 145014000, "insurance": {"policyNumber": 123142},
        "medicalRecords": [{"weight": 180}], "note": {"deep": {"er": 1}}})");
    EXPECT_EQ(seen(legacy, Kind::reveal), bson::to_json(legacy));
    EXPECT_EQ(seen(legacy, Kind::ciphertext), json(R"({"name": "Jon Doe", "insurance": {}})"));
    EXPECT_EQ(seen(legacy, Kind::omit), json(R"({"name": "Jon Doe", "insurance": {}})"));
    EXPECT_EQ(seen(legacy, Kind::null),
              json(R"({"name": "Jon Doe", "ssn": null, "insurance": {"policyNumber": null},
        "medicalRecords": null, "note": null})"));
    EXPECT_EQ(seen(legacy, clinic.role(Kind::mask, 4)), json(R"({"name": "Jon Doe", "ssn": "*****4000",
        "insurance": {"policyNumber": "**3142"}, "medicalRecords": null, "note": null})"));
}

TEST_F(Open, a_binary_that_only_claims_to_be_ciphertext_is_withheld_as_plaintext) {
    const std::string text = "\x01 a secret that is no ciphertext";
    for (const std::uint8_t subtype : {std::uint8_t{0}, std::uint8_t{6}}) {
        const Buffer stored = document([&](Builder& patient) {
            patient.append_binary("ssn", subtype,
                                  Bytes(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
        });
        EXPECT_EQ(seen(stored, Kind::ciphertext), json("{}"));
        EXPECT_EQ(seen(stored, Kind::reveal), bson::to_json(stored));
        EXPECT_EQ(seen(stored, clinic.role(Kind::mask, 4)), json(R"({"ssn": null})"));
    }
}

// Paths

TEST_F(Open, parents_inside_arrays_are_walked_at_any_nesting) {
    const Buffer stored = document([&](Builder& patient) {
        patient.open_array("insurance").open_document("0");
        add(patient, "policyNumber", policy_number, Type::int32, int32_value(1));
        patient.close().append_int32("1", 5).open_array("2").open_array("0").open_document("0");
        add(patient, "policyNumber", policy_number, Type::int32, int32_value(2));
        patient.close().close().close().close();
    });
    EXPECT_EQ(seen(stored, Kind::reveal),
              json(R"({"insurance": [{"policyNumber": 1}, 5, [[{"policyNumber": 2}]]]})"));
    EXPECT_EQ(seen(stored, Kind::omit), json(R"({"insurance": [{}, 5, [[{}]]]})"));
}

TEST_F(Open, an_array_at_a_protected_leaf_is_that_leaf) {
    const Buffer stored = document([&](Builder& patient) {
        patient.open_array("ssn");
        add(patient, "0", ssn, Type::int32, int32_value(145014000));
        patient.close();
    });
    EXPECT_EQ(seen(stored, Kind::omit), json("{}"));
    EXPECT_EQ(seen(stored, Kind::ciphertext), json("{}"));
    // Who sees the field sees what fits it: stages make such arrays of stored fields.
    EXPECT_EQ(seen(stored, Kind::reveal), json(R"({"ssn": [145014000]})"));
}

TEST_F(Open, literal_dotted_keys_and_numbered_documents_are_withheld_and_never_opened) {
    const auto store = [&](const char* outer, const char* inner) {
        return document([&](Builder& patient) {
            if (outer != nullptr) patient.open_document(outer);
            add(patient, inner, policy_number, Type::int32, int32_value(123142));
            if (outer != nullptr) patient.close();
        });
    };
    const std::pair<Buffer, const char*> cases[] = {
        {store(nullptr, "insurance.policyNumber"), "{}"},
        {store(nullptr, "insurance.0.policyNumber"), "{}"},
        {store(nullptr, "ssn.below"), "{}"},
        {store("insurance.0", "policyNumber"), R"({"insurance.0": {}})"},
        {store("insurance", "7.policyNumber"), R"({"insurance": {}})"},
        {store("7", "ssn"), R"({"7": {}})"},
    };
    for (const auto& [stored, without] : cases) {
        SCOPED_TRACE(without);
        EXPECT_EQ(seen(stored, Kind::reveal), bson::to_json(stored));
        EXPECT_EQ(seen(stored, Kind::omit), json(without));
        EXPECT_EQ(seen(stored, Kind::ciphertext), bson::to_json(stored));
        // Shown in clear where it belongs, but something else is withheld, so that such paths are looked at.
        config::Role almost = clinic.role(Kind::reveal);
        almost.rules[0][email].read = {Kind::omit, 0};
        EXPECT_EQ(seen(stored, almost), bson::to_json(stored));
        const std::string masked = seen(stored, clinic.role(Kind::mask, 2));
        EXPECT_NE(masked.find("null"), std::string::npos) << masked;
        EXPECT_EQ(masked.find("42"), std::string::npos) << masked;
    }
    // What only resembles a path stays.
    const Buffer other =
        from_json(R"({"insurance.provider": 1, "x.ssn": 2, "ssn2": 3, "7": 4, "insurance": {"0": 5}})");
    EXPECT_EQ(seen(other, Kind::omit), bson::to_json(other));
}

TEST_F(Open, every_occurrence_of_a_repeated_key_follows_the_rule) {
    const Buffer stored = document([&](Builder& patient) {
        add(patient, "ssn", ssn, Type::int32, int32_value(1));
        patient.append_int32("ssn", 145014000);
        add(patient, "ssn", ssn, Type::int32, int32_value(2));
    });
    EXPECT_EQ(seen(stored, Kind::omit), json("{}"));
    const Buffer in_clear = document([](Builder& patient) {
        patient.append_int32("ssn", 1).append_int32("ssn", 145014000).append_int32("ssn", 2);
    });
    const Opened opened =
        open_body(cursor_reply({stored}), shape(ReplyShape::Kind::cursor), clinic.role(Kind::reveal));
    EXPECT_TRUE(std::ranges::equal(result(opened).bytes(), in_clear));
}

TEST_F(Open, the_id_of_an_upsert_follows_its_rule_where_it_is_protected) {
    auto schema = std::make_shared<config::Schema>();
    schema->root_.add_child("_id").field = 0;
    schema->fields_.push_back({"_id", config::Algorithm::deterministic, key_id(1).bytes, {0x10}});
    const config::ProtectedNamespace accounts{{"clinic", "accounts"}, schema, 0, false};
    const Buffer blob =
        clinic.blob_with(crypto::Algorithm::deterministic, 1, Type::int32, int32_value(145014000));
    const auto role = [](Kind kind) {
        config::Role made;
        made.rules = {{config::FieldRule{{kind, 0}, false, false}}};
        return made;
    };
    const Buffer updated = document([&](Builder& reply) {
        reply.append_int32("n", 1).open_array("upserted").open_document("0").append_int32("index", 0);
        reply.append_binary("_id", 6, blob).close().close().append_double("ok", 1);
    });
    const auto fields = analysis::FieldSpace::of(config::reference_to(accounts), "clinic", "accounts");
    const ReplyShape write_result{ReplyShape::Kind::write_result, fields, {schema, &schema->root()}};
    EXPECT_EQ(open_body(updated, write_result, role(Kind::reveal)).json(),
              json(R"({"n": 1, "upserted": [{"index": 0, "_id": 145014000}], "ok": 1.0})"));
    EXPECT_EQ(open_body(updated, write_result, role(Kind::omit)).json(),
              json(R"({"n": 1, "upserted": [{"index": 0}], "ok": 1.0})"));

    const Buffer modified = document([&](Builder& reply) {
        reply.open_document("lastErrorObject")
            .append_int32("n", 1)
            .append_binary("upserted", 6, blob)
            .close();
        reply.append_null("value").append_double("ok", 1);
    });
    const ReplyShape value{ReplyShape::Kind::value, fields, {schema, &schema->root()}};
    EXPECT_EQ(open_body(modified, value, role(Kind::reveal)).json(),
              json(R"({"lastErrorObject": {"n": 1, "upserted": 145014000}, "value": null, "ok": 1.0})"));
    EXPECT_EQ(open_body(modified, value, role(Kind::null)).json(),
              json(R"({"lastErrorObject": {"n": 1, "upserted": null}, "value": null, "ok": 1.0})"));
}

}  // namespace
}  // namespace fieldgate::session::testing
