#include "proxy/session/open.hpp"

#include "tests/unit/session/clinic.hpp"

namespace fieldgate::session::testing {
namespace {

using analysis::ReplyShape;
using Kind = ReadRule::Kind;

struct Opened {
    Work work = Work::refused;
    wire::Buffer frame;
    analysis::Refusal refusal;
    keys::KeyRequest needed;
    std::int64_t cursor_id = -1;
    std::size_t slices = 0;

    bson::DocumentView body() const {
        const auto message = wire::OpMsg::parse(frame);
        EXPECT_TRUE(message) << message.error().message();
        const auto whole = bson::DocumentView::check(message->body.bytes(), {});
        EXPECT_TRUE(whole) << whole.error().message();
        return *whole;
    }
    std::string json() const { return bson::to_json(body().bytes()); }
};

class Open : public ::testing::Test {
 protected:
    ReplyShape shape(ReplyShape::Kind kind) const {
        return {kind, &clinic.patients(), {clinic.patients().schema, &clinic.schema().root()}};
    }
    ReplyShape values_of(const config::SchemaNode* node) const {
        return {ReplyShape::Kind::values, &clinic.patients(), {clinic.patients().schema, node}};
    }

    Opened open(const wire::Buffer& frame, const ReplyShape& reply_shape, const config::Role& role,
                const SliceBudget& budget = {}, std::size_t output_bytes_max = 48000000) {
        const auto message = wire::OpMsg::parse(frame);
        EXPECT_TRUE(message) << message.error().message();
        Opener opener(*message, frame, reply_shape, role, clinic.config, "clinic", output_bytes_max);
        Opened result;
        result.work = run(opener, clinic, budget, &result.slices);
        result.refusal = opener.refusal();
        result.needed = opener.needed();
        result.cursor_id = opener.cursor_id();
        if (result.work == Work::done) result.frame = opener.take();
        return result;
    }
    Opened open_body(Bytes body, const ReplyShape& reply_shape, const config::Role& role) {
        return open(wire::make_op_msg(7, 8, body), reply_shape, role);
    }

    // A find reply with these documents.
    static Buffer cursor_reply(const std::vector<Buffer>& documents, const char* batch = "firstBatch") {
        return document([&](Builder& reply) {
            reply.open_document("cursor").open_array(batch);
            for (std::size_t i = 0; i < documents.size(); ++i)
                reply.append_document(std::to_string(i), documents[i]);
            reply.close().append_int64("id", 99).append_string("ns", "clinic.patients").close();
            reply.append_double("ok", 1);
        });
    }
    // One document through a cursor, and the same document as the client got it, as JSON.
    std::string seen(const Buffer& stored, const config::Role& role) {
        const Opened opened = open_body(cursor_reply({stored}), shape(ReplyShape::Kind::cursor), role);
        EXPECT_EQ(opened.work, Work::done) << opened.refusal.errmsg;
        if (opened.work != Work::done) return {};
        return bson::to_json(result(opened).bytes());
    }
    static bson::DocumentView result(const Opened& opened) {
        return opened.body().find("cursor")->document().find("firstBatch")->document().find("0")->document();
    }
    std::string seen(const Buffer& stored, Kind kind) { return seen(stored, clinic.role(kind)); }
    static std::string json(std::string_view text) { return bson::to_json(from_json(text)); }

    void add(Builder& into, const char* key, Field field, Type type, Bytes value) {
        into.append_binary(key, 6, clinic.blob(field, type, value));
    }
    Buffer patient() {
        return document([&](Builder& patient) {
            patient.append_string("name", "Jon Doe");
            add(patient, "ssn", ssn, Type::int32, int32_value(145014000));
            add(patient, "bloodType", blood_type, Type::string, string_value("AB+"));
            add(patient, "medicalRecords", medical_records, Type::array,
                from_json(R"({"0": {"weight": 180}})"));
            patient.open_document("insurance").append_string("provider", "MaestCare");
            add(patient, "policyNumber", policy_number, Type::int32, int32_value(123142));
            patient.close();
            add(patient, "dateOfBirth", date_of_birth, Type::date, Buffer{0, 0, 0, 0, 1, 0, 0, 0});
            add(patient, "email", email, Type::string, string_value("jon@example.com"));
            add(patient, "passport", passport, Type::string, string_value("C01X00T47"));
            add(patient, "note", note, Type::boolean, Buffer{1});
        });
    }
    static constexpr const char* patient_in_clear =
        R"({"name": "Jon Doe", "ssn": 145014000, "bloodType": "AB+",
        "medicalRecords": [{"weight": 180}], "insurance": {"provider": "MaestCare", "policyNumber": 123142},
        "dateOfBirth": {"$date": "1970-02-19T17:02:47.296Z"}, "email": "jon@example.com", "passport": "C01X00T47",
        "note": true})";
    static constexpr const char* patient_without =
        R"({"name": "Jon Doe", "insurance": {"provider": "MaestCare"}})";

