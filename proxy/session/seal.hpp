#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "proxy/analysis/analysis.hpp"
#include "proxy/keys/key_ring.hpp"
#include "proxy/wire/message.hpp"

namespace fieldgate::session {

enum class Work : std::uint8_t {
    more,  // a slice is done, call again
    done,
    refused,    // refusal() says why; nothing may be sent
    need_keys,  // needed() says which; call again when the ring has an answer for each
};

// What a slice of sealing or opening may do before it gives the thread back: about a millisecond's worth.
struct SliceBudget {
    std::size_t values = 600;
    std::size_t bytes = 1u << 20;
};

// The sealing sink: applies a plan's edits to a message. Resumable: keeps its place between slices and while
// keys are fetched. The message's bytes, the plan and the ring must outlive it.
class Sealer {
 public:
    Sealer(const wire::OpMsg& message, wire::Bytes frame, const analysis::Plan& plan,
           const config::Config& config, std::size_t message_bytes_max);
    ~Sealer();

    Work step(keys::KeyRing& ring, keys::Clock::time_point now, const SliceBudget& budget);
    // The whole new message, after done. Same request id, flags and section order.
    wire::Buffer take();
    const keys::KeyRequest& needed() const { return needed_; }
    const analysis::Refusal& refusal() const { return refusal_; }

 private:
    struct State;
    std::unique_ptr<State> state_;
    keys::KeyRequest needed_;
    analysis::Refusal refusal_;
};

}  // namespace fieldgate::session
