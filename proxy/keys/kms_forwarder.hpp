#pragma once

#include <memory>

#include "proxy/keys/kms_transport.hpp"
#include "proxy/keys/worker.hpp"

namespace fieldgate::keys {

// Brings a transport's callbacks to the thread of a worker, where Kms wants them. What comes after the worker
// stopped is dropped.
class KmsForwarder final : public KmsTransport {
 public:
    explicit KmsForwarder(KmsTransport& transport) : transport_(transport) {}
    void send(const std::string& provider, crypto::kms::Request request, std::chrono::milliseconds timeout,
              Done done) override;
    void after(std::chrono::milliseconds delay, std::function<void()> task) override;

    std::weak_ptr<Worker> worker;  // set before the first call

 private:
    KmsTransport& transport_;
};

}  // namespace fieldgate::keys
