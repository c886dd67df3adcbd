#include "proxy/net/standing.hpp"

#include <algorithm>
#include <array>

namespace fieldgate::net {
namespace {

// Every server with access control wants a login for these (hello, ping, buildInfo and many more it answers
// to anybody). What is not listed proves nothing, which costs a client at most the larger share of memory.
constexpr std::array<std::string_view, 14> proving_commands{
    "aggregate",     "authenticate", "count",  "createIndexes", "delete",        "distinct",        "find",
    "findAndModify", "getMore",      "insert", "listIndexes",   "listDatabases", "listCollections", "update"};

// {cursor: {...}, ...}: what begins like this is no error, however much of it is still to come.
bool begins_with_cursor(wire::Bytes first) {
    constexpr std::array<std::uint8_t, 8> element{0x03, 'c', 'u', 'r', 's', 'o', 'r', 0};
    constexpr std::size_t body_offset = wire::header_bytes + 4;
    constexpr std::size_t element_offset = body_offset + 1 + 4;
    return first.size() >= element_offset + element.size() && first[body_offset] == 0 &&
           std::ranges::equal(first.subspan(element_offset, element.size()), element);
}

}  // namespace

void Standing::request_sent(std::string_view command, std::int32_t request_id, bool alone) {
    if (proven_ || !alone) return;
    is_sasl_ = command == "saslStart" || command == "saslContinue";
    watching_ = is_sasl_ || std::ranges::find(proving_commands, command) != proving_commands.end();
    request_id_ = request_id;
}

void Standing::reply_seen(wire::Bytes first) {
    if (!watching_ || first.size() < wire::header_bytes) return;
    watching_ = false;
    const wire::Header header = wire::Header::parse(first);
    if (header.response_to != request_id_ || header.opcode != wire::Opcode::msg) return;
    if (static_cast<std::size_t>(header.message_bytes) > first.size()) {
        proven_ = !is_sasl_ && begins_with_cursor(first);
        return;
    }
    const auto message = wire::OpMsg::parse(first);
    if (!message) return;
    const auto ok = message->body.find("ok");
    if (!ok || !ok->truthy()) return;
    // The steps before the last of a login succeed for anybody.
    const auto done = message->body.find("done");
    proven_ = !is_sasl_ || (done && done->truthy());
}

}  // namespace fieldgate::net
