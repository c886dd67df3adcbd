#include "path_matrix.hpp"
#include "pipeline_support.hpp"
#include "proxy/analysis/stages.hpp"

namespace fieldgate::analysis::testing {
namespace {

using Rows = std::vector<Row>;

const std::string inside = "policyNumber=PATH.policyNumber, agent{code=PATH.agent.code}";
const std::string visits = "patientSsn=visits:patientSsn, badge=visits:badge, reason=visits:reason";

const Cell ok = passes(whole_tree);
const Cell nothing = passes("");
const Cell random = refuses("encrypted with the randomized encryption algorithm: 'PATH'");
const Cell random_value = refuses("encrypted with the randomized encryption algorithm: '$PATH'");
const Cell below = refuses("below or through an encrypted field: 'PATH'");
const Cell constant = refuses("A constant cannot stand in for an encrypted field");
const Cell condition = refuses("as a condition is not allowed on encrypted field '$PATH'");
const Cell no_parent = refuses("$eq is not allowed on encrypted field '$PATH'");

Cell not_on(const std::string& name) {
    return refuses(name + " is not allowed on encrypted field '$PATH'");
}

// The stored documents' tree without one of its names.
std::string whole_without(const std::string& name) {
    std::string tree;
    int depth = 0;
    std::string part;
    const auto take = [&] {
        if (!part.starts_with(name + "=") && !part.starts_with(name + "{"))
            tree += (tree.empty() ? "" : ", ") + part;
        part.clear();
    };
    for (const char c : whole_tree) {
        depth += (c == '{') - (c == '}');
        if (c == ',' && depth == 0)
            take();
        else if (c != ' ' || !part.empty())
            part += c;
    }
    take();
    return tree;
}
const Cell no_ssn = passes(whole_without("ssn"));
const Cell no_blood_type = passes(whole_without("bloodType"));
const Cell no_insurance = passes(whole_without("insurance"));

std::string joined(const std::string& as) {
    return whole_tree + ", " + as;
}

// csfle.md 3.5: stages that look at documents or change them.
Rows rows_of_documents() {
    const Cell no_sort = refuses("Cannot sort by encrypted field 'PATH'");
    const Cell not_root = refuses("cannot be replaced by an encrypted value");
    const Cell not_into = refuses("cannot look into encrypted field 'PATH'");
    const Cell copied = passes(joined("x=PATH"));
    const Cell copied_parent = passes(joined("x{" + inside + "}"));
    const Cell every_level = refuses("at every level of a document");
    const std::string takes_number = "it takes a number and no path";
    // clang-format off
    return {
        {"$match", R"({"$match": {"PATH": VALUE}})", encrypts("PATH", whole_tree), random, ok, encrypts_inside("PATH", whole_tree), below},
        {"$sort", R"({"$sort": {"PATH": 1}})", no_sort, no_sort, ok, no_sort, no_sort},
        pathless("$sort", R"({"$sort": {"score": {"$meta": "textScore"}, "$natural": 1}})", "they are no fields", ok),
        pathless("$skip", R"({"$skip": 5})", takes_number, ok),
        pathless("$skip", R"({"$skip": {"ssn": 5}})", takes_number, refuses("$skip needs a number", code::failed_to_parse)),
        pathless("$limit", R"({"$limit": 5})", takes_number, ok),
        pathless("$limit", R"({"$limit": {"ssn": 5}})", takes_number, refuses("$limit needs a number", code::failed_to_parse)),
        pathless("$sample", R"({"$sample": {"size": 5}})", takes_number, ok),
        pathless("$sample", R"({"$sample": {"ssn": 5}})", takes_number, refuses("$sample needs", code::failed_to_parse)),
        {"$project", R"({"$project": {"_id": 0, "PATH": 1}})", passes("PATH=PATH"), passes("PATH=PATH"), nothing, passes("PATH{" + inside + "}"),
         refuses("Cannot project below")},
        {"$project", R"({"$project": {"PATH": 0}})", no_ssn, no_blood_type, ok, no_insurance, refuses("Cannot project below")},
        {"$project", R"({"$project": {"x": "$PATH"}})", passes("x=PATH"), passes("x=PATH"), nothing, passes("x{" + inside + "}"), below},
        {"$project", R"({"$project": {"PATH": "$other"}})", nothing, nothing, nothing, nothing, below},
        {"$project", R"({"$project": {"PATH": {"$literal": VALUE}}})", constant, constant, nothing, constant, below},
        {"$project", R"({"$project": {"PATH": {"$slice": 1}}})", constant, constant, nothing, constant, below},
        {"$addFields", R"({"$addFields": {"x": "$PATH"}})", copied, copied, ok, copied_parent, below},
        {"$addFields", R"({"$addFields": {"PATH": "$other"}})", no_ssn, no_blood_type, ok, no_insurance, below},
        {"$addFields", R"({"$addFields": {"PATH": VALUE}})", constant, constant, ok, constant, below},
        {"$set", R"({"$set": {"x": "$PATH"}})", copied, copied, ok, copied_parent, below},
        {"$set", R"({"$set": {"PATH": "$$REMOVE"}})", no_ssn, no_blood_type, ok, no_insurance, below},
        {"$set", R"({"$set": {"PATH": VALUE}})", constant, constant, ok, constant, below},
        {"$unset", R"({"$unset": "PATH"})", no_ssn, no_blood_type, ok, no_insurance, refuses("Cannot unset below")},
        {"$unset", R"({"$unset": ["other", "PATH"]})", no_ssn, no_blood_type, ok, no_insurance, refuses("Cannot unset below")},
        {"$replaceRoot", R"({"$replaceRoot": {"newRoot": "$PATH"}})", not_root, not_root, nothing, passes(inside), below},
        {"$replaceRoot", R"({"$replaceRoot": {"newRoot": {"x": "$PATH"}}})", passes("x=PATH"), passes("x=PATH"), nothing, passes("x{" + inside + "}"), below},
        {"$replaceWith", R"({"$replaceWith": "$PATH"})", not_root, not_root, nothing, passes(inside), below},
        {"$replaceWith", R"({"$replaceWith": {"x": {"$eq": ["$PATH", VALUE]}}})", encrypts("x.$eq[1]", ""), random_value, nothing, no_parent, below},
        {"$unwind", R"({"$unwind": "$PATH"})", not_into, not_into, ok, ok, below},
        {"$unwind", R"({"$unwind": {"path": "$tags", "includeArrayIndex": "PATH"}})", no_ssn, no_blood_type, ok, no_insurance, below},
        {"$redact", R"({"$redact": {"$cond": [{"$eq": ["$PATH", VALUE]}, "$$KEEP", "$$PRUNE"]}})", encrypts("$eq[1]", whole_tree), random_value, ok,
         no_parent, below},
        {"$redact", R"({"$unset": ["medicalRecords", "note"]}, {"$redact": {"$cond": [{"$eq": ["$PATH", VALUE]}, "$$DESCEND", "$$PRUNE"]}})",
         every_level, random_value, passes(), no_parent, refuses("PATH'")},
        {"$redact", R"({"$redact": "$PATH"})", condition, condition, refuses("cannot descend into encrypted field 'medicalRecords'"), condition, below},
        // A name of what comes out, with a number in it, whatever the stored documents have there.
        {"$count", R"({"$count": "PATH"})", nothing, nothing, nothing, nothing, nothing},
        pathless("$count", R"({"$count": {"ssn": 5}})", "it takes a name", refuses("$count needs the name of a field", code::failed_to_parse)),
    };
    // clang-format on
}

// Documents made of many.
Rows rows_of_groups() {
    const Cell id_parent = passes("_id{" + inside + "}");
    const std::string bucket = R"({"$bucket": {"boundaries": [0, 9], "groupBy": )";
    const std::string bucket_auto = R"({"$bucketAuto": {"buckets": 4, "groupBy": )";
    const Cell list = passes("s[=PATH]");
    const Cell list_parent = passes("s[{" + inside + "}]");
    // clang-format off
    return {
        {"$group", R"({"$group": {"_id": "$PATH"}})", passes("_id=PATH"), random_value, nothing, id_parent, below},
        {"$group", R"({"$group": {"_id": {"p": "$PATH"}}})", passes("_id{p=PATH}"), random_value, nothing, passes("_id{p{" + inside + "}}"), below},
        {"$group", R"({"$group": {"_id": {"$toString": "$PATH"}}})", not_on("$toString"), not_on("$toString"), nothing, not_on("$toString"), below},
        {"$group", R"({"$group": {"_id": {"$eq": ["$PATH", VALUE]}}})", encrypts("$group._id.$eq[1]", ""), random_value, nothing, no_parent, below},
        {"$group", R"({"$group": {"_id": 1, "s": {"$push": "$PATH"}}})", list, list, nothing, list_parent, below},
        {"$bucket", bucket + R"("$PATH"}})", not_on("$bucket"), not_on("$bucket"), nothing, not_on("$bucket"), below},
        {"$bucket", bucket + R"("$age", "output": {"s": {"$push": "$PATH"}}}})", list, list, nothing, list_parent, below},
        {"$bucket", bucket + R"("$age", "default": "$PATH"}})", not_on("$bucket"), not_on("$bucket"), nothing, not_on("$bucket"), below},
        {"$bucketAuto", bucket_auto + R"("$PATH"}})", not_on("$bucketAuto"), not_on("$bucketAuto"), nothing, not_on("$bucketAuto"), below},
        {"$bucketAuto", bucket_auto + R"("$age", "output": {"s": {"$push": "$PATH"}}}})", list, list, nothing, list_parent, below},
        {"$sortByCount", R"({"$sortByCount": "$PATH"})", passes("_id=PATH"), random_value, nothing, id_parent, below},
    };
    // clang-format on
}

// Other collections and pipelines inside of stages; `ssn` of the archive is encrypted as the patients'.
Rows rows_of_joins() {
    const Cell unlike = refuses("with the result of another expression");
    const Cell parent = refuses("A join cannot compare a parent of encrypted fields: 'PATH'");
    const std::string docs = joined("v[{" + whole_tree + "}]");
    const Cell join = passes(docs);
    const std::string lookup = R"({"$lookup": {"from": "patients", "as": "v", )";
    const std::string graph = R"({"$graphLookup": {"from": "patients", )";
    const Cell no_schema = refuses("the target has no schema, and documents have encrypted fields");
    const Cell differ = refuses("the documents differ from 'archive'");
    const Cell same_mixture = passes(whole_tree);
    // clang-format off
    return {
        {"$lookup", lookup + R"("localField": "PATH", "foreignField": "ssn"}})", join, random, unlike, parent, below},
        {"$lookup", lookup + R"("localField": "ssn", "foreignField": "PATH"}})", join, refuses("$lookup of two encrypted fields needs the same algorithm"), unlike, parent, below},
        {"$lookup", lookup + R"("localField": "PATH", "foreignField": "name"}})", unlike, random, join, parent, below},
        {"$lookup", R"({"$lookup": {"from": "wards", "localField": "PATH", "foreignField": "_id", "as": "v"}})", unlike, random, ok, parent, below},
        {"$lookup", R"({"$lookup": {"from": "wards", "localField": "ward", "foreignField": "_id", "as": "PATH"}})", no_ssn, no_blood_type, ok, no_insurance, below},
        {"$lookup", lookup + R"("pipeline": [{"$match": {"PATH": VALUE}}]}})", encrypts("PATH", docs), random, join, encrypts_inside("PATH", docs), below},
        {"$lookup", lookup + R"("let": {"l": "$PATH"}, "pipeline": [{"$project": {"_id": 0, "y": "$$l"}}]}})", passes(joined("v[{y=PATH}]")),
         passes(joined("v[{y=PATH}]")), ok, passes(joined("v[{y{" + inside + "}}]")), below},
        {"$lookup", lookup + R"("let": {"l": "$PATH"}, "pipeline": [{"$match": {"$expr": {"$eq": ["$ssn", "$$l"]}}}]}})", join,
         refuses("$eq of two encrypted fields needs the same algorithm"), unlike, refuses("$eq is not allowed"), below},
        {"$graphLookup", graph + R"("startWith": "$PATH", "connectFromField": "ssn", "connectToField": "ssn", "as": "v"}})", join,
         refuses("$graphLookup of two encrypted fields needs the same algorithm"), unlike, refuses("$graphLookup is not allowed on encrypted field '$PATH'"), below},
        {"$graphLookup", graph + R"("startWith": "$ssn", "connectFromField": "PATH", "connectToField": "ssn", "as": "v"}})", join,
         refuses("$graphLookup of two encrypted fields needs the same algorithm"), unlike, parent, below},
        {"$graphLookup", graph + R"("startWith": "$ssn", "connectFromField": "ssn", "connectToField": "PATH", "as": "v"}})", join, random, unlike, parent, below},
        {"$graphLookup", graph + R"("startWith": VALUE, "connectFromField": "PATH", "connectToField": "PATH", "as": "v"}})", encrypts("startWith", docs), random, join,
         parent, below},
        {"$graphLookup", graph + R"("startWith": 1, "connectFromField": "a", "connectToField": "b", "as": "PATH"}})",
         passes(whole_without("ssn") + ", PATH[{" + whole_tree + "}]"), passes(whole_without("bloodType") + ", PATH[{" + whole_tree + "}]"), passes(joined("PATH[{" + whole_tree + "}]")),
         passes(whole_without("insurance") + ", PATH[{" + whole_tree + "}]"), below},
        {"$graphLookup", graph + R"("startWith": 1, "connectFromField": "a", "connectToField": "b", "as": "v", "depthField": "PATH"}})",
         passes(joined("v[{" + whole_without("ssn") + "}]")), passes(joined("v[{" + whole_without("bloodType") + "}]")), join,
         passes(joined("v[{" + whole_without("insurance") + "}]")), below},
        {"$graphLookup", graph + R"("startWith": 1, "connectFromField": "a", "connectToField": "b", "as": "v", "restrictSearchWithMatch": {"PATH": VALUE}}})",
         encrypts("PATH", docs), random, join, encrypts_inside("PATH", docs), below},
        {"$unionWith", R"({"$unionWith": {"coll": "patients", "pipeline": [{"$match": {"PATH": VALUE}}]}})", encrypts("PATH", whole_tree), random, same_mixture,
         encrypts_inside("PATH", whole_tree), below},
        // Of another document a name may be encrypted or not.
        {"$unionWith", R"({"$project": {"_id": 0, "PATH": 1}}, {"$unionWith": "wards"})", passes("PATH=?"), passes("PATH=?"), nothing,
         passes("PATH{policyNumber=?, agent{code=?}}"), refuses("Cannot project below")},
        {"$unionWith", R"({"$unionWith": "wards"}, {"$match": {"PATH": VALUE}})", refuses("not known until runtime: 'PATH'"), refuses("not known until runtime: 'PATH'"),
         passes(), refuses("what only the data tells, at 'PATH.policyNumber'"), refuses("'PATH'")},
        {"$facet", R"({"$facet": {"f": [{"$match": {"PATH": VALUE}}, {"$project": {"_id": 0, "PATH": 1}}]}})", encrypts("PATH", "f[{PATH=PATH}]"), random, nothing,
         encrypts_inside("PATH", "f[{PATH{" + inside + "}}]"), below},
        {"$facet", R"({"$facet": {"f": [{"$sort": {"PATH": 1}}]}})", refuses("Cannot sort"), refuses("Cannot sort"), passes("f[{" + whole_tree + "}]"),
         refuses("Cannot sort"), refuses("Cannot sort")},
        {"$out", R"({"$project": {"x": "$PATH"}}, {"$out": "statistics"})", no_schema, no_schema, nothing, no_schema, below},
        {"$out", R"({"$unset": "PATH"}, {"$out": "archive"})", differ, differ, ok, differ, refuses("Cannot unset below")},
        {"$merge", R"({"$merge": {"into": "archive", "on": "PATH"}})", ok, random, ok, parent, below},
        {"$merge", R"({"$unset": "PATH"}, {"$merge": "archive"})", differ, differ, ok, differ, refuses("Cannot unset below")},
        {"$merge", R"({"$project": {"x": "$PATH"}}, {"$merge": {"into": "statistics", "whenMatched": [{"$set": {"n": 1}}]}})",
         refuses("$merge cannot compute what it stores"), refuses("$merge cannot compute what it stores"), nothing, refuses("$merge cannot compute what it stores"), below},
    };
    // clang-format on
}

// Where documents come from.
Rows rows_of_sources() {
    const Cell not_searched = refuses("$geoNear cannot search encrypted field 'PATH'");
    const std::string near = R"({"$geoNear": {"near": [1, 2], "distanceField": )";
    const std::string events = R"({"$changeStream": {}}, )";
    const std::string of_collection = "it is about the collection and not its documents";
    const std::string split = R"({"$changeStreamSplitLargeEvent": {}})";
    // clang-format off
    Rows rows{
        {"$changeStream", events + R"({"$match": {"fullDocument.PATH": VALUE}})", encrypts("fullDocument.PATH"),
         refuses("'fullDocument.PATH'"), passes(), encrypts_all({"fullDocument.PATH.policyNumber=encrypt PATH.policyNumber",
         "fullDocument.PATH.agent.code=encrypt PATH.agent.code"}), refuses("'fullDocument.PATH'")},
        {"$changeStream", events + R"({"$project": {"_id": 0, "fullDocument.PATH": 1}})", passes("fullDocument{PATH=PATH}"), passes("fullDocument{PATH=PATH}"),
         nothing, passes("fullDocument{PATH{" + inside + "}}"), refuses("Cannot project below")},
        {"$changeStream", events + R"({"$match": {"updateDescription.updatedFields.PATH": {"$exists": true}}})", refuses("'updateDescription.updatedFields.PATH'"),
         refuses("'updateDescription.updatedFields.PATH'"), passes(), refuses("'updateDescription.updatedFields.PATH'"),
         refuses("'updateDescription.updatedFields.PATH'")},
        {"$changeStreamSplitLargeEvent", events + R"({"$project": {"_id": 0, "fullDocument.PATH": 1}}, )" + split, passes("fullDocument{PATH=PATH}"),
         passes("fullDocument{PATH=PATH}"), nothing, passes("fullDocument{PATH{" + inside + "}}"), refuses("Cannot project below")},
        pathless("$changeStreamSplitLargeEvent", split, "it takes no option", refuses("a change stream before it", code::failed_to_parse)),
        {"$geoNear", near + R"("d", "key": "PATH"}})", not_searched, not_searched, ok, not_searched, not_searched},
        {"$geoNear", near + R"("d", "query": {"PATH": VALUE}}})", encrypts("PATH", whole_tree), random, ok, encrypts_inside("PATH", whole_tree), below},
        {"$geoNear", near + R"("PATH"}})", no_ssn, no_blood_type, ok, no_insurance, below},
        {"$geoNear", near + R"("d", "includeLocs": "PATH"}})", no_ssn, no_blood_type, ok, no_insurance, below},
        {"$documents", R"({"$documents": [{"a": "$PATH"}]})", refuses("as a condition"), refuses("as a condition"), nothing, refuses("as a condition"), below},
        pathless("$collStats", R"({"$collStats": {"count": {}}})", of_collection, nothing),
        pathless("$collStats", R"({"$collStats": 5})", of_collection, refuses("$collStats needs an object", code::failed_to_parse)),
        pathless("$indexStats", R"({"$indexStats": {}})", of_collection, nothing),
        pathless("$indexStats", R"({"$limit": 1}, {"$indexStats": {}})", of_collection, refuses("but as the first")),
        pathless("$planCacheStats", R"({"$planCacheStats": {}})", of_collection, nothing),
        pathless("$planCacheStats", R"({"$planCacheStats": {"$where": "x"}})", of_collection, refuses("'$where'")),
    };
    // clang-format on
    // Refused by name, plain paths included: what they make of ciphertext is not known.
    const auto refused = [&](const std::string& name, const std::string& value) {
        const Cell by_name =
            refuses("Aggregation stage " + name + " is not allowed or supported with automatic encryption.");
        rows.push_back(never(name, "{\"" + name + "\": " + value + "}", "it is not analysed", by_name));
    };
    refused("$densify", R"({"field": "PATH", "range": {"step": 1, "bounds": "full"}})");
    refused("$densify",
            R"({"field": "n", "partitionByFields": ["PATH"], "range": {"step": 1, "bounds": "full"}})");
    refused("$fill", R"({"sortBy": {"PATH": 1}, "output": {"n": {"method": "linear"}}})");
    refused("$fill", R"({"output": {"PATH": {"value": VALUE}}})");
    refused("$setWindowFields", R"({"partitionBy": "$PATH", "output": {"x": {"$sum": 1}}})");
    refused("$setWindowFields", R"({"sortBy": {"PATH": 1}, "output": {"x": {"$rank": {}}}})");
    refused("$setWindowFields",
            R"({"sortBy": {"n": 1}, "output": {"x": {"$shift": {"output": "$PATH", "by": 1}}}})");
    refused("$search", R"({"text": {"path": "PATH", "query": VALUE}})");
    refused("$searchMeta", R"({"count": {"type": "total"}, "exists": {"path": "PATH"}})");
    refused("$vectorSearch", R"({"path": "PATH", "queryVector": [1], "filter": {"PATH": VALUE}})");
    refused("$rankFusion", R"({"input": {"pipelines": {"a": [{"$sort": {"PATH": 1}}]}}})");
    refused("$scoreFusion", R"({"input": {"pipelines": {"a": [{"$match": {"PATH": VALUE}}]}}})");
    refused("$score", R"({"score": "$PATH"})");
    // About the server: no path stands in them.
    for (const std::string name :
         {"$currentOp", "$listClusterCatalog", "$listLocalSessions", "$listSampledQueries",
          "$listSearchIndexes", "$listSessions", "$queryStats", "$shardedDataDistribution"}) {
        Row row = pathless(name, "{\"" + name + R"(": {}})", "it is about the server and not documents",
                           refuses("Aggregation stage " + name + " is not allowed or supported"));
        row.never = "it shows what others do, on a namespace that is protected";
        rows.push_back(row);
    }
    return rows;
}

class StageMatrix : public ::testing::Test {
 protected:
    void expect_stages(const Rows& rows) const {
        expect_rows(
            rows, [&](const std::string& stages, const std::string&) { return hospital.aggregate(stages); });
    }
    Hospital hospital;
};

TEST_F(StageMatrix, every_row_of_the_table_is_tested_on_every_kind_of_path) {
    Rows rows;
    for (const Rows& more : {rows_of_documents(), rows_of_groups(), rows_of_joins(), rows_of_sources()})
        rows.insert(rows.end(), more.begin(), more.end());
    EXPECT_EQ(gaps_in(rows, stage_table()), std::vector<std::string>{});
}

TEST_F(StageMatrix, documents) {
    expect_stages(rows_of_documents());
}

TEST_F(StageMatrix, groups) {
    expect_stages(rows_of_groups());
}

TEST_F(StageMatrix, joins) {
    expect_stages(rows_of_joins());
}

TEST_F(StageMatrix, sources) {
    expect_stages(rows_of_sources());
}

}  // namespace
}  // namespace fieldgate::analysis::testing
