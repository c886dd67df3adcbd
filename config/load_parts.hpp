#pragma once

#include "config/section.hpp"

// The loader, a file per part of the configuration. Each reads its keys from `root` into `config` and reports
// what is wrong. Called in this order: roles name schemas, listeners name roles. Internal to config/.
namespace fieldgate::config {

void load_upstream(Section& root, Config& config);
void load_key_vault(Section& root, Config& config);
void load_kms_providers(Section& root, Config& config);
void load_log(Section& root, Config& config);
void load_limits(Section& root, Config& config);
void load_schemas(Section& root, Config& config);
void load_roles(Section& root, Config& config);
void load_listeners(Section& root, Config& config);

// The settings of one key manager of load_kms_providers, from its section.
AwsKms load_aws_kms(Section& section);
AzureKms load_azure_kms(Section& section);
GcpKms load_gcp_kms(Section& section);
// Its `master_keys`. Nothing: absent; one that is wrong was reported, and is not nothing.
std::optional<std::vector<ListedMasterKey>> load_master_keys(Section& section, const KmsProvider& provider);
// A key that must be an endpoint: HOST or HOST:PORT. Empty: absent or wrong.
std::string load_endpoint(Section& section, const std::string& key);
// "https://HOST[:PORT]", for `scheme` "https://"; one slash at the end is dropped. Empty: absent or wrong.
std::string load_service_url(Section& section, const std::string& key, std::string_view scheme,
                             const std::string& why);
// A file that somebody renews while fieldgate runs: one that is not there yet is a warning only.
std::filesystem::path load_renewed_file(Section& section, const std::string& key);
// A secret that becomes part of a header or a form: one line of printable characters.
std::string load_credential(Section& section, const std::string& key);
// A name that becomes part of a path or a header: the characters that RFC 3986 calls unreserved, and `more`.
std::string load_name(Section& section, const std::string& key, std::string_view more = "");

// Puts FIELDGATE_<SECTION>__<KEY> into the tree, where the sections find them like keys of the file.
void apply_environment(Node& root, LoadContext& context);

}  // namespace fieldgate::config
