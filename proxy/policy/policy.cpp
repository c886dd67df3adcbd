#include "proxy/policy/policy.hpp"

#include <algorithm>

namespace fieldgate::policy {
namespace {

using analysis::Plan;
using analysis::Refusal;
using config::Config;
using config::Role;

Refusal unauthorized(const Role& role, std::string_view rule) {
    return {analysis::code::unauthorized, analysis::code_name(analysis::code::unauthorized),
            "not authorized: role '" + role.name + "' " + std::string(rule)};
}

std::string full_name(const Plan& plan) {
    std::string name = "'" + std::string(plan.database);
    if (!plan.collection.empty()) name += "." + std::string(plan.collection);
    return name + "'";
}

// Whether a role limited to some namespaces may act on a whole database: read what is listed of it if any of
// it is the role's, change it if all of it is.
bool may_use_database(const Role& role, std::string_view database, analysis::Access access) {
    if (role.namespaces.empty() || access == analysis::Access::none) return true;
    return std::any_of(role.namespaces.begin(), role.namespaces.end(),
                       [&](const config::NamespacePattern& pattern) {
                           if (access == analysis::Access::write && pattern.collection != "*") return false;
                           return config::NamespacePattern{pattern.database, "*"}.matches(database, "any");
                       });
}

std::optional<Refusal> judge_namespaces(const Plan& plan, const Role& role) {
    const bool may = plan.collection.empty() ? may_use_database(role, plan.database, plan.access)
                                             : role.may_use(plan.database, plan.collection);
    if (!may) return unauthorized(role, "may not use " + full_name(plan) + " (`namespaces`)");
    for (const analysis::NamespaceName& other : plan.others)
        if (!role.may_use(other.database, other.collection))
            return unauthorized(
                role, "may not use '" + other.database + "." + other.collection + "' (`namespaces`)");
    return std::nullopt;
}

std::optional<Refusal> judge_key_vault(const Plan& plan, const Role& role) {
    using enum Role::KeyVaultAccess;
    if (!plan.touches_key_vault) return std::nullopt;
    const bool may =
        plan.access == analysis::Access::write ? role.key_vault == write : role.key_vault != none;
    if (may) return std::nullopt;
    return unauthorized(role, std::string("may not ") +
                                  (plan.access == analysis::Access::write ? "write to" : "read") +
                                  " the key vault (`key_vault`)");
}

// A whole database is gone with the protected namespaces in it; which those are whose schema is the server's
// is not known.
bool deletes_protected_documents(const Plan& plan, const Config& config) {
    const auto deletes = [](const analysis::PartUse& use) { return use.deletes; };
    if (std::any_of(plan.part_uses.begin(), plan.part_uses.end(), deletes)) return true;
    if (!plan.deletes) return false;
    if (plan.touches_protected()) return true;
    const bool whole_database =
        plan.collection.empty() && plan.access == analysis::Access::write && plan.others.empty();
    if (!whole_database) return false;
    return config.unlisted_namespaces == Config::Unlisted::server ||
           std::any_of(config.schemas.begin(), config.schemas.end(),
                       [&](const config::ProtectedNamespace& schema) {
                           return config::NamespacePattern{schema.pattern.database, "*"}.matches(
                               plan.database, "any");
                       });
}

std::optional<Refusal> judge_field(const Plan& plan, const Role& role, std::uint16_t index) {
    const std::size_t part_index = plan.fields->part_index(index);
    const analysis::FieldSpace::Part& part = plan.fields->parts()[part_index];
    const config::FieldRule& rule =
        role.rule(part.protected_namespace->index, static_cast<std::uint16_t>(index - part.first_field));
    const std::string path = "'" + plan.fields->field(index).path + "'";
    const analysis::FieldUse& use = plan.uses[index];
    if (use.matched && !rule.match)
        return unauthorized(role, "may not query by encrypted field " + path + " (`match`)");
    if (use.written && !rule.write)
        return unauthorized(role, "may not write encrypted field " + path + " (`write`)");
    if (use.erased && !rule.write)
        return unauthorized(role, "may not erase encrypted field " + path + " (`write`)");
    if (plan.names_index && !rule.match)
        return unauthorized(role, "may not name or rebuild indexes, which may be on encrypted field " + path +
                                      " (`match`): give the index's key instead");
    if (plan.part_uses[part_index].replaces_whole_documents && !rule.write)
        return unauthorized(role, "may not replace documents with encrypted field " + path +
                                      " (`write`): name the fields to change with $set");
    if (use.named && !rule.match && rule.read.kind != config::ReadRule::Kind::reveal)
        return unauthorized(role,
                            "may not list the values of encrypted field " + path + " (`match`, `read`)");
    return std::nullopt;
}

bool carries_ciphertext(const Plan& plan) {
    return plan.carries_foreign_ciphertext ||
           std::any_of(plan.edits.begin(), plan.edits.end(), [](const analysis::Edit& edit) {
               return edit.kind == analysis::Edit::Kind::verify_ciphertext;
           });
}

}  // namespace

std::optional<Refusal> judge(const Plan& plan, const Role& role, const Config& config) {
    if (auto refusal = judge_namespaces(plan, role)) return refusal;
    if (role.read_only && plan.access == analysis::Access::write)
        return unauthorized(role, "is read-only (`access`)");
    if (auto refusal = judge_key_vault(plan, role)) return refusal;
    if (plan.requires_reveal_everything && !role.reveals_everything())
        return unauthorized(role, "may not run '" + std::string(plan.command) +
                                      "' here: only roles that reveal every encrypted field may");
    if (!role.may_delete && deletes_protected_documents(plan, config))
        return unauthorized(role, "may not delete documents of " + full_name(plan) + " (`delete`)");
    if (plan.touches_protected())
        for (std::size_t i = 0; i < plan.fields->size(); ++i)
            if (auto refusal = judge_field(plan, role, static_cast<std::uint16_t>(i))) return refusal;
    if (carries_ciphertext(plan) && !may_send_ciphertext(role, config))
        return unauthorized(role,
                            "may not send ciphertext: only roles that reveal every encrypted field may");
    return std::nullopt;
}

bool may_send_ciphertext(const Role& role, const Config&) {
    return role.reveals_everything();
}

}  // namespace fieldgate::policy
