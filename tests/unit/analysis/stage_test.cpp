#include "proxy/analysis/stages.hpp"

#include <set>

#include "pipeline_support.hpp"

namespace fieldgate::analysis::testing {
namespace {

constexpr auto no = code::operation_not_on_encrypted;

class StageTable : public ::testing::Test {
 protected:
    Hospital hospital;
};

const std::string insurance =
    "insurance{policyNumber=insurance.policyNumber, agent{code=insurance.agent.code}}";
const std::string lookup_docs =
    R"({"$lookup": {"from": "patients", "localField": "ward", "foreignField": "ward", "as": "docs"}}, )";
const std::string make_unknown = R"({"$addFields": {"u": {"$cond": ["$name", "$ssn", "$name"]}}}, )";
const std::string some_fields = R"({"$project": {"_id": 0, "ssn": 1, "contact": 1}}, )";
const std::string some_tree = "ssn=ssn, contact{email=contact.email}";

struct Answered {
    std::string name, value, tree;
    std::vector<std::string> edits = {};
    std::string before = {};
    std::string collection = "patients";
};

const std::vector<Answered> answered{
    {"$match", R"({"ssn": 5})", whole_tree, {"$match.ssn=encrypt ssn"}},
    {"$match",
     R"({"insurance.policyNumber": {"$in": [5]}})",
     whole_tree,
     {"$match.insurance.policyNumber.$in[0]=encrypt insurance.policyNumber"}},
    {"$sort", R"({"name": 1, "score": {"$meta": "textScore"}})", whole_tree},
    {"$skip", "5", whole_tree},
    {"$limit", "5", whole_tree},
    {"$sample", R"({"size": 5})", whole_tree},
    {"$project", R"({"ssn": 1, "insurance.agent": 1})",
     "ssn=ssn, insurance{agent{code=insurance.agent.code}}"},
    {"$project", R"({"ssn": 0, "insurance": {"agent": 0}, "note": false})",
     "insurance{policyNumber=insurance.policyNumber}, bloodType=bloodType, medicalRecords=medicalRecords, "
     "dateOfBirth=dateOfBirth, seen=seen, contact{email=contact.email}"},
    {"$project", R"({"x": "$ssn", "y": {"z": "$note"}, "ssn": 1})", "ssn=ssn, x=ssn, y{z=note}"},
    {"$addFields",
     R"({"x": "$ssn", "contact.phone": "$ssn", "ssn": "$name"})",
     "contact{email=contact.email, phone=ssn}, x=ssn",
     {},
     some_fields},
    {"$addFields",
     R"({"docs.x": "$contact", "docs.y": "$name"})",
     some_tree + ", docs[{" + whole_tree + ", x{email=contact.email}}]",
     {},
     some_fields + lookup_docs},
    {"$set", R"({"ssn": "$$REMOVE", "contact": {"email": "$ssn"}})", "contact{email=ssn}", {}, some_fields},
    {"$unset", R"("ssn")", "contact{email=contact.email}", {}, some_fields},
    {"$unset", R"(["contact.email", "name", "ssn"])", "", {}, some_fields},
    {"$replaceRoot", R"({"newRoot": "$insurance"})",
     "policyNumber=insurance.policyNumber, agent{code=insurance.agent.code}"},
    {"$replaceRoot",
     R"({"newRoot": {"a": "$$ROOT.ssn", "b": {"$eq": ["$ssn", 5]}}})",
     "a=ssn",
     {"$replaceRoot.newRoot.b.$eq[1]=encrypt ssn"}},
    {"$replaceWith", R"({"$mergeObjects": ["$$ROOT", {"name": "x"}]})", some_tree, {}, some_fields},
    {"$replaceWith", R"("$contact")", "email=contact.email"},
    {"$unwind", R"("$tags")", whole_tree},
    {"$unwind",
     R"({"path": "$docs", "includeArrayIndex": "i", "preserveNullAndEmptyArrays": true})",
     some_tree + ", docs{" + whole_tree + "}",
     {},
     some_fields + lookup_docs},
    {"$unwind",
     R"({"path": "$tags", "includeArrayIndex": "ssn"})",
     "contact{email=contact.email}",
     {},
     some_fields},
    {"$unwind",
     R"({"path": "$tags", "includeArrayIndex": "contact.email"})",
     "ssn=ssn, contact{email=?}",
     {},
     some_fields},
    {"$redact", R"({"$cond": [{"$eq": ["$level", 5]}, "$$PRUNE", "$$DESCEND"]})", some_tree, {}, some_fields},
    {"$redact",
     R"({"$cond": [{"$eq": ["$ssn", 5]}, "$$KEEP", "$$PRUNE"]})",
     whole_tree,
     {"$redact.$cond[0].$eq[1]=encrypt ssn"}},
    {"$redact",
     R"({"$cond": {"if": {"$eq": ["$ssn", 5]}, "then": "$$PRUNE", "else": {"$cond": ["$x", "$$KEEP", "$$PRUNE"]}}})",
     whole_tree,
     {"$redact.$cond.if.$eq[1]=encrypt ssn"}},
    {"$count", R"("n")", ""},
    {"$group", R"({"_id": "$ssn", "n": {"$sum": 1}})", "_id=ssn"},
    {"$group", R"({"_id": {"s": "$ssn", "w": "$ward"}, "last": {"$last": "$note"}})",
     "_id{s=ssn}, last=note"},
    {"$group",
     R"({"_id": {"$cond": [{"$eq": ["$ssn", 5]}, 1, 2]}})",
     "",
     {"$group._id.$cond[0].$eq[1]=encrypt ssn"}},
    {"$bucket",
     R"({"groupBy": "$age", "boundaries": [0, 9], "default": "x", "output": {"s": {"$push": "$ssn"}}})",
     "s[=ssn]"},
    {"$bucketAuto", R"({"groupBy": "$age", "buckets": 4, "output": {"s": {"$first": "$note"}}})", "s=note"},
    {"$sortByCount", R"("$ssn")", "_id=ssn"},
    {"$sortByCount", R"({"$toLower": "$name"})", ""},
    // Joins: itself, an unprotected namespace, another protected one.
    {"$lookup",
     R"({"from": "patients", "localField": "ssn", "foreignField": "ssn", "as": "docs"})",
     some_tree + ", docs[{" + whole_tree + "}]",
     {},
     some_fields},
    {"$lookup",
     R"({"from": "wards", "localField": "ward", "foreignField": "_id", "as": "ssn"})",
     "contact{email=contact.email}",
     {},
     some_fields},
    {"$lookup",
     R"({"from": "visits", "localField": "ssn", "foreignField": "patientSsn", "as": "v"})",
     some_tree + ", v[{patientSsn=visits:patientSsn, badge=visits:badge, reason=visits:reason}]",
     {},
     some_fields},
    {"$lookup",
     R"({"from": "visits", "let": {"s": "$ssn"}, "pipeline": [{"$match": {"badge": 7}},
         {"$project": {"hit": {"$eq": ["$patientSsn", "$$s"]}, "mine": "$$s", "reason": 1}}], "as": "v"})",
     some_tree + ", v[{reason=visits:reason, mine=ssn}]",
     {"pipeline[1].$lookup.pipeline[0].$match.badge=encrypt badge"},
     some_fields},
    {"$lookup",
     R"({"from": "visits", "pipeline": [{"$lookup": {"from": "patients", "localField": "patientSsn",
         "foreignField": "ssn", "pipeline": [{"$project": {"note": 1}}], "as": "p"}}, {"$project": {"p": 1}}], "as": "v"})",
     some_tree + ", v[{p[{note=note}]}]",
     {},
     some_fields},
    {"$lookup", R"({"pipeline": [{"$documents": [{"a": 1}]}], "as": "v"})", some_tree, {}, some_fields},
    {"$lookup",
     R"({"from": "patients", "localField": "_id", "foreignField": "patient", "as": "p"})",
     "p[{" + whole_tree + "}]",
     {},
     "",
     "wards"},
    {"$graphLookup",
     R"({"from": "visits", "startWith": "$ssn", "connectFromField": "patientSsn", "connectToField": "patientSsn",
         "depthField": "depth", "maxDepth": 3, "restrictSearchWithMatch": {"badge": 7}, "as": "v"})",
     some_tree + ", v[{patientSsn=visits:patientSsn, badge=visits:badge, reason=visits:reason}]",
     {"pipeline[1].$graphLookup.restrictSearchWithMatch.badge=encrypt badge"},
     some_fields},
    {"$graphLookup",
     R"({"from": "patients", "startWith": "$boss", "connectFromField": "boss", "connectToField": "_id", "as": "v"})",
     some_tree + ", v[{" + whole_tree + "}]",
     {},
     some_fields},
    {"$graphLookup",
     R"({"from": "patients", "startWith": 5, "connectFromField": "ssn", "connectToField": "ssn", "as": "v"})",
     some_tree + ", v[{" + whole_tree + "}]",
     {"pipeline[1].$graphLookup.startWith=encrypt ssn"},
     some_fields},
    {"$unionWith", R"("patients")", whole_tree},
    {"$unionWith",
     R"({"coll": "patients", "pipeline": [{"$match": {"ssn": 5}}]})",
     whole_tree,
     {"$unionWith.pipeline[0].$match.ssn=encrypt ssn"}},
    {"$unionWith", R"("wards")", "ssn=?, contact{email=?}", {}, some_fields},
    {"$unionWith",
     R"({"coll": "visits", "pipeline": [{"$project": {"ssn": "$patientSsn", "name": 1}}]})",
     "ssn=?, contact{email=?}",
     {},
     some_fields},
    {"$facet",
     R"({"a": [{"$match": {"ssn": 5}}, {"$limit": 1}], "b": [{"$count": "n"}]})",
     "a[{" + some_tree + "}]",
     {"pipeline[1].$facet.a[0].$match.ssn=encrypt ssn"},
     some_fields},
    {"$out", R"("patients")", whole_tree},
    {"$out", R"({"db": "medicalRecords", "coll": "archive"})", whole_tree},
    {"$out", R"("statistics")", "", {}, R"({"$group": {"_id": "$ward"}}, )"},
    {"$merge", R"("archive")", whole_tree},
    {"$merge",
     R"({"into": "archive", "on": ["_id", "ssn"], "whenMatched": "replace", "whenNotMatched": "insert"})",
     whole_tree},
    {"$merge",
     R"({"into": "statistics", "let": {"a": 1}, "whenMatched": [{"$set": {"n": "$$a"}}]})",
     "",
     {},
     R"({"$group": {"_id": "$ward"}}, )"},
    {"$changeStream", R"({"fullDocument": "updateLookup", "resumeAfter": {"_data": "82"}})",
     "fullDocument{" + whole_tree + "}, fullDocumentBeforeChange{" + whole_tree + "}, documentKey{" +
         whole_tree + "}, updateDescription{updatedFields#{" + whole_tree + "}}"},
    {"$changeStreamSplitLargeEvent",
     "{}",
     "fullDocument{ssn=ssn}",
     {},
     R"({"$changeStream": {}}, {"$match": {"operationType": "insert", "ns.coll": "patients", "documentKey._id": 1}},
        {"$project": {"fullDocument.ssn": 1}}, )"},
    {"$geoNear",
     R"({"near": [1, 2], "distanceField": "d", "key": "place", "query": {"ssn": 5}, "maxDistance": 3, "includeLocs": "l"})",
     whole_tree,
     {"$geoNear.query.ssn=encrypt ssn"}},
    {"$documents", R"([{"a": 1}])", ""},
    {"$collStats", R"({"count": {}})", ""},
    {"$indexStats", "{}", ""},
    // Whose names are those of no document.
    {"$match", R"({"note": "x", "ssn": {"$gt": 5}})", "", {}, R"({"$indexStats": {}}, )"},
    {"$project", R"({"note": {"$ifNull": ["$note", "none"]}})", "", {}, R"({"$collStats": {}}, )"},
    {"$planCacheStats", "{}", ""},
};

