#include "proxy/keys/kms_local.hpp"

#include <optional>
#include <utility>

#include "crypto/key_wrap.hpp"
#include "crypto/random.hpp"

namespace fieldgate::keys {
namespace {

using crypto::kms::Failure;
using crypto::kms::LocalMasterKey;
using crypto::kms::MasterKeyDescription;
using crypto::kms::Reply;
using crypto::kms::Request;
using crypto::kms::Result;

Failure failure_of(const boost::system::error_code& error) {
    if (error == crypto::Errc::authentication_failed) {
        return {.kind = Failure::Kind::refused,
                .code = "hmac_validation_failure",
                .text = "HMAC validation failure: it was not wrapped with the configured local master key"};
    }
    if (error == crypto::Errc::data_key_length) {
        return {.kind = Failure::Kind::malformed,
                .code = "data_key_length",
                .text = "decrypted key is incorrect length"};
    }
    if (error == crypto::Errc::wrapped_key_length) {
        return {.kind = Failure::Kind::malformed, .code = "wrapped_key_length", .text = error.message()};
    }
    return {.kind = Failure::Kind::unavailable, .code = "local_failure", .text = error.message()};
}

// What both operations have in common: nothing is sent.
template <class Base>
class LocalOperation : public Base {
 public:
    Result<std::optional<Request>> next(UnixTime) override {
        if (auto failure = work()) return std::move(*failure);
        return std::optional<Request>();
    }
    std::optional<Failure> reply(const Reply&, UnixTime) override {
        return Failure{.kind = Failure::Kind::malformed,
                       .code = "not_asked",
                       .text = "a reply to a request that was never sent"};
    }
    void restart() override {}

 private:
    virtual std::optional<Failure> work() = 0;
};

class LocalUnwrap final : public LocalOperation<UnwrapOperation> {
 public:
    LocalUnwrap(const crypto::MasterKey& master_key, std::span<const std::uint8_t> wrapped)
        : master_key_(master_key), wrapped_(wrapped.begin(), wrapped.end()) {}
    crypto::DataKey take() override { return std::move(*key_); }

 private:
    std::optional<Failure> work() override {
        auto key = crypto::unwrap_key(wrapped_, master_key_);
        if (!key) return failure_of(key.error());
        key_ = std::move(*key);
        return std::nullopt;
    }

    const crypto::MasterKey& master_key_;
    std::vector<std::uint8_t> wrapped_;
    std::optional<crypto::DataKey> key_;
};

class LocalWrap final : public LocalOperation<WrapOperation> {
 public:
    LocalWrap(const crypto::MasterKey& master_key, crypto::Random& random, const crypto::DataKey& key)
        : master_key_(master_key), random_(random), key_(key) {}
    WrappedDataKey take() override { return std::move(wrapped_); }

 private:
    std::optional<Failure> work() override {
        const auto wrapped = crypto::wrap_key(key_, master_key_, random_);
        if (!wrapped) return failure_of(wrapped.error());
        wrapped_ = {{wrapped->begin(), wrapped->end()}, LocalMasterKey{}};
        return std::nullopt;
    }

    const crypto::MasterKey& master_key_;
    crypto::Random& random_;
    const crypto::DataKey& key_;
    WrappedDataKey wrapped_;
};

class LocalKms final : public KmsProvider {
 public:
    explicit LocalKms(crypto::MasterKey master_key) : master_key_(std::move(master_key)) {}

    std::unique_ptr<KmsOperation> login(UnixTime) override { return nullptr; }
    bool is_logged_in(UnixTime) const override { return true; }
    bool forget_login() override { return false; }

    Result<std::unique_ptr<UnwrapOperation>> unwrap(const MasterKeyDescription& master_key,
                                                    std::span<const std::uint8_t> wrapped) override {
        if (!std::holds_alternative<LocalMasterKey>(master_key)) return mismatch();
        return std::unique_ptr<UnwrapOperation>(std::make_unique<LocalUnwrap>(master_key_, wrapped));
    }
    Result<std::unique_ptr<WrapOperation>> wrap(const MasterKeyDescription& master_key,
                                                const crypto::DataKey& key) override {
        if (!std::holds_alternative<LocalMasterKey>(master_key)) return mismatch();
        return std::unique_ptr<WrapOperation>(std::make_unique<LocalWrap>(master_key_, random_, key));
    }

    bool may_retry(const Failure&) const override { return false; }

 private:
    static Failure mismatch() {
        return {.kind = Failure::Kind::refused,
                .code = "master_key_mismatch",
                .text = "masterKey is of another kind of provider"};
    }

    crypto::MasterKey master_key_;
    crypto::SystemRandom random_;
};

}  // namespace

std::unique_ptr<KmsProvider> make_local_kms(crypto::MasterKey master_key) {
    return std::make_unique<LocalKms>(std::move(master_key));
}

}  // namespace fieldgate::keys
