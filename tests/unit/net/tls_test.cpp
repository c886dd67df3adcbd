#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "tests/unit/net/identity.hpp"
#include "tests/unit/net/support.hpp"

namespace fieldgate::net {
namespace {

using namespace test;

using testing::AnyOf;
using testing::EndsWith;

// The alert may be overtaken by the reset of a connection that is closed with unread bytes.
const auto cut_off = AnyOf(EndsWith("Connection reset by peer"), EndsWith("Broken pipe"));

// client -> proxy -> TLS -> gate -> upstream: one fieldgate's upstream side against another one's listener.
class Tls : public testing::Test {
 protected:
    Tls()
        : directory_(std::filesystem::temp_directory_path() /
                     ("fieldgate-tls-" + std::to_string(::getpid()))),
          authority_(make_identity({.name = "authority", .authority = true}, nullptr)),
          stranger_(make_identity({.name = "stranger", .authority = true}, nullptr)),
          upstream_([](Peer& peer) {
              while (const auto request = peer.receive()) {
                  const std::string text = payload_of(*request);
                  if (!peer.send(message(5, 1, text == "hello" ? "primary" : "reply to " + text))) return;
              }
          }),
          gate_(&upstream_) {
        std::filesystem::create_directory(directory_);
        write_certificate(path("ca.pem"), authority_);
        write_certificate(path("stranger-ca.pem"), stranger_);
        gate_.config.listeners.front().tls.emplace();
        proxy_.config.upstream.election_wait = std::chrono::milliseconds(50);
        proxy_.upstream_options.tls = UpstreamTls{};
        proxy_.upstream_options.tls->ca_file = path("ca.pem");
        serve_as({.alternative_names = "DNS:localhost,IP:127.0.0.1"});
    }
    ~Tls() override { std::filesystem::remove_all(directory_); }

    std::string path(const std::string& file) const { return (directory_ / file).string(); }

    void write_identity(const std::string& file, const Identity& identity, const char* password = nullptr) {
        test::write_identity(path(file), identity, password);
    }

    void serve_as(const IdentityOptions& options, const Identity* issuer = nullptr) {
        write_identity("server.pem", make_identity(options, issuer != nullptr ? issuer : &authority_));
        gate_.config.listeners.front().tls->certificate_key_file = path("server.pem");
    }

    void require_client_certificate() {
        auto& tls = *gate_.config.listeners.front().tls;
        tls.client_certificate = config::TlsServer::ClientCertificate::required;
        tls.ca_file = path("ca.pem");
    }

    void start(const std::string& host = "localhost") {
        gate_.start();
        proxy_.services.find_primary = [this, host](std::chrono::milliseconds, auto done) {
            done(HostPort{host, gate_.port()}, "");
        };
        proxy_.start();
    }

    std::string ask() {
        Peer client = proxy_.connect();
        EXPECT_TRUE(client.send("S"));
        return client.receive_text();
    }

    // Why the upstream was not to be had: who watches the members is told, the client is not.
    std::string refusal() {
        const std::string told = ask();
        if (told != "unavailable: the primary cannot be reached" || proxy_.reports().empty()) return told;
        const std::string text = proxy_.reports().front();
        const std::size_t at = text.find("TLS: ");
        return at == std::string::npos ? text : text.substr(at);
    }

