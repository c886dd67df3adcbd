#include "proxy/session/rebuild_error.hpp"

#include "tests/unit/session/clinic.hpp"

namespace fieldgate::session::testing {
namespace {

using Rebuild = void (*)(bson::DocumentView, Buffer&);

Buffer rebuilt(Rebuild rebuild, Bytes original) {
    Buffer out;
    rebuild(bson::DocumentView::check_top_level(original).value(), out);
    EXPECT_TRUE(bson::DocumentView::check(out, {}));
    return out;
}

std::string errmsg_of(Bytes document) {
    return std::string(bson::DocumentView::unchecked(document).find("errmsg").value().string());
}

TEST(RebuildError, keeps_code_name_and_labels_and_drops_every_value) {
    const Buffer original = from_json(R"json({
        "ok": 0, "errmsg": "canary-in-errmsg", "code": 121, "codeName": "DocumentValidationFailure",
        "errInfo": {"failingDocumentId": 1, "details": "canary-in-errInfo"},
        "keyValue": {"ssn": "canary-in-keyValue"}, "something": "canary-in-unknown",
        "errorLabels": ["RetryableWriteError", "TransientTransactionError"],
        "writeErrors": [{"index": 0, "code": 1, "errmsg": "canary-in-writeErrors"}]})json");
    const Buffer out = rebuilt(rebuild_command_error, original);
    EXPECT_FALSE(contains(out, "canary"));
    EXPECT_EQ(bson::to_json(out), bson::to_json(from_json(R"json({"ok": 0.0,
                  "errmsg": "the server refused the command on a protected namespace: DocumentValidationFailure (121)",
                  "code": 121, "codeName": "DocumentValidationFailure",
                  "errorLabels": ["RetryableWriteError", "TransientTransactionError"]
})json")));
}

TEST(RebuildError, of_a_bulk_write_says_which_operation_failed_and_no_value) {
    const Buffer original = from_json(R"json({
        "ok": 0.0, "idx": 3, "code": 11000, "n": 0, "nModified": 0,
        "errmsg": "E11000 duplicate key error collection: db.c index: ssn_1 dup key: { ssn: canary }",
        "keyPattern": {"ssn": 1}, "keyValue": {"ssn": "canary"}, "upserted": {"_id": "canary"}})json");
    EXPECT_EQ(bson::to_json(rebuilt(rebuild_bulk_error, original)), bson::to_json(from_json(R"json({
        "ok": 0.0, "idx": 3, "code": 11000, "keyPattern": {"ssn": 1},
        "errmsg": "E11000 duplicate key error collection: db.c index: ssn_1", "n": 0, "nModified": 0})json")));
    EXPECT_EQ(bson::to_json(rebuilt(rebuild_bulk_error, from_json(R"({"idx": -1, "n": "canary"})"))),
              bson::to_json(from_json(
                  R"({"ok": 0.0, "errmsg": "the server refused the write on a protected namespace"})")));
}

TEST(RebuildError, keeps_what_drivers_track_of_the_cluster) {
    const Buffer original = document([](Builder& reply) {
        reply.append_double("ok", 0)
            .append_int32("code", 10107)
            .append_string("codeName", "NotWritablePrimary");
        reply.append_value("operationTime", Type::timestamp, Buffer{1, 0, 0, 0, 2, 0, 0, 0});
        reply.open_document("topologyVersion").append_int64("counter", 6).close();
        reply.open_document("$clusterTime").append_int64("clusterTime", 1).close();
    });
    const Buffer out = rebuilt(rebuild_command_error, original);
    const auto view = bson::DocumentView::unchecked(out);
    for (const std::string_view key : {"operationTime", "topologyVersion", "$clusterTime"}) {
        ASSERT_TRUE(view.find(key)) << key;
        EXPECT_TRUE(std::ranges::equal(view.find(key)->raw(),
                                       bson::DocumentView::unchecked(original).find(key)->raw()));
    }
}

TEST(RebuildError, drops_a_document_of_the_protocol_that_is_larger_than_it_can_be) {
    const Buffer original = document([](Builder& reply) {
        reply.append_double("ok", 0)
            .open_document("$clusterTime")
            .append_string("x", std::string(1024, 'c'))
            .close();
    });
    EXPECT_FALSE(
        bson::DocumentView::unchecked(rebuilt(rebuild_command_error, original)).find("$clusterTime"));
}

TEST(RebuildError, names_the_index_of_a_duplicate_key_but_not_the_key) {
    const Buffer original = from_json(R"json({"index": 3, "code": 11000,
        "errmsg": "E11000 duplicate key error collection: clinic.patients index: ssn_1 dup key: { ssn: 145014000 }",
        "keyPattern": {"ssn": 1, "when": -1, "where": "2dsphere"}, "keyValue": {"ssn": 145014000}})json");
    EXPECT_EQ(bson::to_json(rebuilt(rebuild_write_error, original)), bson::to_json(from_json(R"json({
        "index": 3, "code": 11000, "keyPattern": {"ssn": 1, "when": -1, "where": "2dsphere"},
        "errmsg": "E11000 duplicate key error collection: clinic.patients index: ssn_1"})json")));
}

TEST(RebuildError, takes_no_name_that_is_not_one) {
    const std::pair<const char*, const char*> cases[] = {
        // ordinary, then hostile
        {"E11000 duplicate key error collection: a.b index: x_1",
         "E11000 duplicate key error collection: a.b index: x_1"},
        {"E11000 duplicate key error collection: a.b index: x_1 collation: { locale: 'de' } dup key: { x: "
         "'v' }",
         "E11000 duplicate key error collection: a.b index: x_1"},
        {"E11000 duplicate key error collection: a.b index: { secret } dup key: {}",
         "E11000 duplicate key error collection: a.b"},
        {"E11000 duplicate key error collection: a.b index: se cret dup key: {}",
         "E11000 duplicate key error collection: a.b"},
        {"E11000 duplicate key error collection: a b index: x_1 dup key: {}",
         "E11000 duplicate key error index: x_1"},
        {"E11000 duplicate key error dup key: { x: secret }", "E11000 duplicate key error"},
        {"secret collection: a.b index: x_1", "E11000 duplicate key error"},
        {"", "E11000 duplicate key error"},
    };
    for (const auto& [said, expected] : cases) {
        SCOPED_TRACE(said);
        const Buffer original = document(
            [&](Builder& entry) { entry.append_int32("code", 11000).append_string("errmsg", said); });
        EXPECT_EQ(errmsg_of(rebuilt(rebuild_write_error, original)), expected);
    }
}

TEST(RebuildError, takes_an_index_name_of_255_bytes_and_none_longer) {
    for (const std::size_t length : {255u, 256u}) {
        const std::string name(length, 'i');
        const Buffer original = document([&](Builder& entry) {
            entry.append_int32("code", 11000);
            entry.append_string("errmsg",
                                "E11000 duplicate key error collection: a.b index: " + name + " dup key: {}");
        });
        EXPECT_EQ(contains(rebuilt(rebuild_write_error, original), name), length == 255);
    }
}

TEST(RebuildError, believes_codes_and_labels_only_in_the_form_they_have) {
    const Buffer original = document([](Builder& reply) {
        reply.append_double("ok", 0).append_int64("code", 1LL << 40);
        reply.append_string("codeName", "se cret").append_string("operationTime", "secret");
        reply.open_array("errorLabels").append_string("0", "se cret").append_int32("1", 7);
        reply.append_string("2", "RetryableWriteError").close();
        reply.open_document("keyPattern").append_string("ssn", "secret").close();
    });
    EXPECT_EQ(bson::to_json(rebuilt(rebuild_command_error, original)),
              bson::to_json(from_json(R"json({"ok": 0.0,
        "errmsg": "the server refused the command on a protected namespace", "keyPattern": {"ssn": 1},
        "errorLabels": ["RetryableWriteError"]})json")));
}

TEST(RebuildError, keeps_the_texts_that_old_drivers_compare) {
    for (const char* const text : {"ns not found", "not master"}) {
        const Buffer original =
            document([&](Builder& reply) { reply.append_double("ok", 0).append_string("errmsg", text); });
        EXPECT_EQ(errmsg_of(rebuilt(rebuild_command_error, original)), text);
    }
}

TEST(RebuildError, writes_the_write_concern_error_of_a_refused_command) {
    const Buffer original = from_json(R"json({"ok": 0, "code": 11000, "writeConcernError":
        {"code": 64, "codeName": "WriteConcernFailed", "errmsg": "secret", "errInfo": {"secret": 1}}})json");
    EXPECT_EQ(bson::to_json(rebuilt(rebuild_command_error, original)),
              bson::to_json(from_json(R"json({"ok": 0.0,
        "errmsg": "E11000 duplicate key error", "code": 11000, "writeConcernError": {
            "code": 64, "codeName": "WriteConcernFailed",
            "errmsg": "the server could not satisfy the write concern on a protected namespace: WriteConcernFailed (64)"
}
})json")));
}

TEST(RebuildError, survives_elements_that_are_malformed_inside) {
    Buffer original = document([](Builder& reply) {
        reply.append_double("ok", 0);
        reply.open_array("errorLabels").append_string("0", "Label").close();
        reply.open_document("keyPattern").append_int32("ssn", 1).close();
        reply.open_document("writeConcernError").append_int32("code", 1).close();
        reply.open_document("$clusterTime").append_int32("x", 1).close();
    });
    // The type of each inner element becomes one that BSON does not have.
    for (std::size_t i = 1; i + 4 < original.size(); ++i) {
        for (const std::string_view key : {"0", "ssn", "code", "x"}) {
            if (contains(Bytes(original).subspan(i, std::min(key.size() + 1, original.size() - i)),
                         std::string(key) + '\0')) {
                original[i - 1] = 0x55;
            }
        }
    }
    EXPECT_EQ(bson::to_json(rebuilt(rebuild_command_error, original)),
              bson::to_json(from_json(R"json({"ok": 0.0,
        "errmsg": "the server refused the command on a protected namespace"})json")));
}

}  // namespace
}  // namespace fieldgate::session::testing
