#pragma once

#include <functional>
#include <optional>
#include <utility>

#include "proxy/keys/kms_provider.hpp"

// Operations that are one request and one reply. Shared by providers whose operations are.
namespace fieldgate::keys {

using BuildRequest = std::function<crypto::kms::Result<crypto::kms::Request>(UnixTime now)>;

template <class Base, class Outcome>
class SingleExchange final : public Base {
 public:
    using Read = std::function<crypto::kms::Result<Outcome>(const crypto::kms::Reply&)>;
    SingleExchange(BuildRequest build, Read read) : build_(std::move(build)), read_(std::move(read)) {}

    crypto::kms::Result<std::optional<crypto::kms::Request>> next(UnixTime now) override {
        if (outcome_) return std::optional<crypto::kms::Request>();
        auto request = build_(now);
        if (!request) return request.error();
        return std::optional<crypto::kms::Request>(std::move(*request));
    }
    std::optional<crypto::kms::Failure> reply(const crypto::kms::Reply& reply, UnixTime) override {
        auto outcome = read_(reply);
        if (!outcome) return outcome.error();
        outcome_.emplace(std::move(*outcome));
        return std::nullopt;
    }
    void restart() override { outcome_.reset(); }
    Outcome take() override { return std::move(outcome_.value()); }

 private:
    BuildRequest build_;
    Read read_;
    std::optional<Outcome> outcome_;
};

using SingleUnwrap = SingleExchange<UnwrapOperation, crypto::DataKey>;
using SingleWrap = SingleExchange<WrapOperation, WrappedDataKey>;

// A login whose outcome is already known: there is nothing to ask, or nothing that could be asked.
class NoLogin final : public KmsOperation {
 public:
    explicit NoLogin(std::optional<crypto::kms::Failure> failure) : failure_(std::move(failure)) {}

    crypto::kms::Result<std::optional<crypto::kms::Request>> next(UnixTime) override {
        if (failure_) return *failure_;
        return std::optional<crypto::kms::Request>();
    }
    std::optional<crypto::kms::Failure> reply(const crypto::kms::Reply&, UnixTime) override {
        return failure_;
    }
    void restart() override {}

 private:
    std::optional<crypto::kms::Failure> failure_;
};

// A token from a file without the end of its last line.
void trim_end(crypto::SecretBuffer& text);

// When credentials that were fetched at `now` are fetched again: 60 seconds before they end, or half-way
// where they do not last that long; never at once, or each operation would log in.
UnixTime login_due(UnixTime now, UnixTime ends);

}  // namespace fieldgate::keys