    Clinic clinic;
};

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
    // Only a ciphertext exactly at the path is opened.
    EXPECT_EQ(seen(stored, Kind::reveal), bson::to_json(stored));
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
    const ReplyShape write_result{ReplyShape::Kind::write_result, &accounts, {schema, &schema->root()}};
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
    const ReplyShape value{ReplyShape::Kind::value, &accounts, {schema, &schema->root()}};
    EXPECT_EQ(open_body(modified, value, role(Kind::reveal)).json(),
              json(R"({"lastErrorObject": {"n": 1, "upserted": 145014000}, "value": null, "ok": 1.0})"));
    EXPECT_EQ(open_body(modified, value, role(Kind::null)).json(),
              json(R"({"lastErrorObject": {"n": 1, "upserted": null}, "value": null, "ok": 1.0})"));
}

// Ciphertexts in the wrong place

TEST_F(Open, a_blob_in_a_plain_field_stays_as_stored) {
    const Buffer stored = document([&](Builder& patient) {
        add(patient, "name", ssn, Type::int32, int32_value(145014000));
        patient.open_document("insurance");
        add(patient, "provider", policy_number, Type::int32, int32_value(123142));
        patient.close().open_document("plain").open_array("deep");
        add(patient, "0", ssn, Type::int32, int32_value(145014000));
        patient.close().close();
    });
    EXPECT_EQ(seen(stored, Kind::reveal), bson::to_json(stored));
    EXPECT_EQ(seen(stored, Kind::omit), bson::to_json(stored));
}

TEST_F(Open, explicit_encryption_opens_plain_paths_for_who_reveals_everything) {
    const Buffer stored = document([&](Builder& patient) {
        add(patient, "own", note, Type::boolean, Buffer{1});
        patient.open_document("plain").open_array("deep").open_document("0");
        add(patient, "x", passport, Type::string, string_value("second key"));
        patient.close().close().close();
        patient.append_binary("foreign", 6, Buffer(82, 1));
        patient.append_binary("marking", 6, Buffer{0, 1, 2});
    });
    EXPECT_EQ(seen(stored, Kind::reveal), bson::to_json(stored));
    clinic.config.schemas.front().explicit_encryption_allow = true;
    EXPECT_EQ(
        seen(stored, Kind::reveal), bson::to_json(document([](Builder& patient) {
            patient.append_bool("own", true).open_document("plain").open_array("deep").open_document("0");
            patient.append_string("x", "second key").close().close().close();
            patient.append_binary("foreign", 6, Buffer(82, 1));
            patient.append_binary("marking", 6, Buffer{0, 1, 2});
        })));
    config::Role almost = clinic.role(Kind::reveal);
    almost.rules[0][email].read = {Kind::ciphertext, 0};
    EXPECT_EQ(seen(stored, almost), bson::to_json(stored));
}

TEST_F(Open, explicit_encryption_opens_nothing_else_at_a_protected_path) {
    clinic.config.schemas.front().explicit_encryption_allow = true;
    const Buffer stored = document([&](Builder& patient) {
        add(patient, "ssn", note, Type::boolean, Buffer{1});
        patient.open_array("medicalRecords");
        add(patient, "0", note, Type::boolean, Buffer{1});
        patient.close();
    });
    EXPECT_EQ(seen(stored, Kind::reveal), bson::to_json(stored));
}

TEST_F(Open, explicit_encryption_leaves_what_has_no_key) {
    clinic.config.schemas.front().explicit_encryption_allow = true;
    const Buffer stored =
        document([&](Builder& patient) { add(patient, "own", note, Type::boolean, Buffer{1}); });
    keys::KeyResult failed;
    failed.ids.emplace_back(key_id(1), keys::FailedKey{{96, "gone"}, Clinic::now() + std::chrono::hours(1)});
    clinic.ring.put(failed);
    EXPECT_EQ(seen(stored, Kind::reveal), bson::to_json(stored));
}

