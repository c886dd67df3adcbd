#include "proxy/keys/kms_forwarder.hpp"

#include <utility>

namespace fieldgate::keys {

void KmsForwarder::send(const std::string& provider, crypto::kms::Request request,
                        std::chrono::milliseconds timeout, Done done) {
    transport_.send(provider, std::move(request), timeout,
                    [weak = worker, done = std::move(done)](crypto::kms::Result<crypto::kms::Reply> reply) {
                        const auto live = weak.lock();
                        if (!live) return;
                        // Tasks are copyable, replies are not.
                        auto kept =
                            std::make_shared<crypto::kms::Result<crypto::kms::Reply>>(std::move(reply));
                        live->post([done, kept = std::move(kept)] { done(std::move(*kept)); });
                    });
}

void KmsForwarder::after(std::chrono::milliseconds delay, std::function<void()> task) {
    transport_.after(delay, [weak = worker, task = std::move(task)]() mutable {
        if (const auto live = weak.lock()) live->post(std::move(task));
    });
}

}  // namespace fieldgate::keys
