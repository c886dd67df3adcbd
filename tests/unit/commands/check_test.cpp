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
    EXPECT_TRUE(says(printed.err, "not all keys requested were satisfied")) << printed.err.str();
    EXPECT_TRUE(says(printed.err, "fieldgate keys create -c " + clinic.file.string() + " --alt-name clinic"))
        << printed.err.str();
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

constexpr const char* aws_static =
    "  \"aws:eu\": { access_key_id: a, secret_access_key: s }\n  \"aws:us\": { access_key_id: a, "
    "secret_access_key: s }\n";

// Of patients, say. Whoever replaces a master key's file is to hear of it before the patients do.
TEST(Check, tries_keys_that_no_schema_names) {
    VaultStand vault;
    vault.add_providers(aws_static);
    vault.add(7, {"clinic"});
    vault.add(8, {"patient-1"}, "aws:eu", crypto::kms::AwsMasterKey{"r", "one", ""});
    Printed sound;
    EXPECT_EQ(check(vault.clinic.file, true, vault.open_kms(), sound.console()), exit_ok) << sound.err.str();
    EXPECT_TRUE(says(sound.out, "KMS provider `local`: unwraps keys of the key vault (tried: 1)\n"))
        << sound.out.str();
    EXPECT_TRUE(says(sound.out, "KMS provider `aws:eu`: unwraps keys of the key vault (tried: 1)\n"))
        << sound.out.str();

    for (std::uint8_t i = 0; i < 7; ++i) {
        keys::KeyDocument lost;
        lost.id.bytes.fill(i + 20);
        lost.wrapped = PlayedKms::wrapped("local:lost", crypto::kms::LocalMasterKey{}, testing::secret_of(9));
        lost.provider = "local";
        vault.documents.push_back(keys::build_key_document(lost));
    }
    Printed printed;
    EXPECT_EQ(check(vault.clinic.file, true, vault.open_kms(), printed.console()), exit_configuration);
    for (const char* line : {"FAILED  key 14141414-1414-1414-1414-141414141414: KMS provider `local`: HMAC",
                             "FAILED  key 18181818-1818-1818-1818-181818181818: KMS provider `local`: HMAC",
                             "(it was made with another master key"}) {
        EXPECT_TRUE(says(printed.err, line)) << line << "\n" << printed.err.str();
    }
    EXPECT_FALSE(says(printed.err, "19191919-1919")) << "five of them: " << printed.err.str();
    EXPECT_FALSE(says(printed.out, "`local`: unwraps keys")) << printed.out.str();
    EXPECT_TRUE(says(printed.out, "`aws:eu`: unwraps keys")) << printed.out.str();
}

