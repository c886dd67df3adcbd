#pragma once

#include <ostream>

#include "proxy/cluster/key_vault.hpp"
#include "proxy/commands/commands.hpp"

// The part of `check --connect` that is about keys.
namespace fieldgate::commands {

// One line for each thing that was tried; the exit code of the whole.
class Report {
 public:
    explicit Report(Console console) : console_(console) {}
    void passed(const std::string& what);
    void warned(const std::string& what);  // may be meant
    void failed(int code, const std::string& what);
    int code() const { return code_; }

 private:
    Console console_;
    int code_ = exit_ok;
};

// Every KMS provider of the configuration: wraps and unwraps a random key under each of its `master_keys`;
// or, without that list, under the master keys that documents of the key vault name for it, and logs in only,
// where there is none. Then it unwraps some keys of each that are in the key vault. A document that names a
// master key which is not in the list is a problem of the configuration. `vault` is null where it could not
// be asked.
void check_providers(const config::Config& config, KeyManagers& kms, cluster::KeyVaultClient* vault,
                     Report& report);

// Documents of the key vault that this configuration cannot use, as a warning: they may be somebody else's.
void check_documents(const config::Config& config, cluster::KeyVaultClient& vault, Report& report);

// Every key that a schema names: is it there, once, and can it be unwrapped.
void check_schema_keys(const config::Config& config, KeyManagers& kms, cluster::KeyVaultClient& vault,
                       Report& report);

}  // namespace fieldgate::commands
