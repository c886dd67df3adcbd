#include "tests/unit/session/open_fixture.hpp"

// Reply shapes that stages make: values of which nobody knows beforehand whether they are encrypted, arrays
// of what a field says, and the events of change streams.
namespace fieldgate::session::testing {
namespace {

using config::SchemaNode;

class OpenShape : public Open {
 protected:
    std::string seen_as(const SchemaNode& tree, const Buffer& stored, const config::Role& role) {
        const ReplyShape reply_shape{ReplyShape::Kind::cursor, clinic.fields(),
                                     std::make_shared<const SchemaNode>(tree.clone())};
        const wire::Buffer frame = wire::make_op_msg(7, 8, cursor_reply({stored}));
        const Opened opened = open(frame, reply_shape, role);
        EXPECT_EQ(opened.work, Work::done) << opened.refusal.errmsg;
        if (opened.work != Work::done) return {};
        for (const SliceBudget budget : {SliceBudget{1, 1u << 20}, SliceBudget{600, 1}, SliceBudget{3, 7}})
            EXPECT_EQ(open(frame, reply_shape, role, budget).frame, opened.frame);
        return bson::to_json(result(opened).bytes());
    }
    std::string seen_as(const SchemaNode& tree, const Buffer& stored, Kind kind,
                        std::uint32_t keep_last = 0) {
        return seen_as(tree, stored, clinic.role(kind, keep_last));
    }
    Buffer number_blob(Field field) { return clinic.blob(field, Type::int32, int32_value(145014000)); }
};

// { $addFields: { "visits.copy": "$ssn" } }, { $project: { x: "$visits.copy" } } where `visits` is an array.
TEST_F(OpenShape, an_array_that_a_path_led_through_is_opened_for_who_sees_the_field) {
    SchemaNode tree;
    tree.add_child("x").field = ssn;
    const Buffer stored = document([&](Builder& out) {
        out.append_string("name", "x").open_array("x").append_binary("0", 6, number_blob(ssn));
        out.open_array("1").append_binary("0", 6, number_blob(ssn)).close();
        // What does not fit the field, and what stands in no array, stays.
        out.append_binary("2", 6, number_blob(policy_number)).append_int32("3", 5);
        out.open_document("4").append_binary("y", 6, number_blob(ssn)).close().close();
        out.append_string("after", "plain");
    });
    const std::string revealed = seen_as(tree, stored, Kind::reveal);
    EXPECT_TRUE(revealed.starts_with(R"({ "name" : "x", "x" : [ 145014000, [ 145014000 ], )")) << revealed;
    for (const Kind kind : {Kind::omit, Kind::ciphertext})
        EXPECT_EQ(seen_as(tree, stored, kind), json(R"({"name": "x", "after": "plain"})"));
    for (const Kind kind : {Kind::null, Kind::mask})
        EXPECT_EQ(seen_as(tree, stored, kind, 4), json(R"({"name": "x", "x": null, "after": "plain"})"));
}

// Unknown

class OpenUnknown : public OpenShape {
 protected:
    OpenUnknown() { tree.add_child("x").unknown = true; }
    // A ciphertext, a document and an array with one inside, and values that are none.
    Buffer computed() {
        return document([&](Builder& out) {
            out.append_string("before", "plain").append_binary("x", 6, number_blob(ssn));
            out.append_string("after", "plain");
        });
    }
    Buffer nested() {
        return document([&](Builder& out) {
            out.open_document("x").append_int32("n", 1).open_array("deep").append_string("0", "plain");
            out.append_binary("1", 6, clinic.blob(email, Type::string, string_value("a@b.c")));
            out.close().append_binary("own", 6, number_blob(ssn)).close().append_string("after", "plain");
        });
    }
    SchemaNode tree;
};

TEST_F(OpenUnknown, everything_that_fits_a_field_is_opened_for_who_sees_everything) {
    EXPECT_EQ(seen_as(tree, computed(), Kind::reveal),
              json(R"({"before": "plain", "x": 145014000, "after": "plain"})"));
    EXPECT_EQ(seen_as(tree, nested(), Kind::reveal),
              json(R"({"x": {"n": 1, "deep": ["plain", "a@b.c"], "own": 145014000}, "after": "plain"})"));
}

TEST_F(OpenUnknown, what_fits_no_field_is_kept_for_who_sees_everything) {
    const Buffer blobs[] = {
        clinic.blob_with(crypto::Algorithm::deterministic, 1, Type::date, Buffer(8, 1)),
        clinic.blob_with(crypto::Algorithm::random, 2, Type::string, string_value("x")),
        Buffer(82, 1),
        Buffer{1, 2, 3},
    };
    for (const Buffer& blob : blobs) {
        const Buffer stored = document([&](Builder& out) { out.append_binary("x", 6, blob); });
        EXPECT_EQ(seen_as(tree, stored, Kind::reveal), bson::to_json(stored));
    }
    const Buffer plain = from_json(R"({"x": 5})");
    EXPECT_EQ(seen_as(tree, plain, Kind::reveal), bson::to_json(plain));
}

TEST_F(OpenUnknown, a_blob_that_fits_and_does_not_authenticate_refuses_the_reply) {
    Buffer blob = number_blob(ssn);
    blob.back() ^= 1;
    const Buffer stored = document([&](Builder& out) { out.append_binary("x", 6, blob); });
    const ReplyShape reply_shape{ReplyShape::Kind::cursor, clinic.fields(),
                                 std::make_shared<const SchemaNode>(tree.clone())};
    EXPECT_EQ(open_body(cursor_reply({stored}), reply_shape, clinic.role(Kind::reveal)).work, Work::refused);
}

TEST_F(OpenUnknown, the_strictest_rule_meets_plain_values_and_containers_alike) {
    const std::string without = json(R"({"before": "plain", "after": "plain"})");
    const std::string nulled = json(R"({"before": "plain", "x": null, "after": "plain"})");
    EXPECT_EQ(seen_as(tree, computed(), Kind::omit), without);
    EXPECT_EQ(seen_as(tree, computed(), Kind::null), nulled);
    EXPECT_EQ(seen_as(tree, computed(), Kind::mask, 4), nulled);
    EXPECT_EQ(seen_as(tree, computed(), Kind::ciphertext), bson::to_json(computed()));
    for (const Buffer& stored : {nested(), from_json(R"({"x": "canary", "after": "plain"})")}) {
        EXPECT_EQ(seen_as(tree, stored, Kind::omit), json(R"({"after": "plain"})"));
        EXPECT_EQ(seen_as(tree, stored, Kind::ciphertext), json(R"({"after": "plain"})"));
        EXPECT_EQ(seen_as(tree, stored, Kind::null), json(R"({"x": null, "after": "plain"})"));
        EXPECT_EQ(seen_as(tree, stored, Kind::mask, 4), json(R"({"x": null, "after": "plain"})"));
    }
    // One field that is withheld is enough.
    config::Role almost = clinic.role(Kind::reveal);
    almost.rules[0][email].read = {Kind::omit, 0};
    EXPECT_EQ(seen_as(tree, computed(), almost), without);
}

TEST_F(OpenUnknown, a_dotted_key_that_reads_like_one_is_withheld_and_never_opened) {
    SchemaNode below;
    below.add_child("a").add_child("x").unknown = true;
    const Buffer stored = document([&](Builder& out) { out.append_binary("a.x", 6, number_blob(ssn)); });
    EXPECT_EQ(seen_as(below, stored, Kind::reveal), bson::to_json(stored));
    EXPECT_EQ(seen_as(below, stored, Kind::null), json(R"({"a.x": null})"));
    EXPECT_EQ(seen_as(below, stored, Kind::omit), "{ }");
}

// Arrays

TEST_F(OpenShape, the_elements_of_an_array_are_what_its_node_says) {
    SchemaNode tree;
    SchemaNode& values = tree.add_child("values");
    values.field = ssn;
    values.array = true;
    const Buffer stored = document([&](Builder& out) {
        out.open_array("values").append_binary("0", 6, number_blob(ssn)).append_int32("1", 7);
        out.append_binary("2", 6, number_blob(policy_number)).append_binary("3", 6, number_blob(ssn)).close();
        out.append_string("after", "plain");
    });
    EXPECT_EQ(seen_as(tree, stored, Kind::reveal),
              json(R"({"values": [145014000, 7, 145014000, 145014000], "after": "plain"})"));
    EXPECT_EQ(seen_as(tree, stored, Kind::omit), json(R"({"values": [], "after": "plain"})"));
    EXPECT_EQ(seen_as(tree, stored, Kind::null),
              json(R"({"values": [null, null, null, null], "after": "plain"})"));
    EXPECT_EQ(seen_as(tree, stored, Kind::mask, 2),
              json(R"({"values": ["*******00", "*", "*******00", "*******00"], "after": "plain"})"));
    // Not an array after all: the value itself is what the node says.
    const Buffer single = document([&](Builder& out) { out.append_binary("values", 6, number_blob(ssn)); });
    EXPECT_EQ(seen_as(tree, single, Kind::reveal), json(R"({"values": 145014000})"));
    EXPECT_EQ(seen_as(tree, single, Kind::omit), "{ }");
}

TEST_F(OpenShape, an_array_of_documents_has_their_tree) {
    SchemaNode tree;
    SchemaNode& joined = tree.add_child("joined");
    joined = clinic.schema().root().clone();
    joined.array = true;
    const Buffer stored = document([&](Builder& out) {
        out.open_array("joined").append_document("0", patient()).append_document("1", patient()).close();
    });
    const std::string one(patient_in_clear);
    EXPECT_EQ(seen_as(tree, stored, Kind::reveal), json("{\"joined\": [" + one + ", " + one + "]}"));
    const std::string without(patient_without);
    EXPECT_EQ(seen_as(tree, stored, Kind::omit), json("{\"joined\": [" + without + ", " + without + "]}"));
}

TEST_F(OpenShape, an_array_of_unknown_values_meets_the_strictest_rule) {
    SchemaNode tree;
    SchemaNode& values = tree.add_child("values");
    values.unknown = true;
    values.array = true;
    const Buffer stored = document([&](Builder& out) {
        out.open_array("values").append_binary("0", 6, number_blob(ssn)).append_int32("1", 7).close();
    });
    EXPECT_EQ(seen_as(tree, stored, Kind::reveal), json(R"({"values": [145014000, 7]})"));
    EXPECT_EQ(seen_as(tree, stored, Kind::omit), "{ }");
    EXPECT_EQ(seen_as(tree, stored, Kind::null), json(R"({"values": null})"));
}

// Results of a bulkWrite

TEST_F(OpenShape, results_of_a_bulk_write_are_rebuilt_where_they_failed) {
    SchemaNode tree;
    SchemaNode& id = tree.add_child("_id");
    id.add_child("ssn").field = ssn;
    const ReplyShape bulk{ReplyShape::Kind::bulk_result, clinic.fields(),
                          std::make_shared<const SchemaNode>(tree.clone())};
    const auto reply = [&](const char* batch, const std::function<void(Builder&)>& more) {
        return document([&](Builder& out) {
            out.open_document("cursor").open_array(batch);
            out.open_document("0").append_double("ok", 1).append_int32("idx", 0).append_int32("n", 1);
            out.open_document("upserted").open_document("_id").append_binary("ssn", 6, number_blob(ssn));
            out.append_int32("x", 1).close().close().close();
            more(out);
            out.close().append_int64("id", 99).append_string("ns", "admin.$cmd.bulkWrite").close();
            out.append_int32("nErrors", 1).append_double("ok", 1);
        });
    };
    const Buffer stored = reply("nextBatch", [](Builder& out) {
        out.open_document("1").append_double("ok", 0).append_int32("idx", 1).append_int32("code", 121);
        out.append_string("errmsg", "canary").append_document("errInfo", from_json(R"({"v": "canary"})"));
        out.append_int32("n", 0).close();
    });
    const auto batch = [&](const Opened& opened) {
        return bson::to_json(opened.body().find("cursor")->document().find("nextBatch")->document().bytes());
    };
    const std::string failed =
        R"({"ok": 0.0, "idx": 1, "code": 121,
            "errmsg": "the server refused the write on a protected namespace: code 121", "n": 0})";
    const Opened revealed = open_body(stored, bulk, clinic.role(Kind::reveal));
    ASSERT_EQ(revealed.work, Work::done) << revealed.refusal.errmsg;
    EXPECT_EQ(revealed.cursor_id, 99);
    EXPECT_EQ(batch(revealed), json(R"({"0": {"ok": 1.0, "idx": 0, "n": 1,
        "upserted": {"_id": {"ssn": 145014000, "x": 1}}}, "1": )" +
                                    failed + "}"));
    const Opened withheld = open_body(stored, bulk, clinic.role(Kind::omit));
    ASSERT_EQ(withheld.work, Work::done);
    EXPECT_EQ(
        batch(withheld),
        json(R"({"0": {"ok": 1.0, "idx": 0, "n": 1, "upserted": {"_id": {"x": 1}}}, "1": )" + failed + "}"));
    for (const SliceBudget budget : {SliceBudget{1, 1u << 20}, SliceBudget{600, 1}})
        EXPECT_EQ(open(wire::make_op_msg(7, 8, stored), bulk, clinic.role(Kind::omit), budget).frame,
                  withheld.frame);
    // Whatever says that something failed is believed.
    for (const char* const key : {"code", "errInfo", "keyValue"}) {
        const Buffer odd = reply("firstBatch", [&](Builder& out) {
            out.open_document("1").append_double("ok", 1).append_string(key, "canary").close();
        });
        const Opened opened = open_body(odd, bulk, clinic.role(Kind::reveal));
        ASSERT_EQ(opened.work, Work::done);
        EXPECT_FALSE(contains(opened.frame, "canary")) << key;
    }
    const Buffer not_a_document = reply("firstBatch", [](Builder& out) { out.append_string("1", "canary"); });
    EXPECT_EQ(open_body(not_a_document, bulk, clinic.role(Kind::reveal)).work, Work::refused);
}

