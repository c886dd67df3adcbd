#include <ostream>

#include "config/load.hpp"
#include "proxy/cluster/uri.hpp"
#include "proxy/commands/commands.hpp"

namespace fieldgate::commands {

std::shared_ptr<const config::Config> load_configuration(const std::filesystem::path& file, std::ostream& err,
                                                         std::vector<std::string>* warnings) {
    config::LoadOptions options = config::process_environment();
    options.check_uri = &cluster::check_uri;
    try {
        config::Loaded loaded = config::load(file, options);
        for (const config::Problem& warning : loaded.warnings) {
            if (warnings != nullptr) {
                warnings->push_back(warning.text());
            } else {
                err << "warning: " << warning.text() << '\n';
            }
        }
        return loaded.config;
    } catch (const config::LoadError& error) {
        for (const config::Problem& problem : error.problems()) err << problem.text() << '\n';
        err << error.problems().size() << (error.problems().size() == 1 ? " problem" : " problems") << " in "
            << file.string() << '\n';
        return nullptr;
    }
}

}  // namespace fieldgate::commands
