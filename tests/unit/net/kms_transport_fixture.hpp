#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <thread>

#include "proxy/net/kms_transport.hpp"
#include "tests/unit/net/identity.hpp"
#include "tests/unit/net/kms_stub.hpp"

namespace fieldgate::net::test {

using namespace std::chrono_literals;

using crypto::kms::Failure;
using crypto::kms::Reply;
using crypto::kms::Request;
using crypto::kms::Result;

// A transport with the provider `aws`, which trusts an authority of the test's; `kms.test` is this machine.
class KmsTransportTest : public ::testing::Test {
 protected:
    KmsTransportTest()
        : directory_(std::filesystem::temp_directory_path() /
                     ("fieldgate-kms-" + std::to_string(::getpid()))),
          authority_(make_identity({.name = "authority", .authority = true}, nullptr)),
          stranger_(make_identity({.name = "stranger", .authority = true}, nullptr)) {
        std::filesystem::create_directory(directory_);
        write_certificate(path("ca.pem"), authority_);
        write_certificate(path("stranger-ca.pem"), stranger_);
        write_identity(path("server.pem"),
                       make_identity({.alternative_names = "DNS:kms.test,IP:127.0.0.1"}, &authority_));
        write_identity(path("client.pem"), make_identity({.name = "fieldgate"}, &authority_), "secret");
        names_.add("kms.test", {"127.0.0.1"});
        aws_.name = "aws";
        aws_.settings = config::AwsKms{};
        aws_.tls.ca_file = path("ca.pem");
    }
    ~KmsTransportTest() override { std::filesystem::remove_all(directory_); }

    std::filesystem::path path(const char* file) const { return directory_ / file; }

    KmsTransport& transport() {
        if (!transport_) transport_.emplace(std::vector{aws_}, options_);
        return *transport_;
    }

    static Request request(std::uint16_t port, std::string target = "/a", bool tls = true,
                           std::string host = "kms.test") {
        const std::string text = "GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n";
        Request request;
        request.endpoint = {std::move(host), port, tls};
        request.bytes =
            crypto::SecretBuffer({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
        return request;
    }

    using Future = std::future<std::string>;
    static std::string outcome_of(const Result<Reply>& reply) {
        if (!reply) {
            const Failure failure = reply.error();
            const char* const kind = failure.kind == Failure::Kind::malformed     ? "malformed "
                                     : failure.kind == Failure::Kind::credentials ? "credentials "
                                                                                  : "";
            return kind + failure.code + ": " + failure.text;
        }
        const auto body = reply->body.expose_secret();
        return std::to_string(reply->status) + " " + std::string(body.begin(), body.end());
    }
    // "200 body", or "code: text".
    Future send(Request request, std::chrono::milliseconds timeout = 5s) {
        const auto promise = std::make_shared<std::promise<std::string>>();
        transport().send("aws", std::move(request), timeout,
                         [promise](const Result<Reply>& reply) { promise->set_value(outcome_of(reply)); });
        return promise->get_future();
    }
    static std::string get(Future future) {
        return future.wait_for(10s) == std::future_status::ready ? future.get() : "(no outcome)";
    }
    std::string ask(Request request, std::chrono::milliseconds timeout = 5s) {
        return get(send(std::move(request), timeout));
    }

    std::filesystem::path directory_;
    Identity authority_;
    Identity stranger_;
    FakeNames names_;
    config::KmsProvider aws_;
    KmsTransportOptions options_;
    std::optional<KmsTransport> transport_;
};

}  // namespace fieldgate::net::test
