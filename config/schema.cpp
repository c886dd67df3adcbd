#include "config/schema.hpp"

#include <algorithm>
#include <boost/assert.hpp>

#include "config/bson_types.hpp"

namespace fieldgate::config {
namespace {

bool is_array_position(std::string_view component) {
    return !component.empty() &&
           std::all_of(component.begin(), component.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// The ways of reading a path so far: one, unless numeric components can be both names and array positions. A
// set rather than a search tree, so that a long path of zeros costs no more than its length times the
// schema's size.
class Readings {
 public:
    explicit Readings(const SchemaNode& root) : first_(&root) {}

    bool empty() const { return first_ == nullptr; }

    void advance(std::string_view component, const SchemaNode** below_protected) {
        const bool may_skip = is_array_position(component);
        const SchemaNode* old_first = first_;
        std::vector<const SchemaNode*> old_others = std::move(others_);
        first_ = nullptr;
        others_.clear();
        const auto step = [&](const SchemaNode* from) {
            if (from->is_protected()) {
                *below_protected = from;
                return;
            }
            if (const SchemaNode* named = from->child(component)) add(named);
            if (may_skip) add(from);
        };
        if (old_first != nullptr) step(old_first);
        for (const SchemaNode* node : old_others) step(node);
    }

    template <class Visit>
    void for_each(Visit visit) const {
        if (first_ != nullptr) visit(first_);
        for (const SchemaNode* node : others_) visit(node);
    }

 private:
    void add(const SchemaNode* node) {
        if (first_ == nullptr) {
            first_ = node;
        } else if (first_ != node && std::find(others_.begin(), others_.end(), node) == others_.end()) {
            others_.push_back(node);
        }
    }

    const SchemaNode* first_;
    std::vector<const SchemaNode*> others_;  // almost always empty, so that matching does not allocate
};

}  // namespace

bool EncryptedField::allows(std::uint8_t bson_type) const {
    if (bson_types.empty()) return may_encrypt(algorithm, bson_type);
    return std::find(bson_types.begin(), bson_types.end(), bson_type) != bson_types.end();
}

const SchemaNode* SchemaNode::child(std::string_view name) const {
    const auto at =
        std::lower_bound(by_name_.begin(), by_name_.end(), name,
                         [&](std::uint16_t i, std::string_view n) { return children_[i].first < n; });
    return at != by_name_.end() && children_[*at].first == name ? children_[*at].second.get() : nullptr;
}

SchemaNode& SchemaNode::add_child(std::string name) {
    BOOST_ASSERT(children_.size() < no_field);
    const auto at =
        std::lower_bound(by_name_.begin(), by_name_.end(), name,
                         [&](std::uint16_t i, const std::string& n) { return children_[i].first < n; });
    BOOST_ASSERT(at == by_name_.end() || children_[*at].first != name);
    by_name_.insert(at, static_cast<std::uint16_t>(children_.size()));
    children_.emplace_back(std::move(name), std::make_unique<SchemaNode>());
    return *children_.back().second;
}

Schema::PathMatch Schema::match(std::string_view dotted_path) const {
    Readings readings(root_);
    const SchemaNode* below = nullptr;
    std::size_t start = 0;
    while (!readings.empty()) {
        const std::size_t dot = dotted_path.find('.', start);
        readings.advance(dotted_path.substr(start, dot == std::string_view::npos ? dot : dot - start),
                         &below);
        if (dot == std::string_view::npos) break;
        start = dot + 1;
    }
    if (below != nullptr) return {below, true};

    const SchemaNode* parent = nullptr;
    const SchemaNode* protected_node = nullptr;
    bool ambiguous = false;
    readings.for_each([&](const SchemaNode* node) {
        if (!node->is_protected()) {
            if (parent == nullptr) parent = node;
        } else if (protected_node == nullptr) {
            protected_node = node;
        } else {
            ambiguous = true;
        }
    });
    // Two protected fields at once (`a.0.1.x` where both `a.0.x` and `a.1.x` are protected) has no right
    // answer: reported like a path below a protected field, which every caller refuses.
    if (ambiguous) return {protected_node, true};
    return {protected_node != nullptr ? protected_node : parent, false};
}

}  // namespace fieldgate::config
