#pragma once

#include "config/config.hpp"
#include "proxy/keys/kms.hpp"

namespace fieldgate::keys {

// Every provider of the configuration, by name, ready to be asked, and limited to its `master_keys` where it
// has such a list. Key files that are read once (the local master key) are read here. std::runtime_error
// names the provider, the file and what is wrong with it.
Kms::Providers make_kms_providers(const config::Config& config, const KmsEnvironment& environment);

}  // namespace fieldgate::keys
