#include "proxy/session/seal.hpp"

#include "tests/unit/session/clinic.hpp"

namespace fieldgate::session::testing {
namespace {

using analysis::Edit;
using analysis::Plan;

constexpr std::size_t limit = 48000000;

struct Sealed {
    Work work = Work::refused;
    wire::Buffer frame;
    analysis::Refusal refusal;
    std::size_t slices = 0;

    // The n-th document of the sequence.
    bson::DocumentView document(std::size_t index) const {
        const auto message = wire::OpMsg::parse(frame);
        EXPECT_TRUE(message) << message.error().message();
        Bytes rest = message->sequences()[0].documents;
        for (;; --index) {
            const std::size_t size = boost::endian::load_little_u32(rest.data());
            const auto checked = bson::DocumentView::check(rest.first(size), {});
            EXPECT_TRUE(checked) << checked.error().message();
            if (index == 0) return *checked;
            rest = rest.subspan(size);
        }
    }
};

class Seal : public ::testing::Test {
 protected:
    struct Options {
        std::uint32_t flags = 0;
        bool sequence_first = false;
    };
    // {insert: "patients", $db: "clinic"} with its documents in a sequence.
    static wire::Buffer insert(const std::vector<Buffer>& documents, const Options& options) {
        const Buffer body = document([](Builder& command) {
            command.append_string("insert", "patients").append_string("$db", "clinic");
        });
        wire::Buffer frame;
        wire::append_header(frame, 7, 0, wire::Opcode::msg);
        const Buffer flags = int32_value(static_cast<std::int32_t>(options.flags));
        frame.insert(frame.end(), flags.begin(), flags.end());
        const auto append_body = [&] {
            frame.push_back(0);
            frame.insert(frame.end(), body.begin(), body.end());
        };
        if (!options.sequence_first) append_body();
        std::size_t size = 4 + sizeof "documents";
        for (const Buffer& each : documents) size += each.size();
        const Buffer length = int32_value(static_cast<std::int32_t>(size));
        frame.push_back(1);
        frame.insert(frame.end(), length.begin(), length.end());
        for (const char c : std::string_view("documents", sizeof "documents")) {
            frame.push_back(static_cast<std::uint8_t>(c));
        }
        for (const Buffer& each : documents) frame.insert(frame.end(), each.begin(), each.end());
        if (options.sequence_first) append_body();
        if ((options.flags & wire::flag_checksum_present) != 0) frame.resize(frame.size() + 4);
        wire::finish_message(frame);
        return frame;
    }
    static wire::Buffer insert(const std::vector<Buffer>& documents) { return insert(documents, Options()); }

    // Edits for every element of the sequence's documents that is named like a field, as the analysis would
    // make them.
    Plan plan_for(const wire::Buffer& frame, Edit::Kind kind = Edit::Kind::encrypt) const {
        Plan plan;
        plan.database = "clinic";
        plan.fields = clinic.fields();
        const auto message = wire::OpMsg::parse(frame);
        EXPECT_TRUE(message) << message.error().message();
        Bytes rest = message->sequences()[0].documents;
        const auto add = [&](const config::SchemaNode& node, const bson::Element& element) {
            plan.edits.push_back(
                {static_cast<std::uint32_t>(element.raw().data() - frame.data()), node.field, kind});
        };
        while (!rest.empty()) {
            const std::size_t size = boost::endian::load_little_u32(rest.data());
            for (const bson::Element element : bson::DocumentView::unchecked(rest.first(size))) {
                const config::SchemaNode* const node = clinic.schema().root().child(element.key());
                if (node == nullptr) continue;
                if (node->is_protected()) {
                    add(*node, element);
                    continue;
                }
                for (const bson::Element inner : element.document()) {
                    if (const config::SchemaNode* const child = node->child(inner.key())) add(*child, inner);
                }
            }
            rest = rest.subspan(size);
        }
        return plan;
    }

    Sealed seal(const wire::Buffer& frame, const Plan& plan, const SliceBudget& budget = {},
                std::size_t message_bytes_max = limit) {
        const auto message = wire::OpMsg::parse(frame).value();
        Sealer sealer(message, frame, plan, clinic.config, message_bytes_max);
        Sealed result;
        result.work = run(sealer, clinic, budget, &result.slices);
        result.refusal = sealer.refusal();
        if (result.work == Work::done) result.frame = sealer.take();
        return result;
    }
    Sealed seal(const wire::Buffer& frame) { return seal(frame, plan_for(frame)); }

