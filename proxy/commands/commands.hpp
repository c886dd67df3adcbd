#pragma once

#include <filesystem>
#include <iosfwd>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "config/config.hpp"
#include "crypto/secret.hpp"

// What the executable does besides serving. Each command prints results to `out`, everything else to `err`,
// and returns its exit code. Output holds no key byte and no secret of a connection string.
namespace fieldgate::commands {

enum ExitCode : int {
    exit_ok = 0,
    exit_usage = 64,        // the command line
    exit_unavailable = 69,  // the cluster, the key vault or a KMS does not answer or refuses us
    exit_internal = 70,     // our own mistake, or the machine's
    exit_configuration =
        78,  // what the operator wrote cannot work: the file, a port in use, a name that exists already
};

struct Console {
    std::ostream& out;
    std::ostream& err;
};

// `fieldgate init DIR`: a starter configuration, its schema and a fresh master key (mode 0600). Overwrites
// nothing: if one of the files exists, none is written. Configuration error then, or if the directory cannot
// be written.
int init(const std::filesystem::path& directory, Console console);

// `fieldgate check -c FILE [--connect]`: every problem with file and line; certificates, keys and listeners'
// addresses as `run` would find them, but nothing is bound. With `connect` also: does the cluster answer
// (within about 5 seconds), can the key vault be read, does the local KMS unwrap what it wrapped, is every
// key that a schema names there and usable.
int check(const std::filesystem::path& file, bool connect, Console console);

// `fieldgate keys create`: prints the new key's UUID.
struct CreateKey {
    std::string provider = "local";
    std::vector<std::string> alt_names;
};
int create_key(const std::filesystem::path& file, const CreateKey& options, Console console);

// `fieldgate keys list`: a table, or JSON: {"keys": [{"id", "altNames", "provider", "created", "usedBy"}]}.
int list_keys(const std::filesystem::path& file, bool json, Console console);

// Loads the configuration with everything checked, connection strings by libmongoc included; prints what is
// wrong with it. Null: the caller exits with exit_configuration. Warnings go to `warnings`, or are printed
// without one.
std::shared_ptr<const config::Config> load_configuration(const std::filesystem::path& file, std::ostream& err,
                                                         std::vector<std::string>* warnings = nullptr);

// The local KMS's master key, read into erasing memory. The error names the file.
struct MasterKeyError {
    std::string text;
};
std::variant<crypto::MasterKey, MasterKeyError> load_master_key(const config::Config& config);

}  // namespace fieldgate::commands
