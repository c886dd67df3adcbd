#include "tests/unit/session/open_fixture.hpp"

namespace fieldgate::session::testing {
namespace {

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
    Opener opener(message, frame, cursor, role, clinic.config, 48000000);
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
    Opener opener(message, frame, shape(ReplyShape::Kind::cursor), role, clinic.config, 48000000);
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

}  // namespace
}  // namespace fieldgate::session::testing
