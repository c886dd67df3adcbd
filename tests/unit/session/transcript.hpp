#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/random.hpp"
#include "proxy/session/session.hpp"

// Plays a client and a server against one Session, without sockets:
//
//     Transcript t(clinic(), doctor);
//     t.request(R"({"find": "patients", ...})").forwards();     // what the server got, as JSON
//     t.reply(R"({"cursor": ..., "ok": 1})").answers();         // what the client got
//
// Namespaces are resolved from `views` (everything else is a plain collection), keys are made up on demand
// and can be withheld, the upstream handshake succeeds unless told otherwise. Every need is counted, so a
// test can say what a message cost.
namespace fieldgate::session::testing {

inline constexpr std::size_t doctor = 0;
inline constexpr std::size_t receptionist = 1;

// medicalRecords.patients of the README: ssn and insurance.policyNumber deterministic ints, bloodType,
// medicalRecords, dateOfBirth and email random. Listener 0 is the doctors', 1 the receptionists'.
std::shared_ptr<config::Config> clinic();

class MapCatalog : public analysis::Catalog {
 public:
    const analysis::NamespaceFacts* find(std::string_view database,
                                         std::string_view collection) const override;
    std::map<std::string, analysis::NamespaceFacts, std::less<>> facts;  // "db.coll"
};

// What two sessions of one process share; made once per test where cursors cross connections.
struct Process {
    std::shared_ptr<config::Config> config;
    MapCatalog catalog;
    crypto::SystemRandom random;
    keys::KeyRing ring{random};
    CursorTable cursors;
    UpstreamFacts facts;
    std::optional<keys::KeyError> key_error;  // every key fails with it
    explicit Process(std::shared_ptr<config::Config> c) : config(std::move(c)) {}
};

class Transcript {
 public:
    Transcript(Process& process, std::size_t listener);

    // What became of the last step.
    struct Result {
        RequestAction action = RequestAction::close;
        wire::Buffer bytes;  // what was forwarded
        std::string reason;
    };

    // A command as OP_MSG; `flags` as on the wire. Runs through every need.
    Result request(std::string_view json, std::uint32_t flags = 0);
    Result request_bytes(wire::Buffer frame);
    // A reply to the oldest request upstream.
    ReplyOutcome reply(std::string_view json, std::uint32_t flags = 0);
    ReplyOutcome reply_document(wire::Bytes document, std::uint32_t flags = 0);

    // Everything the client has received since the last call, oldest first, as documents.
    std::vector<wire::Buffer> received();
    // The one document received; fails the test if there is not exactly one.
    wire::Buffer received_one();
    // The body of a forwarded message.
    static wire::Buffer body_of(wire::Bytes frame);
    static wire::Buffer json(std::string_view text);

    Session& session() { return *session_; }
    Process& process() { return process_; }

    std::string upstream_hello_reply = R"({"ismaster": true, "maxWireVersion": 21, "ok": 1})";
    std::string upstream_down;  // not empty: no upstream, for this reason
    std::size_t handshakes = 0, key_fetches = 0, namespace_lookups = 0, slices = 0;
    wire::Buffer last_upstream_hello;

 private:
    void put_keys(const keys::KeyRequest& request);
    void flush();
    Process& process_;
    std::unique_ptr<Session> session_;
    std::int32_t next_request_id_ = 100;
    std::int32_t next_server_id_ = 5000;
    std::vector<std::int32_t> upstream_;  // request ids the server owes replies for
    std::vector<wire::Buffer> received_;
    std::vector<wire::Buffer> kept_;  // frames stay alive
    keys::Clock::time_point now_ = keys::Clock::now();
};

// code of an error document; 0 if it is none.
std::int32_t code_of(wire::Bytes document);
std::string errmsg_of(wire::Bytes document);

}  // namespace fieldgate::session::testing
