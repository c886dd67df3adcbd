#include "tests/unit/session/open_fixture.hpp"

// Fields whose key each document names itself (a JSON pointer as `keyId`), and the edits that seal_test.cpp
// has no fields for.
namespace fieldgate::session::testing {
namespace {

using analysis::Edit;
using analysis::Plan;

constexpr std::uint16_t diagnosis = field_count;
constexpr std::size_t limit = 48000000;
const char* const own_key_name = "key-of-jon";

struct Wanted {
    Edit::Kind kind = Edit::Kind::encrypt;
    std::uint8_t type = 0;
};

class DocumentKey : public Open {
 protected:
    DocumentKey() {
        auto schema = std::make_shared<config::Schema>();
        schema->root_ = clinic.schema().root().clone();
        schema->fields_ = clinic.schema().fields();
        schema->root_.add_child("diagnosis").field = diagnosis;
        schema->fields_.push_back(
            {"diagnosis", config::Algorithm::random, config::KeyPointer{{"keyName"}}, {0x02}});
        schema->fields_[note].bson_types = {0x08, 0x10, 0x12};
        clinic.config.schemas.front().schema = schema;
        cipher = std::move(crypto::FieldCipher::make(data_key(3), clinic.random).value());
        keys::KeyResult result;
        result.ids.emplace_back(key_id(3), Clinic::ready(3));
        result.alt_names.emplace_back(own_key_name, key_id(3));
        clinic.ring.put(result);
    }

    static config::Role role(ReadRule::Kind kind, std::uint32_t keep_last = 0) {
        config::Role role;
        role.name = "tester";
        role.encrypted_fields = {{kind, keep_last}, false, false};
        role.rules = {std::vector<config::FieldRule>(field_count + 1, role.encrypted_fields)};
        return role;
    }
    Buffer own_blob(std::string_view text) {
        const Buffer value = string_value(text);
        Buffer out(crypto::blob_bytes(value.size()));
        EXPECT_FALSE(cipher->seal(crypto::Algorithm::random, key_id(3), 0x02, value, out));
        return out;
    }
    static Buffer with_blob(const Buffer& blob) {
        return document([&](Builder& patient) { patient.append_binary("diagnosis", 6, blob); });
    }

    // {insert: "patients", documents: [...]}, with the edits that `plan` makes of each element.
    static wire::Buffer insert(const std::vector<Buffer>& documents) {
        return wire::make_op_msg(7, 0, document([&](Builder& command) {
                                     command.append_string("insert", "patients").open_array("documents");
                                     for (std::size_t i = 0; i < documents.size(); ++i)
                                         command.append_document(std::to_string(i), documents[i]);
                                     command.close().append_string("$db", "clinic");
                                 }));
    }
    Plan plan_for(const wire::Buffer& frame, const std::vector<std::string_view>& names, Wanted wanted = {}) {
        Plan plan;
        plan.database = "clinic";
        plan.fields = clinic.fields();
        const auto message = wire::OpMsg::parse(frame).value();
        const auto body = bson::DocumentView::check(message.body.bytes(), {}).value();
        std::size_t index = 0;
        for (const bson::Element each : body.find("documents")->document()) {
            for (const bson::Element element : each.document()) {
                const config::SchemaNode* const node = clinic.schema().root().child(element.key());
                if (node == nullptr) continue;
                const auto offset = static_cast<std::uint32_t>(element.raw().data() - frame.data());
                const Edit::Kind kind = element.type() == Type::null ? Edit::Kind::remove : wanted.kind;
                plan.edits.push_back({offset, node->field, kind, wanted.type});
                if (node->field == diagnosis && kind != Edit::Kind::remove)
                    plan.edit_keys.push_back({offset, names.at(index)});
            }
            ++index;
        }
        return plan;
    }
    struct Sealed {
        Work work = Work::refused;
        wire::Buffer frame;
        analysis::Refusal refusal;
        keys::KeyRequest needed;
        bson::DocumentView stored(std::size_t index = 0) const {
            const auto message = wire::OpMsg::parse(frame).value();
            const auto body = bson::DocumentView::check(message.body.bytes(), {}).value();
            return body.find("documents")->document().find(std::to_string(index))->document();
        }
    };
    Sealed seal(const wire::Buffer& frame, const Plan& plan, const SliceBudget& budget = {},
                std::size_t message_bytes_max = limit) {
        const auto message = wire::OpMsg::parse(frame).value();
        Sealer sealer(message, frame, plan, clinic.config, message_bytes_max);
        Sealed result;
        result.work = run(sealer, clinic, budget);
        result.refusal = sealer.refusal();
        result.needed = sealer.needed();
        if (result.work == Work::done) result.frame = sealer.take();
        return result;
    }

