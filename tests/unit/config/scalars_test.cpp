#include "config/scalars.hpp"

#include <gtest/gtest.h>

namespace fieldgate::config {
namespace {

using std::chrono::milliseconds;

TEST(Scalars, durations_are_written_as_in_go) {
    struct Row {
        const char* text;
        std::int64_t ms;
    };
    for (const Row& row :
         {Row{"0", 0}, Row{"0s", 0}, Row{"30s", 30'000}, Row{"1m30s", 90'000}, Row{"500ms", 500},
          Row{"2h", 7'200'000}, Row{"1h1m1s1ms", 3'661'001}, Row{"1m500ms", 60'500}})
        EXPECT_EQ(parse_duration(row.text), milliseconds(row.ms)) << row.text;
    for (const char* text : {"", "30", "s", "30 s", " 30s", "-1s", "1.5s", "30S", "1d", "1s30", "1us", "1ns",
                             "+1s", "99999999999999999999s", "9223372036854775807h", "00x"})
        EXPECT_EQ(parse_duration(text), std::nullopt) << text;
}

TEST(Scalars, sizes_have_units) {
    struct Row {
        const char* text;
        std::uint64_t bytes;
    };
    for (const Row& row : {Row{"0", 0}, Row{"48000000", 48'000'000}, Row{"64KiB", 65'536},
                           Row{"16MiB", 16'777'216}, Row{"48MB", 48'000'000}, Row{"1GiB", 1'073'741'824},
                           Row{"2KB", 2000}, Row{"7B", 7}, Row{"1GB", 1'000'000'000}})
        EXPECT_EQ(parse_byte_size(row.text), row.bytes) << row.text;
    for (const char* text : {"", "-1", "1.5MiB", "MiB", "1 MiB", "1mib", "1M", "1TiB", "007", "0x10",
                             "99999999999999999999", "9999999999999GiB"})
        EXPECT_EQ(parse_byte_size(text), std::nullopt) << text;
}

TEST(Scalars, unsigned_numbers_are_plain_decimal) {
    EXPECT_EQ(parse_unsigned("0"), 0u);
    EXPECT_EQ(parse_unsigned("18446744073709551615"), 18446744073709551615u);
    for (const char* text : {"", "00", "01", "-1", "+1", "1 ", " 1", "1.0", "0x1", "18446744073709551616"})
        EXPECT_EQ(parse_unsigned(text), std::nullopt) << text;
}

TEST(Scalars, base64_is_strict) {
    using Bytes = std::vector<std::uint8_t>;
    EXPECT_EQ(parse_base64(""), Bytes{});
    EXPECT_EQ(parse_base64("AA=="), Bytes{0});
    EXPECT_EQ(parse_base64("AAE="), (Bytes{0, 1}));
    EXPECT_EQ(parse_base64("+/+/"), (Bytes{0xFB, 0xFF, 0xBF}));
    for (const char* text :
         {"A", "AA", "AAA", "AA=", "A===", "====", "AB==", "AAF=", "AA\n=", "A=A=", "AA==AA==", "-_-_"})
        EXPECT_EQ(parse_base64(text), std::nullopt) << text;
}

TEST(Scalars, namespaces_split_at_the_first_dot) {
    const NamespaceText parsed = parse_namespace("db.a.b", false);
    ASSERT_TRUE(parsed.pattern);
    EXPECT_EQ(parsed.pattern->database, "db");
    EXPECT_EQ(parsed.pattern->collection, "a.b");
    EXPECT_TRUE(parse_namespace("tenant_*.*", true).pattern);
    EXPECT_TRUE(parse_namespace("encryption.__keyVault", false).pattern);
}

TEST(Scalars, namespaces_follow_the_naming_rules_of_mongodb) {
    struct Row {
        std::string text;
        const char* fault;
    };
    const Row rows[] = {
        {"db", "DATABASE.COLLECTION"},
        {"", "DATABASE.COLLECTION"},
        {".c", "DATABASE.COLLECTION"},
        {"db.", "DATABASE.COLLECTION"},
        {"*", "DATABASE.COLLECTION"},
        {"d b.c", "blank"},
        {"d/b.c", "database name"},
        {"d$b.c", "database name"},
        {"db.a$b", "$"},
        {"db..c", "dot"},
        {"db.c.", "dot"},
        {std::string("db.a\0b", 6), "null character"},
        {std::string(64, 'd') + ".c", "63 bytes"},
        {"d." + std::string(254, 'c'), "255 bytes"},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(row.text);
        const NamespaceText parsed = parse_namespace(row.text, true);
        EXPECT_FALSE(parsed.pattern);
        EXPECT_NE(parsed.fault.find(row.fault), std::string::npos) << parsed.fault;
    }
    EXPECT_TRUE(parse_namespace(std::string(63, 'd') + ".c", false).pattern);
    EXPECT_TRUE(parse_namespace("d." + std::string(253, 'c'), false).pattern);
    EXPECT_FALSE(parse_namespace("d*.c", false).pattern);
    EXPECT_EQ(parse_namespace("d*.c", false).fault, "must not contain *");
}

TEST(Scalars, addresses_have_three_forms) {
    EXPECT_EQ(parse_address("0.0.0.0:27117").host, "0.0.0.0");
    EXPECT_EQ(parse_address("0.0.0.0:27117").port, 27117);
    EXPECT_EQ(parse_address("db.example:0").port, 0);
    EXPECT_EQ(parse_address("h:65535").port, 65535);
    EXPECT_EQ(parse_address("[::1]:1").host, "::1");
    EXPECT_EQ(parse_address("unix:/run/x.sock").unix_path, "/run/x.sock");
    EXPECT_EQ(parse_address("unix:" + std::string(107, 'p')).fault, "");
}

TEST(Scalars, endpoints_are_hosts_with_or_without_a_port) {
    for (const char* text : {"h", "kms.eu-west-1.amazonaws.com", "h:1", "h:65535", "127.0.0.1:8443", "[::1]",
                             "[::1]:8200", "a_b.svc.cluster.local", "localhost"})
        EXPECT_EQ(endpoint_fault(text), "") << text;
    EXPECT_EQ(endpoint_fault(std::string(253, 'h')), "");
    struct Row {
        std::string text;
        const char* fault;
    };
    const Row rows[] = {
        {"", "HOST or HOST:PORT"},
        {"https://h", "without a scheme"},
        {"h/path", "without a path"},
        {"h:0", "1 to 65535"},
        {"h:65536", "1 to 65535"},
        {"h:", "1 to 65535"},
        {"h:x", "1 to 65535"},
        {"h:080", "1 to 65535"},
        {":443", "HOST or HOST:PORT"},
        {"u@h", "HOST or HOST:PORT"},
        {"h h", "HOST or HOST:PORT"},
        {"*.h", "HOST or HOST:PORT"},
        {"a..b", "HOST or HOST:PORT"},
        {".a", "HOST or HOST:PORT"},
        {"-a", "HOST or HOST:PORT"},
        {"h?x", "HOST or HOST:PORT"},
        {"h\n", "HOST or HOST:PORT"},
        {"::1:443", "brackets"},
        {"[::1", "HOST or HOST:PORT"},
        {"[h]", "only an IPv6"},
        {"[]", "only an IPv6"},
        {"[::1]443", "1 to 65535"},
        {std::string(254, 'h'), "HOST or HOST:PORT"},
    };
    for (const Row& row : rows)
        EXPECT_NE(endpoint_fault(row.text).find(row.fault), std::string::npos)
            << row.text << ": " << endpoint_fault(row.text);
}

TEST(Scalars, other_addresses_are_refused) {
    const std::string long_path = "unix:" + std::string(108, 'p');
    struct Row {
        std::string text;
        const char* fault;
    };
    const Row rows[] = {
        {"", "must be HOST:PORT"},      {"27117", "must be HOST:PORT"}, {":27117", "names no host"},
        {"h:", "0 to 65535"},           {"h:65536", "0 to 65535"},      {"h:-1", "0 to 65535"},
        {"h:080", "0 to 65535"},        {"h:x", "0 to 65535"},          {"::1:27017", "brackets"},
        {"[::1:27017", "brackets"},     {"[::1]", "brackets"},          {"[h]:1", "brackets"},
        {"[]:1", "brackets"},           {"mongodb://h:1", "brackets"},  {"a b:1", "must be HOST:PORT"},
        {"u@h:1", "must be HOST:PORT"}, {"unix:", "no path"},           {long_path, "107 bytes"},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(row.text);
        EXPECT_NE(parse_address(row.text).fault.find(row.fault), std::string::npos)
            << parse_address(row.text).fault;
    }
}

TEST(Scalars, suggests_what_was_probably_meant) {
    const std::vector<std::string> keys{"upstream", "listeners", "log", "limits"};
    EXPECT_EQ(closest("upstrem", keys), "upstream");
    EXPECT_EQ(closest("Listeners", keys), "listeners");
    EXPECT_EQ(closest("lo", keys), "log");
    EXPECT_EQ(closest("limit", keys), "limits");
    EXPECT_EQ(closest("banana", keys), std::nullopt);
    EXPECT_EQ(closest("", keys), std::nullopt);
    EXPECT_EQ(closest("xy", keys), std::nullopt);
    EXPECT_EQ(closest(std::string(101, 'x'), {std::string(101, 'x')}), std::nullopt);
    EXPECT_EQ(did_you_mean("lgo", {"lg"}), " (did you mean 'lg'?)");
    EXPECT_EQ(did_you_mean("banana", keys), "");
}

TEST(Scalars, joins_words) {
    EXPECT_EQ(join_or({}), "");
    EXPECT_EQ(join_or({"a"}), "a");
    EXPECT_EQ(join_or({"a", "b"}), "a or b");
    EXPECT_EQ(join_or({"a", "b", "c"}), "a, b or c");
}

}  // namespace
}  // namespace fieldgate::config
