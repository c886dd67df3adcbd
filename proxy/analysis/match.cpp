#include "proxy/analysis/match.hpp"

#include <algorithm>
#include <array>

#include "config/bson_types.hpp"
#include "proxy/analysis/expressions.hpp"
#include "proxy/analysis/server_documents.hpp"
#include "proxy/analysis/values.hpp"

namespace fieldgate::analysis {
namespace {

// "Supported operators and actions for CSFLE" of the manual, and the texts of its specification's tests.
constexpr std::array operators{
    MatchOperator{"$and", MatchRule::logical},
    MatchOperator{"$or", MatchRule::logical},
    MatchOperator{"$nor", MatchRule::logical},
    MatchOperator{"$comment", MatchRule::pass_at_top},
    MatchOperator{"$sampleRate", MatchRule::pass_at_top},
    MatchOperator{"$alwaysTrue", MatchRule::pass_at_top},
    MatchOperator{"$alwaysFalse", MatchRule::pass_at_top},
    MatchOperator{"$where", MatchRule::never},
    MatchOperator{"$text", MatchRule::never},
    MatchOperator{"$jsonSchema", MatchRule::never},
    MatchOperator{"$expr", MatchRule::expression},
    MatchOperator{"$function", MatchRule::never},
    MatchOperator{"$accumulator", MatchRule::never},
    MatchOperator{"$eq", MatchRule::equality},
    MatchOperator{"$ne", MatchRule::equality},
    MatchOperator{"$in", MatchRule::set},
    MatchOperator{"$nin", MatchRule::set},
    MatchOperator{"$not", MatchRule::negation},
    MatchOperator{"$exists", MatchRule::existence},
    MatchOperator{"$type", MatchRule::type_of_parent},
    MatchOperator{"$gt", MatchRule::plain_only},
    MatchOperator{"$gte", MatchRule::plain_only},
    MatchOperator{"$lt", MatchRule::plain_only},
    MatchOperator{"$lte", MatchRule::plain_only},
    MatchOperator{"$mod", MatchRule::plain_only},
    MatchOperator{"$regex", MatchRule::plain_only},
    MatchOperator{"$options", MatchRule::plain_only},
    MatchOperator{"$size", MatchRule::plain_only},
    MatchOperator{"$all", MatchRule::plain_only},
    MatchOperator{"$elemMatch", MatchRule::plain_only},
    MatchOperator{"$bitsAllClear", MatchRule::plain_only},
    MatchOperator{"$bitsAllSet", MatchRule::plain_only},
    MatchOperator{"$bitsAnyClear", MatchRule::plain_only},
    MatchOperator{"$bitsAnySet", MatchRule::plain_only},
    MatchOperator{"$near", MatchRule::plain_only},
    MatchOperator{"$nearSphere", MatchRule::plain_only},
    MatchOperator{"$geoIntersects", MatchRule::plain_only},
    MatchOperator{"$geoWithin", MatchRule::plain_only},
    MatchOperator{"$within", MatchRule::plain_only},
    MatchOperator{"$maxDistance", MatchRule::plain_only},
    MatchOperator{"$minDistance", MatchRule::plain_only},
};

// One predicate's field: where it is in the schema, and its path as the client wrote it, for error texts.
struct Subject {
    Resolution at;
    std::string_view path;
    bool is_field() const { return at.kind == Resolution::Kind::field; }
};

bool refuse_operator(Request& request, const Subject& subject, std::string_view what) {
    const bool field = subject.is_field();
    return request.refuse(code::operation_not_on_encrypted,
                          "Invalid match expression operator on encrypted field " + quote(subject.path) +
                              ": " + std::string(what) +
                              (field ? " cannot be answered on ciphertext"
                                     : " cannot be answered on an object with encrypted fields in it"));
}

bool refuse_never(Request& request, std::string_view name) {
    return request.refuse(code::operation_not_on_encrypted,
                          "Unsupported match expression operator for encryption: " + quote(name) +
                              " is not allowed on a namespace with encrypted fields");
}

enum class Compared : std::uint8_t { equal, unequal, among };

bool compare_null(Request& request, const Subject& subject, Compared compared) {
    using Nulls = config::ProtectedNamespace::Nulls;
    const std::uint16_t field_index = subject.at.node->field;
    const Nulls nulls = request.namespace_of(field_index).nulls;
    if (nulls == Nulls::refuse)
        return request.refuse(
            code::operation_not_on_encrypted,
            (compared == Compared::among ? "Illegal equality to null inside $in against an encrypted field: "
                                         : "Illegal equality to null predicate for encrypted field: ") +
                quote(subject.path));
    // Stored as it is or not at all, null is found as it is: it also finds documents without the field.
    if (nulls == Nulls::omit && compared == Compared::equal) request.statement.null_where_omitted = true;
    return true;
}

// One value that the subject is compared with by equality.
bool compare(Request& request, const Subject& subject, const bson::Element& value, Compared compared) {
    if (value.type() == bson::Type::regex) return refuse_operator(request, subject, "a regular expression");
    if (!subject.is_field()) {
        if (value.type() == bson::Type::null) return true;
        if (!value.is_document()) return refuse_operator(request, subject, "a comparison");
        return compare_document(request, value.document(), *subject.at.node, subject.path) &&
               walk_plain_condition(request, value);
    }
    const std::uint16_t field_index = subject.at.node->field;
    const bool null = value.type() == bson::Type::null;
    if (request.field(field_index).algorithm == config::Algorithm::random &&
        !(null && request.namespace_of(field_index).nulls != config::ProtectedNamespace::Nulls::refuse))
        return request.refuse(code::operation_not_on_encrypted,
                              "Cannot query on fields encrypted with the randomized encryption algorithm: " +
                                  quote(subject.path));
    return null ? compare_null(request, subject, compared) : compare_value(request, value, field_index);
}

// What $type takes; anything else could be a value of what is below.
bool names_types(const bson::Element& value) {
    if (value.is_array()) {
        const bson::DocumentView types = value.document();
        return std::all_of(types.begin(), types.end(),
                           [](const bson::Element& type) { return !type.is_array() && names_types(type); });
    }
    if (value.is_string()) return value.string() == "number" || config::bson_type(value.string()).has_value();
    const auto number = value.whole_number();
    return number && *number >= -1 && *number <= 127;
}

// Any number counts as true or false: one that could be a value of the field is kept from the server.
bool is_existence(const bson::Element& value) {
    const auto number = value.whole_number();
    return value.type() == bson::Type::boolean || number == 0 || number == 1;
}

bool walk_operators(Request& request, const Subject& subject, bson::DocumentView expression);

bool walk_operator(Request& request, const Subject& subject, const bson::Element& element) {
    const MatchOperator* row = find_match_operator(element.key());
    if (row == nullptr) return refuse_operator(request, subject, quote(element.key()));
    switch (row->rule) {
        case MatchRule::equality:
            return compare(request, subject, element,
                           row->name == "$ne" ? Compared::unequal : Compared::equal);
        case MatchRule::set: {
            if (!element.is_array())
                return request.refuse(code::bad_value,
                                      std::string(row->name) + " needs an array: " + quote(subject.path));
            for (const bson::Element& value : element.document()) {
                if (begins_with_operator(value))
                    return refuse_operator(request, subject, "an operator inside " + std::string(row->name));
                if (!compare(request, subject, value, Compared::among)) return false;
            }
            return true;
        }
        case MatchRule::negation:
            if (!begins_with_operator(element))
                return refuse_operator(request, subject, "$not of anything but operators");
            return walk_operators(request, subject, element.document());
        case MatchRule::existence:
            return is_existence(element) ||
                   refuse_operator(request, subject, "$exists of anything but true, false, 1 and 0");
        case MatchRule::type_of_parent:
            if (subject.is_field()) return refuse_operator(request, subject, row->name);
            if (names_types(element)) return true;
            return refuse_operator(request, subject, "$type of anything but names and numbers of types");
        case MatchRule::never:
        case MatchRule::expression:
            return refuse_never(request, row->name);
        case MatchRule::logical:
        case MatchRule::pass_at_top:
        case MatchRule::plain_only:
            return refuse_operator(request, subject, row->name);
    }
    return refuse_operator(request, subject, "an operator");
}

bool walk_operators(Request& request, const Subject& subject, bson::DocumentView expression) {
    for (const bson::Element& element : expression)
        if (!walk_operator(request, subject, element)) return false;
    return true;
}

// { $exists: <truth value> }, which shows no value and asks for none.
bool asks_for_existence(const bson::Element& element) {
    if (!begins_with_operator(element)) return false;
    const bson::DocumentView operators_of = element.document();
    return std::all_of(operators_of.begin(), operators_of.end(),
                       [](const bson::Element& op) { return op.key() == "$exists" && is_existence(op); });
}

// An array that a stage made, or a position in it.
struct MadeArray {
    const config::SchemaNode* node = nullptr;  // null: the path is none
    bool position = false;
};

MadeArray find_made_array(const config::SchemaNode& root, std::string_view path) {
    const config::SchemaNode* node = &root;
    while (!path.empty()) {
        if (node->unknown || node->dotted_keys) return {};
        if (node->array) return config::is_array_position(path) ? MadeArray{node, true} : MadeArray{};
        const std::size_t dot = path.find('.');
        node = node->child(path.substr(0, dot));
        if (node == nullptr) return {};
        path = dot == std::string_view::npos ? std::string_view() : path.substr(dot + 1);
    }
    return node->array && !node->unknown ? MadeArray{node} : MadeArray{};
}

bool is_empty_array(const bson::Element& value) {
    return value.is_array() && value.document().empty();
}

// Whether a predicate asks no more of it than how many elements it has. An element that is encrypted could
// itself be an empty array.
bool asks_for_length(const bson::Element& predicate, const MadeArray& array) {
    const bool comparable = !array.position && !array.node->is_protected();
    if (!begins_with_operator(predicate)) return comparable && is_empty_array(predicate);
    const bson::DocumentView operators_of = predicate.document();
    return std::all_of(operators_of.begin(), operators_of.end(), [&](const bson::Element& op) {
        if (op.key() == "$exists") return is_existence(op);
        if (op.key() == "$size") return !array.position && op.whole_number().has_value();
        if (op.key() == "$eq" || op.key() == "$ne") return comparable && is_empty_array(op);
        return op.key() == "$not" && begins_with_operator(op) && asks_for_length(op, array);
    });
}

// What is not known until runtime, but for what needs no value of it.
bool walk_unknown(Request& request, const Subject& subject, const bson::Element& element) {
    if (is_server_tree(*request.tree) && asks_for_existence(element)) return true;
    const MadeArray array = find_made_array(*request.tree, subject.path);
    if (array.node == nullptr || !asks_for_length(element, array))
        return request.refuse(code::operation_not_on_encrypted,
                              why_unusable(subject.at, "query", subject.path));
    // It tells how many have the field.
    if (array.node->is_protected()) request.mark_used(*array.node, false);
    return true;
}

bool walk_predicate(Request& request, const bson::Element& element) {
    const Subject subject{resolve_compared(request, element.key()), element.key()};
    switch (subject.at.kind) {
        case Resolution::Kind::plain:
            return walk_plain_condition(request, element);
        case Resolution::Kind::unknown:
            return walk_unknown(request, subject, element);
        case Resolution::Kind::below:
            return request.refuse(code::operation_not_on_encrypted,
                                  "Cannot query below or through an encrypted field: " + quote(subject.path) +
                                      " (invalid match expression operator on encrypted field)");
        case Resolution::Kind::field:
            request.mark_matched(subject.at.node->field);
            break;
        case Resolution::Kind::parent:
            break;
    }
    if (begins_with_operator(element)) return walk_operators(request, subject, element.document());
    return compare(request, subject, element, Compared::equal);
}

bool walk_logical(Request& request, const bson::Element& element) {
    if (!element.is_array())
        return request.refuse(code::bad_value, std::string(element.key()) + " must be an array");
    for (const bson::Element& branch : element.document()) {
        if (!branch.is_document())
            return request.refuse(code::bad_value,
                                  std::string(element.key()) + " entries need to be full objects");
        if (!walk_filter(request, branch.document())) return false;
    }
    return true;
}

}  // namespace

std::span<const MatchOperator> match_operators() {
    return operators;
}

const MatchOperator* find_match_operator(std::string_view name) {
    const auto* row = std::find_if(operators.begin(), operators.end(),
                                   [&](const MatchOperator& r) { return r.name == name; });
    return row == operators.end() ? nullptr : row;
}

bool walk_plain_condition(Request& request, const bson::Element& condition) {
    if (!condition.is_document() && !condition.is_array()) return true;
    for (const bson::Element& element : condition.document()) {
        if (element.key().starts_with('$')) {
            const MatchOperator* row = find_match_operator(element.key());
            if (row != nullptr && (row->rule == MatchRule::never || row->rule == MatchRule::expression))
                return refuse_never(request, row->name);
        }
        if (!walk_plain_condition(request, element)) return false;
    }
    return true;
}

bool walk_filter_element(Request& request, const bson::Element& element) {
    const std::string_view key = element.key();
    if (!key.starts_with('$')) return walk_predicate(request, element);
    const MatchOperator* row = find_match_operator(key);
    if (row == nullptr) return refuse_never(request, key);
    switch (row->rule) {
        case MatchRule::never:
            return refuse_never(request, key);
        case MatchRule::logical:
            return walk_logical(request, element);
        case MatchRule::expression:
            return walk_condition(request, element);
        case MatchRule::pass_at_top:
            return true;
        default:
            return request.refuse(code::bad_value, "Unsupported match expression operator for encryption: " +
                                                       quote(key) + " cannot stand at the top of a filter");
    }
}

bool walk_filter(Request& request, bson::DocumentView filter) {
    for (const bson::Element& element : filter)
        if (!walk_filter_element(request, element)) return false;
    return true;
}

bool walk_kept_predicate(Request& request, const bson::Element& element, std::string_view what) {
    const std::size_t edits_before = request.plan.edits.size();
    if (!walk_filter_element(request, element)) return false;
    if (request.plan.edits.size() == edits_before) return true;
    const std::uint16_t field_index = request.plan.edits.back().field;
    return request.refuse(code::operation_not_on_encrypted,
                          "Comparison to encrypted fields not supported in " + std::string(what) + ": " +
                              quote(request.field(field_index).path));
}

}  // namespace fieldgate::analysis
