#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <exception>
#include <iostream>
#include <map>
#include <tuple>

#include "proxy/commands/commands.hpp"
#include "proxy/commands/keys.hpp"
#include "proxy/commands/text.hpp"
#include "proxy/key_managers.hpp"
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

// Of a shell variable that is not set, say: it must not mean the same as no option.
std::string not_empty(const std::string& value) {
    return value.empty() ? "must not be empty" : "";
}

// Ctrl-C ends a rewrap after the keys that are under way; a second one ends the process.
std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void end_after_this_key() {
    struct sigaction action{};
    action.sa_handler = [](int) { interrupted = true; };
    action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);
    ::sigaction(SIGINT, &action, nullptr);
    ::sigaction(SIGTERM, &action, nullptr);
    ::sigaction(SIGHUP, &action, nullptr);
}

// What `fieldgate keys` is told: must outlive the parsing.
struct KeysOptions {
    std::filesystem::path file;
    commands::CreateKey create;
    bool json = false;
    commands::ChangeAlias alias;
    commands::RewrapKeys rewrap;
    commands::DeleteKey remove;
};

void add_keys(CLI::App& app, KeysOptions& options, const commands::Console& console, int& code) {
    CLI::App* keys = app.add_subcommand("keys", "Data keys in the key vault");
    keys->require_subcommand(1);
    const auto add_key = [](CLI::App* command, std::string& key) {
        command->add_option("key", key, "The key's UUID or one of its alternative names")
            ->required()
            ->type_name("KEY");
    };

    CLI::App* create = keys->add_subcommand("create", "Create a data key; prints its UUID");
    add_config(create, options.file);
    create
        ->add_option("--provider", options.create.provider,
                     "The KMS that wraps it; without: local, or the only one")
        ->check(not_empty)
        ->type_name("PROVIDER");
    create
        ->add_option("--master-key", options.create.master_key,
                     "The key of the KMS, as drivers' masterKey: '{\"region\": ..., \"key\": ...}'")
        ->check(not_empty)
        ->type_name("JSON");
    create
        ->add_option("--alt-name", options.create.alt_names,
                     "An alternative name; may be given several times")
        ->expected(1)
        ->take_all()
        ->allow_extra_args(false)  // or "[a,b]" would be two
        ->type_name("NAME");
    create
        ->add_option("--key-material", options.create.key_material,
                     "Not a fresh key but the one in this file: 96 bytes, raw or base64")
        ->check(not_empty)
        ->type_name("FILE");
    create->add_option("--id", options.create.id, "Its UUID, with --key-material: to restore a key")
        ->check(not_empty)
        ->type_name("UUID");
    create->callback(
        [&] { code = commands::create_key(options.file, options.create, &open_key_managers, console); });

    CLI::App* list = keys->add_subcommand("list", "List the data keys and which schemas use them");
    add_config(list, options.file);
    list->add_flag("--json", options.json, "JSON instead of a table");
    list->callback([&] { code = commands::list_keys(options.file, options.json, console); });

    CLI::App* alias = keys->add_subcommand("alias", "Add or remove an alternative name of a key");
    alias->require_subcommand(1);
    using Action = commands::ChangeAlias::Action;
    for (const auto& [name, action, what] :
         {std::tuple{"add", Action::add, "Give a key another alternative name"},
          std::tuple{"remove", Action::remove, "Take an alternative name from a key"}}) {
        CLI::App* change = alias->add_subcommand(name, what);
        add_config(change, options.file);
        add_key(change, options.alias.key);
        change->add_option("name", options.alias.name, "The alternative name")->required()->type_name("NAME");
        change->callback([&, action = action] {
            options.alias.action = action;
            code = commands::change_alias(options.file, options.alias, console);
        });
    }

    CLI::App* rewrap =
        keys->add_subcommand("rewrap", "Put data keys under another master key, or afresh under their own");
    add_config(rewrap, options.file);
    rewrap
        ->add_option("--filter", options.rewrap.filters,
                     "Which keys: all, provider=NAME, name=ALT_NAME or id=UUID; several: any of them")
        ->required()
        ->expected(1)
        ->take_all()
        ->allow_extra_args(false)
        ->type_name("FILTER");
    rewrap
        ->add_option("--provider", options.rewrap.provider,
                     "The KMS that is to wrap them; without: each its own")
        ->check(not_empty)
        ->type_name("PROVIDER");
    rewrap->add_option("--master-key", options.rewrap.master_key, "Its key, as for create")
        ->check(not_empty)
        ->type_name("JSON");
    rewrap->add_flag("--dry-run", options.rewrap.dry_run, "Unwrap every key and change nothing");
    rewrap->callback([&] {
        end_after_this_key();
        options.rewrap.interrupted = &interrupted;
        code = commands::rewrap_keys(options.file, options.rewrap, &open_key_managers, console);
    });

    CLI::App* remove =
        keys->add_subcommand("delete", "Delete a data key: what it encrypted is unreadable for ever");
    add_config(remove, options.file);
    add_key(remove, options.remove.key);
    remove->add_flag("--yes", options.remove.yes, "Do not ask");
    remove->callback([&] { code = commands::delete_key(options.file, options.remove, console); });
}

