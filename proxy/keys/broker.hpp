#pragma once

#include <chrono>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "crypto/secret.hpp"
#include "proxy/bson/builder.hpp"
#include "proxy/keys/key_document.hpp"
#include "proxy/keys/key_ring.hpp"

namespace fieldgate::keys {

// Where key documents are. Implemented by cluster/.
class KeyVault {
 public:
    virtual ~KeyVault() = default;

    struct Found {
        std::vector<bson::Buffer> documents;
        std::string error;  // not empty: the key vault could not be asked, and this is why
    };
    using Done = std::function<void(Found)>;

    // Asks, in one query with read concern majority, for every document whose _id or whose alternative names
    // are in `request`. Calls `done` exactly once, from any thread, also before it returns.
    virtual void find(const KeyRequest& request, Done done) = 0;
};

struct BrokerOptions {
    std::string key_vault_namespace;  // for error texts
    // How long a key may be used after the query that fetched it was sent. At least lifetime_min after its
    // answer came, or a message could wait for its keys for ever.
    std::chrono::milliseconds cache_lifetime{60000};
    std::chrono::milliseconds failure_lifetime{1000};
    std::function<Clock::time_point()> now = &Clock::now;
    // For the log. A name stands in another key's document than the one it was resolved to first.
    std::function<void(const std::string& alt_name, const crypto::KeyId& pinned,
                       const crypto::KeyId& claimed)>
        on_name_moved;
    // For the log. Once per failure_lifetime and key.
    std::function<void(const KeyError& error)> on_failure;
};

// Which keys are needed -> queries to ask -> cache. The one place in the process that fetches and unwraps
// data keys:
//
//     request(keys, done)  ->  everything cached: done is called at once
//                              otherwise the rest goes into one query; a key that is under way already is
//                              waited for
//
// One query is under way at a time and what is missed meanwhile goes together into the next, so that a
// thousand sessions that need one key cost one query. Keys expire a fixed time after they were fetched, used
// or not, and are erased; failures are remembered for a short while. A name is resolved once and stays with
// its UUID for the life of the broker: whoever can write the key vault must not be able to move a name to
// another key. A name that was moved is refused.
//
// Sans-I/O; one thread (BrokerThread gives it one). `vault` must outlive it and answer on that thread.
class Broker {
 public:
    static constexpr std::chrono::milliseconds lifetime_min{1000};
    static constexpr std::size_t query_keys_max = 1000;

    Broker(KeyVault& vault, std::optional<crypto::MasterKey> local_master_key, BrokerOptions options);
    Broker(const Broker&) = delete;
    Broker& operator=(const Broker&) = delete;

    using Done = std::function<void(KeyResult)>;
    void request(const KeyRequest& keys, Done done);

    // Erases keys that expired. Called from time to time.
    void expire();

    std::size_t cached_count() const { return ready_.size(); }

 private:
    struct Waiting {
        KeyResult result;
        std::set<crypto::KeyId> ids;
        std::set<std::string> alt_names;
        Done done;
    };
    struct Flight {
        std::set<crypto::KeyId> ids;
        std::set<std::string> alt_names;
        Clock::time_point sent;
        bool contains(const KeyDocument& key) const;
    };
    class Reading;

    bool answer_id(const crypto::KeyId& id, KeyResult& result, Clock::time_point now) const;
    bool answer_name(const std::string& alt_name, KeyResult& result, Clock::time_point now) const;
    void add_moved_names(const crypto::KeyId& id, KeyResult& result) const;
    void send_query();
    void on_found(const KeyVault::Found& found);
    void settle_waiting();
    void fail_id(const crypto::KeyId& id, const std::string& why);
    void fail_name(const std::string& alt_name, const std::string& why);
    FailedKey failure(std::string errmsg);
    std::variant<ReadyKey, std::string> unwrap(const KeyDocument& key) const;

    KeyVault& vault_;
    std::optional<crypto::MasterKey> local_master_key_;
    BrokerOptions options_;

    std::unordered_map<crypto::KeyId, ReadyKey> ready_;
    std::unordered_map<crypto::KeyId, FailedKey> failed_ids_;
    std::map<std::string, FailedKey> failed_names_;
    std::map<std::string, crypto::KeyId> pinned_;
    std::set<std::string> moved_;  // pinned, but claimed by another key when last seen

    std::list<Waiting> waiting_;
    std::set<crypto::KeyId> queued_ids_;
    std::set<std::string> queued_names_;
    std::optional<Flight> flight_;
};

}  // namespace fieldgate::keys
