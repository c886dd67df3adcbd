#include "crypto/kms/json.hpp"

#include "tests/unit/crypto/kms_support.hpp"

namespace fieldgate::crypto::kms {
namespace {

TEST(KmsJson, members_are_found_by_path_and_type) {
    const auto reply =
        JsonReply::parse(reply_of(200, R"({"a": "text", "n": 7, "s": "0042", "neg": -3, "d": 1.5,
        "o": {"p": {"q": "deep\u00e4\n"}}, "list": [1, "first", "second"], "none": [], "null": null, "": "empty"})"));
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->string("a"), "text");
    EXPECT_EQ(reply->string("o.p.q"), "deep\xc3\xa4\n");
    EXPECT_EQ(reply->string(""), "empty");
    EXPECT_EQ(reply->number("n"), 7);
    EXPECT_EQ(reply->number("neg"), -3);
    EXPECT_EQ(reply->number("s"), 42);
    EXPECT_EQ(reply->first_of_array("list"), "first");
    for (const std::string_view path :
         {"n", "o", "o.p", "list", "null", "x", "a.b", "o.x", "o.p.q.r", "o.", ".a"})
        EXPECT_EQ(reply->string(path), std::nullopt) << path;
    for (const std::string_view path : {"a", "d", "null", "list", "o", "x"})
        EXPECT_EQ(reply->number(path), std::nullopt) << path;
    for (const std::string_view path : {"none", "a", "o", "x"})
        EXPECT_EQ(reply->first_of_array(path), std::nullopt) << path;
}

TEST(KmsJson, numbers_are_whole_and_fit) {
    const auto reply =
        JsonReply::parse(reply_of(200, R"({"max": 9223372036854775807, "above": 9223372036854775808,
        "huge": 1e400, "max_s": "9223372036854775807", "above_s": "9223372036854775808", "neg_s": "-1", "plus_s": "+1",
        "space_s": " 1", "empty_s": "", "hex_s": "0x1"})"));
    // 1e400 is infinity for Boost.JSON, and no number of ours.
    ASSERT_TRUE(reply.has_value()) << reply.error().text;
    EXPECT_EQ(reply->number("max"), 9223372036854775807);
    EXPECT_EQ(reply->number("max_s"), 9223372036854775807);
    for (const std::string_view path :
         {"above", "huge", "above_s", "neg_s", "plus_s", "space_s", "empty_s", "hex_s"})
        EXPECT_EQ(reply->number(path), std::nullopt) << path;
}

TEST(KmsJson, what_is_no_object_of_json_is_malformed) {
    for (const std::string_view text :
         {"", " ", "{", "{}x", "{} {}", "[]", "\"a\"", "1", "null", "{'a': 1}", "{\"a\": 1,}",
          "{\"a\": \"\xff\"}", "{\"a\": \"\\ud800\"}", "{\"a\": 01}", "{\"a\": \"unfinished", "<html></html>",
          "\xef\xbb\xbf{}"})
        EXPECT_EQ(described(JsonReply::parse(reply_of(200, text))), "malformed not_json") << text;
    EXPECT_EQ(JsonReply::parse(reply_of(502, "<html>")).error().status, 502);
    // Every truncation of a good reply.
    const std::string good = R"({"a": {"b": ["c", 1, true]}, "t": "x"})";
    for (std::size_t size = 0; size < good.size(); ++size)
        EXPECT_FALSE(JsonReply::parse(reply_of(200, good.substr(0, size))).has_value()) << size;
}

TEST(KmsJson, depth_and_size_are_bounded) {
    const auto nested = [](int levels) {
        std::string text;
        for (int i = 0; i < levels; ++i) text += "{\"a\":";
        text += "1";
        return text + std::string(static_cast<std::size_t>(levels), '}');
    };
    EXPECT_TRUE(JsonReply::parse(reply_of(200, nested(16))).has_value());
    EXPECT_EQ(described(JsonReply::parse(reply_of(200, nested(17)))), "malformed not_json");

    std::string large = "{\"a\": \"";
    large += std::string(reply_bytes_max - large.size() - 2, 'x') + "\"}";
    EXPECT_EQ(JsonReply::parse(reply_of(200, large))->string("a")->size(), reply_bytes_max - 9);
    EXPECT_EQ(described(JsonReply::parse(reply_of(200, large + " "))), "malformed not_json");
    // The smallest elements there are.
    std::string many = "{\"a\": [0";
    while (many.size() + 4 < reply_bytes_max) many += ",0";
    EXPECT_TRUE(JsonReply::parse(reply_of(200, many + "]}")).has_value());
}

TEST(KmsJson, a_parsed_reply_can_be_moved) {
    auto reply = JsonReply::parse(reply_of(200, R"({"a": "text"})"));
    JsonReply moved = std::move(*reply);
    reply = JsonReply::parse(reply_of(200, R"({"a": "other"})"));
    EXPECT_EQ(moved.string("a"), "text");
    moved = std::move(*reply);
    EXPECT_EQ(moved.string("a"), "other");
}

TEST(KmsJson, quoting) {
    using std::string_view_literals::operator""sv;
    const std::string_view text = "a\"b\\c\n\x01\x1f\0/\xc3\xa4"sv;
    const std::string_view quoted = R"("a\"b\\c\u000a\u0001\u001f\u0000/)"
                                    "\xc3\xa4\"";
    EXPECT_EQ(json_quoted(text), quoted);
    EXPECT_EQ(json_quoted(""), "\"\"");
    for (const std::string_view part : {text, text.substr(1), "plain"sv, ""sv, "\\"sv}) {
        SecretBuffer out;
        append_json_quoted(out, part);
        EXPECT_EQ(text_of(out), json_quoted(part));
    }
    // And back.
    EXPECT_EQ(JsonReply::parse(reply_of(200, "{\"a\": " + json_quoted(text) + "}"))->string("a"), text);
}

TEST(KmsJson, base64_of_the_rfc) {
    // RFC 4648, section 10.
    const std::pair<std::string_view, std::string_view> vectors[] = {{"", ""},
                                                                     {"f", "Zg=="},
                                                                     {"fo", "Zm8="},
                                                                     {"foo", "Zm9v"},
                                                                     {"foob", "Zm9vYg=="},
                                                                     {"fooba", "Zm9vYmE="},
                                                                     {"foobar", "Zm9vYmFy"}};
    for (const auto& [bytes, text] : vectors) {
        EXPECT_EQ(text_of(base64_encode(bytes_of(bytes))), text);
        EXPECT_EQ(text_of(base64_decode(text).value()), bytes);
        const std::string_view bare = text.substr(0, text.find('='));
        EXPECT_EQ(text_of(base64_encode(bytes_of(bytes), Base64::url)), bare);
        EXPECT_EQ(text_of(base64_decode(bare, Base64::url).value()), bytes);
        EXPECT_EQ(text_of(base64_decode(text, Base64::url).value()), bytes);
        if (bare != text) {
            EXPECT_FALSE(base64_decode(bare).has_value());
        }
    }
    const Bytes high = from_hex("fbefbeffffff");
    EXPECT_EQ(text_of(base64_encode(high)), "++++////");
    EXPECT_EQ(text_of(base64_encode(high, Base64::url)), "----____");
}

TEST(KmsJson, base64_of_every_byte_goes_there_and_back) {
    Bytes bytes(256);
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i);
    for (std::size_t size = 0; size <= bytes.size(); ++size) {
        const auto part = std::span(bytes).first(size);
        for (const Base64 alphabet : {Base64::standard, Base64::url}) {
            const auto back = base64_decode(text_of(base64_encode(part, alphabet)), alphabet);
            ASSERT_TRUE(back.has_value());
            EXPECT_TRUE(std::ranges::equal(back->expose_secret(), part));
        }
    }
}

