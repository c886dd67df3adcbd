#include <gtest/gtest.h>

#include <string>

#include "config/bson_types.hpp"
#include "config/load.hpp"
#include "tests/unit/config/temporary_directory.hpp"

namespace fieldgate::config {
namespace {

// The examples refer to files that are never committed (keys, certificates), so each test runs on a copy
// beside which it writes them.
class Examples : public testing::Test {
 protected:
    Examples() {
        std::filesystem::copy(std::filesystem::path(FIELDGATE_SOURCE_DIR) / "config/examples",
                              directory.path(), std::filesystem::copy_options::recursive);
        directory.write("master-key.bin", std::string(96, 'k'), 0600);
    }

    Loaded load_example(const std::string& name) {
        LoadOptions options;
        options.environment = [](const std::string& variable) -> std::optional<std::string> {
            if (variable == "CLINIC_URI") return "mongodb://u:p@db1,db2/?replicaSet=rs0";
            return std::nullopt;
        };
        return load(directory.path() / name, options);
    }

    TemporaryDirectory directory;
};

TEST_F(Examples, the_clinic_loads_without_a_warning) {
    const Loaded loaded = load_example("clinic.yaml");
    for (const Problem& warning : loaded.warnings) ADD_FAILURE() << warning.text();
    const Config& config = *loaded.config;

    const ProtectedNamespace* patients = config.find("medicalRecords", "patients");
    ASSERT_NE(patients, nullptr);
    struct Row {
        const char* path;
        Algorithm algorithm;
        const char* type;
    };
    const Row rows[] = {
        {"ssn", Algorithm::deterministic, "int"},
        {"bloodType", Algorithm::random, "string"},
        {"medicalRecords", Algorithm::random, "array"},
        {"insurance.policyNumber", Algorithm::deterministic, "int"},
        {"dateOfBirth", Algorithm::random, "date"},
        {"email", Algorithm::random, "string"},
    };
    ASSERT_EQ(patients->schema->fields().size(), std::size(rows));
    for (std::size_t i = 0; i < std::size(rows); ++i) {
        SCOPED_TRACE(rows[i].path);
        const EncryptedField& field = patients->schema->fields()[i];
        EXPECT_EQ(field.path, rows[i].path);
        EXPECT_EQ(field.algorithm, rows[i].algorithm);
        ASSERT_EQ(field.bson_types.size(), 1u);
        EXPECT_EQ(bson_type_alias(field.bson_types[0]), rows[i].type);
        EXPECT_EQ(std::get<KeyAltName>(field.key), KeyAltName{"clinic"});
    }
    EXPECT_EQ(patients->schema->match("name").node, nullptr);
    EXPECT_EQ(patients->schema->match("insurance.provider").node, nullptr);

    ASSERT_EQ(config.listeners.size(), 2u);
    EXPECT_EQ(config.listeners[0].port, 27117);
    EXPECT_EQ(config.roles[config.listeners[0].role].name, "doctor");
    EXPECT_TRUE(config.roles[config.listeners[0].role].reveals_everything());
    EXPECT_EQ(config.listeners[1].port, 27118);
    const Role& receptionist = config.roles[config.listeners[1].role];
    EXPECT_EQ(receptionist.name, "receptionist");
    EXPECT_EQ(receptionist.rule(0, 0), (FieldRule{{ReadRule::Kind::omit, 0}, false, false}));
}

TEST_F(Examples, tls_loads_without_a_warning) {
    directory.write("key-vault.uri", "mongodb://vault\n");
    directory.write("server.pem", "pem");
    directory.write("ca.pem", "pem");
    const Loaded loaded = load_example("tls.yaml");
    for (const Problem& warning : loaded.warnings) ADD_FAILURE() << warning.text();
    const Config& config = *loaded.config;

    EXPECT_EQ(config.upstream.uri, "mongodb://u:p@db1,db2/?replicaSet=rs0");
    EXPECT_EQ(config.key_vault.uri, "mongodb://vault");
    const ProtectedNamespace* tenant = config.find("tenant_7", "patients");
    ASSERT_NE(tenant, nullptr);
    EXPECT_EQ(std::get<KeyAltName>(tenant->schema->fields()[1].key), KeyAltName{"{database}"});
    EXPECT_EQ(tenant->schema->fields()[1].algorithm, Algorithm::random);
    EXPECT_TRUE(tenant->schema->fields()[1].bson_types.empty());

    const Role& billing = config.roles[1];
    EXPECT_EQ(billing.rule(0, 3), (FieldRule{{ReadRule::Kind::mask, 4}, true, false}));
    EXPECT_EQ(billing.rule(0, 0), (FieldRule{{ReadRule::Kind::omit, 0}, false, false}));
    EXPECT_FALSE(billing.reaches_every_schema);
    EXPECT_TRUE(billing.read_only);
    EXPECT_FALSE(billing.may_delete);
    EXPECT_EQ(config.limits.message_bytes, 48'000'000u);
    EXPECT_EQ(config.limits.memory_bytes, 512u * 1024 * 1024);
    EXPECT_EQ(config.limits.drain, std::chrono::seconds(90));
    ASSERT_TRUE(config.listeners[0].tls.has_value());
    EXPECT_EQ(config.listeners[0].tls->client_certificate, TlsServer::ClientCertificate::required);
    EXPECT_EQ(config.listeners[1].host, "::1");
    EXPECT_EQ(config.listeners[2].unix_path, "/run/fieldgate/doctors.sock");
}

TEST_F(Examples, key_managers_load_without_a_warning) {
    for (const char* file :
         {"aws-secret.txt", "azure-secret.txt", "kmip.pem", "vault-token", "secret-id", "authority.pem"})
        directory.write(file, "x\n");
    directory.write("gcp.json", "{}");
    directory.write("old-master-key.bin", std::string(96, 'o'));
    const Loaded loaded = load_example("kms.yaml");
    for (const Problem& warning : loaded.warnings) ADD_FAILURE() << warning.text();
    std::vector<std::string> names;
    for (const KmsProvider& provider : loaded.config->kms_providers) names.push_back(provider.name);
    EXPECT_EQ(names,
              (std::vector<std::string>{"local", "local:old", "aws", "aws:eu", "azure", "azure:aks", "gcp",
                                        "gcp:key", "kmip", "vault", "vault:app", "vault:pods"}));
    EXPECT_EQ(loaded.config->kms_providers[2].master_keys, std::nullopt);
    EXPECT_EQ(loaded.config->kms_providers[3].master_keys->size(), 2u);
}

}  // namespace
}  // namespace fieldgate::config
