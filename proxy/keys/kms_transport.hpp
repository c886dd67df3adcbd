#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "crypto/kms/exchange.hpp"

namespace fieldgate::keys {

// Carries requests to key managers and brings their replies. Implemented by net/.
class KmsTransport {
 public:
    virtual ~KmsTransport() = default;

    using Done = std::function<void(crypto::kms::Result<crypto::kms::Reply>)>;
    // Sends one request to its endpoint with the TLS settings of `provider` ("aws:eu") and reads the reply,
    // whole and within `timeout`, connecting included. Connections are kept and used again. `done` is called
    // exactly once, from any thread, also before it returns. Failures: `unavailable` ("connect_failed",
    // "timeout", "closed", "certificate_name", "certificate_untrusted", "tls_failed", ...), `malformed`
    // ("not_http", "reply_too_large", ...) and `credentials` ("certificate_refused": the server wants a
    // client certificate, or another). Whatever status a whole HTTP reply has, it is a Reply.
    virtual void send(const std::string& provider, crypto::kms::Request request,
                      std::chrono::milliseconds timeout, Done done) = 0;

    // Runs `task` once after `delay`, from any thread. Not when the transport ends before.
    virtual void after(std::chrono::milliseconds delay, std::function<void()> task) = 0;
};

}  // namespace fieldgate::keys
