#include "config/schema.hpp"

#include <algorithm>
#include <boost/assert.hpp>

#include "config/bson_types.hpp"
#include "config/name_pattern.hpp"

namespace fieldgate::config {
namespace {

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
            if (from->unknown) {
                add(from);
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

bool is_array_position(std::string_view name) {
    return !name.empty() &&
           std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool EncryptedField::allows(std::uint8_t bson_type) const {
    if (bson_types.empty()) return may_encrypt(algorithm, bson_type);
    return std::find(bson_types.begin(), bson_types.end(), bson_type) != bson_types.end();
}

const SchemaNode* SchemaNode::child(std::string_view name) const {
    if (const SchemaNode* named = named_child(name)) return named;
    return patterns_.empty() ? nullptr : child_by_pattern(name);
}

const SchemaNode* SchemaNode::named_child(std::string_view name) const {
    const auto at =
        std::lower_bound(by_name_.begin(), by_name_.end(), name,
                         [&](std::uint16_t i, std::string_view n) { return children_[i].first < n; });
    return at != by_name_.end() && children_[*at].first == name ? children_[*at].second.get() : nullptr;
}

const SchemaNode* SchemaNode::child_by_pattern(std::string_view name) const {
    static const SchemaNode unknown_node = [] {
        SchemaNode node;
        node.unknown = true;
        return node;
    }();
    const SchemaNode* found = nullptr;
    for (const Pattern& candidate : patterns_) {
        const NamePattern::Answer answer = candidate.pattern->matches(name);
        if (answer == NamePattern::Answer::no) continue;
        if (answer == NamePattern::Answer::undecided) return &unknown_node;
        if (found != nullptr && !found->protects_alike(*candidate.node)) return &unknown_node;
        found = candidate.node.get();
    }
    if (found == nullptr) return nullptr;
    for (const auto& plain : plain_patterns_)
        if (plain->matches(name) != NamePattern::Answer::no) return &unknown_node;
    return found;
}

bool SchemaNode::protects_alike(const SchemaNode& other) const {
    if (field != other.field || unknown != other.unknown || array != other.array ||
        children_.size() != other.children_.size() || patterns_.size() != other.patterns_.size() ||
        plain_patterns_.size() != other.plain_patterns_.size())
        return false;
    for (std::size_t i = 0; i < by_name_.size(); ++i) {
        const auto& [name, node] = children_[by_name_[i]];
        const auto& [other_name, other_node] = other.children_[other.by_name_[i]];
        if (name != other_name || !node->protects_alike(*other_node)) return false;
    }
    const auto has_alike = [&](const Pattern& mine) {
        return std::any_of(other.patterns_.begin(), other.patterns_.end(), [&](const Pattern& theirs) {
            return mine.pattern->text() == theirs.pattern->text() && mine.node->protects_alike(*theirs.node);
        });
    };
    const auto has_plain = [&](const std::shared_ptr<const NamePattern>& mine) {
        return std::any_of(other.plain_patterns_.begin(), other.plain_patterns_.end(),
                           [&](const auto& theirs) { return mine->text() == theirs->text(); });
    };
    return std::all_of(patterns_.begin(), patterns_.end(), has_alike) &&
           std::all_of(plain_patterns_.begin(), plain_patterns_.end(), has_plain);
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

SchemaNode& SchemaNode::add_pattern(std::shared_ptr<const NamePattern> pattern) {
    BOOST_ASSERT(pattern != nullptr);
    patterns_.push_back({std::move(pattern), std::make_unique<SchemaNode>()});
    return *patterns_.back().node;
}

void SchemaNode::add_plain_pattern(std::shared_ptr<const NamePattern> pattern) {
    BOOST_ASSERT(pattern != nullptr);
    plain_patterns_.push_back(std::move(pattern));
}

void SchemaNode::put_child(std::string name, SchemaNode node) {
    remove_child(name);
    add_child(std::move(name)) = std::move(node);
}

void SchemaNode::remove_child(std::string_view name) {
    const auto found = std::find_if(children_.begin(), children_.end(),
                                    [&](const auto& child) { return child.first == name; });
    if (found == children_.end()) return;
    const auto position = static_cast<std::uint16_t>(found - children_.begin());
    children_.erase(found);
    std::erase(by_name_, position);
    for (std::uint16_t& at : by_name_)
        if (at > position) --at;
}

SchemaNode SchemaNode::clone() const {
    SchemaNode copy;
    copy.field = field;
    copy.unknown = unknown;
    copy.array = array;
    copy.dotted_keys = dotted_keys;
    copy.by_name_ = by_name_;
    for (const auto& [name, node] : children_)
        copy.children_.emplace_back(name, std::make_unique<SchemaNode>(node->clone()));
    for (const Pattern& pattern : patterns_)
        copy.patterns_.push_back({pattern.pattern, std::make_unique<SchemaNode>(pattern.node->clone())});
    copy.plain_patterns_ = plain_patterns_;
    return copy;
}

PathMatch match_path(const SchemaNode& root, std::string_view dotted_path) {
    Readings readings(root);
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
    const SchemaNode* unknown = nullptr;
    const SchemaNode* protected_node = nullptr;
    bool ambiguous = false;
    readings.for_each([&](const SchemaNode* node) {
        if (node->unknown) {
            unknown = node;
        } else if (!node->is_protected()) {
            if (parent == nullptr) parent = node;
        } else if (protected_node == nullptr) {
            protected_node = node;
        } else {
            ambiguous = true;
        }
    });
    if (unknown != nullptr) return {unknown, false};
    // Two protected fields at once (`a.0.1.x` where both `a.0.x` and `a.1.x` are protected) has no right
    // answer: reported like a path below a protected field, which every caller refuses.
    if (ambiguous) return {protected_node, true};
    return {protected_node != nullptr ? protected_node : parent, false};
}

}  // namespace fieldgate::config