TEST_F(Open, explicit_encryption_leaves_what_does_not_authenticate) {
    clinic.config.schemas.front().explicit_encryption_allow = true;
    Buffer blob = clinic.blob(note, Type::boolean, Buffer{1});
    blob.back() ^= 1;
    const Buffer stored =
        document([&](Builder& patient) { patient.append_binary("own", 6, blob).append_int32("after", 1); });
    EXPECT_EQ(seen(stored, Kind::reveal), bson::to_json(stored));
}

TEST_F(Open, a_blob_that_does_not_fit_its_field_stays_as_stored) {
    const auto with = [&](const char* key, const Buffer& blob) {
        return document([&](Builder& patient) { patient.append_binary(key, 6, blob); });
    };
    const Buffer number = int32_value(145014000);
    const Buffer cases[] = {
        with("ssn", clinic.blob_with(crypto::Algorithm::random, 1, Type::int32, number)),         // algorithm
        with("ssn", clinic.blob_with(crypto::Algorithm::deterministic, 2, Type::int32, number)),  // key
        with("ssn", clinic.blob(email, Type::string, string_value("x"))),  // both, type
        with("ssn",
             clinic.blob_with(crypto::Algorithm::deterministic, 1, Type::int64, Buffer(8, 1))),  // type
        with("note", clinic.blob_with(crypto::Algorithm::random, 2, Type::int32, number)),
    };
    for (const Buffer& stored : cases) {
        EXPECT_EQ(seen(stored, Kind::reveal), bson::to_json(stored));
        EXPECT_EQ(seen(stored, clinic.role(Kind::mask, 9)).find("14501"), std::string::npos);
    }
}

// The associated data of CSFLE binds key, algorithm and type, not the path: the documented limit.
TEST_F(Open, blobs_swapped_between_alike_fields_are_opened) {
    const Buffer stored = document(
        [&](Builder& patient) { add(patient, "email", blood_type, Type::string, string_value("AB+")); });
    EXPECT_EQ(seen(stored, Kind::reveal), json(R"({"email": "AB+"})"));
}

TEST_F(Open, a_flipped_bit_refuses_the_whole_reply) {
    const Buffer blob = clinic.blob(blood_type, Type::string, string_value("AB+"));
    for (std::size_t bit = 18 * 8; bit < blob.size() * 8; ++bit) {
        Buffer flipped = blob;
        flipped[bit / 8] = static_cast<std::uint8_t>(flipped[bit / 8] ^ (1u << (bit % 8)));
        const Buffer stored =
            document([&](Builder& patient) { patient.append_binary("bloodType", 6, flipped); });
        for (const config::Role& role : {clinic.role(Kind::reveal), clinic.role(Kind::mask, 1)}) {
            const Opened opened =
                open_body(cursor_reply({patient(), stored}), shape(ReplyShape::Kind::cursor), role);
            ASSERT_EQ(opened.work, Work::refused) << bit;
            EXPECT_EQ(opened.refusal.code, 96);
            EXPECT_TRUE(opened.refusal.errmsg.find("'bloodType'") != std::string::npos)
                << opened.refusal.errmsg;
        }
    }
}

TEST_F(Open, an_authentic_ciphertext_of_something_that_is_no_value_is_refused) {
    const Buffer stored = document([&](Builder& patient) {
        add(patient, "bloodType", blood_type, Type::string, Buffer{9, 0, 0, 0, 'x', 0});
    });
    for (const config::Role& role : {clinic.role(Kind::reveal), clinic.role(Kind::mask, 1)}) {
        EXPECT_EQ(open_body(cursor_reply({stored}), shape(ReplyShape::Kind::cursor), role).work,
                  Work::refused);
    }
}

// Keys

TEST_F(Open, a_role_that_opens_nothing_needs_no_key) {
    clinic.ring.expire(Clinic::now() + std::chrono::hours(2));
    for (const Kind kind : {Kind::omit, Kind::null, Kind::ciphertext}) {
        EXPECT_EQ(
            open_body(cursor_reply({patient()}), shape(ReplyShape::Kind::cursor), clinic.role(kind)).work,
            Work::done);
    }
}

