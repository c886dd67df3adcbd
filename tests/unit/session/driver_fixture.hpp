#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proxy/bson/builder.hpp"
#include "proxy/session/query_analyser.hpp"
#include "transcript.hpp"

// A driver that takes fieldgate for mongocryptd, played without sockets; the schema of its patients.
namespace fieldgate::session::testing {

using bson::Builder;
using bson::DocumentView;
using bson::Type;
using Kind = QueryAnalyser::Outcome::Kind;
using wire::Buffer;
using wire::Bytes;

// ssn deterministic under the key 0x11..., insurance.policyNumber likewise, email and note random, note of
// any type, passport by an alternative name.
inline constexpr std::string_view patients_schema = R"({
    "bsonType": "object",
    "encryptMetadata": {"keyId": [{"$binary": {"base64": "EREREREREREREREREREREQ==", "subType": "04"}}]},
    "properties": {
        "ssn": {"encrypt": {"bsonType": "int", "algorithm": "AEAD_AES_256_CBC_HMAC_SHA_512-Deterministic"}},
        "insurance": {"bsonType": "object", "properties": {"policyNumber":
            {"encrypt": {"bsonType": "int", "algorithm": "AEAD_AES_256_CBC_HMAC_SHA_512-Deterministic"}}}},
        "email": {"encrypt": {"bsonType": "string", "algorithm": "AEAD_AES_256_CBC_HMAC_SHA_512-Random"}},
        "note": {"encrypt": {"algorithm": "AEAD_AES_256_CBC_HMAC_SHA_512-Random"}},
        "passport": {"encrypt": {"bsonType": "string", "keyAltName": "key-of-{database}",
            "algorithm": "AEAD_AES_256_CBC_HMAC_SHA_512-Deterministic"}}
    }})";
inline constexpr std::string_view with_schema =
    R"(, "jsonSchema": SCHEMA, "isRemoteSchema": false, "$db": "clinic"})";

inline Buffer json(std::string_view text) {
    auto document = bson::from_json(text);
    EXPECT_TRUE(document) << text;
    return document ? *document : Buffer{};
}

inline std::string replaced(std::string_view text, std::string_view what, std::string_view with) {
    std::string out(text);
    for (std::size_t at = 0; (at = out.find(what, at)) != std::string::npos; at += with.size())
        out.replace(at, what.size(), with);
    return out;
}

// `{"find": "patients", ...` (no closing brace) on clinic, with the schema as the application's own.
inline std::string on_patients(std::string_view command) {
    return replaced(std::string(command) + std::string(with_schema), "SCHEMA", patients_schema);
}

inline std::string hex(Bytes bytes) {
    std::string out;
    for (const std::uint8_t byte : bytes) {
        constexpr std::string_view digits = "0123456789abcdef";
        out += digits[byte >> 4];
        out += digits[byte & 15];
    }
    return out;
}

// The element at a dotted path, arrays by position.
inline std::optional<bson::Element> at(Bytes document, std::string_view path) {
    DocumentView view = DocumentView::unchecked(document);
    for (;;) {
        const std::size_t dot = path.find('.');
        const auto element = view.find(path.substr(0, dot));
        if (!element || dot == std::string_view::npos) return element;
        if (!element->is_document() && !element->is_array()) return std::nullopt;
        view = element->document();
        path = path.substr(dot + 1);
    }
}

// A marking's document; empty if there is none at the path.
inline Buffer marking_at(Bytes document, std::string_view path) {
    const auto element = at(document, path);
    if (!element || element->type() != Type::binary || element->binary().subtype != 6) return {};
    const Bytes data = element->binary().data;
    if (data.empty() || data[0] != 0) return {};
    return {data.begin() + 1, data.end()};
}

inline std::string marked_as_json(Bytes document, std::string_view path) {
    const Buffer marking = marking_at(document, path);
    return marking.empty() ? "no marking" : bson::to_json(marking);
}

// The document with every marking replaced by its value again.
inline Buffer unmarked(DocumentView document, std::size_t* count = nullptr) {
    Buffer out;
    Builder builder(out);
    for (const bson::Element& element : document) {
        if (element.is_document() || element.is_array()) {
            const Buffer inner = unmarked(element.document(), count);
            builder.append_value(element.key(), element.type(), inner);
            continue;
        }
        const bool is_marking =
            element.type() == Type::binary && element.binary().subtype == 6 && element.binary().data[0] == 0;
        if (is_marking) {
            if (count != nullptr) ++*count;
            const auto marking = DocumentView::check(element.binary().data.subspan(1), {});
            const bson::Element value = *marking->find("v");
            builder.append_value(element.key(), value.type(), value.value());
        } else {
            builder.append_element(element);
        }
    }
    builder.finish();
    return out;
}

