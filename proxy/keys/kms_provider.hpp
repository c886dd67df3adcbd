#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "crypto/kms/exchange.hpp"
#include "crypto/kms/master_key.hpp"
#include "crypto/secret.hpp"

namespace fieldgate::keys {

using crypto::kms::UnixTime;

// What providers look up on the machine at each login: environment variables, and files that agents renew.
// Tests give their own.
struct KmsEnvironment {
    // One that is empty is not set, as the cloud's own tools have it.
    std::function<std::optional<std::string>(const std::string& name)> variable;
    // Failure: `credentials`, and the text names the file.
    std::function<crypto::kms::Result<crypto::SecretBuffer>(const std::filesystem::path& file)> read_file;
};
KmsEnvironment system_environment();

// What wrapping a data key gave: keyMaterial, and masterKey with what the key manager added (KMIP's
// identifier).
struct WrappedDataKey {
    std::vector<std::uint8_t> material;
    crypto::kms::MasterKeyDescription master_key;
};

// One operation on one key manager, as a conversation. Sans-I/O; the engine (Kms) carries it out:
//
//     while (auto request = operation.next(now)) { operation.reply(send(*request), now) }
//
// and starts it again from the beginning after a failure that may be tried again. An operation that needs a
// login takes the credentials of its provider when next() is called.
class KmsOperation {
 public:
    virtual ~KmsOperation() = default;

    // The next request; nothing: the operation is complete and its outcome can be taken. A Failure: nothing
    // can be sent (a masterKey whose endpoint is not allowed, credentials missing).
    virtual crypto::kms::Result<std::optional<crypto::kms::Request>> next(UnixTime now) = 0;
    // The reply to it. A Failure ends this attempt.
    virtual std::optional<crypto::kms::Failure> reply(const crypto::kms::Reply& reply, UnixTime now) = 0;
    // Starts over for another attempt.
    virtual void restart() = 0;
};

class UnwrapOperation : public KmsOperation {
 public:
    virtual crypto::DataKey take() = 0;  // once, after next() said that it is complete
};
class WrapOperation : public KmsOperation {
 public:
    virtual WrappedDataKey take() = 0;
};

// One configured provider ("local", "aws", "aws:eu"): its credentials and its ways to wrap and unwrap.
// Sans-I/O, confined to one thread. Operations refer to it and must end before it.
class KmsProvider {
 public:
    virtual ~KmsProvider() = default;

    // Logging in, for providers whose credentials are fetched and run out (tokens). `login()` is a
    // conversation of the same kind; null: nothing is needed at `now`, what it has is good for at least 60
    // more seconds, or has no end. The engine runs one login at a time and lets the operations wait for it,
    // if they must.
    virtual std::unique_ptr<KmsOperation> login(UnixTime now) = 0;
    // What it has is good at `now` and was not forgotten: a login() that is due only renews it, and
    // operations go on beside that, however it ends.
    virtual bool is_logged_in(UnixTime now) const = 0;
    // The key manager did not take the credentials: the next login() starts afresh. False: they are fixed,
    // and another login would give the same.
    virtual bool forget_login() = 0;

    // `refused` (code "master_key_mismatch") when the description is of another kind of provider.
    virtual crypto::kms::Result<std::unique_ptr<UnwrapOperation>> unwrap(
        const crypto::kms::MasterKeyDescription& master_key, std::span<const std::uint8_t> wrapped) = 0;
    // `key` must live until the operation ends.
    virtual crypto::kms::Result<std::unique_ptr<WrapOperation>> wrap(
        const crypto::kms::MasterKeyDescription& master_key, const crypto::DataKey& key) = 0;

    // Takes what it logs in with out of a failure, wherever the key manager quoted it.
    virtual void hide_secrets(crypto::kms::Failure&) const {}

    // HTTP statuses after which another attempt may help (CSFLE specification, "KMS requests: retry").
    virtual bool may_retry(const crypto::kms::Failure& failure) const = 0;
};

}  // namespace fieldgate::keys
