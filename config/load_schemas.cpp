#include <algorithm>
#include <map>

#include "config/extended_json.hpp"
#include "config/files.hpp"
#include "config/json_reader.hpp"
#include "config/load_parts.hpp"
#include "config/scalars.hpp"
#include "config/schema_builder.hpp"
#include "config/yaml_reader.hpp"

namespace fieldgate::config {
namespace {

constexpr std::size_t schema_file_bytes_max = std::size_t{16} * 1024 * 1024;  // a BSON document is no larger

class SchemaLoader {
 public:
    SchemaLoader(LoadContext& context, std::vector<Problem>& problems, std::vector<Problem>& warnings)
        : context_(context), problems_(problems), warnings_(warnings) {}

    std::shared_ptr<const Schema> from_file(Section& entry, const std::string& name) {
        const std::filesystem::path path = context_.resolve(name);
        // Several namespaces often share a file: read once, its problems reported once.
        if (const auto known = files_.find(path); known != files_.end()) return known->second;
        std::shared_ptr<const Schema>& schema = files_[path];
        FileText file = read_text_file(path, schema_file_bytes_max);
        if (!file.fault.empty()) {
            entry.problem(*entry.take("file"), "file", "'" + name + "' " + file.fault);
            return nullptr;
        }
        ProblemList problems(problems_, path);
        ProblemList warnings(warnings_, path);
        const std::string extension = path.extension().string();
        const bool is_yaml = extension == ".yaml" || extension == ".yml";
        auto root = is_yaml ? read_yaml(file.text, problems) : read_json(file.text, problems);
        if (root) schema = build(*root, problems, warnings, "");
        return schema;
    }

    static std::shared_ptr<const Schema> build(Node& root, ProblemList& problems, ProblemList& warnings,
                                               const std::string& path) {
        const std::size_t before = problems.count();
        decode_extended_json(root, problems);
        const BuiltSchema built = build_schema(root, SchemaOrigin::local);
        const auto at = [&](const SchemaProblem& problem) {
            return path.empty() || problem.path.empty() ? path + problem.path : path + "." + problem.path;
        };
        for (const SchemaProblem& problem : built.problems)
            problems.add(problem.where, at(problem), problem.what);
        for (const SchemaProblem& note : built.notes) warnings.add(note.where, at(note), note.what);
        return problems.count() == before ? built.schema : nullptr;
    }

 private:
    LoadContext& context_;
    std::vector<Problem>& problems_;
    std::vector<Problem>& warnings_;
    std::map<std::filesystem::path, std::shared_ptr<const Schema>> files_;
};

bool load_entry(Section& entry, SchemaLoader& loader, ProtectedNamespace& result) {
    LoadContext& context = entry.context();
    const Node* file = entry.take("file");
    const Node* inline_schema = entry.take("schema");
    if (file != nullptr && inline_schema != nullptr) {
        entry.problem(*inline_schema, "schema", "stands instead of 'file', not beside it");
    } else if (file != nullptr) {
        if (const auto name = entry.string("file")) {
            result.schema = loader.from_file(entry, *name);
            result.schema_file = context.resolve(*name);
        }
    } else if (inline_schema != nullptr) {
        Node copy = *inline_schema;
        result.schema = SchemaLoader::build(copy, context.problems, context.warnings, entry.path("schema"));
    } else if (entry.is_present()) {
        context.problems.add(entry.where(), entry.path(),
                             "missing: file: PATH or schema: { bsonType: object, ... }");
    }
    result.explicit_encryption_allow =
        entry.choice<bool>("explicit_encryption", {{"allow", true}, {"refuse", false}}).value_or(false);
    result.coerce_numbers =
        entry.choice<bool>("coerce_numbers", {{"true", true}, {"false", false}}).value_or(false);
    using Nulls = ProtectedNamespace::Nulls;
    result.nulls =
        entry
            .choice<Nulls>("nulls",
                           {{"refuse", Nulls::refuse}, {"store", Nulls::store}, {"omit", Nulls::omit}})
            .value_or(result.nulls);
    entry.finish();
    return result.schema != nullptr;
}

void check_patterns(LoadContext& context, const Config& config,
                    const std::vector<std::pair<NamespacePattern, const Node*>>& patterns) {
    for (std::size_t i = 0; i < patterns.size(); ++i) {
        const auto& [pattern, node] = patterns[i];
        const std::string path = "schemas." + node->key;
        if (pattern.matches(config.key_vault.database, config.key_vault.collection))
            context.problems.add(node->key_where, path,
                                 "matches the key vault's namespace, which has no schema");
        for (std::size_t j = 0; j < i; ++j) {
            const auto& [earlier, earlier_node] = patterns[j];
            if (pattern.literal_characters() == earlier.literal_characters() && pattern.meets(earlier))
                context.problems.add(node->key_where, path,
                                     "some namespaces match this and '" + earlier_node->key + "' on line " +
                                         std::to_string(earlier_node->key_where.line) +
                                         " equally well: make one of them longer");
        }
    }
}

}  // namespace

void load_schemas(Section& root, Config& config) {
    LoadContext& context = root.context();
    const Node* node = root.take("schemas");
    using Unlisted = Config::Unlisted;
    config.unlisted_namespaces = root.choice<Unlisted>("unlisted_namespaces", {{"server", Unlisted::server},
                                                                               {"pass", Unlisted::pass},
                                                                               {"refuse", Unlisted::refuse}})
                                     .value_or(config.unlisted_namespaces);
    Section section(context, node, "schemas");
    if (!section.is_present()) return;

    SchemaLoader loader(context, context.problems.sink(), context.warnings.sink());
    std::vector<std::pair<NamespacePattern, const Node*>> patterns;
    for (const Node& child : node->children) {
        const NamespaceText parsed = parse_namespace(child.key, true);
        const std::string path = "schemas." + child.key;
        if (parsed.pattern)
            patterns.emplace_back(*parsed.pattern, &child);
        else
            context.problems.add(child.key_where, path, parsed.fault);

        Section entry(context, &child, path);
        if (!entry.is_present()) {
            if (child.is_null() && child.text.empty())
                context.problems.add(child.where, path, "missing: { file: PATH } or { schema: { ... } }");
            continue;
        }
        ProtectedNamespace result;
        if (!load_entry(entry, loader, result) || !parsed.pattern) continue;
        result.pattern = *parsed.pattern;
        result.index = config.schemas.size();
        result.line = child.key_where.line;
        config.schemas.push_back(std::move(result));
    }
    check_patterns(context, config, patterns);
}

}  // namespace fieldgate::config
