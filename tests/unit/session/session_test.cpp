#include "proxy/session/session.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "proxy/bson/builder.hpp"
#include "transcript.hpp"

namespace fieldgate::session {
namespace {

using namespace testing;

constexpr std::string_view find_ssn =
    R"({"find": "patients", "filter": {"ssn": 145014000}, "$db": "medicalRecords"})";
constexpr std::string_view find_plain = R"({"find": "notes", "filter": {"x": 1}, "$db": "other"})";

bool contains(wire::Bytes haystack, wire::Bytes needle) {
    return std::ranges::search(haystack, needle).begin() != haystack.end();
}

wire::Bytes text_bytes(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

wire::Buffer ciphertext_reply(Transcript& t, std::string_view collection = "patients") {
    // What the server stores is what it was sent: taken from an insert of the doctor's.
    const auto insert = t.request(
        R"({"insert": "patients", "documents": [{"_id": 1, "name": "Jon Doe", "ssn": 145014000, "bloodType": "AB+",
            "email": "jon@example.com", "insurance": {"provider": "MaestCare", "policyNumber": 123142}}],
            "$db": "medicalRecords"})");
    EXPECT_EQ(insert.action, RequestAction::forward);
    t.reply(R"({"n": 1, "ok": 1})");
    t.received();
    const auto body = Transcript::body_of(insert.bytes);
    const auto documents = bson::DocumentView::unchecked(body).find("documents");
    wire::Buffer out;
    bson::Builder doc(out);
    doc.open_document("cursor")
        .append_array("firstBatch", documents->value())
        .append_int64("id", 42)
        .append_string("ns", "medicalRecords." + std::string(collection))
        .close()
        .append_double("ok", 1.0)
        .finish();
    return out;
}

TEST(Session, answers_a_hello_without_the_server_once_it_was_reached) {
    Process process(clinic());
    process.facts.wire_version_max = 21;
    Transcript t(process, doctor);
    EXPECT_EQ(t.request(R"({"hello": 1, "$db": "admin"})").action, RequestAction::answered);
    EXPECT_EQ(t.handshakes, 0u);
    const auto hello = t.received_one();
    EXPECT_EQ(bson::DocumentView::unchecked(hello).find("msg")->string(), "isdbgrid");
}

TEST(Session, asks_the_server_for_its_wire_version_before_the_first_hello) {
    Process process(clinic());
    Transcript t(process, doctor);
    t.request(R"({"hello": 1, "$db": "admin"})");
    EXPECT_EQ(t.handshakes, 1u);
    const auto hello = t.received_one();
    EXPECT_EQ(bson::DocumentView::unchecked(hello).find("maxWireVersion")->int32(), 21);
}

TEST(Session, relays_speculative_authentication_inside_the_handshake) {
    Process process(clinic());
    process.facts.wire_version_max = 21;
    Transcript t(process, doctor);
    t.upstream_hello_reply =
        R"({"ismaster": true, "maxWireVersion": 21, "hosts": ["db1:27017"], "setName": "rs0", "me": "db1:27017",
            "speculativeAuthenticate": {"conversationId": 1, "done": false, "ok": 1},
            "saslSupportedMechs": ["SCRAM-SHA-256"], "ok": 1})";
    t.request(R"({"hello": 1, "client": {"driver": {"name": "x"}}, "saslSupportedMechs": "admin.app",
                  "speculativeAuthenticate": {"saslStart": 1, "mechanism": "SCRAM-SHA-256"}, "$db": "admin"})");
    const auto sent = Transcript::body_of(t.last_upstream_hello);
    EXPECT_TRUE(bson::DocumentView::unchecked(sent).find("client"));
    EXPECT_TRUE(bson::DocumentView::unchecked(sent).find("speculativeAuthenticate"));
    const auto hello = t.received_one();
    const auto view = bson::DocumentView::unchecked(hello);
    EXPECT_TRUE(view.find("speculativeAuthenticate"));
    EXPECT_TRUE(view.find("saslSupportedMechs"));
    EXPECT_FALSE(contains(hello, text_bytes("db1:27017")));
}

