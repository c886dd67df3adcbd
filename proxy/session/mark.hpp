#pragma once

#include <memory>

#include "proxy/analysis/analysis.hpp"
#include "proxy/session/seal.hpp"
#include "proxy/wire/message.hpp"

namespace fieldgate::session {

// The marking sink: writes, instead of ciphertext, the intent-to-encrypt markings that mongocryptd writes,
// for a driver that encrypts by itself. Needs no keys. A marking is a binary of subtype 6: a zero byte, then
// the document {a: 1 | 2, ki: UUID | ka: name, v: value} (client-side encryption specification,
// "intent-to-encrypt"). Ciphertext that stands in the command already stays as it is.
//
// Resumable like the Sealer. `message` may lie inside another document of `frame`: the offsets of the plan
// are those in `frame`, whose document lengths are corrected from the outermost in. The bytes and the plan
// must outlive it.
class Marker {
 public:
    // `envelope` is the message of the whole frame. `left_out` is the offset of one more element, behind
    // every edit, that the result does not have.
    Marker(const wire::OpMsg& envelope, wire::Bytes frame, const analysis::Plan& plan, std::size_t left_out,
           std::size_t message_bytes_max);
    ~Marker();

    Work step(const SliceBudget& budget);  // more, done or refused
    wire::Buffer take();                   // after done
    const analysis::Refusal& refusal() const;

 private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace fieldgate::session
