#include "proxy/analysis/field_space.hpp"

#include <algorithm>
#include <boost/assert.hpp>

namespace fieldgate::analysis {
namespace {

void renumber(config::SchemaNode& node, std::uint16_t by) {
    if (node.is_protected()) node.field = static_cast<std::uint16_t>(node.field + by);
    node.for_each_child([&](config::SchemaNode& child) { renumber(child, by); });
}

std::shared_ptr<const config::SchemaNode> tree_of(const config::NamespaceRef& protected_namespace,
                                                  std::uint16_t first_field) {
    const auto& schema = protected_namespace->schema;
    if (first_field == 0) return {schema, &schema->root()};
    auto tree = std::make_shared<config::SchemaNode>(schema->root().clone());
    renumber(*tree, first_field);
    return tree;
}

}  // namespace

std::shared_ptr<FieldSpace> FieldSpace::of(const config::NamespaceRef& protected_namespace,
                                           std::string_view database, std::string_view collection) {
    auto fields = std::make_shared<FieldSpace>();
    fields->add(protected_namespace, database, collection);
    return fields;
}

std::optional<std::size_t> FieldSpace::add(const config::NamespaceRef& protected_namespace,
                                           std::string_view database, std::string_view collection) {
    if (const Part* known = find(database, collection))
        return static_cast<std::size_t>(known - parts_.data());
    const std::size_t fields = protected_namespace->schema->fields().size();
    if (size_ + fields >= config::no_field) return std::nullopt;
    const auto first = static_cast<std::uint16_t>(size_);
    parts_.push_back({protected_namespace, std::string(database), std::string(collection), first,
                      tree_of(protected_namespace, first)});
    size_ += fields;
    return parts_.size() - 1;
}

const FieldSpace::Part* FieldSpace::find(std::string_view database, std::string_view collection) const {
    const auto found = std::find_if(parts_.begin(), parts_.end(), [&](const Part& part) {
        return part.database == database && part.collection == collection;
    });
    return found == parts_.end() ? nullptr : &*found;
}

std::size_t FieldSpace::part_index(std::uint16_t field) const {
    BOOST_ASSERT(field < size_);
    std::size_t index = parts_.size() - 1;
    while (parts_[index].first_field > field) --index;
    return index;
}

const config::EncryptedField& FieldSpace::field(std::uint16_t field) const {
    const Part& part = part_of(field);
    return part.protected_namespace->schema->fields()[field - part.first_field];
}

bool FieldSpace::same_encryption(std::uint16_t a, std::uint16_t b) const {
    const config::EncryptedField& first = field(a);
    const config::EncryptedField& second = field(b);
    if (!first.has_static_key() || !second.has_static_key()) return false;
    if (a == b) return true;
    if (first.algorithm != second.algorithm || first.bson_types != second.bson_types) return false;
    const auto* const name = std::get_if<config::KeyAltName>(&first.key);
    const auto* const other = std::get_if<config::KeyAltName>(&second.key);
    if (name == nullptr || other == nullptr) return first.key == second.key;
    return expand_alt_name(name->name, part_of(a).database) ==
           expand_alt_name(other->name, part_of(b).database);
}

std::string expand_alt_name(std::string_view alt_name, std::string_view database) {
    constexpr std::string_view placeholder = "{database}";
    std::string name(alt_name);
    for (std::size_t at = 0; (at = name.find(placeholder, at)) != std::string::npos; at += database.size())
        name.replace(at, placeholder.size(), database);
    return name;
}

}  // namespace fieldgate::analysis
