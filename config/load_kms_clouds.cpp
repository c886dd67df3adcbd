#include <initializer_list>

#include "config/load_parts.hpp"
#include "config/scalars.hpp"

// Clouds' key managers: fixed credentials, or the way to find them at run time, and never half of either.
namespace fieldgate::config {
namespace {

bool has_any(Section& section, std::initializer_list<const char*> keys) {
    bool has = false;
    for (const char* key : keys) has = section.take(key) != nullptr || has;  // every one becomes known
    return has;
}

void refuse_all(Section& section, std::initializer_list<const char*> keys, const std::string& why) {
    for (const char* key : keys)
        if (const Node* node = section.take(key)) section.problem(*node, key, why);
}

std::string variable(Section& section, const char* name) {
    const auto& environment = section.context().options.environment;
    return environment ? environment(name).value_or("") : "";
}

std::string load_metadata_endpoint(Section& section) {
    return load_service_url(section, "metadata_endpoint", "http://",
                            "metadata services speak plain HTTP on the machine itself");
}

}  // namespace

AwsKms load_aws_kms(Section& section) {
    using Source = AwsKms::Source;
    AwsKms aws;
    aws.access_key_id = load_credential(section, "access_key_id");
    aws.secret_access_key = load_credential(section, "secret_access_key");
    aws.session_token = load_credential(section, "session_token");
    aws.source = section
                     .choice<Source>("source", {{"automatic", Source::automatic},
                                                {"environment", Source::environment},
                                                {"web_identity", Source::web_identity},
                                                {"container", Source::container},
                                                {"instance", Source::instance}})
                     .value_or(aws.source);
    aws.role_arn = load_name(section, "role_arn", ":/+=,@");
    if (!aws.role_arn.empty() && !aws.role_arn.starts_with("arn:"))
        section.problem(*section.take("role_arn"), "role_arn",
                        "must be an ARN: arn:aws:iam::ACCOUNT:role/NAME");
    aws.web_identity_token_file = load_renewed_file(section, "web_identity_token_file");
    aws.sts_endpoint = load_endpoint(section, "sts_endpoint");
    aws.sts_region = load_name(section, "sts_region");
    aws.metadata_endpoint = load_metadata_endpoint(section);

    if (has_any(section, {"access_key_id", "secret_access_key", "session_token"})) {
        section.require("access_key_id",
                        "secret_access_key and session_token belong to one; for credentials "
                        "that are found at run time leave all three out");
        section.require("secret_access_key", "access_key_id needs its secret_access_key");
        refuse_all(section,
                   {"source", "role_arn", "web_identity_token_file", "sts_endpoint", "sts_region",
                    "metadata_endpoint"},
                   "is for credentials that are found at run time: leave it out, or access_key_id");
        return aws;
    }
    if (aws.source != Source::automatic && aws.source != Source::web_identity)
        refuse_all(section, {"role_arn", "web_identity_token_file", "sts_endpoint", "sts_region"},
                   "is for source: web_identity");
    if (aws.source != Source::automatic && aws.source != Source::instance)
        refuse_all(section, {"metadata_endpoint"}, "is for source: instance");
    return aws;
}

AzureKms load_azure_kms(Section& section) {
    using Source = AzureKms::Source;
    AzureKms azure;
    azure.tenant_id = load_name(section, "tenant_id");
    azure.client_id = load_name(section, "client_id");
    azure.client_secret = load_credential(section, "client_secret");
    azure.federated_token_file = load_renewed_file(section, "federated_token_file");
    azure.identity_platform_endpoint = load_endpoint(section, "identity_platform_endpoint");
    azure.metadata_endpoint = load_metadata_endpoint(section);
    const auto source = section.choice<Source>("source", {{"client_secret", Source::client_secret},
                                                          {"managed_identity", Source::managed_identity},
                                                          {"workload_identity", Source::workload_identity}});
    if (source) {
        azure.source = *source;
    } else if (has_any(section, {"client_secret"})) {
        azure.source = Source::client_secret;
    } else if (has_any(section, {"federated_token_file"})) {
        azure.source = Source::workload_identity;
    } else if (has_any(section, {"tenant_id", "client_id"})) {
        section.require("client_secret",
                        "or write source: managed_identity or source: workload_identity, which need none");
        return azure;
    } else {
        azure.source = variable(section, "AZURE_FEDERATED_TOKEN_FILE").empty() ? Source::managed_identity
                                                                               : Source::workload_identity;
    }

    switch (azure.source) {
        case Source::client_secret:
            section.require("tenant_id", "the directory that client_id is registered in");
            section.require("client_id", "the application that client_secret belongs to");
            section.require("client_secret", "source: client_secret needs it");
            refuse_all(section, {"federated_token_file"}, "is for source: workload_identity");
            refuse_all(section, {"metadata_endpoint"}, "is for source: managed_identity");
            break;
        case Source::managed_identity:
            refuse_all(section, {"client_secret"},
                       "is not used by source: managed_identity: leave one of them out");
            refuse_all(section, {"tenant_id", "identity_platform_endpoint"},
                       "is not used by managed identity (client_id may name a user-assigned one)");
            refuse_all(section, {"federated_token_file"}, "is for source: workload_identity");
            break;
        case Source::workload_identity:
            refuse_all(section, {"client_secret"}, "is not used by workload identity: leave one of them out");
            refuse_all(section, {"metadata_endpoint"}, "is for source: managed_identity");
            if (!has_any(section, {"tenant_id"})) azure.tenant_id = variable(section, "AZURE_TENANT_ID");
            if (!has_any(section, {"client_id"})) azure.client_id = variable(section, "AZURE_CLIENT_ID");
            if (azure.tenant_id.empty())
                section.require("tenant_id", "and the variable AZURE_TENANT_ID is not set");
            if (azure.client_id.empty())
                section.require("client_id", "and the variable AZURE_CLIENT_ID is not set");
            if (variable(section, "AZURE_FEDERATED_TOKEN_FILE").empty())
                section.require("federated_token_file",
                                "and the variable AZURE_FEDERATED_TOKEN_FILE is not set");
            break;
    }
    return azure;
}

GcpKms load_gcp_kms(Section& section) {
    using Source = GcpKms::Source;
    GcpKms gcp;
    gcp.email = load_credential(section, "email");
    gcp.private_key = section.secret("private_key").value_or("");
    if (!gcp.private_key.empty() && !gcp.private_key.starts_with("-----BEGIN PRIVATE KEY-----") &&
        !parse_base64(gcp.private_key))
        section.problem(*section.take("private_key"), "private_key",
                        "must be PKCS#8, as base64 of its DER in one line or as PEM (BEGIN PRIVATE KEY)");
    gcp.credentials_file = section.readable_file("credentials_file");
    gcp.endpoint = load_endpoint(section, "endpoint");
    gcp.metadata_endpoint = load_metadata_endpoint(section);
    const auto source = section.choice<Source>("source", {{"service_account", Source::service_account},
                                                          {"credentials_file", Source::credentials_file},
                                                          {"metadata", Source::metadata}});
    const bool has_account = has_any(section, {"email", "private_key"});
    const bool has_file = has_any(section, {"credentials_file"});
    const std::string application_credentials = variable(section, "GOOGLE_APPLICATION_CREDENTIALS");
    if (source) {
        gcp.source = *source;
    } else if (has_account) {
        gcp.source = Source::service_account;
    } else if (has_file || !application_credentials.empty()) {
        gcp.source = Source::credentials_file;
    } else {
        gcp.source = Source::metadata;
    }

    switch (gcp.source) {
        case Source::service_account:
            section.require("email", "of the service account that private_key belongs to");
            section.require("private_key", "email needs its private_key");
            refuse_all(section, {"credentials_file"},
                       "holds an account of its own: leave it out, or email and private_key");
            refuse_all(section, {"metadata_endpoint"}, "is for source: metadata");
            break;
        case Source::credentials_file:
            refuse_all(section, {"email", "private_key"},
                       "is not used by source: credentials_file, whose file holds them");
            refuse_all(section, {"metadata_endpoint"}, "is for source: metadata");
            if (!has_file && application_credentials.empty())
                section.require("credentials_file",
                                "and the variable GOOGLE_APPLICATION_CREDENTIALS is not set");
            if (!has_file) gcp.credentials_file = application_credentials;
            break;
        case Source::metadata:
            refuse_all(section, {"email", "private_key", "credentials_file", "endpoint"},
                       "is not used by source: metadata: leave one of them out");
            break;
    }
    return gcp;
}

}  // namespace fieldgate::config
