#include "proxy/keys/kms_thread.hpp"

#include <future>
#include <utility>

#include "proxy/keys/kms_forwarder.hpp"
#include "proxy/keys/worker.hpp"

namespace fieldgate::keys {

using crypto::kms::Failure;
using crypto::kms::MasterKeyDescription;
using crypto::kms::Result;

struct KmsThread::State {
    State(KmsTransport& transport, Kms::Providers providers, KmsOptions options)
        : forwarder(transport),
          kms(forwarder, std::move(providers), std::move(options)),
          worker(std::make_shared<Worker>("kms")) {
        forwarder.worker = worker;
    }
    ~State() { worker->stop(); }

    // Starts `ask` on the thread and waits for what it is told. The caller's variables live until then.
    template <class T, class Ask>
    T wait_for(Ask ask) {
        const auto promise = std::make_shared<std::promise<T>>();  // set_value() may end after the caller
        auto future = promise->get_future();
        worker->post([this, ask, promise] {
            ask(kms, [promise](T outcome) { promise->set_value(std::move(outcome)); });
        });
        return future.get();
    }

    KmsForwarder forwarder;
    Kms kms;
    std::shared_ptr<Worker> worker;
};

KmsThread::KmsThread(KmsTransport& transport, Kms::Providers providers, KmsOptions options)
    : state_(std::make_unique<State>(transport, std::move(providers), std::move(options))) {}

KmsThread::~KmsThread() = default;

bool KmsThread::has(const std::string& provider) const {
    return state_->kms.has(provider);
}

Result<WrappedDataKey> KmsThread::wrap(const std::string& provider, const MasterKeyDescription& master_key,
                                       const crypto::DataKey& key) {
    return state_->wait_for<Result<WrappedDataKey>>([&](Kms& kms, Kms::Wrapped done) {
        // Not owned: it outlives the operation, because the caller waits.
        kms.wrap(provider, master_key, {std::shared_ptr<const crypto::DataKey>(), &key}, std::move(done));
    });
}

Result<crypto::DataKey> KmsThread::unwrap(const std::string& provider, const MasterKeyDescription& master_key,
                                          std::span<const std::uint8_t> wrapped) {
    return state_->wait_for<Result<crypto::DataKey>>([&](Kms& kms, Kms::Unwrapped done) {
        kms.unwrap(provider, master_key, {wrapped.begin(), wrapped.end()}, std::move(done));
    });
}

std::optional<Failure> KmsThread::login(const std::string& provider) {
    return state_->wait_for<std::optional<Failure>>(
        [&](Kms& kms, Kms::LoggedIn done) { kms.login(provider, std::move(done)); });
}

}  // namespace fieldgate::keys
