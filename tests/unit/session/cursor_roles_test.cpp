#include <gtest/gtest.h>

#include "proxy/bson/builder.hpp"
#include "transcript.hpp"

// Cursors go on wherever and by whomever: what is seen of them is the requester's policy, and only its own
// role's.
namespace fieldgate::session {
namespace {

using namespace testing;

constexpr std::string_view find_all = R"({"find": "patients", "batchSize": 1, "$db": "medicalRecords"})";
constexpr std::string_view get_more = R"({"getMore": {"$numberLong": "42"}, "collection": "patients",
                                          "$db": "medicalRecords"})";
constexpr std::string_view open_cursor =
    R"({"cursor": {"firstBatch": [{"_id": 1, "name": "Jon"}], "id": {"$numberLong": "42"},
        "ns": "medicalRecords.patients"}, "ok": 1})";
constexpr std::string_view next_batch =
    R"({"cursor": {"nextBatch": [{"_id": 2, "name": "Ann", "ssn": 5}], "id": {"$numberLong": "42"},
        "ns": "medicalRecords.patients"}, "ok": 1})";
constexpr std::string_view last_batch =
    R"({"cursor": {"nextBatch": [], "id": {"$numberLong": "0"}, "ns": "medicalRecords.patients"}, "ok": 1})";

TEST(CursorRoles, a_cursor_goes_on_at_another_connection_of_the_same_role) {
    Process process(clinic());
    Transcript first(process, receptionist);
    first.request(find_all);
    first.reply(open_cursor);
    Transcript second(process, receptionist);
    EXPECT_EQ(second.request(get_more).action, RequestAction::forward);
    second.reply(next_batch);
    const auto seen = second.received_one();
    EXPECT_EQ(bson::to_json(seen).find("ssn"), std::string::npos);
    EXPECT_NE(bson::to_json(seen).find("Ann"), std::string::npos);
}

TEST(CursorRoles, a_cursor_of_another_role_is_not_found_in_either_direction) {
    for (const auto& [opener, other] : {std::pair{doctor, receptionist}, std::pair{receptionist, doctor}}) {
        SCOPED_TRACE(opener);
        Process process(clinic());
        Transcript first(process, opener);
        first.request(find_all);
        first.reply(open_cursor);
        Transcript second(process, other);
        second.request(R"({"ping": 1, "$db": "admin"})");
        second.reply(R"({"ok": 1})");
        second.received();
        EXPECT_EQ(second.request(get_more).action, RequestAction::answered);
        EXPECT_EQ(code_of(second.received_one()), analysis::code::cursor_not_found);
    }
}

TEST(CursorRoles, an_unknown_cursor_is_read_by_the_schema_for_a_doctor_and_not_found_for_a_receptionist) {
    Process process(clinic());
    Transcript doctors(process, doctor);
    EXPECT_EQ(doctors.request(get_more).action, RequestAction::forward);
    doctors.reply(next_batch);
    EXPECT_EQ(doctors.received().size(), 1u);
    Process another(clinic());
    Transcript receptionists(another, receptionist);
    EXPECT_EQ(receptionists.request(get_more).action, RequestAction::answered);
    EXPECT_EQ(code_of(receptionists.received_one()), analysis::code::cursor_not_found);
}

TEST(CursorRoles, results_of_a_bulk_write_go_on_under_their_own_name_and_are_nobody_elses) {
    constexpr std::string_view bulk_write =
        R"({"bulkWrite": 1, "ops": [{"insert": 1, "document": {"name": "Jon"}}],
            "nsInfo": [{"ns": "medicalRecords.notes"}, {"ns": "medicalRecords.patients"}], "$db": "admin"})";
    constexpr std::string_view more = R"({"getMore": {"$numberLong": "42"}, "collection": "$cmd.bulkWrite",
                                          "$db": "admin"})";
    constexpr std::string_view results =
        R"({"cursor": {"firstBatch": [{"ok": 1.0, "idx": 0, "n": 1}], "id": {"$numberLong": "42"},
            "ns": "admin.$cmd.bulkWrite"}, "ok": 1})";
    constexpr std::string_view failure =
        R"({"cursor": {"nextBatch": [{"ok": 0.0, "idx": 1, "code": 11000, "errmsg": "canary"}],
            "id": {"$numberLong": "42"}, "ns": "admin.$cmd.bulkWrite"}, "ok": 1})";
    Process process(clinic());
    Transcript first(process, doctor);
    ASSERT_EQ(first.request(bulk_write).action, RequestAction::forward);
    first.reply(results);
    first.received();
    Transcript second(process, doctor);
    ASSERT_EQ(second.request(more).action, RequestAction::forward);
    second.reply(failure);
    const std::string seen = bson::to_json(second.received_one());
    EXPECT_EQ(seen.find("canary"), std::string::npos) << seen;
    EXPECT_NE(seen.find("duplicate key"), std::string::npos) << seen;
    Transcript other(process, receptionist);
    EXPECT_EQ(other.request(more).action, RequestAction::answered);
    EXPECT_EQ(code_of(other.received_one()), analysis::code::cursor_not_found);
    // Unknown ones could quote values of any namespace.
    Process another(clinic());
    Transcript receptionists(another, receptionist);
    EXPECT_EQ(receptionists.request(more).action, RequestAction::answered);
    EXPECT_EQ(code_of(receptionists.received_one()), analysis::code::cursor_not_found);
    Transcript doctors(another, doctor);
    EXPECT_EQ(doctors.request(more).action, RequestAction::forward);
}