TEST_F(Open, missing_keys_are_asked_for_at_once_and_the_result_is_the_same) {
    const wire::Buffer frame = wire::make_op_msg(7, 8, cursor_reply({patient(), patient()}));
    const ReplyShape cursor = shape(ReplyShape::Kind::cursor);
    const config::Role role = clinic.role(Kind::reveal);
    const wire::Buffer expected = open(frame, cursor, role).frame;

    const auto message = wire::OpMsg::parse(frame).value();
    keys::KeyRing empty(clinic.random);
    Opener opener(message, frame, cursor, role, clinic.config, "clinic", 48000000);
    ASSERT_EQ(opener.step(empty, Clinic::now(), {}), Work::need_keys);
    EXPECT_EQ(opener.needed().ids, std::vector{key_id(1)});
    EXPECT_EQ(opener.needed().alt_names, std::vector<std::string>{tenant_key_name});
    keys::KeyResult first;
    first.ids.emplace_back(key_id(1), Clinic::ready(1));
    first.alt_names.emplace_back(tenant_key_name, key_id(2));
    empty.put(first);
    ASSERT_EQ(opener.step(empty, Clinic::now(), {}), Work::need_keys);
    EXPECT_EQ(opener.needed().ids, std::vector{key_id(2)});
    EXPECT_TRUE(opener.needed().alt_names.empty());
    // In between the first one expires: asked for again, nothing is lost.
    ASSERT_EQ(opener.step(empty, Clinic::now() + std::chrono::hours(2), {}), Work::need_keys);
    clinic.ring.put(first);
    ASSERT_EQ(run(opener, clinic), Work::done);
    EXPECT_EQ(opener.take(), expected);
}

TEST_F(Open, only_the_keys_of_fields_that_the_role_opens_are_asked_for) {
    config::Role role = clinic.role(Kind::omit);
    role.rules[0][passport].read = {Kind::mask, 4};
    keys::KeyRing empty(clinic.random);
    const wire::Buffer frame = wire::make_op_msg(7, 8, cursor_reply({patient()}));
    const auto message = wire::OpMsg::parse(frame).value();
    Opener opener(message, frame, shape(ReplyShape::Kind::cursor), role, clinic.config, "clinic", 48000000);
    ASSERT_EQ(opener.step(empty, Clinic::now(), {}), Work::need_keys);
    EXPECT_TRUE(opener.needed().ids.empty());
    EXPECT_EQ(opener.needed().alt_names, std::vector<std::string>{tenant_key_name});
}

TEST_F(Open, a_key_that_cannot_be_had_refuses_the_reply_that_needs_it_and_no_other) {
    keys::KeyResult failed;
    failed.ids.emplace_back(key_id(1),
                            keys::FailedKey{{96, "key one is gone"}, Clinic::now() + std::chrono::hours(1)});
    clinic.ring.put(failed);
    const Opened opened =
        open_body(cursor_reply({patient()}), shape(ReplyShape::Kind::cursor), clinic.role(Kind::reveal));
    ASSERT_EQ(opened.work, Work::refused);
    EXPECT_EQ(opened.refusal.code, 96);
    EXPECT_EQ(opened.refusal.errmsg, "key one is gone");
    const Buffer other = document([&](Builder& patient) {
        add(patient, "passport", passport, Type::string, string_value("C01X00T47"));
    });
    EXPECT_EQ(seen(other, Kind::reveal), json(R"({"passport": "C01X00T47"})"));
}

TEST_F(Open, a_name_without_a_key_refuses_the_reply_that_needs_it) {
    keys::KeyResult failed;
    failed.alt_names.emplace_back(
        tenant_key_name, keys::FailedKey{{96, "no key of that name"}, Clinic::now() + std::chrono::hours(1)});
    clinic.ring.put(failed);
    const Opened opened =
        open_body(cursor_reply({patient()}), shape(ReplyShape::Kind::cursor), clinic.role(Kind::reveal));
    ASSERT_EQ(opened.work, Work::refused);
    EXPECT_EQ(opened.refusal.errmsg, "no key of that name");
}

// Slices

