#include "proxy/session/query_analyser.hpp"

#include <gtest/gtest.h>

#include "driver_fixture.hpp"

// What drivers say to mongocryptd, and what it answers (reference: client-side encryption specification).
namespace fieldgate::session {
namespace {

using namespace testing;

// Handshake

TEST_F(QueryAnalyserTest, says_in_the_handshake_that_it_is_mongocryptd) {
    for (const std::string name : {"hello", "isMaster", "ismaster"}) {
        const Buffer reply = ask(R"({")" + name + R"(": 1, "helloOk": true, "$db": "admin"})");
        EXPECT_TRUE(at(reply, name == "hello" ? "isWritablePrimary" : "ismaster")->boolean());
        EXPECT_TRUE(at(reply, "iscryptd")->boolean());
        EXPECT_TRUE(at(reply, "helloOk")->boolean());
        EXPECT_EQ(at(reply, "maxBsonObjectSize")->int32(), 16777216);
        EXPECT_EQ(at(reply, "maxMessageSizeBytes")->int32(), 48000000);
        EXPECT_EQ(at(reply, "minWireVersion")->int32(), 0);
        EXPECT_EQ(at(reply, "maxWireVersion")->int32(), 26);
        EXPECT_EQ(at(reply, "connectionId")->int32(), 7);
        EXPECT_EQ(at(reply, "localTime")->int64(), 1700000000000);
        EXPECT_TRUE(at(reply, "ok")->truthy());
        // Drivers send sessions to whoever names a time-out for them, and expect a mongos to be one.
        EXPECT_FALSE(at(reply, "logicalSessionTimeoutMinutes"));
        EXPECT_FALSE(at(reply, "msg"));
        EXPECT_FALSE(at(reply, "topologyVersion"));
        EXPECT_EQ(analyser.last_command(), "handshake");
    }
}

Buffer op_query(std::string_view collection, std::string_view query_json) {
    const Buffer query = json(query_json);
    Buffer out;
    wire::append_header(out, 77, 0, wire::Opcode::query);
    out.resize(out.size() + 4);
    out.insert(out.end(), collection.begin(), collection.end());
    out.push_back(0);
    out.resize(out.size() + 4);
    out.insert(out.end(), 4, 255);
    out.insert(out.end(), query.begin(), query.end());
    wire::finish_message(out);
    return out;
}

TEST_F(QueryAnalyserTest, shakes_hands_by_op_query_too) {
    for (const std::string_view query :
         {R"({"isMaster": 1, "client": {}})", R"({"$query": {"ismaster": 1}})"}) {
        const auto outcome = send(op_query("admin.$cmd", query));
        EXPECT_EQ(outcome.kind, Kind::answered);
        const auto reply = wire::OpReply::parse(outcome.answer);
        ASSERT_TRUE(reply);
        EXPECT_EQ(reply->header.response_to, 77);
        EXPECT_EQ(reply->response_flags & 2, 0u);
        EXPECT_TRUE(at(reply->documents, "iscryptd")->boolean());
    }
}

TEST_F(QueryAnalyserTest, takes_nothing_else_by_op_query) {
    for (const auto& [collection, query] :
         {std::pair{"admin.$cmd", R"({"ping": 1})"}, std::pair{"clinic.patients", R"({"isMaster": 1})"}}) {
        const auto outcome = send(op_query(collection, query));
        EXPECT_EQ(outcome.kind, Kind::answered);
        const auto reply = wire::OpReply::parse(outcome.answer);
        ASSERT_TRUE(reply);
        EXPECT_EQ(reply->response_flags & 2, 2u);
        EXPECT_EQ(code_of(reply->documents), 352);
    }
}

TEST_F(QueryAnalyserTest, answers_what_drivers_ask_of_any_server) {
    for (const std::string name : {"ping", "endSessions", "killSessions", "refreshSessions", "logout"}) {
        const Buffer reply = ask(R"({")" + name + R"(": 1, "$db": "admin"})");
        EXPECT_EQ(bson::to_json(reply), R"({ "ok" : 1.0 })");
        EXPECT_EQ(analyser.last_command(), name);
    }
    for (const std::string name : {"buildInfo", "buildinfo"}) {
        const Buffer reply = ask(R"({")" + name + R"(": 1, "$db": "admin"})");
        EXPECT_EQ(at(reply, "version")->string(), "8.1.0");
        EXPECT_EQ(at(reply, "versionArray.0")->int32(), 8);
    }
}

TEST_F(QueryAnalyserTest, does_not_answer_who_wants_no_answer) {
    for (const std::string& command : {std::string(R"({"endSessions": [], "$db": "admin"})"),
                                       on_patients(R"({"find": "patients", "filter": {"ssn": 1})")}) {
        const auto outcome = send(wire::make_op_msg(77, 0, json(command), wire::flag_more_to_come));
        EXPECT_EQ(outcome.kind, Kind::answered);
        EXPECT_TRUE(outcome.answer.empty());
        EXPECT_TRUE(outcome.refusal.empty());
    }
}

TEST_F(QueryAnalyserTest, closes_on_bytes_that_are_no_message) {
    Buffer frame = wire::make_op_msg(77, 0, json(R"({"ping": 1, "$db": "admin"})"));
    frame[16] = 4;  // a required flag that nobody knows
    const auto outcome = send(frame);
    EXPECT_EQ(outcome.kind, Kind::close);
    const auto reply = wire::OpMsg::parse(outcome.answer);
    ASSERT_TRUE(reply);
    EXPECT_EQ(code_of(reply->body.bytes()), 9);
}

TEST_F(QueryAnalyserTest, closes_on_opcodes_that_have_no_answer) {
    Buffer frame;
    wire::append_header(frame, 77, 0, wire::Opcode::insert);
    wire::finish_message(frame);
    const auto outcome = send(frame);
    EXPECT_EQ(outcome.kind, Kind::close);
    EXPECT_TRUE(outcome.answer.empty());
    EXPECT_FALSE(outcome.refusal.empty());
}

// Markings

TEST_F(QueryAnalyserTest, folds_a_sequence_and_marks_its_values_byte_for_byte) {
    const std::string_view own_fields =
        R"("ordered": true, "lsid": {"id": 5}, "txnNumber": {"$numberLong": "3"},
           "$clusterTime": {"clusterTime": {"$timestamp": {"t": 1, "i": 2}}},
           "$readPreference": {"mode": "primary"})";
    const std::string_view first = R"({"_id": 1, "name": "Jon", "ssn": 145014000})";
    const std::string_view second = R"({"_id": 2})";
    const std::string_view third = R"({"_id": 3, "email": "a@b", "z": 1})";
    const std::string command = R"({"insert": "patients", )" + std::string(own_fields);
    const Buffer reply =
        ask(with_sequences(on_patients(command), {{"documents", {json(first), json(second), json(third)}}}));
    ASSERT_EQ(code_of(reply), 0) << errmsg_of(reply);
    EXPECT_TRUE(at(reply, "hasEncryptionPlaceholders")->boolean());
    EXPECT_TRUE(at(reply, "schemaRequiresEncryption")->boolean());
    EXPECT_EQ(hex(at(reply, "result.documents.0.ssn")->value()),
              "2d000000"
              "06"
              "00"        // the binary: length, subtype, kind
              "2c000000"  // its document
              "106100"
              "01000000"  // a: 1
              "056b6900"
              "10000000"
              "04"
              "11111111111111111111111111111111"  // ki
              "107600"
              "f0bca408"
              "00");  // v
    const Bytes result = at(reply, "result")->value();
    EXPECT_EQ(marked_as_json(result, "documents.2.email"), marking(2, R"("a@b")"));
    const std::string expected = command + R"(, "documents": [)" + std::string(first) + "," +
                                 std::string(second) + "," + std::string(third) + "]}";
    EXPECT_EQ(bson::to_json(unmarked(DocumentView::unchecked(result))), bson::to_json(json(expected)));
}

TEST_F(QueryAnalyserTest, marks_documents_that_stand_in_the_body) {
    expect_marked(R"({"insert": "patients", "documents": [{"_id": 1, "ssn": 5,
                     "insurance": {"provider": "M", "policyNumber": 6}, "note": [1, {"a": 2}]}], "ordered": true)",
                  {{"documents.0.ssn", marking(1, "5")},
                   {"documents.0.insurance.policyNumber", marking(1, "6")},
                   {"documents.0.note", marking(2, R"([ 1, { "a" : 2 } ])")}});
}

