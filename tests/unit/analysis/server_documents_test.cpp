#include "proxy/analysis/server_documents.hpp"

#include <set>

#include "pipeline_support.hpp"
#include "proxy/analysis/pipeline.hpp"
#include "proxy/analysis/stages.hpp"

namespace fieldgate::analysis::testing {
namespace {

constexpr auto no = code::operation_not_on_encrypted;
constexpr auto closed = code::command_not_supported;
const std::string way_out = "a filter may compare only the paths that fieldgate's README lists for it";

class ServerDocumentsTest : public ::testing::Test {
 protected:
    // A command about `collection`, "database.collection", without its braces.
    Outcome command(const std::string& name, const std::string& collection,
                    const std::string& more = "") const {
        const std::size_t dot = collection.find('.');
        return hospital.analyse("{\"" + name + "\": \"" + collection.substr(dot + 1) + "\"" +
                                (more.empty() ? "" : ", ") + more + ", \"$db\": \"" +
                                collection.substr(0, dot) + "\"}");
    }
    Outcome find(const std::string& collection, const std::string& filter,
                 const std::string& more = "") const {
        return command("find", collection, "\"filter\": " + filter + more);
    }
    Outcome aggregate(const std::string& collection, const std::string& stages) const {
        return command("aggregate", collection, R"("cursor": {}, "pipeline": [)" + stages + "]");
    }
    // Of no collection.
    Outcome stages(const std::string& text, const std::string& database = "admin") const {
        return hospital.analyse(R"({"aggregate": 1, "cursor": {}, "pipeline": [)" + text + R"(], "$db": ")" +
                                database + "\"}");
    }
    Outcome current_op(const std::string& filter) const {
        return hospital.analyse(R"({"currentOp": 1, )" + filter + R"(, "$db": "admin"})");
    }
    // Untouched, with nothing to open in the reply, and only for roles that reveal everything.
    static void expect_passed(const Outcome& outcome) {
        EXPECT_TRUE(outcome.passed()) << outcome;
        EXPECT_EQ(outcome.plan.fields, nullptr);
        EXPECT_EQ(outcome.plan.shape.kind, ReplyShape::Kind::pass);
        EXPECT_TRUE(outcome.edits.empty());
        EXPECT_TRUE(outcome.plan.uses.empty());
        EXPECT_FALSE(outcome.plan.names_index);
        EXPECT_TRUE(outcome.plan.requires_reveal_everything);
    }
    static void expect_closed(const Outcome& outcome, std::string_view path) {
        expect_refusal(outcome, no, std::string(path) + "'");
        EXPECT_NE(outcome.refusal.errmsg.find(way_out), std::string::npos) << outcome;
    }
    // A name that the row stands for.
    static std::string a_name(const ServerDocuments& row) {
        std::string name(row.name);
        if (name.starts_with("*.")) name.replace(0, 1, "medicalRecords");
        if (name.ends_with("*")) name.replace(name.size() - 1, 1, "unheardOf");
        return name;
    }
    Hospital hospital;
};

TEST_F(ServerDocumentsTest, every_row_has_what_passes_and_what_is_refused) {
    std::set<std::string_view> names;
    for (const ServerDocuments& row : server_documents()) {
        SCOPED_TRACE(row.name);
        EXPECT_TRUE(names.insert(row.name).second);
        if (row.name == "$planCacheStats") continue;  // of a collection, below
        const bool stage = row.name.starts_with('$');
        const auto ask = [&](const std::string& filter) {
            return stage ? stages("{\"" + std::string(row.name) + R"(": {}}, {"$match": )" + filter + "}")
                         : find(a_name(row), filter);
        };
        expect_passed(ask("{}"));
        if (row.nothing_else) {
            expect_passed(ask(R"({"o.ssn": 5, "$where": "x"})"));
            continue;
        }
        for (const std::string_view path : row.plain) {
            expect_passed(ask("{\"" + std::string(path) + R"(": {"$gte": 5}})"));
            expect_passed(ask("{\"" + std::string(path) + R"(.more": "x"})"));
        }
        for (const std::string path :
             {"o.ssn", "o", "command.filter.ssn", "ssn", "cursor.originatingCommand.filter.ssn", "0"})
            for (const std::string value : {"5", R"({"$gt": 5})", R"({"$exists": 5})", R"({"$in": [5]})",
                                            R"({"$exists": true, "$eq": 5})", "{}"})
                expect_closed(ask("{\"" + path + "\": " + value + "}"), path);
        // Which operations are of a kind: the manual's own examples ask so.
        for (const std::string value : {R"({"$exists": true})", R"({"$exists": 0})"})
            expect_passed(
                ask(R"({"$or": [{"command.createIndexes": )" + value + R"(}, {"o.drop": )" + value + "}]}"));
    }
}