// On a connection whose certificate is fieldgate's, the server would let whoever asks act as fieldgate.
TEST(Session, lends_its_certificate_to_nobody) {
    Process process(clinic());
    process.facts.wire_version_max = 21;
    for (const std::string_view login :
         {R"({"authenticate": 1, "mechanism": "MONGODB-X509", "$db": "$external"})",
          R"({"authenticate": 1, "user": "CN=app", "mechanism": "MONGODB-X509", "$db": "$external"})",
          R"({"saslStart": 1, "mechanism": "MONGODB-X509", "payload": "", "$db": "$external"})"}) {
        for (const std::size_t listener : {doctor, receptionist}) {
            Transcript t(process, listener);
            EXPECT_EQ(t.request(login).action, RequestAction::answered) << login;
            const auto answer = t.received_one();
            EXPECT_EQ(code_of(answer), analysis::code::unauthorized);
            EXPECT_NE(errmsg_of(answer).find("MONGODB-X509"), std::string::npos);
            EXPECT_EQ(t.handshakes, 0u);
        }
    }
    for (const std::string_view early :
         {R"({"authenticate": 1, "mechanism": "MONGODB-X509", "db": "$external"})",
          R"({"saslStart": 1, "mechanism": "SCRAM-SHA-256", "mechanism": "MONGODB-X509"})"}) {
        Transcript t(process, doctor);
        t.request(R"({"hello": 1, "saslSupportedMechs": "admin.app", "speculativeAuthenticate": )" +
                  std::string(early) + R"(, "$db": "admin"})");
        const auto sent = Transcript::body_of(t.last_upstream_hello);
        EXPECT_TRUE(bson::DocumentView::unchecked(sent).find("saslSupportedMechs"));
        EXPECT_FALSE(bson::DocumentView::unchecked(sent).find("speculativeAuthenticate")) << early;
    }
    Transcript t(process, doctor);
    for (const std::string_view login :
         {R"({"saslStart": 1, "mechanism": "SCRAM-SHA-256", "payload": "", "$db": "admin"})",
          R"({"authenticate": 1, "user": "app", "nonce": "1", "key": "2", "$db": "admin"})"})
        EXPECT_EQ(t.request(login).action, RequestAction::forward) << login;
}

TEST(Session, refuses_load_balanced_by_name) {
    Process process(clinic());
    Transcript t(process, doctor);
    t.request(R"({"hello": 1, "loadBalanced": true, "$db": "admin"})");
    const auto answer = t.received_one();
    EXPECT_EQ(code_of(answer), analysis::code::bad_value);
    EXPECT_NE(errmsg_of(answer).find("loadBalanced"), std::string::npos);
}

TEST(Session, forwards_an_unprotected_request_byte_for_byte) {
    Process process(clinic());
    Transcript t(process, receptionist);
    const auto frame = wire::make_op_msg(100, 0, Transcript::json(find_plain));
    const auto result = t.request_bytes(frame);
    EXPECT_EQ(result.action, RequestAction::forward);
    EXPECT_EQ(result.bytes, frame);
    EXPECT_EQ(t.namespace_lookups, 1u);
    EXPECT_EQ(t.key_fetches, 0u);
    t.reply(R"({"cursor": {"firstBatch": [{"ssn": 5}], "id": 0, "ns": "other.notes"}, "ok": 1})");
    EXPECT_EQ(t.received_one(),
              Transcript::json(
                  R"({"cursor": {"firstBatch": [{"ssn": 5}], "id": 0, "ns": "other.notes"}, "ok": 1})"));
}

TEST(Session, encrypts_a_query_and_opens_its_reply_for_a_doctor) {
    Process process(clinic());
    Transcript t(process, doctor);
    const auto stored = ciphertext_reply(t);
    EXPECT_FALSE(contains(stored, text_bytes("jon@example.com")));
    const auto query = t.request(find_ssn);
    const auto body = Transcript::body_of(query.bytes);
    const auto filter = bson::DocumentView::unchecked(body).find("filter")->document();
    ASSERT_EQ(filter.find("ssn")->type(), bson::Type::binary);
    EXPECT_EQ(filter.find("ssn")->binary().subtype, 6);
    t.reply_document(stored);
    const auto seen = t.received_one();
    EXPECT_TRUE(contains(seen, text_bytes("jon@example.com")));
    const auto patient = bson::DocumentView::unchecked(seen).find("cursor")->document().find("firstBatch");
    EXPECT_EQ((*patient->document().begin()).document().find("ssn")->int32(), 145014000);
}