TEST_F(Open, slices_of_one_value_give_the_same_bytes_as_one) {
    const wire::Buffer frame = wire::make_op_msg(7, 8, cursor_reply({patient(), patient(), patient()}));
    const ReplyShape cursor = shape(ReplyShape::Kind::cursor);
    config::Role mixed = clinic.role(Kind::reveal);
    mixed.rules[0][policy_number].read = {Kind::mask, 2};
    mixed.rules[0][email].read = {Kind::omit, 0};
    for (const config::Role& role : {clinic.role(Kind::reveal), clinic.role(Kind::omit), mixed}) {
        const Opened whole = open(frame, cursor, role);
        EXPECT_EQ(whole.slices, 1u);
        const Opened by_value = open(frame, cursor, role, {1, 1u << 20});
        const Opened by_byte = open(frame, cursor, role, {600, 1});
        EXPECT_EQ(by_value.frame, whole.frame);
        EXPECT_EQ(by_byte.frame, whole.frame);
        EXPECT_GT(by_byte.slices, 12u);
    }
    EXPECT_EQ(open(frame, cursor, clinic.role(Kind::reveal), {1, 1u << 20}).slices, 25u);
}

TEST_F(Open, a_slice_can_end_inside_a_large_plain_document) {
    const Buffer large = document([](Builder& patient) {
        patient.open_document("plain");
        for (int i = 0; i < 20000; ++i) patient.append_int32("number", i);
        patient.close();
    });
    const wire::Buffer frame = wire::make_op_msg(7, 8, cursor_reply({large}));
    const Opened opened = open(frame, shape(ReplyShape::Kind::cursor), clinic.role(Kind::omit), {600, 10000});
    EXPECT_EQ(opened.frame, frame);
    EXPECT_GT(opened.slices, 20u);
}

// Errors

TEST_F(Open, an_error_reply_is_rebuilt_for_every_role) {
    const Buffer body = document([&](Builder& reply) {
        reply.append_double("ok", 0).append_string("errmsg", "canary").append_int32("code", 11000);
        reply.append_string("codeName", "DuplicateKey")
            .open_document("keyPattern")
            .append_int32("ssn", 1)
            .close();
        reply.open_document("keyValue").append_string("ssn", "canary");
        add(reply, "ssn", ssn, Type::int32, int32_value(1));
        reply.close().open_document("errInfo").append_string("x", "canary").close();
        reply.append_document("value", patient());
    });
    for (const auto kind : {ReplyShape::Kind::write_result, ReplyShape::Kind::cursor, ReplyShape::Kind::value,
                            ReplyShape::Kind::values, ReplyShape::Kind::scalar}) {
        for (const Kind rule : {Kind::reveal, Kind::omit}) {
            const Opened opened = open_body(body, shape(kind), clinic.role(rule));
            ASSERT_EQ(opened.work, Work::done);
            EXPECT_EQ(opened.json(),
                      json(R"({"ok": 0.0, "errmsg": "E11000 duplicate key error", "code": 11000,
                "codeName": "DuplicateKey", "keyPattern": {"ssn": 1}})"));
        }
    }
}

TEST_F(Open, write_errors_and_write_concern_errors_are_rebuilt_in_place) {
    const Buffer body = from_json(R"json({"n": 1, "writeErrors": [
          {"index": 1, "code": 11000, "errmsg": "E11000 duplicate key error collection: c.p index: ssn_1 dup key: { canary }",
           "keyPattern": {"ssn": 1}, "keyValue": {"ssn": "canary"}},
          {"index": 2, "code": 121, "errmsg": "canary", "errInfo": {"canary": 1}}],
        "writeConcernError": {"code": 64, "codeName": "WriteConcernFailed", "errmsg": "canary", "errInfo": {"canary": 1}},
        "errmsg": "canary", "errInfo": {"canary": 1}, "keyValue": {"ssn": "canary"}, "ok": 1.0})json");
    const Opened opened = open_body(body, shape(ReplyShape::Kind::write_result), clinic.role(Kind::reveal));
    ASSERT_EQ(opened.work, Work::done);
    EXPECT_EQ(opened.json(), json(R"json({"n": 1, "writeErrors": [
          {"index": 1, "code": 11000, "keyPattern": {"ssn": 1},
           "errmsg": "E11000 duplicate key error collection: c.p index: ssn_1"},
          {"index": 2, "code": 121, "errmsg": "the server refused the write on a protected namespace: code 121"}],
        "writeConcernError": {"code": 64, "codeName": "WriteConcernFailed", "errmsg":
          "the server could not satisfy the write concern on a protected namespace: WriteConcernFailed (64)"},
        "ok": 1.0})json"));
}

