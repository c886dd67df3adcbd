#include <array>
#include <utility>

#include "generator.hpp"

// Whole commands: the parts that carry values, between options of every kind.
namespace fieldgate::property {

Generator::Generator(Random& random, const std::vector<Collection>& collections, Canaries& canaries)
    : random_(random),
      collections_(collections),
      canaries_(canaries),
      collection_(random.pick(collections)),
      places_(places(collection_.tree)),
      wildness_(random.chance(50)   ? 0
                : random.chance(60) ? 4
                                    : 20) {}

Command Generator::start(std::string kind, std::string_view name) {
    return {std::move(kind), object({{std::string(name), text(collection_.name)}}), {}};
}

void Generator::lay_out(Sequence& sequence) {
    sequence.in_section = random_.chance(50);
    sequence.before_body = random_.chance(30);
}

void Generator::add_options(Value& command, bool collation, bool hint) {
    if (collation && random_.chance(wildness_ + 3))
        command.add("collation", object({{"locale", text(random_.chance(50) ? "simple" : "en")}}));
    if (hint && random_.chance(5)) {
        const std::string path = any_path(collection_.tree);
        const bool odd = wild() && standing(collection_.tree, path).is_protected();
        command.add("hint",
                    random_.chance(30) ? text("_id_") : object({{path, odd ? unfit_value() : int32(1)}}));
    }
    // `let` is only known to be opposite to a protected field once the expressions are made.
    if (!let_variable_.empty()) {
        used("let");
        command.add("let", pinned(object({{let_variable_, let_used_ ? canaries_.make(Type::string, true)
                                                                    : plain_value(1)}})));
    }
    if (wild()) command.add("readConcern", object({{"level", text("local")}}));
    if (wild() && random_.chance(20)) command.add("unknownField", plain_value(1));
}

Command Generator::insert() {
    Command made = start("insert", "insert");
    Sequence documents{"documents", list()};
    for (std::size_t left = 1 + random_.below(3); left > 0; --left)
        documents.documents.push(document(collection_.tree, 0));
    lay_out(documents);
    if (random_.chance(30)) made.body.add("ordered", boolean(random_.chance(50)));
    made.sequences.push_back(std::move(documents));
    return made;
}

Value Generator::update_statement(std::string& kind) {
    Value statement = object({{"q", filter(collection_.tree, 0)}});
    const std::optional<Place> place = wild() ? pick_place(places_, false) : std::nullopt;
    if (place && place->is_field() && random_.chance(20)) {
        // Elements of an array that is one protected value.
        statement.add("u", object({{"$set", object({{place->path + ".$[x].ward", int32(1)}})}}));
        statement.add("arrayFilters", pinned(list({object({{"x.note", unfit_value()}})})));
        kind += " operators";
    } else {
        statement.add("u", update_value(kind));
        if (random_.chance(10)) statement.add("arrayFilters", array_filters());
    }
    if (random_.chance(20)) statement.add("upsert", boolean(random_.chance(50)));
    if (random_.chance(20)) statement.add("multi", boolean(random_.chance(50)));
    if (random_.chance(wildness_))
        statement.add("collation", object({{"locale", text(random_.chance(50) ? "simple" : "en")}}));
    return statement;
}

Command Generator::update() {
    if (wild()) let_variable_ = "lv";
    Command made = start("update", "update");
    Sequence updates{"updates", list()};
    for (std::size_t left = 1 + random_.below(2); left > 0; --left) {
        std::string kind = "update";
        updates.documents.push(update_statement(kind));
        if (made.kind != "update pipeline") made.kind = kind;  // a command is refused for its worst statement
    }
    lay_out(updates);
    add_options(made.body, false, false);
    made.sequences.push_back(std::move(updates));
    return made;
}

Value Generator::delete_statement() {
    Value statement =
        object({{"q", filter(collection_.tree, 0)}, {"limit", int32(random_.chance(50) ? 1 : 0)}});
    if (random_.chance(wildness_)) statement.add("collation", object({{"locale", text("simple")}}));
    return statement;
}

Command Generator::remove() {
    Command made = start("delete", "delete");
    Sequence deletes{"deletes", list()};
    for (std::size_t left = 1 + random_.below(2); left > 0; --left)
        deletes.documents.push(delete_statement());
    lay_out(deletes);
    made.sequences.push_back(std::move(deletes));
    return made;
}

Command Generator::find() {
    if (random_.chance(wildness_ / 2)) let_variable_ = "lv";
    Command made = start("find", "find");
    if (random_.chance(90)) made.body.add("filter", filter(collection_.tree, 0));
    if (random_.chance(40)) made.body.add("projection", projection(collection_.tree, false));
    if (random_.chance(30)) {
        Value keys = object();
        const std::string path = wild() ? any_path(collection_.tree) : "ward";
        const bool odd = standing(collection_.tree, path).is_protected();
        keys.add(path, odd ? unfit_value() : int32(-1));
        made.body.add("sort", std::move(keys));
    }
    for (const char* bound : {"min", "max"}) {
        if (!wild()) continue;
        used(bound);
        const std::string path = any_path(collection_.tree);
        made.body.add(bound, object({{path, value_at(standing(collection_.tree, path))}}));
    }
    if (random_.chance(20)) made.body.add("limit", int32(5));
    if (random_.chance(10)) made.body.add("batchSize", int32(2));
    add_options(made.body, true, true);
    return made;
}

Command Generator::find_and_modify() {
    if (random_.chance(wildness_ / 2)) let_variable_ = "lv";
    Command made = start("findAndModify", random_.chance(80) ? "findAndModify" : "findandmodify");
    made.body.add("query", filter(collection_.tree, 0));
    if (random_.chance(20)) {
        made.body.add("remove", boolean(true));
    } else {
        made.body.add("update", update_value(made.kind));
        if (random_.chance(30)) made.body.add("new", boolean(true));
        if (random_.chance(20)) made.body.add("upsert", boolean(true));
        if (random_.chance(5)) made.body.add("arrayFilters", array_filters());
    }
    if (random_.chance(20)) made.body.add("fields", projection(collection_.tree, false));
    if (random_.chance(10)) made.body.add("sort", object({{any_path(Tree{}), int32(1)}}));
    add_options(made.body, true, true);
    return made;
}

Command Generator::count() {
    Command made = start("count", "count");
    made.body.add("query", filter(collection_.tree, 0));
    add_options(made.body, true, true);
    return made;
}

Command Generator::distinct() {
    Command made = start("distinct", "distinct");
    made.body.add("key", text(any_path(collection_.tree)));
    if (random_.chance(70)) made.body.add("query", filter(collection_.tree, 0));
    add_options(made.body, true, true);
    return made;
}

Command Generator::aggregate() {
    if (random_.chance(wildness_ / 2)) let_variable_ = "lv";
    Command made = start("aggregate", "aggregate");
    if (wildness_ > 0 && random_.chance(5)) {
        // Values made up on the way into the collection.
        const Value stored = document(collection_.tree, 0);
        Value stages = pinned(list());
        const bool literal = random_.chance(50);
        if (literal) {
            made.body.members[0].value = int32(1);
            stages.push(object({{"$documents", list({stored})}}));
        } else {
            made.body.members[0].value = text(plain_collection);
            stages.push(object({{"$addFields", stored}}));
        }
        if (random_.chance(50))
            stages.push(object({{"$out", text(collection_.name)}}));
        else
            stages.push(object({{"$merge", object({{"into", text(collection_.name)}})}}));
        made.body.add("pipeline", std::move(stages));
        used(literal ? "$documents into it" : "$addFields into it");
    } else if (wildness_ > 0 && random_.chance(5)) {
        // From a collection without a schema, across.
        made.body.members[0].value = text(plain_collection);
        Tree nothing;
        Value stages = pinned(list({object({{"$lookup", joining_stage("$lookup", nothing, 0)}})}));
        if (random_.chance(60)) unwind_joined(stages);
        stages.push(random_.chance(50) ? object({{"$match", filter(nothing, 0)}}) : stage(nothing, 0, false));
        made.body.add("pipeline", std::move(stages));
        made.kind = "aggregate across";
    } else {
        made.body.add("pipeline", pipeline(collection_.tree, 0, false));
    }
    made.body.add("cursor", object());
    const bool on_the_collection = made.body.members[0].value.scalar == text(collection_.name).scalar;
    if (on_the_collection) add_options(made.body, true, true);
    return made;
}

Command Generator::bulk_write() {
    Command made{"bulkWrite", object({{"bulkWrite", int32(1)}}), {}};
    Sequence operations{"ops", list()};
    Sequence names{"nsInfo", list()};
    names.documents.pinned = operations.documents.pinned = true;
    const auto name_of = [](std::string_view collection) {
        return object({{"ns", text(std::string(database) + "." + std::string(collection))}});
    };
    // The protected collection, alone or with another one, which may be protected as well.
    const Collection* other = nullptr;
    if (random_.chance(40)) other = &random_.pick(collections_);
    const bool two = random_.chance(50) || other != nullptr;
    const std::int32_t own = two && random_.chance(50) ? 1 : 0;
    const Value second = name_of(other == nullptr ? plain_collection : other->name);
    if (own == 1) names.documents.push(second);
    names.documents.push(name_of(collection_.name));
    if (two && own == 0) names.documents.push(second);
    for (std::size_t left = 1 + random_.below(3); left > 0; --left) {
        const bool elsewhere = two && random_.chance(30);
        const Tree nothing;
        const Tree& tree = !elsewhere ? collection_.tree : other == nullptr ? nothing : other->tree;
        Value operation = object();
        const auto add = [&](const char* name, const char* with, Value value) {
            operation.add(name, int32(elsewhere ? 1 - own : own));
            if (std::string_view(name) != "insert") operation.add("filter", filter(tree, 0));
            if (with != nullptr) operation.add(with, std::move(value));
        };
        const std::size_t choice = random_.below(3);
        if (choice == 0) {
            add("insert", "document", document(tree, 0));
        } else if (choice == 1 || elsewhere) {
            add("delete", nullptr, {});
        } else {
            std::string kind;
            add("update", "updateMods", update_value(kind));
        }
        operations.documents.push(std::move(operation));
    }
    lay_out(operations);
    lay_out(names);
    made.sequences.push_back(std::move(operations));
    made.sequences.push_back(std::move(names));
    return made;
}

Command Generator::create_indexes() {
    Command made = start("createIndexes", "createIndexes");
    Value index = object();
    Value keys = object();
    keys.add(any_path(collection_.tree), int32(random_.chance(50) ? 1 : -1));
    index.add("key", std::move(keys));
    index.add("name", text("i"));
    if (random_.chance(40)) index.add("partialFilterExpression", filter(collection_.tree, 1));
    if (random_.chance(10)) index.add("unique", boolean(true));
    made.body.add("indexes", list({std::move(index)}));
    return made;
}

Command Generator::create() {
    Command made = start("create", "create");
    if (random_.chance(50)) made.body.add("validator", filter(collection_.tree, 0));
    if (random_.chance(20)) {
        made.body.add("viewOn", text(collection_.name));
        made.body.members[0].value = text(random_.chance(50) ? "a_view" : collection_.name);
        made.body.add("pipeline", pipeline(collection_.tree, 0, false));
    }
    return made;
}

Command Generator::coll_mod() {
    Command made = start("collMod", "collMod");
    if (random_.chance(80)) made.body.add("validator", filter(collection_.tree, 0));
    if (random_.chance(30)) made.body.add("validationLevel", text("moderate"));
    return made;
}

Command Generator::explain() {
    Command inner;
    std::string kind = "explain";
    switch (random_.below(5)) {
        case 0:
            inner = count();
            break;
        case 1:
            inner = aggregate();
            if (inner.body.members[0].value.scalar != text(collection_.name).scalar) kind += " across";
            break;
        case 2:
            inner = update();
            break;
        case 3:
            inner = find_and_modify();
            break;
        default:
            inner = find();
            break;
    }
    for (Sequence& sequence : inner.sequences) inner.body.add(sequence.name, std::move(sequence.documents));
    return {std::move(kind),
            object({{"explain", std::move(inner.body)}, {"verbosity", text("queryPlanner")}}),
            {}};
}

Command Generator::command() {
    using Make = Command (Generator::*)();
    constexpr std::array<Make, 20> makers = {&Generator::insert,         &Generator::insert,
                                             &Generator::update,         &Generator::update,
                                             &Generator::update,         &Generator::find,
                                             &Generator::find,           &Generator::find,
                                             &Generator::remove,         &Generator::count,
                                             &Generator::distinct,       &Generator::aggregate,
                                             &Generator::aggregate,      &Generator::aggregate,
                                             &Generator::aggregate,      &Generator::bulk_write,
                                             &Generator::explain,        &Generator::find_and_modify,
                                             &Generator::create_indexes, nullptr};
    const Make make = random_.pick(makers);
    Command made = make != nullptr ? (this->*make)() : random_.chance(50) ? create() : coll_mod();
    const bool administers = made.kind == "bulkWrite";
    made.body.add("$db", text(administers ? "admin" : database));
    if (random_.chance(10)) made.flags |= wire::flag_checksum_present;
    if (random_.chance(5)) made.flags |= wire::flag_more_to_come;
    return made;
}

}  // namespace fieldgate::property
