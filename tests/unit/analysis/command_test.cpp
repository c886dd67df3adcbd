#include "proxy/analysis/commands.hpp"

#include <set>

#include "support.hpp"

namespace fieldgate::analysis::testing {
namespace {

using Names = std::vector<std::string>;

// Every command of the table, by what becomes of it. Lists that are written twice on purpose: a row that
// changes its answer must change it here too.
const Names general{"hello",
                    "isMaster",
                    "ismaster",
                    "ping",
                    "buildInfo",
                    "buildinfo",
                    "saslStart",
                    "saslContinue",
                    "authenticate",
                    "getnonce",
                    "logout",
                    "startSession",
                    "endSessions",
                    "refreshSessions",
                    "commitTransaction",
                    "abortTransaction",
                    "getLastError",
                    "getlasterror",
                    "getPrevError",
                    "resetError",
                    "connectionStatus",
                    "whatsmyuri",
                    "features",
                    "listCommands",
                    "isdbgrid",
                    "getParameter",
                    "getClusterParameter",
                    "getCmdLineOpts",
                    "getDefaultRWConcern",
                    "getFreeMonitoringStatus",
                    "hostInfo",
                    "hostinfo",
                    "serverStatus"};
const Names general_read{"usersInfo", "rolesInfo", "listDatabases", "balancerStatus", "top"};
const Names general_write{"createUser",
                          "updateUser",
                          "dropUser",
                          "dropAllUsersFromDatabase",
                          "grantRolesToUser",
                          "revokeRolesFromUser",
                          "createRole",
                          "updateRole",
                          "dropRole",
                          "dropAllRolesFromDatabase",
                          "grantPrivilegesToRole",
                          "revokePrivilegesFromRole",
                          "grantRolesToRole",
                          "revokeRolesFromRole",
                          "invalidateUserCache"};
const Names revealing_read{"lockInfo",  "connPoolStats",  "getLog",
                           "currentOp", "getAuditConfig", "shardConnPoolStats"};
const Names revealing_write{"killOp",
                            "killSessions",
                            "killAllSessions",
                            "killAllSessionsByPattern",
                            "profile",
                            "enableSharding",
                            "balancerStart",
                            "balancerStop",
                            "addShardToZone",
                            "removeShardFromZone",
                            "setParameter",
                            "setClusterParameter",
                            "setDefaultRWConcern",
                            "setFeatureCompatibilityVersion",
                            "configureFailPoint",
                            "replSetStepDown",
                            "replSetFreeze",
                            "replSetMaintenance",
                            "replSetResizeOplog",
                            "autoCompact",
                            "logApplicationMessage",
                            "setAuditConfig",
                            "setFreeMonitoring",
                            "setUserWriteBlockMode",
                            "fsync",
                            "fsyncUnlock",
                            "logRotate",
                            "rotateCertificates",
                            "shutdown"};
const Names closed{"addShard",
                   "removeShard",
                   "listShards",
                   "getShardMap",
                   "getDiagnosticData",
                   "netstat",
                   "shardingState",
                   "atlasVersion",
                   "replSetGetStatus",
                   "replSetGetConfig",
                   "replSetInitiate",
                   "replSetReconfig",
                   "setQuerySettings",
                   "removeQuerySettings",
                   "applyOps",
                   "doTxn",
                   "eval",
                   "$eval",
                   "group",
                   "geoNear",
                   "copydb",
                   "copydbgetnonce",
                   "clone",
                   "cloneCollection"};
const Names whole_database{"listCollections", "dbStats", "dbstats", "dbHash"};
const Names passes_on_protected{"killCursors",   "drop",      "dropIndexes",     "deleteIndexes",
                                "listIndexes",   "reIndex",   "compact",         "validate",
                                "collStats",     "collstats", "dropSearchIndex", "listSearchIndexes",
                                "planCacheClear"};
const Names refused_on_protected{"mapReduce",
                                 "mapreduce",
                                 "geoSearch",
                                 "parallelCollectionScan",
                                 "cloneCollectionAsCapped",
                                 "convertToCapped",
                                 "planCacheClearFilters",
                                 "planCacheListFilters",
                                 "planCacheSetFilter",
                                 "createSearchIndexes",
                                 "updateSearchIndex",
                                 "compactStructuredEncryptionData",
                                 "cleanupStructuredEncryptionData"};
const Names refused_on_protected_full_name{"shardCollection",
                                           "reshardCollection",
                                           "refineCollectionShardKey",
                                           "unshardCollection",
                                           "moveCollection",
                                           "moveChunk",
                                           "moveRange",
                                           "mergeChunks",
                                           "split",
                                           "splitVector",
                                           "updateZoneKeyRange",
                                           "analyzeShardKey",
                                           "configureQueryAnalyzer",
                                           "balancerCollectionStatus"};
// These have tests of their own, here and in the other files of this folder.
const Names tested_apart{
    "insert",       "update",           "delete",        "find",      "getMore", "count",  "distinct",
    "aggregate",    "findAndModify",    "findandmodify", "bulkWrite", "explain", "create", "createIndexes",
    "dropDatabase", "renameCollection", "collMod",       "dataSize"};

class CommandTable : public ::testing::Test {
 protected:
    Outcome run(const std::string& name, const std::string& value, const std::string& more = "") const {
        return clinic.analyse("{\"" + name + "\": " + value + more + "}");
    }
    Clinic clinic;
};

// What cloneCollectionAsCapped needs besides.
std::string more_of(const std::string& name) {
    return name == "cloneCollectionAsCapped" ? R"(, "toCollection": "other")" : "";
}

TEST_F(CommandTable, every_row_is_in_one_list) {
    std::multiset<std::string> listed;
    for (const Names* names : {&general, &general_read, &general_write, &revealing_read, &revealing_write,
                               &closed, &whole_database, &passes_on_protected, &refused_on_protected,
                               &refused_on_protected_full_name, &tested_apart})
        listed.insert(names->begin(), names->end());
    for (const Command& row : command_table()) EXPECT_EQ(listed.count(std::string(row.name)), 1u) << row.name;
    EXPECT_EQ(listed.size(), command_table().size());
}

TEST_F(CommandTable, rows_are_found_by_their_exact_names) {
    for (const Command& row : command_table()) EXPECT_EQ(find_command(row.name), &row);
    for (const std::string name : {"FIND", "Insert", "findAndMODIFY", "", "finds", "zzz", "isMASTER"})
        EXPECT_EQ(find_command(name), nullptr);
}

TEST_F(CommandTable, commands_about_no_documents_pass) {
    for (const auto& [names, access] :
         {std::pair{&general, Access::none}, {&general_read, Access::read}, {&general_write, Access::write}})
        for (const std::string& name : *names) {
            const Outcome outcome = run(name, "1");
            EXPECT_TRUE(outcome.passed()) << name << ": " << outcome;
            EXPECT_EQ(outcome.plan.command, name);
            EXPECT_EQ(outcome.plan.access, access) << name;
            EXPECT_FALSE(outcome.plan.requires_reveal_everything) << name;
            EXPECT_EQ(outcome.plan.shape.kind, ReplyShape::Kind::pass);
            EXPECT_EQ(outcome.plan.collection, "");
        }
}

TEST_F(CommandTable, commands_that_show_what_others_do_need_a_role_that_reveals_everything) {
    for (const auto& [names, access] :
         {std::pair{&revealing_read, Access::read}, {&revealing_write, Access::write}})
        for (const std::string& name : *names) {
            const Outcome outcome = run(name, "1");
            EXPECT_TRUE(outcome.passed()) << name << ": " << outcome;
            EXPECT_TRUE(outcome.plan.requires_reveal_everything) << name;
            EXPECT_EQ(outcome.plan.access, access) << name;
        }
}

TEST_F(CommandTable, closed_commands_are_refused_wherever_they_point) {
    for (const std::string& name : closed)
        for (const std::string value : {"1", R"("wards")", R"("patients")", "[]"})
            expect_refusal(run(name, value), code::command_not_supported,
                           "The command '" + name + "' is refused: ");
}

TEST_F(CommandTable, no_command_without_documents_takes_sequences) {
    for (const Names* names : {&general, &general_read, &general_write, &revealing_read, &revealing_write,
                               &whole_database, &passes_on_protected, &refused_on_protected})
        for (const std::string& name : *names)
            expect_refusal(clinic.analyse("{\"" + name + R"(": "wards"})", {{"documents", {"{}"}}}),
                           code::failed_to_parse, "cannot have a document sequence");
}

TEST_F(CommandTable, commands_about_a_whole_database_pass_outside_of_the_servers_own) {
    for (const std::string& name : whole_database) {
        EXPECT_TRUE(run(name, "1").passed()) << name;
        EXPECT_FALSE(run(name, "1").plan.requires_reveal_everything) << name;
        for (const std::string database : {"local", "config"})
            EXPECT_TRUE(run(name, "1", R"(, "$db": ")" + database + "\"").plan.requires_reveal_everything)
                << name;
    }
}

