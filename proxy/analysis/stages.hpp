#pragma once

#include "proxy/analysis/pipeline.hpp"

// What the rows of the stage table point to. Internal to analysis/: one file per family.
namespace fieldgate::analysis {

// stages.cpp: the same documents, fewer fields, more fields
bool walk_match_stage(Pipeline& pipeline, const bson::Element& stage);
bool walk_sort_stage(Pipeline& pipeline, const bson::Element& stage);
bool walk_number_stage(Pipeline& pipeline, const bson::Element& stage);  // $skip, $limit
bool walk_sample(Pipeline& pipeline, const bson::Element& stage);
bool walk_project(Pipeline& pipeline, const bson::Element& stage);
bool walk_add_fields(Pipeline& pipeline, const bson::Element& stage);
bool walk_unset(Pipeline& pipeline, const bson::Element& stage);
bool walk_replace_root(Pipeline& pipeline, const bson::Element& stage);
bool walk_replace_with(Pipeline& pipeline, const bson::Element& stage);
bool walk_unwind(Pipeline& pipeline, const bson::Element& stage);
bool walk_redact(Pipeline& pipeline, const bson::Element& stage);

// stages_group.cpp: documents made of many
bool walk_count_stage(Pipeline& pipeline, const bson::Element& stage);
bool walk_group(Pipeline& pipeline, const bson::Element& stage);
bool walk_bucket(Pipeline& pipeline, const bson::Element& stage);
bool walk_bucket_auto(Pipeline& pipeline, const bson::Element& stage);
bool walk_sort_by_count(Pipeline& pipeline, const bson::Element& stage);

// stages_join.cpp: other namespaces and other pipelines
bool walk_lookup(Pipeline& pipeline, const bson::Element& stage);
bool walk_graph_lookup(Pipeline& pipeline, const bson::Element& stage);
bool walk_union_with(Pipeline& pipeline, const bson::Element& stage);
bool walk_facet(Pipeline& pipeline, const bson::Element& stage);
bool walk_out(Pipeline& pipeline, const bson::Element& stage);
bool walk_merge(Pipeline& pipeline, const bson::Element& stage);

// stages_source.cpp: where documents come from
bool walk_change_stream(Pipeline& pipeline, const bson::Element& stage);
bool walk_split_event(Pipeline& pipeline, const bson::Element& stage);
bool walk_geo_near(Pipeline& pipeline, const bson::Element& stage);
bool walk_documents(Pipeline& pipeline, const bson::Element& stage);
bool walk_statistics(Pipeline& pipeline, const bson::Element& stage);    // $collStats, $indexStats
bool walk_plan_cache(Pipeline& pipeline, const bson::Element& stage);    // $planCacheStats
bool walk_server_stage(Pipeline& pipeline, const bson::Element& stage);  // $currentOp and its like

enum class AccumulatorRule : std::uint8_t {
    plain_only,  // computes from values
    one_of,      // its value is one of those it was given: $first, $last
    all_of,      // an array of them: $push
    different,   // an array of those that differ: $addToSet
    some_of,     // { input, n }: $firstN, $lastN
    top,         // { output, sortBy }: one of the outputs
    top_of,      // { output, sortBy, n }: an array of them
    counts,      // nothing of a document
    merges,      // $mergeObjects
    never,       // JavaScript
};
struct AccumulatorOperator {
    std::string_view name;
    AccumulatorRule rule;
};
std::span<const AccumulatorOperator> accumulator_operators();

bool refuse_stage_shape(Pipeline& pipeline, const bson::Element& stage, std::string_view needs);

}  // namespace fieldgate::analysis
