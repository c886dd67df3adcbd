#include "proxy/analysis/server_check.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "proxy/analysis/commands.hpp"
#include "proxy/analysis/handlers.hpp"
#include "proxy/analysis/match.hpp"
#include "proxy/analysis/namespaces.hpp"
#include "proxy/analysis/pipeline.hpp"
#include "proxy/analysis/server_documents.hpp"

namespace fieldgate::analysis {
namespace {

// Commands that store or remove documents: those with statements, and findAndModify.
bool writes_documents(const Command& command) {
    return command.access == Access::write && (command.explainable || !command.sequence.name.empty());
}

bool refuse_here(Request& request, std::string_view why) {
    return request.refuse(code::command_not_supported, "The command " + quote(request.plan.command) + " on " +
                                                           request.server_documents +
                                                           " is refused: " + std::string(why));
}

// A walk without a protected namespace, after which the plan is as it was: it decides, and edits nothing.
template <class Walk>
bool walk_for_refusal(Request& request, const Walk& walk) {
    const Plan plan = request.plan;
    bson::DocumentView checked;
    if (!request.check(request.document.bytes(), checked)) return false;
    request.plan.fields = std::make_shared<FieldSpace>();
    const bson::DocumentView own = std::exchange(request.document, checked);
    const bool admitted = walk(checked);
    request.document = own;
    request.plan = plan;
    request.enter_part(Request::no_part);
    if (!admitted)
        request.refusal.errmsg +=
            ". What the server keeps of other namespaces (" + request.server_documents +
            ") may hold their encrypted fields' values: a filter may compare only the paths that fieldgate's "
            "README lists for it. Leave the rest out and look into the documents that come back.";
    return admitted;
}

}  // namespace

bool admit_server_documents(Request& request) {
    const Command* const own = request.command;
    const Command* const command =
        own->name == "explain" ? find_command((*request.document.begin()).key()) : own;
    if (writes_documents(*command) || command->where == Where::handler)
        return refuse_here(request, "the server alone writes it, from documents of other namespaces");
    if (command->on_protected == OnProtected::refuse)
        return refuse_here(
            request, command->why.empty() ? "its documents are those of other namespaces" : command->why);
    if (command->look == look_at_view_definition && request.document.find("viewOn"))
        return refuse_here(request, "a view's pipeline would keep what it compares");
    if (request.plan.touches_protected()) return true;
    // Names, options and counts.
    if (request.plan.is_get_more || (command->structure_only && command->access != Access::write))
        return true;
    request.command = command;
    const bool admitted = walk_for_refusal(request, [&](bson::DocumentView body) {
        return walk_fields(request, body, command->fields, command->name, true) && command->finish(request);
    });
    request.command = own;
    return admitted;
}

bool look_at_profile(Request& request) {
    const auto filter = request.document.find("filter");
    if (!filter || !may_hold_protected(request, request.plan.database)) return true;
    if (request.document.count("filter") > 1)
        return request.refuse(code::failed_to_parse, "BSON field 'profile.filter' is a duplicate field");
    if (!filter->is_document()) return true;  // "unset"
    request.server_documents = "'profile'";
    const bool admitted = walk_for_refusal(request, [&](bson::DocumentView body) {
        const auto profile = server_tree(request.plan.database, "system.profile");
        request.tree = profile.get();
        request.stored = nullptr;
        return walk_filter(request, body.find("filter")->document());
    });
    request.server_documents.clear();  // it reads and writes none
    return admitted;
}

bool look_at_current_op(Request& request) {
    if (!may_hold_protected(request, "admin")) return true;
    // The command's own options, and what any command may have.
    constexpr std::array<std::string_view, 10> options = {
        "$all",         "$ownOps",         "$truncateOps", "$db",       "lsid",
        "$clusterTime", "$readPreference", "readConcern",  "maxTimeMS", "comment"};
    request.server_documents = "'$currentOp'";
    return walk_for_refusal(request, [&](bson::DocumentView body) {
        const auto operations = server_stage_tree("$currentOp");
        request.tree = operations.get();
        request.stored = nullptr;
        for (auto at = ++body.begin(); at != body.end(); ++at) {
            const bson::Element part = *at;
            if (std::find(options.begin(), options.end(), part.key()) == options.end() &&
                !walk_filter_element(request, part))
                return false;
        }
        return true;
    });
}

}  // namespace fieldgate::analysis