// Events

class OpenEvent : public OpenShape {
 protected:
    OpenEvent() {
        tree.put_child("fullDocument", clinic.schema().root().clone());
        SchemaNode fields = clinic.schema().root().clone();
        fields.dotted_keys = true;
        tree.add_child("updateDescription").put_child("updatedFields", std::move(fields));
    }
    Buffer event(const std::function<void(Builder&)>& updated) {
        return document([&](Builder& out) {
            out.append_string("operationType", "update").open_document("updateDescription");
            out.open_document("updatedFields");
            updated(out);
            out.close().open_array("removedFields").append_string("0", "email").close().close();
        });
    }
    static std::string event_json(std::string_view updated) {
        return json(R"({"operationType": "update", "updateDescription": {"updatedFields": )" +
                    std::string(updated) + R"(, "removedFields": ["email"]}})");
    }
    SchemaNode tree;
};

TEST_F(OpenEvent, dotted_keys_are_paths) {
    const Buffer stored = event([&](Builder& out) {
        out.append_binary("insurance.policyNumber", 6, number_blob(policy_number));
        out.append_binary("ssn", 6, number_blob(ssn)).append_string("insurance.provider", "plain");
        out.append_binary("insurance.0.policyNumber", 6, number_blob(policy_number));
        out.append_string("address.street", "plain").append_int32("visits.3", 4);
    });
    const std::string plain = R"("insurance.provider": "plain", )";
    const std::string rest = R"("address.street": "plain", "visits.3": 4})";
    EXPECT_EQ(seen_as(tree, stored, Kind::reveal),
              event_json(R"({"insurance.policyNumber": 145014000, "ssn": 145014000, )" + plain +
                         R"("insurance.0.policyNumber": 145014000, )" + rest));
    EXPECT_EQ(seen_as(tree, stored, Kind::omit), event_json("{" + plain + rest));
    EXPECT_EQ(seen_as(tree, stored, Kind::null),
              event_json(R"({"insurance.policyNumber": null, "ssn": null, )" + plain +
                         R"("insurance.0.policyNumber": null, )" + rest));
    EXPECT_EQ(seen_as(tree, stored, Kind::mask, 4),
              event_json(R"({"insurance.policyNumber": "*****4000", "ssn": "*****4000", )" + plain +
                         R"("insurance.0.policyNumber": "*****4000", )" + rest));
    EXPECT_EQ(seen_as(tree, stored, Kind::ciphertext), bson::to_json(stored));
}