// It would be waited for once more for each of its keys.
TEST(Check, tries_no_keys_of_a_provider_that_does_not_work) {
    VaultStand vault;
    vault.add(7, {"patient-1"});
    vault.kms.fail = [](const std::string& call, int) -> std::optional<PlayedKms::Failure> {
        if (call != "wrap") return std::nullopt;
        return PlayedKms::failure("timeout", "local", "no answer", PlayedKms::Failure::Kind::unavailable);
    };
    Printed printed;
    EXPECT_EQ(check(vault.clinic.file, true, vault.open_kms(), printed.console()), exit_configuration);
    EXPECT_EQ(vault.kms.calls["unwrap"], 0);
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

TEST(Check, proves_each_provider_with_the_master_keys_that_documents_name) {
    VaultStand vault;
    vault.add_providers(aws_static);
    vault.add(7, {"clinic"});
    vault.add(8, {}, "aws:eu", crypto::kms::AwsMasterKey{"r", "one", ""});
    vault.add(9, {}, "aws:eu", crypto::kms::AwsMasterKey{"r", "one", ""});
    vault.add(10, {}, "aws:eu", crypto::kms::AwsMasterKey{"r", "two", ""});
    Printed printed;
    EXPECT_EQ(check(vault.clinic.file, true, vault.open_kms(), printed.console()), exit_ok)
        << printed.err.str();
    for (const char* line : {"KMS provider `aws:eu`: unwraps what it wraps under r one",
                             "KMS provider `aws:eu`: unwraps what it wraps under r two",
                             "KMS provider `aws:us`: no key in the key vault uses it yet; there was nothing "
                             "to try it with",
                             "KMS provider `local`: unwraps what it wraps\n"}) {
        EXPECT_TRUE(says(printed.out, line)) << line << "\n" << printed.out.str();
    }
    EXPECT_EQ(vault.kms.calls["wrap aws:eu"], 2);
    EXPECT_FALSE(vault.wrote());
}

TEST(Check, tries_no_more_than_five_master_keys_of_a_provider) {
    VaultStand vault;
    vault.add_providers(aws_static);
    vault.add(7, {"clinic"});
    for (std::uint8_t i = 0; i < 8; ++i)
        vault.add(i + 20, {}, "aws:eu",
                  crypto::kms::AwsMasterKey{"r", std::string(1, static_cast<char>('a' + i)), ""});
    Printed printed;
    EXPECT_EQ(check(vault.clinic.file, true, vault.open_kms(), printed.console()), exit_ok);
    EXPECT_EQ(vault.kms.calls["wrap aws:eu"], 5);
}

constexpr const char* aws_with_list =
    "  \"aws:eu\":\n    access_key_id: a\n    secret_access_key: s\n    master_keys:\n"
    "      - { region: r, key: one }\n      - { region: r, key: two }\n";

TEST(Check, proves_each_master_key_that_is_listed) {
    VaultStand vault;
    vault.add_providers(aws_with_list);
    vault.add(7, {"clinic"});
    vault.add(8, {}, "aws:eu", crypto::kms::AwsMasterKey{"r", "one", ""});
    Printed printed;
    EXPECT_EQ(check(vault.clinic.file, true, vault.open_kms(), printed.console()), exit_ok)
        << printed.err.str();
    for (const char* line : {"KMS provider `aws:eu`: unwraps what it wraps under r one\n",
                             "KMS provider `aws:eu`: unwraps what it wraps under r two\n"}) {
        EXPECT_TRUE(says(printed.out, line)) << line << "\n" << printed.out.str();
    }
    EXPECT_EQ(vault.kms.calls["wrap aws:eu"], 2);

    vault.kms.fail = [](const std::string& call, int number) -> std::optional<PlayedKms::Failure> {
        if (call != "wrap" || number != 4) return std::nullopt;
        return PlayedKms::failure("NotFoundException", "aws:eu", "no such key");
    };
    Printed again;
    EXPECT_EQ(check(vault.clinic.file, true, vault.open_kms(), again.console()), exit_unavailable);
    EXPECT_TRUE(says(again.err, "FAILED  KMS provider `aws:eu`: no such key under r ")) << again.err.str();
}

TEST(Check, proves_every_one_of_a_long_list_and_needs_no_key_vault_for_it) {
    VaultStand vault;
    std::string list;
    for (int i = 0; i < 8; ++i) list += "      - { keyName: k" + std::to_string(i) + " }\n";
    vault.add_providers("  vault:\n    address: \"https://v\"\n    token: t\n    master_keys:\n" + list);
    vault.before = [](bson::DocumentView command) -> std::optional<bson::Buffer> {
        if (!command.find("find")) return std::nullopt;
        return error_reply(13, "not authorized on encryption");
    };
    Printed printed;
    EXPECT_EQ(check(vault.clinic.file, true, vault.open_kms(), printed.console()), exit_unavailable);
    EXPECT_EQ(vault.kms.calls["wrap vault"], 8);
    EXPECT_EQ(vault.kms.calls["login vault"], 0);
    EXPECT_TRUE(says(printed.out, "KMS provider `vault`: unwraps what it wraps under transit/k7\n"))
        << printed.out.str();
}

TEST(Check, names_keys_whose_master_key_is_not_listed) {
    VaultStand vault;
    vault.add_providers(aws_with_list);
    vault.add(7, {"clinic"});
    vault.add(8, {"planted"}, "aws:eu", crypto::kms::AwsMasterKey{"r", "three", ""});
    vault.add(9, {"again"}, "aws:eu", crypto::kms::AwsMasterKey{"r", "three", ""});
    for (std::uint8_t i = 0; i < 8; ++i)
        vault.add(i + 20, {}, "aws:eu",
                  crypto::kms::AwsMasterKey{"r", std::string(1, static_cast<char>('a' + i)), ""});
    Printed printed;
    EXPECT_EQ(check(vault.clinic.file, true, vault.open_kms(), printed.console()), exit_configuration);
    EXPECT_TRUE(
        says(printed.err,
             "FAILED  key `planted` (08080808-0808-0808-0808-080808080808): KMS provider `aws:eu`: the "
             "master key 'r three' is not one of kms_providers.aws:eu.master_keys; its key is another "
             "than that of the entry most like it. Add it there if fieldgate may use it\n"))
        << printed.err.str();
    EXPECT_FALSE(says(printed.err, "`again`")) << "once for each master key";
    EXPECT_TRUE(says(printed.err, "'r d'")) << printed.err.str();
    EXPECT_FALSE(says(printed.err, "'r e'")) << "five of them";
    EXPECT_EQ(vault.kms.calls["wrap aws:eu"], 2) << "only those that are listed are asked about";
    EXPECT_TRUE(says(printed.out, "unwraps what it wraps under r one\n")) << printed.out.str();
}

TEST(Check, logs_in_where_there_is_no_master_key_to_try) {
    VaultStand vault;
    vault.add_providers("  aws: {}\n  vault: { address: \"https://v\", token: t }\n");
    vault.add(7, {"clinic"});
    Printed printed;
    EXPECT_EQ(check(vault.clinic.file, true, vault.open_kms(), printed.console()), exit_ok)
        << printed.err.str();
    for (const char* provider : {"aws", "vault"}) {
        EXPECT_TRUE(says(printed.out, std::string("KMS provider `") + provider +
                                          "`: no key in the key vault uses it yet; its credentials were "
                                          "proved by login only"))
            << printed.out.str();
        EXPECT_EQ(vault.kms.calls[std::string("login ") + provider], 1);
    }

    vault.kms.fail = [](const std::string& call, int) -> std::optional<PlayedKms::Failure> {
        if (call != "login") return std::nullopt;
        return PlayedKms::failure("no", "vault", "refuses", PlayedKms::Failure::Kind::credentials);
    };
    Printed again;
    EXPECT_EQ(check(vault.clinic.file, true, vault.open_kms(), again.console()), exit_unavailable);
    EXPECT_TRUE(says(again.err, "FAILED  KMS provider `vault`: refuses")) << again.err.str();
}

TEST(Check, says_which_provider_does_not_work) {
    VaultStand vault;
    vault.add(7, {"clinic"});
    vault.kms.fail = [](const std::string& call, int) -> std::optional<PlayedKms::Failure> {
        if (call != "wrap") return std::nullopt;
        return PlayedKms::failure("timeout", "local", "no answer", PlayedKms::Failure::Kind::unavailable);
    };
    Printed printed;
    EXPECT_EQ(check(vault.clinic.file, true, vault.open_kms(), printed.console()), exit_unavailable);
    EXPECT_TRUE(says(printed.err, "FAILED  KMS provider `local`: no answer")) << printed.err.str();

    VaultStand liar;
    liar.add(7, {"clinic"});
    liar.kms.lie = true;
    Printed again;
    EXPECT_EQ(check(liar.clinic.file, true, liar.open_kms(), again.console()), exit_unavailable);
    EXPECT_TRUE(says(again.err, "unwraps to another key than it wrapped")) << again.err.str();
}

TEST(Check, a_schemas_key_must_be_one_that_can_be_used) {
    struct Case {
        const char* name;
        std::function<void(VaultStand&)> fill;
        const char* expected;
        int code;
    };
    const Case cases[] = {
        {"twice",
         [](VaultStand& v) {
             v.add(7, {"clinic"});
             v.add(8, {"clinic"});
         },
         "key named `clinic`: several keys in encryption.__keyVault are it", exit_configuration},
        {"no key document",
         [](VaultStand& v) {
             v.documents.push_back(bson::from_json(R"({"_id": 1, "keyAltNames": ["clinic"]})").value());
         },
         "key named `clinic`: its document cannot be used: _id must be a UUID", exit_configuration},
        {"another provider",
         [](VaultStand& v) { v.add(7, {"clinic"}, "aws", crypto::kms::AwsMasterKey{"r", "k", ""}); },
         "key named `clinic`: KMS provider `aws` is not configured", exit_configuration},
        {"a key manager that is away",
         [](VaultStand& v) {
             v.add(7, {"clinic"});
             v.kms.fail = [](const std::string& call, int number) -> std::optional<PlayedKms::Failure> {
                 if (call != "unwrap" || number < 2) return std::nullopt;
                 return PlayedKms::failure("timeout", "local", "no answer",
                                           PlayedKms::Failure::Kind::unavailable);
             };
         },
         "key named `clinic`: KMS provider `local`: no answer", exit_unavailable},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.name);
        VaultStand vault;
        c.fill(vault);
        Printed printed;
        EXPECT_EQ(check(vault.clinic.file, true, vault.open_kms(), printed.console()), c.code);
        EXPECT_TRUE(says(printed.err, c.expected)) << printed.err.str();
    }
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
