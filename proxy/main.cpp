#include <sys/prctl.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>
#include <map>

#include "proxy/commands/commands.hpp"
#include "proxy/serve.hpp"

namespace fieldgate {
namespace {

// Keys are in this process's memory: no core dump holds them and no other process of the user may look.
void harden_process() {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    ::prctl(PR_SET_DUMPABLE, 0);
}

CLI::Option* add_config(CLI::App* command, std::filesystem::path& file) {
    return command->add_option("-c,--config", file, "The configuration (YAML)")
        ->required()
        ->type_name("FILE");
}

int main(int argc, char** argv) {
    harden_process();

    const commands::Console console{std::cout, std::cerr};
    CLI::App app{"fieldgate: client-side field level encryption for MongoDB, in a proxy", "fieldgate"};
    app.set_version_flag("--version", "fieldgate " FIELDGATE_VERSION);
    app.require_subcommand(1);
    app.footer(
        "Exit codes: 0 clean, 64 usage, 69 upstream or KMS unavailable, 70 internal, 78 configuration.");
    int code = commands::exit_ok;

    ServeOptions serve_options;
    CLI::App* run = app.add_subcommand("run", "Serve until SIGTERM or SIGINT");
    add_config(run, serve_options.file);
    using Level = config::Log::Level;
    using Format = config::Log::Format;
    const std::map<std::string, Level> levels{{"trace", Level::trace},
                                              {"debug", Level::debug},
                                              {"info", Level::info},
                                              {"warn", Level::warn},
                                              {"error", Level::error}};
    const std::map<std::string, Format> formats{
        {"auto", Format::automatic}, {"text", Format::text}, {"json", Format::json}};
    run->add_option("--log-level", serve_options.log_level,
                    "trace, debug, info, warn or error; over log.level")
        ->transform(CLI::CheckedTransformer(levels))
        ->type_name("LEVEL");
    run->add_option("--log-format", serve_options.log_format, "auto, text or json; over log.format")
        ->transform(CLI::CheckedTransformer(formats))
        ->type_name("FORMAT");
    run->callback([&] { code = serve(serve_options); });

    std::filesystem::path file;
    bool connect = false;
    CLI::App* check =
        app.add_subcommand("check", "Print every problem of a configuration, with file and line");
    add_config(check, file);
    check->add_flag("--connect", connect, "Also ask the cluster, the key vault and each KMS");
    check->callback([&] { code = commands::check(file, connect, console); });

    std::filesystem::path directory;
    CLI::App* init = app.add_subcommand("init", "Write a starter configuration, its schema and a master key");
    init->add_option("directory", directory, "Where; made if it does not exist")
        ->required()
        ->type_name("DIR");
    init->callback([&] { code = commands::init(directory, console); });

    CLI::App* keys = app.add_subcommand("keys", "Data keys in the key vault");
    keys->require_subcommand(1);
    commands::CreateKey create_options;
    CLI::App* create = keys->add_subcommand("create", "Create a data key; prints its UUID");
    add_config(create, file);
    create->add_option("--provider", create_options.provider, "The KMS that wraps it")->capture_default_str();
    create
        ->add_option("--alt-name", create_options.alt_names,
                     "An alternative name; may be given several times")
        ->expected(1)
        ->take_all()
        ->type_name("NAME");
    create->callback([&] { code = commands::create_key(file, create_options, console); });
    bool json = false;
    CLI::App* list = keys->add_subcommand("list", "List the data keys and which schemas use them");
    add_config(list, file);
    list->add_flag("--json", json, "JSON instead of a table");
    list->callback([&] { code = commands::list_keys(file, json, console); });

    CLI::App* schema = app.add_subcommand("schema", "The schema of a namespace");
    schema->require_subcommand(1);
    const auto add_namespace = [](CLI::App* command, std::string& name) {
        command->add_option("namespace", name, "DATABASE.COLLECTION")->required()->type_name("NAMESPACE");
    };
    commands::ShowSchema show_options;
    CLI::App* show = schema->add_subcommand("show", "Show which fields are encrypted, how, and who says so");
    add_config(show, file);
    add_namespace(show, show_options.name);
    show->add_flag("--json", show_options.json, "As a JSON schema, for a driver's schema map");
    show->add_flag("--connect", show_options.connect,
                   "Ask the cluster for the collection's own validator, and for the UUIDs of keys");
    show->callback([&] { code = commands::show_schema(file, show_options, console); });
    commands::InstallSchema install_options;
    CLI::App* install = schema->add_subcommand(
        "install", "Make the server refuse plaintext in encrypted fields, whoever writes it");
    add_config(install, file);
    add_namespace(install, install_options.name);
    install->add_option("--level", install_options.level, "strict or moderate: which documents are checked")
        ->check(CLI::IsMember({"strict", "moderate"}))
        ->type_name("LEVEL")
        ->capture_default_str();
    install->add_option("--action", install_options.action, "error or warn: what becomes of a wrong document")
        ->check(CLI::IsMember({"error", "warn"}))
        ->type_name("ACTION")
        ->capture_default_str();
    install->add_flag("--dry-run", install_options.dry_run, "Print the command and change nothing");
    install->callback([&] { code = commands::install_schema(file, install_options, console); });

    commands::ExplainOptions explain_options;
    CLI::App* explain = app.add_subcommand(
        "explain", "Read a command (extended JSON) and print what becomes of it and of its reply");
    add_config(explain, file);
    explain->add_option("--role", explain_options.role, "For this role only")->type_name("ROLE");
    explain->add_option("--database", explain_options.database, "The database of a command without $db")
        ->type_name("DATABASE");
    explain->add_flag("--connect", explain_options.connect,
                      "Ask the cluster what the namespaces are, instead of taking them for collections");
    explain->callback([&] { code = commands::explain(file, explain_options, std::cin, console); });

    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& asked) {
        return app.exit(asked);
    } catch (const CLI::ParseError& error) {
        app.exit(error);
        return commands::exit_usage;
    }
    return code;
}

}  // namespace
}  // namespace fieldgate

int main(int argc, char** argv) {
    try {
        return fieldgate::main(argc, argv);
    } catch (const std::exception& error) {
        std::cerr << "fieldgate: " << error.what() << '\n';
        return fieldgate::commands::exit_internal;
    }
}
