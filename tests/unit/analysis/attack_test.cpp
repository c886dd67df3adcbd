#include <algorithm>

#include "tests/unit/analysis/support.hpp"

// Ways around the analysis that an attacker found in its first version, each with the bound one below it.
namespace fieldgate::analysis {
namespace {

using namespace testing;

std::string pipeline_of_unions(int count) {
    std::string stages;
    for (int i = 0; i < count; ++i)
        stages += (i == 0 ? "" : ", ") + ("{\"$unionWith\": \"n" + std::to_string(i) + "\"}");
    return R"({"aggregate": "wards", "cursor": {}, "pipeline": [)" + stages + "]}";
}

TEST(Attack, a_command_names_64_namespaces_and_no_more) {
    const Clinic clinic;
    EXPECT_TRUE(clinic.analyse(pipeline_of_unions(64)).passed());
    expect_refusal(clinic.analyse(pipeline_of_unions(65)), code::command_not_supported, "more namespaces");
    // The same one again is no other one.
    std::string repeated = pipeline_of_unions(64);
    repeated.insert(repeated.size() - 2, R"(, {"$unionWith": "n0"})");
    EXPECT_TRUE(clinic.analyse(repeated).passed());
}

TEST(Attack, a_view_reads_64_namespaces_and_no_more) {
    for (const int count : {64, 65}) {
        Clinic clinic;
        NamespaceFacts facts;
        facts.is_view = true;
        for (int i = 0; i < count; ++i) facts.reads.push_back({"medicalRecords", "n" + std::to_string(i)});
        clinic.catalog.facts["medicalRecords.wide"] = facts;
        EXPECT_EQ(clinic.analyse(R"({"find": "wide"})").passed(), count == 64) << count;
    }
}

TEST(Attack, views_below_a_view_count_as_what_it_reads) {
    for (const int count : {63, 64}) {
        Clinic clinic;
        NamespaceFacts wide;
        wide.is_view = true;
        for (int i = 0; i < count; ++i) wide.reads.push_back({"medicalRecords", "n" + std::to_string(i)});
        clinic.catalog.facts["medicalRecords.wide"] = wide;
        clinic.catalog.facts["medicalRecords.above"] = {.is_view = true,
                                                        .reads = {{"medicalRecords", "wide"}}};
        EXPECT_EQ(clinic.analyse(R"({"find": "above"})").passed(), count == 63) << count;
    }
}

TEST(Attack, logins_in_the_external_database_pass_and_nothing_else_does_there) {
    const Clinic clinic;
    EXPECT_TRUE(
        clinic.analyse(R"({"saslStart": 1, "mechanism": "MONGODB-X509", "$db": "$external"})").passed());
    expect_refusal(clinic.analyse(R"({"find": "wards", "$db": "$external"})"), code::invalid_namespace,
                   "Invalid database name");
    expect_refusal(clinic.analyse(R"({"ping": 1, "$db": "$externals"})"), code::invalid_namespace,
                   "Invalid database name");
}

TEST(Attack, names_that_no_server_takes_are_refused_before_anything_is_asked) {
    Clinic clinic;
    clinic.catalog.facts.clear();
    const auto find = [&](const std::string& database, const std::string& collection) {
        bson::Buffer body;
        bson::Builder(body).append_string("find", collection).append_string("$db", database).finish();
        return clinic.analyse(body);
    };
    using Step = RequestAnalysis::Step;
    EXPECT_EQ(find(std::string(63, 'd'), std::string(191, 'c')).step, Step::need_namespaces);
    for (const auto& [database, collection] : {std::pair{std::string(64, 'd'), std::string("c")},
                                               {std::string(63, 'd'), std::string(192, 'c')},
                                               {"d", std::string(254, 'c')},
                                               {"d", "\xff\xfe"},
                                               {"\xff", "c"},
                                               {"a b", "c"},
                                               {"a/b", "c"},
                                               {"a\\b", "c"},
                                               {"a*", "c"},
                                               {"d", ".c"}})
        expect_refusal(find(database, collection), code::invalid_namespace, "Invalid");
}

TEST(Attack, a_path_in_a_projection_has_2000_bytes_and_no_more) {
    const Clinic clinic;
    const auto project = [&](std::size_t bytes) {
        return clinic.analyse(R"({"find": "patients", "projection": {")" + std::string(bytes - 2, 'k') +
                              R"(": {"a": 1}}})");
    };
    EXPECT_TRUE(project(2000).passed());
    expect_refusal(project(2001), code::bad_value, "too long");
}

