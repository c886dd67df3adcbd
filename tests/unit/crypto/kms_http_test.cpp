#include "crypto/kms/http.hpp"

#include "crypto/kms/endpoint_rule.hpp"
#include "tests/unit/crypto/kms_support.hpp"

namespace fieldgate::crypto::kms {
namespace {

const Endpoint server{"kms.example", 443, true};

TEST(KmsHttp, a_request_is_written_byte_for_byte) {
    auto request = HttpRequest("POST", server, "/token?a=b")
                       .header("Accept", "application/json")
                       .secret_header("Authorization", "Bearer ", bytes_of("t0ken"))
                       .finish(bytes_of("{}"));
    ASSERT_TRUE(request.has_value());
    EXPECT_EQ(text_of(request->bytes),
              "POST /token?a=b HTTP/1.1\r\n"
              "Host: kms.example\r\n"
              "Accept: application/json\r\n"
              "Authorization: Bearer t0ken\r\n"
              "Content-Length: 2\r\n"
              "Connection: keep-alive\r\n"
              "\r\n"
              "{}");
    EXPECT_EQ(request->endpoint, server);
    EXPECT_EQ(request->protocol, Protocol::http);
}

TEST(KmsHttp, a_request_without_body_has_a_length_where_the_method_wants_one) {
    EXPECT_EQ(text_of(HttpRequest("GET", server, "/").finish()->bytes),
              "GET / HTTP/1.1\r\nHost: kms.example\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_EQ(
        text_of(HttpRequest("PUT", {"169.254.169.254", 80, false}, "/x").finish()->bytes),
        "PUT /x HTTP/1.1\r\nHost: 169.254.169.254\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n");
}

TEST(KmsHttp, nothing_becomes_another_header_or_another_request) {
    using std::string_view_literals::operator""sv;
    for (const std::string_view hostile : {"a\r\nX: y"sv, "a\nb"sv, "a\rb"sv, "a\0b"sv, "a\x7f"sv, "\t"sv}) {
        EXPECT_EQ(described(HttpRequest("GET", server, "/").header("A", hostile).finish()),
                  "malformed request_not_sound");
        EXPECT_EQ(described(HttpRequest("GET", server, "/").header(hostile, "a").finish()),
                  "malformed request_not_sound");
        EXPECT_EQ(
            described(HttpRequest("GET", server, "/").secret_header("A", hostile, bytes_of("")).finish()),
            "malformed request_not_sound");
        EXPECT_EQ(
            described(HttpRequest("GET", server, "/").secret_header("A", "", bytes_of(hostile)).finish()),
            "malformed request_not_sound");
        EXPECT_EQ(described(HttpRequest("GET", server, "/" + std::string(hostile)).finish()),
                  "malformed request_not_sound");
        EXPECT_EQ(described(HttpRequest("GET", {std::string(hostile), 443, true}, "/").finish()),
                  "malformed request_not_sound");
        EXPECT_EQ(described(HttpRequest(hostile, server, "/").finish()), "malformed request_not_sound");
    }
    for (const std::string_view target : {"", "x", "/a b", "/\xc3\xa4"})
        EXPECT_EQ(described(HttpRequest("GET", server, target).finish()), "malformed request_not_sound")
            << target;
    for (const std::string_view name : {"", "a b", "a:b", "\xc3\xa4"})
        EXPECT_EQ(described(HttpRequest("GET", server, "/").header(name, "").finish()),
                  "malformed request_not_sound");
    EXPECT_TRUE(HttpRequest("GET", server, "/").header("A", "\xc3\xa4 b: c").finish().has_value());
}

TEST(KmsHttp, an_endpoint_is_a_host_and_perhaps_a_port) {
    const auto is = [](std::string_view text, std::string_view host, std::uint16_t port) {
        return parse_endpoint(text, 443) == Endpoint{std::string(host), port, true};
    };
    EXPECT_TRUE(is("kms.example", "kms.example", 443));
    EXPECT_TRUE(is("KMS.Example:8443", "kms.example", 8443));
    EXPECT_TRUE(is("a_b-c:1", "a_b-c", 1));
    EXPECT_TRUE(is("127.0.0.1:65535", "127.0.0.1", 65535));
    EXPECT_TRUE(is("[::1]", "::1", 443));
    EXPECT_TRUE(is("[2001:DB8::1]:99", "2001:db8::1", 99));
    EXPECT_TRUE(is(std::string(63, 'a') + ".b", std::string(63, 'a') + ".b", 443));

    using std::string_view_literals::operator""sv;
    for (const std::string_view text : {""sv,
                                        ":1"sv,
                                        "a:"sv,
                                        "a:0"sv,
                                        "a:01"sv,
                                        "a:65536"sv,
                                        "a:99999999999999999999"sv,
                                        "a:-1"sv,
                                        "a:+1"sv,
                                        "a:1x"sv,
                                        "a:1:2"sv,
                                        "u@a"sv,
                                        "a/b"sv,
                                        "a/"sv,
                                        "a?b"sv,
                                        "a#b"sv,
                                        "https://a"sv,
                                        "a b"sv,
                                        "a\r\nb"sv,
                                        "a\0b"sv,
                                        "a..b"sv,
                                        ".a"sv,
                                        "a."sv,
                                        "-a.b"sv,
                                        "a-.b"sv,
                                        "a%41"sv,
                                        "\xc3\xa4"sv,
                                        "::1"sv,
                                        "[::1"sv,
                                        "[]"sv,
                                        "[a]"sv,
                                        "[::1]x"sv,
                                        "[::1]:"sv,
                                        "[fe80::1%eth0]"sv,
                                        "[::1\0]"sv,
                                        "[127.0.0.1]"sv})
        EXPECT_FALSE(parse_endpoint(text, 443).has_value()) << text;
    EXPECT_FALSE(parse_endpoint(std::string(64, 'a') + ".b", 443).has_value());
    std::string long_name;
    while (long_name.size() < 253) long_name += "a.";
    long_name.resize(253);
    EXPECT_TRUE(parse_endpoint(long_name, 443).has_value());
    EXPECT_FALSE(parse_endpoint("b." + long_name, 443).has_value());
}

TEST(KmsHttp, the_host_header_leaves_out_the_usual_port) {
    EXPECT_EQ(host_header({"a", 443, true}), "a");
    EXPECT_EQ(host_header({"a", 443, false}), "a:443");
    EXPECT_EQ(host_header({"a", 80, false}), "a");
    EXPECT_EQ(host_header({"a", 80, true}), "a:80");
    EXPECT_EQ(host_header({"::1", 8200, true}), "[::1]:8200");
}

TEST(KmsHttp, percent_encoding) {
    EXPECT_EQ(percent_encode("aZ09-._~"), "aZ09-._~");
    EXPECT_EQ(percent_encode("a/b c+%\n\xc3\xa4"), "a%2Fb%20c%2B%25%0A%C3%A4");
    SecretBuffer out;
    append_percent_encoded(out, "p=&\xff");
    EXPECT_EQ(text_of(out), "p%3D%26%FF");
    EXPECT_TRUE(is_unreserved("key-1.a_b~"));
    EXPECT_FALSE(is_unreserved(""));
    EXPECT_FALSE(is_unreserved("a/b"));
    EXPECT_FALSE(is_unreserved("a\r"));
}

TEST(KmsEndpointRule, own_domains_and_listed_hosts_and_no_others) {
    constexpr std::string_view domains[] = {"kms.*.amazonaws.com", "kms.example"};
    const std::string hosts[] = {"localhost:4566", "Intern.example", "[::1]:9"};
    const EndpointRule rule{"aws:eu", 443, domains, hosts};
    const auto host = [&](std::string_view text) {
        const auto endpoint = allowed_endpoint(text, rule);
        return endpoint ? endpoint->host + ":" + std::to_string(endpoint->port) : described(endpoint);
    };
    EXPECT_EQ(host("kms.eu-west-1.amazonaws.com"), "kms.eu-west-1.amazonaws.com:443");
    EXPECT_EQ(host("KMS.eu-west-1.amazonaws.com:443"), "kms.eu-west-1.amazonaws.com:443");
    EXPECT_EQ(host("kms.example"), "kms.example:443");
    EXPECT_EQ(host("localhost:4566"), "localhost:4566");
    EXPECT_EQ(host("intern.example"), "intern.example:443");
    EXPECT_EQ(host("[::1]:9"), "::1:9");
    EXPECT_TRUE(allowed_endpoint("localhost:4566", rule)->tls);
    for (const std::string_view text :
         {"kms.eu-west-1.amazonaws.com:8443", "kms.a.b.amazonaws.com", "kms.amazonaws.com", "amazonaws.com",
          "kms.eu-west-1.amazonaws.com.evil.example", "evilkms.example", "a.kms.example", "kms.example.evil",
          "localhost", "localhost:4567", "intern.example:444", "evil.example/kms.example",
          "evil.example#kms.example", "", "*", "kms.example@evil.example", "evil.example\r\nX: y"})
        EXPECT_EQ(host(text), "refused endpoint_not_allowed") << text;
}

TEST(KmsEndpointRule, the_refusal_names_the_host_and_the_setting) {
    const EndpointRule rule{"aws:eu", 443, {}, {}};
    EXPECT_EQ(
        allowed_endpoint("evil.example", rule).error().text,
        "the master key names the host 'evil.example', which is not one of the provider's own; list it in "
        "kms_providers.aws:eu.hosts if credentials may go there");
    EXPECT_EQ(allowed_endpoint("evil\nexample", rule).error().text,
              "the master key names the host 'evil example', which is not of the form host[:port]");
    EXPECT_LE(allowed_endpoint(std::string(5000, '!'), rule).error().text.size(), 300u);
    EXPECT_LE(allowed_endpoint(std::string("a.") + std::string(2000, 'a'), rule).error().text.size(), 300u);
}

TEST(KmsExchange, the_value_of_a_failure_is_our_mistake) {
    const Result<int> result = Failure{Failure::Kind::refused, 0, "code", "text"};
    EXPECT_THROW((void)result.value(), std::logic_error);
}

}  // namespace
}  // namespace fieldgate::crypto::kms