TEST_F(OpenEvent, a_parent_holds_its_fields) {
    const Buffer stored = event([&](Builder& out) {
        out.open_document("insurance").append_string("provider", "plain");
        out.append_binary("policyNumber", 6, number_blob(policy_number)).close();
        out.open_document("insurance.1");
        out.append_binary("policyNumber", 6, number_blob(policy_number)).close();
    });
    EXPECT_EQ(seen_as(tree, stored, Kind::reveal),
              event_json(R"({"insurance": {"provider": "plain", "policyNumber": 145014000},
                             "insurance.1": {"policyNumber": 145014000}})"));
    EXPECT_EQ(seen_as(tree, stored, Kind::omit),
              event_json(R"({"insurance": {"provider": "plain"}, "insurance.1": {}})"));
}

TEST_F(OpenEvent, below_a_protected_field_everything_is_withheld_and_nothing_opened) {
    const Buffer stored = event([&](Builder& out) {
        out.append_binary("medicalRecords.0.weight", 6, number_blob(ssn)).append_string("ssn.x", "canary");
        out.open_document("note.y").append_binary("z", 6, number_blob(ssn)).close();
    });
    EXPECT_EQ(seen_as(tree, stored, Kind::reveal), bson::to_json(stored));
    EXPECT_EQ(seen_as(tree, stored, Kind::omit), event_json("{}"));
    for (const Kind kind : {Kind::null, Kind::mask})
        EXPECT_EQ(seen_as(tree, stored, kind, 9),
                  event_json(R"({"medicalRecords.0.weight": null, "ssn.x": null, "note.y": null})"));
    const Buffer blob_only =
        event([&](Builder& out) { out.append_binary("medicalRecords.0.weight", 6, number_blob(ssn)); });
    EXPECT_EQ(seen_as(tree, stored, Kind::ciphertext), bson::to_json(blob_only));
}

