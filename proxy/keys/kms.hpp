#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "crypto/key_id.hpp"
#include "proxy/keys/kms_provider.hpp"
#include "proxy/keys/kms_transport.hpp"

namespace fieldgate::keys {

struct KmsOptions {
    std::chrono::milliseconds request_timeout{10000};  // of one request, connecting included
    std::chrono::milliseconds retry_base{200};         // full jitter: a random part of base * 2^attempt
    std::chrono::milliseconds retry_cap{20000};
    int attempts_max = 3;
    std::function<UnixTime()> now;
    std::function<double()> random;  // [0, 1), for the jitter
};

// What became of operations, by provider: for metrics.
enum class KmsCall : std::uint8_t { login, wrap, unwrap };
struct KmsCount {
    std::string provider;
    KmsCall call = KmsCall::unwrap;
    std::string
        outcome;  // "ok", or a Failure's kind: refused, credentials, throttled, unavailable, malformed
    std::uint64_t count = 0;
};

// The key managers: finds the provider, logs in when its credentials are about to end, asks, tries again with
// back-off what may be tried again, logs in afresh once when the credentials were not taken. Any number of
// operations at a time; one login at a time for each provider.
//
// Sans-I/O; one thread: `transport` must call back on it (BrokerThread and KmsThread see to that).
class Kms {
 public:
    using Providers = std::map<std::string, std::unique_ptr<KmsProvider>>;  // by name, "aws:eu"
    Kms(KmsTransport& transport, Providers providers, KmsOptions options = {});
    ~Kms();

    bool has(const std::string& provider) const { return providers_.contains(provider); }

    // `done` is called once. Failure texts begin with the provider ("KMS provider `aws:eu`: ..."); a provider
    // that is not configured is `refused` with "KMS provider `x` is not configured".
    using Unwrapped = std::function<void(crypto::kms::Result<crypto::DataKey>)>;
    void unwrap(const std::string& provider, const crypto::kms::MasterKeyDescription& master_key,
                std::vector<std::uint8_t> wrapped, Unwrapped done);
    using Wrapped = std::function<void(crypto::kms::Result<WrappedDataKey>)>;
    void wrap(const std::string& provider, const crypto::kms::MasterKeyDescription& master_key,
              std::shared_ptr<const crypto::DataKey> key, Wrapped done);

    std::vector<KmsCount> counts() const;

 private:
    KmsTransport& transport_;
    Providers providers_;
    KmsOptions options_;
};

}  // namespace fieldgate::keys