TEST_F(Open, rebuilt_errors_end_at_the_limit_of_a_message) {
    const Buffer body = document([](Builder& reply) {
        reply.open_array("writeErrors");
        for (int i = 0; i < 1000; ++i) reply.append_document("0", from_json("{}"));
        reply.close().append_double("ok", 1);
    });
    const wire::Buffer frame = wire::make_op_msg(7, 8, body);
    const ReplyShape result = shape(ReplyShape::Kind::write_result);
    const Opened whole = open(frame, result, clinic.role(Kind::reveal));
    ASSERT_EQ(whole.work, Work::done);
    ASSERT_GT(whole.frame.size(), 5 * frame.size());
    EXPECT_EQ(open(frame, result, clinic.role(Kind::reveal), {}, whole.frame.size()).work, Work::done);
    const Opened above = open(frame, result, clinic.role(Kind::reveal), {}, whole.frame.size() - 1);
    EXPECT_EQ(above.work, Work::refused);
    EXPECT_EQ(above.refusal.code, 10334);
    // It ends while it writes, not when all is written.
    const Opened far_above = open(frame, result, clinic.role(Kind::reveal), {1, 1u << 20}, frame.size());
    EXPECT_EQ(far_above.work, Work::refused);
    EXPECT_LT(far_above.slices, 200u);
}

// The envelope

TEST_F(Open, flags_checksum_and_request_ids_are_kept) {
    for (const std::uint32_t flags :
         {0u, wire::flag_checksum_present, wire::flag_more_to_come | wire::flag_checksum_present}) {
        for (const Buffer& body : {cursor_reply({patient()}), from_json(R"({"ok": 0.0, "code": 1})")}) {
            const Opened opened = open(wire::make_op_msg(7, 8, body, flags), shape(ReplyShape::Kind::cursor),
                                       clinic.role(Kind::reveal));
            ASSERT_EQ(opened.work, Work::done);
            const auto message = wire::OpMsg::parse(opened.frame);  // verifies the checksum
            ASSERT_TRUE(message) << message.error().message();
            EXPECT_EQ(message->flags, flags);
            EXPECT_EQ(message->header.request_id, 7);
            EXPECT_EQ(message->header.response_to, 8);
        }
    }
}

TEST_F(Open, a_reply_that_is_not_what_its_shape_says_is_refused) {
    using ReplyKind = ReplyShape::Kind;
    const std::pair<ReplyKind, const char*> cases[] = {
        {ReplyKind::cursor, R"({"cursor": {"firstBatch": [], "id": 0}})"},  // no ok
        {ReplyKind::cursor, R"({"ok": 1.0})"},
        {ReplyKind::cursor, R"({"cursor": [], "ok": 1.0})"},
        {ReplyKind::cursor, R"({"cursor": {"firstBatch": []}, "ok": 1.0})"},
        {ReplyKind::cursor, R"({"cursor": {"firstBatch": [], "id": "0"}, "ok": 1.0})"},
        {ReplyKind::cursor, R"({"cursor": {"id": 0}, "ok": 1.0})"},
        {ReplyKind::cursor, R"({"cursor": {"firstBatch": {"ssn": 1}, "id": 0}, "ok": 1.0})"},
        {ReplyKind::cursor, R"({"cursor": {"firstBatch": [], "nextBatch": [], "id": 0}, "ok": 1.0})"},
        {ReplyKind::value, R"({"ok": 1.0})"},
        {ReplyKind::values, R"({"ok": 1.0})"},
        {ReplyKind::values, R"({"values": {"0": 1}, "ok": 1.0})"},
        {ReplyKind::write_result, R"({"ok": 1.0, "writeErrors": {"0": {}}})"},
        {ReplyKind::write_result, R"({"ok": 1.0, "writeErrors": [1]})"},
        {ReplyKind::write_result, R"({"ok": 1.0, "writeConcernError": "x"})"},
    };
    for (const auto& [kind, body] : cases) {
        SCOPED_TRACE(body);
        const Opened opened = open_body(from_json(body), shape(kind), clinic.role(Kind::reveal));
        EXPECT_EQ(opened.work, Work::refused);
        EXPECT_EQ(opened.refusal.code, 22);
        EXPECT_FALSE(opened.refusal.errmsg.empty());
    }
    const Buffer twice = document([&](Builder& reply) {
        reply.append_document("value", patient()).append_document("value", patient()).append_double("ok", 1);
    });
    EXPECT_EQ(open_body(twice, shape(ReplyKind::value), clinic.role(Kind::omit)).work, Work::refused);
}

