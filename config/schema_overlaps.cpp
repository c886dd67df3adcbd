#include "config/schema_overlaps.hpp"

#include <algorithm>
#include <boost/assert.hpp>
#include <numeric>

#include "config/name_pattern.hpp"

namespace fieldgate::config {
namespace {

using Pattern = SchemaNode::Pattern;

bool same_types(std::vector<std::uint8_t> a, std::vector<std::uint8_t> b) {
    std::sort(a.begin(), a.end());
    std::sort(b.begin(), b.end());
    return a == b;
}

const SchemaNode* node_of_text(const SchemaNode& parent, const std::string& text) {
    for (const Pattern& pattern : parent.patterns())
        if (pattern.pattern->text() == text) return pattern.node.get();
    return nullptr;
}

bool same_plain_patterns(const SchemaNode& a, const SchemaNode& b) {
    const auto texts = [](const SchemaNode& node) {
        std::vector<std::string> all;
        all.reserve(node.plain_patterns().size());
        for (const auto& pattern : node.plain_patterns()) all.push_back(pattern->text());
        std::sort(all.begin(), all.end());
        return all;
    };
    return texts(a) == texts(b);
}

// Fields that are one point to the first of them.
class Merger {
 public:
    explicit Merger(Schema& schema) : schema_(schema), first_(schema.fields_.size()) {
        std::iota(first_.begin(), first_.end(), std::uint16_t{0});
    }

    void visit(const SchemaNode& node) {
        const auto& patterns = node.patterns();
        for (std::size_t i = 0; i < patterns.size(); ++i) {
            for (std::size_t j = 0; j < i; ++j)
                if (define_alike(schema_, *patterns[j].node, *patterns[i].node))
                    unite(*patterns[j].node, *patterns[i].node);
            for (const auto& [name, child] : node.children())
                if (define_alike(schema_, *child, *patterns[i].node) &&
                    patterns[i].pattern->matches(name) == NamePattern::Answer::yes)
                    unite(*child, *patterns[i].node);
        }
        node.for_each_child([&](const SchemaNode& child) { visit(child); });
    }

    void apply() {
        std::vector<std::uint16_t> new_index(first_.size());
        std::vector<EncryptedField> kept;
        for (std::size_t i = 0; i < first_.size(); ++i) {
            const std::uint16_t first = first_of(static_cast<std::uint16_t>(i));
            if (first == i) {
                new_index[i] = static_cast<std::uint16_t>(kept.size());
                kept.push_back(std::move(schema_.fields_[i]));
            } else {
                new_index[i] = new_index[first];
                schema_.other_paths_.emplace_back(std::move(schema_.fields_[i].path), new_index[i]);
            }
        }
        schema_.fields_ = std::move(kept);
        renumber(schema_.root_, new_index);
    }

 private:
    std::uint16_t first_of(std::uint16_t field) {
        while (first_[field] != field) field = first_[field] = first_[first_[field]];
        return field;
    }

    // Of nodes that define the same.
    void unite(const SchemaNode& a, const SchemaNode& b) {
        if (a.is_protected()) {
            const std::uint16_t one = first_of(a.field);
            const std::uint16_t other = first_of(b.field);
            first_[std::max(one, other)] = std::min(one, other);
            return;
        }
        for (const auto& [name, child] : a.children()) unite(*child, *b.named_child(name));
        for (const Pattern& pattern : a.patterns())
            unite(*pattern.node, *node_of_text(b, pattern.pattern->text()));
    }

    static void renumber(SchemaNode& node, const std::vector<std::uint16_t>& new_index) {
        if (node.is_protected()) node.field = new_index[node.field];
        for (const auto& [name, child] : node.children()) renumber(*child, new_index);
        for (const Pattern& pattern : node.patterns()) renumber(*pattern.node, new_index);
    }

    Schema& schema_;
    std::vector<std::uint16_t> first_;
};

bool has_patterns(const SchemaNode& node) {
    bool found = !node.patterns().empty();
    node.for_each_child([&](const SchemaNode& child) { found = found || has_patterns(child); });
    return found;
}

}  // namespace

bool define_alike(const Schema& schema, const SchemaNode& a, const SchemaNode& b) {
    if (a.is_protected() != b.is_protected()) return false;
    if (a.is_protected()) {
        const EncryptedField& one = schema.fields()[a.field];
        const EncryptedField& other = schema.fields()[b.field];
        return a.field == b.field || (one.algorithm == other.algorithm && one.key == other.key &&
                                      same_types(one.bson_types, other.bson_types));
    }
    if (a.children().size() != b.children().size() || a.patterns().size() != b.patterns().size() ||
        !same_plain_patterns(a, b))
        return false;
    const bool same_names = std::all_of(a.children().begin(), a.children().end(), [&](const auto& child) {
        const SchemaNode* other = b.named_child(child.first);
        return other != nullptr && define_alike(schema, *child.second, *other);
    });
    return same_names && std::all_of(a.patterns().begin(), a.patterns().end(), [&](const Pattern& pattern) {
               const SchemaNode* other = node_of_text(b, pattern.pattern->text());
               return other != nullptr && define_alike(schema, *pattern.node, *other);
           });
}

void merge_alike_fields(Schema& schema) {
    if (!has_patterns(schema.root_)) return;
    Merger merger(schema);
    merger.visit(schema.root_);
    merger.apply();
}

}  // namespace fieldgate::config