TEST_F(StageTable, stages_pass_and_say_what_comes_out) {
    for (const Answered& each : answered) {
        const Outcome outcome =
            hospital.aggregate(each.before + "{\"" + each.name + "\": " + each.value + "}", each.collection);
        EXPECT_TRUE(outcome.passed()) << each.name << " " << each.value << "\n" << outcome;
        EXPECT_EQ(reply_tree(outcome), each.tree) << each.name << " " << each.value;
        EXPECT_EQ(edits_of(outcome), each.edits) << each.name << " " << each.value;
        EXPECT_EQ(outcome.plan.shape.kind, ReplyShape::Kind::cursor);
    }
}

struct Refused {
    std::string name, value, text;
    std::int32_t code = no;
    std::string before = {};
    std::string collection = "patients";
};

constexpr auto shape = code::failed_to_parse;
const std::string join_visits = R"("from": "visits", "as": "v", )";

const std::vector<Refused> refused{
    {"$match", R"({"bloodType": "0-"})", "randomized"},
    {"$match", R"({"docs.ssn": 5})", "not known until runtime", no, lookup_docs},
    {"$match", R"({"u": 5})", "not known until runtime", no, make_unknown},
    {"$match", R"({"ssn": {"$gt": 5}})", "Invalid match expression"},
    {"$match", R"({"_id": {"$gt": 5}})", "Invalid match expression", no, R"({"$sortByCount": "$ssn"}, )"},
    {"$match", R"({"a": 5})", "not known until runtime", no,
     R"({"$group": {"_id": 1, "a": {"$push": "$ssn"}}}, )"},
    {"$match", "5", "an object", shape},
    {"$sort", R"({"ssn": 1})", "Cannot sort by encrypted field"},
    {"$sort", R"({"insurance": 1})", "Cannot sort by encrypted field"},
    {"$sort", R"({"u": 1})", "not known until runtime", no, make_unknown},
    {"$sort", R"({"docs.ssn": 1})", "not known until runtime", no, lookup_docs},
    {"$sort", R"({"_id": 1})", "Cannot sort by encrypted field", no, R"({"$group": {"_id": "$ssn"}}, )"},
    {"$skip", R"("5")", "a number", shape},
    {"$limit", R"({"ssn": 5})", "a number", shape},
    {"$sample", R"({"size": "5"})", "size", shape},
    {"$sample", R"({"size": 5, "ssn": 5})", "size", shape},
    {"$project", R"({"ssn.x": 1})", "Cannot project below"},
    {"$project", R"({"ssn": "five"})", "A constant cannot stand in"},
    {"$project", R"({"x": 1, "x": "$ssn"})", "stands twice", shape},
    {"$project", R"({"u.x": "$name"})", "not known until runtime", no, make_unknown},
    {"$project", R"({"x": {"$add": ["$u", 1]}})", "not known until runtime", no, make_unknown},
    {"$addFields", R"({"ssn": 5})", "A constant cannot stand in"},
    {"$addFields", R"({"ssn.x": "$name"})", "below or through"},
    {"$addFields", R"({"insurance": {"policyNumber": 5}})", "A constant cannot stand in"},
    {"$addFields", R"({"docs.ssn": "$name"})", "not known until runtime", no, lookup_docs},
    {"$addFields", R"({"x": {"$add": ["$ssn", 1]}})", "$add is not allowed"},
    {"$set", R"({"insurance.policyNumber": 5})", "A constant cannot stand in"},
    {"$set", R"({"insurance.0.policyNumber": "$name"})", "'insurance.0.policyNumber'"},
    {"$unset", R"("ssn.x")", "Cannot unset below"},
    {"$unset", "5", "a path or an array of paths", shape},
    {"$unset", "[5]", "a path or an array of paths", shape},
    {"$replaceRoot", R"({"newRoot": "$ssn"})", "cannot be replaced by an encrypted value"},
    {"$replaceRoot", R"({"newRoot": "$docs"})", "an array", no, lookup_docs},
    {"$replaceRoot", R"({"newRoot": {"ssn": 5}})", "A constant cannot stand in"},
    {"$replaceRoot", R"({"root": "$x"})", "newRoot", shape},
    {"$replaceWith", R"({"ssn": 5})", "A constant cannot stand in"},
    {"$replaceWith", R"({"$arrayToObject": [[["ssn", 5]]]})", "A constant cannot stand in"},
    {"$replaceWith", R"("$updateDescription.updatedFields")", "changed paths of an event", no,
     R"({"$changeStream": {}}, )"},
    {"$unwind", R"("$ssn")", "cannot look into encrypted field"},
    {"$unwind", R"("$medicalRecords")", "cannot look into encrypted field"},
    {"$unwind", R"("$ssn.x")", "below or through"},
    {"$unwind", R"("$u")", "not known until runtime", no, make_unknown},
    {"$unwind", R"("$docs.insurance")", "not known until runtime", no, lookup_docs},
    {"$unwind", R"({"path": "$tags", "includeArrayIndex": "ssn.x"})", "below or through"},
    {"$unwind", R"("tags")", "begins with $", shape},
    {"$redact", R"({"$cond": [{"$eq": ["$ssn", 5]}, "keep", {"$concat": ["des", "cend"]}]})",
     "at every level"},
    {"$redact", R"({"$cond": {"if": {"$eq": ["$ssn", 5]}, "then": "$$KEEP", "else": "descend"}})",
     "at every level"},
    {"$redact", R"({"$switch": {"branches": [{"case": {"$eq": ["$ssn", 5]}, "then": "$action"}]}})",
     "at every level"},
    {"$redact", R"({"$cond": [{"$eq": ["$ssn", 5]}, "$$PRUNE", "$$DESCEND"]})", "at every level"},
    {"$redact", R"({"$cond": [{"$eq": ["$policyNumber", 5]}, "$$PRUNE", "$$DESCEND"]})", "at every level"},
    {"$redact", R"({"$cond": [{"$eq": ["$code", "A"]}, "$$PRUNE", "$$DESCEND"]})", "at every level"},
    {"$redact", R"({"$cond": [{"$eq": ["$$ROOT.ssn", "$ssn"]}, "$$PRUNE", "$$DESCEND"]})",
     "result of another expression"},
    {"$redact", R"({"$cond": [{"$eq": ["$s", 5]}, "$$PRUNE", "$$DESCEND"]})", "not known until runtime", no,
     R"({"$project": {"u": {"$cond": ["$name", "$ssn", "$name"]}}}, )"},
    // On plaintext it would look into the objects of an encrypted array.
    {"$redact", R"({"$cond": [{"$eq": ["$level", 5]}, "$$PRUNE", "$$DESCEND"]})",
     "cannot descend into encrypted field 'medicalRecords'", no, R"({"$unset": "note"}, )"},
    {"$redact", R"({"$cond": [{"$gt": ["$ssn", 5]}, "$$PRUNE", "$$KEEP"]})", "$gt is not allowed"},
    {"$redact", R"("$ssn")", "as a condition"},
    {"$count", "5", "the name of a field", shape},
    {"$group", R"({"_id": "$bloodType"})", "randomized"},
    {"$group", R"({"_id": "$contact"})", "randomized"},
    {"$group", R"({"_id": {"x": ["$ssn"]}})", "$group is not allowed on encrypted field"},
    {"$group", R"({"_id": {"d": {"e": "$docs"}}})", "$group is not allowed on encrypted field", no,
     lookup_docs},
    {"$group", R"({"_id": "$u"})", "not known until runtime", no, make_unknown},
    {"$group", R"({"_id": "$ssn.x"})", "below or through"},
    {"$group", R"({"_id": {"$toString": "$ssn"}})", "$toString is not allowed"},
    {"$group", R"({"_id": 1, "ssn": {"$first": 5}})", "A constant cannot stand in"},
    {"$group", R"({"_id": 1, "a.b": {"$first": 5}})", "one accumulator", shape},
    {"$group", R"({"_id": 1, "a": {"$push": "$ssn"}, "a": {"$push": "$name"}})", "twice", shape},
    {"$bucket", R"({"groupBy": "$ssn", "boundaries": [0, 9]})", "$bucket is not allowed"},
    {"$bucket", R"({"groupBy": "$age", "boundaries": [0, 9], "ssn": 5})", "no option", shape},
    {"$bucketAuto", R"({"groupBy": "$note", "buckets": 4})", "$bucketAuto is not allowed"},
    {"$bucketAuto", R"({"groupBy": "$age", "buckets": 4, "output": {"s": {"$sum": "$ssn"}}})", "$sum is not"},
    {"$sortByCount", R"("$bloodType")", "randomized"},
    {"$sortByCount", R"("$u")", "not known until runtime", no, make_unknown},
    {"$lookup", "{" + join_visits + R"("localField": "ssn", "foreignField": "badge"})",
     "needs the same algorithm, key and type"},
    {"$lookup", "{" + join_visits + R"("localField": "note", "foreignField": "reason"})", "randomized"},
    {"$lookup", "{" + join_visits + R"("localField": "name", "foreignField": "patientSsn"})",
     "result of another expression"},
    {"$lookup", "{" + join_visits + R"("localField": "ssn", "foreignField": "name"})",
     "result of another expression"},
    {"$lookup", "{" + join_visits + R"("localField": "insurance", "foreignField": "name"})", "parent"},
    {"$lookup", "{" + join_visits + R"("localField": "ssn.x", "foreignField": "name"})", "below or through"},
    {"$lookup", "{" + join_visits + R"("localField": "u", "foreignField": "name"})",
     "not known until runtime", no, make_unknown},
    {"$lookup", "{" + join_visits + R"("pipeline": [{"$match": {"reason": "x"}}]})", "randomized"},
    {"$lookup", "{" + join_visits + R"("let": {"v": "$note"}, "pipeline": [{"$sort": {"badge": 1}}]})",
     "Cannot sort"},
    {"$lookup", "{" + join_visits + R"("pipeline": [{"$out": "x"}]})", "as the last of a command"},
    {"$lookup", "{" + join_visits + R"("pipeline": [{"$changeStream": {}}]})", "as the first of a command"},
    {"$lookup", "{" + join_visits + R"("pipeline": [{"$lookup": {"from": "patients", "localField": "badge",
         "foreignField": "ssn", "as": "p"}}]})",
     "needs the same algorithm"},
    {"$lookup", "{" + join_visits + R"("let": {"v": 1}})", "a pipeline for its variables", shape},
    {"$lookup", "{" + join_visits + R"("localField": "ssn"})", "or neither", shape},
    {"$lookup", R"({"from": "visits", "pipeline": [], "as": "ssn.x"})", "below or through"},
    {"$lookup", R"({"from": "visits", "pipeline": []})", "'as'", shape},
    {"$lookup", R"({"from": "patients", "localField": "a", "foreignField": "note", "as": "p"})", "randomized",
     no, "", "wards"},
    {"$graphLookup",
     R"({"from": "visits", "startWith": "$name", "connectFromField": "patientSsn", "connectToField": "patientSsn", "as": "v"})",
     "result of another expression"},
    {"$graphLookup",
     R"({"from": "visits", "startWith": "$ssn", "connectFromField": "badge", "connectToField": "patientSsn", "as": "v"})",
     "needs the same algorithm"},
    {"$graphLookup",
     R"({"from": "visits", "startWith": "$x", "connectFromField": "x", "connectToField": "x", "as": "v",
         "depthField": "badge.x"})",
     "below or through"},
    {"$graphLookup",
     R"({"from": "visits", "startWith": "$x", "connectFromField": "x", "connectToField": "x", "as": "v",
         "restrictSearchWithMatch": {"reason": "x"}})",
     "randomized"},
    {"$graphLookup", R"({"from": "visits", "as": "v"})", "startWith", shape},
    {"$unionWith", R"({"coll": "visits", "pipeline": [{"$match": {"reason": "x"}}]})", "randomized"},
    {"$unionWith", R"({"coll": "visits", "let": {}})", "coll and pipeline", shape},
    {"$facet", R"({"a": [{"$match": {"bloodType": "0-"}}]})", "randomized"},
    {"$facet", R"({"a": [{"$geoNear": {}}]})", "as the first"},
    {"$facet", R"({"a": [{"$changeStream": {}}]})", "as the first of a command"},
    {"$facet", R"({"a": [{"$merge": "archive"}]})", "as the last of a command"},
    {"$facet", R"({"a": [], "a": [{"$count": "n"}]})", "twice", shape},
    {"$facet", R"({"a.b": []})", "a name and a pipeline", shape},
    {"$out", R"("wards")", "the target has no schema"},
    {"$out", R"("visits")", "the documents differ from 'visits'"},
    {"$out", R"("patients")", "the documents differ", no, R"({"$unset": "ssn"}, )"},
    {"$out", R"("archive")", "the documents differ", no, R"({"$set": {"x": "$ssn"}}, )"},
    {"$out", R"("archive")", "the documents differ", no, R"({"$set": {"ssn": ["$ssn"]}}, )"},
    {"$out", R"("archive")", "the documents differ", no, R"({"$set": {"note": "$bloodType"}}, )"},
    {"$out", R"("archive")", "the documents differ", no, R"({"$unionWith": "wards"}, )"},
    {"$out", R"({"coll": "archive", "timeseries": {}})", "db and coll", shape},
    {"$merge", R"("wards")", "the target has no schema"},
    {"$merge", R"({"into": "archive", "on": "note"})", "randomized"},
    {"$merge", R"({"into": "archive", "on": "insurance"})", "parent"},
    {"$merge", R"({"into": "archive", "whenMatched": [{"$set": {"ssn": 5}}]})", "cannot compute"},
    {"$merge", R"({"into": "archive", "let": {"x": 5}})", "cannot compute"},
    {"$merge", R"({"into": "archive", "whenMatched": 5})", "a string", shape},
    {"$changeStream", R"({"ssn": 5})", "no option", shape},
    {"$changeStream", "5", "an object", shape},
    {"$changeStream", "{}", "as the first of a command", no, R"({"$limit": 1}, )"},
    {"$changeStreamSplitLargeEvent", "{}", "a change stream before it", shape},
    {"$geoNear", R"({"near": [1, 2], "distanceField": "d", "key": "note"})", "cannot search encrypted field"},
    {"$geoNear", R"({"near": [1, 2], "distanceField": "ssn.x"})", "below or through"},
    {"$geoNear", R"({"near": [1, 2], "distanceField": "d", "query": {"note": 5}})", "randomized"},
    {"$geoNear", R"({"near": [1, 2], "distanceField": "d", "ssn": 5})", "no option", shape},
    {"$documents", R"(["$ssn"])", "as a condition"},
    {"$documents", "[]", "as the first", no, R"({"$limit": 1}, )"},
    {"$collStats", "5", "an object", shape},
    {"$indexStats", "{}", "as the first", no, R"({"$limit": 1}, )"},
    {"$planCacheStats", R"({"$where": "x"})", "'$where'"},
};

