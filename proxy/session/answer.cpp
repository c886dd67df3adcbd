#include "proxy/session/answer.hpp"

#include "proxy/bson/builder.hpp"
#include "proxy/wire/message.hpp"

namespace fieldgate::session {

namespace {

constexpr std::int32_t host_unreachable = 6;

}  // namespace

wire::Buffer error_document(const analysis::Refusal& refusal) {
    wire::Buffer out;
    bson::Builder doc(out);
    doc.append_double("ok", 0.0)
        .append_string("errmsg", refusal.errmsg)
        .append_int32("code", refusal.code)
        .append_string("codeName", refusal.code_name)
        .finish();
    return out;
}

wire::Buffer unavailable_document(std::string_view reason, bool retryable_write) {
    wire::Buffer out;
    bson::Builder doc(out);
    doc.append_double("ok", 0.0)
        .append_string("errmsg", reason)
        .append_int32("code", host_unreachable)
        .append_string("codeName", "HostUnreachable");
    if (retryable_write) doc.open_array("errorLabels").append_string("0", "RetryableWriteError").close();
    doc.finish();
    return out;
}

wire::Buffer error_reply(const wire::Header& request, std::int32_t request_id, wire::Bytes document,
                         wire::Bytes request_frame) {
    return wire::make_refusal(request, document, request_id, request_frame).value_or(wire::Buffer{});
}

}  // namespace fieldgate::session
