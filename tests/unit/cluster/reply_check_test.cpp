#include "proxy/cluster/reply_check.hpp"

#include <gtest/gtest.h>

#include "tests/unit/cluster/malformed_replies.hpp"
#include "tests/unit/cluster/scripted_server.hpp"

namespace fieldgate::cluster {
namespace {

using testing::hello_reply;
using testing::malformed_replies;
using testing::MalformedReply;
using testing::ScriptedServer;

wire::Header request_of(wire::Opcode opcode) {
    wire::Header request;
    request.request_id = 7;
    request.opcode = opcode;
    return request;
}

wire::Buffer answer_to(const wire::Header& request, const bson::Buffer& document) {
    return ScriptedServer::sound([&](bson::DocumentView) { return document; })(request, {});
}

TEST(ReplyCheck, takes_what_servers_answer) {
    for (const wire::Opcode opcode : {wire::Opcode::msg, wire::Opcode::query}) {
        const wire::Header request = request_of(opcode);
        for (const bson::Buffer& document :
             {hello_reply("primary", "db1:27017"), testing::ok_reply(), testing::error_reply(13, "no"),
              testing::nested_document(reply_nesting_levels_max)}) {
            EXPECT_FALSE(check_reply(answer_to(request, document), opcode));
        }
    }
    // A monitor's server pushes more answers.
    EXPECT_FALSE(check_reply(wire::make_op_msg(1, 7, testing::ok_reply(), wire::flag_more_to_come),
                             wire::Opcode::msg));
}

TEST(ReplyCheck, refuses_what_is_malformed) {
    for (const wire::Opcode opcode : {wire::Opcode::msg, wire::Opcode::query}) {
        const wire::Header request = request_of(opcode);
        const wire::Buffer sound = answer_to(request, testing::ok_reply());
        for (const MalformedReply& reply : malformed_replies()) {
            EXPECT_TRUE(check_reply(reply.of(request, sound), opcode)) << reply.name;
        }
    }
}

bool takes(std::string_view json) {
    const auto document = bson::from_json(json);
    return !check_reply(wire::make_op_msg(1, 7, document.value()), wire::Opcode::msg);
}

TEST(ReplyCheck, knows_what_members_look_like) {
    for (const char* member : {"db1:27017", "DB-1.clinic_x.example:1", "127.0.0.1:65535", "[::1]:27017"}) {
        for (const char* field : {"hosts", "passives", "arbiters"})
            EXPECT_TRUE(takes(std::string(R"({")") + field + R"(": [")" + member + "\"]}")) << member;
        EXPECT_TRUE(takes(std::string(R"({"me": ")") + member + "\"}")) << member;
    }
    for (const std::string& member :
         {std::string("1"), std::string("null"), std::string("[]"), std::string(R"("")"),
          std::string(R"("db1")"), std::string(R"("db1:")"), std::string(R"("db1:0")"),
          std::string(R"("db1:65536")"), std::string(R"("db1:+1")"), std::string(R"("db1:1x")"),
          std::string(R"(":1")"), std::string(R"("a b:1")"), std::string(R"("[]:1")"),
          std::string(R"("[::1:1")"), std::string(R"("[::x]:1")"), std::string(R"("/tmp/x.sock")"),
          '"' + std::string(254, 'h') + ":1\""}) {
        EXPECT_FALSE(takes(R"({"hosts": [)" + member + "]}")) << member;
        EXPECT_FALSE(takes(R"({"primary": )" + member + "}")) << member;
    }
    EXPECT_TRUE(takes(R"({"hosts": [")" + std::string(253, 'h') + ":1\"]}"));
    EXPECT_FALSE(takes(R"({"hosts": "db1:1"})"));
}

TEST(ReplyCheck, takes_50_members_and_no_more) {
    const auto with_members = [](std::size_t count) {
        std::string hosts;
        for (std::size_t i = 1; i < count; ++i)
            hosts += (i == 1 ? "\"h" : ", \"h") + std::to_string(i) + ":1\"";
        return R"({"hosts": [)" + hosts + R"(], "arbiters": ["a:1"]})";
    };
    EXPECT_TRUE(takes(with_members(replica_set_members_max)));
    EXPECT_FALSE(takes(with_members(replica_set_members_max + 1)));
}

TEST(ReplyCheck, wants_fields_of_the_type_they_have) {
    for (const char* sound :
         {R"({"compression": []})", R"({"errorLabels": ["x"]})", R"({"code": 13, "errmsg": "no"})",
          R"({"code": 13.0})", R"({"code": 2147483647})",
          R"({"writeErrors": [{"code": 11000, "errmsg": "x"}]})",
          R"({"writeConcernError": {"code": 64, "errmsg": "x", "errorLabels": []}})",
          R"({"cursor": {"id": 0, "ns": "a.b", "firstBatch": [{}], "nextBatch": []}})",
          R"({"speculativeAuthenticate": {}})", R"({"anything": {"code": 0, "hosts": 1}})"}) {
        EXPECT_TRUE(takes(sound)) << sound;
    }
    for (const char* odd : {R"({"compression": ["zlib"]})",
                            R"({"compression": {}})",
                            R"({"errorLabels": "x"})",
                            R"({"errorLabels": [1]})",
                            R"({"saslSupportedMechs": [1]})",
                            R"({"code": 0})",
                            R"({"code": "13"})",
                            R"({"code": -1})",
                            R"({"code": 2147483648})",
                            R"({"code": 1.5})",
                            R"({"errmsg": 1})",
                            R"({"setName": 1})",
                            R"({"msg": 1})",
                            R"({"writeErrors": {}})",
                            R"({"writeErrors": [1]})",
                            R"({"writeErrors": [{"code": 0}]})",
                            R"({"writeConcernError": []})",
                            R"({"writeConcernError": {"code": 0}})",
                            R"({"writeConcernError": {"errmsg": 1}})",
                            R"({"writeConcernError": {"errorLabels": 1}})",
                            R"({"cursor": 1})",
                            R"({"cursor": {"ns": 1}})",
                            R"({"cursor": {"id": "x"}})",
                            R"({"cursor": {"firstBatch": {}}})",
                            R"({"cursor": {"nextBatch": [1]}})",
                            R"({"speculativeAuthenticate": 1})",
                            R"({"topologyVersion": 1})",
                            R"({"tags": []})",
                            R"({"lastWrite": 1})",
                            R"({"$clusterTime": 1})"}) {
        EXPECT_FALSE(takes(odd)) << odd;
    }
}

TEST(ReplyCheck, refuses_an_answer_to_nothing) {
    const wire::Buffer sound = answer_to(request_of(wire::Opcode::msg), testing::ok_reply());
    EXPECT_TRUE(check_reply(sound, wire::Opcode{}));
}

}  // namespace
}  // namespace fieldgate::cluster
