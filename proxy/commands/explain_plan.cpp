#include "proxy/commands/explain_plan.hpp"

#include <algorithm>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "config/name_pattern.hpp"
#include "proxy/commands/text.hpp"
#include "proxy/policy/policy.hpp"
#include "proxy/session/describe.hpp"

namespace fieldgate::commands {
namespace {

using analysis::NamespaceName;
using analysis::Plan;
using analysis::ReplyShape;
using config::ReadRule;
using config::SchemaNode;

std::vector<NamespaceName> namespaces_of(const Plan& plan) {
    std::vector<NamespaceName> names;
    const auto add = [&](NamespaceName name) {
        if (std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
    };
    if (!plan.collection.empty()) add({std::string(plan.database), std::string(plan.collection)});
    if (plan.fields)
        for (const analysis::FieldSpace::Part& part : plan.fields->parts())
            add({part.database, part.collection});
    for (const NamespaceName& other : plan.others) add(other);
    return names;
}

std::string encrypted_by(const config::ProtectedNamespace& entry, const config::Config& config) {
    return "encrypted fields: " + std::to_string(entry.schema->fields().size()) + ", from " +
           source_of(entry, config);
}

std::string what_it_is(const NamespaceName& name, const Plan& plan, const config::Config& config,
                       const analysis::Catalog* catalog) {
    if (config.is_key_vault(name.database, name.collection)) return "the key vault";
    if (const auto* part = plan.fields ? plan.fields->find(name.database, name.collection) : nullptr)
        return encrypted_by(*part->protected_namespace, config);
    if (const auto* entry = config.find(name.database, name.collection)) return encrypted_by(*entry, config);
    if (catalog == nullptr)
        return "not in the configuration; taken for a collection without a schema of its own, which "
               "--connect "
               "would ask the cluster";
    const analysis::NamespaceFacts* facts = catalog->find(name.database, name.collection);
    if (facts == nullptr) return "not asked about";
    if (facts->server_schema) return encrypted_by(*facts->server_schema, config);
    if (facts->validator_encrypts)
        return "its own validator encrypts, but cannot be applied: " + facts->schema_problem;
    if (!facts->is_view) return "nothing encrypted";
    std::string text = "a view over ";
    for (const NamespaceName& read : facts->reads)
        text += (&read == &facts->reads.front() ? "" : ", ") + read.database + "." + read.collection;
    return text;
}

std::string read_text(const ReadRule& rule) {
    switch (rule.kind) {
        case ReadRule::Kind::reveal:
            return "revealed";
        case ReadRule::Kind::ciphertext:
            return "ciphertext, as stored";
        case ReadRule::Kind::null:
            return "withheld: null";
        case ReadRule::Kind::omit:
            return "withheld: left out";
        case ReadRule::Kind::mask:
            return "masked, but for the last " + std::to_string(rule.keep_last);
    }
    return "withheld";
}

// What one role gets at the paths of a reply's tree, in the order of the schema.
class Paths {
 public:
    Paths(const analysis::FieldSpace& fields, const config::Role& role) : fields_(fields), role_(role) {}

    void visit(const SchemaNode& node, std::string path) {
        if (node.array) path += "[]";
        if (node.is_protected()) {
            const auto& part = fields_.part_of(node.field);
            const config::FieldRule& rule =
                role_.rule(part.protected_namespace->index, fields_.number_in_schema(node.field));
            const std::string field = session::field_name(fields_, node.field);
            rows_.push_back({path.empty() ? "(each value)" : path,
                             read_text(rule.read) + (field == path ? "" : " (" + field + ")")});
            return;
        }
        if (node.unknown) {
            rows_.push_back({path.empty() ? "(each value)" : path, unknown_text()});
            return;
        }
        for (const auto& [name, child] : node.children()) visit(*child, below(path, name));
        for (const SchemaNode::Pattern& pattern : node.patterns())
            visit(*pattern.node, below(path, "/" + pattern.pattern->text() + "/"));
    }
    std::vector<std::vector<std::string>> take() { return std::move(rows_); }

 private:
    static std::string below(const std::string& path, const std::string& name) {
        return path.empty() ? name : path + "." + name;
    }
    // As FieldReader::judge_unknown() decides.
    std::string unknown_text() const {
        for (const analysis::FieldSpace::Part& part : fields_.parts())
            for (std::size_t i = 0; i < part.protected_namespace->schema->fields().size(); ++i)
                if (role_.rule(part.protected_namespace->index, static_cast<std::uint16_t>(i)).read.kind !=
                    ReadRule::Kind::reveal)
                    return "may be encrypted or not: the strictest of what the role gets of any field";
        return "may be encrypted or not: revealed if it is";
    }

    const analysis::FieldSpace& fields_;
    const config::Role& role_;
    std::vector<std::vector<std::string>> rows_;
};

std::string_view shape_text(ReplyShape::Kind kind) {
    switch (kind) {
        case ReplyShape::Kind::pass:
            return "nothing encrypted behind it: passed on as it comes";
        case ReplyShape::Kind::write_result:
            return "the result of a write, its errors without values";
        case ReplyShape::Kind::bulk_result:
            return "one result for each operation, errors without values";
        case ReplyShape::Kind::cursor:
            return "documents in cursor.firstBatch and cursor.nextBatch";
        case ReplyShape::Kind::value:
            return "the document in `value`";
        case ReplyShape::Kind::values:
            return "the values in `values`";
        case ReplyShape::Kind::scalar:
            return "no documents; errors without values";
    }
    return "";
}

void print_reply(const Plan& plan, const config::Role& role, std::ostream& out) {
    const ReplyShape& shape = plan.shape;
    if (plan.is_get_more) {
        out << "  reply: what the command that opened the cursor says, for the role that opened it\n";
        return;
    }
    out << "  reply: " << shape_text(shape.kind) << '\n';
    const SchemaNode* tree = shape.tree.get();
    std::string path;
    if (tree != nullptr && shape.kind == ReplyShape::Kind::write_result) {
        path = "upserted[]._id";
        tree = tree->child("_id");
    }
    if (tree == nullptr || shape.fields == nullptr) return;
    Paths paths(*shape.fields, role);
    paths.visit(*tree, path);
    out << table(paths.take(), 4);
}

}  // namespace

void print_namespaces(const Plan& plan, const config::Config& config, const analysis::Catalog* catalog,
                      std::ostream& out) {
    const std::vector<NamespaceName> names = namespaces_of(plan);
    if (names.empty()) return;
    std::vector<std::vector<std::string>> rows;
    rows.reserve(names.size());
    for (const NamespaceName& name : names)
        rows.push_back({name.database + "." + name.collection, what_it_is(name, plan, config, catalog)});
    out << "Namespaces\n" << table(rows, 2) << '\n';
}

void print_needs(const Plan& plan, std::ostream& out) {
    std::vector<std::vector<std::string>> rows;
    if (plan.touches_protected()) {
        for (std::size_t i = 0; i < plan.uses.size(); ++i) {
            const analysis::FieldUse& use = plan.uses[i];
            std::vector<std::string> words;
            if (use.matched) words.emplace_back("matched");
            if (use.written) words.emplace_back("written");
            if (use.erased) words.emplace_back("may be erased");
            if (use.named) words.emplace_back("its values listed");
            if (!words.empty())
                rows.push_back(
                    {session::field_name(*plan.fields, static_cast<std::uint16_t>(i)), joined(words)});
        }
        for (std::size_t i = 0; i < plan.part_uses.size(); ++i) {
            const analysis::FieldSpace::Part& part = plan.fields->parts()[i];
            const std::string name = part.database + "." + part.collection;
            if (plan.part_uses[i].replaces_whole_documents)
                rows.push_back({name, "replaces whole documents"});
            if (plan.part_uses[i].deletes) rows.push_back({name, "deletes documents"});
        }
    }
    if (plan.deletes && std::ranges::none_of(plan.part_uses, &analysis::PartUse::deletes))
        rows.push_back({"deletes documents"});
    if (plan.names_index) rows.push_back({"names an index, which may be on any field"});
    if (plan.touches_key_vault) rows.push_back({"reaches the key vault"});
    if (plan.carries_foreign_ciphertext) rows.push_back({"carries ciphertext of the client's own"});
    if (plan.requires_reveal_everything) rows.push_back({"only for roles that reveal every encrypted field"});
    if (plan.access == analysis::Access::write) rows.push_back({"writes"});
    if (rows.empty()) rows.push_back({"nothing in particular"});
    out << "What a role must be allowed\n" << table(rows, 2) << '\n';
}

void print_refusal(const analysis::Refusal& refusal, std::ostream& out) {
    out << "refused with " << refusal.code << " (" << refusal.code_name << ")\n  "
        << printable(refusal.errmsg) << '\n';
}

void print_role(const Plan& plan, const config::Role& role, const config::Config& config, std::ostream& out) {
    out << "Role " << role.name << ": ";
    if (const auto refusal = policy::judge(plan, role, config)) {
        print_refusal(*refusal, out);
        return;
    }
    out << "allowed\n";
    print_reply(plan, role, out);
}

}  // namespace fieldgate::commands
