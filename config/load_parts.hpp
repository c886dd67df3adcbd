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

// Puts FIELDGATE_<SECTION>__<KEY> into the tree, where the sections find them like keys of the file.
void apply_environment(Node& root, LoadContext& context);

}  // namespace fieldgate::config