TEST(KmsJson, base64_is_strict) {
    using std::string_view_literals::operator""sv;
    for (const std::string_view text :
         {"Z"sv, "Zg"sv, "Zg="sv, "Zg==="sv, "Z==="sv, "===="sv, "="sv, "Zg==Zg=="sv, "Zm9v===="sv, "Zm 9"sv,
          "Zm9v\n"sv, " Zm9v"sv, "Zm9\0"sv, "Zm9-"sv, "Zm9_"sv, "Zm9\xc3"sv, "Zh=="sv, "Zm9="sv})
        EXPECT_FALSE(base64_decode(text).has_value()) << text;
    for (const std::string_view text :
         {"Z"sv, "Zg="sv, "Zm9+"sv, "Zm9/"sv, "Zh"sv, "Zm9v="sv, "Zm9v=="sv, "Zm9v===="sv})
        EXPECT_FALSE(base64_decode(text, Base64::url).has_value()) << text;
}

TEST(KmsJson, a_data_key_has_96_bytes) {
    EXPECT_EQ(data_key_of(key_pattern(7)).value(), test_key());
    for (const std::size_t size : {0u, 32u, 95u, 97u, 192u}) {
        const auto key = data_key_of(Bytes(size, 1));
        EXPECT_EQ(described(key), "malformed data_key_length") << size;
        EXPECT_EQ(key.error().text, "decrypted key is incorrect length");
    }
}

