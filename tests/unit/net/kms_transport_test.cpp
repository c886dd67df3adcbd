#include "tests/unit/net/kms_transport_fixture.hpp"

// TLS: whom the transport talks to.
namespace fieldgate::net {
namespace {

using namespace test;

using testing::AnyOf;
using testing::HasSubstr;
using testing::MatchesRegex;

TEST_F(KmsTransportTest, asks_over_tls_and_names_the_host) {
    std::string name;
    KmsStub server(
        [&](KmsStub::Connection& connection, int number) {
            if (!connection.shake_hands()) return;
            name = connection.server_name();
            if (const auto request = connection.receive()) connection.send(http_reply(*request));
            KmsStub::echo(connection, number);
        },
        path("server.pem"));
    EXPECT_EQ(ask(request(server.port())), "200 GET /a HTTP/1.1\r\nHost: kms.test\r\n\r\n");
    EXPECT_EQ(name, "kms.test");
}

TEST_F(KmsTransportTest, checks_an_address_against_the_certificate_and_does_not_name_it) {
    std::string name = "?";
    KmsStub server(
        [&](KmsStub::Connection& connection, int) {
            if (!connection.shake_hands()) return;
            name = connection.server_name();
            if (connection.receive()) connection.send(http_reply("hello"));
        },
        path("server.pem"));
    EXPECT_EQ(ask(request(server.port(), "/", true, "127.0.0.1")), "200 hello");
    EXPECT_EQ(name, "");
}

TEST_F(KmsTransportTest, refuses_certificates_by_name) {
    struct Case {
        const char* name;
        IdentityOptions identity;
        bool is_strangers;
        const char* host;
        const char* expected;
    };
    const Case cases[] = {
        {"another name",
         {.alternative_names = "DNS:other.test"},
         false,
         "kms.test",
         "certificate_name: the certificate of kms.test:[0-9]+ is not of that name"},
        {"a name above", {.alternative_names = "DNS:test"}, false, "kms.test", "certificate_name: .*"},
        {"a wildcard of another domain",
         {.alternative_names = "DNS:*.kms.test"},
         false,
         "kms.test",
         "certificate_name: .*"},
        {"another address",
         {.alternative_names = "DNS:kms.test,IP:127.0.0.2"},
         false,
         "127.0.0.1",
         "certificate_name: .*"},
        {"an address as a name",
         {.alternative_names = "DNS:127.0.0.1"},
         false,
         "127.0.0.1",
         "certificate_name: .*"},
        {"an unknown authority",
         {.alternative_names = "DNS:kms.test"},
         true,
         "kms.test",
         "certificate_untrusted: the certificate of kms.test:[0-9]+ is not trusted: .*"},
        {"expired",
         {.alternative_names = "DNS:kms.test", .expired = true},
         false,
         "kms.test",
         "certificate_expired: the certificate of kms.test:[0-9]+ is not valid now: .*"},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.name);
        write_identity(path("wrong.pem"),
                       make_identity(c.identity, c.is_strangers ? &stranger_ : &authority_));
        bool was_asked = false;
        {
            KmsStub server(
                [&](KmsStub::Connection& connection, int) {
                    connection.shake_hands();
                    was_asked = connection.receive().has_value();
                },
                path("wrong.pem"));
            EXPECT_THAT(ask(request(server.port(), "/", true, c.host)), MatchesRegex(c.expected));
        }  // and the connection's thread has ended
        EXPECT_FALSE(was_asked);
    }
}

TEST_F(KmsTransportTest, accepts_a_wildcard_of_the_domain) {
    write_identity(path("server.pem"), make_identity({.alternative_names = "DNS:*.kms.test"}, &authority_));
    names_.add("eu.kms.test", {"127.0.0.1"});
    KmsStub server(&KmsStub::echo, path("server.pem"));
    EXPECT_EQ(ask(request(server.port(), "/a", true, "eu.kms.test")), "200 /a");
}

TEST_F(KmsTransportTest, trusts_the_systems_authorities_without_a_file) {
    aws_.tls.ca_file.clear();
    KmsStub server(&KmsStub::echo, path("server.pem"));
    EXPECT_THAT(ask(request(server.port())), HasSubstr("certificate_untrusted: "));
}

TEST_F(KmsTransportTest, speaks_no_tls_before_1_2) {
    KmsStub old(&KmsStub::echo, path("server.pem"), {}, TLS1_1_VERSION);
    EXPECT_THAT(ask(request(old.port())), HasSubstr("tls_failed: TLS with kms.test:"));
    KmsStub current(&KmsStub::echo, path("server.pem"), {}, TLS1_2_VERSION);
    EXPECT_EQ(ask(request(current.port())), "200 /a");
}

TEST_F(KmsTransportTest, says_that_the_other_side_speaks_no_tls) {
    KmsStub plain([](KmsStub::Connection& connection, int) { connection.send("HTTP/1.1 400 Bad\r\n\r\n"); });
    EXPECT_THAT(ask(request(plain.port())), HasSubstr("tls_failed: TLS with kms.test:"));
}

TEST_F(KmsTransportTest, is_plain_where_the_endpoint_says_so) {
    KmsStub server(&KmsStub::echo);
    EXPECT_EQ(ask(request(server.port(), "/plain", false)), "200 /plain");
}

TEST_F(KmsTransportTest, presents_its_certificate) {
    aws_.tls.certificate_key_file = path("client.pem");
    aws_.tls.certificate_key_file_password = "secret";
    KmsStub server(
        [](KmsStub::Connection& connection, int) {
            if (!connection.shake_hands() || !connection.receive()) return;
            connection.send(http_reply(connection.client_name()));
        },
        path("server.pem"), path("ca.pem"));
    EXPECT_EQ(ask(request(server.port())), "200 fieldgate");
}

// With TLS 1.3 the server says so after our side of the handshake, and what we write may find the connection
// closed: the alert is read all the same, however the two race.
TEST_F(KmsTransportTest, says_that_its_certificate_is_missing_or_not_taken) {
    constexpr int rounds = 20;
    for (const bool has_certificate : {false, true}) {
        if (has_certificate) {
            write_identity(path("other.pem"), make_identity({.name = "fieldgate"}, &stranger_), nullptr);
            aws_.tls.certificate_key_file = path("other.pem");
            transport_.reset();
        }
        KmsStub server(&KmsStub::echo, path("server.pem"), path("ca.pem"));
        for (int i = 0; i < rounds; ++i) {
            EXPECT_THAT(
                ask(request(server.port())),
                MatchesRegex("credentials certificate_refused: kms.test:[0-9]+ does not take fieldgate's "
                             "certificate \\(tls.certificate_key_file\\): .*" +
                             std::string(has_certificate ? "unknown ca" : "certificate required")));
        }
    }
}

TEST_F(KmsTransportTest, names_provider_and_file_of_what_cannot_be_read) {
    struct Case {
        config::KmsTls tls;
        const char* file;
    };
    for (const Case& c : {Case{{path("absent.pem"), {}, {}}, "absent.pem"},
                          Case{{path("ca.pem"), path("ca.pem"), {}}, "ca.pem"},
                          Case{{{}, path("client.pem"), "wrong"}, "client.pem"}}) {
        SCOPED_TRACE(c.file);
        aws_.name = "aws:eu";
        aws_.tls = c.tls;
        try {
            const KmsTransport transport({aws_});
            ADD_FAILURE() << "accepted";
        } catch (const std::runtime_error& error) {
            EXPECT_THAT(error.what(), HasSubstr("KMS provider `aws:eu`: "));
            EXPECT_THAT(error.what(), HasSubstr(c.file));
        }
    }
}

TEST_F(KmsTransportTest, refuses_tls_for_a_provider_it_does_not_know) {
    KmsStub server(&KmsStub::echo, path("server.pem"));
    std::promise<std::string> outcome;
    transport().send("gcp", request(server.port()), 5s,
                     [&](const Result<Reply>& reply) { outcome.set_value(outcome_of(reply)); });
    EXPECT_THAT(get(outcome.get_future()), HasSubstr("not_configured: "));
    EXPECT_EQ(server.accepted(), 0);
}

}  // namespace
}  // namespace fieldgate::net