    std::unique_ptr<crypto::FieldCipher> cipher;
};

// Writing

TEST_F(DocumentKey, seals_each_document_under_the_key_that_it_names) {
    keys::KeyResult more;
    more.ids.emplace_back(key_id(4), Clinic::ready(4));
    more.alt_names.emplace_back("{database}", key_id(4));  // a document's name is not expanded
    clinic.ring.put(more);
    const wire::Buffer frame = insert({from_json(R"({"diagnosis": "gout", "ssn": 1})"),
                                       from_json(R"({"name": "x"})"), from_json(R"({"diagnosis": "flu"})")});
    const Plan plan = plan_for(frame, {own_key_name, "", "{database}"});
    for (const SliceBudget budget : {SliceBudget{}, SliceBudget{1, 1}}) {
        const Sealed sealed = seal(frame, plan, budget);
        ASSERT_EQ(sealed.work, Work::done) << sealed.refusal.errmsg;
        const Bytes first = sealed.stored(0).find("diagnosis")->binary().data;
        EXPECT_EQ(seen(with_blob(Buffer(first.begin(), first.end())), role(Kind::reveal)),
                  json(R"({"diagnosis": "gout"})"));
        const auto third = crypto::CiphertextView::parse(sealed.stored(2).find("diagnosis")->binary().data);
        ASSERT_TRUE(third);
        EXPECT_EQ(third->key_id, key_id(4));
        EXPECT_FALSE(contains(sealed.frame, "gout"));
    }
}

TEST_F(DocumentKey, asks_for_all_names_at_once_and_goes_on_where_it_was) {
    const wire::Buffer frame = insert({from_json(R"({"diagnosis": "a"})"), from_json(R"({"diagnosis": "b"})"),
                                       from_json(R"({"diagnosis": "c"})")});
    const Plan plan = plan_for(frame, {"one", own_key_name, "two"});
    const auto message = wire::OpMsg::parse(frame).value();
    Sealer sealer(message, frame, plan, clinic.config, limit);
    ASSERT_EQ(sealer.step(clinic.ring, Clinic::now(), {}), Work::need_keys);
    EXPECT_EQ(sealer.needed().alt_names, (std::vector<std::string>{"one", "two"}));
    keys::KeyResult names;
    names.alt_names.emplace_back("one", key_id(4));
    names.alt_names.emplace_back("two", key_id(5));
    clinic.ring.put(names);
    ASSERT_EQ(sealer.step(clinic.ring, Clinic::now(), {}), Work::need_keys);
    EXPECT_EQ(sealer.needed().ids, (std::vector{key_id(4), key_id(5)}));
    keys::KeyResult keys;
    keys.ids.emplace_back(key_id(4), Clinic::ready(4));
    keys.ids.emplace_back(key_id(5), Clinic::ready(5));
    clinic.ring.put(keys);
    ASSERT_EQ(sealer.step(clinic.ring, Clinic::now(), {1, 1}), Work::more);
    // They expire half-way: asked for again, and nothing is lost.
    const auto later = Clinic::now() + std::chrono::hours(2);
    Work work = Work::more;
    while (work == Work::more) work = sealer.step(clinic.ring, later, {1, 1});
    EXPECT_EQ(work, Work::need_keys);
    EXPECT_FALSE(sealer.needed().empty());
    ASSERT_EQ(run(sealer, clinic), Work::done);
}

TEST_F(DocumentKey, a_name_without_a_key_refuses_the_message) {
    keys::KeyResult failed;
    failed.alt_names.emplace_back(
        "nobody", keys::FailedKey{{96, "no key of that name"}, Clinic::now() + std::chrono::hours(1)});
    clinic.ring.put(failed);
    const wire::Buffer frame = insert({from_json(R"({"diagnosis": "gout"})")});
    const Sealed sealed = seal(frame, plan_for(frame, {"nobody"}));
    EXPECT_EQ(sealed.work, Work::refused);
    EXPECT_EQ(sealed.refusal.errmsg, "no key of that name");
}

TEST_F(DocumentKey, the_key_of_other_fields_cannot_be_named) {
    keys::KeyResult named;
    named.alt_names.emplace_back("key-one", key_id(1));
    clinic.ring.put(named);
    const wire::Buffer frame = insert({from_json(R"({"diagnosis": "gout"})")});
    for (const char* const name : {"key-one", tenant_key_name}) {
        const Sealed sealed = seal(frame, plan_for(frame, {name}));
        EXPECT_EQ(sealed.work, Work::refused);
        EXPECT_EQ(sealed.refusal.code, 2);
        EXPECT_NE(sealed.refusal.errmsg.find("gives to other fields"), std::string::npos);
    }
}

TEST_F(DocumentKey, ciphertext_of_the_client_must_be_under_the_named_key) {
    const wire::Buffer frame = insert({with_blob(own_blob("gout"))});
    const Sealed sealed = seal(frame, plan_for(frame, {own_key_name}, {Edit::Kind::verify_ciphertext}));
    ASSERT_EQ(sealed.work, Work::done) << sealed.refusal.errmsg;
    EXPECT_EQ(sealed.frame, frame);
    keys::KeyResult other;
    other.ids.emplace_back(key_id(4), Clinic::ready(4));
    other.alt_names.emplace_back("other", key_id(4));
    clinic.ring.put(other);
    const Sealed unfit = seal(frame, plan_for(frame, {"other"}, {Edit::Kind::verify_ciphertext}));
    EXPECT_EQ(unfit.refusal.code, 31041);
    EXPECT_NE(unfit.refusal.errmsg.find("its document names another key"), std::string::npos);
}

TEST_F(DocumentKey, a_message_names_ten_thousand_keys_and_no_more) {
    const wire::Buffer frame = insert({from_json(R"({"diagnosis": "gout"})")});
    Plan plan = plan_for(frame, {"key-0"});
    std::vector<std::string> names;
    for (int i = 0; i <= 10000; ++i) names.push_back("key-" + std::to_string(i));
    for (int i = 1; i < 10000; ++i)
        plan.edit_keys.push_back(
            {plan.edits[0].offset + static_cast<std::uint32_t>(i), names[static_cast<std::size_t>(i)]});
    const Sealed largest = seal(frame, plan);
    EXPECT_EQ(largest.work, Work::need_keys);
    EXPECT_EQ(largest.needed.alt_names.size(), 10000u);
    plan.edit_keys.push_back({plan.edits[0].offset + 10000, names.back()});
    const Sealed above = seal(frame, plan);
    EXPECT_EQ(above.work, Work::refused);
    EXPECT_NE(above.refusal.errmsg.find("more than 10000 data keys"), std::string::npos);
}

TEST_F(DocumentKey, the_name_of_a_key_has_512_bytes_and_no_more) {
    const wire::Buffer frame = insert({from_json(R"({"diagnosis": "gout"})")});
    EXPECT_EQ(seal(frame, plan_for(frame, {std::string(512, 'a')})).work, Work::need_keys);
    const std::string longer(513, 'a');
    const Sealed above = seal(frame, plan_for(frame, {longer}));
    EXPECT_EQ(above.work, Work::refused);
    EXPECT_NE(above.refusal.errmsg.find("more than 512 bytes"), std::string::npos);
    EXPECT_EQ(above.refusal.errmsg.find("aaa"), std::string::npos) << "not repeated";
}

// Reading

TEST_F(DocumentKey, opens_any_key_but_those_of_other_fields) {
    const Buffer stored = with_blob(own_blob("gout"));
    EXPECT_EQ(seen(stored, role(Kind::reveal)), json(R"({"diagnosis": "gout"})"));
    EXPECT_EQ(seen(stored, role(Kind::mask, 1)), json(R"({"diagnosis": "***t"})"));
    EXPECT_EQ(seen(stored, role(Kind::ciphertext)), bson::to_json(stored));
    for (const std::uint8_t key : {std::uint8_t{1}, std::uint8_t{2}}) {
        const Buffer foreign =
            with_blob(clinic.blob_with(crypto::Algorithm::random, key, Type::string, string_value("B+")));
        EXPECT_EQ(seen(foreign, role(Kind::reveal)), bson::to_json(foreign));
        EXPECT_EQ(seen(foreign, role(Kind::mask, 9)), json(R"({"diagnosis": null})"));
    }
}

TEST_F(DocumentKey, the_keys_of_other_schemas_are_refused_too) {
    auto other = std::make_shared<config::Schema>();
    other->root_.add_child("secret").field = 0;
    other->fields_.push_back({"secret", config::Algorithm::random, key_id(3).bytes, {0x02}});
    clinic.config.schemas.push_back({{"clinic", "staff"}, other, 1, false});
    const Buffer stored = with_blob(own_blob("gout"));
    config::Role reveal = role(Kind::reveal);
    reveal.rules.push_back({reveal.encrypted_fields});
    EXPECT_EQ(seen(stored, reveal), bson::to_json(stored));
}

TEST_F(DocumentKey, reading_waits_until_it_is_known_whose_the_key_is) {
    const Buffer reply = cursor_reply({with_blob(own_blob("gout"))});
    const wire::Buffer frame = wire::make_op_msg(7, 8, reply);
    const auto message = wire::OpMsg::parse(frame).value();
    keys::KeyRing empty(clinic.random);
    const ReplyShape cursor = shape(ReplyShape::Kind::cursor);
    const config::Role reveal = role(Kind::reveal);
    Opener opener(message, frame, cursor, reveal, clinic.config, limit);
    ASSERT_EQ(opener.step(empty, Clinic::now(), {}), Work::need_keys);
    EXPECT_EQ(opener.needed().alt_names, std::vector<std::string>{tenant_key_name});
    keys::KeyResult name;
    name.alt_names.emplace_back(tenant_key_name, key_id(2));
    empty.put(name);
    ASSERT_EQ(opener.step(empty, Clinic::now(), {}), Work::need_keys);
    EXPECT_NE(std::ranges::find(opener.needed().ids, key_id(3)), opener.needed().ids.end());
    ASSERT_EQ(run(opener, clinic), Work::done);
    EXPECT_TRUE(contains(opener.take(), "gout"));
}

TEST_F(DocumentKey, a_key_that_cannot_be_had_refuses_the_reply) {
    keys::KeyResult failed;
    failed.ids.emplace_back(key_id(3),
                            keys::FailedKey{{96, "shredded"}, Clinic::now() + std::chrono::hours(1)});
    clinic.ring.put(failed);
    const Opened opened = open_body(cursor_reply({with_blob(own_blob("gout"))}),
                                    shape(ReplyShape::Kind::cursor), role(Kind::reveal));
    EXPECT_EQ(opened.work, Work::refused);
    EXPECT_EQ(opened.refusal.errmsg, "shredded");
}

// Edits of other kinds

TEST_F(DocumentKey, an_element_is_left_out) {
    const wire::Buffer frame = insert(
        {from_json(R"({"name": "x", "ssn": null, "email": null, "last": 1})"), from_json(R"({"ssn": 1})")});
    for (const SliceBudget budget : {SliceBudget{}, SliceBudget{1, 1}}) {
        const Sealed sealed = seal(frame, plan_for(frame, {}), budget);
        ASSERT_EQ(sealed.work, Work::done) << sealed.refusal.errmsg;
        EXPECT_EQ(bson::to_json(sealed.stored(0).bytes()), json(R"({"name": "x", "last": 1})"));
        EXPECT_EQ(sealed.stored(1).find("ssn")->type(), Type::binary);
    }
}

TEST_F(DocumentKey, what_is_left_out_makes_room) {
    const wire::Buffer frame = insert({from_json(R"({"email": null, "bloodType": "A"})")});
    const Plan plan = plan_for(frame, {});
    const std::size_t bytes = seal(frame, plan).frame.size();
    EXPECT_EQ(seal(frame, plan, {}, bytes).work, Work::done);
    const Sealed above = seal(frame, plan, {}, bytes - 1);
    EXPECT_EQ(above.work, Work::refused);
    EXPECT_EQ(above.refusal.code, 10334);
}

TEST_F(DocumentKey, a_number_is_sealed_as_the_type_that_the_edit_names) {
    const wire::Buffer frame =
        insert({from_json(R"({"ssn": {"$numberDouble": "5.0"}})"),
                from_json(R"({"ssn": {"$numberLong": "5"}})"), from_json(R"({"ssn": 5})")});
    const Sealed sealed = seal(frame, plan_for(frame, {}, {Edit::Kind::encrypt, 0x10}));
    ASSERT_EQ(sealed.work, Work::done) << sealed.refusal.errmsg;
    for (const std::size_t i : {0u, 1u, 2u})
        EXPECT_TRUE(
            std::ranges::equal(sealed.stored(i).find("ssn")->raw(), sealed.stored(2).find("ssn")->raw()));
    const wire::Buffer wide = insert({from_json(R"({"note": 5})")});
    const Sealed as_long = seal(wide, plan_for(wide, {}, {Edit::Kind::encrypt, 0x12}));
    ASSERT_EQ(as_long.work, Work::done);
    EXPECT_EQ(as_long.stored().find("note")->binary().data[17], 0x12);
}

TEST_F(DocumentKey, a_number_that_does_not_fit_or_no_number_is_refused) {
    for (const char* const value : {R"({"ssn": {"$numberDouble": "5.5"}})",
                                    R"({"ssn": {"$numberLong": "2147483648"}})", R"({"ssn": "5"})"}) {
        const wire::Buffer frame = insert({from_json(value)});
        const Sealed sealed = seal(frame, plan_for(frame, {}, {Edit::Kind::encrypt, 0x10}));
        EXPECT_EQ(sealed.work, Work::refused) << value;
        EXPECT_EQ(sealed.refusal.code, 31041);
    }
    // The field would not take the type that it is turned into.
    const wire::Buffer frame = insert({from_json(R"({"ssn": 5})")});
    EXPECT_EQ(seal(frame, plan_for(frame, {}, {Edit::Kind::encrypt, 0x12})).refusal.code, 31041);
}

}  // namespace
}  // namespace fieldgate::session::testing
