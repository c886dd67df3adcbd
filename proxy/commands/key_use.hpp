#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "proxy/keys/key_document.hpp"
#include "proxy/keys/key_ring.hpp"

namespace fieldgate::commands {

// The namespaces of the configuration whose schema names this key, by UUID or by alternative name.
std::vector<std::string> schemas_that_use(const config::Config& config, const keys::KeyDocument& key);

// Every key that a schema names for certain. `open_names` gets the names that depend on the database, because
// neither the name nor the namespace's pattern says which.
keys::KeyRequest keys_of_schemas(const config::Config& config, std::vector<std::string>& open_names);

}  // namespace fieldgate::commands