TEST(Attack, projections_below_plain_paths_are_looked_at_all_the_way_down) {
    const Clinic clinic;
    const auto project = [&](const std::string& projection) {
        return clinic.analyse(R"({"find": "patients", "projection": )" + projection + "}");
    };
    EXPECT_TRUE(project(R"({"a": {"b": {"c": 1, "d": {"$slice": 3}}, "ssn": 7, "e.$": 1}})").passed());
    const std::string text = "is computed";
    for (const std::string inner : {R"("$ssn")", "[1]", R"({"c": "$ssn"})"})
        EXPECT_TRUE(project(R"({"a": {"b": )" + inner + "}}").passed()) << inner;
    for (const std::string inner : {"{}", R"({"c": {}})"})
        expect_refusal(project(R"({"a": {"b": )" + inner + "}}"), code::operation_not_on_encrypted, text);
    expect_refusal(project(R"({"a": {"b": {"c": {"$concat": ["$ssn"]}}}})"), code::operation_not_on_encrypted,
                   "$concat is not allowed on encrypted field '$ssn'");
    expect_refusal(project(R"({"a": {"b": {"$elemMatch": {"$where": "x"}}}})"),
                   code::operation_not_on_encrypted, "'$where'");
    expect_refusal(project(R"({"a": {"b": {")" + std::string(1997, 'k') + R"(": 1, "c": {"d": 1}}}})"),
                   code::bad_value, "too long");
    expect_refusal(
        clinic.analyse(
            R"({"aggregate": "patients", "cursor": {}, "pipeline": [{"$project": {"a": {"b.$": 1}}}]})"),
        code::operation_not_on_encrypted, text);
    // What only looks plain is not.
    expect_refusal(project(R"({"insurance.$": {"policyNumber": "$x"}})"), code::operation_not_on_encrypted,
                   "'insurance.$.policyNumber'");
    expect_refusal(project(R"({"insurance": {"policyNumber": 123142}})"), code::operation_not_on_encrypted,
                   text);
}

TEST(Attack, an_index_on_a_protected_field_is_a_use_of_it) {
    const Clinic clinic;
    const auto create = [&](const std::string& key, const std::string& options) {
        return clinic.analyse(R"({"createIndexes": "patients", "indexes": [{"key": )" + key +
                              R"(, "name": "i")" + options + "}]}");
    };
    const Outcome unique = create(R"({"ssn": 1, "name": 1})", R"(, "unique": true)");
    EXPECT_TRUE(clinic.use(unique, "ssn").matched);
    EXPECT_TRUE(clinic.use(unique, "ssn").written);
    const Outcome sparse = create(R"({"bloodType": 1})", R"(, "sparse": true)");
    EXPECT_TRUE(clinic.use(sparse, "bloodType").matched);
    EXPECT_FALSE(clinic.use(sparse, "bloodType").written);
    EXPECT_TRUE(clinic.use(create(R"({"insurance": 1})", ""), "insurance.policyNumber").matched);
    EXPECT_FALSE(clinic.use(create(R"({"name": 1})", R"(, "unique": true)"), "ssn").matched);
}

TEST(Attack, a_hint_is_a_use_of_its_path_and_a_name_may_stand_for_any) {
    const Clinic clinic;
    const auto find = [&](const std::string& hint) {
        return clinic.analyse(R"({"find": "patients", "hint": )" + hint + "}");
    };
    EXPECT_TRUE(clinic.use(find(R"({"bloodType": 1})"), "bloodType").matched);
    EXPECT_FALSE(find(R"({"name": 1})").plan.names_index);
    EXPECT_FALSE(find(R"("_id_")").plan.names_index);
    EXPECT_TRUE(find(R"("sparse_bt")").plan.names_index);
    // Also where the pipeline ends without encrypted fields.
    const Outcome counted =
        clinic.analyse(R"({"aggregate": "patients", "cursor": {}, "pipeline": [{"$count": "n"}],
                                               "hint": {"bloodType": 1}})");
    EXPECT_TRUE(clinic.use(counted, "bloodType").matched);
    EXPECT_TRUE(clinic.analyse(R"({"dropIndexes": "patients", "index": "ssn_1"})").plan.names_index);
    EXPECT_TRUE(clinic.analyse(R"({"dropIndexes": "patients", "index": ["ssn_1"]})").plan.names_index);
    EXPECT_TRUE(clinic.analyse(R"({"dropIndexes": "patients", "index": "*"})").plan.names_index);
    EXPECT_TRUE(clinic.analyse(R"({"reIndex": "patients"})").plan.names_index);
}

