#include "proxy/cluster/reply_check.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <string_view>

#include "proxy/bson/view.hpp"
#include "proxy/wire/error.hpp"

namespace fieldgate::cluster {
namespace {

using boost::system::error_code;

bool is_host_name(std::string_view host) {
    constexpr std::size_t host_bytes_max = 253;  // RFC 1035, without the last dot
    if (host.starts_with('[') && host.ends_with(']')) {
        host = host.substr(1, host.size() - 2);
        return host.size() >= 2 && host.size() <= host_bytes_max &&
               host.find_first_not_of("0123456789abcdefABCDEF:.") == std::string_view::npos;
    }
    return !host.empty() && host.size() <= host_bytes_max && std::ranges::all_of(host, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
               c == '-' || c == '_';
    });
}

// "host:port", as members of a replica set are written.
bool is_member(const bson::Element& element) {
    if (!element.is_string()) return false;
    const std::string_view text = element.string();
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos || !is_host_name(text.substr(0, colon))) return false;
    const std::string_view digits = text.substr(colon + 1);
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    return error == std::errc() && end == digits.data() + digits.size() && port != 0;
}

bool holds_strings(const bson::Element& element) {
    return element.is_array() && std::ranges::all_of(element.document(), [](const bson::Element& inner) {
               return inner.is_string();
           });
}

bool is_cursor(const bson::Element& element) {
    if (!element.is_document()) return false;
    for (const bson::Element& field : element.document()) {
        bool sound = true;
        if (field.key() == "ns") {
            sound = field.is_string();
        } else if (field.key() == "id") {
            sound = field.whole_number().has_value();
        } else if (field.key() == "firstBatch" || field.key() == "nextBatch") {
            sound = field.is_array() && std::ranges::all_of(field.document(), [](const bson::Element& inner) {
                        return inner.is_document();
                    });
        }
        if (!sound) return false;
    }
    return true;
}

bool is_code(const bson::Element& element) {
    const auto value = element.whole_number();
    return value && *value > 0 && *value <= std::numeric_limits<std::int32_t>::max();
}

// {code, errmsg, errorLabels, ...}
bool is_error(const bson::Element& element) {
    return element.is_document() && std::ranges::all_of(element.document(), [](const bson::Element& field) {
               if (field.key() == "code") return is_code(field);
               if (field.key() == "errmsg") return field.is_string();
               return field.key() != "errorLabels" || holds_strings(field);
           });
}

// libmongoc takes these for what they should be: it fails an assertion over a member that is none or labels
// in no array, and compares names of compressors that are no strings (none was offered, so none is chosen).
// Members are counted because it makes two threads for each.
bool fields_are_sound(bson::DocumentView reply) {
    std::size_t member_count = 0;
    for (const bson::Element& field : reply) {
        const std::string_view key = field.key();
        bool sound = true;
        if (key == "me" || key == "primary") {
            sound = is_member(field);
        } else if (key == "hosts" || key == "passives" || key == "arbiters") {
            sound = field.is_array();
            if (!sound) return false;
            for (const bson::Element& member : field.document())
                sound = sound && ++member_count <= replica_set_members_max && is_member(member);
        } else if (key == "compression") {
            sound = field.is_array() && field.document().empty();
        } else if (key == "errorLabels" || key == "saslSupportedMechs") {
            sound = holds_strings(field);
        } else if (key == "cursor") {
            sound = is_cursor(field);
        } else if (key == "writeErrors") {
            sound = field.is_array() && std::ranges::all_of(field.document(), is_error);
        } else if (key == "writeConcernError") {
            sound = is_error(field);
        } else if (key == "code") {
            sound = is_code(field);
        } else if (key == "speculativeAuthenticate" || key == "topologyVersion" || key == "tags" ||
                   key == "lastWrite" || key == "$clusterTime" || key == "cursor" ||
                   key == "writeConcernError") {
            sound = field.is_document();
        } else if (key == "setName" || key == "msg" || key == "errmsg") {
            sound = field.is_string();
        }
        if (!sound) return false;
    }
    return true;
}

error_code check_document(wire::Bytes document) {
    const auto view = bson::DocumentView::check(document, {.nesting_levels_max = reply_nesting_levels_max});
    if (!view) return view.error();
    return fields_are_sound(*view) ? error_code() : make_error_code(boost::system::errc::bad_message);
}

error_code check_op_msg(wire::Bytes frame) {
    const auto message = wire::OpMsg::parse(frame);
    if (!message) return message.error();
    // A server sends a checksum only to whoever sent one, and no sequences at all.
    if ((message->flags & wire::flag_checksum_present) != 0) return wire::Errc::unknown_flags;
    if (!message->sequences().empty()) return wire::Errc::too_many_sequences;
    return check_document(message->body.bytes());
}

error_code check_op_reply(wire::Bytes frame) {
    const auto reply = wire::OpReply::parse(frame);
    if (!reply) return reply.error();
    if (reply->documents.empty()) return wire::Errc::document_count_wrong;
    // A second document makes the first shorter than the whole, which the check says.
    return check_document(reply->documents);
}

}  // namespace

error_code check_reply(wire::Bytes frame, wire::Opcode request) {
    switch (request) {
        case wire::Opcode::msg:
            return check_op_msg(frame);
        case wire::Opcode::query:
            return check_op_reply(frame);
        default:
            return wire::Errc::wrong_opcode;
    }
}

}  // namespace fieldgate::cluster