TEST_F(CommandTable, commands_about_a_collections_structure_pass_on_protected_ones) {
    for (const std::string& name : passes_on_protected) {
        const Outcome outcome = run(name, R"("patients")");
        EXPECT_TRUE(outcome.passed()) << name << ": " << outcome;
        EXPECT_TRUE(clinic.is_only_namespace(outcome.plan.fields)) << name;
        EXPECT_EQ(outcome.plan.shape.kind, ReplyShape::Kind::scalar) << name;
        EXPECT_TRUE(run(name, R"("wards")").passed()) << name;
        EXPECT_EQ(run(name, R"("wards")").plan.shape.kind, ReplyShape::Kind::pass);
        expect_refusal(run(name, R"({"$binary": {"base64": "AAAAAAAAAAAAAAAAAAAAAA==", "subType": "04"}})"),
                       code::invalid_namespace, "collections by UUID are refused");
    }
    EXPECT_TRUE(run("drop", R"("patients")").plan.deletes);
    EXPECT_FALSE(run("dropIndexes", R"("patients")").plan.deletes);
    EXPECT_EQ(run("drop", R"("patients")").plan.access, Access::write);
}

TEST_F(CommandTable, options_of_such_commands_are_known_and_carry_no_values) {
    for (const std::string& name : passes_on_protected) {
        for (const std::string more : {R"(, "noSuchOption": {"$gt": 1})", R"(, "ssn": 145014000)"}) {
            expect_refusal(run(name, R"("patients")", more), code::unknown_field, "'" + name + ".");
            EXPECT_TRUE(run(name, R"("wards")", more).passed()) << name;
        }
        expect_refusal(run(name, R"("patients")", R"(, "comment": )" + ciphertext(1)), code::bad_value,
                       "Ciphertext");
        EXPECT_TRUE(
            run(name, R"("patients")", R"(, "comment": "x", "lsid": {"id": 1}, "writeConcern": {"w": 1})")
                .passed())
            << name;
    }
    struct Option {
        std::string name, good, bad;
    };
    for (const Option& each : std::vector<Option>{
             {"killCursors", R"("cursors": [{"$numberLong": "5"}])", R"("cursors": [{"ssn": 5}])"},
             {"killCursors", R"("cursors": [])", R"("cursors": 5)"},
             {"dropIndexes", R"("index": "ssn_1")", R"("index": {"ssn": 145014000})"},
             {"deleteIndexes", R"("index": {"ssn": 1})", R"("index": 5)"},
             {"dropIndexes", R"("index": ["a", "b"])", R"("index": [{"ssn": 5}])"},
             {"listIndexes", R"("cursor": {"batchSize": 5})", R"("cursor": {"batchSize": {"ssn": 5}})"},
             {"validate", R"("full": true, "background": false)", R"("full": {"ssn": 5})"},
             {"compact", R"("force": true)", R"("force": "x")"},
             {"collStats", R"("scale": 1024)", R"("scale": {"ssn": 5})"},
             {"listSearchIndexes", R"("name": "x")", R"("name": 5)"}}) {
        EXPECT_TRUE(run(each.name, R"("patients")", ", " + each.good).passed()) << each.name << each.good;
        expect_refusal(run(each.name, R"("patients")", ", " + each.bad), code::type_mismatch, "BSON field");
    }
}