TEST_F(StageTable, what_cannot_be_answered_is_refused) {
    for (const Refused& each : refused) {
        SCOPED_TRACE(each.name + " " + each.value);
        expect_refusal(
            hospital.aggregate(each.before + "{\"" + each.name + "\": " + each.value + "}", each.collection),
            each.code, each.text);
    }
}

TEST_F(StageTable, every_row_has_a_success_and_a_refusal) {
    std::set<std::string_view> with_success;
    std::set<std::string_view> with_refusal;
    for (const Answered& each : answered) with_success.insert(each.name);
    for (const Refused& each : refused) with_refusal.insert(each.name);
    std::set<std::string_view> names;
    for (const Stage& row : stage_table()) {
        EXPECT_TRUE(names.insert(row.name).second) << row.name << " stands twice";
        EXPECT_EQ(find_stage(row.name), &row);
        if (row.walk == walk_server_stage) continue;  // of no collection: server_documents_test.cpp
        EXPECT_EQ(with_success.contains(row.name), row.walk != nullptr) << row.name;
        if (row.walk != nullptr) {
            EXPECT_TRUE(with_refusal.contains(row.name)) << row.name;
            continue;
        }
        const std::string name(row.name);
        for (const std::string before : {"", R"({"$match": {"ssn": 5}}, )", R"({"$count": "n"}, )"})
            expect_refusal(
                hospital.aggregate(before + "{\"" + name + "\": {}}"), no,
                "Aggregation stage " + name + " is not allowed or supported with automatic encryption.");
    }
    expect_refusal(hospital.aggregate(R"({"$unheardOf": {}})"), no,
                   "Aggregation stage $unheardOf is not allowed");
}

