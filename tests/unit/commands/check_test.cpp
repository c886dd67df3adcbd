#include <gtest/gtest.h>

#include <chrono>
#include <future>

#include "crypto/key_material.hpp"
#include "crypto/key_wrap.hpp"
#include "crypto/random.hpp"
#include "proxy/keys/key_document.hpp"
#include "tests/unit/cluster/scripted_server.hpp"
#include "tests/unit/commands/key_vault_stand.hpp"
#include "tests/unit/commands/support.hpp"

namespace fieldgate::commands {
namespace {

using cluster::testing::cursor_reply;
using cluster::testing::error_reply;
using cluster::testing::ScriptedServer;
using cluster::testing::standalone;
using testing::Initialised;
using testing::PlayedKms;
using testing::Printed;
using testing::replace_in;
using testing::VaultStand;
using testing::write_file;

bool says(const std::ostringstream& stream, const std::string& text) {
    return stream.str().find(text) != std::string::npos;
}

OpenKeyManagers played() {
    return [](const config::Config&) { return std::make_unique<PlayedKms>(); };
}

// A key that fits the clinic's schema, wrapped under the master key of this provider.
bson::Buffer clinic_key(const std::string& provider = "local") {
    crypto::SystemRandom random;
    keys::KeyDocument key;
    key.id.bytes.fill(7);
    key.alt_names = {"clinic"};
    key.wrapped = PlayedKms::wrapped(provider, crypto::kms::LocalMasterKey{}, *crypto::generate_key(random));
    key.provider = "local";
    return keys::build_key_document(key);
}

TEST(Check, prints_every_problem_with_file_and_line) {
    Initialised clinic;
    replace_in(clinic.file, "role: doctor", "role: docter");
    replace_in(clinic.file, "cache_lifetime: 60s", "cache_lifetimes: 60s");
    Printed printed;
    EXPECT_EQ(check(clinic.file, false, played(), printed.console()), exit_configuration);
    EXPECT_TRUE(says(printed.err, clinic.file.string() + ":")) << printed.err.str();
    EXPECT_TRUE(says(printed.err, "docter")) << printed.err.str();
    EXPECT_TRUE(says(printed.err, "cache_lifetimes")) << printed.err.str();
    EXPECT_TRUE(says(printed.err, "2 problems in")) << printed.err.str();
    EXPECT_EQ(printed.out.str(), "");
}

TEST(Check, asks_libmongoc_about_connection_strings) {
    Initialised clinic;
    clinic.set_upstream("mongodb://db1/?nonsense=1");
    Printed printed;
    EXPECT_EQ(check(clinic.file, false, played(), printed.console()), exit_configuration);
    EXPECT_TRUE(says(printed.err, "Unsupported URI option \"nonsense\"")) << printed.err.str();
}

TEST(Check, names_a_file_that_is_not_there) {
    Printed printed;
    EXPECT_EQ(check("/nonexistent/fieldgate.yaml", false, played(), printed.console()), exit_configuration);
    EXPECT_TRUE(says(printed.err, "/nonexistent/fieldgate.yaml")) << printed.err.str();
}

TEST(Check, refuses_a_missing_or_short_master_key) {
    Initialised missing;
    std::filesystem::remove(missing.directory.path() / "master-key.bin");
    Printed printed;
    EXPECT_EQ(check(missing.file, false, played(), printed.console()), exit_configuration);
    EXPECT_TRUE(says(printed.err, "master-key.bin")) << printed.err.str();

    Initialised shortened;
    write_file(shortened.directory.path() / "master-key.bin", std::string(95, 'x'));
    Printed again;
    EXPECT_EQ(check(shortened.file, false, played(), again.console()), exit_configuration);
    EXPECT_TRUE(says(again.err, "96")) << again.err.str();
}

TEST(Check, reads_certificates_and_keys_as_the_server_does) {
    Initialised clinic;
    const std::filesystem::path pem = clinic.directory.path() / "server.pem";
    write_file(pem, "-----BEGIN CERTIFICATE-----\nbm9uc2Vuc2U=\n-----END CERTIFICATE-----\n");
    replace_in(clinic.file, "role: doctor\n",
               "role: doctor\n    tls: { certificate_key_file: server.pem }\n");
    Printed printed;
    EXPECT_EQ(check(clinic.file, false, played(), printed.console()), exit_configuration);
    EXPECT_TRUE(says(printed.err, "certificate in " + pem.string() + ": ")) << printed.err.str();
    EXPECT_EQ(printed.out.str(), "");
}

TEST(Check, reads_the_upstreams_certificates_as_the_server_does) {
    Initialised clinic;
    const std::filesystem::path pem = clinic.directory.path() / "ca.pem";
    write_file(pem, "-----BEGIN CERTIFICATE-----\nbm9uc2Vuc2U=\n-----END CERTIFICATE-----\n");
    clinic.set_upstream("mongodb://127.0.0.1:27017/?tls=true&tlsCAFile=" + pem.string());
    Printed printed;
    EXPECT_EQ(check(clinic.file, false, played(), printed.console()), exit_configuration);
    EXPECT_TRUE(says(printed.err, "certificate authorities in " + pem.string() + ": ")) << printed.err.str();
}

TEST(Check, says_which_address_names_nothing) {
    Initialised clinic;
    replace_in(clinic.file, "127.0.0.1:27117", "no-such-host.invalid:27117");
    Printed printed;
    EXPECT_EQ(check(clinic.file, false, played(), printed.console()), exit_configuration);
    EXPECT_TRUE(says(printed.err, "cannot listen on no-such-host.invalid:27117: ")) << printed.err.str();
}

TEST(Check, says_what_cannot_be_a_socket) {
    for (const auto& [path, cause] : std::vector<std::pair<std::string, std::string>>{
             {"/tmp", "a file that is not a socket is in the way"},
             {"/no/such/directory/x.sock", "/no/such/directory is no directory"},
             {"/tmp/fieldgate-check-test.sock", ""}}) {
        Initialised clinic;
        replace_in(clinic.file, "127.0.0.1:27117", "unix:" + path);
        Printed printed;
        EXPECT_EQ(check(clinic.file, false, played(), printed.console()),
                  cause.empty() ? exit_ok : exit_configuration)
            << path << "\n"
            << printed.err.str();
        if (!cause.empty()) {
            EXPECT_TRUE(says(printed.err, "cannot listen on unix:" + path + ": " + cause))
                << printed.err.str();
        }
    }
}

TEST(Check, disturbs_no_proxy_that_runs) {
    const ScriptedServer busy(standalone([](bson::DocumentView) { return error_reply(13, "no"); }));
    Initialised clinic;
    replace_in(clinic.file, "127.0.0.1:27117", busy.address());
    Printed printed;
    EXPECT_EQ(check(clinic.file, false, played(), printed.console()), exit_ok) << printed.err.str();
}

TEST(Check, connects_and_finds_the_keys_that_schemas_name) {
    Initialised clinic;
    const bson::Buffer key = clinic_key();
    const ScriptedServer server(
        standalone([&](bson::DocumentView) { return cursor_reply("encryption.__keyVault", {key}); }));
    clinic.set_upstream("mongodb://" + server.address());
    Printed printed;
    EXPECT_EQ(check(clinic.file, true, played(), printed.console()), exit_ok) << printed.err.str();
    for (const char* line :
         {"takes writes", "unwraps what it wraps", "can be read",
          "key named `clinic`: is 07070707-0707-0707-0707-070707070707 and can be unwrapped"}) {
        EXPECT_TRUE(says(printed.out, line)) << line << "\n" << printed.out.str();
    }
}

TEST(Check, says_how_to_create_a_key_that_is_missing) {
    const ScriptedServer server(
        standalone([](bson::DocumentView) { return cursor_reply("encryption.__keyVault", {}); }));
    Initialised clinic;
    clinic.set_upstream("mongodb://" + server.address());
    Printed printed;
    EXPECT_EQ(check(clinic.file, true, played(), printed.console()), exit_configuration);
    EXPECT_TRUE(says(printed.err, "key named `clinic`: is not in encryption.__keyVault ("))
        << printed.err.str();
    EXPECT_TRUE(says(printed.err, "fieldgate keys create -c " + clinic.file.string() + " --alt-name clinic"))
        << printed.err.str();
    EXPECT_TRUE(says(printed.err, "later: restore it from a backup of the key vault")) << printed.err.str();
}

TEST(Check, refuses_a_key_of_another_master_key) {
    const bson::Buffer key = clinic_key("local:other");
    const ScriptedServer server(
        standalone([&](bson::DocumentView) { return cursor_reply("encryption.__keyVault", {key}); }));
    Initialised clinic;
    clinic.set_upstream("mongodb://" + server.address());
    Printed printed;
    EXPECT_EQ(check(clinic.file, true, played(), printed.console()), exit_configuration);
    EXPECT_TRUE(says(printed.err, "HMAC validation failure")) << printed.err.str();
    EXPECT_TRUE(says(printed.err,
                     "give this one a key vault of its own: key_vault.namespace in " + clinic.file.string()))
        << printed.err.str();
}

TEST(Check, reads_key_managers_files_as_the_server_does) {
    Initialised clinic;
    Printed printed;
    const OpenKeyManagers failing = [](const config::Config&) -> std::unique_ptr<KeyManagers> {
        throw std::runtime_error("KMS provider `kmip`: no certificate in x.pem");
    };
    EXPECT_EQ(check(clinic.file, false, failing, printed.console()), exit_configuration);
    EXPECT_TRUE(says(printed.err, "KMS provider `kmip`: no certificate in x.pem")) << printed.err.str();
    EXPECT_EQ(printed.out.str(), "");
}

TEST(Check, tells_an_upstream_that_is_away_from_a_wrong_configuration) {
    Initialised clinic;
    clinic.set_upstream("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200");
    replace_in(clinic.file, "upstream:\n", "upstream:\n  election_wait: 300ms\n");
    Printed printed;
    EXPECT_EQ(check(clinic.file, true, played(), printed.console()), exit_unavailable);
    EXPECT_TRUE(says(printed.err, "FAILED  cluster: no primary within 300 ms")) << printed.err.str();
    EXPECT_TRUE(says(printed.err, "FAILED  key vault encryption.__keyVault: ")) << printed.err.str();
}

TEST(Check, waits_five_seconds_for_a_server_that_is_silent) {
    std::promise<void> end;
    const std::shared_future<void> ended = end.get_future().share();
    Initialised clinic;
    {
        const ScriptedServer server([&](bson::DocumentView) {
            ended.wait();
            return error_reply(13, "too late");
        });
        clinic.set_upstream("mongodb://" + server.address() + "/?connectTimeoutMS=60000");
        Printed printed;
        const auto started = std::chrono::steady_clock::now();
        EXPECT_EQ(check(clinic.file, true, played(), printed.console()), exit_unavailable);
        const auto took = std::chrono::steady_clock::now() - started;
        EXPECT_GE(took, std::chrono::seconds(5));
        EXPECT_LT(took, std::chrono::seconds(8));
        EXPECT_TRUE(says(printed.err, "FAILED  cluster: no primary within 5000 ms: ")) << printed.err.str();
        EXPECT_TRUE(says(printed.err, "FAILED  key vault encryption.__keyVault: not asked"))
            << printed.err.str();
        end.set_value();
    }
}

TEST(Check, waits_not_much_longer_for_a_key_vault_that_is_silent) {
    std::promise<void> end;
    const std::shared_future<void> ended = end.get_future().share();
    {
        const ScriptedServer cluster_server(
            standalone([](bson::DocumentView) { return error_reply(13, "not asked for anything"); }));
        const ScriptedServer vault([&](bson::DocumentView) {
            ended.wait();
            return error_reply(13, "too late");
        });
        Initialised clinic;
        clinic.set_upstream("mongodb://" + cluster_server.address());
        replace_in(clinic.file, "key_vault:\n",
                   "key_vault:\n  uri: mongodb://" + vault.address() +
                       "/?connectTimeoutMS=60000&serverSelectionTimeoutMS=60000\n");
        Printed printed;
        const auto started = std::chrono::steady_clock::now();
        EXPECT_EQ(check(clinic.file, true, played(), printed.console()), exit_unavailable);
        EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds(9));
        EXPECT_TRUE(says(printed.out, "takes writes")) << printed.out.str();
        EXPECT_TRUE(says(printed.err, "FAILED  key vault encryption.__keyVault: ")) << printed.err.str();
        end.set_value();
    }
}

TEST(Check, reports_a_key_vault_that_may_not_be_read) {
    const ScriptedServer server(
        standalone([](bson::DocumentView) { return error_reply(13, "not authorized on encryption"); }));
    Initialised clinic;
    clinic.set_upstream("mongodb://" + server.address());
    Printed printed;
    EXPECT_EQ(check(clinic.file, true, played(), printed.console()), exit_unavailable);
    EXPECT_TRUE(says(printed.err, "not authorized on encryption")) << printed.err.str();
}

}  // namespace
}  // namespace fieldgate::commands