TEST_F(CommandTable, commands_that_cannot_be_analysed_are_refused_on_protected_namespaces) {
    for (const std::string& name : refused_on_protected) {
        expect_refusal(
            run(name, R"("patients")", more_of(name)), code::command_not_supported,
            "command not supported for auto encryption: " + name + " on 'medicalRecords.patients'");
        EXPECT_TRUE(run(name, R"("wards")", more_of(name)).passed())
            << name << run(name, R"("wards")", more_of(name));
        expect_refusal(run(name, R"({"$binary": {"base64": "AAAAAAAAAAAAAAAAAAAAAA==", "subType": "04"}})"),
                       code::invalid_namespace, "collections by UUID are refused");
    }
    for (const std::string& name : refused_on_protected_full_name) {
        expect_refusal(run(name, R"("medicalRecords.patients")", R"(, "$db": "admin")"),
                       code::command_not_supported, "command not supported for auto encryption: " + name);
        EXPECT_TRUE(run(name, R"("medicalRecords.wards")", R"(, "$db": "admin")").passed()) << name;
        for (const std::string value : {R"("wards")", "5", R"(".x")", R"("x.")"})
            expect_refusal(run(name, value, R"(, "$db": "admin")"), code::invalid_namespace,
                           "needs the name");
    }
}

