#include "crypto/kms/sigv4.hpp"

#include "tests/unit/crypto/kms_support.hpp"

namespace fieldgate::crypto::kms::sigv4 {
namespace {

// AWS's Signature Version 4 test suite, as published with its common runtime (aws-c-auth, signed in the
// head): requests with the headers that are signed, and the signature.
constexpr std::string_view suite_secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const Scope suite{UnixTime(std::chrono::seconds(1440938160)), "us-east-1", "service"};

struct Vector {
    std::string_view name;
    ToSign request;
    std::string_view signed_headers;
    std::string_view signature;
};

std::vector<Vector> vectors() {
    constexpr std::pair<std::string_view, std::string_view> host{"Host", "example.amazonaws.com"};
    constexpr std::pair<std::string_view, std::string_view> date{"X-Amz-Date", "20150830T123600Z"};
    constexpr std::string_view unreserved =
        "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    static const std::string unreserved_path = "/" + std::string(unreserved);
    static const std::string unreserved_query = std::string(unreserved) + "=" + std::string(unreserved);
    return {
        {"get-vanilla",
         {"GET", "/", "", {host, date}, {}},
         "host;x-amz-date",
         "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
        {"post-vanilla",
         {"POST", "/", "", {host, date}, {}},
         "host;x-amz-date",
         "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
        {"get-vanilla-query-order-key-case",
         {"GET", "/", "Param2=value2&Param1=value1", {host, date}, {}},
         "host;x-amz-date",
         "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
        {"get-unreserved",
         {"GET", unreserved_path, "", {host, date}, {}},
         "host;x-amz-date",
         "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
        {"get-vanilla-query-unreserved",
         {"GET", "/", unreserved_query, {host, date}, {}},
         "host;x-amz-date",
         "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
        {"get-header-value-trim",
         {"GET", "/", "", {host, {"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}, date}, {}},
         "host;my-header1;my-header2;x-amz-date",
         "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
        {"get-header-value-order",
         {"GET",
          "/",
          "",
          {host,
           {"My-Header1", "value4"},
           {"My-Header1", "value1"},
           {"My-Header1", "value3"},
           {"My-Header1", "value2"},
           date},
          {}},
         "host;my-header1;x-amz-date",
         "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
        {"post-header-key-sort",
         {"POST", "/", "", {host, {"My-Header1", "value1"}, date}, {}},
         "host;my-header1;x-amz-date",
         "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
        {"get-vanilla-with-session-token",
         {"GET",
          "/",
          "",
          {host,
           date,
           {"X-Amz-Security-Token", "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267"}},
          {}},
         "host;x-amz-date;x-amz-security-token",
         "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"},
        {"post-sts-header-before",
         {"POST",
          "/",
          "",
          {host,
           {"X-Amz-Security-Token",
            "AQoDYXdzEPT//////////"
            "wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD"
            "8YUuwthAx7mSEI/qkPpKPi/"
            "kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6"
            "q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+"
            "scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJa"
            "bIQwj2ICCR/oLxBA=="},
           date},
          {}},
         "host;x-amz-date;x-amz-security-token",
         "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"},
        {"post-x-www-form-urlencoded",
         {"POST",
          "/",
          "",
          {{"Content-Type", "application/x-www-form-urlencoded"},
           host,
           {"Content-Length", "13"},
           {"x-amz-content-sha256", "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"},
           date},
          bytes_of("Param1=value1")},
         "content-length;content-type;host;x-amz-content-sha256;x-amz-date",
         "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b"},
    };
}

TEST(KmsSigV4, signs_as_the_published_suite_does) {
    for (const Vector& vector : vectors()) {
        EXPECT_EQ(authorization(vector.request, suite, "AKIDEXAMPLE", SecretBuffer(bytes_of(suite_secret))),
                  "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
                  "SignedHeaders=" +
                      std::string(vector.signed_headers) + ", Signature=" + std::string(vector.signature))
            << vector.name;
    }
}

TEST(KmsSigV4, the_steps_are_those_of_the_published_suite) {
    // post-x-www-form-urlencoded with the body left out of the signature: header-canonical-request.txt and
    // header-string-to-sign.txt.
    const ToSign request{"POST",
                         "/",
                         "",
                         {{"X-Amz-Date", "20150830T123600Z"},
                          {"Content-Length", "13"},
                          {"Host", "example.amazonaws.com"},
                          {"Content-Type", "application/x-www-form-urlencoded"}},
                         {}};
    const SecretBuffer canonical = canonical_request(request);
    EXPECT_EQ(text_of(canonical),
              "POST\n/\n\ncontent-length:13\ncontent-type:application/x-www-form-urlencoded\n"
              "host:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\n"
              "content-length;content-type;host;x-amz-date\n"
              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(string_to_sign(canonical, suite),
              "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/service/aws4_request\n"
              "0eccf3fbe5a3c5d3df1d87c98cdf5dbde190d26aabdd91c9407db930a0c00896");
}

TEST(KmsSigV4, queries_and_headers_at_their_edges) {
    const auto canonical = [](std::string_view query, std::string_view value) {
        return text_of(canonical_request({"GET", "/", query, {{"A", value}}, {}}));
    };
    const std::string digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    EXPECT_EQ(canonical("b&a=2&a=1&", "   "), "GET\n/\na=1&a=2&b=\na:\n\na\n" + digest);
    EXPECT_EQ(canonical("", "  x   y  "), "GET\n/\n\na:x y\n\na\n" + digest);
}

TEST(KmsSigV4, dates) {
    EXPECT_EQ(amz_date(UnixTime(std::chrono::seconds(0))), "19700101T000000Z");
    EXPECT_EQ(amz_date(suite.time), "20150830T123600Z");
    EXPECT_EQ(amz_date(UnixTime(std::chrono::seconds(1709251199))), "20240229T235959Z");
}

}  // namespace
}  // namespace fieldgate::crypto::kms::sigv4