TEST_F(QueryAnalyserTest, marks_the_values_of_every_command) {
    expect_marked(R"({"find": "patients", "filter": {"ssn": 5, "name": "x"}, "limit": 1)",
                  {{"filter.ssn", marking(1, "5")}});
    expect_marked(
        R"({"find": "patients", "filter": {"$or": [{"ssn": {"$in": [5, 6]}}, {"email": {"$exists": true}}]})",
        {{"filter.$or.0.ssn.$in.0", marking(1, "5")}, {"filter.$or.0.ssn.$in.1", marking(1, "6")}});
    expect_marked(R"({"update": "patients", "updates": [{"q": {"ssn": 5}, "u": {"$set": {"email": "e"}}}])",
                  {{"updates.0.q.ssn", marking(1, "5")}, {"updates.0.u.$set.email", marking(2, R"("e")")}});
    expect_marked(R"({"delete": "patients", "deletes": [{"q": {"ssn": 5}, "limit": 1}])",
                  {{"deletes.0.q.ssn", marking(1, "5")}});
    expect_marked(R"({"aggregate": "patients", "pipeline": [{"$match": {"ssn": 5}}], "cursor": {})",
                  {{"pipeline.0.$match.ssn", marking(1, "5")}});
    expect_marked(R"({"count": "patients", "query": {"ssn": {"$ne": 5}})",
                  {{"query.ssn.$ne", marking(1, "5")}});
    expect_marked(R"({"distinct": "patients", "key": "ssn", "query": {"ssn": 5})",
                  {{"query.ssn", marking(1, "5")}});
    for (const std::string name : {"findAndModify", "findandmodify"})
        expect_marked(
            R"({")" + name + R"(": "patients", "query": {"ssn": 5}, "update": {"$set": {"email": "e"}})",
            {{"query.ssn", marking(1, "5")}, {"update.$set.email", marking(2, R"("e")")}});
    expect_marked(R"({"find": "patients", "filter": {"name": "x"})", {});
}

