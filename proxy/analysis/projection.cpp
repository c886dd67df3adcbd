#include "proxy/analysis/projection.hpp"

#include <algorithm>

#include "proxy/analysis/expressions.hpp"
#include "proxy/analysis/match.hpp"
#include "proxy/analysis/trees.hpp"

namespace fieldgate::analysis {
namespace {

// A path costs its length each time it is looked up.
constexpr std::size_t path_bytes_max = 2000;

// A value at a protected path goes to the server as it is, so it must be none that a document could hold.
bool is_truth_value(const bson::Element& value) {
    const auto number = value.whole_number();
    return value.type() == bson::Type::boolean || number == 0 || number == 1;
}

// Whether the path's last names are plain ones in an object whose names are whole paths.
bool goes_through_dotted_keys(const config::SchemaNode& root, std::string_view path) {
    const config::SchemaNode* node = &root;
    for (std::size_t start = 0; node != nullptr;) {
        if (node->dotted_keys) return true;
        const std::size_t dot = path.find('.', start);
        if (dot == std::string_view::npos) break;
        node = node->child(path.substr(start, dot - start));
        start = dot + 1;
    }
    return false;
}

}  // namespace

bool Projection::refuse_computed(Request& request) const {
    return request.refuse(
        code::operation_not_on_encrypted,
        "The projection of " + quote(path_) +
            " is computed in a way that fieldgate does not follow on a namespace with encrypted fields");
}

bool Projection::walk(Request& request, bson::DocumentView projection) {
    // Which of two would count differs; find has always taken the last.
    if (of_ != ProjectionOf::find && !refuse_duplicates(request, projection, "a projection")) return false;
    return std::all_of(projection.begin(), projection.end(), [&](const bson::Element& element) {
        path_.clear();
        return walk_element(request, element, false);
    });
}

// `below_plain`: the path so far is plain, in force and in the store, and so is all below it.
bool Projection::walk_element(Request& request, const bson::Element& element, bool below_plain) {
    const std::size_t outer = path_.size();
    if (outer + 1 + element.key().size() > path_bytes_max)
        return request.refuse(code::bad_value, "The path " + quote(path_) + " in a projection is too long");
    if (outer != 0) path_ += '.';
    path_ += element.key();
    if (!below_plain && !is_positional(path_))
        below_plain = target_at(request, path_) == nullptr && resolve(*request.tree, path_).is_plain();

    bool admitted = false;
    const bool positional_below_plain = below_plain && is_positional(element.key());
    if (positional_below_plain && of_ != ProjectionOf::find)
        admitted = refuse_computed(request);
    else if (element.is_document() && !begins_with_operator(element) &&
             (of_ != ProjectionOf::additions || !element.document().empty()))
        admitted = walk_object(request, element, below_plain);
    else if (is_number_or_boolean(element) && of_ != ProjectionOf::additions)
        admitted = walk_inclusion(request, element, below_plain);
    else if (begins_with_operator(element) && of_ == ProjectionOf::find &&
             ((*element.document().begin()).key() == "$slice" ||
              (*element.document().begin()).key() == "$elemMatch"))
        admitted = std::all_of(element.document().begin(), element.document().end(),
                               [&](const bson::Element& op) { return walk_operator(request, op); });
    else
        admitted = walk_computed(request, element, below_plain);
    path_.resize(outer);
    return admitted;
}

bool Projection::walk_object(Request& request, const bson::Element& element, bool below_plain) {
    if (element.document().empty()) return refuse_computed(request);
    if (of_ != ProjectionOf::find && !refuse_duplicates(request, element.document(), "a projection"))
        return false;
    for (const bson::Element& part : element.document()) {
        if (part.key().starts_with('$')) return refuse_computed(request);  // beside names
        if (!walk_element(request, part, below_plain)) return false;
    }
    return true;
}

bool Projection::walk_inclusion(Request& request, const bson::Element& element, bool below_plain) {
    // Whether it is zero decides about every other path.
    if (element.type() == bson::Type::decimal128) return refuse_computed(request);
    const bool keeps = element.truthy();
    if (path_ == "_id")
        keeps_id_ = keeps;
    else if (keeps)
        keeps_ = true;
    if (below_plain) return true;
    if (is_positional(path_)) {
        if (of_ == ProjectionOf::find && resolve(*request.tree, path_).is_plain()) return true;
        return request.refuse(
            code::operation_not_on_encrypted,
            "A positional projection cannot be answered on encrypted field " + quote(path_));
    }
    const Resolution at = resolve(*request.tree, path_);
    if (at.kind == Resolution::Kind::below)
        return request.refuse(code::operation_not_on_encrypted, why_unusable(at, "project", path_));
    if (!is_truth_value(element)) return refuse_computed(request);
    // Only a stage's are applied to the tree, where every name that a pattern stands for becomes a node of
    // its own.
    if (of_ != ProjectionOf::stage) return true;
    if (request.updates_by_pipeline && !keeps && goes_through_pattern(*request.tree, path_))
        return refuse_update_of_field(request, path_);
    if (!charge_names(request)) return false;
    (keeps ? kept_ : taken_).push_back(path_);
    return true;
}

// Every name on the way may become a node, beside those of the paths before.
bool Projection::charge_names(Request& request) const {
    const auto names = static_cast<std::size_t>(std::count(path_.begin(), path_.end(), '.')) + 1;
    return request.charge(names + (kept_.size() + taken_.size() + computed_.size()) / 16);
}

// { field: { $slice | $elemMatch: ... } } of find.
bool Projection::walk_operator(Request& request, const bson::Element& op) {
    const std::string_view name = op.key();
    if (name != "$slice" && name != "$elemMatch") return refuse_computed(request);
    if (!resolve(*request.tree, path_).is_plain())
        return request.refuse(
            code::operation_not_on_encrypted,
            std::string(name) + " in a projection cannot be answered on encrypted field " + quote(path_));
    // The three-argument form of $slice is an expression.
    if (name == "$slice" && op.is_array()) {
        for (const bson::Element& argument : op.document())
            if (!argument.whole_number()) return refuse_computed(request);
    } else if (name == "$slice") {
        return op.whole_number() || refuse_computed(request);
    } else {
        keeps_ = true;
    }
    return walk_plain_condition(request, op);
}

bool Projection::walk_computed(Request& request, const bson::Element& element, bool below_plain) {
    keeps_ = true;
    if (!below_plain && !admit_new_path(request, path_)) return false;
    if (request.updates_by_pipeline && target_at(request, path_) != nullptr)
        return refuse_update_of_field(request, path_);
    config::SchemaNode value;
    const std::size_t literals = request.literals;
    if (!walk_value(request, element, below_plain ? nullptr : target_at(request, path_), value) ||
        !note_constants(request, element, path_, literals))
        return false;
    if (below_plain && is_plain(value)) return true;
    if (is_positional(path_)) return refuse_computed(request);
    if (below_plain && goes_through_dotted_keys(*request.tree, path_)) return refuse_computed(request);
    if (!charge_names(request)) return false;
    computed_.emplace_back(path_, std::move(value));
    return true;
}

config::SchemaNode Projection::apply(const config::SchemaNode& tree) && {
    config::SchemaNode result;
    if (of_ != ProjectionOf::stage) {
        // Which fields of a find are left out depends on more than what is walked here, and a place that
        // stays empty does no harm.
        result = tree.clone();
    } else if (!keeps_) {
        result = tree.clone();
        if (!keeps_id_) result.remove_child("_id");
        for (const std::string& path : taken_) remove_at(result, path);
    } else {
        if (keeps_id_) keep_at(tree, result, "_id");
        for (const std::string& path : kept_) keep_at(tree, result, path);
    }
    for (auto& [path, value] : computed_) put_at(result, path, std::move(value));
    return result;
}

bool walk_find_projection(Request& request, bson::DocumentView projection) {
    Projection walked(ProjectionOf::find);
    if (!walked.walk(request, projection)) return false;
    if (!walked.computes()) return true;
    if (!refuse_duplicates(request, projection, "a projection")) return false;
    if (!request.charge(count_nodes(*request.tree))) return false;
    request.projected = std::make_shared<const config::SchemaNode>(std::move(walked).apply(*request.tree));
    return true;
}

bool walk_sort(Request& request, bson::DocumentView sort) {
    for (const bson::Element& element : sort) {
        const auto order = element.whole_number();
        if (element.key() == "$natural" && (order == 1 || order == -1)) continue;  // as they are stored
        const Resolution at = resolve(*request.tree, element.key());
        if (at.kind == Resolution::Kind::unknown)
            return request.refuse(code::operation_not_on_encrypted, why_unusable(at, "sort", element.key()));
        if (!at.is_plain())
            return request.refuse(
                code::operation_not_on_encrypted,
                "Cannot sort by encrypted field " + quote(element.key()) + ": ciphertext has another order");
        // Anything but a direction goes to the server as it is.
        const bool meta = element.is_document() && element.document().find("$meta").has_value();
        const auto number = element.whole_number();
        const bool replaced = target_at(request, element.key()) != nullptr;
        if (replaced && number != 1 && number != -1)
            return request.refuse(code::operation_not_on_encrypted,
                                  "A sort direction at " + quote(element.key()) +
                                      ", which is encrypted in the store, must be 1 or -1");
        if (number || meta) continue;
        return request.refuse(code::bad_value,
                              "A sort direction must be 1, -1 or $meta: " + quote(element.key()));
    }
    return true;
}

bool walk_bounds(Request& request, bson::DocumentView bounds, std::string_view option) {
    for (const bson::Element& element : bounds)
        if (!resolve(*request.tree, element.key()).is_plain())
            return request.refuse(
                code::operation_not_on_encrypted,
                "'" + std::string(option) + "' cannot bound encrypted field " + quote(element.key()));
    return true;
}

bool refuse_update_of_field(Request& request, std::string_view path) {
    return request.refuse(code::operation_not_on_encrypted,
                          "A pipeline-style update cannot compute encrypted field " + quote(path) +
                              ": it uses aggregation expression syntax");
}

bool admit_new_path(Request& request, std::string_view path) {
    const auto refuse = [&](const config::SchemaNode& node) {
        const auto kind = node.is_protected() ? Resolution::Kind::below : Resolution::Kind::unknown;
        return request.refuse(code::operation_not_on_encrypted, why_unusable({kind, &node}, "compute", path));
    };
    if (path.size() > path_bytes_max)
        return request.refuse(code::bad_value, "The path " + quote(path) + " is too long");
    const config::SchemaNode* node = request.tree;
    if (node->unknown || node->dotted_keys) return refuse(*node);
    for (std::string_view rest = path; node != nullptr && !rest.empty();) {
        const std::size_t dot = rest.find('.');
        const std::string_view name = rest.substr(0, dot);
        const bool odd = name.empty() || name.starts_with('$') || config::is_array_position(name);
        if (odd && !is_plain(*node)) {
            const bool top = node == request.tree && config::is_array_position(name);
            if (!top) return refuse(*node);
        }
        node = node->child(name);
        if (dot == std::string_view::npos) break;
        rest.remove_prefix(dot + 1);
        if (node != nullptr && (node->is_protected() || node->unknown || node->array || node->dotted_keys))
            return refuse(*node);
    }
    return true;
}

const config::SchemaNode* target_at(const Request& request, std::string_view path) {
    const Resolution in_force = resolve(*request.tree, path);
    if (!in_force.is_plain()) return in_force.node;
    if (request.stored == nullptr || request.stored == request.tree) return nullptr;
    return resolve(*request.stored, path).node;
}

}  // namespace fieldgate::analysis
