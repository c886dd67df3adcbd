#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "config/config.hpp"
#include "proxy/wire/message.hpp"

namespace fieldgate::session {

// One connection of a driver that encrypts by itself and takes fieldgate for mongocryptd
// (`serves: query-analysis`). Sans-I/O: the bytes of one request in, the bytes of its answer out; it needs no
// upstream, no keys and no role, and no request depends on an earlier one.
//
// Answered: the handshake, ping, buildInfo, the end of sessions, and the commands that drivers have analysed,
// with `result` as the command with markings in the place of protected values. Everything else is refused,
// because whoever sends it takes this for a database.
class QueryAnalyser {
 public:
    QueryAnalyser(std::shared_ptr<const config::Config> config, std::uint64_t connection_id);
    ~QueryAnalyser();
    QueryAnalyser(const QueryAnalyser&) = delete;
    QueryAnalyser& operator=(const QueryAnalyser&) = delete;

    struct Outcome {
        enum class Kind : std::uint8_t {
            again,     // a slice is done: let others run, then ask again with the same frame
            answered,  // `answer`; empty where the request asked for none
            close,     // the bytes are no message: send `answer`, if there is one, and end the connection
        } kind = Kind::answered;
        wire::Buffer answer;
        std::string refusal;  // why not, for logs; empty: it was not refused
    };
    Outcome on_request(wire::Bytes frame, std::int64_t now_unix_ms);

    // Of the last request; as in the table of commands, "handshake" or "unknown". Lives forever.
    std::string_view last_command() const;

 private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace fieldgate::session