TEST_F(ServerDocumentsTest, names_are_those_of_the_row_that_matches_first) {
    EXPECT_EQ(find_server_documents("local", "oplog.rs")->name, "local.oplog.rs");
    EXPECT_EQ(find_server_documents("local", "oplog.other")->name, "local.*");
    EXPECT_EQ(find_server_documents("config", "localReshardingOplogBuffer.x")->name, "config.*");
    EXPECT_EQ(find_server_documents("x", "system.profile")->name, "*.system.profile");
    EXPECT_EQ(find_server_documents("config", "system.profile")->name, "*.system.profile");
    for (const std::string plain : {"startup_log", "system.replset"})
        EXPECT_EQ(find_server_documents("local", plain), nullptr);
    for (const std::string plain :
         {"settings", "cache.chunks.x", "transactions", "system.sessions", "localReshardingOperations.donor"})
        EXPECT_EQ(find_server_documents("config", plain), nullptr) << plain;
    for (const std::string other : {"oplog.rs", "system.profiles", "system", "profile", "$currentOp"})
        EXPECT_EQ(find_server_documents("x", other), nullptr) << other;
    EXPECT_EQ(find_server_stage("local.oplog.rs"), nullptr);
    EXPECT_EQ(find_server_stage("$match"), nullptr);
}

TEST_F(ServerDocumentsTest, the_oplog_is_tailed) {
    const std::string oplog = "local.oplog.rs";
    expect_passed(find(
        oplog, R"({"ts": {"$gte": {"$timestamp": {"t": 5, "i": 1}}}, "ns": {"$regex": "^medicalRecords\\."},
                                  "$or": [{"op": {"$in": ["i", "u"]}}, {"fromMigrate": {"$exists": false}}]})",
        R"(, "tailable": true, "awaitData": true, "oplogReplay": true, "noCursorTimeout": true, "batchSize": 5)"));
    for (const std::string order : {"1", "-1"})
        expect_passed(find(
            oplog, "{}", R"(, "sort": {"$natural": )" + order + R"(}, "limit": 1, "hint": {"$natural": 1})"));
    expect_passed(
        find(oplog, R"({"op": "i"})", R"(, "projection": {"ts": 1, "o": 1, "o2._id": 1, "_id": 0})"));
    expect_passed(
        command("getMore", oplog + "\", \"getMore\": {\"$numberLong\": \"5\"}, \"x\": \"").refused()
            ? hospital.analyse(
                  R"({"getMore": {"$numberLong": "5"}, "collection": "oplog.rs", "term": 5, "$db": "local"})")
            : Outcome());
    expect_passed(command("count", oplog, R"("query": {"op": "u"})"));
    expect_passed(command("distinct", oplog, R"("key": "ns", "query": {"op": "i"})"));
    expect_passed(
        aggregate(oplog, R"({"$match": {"op": "i"}}, {"$group": {"_id": "$ns", "count": {"$sum": 1}}},
                                      {"$match": {"count": {"$gt": 5}}}, {"$sort": {"count": -1}}, {"$project": {"count": 1}})"));
    expect_passed(aggregate(
        oplog, R"({"$match": {"$expr": {"$gt": ["$ts", 5]}}}, {"$sort": {"$natural": -1}}, {"$limit": 1})"));
}

