#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "config/problem.hpp"

namespace fieldgate::config {

// Every problem found, in the order of the files' lines. Thrown only at start-up.
class LoadError : public std::runtime_error {
 public:
    explicit LoadError(std::vector<Problem> problems);
    const std::vector<Problem>& problems() const { return problems_; }

 private:
    std::vector<Problem> problems_;
};

struct LoadOptions {
    // Returns the value of an environment variable; replaced by tests.
    std::function<std::optional<std::string>(const std::string&)> environment;
    // Every FIELDGATE_<SECTION>__<KEY> that is set, so that a misspelt one is a problem too.
    std::vector<std::string> environment_names;
    // Asks the driver library about a connection string; returns what it would only have logged. Injected,
    // because config/ knows no MongoDB library. Absent: not checked.
    std::function<std::vector<std::string>(const std::string& uri)> check_uri;
};
LoadOptions process_environment();

struct Loaded {
    std::shared_ptr<const Config> config;
    std::vector<Problem> warnings;  // e.g. a schema that protects nothing
};

// Reads `file` and everything it refers to. Of key files only presence, size, mode and, for base64, the
// alphabet are looked at; their bytes are not kept. Throws LoadError with all problems in one go.
Loaded load(const std::filesystem::path& file, const LoadOptions& options);

}  // namespace fieldgate::config