TEST(Attack, a_filter_behind_a_stage_that_counts_is_refused) {
    const Clinic clinic;
    for (const std::string stage : {R"({"$count": "n"})", R"({"$group": {"_id": 1, "n": {"$sum": 1}}})"})
        expect_refusal(clinic.analyse(R"({"aggregate": "patients", "cursor": {}, "pipeline": [)" + stage +
                                      R"(, {"$match": {"ssn": 145014000}}]})"),
                       code::operation_not_on_encrypted, "not known until runtime: 'ssn'");
}

TEST(Attack, no_value_stands_beside_a_protected_path_behind_a_stage_that_counts) {
    const Clinic clinic;
    const auto after_count = [&](const std::string& stage) {
        return clinic.analyse(R"({"aggregate": "patients", "cursor": {}, "pipeline": [{"$count": "n"}, )" +
                              stage + "]}");
    };
    expect_refusal(after_count(R"({"$sort": {"ssn": 145014000}})"), code::operation_not_on_encrypted,
                   "'ssn'");
    expect_refusal(after_count(R"({"$project": {"ssn": 145014000}})"), code::operation_not_on_encrypted,
                   "'ssn'");
    const Outcome plain = after_count(R"({"$sort": {"n": 1}}, {"$project": {"n": 1}})");
    EXPECT_TRUE(plain.passed()) << plain;
    EXPECT_TRUE(plain.plan.shape.tree->children().empty());
}

TEST(Attack, ciphertext_inside_the_scope_of_code_is_refused) {
    const Clinic clinic;
    const auto insert = [&](const std::string& scope) {
        return clinic.analyse(R"({"insert": "patients", "documents": [{"name": {"$code": "x", "$scope": )" +
                              scope + "}}]}");
    };
    EXPECT_TRUE(insert(R"({"a": 1})").passed());
    expect_refusal(insert(R"({"a": )" + ciphertext(1) + "}"), code::bad_value, "Ciphertext");
}

TEST(Attack, array_positions_written_as_names_reach_no_protected_path) {
    const Clinic clinic;
    for (const std::string component : {"$", "$[]", "$[i]"})
        expect_refusal(clinic.analyse(R"({"find": "patients", "filter": {"insurance.)" + component +
                                      R"(.policyNumber": 123142}})"),
                       code::operation_not_on_encrypted, "encrypted field");
    for (const std::string name : {"$each", "$", "0", "17"})
        for (const std::string command :
             {R"({"update": "patients", "updates": [{"q": {}, "u": {"$set": {"insurance": DOC}}}]})",
              R"({"insert": "patients", "documents": [{"insurance": DOC}]})"}) {
            std::string text = command;
            text.replace(text.find("DOC"), 3, "{\"" + name + "\": [{\"policyNumber\": 5}]}");
            expect_refusal(clinic.analyse(text), code::bad_value,
                           "cannot stand in an object with encrypted fields");
        }
    EXPECT_TRUE(clinic.analyse(R"({"insert": "patients", "documents": [{"visits": {"0": 1}}]})").passed());
}

TEST(Attack, values_that_the_server_would_ignore_are_not_sent) {
    const Clinic clinic;
    const auto unset = [&](const std::string& value) {
        return clinic.analyse(
            R"({"update": "patients", "updates": [{"q": {}, "u": {"$unset": {"bloodType": )" + value +
            "}}}]}");
    };
    for (const std::string value : {"\"\"", "1", "0", "true", "null"})
        EXPECT_TRUE(unset(value).passed()) << value;
    for (const std::string value : {"\"jon@example.com\"", "145014000", "[1]", "{}"})
        expect_refusal(unset(value), code::operation_not_on_encrypted, "$unset");
    const auto project = [&](const std::string& value) {
        return clinic.analyse(R"({"find": "patients", "projection": {"ssn": )" + value + "}}");
    };
    for (const std::string value : {"1", "0", "true", "1.0"}) EXPECT_TRUE(project(value).passed()) << value;
    expect_refusal(project("145014000"), code::operation_not_on_encrypted, "'ssn'");
    EXPECT_TRUE(clinic.analyse(R"({"find": "patients", "projection": {"name": 7}})").passed());
}

}  // namespace
}  // namespace fieldgate::analysis
