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

struct BadRow {
    std::string yaml;
    Strings problems;
};

std::string upstream(const std::string& body) {
    return "upstream: " + body + "\n" + good_kms + good_schemas + good_roles + good_listeners;
}
std::string kms(const std::string& body) {
    return good_upstream + "kms_providers: " + body + "\n" + good_schemas + good_roles + good_listeners;
}
std::string schemas(const std::string& body) {
    return good_upstream + good_kms + "schemas: " + body + "\n" + good_roles + good_listeners;
}
// The role `r` with this body.
std::string role(const std::string& body) {
    return good_upstream + good_kms + good_schemas + "roles: { r: " + body + " }\n" + good_listeners;
}
std::string listeners(const std::string& body) {
    return good_upstream + good_kms + good_schemas + good_roles + "listeners: " + body + "\n";
}

const BadRow bad_rows[] = {
    // the file as a whole
    {"- a\n", {"1: must be a mapping"}},
    {"x\n", {"1: must be a mapping"}},
    {"{}\n", {"1: upstream: missing", "1: listeners: missing"}},
    {good + "banana: 1\nlistener: []\n",
     {"6: banana: unknown key", "7: listener: unknown key (did you mean 'listeners'?)"}},
    {good + "log: {}\nlog: {}\n", {"7: duplicate key 'log', first on line 6"}},
    {good + "log: &x { level: info }\n", {"6: anchors are not supported (&x)"}},
    {good + "derived_fields: {}\nadmin: { address: \"h:1\" }\naudit:\n",
     {"6: derived_fields: not supported by this version", "7: admin: not supported by this version",
      "8: audit: not supported by this version"}},
    // upstream
    {upstream("5"), {"1: upstream: must be a mapping, not a number"}},
    {upstream("{}"), {"1: upstream.uri: missing"}},
    {upstream(""), {"1: upstream.uri: missing"}},
    {upstream("{ uri: }"), {"1: upstream.uri: has no value"}},
    {upstream("{ uri: [] }"), {"1: upstream.uri: must be a string, { file: PATH } or { env: NAME }"}},
    {upstream("{ uri: \"http://h\" }"), {"1: upstream.uri: must begin with mongodb:// or mongodb+srv://"}},
    {upstream("{ uri: \"mongodb://h/?loadBalanced=true\" }"),
     {"1: upstream.uri: loadBalanced=true is not supported"}},
    {upstream("{ uri: \"mongodb://h/?w=1&LOADBALANCED=TRUE\" }"), {"1: upstream.uri: loadBalanced=true"}},
    {upstream("{ uri: { file: none } }"), {"1: upstream.uri: 'none' no such file"}},
    {upstream("{ uri: { env: NONE } }"), {"1: upstream.uri: environment variable NONE is not set"}},
    {upstream("{ uri: { env: } }"), {"1: upstream.uri: 'env' must be a non-empty string"}},
    {upstream("{ uri: { path: x } }"), {"1: upstream.uri: unknown key 'path'"}},
    {upstream("{ uri: { file: uri.txt, env: X } }"), {"1: upstream.uri: must be a string, { file: PATH }"}},
    {upstream("{ uri: \"mongodb://h\", presentation: members }"),
     {"1: upstream.presentation: 'members' is not supported by this version"}},
    {upstream("{ uri: \"mongodb://h\", presentation: replica-set }"),
     {"1: upstream.presentation: 'replica-set' is not supported by this version"}},
    {upstream("{ uri: \"mongodb://h\", presentation: x }"), {"1: upstream.presentation: must be gateway"}},
    {upstream("{ uri: \"mongodb://h\", read_preference: nearest }"),
     {"1: upstream.read_preference: must be primary or refuse, not 'nearest'"}},
    {upstream("{ uri: \"mongodb://h\", election_wait: 8 }"),
     {"1: upstream.election_wait: '8' is no duration"}},
    {upstream("{ uri: \"mongodb://h\", election_wait: 301s }"),
     {"1: upstream.election_wait: must be from 0s to 5m"}},
    {upstream("{ ur: x, uri: \"mongodb://h\" }"), {"1: upstream.ur: unknown key (did you mean 'uri'?)"}},
    // key_vault
    {good + "key_vault: { namespace: nodot }\n", {"6: key_vault.namespace: must be DATABASE.COLLECTION"}},
    {good + "key_vault: { namespace: a.* }\n", {"6: key_vault.namespace: must not contain *"}},
    {good + "key_vault: { cache_lifetime: 0s }\n", {"6: key_vault.cache_lifetime: must be from 1s to 24h"}},
    {good + "key_vault: { cache_lifetime: 86401s }\n",
     {"6: key_vault.cache_lifetime: must be from 1s to 24h"}},
    {good + "key_vault: { uri: \"x\" }\n", {"6: key_vault.uri: must begin with mongodb://"}},
    {good + "key_vault: { name_space: a.b }\n",
     {"6: key_vault.name_space: unknown key (did you mean 'namespace'?)"}},
    // kms_providers
    {kms("{ locl: {} }"), {"2: kms_providers.locl: unknown key (did you mean 'local'?)"}},
    {kms("{ local: {} }"), {"2: kms_providers.local.key_file: missing"}},
    {kms("{ local: }"), {"2: kms_providers.local.key_file: missing"}},
    {kms("{ local: 5 }"), {"2: kms_providers.local: must be a mapping"}},
    {kms("{ local: { key_file: none } }"), {"2: kms_providers.local.key_file: 'none' no such file"}},
    {kms("{ local: { key_file: uri.txt } }"),
     {"2: kms_providers.local.key_file: 'uri.txt' is too short (24 bytes)"}},
    {kms("{ local: { key_file: \".\" } }"), {"2: kms_providers.local.key_file: '.' is a directory"}},
    {kms("{ local: { key_file: { env: KEY } } }"),
     {"2: kms_providers.local.key_file: must be a path: a local master key comes from a file only"}},
    {kms("{ local: { key: AAAA } }"),
     {"2: kms_providers.local.key_file: missing", "2: kms_providers.local.key: unknown key"}},
    {good_upstream + good_schemas + good_roles + good_listeners,
     {"0: kms_providers: missing: the schemas protect fields"}},
    {kms("{}"), {"2: kms_providers: missing: the schemas protect fields"}},
    {kms(""), {"2: kms_providers: missing: the schemas protect fields"}},
    {kms("[]"), {"2: kms_providers: must be a mapping, not a list"}},
    {kms("5"), {"2: kms_providers: must be a mapping, not a number"}},
    // schemas
    {schemas("[]"), {"3: schemas: must be a mapping, not a list"}},
    {schemas("{ db.c: {} }"), {"3: schemas.db.c: missing: file: PATH or schema:"}},
    {schemas("{ db.c: }"), {"3: schemas.db.c: missing"}},
    {schemas("{ db.c: null }"), {"3: schemas.db.c: must be a mapping, not null"}},
    {schemas("{ db.c: s.json }"), {"3: schemas.db.c: must be a mapping, not a string"}},
    {schemas("{ db: { file: s.json } }"), {"3: schemas.db: must be DATABASE.COLLECTION"}},
    {schemas("{ \"*\": { file: s.json } }"), {"3: schemas.*: must be DATABASE.COLLECTION"}},
    {schemas("{ db.c: { file: none } }"), {"3: schemas.db.c.file: 'none' no such file"}},
    {schemas("{ db.c: { file: s.json, schema: { bsonType: object } } }"),
     {"3: schemas.db.c.schema: stands instead of 'file'"}},
    {schemas("{ db.c: { file: s.json, nulls: null, coerce_numbers: yes } }"),
     {"3: schemas.db.c.coerce_numbers: must be true or false, not 'yes'",
      "3: schemas.db.c.nulls: has no value"}},
    {schemas("{ db.c: { file: s.json, nulls: stor, coerce_numbers: [true] } }"),
     {"3: schemas.db.c.coerce_numbers: must be a single value, not a list",
      "3: schemas.db.c.nulls: must be refuse, store or omit, not 'stor' (did you mean 'store'?)"}},
    {schemas("{ db.c: { file: s.json, coerce_numbers: 1, nulls: true, coerce_number: true } }"),
     {"3: schemas.db.c.coerce_numbers: must be true or false, not '1'",
      "3: schemas.db.c.nulls: must be refuse",
      "3: schemas.db.c.coerce_number: unknown key (did you mean 'coerce_numbers'?)"}},
    {schemas(
         "{ db.c: { file: s.json, nulls: store, nulls: omit, coerce_numbers: true, coerce_numbers: true } }"),
     {"3: duplicate key 'nulls', first on line 3", "3: duplicate key 'coerce_numbers', first on line 3"}},
    {schemas("{ db.c: { file: s.json, explicit_encryption: yes } }"),
     {"3: schemas.db.c.explicit_encryption: must be allow or refuse, not 'yes'"}},
    {schemas("{ db.c: { fil: s.json } }"),
     {"3: schemas.db.c: missing", "3: schemas.db.c.fil: unknown key (did you mean 'file'?)"}},
    {schemas("{ encryption.__keyVault: { file: s.json } }"),
     {"3: schemas.encryption.__keyVault: matches the key vault"}},
    {schemas("{ \"*.*\": { file: s.json } }"), {"3: schemas.*.*: matches the key vault's namespace"}},
    {schemas("\n  \"a*.cc\": { file: s.json }\n  \"*a.cc\": { file: s.json }"),
     {"5: schemas.*a.cc: some namespaces match this and 'a*.cc' on line 4 equally well"}},
    {good + "unlisted_namespaces: allow\n",
     {"6: unlisted_namespaces: must be server, pass or refuse, not 'allow'"}},
    // an inline schema, with lines
    {schemas("\n  db.c:\n    schema:\n      bsonType: object\n      required: [x]\n      properties:\n"
             "        x:\n          encrypt:\n            algorithm: foo\n            keyAltName: k"),
     {"7: schemas.db.c.schema: JSON schema keyword 'required' is only allowed with a remote schema",
      "11: schemas.db.c.schema.properties.x.encrypt: BadValue: unknown algorithm 'foo'"}},
    {schemas("{ db.c: { schema: } }"), {"3: schemas.db.c.schema: a schema must be an object, not null"}},
    {schemas("{ db.c: { schema: { bsonType: object, properties: { x: { encrypt: { keyId: [{ $uuid: 5 }] } } "
             "} } } }"),
     {"3: malformed extended JSON $uuid", "3: (51088)", "3: 'algorithm' is missing"}},
    // roles
    {role("5"), {"4: roles.r: must be a mapping"}},
    {good_upstream + good_kms + good_schemas + "roles: { \"\": {} }\n" + good_listeners,
     {"4: roles: a role's name must not be empty", "5: listeners[0].role: there is no role 'r'"}},
    {role("{ encrypted_fields: reveal }"), {"4: roles.r.encrypted_fields: must be a mapping"}},
    {role("{ encrypted_fields: { read: clear } }"),
     {"4: roles.r.encrypted_fields.read: must be reveal, ciphertext, null or omit, not 'clear'"}},
    {role("{ encrypted_fields: { read: } }"), {"4: roles.r.encrypted_fields.read: has no value"}},
    {role("{ encrypted_fields: { read: [] } }"),
     {"4: roles.r.encrypted_fields.read: must be a single value, not a list"}},
    {role("{ encrypted_fields: { match: true } }"),
     {"4: roles.r.encrypted_fields.match: must be allow or deny, not 'true'"}},
    {role("{ encrypted_fields: { write: alow } }"),
     {"4: roles.r.encrypted_fields.write: must be allow or deny, not 'alow' (did you mean 'allow'?)"}},
    {role("{ encrypted_fields: { reed: omit } }"),
     {"4: roles.r.encrypted_fields.reed: unknown key (did you mean 'read'?)"}},
    {role("{ encrypted_fields: { read: { mask: {} } } }"),
     {"4: roles.r.encrypted_fields.read.mask.keep_last: missing"}},
    {role("{ encrypted_fields: { read: { mask: 4 } } }"),
     {"4: roles.r.encrypted_fields.read.mask: must be a mapping"}},
    {role("{ encrypted_fields: { read: {} } }"), {"4: roles.r.encrypted_fields.read.mask: missing"}},
    {role("{ encrypted_fields: { read: { mask: { keep_last: -1 } } } }"),
     {"4: keep_last: must be a number from 0 to 1000"}},
    {role("{ encrypted_fields: { read: { mask: { keep_last: 1001 } } } }"),
     {"4: keep_last: must be a number from 0 to 1000"}},
    {role("{ encrypted_fields: { read: { mask: { keep_last: 4, keep_first: 1 } } } }"),
     {"4: mask.keep_first: unknown key"}},
    {role("{ encrypted_fields: { read: { mask: { keep_last: 4 }, x: 1 } } }"), {"4: read.x: unknown key"}},
    {role("{ fields: { db.d: { f: { read: omit } } } }"),
     {"4: roles.r.fields.db.d: no schema protects this namespace: write it as under 'schemas' (did you mean "
      "'db.c'?)"}},
    {role("{ fields: { db.c: { ff: { read: omit } } } }"),
     {"4: roles.r.fields.db.c.ff: this path is not protected by the schema (did you mean 'f'?)"}},
    {role("{ fields: { db.c: { a: { read: omit } } } }"),
     {"4: roles.r.fields.db.c.a: this path is not protected by the schema: only paths below it are, like "
      "'a.g'"}},
    {role("{ fields: { db.c: { zzz: { read: bad } } } }"),
     {"4: roles.r.fields.db.c.zzz: this path is not protected",
      "4: roles.r.fields.db.c.zzz.read: must be reveal"}},
    {role("{ fields: { db.c: { f: omit } } }"), {"4: roles.r.fields.db.c.f: must be a mapping"}},
    {role("{ fields: { db.c: [f] } }"), {"4: roles.r.fields.db.c: must be a mapping"}},
    {role("{ fields: [] }"), {"4: roles.r.fields: must be a mapping"}},
    {role("{ namespaces: db.c }"), {"4: roles.r.namespaces: must be a list"}},
    {role("{ namespaces: [] }"), {"4: roles.r.namespaces: must not be empty"}},
    {role("{ namespaces: }"), {"4: roles.r.namespaces: must not be empty"}},
    {role("{ namespaces: [[a]] }"), {"4: roles.r.namespaces: must be a list of names"}},
    {role("{ namespaces: [\"*\"] }"), {"4: roles.r.namespaces: '*': must be DATABASE.COLLECTION"}},
    {role("{ access: readonly }"), {"4: roles.r.access: must be read-only or read-write, not 'readonly'"}},
    {role("{ delete: no }"), {"4: roles.r.delete: must be allow or deny, not 'no'"}},
    {role("{ key_vault: all }"), {"4: roles.r.key_vault: must be none, read or write, not 'all'"}},
    {role("{ documents: {} }"), {"4: roles.r.documents: not supported by this version"}},
    {role("{ reads: x }"), {"4: roles.r.reads: unknown key"}},
    // listeners
    {listeners("[]"), {"5: listeners: at least one is needed"}},
    {listeners(""), {"5: listeners: at least one is needed"}},
    {listeners("{}"), {"5: listeners: must be a list, not a mapping"}},
    {listeners("[x]"), {"5: listeners[0]: must be a mapping, not a string"}},
    {listeners("[{}]"),
     {"5: listeners[0].name: missing", "5: listeners[0].address: missing", "5: listeners[0].role: missing"}},
    {listeners("\n  -\n  -\n"), {"6: listeners[0]: must be a mapping", "7: listeners[1]: must be a mapping"}},
    {listeners("[{ name: l, address: \"h:65536\", role: r, tls: { certificate_key_file: server.pem } }]"),
     {"5: listeners[0].address: 'h:65536': a port is a number from 0 to 65535"}},
    {listeners("[{ name: l, address: 27017, role: r }]"),
     {"5: listeners[0].address: '27017': must be HOST:PORT"}},
    {listeners("[{ name: l, address: \"localhost:1\", role: rr }]"),
     {"5: listeners[0].role: there is no role 'rr' (did you mean 'r'?)"}},
    {listeners("[{ name: \"\", address: \"localhost:1\", role: r }]"),
     {"5: listeners[0].name: must not be empty"}},
    {listeners("\n  - { name: l, address: \"localhost:1\", role: r }\n  - { name: l, address: "
               "\"localhost:2\", role: r }"),
     {"7: listeners[1].name: duplicate listener 'l', first on line 6"}},
    {listeners("\n  - { name: a, address: \"127.0.0.1:1\", role: r }\n  - { name: b, address: "
               "\"127.0.0.1:1\", role: r }"),
     {"7: listeners[1].address: the same address as listener 'a', first on line 6"}},
    {listeners("\n  - { name: a, address: \"127.0.0.1:1\", role: r }\n  - { name: b, address: "
               "\"localhost:1\", role: r }"),
     {"7: listeners[1].address: the same address as listener 'a'"}},
    {listeners("\n  - { name: a, address: \"127.0.0.1:1\", role: r }\n  - { name: b, address: \"0.0.0.0:1\", "
               "role: r }"),
     {"7: listeners[1].address: the same address as listener 'a'"}},
    {listeners(
         "\n  - { name: a, address: \"unix:x\", role: r }\n  - { name: b, address: \"unix:x\", role: r }"),
     {"7: listeners[1].address: the same address as listener 'a'"}},
    {listeners("[{ name: l, address: \"localhost:1\", role: r, allow: {}, identities: [], upstream_user: {}, "
               "proxy_protocol: {}, advertise: x }]"),
     {"5: listeners[0].allow: not supported by this version", "5: listeners[0].identities: not supported",
      "5: listeners[0].upstream_user: not supported", "5: listeners[0].proxy_protocol: not supported",
      "5: listeners[0].advertise: not supported"}},
    {listeners("[{ name: l, address: \"localhost:1\", serves: queryanalysis, role: r }]"),
     {"5: listeners[0].serves: must be clients or query-analysis, not 'queryanalysis' (did you mean "
      "'query-analysis'?)"}},
    {listeners("[{ name: l, address: \"localhost:1\", serves: [clients], role: r }]"),
     {"5: listeners[0].serves: must be a single value, not a list"}},
    {listeners("[{ name: l, address: \"localhost:1\", serves: clients }]"),
     {"5: listeners[0].role: missing"}},
    {listeners("[{ name: l, address: \"localhost:1\", serves: query-analysis, serves: clients }]"),
     {"5: duplicate key 'serves', first on line 5"}},
    {listeners("[{ name: l, address: \"localhost:1\", serves: query-analysis, role: r }]"),
     {"5: listeners[0].role: is not used with serves: query-analysis"}},
    {listeners("[{ name: l, address: \"0.0.0.0:1\", serves: query-analysis }]"),
     {"5: listeners[0].serves: query-analysis has no login"}},
    {listeners("[{ name: l, address: \"10.0.0.1:1\", serves: query-analysis, tls: { certificate_key_file: "
               "server.pem } }]"),
     {"5: listeners[0].serves: query-analysis has no login"}},
    {listeners("[{ name: l, address: \"10.0.0.1:1\", serves: query-analysis, tls: { certificate_key_file: "
               "server.pem, ca_file: server.pem, client_certificate: optional } }]"),
     {"5: listeners[0].serves: query-analysis has no login"}},
    {listeners("[{ name: l, address: nonsense, serves: query-analysis }]"),
     {"5: listeners[0].address: 'nonsense': must be HOST:PORT"}},
    {listeners("[{ name: l, address: \"localhost:1\", role: r, port: 1 }]"),
     {"5: listeners[0].port: unknown key"}},
    {listeners("[{ name: l, address: \"localhost:1\", role: r, tls: true }]"),
     {"5: listeners[0].tls: must be a mapping"}},
    {listeners("[{ name: l, address: \"localhost:1\", role: r, tls: }]"),
     {"5: listeners[0].tls.certificate_key_file: missing"}},
    {listeners("[{ name: l, address: \"localhost:1\", role: r, tls: { certificate_key_file: none, ca_file: "
               "none2, client_certificate: required } }]"),
     {"5: listeners[0].tls.certificate_key_file: 'none' no such file",
      "5: listeners[0].tls.ca_file: 'none2' no such file"}},
    {listeners("[{ name: l, address: \"localhost:1\", role: r, tls: { certificate_key_file: server.pem, "
               "client_certificate: optional } }]"),
     {"5: listeners[0].tls.client_certificate: needs ca_file"}},
    {listeners("[{ name: l, address: \"localhost:1\", role: r, tls: { certificate_key_file: server.pem, "
               "ca_file: ca.pem } }]"),
     {"5: listeners[0].tls.ca_file: is used for client certificates only"}},
    {listeners("[{ name: l, address: \"localhost:1\", role: r, tls: { certificate_key_file: server.pem, "
               "client_certificate: yes } }]"),
     {"5: listeners[0].tls.client_certificate: must be none, optional or required, not 'yes'"}},
    {listeners("[{ name: l, address: \"localhost:1\", role: r, tls: { certificate_file: server.pem } }]"),
     {"5: listeners[0].tls.certificate_key_file: missing",
      "5: listeners[0].tls.certificate_file: unknown key"}},
    // commands, log, limits
    {good + "commands: { pass: [one, [two], \"\"] }\n",
     {"6: commands.pass: must be a list of command names",
      "6: commands.pass: must be a list of command names"}},
    {good + "commands: { pass: one }\n", {"6: commands.pass: must be a list"}},
    {good + "commands: { allow: [] }\n", {"6: commands.allow: unknown key"}},
    {good + "log: { level: infos }\n",
     {"6: log.level: must be trace, debug, info, warn or error, not 'infos' (did you mean 'info'?)"}},
    {good + "log: { format: xml }\n", {"6: log.format: must be auto, text or json, not 'xml'"}},
    {good + "log: { file: x }\n", {"6: log.file: unknown key"}},
    {good + "limits: { connections: 0 }\n",
     {"6: limits.connections: must be a number from 1 to 1000000, not '0'"}},
    {good + "limits: { connections: 1000001 }\n",
     {"6: limits.connections: must be a number from 1 to 1000000"}},
    {good + "limits: { connections: 1e3 }\n", {"6: limits.connections: must be a number"}},
    {good + "limits: { message_bytes: 65535 }\n",
     {"6: limits.message_bytes: must be from 65536 to 48000000 bytes"}},
    {good + "limits: { message_bytes: 48000001 }\n",
     {"6: limits.message_bytes: must be from 65536 to 48000000 bytes"}},
    {good + "limits: { message_bytes: big }\n", {"6: limits.message_bytes: 'big' is no size"}},
    {good + "limits: { nesting_levels: 0 }\n", {"6: limits.nesting_levels: must be a number from 1 to 200"}},
    {good + "limits: { nesting_levels: 201 }\n",
     {"6: limits.nesting_levels: must be a number from 1 to 200"}},
    {good + "limits: { memory_bytes: 47999999 }\n",
     {"6: limits.memory_bytes: must hold at least one message"}},
    {good + "limits: { drain: 1h1ms }\n", {"6: limits.drain: must be from 0s to 1h, not '1h1ms'"}},
    {good + "limits: { drain: fast }\n", {"6: limits.drain: 'fast' is no duration"}},
    {good + "limits: { drain: }\n", {"6: limits.drain: has no value"}},
    {good + "limits: { conections: 5 }\n",
     {"6: limits.conections: unknown key (did you mean 'connections'?)"}},
};

TEST_F(Load, reports_each_mistake_where_it_is) {
    for (const BadRow& row : bad_rows) {
        SCOPED_TRACE(row.yaml);
        expect_problems(problems_of(row.yaml), row.problems);
    }
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
