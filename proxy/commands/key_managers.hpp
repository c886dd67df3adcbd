#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "config/config.hpp"
#include "crypto/kms/exchange.hpp"
#include "crypto/kms/master_key.hpp"
#include "proxy/keys/kms_provider.hpp"

namespace fieldgate::commands {

// The key managers as commands use them, which wait: keys::KmsThread over net/'s transport, made by main.cpp.
// Failure texts begin with the provider. Several threads may ask at a time.
class KeyManagers {
 public:
    virtual ~KeyManagers() = default;

    virtual crypto::kms::Result<keys::WrappedDataKey> wrap(
        const std::string& provider, const crypto::kms::MasterKeyDescription& master_key,
        const crypto::DataKey& key) = 0;
    virtual crypto::kms::Result<crypto::DataKey> unwrap(const std::string& provider,
                                                        const crypto::kms::MasterKeyDescription& master_key,
                                                        std::span<const std::uint8_t> wrapped) = 0;
    // Proves the credentials without a master key; nothing: logged in, or the provider has no login.
    virtual std::optional<crypto::kms::Failure> login(const std::string& provider) = 0;
};

// Does not ask again where nobody answered: a key manager that swallows packets takes its time with each
// question, and a command would wait for it once for each of its keys. Several threads may ask; `kms`
// outlives it.
class Impatient final : public KeyManagers {
 public:
    explicit Impatient(KeyManagers& kms) : kms_(kms) {}

    crypto::kms::Result<keys::WrappedDataKey> wrap(const std::string& provider,
                                                   const crypto::kms::MasterKeyDescription& master_key,
                                                   const crypto::DataKey& key) override;
    crypto::kms::Result<crypto::DataKey> unwrap(const std::string& provider,
                                                const crypto::kms::MasterKeyDescription& master_key,
                                                std::span<const std::uint8_t> wrapped) override;
    std::optional<crypto::kms::Failure> login(const std::string& provider) override;

 private:
    // A provider's keys may be in several places.
    using Place = std::pair<std::string, std::string>;  // provider, and where a master key is
    static Place place_of(const std::string& provider, const crypto::kms::MasterKeyDescription& master_key);
    std::optional<crypto::kms::Failure> is_away(const Place& place) const;
    void remember(const Place& place, const crypto::kms::Failure& failure);

    KeyManagers& kms_;
    mutable std::mutex mutex_;
    std::map<Place, crypto::kms::Failure> away_;
};

// Reads key files and certificates; std::runtime_error names the provider and the file.
using OpenKeyManagers = std::function<std::unique_ptr<KeyManagers>(const config::Config&)>;

// Wraps a data key and unwraps it again: what does not unwrap is worth nothing, and must not be stored.
crypto::kms::Result<keys::WrappedDataKey> wrap_and_prove(KeyManagers& kms, const std::string& provider,
                                                         const crypto::kms::MasterKeyDescription& master_key,
                                                         const crypto::DataKey& key);

// The same with a random data key. Gives the master key as it is to be stored: KMIP adds the
// identifier of a key that it made.
crypto::kms::Result<crypto::kms::MasterKeyDescription> prove(
    KeyManagers& kms, const std::string& provider, const crypto::kms::MasterKeyDescription& master_key);

}  // namespace fieldgate::commands