TEST(Session, shows_a_receptionist_names_and_providers_only) {
    Process process(clinic());
    Transcript writer(process, doctor);
    const auto stored = ciphertext_reply(writer);
    Transcript t(process, receptionist);
    t.request(R"({"find": "patients", "$db": "medicalRecords"})");
    t.reply_document(stored);
    const auto seen = t.received_one();
    const auto patients = bson::DocumentView::unchecked(seen).find("cursor")->document().find("firstBatch");
    EXPECT_EQ(bson::to_json((*patients->document().begin()).value()),
              bson::to_json(Transcript::json(
                  R"({"_id": 1, "name": "Jon Doe", "insurance": {"provider": "MaestCare"}})")));
}

TEST(Session, refuses_a_receptionist_to_query_what_it_may_not_see) {
    Process process(clinic());
    Transcript t(process, receptionist);
    EXPECT_EQ(t.request(find_ssn).action, RequestAction::answered);
    const auto answer = t.received_one();
    EXPECT_EQ(code_of(answer), analysis::code::unauthorized);
    EXPECT_NE(errmsg_of(answer).find("ssn"), std::string::npos);
    EXPECT_EQ(errmsg_of(answer).find("145014000"), std::string::npos);
    EXPECT_EQ(t.request(find_plain).action, RequestAction::forward);
}

TEST(Session, never_lets_an_answer_overtake_a_reply) {
    Process process(clinic());
    Transcript t(process, receptionist);
    t.request(find_plain);
    t.request(find_ssn);
    t.request(find_plain);
    EXPECT_TRUE(t.received().empty());
    t.reply(R"({"first": 1, "ok": 1})");
    const auto both = t.received();
    ASSERT_EQ(both.size(), 2u);
    EXPECT_TRUE(bson::DocumentView::unchecked(both[0]).find("first"));
    EXPECT_EQ(code_of(both[1]), analysis::code::unauthorized);
    t.reply(R"({"third": 1, "ok": 1})");
    EXPECT_TRUE(bson::DocumentView::unchecked(t.received_one()).find("third"));
    EXPECT_TRUE(t.session().idle());
}

TEST(Session, closes_the_connection_on_a_refused_unacknowledged_write_and_counts_it) {
    Process process(clinic());
    Transcript t(process, receptionist);
    const auto result = t.request(
        R"({"update": "patients", "updates": [{"q": {}, "u": {"$set": {"ssn": 5}}}], "$db": "medicalRecords",
            "writeConcern": {"w": 0}})",
        wire::flag_more_to_come);
    EXPECT_EQ(result.action, RequestAction::close);
    EXPECT_NE(result.reason.find("unacknowledged"), std::string::npos);
    EXPECT_EQ(t.session().counters().unacknowledged_refused, 1u);
    EXPECT_TRUE(t.received().empty());
}

TEST(Session, forwards_an_unacknowledged_write_and_expects_no_reply) {
    Process process(clinic());
    Transcript t(process, doctor);
    const auto result = t.request(
        R"({"insert": "patients", "documents": [{"ssn": 5}], "$db": "medicalRecords", "writeConcern": {"w": 0}})",
        wire::flag_more_to_come);
    EXPECT_EQ(result.action, RequestAction::forward);
    EXPECT_TRUE(t.session().idle());
    EXPECT_EQ(t.session().outstanding(), 0u);
}

TEST(Session, answers_when_no_server_is_there_and_labels_only_retryable_writes) {
    Process process(clinic());
    Transcript t(process, doctor);
    t.upstream_down = "no primary within 8s";
    EXPECT_EQ(t.request(find_plain).action, RequestAction::answered);
    const auto read = t.received_one();
    EXPECT_EQ(code_of(read), 6);
    EXPECT_FALSE(bson::DocumentView::unchecked(read).find("errorLabels"));
    t.request(R"({"insert": "notes", "documents": [{"x": 1}], "txnNumber": 1, "$db": "other"})");
    EXPECT_TRUE(bson::DocumentView::unchecked(t.received_one()).find("errorLabels"));
    t.upstream_down.clear();
    EXPECT_EQ(t.request(find_plain).action, RequestAction::forward);
}

TEST(Session, reports_a_key_that_cannot_be_had_and_sends_nothing) {
    Process process(clinic());
    process.key_error =
        keys::KeyError{analysis::code::key_not_available, "not all keys requested were satisfied"};
    Transcript t(process, doctor);
    EXPECT_EQ(t.request(find_ssn).action, RequestAction::answered);
    const auto answer = t.received_one();
    EXPECT_EQ(code_of(answer), analysis::code::key_not_available);
    EXPECT_EQ(t.handshakes, 0u);
}

