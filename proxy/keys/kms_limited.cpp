#include "proxy/keys/kms_limited.hpp"

#include <utility>

namespace fieldgate::keys {
namespace {

using crypto::kms::Failure;
using crypto::kms::MasterKeyDescription;
using crypto::kms::Result;

class LimitedKms final : public KmsProvider {
 public:
    LimitedKms(std::unique_ptr<KmsProvider> provider, MasterKeyList list)
        : provider_(std::move(provider)), list_(std::move(list)) {}

    std::unique_ptr<KmsOperation> login(UnixTime now) override { return provider_->login(now); }
    bool is_logged_in(UnixTime now) const override { return provider_->is_logged_in(now); }
    bool forget_login() override { return provider_->forget_login(); }
    void hide_secrets(Failure& failure) const override { provider_->hide_secrets(failure); }
    bool may_retry(const Failure& failure) const override { return provider_->may_retry(failure); }

    Result<std::unique_ptr<UnwrapOperation>> unwrap(const MasterKeyDescription& master_key,
                                                    std::span<const std::uint8_t> wrapped) override {
        if (auto refusal = list_.refusal_of(master_key)) return std::move(*refusal);
        return provider_->unwrap(master_key, wrapped);
    }
    Result<std::unique_ptr<WrapOperation>> wrap(const MasterKeyDescription& master_key,
                                                const crypto::DataKey& key) override {
        if (auto refusal = list_.refusal_of(master_key)) return std::move(*refusal);
        return provider_->wrap(master_key, key);
    }

 private:
    std::unique_ptr<KmsProvider> provider_;
    MasterKeyList list_;
};

}  // namespace

std::unique_ptr<KmsProvider> limit_kms(std::unique_ptr<KmsProvider> provider, MasterKeyList list) {
    return std::make_unique<LimitedKms>(std::move(provider), std::move(list));
}

}  // namespace fieldgate::keys
