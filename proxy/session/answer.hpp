#pragma once

#include <cstdint>
#include <string_view>

#include "proxy/analysis/analysis.hpp"
#include "proxy/wire/message.hpp"

namespace fieldgate::session {

// {ok: 0, errmsg, code, codeName}: what a refused client sees. No retry label: the refusal would come again.
wire::Buffer error_document(const analysis::Refusal& refusal);
// The same for a request of which nothing has left fieldgate, because no server could be reached. A retryable
// write carries the label that makes its driver try once more.
wire::Buffer unavailable_document(std::string_view reason, bool retryable_write);

// The document as a whole reply to `request`, in the opcode its client can read; empty where there is none.
// `request_frame` is looked at only for OP_COMPRESSED: what it wraps decides.
wire::Buffer error_reply(const wire::Header& request, std::int32_t request_id, wire::Bytes document,
                         wire::Bytes request_frame = {});

}  // namespace fieldgate::session
