#include <gtest/gtest.h>

#include "tests/unit/config/load_fixture.hpp"

namespace fieldgate::config {
namespace {

using Strings = std::vector<std::string>;

std::string kms(const std::string& body) {
    return good_upstream + "kms_providers: " + body + "\n" + good_schemas + good_roles + good_listeners;
}

class LoadKms : public LoadFixture {
 protected:
    LoadKms() {
        directory.write("cert.pem", "pem");
        directory.write("token.txt", "t0ken\n");
        directory.write("gcp.json", "{}");
        directory.write("key.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    }

    // The only provider of `body`, which must load without a warning.
    KmsProvider provider(const std::string& body) {
        const Loaded loaded = load_text(kms(body));
        for (const Problem& warning : loaded.warnings) ADD_FAILURE() << warning.text();
        if (loaded.config->kms_providers.size() != 1) throw std::runtime_error("not one provider");
        return loaded.config->kms_providers[0];
    }
    template <class Settings>
    Settings settings(const std::string& body) {
        return std::get<Settings>(provider(body).settings);
    }
};

TEST_F(LoadKms, every_provider_and_named_ones_in_their_order) {
    const Loaded loaded = load_text(good_upstream + R"(kms_providers:
  "local:old": { key_file: key.bin }
  aws: {}
  "aws:eu_1": { access_key_id: AKIA1, secret_access_key: s, session_token: t }
  azure:
  gcp: {}
  kmip: { endpoint: "kmip.example:5696", tls: { certificate_key_file: cert.pem } }
  vault: { address: "https://vault:8200", token: t }
  local: { key_file: key.bin }
)" + good_schemas + good_roles + good_listeners);
    Strings names;
    std::vector<int> lines;
    for (const KmsProvider& provider : loaded.config->kms_providers) {
        names.push_back(provider.name);
        lines.push_back(provider.line);
    }
    EXPECT_EQ(names, (Strings{"local:old", "aws", "aws:eu_1", "azure", "gcp", "kmip", "vault", "local"}));
    EXPECT_EQ(lines, (std::vector<int>{3, 4, 5, 6, 7, 8, 9, 10}));
    EXPECT_EQ(loaded.config->kms_providers[2].type(), "aws");
    EXPECT_EQ(loaded.config->kms_providers[6].type(), "vault");
    EXPECT_EQ(std::get<LocalKms>(loaded.config->kms_providers[0].settings).key_file,
              directory.path() / "key.bin");
}

TEST_F(LoadKms, tls_and_hosts) {
    environment["PASSWORD"] = "p w";
    const KmsProvider aws = provider(
        "{ aws: { hosts: [kms.internal, \"10.0.0.1:8443\"], tls: { ca_file: ca.pem, certificate_key_file: "
        "cert.pem, certificate_key_file_password: { env: PASSWORD } } } }");
    EXPECT_EQ(aws.hosts, (Strings{"kms.internal", "10.0.0.1:8443"}));
    EXPECT_EQ(aws.tls.ca_file, directory.path() / "ca.pem");
    EXPECT_EQ(aws.tls.certificate_key_file, directory.path() / "cert.pem");
    EXPECT_EQ(aws.tls.certificate_key_file_password, "p w");
    const KmsProvider plain = provider("{ aws: { tls: , hosts: } }");
    EXPECT_TRUE(plain.tls.ca_file.empty());
    EXPECT_TRUE(plain.hosts.empty());
}

TEST_F(LoadKms, aws) {
    environment["SECRET"] = "s/+=";
    AwsKms aws = settings<AwsKms>(
        "{ aws: { access_key_id: AKIA1, secret_access_key: { env: SECRET }, session_token: { file: token.txt "
        "} "
        "} }");
    EXPECT_EQ(aws.access_key_id, "AKIA1");
    EXPECT_EQ(aws.secret_access_key, "s/+=");
    EXPECT_EQ(aws.session_token, "t0ken");

    aws = settings<AwsKms>("{ aws: {} }");
    EXPECT_EQ(aws.source, AwsKms::Source::automatic);
    EXPECT_EQ(aws.access_key_id, "");

    aws = settings<AwsKms>(
        "{ aws: { source: web_identity, role_arn: \"arn:aws:iam::1:role/a/b\", web_identity_token_file: "
        "token.txt, sts_endpoint: \"sts.example:444\", sts_region: eu-west-1 } }");
    EXPECT_EQ(aws.source, AwsKms::Source::web_identity);
    EXPECT_EQ(aws.role_arn, "arn:aws:iam::1:role/a/b");
    EXPECT_EQ(aws.web_identity_token_file, directory.path() / "token.txt");
    EXPECT_EQ(aws.sts_endpoint, "sts.example:444");
    EXPECT_EQ(aws.sts_region, "eu-west-1");

    aws = settings<AwsKms>("{ aws: { source: instance, metadata_endpoint: \"http://127.0.0.1:8080/\" } }");
    EXPECT_EQ(aws.source, AwsKms::Source::instance);
    EXPECT_EQ(aws.metadata_endpoint, "http://127.0.0.1:8080");
    EXPECT_EQ(settings<AwsKms>("{ aws: { source: environment } }").source, AwsKms::Source::environment);
    EXPECT_EQ(settings<AwsKms>("{ aws: { source: container } }").source, AwsKms::Source::container);
    EXPECT_EQ(settings<AwsKms>("{ aws: { source: automatic, sts_region: us-east-1 } }").source,
              AwsKms::Source::automatic);
}

TEST_F(LoadKms, azure) {
    using Source = AzureKms::Source;
    AzureKms azure = settings<AzureKms>(
        "{ azure: { tenant_id: t-1, client_id: c-1, client_secret: s, identity_platform_endpoint: "
        "\"login.example:8443\" } }");
    EXPECT_EQ(azure.source, Source::client_secret);
    EXPECT_EQ(azure.tenant_id, "t-1");
    EXPECT_EQ(azure.client_id, "c-1");
    EXPECT_EQ(azure.client_secret, "s");
    EXPECT_EQ(azure.identity_platform_endpoint, "login.example:8443");

    EXPECT_EQ(settings<AzureKms>("{ azure: {} }").source, Source::managed_identity);
    azure = settings<AzureKms>(
        "{ azure: { source: managed_identity, client_id: c, metadata_endpoint: \"http://h\" } }");
    EXPECT_EQ(azure.source, Source::managed_identity);
    EXPECT_EQ(azure.client_id, "c");
    EXPECT_EQ(azure.metadata_endpoint, "http://h");

    azure = settings<AzureKms>("{ azure: { tenant_id: t, client_id: c, federated_token_file: token.txt } }");
    EXPECT_EQ(azure.source, Source::workload_identity);
    EXPECT_EQ(azure.federated_token_file, directory.path() / "token.txt");

    environment = {{"AZURE_FEDERATED_TOKEN_FILE", "/var/run/x"},
                   {"AZURE_TENANT_ID", "tenant"},
                   {"AZURE_CLIENT_ID", "client"}};
    for (const char* body : {"{ azure: {} }", "{ azure: { source: workload_identity } }"}) {
        azure = settings<AzureKms>(body);
        EXPECT_EQ(azure.source, Source::workload_identity);
        EXPECT_EQ(azure.tenant_id, "tenant");
        EXPECT_EQ(azure.client_id, "client");
        EXPECT_TRUE(azure.federated_token_file.empty());
    }
    EXPECT_EQ(settings<AzureKms>("{ azure: { source: managed_identity } }").source, Source::managed_identity);
}

TEST_F(LoadKms, gcp) {
    using Source = GcpKms::Source;
    GcpKms gcp = settings<GcpKms>(
        "{ gcp: { email: \"a@b.example\", private_key: AAAA, endpoint: \"oauth.example:1\" } }");
    EXPECT_EQ(gcp.source, Source::service_account);
    EXPECT_EQ(gcp.email, "a@b.example");
    EXPECT_EQ(gcp.private_key, "AAAA");
    EXPECT_EQ(gcp.endpoint, "oauth.example:1");
    EXPECT_EQ(settings<GcpKms>("{ gcp: { email: e, private_key: { file: key.pem } } }").private_key,
              "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----");

    gcp = settings<GcpKms>("{ gcp: { credentials_file: gcp.json } }");
    EXPECT_EQ(gcp.source, Source::credentials_file);
    EXPECT_EQ(gcp.credentials_file, directory.path() / "gcp.json");
    EXPECT_EQ(settings<GcpKms>("{ gcp: {} }").source, Source::metadata);
    EXPECT_EQ(settings<GcpKms>("{ gcp: { metadata_endpoint: \"http://h:1\" } }").metadata_endpoint,
              "http://h:1");

    environment["GOOGLE_APPLICATION_CREDENTIALS"] = "/etc/gcp.json";
    for (const char* body : {"{ gcp: {} }", "{ gcp: { source: credentials_file } }"}) {
        gcp = settings<GcpKms>(body);
        EXPECT_EQ(gcp.source, Source::credentials_file);
        EXPECT_EQ(gcp.credentials_file, "/etc/gcp.json");
    }
    EXPECT_EQ(settings<GcpKms>("{ gcp: { source: metadata } }").source, Source::metadata);
}

TEST_F(LoadKms, kmip) {
    const KmsProvider kmip = provider(
        "{ kmip: { endpoint: localhost, hosts: [\"other:5698\"], tls: { ca_file: ca.pem, "
        "certificate_key_file: cert.pem } } }");
    EXPECT_EQ(std::get<KmipKms>(kmip.settings).endpoint, "localhost");
    EXPECT_EQ(kmip.hosts, Strings{"other:5698"});
    EXPECT_EQ(kmip.tls.certificate_key_file, directory.path() / "cert.pem");
}

TEST_F(LoadKms, vault) {
    using Login = VaultKms::Login;
    VaultKms vault = settings<VaultKms>(
        "{ vault: { address: \"https://vault.example:8200/\", namespace: a/b, token: { file: token.txt } } "
        "}");
    EXPECT_EQ(vault.address, "https://vault.example:8200");
    EXPECT_EQ(vault.vault_namespace, "a/b");
    EXPECT_EQ(vault.login, Login::token);
    EXPECT_EQ(vault.token, "t0ken");

    vault = settings<VaultKms>("{ vault: { address: \"https://v\", token_file: token.txt } }");
    EXPECT_EQ(vault.login, Login::token);
    EXPECT_EQ(vault.token_file, directory.path() / "token.txt");

    vault = settings<VaultKms>(
        "{ vault: { address: \"https://v\", role_id: r, secret_id: s, auth_mount: apps/approle } }");
    EXPECT_EQ(vault.login, Login::app_role);
    EXPECT_EQ(vault.role_id, "r");
    EXPECT_EQ(vault.secret_id, "s");
    EXPECT_EQ(vault.auth_mount, "apps/approle");

    vault = settings<VaultKms>(
        "{ vault: { address: \"https://v\", kubernetes: { role: r, token_file: token.txt } } }");
    EXPECT_EQ(vault.login, Login::kubernetes);
    EXPECT_EQ(vault.kubernetes_role, "r");
    EXPECT_EQ(vault.kubernetes_token_file, directory.path() / "token.txt");
    EXPECT_TRUE(settings<VaultKms>("{ vault: { address: \"https://v\", kubernetes: { role: r } } }")
                    .kubernetes_token_file.empty());
}

TEST_F(LoadKms, a_token_that_is_not_there_yet_is_a_warning) {
    expect_problems(
        warnings_of(kms("{ vault: { address: \"https://v\", token_file: later } }")),
        {"2: kms_providers.vault.token_file: 'later' no such file; it is looked for again at each login"});
    expect_problems(warnings_of(kms("{ aws: { web_identity_token_file: later } }")),
                    {"2: kms_providers.aws.web_identity_token_file: 'later' no such file"});
}

TEST_F(LoadKms, no_secret_is_quoted) {
    for (const char* body : {"{ aws: { access_key_id: a, secret_access_key: \"hush hush\" } }",
                             "{ vault: { address: \"https://v\", token: \"hush\\n\" } }",
                             "{ vault: { address: \"https://u:hush@v\", token: t } }",
                             "{ gcp: { email: e, private_key: \"hush?\" } }",
                             "{ azure: { tenant_id: t, client_id: c, client_secret: \"hush\\t\" } }"}) {
        const Strings problems = problems_of(kms(body));
        EXPECT_EQ(problems.size(), 1u) << body;
        for (const std::string& problem : problems)
            EXPECT_EQ(problem.find("hush"), std::string::npos) << problem;
    }
}

struct BadRow {
    std::string body;
    Strings problems;  // what follows "2: kms_providers."
};

const std::string vault_at = "address: \"https://v\"";

const BadRow bad_rows[] = {
    // names
    {"{ asure: {} }", {"asure: unknown key (did you mean 'azure'?)"}},
    {"{ \"aws:\": {} }", {"aws:: a named provider is aws:NAME, with letters, digits and underscores"}},
    {"{ \"aws:e-u\": {} }", {"aws:e-u: a named provider is aws:NAME"}},
    {"{ \"aws:a:b\": {} }", {"aws:a:b: a named provider is aws:NAME"}},
    {"{ \"vaults:a\": {} }", {"vaults:a: unknown key"}},
    {"{ AWS: {} }", {"AWS: unknown key (did you mean 'aws'?)"}},
    {"{ aws: [] }", {"aws: must be a mapping, not a list"}},
    {"{ vault: 5 }", {"vault: must be a mapping, not a number"}},
    // what every provider has
    {"{ local: { key_file: key.bin, tls: {} } }", {"local.tls: unknown key"}},
    {"{ local: { key_file: key.bin, hosts: [] } }", {"local.hosts: unknown key"}},
    {"{ aws: { hosts: h } }", {"aws.hosts: must be a list"}},
    {"{ aws: { hosts: [[]] } }", {"aws.hosts: must be a list of HOST or HOST:PORT"}},
    {"{ aws: { hosts: [\"https://h\", ok] } }", {"aws.hosts: must be HOST or HOST:PORT, without a scheme"}},
    {"{ aws: { hosts: [\"*.h.example\"] } }", {"aws.hosts: must be HOST or HOST:PORT, not '*.h.example'"}},
    {"{ vault: { " + vault_at + ", token: t, hosts: [h] } }", {"vault.hosts: unknown key"}},
    {"{ aws: { tls: 5 } }", {"aws.tls: must be a mapping"}},
    {"{ aws: { tls: { ca_file: none } } }", {"aws.tls.ca_file: 'none' no such file"}},
    {"{ aws: { tls: { certificate_key_file: \".\" } } }",
     {"aws.tls.certificate_key_file: '.' is a directory"}},
    {"{ aws: { tls: { certificate_key_file_password: p } } }",
     {"aws.tls.certificate_key_file_password: there is no certificate_key_file"}},
    {"{ aws: { tls: { tlsInsecure: true } } }",
     {"aws.tls.tlsInsecure: is refused: a key manager that is not authenticated could be anybody"}},
    {"{ aws: { tls: { insecure: false } } }", {"aws.tls.insecure: is refused"}},
    {"{ aws: { tls: { allow_invalid_certificates: true, allow_invalid_hostnames: true } } }",
     {"aws.tls.allow_invalid_certificates: is refused", "aws.tls.allow_invalid_hostnames: is refused"}},
    {"{ aws: { tls: { tlsAllowInvalidCertificates: true, tlsAllowInvalidHostnames: true } } }",
     {"aws.tls.tlsAllowInvalidCertificates: is refused", "aws.tls.tlsAllowInvalidHostnames: is refused"}},
    {"{ aws: { tls: { disable_ocsp_endpoint_check: true, disable_certificate_revocation_check: true } } }",
     {"aws.tls.disable_ocsp_endpoint_check: is refused",
      "aws.tls.disable_certificate_revocation_check: is refused"}},
    {"{ aws: { tls: { tlsDisableOCSPEndpointCheck: 1, tlsDisableCertificateRevocationCheck: 1 } } }",
     {"aws.tls.tlsDisableOCSPEndpointCheck: is refused",
      "aws.tls.tlsDisableCertificateRevocationCheck: is refused"}},
    {"{ aws: { tls: { skip_verify: true } } }", {"aws.tls.skip_verify: is refused"}},
    {"{ aws: { tls: { cafile: x } } }", {"aws.tls.cafile: unknown key (did you mean 'ca_file'?)"}},
    // aws
    {"{ aws: { accessKeyId: a } }", {"aws.accessKeyId: unknown key (did you mean 'access_key_id'?)"}},
    {"{ aws: { access_key_id: a } }",
     {"aws.secret_access_key: missing: access_key_id needs its secret_access_key"}},
    {"{ aws: { secret_access_key: s } }", {"aws.access_key_id: missing"}},
    {"{ aws: { session_token: s } }", {"aws.access_key_id: missing", "aws.secret_access_key: missing"}},
    {"{ aws: { access_key_id: \"\", secret_access_key: s } }",
     {"aws.access_key_id: must be one word of printable ASCII"}},
    {"{ aws: { access_key_id: a, secret_access_key: { env: NONE } } }",
     {"aws.secret_access_key: environment variable NONE is not set"}},
    {"{ aws: { access_key_id: a, secret_access_key: { file: none } } }",
     {"aws.secret_access_key: 'none' no such file"}},
    {"{ aws: { access_key_id: a, secret_access_key: s, source: instance } }",
     {"aws.source: is for credentials that are found at run time"}},
    {"{ aws: { access_key_id: a, secret_access_key: s, role_arn: \"arn:x\", web_identity_token_file: "
     "token.txt, sts_endpoint: h, sts_region: r, metadata_endpoint: \"http://h\" } }",
     {"aws.role_arn: is for credentials that are found", "aws.web_identity_token_file: is for credentials",
      "aws.sts_endpoint: is for credentials", "aws.sts_region: is for credentials",
      "aws.metadata_endpoint: is for credentials"}},
    {"{ aws: { source: file } }",
     {"aws.source: must be automatic, environment, web_identity, container or instance, not 'file'"}},
    {"{ aws: { source: environment, role_arn: \"arn:x\" } }", {"aws.role_arn: is for source: web_identity"}},
    {"{ aws: { source: instance, web_identity_token_file: token.txt, sts_endpoint: h, sts_region: r } }",
     {"aws.web_identity_token_file: is for source: web_identity",
      "aws.sts_endpoint: is for source: web_identity", "aws.sts_region: is for source: web_identity"}},
    {"{ aws: { source: container, metadata_endpoint: \"http://h\" } }",
     {"aws.metadata_endpoint: is for source: instance"}},
    {"{ aws: { role_arn: admin } }", {"aws.role_arn: must be an ARN"}},
    {"{ aws: { role_arn: \"arn:x&y\" } }", {"aws.role_arn: 'arn:x&y' has characters"}},
    {"{ aws: { sts_region: \"eu/1\" } }", {"aws.sts_region: 'eu/1' has characters"}},
    {"{ aws: { sts_endpoint: \"https://h\" } }", {"aws.sts_endpoint: must be HOST or HOST:PORT, without"}},
    {"{ aws: { metadata_endpoint: \"https://h\" } }", {"aws.metadata_endpoint: must begin with http://"}},
    {"{ aws: { metadata_endpoint: \"http://h/latest\" } }",
     {"aws.metadata_endpoint: behind http:// must be HOST or HOST:PORT, without a path"}},
    // azure
    {"{ azure: { client_secret: s } }", {"azure.tenant_id: missing", "azure.client_id: missing"}},
    {"{ azure: { source: client_secret } }",
     {"azure.tenant_id: missing", "azure.client_id: missing", "azure.client_secret: missing"}},
    {"{ azure: { tenant_id: t, client_id: c } }",
     {"azure.client_secret: missing: or write source: managed_identity"}},
    {"{ azure: { client_id: c } }", {"azure.client_secret: missing: or write source: managed_identity"}},
    {"{ azure: { source: managed_identity, client_secret: s } }",
     {"azure.client_secret: is not used by source: managed_identity"}},
    {"{ azure: { source: managed_identity, tenant_id: t, identity_platform_endpoint: h, "
     "federated_token_file: token.txt } }",
     {"azure.tenant_id: is not used by managed identity",
      "azure.identity_platform_endpoint: is not used by managed identity",
      "azure.federated_token_file: is for source: workload_identity"}},
    {"{ azure: { tenant_id: t, client_id: c, client_secret: s, federated_token_file: token.txt, "
     "metadata_endpoint: \"http://h\" } }",
     {"azure.federated_token_file: is for source: workload_identity",
      "azure.metadata_endpoint: is for source: managed_identity"}},
    {"{ azure: { source: workload_identity, client_secret: s, tenant_id: t, client_id: c, "
     "federated_token_file: token.txt, metadata_endpoint: \"http://h\" } }",
     {"azure.client_secret: is not used by workload identity",
      "azure.metadata_endpoint: is for source: managed_identity"}},
    {"{ azure: { source: workload_identity } }",
     {"azure.tenant_id: missing: and the variable AZURE_TENANT_ID is not set",
      "azure.client_id: missing: and the variable AZURE_CLIENT_ID",
      "azure.federated_token_file: missing: and the variable AZURE_FEDERATED_TOKEN_FILE"}},
    {"{ azure: { tenant_id: \"a/b\", client_id: c, client_secret: s } }",
     {"azure.tenant_id: 'a/b' has characters that such a name does not have"}},
    {"{ azure: { identity_platform_endpoint: \"h/x\", client_secret: s, tenant_id: t, client_id: c } }",
     {"azure.identity_platform_endpoint: must be HOST or HOST:PORT, without a path"}},
    {"{ azure: { source: x } }",
     {"azure.source: must be client_secret, managed_identity or workload_identity"}},
    // gcp
    {"{ gcp: { email: e } }", {"gcp.private_key: missing: email needs its private_key"}},
    {"{ gcp: { private_key: AAAA } }", {"gcp.email: missing"}},
    {"{ gcp: { source: service_account } }", {"gcp.email: missing", "gcp.private_key: missing"}},
    {"{ gcp: { email: e, private_key: \"AA A\" } }", {"gcp.private_key: must be PKCS#8"}},
    {"{ gcp: { email: e, private_key: \"-----BEGIN RSA PRIVATE KEY-----\" } }",
     {"gcp.private_key: must be PKCS#8"}},
    {"{ gcp: { email: e, private_key: AAAA, credentials_file: gcp.json } }",
     {"gcp.credentials_file: holds an account of its own"}},
    {"{ gcp: { email: e, private_key: AAAA, metadata_endpoint: \"http://h\" } }",
     {"gcp.metadata_endpoint: is for source: metadata"}},
    {"{ gcp: { credentials_file: none } }", {"gcp.credentials_file: 'none' no such file"}},
    {"{ gcp: { source: credentials_file } }",
     {"gcp.credentials_file: missing: and the variable GOOGLE_APPLICATION_CREDENTIALS is not set"}},
    {"{ gcp: { source: credentials_file, credentials_file: gcp.json, email: e, private_key: AAAA, "
     "metadata_endpoint: \"http://h\" } }",
     {"gcp.email: is not used by source: credentials_file", "gcp.private_key: is not used",
      "gcp.metadata_endpoint: is for source: metadata"}},
    {"{ gcp: { source: metadata, email: e, private_key: AAAA, credentials_file: gcp.json, endpoint: h } }",
     {"gcp.email: is not used by source: metadata", "gcp.private_key: is not used by source: metadata",
      "gcp.credentials_file: is not used by source: metadata", "gcp.endpoint: is not used by source"}},
    {"{ gcp: { source: file } }", {"gcp.source: must be service_account, credentials_file or metadata"}},
    {"{ gcp: { endpoint: \"h:0\", email: e, private_key: AAAA } }",
     {"gcp.endpoint: the port must be a number from 1 to 65535, not 'h:0'"}},
    // kmip
    {"{ kmip: {} }", {"kmip.endpoint: missing", "kmip.tls: certificate_key_file is missing"}},
    {"{ kmip: { endpoint: h, tls: { ca_file: ca.pem } } }", {"kmip.tls: certificate_key_file is missing"}},
    {"{ kmip: { endpoint: h, tls: } }", {"kmip.tls: certificate_key_file is missing"}},
    {"{ kmip: { endpoint: \"kmip://h\", tls: { certificate_key_file: cert.pem } } }",
     {"kmip.endpoint: must be HOST or HOST:PORT, without a scheme"}},
    // vault
    {"{ vault: {} }", {"vault.address: missing", "vault: has no way to log in"}},
    {"{ vault: { address: \"http://v:8200\", token: t } }",
     {"vault.address: must begin with https://: data keys and tokens would cross the network in clear"}},
    {"{ vault: { address: v, token: t } }", {"vault.address: must begin with https://"}},
    {"{ vault: { address: \"https://v/v1\", token: t } }", {"vault.address: behind https:// must be HOST"}},
    {"{ vault: { " + vault_at + " } }",
     {"vault: has no way to log in: token, token_file, role_id with secret_id, or kubernetes"}},
    {"{ vault: { " + vault_at + ", token: t, token_file: token.txt } }",
     {"vault.token_file: there is token already: keep one way to log in"}},
    {"{ vault: { " + vault_at + ", token: t, role_id: r, kubernetes: { role: r } } }",
     {"vault.role_id: there is token already", "vault.kubernetes: there is token already"}},
    {"{ vault: { " + vault_at + ", role_id: r } }",
     {"vault.secret_id: missing: role_id needs its secret_id"}},
    {"{ vault: { " + vault_at + ", secret_id: s } }",
     {"vault.role_id: missing: secret_id belongs to a role_id"}},
    {"{ vault: { " + vault_at + ", token: t, secret_id: s } }",
     {"vault.secret_id: belongs to role_id, not to token"}},
    {"{ vault: { " + vault_at + ", kubernetes: {} } }", {"vault.kubernetes.role: missing"}},
    {"{ vault: { " + vault_at + ", kubernetes: { role: \"a b\", rule: x } } }",
     {"vault.kubernetes.role: 'a b' has characters", "vault.kubernetes.rule: unknown key"}},
    {"{ vault: { " + vault_at + ", token: t, auth_mount: x } }",
     {"vault.auth_mount: is where role_id or kubernetes log in"}},
    {"{ vault: { " + vault_at + ", role_id: r, secret_id: s, auth_mount: \"a?b\" } }",
     {"vault.auth_mount: 'a?b' has characters"}},
    {"{ vault: { " + vault_at + ", namespace: \"a b\", token: t } }",
     {"vault.namespace: 'a b' has characters"}},
    {"{ vault: { " + vault_at + ", token: \"a b\" } }", {"vault.token: must be one word"}},
};

TEST_F(LoadKms, reports_each_mistake_where_it_is) {
    for (const BadRow& row : bad_rows) {
        SCOPED_TRACE(row.body);
        Strings expected;
        for (const std::string& problem : row.problems) expected.push_back("2: kms_providers." + problem);
        expect_problems(problems_of(kms(row.body)), expected);
    }
}

TEST_F(LoadKms, a_wrong_provider_is_not_called_missing_as_well) {
    expect_problems(problems_of(kms("{ asw: {} }")), {"2: kms_providers.asw: unknown key"});
}

}  // namespace
}  // namespace fieldgate::config
