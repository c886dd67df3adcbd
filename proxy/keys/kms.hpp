#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/keys/kms_provider.hpp"
#include "proxy/keys/kms_transport.hpp"

namespace fieldgate::keys {

// What became of operations, by provider: for metrics.
enum class KmsCall : std::uint8_t { login, wrap, unwrap };
struct KmsCount {
    std::string provider;
    KmsCall call = KmsCall::unwrap;
    std::string outcome;  // "ok", or a Failure's kind: refused, credentials, throttled, ...
    std::uint64_t count = 0;
};

struct KmsOptions {
    std::chrono::milliseconds request_timeout{10000};  // of one request, connecting included
    std::chrono::milliseconds retry_base{200};         // full jitter: a random part of base * 2^attempt
    std::chrono::milliseconds retry_cap{20000};
    int attempts_max = 3;
    // For how long a login because of refused credentials is not repeated: what they are refused for then is
    // no matter of logging in. Renewals do not count, as what they bring may be revoked at once.
    std::chrono::milliseconds login_fresh{10000};
    // After a login that was refused none is sent for a while, twice as long after each: some key managers
    // lock an account, and everybody who uses it, after a few. Who needs one meanwhile gets the refusal
    // again.
    std::chrono::milliseconds login_pause_min{2000};
    std::chrono::milliseconds login_pause_max{60000};
    // Of an operation from being asked to its answer: waiting for its turn, logging in and every attempt.
    std::chrono::milliseconds operation_timeout{20000};
    std::size_t operations_max = 16;  // at a time, for each provider; the others wait their turn
    std::function<UnixTime()> now;    // empty: the system's clocks and a generator of its own
    std::function<std::chrono::steady_clock::time_point()> steady_now;
    std::function<double()> random;  // [0, 1), for the jitter
    // For the log: an operation is over. `failure` is null if it succeeded.
    std::function<void(const std::string& provider, KmsCall call, const crypto::kms::Failure* failure)>
        on_done;
};

// The key managers: finds the provider, logs in when its credentials are about to end, asks, tries again with
// back-off what may be tried again, logs in afresh once when the credentials were not taken, unless it did
// so just before: some key managers refuse one key in the same words as a token that has ended, and must not
// be logged in to for each question about that key. Any number of operations at a time; one login at a time
// for each provider.
//
// Sans-I/O; one thread: `transport` must call back on it (BrokerThread and KmsThread see to that). After its
// end nothing is called any more, also not the `done` of operations under way.
class Kms {
 public:
    using Providers = std::map<std::string, std::unique_ptr<KmsProvider>>;  // by name, "aws:eu"
    Kms(KmsTransport& transport, Providers providers, KmsOptions options = {});
    ~Kms();
    Kms(const Kms&) = delete;
    Kms& operator=(const Kms&) = delete;

    bool has(const std::string& provider) const;  // any thread

    // `done` is called once, maybe before the call returns. Failure texts begin with the provider ("KMS
    // provider `aws:eu`: ..."); a provider that is not configured is `refused` with "KMS provider `x` is not
    // configured".
    using Unwrapped = std::function<void(crypto::kms::Result<crypto::DataKey>)>;
    void unwrap(const std::string& provider, const crypto::kms::MasterKeyDescription& master_key,
                std::vector<std::uint8_t> wrapped, Unwrapped done);
    using Wrapped = std::function<void(crypto::kms::Result<WrappedDataKey>)>;
    void wrap(const std::string& provider, const crypto::kms::MasterKeyDescription& master_key,
              std::shared_ptr<const crypto::DataKey> key, Wrapped done);
    // Logs in if that is needed now.
    using LoggedIn = std::function<void(std::optional<crypto::kms::Failure>)>;
    void login(const std::string& provider, LoggedIn done);

    // Any thread. Operations that named a provider that is not configured are not among them: key documents
    // are written by others, and would choose the labels.
    std::vector<KmsCount> counts() const;

 private:
    class Engine;
    std::shared_ptr<Engine> engine_;
};

}  // namespace fieldgate::keys
