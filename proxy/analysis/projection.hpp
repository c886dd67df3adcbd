#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/analysis/request.hpp"

// Projections of find and of stages, and the options that name paths: sort, min and max.
namespace fieldgate::analysis {

enum class ProjectionOf : std::uint8_t {
    find,   // also findAndModify's and count's `fields`: $slice, $elemMatch, $meta and positions are allowed
    stage,  // $project
    additions,  // $addFields and $set: what is not named stays
};

// What a projection makes of documents: paths kept, or paths taken away, and values computed. Walked against
// the tree that is in force, and then applied to it, because the server computes all of it from the same
// document.
class Projection {
 public:
    explicit Projection(ProjectionOf of) : of_(of) {}

    // False: refused.
    [[nodiscard]] bool walk(Request& request, bson::DocumentView projection);
    bool computes() const { return !computed_.empty(); }
    // The tree of the documents that come out.
    config::SchemaNode apply(const config::SchemaNode& tree) &&;

 private:
    bool walk_element(Request& request, const bson::Element& element, bool below_plain);
    bool walk_object(Request& request, const bson::Element& element, bool below_plain);
    bool walk_inclusion(Request& request, const bson::Element& element, bool below_plain);
    bool walk_operator(Request& request, const bson::Element& op);
    bool walk_computed(Request& request, const bson::Element& element, bool below_plain);
    bool charge_names(Request& request) const;
    bool refuse_computed(Request& request) const;

    const ProjectionOf of_;
    std::string path_;  // where the walk stands
    bool keeps_ = false;
    bool keeps_id_ = true;
    std::vector<std::string> kept_;  // of a stage, where something may be protected
    std::vector<std::string> taken_;
    std::vector<std::pair<std::string, config::SchemaNode>> computed_;
};

// The projection of a find-like command, whose reply then has another tree if it computes.
[[nodiscard]] bool walk_find_projection(Request& request, bson::DocumentView projection);

[[nodiscard]] bool walk_sort(Request& request, bson::DocumentView sort);
[[nodiscard]] bool walk_bounds(Request& request, bson::DocumentView bounds, std::string_view option);

// A pipeline of an update would change a field in a way that its tree does not show.
[[nodiscard]] bool refuse_update_of_field(Request& request, std::string_view path);

// Whether a value can be put there by name: the path goes through no protected field, unknown place, array
// that a stage made, or position.
[[nodiscard]] bool admit_new_path(Request& request, std::string_view path);
// What documents have at a path that a stage is about to fill: in force, else in the store; null: nothing
// protected.
const config::SchemaNode* target_at(const Request& request, std::string_view path);

}  // namespace fieldgate::analysis
