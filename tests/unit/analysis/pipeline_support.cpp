#include "pipeline_support.hpp"

namespace fieldgate::analysis::testing {
namespace {

std::string children_text(const FieldSpace& fields, const config::SchemaNode& node);

std::string value_text(const FieldSpace& fields, const config::SchemaNode& node) {
    if (node.unknown) return "=?";
    if (node.is_protected()) {
        const FieldSpace::Part& part = fields.part_of(node.field);
        const std::string owner = part.first_field == 0 ? "" : part.collection + ":";
        return "=" + owner + fields.field(node.field).path;
    }
    const std::string inner = children_text(fields, node);
    if (inner.empty()) return "";
    return (node.dotted_keys ? "#{" : "{") + inner + "}";
}

std::string children_text(const FieldSpace& fields, const config::SchemaNode& node) {
    std::string text;
    for (const auto& [name, child] : node.children()) {
        std::string value = value_text(fields, *child);
        if (value.empty()) continue;
        if (child->array) value = "[" + value + "]";
        text += (text.empty() ? "" : ", ") + name + value;
    }
    return text;
}

}  // namespace

const std::string whole_tree =
    "ssn=ssn, insurance{policyNumber=insurance.policyNumber, agent{code=insurance.agent.code}}, "
    "bloodType=bloodType, medicalRecords=medicalRecords, dateOfBirth=dateOfBirth, note=note, seen=seen, "
    "contact{email=contact.email}";

Hospital::Hospital() {
    auto visits = std::make_shared<config::Schema>();
    const auto add = [&](const char* name, config::Algorithm algorithm, std::uint8_t type, std::uint8_t key) {
        visits->root_.add_child(name).field = static_cast<std::uint16_t>(visits->fields_.size());
        visits->fields_.push_back({name, algorithm, config::KeyUuid{key}, {type}});
    };
    add("patientSsn", config::Algorithm::deterministic, 0x10, 1);
    add("badge", config::Algorithm::deterministic, 0x10, 2);
    add("reason", config::Algorithm::random, 0x02, 1);
    config.schemas.push_back({{"medicalRecords", "visits"}, visits, 1, false});
    config.schemas.push_back({{"medicalRecords", "archive"}, schema, 2, false});
}

Outcome Hospital::aggregate(const std::string& stages, const std::string& collection,
                            const std::string& more) const {
    return analyse(R"({"aggregate": ")" + collection + R"(", "cursor": {}, "pipeline": [)" + stages + "]" +
                   more + "}");
}

Outcome Hospital::compute(const std::string& value) const {
    return aggregate(R"({"$project": {"_id": 0, "x": )" + value + "}}");
}

std::string reply_tree(const Outcome& outcome) {
    if (!outcome.passed()) return "refused: " + outcome.refusal.errmsg;
    if (outcome.plan.shape.tree == nullptr) return "none";
    if (outcome.plan.shape.tree->unknown) return "?";
    return children_text(*outcome.plan.fields, *outcome.plan.shape.tree);
}

std::vector<std::string> edits_of(const Outcome& outcome) {
    constexpr std::string_view before = "pipeline[0].";
    std::vector<std::string> edits;
    for (const std::string& edit : outcome.edits)
        edits.push_back(edit.starts_with(before) ? edit.substr(before.size()) : edit);
    return edits;
}

}  // namespace fieldgate::analysis::testing