TEST_F(Open, a_reply_with_a_document_sequence_is_refused) {
    const Buffer body = from_json(R"({"value": null, "ok": 1.0})");
    wire::Buffer frame = wire::make_op_msg(7, 8, body);
    const Buffer inside = from_json("{}");
    const Buffer size = int32_value(static_cast<std::int32_t>(4 + 2 + inside.size()));
    frame.push_back(1);
    frame.insert(frame.end(), size.begin(), size.end());
    frame.push_back('x');
    frame.push_back(0);
    frame.insert(frame.end(), inside.begin(), inside.end());
    wire::finish_message(frame);
    EXPECT_EQ(open(frame, shape(ReplyShape::Kind::value), clinic.role(Kind::reveal)).work, Work::refused);
}

TEST_F(Open, as_deep_as_the_configuration_allows_and_no_deeper) {
    const auto nested = [](int levels) {
        Buffer inner = from_json("{}");
        for (int i = 0; i < levels; ++i) {
            inner = document([&](Builder& outer) { outer.append_document("insurance", inner); });
        }
        return inner;
    };
    for (const config::Role& role : {clinic.role(Kind::reveal), clinic.role(Kind::omit)}) {
        for (const char* const key : {"insurance", "plain"}) {
            for (const int levels : {100, 101, 5000}) {
                const Buffer inner = nested(levels - 1);
                const Buffer stored =
                    document([&](Builder& patient) { patient.append_document(key, inner); });
                EXPECT_EQ(open_body(cursor_reply({stored}), shape(ReplyShape::Kind::cursor), role).work,
                          levels <= 100 ? Work::done : Work::refused)
                    << key << " " << levels;
            }
        }
    }
}

TEST_F(Open, arrays_of_parents_nest_as_deep_as_the_configuration_allows) {
    for (const int levels : {100, 101}) {
        Buffer inner = from_json("{}");
        for (int i = 1; i < levels; ++i) {
            inner = document([&](Builder& outer) { outer.append_array("0", inner); });
        }
        const Buffer stored = document([&](Builder& patient) { patient.append_array("insurance", inner); });
        EXPECT_EQ(
            open_body(cursor_reply({stored}), shape(ReplyShape::Kind::cursor), clinic.role(Kind::omit)).work,
            levels == 100 ? Work::done : Work::refused);
    }
}

TEST_F(Open, a_document_that_ends_before_its_length_is_refused) {
    // After the early terminator an element that could as well be one of the outer document.
    const Buffer inner = {20, 0, 0, 0, 0x10, 'a', 0, 1, 0, 0, 0, 0, 0x10, 'b', 0, 2, 0, 0, 0, 0};
    for (const char* const key : {"insurance", "plain"}) {
        const Buffer stored = document([&](Builder& patient) { patient.append_document(key, inner); });
        EXPECT_EQ(
            open_body(cursor_reply({stored}), shape(ReplyShape::Kind::cursor), clinic.role(Kind::omit)).work,
            Work::refused)
            << key;
    }
}

TEST_F(Open, every_changed_byte_of_a_reply_is_refused_or_leaves_it_well_formed) {
    const wire::Buffer frame = wire::make_op_msg(
        7, 8, cursor_reply({document([&](Builder& patient) {
            patient.append_string("name", "Jon Doe");
            add(patient, "ssn", ssn, Type::int32, int32_value(145014000));
            patient.open_document("insurance").append_string("provider", "MaestCare").close();
        })}));
    for (std::size_t at = 16; at < frame.size(); ++at) {
        for (const std::uint8_t mask : {std::uint8_t{0x01}, std::uint8_t{0x80}, std::uint8_t{0xFF}}) {
            wire::Buffer changed = frame;
            changed[at] ^= mask;
            const auto message = wire::OpMsg::parse(changed);
            if (!message) continue;
            for (const Kind kind : {Kind::reveal, Kind::omit}) {
                const config::Role role = clinic.role(kind);
                Opener opener(*message, changed, shape(ReplyShape::Kind::cursor), role, clinic.config,
                              "clinic", 48000000);
                if (run(opener, clinic) != Work::done) continue;
                const wire::Buffer out = opener.take();
                const auto reparsed = wire::OpMsg::parse(out);
                ASSERT_TRUE(reparsed) << at;
                EXPECT_TRUE(bson::DocumentView::check(reparsed->body.bytes(), bson::Limits{103})) << at;
            }
        }
    }
}

}  // namespace
}  // namespace fieldgate::session::testing
