#include "proxy/cluster/uri.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace fieldgate::cluster {
namespace {

using namespace std::chrono_literals;

std::string joined(const std::vector<std::string>& problems) {
    std::string text;
    for (const std::string& problem : problems) text += problem + "\n";
    return text;
}

// A directory of this test run, with files whose contents look like PEM.
class PemFiles {
 public:
    PemFiles()
        : directory_(std::filesystem::temp_directory_path() /
                     ("fieldgate-uri-" + std::to_string(::getpid()))) {
        std::filesystem::create_directories(directory_);
    }
    ~PemFiles() { std::filesystem::remove_all(directory_); }
    std::string write(const std::string& name, const std::string& text) const {
        std::ofstream(directory_ / name) << text;
        return (directory_ / name).string();
    }

 private:
    std::filesystem::path directory_;
};

const std::string certificate = "-----BEGIN CERTIFICATE-----\n";
const std::string private_key = "-----BEGIN EC PRIVATE KEY-----\n";

TEST(CheckUri, finds_nothing_wrong_with_sound_strings) {
    const PemFiles files;
    const std::string ca = files.write("ca.pem", certificate);
    const std::string key = files.write("key.pem", private_key + certificate);
    for (const std::string& uri : std::vector<std::string>{
             "mongodb://db1",
             "mongodb://db1:27017,db2:27018/?replicaSet=rs0",
             "mongodb://user:p%40ss@db1/admin?authSource=admin&authMechanism=SCRAM-SHA-256",
             "mongodb://user:x@db1/?authMechanism=scram-sha-1",
             "mongodb://user:x@db1/?authMechanism=PLAIN&authSource=$external",
             "mongodb://[::1]:27017/?directConnection=true",
             "mongodb://%2Ftmp%2Fmongodb.sock/",
             "mongodb://db1/?tls=true&tlsCAFile=" + ca + "&tlsCertificateKeyFile=" + key +
                 "&tlsCertificateKeyFilePassword=x&connectTimeoutMS=1&socketTimeoutMS=2",
             "mongodb://db1/?tls=true&tlsAllowInvalidCertificates=true&tlsAllowInvalidHostnames=true",
             "mongodb+srv://cluster.example.invalid/",
         }) {
        EXPECT_EQ(joined(check_uri(uri)), "") << uri;
    }
}

TEST(CheckUri, reports_what_libmongoc_would_refuse_or_only_log) {
    struct Case {
        const char* uri;
        const char* expected;
    };
    const Case cases[] = {
        {"http://db1", "Invalid URI Schema"},
        {"", "Invalid URI Schema"},
        {"mongodb://", "Invalid host"},
        {"mongodb://db1:70000/", "Port could not be parsed"},
        {"mongodb://db1/?replicaset", "replicaset"},
        {"mongodb://db1/?foo=1", "Unsupported URI option \"foo\""},
        {"mongodb://db1/?connectTimeoutMS=abc", "connecttimeoutms"},
        {"mongodb://db1/?tls=true&ssl=false", "conflicts"},
        {"mongodb://db1/?replicaSet=a&replicaSet=b",
         "Overwriting previously provided value for 'replicaSet'"},
        {"mongodb://db1/?compressors=nope", "Unsupported compressor"},
        {"mongodb://a,b/?directConnection=true", "Multiple seeds not allowed"},
        {"mongodb://db1/?loadBalanced=true", "loadBalanced=true is not supported"},
        {"mongodb://u:p@db1/?authMechanism=NOPE",
         "authMechanism=NOPE is not supported: SCRAM-SHA-256, SCRAM-SHA-1, MONGODB-X509, MONGODB-AWS, PLAIN, "
         "GSSAPI are"},
        {"mongodb://u:p@db1/?authMechanism=MONGODB-OIDC", "authMechanism=MONGODB-OIDC is not supported"},
        {"mongodb://db1/?tls=true&tlsDisableOCSPEndpointCheck=true",
         "tlsDisableOCSPEndpointCheck is not supported"},
        {"mongodb://db1/?tls=true&tlsDisableCertificateRevocationCheck=true",
         "tlsDisableCertificateRevocationCheck is not supported"},
    };
    for (const Case& c : cases) {
        EXPECT_NE(joined(check_uri(c.uri)).find(c.expected), std::string::npos) << c.uri << "\n"
                                                                                << joined(check_uri(c.uri));
    }
}

TEST(CheckUri, opens_the_tls_files) {
    const PemFiles files;
    const auto problems = [](const std::string& option, const std::string& path) {
        return joined(check_uri("mongodb://db1/?tls=true&" + option + "=" + path));
    };
    EXPECT_NE(
        problems("tlsCAFile", "/nonexistent/ca.pem").find("tlsCAFile: /nonexistent/ca.pem: No such file"),
        std::string::npos);
    EXPECT_NE(problems("tlsCertificateKeyFile", "/nonexistent/k.pem").find("No such file"),
              std::string::npos);
    EXPECT_NE(problems("tlsCAFile", files.write("empty.pem", "")).find("holds no PEM block of a CERTIFICATE"),
              std::string::npos);
    EXPECT_NE(problems("tlsCertificateKeyFile", files.write("half.pem", certificate))
                  .find("holds no PEM block of a PRIVATE KEY"),
              std::string::npos);
    EXPECT_NE(problems("tlsCertificateKeyFile", files.write("other.pem", private_key))
                  .find("holds no PEM block of a CERTIFICATE"),
              std::string::npos);
}

TEST(CheckUri, never_repeats_a_secret) {
    for (const char* uri : {
             "mongodb://user:hunter2secret%zz@db1/",
             "mongodb://user:hunter2secret@@db1:bad/",
             "mongodb://user:hunter2secret@db1/"
             "?tlsCertificateKeyFilePassword=hunter2secret&foo=hunter2secret",
             "mongodb://user:hunter2secret@db1/?hunter2secret=1",
         }) {
        const std::string problems = joined(check_uri(uri));
        EXPECT_NE(problems, "") << uri;
        EXPECT_EQ(problems.find("hunter2secret"), std::string::npos) << problems;
    }
}

TEST(WithoutSecrets, replaces_passwords_as_written_and_as_meant) {
    const std::string uri = "mongodb://u:a%2Fb@db1/?authMechanismProperties=AWS_SESSION_TOKEN:tok";
    EXPECT_EQ(without_secrets("x a%2Fb y a/b z", uri), "x *** y *** z");
    EXPECT_EQ(without_secrets("AWS_SESSION_TOKEN:tok", uri), "***");
    EXPECT_EQ(without_secrets("db1 says no", uri), "db1 says no");
    EXPECT_EQ(without_secrets("\x1B[2Jsays\nn\xC3\xB6\x7F", uri), "?[2Jsays?n\xC3\xB6?");
}

TEST(SocketOptions, are_those_of_the_connection_string) {
    const SocketOptions options = socket_options(
        "mongodb://db1:1,[::1]:2/?tls=true&tlsCAFile=/ca&tlsCertificateKeyFile=/"
        "key&tlsCertificateKeyFilePassword=pw"
        "&tlsAllowInvalidHostnames=true&connectTimeoutMS=1500&socketTimeoutMS=2500");
    EXPECT_EQ(options.hosts, (std::vector<HostPort>{{"db1", 1}, {"::1", 2}}));
    EXPECT_TRUE(options.tls);
    EXPECT_EQ(options.ca_file, "/ca");
    EXPECT_EQ(options.certificate_key_file, "/key");
    EXPECT_EQ(options.certificate_key_file_password, "pw");
    EXPECT_FALSE(options.allow_invalid_certificates);
    EXPECT_TRUE(options.allow_invalid_hostnames);
    EXPECT_EQ(options.connect_timeout, 1500ms);
    EXPECT_EQ(options.socket_timeout, 2500ms);
}

TEST(SocketOptions, verify_everything_unless_told_otherwise) {
    const SocketOptions plain = socket_options("mongodb://db1");
    EXPECT_FALSE(plain.tls);
    EXPECT_EQ(plain.connect_timeout, 10000ms);
    EXPECT_EQ(plain.socket_timeout, std::nullopt);
    const SocketOptions tls = socket_options("mongodb://db1/?tls=true");
    EXPECT_FALSE(tls.allow_invalid_certificates);
    EXPECT_FALSE(tls.allow_invalid_hostnames);
    const SocketOptions insecure = socket_options("mongodb://db1/?tls=true&tlsInsecure=true");
    EXPECT_TRUE(insecure.allow_invalid_certificates);
    EXPECT_TRUE(insecure.allow_invalid_hostnames);
}

TEST(SocketOptions, any_tls_option_turns_tls_on) {
    EXPECT_TRUE(socket_options("mongodb://db1/?tlsCAFile=/ca").tls);
    EXPECT_TRUE(socket_options("mongodb://db1/?ssl=true").tls);
    EXPECT_TRUE(socket_options("mongodb+srv://cluster.example.invalid/").tls);
}

TEST(SocketOptions, refuse_what_cannot_be_parsed) {
    EXPECT_THROW(socket_options("nonsense"), std::runtime_error);
}

TEST(HostPort, is_written_as_in_connection_strings) {
    EXPECT_EQ((HostPort{"db1", 27017}.text()), "db1:27017");
    EXPECT_EQ((HostPort{"::1", 27017}.text()), "[::1]:27017");
    EXPECT_EQ((HostPort{"/tmp/mongodb.sock", 0}.text()), "/tmp/mongodb.sock");
}

TEST(HasCredentials, tells_a_user_from_none) {
    EXPECT_FALSE(has_credentials("mongodb://db1"));
    EXPECT_TRUE(has_credentials("mongodb://u:p@db1"));
    EXPECT_TRUE(has_credentials("mongodb://db1/?authMechanism=MONGODB-X509"));
}

}  // namespace
}  // namespace fieldgate::cluster
