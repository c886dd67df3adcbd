#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/config.hpp"

namespace fieldgate::commands {

// A schema whose keys are UUIDs, as drivers and servers want it; JSON pointers stay. One query to the key
// vault, none if the schema has no alternative names.
struct SchemaWithUuids {
    std::shared_ptr<const config::Schema> schema;  // null: see below
    std::string error;                             // the key vault cannot be asked
    std::vector<std::string> problems;             // names that are no key's, or several keys'
};
SchemaWithUuids with_key_uuids(const config::Schema& schema, const std::string& database,
                               const config::Config& config);

}  // namespace fieldgate::commands
