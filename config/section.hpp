#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "config/load.hpp"
#include "config/node.hpp"

// What the parts of the loader share. Internal to config/.
namespace fieldgate::config {

// One load: where problems go, what relative paths stand on.
struct LoadContext {
    ProblemList problems;
    ProblemList warnings;
    std::filesystem::path directory;  // of the configuration file
    const LoadOptions& options;
    const Node* root = nullptr;  // the configuration file's tree

    std::filesystem::path resolve(const std::string& path) const { return directory / path; }
    // The text of a secret or plain scalar: itself, or what `{ file: PATH }` or `{ env: NAME }` refer to.
    std::optional<std::string> secret(const Node& node, const std::string& path) const;
};

// Reads one mapping key by key and remembers which keys it was asked for; what is left at finish() is
// unknown.
//
//   Section section(context, node, "limits");   // node may be null: absent
//   limits.drain = section.duration("drain", ...).value_or(limits.drain);
//   section.finish();
//
// Every getter returns nothing if the key is absent or its value is wrong; a wrong one has been reported.
class Section {
 public:
    Section(LoadContext& context, const Node* node, std::string path);

    bool is_present() const { return node_ != nullptr; }
    const Where& where() const { return where_; }
    const std::string& path() const { return path_; }
    std::string path(const std::string& key) const { return path_.empty() ? key : path_ + "." + key; }
    LoadContext& context() const { return context_; }

    const Node* take(const std::string& key);
    // Present, or a problem.
    const Node* require(const std::string& key, const std::string& hint);
    // A key of the design that this version does not have: never silently ignored.
    void unsupported(const std::string& key);

    std::optional<std::string> string(const std::string& key);
    std::optional<std::string> secret(const std::string& key);
    std::optional<std::uint64_t> number(const std::string& key, std::uint64_t min, std::uint64_t max);
    std::optional<std::uint64_t> bytes(const std::string& key, std::uint64_t min, std::uint64_t max);
    std::optional<std::chrono::milliseconds> duration(const std::string& key, std::chrono::milliseconds min,
                                                      std::chrono::milliseconds max);
    std::vector<const Node*> list(const std::string& key);
    // A path, as the process can open it, of a regular file that it may read.
    std::filesystem::path readable_file(const std::string& key);

    template <class Value>
    struct Choice {
        std::string name;
        Value value;
    };
    template <class Value>
    std::optional<Value> choice(const std::string& key, const std::vector<Choice<Value>>& choices) {
        const auto text = string(key);
        if (!text) return std::nullopt;
        std::vector<std::string> names;
        for (const Choice<Value>& choice : choices) {
            if (choice.name == *text) return choice.value;
            names.push_back(choice.name);
        }
        refuse_choice(key, *text, names);
        return std::nullopt;
    }

    void problem(const Node& at, const std::string& key, const std::string& what) const;
    void finish();

 private:
    void refuse_choice(const std::string& key, const std::string& text,
                       const std::vector<std::string>& names);

    LoadContext& context_;
    const Node* node_ = nullptr;
    bool is_malformed_ = false;  // no mapping, which was said: nothing can be missing in it
    Where where_;
    std::string path_;
    std::vector<std::string> known_;
};

// "30s", "1m30s", "500ms": as parse_duration reads it.
std::string duration_text(std::chrono::milliseconds duration);

}  // namespace fieldgate::config