    // The value behind a ciphertext, which has to be what the schema says of the field.
    Buffer opened(Field field, const bson::Element& element) {
        const config::EncryptedField& definition = clinic.schema().fields()[field];
        EXPECT_EQ(element.type(), Type::binary);
        EXPECT_EQ(element.binary().subtype, 6);
        const auto blob = crypto::CiphertextView::parse(element.binary().data);
        EXPECT_TRUE(blob);
        EXPECT_EQ(static_cast<int>(blob->algorithm), static_cast<int>(definition.algorithm));
        EXPECT_EQ(blob->key_id, field == passport ? key_id(2) : key_id(1));
        EXPECT_TRUE(definition.allows(blob->bson_type));
        Buffer out(element.binary().data.size());
        const auto size =
            clinic.ring.find(blob->key_id, Clinic::now()).cipher->open(element.binary().data, out);
        EXPECT_TRUE(size);
        out.resize(*size);
        return out;
    }

    static Buffer patient() {
        return document([](Builder& patient) {
            patient.append_string("name", "Jon Doe")
                .append_int32("ssn", 145014000)
                .append_string("bloodType", "AB+");
            patient.open_array("medicalRecords").append_int32("0", 180).close();
            patient.open_document("insurance").append_string("provider", "MaestCare");
            patient.append_int32("policyNumber", 123142).append_int32("after", 1).close();
            patient.append_date("dateOfBirth", 1).append_string("email", "jon@example.com");
            patient.append_string("passport", "C01X00T47")
                .append_bool("note", true)
                .append_string("last", "plain");
        });
    }
    // Random fields differ each time; these do not.
    static Buffer deterministic_patient(std::int32_t number) {
        return document([&](Builder& patient) {
            patient.append_string("name", "Jon Doe")
                .append_int32("ssn", number)
                .append_string("passport", "C01X00T47");
            patient.open_document("insurance").append_int32("policyNumber", number).close();
        });
    }