TEST(KmsJson, codes_and_texts_of_failures_are_safe) {
    EXPECT_EQ(safe_code("Access-Denied_1.x"), "Access-Denied_1.x");
    EXPECT_EQ(safe_code("a b\r\n<c>\xc3\xa4"), "abc");
    EXPECT_EQ(safe_code(std::string(65, 'a')), std::string(64, 'a'));

    EXPECT_EQ(safe_text("no: 'key' \"x\"\r\n\tat\x7f\xc3\xa4"), "no: 'key' \"x\" at???");
    EXPECT_EQ(safe_text("1 error occurred:\n\t* permission denied\n\n"),
              "1 error occurred: * permission denied");
    EXPECT_EQ(safe_text(std::string(301, '!')), std::string(300, '!'));
    const std::string arn = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    EXPECT_EQ(safe_text("key " + arn + " not found"), "key " + arn + " not found");
    EXPECT_EQ(safe_text("token " + std::string(48, 'a') + "!"), "token " + std::string(48, 'a') + "!");
    EXPECT_EQ(safe_text("token " + std::string(49, 'a') + "!"), "token ...!");
}

TEST(KmsJson, a_secret_that_a_server_quotes_is_taken_out_of_code_and_text) {
    const auto hidden = [](std::string code, std::string text, std::string_view secret) {
        Failure failure{Failure::Kind::refused, 400, std::move(code), std::move(text)};
        hide_secret(failure, SecretBuffer(bytes_of(secret)));
        return failure.code + "|" + failure.text;
    };
    const std::string secret = "s.0123456789abcdef";
    EXPECT_EQ(hidden("no_" + secret, "a " + secret + ", b " + secret + secret, secret),
              "no_...|a ..., b ......");
    EXPECT_EQ(hidden("x", "cut off in s.012345", secret), "x|cut off in ...") << "8 of it";
    EXPECT_EQ(hidden("x", "cut off in s.01234", secret), "x|cut off in s.01234");
    EXPECT_EQ(hidden("x", "S.01234 \n 56789abcdef", secret), "x|S.01234 \n ...") << "split: eight of it";
    EXPECT_EQ(hidden("x", "of 123456789ABCDE!", secret), "x|of ...!") << "without its ends, in capitals";
    EXPECT_EQ(hidden("x", "a%2Bb%2Fc%3D and a%2bb%2fc%3d and a+b/c=d.", "a+b/c=d."), "x|... and ... and ...");
    EXPECT_EQ(hidden("x", "no secret", "no"), "x|no secret") << "two letters are none";
    EXPECT_EQ(hidden("", "", secret), "|");
    EXPECT_EQ(hidden("", "", ""), "|");
}

}  // namespace
}  // namespace fieldgate::crypto::kms
