#include "config/load.hpp"

#include <gtest/gtest.h>

#include "tests/unit/config/load_fixture.hpp"

namespace fieldgate::config {
namespace {

using Load = LoadFixture;
using Strings = std::vector<std::string>;

TEST_F(Load, the_smallest_configuration_has_the_documented_defaults) {
    const Loaded loaded = load_text(good);
    EXPECT_TRUE(loaded.warnings.empty());
    const Config& config = *loaded.config;
    EXPECT_EQ(config.file, directory.path() / "c.yaml");
    EXPECT_EQ(config.upstream.uri, "mongodb://h");
    EXPECT_EQ(config.upstream.election_wait, std::chrono::seconds(8));
    EXPECT_EQ(config.upstream.read_preference, Upstream::ReadPreference::primary);
    EXPECT_TRUE(config.is_key_vault("encryption", "__keyVault"));
    EXPECT_EQ(config.key_vault.uri, "mongodb://h");
    EXPECT_EQ(config.key_vault.cache_lifetime, std::chrono::seconds(60));
    ASSERT_EQ(config.kms_providers.size(), 1u);
    EXPECT_EQ(config.kms_providers[0].name, "local");
    EXPECT_EQ(std::get<LocalKms>(config.kms_providers[0].settings).key_file, directory.path() / "key.bin");
    EXPECT_EQ(config.unlisted_namespaces, Config::Unlisted::server);
    EXPECT_TRUE(config.commands_pass.empty());
    ASSERT_EQ(config.schemas.size(), 1u);
    EXPECT_EQ(config.schemas[0].index, 0u);
    EXPECT_GT(config.schemas[0].line, 0);
    EXPECT_FALSE(config.schemas[0].explicit_encryption_allow);
    EXPECT_FALSE(config.schemas[0].coerce_numbers);
    EXPECT_EQ(config.schemas[0].nulls, ProtectedNamespace::Nulls::refuse);
    ASSERT_EQ(config.roles.size(), 1u);
    EXPECT_FALSE(config.roles[0].read_only);
    EXPECT_TRUE(config.roles[0].may_delete);
    EXPECT_EQ(config.roles[0].key_vault, Role::KeyVaultAccess::none);
    ASSERT_EQ(config.listeners.size(), 1u);
    EXPECT_FALSE(config.listeners[0].tls);
    EXPECT_EQ(config.listeners[0].serves, Listener::Serves::clients);
    EXPECT_EQ(config.log.level, Log::Level::info);
    EXPECT_EQ(config.log.format, Log::Format::automatic);
    EXPECT_EQ(config.limits.connections, 10000u);
    EXPECT_EQ(config.limits.message_bytes, 48'000'000u);
    EXPECT_EQ(config.limits.nesting_levels, 100u);
    EXPECT_EQ(config.limits.memory_bytes, 1'073'741'824u);
    EXPECT_EQ(config.limits.drain, std::chrono::seconds(30));
}

TEST_F(Load, reads_every_key) {
    environment["KV"] = "mongodb://kv";
    const Loaded loaded = load_text(R"(
upstream: { uri: { file: uri.txt }, presentation: gateway, read_preference: refuse, election_wait: 1m }
key_vault: { namespace: kv.keys.x, uri: { env: KV }, cache_lifetime: 5s }
kms_providers: { local: { key_file: key.bin } }
schemas: { db.c: { file: s.json, explicit_encryption: allow, coerce_numbers: true, nulls: omit }, "t_*.c": { file: s.json, explicit_encryption: refuse, coerce_numbers: false, nulls: store } }
unlisted_namespaces: pass
commands: { pass: [one, two] }
roles:
  r: { encrypted_fields: { read: reveal, match: allow, write: allow }, access: read-write, delete: allow, key_vault: write }
  n: { encrypted_fields: { read: null }, access: read-only, delete: deny, key_vault: read }
  q: { encrypted_fields: { read: "null" } }
  m: { encrypted_fields: { read: { mask: { keep_last: 4 } } }, fields: { db.c: { a.g: { read: ciphertext, match: allow } } } }
  d:
listeners:
  - { name: a, address: "127.0.0.1:1", role: n, tls: { certificate_key_file: server.pem } }
  - { name: b, address: "unix:b.sock", role: r, serves: clients }
  - { name: c, address: "127.0.0.1:3", serves: query-analysis }
log: { level: trace, format: text }
limits: { connections: 1, message_bytes: 64KiB, nesting_levels: 200, memory_bytes: 64KiB, drain: 0s }
)");
    EXPECT_TRUE(loaded.warnings.empty());
    const Config& config = *loaded.config;
    EXPECT_EQ(config.upstream.uri, "mongodb://user:secret@h");
    EXPECT_EQ(config.upstream.read_preference, Upstream::ReadPreference::refuse);
    EXPECT_EQ(config.upstream.election_wait, std::chrono::minutes(1));
    EXPECT_TRUE(config.is_key_vault("kv", "keys.x"));
    EXPECT_EQ(config.key_vault.uri, "mongodb://kv");
    EXPECT_EQ(config.key_vault.cache_lifetime, std::chrono::seconds(5));
    ASSERT_EQ(config.schemas.size(), 2u);
    EXPECT_TRUE(config.schemas[0].explicit_encryption_allow);
    EXPECT_FALSE(config.schemas[1].explicit_encryption_allow);
    EXPECT_TRUE(config.schemas[0].coerce_numbers);
    EXPECT_FALSE(config.schemas[1].coerce_numbers);
    EXPECT_EQ(config.schemas[0].nulls, ProtectedNamespace::Nulls::omit);
    EXPECT_EQ(config.schemas[1].nulls, ProtectedNamespace::Nulls::store);
    EXPECT_EQ(config.schemas[1].index, 1u);
    EXPECT_EQ(config.schemas[1].schema_file.filename(), "s.json");
    EXPECT_EQ(config.schemas[0].schema, config.schemas[1].schema);
    EXPECT_EQ(config.unlisted_namespaces, Config::Unlisted::pass);
    EXPECT_EQ(config.commands_pass, (Strings{"one", "two"}));
    ASSERT_EQ(config.roles.size(), 5u);
    EXPECT_EQ(config.roles[0].rule(1, 1), (FieldRule{{ReadRule::Kind::reveal, 0}, true, true}));
    EXPECT_EQ(config.roles[0].key_vault, Role::KeyVaultAccess::write);
    EXPECT_TRUE(config.roles[0].may_delete);
    EXPECT_EQ(config.roles[1].rule(0, 0).read.kind, ReadRule::Kind::null);
    EXPECT_TRUE(config.roles[1].read_only);
    EXPECT_FALSE(config.roles[1].may_delete);
    EXPECT_EQ(config.roles[1].key_vault, Role::KeyVaultAccess::read);
    EXPECT_EQ(config.roles[2].rule(0, 0).read.kind, ReadRule::Kind::null);
    EXPECT_EQ(config.roles[3].rule(0, 0), (FieldRule{{ReadRule::Kind::mask, 4}, false, false}));
    EXPECT_EQ(config.roles[3].rule(0, 1), (FieldRule{{ReadRule::Kind::ciphertext, 0}, true, false}));
    EXPECT_EQ(config.roles[3].rule(1, 1), (FieldRule{{ReadRule::Kind::mask, 4}, false, false}));
    EXPECT_EQ(config.roles[4].rule(0, 0), FieldRule{});
    ASSERT_EQ(config.listeners.size(), 3u);
    EXPECT_EQ(config.listeners[1].serves, Listener::Serves::clients);
    EXPECT_EQ(config.listeners[2].serves, Listener::Serves::query_analysis);
    EXPECT_EQ(config.listeners[0].role, 1u);
    ASSERT_TRUE(config.listeners[0].tls);
    EXPECT_EQ(config.listeners[0].tls->certificate_key_file, directory.path() / "server.pem");
    EXPECT_TRUE(config.listeners[0].tls->ca_file.empty());
    EXPECT_EQ(config.listeners[0].tls->client_certificate, TlsServer::ClientCertificate::none);
    EXPECT_EQ(config.listeners[1].unix_path, directory.path() / "b.sock");
    EXPECT_EQ(config.log.level, Log::Level::trace);
    EXPECT_EQ(config.log.format, Log::Format::text);
    EXPECT_EQ(config.limits.connections, 1u);
    EXPECT_EQ(config.limits.message_bytes, 65536u);
    EXPECT_EQ(config.limits.nesting_levels, 200u);
    EXPECT_EQ(config.limits.memory_bytes, 65536u);
    EXPECT_EQ(config.limits.drain, std::chrono::seconds(0));
}

TEST_F(Load, sections_that_say_nothing_are_as_if_absent) {
    EXPECT_EQ(problems_of(good + "limits:\nlog:\nkey_vault:\ncommands:\n"), Strings{});
}

TEST_F(Load, reports_all_problems_at_once_in_the_order_of_the_lines) {
    directory.write("bad.json", "{ \"bsonType\": \"object\",\n \"required\": [],\n \"x\": 1 }");
    expect_problems(
        problems_of("listeners: []\nlog: { level: x }\nschemas: { db.c: { file: bad.json } }\nupstream: {}\n"
                    "kms_providers: { kmip: {} }\nlog: 5\n"),
        {"1: listeners: at least one", "2: log.level: must be", "4: upstream.uri: missing",
         "5: kms_providers.kmip.endpoint: missing",
         "5: kms_providers.kmip.tls: certificate_key_file is missing",
         "6: duplicate key 'log', first on line 2", "bad.json:2: JSON schema keyword 'required'",
         "bad.json:3: Unknown $jsonSchema keyword: 'x'"});
}

TEST_F(Load, a_file_that_cannot_be_read_is_a_problem_without_a_line) {
    try {
        load(directory.path() / "none.yaml", {});
        FAIL() << "loaded";
    } catch (const LoadError& error) {
        ASSERT_EQ(error.problems().size(), 1u);
        EXPECT_EQ(error.problems()[0].text(), (directory.path() / "none.yaml").string() + ": no such file");
        EXPECT_EQ(std::string(error.what()), error.problems()[0].text());
    }
}

TEST_F(Load, a_configuration_that_is_too_large_is_refused) {
    const std::string filler(4 * 1024 * 1024 - good.size() - 2, 'x');
    EXPECT_EQ(problems_of(good + "#" + filler + "\n"), Strings{});
    expect_problems(problems_of(good + "##" + filler + "\n"), {"0: is larger than 4194304 bytes"});
}

TEST_F(Load, a_schema_shared_by_namespaces_reports_its_problems_once) {
    directory.write("bad.json", "{ \"bsonType\": \"object\", \"required\": [] }");
    expect_problems(problems_of(schemas("{ db.c: { file: bad.json }, db.d: { file: bad.json } }")),
                    {"bad.json:1: JSON schema keyword 'required'"});
}

TEST_F(Load, a_role_that_names_fields_of_a_broken_schema_is_not_blamed_as_well) {
    directory.write("bad.json", "{ \"bsonType\": \"object\", \"required\": [] }");
    expect_problems(problems_of(good_upstream + good_kms +
                                "schemas: { db.c: { file: bad.json } }\n"
                                "roles: { r: { fields: { db.c: { f: { read: omit } } } } }\n" +
                                good_listeners),
                    {"bad.json:1: JSON schema keyword 'required'"});
}

TEST_F(Load, schema_files_may_be_yaml) {
    directory.write("s.yaml",
                    "bsonType: object\nproperties:\n  x: { encrypt: { keyAltName: k, algorithm: "
                    "AEAD_AES_256_CBC_HMAC_SHA_512-Random } }\n");
    EXPECT_EQ(load_text(schemas("{ db.c: { file: s.yaml } }")).config->schemas[0].schema->fields()[0].path,
              "x");
    directory.write("s.yaml", "bsonType: object\nrequired: []\n");
    expect_problems(problems_of(schemas("{ db.c: { file: s.yaml } }")),
                    {"s.yaml:2: JSON schema keyword 'required'"});
}

TEST_F(Load, a_broken_schema_file_names_its_own_line) {
    directory.write("bad.json", "{\n\"bsonType\": object }");
    expect_problems(problems_of(schemas("{ db.c: { file: bad.json } }")), {"bad.json:2: not valid JSON"});
    directory.write("bad.json", "{\n\"bsonType\": \"object\",\n\"bsonType\": \"object\" }");
    expect_problems(problems_of(schemas("{ db.c: { file: bad.json } }")),
                    {"bad.json:3: duplicate key 'bsonType', first on line 2"});
}

TEST_F(Load, what_the_driver_library_says_about_a_connection_string_is_a_problem) {
    uri_messages = {"Unsupported URI option \"foo\""};
    expect_problems(problems_of(good), {"1: upstream.uri: Unsupported URI option \"foo\""});
    EXPECT_EQ(checked_uris, Strings{"mongodb://h"});
    checked_uris.clear();
    problems_of(good + "key_vault: { uri: \"mongodb://kv\" }\n");
    EXPECT_EQ(checked_uris, (Strings{"mongodb://h", "mongodb://kv"}));
}

TEST_F(Load, no_message_quotes_a_password) {
    uri_messages = {"cannot parse mongodb://u:pass+word@h/?x", "bad u:pass+word",
                    "the password 'pass+word' is odd"};
    for (const std::string& problem : problems_of(upstream("{ uri: \"mongodb://u:pass+word@h/?x\" }")))
        EXPECT_EQ(problem.find("pass+word"), std::string::npos) << problem;
    uri_messages.clear();
    for (const std::string& problem : problems_of(upstream("{ uri: \"mongo://u:pass+word@h/?x\" }")))
        EXPECT_EQ(problem.find("pass+word"), std::string::npos) << problem;
}

TEST_F(Load, load_balanced_false_and_replica_sets_are_fine) {
    EXPECT_EQ(problems_of(upstream("{ uri: \"mongodb://a,b/?loadBalanced=false&replicaSet=rs0\" }")),
              Strings{});
}

TEST_F(Load, a_secret_in_a_file_loses_its_line_end_only) {
    directory.write("uri.txt", "mongodb://h \r\n");
    EXPECT_EQ(load_text(upstream("{ uri: { file: uri.txt } }")).config->upstream.uri, "mongodb://h ");
    directory.write("uri.txt", "\n");
    expect_problems(problems_of(upstream("{ uri: { file: uri.txt } }")),
                    {"1: upstream.uri: 'uri.txt' is empty"});
    directory.write("uri.txt", std::string(65537, 'x'));
    expect_problems(problems_of(upstream("{ uri: { file: uri.txt } }")),
                    {"1: upstream.uri: 'uri.txt' is larger"});
}

TEST_F(Load, paths_are_relative_to_the_configuration_file_unless_absolute) {
    const std::string absolute = (directory.path() / "key.bin").string();
    const Loaded loaded = load_text(kms("{ local: { key_file: \"" + absolute + "\" } }"));
    EXPECT_EQ(std::get<LocalKms>(loaded.config->kms_providers.at(0).settings).key_file, absolute);
}

TEST_F(Load, a_listener_for_the_network_without_tls_is_a_warning) {
    expect_problems(warnings_of(listeners("[{ name: l, address: \"0.0.0.0:1\", role: r }]")),
                    {"5: listeners[0]: listens on 0.0.0.0 without tls"});
    for (const char* address : {"127.0.0.1:1", "127.8.9.1:1", "[::1]:1", "localhost:1", "unix:/x"})
        EXPECT_EQ(warnings_of(listeners("[{ name: l, address: \"" + std::string(address) + "\", role: r }]")),
                  Strings{});
    for (const char* address : {"127.evil.example:1", "[::]:1", "10.0.0.1:1", "h:1"})
        EXPECT_EQ(warnings_of(listeners("[{ name: l, address: \"" + std::string(address) + "\", role: r }]"))
                      .size(),
                  1u);
}

TEST_F(Load, query_analysis_is_served_where_only_the_right_ones_reach_it) {
    for (const char* where : {"\"127.0.0.1:1\"", "\"[::1]:1\"", "\"localhost:1\"", "\"unix:/x\"",
                              "\"0.0.0.0:1\", tls: { certificate_key_file: server.pem, ca_file: server.pem, "
                              "client_certificate: required }"}) {
        const std::string text =
            listeners("[{ name: l, address: " + std::string(where) + ", serves: query-analysis }]");
        EXPECT_EQ(problems_of(text), Strings{}) << where;
        EXPECT_EQ(warnings_of(text), Strings{}) << where;
    }
}

TEST_F(Load, roles_name_fields_under_patterns_as_the_schema_does) {
    directory.write("s.json", R"({ "bsonType": "object",
        "encryptMetadata": { "keyAltName": "k", "algorithm": "AEAD_AES_256_CBC_HMAC_SHA_512-Random" },
        "properties": { "a": { "bsonType": "object", "patternProperties": {
            "^x": { "encrypt": {} }, "y$": { "encrypt": {} }, "z": { "encrypt": { "bsonType": "int" } } } } } })");
    const Role both =
        load_text(role("{ fields: { db.c: { \"a./y$/\": { read: omit }, a./z/: { match: allow } } } }"))
            .config->roles[0];
    EXPECT_EQ(both.rule(0, 0), (FieldRule{{ReadRule::Kind::omit, 0}, false, false}));
    EXPECT_EQ(both.rule(0, 1), (FieldRule{{ReadRule::Kind::ciphertext, 0}, true, false}));
    expect_problems(problems_of(role("{ fields: { db.c: { \"a./^x/\": { read: omit }, \"a./y$/\": {} } } }")),
                    {"4: roles.r.fields.db.c.a./y$/: is one field with 'a./^x/' on line 4"});
    expect_problems(
        problems_of(role("{ fields: { db.c: { a.z5: { read: omit } } } }")),
        {"4: roles.r.fields.db.c.a.z5: this path is not protected by the schema: a pattern protects "
         "it, write 'a./z/'"});
    expect_problems(problems_of(role("{ fields: { db.c: { a: { read: omit } } } }")),
                    {"4: this path is not protected by the schema: only paths below it are, like 'a./^x/'"});
    expect_problems(problems_of(role("{ fields: { db.c: { \"a./^xx/\": { read: omit } } } }")),
                    {"4: roles.r.fields.db.c.a./^xx/: this path is not protected by the schema (did you mean "
                     "'a./^x/'?)"});
}

TEST_F(Load, several_listeners_may_ask_the_kernel_for_a_port) {
    EXPECT_EQ(problems_of(listeners("[{ name: a, address: \"127.0.0.1:0\", role: r }, { name: b, address: "
                                    "\"127.0.0.1:0\", role: r }]")),
              Strings{});
}

TEST_F(Load, a_key_file_that_others_may_read_is_a_warning) {
    directory.write("key.bin", std::string(96, 'k'), 0644);
    expect_problems(warnings_of(good),
                    {"2: kms_providers.local.key_file: 'key.bin' can be read or written by others"});
}

TEST_F(Load, a_schema_that_protects_nothing_is_a_warning) {
    directory.write("s.json", "{ \"bsonType\": \"object\" }");
    expect_problems(warnings_of(good), {"s.json:1: this schema protects no field"});
}

TEST_F(Load, nothing_to_encrypt_at_all_is_a_warning) {
    expect_problems(warnings_of(good_upstream + good_roles + good_listeners + "unlisted_namespaces: pass\n"),
                    {"0: schemas: there are none: nothing is encrypted"});
}

TEST_F(Load, a_role_limited_to_namespaces_knows_whether_it_reaches_every_schema) {
    EXPECT_TRUE(load_text(role("{ namespaces: [\"db.*\", x.y] }")).config->roles[0].reaches_every_schema);
    EXPECT_FALSE(load_text(role("{ namespaces: [x.y] }")).config->roles[0].reaches_every_schema);
}

}  // namespace
}  // namespace fieldgate::config