    Clinic clinic;
};

TEST_F(Seal, every_field_is_encrypted_as_its_schema_says_and_nothing_else_changes) {
    const wire::Buffer frame = insert({patient()});
    const Sealed sealed = seal(frame);
    ASSERT_EQ(sealed.work, Work::done) << sealed.refusal.errmsg;
    const bson::DocumentView stored = sealed.document(0);
    const Buffer expected = patient();
    const bson::DocumentView original = bson::DocumentView::unchecked(expected);
    std::size_t fields = 0;
    for (const bson::Element before : original) {
        SCOPED_TRACE(before.key());
        const bson::Element after = *stored.find(before.key());
        const config::SchemaNode* const node = clinic.schema().root().child(before.key());
        if (node == nullptr) {
            EXPECT_TRUE(std::ranges::equal(after.raw(), before.raw()));
        } else if (node->is_protected()) {
            EXPECT_TRUE(std::ranges::equal(opened(static_cast<Field>(node->field), after), before.value()));
            ++fields;
        } else {
            EXPECT_EQ(opened(policy_number, *after.document().find("policyNumber")), int32_value(123142));
            EXPECT_EQ(after.document().find("after")->int32(), 1);
            ++fields;
        }
    }
    EXPECT_EQ(fields, field_count);
    for (const std::string_view secret : {"AB+", "jon@example.com", "C01X00T47"}) {
        EXPECT_TRUE(contains(frame, secret));
        EXPECT_FALSE(contains(sealed.frame, secret));
    }
}

TEST_F(Seal, equal_values_of_deterministic_fields_give_equal_bytes) {
    const wire::Buffer frame =
        insert({deterministic_patient(1), deterministic_patient(1), deterministic_patient(2)});
    const Sealed sealed = seal(frame);
    ASSERT_EQ(sealed.work, Work::done);
    EXPECT_TRUE(std::ranges::equal(sealed.document(0).bytes(), sealed.document(1).bytes()));
    EXPECT_FALSE(std::ranges::equal(sealed.document(0).bytes(), sealed.document(2).bytes()));
    EXPECT_EQ(seal(frame).frame, sealed.frame);
}

TEST_F(Seal, every_plaintext_length_fits_its_place) {
    for (std::size_t length = 0; length < 70; ++length) {
        const std::string text(length, 't');
        const wire::Buffer frame = insert({document(
            [&](Builder& patient) { patient.append_string("bloodType", text).append_int32("after", 1); })});
        const Sealed sealed = seal(frame);
        ASSERT_EQ(sealed.work, Work::done);
        EXPECT_EQ(opened(blood_type, *sealed.document(0).find("bloodType")), string_value(text));
        EXPECT_EQ(sealed.document(0).find("after")->int32(), 1);
    }
}

TEST_F(Seal, edits_in_the_body_before_and_behind_a_sequence) {
    for (const bool sequence_first : {false, true}) {
        const wire::Buffer frame = insert({patient()}, {.sequence_first = sequence_first});
        Plan plan = plan_for(frame);
        // As if the command's name were a protected value.
        const auto message = wire::OpMsg::parse(frame).value();
        const auto name = message.body.find("insert")->raw().data() - frame.data();
        const Edit in_body{static_cast<std::uint32_t>(name), email, Edit::Kind::encrypt};
        plan.edits.insert(sequence_first ? plan.edits.end() : plan.edits.begin(), in_body);
        const Sealed sealed = seal(frame, plan);
        ASSERT_EQ(sealed.work, Work::done);
        const auto reparsed = wire::OpMsg::parse(sealed.frame).value();
        EXPECT_EQ(opened(email, *reparsed.body.find("insert")), string_value("patients"));
        EXPECT_EQ(reparsed.body.find("$db")->string(), "clinic");
        EXPECT_EQ(opened(ssn, *sealed.document(0).find("ssn")), int32_value(145014000));
    }
}

TEST_F(Seal, flags_checksum_and_request_id_are_kept) {
    for (const std::uint32_t flags : {0u, wire::flag_checksum_present, wire::flag_more_to_come}) {
        const Sealed sealed = seal(insert({patient()}, {.flags = flags}));
        ASSERT_EQ(sealed.work, Work::done);
        const auto message = wire::OpMsg::parse(sealed.frame);  // verifies the checksum
        ASSERT_TRUE(message) << message.error().message();
        EXPECT_EQ(message->flags, flags);
        EXPECT_EQ(message->header.request_id, 7);
    }
}

TEST_F(Seal, a_plan_without_edits_gives_the_same_bytes) {
    const wire::Buffer frame = insert({from_json(R"({"name": "Jon Doe"})")});
    EXPECT_EQ(seal(frame).frame, frame);
}

// Slices

TEST_F(Seal, slices_of_one_value_or_one_byte_give_the_same_bytes) {
    std::vector<Buffer> documents;
    for (int i = 0; i < 20; ++i) documents.push_back(deterministic_patient(i));
    const wire::Buffer frame = insert(documents, {.flags = wire::flag_checksum_present});
    const Plan plan = plan_for(frame);
    const Sealed whole = seal(frame, plan);
    EXPECT_EQ(whole.slices, 1u);
    const Sealed by_value = seal(frame, plan, {1, 1u << 20});
    EXPECT_EQ(by_value.frame, whole.frame);
    EXPECT_EQ(by_value.slices, 60u);
    const Sealed by_byte = seal(frame, plan, {600, 1});
    EXPECT_EQ(by_byte.frame, whole.frame);
    EXPECT_GT(by_byte.slices, 500u);
}

// Keys

TEST_F(Seal, missing_keys_are_asked_for_at_once_and_the_work_goes_on_where_it_was) {
    const wire::Buffer frame = insert({deterministic_patient(1), deterministic_patient(2)});
    const Plan plan = plan_for(frame);
    const wire::Buffer expected = seal(frame, plan).frame;

    const auto message = wire::OpMsg::parse(frame).value();
    keys::KeyRing ring(clinic.random);
    Sealer sealer(message, frame, plan, clinic.config, limit);
    ASSERT_EQ(sealer.step(ring, Clinic::now(), {1, 1000}), Work::need_keys);
    EXPECT_EQ(sealer.needed().ids, std::vector{key_id(1)});
    EXPECT_EQ(sealer.needed().alt_names, std::vector<std::string>{tenant_key_name});
    keys::KeyResult answer;
    answer.ids.emplace_back(key_id(1), Clinic::ready(1));
    answer.alt_names.emplace_back(tenant_key_name, key_id(2));
    ring.put(answer);
    ASSERT_EQ(sealer.step(ring, Clinic::now(), {1, 1000}), Work::need_keys);
    EXPECT_EQ(sealer.needed().ids, std::vector{key_id(2)});
    EXPECT_TRUE(sealer.needed().alt_names.empty());
    answer.ids.front() = {key_id(2), Clinic::ready(2)};
    ring.put(answer);
    ASSERT_EQ(sealer.step(ring, Clinic::now(), {1, 1000}), Work::more);
    // Both expire in the middle of the batch.
    ASSERT_EQ(sealer.step(ring, Clinic::now() + std::chrono::hours(2), {1, 1000}), Work::need_keys);
    EXPECT_EQ(sealer.needed().ids, (std::vector{key_id(1), key_id(2)}));
    EXPECT_TRUE(sealer.needed().alt_names.empty());
    Work work = Work::more;
    while (work == Work::more) work = sealer.step(clinic.ring, Clinic::now(), {1, 1000});
    ASSERT_EQ(work, Work::done);
    EXPECT_EQ(sealer.take(), expected);
}

TEST_F(Seal, keys_of_fields_that_the_message_does_not_use_are_not_asked_for) {
    const wire::Buffer frame = insert({from_json(R"({"bloodType": "AB+"})")});
    const Plan plan = plan_for(frame);
    const auto message = wire::OpMsg::parse(frame).value();
    keys::KeyRing empty(clinic.random);
    Sealer sealer(message, frame, plan, clinic.config, limit);
    ASSERT_EQ(sealer.step(empty, Clinic::now(), {}), Work::need_keys);
    EXPECT_EQ(sealer.needed().ids, std::vector{key_id(1)});
    EXPECT_TRUE(sealer.needed().alt_names.empty());
}

TEST_F(Seal, a_key_that_cannot_be_had_refuses_the_message_before_any_value_is_sealed) {
    keys::KeyResult failed;
    failed.ids.emplace_back(key_id(2),
                            keys::FailedKey{{96, "key two is gone"}, Clinic::now() + std::chrono::hours(1)});
    clinic.ring.put(failed);
    const Sealed sealed = seal(insert({patient()}));
    EXPECT_EQ(sealed.work, Work::refused);
    EXPECT_EQ(sealed.refusal.code, 96);
    EXPECT_EQ(sealed.refusal.errmsg, "key two is gone");
    failed.ids.clear();
    failed.alt_names.emplace_back(
        tenant_key_name, keys::FailedKey{{96, "no such name"}, Clinic::now() + std::chrono::hours(1)});
    clinic.ring.put(failed);
    EXPECT_EQ(seal(insert({patient()})).refusal.errmsg, "no such name");
}

TEST_F(Seal, alternative_names_depend_on_the_database) {
    const wire::Buffer frame = insert({from_json(R"({"passport": "C01X00T47"})")});
    Plan plan = plan_for(frame);
    plan.fields =
        analysis::FieldSpace::of(config::reference_to(clinic.patients()), "other_{database}", "patients");
    const auto message = wire::OpMsg::parse(frame).value();
    Sealer sealer(message, frame, plan, clinic.config, limit);
    ASSERT_EQ(sealer.step(clinic.ring, Clinic::now(), {}), Work::need_keys);
    EXPECT_EQ(sealer.needed().alt_names, std::vector<std::string>{"key-of-other_{database}"});
}

// Ciphertext from clients

TEST_F(Seal, fitting_ciphertext_of_the_client_stays_as_it_is) {
    const Buffer stored = document([&](Builder& patient) {
        patient.append_binary("ssn", 6, clinic.blob(ssn, Type::int32, int32_value(1)));
        patient.append_binary("email", 6, clinic.blob(email, Type::string, string_value("x")));
        patient.append_binary("passport", 6, clinic.blob(passport, Type::string, string_value("y")));
    });
    const wire::Buffer frame = insert({stored});
    const Plan plan = plan_for(frame, Edit::Kind::verify_ciphertext);
    ASSERT_EQ(plan.edits.size(), 3u);
    EXPECT_EQ(seal(frame, plan).frame, frame);
    EXPECT_EQ(seal(frame, plan, {1, 1}).frame, frame);
}

TEST_F(Seal, ciphertext_that_does_not_fit_is_refused_by_the_name_of_its_field) {
    const Buffer number = int32_value(1);
    Buffer flipped = clinic.blob(ssn, Type::int32, number);
    flipped.back() ^= 1;
    const auto det = crypto::Algorithm::deterministic;
    const std::pair<Buffer, const char*> cases[] = {
        {clinic.blob_with(crypto::Algorithm::random, 1, Type::int32, number), "algorithm"},
        {clinic.blob_with(det, 2, Type::int32, number), "another key"},
        {clinic.blob_with(det, 1, Type::int64, Buffer(8, 1)), "type long"},
        {flipped, "authenticate"},
        {Buffer(20, 1), "no ciphertext"},
        {Buffer{0, 1, 2}, "no ciphertext"},
        {Buffer{}, "no ciphertext"},
    };
    for (const auto& [blob, why] : cases) {
        SCOPED_TRACE(why);
        const wire::Buffer frame =
            insert({document([&](Builder& patient) { patient.append_binary("ssn", 6, blob); })});
        const Sealed sealed = seal(frame, plan_for(frame, Edit::Kind::verify_ciphertext));
        EXPECT_EQ(sealed.work, Work::refused);
        EXPECT_EQ(sealed.refusal.code, 31041);
        EXPECT_NE(sealed.refusal.errmsg.find("'ssn'"), std::string::npos) << sealed.refusal.errmsg;
        EXPECT_NE(sealed.refusal.errmsg.find(why), std::string::npos) << sealed.refusal.errmsg;
    }
    const wire::Buffer plain = insert({from_json(R"({"ssn": 1})")});
    EXPECT_EQ(seal(plain, plan_for(plain, Edit::Kind::verify_ciphertext)).work, Work::refused);
}

// The analysis lets none of this through; sealing looks again.
TEST_F(Seal, values_that_a_field_cannot_hold_are_refused_by_type_and_without_the_value) {
    const std::pair<Buffer, const char*> cases[] = {
        {document([](Builder& patient) { patient.append_string("ssn", "canary"); }), "string"},
        {document([](Builder& patient) { patient.append_null("note"); }), "null"},
        {document([&](Builder& patient) {
             patient.append_binary("note", 6, clinic.blob(note, Type::int32, int32_value(1)));
         }),
         "encrypted binary data"},
    };
    for (const auto& [stored, type] : cases) {
        const Sealed sealed = seal(insert({stored}));
        EXPECT_EQ(sealed.work, Work::refused);
        EXPECT_EQ(sealed.refusal.code, 31041);
        EXPECT_NE(sealed.refusal.errmsg.find(std::string("cannot encrypt element of type: ") + type),
                  std::string::npos)
            << sealed.refusal.errmsg;
        EXPECT_EQ(sealed.refusal.errmsg.find("canary"), std::string::npos);
    }
}

// Sizes

TEST_F(Seal, a_message_that_would_grow_beyond_the_limit_is_refused_with_the_way_out) {
    std::vector<Buffer> documents;
    for (int i = 0; i < 100; ++i) documents.push_back(deterministic_patient(i));
    const wire::Buffer frame = insert(documents);
    const Plan plan = plan_for(frame);
    const std::size_t sealed_bytes = seal(frame, plan).frame.size();
    EXPECT_EQ(seal(frame, plan, {}, sealed_bytes).work, Work::done);
    // One byte too many at the very end, and so many that it is clear from the start.
    for (const std::size_t bytes_max : {sealed_bytes - 1, frame.size() + 100}) {
        const Sealed above = seal(frame, plan, {}, bytes_max);
        EXPECT_EQ(above.work, Work::refused);
        EXPECT_EQ(above.refusal.code, 10334);
        EXPECT_EQ(above.refusal.code_name, "BSONObjectTooLarge");
        EXPECT_NE(above.refusal.errmsg.find("send fewer documents"), std::string::npos)
            << above.refusal.errmsg;
    }
}

TEST_F(Seal, a_document_may_grow_to_16_mebibytes_and_16_kibibytes_and_no_further) {
    constexpr std::size_t bytes_max = 16u * 1024 * 1024 + 16 * 1024;
    const auto with_filler = [](std::size_t filler_bytes) {
        return document([&](Builder& patient) {
            patient.append_int32("ssn", 1).append_string("filler", std::string(filler_bytes, 'f'));
        });
    };
    const std::size_t filler_bytes = bytes_max - seal(insert({with_filler(0)})).document(0).bytes().size();
    // What the documents around it become does not count.
    const Sealed largest =
        seal(insert({deterministic_patient(1), with_filler(filler_bytes), deterministic_patient(2)}));
    ASSERT_EQ(largest.work, Work::done) << largest.refusal.errmsg;
    EXPECT_EQ(largest.document(1).bytes().size(), bytes_max);
    EXPECT_GT(largest.slices, 10u);
    const Sealed above = seal(insert({deterministic_patient(1), with_filler(filler_bytes + 1)}));
    EXPECT_EQ(above.work, Work::refused);
    EXPECT_EQ(above.refusal.code, 10334);
}

}  // namespace
}  // namespace fieldgate::session::testing