// A word that is no command is what was wrong, not that a command is missing.
std::string usage_problem(const CLI::App* app, const CLI::Error& error) {
    std::string command = app->get_name();
    const CLI::App* last = app;
    while (!last->get_subcommands().empty()) {
        last = last->get_subcommands().front();
        command += " " + last->get_name();
    }
    const std::string help = "Run " + command + " --help for more information.\n";
    const std::vector<std::string> words = last->remaining();
    const bool is_about_commands = last->get_require_subcommand_min() > 0;
    if (!is_about_commands || words.empty()) return std::string(error.what()) + "\n" + help;
    std::string commands;
    for (const CLI::App* known : last->get_subcommands([](const CLI::App*) { return true; })) {
        commands += (commands.empty() ? "" : ", ") + known->get_name();
    }
    return command + ": `" + commands::printable(words.front()) + "` is none of its commands: " + commands +
           "\n" + help;
}

int main(int argc, char** argv) {
    harden_process();

    const bool is_terminal = ::isatty(STDIN_FILENO) != 0 && ::isatty(STDERR_FILENO) != 0;
    const commands::Console console{std::cout, std::cerr, &std::cin, is_terminal};
    CLI::App app{"fieldgate: client-side field level encryption for MongoDB, in a proxy", "fieldgate"};
    app.set_version_flag("--version", "fieldgate " FIELDGATE_VERSION);
    app.require_subcommand(1);
    app.footer(
        "Exit codes: 0 clean, 64 usage, 69 upstream or KMS unavailable, 70 internal, 75 incomplete, "
        "78 configuration.");
    app.failure_message(&usage_problem);
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
        ->transform(CLI::CheckedTransformer(levels).description(""))
        ->type_name("LEVEL");
    run->add_option("--log-format", serve_options.log_format, "auto, text or json; over log.format")
        ->transform(CLI::CheckedTransformer(formats).description(""))
        ->type_name("FORMAT");
    run->callback([&] { code = serve(serve_options); });

    std::filesystem::path file;
    bool connect = false;
    CLI::App* check =
        app.add_subcommand("check", "Print every problem of a configuration, with file and line");
    add_config(check, file);
    check->add_flag("--connect", connect, "Also ask the cluster, the key vault and each KMS");
    check->callback([&] { code = commands::check(file, connect, &open_key_managers, console); });

    std::filesystem::path directory;
    CLI::App* init = app.add_subcommand("init", "Write a starter configuration, its schema and a master key");
    init->add_option("directory", directory, "Where; made if it does not exist")
        ->required()
        ->type_name("DIR");
    init->callback([&] { code = commands::init(directory, console); });

    KeysOptions keys_options;
    add_keys(app, keys_options, console, code);

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
