#pragma once

#include <string>
#include <vector>

#include "proxy/bson/builder.hpp"
#include "proxy/wire/message.hpp"

namespace fieldgate::cluster::testing {

// What a hostile server could answer, made from the sound answer to the same request.
struct MalformedReply {
    std::string name;
    wire::Buffer (*of)(const wire::Header& request, const wire::Buffer& sound);
    bool cut = true;  // false: its length is wrong, so that no whole message can be cut from the stream
};

const std::vector<MalformedReply>& malformed_replies();

// {a: {a: ... }} with so many levels inside the outermost document, and {ok: 1}.
bson::Buffer nested_document(std::uint32_t levels);

}  // namespace fieldgate::cluster::testing