TEST(CursorRoles, a_cursor_continued_under_another_collection_name_is_not_found) {
    Process process(clinic());
    Transcript t(process, doctor);
    t.request(find_all);
    t.reply(open_cursor);
    t.received();
    t.request(R"({"getMore": {"$numberLong": "42"}, "collection": "notes", "$db": "medicalRecords"})");
    EXPECT_EQ(code_of(t.received_one()), analysis::code::cursor_not_found);
}

TEST(CursorRoles, an_exhausted_cursor_is_forgotten) {
    Process process(clinic());
    Transcript t(process, doctor);
    t.request(find_all);
    t.reply(open_cursor);
    EXPECT_EQ(process.cursors.size(), 1u);
    t.request(get_more);
    t.reply(last_batch);
    EXPECT_EQ(process.cursors.size(), 0u);
}

TEST(CursorRoles, every_reply_of_an_exhaust_stream_is_rewritten_and_the_next_request_waits_for_its_end) {
    Process process(clinic());
    Transcript t(process, receptionist);
    t.request(find_all);
    t.reply(open_cursor);
    t.received();
    t.request(get_more, wire::flag_exhaust_allowed);
    for (int i = 0; i < 3; ++i) {
        t.reply(next_batch, wire::flag_more_to_come);
        EXPECT_EQ(bson::to_json(t.received_one()).find("ssn"), std::string::npos);
    }
    EXPECT_FALSE(t.session().idle());
    t.reply(last_batch);
    EXPECT_EQ(t.received().size(), 1u);
    EXPECT_TRUE(t.session().idle());
}

TEST(CursorRoles, an_exhaust_stream_may_repeat_the_requests_id_but_name_no_other) {
    Process process(clinic());
    Transcript t(process, doctor);
    t.request(find_all);
    t.reply(open_cursor);
    const auto frame = wire::make_op_msg(900, 0, Transcript::json(get_more), wire::flag_exhaust_allowed);
    t.request_bytes(frame);
    t.reply(next_batch, wire::flag_more_to_come);
    const auto reply_to = [](std::int32_t id) {
        return wire::make_op_msg(77, id, Transcript::json(last_batch));
    };
    EXPECT_EQ(t.session().route_reply(wire::Bytes(reply_to(900)).first(20)), ReplyRoute::collect);
    EXPECT_EQ(t.session().route_reply(wire::Bytes(reply_to(901)).first(20)), ReplyRoute::close);
}

TEST(CursorRoles, a_cursor_is_killed_by_its_own_role_only_whatever_collection_is_named) {
    Process process(clinic());
    Transcript first(process, doctor);
    first.request(find_all);
    first.reply(open_cursor);
    for (const char* collection : {"patients", "wards"}) {
        const std::string kill =
            R"({"killCursors": ")" + std::string(collection) +
            R"(", "cursors": [{"$numberLong": "7"}, {"$numberLong": "42"}], "$db": "medicalRecords"})";
        Transcript other(process, receptionist);
        EXPECT_EQ(other.request(kill).action, RequestAction::answered);
        EXPECT_EQ(code_of(other.received_one()), analysis::code::cursor_not_found);
        Transcript own(process, doctor);
        EXPECT_EQ(own.request(kill).action, RequestAction::forward);
    }
}

}  // namespace
}  // namespace fieldgate::session
