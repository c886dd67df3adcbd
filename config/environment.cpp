#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "config/load_parts.hpp"
#include "config/scalars.hpp"

extern "C" char** environ;  // NOLINT(readability-redundant-declaration): POSIX has it in no header

namespace fieldgate::config {
namespace {

constexpr std::string_view prefix = "FIELDGATE_";

struct OverridableSection {
    std::string name;
    std::vector<std::string> keys;  // scalars only
};

const std::vector<OverridableSection>& overridable_sections() {
    static const std::vector<OverridableSection> sections{
        {"upstream", {"uri", "presentation", "read_preference", "election_wait"}},
        {"key_vault", {"namespace", "uri", "cache_lifetime"}},
        {"admin", {"address", "console"}},
        {"log", {"level", "format"}},
        {"limits", {"connections", "message_bytes", "nesting_levels", "memory_bytes", "drain"}},
    };
    return sections;
}

std::string lower(std::string_view text) {
    std::string result(text);
    for (char& c : result)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return result;
}

bool is_upper(std::string_view text) {
    return std::none_of(text.begin(), text.end(), [](char c) { return c >= 'a' && c <= 'z'; });
}

// The section of the tree, made if absent; null if the file has something else there, which is reported
// later.
Node* section_node(Node& root, const std::string& name, const Where& where) {
    Node* node = root.find(name);
    if (node == nullptr) {
        Node section;
        section.kind = Node::Kind::object;
        section.key = name;
        section.key_where = section.where = where;
        root.children.push_back(std::move(section));
        return &root.children.back();
    }
    if (node->is_null() && node->text.empty()) node->kind = Node::Kind::object;
    return node->is_object() ? node : nullptr;
}

void apply(Node& root, LoadContext& context, const std::string& variable) {
    const std::string_view rest = std::string_view(variable).substr(prefix.size());
    const std::size_t separator = rest.find("__");
    const std::string section_name = lower(rest.substr(0, separator));
    const std::string key = lower(rest.substr(separator + 2));
    const Where where{0, variable};

    const auto& sections = overridable_sections();
    const auto section = std::find_if(sections.begin(), sections.end(),
                                      [&](const OverridableSection& s) { return s.name == section_name; });
    if (section == sections.end() || !is_upper(rest)) {
        std::vector<std::string> names;
        names.reserve(sections.size());
        for (const OverridableSection& s : sections) names.push_back(s.name);
        context.problems.add(where, "names no section that the environment can override (" + join_or(names) +
                                        ", in capitals)" + did_you_mean(section_name, names));
        return;
    }
    if (std::find(section->keys.begin(), section->keys.end(), key) == section->keys.end()) {
        context.problems.add(where,
                             section_name + " has no key '" + key + "'" + did_you_mean(key, section->keys));
        return;
    }
    const auto value = context.options.environment ? context.options.environment(variable) : std::nullopt;
    if (!value) return;
    Node* node = section_node(root, section_name, where);
    if (node == nullptr) return;

    Node scalar;
    scalar.kind = Node::Kind::string;
    scalar.text = *value;
    scalar.where = scalar.key_where = where;
    scalar.key = key;
    if (Node* existing = node->find(key))
        *existing = std::move(scalar);
    else
        node->children.push_back(std::move(scalar));
}

}  // namespace

void apply_environment(Node& root, LoadContext& context) {
    std::vector<std::string> names = context.options.environment_names;
    std::sort(names.begin(), names.end());
    for (const std::string& name : names)
        if (name.starts_with(prefix) && name.find("__", prefix.size()) != std::string::npos)
            apply(root, context, name);
}

LoadOptions process_environment() {
    LoadOptions options;
    options.environment = [](const std::string& name) -> std::optional<std::string> {
        const char* value = std::getenv(name.c_str());
        if (value == nullptr) return std::nullopt;
        return value;
    };
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
        const std::string_view text = *entry;
        const std::string_view name = text.substr(0, text.find('='));
        if (name.starts_with(prefix) && name.find("__", prefix.size()) != std::string_view::npos)
            options.environment_names.emplace_back(name);
    }
    return options;
}

}  // namespace fieldgate::config
