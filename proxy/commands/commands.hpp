#pragma once

#include <filesystem>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "proxy/commands/key_managers.hpp"

// What the executable does besides serving. Each command prints results to `out`, everything else to `err`,
// and returns its exit code. Output holds no key byte and no secret of a connection string.
namespace fieldgate::commands {

enum ExitCode : int {
    exit_ok = 0,
    exit_usage = 64,        // the command line
    exit_unavailable = 69,  // the cluster, the key vault or a KMS does not answer or refuses us
    exit_internal = 70,     // our own mistake, or the machine's
    exit_incomplete = 75,   // some of it was done, and the same command again does the rest
    exit_configuration =
        78,  // what the operator wrote cannot work: the file, a port in use, a name that exists already
};

struct Console {
    std::ostream& out;
    std::ostream& err;
    std::istream* in = nullptr;  // for questions; null: nobody can be asked
    bool is_terminal = false;    // somebody looks at `err` and types into `in`
};

// `fieldgate init DIR`: a starter configuration, its schema and a fresh master key (mode 0600). Overwrites
// nothing: if one of the files exists, none is written. Configuration error then, or if the directory cannot
// be written.
int init(const std::filesystem::path& directory, Console console);

// `fieldgate check -c FILE [--connect]`: every problem with file and line; certificates, keys and listeners'
// addresses as `run` would find them, but nothing is bound. With `connect` also: does the cluster answer
// (within about 5 seconds), can the key vault be read, does every KMS unwrap what it wrapped under each
// master key of its `master_keys`, or without that list under those that the key vault's documents name (its
// credentials only, where there is none), is every key
// that a schema names there and usable.
int check(const std::filesystem::path& file, bool connect, const OpenKeyManagers& open_kms, Console console);

// `fieldgate explain`: reads one command as extended JSON from `in` and prints what the server would receive
// instead, what the command does with encrypted fields, and for each role whether it may, and what of the
// reply it gets; or why the command is refused, which is an answer like another. No value of an encrypted
// field is printed.
struct ExplainOptions {
    std::string role = {};      // empty: every role
    std::string database = {};  // of a command without `$db`
    bool connect = false;       // ask the cluster what the namespaces are; else they are ordinary collections
};
int explain(const std::filesystem::path& file, const ExplainOptions& options, std::istream& in,
            Console console);

// `fieldgate schema show`: the schema that applies to a namespace, and where each part of it comes from. With
// `connect`, a namespace that the configuration does not list shows its own validator, and `json` has the
// UUIDs of keys instead of their names.
struct ShowSchema {
    std::string name = {};  // DATABASE.COLLECTION
    bool json = false;
    bool connect = false;
};
int show_schema(const std::filesystem::path& file, const ShowSchema& options, Console console);

// `fieldgate schema install`: the schema of the configuration as the collection's $jsonSchema validator,
// beside the rules that it has already. Makes the collection if there is none.
struct InstallSchema {
    std::string name = {};  // DATABASE.COLLECTION
    std::string level = "strict";
    std::string action = "error";
    bool dry_run = false;
};
int install_schema(const std::filesystem::path& file, const InstallSchema& options, Console console);

// Loads the configuration with everything checked, connection strings by libmongoc included; prints what is
// wrong with it. Null: the caller exits with exit_configuration. Warnings go to `warnings`, or are printed
// without one.
std::shared_ptr<const config::Config> load_configuration(const std::filesystem::path& file, std::ostream& err,
                                                         std::vector<std::string>* warnings = nullptr);

}  // namespace fieldgate::commands