TEST_F(OpenEvent, two_fields_that_one_key_may_mean_are_withheld) {
    SchemaNode fields;
    SchemaNode& a = fields.add_child("a");
    a.add_child("0").add_child("x").field = ssn;
    a.add_child("1").add_child("x").field = policy_number;
    fields.dotted_keys = true;
    SchemaNode both;
    both.add_child("updateDescription").put_child("updatedFields", std::move(fields));
    const Buffer stored = event([&](Builder& out) { out.append_binary("a.0.1.x", 6, number_blob(ssn)); });
    EXPECT_EQ(seen_as(both, stored, Kind::reveal), bson::to_json(stored));
    EXPECT_EQ(seen_as(both, stored, Kind::omit), event_json("{}"));
}

TEST_F(OpenEvent, a_number_in_front_is_a_name) {
    const Buffer stored = event([&](Builder& out) { out.append_binary("0.ssn", 6, number_blob(ssn)); });
    EXPECT_EQ(seen_as(tree, stored, Kind::reveal), bson::to_json(stored));
    EXPECT_EQ(seen_as(tree, stored, Kind::null), event_json(R"({"0.ssn": null})"));
}

TEST_F(OpenEvent, the_whole_document_is_read_as_such) {
    const Buffer stored = document([&](Builder& out) { out.append_document("fullDocument", patient()); });
    EXPECT_EQ(seen_as(tree, stored, Kind::reveal),
              json(R"({"fullDocument": )" + std::string(patient_in_clear) + "}"));
    EXPECT_EQ(seen_as(tree, stored, Kind::omit),
              json(R"({"fullDocument": )" + std::string(patient_without) + "}"));
}

}  // namespace
}  // namespace fieldgate::session::testing
