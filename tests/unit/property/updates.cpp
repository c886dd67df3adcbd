#include <array>

#include "generator.hpp"

// What an update does: operators, a replacement, a pipeline.
namespace fieldgate::property {
namespace {

constexpr std::array<std::string_view, 4> storing = {"$set", "$set", "$setOnInsert", "$set"};
constexpr std::array<std::string_view, 5> plain_only = {"$inc", "$push", "$addToSet", "$min", "$max"};
constexpr std::array<std::string_view, 14> all_operators = {
    "$set", "$setOnInsert", "$unset",       "$rename", "$inc",     "$mul",      "$min",
    "$max", "$push",        "$currentDate", "$pull",   "$pullAll", "$addToSet", "$bit"};
constexpr std::array<std::string_view, 4> plain_paths = {"ward", "tags", "place.city", "status"};

}  // namespace

void Generator::add_operator(Value& update) {
    const Tree& root = collection_.tree;
    if (!wild()) {
        switch (random_.below(4)) {
            case 0: {
                const std::string_view op = random_.pick(plain_only);
                used(op);
                update.add(std::string(op),
                           object({{std::string(random_.pick(plain_paths)), plain_value(1)}}));
                return;
            }
            case 1:
                used("$unset");
                update.add("$unset", object({{any_path(root), text("")}}));
                return;
            default: {
                const std::string_view op = random_.pick(storing);
                Value fields = object();
                const std::string path = any_path(root);
                fields.add(path, value_at(standing(root, path)));
                used(op);
                update.add(std::string(op), std::move(fields));
                return;
            }
        }
    }
    const std::string op(random_.pick(all_operators));
    const std::string path = any_path(root);
    const Standing at = standing(root, path);
    used(op);
    const auto value = [&] { return value_at(at); };
    Value argument;
    if (op == "$rename") {
        argument = text(any_path(root));
    } else if (op == "$currentDate") {
        argument = boolean(true);
    } else if (op == "$bit") {
        argument = object({{"and", value()}});
    } else if (op == "$pullAll") {
        argument = list({value()});
    } else if (op == "$unset") {
        // The server ignores it, which makes it no less plain.
        argument = at.is_protected() ? value() : text("");
    } else if ((op == "$push" || op == "$addToSet") && random_.chance(50)) {
        argument = object({{"$each", list({value(), value()})}});
    } else if (op == "$pull" && random_.chance(50)) {
        argument = any_condition(at);
    } else {
        argument = value();
    }
    update.add(op, object({{path, std::move(argument)}}));
}

Value Generator::operators() {
    Value update = object();
    for (std::size_t left = 1 + random_.below(2); left > 0; --left) add_operator(update);
    return update;
}

// Conditions on elements of an array that is one protected value.
Value Generator::array_filters() {
    return list({object({{"x.ward", plain_condition(1)}})});
}

Value Generator::update_value(std::string& kind) {
    const std::size_t choice = random_.below(10);
    if (choice < 6) {
        kind += " operators";
        return operators();
    }
    if (choice < 8) {
        kind += " replacement";
        return document(collection_.tree, 0);
    }
    kind += " pipeline";
    return pipeline(collection_.tree, 1, true);
}

}  // namespace fieldgate::property
