#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "proxy/keys/kms_transport.hpp"

namespace fieldgate::net {

struct KmsTransportOptions {
    std::chrono::milliseconds idle_timeout{30000};  // a connection that nobody uses is closed
    std::size_t idle_max = 64;        // of all providers and endpoints together: key documents name endpoints
    std::size_t connections_max = 4;  // for each provider and endpoint; more requests wait, within their time
};

// Carries requests to key managers: HTTP/1.1 and KMIP over TLS 1.2 or later, plain where the endpoint says
// so, on a thread of its own. Host names and IP addresses are verified against the certificate. Each provider
// has connections of its own, with its own authorities and client certificate.
//
// A connection is used again only if nothing has come on it since its last reply. A request on a connection
// that had served before, and that ends without a byte of the reply, is sent once more on a new one: the key
// manager may have closed it at the same moment.
class KmsTransport final : public keys::KmsTransport {
 public:
    // Reads certificates; std::runtime_error names the provider and the file.
    explicit KmsTransport(const std::vector<config::KmsProvider>& providers,
                          KmsTransportOptions options = {});
    ~KmsTransport() override;  // stop()
    KmsTransport(const KmsTransport&) = delete;
    KmsTransport& operator=(const KmsTransport&) = delete;

    // Any thread. `done` and `task` run on the transport's thread.
    void send(const std::string& provider, crypto::kms::Request request, std::chrono::milliseconds timeout,
              Done done) override;
    void after(std::chrono::milliseconds delay, std::function<void()> task) override;

    // Ends everything at once: what is under way fails with `unavailable` ("stopped"), and so does what is
    // sent afterwards. Does not wait for servers or for a resolver that hangs. Not from a callback.
    void stop();

 private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace fieldgate::net