TEST_F(ServerDocumentsTest, the_profile_and_running_operations_are_looked_at) {
    expect_passed(find("medicalRecords.system.profile",
                       R"({"millis": {"$gt": 100}, "ns": "medicalRecords.patients", "op": "query",
                                                            "planSummary": "COLLSCAN", "locks.Global": {"$exists": true}})",
                       R"(, "sort": {"ts": -1}, "limit": 5)"));
    expect_passed(stages(R"({"$currentOp": {"allUsers": true, "idleConnections": true}},
                            {"$match": {"active": true, "secs_running": {"$gt": 3}, "ns": "medicalRecords.patients", "cursor.cursorId": 5}})"));
    expect_passed(current_op(
        R"("$all": true, "$ownOps": false, "active": true, "secs_running": {"$gt": 3}, "ns": {"$regex": "^db1"},
                                "$or": [{"op": "command"}, {"waitingForLock": true}], "comment": "x", "lsid": {}, "maxTimeMS": 5)"));
    expect_closed(current_op(R"("command.filter.ssn": 5)"), "command.filter.ssn");
    expect_closed(current_op(R"("$and": [{"active": true}, {"cursor.originatingCommand.filter.ssn": 5}])"),
                  "cursor.originatingCommand.filter.ssn");
    expect_refusal(current_op(R"("$where": "x")"), no, "'$where'");
    expect_closed(stages(R"({"$currentOp": {}}, {"$match": {"cursor.originatingCommand.filter.ssn": 5}})"),
                  "cursor.originatingCommand.filter.ssn");
    expect_refusal(stages(R"({"$currentOp": 5})"), code::failed_to_parse, "an object");
    expect_refusal(stages(R"({"$currentOp": {"$where": "x"}})"), no, "$where");
    expect_refusal(stages(R"({"$currentOp": {}}, {"$fill": {}})"), no, "$fill");
}

TEST_F(ServerDocumentsTest, a_filter_of_the_profiler_is_one_on_the_profile) {
    const auto profile = [&](const std::string& more, const std::string& database = "medicalRecords") {
        return hospital.analyse(R"({"profile": 1, "slowms": 100, "sampleRate": 0.5)" + more +
                                R"(, "$db": ")" + database + "\"}");
    };
    for (const std::string more :
         {"", R"(, "filter": {"op": "query", "millis": {"$gt": 5}})", R"(, "filter": "unset")",
          R"(, "filter": {"$expr": {"$gt": ["$millis", 5]}})",
          R"(, "filter": {"command.find": {"$exists": true}})"})
        expect_passed(profile(more));
    for (const std::string database : {"medicalRecords", "admin"}) {
        expect_closed(profile(R"(, "filter": {"command.filter.ssn": 5})", database), "command.filter.ssn");
        expect_closed(
            profile(R"(, "filter": {"$or": [{"op": "query"}, {"command.q": {"ssn": 5}}]})", database),
            "command.q");
        expect_refusal(profile(R"(, "filter": {"$expr": {"$eq": ["$command.filter.ssn", 5]}})", database), no,
                       way_out);
        expect_refusal(profile(R"(, "filter": {"$where": "x"})", database), no, "$where");
    }
    expect_refusal(profile(R"(, "filter": {}, "filter": {"command.filter.ssn": 5})"), code::failed_to_parse,
                   "duplicate");
    hospital.config.unlisted_namespaces = config::Config::Unlisted::pass;
    expect_passed(profile(R"(, "filter": {"command.filter.x": 5})", "shop"));
}

