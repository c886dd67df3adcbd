#pragma once

#include <memory>

#include "proxy/commands/key_managers.hpp"

namespace fieldgate {

// The key managers of the configuration for the commands. std::runtime_error names the provider and the file.
std::unique_ptr<commands::KeyManagers> open_key_managers(const config::Config& config);

}  // namespace fieldgate