TEST_F(StageTable, uses_of_fields_are_noted_for_roles) {
    const auto use = [&](const std::string& stages, const std::string& path) {
        const Outcome outcome = hospital.aggregate(stages);
        EXPECT_TRUE(outcome.passed()) << stages << outcome;
        return hospital.use(outcome, path);
    };
    EXPECT_TRUE(use(R"({"$group": {"_id": "$ssn"}})", "ssn").named);
    EXPECT_TRUE(use(R"({"$group": {"_id": "$insurance"}})", "insurance.agent.code").named);
    EXPECT_TRUE(use(R"({"$group": {"_id": 1, "x": {"$addToSet": "$ssn"}}})", "ssn").named);
    EXPECT_FALSE(use(R"({"$group": {"_id": 1, "x": {"$push": "$ssn"}}})", "ssn").named);
    EXPECT_TRUE(use(R"({"$sortByCount": "$ssn"})", "ssn").named);
    EXPECT_TRUE(
        use(R"({"$redact": {"$cond": [{"$eq": ["$ssn", "$insurance.policyNumber"]}, "$$KEEP", "$$PRUNE"]}})",
            "ssn")
            .matched);
    const std::string join =
        R"({"$lookup": {"from": "visits", "localField": "ssn", "foreignField": "patientSsn", "as": "v"}})";
    EXPECT_TRUE(use(join, "ssn").matched);
    const Outcome joined = hospital.aggregate(join);
    const auto visits = joined.plan.fields->find("medicalRecords", "visits")->first_field;
    EXPECT_TRUE(joined.plan.uses.at(visits).matched);
    EXPECT_FALSE(joined.plan.uses.at(visits + 1).matched);
    EXPECT_TRUE(
        use(R"({"$graphLookup": {"from": "visits", "startWith": "$ssn", "connectFromField": "patientSsn",
                "connectToField": "patientSsn", "as": "v"}})",
            "ssn")
            .matched);
    for (const std::string stage : {R"({"$group": {"_id": "$ssn"}})", R"({"$sortByCount": "$ssn"})",
                                    R"({"$group": {"_id": 1, "x": {"$addToSet": "$ssn"}}})", join.c_str()})
        expect_refusal(hospital.aggregate(stage, "patients", R"(, "collation": {"locale": "de"})"), no,
                       "collation");
}

