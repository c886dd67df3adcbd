#pragma once

#include "proxy/session/open.hpp"
#include "tests/unit/session/clinic.hpp"

// Opening replies of the clinic, for the tests of it in several files.
namespace fieldgate::session::testing {

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
        return {kind, clinic.fields(), {clinic.patients().schema, &clinic.schema().root()}};
    }
    ReplyShape values_of(const config::SchemaNode* node) const {
        return {ReplyShape::Kind::values, clinic.fields(), {clinic.patients().schema, node}};
    }

    Opened open(const wire::Buffer& frame, const ReplyShape& reply_shape, const config::Role& role,
                const SliceBudget& budget = {}, std::size_t output_bytes_max = 48000000) {
        const auto message = wire::OpMsg::parse(frame);
        EXPECT_TRUE(message) << message.error().message();
        Opener opener(*message, frame, reply_shape, role, clinic.config, output_bytes_max);
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

}  // namespace fieldgate::session::testing
