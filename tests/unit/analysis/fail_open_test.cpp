#include <algorithm>

#include "proxy/wire/message.hpp"
#include "support.hpp"

// No way around the analysis: commands that carry the same protected value in every place they have. Each is
// refused, or every copy of the value is inside an edit.
namespace fieldgate::analysis::testing {
namespace {

constexpr std::int32_t canary = 145014000;
const std::string number = "145014000";
const std::string text = "\"145014000\"";

bool contains(wire::Bytes bytes, wire::Bytes needle) {
    return std::search(bytes.begin(), bytes.end(), needle.begin(), needle.end()) != bytes.end();
}

// Whether the value, as a number or as text, is in these bytes.
bool shows_canary(wire::Bytes bytes) {
    const std::uint8_t as_int[] = {0xF0, 0xBC, 0xA4, 0x08};
    static_assert(canary == 0x08A4BCF0);
    const std::string_view as_text = "145014000";
    return contains(bytes, as_int) ||
           contains(bytes, {reinterpret_cast<const std::uint8_t*>(as_text.data()), as_text.size()});
}

class FailOpen : public ::testing::Test {
 protected:
    void expect_closed(const std::string& body, const std::vector<Section>& sections = {}) {
        for (const bool sections_first : {false, true}) {
            const Outcome outcome = clinic.analyse(body, sections, sections_first);
            if (outcome.refused()) continue;
            ASSERT_TRUE(outcome.passed()) << body;
            EXPECT_FALSE(shows_canary(outcome.unedited)) << body << "\n" << outcome;
        }
    }
    void expect_refused(const std::string& body, const std::vector<Section>& sections = {}) {
        for (const bool sections_first : {false, true})
            EXPECT_TRUE(clinic.analyse(body, sections, sections_first).refused()) << body;
    }
    Clinic clinic;
};

// Places of a filter, an update and a document where the value is that of a protected field, or may become
// it.
const std::vector<std::string> filters{
    R"({"ssn": N})",
    R"({"ssn": {"$eq": N}})",
    R"({"ssn": {"$ne": N}})",
    R"({"ssn": {"$in": [N, N]}})",
    R"({"ssn": {"$nin": [N]}})",
    R"({"ssn": {"$not": {"$eq": N}}})",
    R"({"$and": [{"$or": [{"$nor": [{"ssn": N}]}]}]})",
    R"({"ssn": {"$gt": N}})",
    R"({"ssn": {"$mod": [N, N]}})",
    R"({"ssn": {"$exists": N}})",
    R"({"ssn": {"$elemMatch": {"$eq": N}}})",
    R"({"ssn": {"$all": [N]}})",
    R"({"ssn": {"$exists": true, "$type": N}})",
    R"({"ssn": {"$size": N}})",
    R"({"ssn": {"$bitsAllSet": N}})",
    R"({"$expr": {"$eq": ["$ssn", N]}})",
    R"({"$where": T})",
    R"({"$jsonSchema": {"properties": {"ssn": {"enum": [N]}}}})",
    R"({"$text": {"$search": T}})",
    R"({"insurance": {"policyNumber": N}})",
    R"({"insurance": {"$eq": {"policyNumber": N}}})",
    R"({"insurance": {"policyNumber": N, "agent": {"code": T}}})",
    R"({"insurance": {"policyNumber": N, "agent": {"code": T, "0": T}}})",
    R"({"insurance": {"$nin": [{"agent": {"code": T}, "policyNumber": N}]}})",
    R"({"insurance": {"policyNumber": N, "agent": {"code": T}, "agent": {"code": T}}})",
    R"({"insurance": {"policyNumber": N, "agent.code": T, "agent": {"code": T}}})",
    R"({"insurance": {"$in": [{"policyNumber": N}]}})",
    R"({"insurance": {"$elemMatch": {"policyNumber": N}}})",
    R"({"insurance.0.policyNumber": N})",
    R"({"insurance.policyNumber": {"$lte": N}})",
    R"({"ssn.0": N})",
    R"({"ssn.x": N})",
    R"({"bloodType": T})",
    R"({"bloodType": {"$in": [T]}})",
    R"({"bloodType": {"$exists": true, "$regex": T}})",
    R"({"medicalRecords.0.weight": N})",
    R"({"medicalRecords": {"$elemMatch": {"weight": N}}})",
    R"({"ssn": T})",
    R"({"ssn": {"$numberLong": "145014000"}})",
    R"({"ssn": [N]})",
    R"({"ssn": {"x": N}})",
    R"({"insurance.policyNumber": T})",
    R"({"ssn": {"$unheardOf": N}})",
    R"({"$unheardOf": {"ssn": N}})",
    R"({"tags": {"$elemMatch": {"$expr": {"$eq": ["$ssn", N]}}}})",
    R"({"ssn": {"$eq": N, "$gt": N}})",
    R"({"ssn": {"$regularExpression": {"pattern": "145014000", "options": ""}}})",
    R"({"seen": {"$timestamp": {"t": N, "i": 1}}})"};

const std::vector<std::string> updates{
    R"({"$set": {"ssn": N}})",
    R"({"$set": {"ssn": T}})",
    R"({"$set": {"insurance": {"policyNumber": N}}})",
    R"({"$set": {"insurance": [{"policyNumber": N}]}})",
    R"({"$set": {"insurance": {"agent": {"code": T}, "policyNumber": N}}})",
    R"({"$set": {"insurance.agent": {"code": T}}})",
    R"({"$set": {"insurance.agent.code": T}})",
    R"({"$set": {"insurance.0.policyNumber": N}})",
    R"({"$set": {"insurance.$.policyNumber": N}})",
    R"({"$set": {"insurance.$[].policyNumber": N}})",
    R"({"$set": {"insurance.$[i].policyNumber": N}})",
    R"({"$set": {"ssn.x": N}})",
    R"({"$set": {"medicalRecords.0.weight": N}})",
    R"({"$set": {"medicalRecords": [{"weight": N}]}})",
    R"({"$set": {"insurance": {"agent.code": T}}})",
    R"({"$setOnInsert": {"ssn": N}})",
    R"({"$setOnInsert": {"insurance": {"policyNumber": N}}})",
    R"({"$inc": {"ssn": N}})",
    R"({"$mul": {"ssn": N}})",
    R"({"$min": {"ssn": N}})",
    R"({"$max": {"ssn": N}})",
    R"({"$bit": {"ssn": {"or": N}}})",
    R"({"$push": {"ssn": N}})",
    R"({"$push": {"medicalRecords": {"weight": N}}})",
    R"({"$push": {"medicalRecords": {"$each": [{"weight": N}]}}})",
    R"({"$addToSet": {"medicalRecords": {"weight": N}}})",
    R"({"$pull": {"medicalRecords": {"weight": N}}})",
    R"({"$pullAll": {"medicalRecords": [{"weight": N}]}})",
    R"({"$unheardOf": {"ssn": N}})",
    R"([{"$set": {"ssn": N}}])",
    R"([{"$replaceWith": {"ssn": N}}])",
    R"({"ssn": N})",
    R"({"insurance": {"policyNumber": N}})",
    R"({"insurance": [{"policyNumber": N}]})",
    R"({"insurance.policyNumber": N})",
    R"({"name": "x", "$set": {"ssn": N}})",
    R"({"$set": {"name": "x"}, "ssn": N})",
    R"({"$set": {"ssn": N}, "$set": {"ssn": N}})",
    R"({"ssn": N, "ssn": N})",
    R"({"note": {"x": [N]}})"};

std::string fill(std::string pattern) {
    for (const auto& [placeholder, value] : {std::pair{'N', number}, {'T', text}})
        for (std::size_t at = 1; (at = pattern.find(placeholder, at)) != std::string::npos; ++at)
            // Only where a value stands: after a space or a bracket.
            if (pattern[at - 1] == ' ' || pattern[at - 1] == '[') pattern.replace(at, 1, value);
    return pattern;
}

TEST_F(FailOpen, filters_of_every_command_that_has_one) {
    for (const std::string& pattern : filters) {
        const std::string filter = fill(pattern);
        expect_closed(R"({"find": "patients", "filter": )" + filter + "}");
        expect_closed(R"({"count": "patients", "query": )" + filter + "}");
        expect_closed(R"({"distinct": "patients", "key": "name", "query": )" + filter + "}");
        expect_closed(R"({"aggregate": "patients", "cursor": {}, "pipeline": [{"$limit": 1}, {"$match": )" +
                      filter + "}]}");
        expect_closed(R"({"findAndModify": "patients", "remove": true, "query": )" + filter + "}");
        for (const std::string more : {"", R"(, "upsert": true)", R"(, "multi": true)"}) {
            const std::string statement =
                R"({"q": )" + filter + R"(, "u": {"$set": {"name": "x"}})" + more + "}";
            expect_closed(R"({"update": "patients"})",
                          {{"updates", {R"({"q": {}, "u": {"$set": {"name": "x"}}})", statement}}});
            expect_closed(R"({"update": "patients", "updates": [)" + statement + "]}");
        }
        const std::string statement = R"({"limit": 1, "q": )" + filter + "}";
        expect_closed(R"({"delete": "patients"})", {{"deletes", {statement, statement}}});
        expect_closed(R"({"delete": "patients", "deletes": [)" + statement + "]}");
        expect_closed(R"({"explain": {"find": "patients", "filter": )" + filter + "}}");
        expect_refused(R"({"collMod": "patients", "validator": )" + filter + "}");
        expect_refused(R"({"create": "patients", "validator": )" + filter + "}");
        expect_refused(
            R"({"createIndexes": "patients", "indexes": [{"key": {"name": 1}, "name": "n", "partialFilterExpression": )" +
            filter + "}]}");
        expect_refused(R"({"planCacheSetFilter": "patients", "query": )" + filter + "}");
        expect_refused(R"({"mapReduce": "patients", "query": )" + filter + R"(, "out": {"inline": 1}})");
        expect_closed(
            R"({"bulkWrite": 1, "nsInfo": [{"ns": "medicalRecords.patients"}], "ops": [{"delete": 0, "filter": )" +
            filter + "}]}");
        expect_closed(R"({"bulkWrite": 1})", {{"ops", {R"({"delete": 0, "filter": )" + filter + "}"}},
                                              {"nsInfo", {R"({"ns": "medicalRecords.patients"})"}}});
    }
}

TEST_F(FailOpen, updates_of_every_command_that_has_one) {
    for (const std::string& pattern : updates) {
        const std::string update = fill(pattern);
        for (const std::string more : {"", R"(, "upsert": true)", R"(, "arrayFilters": [{"i": 1}])"}) {
            const std::string statement = R"({"q": {}, "u": )" + update + more + "}";
            expect_closed(R"({"update": "patients"})", {{"updates", {statement, statement}}});
            expect_closed(R"({"update": "patients", "updates": [)" + statement + "]}");
            expect_closed(R"({"findAndModify": "patients", "query": {}, "update": )" + update + more + "}");
            expect_closed(R"({"explain": {"update": "patients", "updates": [)" + statement + "]}}");
        }
        expect_refused(R"({"applyOps": [{"op": "u", "ns": "medicalRecords.patients", "o": )" + update +
                       "}]}");
        expect_closed(R"({"bulkWrite": 1})",
                      {{"ops", {R"({"update": 0, "filter": {}, "updateMods": )" + update + "}"}},
                       {"nsInfo", {R"({"ns": "medicalRecords.patients"})"}}});
        if (pattern[0] != '{' || pattern.find('$') != std::string::npos) continue;
        expect_closed(R"({"insert": "patients"})", {{"documents", {R"({"name": "x"})", update}}});
        expect_closed(R"({"insert": "patients", "documents": [)" + update + "]}");
        expect_refused(R"({"applyOps": [{"op": "i", "ns": "medicalRecords.patients", "o": )" + update +
                       "}]}");
    }
}

TEST_F(FailOpen, options_that_carry_values) {
    for (const std::string option :
         {R"("min": {"ssn": N})", R"("max": {"insurance.policyNumber": N})", R"("hint": {"ssn": N})",
          R"("sort": {"ssn": N})", R"("projection": {"x": {"$eq": ["$name", "$ssn", N]}})",
          R"("projection": {"medicalRecords": {"$elemMatch": {"weight": N}}})", R"("projection": {"ssn": T})",
          R"("skip": {"ssn": N})", R"("unheardOf": N)", R"("query": {"ssn": N})",
          R"("runtimeConstants": {"x": N})"}) {
        expect_refused(R"({"find": "patients", )" + fill(option) + "}");
        expect_refused(R"({"aggregate": "patients", "pipeline": [], )" + fill(option) + "}");
    }
    expect_refused(fill(
        R"({"update": "patients", "updates": [{"q": {}, "u": {"$set": {"name": "x"}}, "c": {"x": N}}]})"));
    expect_refused(fill(
        R"({"update": "patients", "updates": [{"q": {}, "u": {"$set": {"name": "x"}}, "arrayFilters": [{"$expr": N}]}]})"));
    expect_closed(fill(R"({"find": "patients", "projection": {"x": {"$eq": ["$ssn", N]}}})"));
    expect_closed(
        fill(R"({"aggregate": "patients", "pipeline": [{"$addFields": {"x": {"$eq": ["$ssn", N]}}}]})"));
    expect_closed(
        fill(R"({"aggregate": "patients", "pipeline": [{"$match": {"$expr": {"$eq": ["$ssn", N]}}}]})"));
    // A variable's value is not encrypted, so it cannot be compared with what is.
    expect_refused(
        fill(R"({"find": "patients", "filter": {"$expr": {"$eq": ["$ssn", "$$x"]}}, "let": {"x": N}})"));
    expect_refused(fill(R"({"split": "medicalRecords.patients", "middle": {"ssn": N}})"));
}

TEST_F(FailOpen, statements_in_the_wrong_sequence_or_twice) {
    const std::string document = fill(R"({"ssn": N})");
    expect_refused(R"({"insert": "patients"})", {{"updates", {document}}});
    expect_refused(R"({"insert": "patients"})", {{"Documents", {document}}});
    expect_refused(R"({"insert": "patients"})", {{"documents", {document}}, {"x", {document}}});
    expect_refused(R"({"find": "patients"})", {{"filter", {document}}});
    expect_refused(R"({"insert": "wards"})", {{"documents", {document}}, {"x", {document}}});
    expect_refused(fill(R"({"insert": "patients", "documents": [{"ssn": N}], "documents": [{"ssn": N}]})"));
    expect_refused(fill(R"({"insert": "patients", "documents": {"0": {"ssn": N}}})"));
    expect_refused(fill(R"({"insert": "wards", "documents": [{"ssn": N}], "insert": "patients"})"));
    expect_refused(
        fill(R"({"insert": "wards", "documents": [{"ssn": N}], "$db": "x", "$db": "medicalRecords"})"));
}

TEST_F(FailOpen, the_canary_is_seen_where_it_is_not_edited) {
    // The check itself: what passes by design shows the value.
    const Outcome outcome = clinic.analyse(fill(R"({"find": "patients", "filter": {"name": T}})"));
    EXPECT_TRUE(outcome.passed());
    EXPECT_TRUE(shows_canary(outcome.unedited));
    EXPECT_TRUE(
        shows_canary(clinic.analyse(fill(R"({"find": "patients", "filter": {"room": N}})")).unedited));
    EXPECT_FALSE(
        shows_canary(clinic.analyse(fill(R"({"find": "patients", "filter": {"ssn": N}})")).unedited));
}

}  // namespace
}  // namespace fieldgate::analysis::testing
