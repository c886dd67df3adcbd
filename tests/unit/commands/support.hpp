#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string>

#include "proxy/commands/commands.hpp"

namespace fieldgate::commands::testing {

// A directory of its own, removed at the end.
class TemporaryDirectory {
 public:
    TemporaryDirectory() {
        std::string pattern = (std::filesystem::temp_directory_path() / "fieldgate-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary directory");
        path_ = pattern;
    }
    ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    const std::filesystem::path& path() const { return path_; }

 private:
    std::filesystem::path path_;
};

inline std::string read_file(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_file(const std::filesystem::path& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
}

inline void replace_in(const std::filesystem::path& path, const std::string& from, const std::string& to) {
    std::string text = read_file(path);
    const std::size_t at = text.find(from);
    if (at == std::string::npos) throw std::runtime_error("not in " + path.string() + ": " + from);
    write_file(path, text.replace(at, from.size(), to));
}

// What a command printed.
struct Printed {
    std::ostringstream out;
    std::ostringstream err;
    Console console() { return {out, err}; }
};

// A directory as `fieldgate init` leaves it.
struct Initialised {
    TemporaryDirectory directory;
    std::filesystem::path file = directory.path() / "fieldgate.yaml";
    Initialised() {
        Printed printed;
        if (init(directory.path(), printed.console()) != exit_ok) throw std::runtime_error(printed.err.str());
    }
    void set_upstream(const std::string& uri) { replace_in(file, "mongodb://127.0.0.1:27017", uri); }
};

}  // namespace fieldgate::commands::testing
