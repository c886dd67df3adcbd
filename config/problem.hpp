#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace fieldgate::config {

// One thing wrong with the configuration, and where. `what` says what to write instead.
struct Problem {
    std::filesystem::path file;
    int line = 0;  // 1-based; 0: the file as a whole, or an environment variable (named in `what`)
    std::string what;

    std::string text() const;  // "fieldgate.yaml:12: roles.doctor.read: ..."
};

// Where a node came from: a line of its file, or, without one, something to name in the text: the environment
// variable or the path inside the BSON document.
struct Where {
    int line = 0;
    std::string label;
};

// Collects the problems of one file.
class ProblemList {
 public:
    ProblemList(std::vector<Problem>& sink, std::filesystem::path file)
        : sink_(sink), file_(std::move(file)) {}

    void add(const Where& where, const std::string& what) {
        sink_.push_back({file_, where.line, where.label.empty() ? what : where.label + ": " + what});
    }
    void add(const Where& where, const std::string& path, const std::string& what) {
        add(where, path.empty() ? what : path + ": " + what);
    }
    const std::filesystem::path& file() const { return file_; }
    std::vector<Problem>& sink() const { return sink_; }  // for the list of another file
    std::size_t count() const { return sink_.size(); }

 private:
    std::vector<Problem>& sink_;
    std::filesystem::path file_;
};

}  // namespace fieldgate::config
