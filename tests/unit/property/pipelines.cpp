#include <algorithm>
#include <array>

#include "generator.hpp"

// Aggregation pipelines. The tree follows the documents through the stages: a name that a stage makes out of
// a protected field is one; a name that a stage makes out of anything else is forgotten, so that nothing
// opposite to it counts as protected.
namespace fieldgate::property {
namespace {

constexpr std::array<std::string_view, 7> everyday_stages = {"$match", "$sort",  "$skip",   "$limit",
                                                             "$count", "$match", "$project"};
constexpr std::array<std::string_view, 32> other_stages = {
    "$addFields",       "$set",        "$unset",       "$project",     "$group",  "$group",
    "$bucket",          "$bucketAuto", "$sortByCount", "$unwind",      "$lookup", "$lookup",
    "$unionWith",       "$facet",      "$replaceRoot", "$replaceWith", "$redact", "$sample",
    "$graphLookup",     "$geoNear",    "$out",         "$merge",       "$fill",   "$densify",
    "$setWindowFields", "$collStats",  "$indexStats",  "$documents",   "$search", "$changeStream",
    "$currentOp",       "$noSuchStage"};
constexpr std::array<std::string_view, 5> update_stages = {"$set", "$addFields", "$unset", "$project",
                                                           "$replaceWith"};

// Nothing is known any more of what stands at the path, or beside it.
void forget(Tree& root, std::string_view path) {
    root.remove(path.substr(0, path.find('.')));
    std::erase_if(root.members, [](const TreeMember& member) { return member.is_pattern; });
}

void keep(const Tree& from, Tree& to, std::string_view path) {
    const std::size_t dot = path.find('.');
    const std::string name(path.substr(0, dot));
    const Tree* child = from.child(name);
    if (child == nullptr) return;
    if (dot == std::string_view::npos) {
        to.put(name, *child);
        return;
    }
    if (child->is_field()) return;
    const Tree* kept = to.child(name);
    Tree inner = kept == nullptr ? Tree{} : *kept;
    keep(*child, inner, path.substr(dot + 1));
    to.put(name, std::move(inner));
}

template <class Names>
bool is_one_of(const Names& names, std::string_view name) {
    return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

}  // namespace

Value Generator::projection(const Tree& root, bool is_stage) {
    Value result = object();
    const bool include = random_.chance(60);
    for (std::size_t left = 1 + random_.below(3); left > 0; --left) {
        const std::string path = any_path(root);
        const Standing at = standing(root, path);
        if (!wild()) {
            result.add(path, random_.chance(50) ? int32(include) : boolean(include));
            continue;
        }
        used("computed projection");
        switch (random_.below(5)) {
            case 0:
                result.add(path, expression(root, 1));
                break;
            case 1:
                result.add(path, object({{"$slice", int32(1)}}));
                break;
            case 2:
                if (!is_stage) result.add(path, object({{"$elemMatch", any_condition(at)}}));
                break;
            case 3:  // a number includes, but it is one that the field may hold
                if (at.is_protected())
                    result.add(path, canaries_.make(random_.chance(50) ? Type::int32 : Type::int64, true));
                break;
            default:
                result.add(path + ".$", int32(1));
                break;
        }
    }
    if (random_.chance(20)) result.add("_id", int32(0));
    return result;
}

Value Generator::simple_stage(const std::string& name, Tree& root) {
    if (name == "$match") return filter(root, 0);
    if (name == "$sort") {
        Value keys = object();
        keys.add(wild() ? any_path(root) : "ward", int32(random_.chance(50) ? 1 : -1));
        return keys;
    }
    if (name == "$skip" || name == "$limit") return int32(static_cast<std::int32_t>(1 + random_.below(20)));
    if (name == "$sample") return object({{"size", int32(3)}});
    if (name == "$unwind") {
        if (!wild()) return text("$tags");
        return object({{"path", text("$" + any_path(root))}, {"includeArrayIndex", text("i")}});
    }
    if (name == "$redact")
        return object(
            {{"$cond",
              object({{"if", comparison(root)}, {"then", text("$$KEEP")}, {"else", text("$$PRUNE")}})}});
    root = {};  // $count
    return text("n");
}

// $project, $addFields, $set, $unset, $fill.
Value Generator::assigning_stage(const std::string& name, Tree& root, bool in_update) {
    if (name == "$project") {
        Value spec = projection(root, true);
        Tree kept;
        for (const Member& member : spec.members) {
            const bool includes = member.value.type == Type::boolean || member.value.type == Type::int32;
            if (includes && member.value.scalar[0] != 0) keep(root, kept, member.key);
        }
        root = std::move(kept);
        return spec;
    }
    if (name == "$unset") {
        const std::string path = any_path(root);
        forget(root, path);
        return random_.chance(50) ? text(path) : list({text(path)});
    }
    Value spec = object();
    const Tree before = root;  // what the expressions of the stage read: none sees what another one assigns
    for (std::size_t left = 1 + random_.below(2); left > 0; --left) {
        // In a reading pipeline a constant is only shown; in an update it is stored.
        const std::string path = in_update ? any_path(collection_.tree) : any_path(root);
        const Standing stored = in_update ? standing_by_name(collection_.tree, path) : Standing{};
        const std::optional<Place> source = pick_place(places(before), false);
        if (source && random_.chance(30)) {
            Tree copied = *source->node;
            Value operand = protected_operand(*source, 0);
            forget(root, path);
            if (path.find('.') == std::string::npos && !path.empty()) root.put(path, std::move(copied));
            spec.add(path, std::move(operand));
        } else if (stored.kind != Standing::Kind::plain) {
            Value constant = value_at(stored);
            if (random_.chance(20)) constant = object({{"$literal", std::move(constant)}});
            if (random_.chance(20))
                constant = object({{"$cond", list({comparison(before), constant, text("$" + path)})}});
            spec.add(path, std::move(constant));
        } else {
            Value value = expression(before, 0);
            forget(root, path);
            spec.add(path, std::move(value));
        }
    }
    return spec;
}

Value Generator::group_stage(Tree& root) {
    constexpr std::array<std::string_view, 8> accumulators = {"$sum", "$push", "$addToSet", "$first",
                                                              "$max", "$avg",  "$last",     "$min"};
    const std::vector<Place> all = places(root);
    Tree grouped;
    Value spec = object();
    const std::optional<Place> key = random_.chance(50) ? pick_place(all, !wild()) : std::nullopt;
    if (key && random_.chance(70)) {
        spec.add("_id", text("$" + key->path));
        grouped.put("_id", *key->node);
    } else if (key) {
        Tree inner;
        inner.put("k", *key->node);
        spec.add("_id", object({{"k", text("$" + key->path)}, {"w", text("$ward")}}));
        grouped.put("_id", std::move(inner));
    } else {
        spec.add("_id", random_.chance(30) ? null() : plain_operand(root));
    }
    if (random_.chance(70)) spec.add("n", object({{"$sum", int32(1)}}));
    for (std::size_t left = random_.below(3); left > 0; --left) {
        const std::string_view accumulator = random_.pick(accumulators);
        const std::optional<Place> source = random_.chance(50) ? pick_place(all, false) : std::nullopt;
        const std::string name = "g" + std::to_string(left);
        used(accumulator);
        if (!source) {
            spec.add(name, object({{std::string(accumulator), expression(root, 1)}}));
            continue;
        }
        spec.add(name, object({{std::string(accumulator), text("$" + source->path)}}));
        grouped.put(name, *source->node);
    }
    root = std::move(grouped);
    return spec;
}

Value Generator::replacing_stage(const std::string& name, Tree& root, bool in_update) {
    Value made;
    const std::optional<Place> place = pick_place(places(root), false);
    if (in_update) {
        Value stored = document(collection_.tree, 0);
        made = random_.chance(50) ? std::move(stored)
                                  : object({{"$mergeObjects", list({text("$$ROOT"), std::move(stored)})}});
        root = {};
    } else if (place && random_.chance(50)) {
        made = text("$" + place->path);
        root = Tree(place->is_field() ? Tree{} : *place->node);
    } else if (place && random_.chance(60)) {
        made = object({{"copy", text("$" + place->path)}, {"w", expression(root, 1)}});
        Tree copied;
        copied.put("copy", *place->node);
        root = std::move(copied);
    } else {
        made = object({{"w", plain_operand(root)}});
        root = {};
    }
    if (name == "$replaceWith") return made;
    return object({{"newRoot", std::move(made)}});
}

// Stages that read another collection, or the same in several ways.
Value Generator::joining_stage(const std::string& name, Tree& root, unsigned level) {
    const std::size_t choice = random_.below(4);
    const Collection* other = choice == 0   ? nullptr
                              : choice == 1 ? &random_.pick(collections_)
                                            : &collection_;
    const std::string from = other == nullptr ? plain_collection : other->name;
    Tree foreign = other == nullptr ? Tree{} : other->tree;
    if (name == "$facet") {
        Value spec = object();
        Tree facets;
        for (std::size_t left = 1 + random_.below(2); left > 0; --left) {
            Tree branch = root;
            Value stages = pinned(list());
            for (std::size_t more = random_.below(3); more > 0; --more)
                stages.push(stage(branch, level + 1, false));
            const std::string facet = "f" + std::to_string(left);
            spec.add(facet, std::move(stages));
            facets.put(facet, std::move(branch));
        }
        root = std::move(facets);
        return spec;
    }
    if (name == "$unionWith") {
        if (random_.chance(40)) return text(from);
        if (wild()) {
            // Documents of no collection.
            Value made_up = list({document(root, 1)});
            return pinned(
                object({{"pipeline", pinned(list({object({{"$documents", std::move(made_up)}})}))}}));
        }
        return pinned(object({{"coll", text(from)}, {"pipeline", pipeline(foreign, level + 1, false)}}));
    }
    if (name == "$graphLookup") {
        const std::string path = any_path(foreign);
        const Standing at = standing(foreign, path);
        Value start = at.is_protected() && random_.chance(50) ? value_at(at) : text("$" + any_path(root));
        Value spec = object({{"from", text(from)},
                             {"startWith", std::move(start)},
                             {"connectFromField", text(path)},
                             {"connectToField", text(path)},
                             {"as", text("chain")}});
        if (random_.chance(40)) spec.add("restrictSearchWithMatch", filter(foreign, 1));
        root.put("chain", std::move(foreign));
        return pinned(std::move(spec));
    }
    Value spec = object({{"from", text(from)}, {"as", text("joined")}});
    if (random_.chance(70)) {
        spec.add("localField", text(any_path(root)));
        spec.add("foreignField", text(any_path(foreign)));
    }
    if (random_.chance(40)) {
        Value stages = pinned(list());
        for (std::size_t more = random_.below(3); more > 0; --more)
            stages.push(stage(foreign, level + 1, false));
        if (random_.chance(50)) spec.add("let", object({{"l", text("$" + any_path(root))}}));
        spec.add("pipeline", std::move(stages));
    }
    root.put("joined", std::move(foreign));
    return pinned(std::move(spec));
}

Value Generator::server_stage(const std::string& name, const Tree& root) {
    const std::optional<Place> place = pick_place(places(root), false);
    const std::string path = !place ? "ward" : place->path;
    const auto value = [&] { return !place ? plain_value(1) : value_at(standing(root, path)); };
    if (name == "$geoNear")
        return object(
            {{"near", list({int32(1), int32(2)})}, {"distanceField", text("d")}, {"query", filter(root, 1)}});
    if (name == "$search")
        return object({{"text", pinned(object({{"query", value()}, {"path", text(path)}}))}});
    if (name == "$densify")
        return object(
            {{"field", text(path)}, {"range", object({{"step", int32(1)}, {"bounds", text("full")}})}});
    if (name == "$setWindowFields")
        return object({{"partitionBy", text("$" + path)},
                       {"sortBy", object({{"ward", int32(1)}})},
                       {"output", object({{"t", object({{"$sum", text("$ward")}})}})}});
    if (name == "$bucket") {
        Value spec = pinned(object({{"groupBy", text("$" + (wild() ? path : "ward"))}}));
        const bool opposite =
            standing(root, path).is_protected() && spec.members[0].value.scalar != text("$ward").scalar;
        spec.add("boundaries",
                 opposite ? list({value(), value()}) : list({int32(0), int32(500), int32(1000)}));
        if (random_.chance(50)) spec.add("default", opposite ? value() : int32(5000));
        return spec;
    }
    if (name == "$bucketAuto")
        return object({{"groupBy", text("$" + (wild() ? path : "ward"))}, {"buckets", int32(3)}});
    if (name == "$documents") return list({object({{"ward", int32(1)}})});
    if (name == "$fill") return object({{"output", object({{path, object({{"method", text("locf")}})}})}});
    if (name == "$out") return text(random_.chance(50) ? plain_collection : collection_.name);
    if (name == "$merge") {
        Value spec = object({{"into", text(random_.chance(50) ? plain_collection : collection_.name)}});
        const std::optional<Place> stored = wild() ? pick_place(places_, false) : std::nullopt;
        if (stored) {
            // What is computed there is stored.
            Value constant = value_at(standing(collection_.tree, stored->path));
            spec.members[0].value = text(collection_.name);
            spec.add("whenMatched",
                     pinned(list({object({{"$set", object({{stored->path, std::move(constant)}})}})})));
            spec = pinned(std::move(spec));
        }
        return spec;
    }
    return object();
}

Value Generator::stage(Tree& root, unsigned level, bool in_update) {
    const bool everyday = !in_update && random_.chance(wildness_ > 5 ? 40 : 60);
    const std::string name(in_update  ? random_.pick(update_stages)
                           : everyday ? random_.pick(everyday_stages)
                                      : random_.pick(other_stages));
    used(name);
    constexpr std::array<std::string_view, 8> simple = {"$match", "$sort",   "$skip",   "$limit",
                                                        "$count", "$sample", "$unwind", "$redact"};
    constexpr std::array<std::string_view, 4> joining = {"$lookup", "$graphLookup", "$unionWith", "$facet"};
    constexpr std::array<std::string_view, 4> assigning = {"$project", "$addFields", "$set", "$unset"};
    Value spec;
    if (is_one_of(simple, name)) {
        spec = simple_stage(name, root);
    } else if (is_one_of(assigning, name)) {
        spec = assigning_stage(name, root, in_update);
    } else if (name == "$group") {
        spec = group_stage(root);
    } else if (name == "$sortByCount") {
        const std::optional<Place> key =
            random_.chance(60) ? pick_place(places(root), !wild()) : std::nullopt;
        spec = text(!key ? "$ward" : "$" + key->path);
        Tree counted;
        if (key) counted.put("_id", *key->node);
        root = std::move(counted);
    } else if (name == "$replaceRoot" || name == "$replaceWith") {
        spec = replacing_stage(name, root, in_update);
    } else if (is_one_of(joining, name)) {
        if (level > 1) return object({{"$limit", int32(5)}});
        spec = joining_stage(name, root, level);
    } else {
        spec = server_stage(name, root);
        if (name != "$geoNear" && name != "$out" && name != "$merge") root = {};
    }
    return object({{name, std::move(spec)}});
}

// Elements of what was joined one by one, which makes them fit for filters.
void Generator::unwind_joined(Value& stages) {
    used("$unwind joined");
    stages.push(object({{"$unwind", text(random_.chance(50) ? "$joined" : "$chain")}}));
}

// Events hold documents, and changes by their paths.
Value Generator::change_stream(Tree& root) {
    used("$changeStream");
    Tree event;
    Tree changes;
    changes.put("updatedFields", root);
    event.put("updateDescription", std::move(changes));
    for (const char* name : {"fullDocument", "fullDocumentBeforeChange"}) event.put(name, root);
    root = std::move(event);
    Value options = object();
    if (random_.chance(50)) options.add("fullDocument", text("updateLookup"));
    return object({{"$changeStream", std::move(options)}});
}

Value Generator::pipeline(const Tree& root, unsigned level, bool in_update) {
    Tree tree = root;
    Value stages = pinned(list());
    if (level == 0 && !in_update && random_.chance(5)) {
        stages.push(change_stream(tree));
        if (random_.chance(70)) stages.push(object({{"$match", filter(tree, 0)}}));
    }
    for (std::size_t left = random_.below(4); left > 0; --left) {
        stages.push(stage(tree, level, in_update));
        const std::string& name = stages.members.back().value.members[0].key;
        const bool joins = name == "$lookup" || name == "$graphLookup";
        if (!joins || random_.chance(30)) continue;
        unwind_joined(stages);
        if (random_.chance(50)) stages.push(object({{"$match", filter(tree, level)}}));
    }
    return stages;
}

}  // namespace fieldgate::property
