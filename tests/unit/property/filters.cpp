#include <array>

#include "generator.hpp"

// The match language, on fields of every standing.
namespace fieldgate::property {
namespace {

constexpr std::array<std::string_view, 14> value_operators = {
    "$gt",  "$gte",        "$lt",           "$lte",  "$eq",   "$ne",        "$size",
    "$mod", "$bitsAllSet", "$bitsAnyClear", "$type", "$near", "$geoWithin", "$unknownOperator"};
constexpr std::array<std::string_view, 4> paths_at_root = {"name", "ward", "tags.0", "place.city"};

}  // namespace

std::optional<Place> Generator::pick_place(const std::vector<Place>& all, bool deterministic_only) {
    if (all.empty()) return std::nullopt;
    for (int attempt = 0; attempt < 8; ++attempt) {
        const Place& place = random_.pick(all);
        if (!deterministic_only || place.deterministic()) return place;
    }
    return std::nullopt;
}

std::string Generator::spoilt_path(std::string path) {
    const std::size_t dot = path.find('.');
    switch (random_.below(8)) {
        case 0:
            return path + ".x";
        case 1:
            return path + ".0";
        case 2:
            return path + ".$";
        case 3:
            return path + ".$[]";
        case 6:
            return path + ".";
        case 4:
            return dot == std::string::npos ? path : path.insert(dot, ".0");
        case 5:
            return dot == std::string::npos ? path : path.insert(dot, random_.chance(50) ? ".$" : ".$[x]");
        default:
            return path + "_";
    }
}

std::string Generator::any_path(const Tree& root) {
    const std::vector<Place> all = places(root);
    if (all.empty() || random_.chance(wildness_ > 5 ? 30 : 60))
        return std::string(random_.pick(paths_at_root));
    std::string path = random_.pick(all).path;
    return wild() ? spoilt_path(std::move(path)) : path;
}

Value Generator::plain_condition(unsigned level) {
    switch (random_.below(14)) {
        case 0:
            return object({{"$gt", plain_value(2)}, {"$lte", plain_value(2)}});
        case 1:
            return object({{"$in", list({plain_value(2), plain_value(2)})}});
        case 2:
            return object({{"$nin", list({plain_value(2)})}});
        case 3:
            return object({{"$exists", boolean(random_.chance(50))}});
        case 4:
            return object({{"$regex", text("^a.c")}, {"$options", text("i")}});
        case 5:
            return object({{"$type", text("string")}});
        case 6:
            return object({{"$size", int32(2)}});
        case 7:
            return object({{"$mod", list({int32(3), int32(1)})}});
        case 8:
            return object({{"$all", list({plain_value(2), plain_value(2)})}});
        case 9:
            if (level < 2) return object({{"$not", plain_condition(level + 1)}});
            return object({{"$ne", plain_value(2)}});
        case 10: {
            Value inner = object();
            inner.add(plain_name(1), level < 2 ? plain_condition(level + 1) : plain_value(2));
            return object({{"$elemMatch", std::move(inner)}});
        }
        case 11:
            return object({{"$bitsAllSet", int32(5)}});
        default:
            return plain_value(1);
    }
}

// What ciphertext can answer on a field.
Value Generator::field_condition(const Tree& node) {
    if (!node.is_field() || !node.field->deterministic || random_.chance(15))
        return object({{"$exists", boolean(random_.chance(50))}});
    const Field& field = *node.field;
    // A regular expression is stored as a value, but as a condition it is a pattern.
    const auto value = [&] { return field_value(field); };
    switch (random_.below(6)) {
        case 0:
            return object({{"$eq", value()}});
        case 1:
            return object({{"$ne", value()}});
        case 2:
            return object({{"$in", list({value(), value()})}});
        case 3:
            return object({{"$nin", list({value()})}});
        case 4:
            return object({{"$not", object({{"$eq", value()}})}});
        default:
            return value();
    }
}

// Anything that a client might write opposite to a protected path.
Value Generator::any_condition(const Standing& at) {
    const auto operator_name = [&] { return std::string(random_.pick(value_operators)); };
    const auto value = [&] {
        return at.kind == Standing::Kind::parent ? document(*at.node, 1) : value_at(at);
    };
    switch (random_.below(9)) {
        case 0:
            return value();
        case 1:
            return object({{"$elemMatch", object({{"$eq", value()}})}});
        case 2:
            // The names of protected fields inside the elements of an array that the schema knows of none.
            return object({{"$elemMatch", value()}});
        case 3:
            return object({{"$all", list({value(), value()})}});
        case 4:
            return object({{"$in", list({value(), object({{"$gt", value()}})})}});
        case 5:
            return object({{"$not", object({{operator_name(), value()}})}});
        case 6:
            return object({{"$exists", value()}});
        case 7:
            return object({{"$regex", value()}, {"$options", text("")}});
        default:
            return object({{operator_name(), value()}});
    }
}

Value Generator::condition(const Standing& at) {
    if (at.kind == Standing::Kind::plain) return plain_condition(0);
    if (at.kind == Standing::Kind::below || wild()) return any_condition(at);
    return field_condition(*at.node);
}

void Generator::add_predicate(Value& result, const Tree& root) {
    const std::vector<Place> all = places(root);
    if (wild()) {
        const std::string path = any_path(root);
        const Standing at = standing(root, path);
        result.add(path, at.kind == Standing::Kind::plain ? plain_condition(0) : any_condition(at));
        return;
    }
    if (random_.chance(50)) {
        result.add(std::string(random_.pick(paths_at_root)), plain_condition(0));
    } else if (const std::optional<Place> place = pick_place(all, random_.chance(80))) {
        result.add(place->path, condition(standing(root, place->path)));
    }
}

Value Generator::filter(const Tree& root, unsigned level) {
    Value result = object();
    for (std::size_t left = random_.below(3); left > 0; --left) add_predicate(result, root);
    if (level < 3 && random_.chance(25)) {
        constexpr std::array<std::string_view, 3> logical = {"$and", "$or", "$nor"};
        Value branches = list();
        for (std::size_t left = 1 + random_.below(2); left > 0; --left)
            branches.push(filter(root, level + 1));
        const std::string_view name = random_.pick(logical);
        used(name);
        result.add(std::string(name), std::move(branches));
    }
    if (random_.chance(wildness_ + 2)) {
        used("$expr");
        result.add("$expr", random_.chance(60) ? comparison(root) : expression(root, 0));
    }
    if (wild()) {
        const std::optional<Place> place = pick_place(places(root), false);
        const std::string name = !place ? "x" : place->path;
        const bool is_field = place && place->is_field();
        switch (random_.below(5)) {
            case 0:
                result.add("$where", text("this.name == 'x'"));
                break;
            case 1:
                result.add("$text", object({{"$search", text("x")}}));
                break;
            case 2:
                if (is_field && name.find('.') == std::string::npos)
                    result.add("$jsonSchema",
                               object({{"properties",
                                        object({{name, object({{"enum", list({unfit_value()})}})}})}}));
                break;
            case 3:
                result.add("$comment", text("why"));
                break;
            default:
                result.add("$unknown", object({{name, is_field ? unfit_value() : plain_value(1)}}));
                break;
        }
    }
    return result;
}

}  // namespace fieldgate::property