TEST(Session, refuses_a_malformed_message_and_closes) {
    Process process(clinic());
    Transcript t(process, doctor);
    auto frame = wire::make_op_msg(100, 0, Transcript::json(find_plain));
    frame[16] |= 0x04;  // an unknown required flag
    const auto result = t.request_bytes(frame);
    EXPECT_EQ(result.action, RequestAction::close);
    EXPECT_EQ(code_of(t.received_one()), analysis::code::failed_to_parse);
}

TEST(Session, closes_on_a_reply_to_nothing) {
    Process process(clinic());
    Transcript t(process, doctor);
    const auto stray = wire::make_op_msg(1, 100, Transcript::json(R"({"ok": 1})"));
    EXPECT_EQ(t.session().route_reply(wire::Bytes(stray).first(20)), ReplyRoute::close);
    t.request(find_plain);
    const auto other = wire::make_op_msg(1, 9999, Transcript::json(R"({"ok": 1})"));
    EXPECT_EQ(t.session().route_reply(wire::Bytes(other).first(20)), ReplyRoute::close);
}

TEST(Session, says_that_a_member_is_lost_for_each_of_the_codes_and_no_other) {
    for (const int code : {10107, 13435, 10058, 11602, 11600, 189, 91, 11000, 43}) {
        SCOPED_TRACE(code);
        const bool lost = code != 11000 && code != 43;
        constexpr std::string_view insert =
            R"({"insert": "patients", "documents": [{"ssn": 5}], "$db": "medicalRecords"})";
        for (const std::string_view command : {find_plain, insert}) {
            Process process(clinic());
            Transcript t(process, doctor);
            t.request(command);
            const auto outcome =
                t.reply(R"({"ok": 0, "code": )" + std::to_string(code) + R"(, "errmsg": "x"})");
            EXPECT_EQ(outcome.member_lost, lost);
            t.request(command);
            EXPECT_EQ(t.reply(R"({"ok": 1, "writeConcernError": {"code": )" + std::to_string(code) + "}}")
                          .member_lost,
                      lost);
        }
    }
}

TEST(Session, streams_large_replies_of_unprotected_namespaces_only) {
    Process process(clinic());
    Transcript t(process, doctor);
    const auto big = [&](std::int32_t id, std::int32_t to) {
        wire::Buffer out;
        bson::Builder doc(out);
        doc.append_string("x", std::string(64 * 1024, 'x')).append_double("ok", 1.0).finish();
        return wire::make_op_msg(id, to, out);
    };
    t.request(find_plain);
    EXPECT_EQ(t.session().route_reply(wire::Bytes(big(1, 100)).first(20)), ReplyRoute::stream);
    t.reply(R"({"ok": 1})");
    t.request(find_ssn);
    EXPECT_EQ(t.session().route_reply(wire::Bytes(big(2, 101)).first(20)), ReplyRoute::collect);
}

TEST(Session, answers_a_reply_that_cannot_be_opened_with_an_error_and_kills_its_cursor) {
    Process process(clinic());
    Transcript t(process, doctor);
    auto stored = ciphertext_reply(t);
    // The last byte of a tag: the value no longer authenticates.
    const std::string_view provider = "insurance";
    const auto at = std::ranges::search(stored, text_bytes(provider)).begin();
    *(at - 2) ^= 1;
    t.request(find_ssn);
    const auto outcome = t.reply_document(stored);
    EXPECT_NE(code_of(t.received_one()), 0);
    ASSERT_FALSE(outcome.to_server.empty());
    const auto kill = Transcript::body_of(outcome.to_server);
    EXPECT_EQ((*bson::DocumentView::unchecked(kill).begin()).key(), "killCursors");
    t.reply(R"({"cursorsKilled": [42], "ok": 1})");
    EXPECT_TRUE(t.received().empty());
    EXPECT_TRUE(t.session().idle());
}

TEST(Session, says_that_a_write_may_have_happened_when_its_reply_cannot_be_read) {
    for (
        const std::string_view command :
        {R"({"insert": "patients", "documents": [{"ssn": 5}], "$db": "medicalRecords"})",
         R"({"findAndModify": "patients", "query": {}, "update": {"$set": {"name": "x"}}, "$db": "medicalRecords"})"}) {
        SCOPED_TRACE(command);
        Process process(clinic());
        Transcript t(process, doctor);
        t.request(command);
        t.reply(R"({"n": 1})");  // no `ok`
        const auto answer = t.received_one();
        EXPECT_NE(code_of(answer), 0);
        EXPECT_NE(errmsg_of(answer).find("the write may have happened"), std::string::npos);
    }
}