TEST_F(StageTable, writing_stages_write_every_field_of_the_target) {
    const Outcome out = hospital.aggregate(R"({"$out": "archive"})");
    EXPECT_EQ(out.plan.access, Access::write);
    const auto& parts = out.plan.fields->parts();
    ASSERT_EQ(parts.size(), 2u);
    EXPECT_FALSE(out.plan.uses.at(0).written);
    EXPECT_TRUE(out.plan.uses.at(parts[1].first_field).written);
    EXPECT_FALSE(out.plan.part_uses[0].deletes);
    EXPECT_TRUE(out.plan.part_uses[1].deletes);
    EXPECT_TRUE(out.plan.part_uses[1].replaces_whole_documents);
    EXPECT_FALSE(hospital.aggregate(R"({"$merge": "archive"})").plan.part_uses[1].deletes);
    EXPECT_TRUE(
        hospital.use(hospital.aggregate(R"({"$merge": {"into": "archive", "on": "ssn"}})"), "ssn").matched);
    // One field's ciphertext becomes another's, whose readers are others.
    EXPECT_TRUE(out.plan.requires_reveal_everything);
    EXPECT_FALSE(hospital.aggregate(R"({"$out": "patients"})").plan.requires_reveal_everything);
    EXPECT_TRUE(hospital.aggregate(R"({"$planCacheStats": {}})").plan.requires_reveal_everything);
}

}  // namespace
}  // namespace fieldgate::analysis::testing
