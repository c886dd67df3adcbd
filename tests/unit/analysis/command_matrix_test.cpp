#include <algorithm>

#include "path_matrix.hpp"
#include "pipeline_support.hpp"
#include "proxy/analysis/commands.hpp"

namespace fieldgate::analysis::testing {
namespace {

using Rows = std::vector<Row>;

const Cell ok = passes();
const Cell random = refuses("encrypted with the randomized encryption algorithm: 'PATH'");
const Cell below = refuses("below or through an encrypted field: 'PATH'");
const Cell collation = refuses("A collation cannot be honoured on encrypted field");
const Cell no_sort = refuses("Cannot sort by encrypted field 'PATH'");
const Cell wrong_type = refuses("BSON field", code::type_mismatch);

// Every field of a command of the code's tables is a row, "find.filter", and so is one of its statements.
std::vector<std::string> fields_of_commands() {
    std::vector<std::string> names;
    std::vector<const FieldRow*> seen;  // other spellings of a command share its rows
    for (const Command& command : command_table())
        for (const std::span<const FieldRow> rows : {command.fields, command.sequence.fields}) {
            if (rows.empty() || std::find(seen.begin(), seen.end(), rows.data()) != seen.end()) continue;
            seen.push_back(rows.data());
            for (const FieldRow& row : rows)
                names.push_back(std::string(command.name) + "." + std::string(row.name));
        }
    return names;
}

// Commands of which MORE stands for one more field.
const std::string find = R"({"find": "patients"MORE})";
const std::string count = R"({"count": "patients"MORE})";
const std::string distinct = R"({"distinct": "patients", "key": "name"MORE})";
const std::string aggregate = R"({"aggregate": "patients", "pipeline": []MORE})";
const std::string insert = R"({"insert": "patients", "documents": []MORE})";
const std::string update = R"({"update": "patients", "updates": []MORE})";
const std::string update_one = R"({"update": "patients", "updates": [{"u": {"$set": {"name": 1}}MORE}]})";
const std::string delete_all = R"({"delete": "patients", "deletes": []MORE})";
const std::string delete_one = R"({"delete": "patients", "deletes": [{"q": {}MORE}]})";
const std::string modify = R"({"findAndModify": "patients", "update": {"$set": {"name": 1}}MORE})";
const std::string remove_one = R"({"findAndModify": "patients"MORE})";
const std::string bulk =
    R"({"bulkWrite": 1, "$db": "admin", "nsInfo": [{"ns": "medicalRecords.patients"}], "ops": []MORE})";
const std::string get_more = R"({"getMore": {"$numberLong": "5"}, "collection": "patients"MORE})";
const std::string data_size = R"({"dataSize": "medicalRecords.patients"MORE})";

std::string with(std::string command, const std::string& more) {
    return command.replace(command.find("MORE"), 4, ", " + more);
}

std::string of_collection(const std::string& name) {
    return "{\"" + name + R"(": "patients"MORE})";
}

