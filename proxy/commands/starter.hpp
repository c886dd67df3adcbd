#pragma once

#include <string_view>

namespace fieldgate::commands {

// The files that `fieldgate init` writes.
extern const std::string_view starter_configuration;
extern const std::string_view starter_schema;

}  // namespace fieldgate::commands
