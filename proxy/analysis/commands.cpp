#include "proxy/analysis/commands.hpp"

#include <algorithm>
#include <array>

#include "proxy/analysis/handlers.hpp"
#include "proxy/analysis/server_check.hpp"

namespace fieldgate::analysis {
namespace {

constexpr std::string_view shows_addresses =
    "it shows the addresses of the servers, which clients of fieldgate must not learn";
constexpr std::string_view moves_documents = "it can move or copy documents out of a protected namespace";
constexpr std::string_view carries_queries = "it carries values of queries, which are not encrypted there";

// About no documents.
constexpr Command general(std::string_view name, Access access = Access::none,
                          Standing standing = Standing::open) {
    return {.name = name, .access = access, .standing = standing};
}

constexpr Command closed(std::string_view name, std::string_view why) {
    return {.name = name, .standing = Standing::closed, .why = why};
}

// About one collection, in a way that is not looked into: refused on protected ones.
constexpr Command about_collection(std::string_view name, Access access, std::string_view why = {}) {
    return {.name = name, .where = Where::first, .access = access, .why = why};
}

// About one collection, but not about the values in it.
Command about_structure(std::string_view name, Access access, std::span<const FieldRow> fields) {
    return {.name = name,
            .where = Where::first,
            .on_protected = OnProtected::analyse,
            .access = access,
            .structure_only = true,
            .fields = fields,
            .finish = finish_structure};
}

constexpr Command about_full_name(std::string_view name, std::string_view why = {}) {
    return {.name = name, .where = Where::full_name, .access = Access::write, .why = why};
}

constexpr Command about_database(std::string_view name, Access access, Standing standing = Standing::open) {
    return {.name = name, .where = Where::database, .access = access, .standing = standing};
}

Command find_and_modify(std::string_view name) {
    return {.name = name,
            .where = Where::first,
            .on_protected = OnProtected::analyse,
            .access = Access::write,
            .explainable = true,
            .fields = find_and_modify_fields,
            .finish = finish_find_and_modify,
            .look = look_at_find_and_modify};
}

constexpr Command map_reduce(std::string_view name) {
    return {.name = name,
            .where = Where::first,
            .access = Access::write,
            .why = "use an aggregation",
            .explainable = true,
            .look = look_at_map_reduce};
}

const auto& table() {
    static const auto sorted = [] {
        using enum Access;
        constexpr auto analyse = OnProtected::analyse;
        constexpr auto reveals = Standing::reveals;
        std::array rows{
            // Documents
            Command{.name = "insert",
                    .where = Where::first,
                    .on_protected = analyse,
                    .access = write,
                    .sequence = {.name = "documents", .item = insert_item},
                    .fields = insert_fields,
                    .finish = finish_write},
            Command{.name = "update",
                    .where = Where::first,
                    .on_protected = analyse,
                    .access = write,
                    .explainable = true,
                    .sequence = {.name = "updates",
                                 .fields = update_statement_fields,
                                 .item = statement_item,
                                 .plain_item = plain_update_item},
                    .fields = update_fields,
                    .finish = finish_write,
                    .look = look_at_update},
            Command{
                .name = "delete",
                .where = Where::first,
                .on_protected = analyse,
                .access = write,
                .deletes = true,
                .explainable = true,
                .sequence = {.name = "deletes", .fields = delete_statement_fields, .item = statement_item},
                .fields = delete_fields,
                .finish = finish_write},
            Command{.name = "find",
                    .where = Where::first,
                    .on_protected = analyse,
                    .access = read,
                    .explainable = true,
                    .fields = find_fields,
                    .finish = finish_find},
            Command{.name = "getMore",
                    .where = Where::collection_field,
                    .on_protected = analyse,
                    .access = read,
                    .fields = get_more_fields,
                    .finish = finish_get_more,
                    .look = look_at_get_more},
            Command{.name = "count",
                    .where = Where::first,
                    .on_protected = analyse,
                    .access = read,
                    .explainable = true,
                    .fields = count_fields,
                    .finish = finish_count},
            Command{.name = "distinct",
                    .where = Where::first,
                    .on_protected = analyse,
                    .access = read,
                    .explainable = true,
                    .fields = distinct_fields,
                    .finish = finish_distinct},
            Command{.name = "aggregate",
                    .where = Where::first_or_database,
                    .on_protected = analyse,
                    .access = read,
                    .explainable = true,
                    .joins = true,
                    .fields = aggregate_fields,
                    .finish = finish_aggregate,
                    .look = look_at_aggregate},
            find_and_modify("findAndModify"),
            find_and_modify("findandmodify"),
            map_reduce("mapReduce"),
            map_reduce("mapreduce"),
            Command{.name = "bulkWrite",
                    .where = Where::handler,
                    .on_protected = analyse,
                    .access = write,
                    .sequence = {.name = "ops", .item = bulk_item, .plain_item = plain_update_item},
                    .second_sequence = "nsInfo",
                    .fields = bulk_write_fields,
                    .finish = finish_bulk_write,
                    .look = look_at_bulk_write},
            Command{.name = "explain",
                    .where = Where::handler,
                    .on_protected = analyse,
                    .access = read,
                    .fields = explain_fields,
                    .finish = finish_explain,
                    .look = look_at_explain},
            about_structure("killCursors", none, kill_cursors_fields),
            about_collection("geoSearch", read),
            about_collection("parallelCollectionScan", read, moves_documents),

            // Collections, indexes, databases
            Command{.name = "create",
                    .where = Where::first,
                    .on_protected = analyse,
                    .access = write,
                    .structure_only = true,
                    .fields = create_fields,
                    .finish = finish_structure,
                    .look = look_at_view_definition},
            Command{.name = "collMod",
                    .where = Where::first,
                    .on_protected = analyse,
                    .access = write,
                    .fields = coll_mod_fields,
                    .finish = finish_structure,
                    .look = look_at_view_definition},
            Command{.name = "createIndexes",
                    .where = Where::first,
                    .on_protected = analyse,
                    .access = write,
                    .fields = create_indexes_fields,
                    .finish = finish_structure},
            Command{.name = "drop",
                    .where = Where::first,
                    .on_protected = analyse,
                    .access = write,
                    .deletes = true,
                    .structure_only = true,
                    .finish = finish_structure},
            Command{.name = "dropDatabase",
                    .where = Where::database,
                    .access = write,
                    .deletes = true,
                    .look = look_at_drop_database},
            Command{.name = "renameCollection",
                    .where = Where::handler,
                    .on_protected = analyse,
                    .access = write,
                    .fields = rename_fields,
                    .finish = finish_structure,
                    .look = look_at_rename},
            Command{.name = "cloneCollectionAsCapped",
                    .where = Where::first,
                    .access = write,
                    .why = moves_documents,
                    .look = look_at_clone},
            about_collection("convertToCapped", write, moves_documents),
            about_structure("dropIndexes", write, drop_indexes_fields),
            about_structure("deleteIndexes", write, drop_indexes_fields),
            about_structure("listIndexes", read, list_indexes_fields),
            Command{.name = "reIndex",
                    .where = Where::first,
                    .on_protected = analyse,
                    .access = write,
                    .structure_only = true,
                    .finish = finish_reindex},
            about_structure("compact", write, compact_fields),
            about_structure("validate", read, validate_fields),
            about_structure("collStats", read, coll_stats_fields),
            about_structure("collstats", read, coll_stats_fields),
            Command{.name = "dataSize",
                    .where = Where::full_name,
                    .on_protected = analyse,
                    .access = read,
                    .fields = data_size_fields,
                    .finish = finish_structure},
            // Of all plans: its other form carries a query.
            about_structure("planCacheClear", write, {}),
            about_collection("planCacheClearFilters", write, carries_queries),
            about_collection("planCacheListFilters", read, carries_queries),
            about_collection("planCacheSetFilter", write, carries_queries),
            about_collection("createSearchIndexes", write, "a search index cannot read ciphertext"),
            about_collection("updateSearchIndex", write, "a search index cannot read ciphertext"),
            about_structure("dropSearchIndex", write, search_index_fields),
            about_structure("listSearchIndexes", read, search_index_fields),
            about_collection("compactStructuredEncryptionData", write, "it is of Queryable Encryption"),
            about_collection("cleanupStructuredEncryptionData", write, "it is of Queryable Encryption"),
            about_database("listCollections", read),
            about_database("dbStats", read),
            about_database("dbstats", read),
            about_database("dbHash", read),
            Command{.name = "profile",
                    .where = Where::database,
                    .access = write,
                    .standing = reveals,
                    .look = look_at_profile},
            general("listDatabases", read),

            // Sharding
            about_full_name("shardCollection", "a shard key must be readable by the server"),
            about_full_name("reshardCollection", "a shard key must be readable by the server"),
            about_full_name("refineCollectionShardKey", "a shard key must be readable by the server"),
            about_full_name("unshardCollection"),
            about_full_name("moveCollection"),
            about_full_name("moveChunk", "its bounds are values of documents"),
            about_full_name("moveRange", "its bounds are values of documents"),
            about_full_name("mergeChunks", "its bounds are values of documents"),
            about_full_name("split", "its bounds are values of documents"),
            about_full_name("splitVector", "its bounds are values of documents"),
            about_full_name("updateZoneKeyRange", "its bounds are values of documents"),
            about_full_name("analyzeShardKey", "it shows values of documents"),
            about_full_name("configureQueryAnalyzer", "it would store sampled queries"),
            about_full_name("balancerCollectionStatus"),
            general("enableSharding", write, reveals),
            general("balancerStart", write, reveals),
            general("balancerStop", write, reveals),
            general("balancerStatus", read),
            general("addShardToZone", write, reveals),
            general("removeShardFromZone", write, reveals),
            closed("addShard", shows_addresses),
            closed("removeShard", shows_addresses),
            closed("listShards", shows_addresses),
            closed("getShardMap", shows_addresses),

            // Handshake, logins, sessions
            general("hello"),
            general("isMaster"),
            general("ismaster"),
            general("ping"),
            general("buildInfo"),
            general("buildinfo"),
            general("saslStart"),
            general("saslContinue"),
            general("authenticate"),
            general("getnonce"),
            general("logout"),
            general("startSession"),
            general("endSessions"),
            general("refreshSessions"),
            // With an empty array: of everybody who logs in by the same name, other roles' cursors included.
            general("killSessions", write, reveals),
            general("killAllSessions", write, reveals),
            general("killAllSessionsByPattern", write, reveals),
            general("commitTransaction"),
            general("abortTransaction"),
            general("getLastError"),
            general("getlasterror"),
            general("getPrevError"),
            general("resetError"),

            // Users and roles of the database
            general("usersInfo", read),
            general("rolesInfo", read),
            general("createUser", write),
            general("updateUser", write),
            general("dropUser", write),
            general("dropAllUsersFromDatabase", write),
            general("grantRolesToUser", write),
            general("revokeRolesFromUser", write),
            general("createRole", write),
            general("updateRole", write),
            general("dropRole", write),
            general("dropAllRolesFromDatabase", write),
            general("grantPrivilegesToRole", write),
            general("revokePrivilegesFromRole", write),
            general("grantRolesToRole", write),
            general("revokeRolesFromRole", write),
            general("invalidateUserCache", write),

            // What drivers, mongosh and monitoring ask
            general("connectionStatus"),
            general("whatsmyuri"),
            general("features"),
            general("listCommands"),
            general("isdbgrid"),
            general("getParameter"),
            general("getClusterParameter"),
            general("getCmdLineOpts"),
            general("getDefaultRWConcern"),
            general("getFreeMonitoringStatus"),
            general("hostInfo"),
            general("hostinfo"),
            general("serverStatus"),
            general("lockInfo", read, reveals),
            general("top", read),
            general("connPoolStats", read, reveals),
            // Logs and running operations show the queries of others.
            general("getLog", read, reveals),
            Command{.name = "currentOp", .access = read, .standing = reveals, .look = look_at_current_op},
            general("killOp", write, reveals),
            general("getAuditConfig", read, reveals),
            general("shardConnPoolStats", read, reveals),
            closed("getDiagnosticData", shows_addresses),
            closed("netstat", shows_addresses),
            closed("shardingState", shows_addresses),
            closed("atlasVersion", "this is no Atlas cluster"),
            closed("replSetGetStatus", shows_addresses),
            closed("replSetGetConfig", shows_addresses),

            // Administration
            general("setParameter", write, reveals),
            general("setClusterParameter", write, reveals),
            general("setDefaultRWConcern", write, reveals),
            general("setFeatureCompatibilityVersion", write, reveals),
            general("configureFailPoint", write, reveals),
            general("replSetStepDown", write, reveals),
            general("replSetFreeze", write, reveals),
            general("replSetMaintenance", write, reveals),
            general("replSetResizeOplog", write, reveals),
            general("autoCompact", write, reveals),
            general("logApplicationMessage", write, reveals),
            general("setAuditConfig", write, reveals),
            general("setFreeMonitoring", write, reveals),
            general("setUserWriteBlockMode", write, reveals),
            general("fsync", write, reveals),
            general("fsyncUnlock", write, reveals),
            general("logRotate", write, reveals),
            general("rotateCertificates", write, reveals),
            general("shutdown", write, reveals),
            closed("replSetInitiate", shows_addresses),
            closed("replSetReconfig", shows_addresses),
            closed("setQuerySettings", carries_queries),
            closed("removeQuerySettings", carries_queries),

            // Ways around the analysis
            closed("applyOps", moves_documents),
            closed("doTxn", moves_documents),
            closed("eval", "JavaScript on the server cannot be analysed"),
            closed("$eval", "JavaScript on the server cannot be analysed"),
            closed("group", "use an aggregation"),
            closed("geoNear", "use the aggregation stage $geoNear"),
            closed("copydb", moves_documents),
            closed("copydbgetnonce", moves_documents),
            closed("clone", moves_documents),
            closed("cloneCollection", moves_documents),
        };
        std::sort(rows.begin(), rows.end(),
                  [](const Command& a, const Command& b) { return a.name < b.name; });
        return rows;
    }();
    return sorted;
}

}  // namespace

std::span<const Command> command_table() {
    return table();
}

const Command* find_command(std::string_view name) {
    const auto& rows = table();
    const auto row = std::lower_bound(rows.begin(), rows.end(), name,
                                      [](const Command& r, std::string_view n) { return r.name < n; });
    return row == rows.end() || row->name != name ? nullptr : &*row;
}

}  // namespace fieldgate::analysis
