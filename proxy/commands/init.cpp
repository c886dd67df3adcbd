#include <cerrno>
#include <fstream>
#include <ostream>
#include <system_error>

#include "crypto/key_material.hpp"
#include "crypto/random.hpp"
#include "crypto/secret_file.hpp"
#include "proxy/commands/commands.hpp"
#include "proxy/commands/starter.hpp"

namespace fieldgate::commands {
namespace {

bool write_text(const std::filesystem::path& path, std::string_view text) {
    std::ofstream file(path, std::ios::binary);
    file << text;
    file.close();
    return static_cast<bool>(file);
}

}  // namespace

int init(const std::filesystem::path& directory, Console console) {
    const std::filesystem::path configuration = directory / "fieldgate.yaml";
    const std::filesystem::path schema = directory / "patients.schema.json";
    const std::filesystem::path master_key = directory / "master-key.bin";

    for (const auto& path : {configuration, schema, master_key}) {
        std::error_code error;
        // symlink_status: a dangling link is a file that exists, too.
        if (std::filesystem::exists(std::filesystem::symlink_status(path, error))) {
            console.err << path.string() << " exists already; nothing was written\n";
            return exit_configuration;
        }
    }
    std::error_code error;
    std::filesystem::create_directories(directory, error);
    if (error) {
        console.err << directory.string() << ": " << error.message() << '\n';
        return exit_configuration;
    }

    crypto::SystemRandom random;
    const auto key = crypto::generate_key(random);
    if (!key) {
        console.err << key.error().message() << '\n';
        return exit_internal;
    }
    if (const auto failed =
            crypto::write_secret_file(master_key.string(), crypto::SecretBuffer(key->expose_secret()))) {
        console.err << master_key.string() << ": " << failed.message() << '\n';
        return exit_configuration;
    }
    for (const auto& [path, text] :
         {std::pair{schema, starter_schema}, std::pair{configuration, starter_configuration}}) {
        if (!write_text(path, text)) {
            console.err << path.string() << ": " << std::generic_category().message(errno) << '\n';
            return exit_configuration;
        }
    }

    const std::string file = configuration.string();
    console.out << "Written:\n"
                << "  " << file << "   two ports: doctors see everything, receptionists no protected field\n"
                << "  " << schema.string() << "   which fields are protected\n"
                << "  " << master_key.string()
                << "   the master key: keep a copy elsewhere, show it to nobody\n\n"
                << "Next, with a MongoDB on 127.0.0.1:27017 (or another upstream.uri):\n"
                << "  fieldgate keys create -c " << file << " --alt-name clinic\n"
                << "  fieldgate check -c " << file << " --connect\n"
                << "  fieldgate run -c " << file << '\n';
    return exit_ok;
}

}  // namespace fieldgate::commands