TEST_F(ServerDocumentsTest, no_form_of_a_value_gets_past) {
    const std::string oplog = "local.oplog.rs";
    for (const std::string filter :
         {R"({"$or": [{"op": "i"}, {"$nor": [{"o.ssn": 5}]}]})", R"({"o": {"ssn": 5}})", R"({"o.$.ssn": 5})",
          R"({"o.0.ssn": 5})", R"({"o": {"$elemMatch": {"ssn": 5}}})", R"({"$expr": {"$eq": ["$o.ssn", 5]}})",
          R"({"$expr": {"$in": [5, ["$o2.ssn"]]}})",
          R"({"$expr": {"$let": {"vars": {"x": "$o"}, "in": {"$eq": ["$$x.ssn", 5]}}}})",
          R"({"$expr": {"$eq": [{"$getField": {"field": "ssn", "input": "$o"}}, 5]}})",
          R"({"$expr": {"$eq": ["$$ROOT", {"o": {"ssn": 5}}]}})", R"({"$where": "this.o.ssn == 5"})",
          R"({"$jsonSchema": {"properties": {"o": {"properties": {"ssn": {"enum": [5]}}}}}})"}) {
        const Outcome outcome = find(oplog, filter);
        EXPECT_EQ(outcome.refusal.code, no) << filter << outcome;
        EXPECT_TRUE(command("count", oplog, "\"query\": " + filter).refused()) << filter;
        EXPECT_TRUE(command("distinct", oplog, R"("key": "ns", "query": )" + filter).refused()) << filter;
        EXPECT_TRUE(aggregate(oplog, R"({"$match": )" + filter + "}").refused()) << filter;
        EXPECT_TRUE(
            hospital
                .analyse(R"({"explain": {"find": "oplog.rs", "filter": )" + filter + R"(}, "$db": "local"})")
                .refused())
            << filter;
    }
    for (const std::string more :
         {R"("min": {"o.ssn": 5})", R"("projection": {"x": {"$eq": ["$o.ssn", 5]}})",
          R"("sort": {"o.ssn": 1})", R"("projection": {"o": {"$elemMatch": {"ssn": 5}}})",
          R"("unheardOf": {"o.ssn": 5})"})
        EXPECT_TRUE(find(oplog, "{}", ", " + more).refused()) << more;
    expect_refusal(command("distinct", oplog, R"("key": "o.ssn")"), no, "'o.ssn'");
    expect_refusal(
        hospital.analyse(
            R"({"dataSize": "local.oplog.rs", "keyPattern": {"o.ssn": 1}, "min": {"o.ssn": 5}, "$db": "local"})"),
        no, "cannot bound");
    for (const std::string rest :
         {R"({"$replaceRoot": {"newRoot": "$o"}}, {"$match": {"ssn": 5}})",
          R"({"$project": {"x": "$o.ssn"}}, {"$match": {"x": 5}})", R"({"$group": {"_id": "$o.ssn"}})",
          R"({"$group": {"_id": null, "all": {"$push": "$o"}}}, {"$match": {"all.ssn": 5}})",
          R"({"$facet": {"a": [{"$match": {"o.ssn": 5}}]}})", R"({"$unwind": "$o.list"})",
          R"({"$redact": {"$cond": [{"$eq": ["$o.ssn", 5]}, "$$KEEP", "$$PRUNE"]}})",
          R"({"$lookup": {"from": "oplog.rs", "pipeline": [{"$match": {"o.ssn": 5}}], "as": "x"}})",
          R"({"$out": "loot"})", R"({"$merge": {"into": {"db": "x", "coll": "loot"}}})",
          R"({"$setWindowFields": {"output": {}}})"})
        expect_refusal(aggregate(oplog, rest), no, "");
    EXPECT_TRUE(
        hospital.analyse(R"({"explain": {"find": "oplog.rs", "filter": {"op": "i"}}, "$db": "local"})")
            .passed());
}

