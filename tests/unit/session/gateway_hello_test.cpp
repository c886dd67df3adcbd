#include "proxy/session/gateway_hello.hpp"

#include <gtest/gtest.h>

#include "proxy/bson/builder.hpp"

namespace fieldgate::session {
namespace {

bson::DocumentView view_of(const wire::Buffer& buffer) {
    const auto view = bson::DocumentView::check(buffer, {});
    EXPECT_TRUE(view);
    return *view;
}

wire::Buffer json(std::string_view text) {
    auto document = bson::from_json(text);
    EXPECT_TRUE(document) << text;
    return *document;
}

TEST(ParseHello, knows_every_spelling_and_nothing_else) {
    for (const char* name : {"hello", "isMaster", "ismaster"})
        EXPECT_TRUE(parse_hello(view_of(json("{\"" + std::string(name) + "\": 1}")))) << name;
    for (const char* name : {"Hello", "ISMASTER", "ping", "find"})
        EXPECT_FALSE(parse_hello(view_of(json("{\"" + std::string(name) + "\": 1}")))) << name;
    EXPECT_FALSE(parse_hello(view_of(json("{}"))));
    EXPECT_FALSE(parse_hello(view_of(json(R"({"find": "x", "hello": 1})"))));
}

TEST(ParseHello, looks_inside_query_as_old_drivers_wrap_it) {
    const auto document =
        json(R"({"$query": {"isMaster": 1, "helloOk": true}, "$readPreference": {"mode": "primary"}})");
    const auto hello = parse_hello(view_of(document));
    ASSERT_TRUE(hello);
    EXPECT_TRUE(hello->hello_ok);
    EXPECT_EQ(hello->command, "isMaster");
}

TEST(ParseHello, needs_the_server_only_for_authentication) {
    EXPECT_FALSE(
        parse_hello(view_of(json(R"({"hello": 1, "client": {"driver": {"name": "x"}}})")))->needs_server());
    EXPECT_TRUE(
        parse_hello(view_of(json(R"({"hello": 1, "saslSupportedMechs": "admin.app"})")))->needs_server());
    EXPECT_TRUE(parse_hello(view_of(json(R"({"hello": 1, "speculativeAuthenticate": {"saslStart": 1}})")))
                    ->needs_server());
    EXPECT_TRUE(parse_hello(view_of(json(R"({"hello": 1, "loadBalanced": true})")))->load_balanced);
}

TEST(UpstreamHelloBody, carries_metadata_and_authentication_but_no_compression_and_no_topology_version) {
    const auto request_document = json(
        R"({"hello": 1, "client": {"driver": {"name": "x"}}, "compression": ["zlib"], "topologyVersion": {"counter": 1},
            "maxAwaitTimeMS": 10000, "speculativeAuthenticate": {"saslStart": 1}, "saslSupportedMechs": "admin.app"})");
    const auto request = parse_hello(view_of(request_document));
    ASSERT_TRUE(request);
    const auto body = upstream_hello_body(request->client->value(), request);
    EXPECT_EQ(bson::to_json(body),
              bson::to_json(json(
                  R"({"isMaster": 1, "helloOk": true, "client": {"driver": {"name": "x"}},
            "speculativeAuthenticate": {"saslStart": 1}, "saslSupportedMechs": "admin.app", "$db": "admin"})")));
}

TEST(UpstreamHelloBody, leaves_out_metadata_above_512_bytes) {
    const auto document_of = [](std::size_t size) {
        wire::Buffer out;
        bson::Builder doc(out);
        doc.append_string("n", std::string(size - 5 - 8, 'x')).finish();
        EXPECT_EQ(out.size(), size);
        return out;
    };
    const auto largest = upstream_hello_body(document_of(512), std::nullopt);
    const auto above = upstream_hello_body(document_of(513), std::nullopt);
    EXPECT_TRUE(view_of(largest).find("client"));
    EXPECT_FALSE(view_of(above).find("client"));
}

TEST(ParseUpstreamHello, reads_a_primary_a_mongos_a_secondary_and_an_error) {
    EXPECT_TRUE(
        parse_upstream_hello(view_of(json(R"({"ismaster": true, "ok": 1, "maxWireVersion": 21})"))).primary);
    EXPECT_TRUE(parse_upstream_hello(view_of(json(R"({"isWritablePrimary": true, "ok": 1})"))).primary);
    EXPECT_FALSE(
        parse_upstream_hello(view_of(json(R"({"ismaster": false, "secondary": true, "ok": 1})"))).primary);
    const auto error =
        parse_upstream_hello(view_of(json(R"({"ok": 0, "code": 91, "codeName": "ShutdownInProgress"})")));
    EXPECT_FALSE(error.ok);
    EXPECT_EQ(error.error, "ShutdownInProgress");
}

TEST(ParseUpstreamHello, hides_the_mechanism_that_cannot_cross_a_proxy) {
    const auto hello = parse_upstream_hello(view_of(json(
        R"({"ismaster": true, "ok": 1, "saslSupportedMechs": ["SCRAM-SHA-256", "MONGODB-X509", "SCRAM-SHA-1"]})")));
    wire::Buffer expected;
    bson::Builder array(expected);
    array.append_string("0", "SCRAM-SHA-256").append_string("1", "SCRAM-SHA-1").finish();
    EXPECT_EQ(hello.answer.sasl_supported_mechs, expected);
}

TEST(LocalHello, is_that_of_a_mongos_and_names_no_address) {
    UpstreamFacts facts;
    facts.wire_version_max = 27;
    const auto body = local_hello({.legacy_names = false, .hello_ok = true, .connection_id = 5}, facts, {});
    const auto document = view_of(body);
    EXPECT_EQ(document.find("msg")->string(), "isdbgrid");
    EXPECT_TRUE(document.find("isWritablePrimary")->truthy());
    EXPECT_EQ(document.find("maxWireVersion")->int32(), wire_version_cap);
    for (const char* absent : {"hosts", "passives", "arbiters", "primary", "me", "setName", "topologyVersion",
                               "compression", "serviceId", "speculativeAuthenticate"})
        EXPECT_FALSE(document.find(absent)) << absent;
}

TEST(LocalHello, repeats_the_wire_version_of_an_older_server) {
    UpstreamFacts facts;
    facts.wire_version_max = 8;
    const auto body = local_hello({}, facts, {});
    EXPECT_EQ(view_of(body).find("maxWireVersion")->int32(), 8);
    EXPECT_TRUE(view_of(body).find("ismaster")->truthy());
}

}  // namespace
}  // namespace fieldgate::session
