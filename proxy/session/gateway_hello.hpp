#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/analysis/analysis.hpp"
#include "proxy/wire/message.hpp"

// Presentation `gateway`: what fieldgate says of itself in the handshake, and what it asks of the server.
// Pure.
namespace fieldgate::session {

// Facts about the deployment that a local hello repeats. Written by whichever session shook hands last, read
// by all; each is a number on its own, so relaxed atomics do.
struct UpstreamFacts {
    std::atomic<std::int32_t> wire_version_max{0};  // 0: no server was reached yet
    std::atomic<std::int32_t> session_timeout_minutes{30};
};

// The newest wire version whose commands fieldgate knows (MongoDB 8.0): a newer server would bring commands
// that the tables do not have.
inline constexpr std::int32_t wire_version_cap = 25;

// A hello, isMaster or ismaster, as OP_MSG or OP_QUERY. Views into the message.
struct HelloRequest {
    std::string_view command;
    std::optional<bson::Element> client;                    // metadata
    std::optional<bson::Element> speculative_authenticate;  // but by X.509
    std::optional<bson::Element> sasl_supported_mechs;
    bool load_balanced = false;
    bool hello_ok = false;

    bool needs_server() const { return speculative_authenticate || sasl_supported_mechs; }
};
bool is_hello(std::string_view command);
// Whether this login (a command, or what a handshake says ahead of one) is by X.509. The server would see
// fieldgate's certificate instead of the client's, and let whoever asks act as fieldgate.
bool lends_certificate(bson::DocumentView login);
// Looks inside `$query` too: old drivers wrap commands for a mongos.
std::optional<HelloRequest> parse_hello(bson::DocumentView body);

// What the server answered for one client's handshake, kept until the local reply is made. Whole values,
// owned.
struct HandshakeAnswer {
    wire::Buffer speculative_authenticate;  // a document; empty: none
    wire::Buffer
        sasl_supported_mechs;  // an array without MONGODB-X509, which cannot cross a proxy; empty: none
};

// {isMaster: 1, helloOk: true, client, speculativeAuthenticate, saslSupportedMechs, $db: "admin"}. The old
// spelling, because every server since 3.6 understands it in an OP_MSG.
wire::Buffer upstream_hello_body(wire::Bytes client_metadata, const std::optional<HelloRequest>& request);

struct UpstreamHello {
    bool ok = false;
    bool primary = false;  // or a mongos, or a standalone
    std::int32_t wire_version_max = 0;
    std::int32_t session_timeout_minutes = 30;
    HandshakeAnswer answer;
    std::string error;  // the server's code name or "unreadable", for the log
};
UpstreamHello parse_upstream_hello(bson::DocumentView reply);

struct LocalHello {
    bool legacy_names = true;  // ismaster for isMaster, isWritablePrimary for hello
    bool hello_ok = false;
    std::uint64_t connection_id = 0;
    std::int64_t now_unix_ms = 0;
    std::uint32_t message_bytes_max = 48000000;
};
// As a mongos would say it: no hosts, no set name, no topologyVersion, so that a driver keeps talking to
// fieldgate and learns no address behind it.
wire::Buffer local_hello(const LocalHello& options, const UpstreamFacts& facts,
                         const HandshakeAnswer& answer);

}  // namespace fieldgate::session