TEST_F(ServerDocumentsTest, joined_from_elsewhere_they_are_what_they_are) {
    const std::string profile = "system.profile";
    for (const std::string collection : {"medicalRecords.wards", "medicalRecords.patients"}) {
        for (const std::string filter : {R"({"op": "query"})", R"({"millis": {"$gt": 5}})"}) {
            EXPECT_TRUE(aggregate(collection,
                                  R"({"$unionWith": {"coll": "system.profile", "pipeline": [{"$match": )" +
                                      filter + "}]}}")
                            .passed());
            EXPECT_TRUE(
                aggregate(collection, R"({"$lookup": {"from": "system.profile", "pipeline": [{"$match": )" +
                                          filter + R"(}], "as": "x"}})")
                    .passed());
        }
        for (
            const std::string stage :
            {R"({"$unionWith": {"coll": "system.profile", "pipeline": [{"$match": {"command.filter.ssn": 5}}]}})",
             R"({"$unionWith": "system.profile"}, {"$match": {"command.filter.ssn": 5}})",
             R"({"$lookup": {"from": "system.profile", "pipeline": [{"$match": {"command.filter.ssn": 5}}], "as": "x"}})",
             R"({"$lookup": {"from": "system.profile", "localField": "x", "foreignField": "command.filter.ssn", "as": "x"}})",
             R"({"$lookup": {"from": "system.profile", "pipeline": [], "as": "x"}}, {"$match": {"x.command.filter.ssn": 5}})",
             R"({"$graphLookup": {"from": "system.profile", "startWith": 5, "connectFromField": "op", "connectToField": "command.filter.ssn", "as": "x"}})",
             R"({"$graphLookup": {"from": "system.profile", "startWith": "$x", "connectFromField": "op", "connectToField": "op", "as": "x",
                                   "restrictSearchWithMatch": {"command.filter.ssn": 5}}})",
             R"({"$facet": {"a": [{"$unionWith": {"coll": "system.profile", "pipeline": [{"$match": {"command.filter.ssn": 5}}]}}]}})"}) {
            const Outcome outcome = aggregate(collection, stage);
            expect_refusal(outcome, no, "");
            EXPECT_TRUE(outcome.plan.requires_reveal_everything);
        }
    }
    expect_refusal(aggregate("medicalRecords.wards", R"({"$merge": {"into": {"db": "local", "coll": "x"}}})"),
                   no, "the server alone writes");
    EXPECT_TRUE(
        aggregate("medicalRecords.wards", R"({"$merge": {"into": {"db": "config", "coll": "settings"}}})")
            .passed());
    expect_refusal(aggregate("medicalRecords.patients", R"({"$currentOp": {}})"), no,
                   "but in an aggregate of no collection");
    expect_refusal(stages(R"({"$documents": []}, {"$currentOp": {}})"), no, "as the first of a command");
}

TEST_F(ServerDocumentsTest, only_the_server_writes_them) {
    const std::string text = "is refused: the server alone writes it";
    for (const std::string collection :
         {"local.oplog.rs", "medicalRecords.system.profile", "config.system.preimages", "config.unheardOf"}) {
        for (const std::string more : {R"("insert", "documents": [{"o": {"ssn": 5}}])",
                                       R"("update", "updates": [{"q": {"op": "i"}, "u": {}}])",
                                       R"("delete", "deletes": [{"q": {}, "limit": 0}])",
                                       R"("findAndModify", "query": {}, "remove": true)"}) {
            const std::string name = more.substr(1, more.find('"', 1) - 1);
            expect_refusal(command(name, collection, more.substr(more.find(',') + 2)), closed, text);
        }
        const std::string target = R"("nsInfo": [{"ns": ")" + collection + R"("}, {"ns": "medicalRecords.)";
        for (const std::string other : {"wards", "patients"})
            expect_refusal(hospital.analyse(
                               R"({"bulkWrite": 1, "ops": [{"insert": 0, "document": {"o": {"ssn": 5}}}], )" +
                               target + other + "\"}]}"),
                           closed, text);
        expect_refusal(hospital.analyse(R"({"renameCollection": "medicalRecords.wards", "to": ")" +
                                        collection + R"(", "$db": "admin"})"),
                       closed, text);
        expect_refusal(hospital.analyse(R"({"renameCollection": ")" + collection +
                                        R"(", "to": "medicalRecords.wards", "$db": "admin"})"),
                       closed, text);
        expect_refusal(command("mapReduce", collection, R"("map": "x", "reduce": "y", "out": {"inline": 1})"),
                       closed, "is refused");
        expect_refusal(command("planCacheSetFilter", collection, R"("query": {"o.ssn": 5})"), closed,
                       "it carries values of queries");
        // Its size, its indexes, its end.
        EXPECT_TRUE(command("create", collection, R"("capped": true, "size": 5000000)").passed());
        EXPECT_TRUE(command("drop", collection).passed());
        EXPECT_TRUE(command("collStats", collection).passed());
        expect_refusal(
            command(
                "createIndexes", collection,
                R"("indexes": [{"key": {"op": 1}, "name": "n", "partialFilterExpression": {"o.ssn": 5}}])"),
            no, "");
        expect_refusal(command("collMod", collection, R"("validator": {"o.ssn": 5})"), no, "o.ssn");
    }
    EXPECT_TRUE(
        command("insert", "config.settings", R"("documents": [{"_id": "chunksize", "value": 64}])").passed());
    EXPECT_TRUE(command("update", "config.settings",
                        R"("updates": [{"q": {"_id": "x"}, "u": {"$set": {"value": 5}}}])")
                    .passed());
}

