#pragma once

#include <memory>

#include "proxy/keys/broker.hpp"
#include "proxy/keys/kms_forwarder.hpp"
#include "proxy/keys/worker.hpp"

namespace fieldgate::keys {

// The process's broker and its key managers on a thread of their own. Erases expired keys several times a
// second.
class BrokerThread {
 public:
    // `vault` and `transport` must outlive it; their answers may come after stop() and are dropped then.
    BrokerThread(KeyVault& vault, KmsTransport& transport, Kms::Providers providers, BrokerOptions options,
                 KmsOptions kms_options = {});
    ~BrokerThread() { stop(); }

    // Any thread. `done` is called once on the broker's thread: post from it. Never called after stop().
    void fetch(KeyRequest request, Broker::Done done);
    void stop();

    BrokerCounts counts() const { return broker_.counts(); }  // any thread

 private:
    // Brings the key vault's answers back to the broker's thread.
    class Forwarder final : public KeyVault {
     public:
        explicit Forwarder(KeyVault& vault) : vault_(vault) {}
        void find(const KeyRequest& request, Done done) override;
        std::weak_ptr<Worker> worker;

     private:
        KeyVault& vault_;
    };

    Forwarder forwarder_;
    KmsForwarder kms_forwarder_;
    Kms kms_;
    Broker broker_;
    std::shared_ptr<Worker> worker_;
};

}  // namespace fieldgate::keys
