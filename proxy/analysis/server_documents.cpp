#include "proxy/analysis/server_documents.hpp"

#include <algorithm>
#include <array>
#include <boost/assert.hpp>
#include <string>
#include <vector>

#include "config/name_pattern.hpp"
#include "proxy/analysis/trees.hpp"

namespace fieldgate::analysis {
namespace {

using Paths = std::span<const std::string_view>;

// "Replica Set Oplog" of the manual and the entries of public servers. `o`, `o2` and `preImage` are
// documents.
constexpr std::array<std::string_view, 20> oplog_paths = {"ts",
                                                          "t",
                                                          "h",
                                                          "v",
                                                          "op",
                                                          "ns",
                                                          "ui",
                                                          "wall",
                                                          "lsid",
                                                          "txnNumber",
                                                          "stmtId",
                                                          "prevOpTime",
                                                          "tid",
                                                          "fromMigrate",
                                                          "preImageOpTime",
                                                          "postImageOpTime",
                                                          "needsRetryImage",
                                                          "multiOpType",
                                                          "destinedRecipient",
                                                          "versionContext"};

// "Database Profiler Output" of the manual. Commands, plans with their bounds, and texts of errors hold
// values.
constexpr std::array<std::string_view, 52> profile_paths = {
    "op",
    "ns",
    "ts",
    "millis",
    "client",
    "remote",
    "user",
    "allUsers",
    "appName",
    "keysExamined",
    "docsExamined",
    "nreturned",
    "nMatched",
    "nModified",
    "ninserted",
    "ndeleted",
    "nUpserted",
    "keysInserted",
    "keysDeleted",
    "keyUpdates",
    "numYield",
    "numYields",
    "nBatches",
    "locks",
    "flowControl",
    "storage",
    "responseLength",
    "protocol",
    "cursorid",
    "cursorExhausted",
    "exhaust",
    "moreToCome",
    "writeConflicts",
    "upsert",
    "fastmod",
    "fastmodinsert",
    "hasSortStage",
    "usedDisk",
    "fromMultiPlanner",
    "fromPlanCache",
    "replanned",
    "planSummary",  // names of stages, and keys of indexes without values
    "planningTimeMicros",
    "cpuNanos",
    "queryHash",
    "planCacheKey",
    "planCacheShapeHash",
    "queryShapeHash",
    "queryFramework",
    "ok",
    "errCode",
    "errName"};

// "$currentOp (aggregation), Output Fields" of the manual. `command`, `originatingCommand` and what old
// servers call `query` and `insert` hold values.
constexpr std::array<std::string_view, 61> operation_paths = {"type",
                                                              "host",
                                                              "shard",
                                                              "desc",
                                                              "connectionId",
                                                              "client",
                                                              "client_s",
                                                              "clientMetadata",
                                                              "appName",
                                                              "active",
                                                              "currentOpTime",
                                                              "effectiveUsers",
                                                              "runBy",
                                                              "isFromUserConnection",
                                                              "threaded",
                                                              "threadId",
                                                              "opid",
                                                              "lsid",
                                                              "transaction",
                                                              "secs_running",
                                                              "microsecs_running",
                                                              "op",
                                                              "ns",
                                                              "redacted",
                                                              "numYields",
                                                              "locks",
                                                              "lockStats",
                                                              "waitingForLock",
                                                              "waitingForFlowControl",
                                                              "waitingForLatch",
                                                              "flowControlStats",
                                                              "killPending",
                                                              "planSummary",
                                                              "progress",
                                                              "msg",
                                                              "queryFramework",
                                                              "queryHash",
                                                              "planCacheKey",
                                                              "planCacheShapeHash",
                                                              "queryShapeHash",
                                                              "cursor.cursorId",
                                                              "cursor.createdDate",
                                                              "cursor.lastAccessDate",
                                                              "cursor.nDocsReturned",
                                                              "cursor.nBatchesReturned",
                                                              "cursor.noCursorTimeout",
                                                              "cursor.tailable",
                                                              "cursor.awaitData",
                                                              "cursor.operationUsingCursorId",
                                                              "cursor.planSummary",
                                                              "prepareReadConflicts",
                                                              "writeConflicts",
                                                              "dataThroughputLastSecond",
                                                              "dataThroughputAverage",
                                                              "admissionPriority",
                                                              "delinquencyInfo",
                                                              "remainingOperationTimeEstimatedSecs",
                                                              "totalOperationTimeElapsedSecs",
                                                              "approxDocumentsToCopy",
                                                              "documentsCopied",
                                                              "currentQueue"};

constexpr std::array<std::string_view, 5> image_paths = {"_id", "txnNum", "ts", "imageKind", "invalidated"};
constexpr std::array<std::string_view, 2> pre_image_paths = {"_id", "operationTime"};
constexpr std::array<std::string_view, 6> sampled_paths = {"_id",     "ns",       "collectionUuid",
                                                           "cmdName", "expireAt", "sampleId"};
constexpr std::array<std::string_view, 4> query_statistics_paths = {"keyHash", "queryShapeHash", "metrics",
                                                                    "asOf"};
constexpr std::array<std::string_view, 6> catalog_paths = {"db",     "ns",      "type",
                                                           "shards", "sharded", "tracked"};
constexpr std::array<std::string_view, 12> plan_cache_paths = {
    "version", "queryHash", "planCacheKey", "planCacheShapeHash", "isActive",           "works",
    "host",    "shard",     "isPinned",     "indexFilterSet",     "estimatedSizeBytes", "timeOfCreation"};

constexpr ServerDocuments as_any(std::string_view name) {
    return {.name = name, .plain = {}, .nothing_else = true};
}

// "The local Database" and "Config Database" of the manual. Bounds of chunks and zones are values of shard
// keys, which encrypted fields cannot be. What is not named here, also of later servers, may hold anything:
// buffers of the oplog, documents on their way to another shard.
constexpr std::array rows{
    ServerDocuments{"*.system.profile", profile_paths},
    ServerDocuments{"local.oplog.rs", oplog_paths},
    as_any("local.startup_log"),
    as_any("local.system.replset"),
    as_any("local.replset.election"),
    as_any("local.replset.initialSyncId"),
    as_any("local.replset.minvalid"),
    as_any("local.replset.oplogTruncateAfterPoint"),
    ServerDocuments{"config.image_collection", image_paths},
    ServerDocuments{"config.system.preimages", pre_image_paths},
    ServerDocuments{"config.sampledQueries", sampled_paths},
    ServerDocuments{"config.sampledQueriesDiff", sampled_paths},
    as_any("config.actionlog"),
    as_any("config.cache.*"),
    as_any("config.changelog"),
    as_any("config.chunks"),
    as_any("config.collections"),
    as_any("config.csrs.indexes"),
    as_any("config.databases"),
    as_any("config.localReshardingOperations.*"),
    as_any("config.lockpings"),
    as_any("config.locks"),
    as_any("config.migrationCoordinators"),
    as_any("config.migrations"),
    as_any("config.mongos"),
    as_any("config.placementHistory"),
    as_any("config.queryAnalyzers"),
    as_any("config.rangeDeletions"),
    as_any("config.reshardingOperations"),
    as_any("config.settings"),
    as_any("config.shard.indexes"),
    as_any("config.shards"),
    as_any("config.system.indexBuilds"),
    as_any("config.system.sessions"),
    as_any("config.tags"),
    as_any("config.transactions"),
    as_any("config.vectorClock"),
    as_any("config.vectorClockState"),
    as_any("config.version"),
    ServerDocuments{"local.*", {}},
    ServerDocuments{"config.*", {}},
    ServerDocuments{"$currentOp", operation_paths},
    ServerDocuments{"$listClusterCatalog", catalog_paths},
    ServerDocuments{"$listSampledQueries", sampled_paths},
    ServerDocuments{"$planCacheStats", plan_cache_paths},
    ServerDocuments{"$queryStats", query_statistics_paths},
};

using Tree = std::shared_ptr<const config::SchemaNode>;

// Whatever has no name of its own is unknown.
void close(config::SchemaNode& node) {
    static const auto any_name = config::NamePattern::compile("").pattern;
    node.for_each_child([](config::SchemaNode& child) {
        if (!child.children().empty()) close(child);
    });
    node.add_pattern(any_name).unknown = true;
}

Tree tree_of(Paths plain) {
    auto tree = std::make_shared<config::SchemaNode>();
    for (std::string_view path : plain) {
        config::SchemaNode* node = tree.get();
        while (!path.empty()) {
            const std::size_t dot = std::min(path.find('.'), path.size());
            const std::string_view name = path.substr(0, dot);
            path.remove_prefix(std::min(dot + 1, path.size()));
            const config::SchemaNode* const known = node->named_child(name);
            node = known == nullptr ? &node->add_child(std::string(name))
                                    : const_cast<config::SchemaNode*>(known);
        }
    }
    close(*tree);
    return tree;
}

// By row; null where there is nothing of others.
const std::vector<Tree>& trees() {
    static const std::vector<Tree> all = [] {
        std::vector<Tree> made;
        made.reserve(rows.size());
        for (const ServerDocuments& each : rows)
            made.push_back(each.nothing_else ? nullptr : tree_of(each.plain));
        return made;
    }();
    return all;
}

const Tree& tree_of(const ServerDocuments& row) {
    return trees()[static_cast<std::size_t>(&row - rows.data())];
}

bool matches(std::string_view pattern, std::string_view name) {
    if (!pattern.ends_with('*')) return pattern == name;
    pattern.remove_suffix(1);
    return name.starts_with(pattern);
}

const ServerDocuments* first(const auto& predicate) {
    const auto* const row = std::find_if(rows.begin(), rows.end(), predicate);
    return row == rows.end() || row->nothing_else ? nullptr : row;
}

}  // namespace

std::span<const ServerDocuments> server_documents() {
    return rows;
}

const ServerDocuments* find_server_documents(std::string_view database, std::string_view collection) {
    return first([&](const ServerDocuments& row) {
        const std::size_t dot = row.name.find('.');
        return dot != std::string_view::npos && matches(row.name.substr(0, dot), database) &&
               matches(row.name.substr(dot + 1), collection);
    });
}

const ServerDocuments* find_server_stage(std::string_view stage) {
    return stage.starts_with('$') ? first([&](const ServerDocuments& row) { return row.name == stage; })
                                  : nullptr;
}

std::shared_ptr<const config::SchemaNode> server_tree(std::string_view database,
                                                      std::string_view collection) {
    const ServerDocuments* const row = find_server_documents(database, collection);
    return row == nullptr ? nullptr : tree_of(*row);
}

std::shared_ptr<const config::SchemaNode> server_stage_tree(std::string_view stage) {
    const ServerDocuments* const row = find_server_stage(stage);
    return row == nullptr ? nullptr : tree_of(*row);
}

bool is_server_tree(const config::SchemaNode& tree) {
    return std::any_of(trees().begin(), trees().end(), [&](const Tree& each) { return each.get() == &tree; });
}

}  // namespace fieldgate::analysis
