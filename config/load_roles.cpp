#include <algorithm>

#include "config/load_parts.hpp"
#include "config/scalars.hpp"

namespace fieldgate::config {
namespace {

constexpr std::uint64_t keep_last_max = 1000;

// `read` is a word or { mask: { keep_last: N } }.
std::optional<ReadRule> read_rule(Section& section) {
    using Kind = ReadRule::Kind;
    const Node* node = section.take("read");
    if (node == nullptr) return std::nullopt;
    if (node->is_object()) {
        Section outer(section.context(), node, section.path("read"));
        const Node* mask_node = outer.require("mask", "{ mask: { keep_last: N } }");
        Section mask(section.context(), mask_node, outer.path("mask"));
        std::optional<std::uint64_t> keep_last;
        if (mask_node != nullptr && mask.require("keep_last", "how many characters stay readable") != nullptr)
            keep_last = mask.number("keep_last", 0, keep_last_max);
        mask.finish();
        outer.finish();
        if (!keep_last) return std::nullopt;
        return ReadRule{Kind::mask, static_cast<std::uint32_t>(*keep_last)};
    }
    // YAML's null is the word for it here; a missing value is not.
    if (node->is_null() && !node->text.empty()) return ReadRule{Kind::null, 0};
    const auto kind = section.choice<Kind>("read", {{"reveal", Kind::reveal},
                                                    {"ciphertext", Kind::ciphertext},
                                                    {"null", Kind::null},
                                                    {"omit", Kind::omit}});
    if (!kind) return std::nullopt;
    return ReadRule{*kind, 0};
}

std::optional<bool> allow_or_deny(Section& section, const std::string& key) {
    return section.choice<bool>(key, {{"allow", true}, {"deny", false}});
}

FieldRule field_rule(Section& section, FieldRule rule) {
    rule.read = read_rule(section).value_or(rule.read);
    rule.match = allow_or_deny(section, "match").value_or(rule.match);
    rule.write = allow_or_deny(section, "write").value_or(rule.write);
    section.finish();
    return rule;
}

std::optional<std::uint16_t> field_of(const Schema& schema, const std::string& path) {
    const auto& fields = schema.fields();
    for (std::size_t i = 0; i < fields.size(); ++i)
        if (fields[i].path == path) return static_cast<std::uint16_t>(i);
    for (const auto& [other, index] : schema.other_paths())
        if (other == path) return index;
    return std::nullopt;
}

// What to write instead of a path that is none of the schema's.
std::string path_hint(const Schema& schema, const std::string& path) {
    const PathMatch match = schema.match(path);
    if (match.node != nullptr && match.node->is_protected() && !match.below_protected)
        return ": a pattern protects it, write '" + schema.fields()[match.node->field].path + "'";
    std::vector<std::string> paths;
    paths.reserve(schema.fields().size());
    for (const EncryptedField& field : schema.fields()) paths.push_back(field.path);
    for (const auto& [other, index] : schema.other_paths()) paths.push_back(other);
    for (const std::string& candidate : paths)
        if (candidate.starts_with(path + ".")) return ": only paths below it are, like '" + candidate + "'";
    return did_you_mean(path, paths);
}

// `named`: which key of the role named each field so far.
void load_field(LoadContext& context, const Node& node, const std::string& path, const Schema& schema,
                std::vector<FieldRule>& rules, std::vector<const Node*>& named) {
    const auto field = field_of(schema, node.key);
    Section section(context, &node, path);
    if (!field) {
        context.problems.add(node.key_where, path,
                             "this path is not protected by the schema" + path_hint(schema, node.key));
        field_rule(section, {});  // its value may have problems too
        return;
    }
    if (named[*field] != nullptr)
        context.problems.add(node.key_where, path,
                             "is one field with '" + named[*field]->key + "' on line " +
                                 std::to_string(named[*field]->key_where.line) +
                                 ", because the schema defines both alike and a name may match both");
    named[*field] = &node;
    FieldRule& rule = rules[*field];
    rule = field_rule(section, rule);
}

void load_fields(Section& role_section, const Config& config, Role& role) {
    LoadContext& context = role_section.context();
    const Node* node = role_section.take("fields");
    Section section(context, node, role_section.path("fields"));
    if (!section.is_present()) return;
    for (const Node& child : node->children) {
        const std::string path = section.path(child.key);
        const auto entry =
            std::find_if(config.schemas.begin(), config.schemas.end(),
                         [&](const ProtectedNamespace& n) { return n.pattern.text() == child.key; });
        if (entry == config.schemas.end()) {
            // A schema with problems is not in the list, and its name would be blamed wrongly here.
            if (const Node* schemas = context.root != nullptr ? context.root->find("schemas") : nullptr;
                schemas != nullptr && schemas->find(child.key) != nullptr)
                continue;
            std::vector<std::string> names;
            names.reserve(config.schemas.size());
            for (const ProtectedNamespace& n : config.schemas) names.push_back(n.pattern.text());
            context.problems.add(child.key_where, path,
                                 "no schema protects this namespace: write it as under 'schemas'" +
                                     did_you_mean(child.key, names));
            continue;
        }
        Section fields(context, &child, path);
        if (!fields.is_present()) continue;
        std::vector<const Node*> named(entry->schema->fields().size());
        for (const Node& field : child.children)
            load_field(context, field, fields.path(field.key), *entry->schema, role.rules[entry->index],
                       named);
    }
}

void load_namespaces(Section& section, const Config& config, Role& role) {
    const Node* node = section.take("namespaces");
    for (const Node* item : section.list("namespaces")) {
        if (!item->is_scalar() || item->is_null()) {
            section.problem(*item, "namespaces", "must be a list of names like \"medicalRecords.*\"");
            continue;
        }
        const NamespaceText parsed = parse_namespace(item->text, true);
        if (parsed.pattern)
            role.namespaces.push_back(*parsed.pattern);
        else
            section.problem(*item, "namespaces", "'" + item->text + "': " + parsed.fault);
    }
    // An empty list would read as "none" and mean "all".
    if (node != nullptr && node->is_array() && node->children.empty())
        section.problem(*node, "namespaces", "must not be empty: leave it out for all namespaces");
    if (node != nullptr && node->is_null())
        section.problem(*node, "namespaces", "must not be empty: leave it out for all namespaces");
    if (role.namespaces.empty()) return;
    role.reaches_every_schema =
        std::all_of(config.schemas.begin(), config.schemas.end(), [&](const ProtectedNamespace& schema) {
            return std::any_of(
                role.namespaces.begin(), role.namespaces.end(),
                [&](const NamespacePattern& pattern) { return pattern.covers(schema.pattern); });
        });
}

Role load_role(Section& section, const std::string& name, const Config& config) {
    Role role;
    role.name = name;
    Section defaults(section.context(), section.take("encrypted_fields"), section.path("encrypted_fields"));
    role.encrypted_fields = field_rule(defaults, {});
    role.rules.reserve(config.schemas.size());
    for (const ProtectedNamespace& schema : config.schemas)
        role.rules.emplace_back(schema.schema->fields().size(), role.encrypted_fields);
    load_fields(section, config, role);
    load_namespaces(section, config, role);
    role.read_only =
        section.choice<bool>("access", {{"read-only", true}, {"read-write", false}}).value_or(false);
    role.may_delete = allow_or_deny(section, "delete").value_or(role.may_delete);
    using Access = Role::KeyVaultAccess;
    role.key_vault =
        section
            .choice<Access>("key_vault",
                            {{"none", Access::none}, {"read", Access::read}, {"write", Access::write}})
            .value_or(role.key_vault);
    section.unsupported("documents");
    section.finish();
    return role;
}

}  // namespace

void load_roles(Section& root, Config& config) {
    const Node* node = root.take("roles");
    Section section(root.context(), node, "roles");
    if (!section.is_present()) return;
    for (const Node& child : node->children) {
        if (child.key.empty()) {
            root.context().problems.add(child.key_where, "roles", "a role's name must not be empty");
            continue;
        }
        Section role(root.context(), &child, "roles." + child.key);
        config.roles.push_back(load_role(role, child.key, config));
    }
}

}  // namespace fieldgate::config
