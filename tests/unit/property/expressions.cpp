#include <array>

#include "generator.hpp"

// Aggregation expressions. What is protected in them: a constant that is compared with a protected field.
namespace fieldgate::property {
namespace {

constexpr std::array<std::string_view, 8> comparisons = {"$eq",  "$ne", "$in", "$eq",
                                                         "$cmp", "$gt", "$lt", "$gte"};
constexpr std::array<std::string_view, 10> functions = {
    "$concat", "$add", "$toUpper", "$size", "$type", "$and", "$mergeObjects", "$not", "$max", "$unknown"};

}  // namespace

Value Generator::plain_operand(const Tree& root) {
    switch (random_.below(4)) {
        case 0:
            return text("$ward");
        case 1:
            return text("$name");
        case 2:
            return wild() ? text("$" + any_path(root)) : text("$$ROOT.ward");
        default:
            return random_.chance(50) ? object({{"$literal", plain_value(2)}})
                                      : int32(static_cast<std::int32_t>(random_.below(100)));
    }
}

// Something whose value is that of the field.
Value Generator::protected_operand(const Place& place, unsigned level) {
    if (level < 2 && random_.chance(wildness_ + 5)) {
        const Value same = protected_operand(place, level + 1);
        switch (random_.below(5)) {
            case 0:
                return pinned(object({{"$cond", pinned(list({boolean(true), same, same}))}}));
            case 1:
                return pinned(object({{"$ifNull", pinned(list({same, same}))}}));
            case 2:
                return pinned(object({{"$let", pinned(object({{"vars", pinned(object({{"v", same}}))},
                                                              {"in", text("$$v")}}))}}));
            case 3:
                if (place.path.find('.') == std::string::npos)
                    return pinned(object({{"$getField", text(place.path)}}));
                break;
            default:
                return pinned(
                    object({{"$switch", pinned(object({{"branches", list()}, {"default", same}}))}}));
        }
    }
    switch (wild() ? random_.below(3) : 2) {
        case 0:
            return text("$$ROOT." + place.path);
        case 1:
            return text("$$CURRENT." + place.path);
        default:
            return text("$" + place.path);
    }
}

Value Generator::comparison(const Tree& root) {
    const std::vector<Place> all = places(root);
    const std::optional<Place> place = pick_place(all, !wild());
    if (!place) return object({{"$eq", list({plain_operand(root), plain_operand(root)})}});
    const std::string_view name = comparisons[random_.below(wildness_ > 5 ? comparisons.size() : 3)];
    used(name);
    const Standing at = standing(root, place->path);
    const auto constant = [&]() -> Value {
        if (!let_variable_.empty() && random_.chance(60)) {
            let_used_ = true;
            return text("$$" + let_variable_);
        }
        // A text that begins with `$` is a path, which no canary does.
        Value value = at.kind == Standing::Kind::parent ? document(*at.node, 1) : value_at(at);
        if (random_.chance(30)) return object({{"$literal", std::move(value)}});
        if (wild()) return object({{"$concat", list({std::move(value), text("")})}});
        return value;
    };
    Value operand = protected_operand(*place, 0);
    if (name == "$in") {
        Value values = list({constant(), constant()});
        return object({{"$in", pinned(list({std::move(operand), std::move(values)}))}});
    }
    if (random_.chance(50))
        return object({{std::string(name), pinned(list({constant(), std::move(operand)}))}});
    return object({{std::string(name), pinned(list({std::move(operand), constant()}))}});
}

// An object with one name, made in one of many ways.
Value Generator::laid_below(const std::string& name, Value constant) {
    Value plain = object({{name, constant}});
    if (!random_.chance(wildness_ + 20)) return plain;
    switch (random_.below(6)) {
        case 0:
            return object({{"$literal", std::move(plain)}});
        case 1:
            return pinned(object({{"$cond", pinned(list({text("$ward"), std::move(plain), Value()}))}}));
        case 2:
            return pinned(object({{"$mergeObjects", pinned(list({std::move(plain)}))}}));
        case 3:
            return pinned(object({{"$setField", pinned(object({{"field", text(name)},
                                                               {"input", object()},
                                                               {"value", std::move(constant)}}))}}));
        case 4: {
            Value pair = pinned(list({text(name), std::move(constant)}));
            return pinned(object({{"$arrayToObject", pinned(list({pinned(list({std::move(pair)}))}))}}));
        }
        default:
            return pinned(object({{"$ifNull", pinned(list({text("$name"), std::move(plain)}))}}));
    }
}

// A constant that may come out where the value of a field may.
Value Generator::default_of_field(const Tree& root) {
    const std::vector<Place> all = places(root);
    const std::optional<Place> place = pick_place(all, !wild());
    if (!place) return plain_operand(root);
    const Standing at = standing(root, place->path);
    Value constant = at.kind == Standing::Kind::parent ? document(*at.node, 1) : value_at(at);
    if (random_.chance(20)) constant = object({{"$literal", std::move(constant)}});
    if (wild()) constant = list({std::move(constant)});
    Value field = protected_operand(*place, 0);
    switch (random_.below(5)) {
        case 0:
            used("$cond");
            return object(
                {{"$cond", pinned(list({comparison(root), std::move(constant), std::move(field)}))}});
        case 1: {
            used("$switch");
            Value branch = object({{"case", comparison(root)}, {"then", std::move(field)}});
            return object({{"$switch", pinned(object({{"branches", list({std::move(branch)})},
                                                      {"default", std::move(constant)}}))}});
        }
        case 2: {
            const std::string name = place->path.substr(0, place->path.find('.'));
            Value below = laid_below(name, std::move(constant));
            return object(
                {{"$mergeObjects", pinned(list({std::move(below), object({{name, std::move(field)}})}))}});
        }
        case 3: {
            Value inner = object({{"$ifNull", pinned(list({text("$name"), std::move(constant)}))}});
            return object({{"$ifNull", pinned(list({std::move(field), std::move(inner)}))}});
        }
        default:
            used("$ifNull");
            return object({{"$ifNull", pinned(list({std::move(field), std::move(constant)}))}});
    }
}

Value Generator::expression(const Tree& root, unsigned level) {
    if (level > 2) return plain_operand(root);
    if (random_.chance(15)) return default_of_field(root);
    switch (random_.below(wildness_ > 5 ? 10 : 7)) {
        case 0:
            return comparison(root);
        case 1: {
            Value condition = random_.chance(50) ? comparison(root) : expression(root, level + 1);
            used("$cond");
            return object(
                {{"$cond", list({std::move(condition), plain_operand(root), plain_operand(root)})}});
        }
        case 2: {
            Value branch = object({{"case", comparison(root)}, {"then", plain_operand(root)}});
            used("$switch");
            return object({{"$switch", object({{"branches", list({std::move(branch)})},
                                               {"default", plain_operand(root)}})}});
        }
        case 3:
            used("$ifNull");
            return object({{"$ifNull", list({plain_operand(root), plain_operand(root)})}});
        case 4:
            return object({{"$eq", list({plain_operand(root), plain_operand(root)})}});
        case 5:
            return text("$" + any_path(root));
        case 6:
            return plain_operand(root);
        case 7: {
            Value loop = object({{"input", text("$tags")}, {"as", text("t")}});
            loop.add(random_.chance(50) ? "cond" : "in", comparison(root));
            return object({{random_.chance(50) ? "$filter" : "$map", std::move(loop)}});
        }
        case 8:
            return object({{"x", expression(root, level + 1)}, {"y", plain_operand(root)}});
        default:
            return object({{std::string(random_.pick(functions)),
                            list({expression(root, level + 1), plain_operand(root)})}});
    }
}

}  // namespace fieldgate::property