TEST_F(QueryAnalyserTest, folds_the_sequence_of_each_command) {
    const auto statement = json(R"({"q": {"ssn": 5}, "u": {"$set": {"name": "x"}}})");
    Buffer reply = ask(with_sequences(on_patients(R"({"update": "patients")"), {{"updates", {statement}}}));
    EXPECT_EQ(marked_as_json(at(reply, "result")->value(), "updates.0.q.ssn"), marking(1, "5"));
    const auto removal = json(R"({"q": {"ssn": 5}, "limit": 1})");
    reply = ask(with_sequences(on_patients(R"({"delete": "patients")"), {{"deletes", {removal}}}));
    EXPECT_EQ(marked_as_json(at(reply, "result")->value(), "deletes.0.q.ssn"), marking(1, "5"));
}

TEST_F(QueryAnalyserTest, names_a_key_as_the_schema_does) {
    expect_marked(R"({"find": "patients", "filter": {"passport": "P1"})",
                  {{"filter.passport", R"({ "a" : 1, "ka" : "key-of-clinic", "v" : "P1" })"}});
}

TEST_F(QueryAnalyserTest, marks_so_many_values_in_slices) {
    std::vector<Buffer> documents;
    for (int i = 0; i < 2000; ++i) documents.push_back(json(R"({"ssn": )" + std::to_string(i) + "}"));
    const Buffer reply = ask([&] {
        Buffer body;
        Builder builder(body);
        const Buffer command = json(on_patients(R"({"insert": "patients")"));
        for (const bson::Element& element : DocumentView::unchecked(command)) builder.append_element(element);
        builder.open_array("documents");
        for (std::size_t i = 0; i < documents.size(); ++i)
            builder.append_document(bson::index_key(i), documents[i]);
        builder.close().finish();
        return wire::make_op_msg(77, 0, body);
    }());
    EXPECT_GE(slices, 3u);
    for (const int i : {0, 599, 600, 1999})
        EXPECT_EQ(marked_as_json(at(reply, "result")->value(), "documents." + std::to_string(i) + ".ssn"),
                  marking(1, std::to_string(i)));
}

// A second request must not be taken for the one that is under way, nor the other way round.
TEST_F(QueryAnalyserTest, answers_one_request_after_another) {
    for (int i = 0; i < 3; ++i) {
        expect_marked(R"({"find": "patients", "filter": {"ssn": 5})", {{"filter.ssn", marking(1, "5")}});
        expect_refused(on_patients(R"({"find": "patients", "filter": {"ssn": {"$gt": 5}})"), 51092, "ssn");
        ask(R"({"ping": 1, "$db": "admin"})");
    }
}

