#include "proxy/keys/broker_thread.hpp"

#include <utility>

namespace fieldgate::keys {

BrokerThread::BrokerThread(KeyVault& vault, KmsTransport& transport, Kms::Providers providers,
                           BrokerOptions options, KmsOptions kms_options)
    : forwarder_(vault),
      kms_forwarder_(transport),
      kms_(kms_forwarder_, std::move(providers), std::move(kms_options)),
      broker_(forwarder_, kms_, std::move(options)),
      worker_(std::make_shared<Worker>("key-broker", std::chrono::milliseconds(250),
                                       [this] { broker_.tick(); })) {
    forwarder_.worker = worker_;
    kms_forwarder_.worker = worker_;
}

void BrokerThread::fetch(KeyRequest request, Broker::Done done) {
    worker_->post([this, request = std::move(request), done = std::move(done)]() mutable {
        broker_.request(request, std::move(done));
    });
}

void BrokerThread::stop() {
    worker_->stop();
}

void BrokerThread::Forwarder::find(const KeyRequest& request, Done done) {
    vault_.find(request, [weak = worker, done = std::move(done)](Found found) {
        // The broker is gone only after its worker stopped, and a stopped worker runs nothing.
        if (const auto live = weak.lock()) {
            live->post([done, found = std::move(found)]() mutable { done(std::move(found)); });
        }
    });
}

}  // namespace fieldgate::keys
