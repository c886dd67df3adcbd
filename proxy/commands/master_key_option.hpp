#pragma once

#include <memory>
#include <string>

#include "proxy/commands/commands.hpp"
#include "proxy/commands/key_managers.hpp"

namespace fieldgate::commands {

// `--provider` and `--master-key` of the command line, against the configuration.
struct MasterKeyOption {
    std::string provider;
    crypto::kms::MasterKeyDescription master_key;
    std::string problem;  // empty: sound
    int code = 0;         // of the problem
};

// Without a provider: `local` if it is configured, or the only one that is. `master_key` is the drivers'
// masterKey as extended JSON; the providers that need none (local; KMIP, which makes one) may go without. One
// that is not in the provider's `master_keys` is a problem of the configuration.
MasterKeyOption read_master_key_option(const config::Config& config, const std::string& provider,
                                       const std::string& master_key);

// Null: what is wrong with key files or certificates was printed.
std::unique_ptr<KeyManagers> open_key_managers(const config::Config& config, const OpenKeyManagers& open,
                                               Console console);

}  // namespace fieldgate::commands