TEST(Session, refuses_secondary_reads_only_where_the_configuration_says_so) {
    const auto with_mode = [](std::string_view command, std::string_view mode) {
        return std::string(command.substr(0, command.size() - 1)) + R"(, "$readPreference": {"mode": ")" +
               std::string(mode) + "\"}}";
    };
    for (const bool refuses : {false, true}) {
        const auto config = clinic();
        if (refuses) config->upstream.read_preference = config::Upstream::ReadPreference::refuse;
        Process process(config);
        Transcript t(process, doctor);
        for (const std::string_view mode : {"secondary", "secondaryPreferred", "nearest"}) {
            SCOPED_TRACE(mode);
            EXPECT_EQ(t.request(with_mode(find_plain, mode)).action,
                      refuses ? RequestAction::answered : RequestAction::forward);
        }
        EXPECT_EQ(t.request(with_mode(find_plain, "primaryPreferred")).action, RequestAction::forward);
        EXPECT_EQ(t.request(with_mode(R"({"ping": 1, "$db": "admin"})", "secondary")).action,
                  RequestAction::forward);
        EXPECT_EQ(t.session().counters().requests_refused, refuses ? 3u : 0u);
    }
}

TEST(Session, refuses_a_body_above_what_servers_take) {
    const auto body_of = [](std::size_t size) {
        wire::Buffer out;
        bson::Builder doc(out);
        const std::size_t rest =
            5 + 10 + 16 + 10;  // {find: "n", comment: "...", $db: "d"} without the comment's text
        doc.append_string("find", "n")
            .append_string("comment", std::string(size - rest, 'x'))
            .append_string("$db", "d");
        doc.finish();
        return out;
    };
    constexpr std::size_t bound = 16 * 1024 * 1024 + 16 * 1024;
    wire::Buffer largest = body_of(bound);
    const std::size_t off_by = largest.size() - bound;  // names and overheads, whatever they are
    largest = body_of(bound - off_by);
    ASSERT_EQ(largest.size(), bound);
    Process process(clinic());
    Transcript t(process, doctor);
    EXPECT_EQ(t.request_bytes(wire::make_op_msg(100, 0, largest)).action, RequestAction::forward);
    EXPECT_EQ(t.request_bytes(wire::make_op_msg(101, 0, body_of(bound - off_by + 1))).action,
              RequestAction::answered);
    EXPECT_EQ(t.session().counters().requests_refused, 1u);
}

TEST(Session, says_why_it_refused_also_what_analysis_and_sealing_refuse) {
    Process process(clinic());
    Transcript t(process, doctor);
    const auto analysed =
        t.request(R"({"find": "patients", "filter": {"ssn": {"$gt": 5}}, "$db": "medicalRecords"})");
    EXPECT_EQ(analysed.reason, errmsg_of(t.received_one()));
    EXPECT_EQ(t.session().last_command(), "find");
    EXPECT_FALSE(analysed.reason.empty());
    const auto sealed =
        t.request(R"({"insert": "patients", "documents": [{"ssn": {"$binary": {"subType": "06",
        "base64": "AWNsaW5pYwAAAAAAAAAAAAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}}}],
        "$db": "medicalRecords"})");
    EXPECT_EQ(sealed.reason, errmsg_of(t.received_one()));
    EXPECT_FALSE(sealed.reason.empty());
    const auto unacknowledged =
        t.request(R"({"find": "patients", "filter": {"ssn": {"$gt": 5}}, "$db": "medicalRecords"})",
                  wire::flag_more_to_come);
    EXPECT_NE(unacknowledged.reason.find("ssn"), std::string::npos);
}

TEST(Session, answers_no_hello_that_asks_for_no_answer) {
    Process process(clinic());
    Transcript t(process, doctor);
    EXPECT_EQ(t.request(R"({"hello": 1, "$db": "admin"})", wire::flag_more_to_come).action,
              RequestAction::answered);
    EXPECT_TRUE(t.received().empty());
    EXPECT_TRUE(t.session().idle());
}

}  // namespace
}  // namespace fieldgate::session