TEST_F(CommandTable, unknown_commands_are_refused_by_name_unless_the_operator_vouches) {
    expect_refusal(run("unheardOf", "1"), code::command_not_supported,
                   "command not supported for auto encryption: 'unheardOf'");
    expect_refusal(run("FIND", R"("patients")"), code::command_not_supported, "'FIND'");
    clinic.config.commands_pass = {"unheardOf", "applyOps"};
    EXPECT_TRUE(run("unheardOf", "1").passed());
    EXPECT_EQ(run("unheardOf", "1").plan.command, "(vouched for)");
    expect_refusal(clinic.analyse(R"({"unheardOf": 1})", {{"documents", {"{}"}}}), code::failed_to_parse,
                   "document sequence");
    // Nobody can vouch for what the table knows.
    expect_refusal(run("applyOps", "1"), code::command_not_supported, "is refused");
}

TEST_F(CommandTable, the_body_names_its_database_and_command_once) {
    expect_refusal(clinic.analyse(json(R"({"find": "wards"})")), code::failed_to_parse, "'$db' is missing");
    expect_refusal(run("find", R"("wards")", R"(, "$db": 5)"), code::failed_to_parse,
                   "'$db' must be a string, once");
    expect_refusal(run("find", R"("wards")", R"(, "$db": "x", "$db": "medicalRecords")"),
                   code::failed_to_parse, "once");
    expect_refusal(run("find", R"("wards")", R"(, "find": "patients")"), code::failed_to_parse,
                   "'find' is a duplicate field");
    expect_refusal(run("ping", "1", R"(, "ping": 1)"), code::failed_to_parse, "duplicate");
    expect_refusal(clinic.analyse(json("{}")), code::failed_to_parse, "empty");
    for (const std::string database : {"", "a.b", "a\\u0000b"})
        expect_refusal(run("find", R"("wards")", R"(, "$db": ")" + database + "\""), code::invalid_namespace,
                       "Invalid database name");
}

TEST_F(CommandTable, data_sizes_of_ranges_of_plain_keys) {
    const auto size = [&](const std::string& more) {
        return run("dataSize", R"("medicalRecords.patients")", more);
    };
    const Outcome outcome = size(R"(, "keyPattern": {"name": 1}, "min": {"name": "a"}, "max": {"name": "b"},
                                     "estimate": true)");
    EXPECT_TRUE(outcome.passed()) << outcome;
    EXPECT_EQ(outcome.plan.access, Access::read);
    EXPECT_EQ(outcome.plan.shape.kind, ReplyShape::Kind::scalar);
    EXPECT_TRUE(clinic.use(size(R"(, "keyPattern": {"ssn": 1})"), "ssn").matched);
    for (const std::string bound : {"min", "max"})
        expect_refusal(size(", \"" + bound + R"(": {"ssn": 5})"), code::operation_not_on_encrypted,
                       "'" + bound + "' cannot bound encrypted field 'ssn'");
    expect_refusal(size(R"(, "keyPattern": {"ssn": 145014000})"), code::type_mismatch, "'keyPattern'");
    expect_refusal(size(R"(, "ssn": 5)"), code::unknown_field, "dataSize.ssn");
    EXPECT_TRUE(run("dataSize", R"("medicalRecords.wards")", R"(, "min": {"ssn": 5})").passed());
    for (const std::string value : {R"("wards")", "5", R"(".x")", R"("x.")"})
        expect_refusal(run("dataSize", value), code::invalid_namespace, "needs the name");
}

