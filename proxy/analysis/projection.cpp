#include "proxy/analysis/projection.hpp"

#include <algorithm>

#include "proxy/analysis/match.hpp"

namespace fieldgate::analysis {
namespace {

bool refuse_computed(Request& request, std::string_view path) {
    return request.refuse(
        code::operation_not_on_encrypted,
        "The projection of " + quote(path) +
            " is computed: on a namespace with encrypted fields only inclusion and exclusion are "
            "allowed");
}

// { field: { $operator: ... } }, where `path` is the field's whole path.
bool walk_projection_operator(Request& request, const bson::Element& op, std::string_view path,
                              ProjectionOf of) {
    const std::string_view name = op.key();
    if (of == ProjectionOf::stage) return refuse_computed(request, path);
    if (name != "$slice" && name != "$elemMatch" && name != "$meta") return refuse_computed(request, path);
    if (!resolve(*request.tree, path).is_plain())
        return request.refuse(
            code::operation_not_on_encrypted,
            std::string(name) + " in a projection cannot be answered on encrypted field " + quote(path));
    // The three-argument form of $slice is an expression.
    if (name == "$slice" && op.is_array()) {
        for (const bson::Element& argument : op.document())
            if (!argument.whole_number()) return refuse_computed(request, path);
    } else if (name == "$slice" && !op.whole_number()) {
        return refuse_computed(request, path);
    }
    return walk_plain_condition(request, op);
}

// Above protected fields paths are joined anew for each name, so an endless one would cost its length each
// time.
constexpr std::size_t path_bytes_max = 2000;

// A value at a protected path goes to the server as it is, so it must be none that a document could hold.
bool is_truth_value(const bson::Element& value) {
    const auto number = value.whole_number();
    return value.type() == bson::Type::boolean || number == 0 || number == 1;
}

bool refuse_long(Request& request, std::string_view path) {
    return request.refuse(code::bad_value, "The path " + quote(path) + " in a projection is too long");
}

// What stands below a plain path is plain, whatever it is called: no path is joined for it, only its length
// is kept. `path` is the plain path, for error texts.
bool walk_below_plain(Request& request, bson::DocumentView inner, std::string_view path,
                      std::size_t path_bytes, ProjectionOf of) {
    if (inner.empty()) return refuse_computed(request, path);
    for (const bson::Element& part : inner) {
        const std::string_view key = part.key();
        if (key.starts_with('$')) {
            if (!walk_projection_operator(request, part, path, of)) return false;
            continue;
        }
        const std::size_t bytes = path_bytes + 1 + key.size();
        if (bytes > path_bytes_max) return refuse_long(request, path);
        if (part.is_document()) {
            if (!walk_below_plain(request, part.document(), path, bytes, of)) return false;
        } else if (!is_number_or_boolean(part) ||
                   (of == ProjectionOf::stage && key.find(".$") != std::string_view::npos)) {
            return refuse_computed(request, path);
        }
    }
    return true;
}

bool walk_projected(Request& request, const bson::Element& element, const std::string& path,
                    ProjectionOf of) {
    if (path.size() > path_bytes_max) return refuse_long(request, path);
    if (element.is_document()) {
        const bson::DocumentView inner = element.document();
        if (inner.empty()) return refuse_computed(request, path);
        if (path.find('$') == std::string::npos && resolve(*request.tree, path).is_plain())
            return walk_below_plain(request, inner, path, path.size(), of);
        for (const bson::Element& part : inner) {
            if (part.key().starts_with('$')) {
                if (!walk_projection_operator(request, part, path, of)) return false;
            } else if (!walk_projected(request, part, path + "." + std::string(part.key()), of)) {
                return false;
            }
        }
        return true;
    }
    if (!is_number_or_boolean(element)) return refuse_computed(request, path);
    if (is_positional(path)) {
        if (of == ProjectionOf::stage || !resolve(*request.tree, without_positions(path)).is_plain())
            return request.refuse(
                code::operation_not_on_encrypted,
                "A positional projection cannot be answered on encrypted field " + quote(path));
        return true;
    }
    const Resolution at = resolve(*request.tree, path);
    if (!at.is_plain() && !is_truth_value(element)) return refuse_computed(request, path);
    if (at.kind == Resolution::Kind::below || at.kind == Resolution::Kind::unknown)
        return request.refuse(code::operation_not_on_encrypted, why_unusable(at, "project", path));
    return true;
}

}  // namespace

bool walk_projection(Request& request, bson::DocumentView projection, ProjectionOf of) {
    for (const bson::Element& element : projection)
        if (!walk_projected(request, element, std::string(element.key()), of)) return false;
    return true;
}

bool walk_sort(Request& request, bson::DocumentView sort) {
    for (const bson::Element& element : sort)
        if (!resolve(*request.tree, element.key()).is_plain())
            return request.refuse(
                code::operation_not_on_encrypted,
                "Cannot sort by encrypted field " + quote(element.key()) + ": ciphertext has another order");
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

}  // namespace fieldgate::analysis
