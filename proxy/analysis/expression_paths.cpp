#include <algorithm>
#include <array>
#include <utility>

#include "proxy/analysis/expression_parts.hpp"
#include "proxy/analysis/trees.hpp"

namespace fieldgate::analysis {
namespace {

// The names of a path, followed through arrays that stages made. Numbers are names here, but what reads like
// a position beside protected fields is not trusted.
bool follow(Request& request, const SchemaNode& root, std::string_view path, SchemaNode& found) {
    const SchemaNode* node = &root;
    bool in_array = false;
    for (std::string_view rest = path; !rest.empty();) {
        const std::size_t dot = rest.find('.');
        const std::string_view name = rest.substr(0, dot);
        rest = dot == std::string_view::npos ? std::string_view() : rest.substr(dot + 1);
        if (node->unknown) break;
        if (node->is_protected())
            return request.refuse(code::operation_not_on_encrypted,
                                  why_unusable({Resolution::Kind::below, node}, "compute", path));
        if (node->dotted_keys) {
            found = unknown_node();
            return true;
        }
        in_array = in_array || node->array;
        const SchemaNode* child = node->child(name);
        if (child == nullptr) {
            if (config::is_array_position(name) && !is_plain(*node))
                return request.refuse(code::operation_not_on_encrypted,
                                      why_unusable({Resolution::Kind::below, node}, "compute", path));
            found = {};
            return true;
        }
        node = child;
    }
    if (!request.charge(count_nodes(*node))) return false;
    found = node->clone();
    if (in_array) found = array_of(std::move(found));
    return true;
}

constexpr std::array<std::string_view, 7> system_variables = {
    "NOW", "CLUSTER_TIME", "SEARCH_META", "USER_ROLES", "KEEP", "PRUNE", "DESCEND"};

bool is_user_variable(std::string_view name) {
    const bool may_be_user =
        !name.empty() && (static_cast<unsigned char>(name[0]) >= 0x80 || (name[0] >= 'a' && name[0] <= 'z'));
    return may_be_user && name.find_first_of(std::string_view(".$\0", 3)) == std::string_view::npos;
}

bool refuse_variable_name(Request& request, std::string_view name) {
    return request.refuse(code::failed_to_parse, quote(name) + " is no name for a user variable");
}

// In scope at once: each use is looked up by walking them.
constexpr std::size_t variables_max = 256;

bool refuse_variables(Request& request) {
    return request.refuse(code::command_not_supported,
                          "More variables are in scope than fieldgate looks up for one expression");
}

// `of_document`: it is a path in the document, as if it were written without $$ROOT.
bool evaluate_variable(Request& request, std::string_view text, Value& value, bool& of_document) {
    const std::size_t dot = text.find('.');
    const std::string_view name = text.substr(0, dot);
    const std::string_view path = dot == std::string_view::npos ? std::string_view() : text.substr(dot + 1);
    if (name == "REMOVE") {
        value.none = true;
        return true;
    }
    if (std::find(system_variables.begin(), system_variables.end(), name) != system_variables.end())
        return true;
    const auto variable = std::find_if(request.variables.rbegin(), request.variables.rend(),
                                       [&](const Variable& v) { return v.name == name; });
    if (variable != request.variables.rend()) {
        if (variable->literals) ++request.literals;
        return follow(request, variable->node, path, value.node);
    }
    if (name != "ROOT" && name != "CURRENT")
        return request.refuse(code::failed_to_parse, "Use of undefined variable: " + quote(name));
    of_document = true;
    return follow(request, *request.tree, path, value.node);
}

}  // namespace

bool evaluate_path(Request& request, std::string_view text, Value& value) {
    value.path = text;
    std::string_view path = text.substr(1);
    if (text.starts_with("$$")) {
        bool of_document = false;
        if (!evaluate_variable(request, text.substr(2), value, of_document)) return false;
        if (!of_document) return true;
        const std::size_t dot = text.find('.');
        path = dot == std::string_view::npos ? std::string_view() : text.substr(dot + 1);
    } else if (!follow(request, *request.tree, path, value.node)) {
        return false;
    }
    if (request.stored == nullptr || request.tree == request.stored) return true;
    const config::SchemaNode* const was = path.empty() ? request.stored : resolve(*request.stored, path).node;
    if (was == nullptr || is_plain(*was)) return true;
    value.was = was;
    value.replaced = is_plain(value.node);
    return true;
}

bool evaluate_let(Request& request, const bson::Element& operands, Target target, Value& value) {
    if (!operands.is_document() || operands.document().count("vars") != 1 ||
        operands.document().count("in") != 1)
        return refuse_shape(request, "$let", "vars and in");
    const std::size_t outer = request.variables.size();
    if (!bind_variables(request, *operands.document().find("vars"), target)) return false;
    if (!evaluate(request, *operands.document().find("in"), target, value)) return false;
    request.variables.resize(outer);
    return true;
}

bool evaluate_element_wise(Request& request, const ExpressionOperator& op, const bson::Element& operands,
                           Target target) {
    if (!operands.is_document()) return refuse_shape(request, op.name, "named operands");
    const auto is_inner = [](std::string_view key) { return key == "in" || key == "cond"; };
    std::string_view name = "this";
    for (const bson::Element& operand : operands.document()) {
        if (operand.key() == "as") {
            if (!operand.is_string()) return refuse_shape(request, op.name, "a string as 'as'");
            name = operand.string();
            // The server takes CURRENT as well, which then is not the document.
            if (!is_user_variable(name)) return refuse_variable_name(request, name);
        } else if (!is_inner(operand.key()) && !require_plain(request, operand, op.name, target)) {
            return false;
        }
    }
    const std::size_t outer = request.variables.size();
    if (outer + 2 > variables_max) return refuse_variables(request);
    request.variables.push_back({name, {}});
    if (op.name == "$reduce") request.variables.push_back({"value", {}});
    for (const bson::Element& operand : operands.document())
        if (is_inner(operand.key()) && !require_plain(request, operand, op.name, target)) return false;
    request.variables.resize(outer);
    return true;
}

bool bind_variables(Request& request, const bson::Element& variables, Target target) {
    if (!variables.is_document())
        return request.refuse(code::type_mismatch, "Variables must be an object: " + quote(variables.key()));
    if (!refuse_duplicates(request, variables.document(), "variables")) return false;
    std::vector<Variable> bound;
    for (const bson::Element& variable : variables.document()) {
        if (!is_user_variable(variable.key())) return refuse_variable_name(request, variable.key());
        Value value;
        if (!evaluate(request, variable, strict(target), value)) return false;
        if (value.replaced) return refuse_value(request, "as a variable", value);
        // Below the variable's name nobody would know any more what was there.
        if (value.was != nullptr) distrust_replaced(value.node, *value.was);
        if (request.variables.size() + bound.size() == variables_max) return refuse_variables(request);
        bound.push_back({variable.key(), std::move(value.node), value.literals});
    }
    for (Variable& variable : bound) request.variables.push_back(std::move(variable));
    return true;
}

bool walk_let(Request& request, const bson::Element& let) {
    if (let.type() == bson::Type::null) return true;
    // It stands outside of any document: its expressions can name none.
    static const SchemaNode nothing;
    const SchemaNode* const tree = std::exchange(request.tree, &nothing);
    const bool bound = bind_variables(request, let, nullptr);
    request.tree = tree;
    return bound;
}

}  // namespace fieldgate::analysis