TEST_F(QueryAnalyserTest, looks_into_an_explained_command) {
    const std::string_view plain =
        R"({"explain": {"find": "notes", "filter": {"x": 1}}, "verbosity": "queryPlanner")";
    const Buffer found =
        result(std::string(plain) + R"(, "jsonSchema": {}, "isRemoteSchema": true, "$db": "clinic"})");
    EXPECT_EQ(bson::to_json(found), bson::to_json(json(std::string(plain) + "}")));
    // Marked or refused, as the analysis can: never let through.
    const Buffer reply = ask(on_patients(R"({"explain": {"find": "patients", "filter": {"ssn": 5}})"));
    EXPECT_TRUE(code_of(reply) != 0 ||
                marked_as_json(at(reply, "result")->value(), "explain.filter.ssn") == marking(1, "5"));
}

TEST_F(QueryAnalyserTest, folds_both_sequences_of_a_bulk_write) {
    const auto frame = [](std::string_view schema, std::string_view document) {
        return with_sequences(
            R"({"bulkWrite": 1, "ordered": true, "jsonSchema": )" + std::string(schema) +
                R"(, "isRemoteSchema": false, "$db": "admin"})",
            {{"ops", {json(document)}}, {"nsInfo", {json(R"({"ns": "clinic.patients"})")}}});
    };
    const std::string_view insert = R"({"insert": 0, "document": {"ssn": 5}})";
    Buffer reply = ask(frame("{}", insert));
    ASSERT_EQ(code_of(reply), 0) << errmsg_of(reply);
    EXPECT_EQ(
        bson::to_json(at(reply, "result")->value()),
        R"({ "bulkWrite" : 1, "ordered" : true, "ops" : [ { "insert" : 0, "document" : { "ssn" : 5 } } ], )"
        R"("nsInfo" : [ { "ns" : "clinic.patients" } ] })");
    // Marked or refused, as the analysis can: never let through.
    reply = ask(frame(patients_schema, insert));
    EXPECT_TRUE(code_of(reply) != 0 ||
                marked_as_json(at(reply, "result")->value(), "ops.0.document.ssn") == marking(1, "5"));
}

// As a session of a listener

class AnalysisListener : public ::testing::Test {
 public:
    AnalysisListener() { process.config->listeners[0].serves = config::Listener::Serves::query_analysis; }
    testing::Process process{testing::clinic()};
};

TEST_F(AnalysisListener, needs_no_upstream_no_keys_and_no_namespaces) {
    testing::Transcript t(process, 0);
    t.upstream_down = "nobody may ask";
    EXPECT_EQ(t.request(R"({"hello": 1, "$db": "admin"})").action, RequestAction::answered);
    EXPECT_TRUE(at(t.received_one(), "iscryptd"));
    EXPECT_EQ(t.request(on_patients(R"({"find": "patients", "filter": {"ssn": 5})")).action,
              RequestAction::answered);
    EXPECT_EQ(marked_as_json(t.received_one(), "result.filter.ssn"), marking(1, "5"));
    EXPECT_EQ(t.handshakes + t.key_fetches + t.namespace_lookups, 0u);
    EXPECT_EQ(t.session().counters().requests, 2u);
    EXPECT_EQ(t.session().counters().requests_refused, 0u);
    EXPECT_EQ(t.session().last_command(), "find");
    EXPECT_TRUE(t.session().idle());
}

TEST_F(AnalysisListener, knows_no_schema_of_the_configuration) {
    testing::Transcript t(process, 0);
    t.request(R"({"find": "patients", "filter": {"ssn": 5}, "jsonSchema": {}, "isRemoteSchema": true,
                  "$db": "medicalRecords"})");
    EXPECT_FALSE(at(t.received_one(), "schemaRequiresEncryption")->boolean());
}

TEST_F(AnalysisListener, says_why_it_refused) {
    testing::Transcript t(process, 0);
    const auto refused = t.request(R"({"find": "patients", "$db": "medicalRecords"})");
    EXPECT_EQ(refused.action, RequestAction::answered);
    EXPECT_NE(refused.reason.find("jsonSchema is required"), std::string::npos);
    EXPECT_EQ(code_of(t.received_one()), 9);
    EXPECT_EQ(t.session().counters().requests_refused, 1u);
    Buffer frame = wire::make_op_msg(77, 0, json(R"({"ping": 1, "$db": "admin"})"));
    frame[16] = 4;
    EXPECT_EQ(t.request_bytes(frame).action, RequestAction::close);
    EXPECT_EQ(code_of(t.received_one()), 9);
}

TEST_F(AnalysisListener, leaves_other_listeners_to_clients) {
    testing::Transcript t(process, 1);
    process.facts.wire_version_max = 21;
    t.request(R"({"hello": 1, "$db": "admin"})");
    EXPECT_FALSE(at(t.received_one(), "iscryptd"));
}

}  // namespace
}  // namespace fieldgate::session