// csfle.md 3.1 and 3.7: what a path can stand in.
Rows rows_of_reads() {
    const Cell not_bound = refuses("cannot bound encrypted field 'PATH'");
    const Cell no_slice = refuses("$slice in a projection cannot be answered on encrypted field 'PATH'");
    const Cell no_elem_match =
        refuses("$elemMatch in a projection cannot be answered on encrypted field 'PATH'");
    const Cell positional = refuses("A positional projection cannot be answered on encrypted field 'PATH");
    const Cell constant = refuses("A constant cannot stand in for an encrypted field");
    const Cell not_added = refuses("$add is not allowed on encrypted field '$PATH'");
    const Cell not_kept = refuses("Cannot project below");
    const Cell index_key = refuses("an index's key", code::type_mismatch);
    const Cell not_listed = refuses(
        "distinct is not allowed on fields encrypted with the randomized encryption algorithm: 'PATH'");
    const Cell no_variable = refuses("as a variable cannot use '$PATH', which is encrypted in the store");
    Rows rows;
    // clang-format off
    for (const auto& [name, command] : std::vector<std::pair<std::string, std::string>>{
             {"find.filter", with(find, R"("filter": )")}, {"count.query", with(count, R"("query": )")}, {"distinct.query", with(distinct, R"("query": )")},
             {"findAndModify.query", with(modify, R"("query": )")}, {"update.q", with(update_one, R"("q": )")}, {"delete.q", R"({"delete": "patients", "deletes": [{"limit": 1, "q": )"}}) {
        const std::string head = command.substr(0, command.rfind(": ") + 2);
        const std::string tail = name.ends_with(".q") ? "}]}" : "}";
        const std::string german = R"(, "collation": {"locale": "de"})";
        const std::string owner = name.substr(0, name.find('.'));
        rows.push_back({name, head + R"({"PATH": VALUE})" + tail, encrypts("PATH"), random, ok, encrypts_inside("PATH"), below});
        rows.push_back({owner + ".collation", head + R"({"PATH": VALUE})" + german + tail, collation, random, ok, collation, below});
        rows.push_back({owner + ".collation", head + R"({"PATH": {"$exists": true}})" + german + tail, collation, collation, ok, ok, below});
        rows.push_back(pathless(name, head + "5" + tail, "it is no filter", wrong_type));
    }
    for (const auto& [name, command] : std::vector<std::pair<std::string, std::string>>{{"find.projection", find}, {"findAndModify.fields", modify}, {"count.fields", count}}) {
        const auto project = [&, n = name, c = command](const std::string& projection) {
            return with(c, "\"" + n.substr(n.find('.') + 1) + "\": " + projection);
        };
        rows.insert(rows.end(), {
            {name, project(R"({"PATH": 1})"), ok, ok, ok, ok, not_kept},
            {name, project(R"({"PATH": false})"), ok, ok, ok, ok, not_kept},
            {name, project(R"({"PATH": VALUE})"), refuses("is computed"), constant, ok, refuses("is computed"), refuses("PATH")},
            {name, project(R"({"PATH": {"$slice": 1}})"), no_slice, no_slice, ok, no_slice, no_slice},
            {name, project(R"({"PATH": {"$elemMatch": {"x": VALUE}}})"), no_elem_match, no_elem_match, ok, no_elem_match, no_elem_match},
            {name, project(R"({"PATH.$": 1})"), positional, positional, ok, positional, positional},
            {name, project(R"({"PATH": {"$meta": "textScore"}})"), constant, constant, ok, constant, below},
            {name, project(R"({"x": {"$add": ["$PATH", VALUE]}})"), not_added, not_added, ok, not_added, below},
            {name, project(R"({"x": {"$eq": ["$PATH", VALUE]}})"), encrypts("x.$eq[1]"), refuses("randomized"), ok, refuses("$eq is not allowed"), below},
        });
    }
    for (const auto& [name, command] : std::vector<std::pair<std::string, std::string>>{
             {"find.sort", find}, {"findAndModify.sort", modify}, {"update.sort", with(update_one, R"("q": {}MORE)")}})
        rows.push_back({name, with(command, R"("sort": {"other": 1, "PATH": -1})"), no_sort, no_sort, ok, no_sort, no_sort});
    for (const auto& [name, command] : std::vector<std::pair<std::string, std::string>>{
             {"find.hint", find}, {"count.hint", count}, {"distinct.hint", distinct}, {"aggregate.hint", aggregate}, {"findAndModify.hint", modify},
             {"update.hint", with(update_one, R"("q": {}MORE)")}, {"delete.hint", delete_one}}) {
        rows.push_back({name, with(command, R"("hint": {"PATH": 1})"), ok, ok, ok, ok, ok});
        rows.push_back({name, with(command, R"("hint": {"PATH": VALUE})"), index_key, index_key, index_key, index_key, index_key});
    }
    rows.push_back({"dataSize.keyPattern", with(data_size, R"("keyPattern": {"PATH": 1})"), ok, ok, ok, ok, ok});
    rows.push_back({"dataSize.keyPattern", with(data_size, R"("keyPattern": {"PATH": VALUE})"), index_key, index_key, index_key, index_key, index_key});
    for (const std::string bound : {"min", "max"}) {
        rows.push_back({"find." + bound, with(find, "\"" + bound + R"(": {"PATH": VALUE})"), not_bound, not_bound, ok, not_bound, not_bound});
        rows.push_back({"dataSize." + bound, with(data_size, "\"" + bound + R"(": {"PATH": VALUE})"), not_bound, not_bound, ok, not_bound, not_bound});
    }
    for (const auto& [name, command] : std::vector<std::pair<std::string, std::string>>{
             {"find.let", find}, {"aggregate.let", aggregate}, {"findAndModify.let", modify}, {"update.let", update}, {"delete.let", delete_all}, {"bulkWrite.let", bulk}}) {
        // It stands outside of documents: a path in it is none.
        // Servers refuse any; bulkWrite's is of no namespace.
        const Cell path = name == "bulkWrite.let" ? ok : no_variable;
        rows.push_back({name, with(command, R"("let": {"v": "$PATH"})"), path, path, ok, path, path});
        rows.push_back(pathless(name, with(command, R"("let": 5)"), "it is no object", refuses("'let' must be an object", code::type_mismatch)));
    }
    const std::string compared = R"("filter": {"$expr": {"$eq": ["$PATH", "$$v"]}}, "let": {"v": VALUE})";
    rows.push_back({"find.let", with(find, compared), refuses("with the result of another expression"), refuses("randomized"), ok, refuses("$eq is not allowed"), below});
    const std::string key = R"({"distinct": "patients", "key": "PATH"})";
    rows.push_back({"distinct.key", key, ok, not_listed, ok, ok, refuses("Cannot list values below")});
    rows.push_back({"distinct.collation", R"({"distinct": "patients", "key": "PATH", "collation": {"locale": "de"}})", collation, not_listed, ok, collation,
                    refuses("Cannot list values below")});
    rows.insert(rows.end(), {
        {"aggregate.pipeline", R"({"aggregate": "patients", "pipeline": [{"$match": {"PATH": VALUE}}]})", encrypts("PATH"), random, ok, encrypts_inside("PATH"), below},
        {"aggregate.collation", R"({"aggregate": "patients", "pipeline": [{"$match": {"PATH": VALUE}}], "collation": {"locale": "de"}})", collation, random, ok, collation, below},
        {"aggregate.collation", R"({"aggregate": "patients", "pipeline": [{"$group": {"_id": "$PATH"}}], "collation": {"locale": "de"}})", collation, refuses("randomized"), ok,
         collation, below},
        {"explain.verbosity", R"({"explain": {"find": "patients", "filter": {"PATH": VALUE}}, "verbosity": "queryPlanner"})", encrypts("PATH"), random, ok, encrypts_inside("PATH"), below},
        pathless("explain.verbosity", R"({"explain": {"find": "patients"}, "verbosity": {"ssn": 5}})", "it is a word", refuses("'explain.verbosity'", code::bad_value)),
    });
    // clang-format on
    return rows;
}

Rows rows_of_writes() {
    const Cell dotted = refuses("'PATH' contains a dot", code::bad_value);
    const Cell no_null = refuses("Cannot encrypt element of type: null", code::field_cannot_be_encrypted);
    const Cell below_set = refuses("$set cannot reach below an encrypted field: 'PATH'");
    const Cell arrays = refuses("Array update operations not allowed on encrypted values");
    const Cell incremented = refuses("$inc and $mul not allowed on encrypted values");
    const Cell absent_field = refuses("is not supported on a namespace", code::command_not_supported);
    const std::string filters =
        R"("q": {}, "u": {"$set": {"PATH.$[i].agent": 1}}, "arrayFilters": [{"i.x": VALUE}])";
    const std::string one_namespace =
        R"({"bulkWrite": 1, "$db": "admin", "nsInfo": [{"ns": "medicalRecords.patients"}], "ops": [)";
    // clang-format off
    return {
        as_name({"insert.documents", R"({"insert": "patients", "documents": [{"PATH": VALUE}]})", encrypts("PATH"), encrypts("PATH"), ok, encrypts_inside("PATH"), dotted}),
        as_name({"insert.documents", R"({"insert": "patients", "documents": [{"PATH": null}]})", no_null, no_null, ok, ok, dotted}),
        {"update.updates", R"({"update": "patients", "updates": [{"q": {}, "u": {"$set": {"PATH": VALUE}}}]})", encrypts("PATH"), encrypts("PATH"), ok, encrypts_inside("PATH"), below_set},
        {"update.u", R"({"update": "patients", "updates": [{"q": {}, "u": {"$set": {"PATH": VALUE}}}]})", encrypts("PATH"), encrypts("PATH"), ok, encrypts_inside("PATH"), below_set},
        {"update.u", R"({"update": "patients", "updates": [{"q": {}, "u": {"$inc": {"PATH": VALUE}}}]})", incremented, incremented, ok, incremented, incremented},
        {"update.arrayFilters", R"({"update": "patients", "updates": [{)" + filters + "}]}", arrays, arrays, ok, arrays, arrays},
        {"delete.deletes", R"({"delete": "patients", "deletes": [{"limit": 1, "q": {"PATH": VALUE}}]})", encrypts("PATH"), random, ok, encrypts_inside("PATH"), below},
        {"findAndModify.update", R"({"findAndModify": "patients", "update": {"$set": {"PATH": VALUE}}})", encrypts("PATH"), encrypts("PATH"), ok, encrypts_inside("PATH"), below_set},
        {"findAndModify.arrayFilters", R"({"findAndModify": "patients", "update": {"$set": {"PATH.$[i].agent": 1}}, "arrayFilters": [{"i.x": VALUE}]})", arrays, arrays, ok, arrays, arrays},
        {"bulkWrite.ops", one_namespace + R"({"update": 0, "filter": {"PATH": VALUE}, "updateMods": {"$unset": {"name": 1}}}]})", encrypts("PATH"), random, ok, encrypts_inside("PATH"), below},
        {"bulkWrite.ops", one_namespace + R"({"update": 0, "filter": {}, "updateMods": {"$set": {"PATH": VALUE}}}]})", encrypts("PATH"), encrypts("PATH"), ok, encrypts_inside("PATH"), below_set},
        {"bulkWrite.ops", one_namespace + R"({"update": 0, "filter": {}, "sort": {"PATH": 1}, "updateMods": {"$set": {"name": 1}}}]})", no_sort, no_sort, ok, no_sort, no_sort},
        {"bulkWrite.ops", one_namespace + R"({"delete": 0, "filter": {"PATH": VALUE}, "collation": {"locale": "de"}}]})", collation, random, ok, collation, below},
        {"bulkWrite.ops", one_namespace + R"({"delete": 0, "filter": {}, "hint": {"PATH": VALUE}}]})", refuses("an index's key", code::type_mismatch), refuses("an index's key", code::type_mismatch),
         refuses("an index's key", code::type_mismatch), refuses("an index's key", code::type_mismatch), refuses("an index's key", code::type_mismatch)},
        pathless("bulkWrite.nsInfo", with(bulk, R"("errorsOnly": false)"), "it names collections", ok),
        pathless("bulkWrite.nsInfo", R"({"bulkWrite": 1, "$db": "admin", "nsInfo": [{"ns": "patients"}], "ops": []})", "it names collections", refuses("Invalid namespace", code::invalid_namespace)),
        {"update.c", R"({"update": "patients", "updates": [{"q": {}, "u": {"$set": {"name": 1}}, "c": {"x": "$PATH"}}]})", absent_field, absent_field, absent_field, absent_field, absent_field,
         "constants are not analysed"},
    };
    // clang-format on
}

// Collections and indexes: what the server keeps.
Rows rows_of_structure() {
    const auto no_index = [](const std::string& what) {
        return refuses("Comparison to encrypted fields not supported: " + what + " on encrypted field 'PATH");
    };
    const Cell through = no_index("an index below or through");
    const Cell kept = refuses("Comparison to encrypted fields not supported in");
    const Cell unordered = no_index("an index that is neither ascending nor descending");
    const Cell wildcard = no_index("a wildcard or text index");
    const Cell option = no_index("an index option");
    const Cell unique = no_index("a unique index");
    const Cell expiring = no_index("an expiring (TTL) index");
    const Cell collated = no_index("an index with a collation");
    const Cell index_key = refuses("an index's key", code::type_mismatch);
    const Cell unsupported =
        refuses("is not supported on a namespace with encrypted fields", code::command_not_supported);
    const auto index = [](const std::string& spec) {
        return R"({"createIndexes": "patients", "indexes": [{"name": "n", )" + spec + "}]}";
    };
    const auto modified = [](const std::string& spec) {
        return R"({"collMod": "patients", "index": {)" + spec + "}}";
    };
    const std::string create = of_collection("create");
    const std::string coll_mod = of_collection("collMod");
    const std::string drop_indexes = of_collection("deleteIndexes");
    // clang-format off
    Rows rows{
        {"createIndexes.indexes", index(R"("key": {"PATH": 1})"), ok, ok, ok, ok, through},
        {"createIndexes.indexes", index(R"("key": {"PATH": VALUE})"), unordered, unordered, ok, unordered, through},
        {"createIndexes.indexes", index(R"("key": {"PATH": "hashed"})"), unordered, unordered, ok, unordered, through},
        {"createIndexes.indexes", index(R"("key": {"PATH": "text"})"), unordered, unordered, ok, unordered, through},
        {"createIndexes.indexes", index(R"("key": {"PATH": "2dsphere"})"), unordered, unordered, ok, unordered, through},
        {"createIndexes.indexes", index(R"("key": {"PATH.$**": 1})"), wildcard, wildcard, ok, wildcard, wildcard},
        {"createIndexes.indexes", index(R"("key": {"PATH": 1}, "unique": true)"), ok, unique, ok, unique, through},
        {"createIndexes.indexes", index(R"("key": {"PATH": 1}, "expireAfterSeconds": 5)"), expiring, expiring, ok, expiring, through},
        {"createIndexes.indexes", index(R"("key": {"PATH": 1}, "collation": {"locale": "de"})"), collated, collated, ok, collated, through},
        {"createIndexes.indexes", index(R"("key": {"name": "text"}, "weights": {"PATH": 5})"), option, option, ok, option, option},
        {"createIndexes.indexes", index(R"("key": {"name": 1}, "partialFilterExpression": {"PATH": VALUE})"), kept, random, ok, kept, below},
        {"createIndexes.indexes", index(R"("key": {"name": 1}, "partialFilterExpression": {"PATH": {"$exists": true}})"), ok, ok, ok, ok, below},
        {"collMod.index", modified(R"("keyPattern": {"PATH": 1}, "hidden": true)"), ok, ok, ok, ok, through},
        {"collMod.index", modified(R"("keyPattern": {"PATH": 1}, "prepareUnique": true)"), ok, unique, ok, unique, through},
        {"collMod.index", modified(R"("keyPattern": {"PATH": 1}, "expireAfterSeconds": 5)"), expiring, expiring, ok, expiring, through},
        {"create.clusteredIndex", with(create, R"("clusteredIndex": {"key": {"PATH": 1}, "unique": true})"), option, option, ok, option, option},
        {"deleteIndexes.index", with(drop_indexes, R"("index": {"PATH": 1})"), ok, ok, ok, ok, ok},
        {"deleteIndexes.index", with(drop_indexes, R"("index": {"PATH": VALUE})"), index_key, index_key, index_key, index_key, index_key},
        {"create.timeseries", with(create, R"("timeseries": {"timeField": "PATH"})"), unsupported, unsupported, unsupported, unsupported, unsupported, "it is not analysed"},
        {"collMod.timeseries", with(coll_mod, R"("timeseries": {"granularity": "PATH"})"), unsupported, unsupported, unsupported, unsupported, unsupported, "it is not analysed"},
        {"create.encryptedFields", with(create, R"("encryptedFields": {"fields": [{"path": "PATH"}]})"), unsupported, unsupported, unsupported, unsupported, unsupported,
         "it is of Queryable Encryption"},
    };
    for (const auto& [name, command] : std::vector<std::pair<std::string, std::string>>{{"create", create}, {"collMod", coll_mod}}) {
        rows.push_back({name + ".validator", with(command, R"("validator": {"PATH": {"$exists": true}})"), ok, ok, ok, ok, below});
        rows.push_back({name + ".validator", with(command, R"("validator": {"PATH": VALUE})"), kept, random, ok, kept, below});
        rows.push_back({name + ".pipeline", with(command, R"("pipeline": [{"$match": {"PATH": VALUE}}])"), unsupported, unsupported, unsupported, unsupported, unsupported,
                        "views of protected collections are refused"});
        rows.push_back(pathless(name + ".expireAfterSeconds", with(command, R"("expireAfterSeconds": 5)"), "it is a number", unsupported));
        rows.back().never = "only time series have it";
        rows.push_back(pathless(name + ".viewOn", with(command, R"("viewOn": "wards")"), "it names a collection", unsupported));
        rows.back().never = "views of protected collections are refused";
    }
    rows.push_back(pathless("create.collation", with(create, R"("collation": {"locale": "simple"})"), "it is about all fields", ok));
    rows.push_back(pathless("create.collation", with(create, R"("collation": {"locale": "de"})"), "it is about all fields", unsupported));
    // clang-format on
    return rows;
}

// Fields in which no path can stand, with a value of the right type and one that could be a document's.
Rows rows_without_paths() {
    Rows rows;
    struct Fields {
        std::string owner, command, good, reason;
        std::vector<std::string> names;
    };
    const std::string number = "it takes a number or a boolean";
    const std::string word = "it takes a name";
    const std::string numbers = "it takes an object of numbers";
    const std::string renamed =
        R"({"renameCollection": "medicalRecords.patients", "to": "medicalRecords.patients", "$db": "admin"MORE})";
    for (const Fields& each : std::vector<Fields>{
             {"find",
              find,
              "1",
              number,
              {"skip", "limit", "batchSize", "ntoreturn", "singleBatch", "showRecordId", "tailable",
               "awaitData", "oplogReplay", "noCursorTimeout", "allowPartialResults", "allowDiskUse"}},
             {"find", find, "false", number, {"returnKey"}},
             {"count", count, "1", number, {"limit", "skip"}},
             {"aggregate",
              aggregate,
              "true",
              number,
              {"explain", "allowDiskUse", "bypassDocumentValidation"}},
             {"aggregate", aggregate, R"({"batchSize": 5})", numbers, {"cursor"}},
             {"getMore", get_more, "1", number, {"batchSize", "term"}},
             {"dataSize", data_size, "true", number, {"estimate"}},
             {"insert",
              insert,
              "true",
              number,
              {"ordered", "bypassDocumentValidation", "bypassEmptyTsReplacement"}},
             {"update",
              update,
              "true",
              number,
              {"ordered", "bypassDocumentValidation", "bypassEmptyTsReplacement"}},
             {"update", update_one, "true", number, {"upsert", "multi"}},
             {"delete", delete_all, "true", number, {"ordered"}},
             {"delete", delete_one, "1", number, {"limit"}},
             {"findAndModify",
              modify,
              "true",
              number,
              {"new", "upsert", "bypassDocumentValidation", "bypassEmptyTsReplacement"}},
             {"findAndModify", remove_one, "true", number, {"remove"}},
             {"bulkWrite", bulk, "true", number, {"ordered", "errorsOnly", "bypassDocumentValidation"}},
             {"bulkWrite", bulk, R"({"batchSize": 5})", numbers, {"cursor"}},
             {"create",
              of_collection("create"),
              "true",
              number,
              {"capped", "size", "max", "autoIndexId", "flags"}},
             {"create", of_collection("create"), R"("off")", word, {"validationLevel", "validationAction"}},
             {"create",
              of_collection("create"),
              R"({"enabled": true})",
              numbers,
              {"changeStreamPreAndPostImages"}},
             {"collMod",
              of_collection("collMod"),
              "true",
              number,
              {"recordPreImages", "cappedSize", "cappedMax", "noPadding", "usePowerOf2Sizes", "dryRun"}},
             {"collMod", of_collection("collMod"), R"("off")", word, {"validationLevel", "validationAction"}},
             {"collMod",
              of_collection("collMod"),
              R"({"enabled": true})",
              numbers,
              {"changeStreamPreAndPostImages"}},
             {"createIndexes",
              R"({"createIndexes": "patients", "indexes": []MORE})",
              "true",
              number,
              {"ignoreUnknownIndexOptions"}},
             {"killCursors",
              of_collection("killCursors"),
              R"([{"$numberLong": "5"}])",
              "it takes identifiers",
              {"cursors"}},
             {"listIndexes", of_collection("listIndexes"), R"({"batchSize": 5})", numbers, {"cursor"}},
             {"listIndexes",
              of_collection("listIndexes"),
              "true",
              number,
              {"includeBuildUUIDs", "includeIndexBuildInfo"}},
             {"compact", of_collection("compact"), "true", number, {"force", "freeSpaceTargetMB", "dryRun"}},
             {"validate",
              of_collection("validate"),
              "true",
              number,
              {"full", "repair", "metadata", "checkBSONConformance", "scandata", "background"}},
             {"collStats", of_collection("collStats"), "1", number, {"scale", "verbose"}},
             {"dropSearchIndex", of_collection("dropSearchIndex"), R"("x")", word, {"name", "id"}},
             {"renameCollection", renamed, "true", number, {"dropTarget", "stayTemp"}}})
        for (const std::string& name : each.names) {
            const std::string field = each.owner + "." + name;
            rows.push_back(
                pathless(field, with(each.command, "\"" + name + "\": " + each.good), each.reason, ok));
            rows.push_back(pathless(field, with(each.command, "\"" + name + R"(": {"ssn": "x"})"),
                                    each.reason, wrong_type));
        }
    const std::string own = "it names the collection";
    rows.push_back(pathless("getMore.collection", with(get_more, R"("batchSize": 1)"), own, ok));
    rows.push_back(pathless("getMore.collection", R"({"getMore": {"$numberLong": "5"}, "collection": 5})",
                            own, refuses("", code::invalid_namespace)));
    rows.push_back(pathless("renameCollection.to", with(renamed, R"("dropTarget": false)"), own, ok));
    rows.push_back(pathless("renameCollection.to",
                            R"({"renameCollection": "medicalRecords.patients", "to": 5, "$db": "admin"})",
                            own, refuses("two full names", code::invalid_namespace)));
    // Passed as they are, but for ciphertext.
    const Cell foreign = refuses("Ciphertext (binData subtype 6)", code::bad_value);
    for (const auto& [field, command] : std::vector<std::pair<std::string, std::string>>{
             {"create.storageEngine", of_collection("create")},
             {"createIndexes.commitQuorum", R"({"createIndexes": "patients", "indexes": []MORE})"}}) {
        const std::string head = "\"" + field.substr(field.find('.') + 1) + R"(": )";
        rows.push_back(
            pathless(field, with(command, head + R"({"wiredTiger": {}})"), "it is the server's own", ok));
        rows.push_back(
            pathless(field, with(command, head + ciphertext(1)), "it is the server's own", foreign));
    }
    return rows;
}

// Commands on a protected namespace that have no fields of their own, and those that are refused there.
Rows rows_of_whole_commands() {
    Rows rows;
    for (const std::string name : {"drop", "reIndex", "planCacheClear"}) {
        const Cell unknown = refuses("is an unknown field", code::unknown_field);
        rows.push_back(
            pathless(name, "{\"" + name + R"(": "patients"})", "it is about the whole collection", ok));
        rows.push_back({name, "{\"" + name + R"(": "patients", "query": {"PATH": VALUE}})", unknown, unknown,
                        unknown, unknown, unknown});
    }
    const auto refused = [&](const std::string& name, const std::string& more,
                             const std::string& of = R"("patients")") {
        rows.push_back(never(
            name, "{\"" + name + "\": " + of + ", " + more + "}", "it is not analysed",
            refuses("command not supported for auto encryption: " + name, code::command_not_supported)));
    };
    const std::string mapped =
        R"("map": "f", "reduce": "f", "out": {"inline": 1}, "query": {"PATH": VALUE}, "sort": {"PATH": 1})";
    refused("mapReduce", mapped);
    refused("mapreduce", mapped);
    refused("geoSearch", R"("near": [1, 2], "search": {"PATH": VALUE})");
    refused("parallelCollectionScan", R"("numCursors": 1)");
    refused("cloneCollectionAsCapped", R"("toCollection": "other", "size": 5)");
    refused("convertToCapped", R"("size": 5)");
    refused("planCacheClearFilters", R"("query": {"PATH": VALUE})");
    refused("planCacheListFilters", R"("query": {"PATH": VALUE})");
    refused("planCacheSetFilter", R"("query": {"PATH": VALUE}, "indexes": [{"PATH": 1}])");
    refused("createSearchIndexes",
            R"("indexes": [{"definition": {"mappings": {"fields": {"PATH": {"type": "string"}}}}}])");
    refused("updateSearchIndex",
            R"("name": "x", "definition": {"mappings": {"fields": {"PATH": {"type": "string"}}}})");
    refused("compactStructuredEncryptionData", R"("compactionTokens": {"PATH": VALUE})");
    refused("cleanupStructuredEncryptionData", R"("cleanupTokens": {"PATH": VALUE})");
    const std::string full = R"("medicalRecords.patients")";
    const std::string admin = R"(, "$db": "admin")";
    for (const std::string name :
         {"shardCollection", "reshardCollection", "refineCollectionShardKey", "analyzeShardKey"})
        refused(name, R"("key": {"PATH": 1})" + admin, full);
    for (const std::string name : {"moveChunk", "split"})
        refused(name, R"("find": {"PATH": VALUE})" + admin, full);
    for (const std::string name : {"moveRange", "updateZoneKeyRange", "splitVector"})
        refused(name, R"("min": {"PATH": VALUE}, "max": {"PATH": VALUE})" + admin, full);
    refused("mergeChunks", R"("bounds": [{"PATH": VALUE}, {"PATH": VALUE}])" + admin, full);
    for (const std::string name :
         {"unshardCollection", "moveCollection", "balancerCollectionStatus", "configureQueryAnalyzer"})
        refused(name, R"("comment": "PATH")" + admin, full);
    return rows;
}

class CommandMatrix : public ::testing::Test {
 protected:
    void expect_commands(const Rows& rows) const {
        expect_rows(
            rows, [&](const std::string& command, const std::string&) { return hospital.analyse(command); },
            CheckTrees::no);
    }
    Hospital hospital;
};

TEST_F(CommandMatrix, every_field_of_every_command_is_tested_on_every_kind_of_path) {
    Rows rows = rows_of_reads();
    for (const Rows& more : {rows_of_writes(), rows_of_structure(), rows_without_paths()})
        rows.insert(rows.end(), more.begin(), more.end());
    EXPECT_EQ(gaps(rows, fields_of_commands()), std::vector<std::string>{});
}

// Those about no documents, or about a whole database, are listed in command_test.cpp: no path stands in
// them.
TEST_F(CommandMatrix, every_command_about_a_collection_is_tested) {
    std::vector<std::string> without_fields;
    for (const Command& command : command_table())
        if (command.where != Where::nowhere && command.where != Where::database && command.fields.empty())
            without_fields.emplace_back(command.name);
    EXPECT_EQ(gaps(rows_of_whole_commands(), without_fields), std::vector<std::string>{});
}

TEST_F(CommandMatrix, reads) {
    expect_commands(rows_of_reads());
}

TEST_F(CommandMatrix, writes) {
    expect_commands(rows_of_writes());
}

TEST_F(CommandMatrix, collections_and_indexes) {
    expect_commands(rows_of_structure());
}

TEST_F(CommandMatrix, fields_without_paths) {
    expect_commands(rows_without_paths());
}

TEST_F(CommandMatrix, whole_commands) {
    expect_commands(rows_of_whole_commands());
}

}  // namespace
}  // namespace fieldgate::analysis::testing
