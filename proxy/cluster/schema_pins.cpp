#include "proxy/cluster/schema_pins.hpp"

#include <algorithm>
#include <utility>

namespace fieldgate::cluster {
namespace {

using config::EncryptedField;

std::string what_changed(const EncryptedField& pinned, const config::Schema& schema) {
    const auto now = std::find_if(schema.fields().begin(), schema.fields().end(),
                                  [&](const EncryptedField& field) { return field.path == pinned.path; });
    if (now == schema.fields().end()) return "no longer encrypts field '" + pinned.path + "'";
    if (now->algorithm != pinned.algorithm)
        return "encrypts field '" + pinned.path + "' with another algorithm than before";
    if (now->key != pinned.key) return "encrypts field '" + pinned.path + "' with another key than before";
    if (!std::is_permutation(now->bson_types.begin(), now->bson_types.end(), pinned.bson_types.begin(),
                             pinned.bson_types.end()))
        return "gives field '" + pinned.path + "' another bsonType than before";
    return {};
}

// Empty: everything that was protected still is, in the same way.
std::string what_changed(const config::Schema& pinned, const analysis::NamespaceFacts& facts) {
    if (facts.is_view) return "is gone: the collection has become a view";
    if (facts.server_schema == nullptr)
        return "is gone: the collection no longer has it, or no longer exists";
    for (const EncryptedField& field : pinned.fields()) {
        std::string change = what_changed(field, *facts.server_schema->schema);
        if (!change.empty()) return change;
    }
    return {};
}

analysis::NamespaceFacts refused(std::string problem) {
    analysis::NamespaceFacts facts;
    facts.validator_encrypts = true;
    facts.schema_problem = std::move(problem);
    return facts;
}

}  // namespace

analysis::NamespaceFacts SchemaPins::apply(const analysis::NamespaceName& name,
                                           analysis::NamespaceFacts facts) {
    const auto pin = pins_.find(name);
    if (pin == pins_.end()) {
        if (facts.server_schema == nullptr) return facts;
        if (pins_.size() >= pins_max_)
            return refused("more collections have one than fieldgate remembers (" +
                           std::to_string(pins_max_) + ")");
        pins_.emplace(name, facts.server_schema);
        return facts;
    }
    // It says itself what is wrong with it, and nothing passes by it.
    if (!facts.schema_problem.empty()) return facts;
    const std::string change = what_changed(*pin->second->schema, facts);
    if (!change.empty())
        return refused(
            "it " + change +
            ". What fieldgate has once read there it holds to: put the validator right, or restart "
            "fieldgate if this is meant");
    pin->second = facts.server_schema;
    return facts;
}

}  // namespace fieldgate::cluster