inline const std::string key_text =
    R"({ "$binary" : { "base64" : "EREREREREREREREREREREQ==", "subType" : "04" } })";

inline std::string marking(int algorithm, std::string_view value) {
    return R"({ "a" : )" + std::to_string(algorithm) + R"(, "ki" : )" + key_text + R"(, "v" : )" +
           std::string(value) + " }";
}

class QueryAnalyserTest : public ::testing::Test {
 public:
    QueryAnalyser::Outcome send(Buffer frame) {
        frame_ = std::move(frame);
        for (;;) {
            auto outcome = analyser.on_request(frame_, 1700000000000);
            if (outcome.kind != Kind::again) return outcome;
            ++slices;
        }
    }
    // The document answered.
    Buffer ask(Buffer frame) {
        const auto outcome = send(std::move(frame));
        EXPECT_EQ(outcome.kind, Kind::answered) << outcome.refusal;
        const auto header = wire::Header::parse(outcome.answer);
        EXPECT_EQ(header.response_to, 77);
        const auto message = wire::OpMsg::parse(outcome.answer);
        if (!message) {
            ADD_FAILURE() << message.error().message();
            return {};
        }
        // Deep: lengths of every document around a marking.
        EXPECT_TRUE(DocumentView::check(message->body.bytes(), {200}));
        const Bytes bytes = message->body.bytes();
        return {bytes.begin(), bytes.end()};
    }
    Buffer ask(std::string_view command) { return ask(wire::make_op_msg(77, 0, json(command))); }
    // Expects that exactly these paths of `command` are marked, in this form; the rest comes back as it was.
    void expect_marked(std::string_view command,
                       const std::vector<std::pair<std::string, std::string>>& markings) {
        SCOPED_TRACE(command);
        const Buffer reply = ask(on_patients(command));
        ASSERT_EQ(code_of(reply), 0) << errmsg_of(reply);
        EXPECT_EQ(at(reply, "hasEncryptionPlaceholders")->boolean(), !markings.empty());
        EXPECT_TRUE(at(reply, "schemaRequiresEncryption")->boolean());
        EXPECT_TRUE(at(reply, "ok")->truthy());
        const Bytes result = at(reply, "result")->value();
        for (const auto& [path, expected] : markings) EXPECT_EQ(marked_as_json(result, path), expected);
        std::size_t count = 0;
        const Buffer without = unmarked(DocumentView::unchecked(result), &count);
        EXPECT_EQ(bson::to_json(without), bson::to_json(json(std::string(command) + "}")));
        EXPECT_EQ(count, markings.size());
    }
    // The command with its markings.
    Buffer result(std::string_view command) {
        const Buffer reply = ask(command);
        EXPECT_EQ(code_of(reply), 0) << errmsg_of(reply);
        const auto found = at(reply, "result");
        return found ? Buffer(found->value().begin(), found->value().end()) : json("{}");
    }
    void expect_refused(std::string_view command, std::int32_t code, std::string_view words) {
        const Buffer reply = ask(command);
        EXPECT_EQ(code_of(reply), code) << command << errmsg_of(reply);
        EXPECT_NE(errmsg_of(reply).find(words), std::string::npos) << errmsg_of(reply);
        EXPECT_FALSE(at(reply, "ok")->truthy());
        EXPECT_FALSE(at(reply, "result"));
    }

    std::shared_ptr<config::Config> config = std::make_shared<config::Config>();
    QueryAnalyser analyser{config, 7};
    std::size_t slices = 0;

 private:
    Buffer frame_;
};

// The request as an OP_MSG with sequences, as drivers write it.
inline Buffer with_sequences(std::string_view body_json,
                             std::initializer_list<std::pair<std::string, std::vector<Buffer>>> sequences) {
    const Buffer body = json(body_json);
    Buffer out;
    wire::append_header(out, 77, 0, wire::Opcode::msg);
    out.resize(out.size() + 5);
    out.insert(out.end(), body.begin(), body.end());
    for (const auto& [id, documents] : sequences) {
        out.push_back(1);
        const std::size_t start = out.size();
        out.resize(start + 4);
        out.insert(out.end(), id.begin(), id.end());
        out.push_back(0);
        for (const Buffer& document : documents) out.insert(out.end(), document.begin(), document.end());
        const auto bytes = static_cast<std::uint32_t>(out.size() - start);
        for (std::size_t i = 0; i < 4; ++i) out[start + i] = static_cast<std::uint8_t>(bytes >> 8 * i);
    }
    wire::finish_message(out);
    return out;
}

}  // namespace fieldgate::session::testing
