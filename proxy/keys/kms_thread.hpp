#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "proxy/keys/kms.hpp"

namespace fieldgate::keys {

// The key managers for commands, which wait: Kms on a thread of its own. Each call returns when the operation
// is over, within KmsOptions::operation_timeout. Any thread but a callback of `transport`.
//
//     net::KmsTransport transport(config->kms_providers);
//     keys::KmsThread kms(transport, keys::make_kms_providers(*config, keys::system_environment()));
//     auto wrapped = kms.wrap("aws:eu", master_key, data_key);
class KmsThread {
 public:
    // `transport` must outlive it.
    KmsThread(KmsTransport& transport, Kms::Providers providers, KmsOptions options = {});
    ~KmsThread();
    KmsThread(const KmsThread&) = delete;
    KmsThread& operator=(const KmsThread&) = delete;

    bool has(const std::string& provider) const;

    // Failures as Kms has them: their texts begin with the provider.
    crypto::kms::Result<WrappedDataKey> wrap(const std::string& provider,
                                             const crypto::kms::MasterKeyDescription& master_key,
                                             const crypto::DataKey& key);
    crypto::kms::Result<crypto::DataKey> unwrap(const std::string& provider,
                                                const crypto::kms::MasterKeyDescription& master_key,
                                                std::span<const std::uint8_t> wrapped);
    // Proves the credentials without a master key. Nothing: logged in, or the provider has no login of its
    // own (AWS's fixed keys, KMIP), where only wrapping proves anything.
    std::optional<crypto::kms::Failure> login(const std::string& provider);

 private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace fieldgate::keys
