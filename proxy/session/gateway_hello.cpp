#include "proxy/session/gateway_hello.hpp"

#include <algorithm>

#include "proxy/bson/builder.hpp"

namespace fieldgate::session {

namespace {

// The drivers' handshake specification bounds client metadata at 512 bytes; what is longer is not passed on.
constexpr std::size_t client_metadata_bytes_max = 512;
constexpr std::string_view x509_mechanism = "MONGODB-X509";
constexpr std::int32_t document_bytes_max = 16777216;
constexpr std::int32_t write_batch_max = 100000;

wire::Buffer copy_of(wire::Bytes bytes) {
    return {bytes.begin(), bytes.end()};
}

wire::Buffer without_x509(bson::DocumentView mechanisms) {
    wire::Buffer out;
    bson::Builder array(out);
    std::size_t index = 0;
    for (const bson::Element& element : mechanisms) {
        if (!element.is_string() || element.string() == x509_mechanism) continue;
        array.append_string(std::to_string(index++), element.string());
    }
    array.finish();
    return out;
}

}  // namespace

bool is_hello(std::string_view command) {
    return command == "hello" || command == "isMaster" || command == "ismaster";
}

bool lends_certificate(bson::DocumentView login) {
    if (login.empty()) return false;
    const std::string_view command = (*login.begin()).key();
    if (command != "authenticate" && command != "saslStart") return false;
    return std::any_of(login.begin(), login.end(), [](const bson::Element& element) {
        return element.key() == "mechanism" && element.is_string() && element.string() == x509_mechanism;
    });
}

std::optional<HelloRequest> parse_hello(bson::DocumentView body) {
    if (body.empty()) return std::nullopt;
    bson::Element first = *body.begin();
    if ((first.key() == "$query" || first.key() == "query") && first.is_document()) {
        const auto inner = bson::DocumentView::check_top_level(first.value());
        if (!inner || inner->empty()) return std::nullopt;
        body = *inner;
        first = *body.begin();
    }
    if (!is_hello(first.key())) return std::nullopt;

    HelloRequest request;
    request.command = first.key();
    for (const bson::Element& element : body) {
        if (element.key() == "client" && element.is_document()) request.client = element;
        if (element.key() == "speculativeAuthenticate" && element.is_document()) {
            // Left out, the driver logs in by a command of its own, which is refused with the reason.
            const auto login = bson::DocumentView::check_top_level(element.value());
            if (login && !lends_certificate(*login)) request.speculative_authenticate = element;
        }
        if (element.key() == "saslSupportedMechs") request.sasl_supported_mechs = element;
        if (element.key() == "loadBalanced") request.load_balanced = element.truthy();
        if (element.key() == "helloOk") request.hello_ok = element.truthy();
    }
    return request;
}

wire::Buffer upstream_hello_body(wire::Bytes client_metadata, const std::optional<HelloRequest>& request) {
    wire::Buffer out;
    bson::Builder doc(out);
    doc.append_int32("isMaster", 1).append_bool("helloOk", true);
    if (!client_metadata.empty() && client_metadata.size() <= client_metadata_bytes_max)
        doc.append_document("client", client_metadata);
    if (request && request->speculative_authenticate) doc.append_element(*request->speculative_authenticate);
    if (request && request->sasl_supported_mechs) doc.append_element(*request->sasl_supported_mechs);
    doc.append_string("$db", "admin").finish();
    return out;
}

UpstreamHello parse_upstream_hello(bson::DocumentView reply) {
    UpstreamHello hello;
    for (const bson::Element& element : reply) {
        const std::string_view key = element.key();
        if (key == "ok") hello.ok = element.truthy();
        if (key == "ismaster" || key == "isWritablePrimary")
            hello.primary = hello.primary || element.truthy();
        if (key == "maxWireVersion")
            hello.wire_version_max = static_cast<std::int32_t>(
                std::clamp<std::int64_t>(element.whole_number().value_or(0), 0, 1000));
        if (key == "logicalSessionTimeoutMinutes")
            hello.session_timeout_minutes = static_cast<std::int32_t>(
                std::clamp<std::int64_t>(element.whole_number().value_or(30), 1, 1440));
        if (key == "speculativeAuthenticate" && element.is_document())
            hello.answer.speculative_authenticate = copy_of(element.value());
        if (key == "saslSupportedMechs" && element.is_array()) {
            const auto mechanisms = bson::DocumentView::check_top_level(element.value());
            if (mechanisms) hello.answer.sasl_supported_mechs = without_x509(*mechanisms);
        }
        if (key == "codeName" && element.is_string()) hello.error = element.string();
    }
    if (!hello.ok && hello.error.empty()) hello.error = "no codeName";
    return hello;
}

wire::Buffer local_hello(const LocalHello& options, const UpstreamFacts& facts,
                         const HandshakeAnswer& answer) {
    wire::Buffer out;
    bson::Builder doc(out);
    if (options.hello_ok) doc.append_bool("helloOk", true);
    doc.append_bool(options.legacy_names ? "ismaster" : "isWritablePrimary", true)
        .append_string("msg", "isdbgrid")
        .append_int32("maxBsonObjectSize", document_bytes_max)
        .append_int32("maxMessageSizeBytes", static_cast<std::int32_t>(options.message_bytes_max))
        .append_int32("maxWriteBatchSize", write_batch_max)
        .append_date("localTime", options.now_unix_ms)
        .append_int32("logicalSessionTimeoutMinutes",
                      facts.session_timeout_minutes.load(std::memory_order_relaxed))
        .append_int32("connectionId", static_cast<std::int32_t>(options.connection_id & 0x7FFFFFFF))
        .append_int32("minWireVersion", 0)
        .append_int32("maxWireVersion",
                      std::min(wire_version_cap, facts.wire_version_max.load(std::memory_order_relaxed)));
    if (!answer.sasl_supported_mechs.empty())
        doc.append_array("saslSupportedMechs", answer.sasl_supported_mechs);
    if (!answer.speculative_authenticate.empty())
        doc.append_document("speculativeAuthenticate", answer.speculative_authenticate);
    doc.append_double("ok", 1.0).finish();
    return out;
}

}  // namespace fieldgate::session
