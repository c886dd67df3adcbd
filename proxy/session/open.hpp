#pragma once

#include <memory>
#include <vector>

#include "config/config.hpp"
#include "proxy/analysis/analysis.hpp"
#include "proxy/keys/key_ring.hpp"
#include "proxy/session/seal.hpp"
#include "proxy/wire/message.hpp"

namespace fieldgate::session {

// Rewrites one reply of a protected namespace for one role: opens, masks or withholds every protected field
// by the reply shape, and rebuilds errors. Resumable like Sealer; the reply's bytes, config and role must
// outlive it.
//
// A server is an adversary: a ciphertext is opened only where the shape says protected and its kind, key,
// algorithm and type fit that field; what fails authentication there is an error of the whole reply; at plain
// paths blobs stay as stored. Anything that does not parse is refused.
class Opener {
 public:
    Opener(const wire::OpMsg& reply, wire::Bytes frame, const analysis::ReplyShape& shape,
           const config::Role& role, const config::Config& config, std::size_t message_bytes_max);
    ~Opener();

    Work step(keys::KeyRing& ring, keys::Clock::time_point now, const SliceBudget& budget);
    wire::Buffer take();
    const keys::KeyRequest& needed() const { return needed_; }
    const analysis::Refusal& refusal() const { return refusal_; }
    // Of a cursor reply: its id (0: exhausted), known after the first step.
    std::int64_t cursor_id() const { return cursor_id_; }

 private:
    struct State;
    std::unique_ptr<State> state_;
    keys::KeyRequest needed_;
    analysis::Refusal refusal_;
    std::int64_t cursor_id_ = 0;
};

}  // namespace fieldgate::session
