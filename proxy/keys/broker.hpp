#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "crypto/key_material.hpp"
#include "crypto/secret.hpp"
#include "proxy/bson/builder.hpp"
#include "proxy/keys/key_document.hpp"
#include "proxy/keys/key_ring.hpp"
#include "proxy/keys/kms.hpp"

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
    // How long a key may be used after the query that fetched it was sent: key vault and key manager are
    // asked anew in that time, or the key is gone. At least lifetime_min after its answer came, or a message
    // could wait for its keys for ever.
    std::chrono::milliseconds cache_lifetime{60000};
    std::chrono::milliseconds failure_lifetime{1000};
    std::function<Clock::time_point()> now = &Clock::now;
    // For the log. A name stands in another key's document than the one it was resolved to first.
    std::function<void(const std::string& alt_name, const crypto::KeyId& pinned,
                       const crypto::KeyId& claimed)>
        on_name_moved = {};
    // For the log. Once per failure_lifetime and key, and at most failures_told_max times in that time:
    // clients may name keys. `detail` is what the key manager said, for the operator, or empty.
    std::function<void(const KeyError& error, const std::string& detail)> on_failure = {};
    // For the log. So many failures were not told in the time that is over.
    std::function<void(std::uint64_t count)> on_failures_untold = {};
    // For the log. A key could not be refetched ahead of time and is used until it expires; once until it
    // succeeds again.
    std::function<void(const KeyError& error, const std::string& detail)> on_refresh_failure = {};
};

// What happened so far. Any thread may read it (BrokerThread::counts()).
struct BrokerCounts {
    std::uint64_t queries = 0;  // of the key vault
    std::uint64_t queries_failed = 0;
    std::uint64_t refreshes_failed = 0;  // keys that were refetched ahead of time in vain, each time
    std::uint64_t failures = 0;          // answers that said that a key or name is not to be had
    std::uint64_t names_moved = 0;
    std::uint64_t keys_changed = 0;  // answers that brought another data key than the first, each time
    std::uint64_t keys_cached = 0;   // now
    std::vector<KmsCount> kms;
};

// Which keys are needed -> queries to ask -> keys to unwrap -> cache. The one place in the process that
// fetches data keys:
//
//     request(keys, done)  ->  everything cached: done is called at once
//                              otherwise the rest goes into one query, and what it brings to the key
//                              managers, several at a time; a key that is under way already is waited for
//
// One query is under way at a time and what is missed meanwhile goes together into the next, so that a
// thousand sessions that need one key cost one query and one question to its key manager. Failures are
// remembered for a short while. A name is resolved once and stays with its UUID for the life of the broker:
// whoever can write the key vault must not be able to move a name to another key. A name that was moved is
// refused.
//
// So does a data key with its UUID: rewrapping never changes it, and whoever can write the key vault must not
// be able to have new values encrypted with a key that he knows, or with another tenant's. A document that
// unwraps to another data key than it did first is refused.
//
// Keys expire a fixed time after they were asked for and are erased. Those that somebody requested within
// that time, and whose key ring may therefore be using them, are refetched in the background from an eighth
// of it on (a quarter, above 50 keys), key vault and key manager both, so that an outage of either that is
// shorter than the rest is not noticed: a failed attempt leaves the key as it is and is repeated. A key that
// is gone from the key vault, or that its key manager refuses to unwrap, ends at once. What was unwrapped is
// never kept longer because its document has not changed: disabling the master key, or taking fieldgate's
// right to use it, must have effect within the lifetime, and only the key manager knows.
//
// Sans-I/O; one thread (BrokerThread gives it one). `vault` and `kms` must outlive it and answer on that
// thread.
class Broker {
 public:
    static constexpr std::chrono::milliseconds lifetime_min{1000};
    static constexpr std::size_t query_keys_max = 1000;
    static constexpr std::size_t failures_told_max = 50;
    // Failures that are remembered; above that all of them are forgotten and asked for again.
    static constexpr std::size_t failures_kept_max = 10'000;
    // At a time and for each provider, so that clients who wait for a key do not stand behind them for long.
    static constexpr std::size_t refreshes_max = 32;

    Broker(KeyVault& vault, Kms& kms, BrokerOptions options);
    Broker(const Broker&) = delete;
    Broker& operator=(const Broker&) = delete;

    using Done = std::function<void(KeyResult)>;
    void request(const KeyRequest& keys, Done done);

    // Erases keys that expired, refetches those that will soon. Called from time to time, about every second.
    void tick();

    std::size_t cached_count() const { return ready_.size(); }
    BrokerCounts counts() const;  // any thread

