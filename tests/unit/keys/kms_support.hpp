#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "crypto/kms/json.hpp"
#include "proxy/keys/kms.hpp"
#include "tests/unit/keys/support.hpp"

// A key manager in a test's hand: requests are kept until the test answers them, time passes when it says so.
namespace fieldgate::keys::testing {

using crypto::kms::Failure;
using crypto::kms::Reply;
using crypto::kms::Request;
using crypto::kms::Result;

inline std::span<const std::uint8_t> bytes_of(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string text_of(const crypto::SecretBuffer& buffer) {
    const auto bytes = buffer.expose_secret();
    return {bytes.begin(), bytes.end()};
}

class ScriptedTransport final : public KmsTransport {
 public:
    struct Sent {
        std::string provider;
        std::string text;
        std::chrono::milliseconds timeout;
        Done done;
    };

    void send(const std::string& provider, Request request, std::chrono::milliseconds timeout,
              Done done) override {
        log.push_back(provider + " " + text_of(request.bytes));
        pending.push_back({provider, text_of(request.bytes), timeout, std::move(done)});
    }
    void after(std::chrono::milliseconds delay, std::function<void()> task) override {
        delays.push_back(delay);
        timers_.emplace(steady + delay, std::move(task));
    }

    // The oldest request that has no answer yet.
    void answer(int status, std::string_view body = {},
                std::optional<std::chrono::seconds> retry_after = {}) {
        take_oldest().done(Reply{status, retry_after, crypto::SecretBuffer(bytes_of(body))});
    }
    void fail(std::string code, Failure::Kind kind = Failure::Kind::unavailable) {
        take_oldest().done(Failure{.kind = kind, .status = 0, .code = code, .text = code + " happened"});
    }
    void pass(std::chrono::milliseconds time) {
        const auto end = steady + time;
        while (!timers_.empty() && timers_.begin()->first <= end) {
            auto node = timers_.extract(timers_.begin());
            steady = node.key();
            node.mapped()();
        }
        steady = end;
    }
    Sent take_oldest() {
        if (pending.empty()) throw std::logic_error("no request is under way");
        Sent sent = std::move(pending.front());
        pending.pop_front();
        return sent;
    }

    std::chrono::steady_clock::time_point steady{std::chrono::hours(1)};
    std::deque<Sent> pending;
    std::vector<std::string> log;
    std::vector<std::chrono::milliseconds> delays;

 private:
    std::multimap<std::chrono::steady_clock::time_point, std::function<void()>> timers_;
};

// Sends its requests one after the other and takes every reply of status 200. "401" is a matter of
// credentials, "429" of throttling, other 4xx of refusal, anything else of availability.
template <class Base>
class ScriptedOperation : public Base {
 public:
    explicit ScriptedOperation(std::vector<std::string> requests) : requests_(std::move(requests)) {}

    Result<std::optional<Request>> next(UnixTime) override {
        if (at_ == requests_.size()) return std::optional<Request>();
        const std::string& text = requests_[at_];
        if (text.starts_with("!")) {
            return Failure{
                .kind = Failure::Kind::refused, .status = 0, .code = text.substr(1), .text = "not sent"};
        }
        Request request;
        request.endpoint.host = "kms.example";
        request.bytes = crypto::SecretBuffer(bytes_of(text));
        return std::optional<Request>(std::move(request));
    }
    std::optional<Failure> reply(const Reply& reply, UnixTime) override {
        ++at_;
        if (reply.status == 200) return std::nullopt;
        using Kind = Failure::Kind;
        const Kind kind = reply.status == 401   ? Kind::credentials
                          : reply.status == 429 ? Kind::throttled
                          : reply.status < 500  ? Kind::refused
                                                : Kind::unavailable;
        return Failure{.kind = kind,
                       .status = reply.status,
                       .code = "Status" + std::to_string(reply.status),
                       .text = "it said " + std::to_string(reply.status) +
                               std::string(crypto::kms::text_of(reply.body.expose_secret()))};
    }
    void restart() override { at_ = 0; }

 private:
    std::vector<std::string> requests_;
    std::size_t at_ = 0;
};

class ScriptedUnwrap final : public ScriptedOperation<UnwrapOperation> {
 public:
    ScriptedUnwrap(std::vector<std::string> requests, std::uint8_t fill)
        : ScriptedOperation(std::move(requests)), fill_(fill) {}
    crypto::DataKey take() override { return secret_of(fill_); }

 private:
    std::uint8_t fill_;
};

class ScriptedWrap final : public ScriptedOperation<WrapOperation> {
 public:
    ScriptedWrap(std::vector<std::string> requests, std::uint8_t fill)
        : ScriptedOperation(std::move(requests)), fill_(fill) {}
    WrappedDataKey take() override { return {{fill_}, crypto::kms::AwsMasterKey{"eu", "arn", {}}}; }

 private:
    std::uint8_t fill_;
};

// Unwraps `wrapped` to 96 times its first byte.
class ScriptedProvider final : public KmsProvider {
 public:
    class Login final : public ScriptedOperation<KmsOperation> {
     public:
        Login(std::vector<std::string> requests, ScriptedProvider& provider)
            : ScriptedOperation(std::move(requests)), provider_(provider) {}
        std::optional<Failure> reply(const Reply& reply, UnixTime now) override {
            auto failure = ScriptedOperation::reply(reply, now);
            if (!failure) provider_.token_end = now + provider_.token_life;
            return failure;
        }

     private:
        ScriptedProvider& provider_;
    };

    std::unique_ptr<KmsOperation> login(UnixTime now) override {
        if (login_requests.empty() || token_end > now + std::chrono::seconds(60)) return nullptr;
        return std::make_unique<Login>(login_requests, *this);
    }
    bool is_logged_in(UnixTime now) const override { return login_requests.empty() || token_end > now; }
    bool forget_login() override {
        ++forgotten;
        token_end = {};
        return !login_requests.empty();
    }
    Result<std::unique_ptr<UnwrapOperation>> unwrap(const crypto::kms::MasterKeyDescription& master_key,
                                                    std::span<const std::uint8_t> wrapped) override {
        if (!std::holds_alternative<crypto::kms::AwsMasterKey>(master_key)) return mismatch();
        const std::uint8_t fill = wrapped.empty() ? 0 : wrapped[0];
        auto requests = unwrap_requests;
        for (std::string& request : requests) request += " " + std::to_string(fill);
        return std::unique_ptr<UnwrapOperation>(std::make_unique<ScriptedUnwrap>(std::move(requests), fill));
    }
    Result<std::unique_ptr<WrapOperation>> wrap(const crypto::kms::MasterKeyDescription& master_key,
                                                const crypto::DataKey& key) override {
        if (!std::holds_alternative<crypto::kms::AwsMasterKey>(master_key)) return mismatch();
        return std::unique_ptr<WrapOperation>(
            std::make_unique<ScriptedWrap>(std::vector<std::string>{"wrap"}, key.expose_secret()[0]));
    }
    bool may_retry(const Failure& failure) const override {
        return failure.kind == Failure::Kind::throttled || failure.kind == Failure::Kind::unavailable;
    }

    void hide_secrets(Failure& failure) const override {
        if (!secret.empty()) crypto::kms::hide_secret(failure, std::string_view(secret));
    }

    std::string secret;
    std::vector<std::string> login_requests;
    std::vector<std::string> unwrap_requests{"unwrap"};
    std::chrono::seconds token_life{900};
    UnixTime token_end{};
    int forgotten = 0;

 private:
    static Failure mismatch() {
        return {.kind = Failure::Kind::refused,
                .status = 0,
                .code = "master_key_mismatch",
                .text = "masterKey is of another kind of provider"};
    }
};

inline const crypto::kms::MasterKeyDescription aws_key =
    crypto::kms::AwsMasterKey{"eu-west-1", "arn:aws:kms:eu-west-1:1:key/x", {}};

}  // namespace fieldgate::keys::testing