    std::filesystem::path directory_;
    Identity authority_;
    Identity stranger_;
    StubServer upstream_;
    RunningServer gate_;
    RunningServer proxy_;
};

TEST_F(Tls, carries_messages_of_every_size_both_ways) {
    start();
    Peer client = proxy_.connect();
    for (const std::size_t size : {1u, 4075u, 16000u, 16384u, 65536u, 300000u, 3000000u}) {
        for (const char letter : {'S', 'C'}) {
            SCOPED_TRACE(std::string(1, letter) + " " + std::to_string(size));
            std::string text(size, letter);
            for (std::size_t i = 1; i < text.size(); ++i) text[i] = static_cast<char>('a' + i % 23);
            ASSERT_TRUE(client.send(text));
            EXPECT_TRUE(client.receive_text() == "reply to " + text);
        }
    }
}

TEST_F(Tls, passes_a_dead_upstream_on_through_both) {
    start();
    Peer client = proxy_.connect();
    ASSERT_TRUE(client.send("S"));
    EXPECT_EQ(client.receive_text(), "reply to S");
    gate_.server().stop();
    EXPECT_TRUE(client.sees_end());
}

TEST_F(Tls, checks_an_address_against_the_certificate) {
    start("127.0.0.1");
    EXPECT_EQ(ask(), "reply to S");
}

TEST_F(Tls, refuses_a_certificate_for_another_name) {
    serve_as({.alternative_names = "DNS:db.example"});
    start();
    EXPECT_EQ(refusal(), "TLS: hostname mismatch");
}

TEST_F(Tls, refuses_a_certificate_for_another_address) {
    serve_as({.alternative_names = "DNS:localhost,IP:127.0.0.2"});
    start("127.0.0.1");
    EXPECT_EQ(refusal(), "TLS: IP address mismatch");
}

TEST_F(Tls, takes_another_name_only_if_told_to) {
    serve_as({.alternative_names = "DNS:db.example"});
    proxy_.upstream_options.tls->allow_invalid_hostnames = true;
    start();
    EXPECT_EQ(ask(), "reply to S");
}

TEST_F(Tls, refuses_an_unknown_authority_even_with_any_name) {
    serve_as({.alternative_names = "DNS:localhost"}, &stranger_);
    proxy_.upstream_options.tls->allow_invalid_hostnames = true;
    start();
    EXPECT_EQ(refusal(), "TLS: unable to get local issuer certificate");
}

TEST_F(Tls, refuses_an_expired_certificate) {
    serve_as({.alternative_names = "DNS:localhost", .expired = true});
    start();
    EXPECT_EQ(refusal(), "TLS: certificate has expired");
}

TEST_F(Tls, takes_any_certificate_only_if_told_to) {
    serve_as({.alternative_names = "DNS:db.example", .expired = true}, &stranger_);
    proxy_.upstream_options.tls->allow_invalid_certificates = true;
    proxy_.upstream_options.tls->allow_invalid_hostnames = true;
    start();
    EXPECT_EQ(ask(), "reply to S");
}

TEST_F(Tls, asks_clients_for_certificates) {
    require_client_certificate();
    write_identity("client.pem", make_identity({.name = "client"}, &authority_), "secret");
    proxy_.upstream_options.tls->certificate_key_file = path("client.pem");
    proxy_.upstream_options.tls->certificate_key_password = "secret";
    start();
    EXPECT_EQ(ask(), "reply to S");
}

TEST_F(Tls, refuses_clients_without_a_certificate) {
    require_client_certificate();
    start();
    // TLS 1.3 tells the client after its handshake, with the first bytes it reads.
    EXPECT_THAT(refusal(), AnyOf("TLS: tlsv13 alert certificate required", cut_off));
    EXPECT_TRUE(gate_.eventually([](const Statistics& s) { return s.protocol_errors >= 1; }));
}

TEST_F(Tls, refuses_clients_with_a_certificate_of_another_authority) {
    require_client_certificate();
    write_identity("client.pem", make_identity({.name = "client"}, &stranger_));
    proxy_.upstream_options.tls->certificate_key_file = path("client.pem");
    start();
    EXPECT_THAT(refusal(), AnyOf("TLS: tlsv1 alert unknown ca", cut_off));
}

TEST_F(Tls, closes_clients_that_do_not_speak_it_or_say_nothing) {
    gate_.options.handshake_timeout = std::chrono::milliseconds(100);
    start();
    EXPECT_EQ(ask(), "reply to S");
    Peer plain = gate_.connect();
    ASSERT_TRUE(plain.send("S"));
    wire::Buffer alert(100);
    while (::read(plain.descriptor(), alert.data(), alert.size()) > 0) {
    }
    Peer silent = gate_.connect();
    EXPECT_TRUE(silent.sees_end());
    EXPECT_EQ(ask(), "reply to S");
    EXPECT_EQ(upstream_.accepted(), 2);
}

TEST_F(Tls, refuses_a_plain_upstream) {
    proxy_.services.find_primary = [this](std::chrono::milliseconds, auto done) {
        done(upstream_.address(), "");
    };
    proxy_.upstream_options.connect_timeout = std::chrono::milliseconds(200);
    proxy_.start();
    EXPECT_EQ(ask(), "unavailable: the primary cannot be reached");
    ASSERT_FALSE(proxy_.reports().empty());
    EXPECT_NE(proxy_.reports().front().find("cannot connect to " + upstream_.address().text()),
              std::string::npos);
}

TEST_F(Tls, names_the_file_that_cannot_be_used) {
    const auto message_of = [](RunningServer& server) {
        try {
            server.start();
        } catch (const std::runtime_error& error) {
            return std::string(error.what());
        }
        return std::string("it starts");
    };
    gate_.config.listeners.front().tls->certificate_key_file = path("missing.pem");
    EXPECT_NE(message_of(gate_).find("missing.pem"), std::string::npos);
    gate_.config.listeners.front().tls->certificate_key_file = path("ca.pem");  // no key in it
    EXPECT_NE(message_of(gate_).find("private key in " + path("ca.pem")), std::string::npos);
    proxy_.upstream_options.tls->ca_file = path("missing-ca.pem");
    EXPECT_NE(message_of(proxy_).find("missing-ca.pem"), std::string::npos);
    write_identity("client.pem", make_identity({.name = "client"}, &authority_), "secret");
    proxy_.upstream_options.tls->ca_file = path("ca.pem");
    proxy_.upstream_options.tls->certificate_key_file = path("client.pem");
    proxy_.upstream_options.tls->certificate_key_password = "wrong";
    EXPECT_NE(message_of(proxy_).find("private key in " + path("client.pem")), std::string::npos);
}

}  // namespace
}  // namespace fieldgate::net