 private:
    struct Ready {
        ReadyKey key;
        std::string provider;
        Clock::time_point sent;       // the query that brought it
        Clock::time_point requested;  // last
        Clock::time_point refresh_at;
        bool refresh_failed = false;
    };
    struct Waiting {
        KeyResult result;
        std::set<crypto::KeyId> ids;
        std::set<std::string> alt_names;
        Done done;
        bool asked_again = false;  // for keys that expired while others were waited for
    };
    struct Flight {
        std::set<crypto::KeyId> ids;
        std::set<std::string> alt_names;
        Clock::time_point sent;
        bool contains(const KeyDocument& key) const;
    };
    // Each once, in the order in which they came: nobody's keys wait for ever behind those of somebody who
    // keeps on asking for others.
    template <class Key>
    class Queue {
     public:
        void push(const Key& key) {
            if (members_.insert(key).second) order_.push_back(key);
        }
        Key pop() {
            Key key = std::move(order_.front());
            order_.pop_front();
            members_.erase(key);
            return key;
        }
        bool contains(const Key& key) const { return members_.contains(key); }
        bool empty() const { return order_.empty(); }
        std::size_t size() const { return order_.size(); }

     private:
        std::deque<Key> order_;
        std::set<Key> members_;
    };
    struct Counters {
        std::atomic<std::uint64_t> queries{0};
        std::atomic<std::uint64_t> queries_failed{0};
        std::atomic<std::uint64_t> refreshes_failed{0};
        std::atomic<std::uint64_t> failures{0};
        std::atomic<std::uint64_t> names_moved{0};
        std::atomic<std::uint64_t> keys_changed{0};
        std::atomic<std::uint64_t> keys_cached{0};
    };
    class Reading;

    bool answer_id(const crypto::KeyId& id, KeyResult& result, Clock::time_point now);
    bool answer_name(const std::string& alt_name, KeyResult& result, Clock::time_point now) const;
    void add_moved_names(const crypto::KeyId& id, KeyResult& result, Clock::time_point now) const;
    bool is_under_way(const crypto::KeyId& id) const;
    void enqueue(const crypto::KeyId& id);
    void send_query();
    void on_found(const KeyVault::Found& found);
    void on_vault_failure(const Flight& flight, const std::string& error);
    std::set<crypto::KeyId> resolve_names(const Flight& flight, const Reading& reading);
    void unwrap(const KeyDocument& key, Clock::time_point sent);
    void on_unwrapped(const crypto::KeyId& id, const std::string& provider, Clock::time_point sent,
                      crypto::kms::Result<crypto::DataKey> material);
    bool is_changed(const crypto::KeyId& id, const crypto::DataKey& key);
    void refresh_keys();
    void end_refresh(const crypto::KeyId& id);
    void settle_waiting();
    bool ask_again_for_expired(Waiting& waiting, Clock::time_point now);
    bool keep_in_use(const crypto::KeyId& id, const std::string& why, const std::string& detail);
    void fail_id(const crypto::KeyId& id, const std::string& why, const std::string& detail = {});
    void fail_name(const std::string& alt_name, const std::string& why);
    FailedKey failure(std::string errmsg, const std::string& detail);
    void tell(const KeyError& error, const std::string& detail);
    void tell_untold();
    void bound_failures();

    KeyVault& vault_;
    Kms& kms_;
    BrokerOptions options_;

    std::unordered_map<crypto::KeyId, Ready> ready_;
    std::unordered_map<crypto::KeyId, FailedKey> failed_ids_;
    std::map<std::string, FailedKey> failed_names_;
    std::map<std::string, crypto::KeyId> pinned_;
    std::unordered_map<crypto::KeyId, crypto::KeyFingerprint> first_seen_;
    std::map<std::string, KeyError> moved_;  // pinned, but claimed by another key when last seen

    std::list<Waiting> waiting_;
    Queue<crypto::KeyId> queued_ids_;
    Queue<std::string> queued_names_;
    std::optional<Flight> flight_;
    std::set<crypto::KeyId> unwrapping_;
    // Refetched ahead of time, with their providers; each is queued, in flight or unwrapping.
    std::map<crypto::KeyId, std::string> refreshing_;
    bool refresh_more_ = false;
    Clock::time_point told_since_;  // on_failure
    std::uint64_t told_ = 0;
    std::uint64_t untold_ = 0;
    bool is_reading_ = false;  // a reply of the key vault: settle once at its end
    Counters counters_;
};

}  // namespace fieldgate::keys
