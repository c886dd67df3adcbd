#include "tests/unit/session/open_fixture.hpp"

namespace fieldgate::session::testing {
namespace {

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
                              48000000);
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
