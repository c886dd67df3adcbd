#include "config/load.hpp"

#include <algorithm>
#include <tuple>

#include "config/files.hpp"
#include "config/load_parts.hpp"
#include "config/yaml_reader.hpp"

namespace fieldgate::config {
namespace {

constexpr std::size_t config_file_bytes_max = std::size_t{4} * 1024 * 1024;

std::string all_texts(const std::vector<Problem>& problems) {
    std::string text;
    for (const Problem& problem : problems) text += (text.empty() ? "" : "\n") + problem.text();
    return text;
}

// By file in the order they were met, the configuration first, then by line.
void sort_by_line(std::vector<Problem>& problems, const std::filesystem::path& first) {
    std::vector<std::filesystem::path> files{first};
    for (const Problem& problem : problems)
        if (std::find(files.begin(), files.end(), problem.file) == files.end()) files.push_back(problem.file);
    const auto rank = [&](const Problem& problem) {
        return std::find(files.begin(), files.end(), problem.file) - files.begin();
    };
    // Not std::stable_sort, which uses what newer compilers call deprecated.
    using Place = std::tuple<std::ptrdiff_t, int, std::size_t>;
    std::vector<Place> order;
    order.reserve(problems.size());
    for (std::size_t i = 0; i < problems.size(); ++i)
        order.emplace_back(rank(problems[i]), problems[i].line, i);
    std::sort(order.begin(), order.end());
    std::vector<Problem> sorted;
    sorted.reserve(problems.size());
    for (const Place& place : order) sorted.push_back(std::move(problems[std::get<std::size_t>(place)]));
    problems = std::move(sorted);
}

void load_commands(Section& root, Config& config) {
    Section section(root.context(), root.take("commands"), "commands");
    for (const Node* item : section.list("pass")) {
        if (!item->is_scalar() || item->is_null() || item->text.empty())
            section.problem(*item, "pass", "must be a list of command names");
        else
            config.commands_pass.push_back(item->text);
    }
    section.finish();
}

void check_keys_can_be_had(const Node& root, LoadContext& context, const Config& config) {
    const bool protects = std::any_of(config.schemas.begin(), config.schemas.end(),
                                      [](const ProtectedNamespace& n) { return !n.schema->empty(); });
    const Node* providers = root.find("kms_providers");
    // A provider that is there and wrong was reported.
    if (protects && (providers == nullptr ||
                     (providers->children.empty() && (providers->is_object() || providers->is_null()))))
        context.problems.add(
            providers != nullptr ? providers->where : Where{}, "kms_providers",
            "missing: the schemas protect fields, so a key manager is needed: { local: { key_file: "
            "PATH } }");
    if (root.find("schemas") == nullptr && config.unlisted_namespaces == Config::Unlisted::pass)
        context.warnings.add({}, "schemas", "there are none: nothing is encrypted");
}

void load_sections(const Node& tree, LoadContext& context, Config& config) {
    Section root(context, &tree, "");
    load_upstream(root, config);
    load_key_vault(root, config);
    load_kms_providers(root, config);
    load_log(root, config);
    load_limits(root, config);
    load_commands(root, config);
    load_schemas(root, config);
    load_roles(root, config);
    load_listeners(root, config);
    for (const char* key : {"derived_fields", "admin", "audit"}) root.unsupported(key);
    root.finish();
    check_keys_can_be_had(tree, context, config);
}

}  // namespace

std::string Problem::text() const {
    return file.string() + (line > 0 ? ":" + std::to_string(line) : "") + ": " + what;
}

LoadError::LoadError(std::vector<Problem> problems)
    : std::runtime_error(all_texts(problems)), problems_(std::move(problems)) {}

Loaded load(const std::filesystem::path& file, const LoadOptions& options) {
    std::vector<Problem> problems;
    std::vector<Problem> warnings;
    const auto config = std::make_shared<Config>();
    config->file = file;
    LoadContext context{ProblemList(problems, file), ProblemList(warnings, file), file.parent_path(),
                        options};

    const FileText text = read_text_file(file, config_file_bytes_max);
    if (!text.fault.empty()) {
        context.problems.add({}, text.fault);
    } else if (auto root = read_yaml(text.text, context.problems)) {
        if (root->is_object()) {
            apply_environment(*root, context);
            context.root = &*root;
            load_sections(*root, context, *config);
        } else {
            context.problems.add(root->where, "must be a mapping: upstream: ..., listeners: ...");
        }
    }
    if (!problems.empty()) {
        sort_by_line(problems, file);
        throw LoadError(std::move(problems));
    }
    sort_by_line(warnings, file);
    return {config, std::move(warnings)};
}

}  // namespace fieldgate::config