TEST_F(ServerDocumentsTest, views_over_them_hide_what_is_where) {
    hospital.catalog.facts["medicalRecords.slow"] = {.is_view = true,
                                                     .reads = {{"medicalRecords", "system.profile"}}};
    hospital.catalog.facts["medicalRecords.slower"] = {.is_view = true,
                                                       .reads = {{"medicalRecords", "slow"}}};
    for (const std::string view : {"medicalRecords.slow", "medicalRecords.slower"}) {
        expect_passed(find(view, "{}"));
        for (const std::string filter : {R"({"command.filter.ssn": 5})", R"({"op": "query"})"})
            expect_refusal(find(view, filter), no, way_out);
    }
    expect_refusal(aggregate("medicalRecords.wards",
                             R"({"$unionWith": {"coll": "slow", "pipeline": [{"$match": {"x": 5}}]}})"),
                   no, "'x'");
    for (const std::string view : {"create", "collMod"})
        expect_refusal(command(view, "medicalRecords.new", R"("viewOn": "system.profile", "pipeline": [])"),
                       closed, "a view's pipeline");
}

TEST_F(ServerDocumentsTest, plans_in_the_cache_show_the_queries_that_made_them) {
    const std::string plans = R"({"$planCacheStats": {}}, )";
    EXPECT_TRUE(aggregate("medicalRecords.patients",
                          plans + R"({"$match": {"isActive": true, "queryHash": "x", "works": {"$gt": 5}}})")
                    .passed());
    for (const std::string path :
         {"createdFromQuery.query.ssn", "cachedPlan.inputStage", "creationExecStats", "ssn"})
        expect_refusal(aggregate("medicalRecords.patients", plans + R"({"$match": {")" + path + R"(": 5}})"),
                       no, "'" + path + "'");
    // Those of an unprotected collection have no values of a protected one.
    EXPECT_TRUE(
        aggregate("medicalRecords.wards", plans + R"({"$match": {"createdFromQuery.query.name": "x"}})")
            .passed());
}

TEST_F(ServerDocumentsTest, where_nothing_is_protected_they_pass) {
    hospital.config.schemas.clear();
    hospital.config.unlisted_namespaces = config::Config::Unlisted::pass;
    for (const std::string collection : {"local.oplog.rs", "x.system.profile", "config.unheardOf"}) {
        expect_passed(find(collection, R"({"o.ssn": 5})"));
        EXPECT_TRUE(command("insert", collection, R"("documents": [{}])").passed());
    }
    expect_passed(stages(R"({"$currentOp": {}}, {"$match": {"command.filter.ssn": 5}})"));
    expect_passed(current_op(R"("command.filter.ssn": 5)"));
    // Of a database without a schema the profile shows nothing of others.
    Hospital other;
    other.config.unlisted_namespaces = config::Config::Unlisted::pass;
    EXPECT_TRUE(
        other.analyse(R"({"find": "system.profile", "filter": {"command.filter.x": 5}, "$db": "shop"})")
            .passed());
    EXPECT_TRUE(other.analyse(R"({"find": "oplog.rs", "filter": {"o.x": 5}, "$db": "local"})").refused());
    other.config.unlisted_namespaces = config::Config::Unlisted::server;
    EXPECT_TRUE(
        other.analyse(R"({"find": "system.profile", "filter": {"command.filter.x": 5}, "$db": "shop"})")
            .refused());
}

TEST_F(ServerDocumentsTest, every_stage_that_makes_them_has_a_row) {
    std::set<std::string_view> made;
    for (const Stage& row : stage_table())
        if (row.walk == walk_server_stage || row.walk == walk_plan_cache) made.insert(row.name);
    for (const ServerDocuments& row : server_documents())
        if (row.name.starts_with('$')) {
            EXPECT_EQ(made.erase(row.name), 1u) << row.name;
        }
    EXPECT_TRUE(made.empty());
}

}  // namespace
}  // namespace fieldgate::analysis::testing
