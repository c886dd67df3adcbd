#include "config/extended_json.hpp"

#include <gtest/gtest.h>

#include "config/json_reader.hpp"

namespace fieldgate::config {
namespace {

struct Decoded {
    Node value;
    std::vector<Problem> problems;
};

Decoded decode(const std::string& value) {
    Decoded result;
    ProblemList problems(result.problems, "f.json");
    auto root = read_json("{\n\"k\": " + value + "}", problems);
    EXPECT_TRUE(root) << value;
    if (!root) return result;
    decode_extended_json(*root, problems);
    result.value = *root->find("k");
    return result;
}

TEST(ExtendedJson, reads_binary_in_both_forms_and_uuid) {
    for (const char* text : {R"({"$binary": {"base64": "AAECAwQFBgcICQoLDA0ODw==", "subType": "04"}})",
                             R"({"$binary": {"subType": "4", "base64": "AAECAwQFBgcICQoLDA0ODw=="}})",
                             R"({"$binary": "AAECAwQFBgcICQoLDA0ODw==", "$type": "04"})",
                             R"({"$type": "04", "$binary": "AAECAwQFBgcICQoLDA0ODw=="})",
                             R"({"$uuid": "00010203-0405-0607-0809-0a0B0c0D0e0F"})"}) {
        SCOPED_TRACE(text);
        const Decoded decoded = decode(text);
        EXPECT_TRUE(decoded.problems.empty());
        ASSERT_EQ(decoded.value.kind, Node::Kind::binary);
        EXPECT_EQ(decoded.value.subtype, 4);
        ASSERT_EQ(decoded.value.bytes.size(), 16u);
        for (std::size_t i = 0; i < 16; ++i) EXPECT_EQ(decoded.value.bytes[i], i);
        EXPECT_EQ(decoded.value.key, "k");
        EXPECT_EQ(decoded.value.where.line, 2);
        EXPECT_EQ(decoded.value.key_where.line, 2);
    }
}

TEST(ExtendedJson, reads_subtypes_as_hexadecimal) {
    EXPECT_EQ(decode(R"({"$binary": {"base64": "", "subType": "ff"}})").value.subtype, 0xFF);
    EXPECT_EQ(decode(R"({"$binary": {"base64": "", "subType": "8A"}})").value.subtype, 0x8A);
}

TEST(ExtendedJson, reads_numbers) {
    EXPECT_EQ(decode(R"({"$numberInt": "5"})").value.kind, Node::Kind::int32);
    EXPECT_EQ(decode(R"({"$numberLong": "5"})").value.kind, Node::Kind::int64);
    EXPECT_EQ(decode(R"({"$numberLong": "5"})").value.integer, 5);
    EXPECT_EQ(decode(R"({"$numberDouble": "5"})").value.kind, Node::Kind::double_);
}

TEST(ExtendedJson, keeps_the_alias_of_types_without_a_node_of_their_own) {
    const Decoded decoded = decode(R"({"$oid": "0123456789abcdef01234567"})");
    EXPECT_EQ(decoded.value.kind, Node::Kind::other);
    EXPECT_EQ(decoded.value.text, "objectId");
    EXPECT_EQ(decode(R"({"$numberDecimal": "1.5"})").value.text, "decimal");
}

TEST(ExtendedJson, reports_malformed_wrappers_at_their_line) {
    for (const char* text : {R"({"$binary": {"base64": "AAE", "subType": "04"}})",
                             R"({"$binary": {"base64": "A===", "subType": "04"}})",
                             R"({"$binary": {"base64": "AB==", "subType": "04"}})",
                             R"({"$binary": {"base64": "AA*=", "subType": "04"}})",
                             R"({"$binary": {"base64": "AAAA", "subType": "004"}})",
                             R"({"$binary": {"base64": "AAAA", "subType": "g"}})",
                             R"({"$binary": {"base64": "AAAA", "subType": ""}})",
                             R"({"$binary": {"base64": "AAAA"}})",
                             R"({"$binary": {"base64": 5, "subType": "04"}})",
                             R"({"$binary": {"base64": "AAAA", "subType": "04", "x": 1}})",
                             R"({"$binary": {"base64": "AAAA", "subType": "04"}, "x": 1})",
                             R"({"$binary": "AAAA"})",
                             R"({"$binary": "AAAA", "$type": "04", "x": 1})",
                             R"({"$binary": []})",
                             R"({"$uuid": "0001"})",
                             R"({"$uuid": "00010203-0405-0607-0809-0a0b0c0d0e0g"})",
                             R"({"$uuid": "00010203x0405-0607-0809-0a0b0c0d0e0f"})",
                             R"({"$uuid": "00010203-0405-0607-0809-0a0b0c0d0e0f", "x": 1})",
                             R"({"$uuid": 5})",
                             R"({"$numberInt": "x"})",
                             R"({"$numberInt": "3000000000"})",
                             R"({"$numberLong": "1.5"})",
                             R"({"$numberLong": "5", "x": 1})",
                             R"({"$numberInt": {}})"}) {
        SCOPED_TRACE(text);
        const Decoded decoded = decode(text);
        ASSERT_EQ(decoded.problems.size(), 1u);
        EXPECT_EQ(decoded.problems[0].line, 2);
        EXPECT_NE(decoded.problems[0].what.find("malformed extended JSON $"), std::string::npos);
        EXPECT_EQ(decoded.value.kind, Node::Kind::other);
    }
}

TEST(ExtendedJson, leaves_everything_else_alone) {
    const Decoded decoded =
        decode(R"({"a": [{"b": "$binary"}, {"$uuid": "00010203-0405-0607-0809-0a0b0c0d0e0f"}]})");
    EXPECT_TRUE(decoded.problems.empty());
    const Node& items = *decoded.value.find("a");
    EXPECT_EQ(items.children[0].find("b")->text, "$binary");
    EXPECT_EQ(items.children[1].kind, Node::Kind::binary);
}

}  // namespace
}  // namespace fieldgate::config
