#pragma once

#include <memory>
#include <optional>

#include "proxy/keys/broker.hpp"
#include "proxy/keys/worker.hpp"

namespace fieldgate::keys {

// The process's broker on a thread of its own. Erases expired keys every second.
class BrokerThread {
 public:
    // `vault` must outlive it; its answers may come after stop() and are dropped then.
    BrokerThread(KeyVault& vault, std::optional<crypto::MasterKey> local_master_key, BrokerOptions options);
    ~BrokerThread() { stop(); }

    // Any thread. `done` is called once on the broker's thread: post from it. Never called after stop().
    void fetch(KeyRequest request, Broker::Done done);
    void stop();

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
    Broker broker_;
    std::shared_ptr<Worker> worker_;
};

}  // namespace fieldgate::keys