TEST_F(CommandTable, plan_caches_are_cleared_whole) {
    for (const std::string field : {"query", "sort", "projection"})
        expect_refusal(run("planCacheClear", R"("patients")", ", \"" + field + R"(": {"ssn": 5})"),
                       code::unknown_field, "planCacheClear." + field);
}

TEST_F(CommandTable, bulk_write_passes_when_every_namespace_is_unprotected) {
    const auto bulk = [&](const Names& namespaces, bool in_body,
                          const std::string& op = R"({"insert": 0, "document": {}})") {
        Names entries;
        std::string array;
        for (const std::string& name : namespaces) {
            entries.push_back(R"({"ns": ")" + name + "\"}");
            array += (array.empty() ? "" : ", ") + entries.back();
        }
        if (in_body)
            return clinic.analyse(R"({"bulkWrite": 1, "$db": "admin", "ops": [)" + op + R"(], "nsInfo": [)" +
                                  array + "]}");
        return clinic.analyse(R"({"bulkWrite": 1, "$db": "admin"})", {{"ops", {op}}, {"nsInfo", entries}});
    };
    for (const bool in_body : {true, false}) {
        const Outcome outcome = bulk({"medicalRecords.wards", "x.y"}, in_body);
        EXPECT_TRUE(outcome.passed()) << outcome;
        EXPECT_EQ(outcome.plan.others, (std::vector<NamespaceName>{{"medicalRecords", "wards"}, {"x", "y"}}));
        EXPECT_EQ(outcome.plan.database, "medicalRecords");
        EXPECT_EQ(outcome.plan.collection, "wards");
        EXPECT_EQ(outcome.plan.access, Access::write);
        EXPECT_FALSE(outcome.plan.deletes);
        EXPECT_EQ(outcome.plan.shape.kind, ReplyShape::Kind::pass);
        expect_refusal(bulk({"encryption.__keyVault"}, in_body), code::command_not_supported, "key vault");
        expect_refusal(bulk({"nodot"}, in_body), code::invalid_namespace, "Invalid namespace");
        expect_refusal(
            bulk({"x.y"}, in_body, R"({"update": 0, "updateMods": [{"$lookup": {"from": "patients"}}]})"),
            code::command_not_supported, "cannot stand in an update");
        EXPECT_TRUE(bulk({"x.y"}, in_body, R"({"update": 0, "updateMods": [{"$set": {"x": 1}}]})").passed());
    }
    expect_refusal(clinic.analyse(R"({"bulkWrite": 1, "$db": "admin", "ops": []})"), code::failed_to_parse,
                   "needs nsInfo");
    expect_refusal(
        clinic.analyse(
            R"({"bulkWrite": 1, "$db": "admin", "nsInfo": [{"ns": "x.y", "ns": "medicalRecords.patients"}]})"),
        code::invalid_namespace, "once");
    expect_refusal(clinic.analyse(R"({"bulkWrite": 1, "$db": "admin", "nsInfo": [{"ns": 5}]})"),
                   code::invalid_namespace, "full name");
    expect_refusal(clinic.analyse(R"({"bulkWrite": 1, "$db": "admin", "nsInfo": [5]})"), code::type_mismatch,
                   "array of objects");
    EXPECT_EQ(
        clinic.analyse(R"({"bulkWrite": 1})", {{"nsInfo", {R"({"ns": "x.y"})"}}}, true).plan.others.size(),
        1u);
}

}  // namespace
}  // namespace fieldgate::analysis::testing
